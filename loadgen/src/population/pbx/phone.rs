//! A phone of the PBX: what it is doing, what presence says about it, and the commands that a
//! test gives to it.

use std::sync::Arc;
use std::time::Instant;

use offhook::sip::Status;

use super::legs::LegId;
use super::subscriptions::SubscriptionId;
use super::{Behaviour, Due, Habits, Pbx};
use crate::population::random::Random;
use crate::population::session::{Change, Reception, Replaces};
use crate::population::truth::{Fact, Token};

/// What a NOTIFY says about a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// `open`, no activity.
    Idle,
    /// `open`, `alerting`: it rings. Said only when the PBX is told to.
    Alerting,
    /// `open`, `on-the-phone`.
    OnThePhone,
    /// `closed`: not registered.
    Closed,
    /// `closed`, `on-the-phone`: an extension without call waiting.
    ClosedOnThePhone,
    /// The subscription is over.
    Terminated,
}

/// What a phone is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Idle,
    /// It rings with a call of the server's.
    Ringing(Option<Token>),
    /// It dials a number of the server's.
    Dialling(Option<Token>),
    /// It talks in a call of the server's.
    Talking(Option<Token>),
    /// It is in a call that passes the server by.
    Private,
}

/// A phone as its PBX knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhoneView<'a> {
    /// The directory number.
    pub dn: &'a str,
    /// Whether it is registered.
    pub registered: bool,
    /// What it is doing.
    pub activity: Activity,
    /// The server's calls at it, whatever it is doing.
    pub calls: usize,
    /// Since when nothing about it has changed; `None` since the beginning.
    pub since: Option<Instant>,
    /// What presence says about it.
    pub presence: Presence,
    /// Its live subscriptions, over all nodes.
    pub subscriptions: usize,
    /// Whether a NOTIFY about it still waits for its answer.
    pub notifying: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Idle,
    Ringing(LegId),
    Dialling(LegId),
    Talking(LegId),
    Private,
}

#[derive(Debug)]
pub(super) struct Phone {
    pub(super) dn: String,
    pub(super) registered: bool,
    /// What the person at it attends to.
    pub(super) line: Line,
    /// All calls of the server's at it, oldest first.
    pub(super) legs: Vec<LegId>,
    pub(super) calls_max: usize,
    pub(super) reception: Reception,
    pub(super) call_waiting: bool,
    pub(super) since: Option<Instant>,
    /// What the last NOTIFY said, or would have said had anybody subscribed.
    pub(super) shown: Presence,
    pub(super) behaviour: Option<Behaviour>,
    /// Its own habits, if they are not those of the PBX.
    pub(super) habits: Option<Arc<Habits>>,
    /// Where its own chance comes from.
    pub(super) random: Random,
    pub(super) subscriptions: Vec<SubscriptionId>,
}

impl Phone {
    /// Whether one more call of the server's finds a place.
    pub(super) fn takes_another(&self) -> bool {
        self.line != Line::Private && self.legs.len() < self.calls_max
    }

    pub(super) fn presence(&self, alerting_is_shown: bool) -> Presence {
        if !self.registered {
            return Presence::Closed;
        }
        match self.line {
            Line::Ringing(_) if alerting_is_shown => Presence::Alerting,
            Line::Idle | Line::Ringing(_) => Presence::Idle,
            Line::Dialling(_) | Line::Talking(_) | Line::Private if self.call_waiting => {
                Presence::OnThePhone
            }
            Line::Dialling(_) | Line::Talking(_) | Line::Private => Presence::ClosedOnThePhone,
        }
    }
}

/// Commands to one phone at one moment.
#[derive(Debug)]
pub struct PhoneControl<'a> {
    pub(super) pbx: &'a mut Pbx,
    pub(super) now: Instant,
    pub(super) phone: usize,
}

