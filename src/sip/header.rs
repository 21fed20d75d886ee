//! Header names, and the index of one message's header lines.
//!
//! The index is made once and used for every message of a shard. It holds positions, not bytes,
//! so the bytes stay where they were received.

use std::fmt;

use super::malformed::Malformed;
use crate::limits::HEADERS_MAX;

macro_rules! header_names {
    ($($variant:ident $name:literal,)*) => {
        /// A header that this program knows by name. Others are found by their text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl HeaderName {
            /// Every known header.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The long form of the name, as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

header_names! {
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events",
    Authorization "Authorization",
    CallId "Call-ID",
    CallInfo "Call-Info",
    CiscoGuid "Cisco-Guid",
    Contact "Contact",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding",
    ContentLanguage "Content-Language",
    ContentLength "Content-Length",
    ContentType "Content-Type",
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event",
    Expires "Expires",
    From "From",
    HistoryInfo "History-Info",
    Join "Join",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    PRtpStat "P-RTP-Stat",
    Path "Path",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To",
    ReferredBy "Referred-By",
    RemotePartyId "Remote-Party-ID",
    Replaces "Replaces",
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    RSeq "RSeq",
    Server "Server",
    SessionExpires "Session-Expires",
    SessionId "Session-ID",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject",
    SubscriptionState "Subscription-State",
    Supported "Supported",
    Timestamp "Timestamp",
    To "To",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Via "Via",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

impl HeaderName {
    /// The header of that name, in any case, long or compact form (RFC 3261 §7.3.3).
    #[must_use]
    pub fn lookup(name: &[u8]) -> Option<Self> {
        match name {
            [] => None,
            [letter] => Self::compact(letter.to_ascii_lowercase()),
            [first, .., last] => Self::candidate(*first, *last, name.len())
                .filter(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name)),
        }
    }

    /// The header whose long form stands before the colon in these bytes, written exactly so, as
    /// nearly every peer writes it.
    #[inline(always)]
    pub(super) fn written(window: &[u8; NAME_WINDOW], colon: usize) -> Option<Self> {
        let last = window.get(colon.checked_sub(1)?)?;
        let known = Self::candidate(window[0], *last, colon)?;
        let (words, _) = window.as_chunks();
        let differs = |at: usize| {
            let word = u64::from_le_bytes(words[at]) & MASKS[colon][at];
            word ^ PADDED[known as usize][at]
        };
        (differs(0) | differs(1) | differs(2) == 0).then_some(known)
    }

    /// The only known header with a name of that length with these letters at its ends.
    #[inline(always)]
    fn candidate(first: u8, last: u8, length: usize) -> Option<Self> {
        PLACES[place(first, last, length)]
    }

    fn compact(letter: u8) -> Option<Self> {
        Some(match letter {
            b'b' => Self::ReferredBy,
            b'c' => Self::ContentType,
            b'e' => Self::ContentEncoding,
            b'f' => Self::From,
            b'i' => Self::CallId,
            b'k' => Self::Supported,
            b'l' => Self::ContentLength,
            b'm' => Self::Contact,
            b'o' => Self::Event,
            b'r' => Self::ReferTo,
            b's' => Self::Subject,
            b't' => Self::To,
            b'u' => Self::AllowEvents,
            b'v' => Self::Via,
            b'x' => Self::SessionExpires,
            _ => return None,
        })
    }

    /// Whether two lines of this header contradict each other. RFC 3261 §7.3.1 forbids them, and
    /// taking the first while a neighbour takes the last is how filters are bypassed.
    #[must_use]
    pub fn is_single(self) -> bool {
        matches!(
            self,
            Self::CallId
                | Self::ContentLength
                | Self::ContentType
                | Self::CSeq
                | Self::Event
                | Self::Expires
                | Self::From
                | Self::MaxForwards
                | Self::RAck
                | Self::RSeq
                | Self::SessionExpires
                | Self::SubscriptionState
                | Self::To
        )
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const KNOWN: usize = HeaderName::ALL.len();
/// More bytes than the longest known name has, so that the colon after it is among them.
pub(super) const NAME_WINDOW: usize = 24;

/// A window in words, which are compared faster than bytes.
type Words = [u64; NAME_WINDOW / 8];

/// Each known name and the colon that ends it, with zeros behind.
const PADDED: [Words; KNOWN] = {
    let mut padded = [[0; NAME_WINDOW / 8]; KNOWN];
    let mut known = 0;
    while known < KNOWN {
        let name = HeaderName::ALL[known].as_str().as_bytes();
        let mut at = 0;
        while at <= name.len() {
            let byte = if at < name.len() { name[at] } else { b':' };
            padded[known][at / 8] |= (byte as u64) << (at % 8 * 8);
            at += 1;
        }
        known += 1;
    }
    padded
};

/// What leaves a window as it is up to the colon there and makes the bytes behind it zero.
const MASKS: [Words; NAME_WINDOW] = {
    let mut masks = [[0; NAME_WINDOW / 8]; NAME_WINDOW];
    let mut colon = 0;
    while colon < NAME_WINDOW {
        let mut at = 0;
        while at <= colon {
            masks[colon][at / 8] |= 0xff << (at % 8 * 8);
            at += 1;
        }
        colon += 1;
    }
    masks
};

/// The first power of the prime of the FNV hash that puts all names into places of their own.
const FACTOR: u32 = {
    let (mut factor, mut tried) = (1_u32, 0);
    while !separates(factor) {
        factor = factor.wrapping_mul(16_777_619);
        tried += 1;
        assert!(
            tried < 10_000,
            "two names have both ends and their length in common"
        );
    }
    factor
};

/// Whether no two names get one place by this factor.
const fn separates(factor: u32) -> bool {
    let mut taken = [false; 256];
    let mut known = 0;
    while known < KNOWN {
        let name = HeaderName::ALL[known].as_str().as_bytes();
        let place = place_by(factor, name[0], name[name.len() - 1], name.len());
        if taken[place] {
            return false;
        }
        taken[place] = true;
        known += 1;
    }
    true
}

/// The place of a name, in any case.
const fn place(first: u8, last: u8, length: usize) -> usize {
    place_by(FACTOR, first, last, length)
}

#[inline(always)]
const fn place_by(factor: u32, first: u8, last: u8, length: usize) -> usize {
    // The bit in which a capital letter differs is set.
    let key = (first as u32) | ((last as u32) << 8) | ((length as u32) << 16) | 0x2020;
    (key.wrapping_mul(factor) >> 24) as usize
}

/// The known headers by the ends and the lengths of their names, which no two have in common.
const PLACES: [Option<HeaderName>; 256] = {
    let mut places = [None; 256];
    let mut known = 0;
    while known < KNOWN {
        let name = HeaderName::ALL[known].as_str().as_bytes();
        let place = place(name[0], name[name.len() - 1], name.len());
        places[place] = Some(HeaderName::ALL[known]);
        known += 1;
    }
    places
};

/// No line, in a chain of lines.
const NONE: u8 = u8::MAX;
const _: () = assert!(HEADERS_MAX <= NONE as usize);

/// Where one header line is. Positions count from the first byte of the message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) name_start: u16,
    pub(super) name_end: u16,
    pub(super) value_start: u16,
    pub(super) value_end: u16,
    pub(super) name: Option<HeaderName>,
    /// The next line of the same known header.
    next: u8,
}

const _: () = assert!(size_of::<Line>() <= 10, "a message has up to 255");

impl Line {
    pub(super) fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[usize::from(self.name_start)..usize::from(self.name_end)]
    }

    pub(super) fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[usize::from(self.value_start)..usize::from(self.value_end)]
    }
}

/// The header lines of one message. Make one and use it again for every message.
pub struct HeaderIndex {
    lines: Vec<Line>,
    first: [u8; KNOWN],
    last: [u8; KNOWN],
}

const _: () = assert!(size_of::<HeaderIndex>() <= 152, "every message clears it");

impl HeaderIndex {
    /// An empty index with room for the largest message. The only allocation of the parser.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lines: Vec::with_capacity(HEADERS_MAX),
            first: [NONE; KNOWN],
            last: [NONE; KNOWN],
        }
    }

    /// The number of header lines of the message that was parsed last.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.first = [NONE; KNOWN];
    }

    /// Adds a line. Says so when it must not be there.
    #[inline]
    pub(super) fn push(
        &mut self,
        name: Option<HeaderName>,
        name_span: (u16, u16),
        value_span: (u16, u16),
    ) -> Result<(), Malformed> {
        if self.lines.len() == HEADERS_MAX {
            return Err(Malformed::TooManyHeaders);
        }
        let index = u8::try_from(self.lines.len()).expect("HEADERS_MAX fits in eight bits");
        self.lines.push(Line {
            name_start: name_span.0,
            name_end: name_span.1,
            value_start: value_span.0,
            value_end: value_span.1,
            name,
            next: NONE,
        });
        let Some(name) = name else {
            return Ok(());
        };
        let slot = name as usize;
        if self.first[slot] == NONE {
            self.first[slot] = index;
            self.last[slot] = index;
            return Ok(());
        }
        self.lines[usize::from(self.last[slot])].next = index;
        self.last[slot] = index;
        if name.is_single() {
            Err(Malformed::Duplicate(name))
        } else {
            Ok(())
        }
    }

    pub(super) fn first(&self, name: HeaderName) -> Option<&Line> {
        self.lines.get(usize::from(self.first[name as usize]))
    }

    pub(super) fn chain(&self, name: HeaderName) -> impl Iterator<Item = &Line> + Clone {
        std::iter::successors(self.first(name), |line| {
            self.lines.get(usize::from(line.next))
        })
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }
}

