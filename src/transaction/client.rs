//! The client transaction of every method but INVITE: RFC 3261 §17.1.2 with RFC 4320.
//!
//! A response after the end is dropped: it does not complete the request a second time.

use offhook_shards::wheel::TimerKey;

use crate::sip::Status;

use super::effects::{Effects, Retransmission};
use super::timer::Timer;

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    PassUp,
    Absorb,
    Stray,
}

/// How a client transaction came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientEnd {
    /// With a final response.
    Finished,
    TimedOut,
    TransportFailed,
}

/// Where a request of ours stands.
#[derive(Debug)]
pub(super) enum Client {
    /// Nothing has come back yet.
    Trying(Pending),
    /// A provisional response has come.
    Proceeding(Pending),
    /// The final response has come; repetitions may, until timer K.
    Completed,
    Ended(ClientEnd),
}

/// The final response has not come.
#[derive(Debug)]
pub(super) struct Pending {
    /// Empty on a stream, where it is not sent again.
    request: Vec<u8>,
    /// Timer E.
    retransmission: Option<Retransmission>,
    /// Timer F.
    timeout: TimerKey,
}

impl Client {
    pub(super) fn start(request: &[u8], effects: &mut Effects<'_>) -> Self {
        effects.send(request);
        Self::Trying(Pending {
            request: if effects.is_reliable() {
                Vec::new()
            } else {
                effects.keep(request)
            },
            retransmission: effects.repeat(Timer::RequestRetransmit),
            timeout: effects.arm(Timer::RequestTimeout, effects.durations().patience()),
        })
    }

    pub(super) fn handle_response(
        self,
        status: Status,
        effects: &mut Effects<'_>,
    ) -> (Self, Verdict) {
        match self {
            Self::Trying(state) => state.handle_response(status, effects),
            Self::Proceeding(state) => state.handle_response(status, effects),
            Self::Completed => (self, Verdict::Absorb),
            Self::Ended(_) => (self, Verdict::Stray),
        }
    }

    pub(super) fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match (self, timer) {
            (Self::Trying(state), Timer::RequestRetransmit) => {
                Self::Trying(state.retransmit(effects, false))
            }
            (Self::Proceeding(state), Timer::RequestRetransmit) => {
                Self::Proceeding(state.retransmit(effects, true))
            }
            (Self::Trying(state) | Self::Proceeding(state), Timer::RequestTimeout) => {
                state.leave(effects);
                Self::Ended(ClientEnd::TimedOut)
            }
            (Self::Completed, Timer::ResponseAbsorb) => Self::Ended(ClientEnd::Finished),
            (state, timer) => panic!("a state disarms its timers: {timer:?} fired in {state:?}"),
        }
    }

    /// RFC 3261 §17.1.4.
    pub(super) fn handle_transport_failure(self, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Trying(state) | Self::Proceeding(state) => state.leave(effects),
            Self::Completed | Self::Ended(_) => return self,
        }
        Self::Ended(ClientEnd::TransportFailed)
    }

    pub(super) fn is_pending(&self) -> bool {
        match self {
            Self::Trying(_) | Self::Proceeding(_) => true,
            Self::Completed | Self::Ended(_) => false,
        }
    }
}

impl Pending {
    /// Timer E. §17.1.2.2: doubled up to T2 while Trying, T2 at once while Proceeding.
    fn retransmit(self, effects: &mut Effects<'_>, proceeding: bool) -> Self {
        effects.send(&self.request);
        let durations = effects.durations();
        let retransmission = self.retransmission.map(|last| {
            let interval = if proceeding {
                durations.t2
            } else {
                durations.capped_double(last.interval)
            };
            effects.repeat_after(Timer::RequestRetransmit, interval)
        });
        Self {
            retransmission,
            ..self
        }
    }

    fn handle_response(self, status: Status, effects: &mut Effects<'_>) -> (Client, Verdict) {
        if status.is_provisional() {
            return (Client::Proceeding(self), Verdict::PassUp);
        }
        self.leave(effects);
        if effects.is_reliable() {
            // Timer K is zero: a stream does not repeat.
            return (Client::Ended(ClientEnd::Finished), Verdict::PassUp);
        }
        effects.arm_end(Timer::ResponseAbsorb, effects.durations().t4);
        (Client::Completed, Verdict::PassUp)
    }

    fn leave(self, effects: &mut Effects<'_>) {
        effects.stop(self.retransmission);
        effects.disarm(self.timeout);
        effects.discard(self.request);
    }
}
