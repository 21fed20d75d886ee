//! One agent: its fields, and the settling of its votes into events. It decides which events a
//! change of standing is worth; what changes the votes is in the sibling files.

use std::time::Instant;

use crate::call::Elsewhere;
use crate::config::{Config, DnIndex, Login, QueueIndex};

use super::claim::Claims;
use super::dialling::{Placing, Taking};
use super::events::Answer;
use super::presence::Heard;
use super::step::{Step, Timer, Timers};
use super::visits::Visits;
use super::votes::{DesktopVote, PresenceVote, Standing, Votes};
use super::{Input, OfferSource, Status};

/// One agent.
#[derive(Debug)]
pub(super) struct Agent {
    dn: DnIndex,
    pub(super) votes: Votes,
    /// What presence said during a call of ours: applied later.
    pub(super) deferred: Option<Heard>,
    /// Who a desktop logged in; `None` while the default agent is logged in by presence.
    pub(super) desktop_login: Option<Box<str>>,
    /// Whether a desktop is there: its vote outlives the phone only while it is. Requests say
    /// nothing about it, for a supervisor asks too.
    pub(super) desktop_present: bool,
    /// The desktop went away during a call. What follows waits for the end of the call, and is
    /// spared an agent whose desktop is back by then.
    pub(super) desktop_missed: bool,
    /// The calls at the DN.
    pub(super) visits: Visits,
    /// A call that the desktop asked for and that is not there yet.
    pub(super) placing: Option<Box<Placing>>,
    /// A call that a desktop has asked to have in hand, of which nothing was heard since.
    pub(super) taking: Option<Box<Taking>>,
    /// Whether a call of ours has the handset up.
    pub(super) handset_up: bool,
    /// Whose wrap-up follows when the last business call of the contact ends.
    pub(super) owed_wrap_up: Option<Option<QueueIndex>>,
    /// Whether calls are kept away from the DN.
    pub(super) dnd: bool,
    /// Where calls for the DN go instead.
    pub(super) forward: Option<Box<Elsewhere>>,
    /// For which router the agent is kept, if one has asked for it.
    pub(super) claims: Option<Box<Claims>>,
    /// Since when the agent is free, whether a trunk leads to its phone or not.
    pub(super) free_since: Option<Instant>,
    /// Whether the queues were told that they may pick it.
    pub(super) is_known_available: bool,
    /// Whether the queues were told that it is logged in.
    pub(super) is_known_present: bool,
    pub(super) timers: Timers,
}

const _: () = assert!(size_of::<Agent>() <= 192, "there are 100,000 of them");

/// Which vote names the reason when both say NotReady.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The phone's.
    Presence,
    /// The desktop's.
    Desktop,
}

impl Agent {
    /// Logged out, and with `Login::Desktop` until a desktop says otherwise.
    pub(super) fn new(dn: DnIndex, login: Login) -> Self {
        Self {
            dn,
            votes: Votes::of_nobody(login),
            deferred: None,
            desktop_login: None,
            desktop_present: false,
            desktop_missed: false,
            visits: Visits::default(),
            placing: None,
            taking: None,
            handset_up: false,
            owed_wrap_up: None,
            dnd: false,
            forward: None,
            claims: None,
            free_since: None,
            is_known_available: false,
            is_known_present: false,
            timers: Timers::default(),
        }
    }

    pub(super) fn dn(&self) -> DnIndex {
        self.dn
    }

    pub(super) fn agent_id<'a>(&'a self, config: &'a Config) -> &'a str {
        self.desktop_login
            .as_deref()
            .unwrap_or(&config.agent_at(self.dn).agent_id)
    }

    pub(super) fn status(&self) -> Status {
        Status {
            effective: self.votes.effective(),
            presence: self.votes.presence.standing(),
            desktop: self.votes.desktop.standing(),
            presence_deferred: self.deferred.is_some(),
            after_call_work: self.votes.desktop.is_after_call_work(),
            available: self.is_known_available,
            call: self.visits.first().map(|visit| (visit.call, visit.stage)),
            calls: self.visits.len(),
        }
    }

