//! One leg of a call: its states, and which of them answers what. The states themselves decide;
//! here is only the table, so that every state has an answer to everything.

use crate::sip::{Message, Request, Response, Status};
use crate::transaction::{ClientKey, ServerKey};

use super::call_dialog::CallDialog;
use super::inbound::{HangingUp, Ringing, Unacknowledged};
use super::leaving::Leaving;
use super::outbound::{Answered, Calling, Cancelling};
use super::provisional::Provisional;
use super::session::Session;
use super::turn::Turn;
use super::{Body, Cause, LegPolicy, Refusal};

/// Consumed by everything that happens to it; what comes back is the leg afterwards.
#[derive(Debug)]
pub(super) enum Leg {
    /// Inbound, no final response sent.
    Ringing(Ringing),
    /// Inbound, 2xx sent, no ACK yet.
    Unacknowledged(Unacknowledged),
    /// Inbound, 2xx sent, BYE to follow the ACK.
    HangingUp(HangingUp),
    /// Outbound, no final response.
    Calling(Calling),
    /// Outbound, to be cancelled once a provisional response has come.
    CancelHeld(Cancelling),
    /// Outbound, CANCEL sent.
    Cancelling(Cancelling),
    /// Outbound, 2xx received, no ACK from above yet.
    Answered(Answered),
    /// Confirmed.
    Confirmed(Session),
    /// Unknown above, not yet forgotten here.
    Leaving(Leaving),
    /// Nothing is left but the dialog's place in the table.
    Over(Box<CallDialog>),
}

const _: () = assert!(
    size_of::<Option<Leg>>() <= 72,
    "a held call has two of them"
);

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Without a final response.
    Early,
    /// With a 2xx and without its ACK.
    Answered,
    /// With both.
    Confirmed,
    /// Over for the layer above.
    Ending,
}

/// The moment, borrowed for one call.
type Turned<'t, 'c> = &'t mut Turn<'c>;

impl Leg {
    pub(super) fn dialog(&self) -> &CallDialog {
        match self {
            Self::Ringing(state) => state.dialog(),
            Self::Unacknowledged(state) => state.dialog(),
            Self::HangingUp(state) => state.dialog(),
            Self::Calling(state) => state.dialog(),
            Self::CancelHeld(state) | Self::Cancelling(state) => state.dialog(),
            Self::Answered(state) => state.dialog(),
            Self::Confirmed(state) => state.dialog(),
            Self::Leaving(state) => state.dialog(),
            Self::Over(dialog) => dialog,
        }
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        match self {
            Self::Ringing(state) => state.dialog_mut(),
            Self::Unacknowledged(state) => state.dialog_mut(),
            Self::HangingUp(state) => state.dialog_mut(),
            Self::Calling(state) => state.dialog_mut(),
            Self::CancelHeld(state) | Self::Cancelling(state) => state.dialog_mut(),
            Self::Answered(state) => state.dialog_mut(),
            Self::Confirmed(state) => state.dialog_mut(),
            Self::Leaving(state) => state.dialog_mut(),
            Self::Over(dialog) => dialog,
        }
    }

