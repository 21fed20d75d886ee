//! What a sleeping driver hears without io_uring: datagrams, the bell that other threads ring, and
//! whatever else is registered. mio watches edge-triggered: every report is acted on until the
//! kernel says "would block", or remembered until then.

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::udp::Datagrams;

/// Readiness reports taken at once.
const EVENTS_MAX: usize = 256;
/// The token of the bell; all below are datagram sockets.
const BELL: usize = 1 << 20;
/// The first token that is the driver's own to give.
pub(super) const OWN_TOKENS: usize = BELL + 1;

/// See the module.
pub(super) struct Lookout {
    poll: Poll,
    events: Events,
    /// Of what was heard last, the driver's own tokens.
    own: Vec<usize>,
}

impl Lookout {
    /// One that hears nothing yet.
    ///
    /// # Errors
    /// What the kernel says when there are no descriptors left.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(EVENTS_MAX),
            own: Vec::with_capacity(EVENTS_MAX),
        })
    }

    /// One that hears when one of these rings has something.
    ///
    /// # Errors
    /// What the kernel says when there are no descriptors left.
    pub(super) fn over(rings: &[RawFd]) -> io::Result<Self> {
        let lookout = Self::new()?;
        for (index, ring) in rings.iter().enumerate() {
            lookout.hear_input(*ring, Token(OWN_TOKENS + index))?;
        }
        Ok(lookout)
    }

    /// From now on it hears datagrams and the bell.
    ///
    /// # Errors
    /// What the kernel says when there is no memory left.
    pub(super) fn hear(&self, datagrams: &Datagrams, bell: BorrowedFd<'_>) -> io::Result<()> {
        for socket in 0..datagrams.len() {
            self.hear_input(datagrams.descriptor(socket).as_raw_fd(), Token(socket))?;
        }
        self.hear_input(bell.as_raw_fd(), Token(BELL))
    }

    fn hear_input(&self, source: RawFd, token: Token) -> io::Result<()> {
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&source), token, Interest::READABLE)
    }

    /// Where the driver registers what else it wants to hear, with tokens of its own.
    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Waits at most so long, without end for `None`, or until something is heard or a signal
    /// comes. Marks the sockets that have datagrams and returns what it has heard of the driver's
    /// own tokens.
    pub(super) fn wait(
        &mut self,
        timeout: Option<Duration>,
        datagrams: &mut Datagrams,
    ) -> &[usize] {
        self.own.clear();
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            Err(error) => panic!("the kernel polls a valid descriptor: {error}"),
        }
        for event in &self.events {
            match event.token().0 {
                socket if socket < BELL => datagrams.set_ready(socket),
                // The next turn looks at everything for which it is rung.
                BELL => {}
                own => self.own.push(own),
            }
        }
        &self.own
    }
}
