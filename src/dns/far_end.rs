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
mod tests {
    use std::time::Duration;

    use super::*;

    fn question(host: &str) -> Question {
        Question::new(host, Some(5060), None)
    }

    fn resolved(host: &str, places: &[Place]) -> Resolved {
        Resolved {
            question: Arc::new(question(host)),
            places: places.into(),
            problem: None,
            lifetime: Duration::from_mins(1),
        }
    }

    const PLACE: Place = Place {
        priority: 0,
        transport: offhook_shards::Transport::Udp,
        address: std::net::SocketAddr::new(
            std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
            5060,
        ),
        weight: 0,
    };

    #[test]
    fn a_name_is_asked_for_once_and_old_answers_serve_until_new_ones_come() {
        let mut now = Instant::now();
        let mut names = FarEnds::new(now);
        let name = question("Phone.Example.com.");
        assert_eq!(names.find(now, &name), (Known::Nothing, true));
        assert_eq!(names.find(now, &name), (Known::Nothing, false));
        names.handle(now, &resolved("phone.example.com", &[PLACE]));
        let places = Known::Places([PLACE].into());
        assert_eq!(names.find(now, &name), (places.clone(), false));
        now += Duration::from_mins(2);
        assert_eq!(names.find(now, &name), (places.clone(), true));
        assert_eq!(names.find(now, &name), (places, false));
    }

    #[test]
    fn a_flood_of_names_ends_at_the_limit_and_passes() {
        let mut now = Instant::now();
        let mut names = FarEnds::new(now);
        for number in 0..DNS_FAR_ENDS_MAX {
            let name = question(&format!("n{number}.example.com"));
            assert_eq!(names.find(now, &name), (Known::Nothing, true));
        }
        let late = question("late.example.com");
        assert_eq!(names.find(now, &late), (Known::Full, false));
        names.handle(now, &resolved("unasked.example.com", &[PLACE]));
        assert_eq!(names.names.len(), DNS_FAR_ENDS_MAX);
        now += DNS_ASK_AGAIN + DNS_FAR_END_SWEEP;
        assert_eq!(names.find(now, &late), (Known::Nothing, true));
        assert_eq!(names.names.len(), 1, "what nobody answered is forgotten");
    }
}
