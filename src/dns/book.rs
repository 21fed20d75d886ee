//! What the control plane knows of every name, and when it looks again: by the lifetime of the
//! answer within a floor and a ceiling, after a failure sooner, and ever less often while it lasts.
//! The last good answer outlives every failure. It asks nobody; `server::dns` does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;

use crate::limits::{
    DNS_FAILED_RETRY_MAX, DNS_FAILED_RETRY_MIN, DNS_LOOKUPS_MAX, DNS_QUESTIONS_MAX,
};

use super::{Place, Problem, Question, Resolved};

/// How long answers hold, whatever DNS says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// At least so long.
    pub floor: Duration,
    /// At most so long.
    pub ceiling: Duration,
}

/// What a look at DNS brought: where the name leads and for how long, or why nowhere.
pub type Found = Result<(Vec<Place>, Duration), Problem>;

/// Whom an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readers {
    /// A name of the configuration: all shards.
    All,
    /// The name of a far end: those that asked.
    Those(BTreeSet<ShardId>),
}

/// How many names stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Those whose last look was good.
    pub fresh: u64,
    /// Those that live on an old answer.
    pub stale: u64,
    /// Those that lead nowhere.
    pub unresolved: u64,
}

/// All names.
#[derive(Debug)]
pub struct Book {
    lifetimes: Lifetimes,
    entries: BTreeMap<Arc<Question>, Entry>,
    /// The entries by when they are due; those being looked up are not here.
    due: BTreeSet<(Instant, Arc<Question>)>,
    in_flight: usize,
}

#[derive(Debug)]
struct Entry {
    /// A name of the configuration is looked up for as long as the server runs.
    configured: bool,
    readers: BTreeSet<ShardId>,
    /// `None` before the first answer.
    last: Option<(Arc<[Place]>, Option<Problem>)>,
    /// When it is looked up next, or forgotten; `None` while it is being looked up.
    at: Option<Instant>,
    /// Failures in a row.
    failures: u32,
}

impl Book {
    /// A book of the configuration's names, which are due at once.
    pub fn new(
        now: Instant,
        lifetimes: Lifetimes,
        configured: impl Iterator<Item = Question>,
    ) -> Self {
        let mut book = Self {
            lifetimes,
            entries: BTreeMap::new(),
            due: BTreeSet::new(),
            in_flight: 0,
        };
        for question in configured {
            book.enter(now, Arc::new(question), true, BTreeSet::new());
        }
        book
    }

    /// A shard asks for the name of a far end. `false` when there is no room: it asks again.
    #[must_use]
    pub fn ask(&mut self, now: Instant, shard: ShardId, question: Question) -> bool {
        let question = Arc::new(question);
        if let Some(entry) = self.entries.get_mut(&question) {
            entry.readers.insert(shard);
            let Some(at) = entry.at else { return true };
            // What is known already is asked for again: the shard's copy is as old as ours.
            if !entry.configured && now < at {
                self.due.remove(&(at, Arc::clone(&question)));
                entry.at = Some(now);
                self.due.insert((now, question));
            }
            return true;
        }
        if self.entries.len() >= DNS_QUESTIONS_MAX {
            return false;
        }
        self.enter(now, question, false, BTreeSet::from([shard]));
        true
    }

    /// The next name to look up; its outcome comes back by [`Self::handle`].
    pub fn next_lookup(&mut self, now: Instant) -> Option<Arc<Question>> {
        while self.in_flight < DNS_LOOKUPS_MAX {
            let (at, _) = self.due.first()?;
            if now < *at {
                return None;
            }
            let (_, question) = self.due.pop_first()?;
            let entry = self.entries.get_mut(&question);
            let entry = entry.expect("what is due is in the book");
            if !entry.configured && entry.readers.is_empty() {
                self.entries.remove(&question);
                continue;
            }
            entry.at = None;
            self.in_flight += 1;
            return Some(question);
        }
        None
    }

    /// When [`Self::next_lookup`] has one; `None` while there is no room for it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let first = self.due.first().map(|(at, _)| *at);
        first.filter(|_| self.in_flight < DNS_LOOKUPS_MAX)
    }

    /// A look has come to its end. What the shards are to be told, if it is news for them.
    pub fn handle(
        &mut self,
        now: Instant,
        question: &Arc<Question>,
        found: Found,
    ) -> Option<(Readers, Resolved)> {
        let entry = self.entries.get_mut(question)?;
        self.in_flight -= 1;
        let old = entry.last.take();
        let (places, problem, lifetime) = match found {
            Ok((mut places, lifetime)) => {
                places.sort_unstable();
                places.dedup();
                entry.failures = 0;
                let lifetime = lifetime.clamp(self.lifetimes.floor, self.lifetimes.ceiling);
                (Arc::from(places), None, lifetime)
            }
            Err(problem) => {
                let doubled = DNS_FAILED_RETRY_MIN * (1 << entry.failures.min(8));
                entry.failures = entry.failures.saturating_add(1);
                let kept = old.as_ref().map(|(places, _)| Arc::clone(places));
                let wait = doubled.min(DNS_FAILED_RETRY_MAX);
                (kept.unwrap_or_default(), Some(problem), wait)
            }
        };
        let last = (places, problem);
        let is_news = old.as_ref() != Some(&last);
        entry.last = Some(last.clone());
        entry.at = Some(now + lifetime);
        self.due.insert((now + lifetime, Arc::clone(question)));
        let resolved = Resolved {
            question: Arc::clone(question),
            places: last.0,
            problem: last.1,
            lifetime,
        };
        let readers = std::mem::take(&mut entry.readers);
        match (entry.configured, readers.is_empty()) {
            (true, true) => is_news.then_some((Readers::All, resolved)),
            (true, false) => Some((Readers::All, resolved)),
            (false, _) => Some((Readers::Those(readers), resolved)),
        }
    }

    /// How the names stand.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census::default();
        for entry in self.entries.values() {
            match &entry.last {
                Some((_, None)) => census.fresh += 1,
                Some((places, Some(_))) if !places.is_empty() => census.stale += 1,
                Some(_) | None => census.unresolved += 1,
            }
        }
        census
    }

    fn enter(
        &mut self,
        now: Instant,
        question: Arc<Question>,
        configured: bool,
        readers: BTreeSet<ShardId>,
    ) {
        let entry = Entry {
            configured,
            readers,
            last: None,
            at: Some(now),
            failures: 0,
        };
        if self.entries.insert(Arc::clone(&question), entry).is_none() {
            self.due.insert((now, question));
        }
    }
}

#[cfg(test)]
mod tests;
