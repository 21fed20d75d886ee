//! Third-party call control: texts to and from a twin, which plays the other side of the same call.

use std::time::{Duration, Instant};

use super::super::floor::Floor;
use super::super::model::{Command, Step, StepKind};
use super::super::statistics::Failure;
use super::super::twin;
use super::{Call, Flow, Progress};

impl Call {
    pub(super) fn send_command(
        &mut self,
        now: Instant,
        step: &Step,
        command: &Command,
        floor: &mut Floor,
    ) -> Flow {
        let place = self.step;
        let mut bytes = std::mem::take(&mut floor.scratch);
        let fault = self.render(now, place, &command.text, floor, &mut bytes);
        let path = floor.twin_path(command.destination.as_deref());
        let sent = self.check(now, fault, &bytes, floor) && path.is_some();
        if let Some(path) = path.filter(|_| sent) {
            // As SIPp has it: what ends the text stands right behind it.
            bytes.truncate(bytes.trim_ascii_end().len());
            bytes.push(twin::END);
            floor.send(path, None, &mut self.last_sent, &bytes, now);
            floor.statistics.steps[place].messages += 1;
        }
        floor.scratch = bytes;
        if !sent {
            let (number, line) = (self.number, step.line);
            floor.warn(now, || {
                format!("call {number}: no twin to send the command of line {line} to")
            });
            self.give_up(now, floor);
            return Flow::End(Some(Failure::CommandNotSent));
        }
        self.complete(now, step, None, floor)
    }

    /// Takes a text from a twin and goes on.
    pub(crate) fn receive_command(
        &mut self,
        now: Instant,
        text: &[u8],
        floor: &mut Floor,
    ) -> Progress {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        while self.step < scenario.steps.len() && self.is_passed_over(&scenario, self.step, floor) {
            self.go_to(self.step + 1);
        }
        let step = scenario.steps.get(self.step);
        let is_expected = step.is_some_and(|step| match &step.kind {
            StepKind::ReceiveCommand { source } => {
                let from = twin::header(text, b"From");
                source
                    .as_ref()
                    .is_none_or(|source| from == Some(source.as_bytes()))
            }
            StepKind::Send(_)
            | StepKind::Receive(_)
            | StepKind::Pause(_)
            | StepKind::Nop
            | StepKind::TimeWait(_)
            | StepKind::SendCommand(_) => false,
        });
        let Some(step) = step.filter(|_| is_expected) else {
            if let Some(counts) = floor.statistics.steps.get_mut(self.step) {
                counts.unexpected += 1;
            }
            let number = self.number;
            floor.warn(now, || {
                format!("call {number}: a command came before its time")
            });
            self.give_up(now, floor);
            return self.end(now, floor, Some(Failure::Unexpected));
        };
        floor.statistics.steps[self.step].messages += 1;
        self.behind = Duration::ZERO;
        match self.complete(now, step, Some(text), floor) {
            Flow::On | Flow::Wait => self.run(now, floor),
            Flow::End(failure) => self.end(now, floor, failure),
        }
    }
}
