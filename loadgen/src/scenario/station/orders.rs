//! What an operator changes while a station runs: SIPp's commands beside those of the rate.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::super::floor::Log;
use super::super::limits::CALLS_MAX;
use super::super::settings::Settings;
use super::{Station, shared_out};

/// Calls of one worker of which it is said where they are.
const TASKS_TOLD_MAX: usize = 1_000;

impl Station {
    /// Opens a call only while fewer than that many live, at all workers together.
    pub fn set_limit(&mut self, calls: usize) {
        self.settings_mut().load.limit = Some(calls.min(CALLS_MAX));
    }

    /// Lets that many users call, at all workers together. New ones call at once; those who are to
    /// go end their calls first. A run without users goes on without.
    pub fn set_users(&mut self, now: Instant, users: usize) {
        let Some(before) = self.floor.settings.load.users else {
            return;
        };
        let users = users.min(CALLS_MAX);
        self.settings_mut().load.users = Some(users);
        self.floor.seat_users(users);
        self.idle_users.retain(|(_, user)| *user <= users);
        // Who was to go and talks yet stays, and calls again.
        let live = self.slots.iter().filter(|slot| slot.is_live);
        let talking: HashSet<usize> = live.filter_map(|slot| slot.call.user).collect();
        let own: Vec<usize> = shared_out(before + 1..=users, &self.floor.settings).collect();
        for user in own {
            if !talking.contains(&user) {
                self.rest(now, user);
            }
        }
    }

    /// Writes lines of this kind down, or no more.
    pub fn trace(&mut self, log: Log, is_wanted: bool) {
        let traces = &mut self.settings_mut().traces;
        let trace = match log {
            Log::Error => &mut traces.errors,
            Log::Scenario => &mut traces.logs,
            Log::Message => &mut traces.messages,
            Log::Short => &mut traces.short,
            Log::ResponseTime => &mut traces.response_times,
            Log::Call => &mut traces.calls,
        };
        *trace = is_wanted;
    }

    /// Says of each live call at which step it is, among the errors, as SIPp does.
    pub fn tell_tasks(&mut self, now: Instant) {
        let Self { floor, slots, .. } = self;
        for slot in slots
            .iter()
            .filter(|slot| slot.is_live)
            .take(TASKS_TOLD_MAX)
        {
            let (id, step) = (slot.call.call_id(), slot.call.step());
            let name = floor.scenario.steps.get(step);
            let name = name.map_or("the end", |step| step.display.as_str());
            let text = format!(
                "call {} is at step {step}: {name}",
                String::from_utf8_lossy(id)
            );
            floor.warn(now, || text);
        }
    }

    /// A worker has settings of its own.
    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.floor.settings)
    }
}
