//! What belongs to what: RFC 3261 §17.1.3, §17.2.3 and §8.2.2.2 as fingerprints.
//!
//! A branch with the magic cookie identifies its transaction, together with sent-by and method. A
//! request without one is of RFC 2543 and is identified by everything it repeats; two of those
//! never fall into one transaction because both lack a branch.

use std::hash::{Hash, Hasher};
use std::net::SocketAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::sip::{HeaderName, Host, Method, Request, Via};

/// 128 bits of keyed SipHash-1-3 over what identifies something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64, u64);

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Makes fingerprints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matching {
    key: [u64; 2],
}

/// What a fingerprint is of, so that those of different kinds never meet.
#[derive(Clone, Copy)]
enum Kind {
    Client,
    Branch,
    BranchFrom,
    Old,
    OldRequest,
    OldAcknowledgement,
    Merged,
}

/// How a request from outside is identified.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerMatch {
    /// What the transaction goes by; for an ACK and a CANCEL, what their INVITE goes by.
    pub(super) primary: Fingerprint,
    /// What an INVITE also goes by: its branch, seen from the same address. Finds it for a CANCEL
    /// or ACK whose sent-by a NAT has changed.
    pub(super) from_source: Option<Fingerprint>,
    /// Of RFC 2543 requests, all but the To tag, in which an ACK differs from its INVITE.
    pub(super) old: Option<Fingerprint>,
}

impl Matching {
    pub(super) fn new(key: [u64; 2]) -> Self {
        Self { key }
    }

    /// RFC 3261 §17.1.3: branch and method; CANCEL has the branch of its INVITE.
    pub(super) fn client(&self, branch: &str, method: Method<'_>) -> Fingerprint {
        let mut digest = self.digest(Kind::Client);
        digest.text(branch.as_bytes());
        digest.text(method.as_str().as_bytes());
        digest.finish()
    }

    /// RFC 3261 §17.2.3. `method` is the request's own; for an ACK, and to look for what a CANCEL
    /// cancels, it is INVITE.
    pub(super) fn server(
        &self,
        request: &Request<'_>,
        method: Method<'_>,
        source: SocketAddr,
    ) -> ServerMatch {
        let Some(branch) = request.via.unique_branch() else {
            return self.old_server(request, method);
        };
        let primary = self.branch(&request.via, branch, method);
        let from_source = (method == Method::Invite).then(|| {
            let mut digest = self.digest(Kind::BranchFrom);
            digest.text(branch.as_bytes());
            source.hash(&mut digest.hasher);
            digest.finish()
        });
        ServerMatch {
            primary,
            from_source,
            old: None,
        }
    }

    /// What an INVITE with this top Via goes by, unless it is one of RFC 2543.
    pub(super) fn invite(&self, via: &Via<'_>) -> Option<Fingerprint> {
        let branch = via.unique_branch()?;
        Some(self.branch(via, branch, Method::Invite))
    }

    fn branch(&self, via: &Via<'_>, branch: &str, method: Method<'_>) -> Fingerprint {
        let mut digest = self.digest(Kind::Branch);
        digest.text(branch.as_bytes());
        digest.text(method.as_str().as_bytes());
        digest.host(via.host);
        digest.number(u64::from(via.sent_by_port()));
        digest.finish()
    }

    fn old_server(&self, request: &Request<'_>, method: Method<'_>) -> ServerMatch {
        let mut digest = self.digest(Kind::Old);
        digest.text(request.uri_bytes());
        digest.option(request.from_tag);
        digest.text(request.call_id.as_bytes());
        digest.number(u64::from(request.cseq));
        digest.text(
            request
                .message
                .elements(HeaderName::Via)
                .next()
                .unwrap_or_default(),
        );
        let old = digest.finish();
        let primary = match request.method {
            Method::Ack => self.old_acknowledgement(old, request.to_tag),
            Method::Invite
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Info
            | Method::Refer
            | Method::Message
            | Method::Update
            | Method::Prack
            | Method::Other(_) => {
                let mut digest = self.digest(Kind::OldRequest);
                digest.fingerprint(old);
                digest.text(method.as_str().as_bytes());
                digest.option(request.to_tag);
                digest.finish()
            }
        };
        ServerMatch {
            primary,
            from_source: None,
            old: Some(old),
        }
    }

    /// What the ACK of an RFC 2543 client goes by: its INVITE, with the To tag of our response.
    pub(super) fn old_acknowledgement(
        &self,
        old: Fingerprint,
        to_tag: Option<&str>,
    ) -> Fingerprint {
        let mut digest = self.digest(Kind::OldAcknowledgement);
        digest.fingerprint(old);
        digest.option(to_tag);
        digest.finish()
    }

    /// RFC 3261 §8.2.2.2: what a request has in common with itself come by another path; `None`
    /// inside a dialog.
    pub(super) fn merged(&self, request: &Request<'_>) -> Option<Fingerprint> {
        if request.to_tag.is_some() {
            return None;
        }
        let mut digest = self.digest(Kind::Merged);
        digest.option(request.from_tag);
        digest.text(request.call_id.as_bytes());
        digest.number(u64::from(request.cseq));
        digest.text(request.method.as_str().as_bytes());
        Some(digest.finish())
    }

    fn digest(&self, kind: Kind) -> Digest {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        hasher.write_u8(kind as u8);
        Digest { hasher }
    }
}

/// A fingerprint in the making. Every part carries its length, so that no two lists of parts read
/// the same.
struct Digest {
    hasher: SipHasher13,
}

impl Digest {
    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.hasher.write(text);
    }

    fn option(&mut self, text: Option<&str>) {
        self.hasher.write_u8(u8::from(text.is_some()));
        self.text(text.unwrap_or_default().as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.hasher.write_u64(number);
    }

    fn fingerprint(&mut self, fingerprint: Fingerprint) {
        self.number(fingerprint.0);
        self.number(fingerprint.1);
    }

    /// RFC 3261 §19.1.4: host names compare without regard to case.
    fn host(&mut self, host: Host<'_>) {
        match host {
            Host::Name(name) => {
                self.hasher.write_u8(0);
                self.number(name.len() as u64);
                for byte in name.bytes() {
                    self.hasher.write_u8(byte.to_ascii_lowercase());
                }
            }
            Host::V4(address) => {
                self.hasher.write_u8(4);
                self.hasher.write(&address.octets());
            }
            Host::V6(address) => {
                self.hasher.write_u8(6);
                self.hasher.write(&address.octets());
            }
        }
    }

    fn finish(self) -> Fingerprint {
        let hash = self.hasher.finish128();
        Fingerprint(hash.h1, hash.h2)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Whoever knows no key cannot aim at one place of a table (R1): what collides under one key
    /// is apart under another.
    #[test]
    fn r1_where_a_branch_falls_is_decided_by_a_secret() {
        let (one, other) = (Matching::new([1, 2]), Matching::new([3, 4]));
        let bucket =
            |matching: &Matching, branch: &str| matching.client(branch, Method::Invite).0 % 1_024;
        let branches = (0..200_000).map(|number| format!("z9hG4bK{number}"));
        let aimed: Vec<String> = branches.filter(|it| bucket(&one, it) == 7).collect();
        assert!(aimed.len() > 100, "they can be found by who knows the key");
        let places: BTreeSet<u64> = aimed.iter().map(|it| bucket(&other, it)).collect();
        assert!(
            places.len() * 10 > aimed.len() * 8,
            "{} places",
            places.len()
        );
    }
}