impl PhoneControl<'_> {
    /// The phone appears at the PBX.
    pub fn register(self) {
        self.pbx.set_registered(self.now, self.phone, true);
    }

    /// The phone disappears. A call that it has goes on; one that rings there is refused.
    pub fn unregister(self) {
        self.pbx.set_registered(self.now, self.phone, false);
    }

    /// A call that passes the server by begins; `false` when the phone cannot take it.
    pub fn begin_private_call(self) -> bool {
        self.pbx.begin_private_call(self.now, self.phone)
    }

    /// It ends; `false` when there is none.
    pub fn end_private_call(self) -> bool {
        self.pbx.end_private_call(self.now, self.phone)
    }

    /// Answers what rings; `false` when nothing does.
    pub fn answer(self) -> bool {
        self.with_ringing(super::Pbx::answer)
    }

    /// Declines what rings with 603; `false` when nothing does.
    pub fn decline(self) -> bool {
        self.refuse(Status::DECLINE)
    }

    /// Refuses what rings; `false` when nothing does.
    pub fn refuse(self, status: Status) -> bool {
        self.with_ringing(|pbx, now, leg| pbx.refuse_leg(now, leg, status))
    }

    /// Hangs up the server's call, or gives up dialling; `false` when there is none.
    pub fn hang_up(self) -> bool {
        let (Line::Talking(leg) | Line::Dialling(leg)) = self.pbx.phones[self.phone].line else {
            return false;
        };
        self.pbx.hang_up(self.now, leg);
        true
    }

    /// Begins a re-INVITE or an UPDATE in the call that the phone talks in; `false` when it cannot
    /// be begun now.
    pub fn change(self, change: Change) -> bool {
        let Line::Talking(leg) = self.pbx.phones[self.phone].line else {
            return false;
        };
        self.pbx.change(self.now, leg, change)
    }

    /// How many calls of the server's the phone may have at once; one more is busy.
    pub fn set_calls_max(self, calls_max: usize) {
        self.pbx.phones[self.phone].calls_max = calls_max;
    }

    /// From now on the phone takes the server's offers this way, also in the calls that it has.
    pub fn set_reception(self, reception: Reception) {
        self.pbx.phones[self.phone].reception = reception;
        for leg in self.pbx.phones[self.phone].legs.clone() {
            if let Some((session, _)) = self.pbx.session(leg) {
                session.reception = reception;
            }
        }
    }

    /// Answers the server's offers that wait; `false` when none does.
    pub fn answer_offer(self) -> bool {
        let waits = |pbx: &mut Pbx, leg| {
            let session = pbx.session(leg);
            session.is_some_and(|(session, _)| session.has_pending())
        };
        let mut legs = self.pbx.phones[self.phone].legs.clone();
        legs.retain(|leg| waits(self.pbx, *leg));
        for leg in &legs {
            self.pbx.answer_offer(self.now, *leg);
        }
        !legs.is_empty()
    }

    /// Dials a number of the server's, which [`PbxOptions::server`](super::PbxOptions) names; a
    /// call that the phone talks in is put on hold. `None` when it cannot dial now.
    pub fn dial(self, number: &str) -> Option<Token> {
        self.pbx.dial(self.now, self.phone, number, None)
    }

    /// Dials the server to take the place of a dialog of its (RFC 3891). `None` when it cannot
    /// dial now.
    pub fn take_over(self, number: &str, replaces: &Replaces) -> Option<Token> {
        self.pbx.dial(self.now, self.phone, number, Some(replaces))
    }

    /// The dialog of the call that the phone talks in, for a Replaces header; that of the one
    /// that rings there, if it talks in none.
    #[must_use]
    pub fn dialog(self) -> Option<Replaces> {
        let (Line::Talking(leg) | Line::Ringing(leg)) = self.pbx.phones[self.phone].line else {
            return None;
        };
        self.pbx.dialog_of(leg)
    }

    /// Turns to the other call; the one that the phone talked in is put on hold and the other one
    /// resumed, if the phone held it. `false` when there is no other.
    pub fn swap(self) -> bool {
        self.pbx.swap(self.now, self.phone)
    }

    /// Sends INFO in the call that the phone talks in; `false` when there is none.
    pub fn inform(self, content_type: &'static str, body: &str) -> bool {
        let now = self.now;
        self.with_talking(|pbx, _, leg| {
            if let Some((session, exchange)) = pbx.session(leg) {
                session.inform(now, exchange, content_type, body);
            }
        })
    }

    /// Transfers the call that the phone talks in to a number, by REFER; `false` when that is not
    /// possible now.
    pub fn refer(self, number: &str) -> bool {
        let Line::Talking(leg) = self.pbx.phones[self.phone].line else {
            return false;
        };
        let session = self.pbx.session(leg);
        session.is_some_and(|(session, exchange)| session.refer(self.now, exchange, number, None))
    }

    /// Connects the phone's two calls with each other, by REFER with Replaces: the other end of
    /// the older one is to take the place of the phone in the newer one, in which `number` is.
    /// `false` when that is not possible now.
    pub fn refer_attended(self, number: &str) -> bool {
        let [first, .., last] = self.pbx.phones[self.phone].legs[..] else {
            return false;
        };
        let replaces = self
            .pbx
            .session(last)
            .map(|(session, _)| session.replaces());
        let Some(replaces) = replaces else {
            return false;
        };
        let session = self.pbx.session(first);
        session.is_some_and(|(session, exchange)| {
            session.refer(self.now, exchange, number, Some(&replaces))
        })
    }

    /// The tokens of the phone's calls, oldest first; `None` for one that carries none.
    #[must_use]
    pub fn tokens(self) -> Vec<Option<Token>> {
        let legs = self.pbx.phones[self.phone].legs.iter();
        legs.map(|leg| self.pbx.legs.get(leg).and_then(|leg| leg.token))
            .collect()
    }

    /// Transfers the call that the phone talks in to whom it has in a dialog that the server does
    /// not know; `false` when that is not possible now.
    pub fn refer_outside(self, number: &str, replaces: &Replaces) -> bool {
        let Line::Talking(leg) = self.pbx.phones[self.phone].line else {
            return false;
        };
        let session = self.pbx.session(leg);
        session.is_some_and(|(session, exchange)| {
            session.refer(self.now, exchange, number, Some(replaces))
        })
    }

    /// From now on every call to this phone goes this way; `None` returns to habit.
    pub fn set_behaviour(self, behaviour: Option<Behaviour>) {
        self.pbx.phones[self.phone].behaviour = behaviour;
    }

    /// From now on the phone has these habits, whatever those of the PBX are.
    pub fn set_habits(self, habits: Arc<Habits>) {
        self.pbx.phones[self.phone].habits = Some(habits);
    }

    /// Without call waiting a busy phone shows as closed.
    pub fn set_call_waiting(self, call_waiting: bool) {
        self.pbx.phones[self.phone].call_waiting = call_waiting;
        self.pbx.announce(self.now, self.phone);
    }

    /// The PBX ends the subscriptions of this phone: a soft phone that exits, for one.
    pub fn end_subscriptions(self, reason: &str, retry_after: Option<u32>) {
        self.pbx
            .end_subscriptions(self.now, self.phone, reason, retry_after);
    }

    fn with_ringing(self, act: impl FnOnce(&mut Pbx, Instant, LegId)) -> bool {
        let Some(leg) = self.pbx.ringing(self.phone) else {
            return false;
        };
        act(self.pbx, self.now, leg);
        true
    }

    fn with_talking(self, act: impl FnOnce(&mut Pbx, Instant, LegId)) -> bool {
        let Line::Talking(leg) = self.pbx.phones[self.phone].line else {
            return false;
        };
        act(self.pbx, self.now, leg);
        true
    }
}

