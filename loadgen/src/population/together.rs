//! A PBX and its callers as one node, and what only both halves together know: who got whom, how
//! fast, and whether somebody was free.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::audit::Audit;
use super::pbx::{Activity, Pbx, PhoneView};
use super::truth::{Fact, Record, Token};
use super::{Callers, Presence};
use crate::node::{Node, Packet};

/// How a caller found a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The call.
    pub token: Token,
    /// The first phone that it reached.
    pub dn: String,
    /// From the moment the caller was meant to call to the INVITE at the phone.
    pub from_intended: Duration,
    /// From the moment its INVITE left.
    pub from_sent: Duration,
    /// Whether somebody was certainly free at the intended moment: more phones had been idle for
    /// the settling time than callers were waiting.
    pub found_free: bool,
}

/// A caller that has not reached a phone yet.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    intended: Instant,
    sent: Instant,
    found_free: bool,
}

/// A PBX and its callers. See the module.
///
/// It takes the records of both halves: read them here, not there.
#[derive(Debug)]
pub struct Population {
    /// The PBX with its phones.
    pub pbx: Pbx,
    /// The callers.
    pub callers: Callers,
    /// How long a phone must have been idle to count as certainly free.
    settling: Duration,
    waiting: BTreeMap<Token, Waiting>,
    /// Callers whose phone did not answer: they wait again, before everybody else.
    returned: BTreeSet<Token>,
    pub(super) audit: Audit,
    records: Vec<Record>,
    routings: Vec<Routing>,
}

impl Population {
    /// Both halves. A phone counts as free when it has been idle for `settling`: as long as the
    /// server needs to know, wrap-up included.
    #[must_use]
    pub fn new(pbx: Pbx, callers: Callers, settling: Duration) -> Self {
        Self {
            pbx,
            callers,
            settling,
            waiting: BTreeMap::new(),
            returned: BTreeSet::new(),
            audit: Audit::default(),
            records: Vec::new(),
            routings: Vec::new(),
        }
    }

    /// Whether a phone has been idle for the settling time.
    #[must_use]
    pub fn is_free(&self, now: Instant, phone: &PhoneView<'_>) -> bool {
        let settled = phone.since.is_none_or(|since| now >= since + self.settling);
        phone.presence == Presence::Idle && phone.activity == Activity::Idle && settled
    }

    /// Takes what happened since the last time, in the order in which it happened.
    pub fn take_records(&mut self, now: Instant) -> Vec<Record> {
        self.digest(now);
        std::mem::take(&mut self.records)
    }

    /// Takes how callers found phones since the last time.
    pub fn take_routings(&mut self, now: Instant) -> Vec<Routing> {
        self.digest(now);
        std::mem::take(&mut self.routings)
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "it looks for two facts among many"
    )]
    fn digest(&mut self, now: Instant) {
        // Callers first: nobody reaches a phone before having called.
        for record in self.callers.take_records() {
            match &record.fact {
                Fact::Offered {
                    token, intended, ..
                } => {
                    // Whether there is one more than wait already; how many more is of no interest.
                    let waiting = self.waiting.len() + self.returned.len();
                    let free = self.pbx.phones().filter(|phone| self.is_free(now, phone));
                    let found_free = free.take(waiting + 1).count() > waiting;
                    let waiting = Waiting {
                        intended: *intended,
                        sent: record.at,
                        found_free,
                    };
                    self.waiting.insert(*token, waiting);
                }
                Fact::Ended { token, .. } => {
                    self.waiting.remove(token);
                    self.returned.remove(token);
                }
                _ => {}
            }
            self.records.push(record);
        }
        for record in self.pbx.take_records() {
            match &record.fact {
                Fact::Rang {
                    token: Some(token),
                    dn,
                } => {
                    self.returned.remove(token);
                    self.route(record.at, *token, dn);
                }
                Fact::PhoneRefused {
                    token: Some(token), ..
                }
                | Fact::PhoneCancelled {
                    token: Some(token), ..
                } if self.callers.is_waiting(*token) => {
                    self.returned.insert(*token);
                }
                _ => {}
            }
            self.records.push(record);
        }
    }

    /// A caller has reached a phone; the first one counts.
    fn route(&mut self, at: Instant, token: Token, dn: &str) {
        let Some(waiting) = self.waiting.remove(&token) else {
            return;
        };
        self.routings.push(Routing {
            token,
            dn: dn.to_owned(),
            from_intended: at.saturating_duration_since(waiting.intended),
            from_sent: at.saturating_duration_since(waiting.sent),
            found_free: waiting.found_free,
        });
    }
}

impl Node for Population {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        // What was commanded since counts as it was before the datagram.
        self.digest(now);
        if to == self.callers.address() && (!self.pbx.is_at(to) || self.callers.recognise(bytes)) {
            self.callers.handle_datagram(now, to, from, bytes);
        } else {
            self.pbx.handle_datagram(now, to, from, bytes);
        }
        self.digest(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.pbx.handle_timeout(now);
        self.callers.handle_timeout(now);
        self.digest(now);
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        self.callers
            .poll_transmit(buffer)
            .or_else(|| self.pbx.poll_transmit(buffer))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.callers
            .poll_timeout()
            .into_iter()
            .chain(self.pbx.poll_timeout())
            .min()
    }
}
