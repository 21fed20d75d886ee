//! Challenges that are put to us (RFC 3261 §22.2, RFC 8760): which of them is answered, and the
//! answer in the requests that follow. Only a dialog that we have opened towards a trunk with
//! credentials answers any, so that nobody who calls us can have our password's hash.

use std::sync::Arc;

use crate::config::Credentials;
use crate::sip::digest::{self, Algorithm, Asked, Challenge};
use crate::sip::{HeaderName, Method, Response, Status};

use super::compose::Fields;

/// What a dialog shows its peer.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    credentials: Arc<Credentials>,
    answered: Option<Answered>,
    /// How many challenges were answered.
    attempts: u8,
}

/// The challenge that requests answer now.
#[derive(Debug, Clone)]
struct Answered {
    header: HeaderName,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    algorithm: Algorithm,
    counts: bool,
    client_nonce: u64,
    /// The number of the first request that answers it: counts go up with the numbers.
    first: u32,
}

impl Authorization {
    /// At most so many challenges are answered for one request: the second one only if it says
    /// that the first answer was stale (RFC 3261 §22.2).
    const ATTEMPTS_MAX: u8 = 2;

    pub(super) fn new(credentials: Arc<Credentials>) -> Self {
        Self {
            credentials,
            answered: None,
            attempts: 0,
        }
    }

    /// Takes the strongest challenge of a response that can be answered; whether there is one, so
    /// that the request may be sent again. `first` is the number that it will have then.
    pub(super) fn is_challenged(
        &mut self,
        response: &Response<'_>,
        first: u32,
        client_nonce: u64,
    ) -> bool {
        let (challenges, header) = match response.status {
            Status::UNAUTHORIZED => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            Status::PROXY_AUTHENTICATION_REQUIRED => (
                HeaderName::ProxyAuthenticate,
                HeaderName::ProxyAuthorization,
            ),
            _ => return false,
        };
        let challenges = response.message.headers(challenges);
        let ours = challenges
            .filter_map(|value| Challenge::parse(value).ok())
            .filter(|challenge| *challenge.realm == *self.credentials.realm);
        let Some(challenge) = ours.max_by_key(|challenge| challenge.algorithm) else {
            return false;
        };
        let again = self.attempts > 0;
        if self.attempts == Self::ATTEMPTS_MAX || again && !challenge.stale {
            return false;
        }
        self.attempts += 1;
        self.answered = Some(Answered {
            header,
            nonce: challenge.nonce.into(),
            opaque: challenge.opaque.map(Box::from),
            algorithm: challenge.algorithm,
            counts: challenge.counts,
            client_nonce,
            first,
        });
        true
    }

    /// A request was accepted: the next one may be challenged anew.
    pub(super) fn was_taken(&mut self) {
        self.attempts = 0;
    }

    /// The line that a request of this number shows.
    pub(super) fn fields(&self, method: Method<'_>, uri: &str, cseq: u32) -> Fields {
        let Some(answered) = &self.answered else {
            return Fields::default();
        };
        // RFC 3261 §22.1: ACK and CANCEL show what their INVITE has shown.
        let of_invite = [Method::Ack, Method::Cancel].contains(&method);
        let method = if of_invite { Method::Invite } else { method };
        let Credentials {
            realm,
            user,
            password,
        } = &*self.credentials;
        let count = format!("{:08x}", cseq.wrapping_sub(answered.first).wrapping_add(1));
        let client_nonce = format!("{:016x}", answered.client_nonce);
        let asked = Asked {
            method: method.as_str(),
            uri,
            nonce: &answered.nonce,
            counted: answered.counts.then_some((&*count, &*client_nonce)),
        };
        let algorithm = answered.algorithm;
        let response = digest::response(algorithm, (user, realm, password), asked);
        let counted = if answered.counts {
            format!(",qop=auth,nc={count},cnonce=\"{client_nonce}\"")
        } else {
            String::new()
        };
        let opaque = answered.opaque.as_ref();
        let opaque = opaque.map_or(String::new(), |opaque| format!(",opaque=\"{opaque}\""));
        let (nonce, algorithm) = (&answered.nonce, algorithm.as_str());
        Fields::default().with(
            answered.header,
            format_args!(
                "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
                 response=\"{response}\",algorithm={algorithm}{counted}{opaque}"
            ),
        )
    }
}
