//! What is left of an agent when the process is not: both votes, who is logged in, and what the DN
//! does with calls. Its calls come back by themselves, from their shards.

use crate::call::Elsewhere;
use crate::config::{Login, WrapUp};
use crate::cti::{EventName, ForwardMode};
use crate::journal::field::{self, Field, fields};
use crate::limits::DESKTOP_RETURN;

use super::Party;
use super::state::{Agent, Reason};
use super::step::{Step, Timer};
use super::visits::{Source, Stage};
use super::votes::{DesktopVote, Standing, Votes};

/// An agent as it was written down.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    votes: Votes,
    desktop_login: Option<Box<str>>,
    dnd: bool,
    forward: Option<(ForwardMode, Box<str>)>,
    has_desktop: bool,
}

fields!(Memory {
    votes,
    desktop_login,
    dnd,
    forward,
    has_desktop,
});

impl Agent {
    /// Writes the agent down; nothing for one of whom nothing is known.
    pub(super) fn remember(&self, login: Login, out: &mut Vec<u8>) -> bool {
        let forward = self.forward.as_ref();
        let memory = Memory {
            votes: self.votes.clone(),
            desktop_login: self.desktop_login.clone(),
            dnd: self.dnd,
            forward: forward.map(|to| (to.mode, to.destination.clone())),
            has_desktop: self.desktop_present,
        };
        let new = Memory {
            votes: Votes::of_nobody(login),
            desktop_login: None,
            dnd: false,
            forward: None,
            has_desktop: false,
        };
        if memory == new {
            return false;
        }
        memory.write(out);
        true
    }

    /// Takes an agent up as an earlier process had it; `false` if that cannot be read. A pause that
    /// was on begins anew. A desktop that was there has some time to come back.
    pub(super) fn recall(&mut self, step: &mut Step<'_>, bytes: &[u8]) -> bool {
        let Some(memory) = field::read::<Memory>(bytes) else {
            return false;
        };
        self.votes = memory.votes;
        self.desktop_login = memory.desktop_login;
        self.dnd = memory.dnd;
        if !step.config.is_watched(step.dn) {
            self.forget_phone();
        }
        if memory.has_desktop {
            self.desktop_present = true;
            self.timers.arm(step, Timer::Desktop, DESKTOP_RETURN);
        }
        let forward = memory.forward;
        self.forward = forward.map(|(mode, destination)| Box::new(Elsewhere { destination, mode }));
        match (&self.votes.desktop, step.config.wrap_up(step.dn, None)) {
            (DesktopVote::AfterCallWork { .. }, WrapUp::Timed(time)) => {
                self.timers.arm(step, Timer::WrapUp, time);
            }
            (DesktopVote::LegalGuard { .. }, _) => {
                let guard = step.agent().settings.legal_guard.unwrap_or_default();
                self.timers.arm(step, Timer::LegalGuard, guard);
            }
            (
                DesktopVote::AfterCallWork { .. }
                | DesktopVote::None
                | DesktopVote::Out
                | DesktopVote::NotReady(_)
                | DesktopVote::Ready(_),
                _,
            ) => {}
        }
        let before = step.outputs.len();
        self.say_how_it_stands(step);
        step.is_known_since(before);
        true
    }

    /// The phone is not watched any more: nobody would ever say anything else of it.
    fn forget_phone(&mut self) {
        let desktop = std::mem::replace(&mut self.votes.desktop, DesktopVote::None);
        self.votes = Votes::new(desktop);
        self.votes.settle();
        if self.votes.last() == Standing::LoggedOut {
            self.desktop_login = None;
        }
    }

    fn say_how_it_stands(&self, step: &mut Step<'_>) {
        match self.votes.last() {
            Standing::LoggedOut => {}
            Standing::NotReady => {
                self.emit_login(step, None);
                self.emit_not_ready(step, Reason::Desktop, None);
            }
            Standing::Ready => {
                self.emit_login(step, None);
                self.emit_ready(step, None);
            }
        }
        if self.dnd {
            let event = step.event(EventName::DNDOn);
            step.emit(event);
        }
        if let Some(forward) = &self.forward {
            let mut event = step.event(EventName::ForwardSet);
            event.forward_mode = Some(forward.mode);
            event.other_dn = Some((&*forward.destination).into());
            step.emit(event);
        }
    }

    /// A call that an earlier process had goes on at this DN.
    pub(super) fn take_up(&mut self, step: &mut Step<'_>, party: &Party, is_held: bool) {
        if self.visits.is_full() || self.visits.position(party.call).is_some() {
            return;
        }
        let source = party.routing_point.map_or(Source::Direct, |routing_point| {
            Source::Queue(step.config.routing_point_at(routing_point).queue)
        });
        let index = self.occupy(step, party.call, source);
        self.end_lease(step, index);
        let class = self.class_of(step, index, party);
        let visit = &mut self.visits[index];
        visit.class = class;
        visit.was_up = true;
        visit.stage = Stage::Established;
        self.handset_up = true;
        let before = step.outputs.len();
        self.show(step, index, EventName::Established, party);
        if is_held {
            self.visits[index].stage = Stage::Held;
            self.show(step, index, EventName::Held, party);
        }
        step.is_known_since(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::votes::{Gone, Pause, PresenceVote, ServerDecision};
    use crate::cti::{AgentWorkMode, KeyValueList};
    use crate::journal::frame;

    /// Who changes what is written of an agent changes the last byte of `HEAD`, too.
    #[test]
    fn form_of_an_agent_is_that_of_the_head() {
        let pause = DesktopVote::NotReady(Box::new(Pause {
            work_mode: AgentWorkMode::AuxWork,
            reasons: KeyValueList::new().with_text("ReasonCode", "lunch"),
            decided_by: Some(ServerDecision::DesktopGone),
            wrap_up: Some(WrapUp::Untimed),
        }));
        let mut votes = Votes::new(pause);
        votes.presence = PresenceVote::Out(Gone::Overruled);
        let memory = Memory {
            votes,
            desktop_login: Some("alice".into()),
            dnd: true,
            forward: Some((ForwardMode::Unconditional, "2001".into())),
            has_desktop: false,
        };
        let mut bytes = Vec::new();
        memory.write(&mut bytes);
        assert_eq!(field::read::<Memory>(&bytes), Some(memory));
        assert_eq!(frame::pin(&bytes), (2, 85, 3_404_818_912_578_241_771));
    }
}
