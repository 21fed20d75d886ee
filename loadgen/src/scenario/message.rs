//! A received message as far as scenarios look into it: the first line, headers by name, the
//! body. Independent of the server's parser, so that neither hides the other's faults; lenient,
//! because a load generator must survive what it is sent.

use super::heads::Heads;

/// A message, at least its first line understood.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) kind: Kind<'a>,
    pub(crate) heads: Heads<'a>,
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    Request { method: &'a [u8] },
    Response { status: u16 },
}

impl<'a> Kind<'a> {
    /// Reads the first line; `None` if it is neither a request's nor a response's.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        if let [b'1'..=b'6', b'0'..=b'9', b'0'..=b'9', b' ', ..] =
            bytes.strip_prefix(b"SIP/2.0 ").unwrap_or_default()
        {
            let digit = |place: usize| u16::from(bytes[place] - b'0');
            let status = digit(8) * 100 + digit(9) * 10 + digit(10);
            return Some(Self::Response { status });
        }
        let line = first_line(bytes);
        let mut words = line.split(|byte| *byte == b' ');
        let first = words.next()?;
        let second = words.next()?;
        if first == b"SIP/2.0" {
            let digits = std::str::from_utf8(second).ok()?;
            let status: u16 = digits.parse().ok()?;
            let is_status = (100..700).contains(&status);
            return is_status.then_some(Self::Response { status });
        }
        let is_request = !first.is_empty() && first.iter().copied().all(is_token);
        if !is_request || words.next() != Some(b"SIP/2.0") {
            return None;
        }
        Some(Self::Request { method: first })
    }
}

impl<'a> Received<'a> {
    /// Looks for what every message has; `None` if it is no SIP.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            bytes,
            kind: Kind::of(bytes)?,
            heads: Heads::new(bytes),
        })
    }

    /// The values of all headers of a name, short forms included.
    pub(crate) fn headers(
        &self,
        name: &'static [u8],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        self.heads.named(name).map(|(_, value)| value)
    }

    /// The value of the first header of a name.
    pub(crate) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.heads.value(name)
    }

    /// The Call-ID.
    pub(crate) fn call_id(&self) -> Option<&'a [u8]> {
        self.header(b"Call-ID").filter(|id| !id.is_empty())
    }

    /// Number and method of the CSeq.
    pub(crate) fn cseq(&self) -> Option<(u64, &'a [u8])> {
        cseq(self.header(b"CSeq")?)
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> Option<&'a [u8]> {
        parameter(self.header(b"Via")?, b"branch")
    }

    /// The tag of a From or To header.
    pub(crate) fn tag(&self, header: &'static [u8]) -> Option<&'a [u8]> {
        parameter(self.header(header)?, b"tag")
    }
}

/// Whether a byte may stand in a method (RFC 3261 §25.1).
pub(crate) fn is_token(byte: u8) -> bool {
    let is_mark = matches!(
        byte,
        b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
    );
    byte.is_ascii_alphanumeric() || is_mark
}

/// The bytes before the first line end.
pub(crate) fn first_line(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

/// What follows the first empty line.
pub(crate) fn body(bytes: &[u8]) -> &[u8] {
    let mut bare = None;
    for end in memchr::memchr_iter(b'\n', bytes) {
        let after = &bytes[end + 1..];
        if bytes[..end].ends_with(b"\r") && after.starts_with(b"\r\n") {
            return &after[2..];
        }
        if bare.is_none() && after.starts_with(b"\n") {
            bare = Some(&after[1..]);
        }
    }
    bare.unwrap_or_default()
}

/// Number and method of a CSeq's value.
pub(crate) fn cseq(value: &[u8]) -> Option<(u64, &[u8])> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit())?;
    let number = std::str::from_utf8(&value[..end]).ok()?.parse().ok()?;
    Some((number, value[end..].trim_ascii()))
}

