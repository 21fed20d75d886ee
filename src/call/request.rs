//! What a desktop may ask of a call. Every request gets exactly one answer: the event that names
//! its success at the party's DN, which carries `requested_by`, or an error. Here is where a party
//! stands and whether what it asks is possible there; how it is done is in the sibling files.

use crate::agent::{self, EndCause};
use crate::config::{Config, DnIndex};
use crate::cti::{CallAction, CallRequest, ConnId, ErrorCode, RequestedBy};

use super::command::{Command, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::departure::Leave;
use super::facts::{cause, refuse_request};
use super::participant::Standing;
use super::quest::{Quest, Stage};
use super::task::{Asked, Task};
use super::why::Why;

/// The DN in whose name a request is made.
#[must_use]
pub fn requesting_dn(config: &Config, request: &CallRequest) -> String {
    match request {
        CallRequest::Party { this_dn, .. } => config.agent_at(*this_dn).dn.to_string(),
        CallRequest::UserData { this_dn, .. } => this_dn.clone(),
    }
}

/// The DN whose phone must be free for a request: one that brings a call in hand which may be on
/// hold, beside calls of other conversations that this one does not know.
#[must_use]
pub fn takes_in_hand(request: &CallRequest) -> Option<DnIndex> {
    let CallRequest::Party {
        this_dn, action, ..
    } = request
    else {
        return None;
    };
    match action {
        CallAction::Retrieve | CallAction::Consult { .. } | CallAction::MuteTransfer { .. } => {
            Some(*this_dn)
        }
        // These need a call that is in hand, or bring none.
        CallAction::Alternate { .. }
        | CallAction::Reconnect { .. }
        | CallAction::Answer
        | CallAction::Release
        | CallAction::Clear
        | CallAction::Hold
        | CallAction::CompleteTransfer { .. }
        | CallAction::CompleteConference { .. }
        | CallAction::SingleStepTransfer { .. }
        | CallAction::SingleStepConference { .. }
        | CallAction::Redirect { .. }
        | CallAction::DeleteParty { .. }
        | CallAction::SendDtmf { .. } => None,
    }
}

/// How an agent stands in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Its phone rings for it.
    Ringing,
    /// It has called somebody who has not answered.
    Dialing(LegSlot),
    /// It talks.
    Talking(LegSlot),
    /// It has put the call on hold.
    Holding(LegSlot),
    /// It is on its way to the agent: no client knows of it.
    OnItsWay,
}

impl Conversation {
    /// How an agent stands in one of the calls; `None` if it has no part in it.
    pub(super) fn position(&self, which: Which, dn: DnIndex) -> Option<Position> {
        let call = self.call(which)?;
        if let Some(who) = call.agent(dn) {
            let is_alone = call.participants.len() == 1;
            return Some(match who.standing {
                Standing::Talking if is_alone => Position::Dialing(who.leg),
                Standing::Talking => Position::Talking(who.leg),
                Standing::Holding => Position::Holding(who.leg),
            });
        }
        let quest = call.quest.as_ref()?;
        let is_asked = matches!(quest.stage, Stage::Reserving(asked) if asked == dn);
        if quest.dn() == Some(dn) && quest.rings() {
            Some(Position::Ringing)
        } else if is_asked && quest.entry.is_none() {
            Some(Position::OnItsWay)
        } else {
            None
        }
    }

    pub(super) fn request(
        &mut self,
        turn: &mut Turn<'_>,
        conn_id: ConnId,
        requested_by: RequestedBy,
        request: CallRequest,
    ) {
        let Some(which) = self.which(conn_id) else {
            let this_dn = requesting_dn(&self.facts.config, &request);
            let message = format!("there is no call {conn_id}");
            let code = ErrorCode::InvalidConnID;
            if let Some(dn) = takes_in_hand(&request) {
                let not_taken = agent::Input::NotTaken { requested_by };
                turn.commands.push(Command::Agent(dn, not_taken));
            }
            return refuse_request(
                turn.now,
                turn.commands,
                requested_by,
                &this_dn,
                code,
                &message,
            );
        };
        match request {
            CallRequest::UserData { this_dn, change } => {
                self.attach(turn, which, (requested_by, &this_dn), change);
            }
            CallRequest::Party {
                this_dn,
                action,
                reasons,
            } => {
                let asked = Asked {
                    requested_by,
                    dn: this_dn,
                    reasons,
                };
                self.act(turn, which, asked, action);
            }
        }
    }

    /// A party acts, if it is one and nothing is in its way.
    fn act(&mut self, turn: &mut Turn<'_>, which: Which, asked: Asked, action: CallAction) {
        let number = self.facts.number_of(asked.dn);
        let position = match self.position(which, asked.dn) {
            Some(Position::OnItsWay) => {
                let message = "the call is on its way to the agent; try again when it rings";
                return self.wrong_state(turn, &asked, message);
            }
            Some(position) => position,
            None => {
                let message = format!("{number} is no party of this call");
                return self.refuse(turn, &asked, ErrorCode::InvalidConnID, &message);
            }
        };
        let ends = matches!(action, CallAction::Release | CallAction::Clear);
        let is_changed = self.task.as_ref().is_some_and(Task::is_change);
        if is_changed && !ends {
            let message = "the call is being changed; try again";
            return self.wrong_state(turn, &asked, message);
        }
        self.carry_out(turn, (which, position), asked, action);
    }

