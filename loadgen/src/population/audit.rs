//! Holds the two halves of a population against each other: whoever is connected is connected to
//! somebody, once, and nobody stays behind when the other side has gone.
//!
//! The legs of a call end at different moments, and over a lossy network they may end far apart.
//! So a contradiction counts only when it has lasted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Population;
use super::audio::{End, Party};
use super::pbx::{Activity, PhoneView};
use super::truth::{Fact, Fault, Token};

/// Contradictions that may still resolve.
#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Since when, and whether it has been reported.
    suspects: BTreeMap<(Token, Fault), (Instant, bool)>,
}

impl Population {
    /// Compares the halves and reports, as [`Fact::Fault`], each contradiction that has lasted
    /// for `grace`, once. Returns how many it reported now.
    pub fn audit(&mut self, now: Instant, grace: Duration) -> usize {
        let contradictions = self.contradictions();
        let suspects = &mut self.audit.suspects;
        suspects.retain(|suspect, _| contradictions.contains_key(suspect));
        let mut reported = 0;
        for ((token, fault), dn) in contradictions {
            let (since, known) = suspects.entry((token, fault)).or_insert((now, false));
            if *known || now < *since + grace {
                continue;
            }
            *known = true;
            reported += 1;
            self.pbx.report(
                now,
                Fact::Fault {
                    token: Some(token),
                    dn,
                    fault,
                },
            );
        }
        reported
    }

    fn contradictions(&self) -> BTreeMap<(Token, Fault), Option<String>> {
        let ends = self.ends();
        let by_place: BTreeMap<SocketAddr, &End> = ends.iter().map(|end| (end.here, end)).collect();
        let mut tokens: BTreeMap<Token, usize> = BTreeMap::new();
        for token in ends.iter().filter_map(|end| end.token) {
            *tokens.entry(token).or_default() += 1;
        }
        let mut found = BTreeMap::new();
        for end in &ends {
            let Some(token) = end.token else {
                continue;
            };
            let alone = match end.partner() {
                Some(at) => !by_place.contains_key(&at),
                // On hold: somebody else is in the call, or waits for it.
                None => tokens[&token] == 1 && !self.is_expected(end),
            };
            if !alone {
                continue;
            }
            match &end.party {
                Party::Caller(_) => found.insert((token, Fault::ConnectedToNobody), None),
                Party::Phone(dn) => found.insert((token, Fault::LeftBehind), Some(dn.clone())),
            };
        }
        for end in ends
            .iter()
            .filter(|end| matches!(end.party, Party::Caller(_)))
        {
            let mut heard_by = ends.iter().filter(|other| other.hears == Some(end.here));
            if let (Some(_), Some(second), Some(token)) =
                (heard_by.next(), heard_by.next(), end.token)
                && let Party::Phone(dn) = &second.party
            {
                found.insert((token, Fault::OfferedTwice), Some(dn.clone()));
            }
        }
        found
    }

    /// Whether a call with nobody else up in it may still find somebody: a phone rings with it.
    fn is_expected(&self, end: &End) -> bool {
        let rings = |phone: PhoneView<'_>| {
            [Activity::Ringing(end.token), Activity::Dialling(end.token)].contains(&phone.activity)
        };
        self.pbx.phones().any(rings)
    }
}
