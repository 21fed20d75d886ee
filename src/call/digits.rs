//! SendDTMF: digits to whom the agent hears, one INFO each, one after the other. The request is
//! answered when the far end has taken them all, or has not taken one. Where the agent hears a
//! party of another conversation, each comes here over a tie, and its answer goes back over it.

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

    /// Ends those that go to a leg.
    fn end(&mut self, leg: LegSlot) -> Vec<Ended> {
        let Some(requests) = &mut self.0 else {
            return Vec::new();
        };
        let taken = requests.0.extract_if(.., |digits| digits.to == leg);
        let firsts = std::iter::once(First::Unknown).chain(std::iter::repeat(First::NotSent));
        let ended = taken.zip(firsts);
        ended
            .filter_map(|(mut digits, first)| digits.end(first))
            .collect()
    }

    /// Ends those whose time is over. A digit that is under way stays, so that its answer is taken
    /// for that of no other one.
    fn end_overdue(&mut self, now: Instant) -> Vec<Ended> {
        let (mut legs, mut overdue) = (Vec::new(), Vec::new());
        self.all().retain_mut(|digits| {
            let first = if legs.contains(&digits.to) {
                First::NotSent
            } else {
                legs.push(digits.to);
                First::Unknown
            };
            let is_over = digits.until <= now;
            if is_over {
                overdue.extend(digits.end(first));
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

/// The digits of one request, or one that a tie has brought. The first to a leg has a digit under
/// way.
#[derive(Debug)]
struct Digits {
    /// Whom its end is told; `None` where that is done, and a digit is under way all the same.
    asking: Option<Asking>,
    /// What has not started by then does not.
    until: Instant,
    to: LegSlot,
    left: Left,
}

/// Who has asked for them.
#[derive(Debug)]
enum Asking {
    /// A desktop, in this call.
    Desktop(Asked, ConnId),
    /// A conversation, by a tie.
    Tie(LegSlot),
}

/// What the far end has not taken.
#[derive(Debug)]
enum Left {
    /// Digits, the one under way first.
    Digits(Dtmf, String),
    /// What another conversation has made of one.
    Info(Body),
}

/// Digits that have come to an end before the far end had them all.
#[derive(Debug)]
struct Ended {
    asking: Asking,
    first: First,
    /// What has become of them, as far as anybody can tell.
    rest: String,
}

/// What is known of the first digit that the far end has not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// It was refused, or did not start.
    NotSent,
    /// It is under way, or nothing says what has become of it.
    Unknown,
}

impl First {
    fn of(status: Status) -> Self {
        // Those that stand for no answer (RFC 3261 §8.1.3.1).
        let none = [Status::REQUEST_TIMEOUT, Status::SERVICE_UNAVAILABLE];
        if none.contains(&status) {
            Self::Unknown
        } else {
            Self::NotSent
        }
    }

    /// As a status from which another conversation knows it again.
    fn status(self) -> Status {
        match self {
            Self::NotSent => Status::TEMPORARILY_UNAVAILABLE,
            Self::Unknown => Status::REQUEST_TIMEOUT,
        }
    }
}

impl Left {
    /// The body of the next INFO.
    fn body(&self) -> Option<Body> {
        match self {
            Self::Digits(dtmf, digits) => Some(body_of(*dtmf, digits.chars().next()?)),
            Self::Info(body) => Some(body.clone()),
        }
    }

    /// The far end has taken one; whether there are others.
    fn take_one(&mut self) -> bool {
        match self {
            Self::Digits(_, digits) => {
                digits.remove(0);
                !digits.is_empty()
            }
            Self::Info(_) => false,
        }
    }

    fn rest(&self, first: First) -> String {
        let digits = match self {
            Self::Digits(_, digits) => digits.as_str(),
            // The one who hears of it has it still.
            Self::Info(_) => "",
        };
        match (first, digits.split_at_checked(1)) {
            (First::Unknown, Some((digit, ""))) => format!("perhaps sent: {digit}"),
            (First::Unknown, Some((digit, rest))) => {
                format!("perhaps sent: {digit}; not sent: {rest}")
            }
            (First::NotSent, _) | (First::Unknown, None) => format!("not sent: {digits}"),
        }
    }
}

impl Digits {
    /// Ends them, unless that is done.
    fn end(&mut self, first: First) -> Option<Ended> {
        let asking = self.asking.take()?;
        let rest = self.left.rest(first);
        Some(Ended {
            asking,
            first,
            rest,
        })
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
        if self.digits.to(to).count() == DTMF_REQUESTS_MAX {
            let message = "digits of earlier requests are still being sent; try again";
            return self.refuse(turn, &asked, ErrorCode::TooBusy, message);
        }
        let left = Left::Digits(dtmf, digits);
        self.line_up(turn, Asking::Desktop(asked, conn_id), to, left);
    }

    /// A tie brings a digit; its other end sends no further one before it hears of this one.
    pub(super) fn digit_of_tie(&mut self, turn: &mut Turn<'_>, tie: LegSlot, body: Body) {
        let to = self.legs.partner(tie);
        let has_room = |to: &LegSlot| self.digits.to(*to).count() < DTMF_REQUESTS_MAX;
        if let Some(to) = to.filter(has_room) {
            self.line_up(turn, Asking::Tie(tie), to, Left::Info(body));
        } else {
            let not_sent = LegCommand::InfoAnswered(First::NotSent.status());
            turn.commands.push(Command::Leg(tie, not_sent));
        }
    }

    fn line_up(&mut self, turn: &mut Turn<'_>, asking: Asking, to: LegSlot, left: Left) {
        let is_first = self.digits.to(to).next().is_none();
        self.digits.all().push(Digits {
            asking: Some(asking),
            until: turn.now + DTMF_DEADLINE,
            to,
            left,
        });
        if is_first {
            self.next_digit(turn, to);
        }
    }

    fn next_digit(&self, turn: &mut Turn<'_>, to: LegSlot) {
        let next = self.digits.to(to).next();
        if let Some(body) = next.and_then(|digits| digits.left.body()) {
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
        let (is_taken, is_told) = (status.is_success(), digits.asking.is_none());
        if is_taken && !is_told && digits.left.take_one() {
            return self.next_digit(turn, leg);
        }
        let mut digits = all.remove(place);
        if is_taken {
            if let Some(asking) = digits.asking {
                self.digits_sent(turn, asking);
            }
        } else if let Some(ended) = digits.end(First::of(status)) {
            let reason = format!("the far end has answered {status}");
            self.digits_ended(turn, ended, ErrorCode::Rejected, &reason);
        }
        self.next_digit(turn, leg);
    }

    /// The time of some digits is over: whoever has asked hears `Timeout` soon, and may ask again.
    pub(super) fn digits_due(&mut self, turn: &mut Turn<'_>) {
        for ended in self.digits.end_overdue(turn.now) {
            let reason = "the far end has not taken them in time";
            self.digits_ended(turn, ended, ErrorCode::Timeout, reason);
        }
    }

    fn digits_ended(&self, turn: &mut Turn<'_>, ended: Ended, code: ErrorCode, reason: &str) {
        match ended.asking {
            Asking::Desktop(asked, _) => {
                let message = format!("{reason}; {}", ended.rest);
                self.refuse(turn, &asked, code, &message);
            }
            Asking::Tie(tie) => {
                let answered = LegCommand::InfoAnswered(ended.first.status());
                turn.commands.push(Command::Leg(tie, answered));
            }
        }
    }

    fn digits_sent(&self, turn: &mut Turn<'_>, asking: Asking) {
        let (asked, conn_id) = match asking {
            Asking::Desktop(asked, conn_id) => (asked, conn_id),
            Asking::Tie(tie) => {
                let taken = LegCommand::InfoAnswered(Status::OK);
                return turn.commands.push(Command::Leg(tie, taken));
            }
        };
        let which = self.which(conn_id);
        let there = which.and_then(|which| Some((which, self.call(which)?.agent(asked.dn)?)));
        if let Some((which, who)) = there {
            let news = News::from(asked.origin());
            return self.report(turn, which, who, PartyState::DtmfSent, news);
        }
        // The agent has left, and all the same somebody waits for an answer.
        let number = &*self.facts.config.agent_at(asked.dn).dn;
        let mut event = Event::new(turn.now, EventName::ACK, number);
        event.requested_by = Some(asked.requested_by);
        turn.commands.push(Command::Event(Box::new(event)));
    }

    /// A leg is gone, with the digits that were on their way there.
    pub(super) fn digits_lost(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        for ended in self.digits.end(leg) {
            let reason = "the far end has left";
            self.digits_ended(turn, ended, ErrorCode::WrongState, reason);
        }
    }
}

fn body_of(dtmf: Dtmf, digit: char) -> Body {
    let digit = digit.to_ascii_uppercase();
    match dtmf {
        Dtmf::Relay | Dtmf::None => Body {
            content_type: Bytes::from_static(b"application/dtmf-relay"),
            bytes: format!("Signal={digit}\r\nDuration=160\r\n")
                .into_bytes()
                .into(),
        },
        Dtmf::Plain => Body {
            content_type: Bytes::from_static(b"application/dtmf"),
            bytes: digit.to_string().into_bytes().into(),
        },
    }
}
