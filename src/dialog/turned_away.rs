//! The verdict on new calls, in one place: those that are not taken get 503 with Retry-After, so
//! that their trunk goes elsewhere. Such a call costs no transaction, no leg, no allocation and,
//! where a glance is enough, no parse. What is kept of it is a keyed hash: a copy of its INVITE
//! that comes later is one that its caller has given up, and gets the same answer although calls
//! are taken again; its ACK is over before it is read.

use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use offhook_shards::Source;
use siphasher::sip::SipHasher24;

use crate::allowance::Rate;
use crate::counters::Counter;
use crate::limits::{RETRY_AFTER_LINE, TURNED_AWAY_MAX};
use crate::sip::{Glance, Method, Request, Status, Via};

use super::dialog::Tag;
use super::requests::retry_later;
use super::strangers::Admission;
use super::user_agent::UserAgent;

/// New calls of those who may call: how many came, and how many of them were too many for us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// Each once, but not those for which the server or the caller's rate is to blame.
    pub came: u32,
    /// Refused because there is more to do than can be done.
    pub refused: u32,
}

impl std::ops::AddAssign for Offered {
    fn add_assign(&mut self, more: Self) {
        self.came = self.came.saturating_add(more.came);
        self.refused = self.refused.saturating_add(more.refused);
    }
}

/// What becomes of a request, as far as it makes a new call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It makes none.
    Goes,
    /// It may make one.
    Call,
    /// It was answered.
    Refused,
}

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
        hash_address(&mut hasher, source);
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

/// An address is the same whether it came by IPv4 or was mapped.
pub(super) fn hash_address(hasher: &mut SipHasher24, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => hasher.write(&address.octets()),
        IpAddr::V6(address) => hasher.write(&address.octets()),
    }
}

fn place(name: u64) -> usize {
    name as usize % TURNED_AWAY_MAX
}

fn half(name: u64) -> u32 {
    (name >> 32) as u32
}

impl UserAgent {
    /// New calls since this was asked last.
    pub fn take_offered(&mut self) -> Offered {
        std::mem::take(&mut self.offered)
    }

    /// Whether a message of somebody who may call is done with before it is read: the INVITE of a
    /// call that is certainly not taken, which was answered, or its ACK.
    pub fn refuse_at_a_glance(
        &mut self,
        now: Instant,
        source: Source,
        (admission, call_rate): (Admission, Rate),
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
        if self.core.transactions.is_known_invite(&glance.via) || self.was_accepted(&glance) {
            return false;
        }
        let name = self.turned_away.name(from, glance.branch, glance.call_id);
        let gate = (admission, call_rate);
        if !self.is_refused(now, from, Some(name), gate) {
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

    /// Whether this is the INVITE of a call that an earlier process has answered.
    fn was_accepted(&self, glance: &Glance<'_>) -> bool {
        let table = &self.core.table;
        let call = table.has_accepted().then(|| glance.caller()).flatten();
        call.is_some_and(|(call_id, tag)| table.was_accepted(call_id, tag, glance.cseq))
    }

    /// What becomes of a request of somebody who may call.
    pub(super) fn verdict(
        &mut self,
        now: Instant,
        source: Source,
        request: &Request<'_>,
        gate: (Admission, Rate),
    ) -> Verdict {
        let is_call = request.method == Method::Invite && request.to_tag.is_none();
        let is_cancel = request.method == Method::Cancel && gate.0 != Admission::Open;
        let is_known = self.core.transactions.is_known(request, source);
        if !is_call && !is_cancel || is_known || self.repeats_before_crash(request) {
            return Verdict::Goes;
        }
        let from = source.remote.ip();
        // Nothing names a call of RFC 2543, whose ACK has another branch.
        let name = request.via.unique_branch().map(|branch| {
            self.turned_away
                .name(from, branch, request.call_id.as_bytes())
        });
        if is_cancel {
            // Its INVITE may be waiting yet, and nobody's phone may ring for it.
            if name.is_some() {
                self.is_refused(now, from, name, gate);
            }
            return Verdict::Goes;
        }
        if !self.is_refused(now, from, name, gate) {
            self.offered += Offered {
                came: 1,
                refused: 0,
            };
            return Verdict::Call;
        }
        let (status, fields) = (Status::SERVICE_UNAVAILABLE, retry_later());
        let Some(name) = name else {
            self.answer_stateless(source, request, status, fields);
            return Verdict::Refused;
        };
        let to = (source, &*Tag(name).text());
        let bytes = self.stateless(to, &request.message, status, fields);
        self.send_stateless(source, &request.via, &bytes);
        Verdict::Refused
    }

    /// Whether a call is turned away, now or before; it is counted once.
    fn is_refused(
        &mut self,
        now: Instant,
        from: IpAddr,
        name: Option<u64>,
        (admission, call_rate): (Admission, Rate),
    ) -> bool {
        if name.is_some_and(|name| self.turned_away.contains(now, name)) {
            return true;
        }
        let cause = match admission {
            Admission::Draining => Counter::InviteDraining,
            Admission::Overloaded => Counter::InviteOverload,
            Admission::OutOfMemory => Counter::InviteOutOfMemory,
            Admission::Open if self.callers.has_room(now, from, call_rate) => return false,
            Admission::Open => Counter::InviteTooOften,
        };
        if matches!(admission, Admission::Overloaded | Admission::OutOfMemory) {
            self.offered += Offered {
                came: 1,
                refused: 1,
            };
        }
        if let Some(name) = name {
            self.turned_away.remember(now, name);
        }
        for counter in [cause, Counter::CallOffered, Counter::CallRefused] {
            self.core.count(counter);
        }
        true
    }

    fn send_stateless(&mut self, source: Source, via: &Via<'_>, bytes: &[u8]) {
        let transactions = &mut self.core.transactions;
        transactions.send_response_stateless(source, via, bytes);
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
