//! Challenges that we put to callers (RFC 7616, RFC 8760): nothing is kept until a right answer
//! comes. A nonce is the time and a keyed hash of it, of the caller's address and of its Call-ID,
//! so that it is good for one call from one place for a while; each count of it is good once.

use std::collections::BTreeMap;
use std::hash::Hasher as _;
use std::net::IpAddr;
use std::time::Instant;

use offhook_shards::Source;
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;

use crate::config::Credentials;
use crate::counters::Counter;
use crate::limits::{NONCE_LIFETIME, NONCES_MAX};
use crate::sip::digest::{self, Algorithm, Answer, Asked};
use crate::sip::{HeaderName, Method, Request, Status};

use super::compose::Fields;
use super::turned_away::hash_address;
use super::user_agent::UserAgent;

/// The nonces that were answered, each with its highest count, by when they were made.
#[derive(Debug)]
pub(super) struct Nonces {
    started: Instant,
    keys: [u64; 2],
    counts: BTreeMap<(u64, u64), u32>,
}

/// How an answer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// Nobody has proved anything.
    Answer,
    /// It was right, and its nonce is too old or used up.
    Stale,
}

impl Nonces {
    pub(super) fn new(now: Instant, keys: [u64; 2]) -> Self {
        Self {
            started: now,
            keys,
            counts: BTreeMap::new(),
        }
    }

    fn age(&self, now: Instant) -> u64 {
        let age = now.saturating_duration_since(self.started).as_millis();
        u64::try_from(age).unwrap_or(u64::MAX)
    }

    /// RFC 7616 §5.4 leaves it to us what binds a nonce to its use.
    fn proof(&self, made: u64, source: IpAddr, call_id: &str) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(!self.keys[0], self.keys[1]);
        hasher.write_u64(made);
        hash_address(&mut hasher, source);
        hasher.write(call_id.as_bytes());
        hasher.finish()
    }

    fn make(&self, now: Instant, source: IpAddr, call_id: &str) -> String {
        let made = self.age(now);
        let proof = self.proof(made, source, call_id);
        format!("{made:016x}{proof:016x}")
    }

    /// Looks at the nonce first, which costs nobody anything, and only then hashes.
    fn check(
        &mut self,
        now: Instant,
        source: IpAddr,
        request: &Request<'_>,
        credentials: &Credentials,
    ) -> Result<(), Wrong> {
        // RFC 3261 §22.3: one for each realm that has asked, in any order.
        let values = request.message.headers(HeaderName::Authorization);
        let mut answers = values.filter_map(|value| Answer::parse(value).ok());
        let answer = answers.find(|answer| *answer.realm == *credentials.realm);
        let answer = answer.ok_or(Wrong::Answer)?;
        let (made, proof) = halves(answer.nonce).ok_or(Wrong::Answer)?;
        let expected = self.proof(made, source, request.call_id);
        if !bool::from(expected.ct_eq(&proof)) {
            return Err(Wrong::Answer);
        }
        let count = answer.counted().ok_or(Wrong::Answer)?;
        if answer.uri.as_bytes() != request.uri_bytes() || !is_right(&answer, request, credentials)
        {
            return Err(Wrong::Answer);
        }
        self.use_up(now, (made, proof), count)
    }

    /// Each count of a nonce is good once, and only upwards.
    fn use_up(&mut self, now: Instant, nonce: (u64, u64), count: u32) -> Result<(), Wrong> {
        let lifetime = u64::try_from(NONCE_LIFETIME.as_millis()).unwrap_or(u64::MAX);
        let oldest = self.age(now).saturating_sub(lifetime);
        self.counts = self.counts.split_off(&(oldest, 0));
        let last = self.counts.get(&nonce).copied();
        let is_full = last.is_none() && self.counts.len() == NONCES_MAX;
        if nonce.0 < oldest || is_full || last.is_some_and(|last| count <= last) {
            return Err(Wrong::Stale);
        }
        self.counts.insert(nonce, count);
        Ok(())
    }
}

/// A name that is not the one is as wrong as a password, and takes as long.
fn is_right(answer: &Answer<'_>, request: &Request<'_>, credentials: &Credentials) -> bool {
    let Credentials {
        realm,
        user,
        password,
    } = credentials;
    let asked = Asked {
        method: request.method.as_str(),
        uri: answer.uri,
        nonce: answer.nonce,
        counted: Some((answer.count, answer.client_nonce)),
    };
    let right = digest::response(answer.algorithm, (user, realm, password), asked);
    let given = answer.response.to_ascii_lowercase();
    let same_answer = right.as_bytes().ct_eq(given.as_bytes());
    let same_user = user.as_bytes().ct_eq(answer.user.as_bytes());
    let same_realm = realm.as_bytes().ct_eq(answer.realm.as_bytes());
    (same_answer & same_user & same_realm).into()
}

fn halves(nonce: &str) -> Option<(u64, u64)> {
    let is_hex = nonce.len() == 32 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (made, proof) = nonce.split_at_checked(16).filter(|_| is_hex)?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some((number(made)?, number(proof)?))
}

impl UserAgent {
    /// Whether a request is one that its sender may make. A call that shows no right answer is
    /// challenged, without a transaction: for what belongs to a call that was let in, for what
    /// ends here, and for repetitions there is nothing to prove.
    pub(super) fn is_proved(
        &mut self,
        now: Instant,
        source: Source,
        request: &Request<'_>,
        credentials: &Credentials,
    ) -> bool {
        let opens = request.method == Method::Invite && request.to_tag.is_none();
        if !opens || self.core.transactions.is_known(request, source) {
            return true;
        }
        let from = source.remote.ip();
        let Err(wrong) = self.nonces.check(now, from, request, credentials) else {
            return true;
        };
        let is_answered = request.message.header(HeaderName::Authorization).is_some();
        if is_answered && wrong == Wrong::Answer {
            self.core.count(Counter::InviteWrongPassword);
        }
        let nonce = self.nonces.make(now, from, request.call_id);
        let realm = &credentials.realm;
        let stale = if wrong == Wrong::Stale {
            ",stale=true"
        } else {
            ""
        };
        let mut fields = Fields::default();
        for algorithm in Algorithm::STRONGEST_FIRST {
            let algorithm = algorithm.as_str();
            let value = format_args!(
                "Digest realm=\"{realm}\",nonce=\"{nonce}\",algorithm={algorithm},\
                 qop=\"auth\"{stale}"
            );
            fields = fields.with(HeaderName::WwwAuthenticate, value);
        }
        self.answer_stateless(source, request, Status::UNAUTHORIZED, fields);
        false
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    #[test]
    fn when_as_many_nonces_were_answered_as_are_kept_the_next_is_stale_until_some_are_old() {
        let now = Clock.now();
        let mut nonces = Nonces::new(now, [1, 2]);
        for nonce in 0..NONCES_MAX as u64 {
            assert_eq!(nonces.use_up(now, (0, nonce), 1), Ok(()));
        }
        let another = (0, u64::MAX);
        assert_eq!(nonces.use_up(now, another, 1), Err(Wrong::Stale));
        assert_eq!(nonces.use_up(now, (0, 7), 2), Ok(()), "a known one");
        let later = now + NONCE_LIFETIME * 2;
        let fresh = (nonces.age(later), 1);
        assert_eq!(nonces.use_up(later, fresh, 1), Ok(()));
        assert_eq!(nonces.counts.len(), 1);
    }
}
