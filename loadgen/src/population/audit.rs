//! Holds the two halves of a population against each other: whoever is connected is connected to
//! somebody, once, and nobody stays behind when the other side has gone.
//!
//! The legs of a call end at different moments, and over a lossy network they may end far apart.
//! So a contradiction counts only when it has lasted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Population;
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
        let mut phones: BTreeMap<Token, Vec<&str>> = BTreeMap::new();
        for (token, dn) in self.pbx.connections() {
            if let Some(token) = token {
                phones.entry(token).or_default().push(dn);
            }
        }
        let mut callers: BTreeMap<Token, bool> = BTreeMap::new();
        for call in self.callers.live() {
            callers.insert(call.token, call.up_since.is_some());
        }
        let mut found = BTreeMap::new();
        for (token, dns) in &phones {
            if callers.get(token) != Some(&true) {
                found.insert(
                    (*token, Fault::LeftBehind),
                    dns.first().map(|dn| (*dn).to_owned()),
                );
            }
            if let [_, second, ..] = dns.as_slice() {
                found.insert((*token, Fault::OfferedTwice), Some((*second).to_owned()));
            }
        }
        for (token, up) in callers {
            if up && !phones.contains_key(&token) {
                found.insert((token, Fault::ConnectedToNobody), None);
            }
        }
        found
    }
}
