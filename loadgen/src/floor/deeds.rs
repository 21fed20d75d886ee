//! What is done to calls, counted: by the events that tell of it, by the requests of desktops that
//! were carried out, and by what phones know of themselves.

use std::collections::BTreeMap;

use super::said::Said;
use super::stage::OBSERVER;
use crate::population::Fact;

/// What is done on every floor, as [`Said::deed`], desktops and phones name it.
const EVERYWHERE: [&str; 6] = [
    "consulted about",
    "held",
    HELD_BY_DESKTOP,
    HELD_BY_PHONE,
    "transferred",
    RELEASED_BY_DESKTOP,
];
const HELD_BY_DESKTOP: &str = "held by desktop";
const HELD_BY_PHONE: &str = "held by phone";
const RELEASED_BY_DESKTOP: &str = "released by desktop";

/// How often each was done.
#[derive(Debug, Clone)]
pub(super) struct Deeds(BTreeMap<&'static str, u64>);

impl Deeds {
    pub(super) fn none() -> Self {
        Self(EVERYWHERE.map(|deed| (deed, 0)).into())
    }

    /// The server has said something, perhaps in answer to this request.
    pub(super) fn hear(&mut self, said: &Said, request: Option<&str>) {
        let deed = match request {
            _ if said.connection == OBSERVER => said.deed(),
            Some("RequestReleaseCall") => Some(RELEASED_BY_DESKTOP),
            Some("RequestHoldCall") => Some(HELD_BY_DESKTOP),
            Some(_) | None => None,
        };
        if let Some(deed) = deed.filter(|_| said.error.is_none()) {
            self.count(deed);
        }
    }

    /// Something has happened at a PBX.
    pub(super) fn see(&mut self, fact: &Fact) {
        if let Fact::Changed {
            dn: Some(_),
            change,
            ..
        } = fact
            && change.holds()
        {
            self.count(HELD_BY_PHONE);
        }
    }

    fn count(&mut self, deed: &'static str) {
        *self.0.entry(deed).or_default() += 1;
    }

    pub(super) fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}