/// RFC 3261 §7.3.3: the one-letter form of a header's name.
pub(crate) fn short_form(name: &[u8]) -> Option<u8> {
    const FORMS: &[(&[u8], u8)] = &[
        (b"Call-ID", b'i'),
        (b"Contact", b'm'),
        (b"Content-Encoding", b'e'),
        (b"Content-Length", b'l'),
        (b"Content-Type", b'c'),
        (b"Event", b'o'),
        (b"From", b'f'),
        (b"Refer-To", b'r'),
        (b"Referred-By", b'b'),
        (b"Subject", b's'),
        (b"Supported", b'k'),
        (b"To", b't'),
        (b"Via", b'v'),
    ];
    let same = |(long, _): &&(&[u8], u8)| long.eq_ignore_ascii_case(name);
    FORMS.iter().find(same).map(|(_, short)| *short)
}

/// A parameter's value behind a `;`, outside of angle brackets.
pub(crate) fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let after = memchr::memrchr(b'>', value).map_or(value, |at| &value[at + 1..]);
    let mut parts = after.split(|byte| *byte == b';').skip(1);
    parts.find_map(|part| {
        let part = part.trim_ascii();
        let (found, rest) = part.split_at_checked(name.len())?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        let end = value.iter().position(|byte| matches!(byte, b',' | b' '));
        found
            .eq_ignore_ascii_case(name)
            .then(|| &value[..end.unwrap_or(value.len())])
    })
}

/// The URI of an address such as `Bob <sip:bob@example.org>;tag=1`.
pub(crate) fn uri(value: &[u8]) -> &[u8] {
    if let Some(start) = memchr::memchr(b'<', value) {
        let rest = &value[start + 1..];
        return &rest[..memchr::memchr(b'>', rest).unwrap_or(rest.len())];
    }
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP x;rport;branch=z9hG4bK-1\r\n\
        Subject: one\r\n  two\r\nVia: SIP/2.0/UDP y\r\n\
        From: \"a;tag=no\" <sip:a;tag=no@b>;tag=7\r\n\
        i: 1///x@y\r\nCSeq: 12 INVITE\r\n\r\nv=0\r\nVia: not me\r\n";

    #[test]
    fn headers_are_found_by_long_and_short_names() {
        let message = Received::new(INVITE).expect("a request");
        assert_eq!(message.kind, Kind::Request { method: b"INVITE" });
        assert_eq!(message.headers(b"Via").count(), 2);
        assert_eq!(message.header(b"Subject"), Some(b"one\r\n  two".as_slice()));
        assert_eq!(message.call_id(), Some(b"1///x@y".as_slice()));
        assert_eq!(message.cseq(), Some((12, b"INVITE".as_slice())));
        assert_eq!(message.branch(), Some(b"z9hG4bK-1".as_slice()));
        assert_eq!(message.tag(b"From"), Some(b"7".as_slice()));
        assert_eq!(body(message.bytes), b"v=0\r\nVia: not me\r\n");
    }

    #[test]
    fn only_first_lines_of_sip_are_taken() {
        let kind = |text: &'static str| Received::new(text.as_bytes()).map(|found| found.kind);
        assert_eq!(
            kind("SIP/2.0 180 Ringing\r\n"),
            Some(Kind::Response { status: 180 })
        );
        for text in [
            "",
            "\r\n",
            "SIP/2.0 99 x",
            "SIP/2.0 x",
            "HELLO",
            "GET / HTTP/1.1",
            "\0\0\0",
        ] {
            assert_eq!(kind(text), None, "{text:?}");
        }
    }

    #[test]
    fn addresses_give_their_uri() {
        assert_eq!(uri(b"Bob <sip:b@c;x=y>;tag=1"), b"sip:b@c;x=y");
        assert_eq!(uri(b"sip:b@c;tag=1"), b"sip:b@c");
        assert_eq!(uri(b"<sip:b"), b"sip:b");
    }

    #[test]
    fn no_part_of_a_message_panics() {
        for end in 0..INVITE.len() {
            let part = &INVITE[..end];
            let _ = body(part);
            if let Some(message) = Received::new(part) {
                let _ = (message.cseq(), message.branch(), message.tag(b"From"));
            }
        }
    }
}
