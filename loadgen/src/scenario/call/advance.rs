//! The way through the scenario: which step comes next, pauses, time-outs, response times.

use std::time::{Duration, Instant};

use super::super::floor::{Floor, Line, Log};
use super::super::model::{Branch, Pause, Receive, Scenario, Step, StepKind};
use super::super::statistics::{Failure, classify};
use super::{Call, Flow, Stamp, micros};

/// The longest pause that is drawn.
const PAUSE_MAX_MS: f64 = 365.0 * 86_400_000.0;

impl Call {
    /// Takes one step, or says what it waits for.
    pub(super) fn take_step(
        &mut self,
        now: Instant,
        scenario: &Scenario,
        floor: &mut Floor,
    ) -> Flow {
        let Some(step) = scenario.steps.get(self.step) else {
            return Flow::End(None);
        };
        if self.is_passed_over(scenario, self.step, floor) {
            self.go_to(self.step + 1);
            return Flow::On;
        }
        match &step.kind {
            StepKind::Send(send) => {
                if self.resend.is_some() {
                    // What was sent before has to be answered first.
                    return Flow::Wait;
                }
                self.send_step(now, step, send, floor)
            }
            StepKind::Receive(receive) => self.wait_for(now, step, receive, floor),
            StepKind::Pause(pause) => self.pause(now, step, *pause, floor),
            StepKind::Nop => {
                floor.statistics.steps[self.step].messages += 1;
                self.complete(now, step, None, floor)
            }
            StepKind::SendCommand(command) => self.send_command(now, step, command, floor),
            // What the twin says may take as long as it likes.
            StepKind::ReceiveCommand { .. } => Flow::Wait,
            StepKind::TimeWait(time) => {
                if self.pause_until.is_none() {
                    floor.statistics.steps[self.step].messages += 1;
                }
                let until = *self.pause_until.get_or_insert(now + *time);
                if now < until {
                    Flow::Wait
                } else {
                    Flow::End(None)
                }
            }
        }
    }

    /// Whether only `timewait` is left.
    pub(super) fn is_waiting_at_the_end(&self, scenario: &Scenario) -> bool {
        let step = scenario.steps.get(self.step);
        step.is_some_and(|step| matches!(step.kind, StepKind::TimeWait(_)))
    }

    pub(super) fn go_to(&mut self, step: usize) {
        self.step = step;
        self.pause_until = None;
        self.receive_until = None;
        self.has_entered = false;
    }

    /// Carries out the actions of a step, counts it as passed, and goes on behind it.
    pub(super) fn complete(
        &mut self,
        now: Instant,
        step: &Step,
        received: Option<&[u8]>,
        floor: &mut Floor,
    ) -> Flow {
        let place = self.step;
        let flow = self.act(now, place, step, received, floor);
        self.keep_books(now, step, floor);
        if flow == Flow::On && !std::mem::take(&mut self.has_jumped) {
            self.branch_or(place + 1, step, floor);
        }
        flow
    }

    /// Goes where the step's branch points to, if its conditions are met, or to `next`.
    pub(super) fn branch_or(&mut self, next: usize, step: &Step, floor: &mut Floor) {
        let target = self.branch_target(step, floor);
        self.go_to(target.unwrap_or(next));
    }

    pub(super) fn branch_target(&self, step: &Step, floor: &mut Floor) -> Option<usize> {
        let Branch {
            target,
            test,
            chance,
        } = step.branch?;
        let is_set = test.is_none_or(|variable| self.value(variable, floor).is_set());
        let happens = is_set && chance.is_none_or(|chance| floor.random.chance(chance));
        happens.then_some(target)
    }