impl Default for HeaderIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HeaderIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HeaderIndex({} lines)", self.lines.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for name in HeaderName::ALL.iter().copied() {
            let text = name.as_str();
            assert_eq!(HeaderName::lookup(text.as_bytes()), Some(name), "{text}");
            let mut window = [b':'; NAME_WINDOW];
            window[..text.len()].copy_from_slice(text.as_bytes());
            assert_eq!(
                HeaderName::written(&window, text.len()),
                Some(name),
                "{text}"
            );
            for at in 0..text.len() {
                window[at] ^= 1;
                assert_eq!(HeaderName::written(&window, text.len()), None, "{text}");
                window[at] ^= 1;
            }
            assert_eq!(
                HeaderName::lookup(text.to_lowercase().as_bytes()),
                Some(name),
                "{text}"
            );
            assert_eq!(
                HeaderName::lookup(text.to_uppercase().as_bytes()),
                Some(name),
                "{text}"
            );
        }
        assert_eq!(HeaderName::written(&[b':'; NAME_WINDOW], 0), None);
        assert_eq!(HeaderName::lookup(b""), None);
        assert_eq!(HeaderName::lookup(b"C%6Fntact"), None);
    }

    #[test]
    fn compact_forms_are_the_registered_ones() {
        for (letter, name) in [
            (b"v", HeaderName::Via),
            (b"f", HeaderName::From),
            (b"T", HeaderName::To),
            (b"i", HeaderName::CallId),
            (b"M", HeaderName::Contact),
            (b"l", HeaderName::ContentLength),
            (b"c", HeaderName::ContentType),
            (b"o", HeaderName::Event),
            (b"u", HeaderName::AllowEvents),
            (b"x", HeaderName::SessionExpires),
            (b"k", HeaderName::Supported),
        ] {
            assert_eq!(HeaderName::lookup(letter), Some(name));
        }
        assert_eq!(HeaderName::lookup(b"q"), None);
    }
}