    /// How far the call is.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Ringing(_) | Self::Calling(_) => Stage::Early,
            Self::Unacknowledged(_) | Self::Answered(_) => Stage::Answered,
            Self::Confirmed(_) => Stage::Confirmed,
            Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => Stage::Ending,
        }
    }

    /// Whether this tag of the peer's is that of the dialog, or of one of those that an INVITE of
    /// ours may still become.
    pub(super) fn is_with(&self, tag: Option<&str>) -> bool {
        match self {
            Self::Calling(state) => state.is_with(tag),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self.dialog().is_with(tag),
        }
    }

    /// Whether an INVITE of ours has no final response.
    pub(super) fn awaits_answer(&self) -> bool {
        match self {
            Self::Calling(_) | Self::CancelHeld(_) | Self::Cancelling(_) => true,
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => false,
        }
    }

    /// Whether anything has come back on an INVITE of ours.
    pub(super) fn has_response(&self) -> bool {
        match self {
            Self::Calling(state) => state.has_response(),
            Self::CancelHeld(_) => false,
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => true,
        }
    }

    // Commands. What comes too late, or never fitted, changes nothing.

    pub(super) fn adopt(self, turn: Turned<'_, '_>, policy: LegPolicy) -> Self {
        match self {
            Self::Ringing(state) => state.adopt(turn, policy),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn progress(self, turn: Turned<'_, '_>, said: Provisional<'_>) -> Self {
        match self {
            Self::Ringing(state) => state.progress(turn, said),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn answer(self, turn: Turned<'_, '_>, body: Option<&Body>) -> Self {
        match self {
            Self::Ringing(state) => state.answer(turn, body),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn refuse(self, turn: Turned<'_, '_>, refusal: Refusal) -> Self {
        match self {
            Self::Ringing(state) => state.refuse(turn, refusal),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn acknowledge(self, turn: Turned<'_, '_>, body: Option<&Body>) -> Self {
        match self {
            Self::Answered(state) => state.acknowledge(turn, body),
            Self::Confirmed(state) => state.acknowledge(turn, body),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn offer(self, turn: Turned<'_, '_>, body: Option<&Body>) -> Self {
        match self {
            Self::Unacknowledged(state) => state.offer(turn),
            Self::Answered(state) => state.offer(turn),
            Self::Confirmed(state) => state.offer(turn, body),
            Self::Ringing(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn withdraw_offer(self, turn: Turned<'_, '_>) -> Self {
        match self {
            Self::Confirmed(state) => state.withdraw_offer(turn),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn answer_offer(self, turn: Turned<'_, '_>, body: Option<&Body>) -> Self {
        match self {
            Self::Confirmed(state) => state.answer_offer(turn, body),
            Self::Ringing(state) => state.answer_offer(turn, body),
            Self::Calling(state) => state.answer_offer(turn, body),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn refuse_offer(self, turn: Turned<'_, '_>, refusal: Refusal) -> Self {
        match self {
            Self::Confirmed(state) => state.refuse_offer(turn, refusal),
            Self::Ringing(state) => state.refuse_offer(turn, refusal),
            Self::Calling(state) => state.refuse_offer(turn, refusal),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn hang_up(self, turn: Turned<'_, '_>, cause: Cause) -> Self {
        match self {
            Self::Ringing(state) => state.hang_up(turn),
            Self::Unacknowledged(state) => state.hang_up(cause),
            Self::Calling(state) => state.hang_up(turn, cause),
            Self::Answered(state) => state.hang_up(turn, cause),
            Self::Confirmed(state) => state.hang_up(turn, cause),
            Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    // The network.

    pub(super) fn response(
        self,
        turn: Turned<'_, '_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Self {
        match self {
            Self::Calling(state) => state.response(turn, response),
            Self::CancelHeld(state) => state.held_response(turn, response),
            Self::Cancelling(state) => state.response(turn, response),
            Self::Answered(state) => state.response(turn, client, response),
            Self::Confirmed(state) => state.response(turn, client, response),
            Self::Leaving(state) => state.response(turn, client, response),
            Self::Ringing(_) | Self::Unacknowledged(_) | Self::HangingUp(_) | Self::Over(_) => self,
        }
    }

    /// A request of ours found no answer (408) or no way (503).
    pub(super) fn failed(self, turn: Turned<'_, '_>, client: ClientKey, status: Status) -> Self {
        match self {
            Self::Calling(state) => state.failed(turn, status, None),
            Self::CancelHeld(state) | Self::Cancelling(state) => state.failed(),
            Self::Answered(state) => state.ended(turn),
            Self::Confirmed(state) => state.failed(turn, client, status),
            Self::Leaving(state) => state.ended(turn, client),
            Self::Ringing(_) | Self::Unacknowledged(_) | Self::HangingUp(_) | Self::Over(_) => self,
        }
    }

    /// The last word of a transaction that had its final response.
    pub(super) fn ended(self, turn: Turned<'_, '_>, client: ClientKey) -> Self {
        match self {
            Self::Answered(state) => state.ended(turn),
            Self::Confirmed(state) => state.ended(turn, client),
            Self::Leaving(state) => state.ended(turn, client),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Over(_) => self,
        }
    }

    /// An ACK to a 2xx of ours.
    pub(super) fn acknowledged(self, turn: Turned<'_, '_>, request: &Request<'_>) -> Self {
        match self {
            Self::Unacknowledged(state) => state.acknowledged(turn, request),
            Self::HangingUp(state) => state.acknowledged(turn, request),
            Self::Confirmed(state) => state.acknowledged(turn, request),
            Self::Ringing(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    /// A CANCEL of an INVITE of the peer's that has no final response.
    pub(super) fn cancel(
        self,
        turn: Turned<'_, '_>,
        server: ServerKey,
        message: &Message<'_>,
    ) -> Self {
        match self {
            Self::Ringing(state) => state.cancel(turn, message),
            Self::Confirmed(state) => state.cancel(turn, server),
            Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    /// An INVITE within the dialog.
    pub(super) fn invite(
        self,
        turn: Turned<'_, '_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Self {
        match self {
            Self::Ringing(state) => state.invite(turn, server, request),
            Self::Unacknowledged(state) => state.invite(turn, server, request),
            Self::Answered(state) => state.invite(turn, server, request),
            Self::Confirmed(state) => state.invite(turn, server, request),
            // RFC 5407 §3.3: a call that is over does not rise again.
            Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => {
                turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
                self
            }
        }
    }

    /// A BYE, answered already.
    pub(super) fn bye(self, turn: Turned<'_, '_>, message: &Message<'_>) -> Self {
        match self {
            Self::Ringing(state) => state.bye(turn, message),
            Self::Unacknowledged(state) => state.bye(turn, message),
            Self::HangingUp(state) => state.bye(turn),
            Self::Calling(state) => state.bye(turn, message),
            Self::Answered(state) => state.bye(turn, message),
            Self::Confirmed(state) => state.bye(turn, message),
            // RFC 5407 §3.2: BYE crosses BYE; each is answered, each side waits for its own.
            Self::CancelHeld(_) | Self::Cancelling(_) | Self::Leaving(_) | Self::Over(_) => self,
        }
    }

    // Time.

    pub(super) fn repeat(self, turn: Turned<'_, '_>) -> Self {
        match self {
            Self::Ringing(state) => state.repeat(turn),
            Self::Unacknowledged(state) => state.repeat(turn),
            Self::HangingUp(state) => state.repeat(turn),
            Self::Confirmed(state) => state.repeat(turn),
            Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn ack_waits(self, turn: Turned<'_, '_>) -> Self {
        match self {
            Self::Answered(state) => state.ack_waits(turn),
            Self::Confirmed(state) => state.ack_waits(turn),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    pub(super) fn give_up(self, turn: Turned<'_, '_>) -> Self {
        match self {
            Self::Ringing(state) => state.give_up(turn),
            Self::Unacknowledged(state) => state.give_up(turn),
            Self::HangingUp(state) => state.give_up(turn),
            Self::Confirmed(state) => state.give_up(turn),
            Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }
}
