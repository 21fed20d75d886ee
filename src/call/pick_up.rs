//! AnswerCall and SendDTMF: what a desktop does with its phone's keys, where the phone lets it.

use bytes::Bytes;

use crate::agent::PartyState;
use crate::config::{Answering, Dtmf};
use crate::cti::ErrorCode;
use crate::dialog::Body;
use crate::limits::DTMF_DIGITS_MAX;

use super::command::{Command, LegCommand};
use super::conversation::{Conversation, Turn, Which};
use super::facts::cause;
use super::participant::{News, Who};
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
        self.hang_up(turn, ringing.called.leg, cause::NORMAL);
        let who = Who::Agent(asked.dn);
        self.dial_asking(turn, which, who, (entry, why), true);
        if let Some(Stage::Ringing(again)) = self.stage_mut(which) {
            again.rings = true;
            again.elsewhere = ringing.elsewhere;
            again.picked_up_for = Some(asked.clone());
        }
    }

    /// SendDTMF: digits to whom the agent hears, one INFO each.
    pub(super) fn send_dtmf(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: &Asked,
        digits: &str,
    ) {
        let leg = match position {
            Position::Talking(leg) => leg,
            Position::Dialing(_)
            | Position::Ringing
            | Position::Holding(_)
            | Position::OnItsWay => {
                return self.wrong_state(turn, asked, "the agent hears nobody");
            }
        };
        let dtmf = self.facts.config.phone(asked.dn).dtmf;
        if dtmf == Dtmf::None {
            let message = "the trunk has no `dtmf`";
            return self.refuse(turn, asked, ErrorCode::UnsupportedOperation, message);
        }
        let legal = |byte: u8| byte.is_ascii_digit() || b"*#ABCDabcd".contains(&byte);
        let count = 1..=DTMF_DIGITS_MAX;
        if !count.contains(&digits.len()) || !digits.bytes().all(legal) {
            let message = format!("write 1 to {DTMF_DIGITS_MAX} of 0 to 9, *, # and A to D");
            return self.refuse(turn, asked, ErrorCode::InvalidAttribute, &message);
        }
        let Some(partner) = self.legs.partner(leg) else {
            return self.wrong_state(turn, asked, "the agent hears nobody");
        };
        for digit in digits.bytes() {
            let info = LegCommand::Info(body_of(dtmf, char::from(digit)));
            turn.commands.push(Command::Leg(partner, info));
        }
        let who = self
            .call(which)
            .and_then(|call| call.with_leg(leg))
            .cloned();
        if let Some(who) = who {
            let news = News::from(asked.origin());
            self.report(turn, which, &who, PartyState::DtmfSent, news);
        }
    }
}

fn body_of(dtmf: Dtmf, digit: char) -> Body {
    let digit = digit.to_ascii_uppercase();
    match dtmf {
        Dtmf::Relay | Dtmf::None => Body {
            content_type: Bytes::from_static(b"application/dtmf-relay"),
            bytes: Bytes::from(format!("Signal={digit}\r\nDuration=160\r\n")),
        },
        Dtmf::Plain => Body {
            content_type: Bytes::from_static(b"application/dtmf"),
            bytes: Bytes::from(digit.to_string()),
        },
    }
}
