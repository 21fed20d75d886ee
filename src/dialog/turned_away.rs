//! New calls that are not taken now: 503 with Retry-After, so that their trunk goes elsewhere. Such
//! a call costs no transaction, no leg, no parse and no allocation. What is kept of it is a keyed
//! hash: a copy of its INVITE that comes later is one that its caller has given up, and gets the
//! same answer although calls are taken again; its ACK is over before it is read.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use offhook_shards::Source;
use siphasher::sip::SipHasher24;

use crate::counters::Counter;
use crate::limits::{RETRY_AFTER_LINE, TURNED_AWAY_MAX};
use crate::sip::{Glance, Method, Request, Status, Via};

use super::dialog::Tag;
use super::requests::retry_later;
use super::strangers::Admission;
use super::user_agent::UserAgent;

/// The calls that were turned away last, each in the place of its hash, where a later one may
/// drive it out.
#[derive(Debug)]
pub(super) struct TurnedAway {
    began: Instant,
    /// How long a copy may be under way: 64*T1.
    kept: Duration,
    keys: [u64; 2],
    /// Half of the hash, and the second in which it was put down, counted from one.
    places: Box<[(u32, u32)]>,
    last: Option<Instant>,
}

impl TurnedAway {
    pub(super) fn new(now: Instant, kept: Duration, keys: [u64; 2]) -> Self {
        Self {
            began: now,
            kept,
            keys,
            places: vec![(0, 0); TURNED_AWAY_MAX].into(),
            last: None,
        }
    }

    /// Whether there is anything to look for.
    fn is_warm(&self, now: Instant) -> bool {
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) <= self.kept)
    }

    /// What a call goes by, and its To tag: what its INVITE, their copies and its ACK share.
    fn name(&self, source: IpAddr, branch: &str, call_id: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.keys[0], self.keys[1].rotate_left(32));
        match source.to_canonical() {
            IpAddr::V4(address) => hasher.write(&address.octets()),
            IpAddr::V6(address) => hasher.write(&address.octets()),
        }
        hasher.write_usize(branch.len());
        hasher.write(branch.as_bytes());
        hasher.write(call_id);
        hasher.finish()
    }

    fn second(&self, now: Instant) -> u32 {
        let seconds = now.saturating_duration_since(self.began).as_secs();
        u32::try_from(seconds + 1).unwrap_or(u32::MAX)
    }

    fn remember(&mut self, now: Instant, name: u64) {
        self.last = Some(now);
        self.places[place(name)] = (half(name), self.second(now));
    }

    fn contains(&self, now: Instant, name: u64) -> bool {
        let (found, second) = self.places[place(name)];
        let age = u64::from(self.second(now).saturating_sub(second));
        second > 0 && found == half(name) && age <= self.kept.as_secs()
    }
}

fn place(name: u64) -> usize {
    name as usize % TURNED_AWAY_MAX
}

fn half(name: u64) -> u32 {
    (name >> 32) as u32
}

impl UserAgent {
    /// Whether a message of somebody who may call is done with: the INVITE of a call that is not
    /// taken, which was answered, or its ACK. What is odd is none; it has to be read.
    pub fn turn_away(
        &mut self,
        now: Instant,
        source: Source,
        admission: Admission,
        bytes: &[u8],
    ) -> bool {
        let is_warm = self.turned_away.is_warm(now);
        if admission == Admission::Open && !is_warm {
            return false;
        }
        let from = source.remote.ip();
        if is_warm && let Some(glance) = Glance::acknowledgement(bytes) {
            let name = self.turned_away.name(from, glance.branch, glance.call_id);
            return self.turned_away.contains(now, name);
        }
        let Some(glance) = Glance::invite(bytes) else {
            return false;
        };
        if self.core.transactions.is_known_invite(&glance.via) {
            return false;
        }
        let name = self.turned_away.name(from, glance.branch, glance.call_id);
        if !self.is_turned_away(now, name, admission) {
            return false;
        }
        let mut answer = std::mem::take(&mut self.core.scratch);
        answer.clear();
        let feedback = self.core.transactions.feedback();
        let (status, tag) = ((Status::SERVICE_UNAVAILABLE, feedback), Tag(name).text());
        glance.respond(&mut answer, status, source.remote, &tag, RETRY_AFTER_LINE);
        self.send_stateless(source, &glance.via, &answer);
        self.core.scratch = answer;
        true
    }

