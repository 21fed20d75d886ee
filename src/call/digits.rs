//! SendDTMF: digits to whom the agent hears, one INFO each, one after the other. The request is
//! answered when the far end has taken them all, or has not taken one.

use std::time::Instant;

use bytes::Bytes;

use crate::agent::PartyState;
use crate::config::Dtmf;
use crate::cti::{ConnId, ErrorCode, Event, EventName};
use crate::dialog::Body;
use crate::limits::{DTMF_DEADLINE, DTMF_DIGITS_MAX, DTMF_REQUESTS_MAX};
use crate::sip::Status;

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::participant::News;
use super::request::Position;
use super::task::Asked;

/// The digits that are on their way. Few calls have any.
#[derive(Debug, Default)]
pub(super) struct Underway(Option<Box<Requests>>);

/// In the order in which they came.
#[derive(Debug, Default)]
struct Requests(Vec<Digits>);

impl Underway {
    fn to(&self, leg: LegSlot) -> impl Iterator<Item = &Digits> {
        let all = self.0.iter().flat_map(|requests| &requests.0);
        all.filter(move |digits| digits.to == leg)
    }

    fn all(&mut self) -> &mut Vec<Digits> {
        &mut self.0.get_or_insert_default().0
    }

    /// Takes out those that go to a leg: who has asked, and what has become of their digits.
    fn take(&mut self, leg: LegSlot) -> Vec<(Asking, String)> {
        let Some(requests) = &mut self.0 else {
            return Vec::new();
        };
        let taken = requests.0.extract_if(.., |digits| digits.to == leg);
        let firsts = std::iter::once(First::Unknown).chain(std::iter::repeat(First::NotSent));
        let ended = taken.zip(firsts).filter_map(|(mut digits, first)| {
            let rest = digits.rest(first);
            Some((digits.asking.take()?, rest))
        });
        ended.collect()
    }

    /// Takes out those whose time is over. A digit that is under way stays, so that its answer is
    /// taken for that of no other one.
    fn take_overdue(&mut self, now: Instant) -> Vec<(Asking, String)> {
        let (mut legs, mut overdue) = (Vec::new(), Vec::new());
        self.all().retain_mut(|digits| {
            let first = if legs.contains(&digits.to) {
                First::NotSent
            } else {
                legs.push(digits.to);
                First::Unknown
            };
            let is_over = digits.until <= now;
            if let Some(asking) = digits.asking.take_if(|_| is_over) {
                overdue.push((asking, digits.rest(first)));
            }
            first == First::Unknown || !is_over
        });
        overdue
    }

    /// When the time of one of them is over.
    pub(super) fn next(&self) -> Option<Instant> {
        let all = self.0.iter().flat_map(|requests| &requests.0);
        let waiting = all.filter(|digits| digits.asking.is_some());
        waiting.map(|digits| digits.until).min()
    }
}

/// The digits of one request. The first one to a leg has a digit under way.
#[derive(Debug)]
struct Digits {
    /// Whom its end is told; `None` where that is done, and a digit is under way all the same.
    asking: Option<Asking>,
    /// What has not started by then does not.
    until: Instant,
    to: LegSlot,
    dtmf: Dtmf,
    /// Those that the far end has not taken, the one under way first.
    left: String,
}

/// Who has asked for them.
#[derive(Debug)]
struct Asking {
    asked: Asked,
    conn_id: ConnId,
}

/// What is known of the first digit that the far end has not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// It was refused, or did not start.
    NotSent,
    /// It is under way, or nothing says what has become of it.
    Unknown,
}

impl Digits {
    /// What has become of the digits, as far as anybody can tell.
    fn rest(&self, first: First) -> String {
        match (first, self.left.split_at_checked(1)) {
            (First::Unknown, Some((digit, ""))) => format!("perhaps sent: {digit}"),
            (First::Unknown, Some((digit, rest))) => {
                format!("perhaps sent: {digit}; not sent: {rest}")
            }
            (First::NotSent, _) | (First::Unknown, None) => format!("not sent: {}", self.left),
        }
    }
}

