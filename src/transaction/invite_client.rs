//! The INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2.
//!
//! It acknowledges failures itself; a 2xx is acknowledged by the dialog. It does not send CANCEL.
//! In Proceeding no timer runs, as §17.1.1.2 has it: whoever rings a phone decides how long.

use offhook_shards::wheel::TimerKey;

use crate::sip::Response;

use super::acknowledgement;
use super::client::{ClientEnd, Verdict};
use super::effects::{Effects, Retransmission};
use super::timer::Timer;

/// Where an INVITE of ours stands.
#[derive(Debug)]
pub(super) enum InviteClient {
    Calling(Calling),
    Proceeding(Proceeding),
    Completed(Completed),
    /// A 2xx has come; more may, from other phones or as repetitions, until timer M.
    Accepted,
    Ended(ClientEnd),
}

/// Nothing has come back yet.
#[derive(Debug)]
pub(super) struct Calling {
    invite: Vec<u8>,
    /// Timer A.
    retransmission: Option<Retransmission>,
    /// Timer B.
    timeout: TimerKey,
}

/// A provisional response has come.
#[derive(Debug)]
pub(super) struct Proceeding {
    invite: Vec<u8>,
    /// Timer B again, once the INVITE was cancelled or abandoned.
    timeout: Option<TimerKey>,
}

/// A failure has come and was acknowledged.
#[derive(Debug)]
pub(super) struct Completed {
    /// Empty where none could be written.
    acknowledgement: Vec<u8>,
    /// Timer D.
    absorb: TimerKey,
}

impl InviteClient {
    pub(super) fn start(invite: &[u8], effects: &mut Effects<'_>) -> Self {
        effects.send(invite);
        Self::Calling(Calling {
            invite: effects.keep(invite),
            retransmission: effects.repeat(Timer::InviteRetransmit),
            timeout: effects.arm(Timer::InviteTimeout, effects.durations().patience()),
        })
    }

    pub(super) fn handle_response(
        self,
        response: &Response<'_>,
        effects: &mut Effects<'_>,
    ) -> (Self, Verdict) {
        match self {
            Self::Calling(state) => state.handle_response(response, effects),
            Self::Proceeding(state) => state.handle_response(response, effects),
            Self::Completed(state) => state.handle_response(response, effects),
            // RFC 6026 §7.2: each 2xx is passed up, to be acknowledged; nothing else is.
            Self::Accepted if response.status.is_success() => (self, Verdict::PassUp),
            Self::Accepted => (self, Verdict::Absorb),
            Self::Ended(_) => (self, Verdict::Stray),
        }
    }

    pub(super) fn handle_timer(self, timer: Timer, effects: &mut Effects<'_>) -> Self {
        match (self, timer) {
            (Self::Calling(state), Timer::InviteRetransmit) => state.retransmit(effects),
            (Self::Calling(state), Timer::InviteTimeout) => {
                state.stop(effects).leave(effects);
                Self::Ended(ClientEnd::TimedOut)
            }
            (Self::Proceeding(state), Timer::InviteTimeout) => {
                state.leave(effects);
                Self::Ended(ClientEnd::TimedOut)
            }
            (Self::Completed(state), Timer::FailureAbsorb) => {
                state.leave(effects);
                Self::Ended(ClientEnd::Finished)
            }
            (Self::Accepted, Timer::SuccessCollect) => Self::Ended(ClientEnd::Finished),
            (state, timer) => panic!("a state disarms its timers: {timer:?} fired in {state:?}"),
        }
    }

    /// RFC 3261 §17.1.4: the connection is gone before the final response came, or before
    /// the ACK was sent.
    pub(super) fn handle_transport_failure(self, effects: &mut Effects<'_>) -> Self {
        match self {
            Self::Calling(state) => state.stop(effects).leave(effects),
            Self::Proceeding(state) => state.leave(effects),
            Self::Completed(state) => state.leave(effects),
            // Nothing more is sent from here: the ACK is the dialog's.
            Self::Accepted | Self::Ended(_) => return self,
        }
        Self::Ended(ClientEnd::TransportFailed)
    }

