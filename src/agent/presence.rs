//! What presence says about an agent: translated by the options, put off while a call of ours is at
//! the DN, then cast as a vote. It never subscribes; the watchers are in [`crate::presence`].

use std::sync::Arc;

use crate::config::{ClosedBusy, InitialActivity, Lost, OwnCalls};
use crate::presence::Vote;

use super::Output;
use super::state::{Agent, Reason};
use super::step::{Step, Timer};
use super::visits::Withdrawn;
use super::votes::{DesktopVote, Gone, PresenceVote, Standing};

/// The activity of an agent whose subscription was lost where that counts as NotReady.
const LOST: &str = "presence-lost";

/// What presence said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    vote: PresenceVote,
    /// Whether it is the first word of a new subscription.
    initial: bool,
    /// Whether a phone said closed only because it is in use and lacks call waiting.
    closed_by_call: bool,
}

impl Agent {
    /// Presence speaks.
    pub(super) fn hear(&mut self, step: &mut Step<'_>, vote: Vote) {
        let heard = translate(step, vote);
        // A phone that went away during the call has gone; that no more is heard of it since does
        // not bring it back.
        if heard.vote == PresenceVote::None && self.phone_went_away() {
            return;
        }
        if self.defers(step, &heard) {
            self.withdraw_from_lost_phone(step, &heard);
            self.deferred = Some(heard);
        } else {
            self.deferred = None;
            self.cast(step, heard);
        }
    }

    /// The call and its tail are over: what presence said meanwhile counts now.
    pub(super) fn apply_deferred(&mut self, step: &mut Step<'_>) {
        if let Some(heard) = self.deferred.take() {
            self.cast(step, heard);
        }
    }

    /// After a call of ours: a phone that went away during it logs its agent out now; anything else
    /// that presence said may be about that call, and counts when the tail is over.
    pub(super) fn own_call_ended(&mut self, step: &mut Step<'_>) {
        let literal = step.config.presence.own_calls == OwnCalls::Literal;
        let tail = step.config.presence.own_call_tail;
        if self.phone_went_away() || literal || tail.is_zero() {
            self.apply_deferred(step);
        } else {
            self.timers.arm(step, Timer::Tail, tail);
        }
    }

    /// Whether presence said during the call that the phone has gone.
    pub(super) fn phone_went_away(&self) -> bool {
        let heard = self.deferred.as_ref();
        heard.is_some_and(|heard| heard.vote.is_out() && !heard.closed_by_call)
    }

    /// Whether what presence said last, applied or not, leaves room for a call of a queue. In the
    /// tail a phone that is still reported in use gets none: it may be in a private call, which the
    /// next call of ours would hide.
    pub(super) fn phone_may_be_idle(&self) -> bool {
        self.deferred.as_ref().is_none_or(|heard| match heard.vote {
            PresenceVote::None | PresenceVote::Ready => true,
            PresenceVote::Out(_) | PresenceVote::NotReady(_) => false,
        })
    }

    /// Presence has said NotReady for long.
    pub(super) fn ask_presence_again(&mut self, step: &mut Step<'_>) {
        step.outputs.push_back(Output::RefreshPresence(step.dn));
        self.watch_not_ready(step);
    }

    fn defers(&self, step: &Step<'_>, heard: &Heard) -> bool {
        let suppress = step.config.presence.own_calls == OwnCalls::Suppress;
        let gone = heard.vote.is_out();
        if self.is_engaged() {
            // A logout waits for the end of the call whatever the option says.
            return suppress || gone;
        }
        suppress && self.timers.is_armed(Timer::Tail) && (!gone || heard.closed_by_call)
    }

    /// A call on its way to a phone that has gone would only ring into the void.
    fn withdraw_from_lost_phone(&mut self, step: &mut Step<'_>, heard: &Heard) {
        if heard.vote.is_out() && !heard.closed_by_call {
            self.withdraw(step, Withdrawn::ByPhone);
        }
    }