impl Pbx {
    pub(super) fn set_registered(&mut self, now: Instant, phone: usize, registered: bool) {
        if self.phones[phone].registered == registered {
            return;
        }
        self.phones[phone].registered = registered;
        let dn = self.phones[phone].dn.clone();
        self.log.add(now, Fact::Registered { dn, registered });
        if let Some(leg) = self.ringing(phone)
            && !registered
        {
            self.refuse_leg(now, leg, Status::TEMPORARILY_UNAVAILABLE);
        }
        self.announce(now, phone);
    }

    pub(super) fn begin_private_call(&mut self, now: Instant, phone: usize) -> bool {
        if !self.phones[phone].registered || self.phones[phone].line != Line::Idle {
            return false;
        }
        self.private_call(now, phone, true);
        true
    }

    pub(super) fn end_private_call(&mut self, now: Instant, phone: usize) -> bool {
        if self.phones[phone].line != Line::Private {
            return false;
        }
        self.private_call(now, phone, false);
        true
    }

    fn private_call(&mut self, now: Instant, phone: usize, active: bool) {
        let line = if active { Line::Private } else { Line::Idle };
        let dn = self.phones[phone].dn.clone();
        self.log.add(now, Fact::PrivateCall { dn, active });
        self.set_line(now, phone, line);
    }