    /// RFC 3261 §9.1: after a CANCEL the final response comes within 64*T1 or never.
    pub(super) fn expect_final(self, effects: &mut Effects<'_>) -> Self {
        match self {
            // Timer B runs.
            Self::Calling(state) => Self::Calling(state),
            Self::Proceeding(mut state) => {
                if state.timeout.is_none() {
                    let patience = effects.durations().patience();
                    state.timeout = Some(effects.arm(Timer::InviteTimeout, patience));
                }
                Self::Proceeding(state)
            }
            Self::Completed(_) => self,
            Self::Accepted => self,
            Self::Ended(_) => self,
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        match self {
            Self::Calling(_) | Self::Proceeding(_) => true,
            Self::Completed(_) | Self::Accepted | Self::Ended(_) => false,
        }
    }
}

impl Calling {
    /// Timer A. §17.1.1.2: the interval doubles without a bound. Where the end is due as well,
    /// because nobody looked for long, a phone would ring for a call that is given up.
    fn retransmit(self, effects: &mut Effects<'_>) -> InviteClient {
        let t1 = effects.durations().t1;
        let retransmission = self.retransmission.map(|last| {
            let next = last.interval * 2;
            if !effects.is_over(next - t1) {
                effects.send(&self.invite);
            }
            effects.repeat_after(Timer::InviteRetransmit, next)
        });
        InviteClient::Calling(Self {
            retransmission,
            ..self
        })
    }

    fn handle_response(
        self,
        response: &Response<'_>,
        effects: &mut Effects<'_>,
    ) -> (InviteClient, Verdict) {
        self.stop(effects).handle_response(response, effects)
    }

    /// Timers A and B stop with the first response of any kind.
    fn stop(self, effects: &mut Effects<'_>) -> Proceeding {
        effects.stop(self.retransmission);
        effects.disarm(self.timeout);
        Proceeding {
            invite: self.invite,
            timeout: None,
        }
    }
}

impl Proceeding {
    fn handle_response(
        self,
        response: &Response<'_>,
        effects: &mut Effects<'_>,
    ) -> (InviteClient, Verdict) {
        let status = response.status;
        if status.is_provisional() {
            return (InviteClient::Proceeding(self), Verdict::PassUp);
        }
        let next = if status.is_success() {
            // RFC 6026 §7.2: timer M runs on every transport, because forks are still possible.
            effects.arm_end(Timer::SuccessCollect, effects.durations().patience());
            self.leave(effects);
            InviteClient::Accepted
        } else {
            self.acknowledge(response, effects)
        };
        (next, Verdict::PassUp)
    }

    fn acknowledge(self, response: &Response<'_>, effects: &mut Effects<'_>) -> InviteClient {
        let mut acknowledgement = effects.shared.buffers.take();
        let headers = &mut effects.shared.headers;
        acknowledgement::write(&self.invite, response, headers, &mut acknowledgement);
        effects.send(&acknowledgement);
        self.leave(effects);
        if effects.is_reliable() {
            // Timer D is zero: a stream does not repeat.
            effects.discard(acknowledgement);
            return InviteClient::Ended(ClientEnd::Finished);
        }
        let absorb = effects.arm_end(Timer::FailureAbsorb, effects.durations().patience());
        InviteClient::Completed(Completed {
            acknowledgement,
            absorb,
        })
    }

    fn leave(self, effects: &mut Effects<'_>) {
        if let Some(timeout) = self.timeout {
            effects.disarm(timeout);
        }
        effects.discard(self.invite);
    }
}

impl Completed {
    fn handle_response(
        self,
        response: &Response<'_>,
        effects: &mut Effects<'_>,
    ) -> (InviteClient, Verdict) {
        if response.status.is_failure() {
            // §17.1.1.2: every repetition is acknowledged, none is passed up.
            effects.send(&self.acknowledgement);
            return (InviteClient::Completed(self), Verdict::Absorb);
        }
        // A 2xx of another fork behind a failure: the dialog acknowledges it and hangs up.
        let verdict = if response.status.is_success() {
            Verdict::Stray
        } else {
            Verdict::Absorb
        };
        (InviteClient::Completed(self), verdict)
    }

    fn leave(self, effects: &mut Effects<'_>) {
        effects.disarm(self.absorb);
        effects.discard(self.acknowledgement);
    }
}
