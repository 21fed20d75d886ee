//! A phone of the PBX: what it is doing, what presence says about it, and the commands that a
//! test gives to it.

use std::time::Instant;

use offhook::sip::Status;

use super::legs::LegId;
use super::subscriptions::SubscriptionId;
use super::{Behaviour, Due, Pbx};
use crate::population::session::Change;
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
    Talking(LegId),
    Private,
}

#[derive(Debug)]
pub(super) struct Phone {
    pub(super) dn: String,
    pub(super) registered: bool,
    pub(super) line: Line,
    pub(super) call_waiting: bool,
    pub(super) since: Option<Instant>,
    /// What the last NOTIFY said, or would have said had anybody subscribed.
    pub(super) shown: Presence,
    pub(super) behaviour: Option<Behaviour>,
    pub(super) subscriptions: Vec<SubscriptionId>,
}

impl Phone {
    pub(super) fn presence(&self, alerting_is_shown: bool) -> Presence {
        if !self.registered {
            return Presence::Closed;
        }
        match self.line {
            Line::Ringing(_) if alerting_is_shown => Presence::Alerting,
            Line::Idle | Line::Ringing(_) => Presence::Idle,
            Line::Talking(_) | Line::Private if self.call_waiting => Presence::OnThePhone,
            Line::Talking(_) | Line::Private => Presence::ClosedOnThePhone,
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

    /// Hangs up the server's call; `false` when there is none.
    pub fn hang_up(self) -> bool {
        self.with_talking(super::Pbx::hang_up)
    }

    /// Begins a re-INVITE in the server's call; `false` when it cannot be begun now.
    pub fn change(self, change: Change) -> bool {
        let Line::Talking(leg) = self.pbx.phones[self.phone].line else {
            return false;
        };
        self.pbx.change(self.now, leg, change)
    }

    /// From now on every call to this phone goes this way; `None` returns to habit.
    pub fn set_behaviour(self, behaviour: Option<Behaviour>) {
        self.pbx.phones[self.phone].behaviour = behaviour;
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
        let Line::Ringing(leg) = self.pbx.phones[self.phone].line else {
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
        if let Line::Ringing(leg) = self.phones[phone].line
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
        let (calls, absences) = (self.habits.private_calls, self.habits.absences);
        match (due, calls, absences) {
            (Due::PrivateCall(phone), Some(rhythm), _) => {
                if self.begin_private_call(now, phone) {
                    let length = self.random.within(rhythm.lasting);
                    self.agenda.add(now + length, Due::PrivateCallOver(phone));
                }
                let gap = self.random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::PrivateCall(phone));
            }
            (Due::PrivateCallOver(phone), _, _) => {
                self.end_private_call(now, phone);
            }
            (Due::Absence(phone), _, Some(rhythm)) => {
                // Somebody in a call does not unplug the phone.
                if self.phones[phone].registered && self.phones[phone].line == Line::Idle {
                    self.set_registered(now, phone, false);
                    let length = self.random.within(rhythm.lasting);
                    self.agenda.add(now + length, Due::AbsenceOver(phone));
                }
                let gap = self.random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::Absence(phone));
            }
            (Due::AbsenceOver(phone), _, _) => self.set_registered(now, phone, true),
            // Habits that were dropped meanwhile.
            (Due::PrivateCall(_), None, _) | (Due::Absence(_), _, None) => {}
            (Due::Leg(..) | Due::Expire(_), _, _) => {
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
                Line::Talking(leg) => Activity::Talking(token(leg)),
                Line::Private => Activity::Private,
            },
            since: state.since,
            presence: state.shown,
            subscriptions: state.subscriptions.len(),
            notifying: self.is_notifying(phone),
        }
    }
}