    pub(super) fn handle(&mut self, step: &mut Step<'_>, input: Input) {
        match input {
            Input::Presence(vote) => self.hear(step, vote),
            Input::Desktop {
                requested_by,
                request,
            } => self.ask(step, requested_by, request),
            Input::Reserve(offer) => match offer.source {
                OfferSource::Queue(queue) => {
                    self.reserve_for_queue(step, offer.call, queue, None);
                }
                OfferSource::Router(queue, client) => {
                    self.reserve_for_queue(step, offer.call, queue, Some(client));
                }
                OfferSource::Direct => self.reserve_for_caller(step, offer.call),
            },
            Input::Party(party) => self.report(step, party),
            Input::Returned { call } => self.returned(step, call),
            Input::Take {
                call,
                requested_by,
                request,
            } => self.take(step, call, (requested_by, *request)),
            Input::NotTaken { requested_by } => self.not_taken(requested_by),
            Input::Placed { call } => self.placed(step, call),
        }
    }

    pub(super) fn handle_timer(&mut self, step: &mut Step<'_>, timer: Timer) {
        self.timers.fired(timer);
        match timer {
            Timer::Lease => self.lease_expired(step),
            Timer::WrapUp => self.end_wrap_up(step),
            Timer::LegalGuard => self.end_legal_guard(step),
            Timer::Tail => self.apply_deferred(step),
            // What the rest holds back is published after every step.
            Timer::Rest => {}
            Timer::Refresh => self.ask_presence_again(step),
            Timer::AutoLogout => self.log_out(step, None),
            Timer::Collection => self.decide_claims(step),
            Timer::Claim => self.end_claim(step),
            Timer::Desktop => self.desktop_gone(step),
        }
    }

    /// Reports what a change of the votes came to: nothing if the standing is the same. When it
    /// answers a request, the event that names its success carries `answer`.
    pub(super) fn settle(
        &mut self,
        step: &mut Step<'_>,
        reason: Reason,
        answer: Option<Answer<'_>>,
    ) {
        match self.votes.settle() {
            (Standing::LoggedOut, Standing::LoggedOut)
            | (Standing::NotReady, Standing::NotReady)
            | (Standing::Ready, Standing::Ready) => {}
            (Standing::LoggedOut, Standing::NotReady) => {
                self.emit_login(step, answer);
                self.emit_not_ready(step, reason, None);
            }
            (Standing::LoggedOut, Standing::Ready) => {
                self.emit_login(step, answer);
                self.emit_ready(step, None);
            }
            (Standing::NotReady | Standing::Ready, Standing::LoggedOut) => {
                self.emit_logout(step, reason, answer);
            }
            (Standing::Ready, Standing::NotReady) => {
                self.emit_not_ready(step, reason, answer);
            }
            (Standing::NotReady, Standing::Ready) => self.emit_ready(step, answer),
        }
    }

    /// Takes the desktop's vote back, as if no desktop had been there. A logout stays: only a
    /// desktop lifts it.
    pub(super) fn forget_desktop(&mut self, step: &mut Step<'_>) {
        self.timers.disarm(step, Timer::WrapUp);
        self.timers.disarm(step, Timer::LegalGuard);
        match self.votes.desktop {
            DesktopVote::Out => {}
            DesktopVote::None
            | DesktopVote::NotReady(_)
            | DesktopVote::AfterCallWork { .. }
            | DesktopVote::LegalGuard { .. }
            | DesktopVote::Ready(_) => self.votes.desktop = Self::unheard(step),
        }
    }

    /// The desktop's vote when no desktop has said anything.
    pub(super) fn unheard(step: &Step<'_>) -> DesktopVote {
        match step.agent().settings.login {
            Login::Auto => DesktopVote::None,
            Login::Desktop => DesktopVote::Out,
        }
    }

    /// Logs out in the desktop's place, until a desktop logs in.
    pub(super) fn log_out(&mut self, step: &mut Step<'_>, answer: Option<Answer<'_>>) {
        self.timers.disarm(step, Timer::WrapUp);
        self.timers.disarm(step, Timer::LegalGuard);
        self.desktop_missed = false;
        self.votes.desktop = DesktopVote::Out;
        self.settle(step, Reason::Desktop, answer);
        self.desktop_login = None;
    }

    /// Whether presence is what keeps the agent from being Ready.
    pub(super) fn presence_says_not_ready(&self) -> bool {
        match self.votes.presence {
            PresenceVote::NotReady(_) | PresenceVote::Out(_) => true,
            PresenceVote::None | PresenceVote::Ready => false,
        }
    }
}
