//! Whether the queues may pick the agent, and telling them when that changes. The queues' own copy
//! may lag; the reservation decides. A phone to which no trunk leads is no fault of its agent: it
//! is not to be had, and has its old place in the line when a trunk is back.

use crate::queue;

use super::state::Agent;
use super::step::{Step, Timer};
use super::votes::Standing;

impl Agent {
    /// Free, kept for no router, and with a way to the phone.
    pub(super) fn is_available(&self, step: &Step<'_>) -> bool {
        self.is_free() && !self.is_claimed(None) && step.phone_has_a_way()
    }

    /// Ready, in no call, not to be left alone, rested, and with a phone that presence does not
    /// report in use.
    pub(super) fn is_free(&self) -> bool {
        self.votes.last() == Standing::Ready
            && !self.is_engaged()
            && !self.dnd
            && !self.timers.is_armed(Timer::Rest)
            && self.phone_may_be_idle()
    }

    /// Tells every queue of the agent, on change only. Idleness counts from now: a call that ended,
    /// also one that was never answered, puts the agent at the end of the line.
    pub(super) fn publish_availability(&mut self, step: &mut Step<'_>) {
        self.watch_absence(step);
        self.free_since = self.is_free().then(|| self.free_since.unwrap_or(step.now));
        self.publish_presence(step);
        let available = self.is_available(step);
        if available == self.is_known_available {
            return;
        }
        self.is_known_available = available;
        let (dn, config) = (step.dn, step.config);
        for &queue in config.agent_at(dn).settings.queues.iter() {
            let input = match self.free_since.filter(|_| available) {
                Some(idle_since) => queue::Input::AgentAvailable { dn, idle_since },
                None => queue::Input::AgentUnavailable { dn },
            };
            step.tell_queue(queue, input);
        }
    }

    /// Tells every queue of the agent whether it is logged in, on change only.
    fn publish_presence(&mut self, step: &mut Step<'_>) {
        let present = self.votes.last() != Standing::LoggedOut;
        if present == self.is_known_present {
            return;
        }
        self.is_known_present = present;
        let (dn, config) = (step.dn, step.config);
        for &queue in config.agent_at(dn).settings.queues.iter() {
            step.tell_queue(queue, queue::Input::AgentPresent { dn, present });
        }
    }

    /// Who is NotReady for long and in no call is taken for gone, where that is configured.
    fn watch_absence(&mut self, step: &mut Step<'_>) {
        let absent = self.votes.last() == Standing::NotReady && !self.is_engaged();
        match step.agent().settings.auto_logout.filter(|_| absent) {
            Some(after) if !self.timers.is_armed(Timer::AutoLogout) => {
                self.timers.arm(step, Timer::AutoLogout, after);
            }
            Some(_) => {}
            None => self.timers.disarm(step, Timer::AutoLogout),
        }
    }
}