    /// The same for a request that was read.
    pub(super) fn is_admitted(
        &mut self,
        now: Instant,
        source: Source,
        request: &Request<'_>,
        admission: Admission,
    ) -> bool {
        let opens = request.method == Method::Invite && request.to_tag.is_none();
        let is_past = admission == Admission::Open && !self.turned_away.is_warm(now);
        if !opens || is_past || self.core.transactions.is_known(request, source) {
            return true;
        }
        let Some(branch) = request.via.unique_branch() else {
            // Nothing names a call of RFC 2543 whose ACK has another branch.
            let Some(cause) = cause(admission) else {
                return true;
            };
            self.count_turned_away(cause);
            self.answer_stateless(source, request, Status::SERVICE_UNAVAILABLE, retry_later());
            return false;
        };
        let call_id = request.call_id.as_bytes();
        let name = self.turned_away.name(source.remote.ip(), branch, call_id);
        if !self.is_turned_away(now, name, admission) {
            return true;
        }
        let status = Status::SERVICE_UNAVAILABLE;
        let bytes = self.stateless(
            (source, &Tag(name).text()),
            &request.message,
            status,
            retry_later(),
        );
        self.send_stateless(source, &request.via, &bytes);
        false
    }

    /// Whether a call is turned away, now or before; it is counted once.
    fn is_turned_away(&mut self, now: Instant, name: u64, admission: Admission) -> bool {
        if self.turned_away.contains(now, name) {
            return true;
        }
        let Some(cause) = cause(admission) else {
            return false;
        };
        self.turned_away.remember(now, name);
        self.count_turned_away(cause);
        true
    }

    fn count_turned_away(&self, cause: Counter) {
        for counter in [cause, Counter::CallOffered, Counter::CallRefused] {
            self.core.count(counter);
        }
    }

    fn send_stateless(&mut self, source: Source, via: &Via<'_>, bytes: &[u8]) {
        let transactions = &mut self.core.transactions;
        transactions.send_response_stateless(source, via, bytes);
    }
}

/// Why a new call is not taken.
fn cause(admission: Admission) -> Option<Counter> {
    match admission {
        Admission::Open => None,
        Admission::Overloaded => Some(Counter::InviteOverload),
        Admission::OutOfMemory => Some(Counter::InviteOutOfMemory),
        Admission::TooOften => Some(Counter::InviteTooOften),
        Admission::Draining => Some(Counter::InviteDraining),
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    #[test]
    fn a_later_call_takes_the_place_of_an_earlier_one_and_all_are_forgotten_in_time() {
        let (now, kept) = (Clock.now(), Duration::from_secs(32));
        let mut turned_away = TurnedAway::new(now, kept, [1, 2]);
        assert!(!turned_away.is_warm(now));
        let names = [7, 8, 7 + (9 << 32)];
        turned_away.remember(now, names[0]);
        turned_away.remember(now, names[1]);
        assert!(turned_away.contains(now, names[0]) && turned_away.contains(now, names[1]));
        assert!(!turned_away.contains(now, names[2]));
        turned_away.remember(now, names[2]);
        let known = names.map(|name| turned_away.contains(now + kept, name));
        assert_eq!(known, [false, true, true]);
        let late = now + kept + Duration::from_secs(1);
        assert!(!names.iter().any(|name| turned_away.contains(late, *name)));
        assert!(turned_away.is_warm(now + kept) && !turned_away.is_warm(late));
        assert_eq!(turned_away.places.len(), TURNED_AWAY_MAX);
    }

    #[test]
    fn a_call_is_told_from_others_by_all_that_it_goes_by() {
        let turned_away = TurnedAway::new(Clock.now(), Duration::ZERO, [1, 2]);
        let source = IpAddr::from([192, 0, 2, 20]);
        let names = [
            turned_away.name(source, "z9hG4bKa", b"bc"),
            turned_away.name(source, "z9hG4bKab", b"c"),
            turned_away.name(source, "z9hG4bKa", b"bd"),
            turned_away.name(IpAddr::from([192, 0, 2, 21]), "z9hG4bKa", b"bc"),
        ];
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name));
        }
        let mapped = "::ffff:192.0.2.20".parse().expect("an address");
        assert_eq!(turned_away.name(mapped, "z9hG4bKa", b"bc"), names[0]);
    }
}
