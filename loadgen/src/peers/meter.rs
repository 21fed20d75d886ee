//! Processor time of programs that run, beside what they use when nobody wants anything.

use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::scene::Stage;
use crate::process;

/// How long it is watched what a program uses by itself.
const IDLE_WATCHED: Duration = Duration::from_secs(1);

/// Processor time of programs from some moment on, less what they use by themselves.
pub(super) struct Meter<const N: usize> {
    processes: [u32; N],
    /// What each uses by itself: the part of a core.
    idle: [f64; N],
    before: [Duration; N],
    began: Instant,
}

impl<const N: usize> Meter<N> {
    /// Looks how they are while nobody calls.
    ///
    /// # Errors
    /// That one has ended.
    pub(super) fn of(stage: &Stage<'_>, processes: [u32; N]) -> Result<Self, String> {
        let mut meter = Self {
            processes,
            idle: [0.0; N],
            before: [Duration::ZERO; N],
            began: Clock.now(),
        };
        meter.begin()?;
        stage.pass(IDLE_WATCHED)?;
        let length = Clock.now() - meter.began;
        meter.idle = meter.used()?.map(|used| used.div_duration_f64(length));
        Ok(meter)
    }

    /// From now on.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn begin(&mut self) -> Result<(), String> {
        self.began = Clock.now();
        for (before, process) in self.before.iter_mut().zip(self.processes) {
            *before = process::processor(process)?;
        }
        Ok(())
    }

    /// Of each since then.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn used(&self) -> Result<[Duration; N], String> {
        let length = Clock.now() - self.began;
        let mut all = [Duration::ZERO; N];
        for (at, used) in all.iter_mut().enumerate() {
            let total = process::processor(self.processes[at])?.saturating_sub(self.before[at]);
            *used = total.saturating_sub(length.mul_f64(self.idle[at]));
        }
        Ok(all)
    }
}