    /// Response times and counters; `now` is when what is counted has happened.
    pub(super) fn keep_books(&mut self, now: Instant, step: &Step, floor: &mut Floor) {
        let intended = now.checked_sub(self.behind).unwrap_or(now);
        for start in &step.starts {
            self.stamps[*start].began = intended;
            self.stamps[*start].behind_us = micros(self.behind);
            self.stamps[*start].runs = true;
        }
        for end in &step.ends {
            if std::mem::replace(&mut self.stamps[*end].is_measured, !step.repeats) {
                continue;
            }
            let Stamp {
                began, behind_us, ..
            } = self.stamps[*end];
            let behind = Duration::from_micros(behind_us.into());
            let response = now.saturating_duration_since(began);
            let times = &mut floor.statistics.response_times[*end];
            times.latency.record(response, behind);
            times.waited.record(response);
            let service = response.saturating_sub(behind);
            let ends = &floor.scenario.response_time_classes;
            classify(ends, &mut times.classes, service);
            if floor.settings.traces.response_times {
                let epoch = floor.calendar.epoch(now).as_secs_f64() * 1e3;
                let millis = service.as_secs_f64() * 1e3;
                let name = &floor.scenario.response_times[*end];
                floor.log(Line {
                    log: Log::ResponseTime,
                    at: now,
                    text: format!("{epoch:.0};{millis:.3};{name}").into_bytes(),
                });
            }
            if step.repeats {
                self.stamps[*end].began = intended;
                self.stamps[*end].behind_us = micros(self.behind);
            }
        }
        if let Some(counter) = step.counter {
            floor.statistics.counters[counter] += 1;
        }
    }

    fn pause(&mut self, now: Instant, step: &Step, pause: Pause, floor: &mut Floor) -> Flow {
        if let Some(until) = self.pause_until {
            if now < until {
                return Flow::Wait;
            }
            self.behind = now.duration_since(until);
            floor.statistics.lag.record(self.behind);
            self.branch_or(self.step + 1, step, floor);
            return Flow::On;
        }
        let milliseconds = match pause {
            Pause::Default => floor.settings.pause.as_secs_f64() * 1_000.0,
            Pause::Drawn(distribution) => distribution.sample(&mut floor.random),
            Pause::Variable(variable) => self.value(variable, floor).number().unwrap_or(0.0),
        };
        let is_time = milliseconds.is_finite();
        let milliseconds = if is_time {
            milliseconds.clamp(0.0, PAUSE_MAX_MS)
        } else {
            0.0
        };
        floor.statistics.steps[self.step].messages += 1;
        let flow = self.act(now, self.step, step, None, floor);
        self.keep_books(now, step, floor);
        if flow != Flow::On || std::mem::take(&mut self.has_jumped) {
            return flow;
        }
        let intended = now.checked_sub(self.behind).unwrap_or(now);
        let until = intended + Duration::from_secs_f64(milliseconds / 1_000.0);
        // No pause is none, whatever the ticks are.
        let ticks = (milliseconds > 0.0).then_some(floor.ticks);
        self.pause_until = Some(ticks.map_or(until, |ticks| ticks.at_or_after(until)));
        Flow::On
    }

    fn wait_for(
        &mut self,
        now: Instant,
        step: &Step,
        receive: &Receive,
        floor: &mut Floor,
    ) -> Flow {
        if !self.has_entered {
            self.has_entered = true;
            self.receive_until = self.earliest_timeout(now, floor);
        }
        if self.receive_until.is_none_or(|until| now < until) {
            return Flow::Wait;
        }
        floor.statistics.steps[self.step].timeouts += 1;
        if let Some(target) = receive.on_timeout {
            self.behind = Duration::ZERO;
            self.go_to(target);
            return Flow::On;
        }
        let scenario = std::sync::Arc::clone(&floor.scenario);
        let wanted = scenario.steps.get(self.next_that_must(&scenario, floor));
        let (number, what) = (self.number, &wanted.unwrap_or(step).display);
        floor.warn(now, || {
            format!("call {number}: {what} did not come in time")
        });
        floor
            .statistics
            .tell(Failure::ReceiveTimeout, format!("{what} did not come"), 1);
        self.give_up(now, floor);
        Flow::End(Some(Failure::ReceiveTimeout))
    }

    /// When the first of the messages that may come now is overdue.
    fn earliest_timeout(&self, now: Instant, floor: &Floor) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        for step in &floor.scenario.steps[self.step..] {
            let StepKind::Receive(receive) = &step.kind else {
                break;
            };
            let time = receive.timeout.or(floor.settings.receive_timeout);
            let until = time.map(|time| now + time);
            earliest = [earliest, until].into_iter().flatten().min();
            if receive.optional == super::super::model::Optional::No {
                break;
            }
        }
        earliest
    }
}
