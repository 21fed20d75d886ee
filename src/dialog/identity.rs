//! What an INVITE says to the layers above: who calls whom, with what, and for how long.

use std::time::Duration;

use offhook_shards::Source;

use crate::sip::{HeaderName, Host, Message, NameAddr, Request};

use super::compose::{MAX_FORWARDS, one_line};
use super::incoming::offer_of;
use super::{Invitation, Party};

/// Headers that go through us untouched.
const CARRIED: [HeaderName; 3] = [
    HeaderName::SessionId,
    HeaderName::CiscoGuid,
    HeaderName::Diversion,
];

/// Reads an INVITE whose Max-Forwards is not zero.
pub(super) fn invitation(request: &Request<'_>, source: Source) -> Invitation {
    let message = &request.message;
    let expires = message.expires().ok().flatten();
    Invitation {
        transport: source.transport,
        source: source.remote,
        called: number(request.uri.user.unwrap_or_default()),
        calling: calling(request),
        max_forwards: request
            .max_forwards
            .unwrap_or(MAX_FORWARDS)
            .saturating_sub(1),
        expires: expires.map(|seconds| Duration::from_secs(u64::from(seconds))),
        offer: offer_of(message),
        carried: carried(message),
        replaces: None,
        diversions: Vec::new(),
        session_id: None,
    }
}

fn calling(request: &Request<'_>) -> Party {
    let identity = request.message.calling_identity().unwrap_or(request.from);
    let private = request.message.identity_is_private();
    // RFC 3323 §4.1.1.3: there is no number behind this address.
    if is_anonymous(&identity) {
        return Party {
            private: true,
            ..Party::default()
        };
    }
    Party {
        number: number(identity.uri.user.unwrap_or_default()),
        display_name: identity.display_text().collect(),
        private: private || is_anonymous(&request.from),
    }
}

fn is_anonymous(address: &NameAddr<'_>) -> bool {
    let nowhere = address
        .uri
        .host
        .equivalent(&Host::Name("anonymous.invalid"));
    nowhere
        || address
            .uri
            .user
            .is_some_and(|user| user.eq_ignore_ascii_case("anonymous"))
}

/// The user part as a number: without its parameters (RFC 3261 §19.1.6), escapes resolved.
fn number(user: &str) -> String {
    let mut bytes = Vec::with_capacity(user.len());
    let mut rest = user.split(';').next().unwrap_or_default().as_bytes();
    while let [byte, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        rest = match escaped {
            Some(_) => &after[2..],
            None => after,
        };
        bytes.push(escaped.unwrap_or(*byte));
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

fn carried(message: &Message<'_>) -> Vec<(String, String)> {
    let mut carried = Vec::new();
    for name in CARRIED {
        for value in message.headers(name) {
            let mut line = Vec::with_capacity(value.len());
            one_line(&mut line, value);
            let value = String::from_utf8_lossy(&line).into_owned();
            carried.push((name.as_str().to_owned(), value));
        }
    }
    carried
}
