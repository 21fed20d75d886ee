//! The names in the URIs of far ends (Contact, Record-Route) that one shard has met: what is known
//! of them, and which are to be asked for. Their number is bounded, however many a peer makes up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::limits::{DNS_ASK_AGAIN, DNS_FAR_END_SWEEP, DNS_FAR_ENDS_MAX};

use super::{Place, Question, Resolved};

/// The names of one shard.
#[derive(Debug)]
pub(crate) struct FarEnds {
    names: BTreeMap<Question, Name>,
    /// Full, it is not looked through again before.
    sweep_at: Instant,
}

#[derive(Debug)]
struct Name {
    places: Arc<[Place]>,
    /// Not to be asked for again before.
    until: Instant,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// It leads there.
    Places(Arc<[Place]>),
    /// No answer with an address has come.
    Nothing,
    /// There is no room to remember that it was asked for.
    Full,
}

impl FarEnds {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            names: BTreeMap::new(),
            sweep_at: now,
        }
    }

    /// Where a name leads, and whether it is to be asked for first. Old answers are good until the
    /// new one has come.
    pub(crate) fn find(&mut self, now: Instant, question: &Question) -> (Known, bool) {
        if let Some(name) = self.names.get_mut(question) {
            let ask = name.until <= now;
            if ask {
                name.until = now + DNS_ASK_AGAIN;
            }
            let known = if name.places.is_empty() {
                Known::Nothing
            } else {
                Known::Places(Arc::clone(&name.places))
            };
            return (known, ask);
        }
        if !self.has_room(now) {
            return (Known::Full, false);
        }
        let name = Name {
            places: Arc::default(),
            until: now + DNS_ASK_AGAIN,
        };
        self.names.insert(question.clone(), name);
        (Known::Nothing, true)
    }

    /// An answer has come.
    pub(crate) fn handle(&mut self, now: Instant, resolved: &Resolved) {
        let known = self.names.contains_key(&*resolved.question);
        if !known && !self.has_room(now) {
            return;
        }
        let name = Name {
            places: Arc::clone(&resolved.places),
            until: now + resolved.lifetime,
        };
        self.names.insert((*resolved.question).clone(), name);
    }

    fn has_room(&mut self, now: Instant) -> bool {
        if self.names.len() < DNS_FAR_ENDS_MAX {
            return true;
        }
        if now < self.sweep_at {
            return false;
        }
        self.sweep_at = now + DNS_FAR_END_SWEEP;
        self.names.retain(|_, name| now < name.until);
        self.names.len() < DNS_FAR_ENDS_MAX
    }
}

#[cfg(test)]
mod tests;
