//! A call's deadlines: few and fixed, so an array in the call; the table keeps one wheel entry a
//! call for the earliest.

use std::time::Instant;

/// What a call waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The INVITE's `Expires`: an unanswered caller gives up (RFC 3261 §13.3.1).
    Patience,
    /// The next provisional response: a proxy on the way gives up after three minutes without
    /// one (RFC 3261 §16.6, Timer C).
    Progress,
    /// Who is called has rung for long enough, or has not rung in all the time that it had.
    NoAnswer,
    /// An exchange of session descriptions has something to do, or digits are late: one deadline
    /// for both, as most calls have neither.
    Exchange,
    /// The longest that a call may last, answered or not, so that a lost BYE or CANCEL cannot hold
    /// an agent or a place for ever.
    Duration,
}

const TIMERS: [Timer; 5] = [
    Timer::Patience,
    Timer::Progress,
    Timer::NoAnswer,
    Timer::Exchange,
    Timer::Duration,
];

/// The deadlines of one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadlines([Option<Instant>; TIMERS.len()]);

impl Deadlines {
    /// Sets or moves a deadline.
    pub fn arm(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    /// Sets a deadline or takes it away.
    pub fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    /// Takes a deadline away.
    pub fn disarm(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    /// Takes all deadlines of an unanswered call away.
    pub fn disarm_setup(&mut self) {
        self.disarm(Timer::Patience);
        self.disarm(Timer::Progress);
        self.disarm(Timer::NoAnswer);
    }

    /// When it is due, if it is armed.
    #[must_use]
    pub fn at(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    /// The earliest deadline and its name.
    #[must_use]
    pub fn next(&self) -> Option<(Instant, Timer)> {
        TIMERS
            .iter()
            .filter_map(|&timer| self.0[timer as usize].map(|at| (at, timer)))
            .min()
    }
}
