//! What an INVITE says to the layers above: who calls whom, with what, and for how long.

use std::sync::Arc;
use std::time::Duration;

use offhook_shards::Source;

use crate::limits::MAX_FORWARDS;
use crate::sip::{HeaderName, Host, Message, NameAddr, Request, text_or_replaced, unescaped};

use super::{Carried, Invitation, Party, SessionUuid, history};

/// Headers that go through us untouched, if their sender is trusted; of anybody else only the
/// first.
const CARRIED: [HeaderName; 3] = [
    HeaderName::CiscoGuid,
    HeaderName::Diversion,
    HeaderName::HistoryInfo,
];

/// Headers that only those may write who are believed (RFC 3325 §5, RFC 5806 §6, RFC 7044 §9).
const ASSERTIONS: [HeaderName; 4] = [
    HeaderName::PAssertedIdentity,
    HeaderName::RemotePartyId,
    HeaderName::Diversion,
    HeaderName::HistoryInfo,
];

/// Whether a message says more about who calls than anybody may.
pub(super) fn says_who(message: &Message<'_>) -> bool {
    ASSERTIONS
        .iter()
        .any(|name| message.header(*name).is_some())
}

/// Reads an INVITE whose Max-Forwards is not zero, but for its offer. Of a sender that is not
/// trusted only From is believed.
pub(super) fn invitation(request: &Request<'_>, source: Source, is_trusted: bool) -> Invitation {
    let message = &request.message;
    let expires = message.expires().ok().flatten();
    Invitation {
        transport: source.transport,
        source: source.remote,
        called: number(request.uri.user.unwrap_or_default()),
        calling: Arc::new(calling(request, is_trusted)),
        max_forwards: request
            .max_forwards
            .unwrap_or(MAX_FORWARDS)
            .saturating_sub(1),
        expires: expires.map(|seconds| Duration::from_secs(u64::from(seconds))),
        offer: None,
        carried: carried(message, is_trusted),
        replaces: None,
        diversions: if is_trusted {
            history::diversions(message)
        } else {
            Vec::new()
        },
        session_id: message
            .session_id()
            .and_then(|id| id.local)
            .map(SessionUuid),
    }
}

fn calling(request: &Request<'_>, is_trusted: bool) -> Party {
    let told = is_trusted.then(|| request.message.calling_identity().ok());
    let from = request.from.read();
    let Some(identity) = told.flatten().or_else(|| from.ok()) else {
        return Party::default();
    };
    let private = request.message.identity_is_private();
    // RFC 3323 §4.1.1.3: there is no number behind this address.
    if is_anonymous(&identity) {
        return Party {
            private: true,
            ..Party::default()
        };
    }
    Party {
        number: number(identity.uri.user.unwrap_or_default()).into(),
        display_name: name(&identity),
        private: private || from.is_ok_and(|from| is_anonymous(&from)),
    }
}

pub(super) fn is_anonymous(address: &NameAddr<'_>) -> bool {
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

/// Who a response, or a request within a call, says that its sender is; `None` when it does not
/// say so.
pub(super) fn told(message: &Message<'_>) -> Option<Party> {
    let asserted = message.asserted_identities().find_map(Result::ok);
    let address = asserted.or_else(|| {
        let party = message.remote_parties().find_map(Result::ok);
        party.map(|party| party.address)
    })?;
    if is_anonymous(&address) {
        return Some(Party {
            private: true,
            ..Party::default()
        });
    }
    Some(Party {
        number: number(address.uri.user.unwrap_or_default()).into(),
        display_name: name(&address),
        private: message.identity_is_private(),
    })
}

/// What [`told`] reads, as a number that changes with it; zero when nothing is said.
pub(super) fn fingerprint(message: &Message<'_>, hash: impl Fn(&[u8]) -> u64) -> u64 {
    const SAID: [HeaderName; 3] = [
        HeaderName::PAssertedIdentity,
        HeaderName::RemotePartyId,
        HeaderName::Privacy,
    ];
    let identified = SAID[..2].iter().any(|name| message.header(*name).is_some());
    if !identified {
        return 0;
    }
    let mut sum = 0_u64;
    for value in SAID.into_iter().flat_map(|name| message.headers(name)) {
        sum = sum.rotate_left(7) ^ hash(value);
    }
    sum.max(1)
}

fn name(address: &NameAddr<'_>) -> Box<str> {
    let written = address.display.unwrap_or_default();
    if let Some(plain) = plain(written, b'\\') {
        return plain.into();
    }
    let mut name = String::with_capacity(written.len());
    name.extend(address.display_text());
    name.into()
}

/// The user part as a number: without its parameters (RFC 3261 §19.1.6), escapes resolved.
pub(super) fn number(user: &str) -> String {
    let end = user.bytes().position(|byte| byte == b';');
    let user = &user[..end.unwrap_or(user.len())];
    if let Some(plain) = plain(user.as_bytes(), b'%') {
        return plain.to_owned();
    }
    let mut text = unescaped(user).into_owned();
    text.retain(|character| !character.is_control());
    text
}

/// The text, if it is to be read as it is written: nothing in it is escaped, and all of it is
/// ASCII that can be shown.
fn plain(text: &[u8], escape: u8) -> Option<&str> {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != escape;
    let text = text.iter().all(is_plain).then_some(text)?;
    std::str::from_utf8(text).ok()
}

fn carried(message: &Message<'_>, is_trusted: bool) -> Carried {
    let names = if is_trusted {
        &CARRIED[..]
    } else {
        &CARRIED[..1]
    };
    let lines = names.iter().flat_map(|name| {
        let values = message.headers(*name);
        values.map(|value| (name.as_str(), text_or_replaced(value)))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_is_read_as_the_rest_is() {
        for (user, expected) in [
            ("2001", "2001"),
            ("+49 30;phone-context=x", "+49 30"),
            ("20%301", "2001"),
            ("a%0ab", "ab"),
            ("%c3%bc", "ü"),
            ("ü", "ü"),
            (";x", ""),
        ] {
            assert_eq!(number(user), expected, "{user}");
        }
        for (display, expected) in [
            ("\"Front Desk\"", "Front Desk"),
            ("Front", "Front"),
            (r#""a \"b\" \\c""#, r#"a "b" \c"#),
            ("\"ü\"", "ü"),
            ("\"a\tb\"", "a b"),
            ("", ""),
        ] {
            let value = format!("{display} <sip:1@h>");
            let address = NameAddr::parse(value.as_bytes()).expect("legal");
            assert_eq!(&*name(&address), expected, "{display}");
        }
    }
}