    fn carry_out(
        &mut self,
        turn: &mut Turn<'_>,
        place: (Which, Position),
        asked: Asked,
        action: CallAction,
    ) {
        let (which, position) = place;
        match action {
            CallAction::Answer => self.answer(turn, which, position, &asked),
            CallAction::Release => self.release(turn, which, position, &asked),
            CallAction::Clear => self.clear_for(turn, which, position, &asked),
            CallAction::Hold => self.hold(turn, which, position, asked),
            CallAction::Retrieve => self.retrieve(turn, which, position, asked),
            CallAction::Alternate { held } => self.alternate(turn, (which, held), position, asked),
            CallAction::Reconnect { held } => self.reconnect(turn, (which, held), position, asked),
            CallAction::Consult {
                kind: _,
                destination,
                user_data,
            } => self.consult(turn, place, asked, destination, (user_data, false)),
            CallAction::MuteTransfer {
                destination,
                user_data,
            } => self.consult(turn, place, asked, destination, (user_data, true)),
            CallAction::CompleteTransfer { consult } => {
                self.complete_transfer(turn, (which, consult), asked);
            }
            CallAction::CompleteConference { consult } => {
                self.complete_conference(turn, (which, consult), asked);
            }
            CallAction::SingleStepTransfer {
                destination,
                user_data,
            } => self.single_step(turn, place, &asked, &destination, user_data),
            CallAction::SingleStepConference {
                destination,
                user_data,
            } => self.add_party(turn, place, asked, &destination, user_data),
            CallAction::Redirect { destination } => {
                self.redirect(turn, place, &asked, &destination);
            }
            CallAction::DeleteParty { other_dn } => {
                self.delete_party(turn, place, &asked, &other_dn);
            }
            CallAction::SendDtmf { digits } => self.send_dtmf(turn, place, asked, digits),
        }
    }

    pub(super) fn wrong_state(&self, turn: &mut Turn<'_>, asked: &Asked, message: &str) {
        self.refuse(turn, asked, ErrorCode::WrongState, message);
    }

    /// Who asked for the phone to be picked up hears that it was not.
    pub(super) fn not_picked_up(
        &self,
        turn: &mut Turn<'_>,
        stage: &Stage,
        (code, message): (ErrorCode, &str),
    ) {
        match stage {
            Stage::Ringing(ringing) => {
                if let Some(asked) = &ringing.picked_up_for {
                    self.refuse(turn, asked, code, message);
                }
            }
            Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_) => {}
        }
    }

    /// Who asked for what begins when somebody is found hears that nobody was.
    pub(super) fn not_found(
        &self,
        turn: &mut Turn<'_>,
        why: &Why,
        (code, message): (ErrorCode, &str),
    ) {
        match why {
            Why::Muted(asked) | Why::Added(asked, _) => self.refuse(turn, asked, code, message),
            Why::Called | Why::Transferred(_) => {}
        }
    }

    /// The party leaves.
    fn release(&mut self, turn: &mut Turn<'_>, which: Which, position: Position, asked: &Asked) {
        match position {
            Position::Ringing => {
                let called = self.call(which).and_then(|call| call.quest.as_ref());
                if let Some(leg) = called.and_then(Quest::called).map(|called| called.leg) {
                    self.hang_up(turn, leg, cause::NORMAL);
                    self.call_failed(turn, which, EndCause::AgentReleased, asked.origin());
                }
            }
            Position::Dialing(leg) | Position::Talking(leg) | Position::Holding(leg) => {
                self.drop_task(turn);
                if matches!(position, Position::Dialing(_)) {
                    self.undo_exchange_in(turn, which, leg);
                    let end = (EndCause::CallerAbandoned, cause::NORMAL.into());
                    self.end_search(turn, which, end);
                }
                self.leave(turn, which, leg, &Leave::by_itself(asked.origin()));
            }
            Position::OnItsWay => {}
        }
    }

    /// The call ends for all.
    fn clear_for(&mut self, turn: &mut Turn<'_>, which: Which, position: Position, asked: &Asked) {
        match position {
            Position::Dialing(leg) | Position::Talking(leg) | Position::Holding(leg) => {
                self.drop_task(turn);
                self.undo_exchange_in(turn, which, leg);
                let first = (leg, asked.origin());
                self.clear(
                    turn,
                    which,
                    Some(&first),
                    (EndCause::Cleared, cause::NORMAL),
                );
            }
            Position::Ringing | Position::OnItsWay => {
                self.wrong_state(turn, asked, "the call is not answered");
            }
        }
    }
}