impl Conversation {
    pub(super) fn send_dtmf(
        &mut self,
        turn: &mut Turn<'_>,
        (which, position): (Which, Position),
        asked: Asked,
        digits: String,
    ) {
        let leg = match position {
            Position::Talking(leg) => leg,
            Position::Dialing(_)
            | Position::Ringing
            | Position::Holding(_)
            | Position::OnItsWay => {
                return self.wrong_state(turn, &asked, "the agent hears nobody");
            }
        };
        let dtmf = self.facts.config.phone(asked.dn).dtmf;
        if dtmf == Dtmf::None {
            let message = "the trunk has no `dtmf`";
            return self.refuse(turn, &asked, ErrorCode::UnsupportedOperation, message);
        }
        let legal = |byte: u8| byte.is_ascii_digit() || b"*#ABCDabcd".contains(&byte);
        let count = 1..=DTMF_DIGITS_MAX;
        if !count.contains(&digits.len()) || !digits.bytes().all(legal) {
            let message = format!("write 1 to {DTMF_DIGITS_MAX} of 0 to 9, *, # and A to D");
            return self.refuse(turn, &asked, ErrorCode::InvalidAttribute, &message);
        }
        let conn_id = self.call(which).map(|call| call.conn_id);
        let (Some(to), Some(conn_id)) = (self.legs.partner(leg), conn_id) else {
            return self.wrong_state(turn, &asked, "the agent hears nobody");
        };
        let before = self.digits.to(to).count();
        if before == DTMF_REQUESTS_MAX {
            let message = "digits of earlier requests are still being sent; try again";
            return self.refuse(turn, &asked, ErrorCode::TooBusy, message);
        }
        self.digits.all().push(Digits {
            asking: Some(Asking { asked, conn_id }),
            until: turn.now + DTMF_DEADLINE,
            to,
            dtmf,
            left: digits,
        });
        if before == 0 {
            self.next_digit(turn, to);
        }
    }

    fn next_digit(&self, turn: &mut Turn<'_>, to: LegSlot) {
        let next = self.digits.to(to).next();
        if let Some((digits, digit)) = next.and_then(|it| Some((it, it.left.chars().next()?))) {
            let body = body_of(digits.dtmf, digit);
            let reports = true;
            let info = LegCommand::Info { body, reports };
            turn.commands.push(Command::Leg(to, info));
        }
    }

    /// The far end of a leg has answered the digit under way.
    pub(super) fn digit_answered(&mut self, turn: &mut Turn<'_>, leg: LegSlot, status: Status) {
        let all = self.digits.all();
        let Some(place) = all.iter().position(|digits| digits.to == leg) else {
            return;
        };
        let digits = &mut all[place];
        if digits.asking.is_some() && status.is_success() && digits.left.len() > 1 {
            digits.left.remove(0);
            return self.next_digit(turn, leg);
        }
        let mut digits = all.remove(place);
        if let Some(asking) = digits.asking.take() {
            if status.is_success() {
                self.digits_sent(turn, &asking);
            } else {
                // Those that stand for no answer (RFC 3261 §8.1.3.1).
                let none = [Status::REQUEST_TIMEOUT, Status::SERVICE_UNAVAILABLE];
                let first = if none.contains(&status) {
                    First::Unknown
                } else {
                    First::NotSent
                };
                let rest = digits.rest(first);
                let message = format!("the far end has answered {status}; {rest}");
                self.refuse(turn, &asking.asked, ErrorCode::Rejected, &message);
            }
        }
        self.next_digit(turn, leg);
    }

    /// The time of some digits is over: whoever has asked hears `Timeout` soon, and may ask again.
    pub(super) fn digits_due(&mut self, turn: &mut Turn<'_>) {
        for (Asking { asked, .. }, rest) in self.digits.take_overdue(turn.now) {
            let message = format!("the far end has not taken them in time; {rest}");
            self.refuse(turn, &asked, ErrorCode::Timeout, &message);
        }
    }

    fn digits_sent(&self, turn: &mut Turn<'_>, asking: &Asking) {
        let Asking { asked, conn_id } = asking;
        let which = self.which(*conn_id);
        let there = which.and_then(|which| Some((which, self.call(which)?.agent(asked.dn)?)));
        if let Some((which, who)) = there {
            let news = News::from(asked.origin());
            return self.report(turn, which, who, PartyState::DtmfSent, news);
        }
        // The agent has left, and all the same somebody waits for an answer.
        let number = self.facts.config.agent_at(asked.dn).dn.to_string();
        let mut event = Event::new(turn.now, EventName::ACK, &number);
        event.requested_by = Some(asked.requested_by);
        turn.commands.push(Command::Event(Box::new(event)));
    }

    /// A leg is gone, with the digits that were on their way there.
    pub(super) fn digits_lost(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        for (Asking { asked, .. }, rest) in self.digits.take(leg) {
            let message = format!("the far end has left; {rest}");
            self.wrong_state(turn, &asked, &message);
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