    fn cast(&mut self, step: &mut Step<'_>, heard: Heard) {
        match heard.vote {
            PresenceVote::None => self.presence_lost(step),
            PresenceVote::Out(_) => self.phone_gone(step),
            PresenceVote::NotReady(_) if self.is_literal_first_word(step, &heard) => {
                self.votes.presence = PresenceVote::Ready;
                self.settle(step, Reason::Presence, None);
                self.votes.presence = heard.vote;
            }
            PresenceVote::NotReady(_) | PresenceVote::Ready => self.votes.presence = heard.vote,
        }
        self.settle(step, Reason::Presence, None);
        self.watch_not_ready(step);
    }

    /// The first NOTIFY of a subscription says open and busy: by the letter that is Login, Ready,
    /// NotReady. A desktop's NotReady forbids the Ready in between.
    fn is_literal_first_word(&self, step: &Step<'_>, heard: &Heard) -> bool {
        heard.initial
            && step.config.presence.initial_activity == InitialActivity::Literal
            && self.votes.last() == Standing::LoggedOut
            && self
                .votes
                .desktop
                .standing()
                .is_none_or(|vote| vote == Standing::Ready)
    }

    fn phone_gone(&mut self, step: &mut Step<'_>) {
        match self.votes.presence {
            PresenceVote::Out(Gone::Known | Gone::Overruled) => return,
            PresenceVote::Out(Gone::Expired)
            | PresenceVote::None
            | PresenceVote::NotReady(_)
            | PresenceVote::Ready => self.votes.presence = PresenceVote::Out(Gone::Known),
        }
        self.timers.disarm(step, Timer::WrapUp);
        self.timers.disarm(step, Timer::LegalGuard);
        if let DesktopVote::AfterCallWork { then } | DesktopVote::LegalGuard { then } =
            self.votes.desktop
        {
            self.votes.desktop = then.into();
        }
        let restores = step.config.presence.relogin_restores_desktop_state;
        if !(restores && self.desktop_present) {
            self.forget_desktop(step);
        }
        // The desktop's own agent stays at the DN while the desktop does. The logout, which is
        // settled here, still names the agent who was logged in.
        self.settle(step, Reason::Presence, None);
        if !self.desktop_present {
            self.desktop_login = None;
        }
    }

    /// What was known has expired.
    fn presence_lost(&mut self, step: &mut Step<'_>) {
        let known = &self.votes.presence;
        let unless_gone = |vote| match known {
            PresenceVote::None => PresenceVote::None,
            PresenceVote::Out(Gone::Known | Gone::Expired) => PresenceVote::Out(Gone::Expired),
            PresenceVote::Out(Gone::Overruled)
            | PresenceVote::NotReady(_)
            | PresenceVote::Ready => vote,
        };
        match step.config.presence.lost {
            Lost::Keep => self.votes.presence = unless_gone(PresenceVote::None),
            Lost::NotReady => {
                let lost = PresenceVote::NotReady(Arc::new(vec![LOST.to_owned()]));
                self.votes.presence = unless_gone(lost);
            }
            Lost::Logout if *known == PresenceVote::None => {}
            Lost::Logout => self.phone_gone(step),
        }
    }

    fn watch_not_ready(&mut self, step: &mut Step<'_>) {
        let in_use = matches!(self.votes.presence, PresenceVote::NotReady(_));
        match step.config.presence.notready_refresh {
            Some(after) if in_use => self.timers.arm(step, Timer::Refresh, after),
            Some(_) | None => self.timers.disarm(step, Timer::Refresh),
        }
    }
}

fn translate(step: &Step<'_>, vote: Vote) -> Heard {
    let (vote, initial, closed_by_call) = match vote {
        Vote::None => (PresenceVote::None, false, false),
        Vote::Out { activities } if activities.is_empty() => {
            (PresenceVote::Out(Gone::Known), false, false)
        }
        Vote::Out { activities } => match step.config.presence.closed_busy {
            ClosedBusy::Logout => (PresenceVote::Out(Gone::Known), false, true),
            ClosedBusy::NotReady => (PresenceVote::NotReady(activities), false, false),
        },
        Vote::NotReady {
            activities,
            initial,
        } => (PresenceVote::NotReady(activities), initial, false),
        Vote::Ready { initial } => (PresenceVote::Ready, initial, false),
    };
    Heard {
        vote,
        initial,
        closed_by_call,
    }
}
