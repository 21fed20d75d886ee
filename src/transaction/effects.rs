//! What a machine may do to the world: send, keep bytes, arm and disarm its timers.
//!
//! The four machines see the shard only through [`Effects`]; they know no table and no key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook_shards::wheel::{TimerKey, Wheel};
use offhook_shards::{Transmit, Transport};

use crate::limits::TIMER_GRAIN;
use crate::sip::{Feedback, HeaderIndex};
use crate::spare::Rooms;

use super::event::{ClientKey, Event, ServerKey};
use super::outbox::Outbox;
use super::timer::{Timer, Timers};

/// Whose timer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Client(ClientKey),
    Server(ServerKey),
}

/// What all transactions of a shard share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) durations: Timers,
    pub(super) wheel: Wheel<(Owner, Timer)>,
    pub(super) outbox: Outbox,
    /// For their own copies of messages.
    pub(super) buffers: Rooms<u8>,
    pub(super) events: VecDeque<Event>,
    /// By how much the timer that fires now is late: the host may have slept.
    pub(super) late: Duration,
    /// For reading our own messages again.
    pub(super) headers: HeaderIndex,
    /// What responses say of overload.
    pub(super) feedback: Option<Feedback>,
}

/// One transaction's reach, for the length of one transition.
#[derive(Debug)]
pub(super) struct Effects<'a> {
    pub(super) now: Instant,
    pub(super) owner: Owner,
    /// Where everything that this transaction sends goes.
    pub(super) route: Transmit,
    pub(super) shared: &'a mut Shared,
}

/// A message that is sent again and again.
#[derive(Debug)]
pub(super) struct Retransmission {
    pub(super) timer: TimerKey,
    /// How long it waited, or waits, for this turn.
    pub(super) interval: Duration,
}

impl Effects<'_> {
    pub(super) fn durations(&self) -> Timers {
        self.shared.durations
    }

    /// Whether the transport repeats lost bytes itself, so that we need not (§17.1.1.2).
    pub(super) fn is_reliable(&self) -> bool {
        match self.route.transport {
            Transport::Tcp | Transport::Tls => true,
            Transport::Udp => false,
        }
    }

    /// Whether 64*T1 have passed since something was done that was `ago` when this timer was due.
    pub(super) fn is_over(&self, ago: Duration) -> bool {
        ago + self.shared.late >= self.durations().patience()
    }

    /// Sends a message. An empty one stands for "none".
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.shared.outbox.push(self.route, bytes);
        }
    }

    /// A copy of the bytes, in a buffer that [`Effects::discard`] takes back.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.shared.buffers.take();
        buffer.extend_from_slice(bytes);
        buffer
    }

    pub(super) fn discard(&mut self, buffer: Vec<u8>) {
        self.shared.buffers.put_back(buffer);
    }

    pub(super) fn arm(&mut self, timer: Timer, after: Duration) -> TimerKey {
        self.shared.wheel.arm(self.now + after, (self.owner, timer))
    }

    /// Arms a timer by which the transaction ends because nothing more can come (D and I to
    /// M): [`TIMER_GRAIN`] later does as well.
    pub(super) fn arm_end(&mut self, timer: Timer, after: Duration) -> TimerKey {
        let (at, value) = (self.now + after, (self.owner, timer));
        self.shared.wheel.arm_within(at, TIMER_GRAIN, value)
    }

    pub(super) fn disarm(&mut self, key: TimerKey) {
        self.shared.wheel.cancel(key);
    }

    /// Starts to repeat a message after T1; `None` on a transport that does it itself.
    pub(super) fn repeat(&mut self, timer: Timer) -> Option<Retransmission> {
        if self.is_reliable() {
            return None;
        }
        let interval = self.durations().t1;
        Some(Retransmission {
            timer: self.arm(timer, interval),
            interval,
        })
    }

    /// The next turn of a repetition. It counts from now, so that a shard that was held up sends
    /// one message late and not all that it missed.
    pub(super) fn repeat_after(&mut self, timer: Timer, interval: Duration) -> Retransmission {
        Retransmission {
            timer: self.arm(timer, interval),
            interval,
        }
    }

    pub(super) fn stop(&mut self, retransmission: Option<Retransmission>) {
        if let Some(retransmission) = retransmission {
            self.disarm(retransmission.timer);
        }
    }
}
