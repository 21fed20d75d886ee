//! The server transaction of every method but INVITE and ACK: RFC 3261 §17.2.2 with RFC 4320.
//!
//! It sends no provisional response but 100, and that only to a client whose repetitions have
//! slowed down to T2; and it never sends 408, which would come when nobody listens any more.

use std::time::Instant;

use crate::sip::Status;

use super::effects::Effects;
use super::timer::Timer;

/// How a server transaction came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEnd {
    /// Answered, and acknowledged where that is due.
    Finished,
    /// Timer H.
    AckMissing,
}

/// Where a request from outside stands.
#[derive(Debug)]
pub(super) enum Server {
    Trying(Trying),
    Proceeding(Proceeding),
    Completed(Completed),
    Ended(ServerEnd),
}

/// Nothing was answered.
#[derive(Debug)]
pub(super) struct Trying {
    since: Instant,
}

/// A 100 was sent.
#[derive(Debug)]
pub(super) struct Proceeding {
    provisional: Vec<u8>,
}

/// The final response was sent; it is sent again on demand until timer J.
#[derive(Debug)]
pub(super) struct Completed {
    /// Empty when the final response was a 408, which is not sent.
    response: Vec<u8>,
}

impl Server {
    pub(super) fn start(effects: &Effects<'_>) -> Self {
        Self::Trying(Trying { since: effects.now })
    }

    /// Whether the repetition that just came is to be answered with 100. RFC 4320 §4.1: not
    /// before the client's timer E has reached T2. From then on it tells the client that we are
    /// alive, so the first repetition after that time gets it.
    pub(super) fn is_late(&self, effects: &Effects<'_>) -> bool {
        match self {
            Self::Trying(state) => effects.now >= state.since + effects.durations().until_slowest(),
            Self::Proceeding(_) | Self::Completed(_) | Self::Ended(_) => false,
        }
    }

    /// §17.2.2: answered from what was sent last, if anything was.
    pub(super) fn handle_retransmission(&self, effects: &mut Effects<'_>) {
        match self {
            Self::Trying(_) => {}
            Self::Proceeding(state) => effects.send(&state.provisional),
            Self::Completed(state) => effects.send(&state.response),
            Self::Ended(_) => {}
        }
    }

    /// # Panics
    /// After the final response, and for a provisional response other than 100.
    pub(super) fn respond(self, status: Status, bytes: &[u8], effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Trying(_) => {}
            Self::Proceeding(state) => effects.discard(state.provisional),
            Self::Completed(_) | Self::Ended(_) => {
                panic!("a request has one final response and nothing after it: {status}")
            }
        }
        if status.is_provisional() {
            // RFC 4320 §4.1.
            assert!(
                status == Status::TRYING,
                "only an INVITE is answered with {status}"
            );
            effects.send(bytes);
            return Self::Proceeding(Proceeding {
                provisional: effects.keep(bytes),
            });
        }
        // RFC 4320 §4.2: by now the client has given up by itself.
        let sent: &[u8] = if status == Status::REQUEST_TIMEOUT {
            &[]
        } else {
            bytes
        };
        effects.send(sent);
        if effects.is_reliable() {
            // Timer J is zero: a stream does not repeat.
            return Self::Ended(ServerEnd::Finished);
        }
        effects.arm_end(Timer::RequestAbsorb, effects.durations().patience());
        Self::Completed(Completed {
            response: effects.keep(sent),
        })
    }

    pub(super) fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match (self, timer) {
            (Self::Completed(state), Timer::RequestAbsorb) => {
                effects.discard(state.response);
                Self::Ended(ServerEnd::Finished)
            }
            (state, timer) => panic!("a state disarms its timers: {timer:?} fired in {state:?}"),
        }
    }

    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            Self::Trying(_) | Self::Proceeding(_) => true,
            Self::Completed(_) | Self::Ended(_) => false,
        }
    }
}
