//! What the body of a NOTIFY says about the agent, and the memory of what was said last.
//!
//! A body that cannot be used is counted by its cause and changes nothing: nobody becomes Ready by
//! a mistake.

use std::hash::Hasher;
use std::num::NonZeroU64;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use crate::config;
use crate::counters::Counter;
use crate::dialog::PassingBody;
use crate::limits::ACTIVITY_LISTS_MAX;
use crate::sip::pidf::{self, Activities, Basic, PidfError};

use super::entity::is_about;
use super::{ActivityList, Vote};

/// The last word about a DN.
#[derive(Debug)]
pub(super) struct LastVote {
    /// Of the body that said it; `None` when no body did.
    digest: Option<NonZeroU64>,
    said: Said,
}

/// A vote without its occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Nothing,
    Out(ActivityList),
    NotReady(ActivityList),
    Ready,
}

impl Default for LastVote {
    fn default() -> Self {
        Self {
            digest: None,
            said: Said::Nothing,
        }
    }
}

impl LastVote {
    /// Whether presence has a say.
    pub(super) fn is_some(&self) -> bool {
        match self.said {
            Said::Nothing => false,
            Said::Out(_) | Said::NotReady(_) | Said::Ready => true,
        }
    }

    /// What was known has expired.
    pub(super) fn expire(&mut self) -> Vote {
        *self = Self::default();
        self.vote(false)
    }

    /// The subscription was terminated: that alone logs out, whatever its body says.
    pub(super) fn terminate(&mut self) -> Vote {
        *self = Self {
            digest: None,
            said: Said::Out(Arc::default()),
        };
        self.vote(false)
    }

    /// Reads a body about `dn`. The counter names the cause for which it cannot be used.
    pub(super) fn read(
        &mut self,
        config: &config::Presence,
        lists: &mut Lists,
        dn: &str,
        body: &PassingBody,
        initial: bool,
    ) -> Result<Vote, Counter> {
        if !is_presence(&body.content_type) {
            return Err(Counter::NotifyContentType);
        }
        let digest = lists.digest(&body.bytes);
        // The same words again, as after most refreshes: nothing to read.
        if self.digest == Some(digest) {
            return Ok(self.vote(initial));
        }
        let text = pidf::text(&body.bytes).map_err(counter)?;
        let document = pidf::parse(&text).map_err(counter)?;
        if !is_about(&document.entity, dn) {
            return Err(Counter::NotifyOtherEntity);
        }
        let activities = lists.shared(activities(config, &document.activities));
        self.digest = Some(digest);
        self.said = match (document.basic, activities.is_empty()) {
            (Basic::Open, true) => Said::Ready,
            (Basic::Open, false) => Said::NotReady(activities),
            (Basic::Closed, _) => Said::Out(activities),
        };
        Ok(self.vote(initial))
    }

    fn vote(&self, initial: bool) -> Vote {
        match &self.said {
            Said::Nothing => Vote::None,
            Said::Out(activities) => Vote::Out {
                activities: Arc::clone(activities),
            },
            Said::NotReady(activities) => Vote::NotReady {
                activities: Arc::clone(activities),
                initial,
            },
            Said::Ready => Vote::Ready { initial },
        }
    }
}

/// Parameters do not matter; UCM's own phones also take the older label.
fn is_presence(content_type: &[u8]) -> bool {
    let end = content_type
        .iter()
        .position(|&byte| byte == b';')
        .unwrap_or(content_type.len());
    let media_type = content_type[..end].trim_ascii();
    media_type.eq_ignore_ascii_case(b"application/pidf+xml")
        || media_type.eq_ignore_ascii_case(b"application/cpim-pidf+xml")
}

/// The lists of activities that phones have named. A floor knows few, so that one copy of each
/// serves all its phones.
#[derive(Debug)]
pub(super) struct Lists {
    /// Keys the digests, so that nobody outside can make two bodies look the same.
    key: u64,
    /// Those named last, the newest first.
    known: Vec<ActivityList>,
}

impl Lists {
    pub(super) fn new(key: u64) -> Self {
        Self {
            key,
            known: Vec::with_capacity(ACTIVITY_LISTS_MAX),
        }
    }

    fn digest(&self, bytes: &[u8]) -> NonZeroU64 {
        let mut hasher = SipHasher13::new_with_keys(self.key, !self.key);
        hasher.write(bytes);
        NonZeroU64::new(hasher.finish()).unwrap_or(NonZeroU64::MAX)
    }

    fn shared<'a>(&mut self, names: impl Iterator<Item = &'a str> + Clone) -> ActivityList {
        let same = |list: &ActivityList| list.iter().map(String::as_str).eq(names.clone());
        let list = match self.known.iter().position(same) {
            Some(0) => return Arc::clone(&self.known[0]),
            Some(place) => self.known.remove(place),
            None => {
                self.known.truncate(ACTIVITY_LISTS_MAX - 1);
                Arc::new(names.map(str::to_owned).collect())
            }
        };
        self.known.insert(0, Arc::clone(&list));
        list
    }
}

fn counter(error: PidfError) -> Counter {
    match error {
        PidfError::TooLarge | PidfError::TooDeep | PidfError::TooWide => Counter::NotifyTooLarge,
        PidfError::Utf16
        | PidfError::Syntax
        | PidfError::Entity
        | PidfError::UndeclaredPrefix
        | PidfError::NotPresence
        | PidfError::EntityMissing
        | PidfError::BasicMissing => Counter::NotifyMalformed,
    }
}

/// Those that count, the reason code first. A name that nobody knows counts.
fn activities<'a>(
    config: &config::Presence,
    activities: &Activities<'a>,
) -> impl Iterator<Item = &'a str> + Clone {
    let named = activities
        .iter()
        .filter(|activity| counts(config, activity));
    // A phone that is in use says so whatever else its user does.
    let in_use = |activity: &&str| *activity == "on-the-phone";
    let first = named.clone().filter(in_use);
    first.chain(named.filter(move |activity| !in_use(activity)))
}

fn counts(config: &config::Presence, activity: &str) -> bool {
    let idle = config
        .idle_activities
        .iter()
        .any(|idle| idle.eq_ignore_ascii_case(activity));
    let ringing = activity.eq_ignore_ascii_case("alerting") && !config.alerting_is_activity;
    !idle && !ringing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_that_were_named_last_are_kept_and_no_more() {
        let mut lists = Lists::new(1);
        let kept = |lists: &mut Lists, name: &str| {
            let before = lists.known.clone();
            let list = lists.shared([name].into_iter());
            before.iter().any(|known| Arc::ptr_eq(known, &list))
        };
        for number in 0..=ACTIVITY_LISTS_MAX {
            assert!(!kept(&mut lists, &number.to_string()));
        }
        assert_eq!(lists.known.len(), ACTIVITY_LISTS_MAX);
        assert!(kept(&mut lists, "1") && kept(&mut lists, "2"));
        assert!(!kept(&mut lists, "0"), "the oldest is forgotten");
    }
}
