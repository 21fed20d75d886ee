//! The token that joins the legs of a call, and the headers it travels in.

use offhook::sip::{HeaderName, Message};

use super::message::Outgoing;
use super::truth::Token;

/// Marks our tokens among Session-IDs of others.
const MARK: &str = "0ff0";

impl Token {
    /// Writes the token into the headers that UCM correlates calls by (RFC 7989, Cisco-Guid).
    pub(super) fn write(self, request: &mut Outgoing) {
        let Self(token) = self;
        let local = format!("{MARK}{token:016x}{MARK}{MARK}{MARK}");
        let remote = "0".repeat(32);
        request.field("Session-ID", &format!("{local};remote={remote}"));
        let (high, low) = (token >> 32, token & 0xffff_ffff);
        request.field(
            "Cisco-Guid",
            &format!("{high:010}-{low:010}-0000065536-0000004080"),
        );
    }

    /// Finds the token of a message, if it has one.
    #[must_use]
    pub fn read(message: &Message<'_>) -> Option<Self> {
        let session = message.header(HeaderName::SessionId).and_then(of_session);
        session.or_else(|| message.header(HeaderName::CiscoGuid).and_then(of_guid))
    }
}

impl Token {
    /// The token in a Session-ID.
    pub(crate) fn of_session(value: &[u8]) -> Option<Self> {
        of_session(value)
    }

    /// The token in a Cisco-Guid.
    pub(crate) fn of_guid(value: &[u8]) -> Option<Self> {
        of_guid(value)
    }
}

fn of_session(value: &[u8]) -> Option<Token> {
    let value = std::str::from_utf8(value).ok()?;
    let digits = value.strip_prefix(MARK)?.get(..16)?;
    u64::from_str_radix(digits, 16).ok().map(Token)
}

fn of_guid(value: &[u8]) -> Option<Token> {
    let value = std::str::from_utf8(value).ok()?;
    let mut parts = value.trim().splitn(3, '-').map(str::parse::<u64>);
    let (high, low) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let ours = value.trim().ends_with("-0000065536-0000004080");
    let fits = high <= 0xffff_ffff && low <= 0xffff_ffff;
    (ours && fits).then_some(Token(high << 32 | low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_either_header() {
        let session = b"0ff0000000010000002a0ff00ff00ff0;remote=00000000000000000000000000000000";
        assert_eq!(of_session(session), Some(Token(0x0001_0000_002a)));
        assert_eq!(of_session(b"212e0a8200105000a0000041d2924d45"), None);
        assert_eq!(of_session("0ff0\u{e9}".as_bytes()), None);
        assert_eq!(
            of_guid(b"0000000001-0000000042-0000065536-0000004080"),
            Some(Token(1 << 32 | 42))
        );
        assert_eq!(
            of_guid(b"0716948352-0000065536-0000018669-0219156908"),
            None
        );
        assert_eq!(
            of_guid(b"99999999999999999999-1-0000065536-0000004080"),
            None
        );
    }
}
