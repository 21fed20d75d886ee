//! AnswerCall: the phone is picked up by its desktop, where it lets it.

use crate::config::Answering;
use crate::cti::ErrorCode;

use super::command::{Command, LegCommand};
use super::conversation::{Conversation, Turn, Which};
use super::participant::Who;
use super::quest::{Quest, Stage};
use super::request::Position;
use super::task::Asked;

impl Conversation {
    /// AnswerCall: the phone is told to, or called again and asked to answer by itself.
    pub(super) fn answer(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        position: Position,
        asked: &Asked,
    ) {
        match position {
            Position::Ringing => {}
            Position::Dialing(_)
            | Position::Talking(_)
            | Position::Holding(_)
            | Position::OnItsWay => {
                return self.wrong_state(turn, asked, "the phone does not ring");
            }
        }
        if self.is_picked_up(which) {
            return self.wrong_state(turn, asked, "the phone is being picked up");
        }
        match self.facts.config.phone(asked.dn).answer {
            Answering::None => {
                let message = "the phone cannot be picked up from here: its trunk has no `answer`";
                self.refuse(turn, asked, ErrorCode::UnsupportedOperation, message);
            }
            Answering::Talk => {
                let Some(Stage::Ringing(ringing)) = self.stage_mut(which) else {
                    return;
                };
                ringing.picked_up_for = Some(asked.clone());
                let leg = ringing.called.leg;
                turn.commands.push(Command::Leg(leg, LegCommand::Talk));
            }
            Answering::CallInfo | Answering::AlertInfo => self.call_again(turn, which, asked),
        }
    }

    /// Whether a desktop has asked for it already.
    fn is_picked_up(&mut self, which: Which) -> bool {
        match self.stage_mut(which) {
            Some(Stage::Ringing(ringing)) => ringing.picked_up_for.is_some(),
            Some(Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_)) | None => false,
        }
    }

    fn stage_mut(&mut self, which: Which) -> Option<&mut Stage> {
        let call = self.call_mut(which)?;
        call.quest.as_mut().map(|quest| &mut quest.stage)
    }

    /// The phone is called again, and asked to answer by itself; for clients it still rings.
    fn call_again(&mut self, turn: &mut Turn<'_>, which: Which, asked: &Asked) {
        let quest = self.call_mut(which).and_then(|call| call.quest.take());
        let Some(Quest {
            stage: Stage::Ringing(ringing),
            entry,
            why,
        }) = quest
        else {
            return;
        };
        let earlier = ringing.called.leg;
        self.lose(turn, earlier);
        let who = Who::Agent(asked.dn);
        self.dial_again(turn, which, who, (entry, why), Some(earlier));
        if let Some(Stage::Ringing(again)) = self.stage_mut(which) {
            again.rings = true;
            again.elsewhere = ringing.elsewhere;
            again.picked_up_for = Some(asked.clone());
        }
    }
}
