//! InitiateTransfer, InitiateConference, MuteTransfer: the agent holds its call and calls somebody
//! else in a call of its own beside it.

use crate::agent::PartyState;
use crate::cti::{CallType, DnRole, ErrorCode, KeyValueList};
use crate::dialog::LegEvent;

use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::facts::Origin;
use super::participant::{Call, News, Participant, Standing, Who};
use super::quest::{Quest, Stage};
use super::request::Position;
use super::task::{Asked, Consultation, Then};
use super::why::Why;
use super::{Destination, participant};

impl Conversation {
    /// Where a desktop's request sends a call, or why it cannot.
    pub(super) fn destination_for(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        number: &str,
    ) -> Option<Destination> {
        let destination = self.destination(number);
        match destination {
            Some(Destination::Direct { dn }) if self.is_here(dn) => {
                let message = format!("{number} is in this call already");
                self.refuse(turn, asked, ErrorCode::InvalidCalledDN, &message);
                None
            }
            Some(destination) => Some(destination),
            None => {
                let message = format!(
                    "{number} is no agent and no routing point, and no trunk with `outbound` \
                     leads there"
                );
                self.refuse(turn, asked, ErrorCode::InvalidCalledDN, &message);
                None
            }
        }
    }

    pub(super) fn consult(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: Asked,
        number: String,
        (user_data, is_muted): (KeyValueList, bool),
    ) {
        if which == Which::Consult || self.consult.is_some() || self.main.is_conference() {
            let message = "the agent consults already, or is in a conference";
            return self.wrong_state(turn, &asked, message);
        }
        if self.main.quest.is_some() {
            let message = "the call is not answered, or somebody is being called into it";
            return self.wrong_state(turn, &asked, message);
        }
        let held = match position {
            Position::Talking(leg) => self.hold_steps(which, leg),
            Position::Holding(_) => Vec::new(),
            Position::Ringing | Position::Dialing(_) | Position::OnItsWay => {
                return self.wrong_state(turn, &asked, "the call is not answered");
            }
        };
        let Some(destination) = self.destination_for(turn, &asked, &number) else {
            return;
        };
        let consultation = Consultation {
            destination,
            number,
            user_data,
            is_muted,
        };
        self.start(
            turn,
            Some(asked),
            held,
            Then::Consult(Box::new(consultation)),
        );
    }

    /// The main call is on hold: the consultation begins.
    pub(super) fn begin_consultation(
        &mut self,
        turn: &mut Turn<'_>,
        asked: Asked,
        consultation: Consultation,
    ) {
        let Consultation {
            destination,
            number,
            user_data,
            is_muted,
        } = consultation;
        let Some(agent) = self.main.agent(asked.dn).cloned() else {
            return;
        };
        if agent.standing == Standing::Talking {
            self.stands(
                turn,
                Which::Main,
                asked.dn,
                Standing::Holding,
                News::default(),
            );
        }
        let own = agent.number(&self.facts);
        let info = turn.mint.call(
            CallType::Consult,
            own,
            Some(number.as_str().into()),
            user_data,
        );
        // A muted transfer into a queue is complete at once: the phone needs no further dialog.
        let is_short = is_muted && matches!(destination, Destination::Queue { .. });
        let two_dialogs = self.facts.config.phone(asked.dn).dual_dialog && !is_short;
        let leg = if two_dialogs {
            self.legs.dialled(info.conn_id.0)
        } else {
            agent.leg
        };
        let first = Participant::new(Who::Agent(asked.dn), leg, DnRole::Origination);
        let beside = Some(self.main.conn_id);
        let call = Call::new((info, first.clone()), beside, turn.now);
        self.consult.set(call);
        self.facts.set_out();
        // A muted transfer is answered when the agent is let go.
        let origin = if is_muted {
            Origin::default()
        } else {
            asked.origin()
        };
        let news = News {
            origin,
            other: Some((number.as_str().into(), DnRole::Destination)),
            ..News::default()
        };
        self.report(turn, Which::Consult, &first, PartyState::Dialing, news);
        let why = if is_muted {
            Why::Muted(asked)
        } else {
            Why::Called
        };
        if two_dialogs {
            let call = (number, destination);
            return self.dial_phone(turn, Which::Consult, &first, call, why);
        }
        self.seek(turn, Which::Consult, destination, (None, why));
    }

    /// The phone of the one who calls says something before anybody is called.
    pub(super) fn phone_says(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        leg: LegSlot,
        event: &LegEvent,
    ) {
        match event {
            LegEvent::Answered { body: None } => {
                self.hang_up(turn, leg, super::facts::cause::FAILURE);
                self.phone_failed(turn, which, crate::agent::EndCause::Failed);
            }
            LegEvent::Answered { body: Some(_) } => {
                if !self.exchanges.is_busy(leg) {
                    self.phone_is_up(turn, which);
                }
            }
            LegEvent::Refused { status, .. } => {
                self.lose(turn, leg);
                self.phone_failed(turn, which, super::facts::cause_of(*status));
            }
            LegEvent::HungUp(_) => {
                self.lose(turn, leg);
                self.phone_failed(turn, which, crate::agent::EndCause::Unreachable);
            }
            LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. }
            | LegEvent::Identified(_)
            | LegEvent::Referred(_)
            | LegEvent::Progress { .. }
            | LegEvent::AcknowledgementDue
            | LegEvent::Acknowledged { .. }
            | LegEvent::Offered { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::Refreshed { .. }
            | LegEvent::OfferAcknowledged { .. } => {}
        }
    }

    /// The search that waits for the phone of the one who calls, if it does.
    pub(super) fn phone_quest(&mut self, which: Which) -> Option<(Destination, Why)> {
        let call = self.call_mut(which)?;
        let waits = |quest: &mut Quest| matches!(quest.stage, Stage::Phone(_));
        let quest = call.quest.take_if(waits)?;
        match quest.stage {
            Stage::Phone(destination) => Some((destination, quest.why)),
            Stage::Waiting | Stage::Reserving(_) | Stage::Ringing(_) => None,
        }
    }

    /// Who takes part in a call and has called: for tests of who may be asked.
    pub(super) fn caller_of(&self, which: Which) -> Option<&participant::Participant> {
        self.call(which)?.participants.first()
    }
}