    pub(super) fn set_line(&mut self, now: Instant, phone: usize, line: Line) {
        self.phones[phone].line = line;
        self.announce(now, phone);
    }

    /// What habit brings about at this phone, and when next.
    pub(super) fn habit(&mut self, now: Instant, due: Due) {
        let phone_of = |due| match due {
            Due::PrivateCall(phone)
            | Due::PrivateCallOver(phone)
            | Due::Absence(phone)
            | Due::AbsenceOver(phone) => Some(phone),
            Due::Leg(..) | Due::Expire(_) | Due::Storm => None,
        };
        let habits = phone_of(due).map(|phone| self.habits_of(phone));
        let calls = habits.and_then(|habits| habits.private_calls);
        let absences = habits.and_then(|habits| habits.absences);
        match (due, calls, absences) {
            (Due::PrivateCall(phone), Some(rhythm), _) => {
                if self.begin_private_call(now, phone) {
                    let length = self.phones[phone].random.within(rhythm.lasting);
                    self.agenda.add(now + length, Due::PrivateCallOver(phone));
                }
                let gap = self.phones[phone].random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::PrivateCall(phone));
            }
            (Due::PrivateCallOver(phone), _, _) => {
                self.end_private_call(now, phone);
            }
            (Due::Absence(phone), _, Some(rhythm)) => {
                // Somebody in a call does not unplug the phone.
                if self.phones[phone].registered && self.phones[phone].line == Line::Idle {
                    self.set_registered(now, phone, false);
                    let length = self.phones[phone].random.within(rhythm.lasting);
                    self.agenda.add(now + length, Due::AbsenceOver(phone));
                }
                let gap = self.phones[phone].random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::Absence(phone));
            }
            (Due::AbsenceOver(phone), _, _) => self.set_registered(now, phone, true),
            // Habits that were dropped meanwhile.
            (Due::PrivateCall(_), None, _) | (Due::Absence(_), _, None) => {}
            (Due::Leg(..) | Due::Expire(_) | Due::Storm, _, _) => {
                unreachable!("only what habit brings about is handed to it");
            }
        }
    }

    /// The view of one phone.
    pub(super) fn view(&self, phone: usize) -> PhoneView<'_> {
        let state = &self.phones[phone];
        let token = |leg: LegId| self.legs.get(&leg).and_then(|leg| leg.token);
        PhoneView {
            dn: &state.dn,
            registered: state.registered,
            activity: match state.line {
                Line::Idle => Activity::Idle,
                Line::Ringing(leg) => Activity::Ringing(token(leg)),
                Line::Dialling(leg) => Activity::Dialling(token(leg)),
                Line::Talking(leg) => Activity::Talking(token(leg)),
                Line::Private => Activity::Private,
            },
            calls: state.legs.len(),
            since: state.since,
            presence: state.shown,
            subscriptions: state.subscriptions.len(),
            notifying: self.is_notifying(phone),
        }
    }
}
