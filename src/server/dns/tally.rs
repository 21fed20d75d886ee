//! What the resolver counts, for the metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::dns::Problem;
use crate::dns::book::Census;

/// Looks at DNS by outcome, and how the names stand.
#[derive(Debug, Default)]
pub struct Tally {
    found: AtomicU64,
    problems: [AtomicU64; 4],
    dropped: AtomicU64,
    fresh: AtomicU64,
    stale: AtomicU64,
    unresolved: AtomicU64,
}

const PROBLEMS: [Problem; 4] = [
    Problem::NoSuchName,
    Problem::NoAddress,
    Problem::NoAnswer,
    Problem::Refused,
];

impl Tally {
    pub(super) fn count_look(&self, problem: Option<Problem>) {
        let counter = match problem {
            None => &self.found,
            Some(problem) => &self.problems[problem as usize],
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn note(&self, census: Census) {
        self.fresh.store(census.fresh, Ordering::Relaxed);
        self.stale.store(census.stale, Ordering::Relaxed);
        self.unresolved.store(census.unresolved, Ordering::Relaxed);
    }

    /// Finished looks, by outcome.
    pub fn looks(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let found = ("found", self.found.load(Ordering::Relaxed));
        let problems = PROBLEMS.into_iter().zip(&self.problems);
        let problems =
            problems.map(|(problem, count)| (problem.name(), count.load(Ordering::Relaxed)));
        std::iter::once(found).chain(problems)
    }

    /// Questions of shards that there was no room for.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Names by how they stand.
    pub fn names(&self) -> [(&'static str, u64); 3] {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        [
            ("fresh", load(&self.fresh)),
            ("stale", load(&self.stale)),
            ("unresolved", load(&self.unresolved)),
        ]
    }
}
