//! The INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1.
//!
//! It repeats failures until the ACK comes; a 2xx is repeated by the dialog (§13.3.1.4).

use offhook_shards::wheel::TimerKey;

use crate::sip::Status;

use super::effects::{Effects, Retransmission};
use super::server::ServerEnd;
use super::timer::Timer;

/// Where an INVITE from outside stands.
#[derive(Debug)]
pub(super) enum InviteServer {
    Proceeding(Proceeding),
    Completed(Completed),
    /// The ACK has come; repetitions may, until timer I.
    Confirmed,
    /// A 2xx was sent; repeated INVITEs may still come, until timer L.
    Accepted,
    Ended(ServerEnd),
}

/// No final response was given.
#[derive(Debug)]
pub(super) struct Proceeding {
    /// The last provisional response. Empty for a merged request, which is refused at once.
    provisional: Vec<u8>,
}

/// A failure was sent; the ACK has not come.
#[derive(Debug)]
pub(super) struct Completed {
    failure: Vec<u8>,
    /// Timer G.
    retransmission: Option<Retransmission>,
    /// Timer H.
    timeout: TimerKey,
}

/// Whose an ACK is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// This transaction's: dealt with.
    Here,
    /// The dialog's.
    ByDialog,
}

impl InviteServer {
    /// Sends the 100 (Trying); an empty one is not sent.
    pub(super) fn start(trying: Vec<u8>, effects: &mut Effects<'_>) -> Self {
        effects.send(&trying);
        Self::Proceeding(Proceeding {
            provisional: trying,
        })
    }

    /// §17.2.1: answered from what was sent last, if anything is to be sent at all.
    pub(super) fn handle_retransmission(&self, effects: &mut Effects<'_>) {
        match self {
            Self::Proceeding(state) => effects.send(&state.provisional),
            Self::Completed(state) => effects.send(&state.failure),
            Self::Confirmed => {}
            // RFC 6026 §7.1: absorbed without an answer; the dialog repeats the 2xx.
            Self::Accepted => {}
            Self::Ended(_) => {}
        }
    }

    pub(super) fn handle_acknowledgement(self, effects: &mut Effects<'_>) -> (Self, Acknowledged) {
        match self {
            // An ACK to nothing that we said.
            Self::Proceeding(_) => (self, Acknowledged::Here),
            Self::Completed(state) => (state.confirm(effects), Acknowledged::Here),
            Self::Confirmed => (self, Acknowledged::Here),
            // RFC 6026 §7.1: an ACK that took the INVITE's branch for a 2xx is still the dialog's.
            Self::Accepted => (self, Acknowledged::ByDialog),
            Self::Ended(_) => (self, Acknowledged::ByDialog),
        }
    }

    /// # Panics
    /// After the final response.
    pub(super) fn respond(self, status: Status, bytes: &[u8], effects: &mut Effects<'_>) -> Self {
        let Self::Proceeding(state) = self else {
            panic!("an INVITE has one final response and nothing after it: {status} in {self:?}");
        };
        effects.discard(state.provisional);
        effects.send(bytes);
        if status.is_provisional() {
            Self::Proceeding(Proceeding {
                provisional: effects.keep(bytes),
            })
        } else if status.is_success() {
            let patience = effects.durations().patience();
            effects.arm_end(Timer::AcceptedInviteAbsorb, patience);
            Self::Accepted
        } else {
            // Timer H runs on streams too: the ACK is awaited there all the same.
            Self::Completed(Completed {
                failure: effects.keep(bytes),
                retransmission: effects.repeat(Timer::FailureRetransmit),
                timeout: effects.arm(Timer::AckTimeout, effects.durations().patience()),
            })
        }
    }

    pub(super) fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match (self, timer) {
            (Self::Completed(state), Timer::FailureRetransmit) => state.retransmit(effects),
            (Self::Completed(state), Timer::AckTimeout) => {
                state.leave(effects);
                Self::Ended(ServerEnd::AckMissing)
            }
            (Self::Confirmed, Timer::AckAbsorb) => Self::Ended(ServerEnd::Finished),
            (Self::Accepted, Timer::AcceptedInviteAbsorb) => Self::Ended(ServerEnd::Finished),
            (state, timer) => panic!("a state disarms its timers: {timer:?} fired in {state:?}"),
        }
    }

    pub(super) fn is_unanswered(&self) -> bool {
        match self {
            Self::Proceeding(_) => true,
            Self::Completed(_) | Self::Confirmed | Self::Accepted | Self::Ended(_) => false,
        }
    }
}

impl Completed {
    /// Timer G: doubled up to T2.
    fn retransmit(self, effects: &mut Effects<'_>) -> InviteServer {
        effects.send(&self.failure);
        let retransmission = self.retransmission.map(|last| {
            let interval = effects.durations().capped_double(last.interval);
            effects.repeat_after(Timer::FailureRetransmit, interval)
        });
        InviteServer::Completed(Self {
            retransmission,
            ..self
        })
    }

    fn confirm(self, effects: &mut Effects<'_>) -> InviteServer {
        self.leave(effects);
        if effects.is_reliable() {
            // Timer I is zero: a stream does not repeat.
            return InviteServer::Ended(ServerEnd::Finished);
        }
        effects.arm_end(Timer::AckAbsorb, effects.durations().t4);
        InviteServer::Confirmed
    }

    fn leave(self, effects: &mut Effects<'_>) {
        effects.stop(self.retransmission);
        effects.disarm(self.timeout);
        effects.discard(self.failure);
    }
}
