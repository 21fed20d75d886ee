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

            /// The header whose long form is written exactly so, as nearly every peer writes it.
            #[inline]
            #[allow(non_upper_case_globals, reason = "a constant for each variant")]
            pub(super) fn written(name: &[u8]) -> Option<Self> {
                $(const $variant: &[u8] = $name.as_bytes();)*
                match name {
                    $($variant => Some(Self::$variant),)*
                    _ => None,
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
        let first = name.first()?.to_ascii_lowercase();
        if name.len() == 1 {
            return Self::compact(first);
        }
        Self::candidates(name.len(), first)
            .iter()
            .copied()
            .find(|candidate| candidate.as_str().as_bytes().eq_ignore_ascii_case(name))
    }

    /// The known names of that length that start with that letter: mostly one.
    #[rustfmt::skip]
    fn candidates(length: usize, first: u8) -> &'static [Self] {
        match (length, first) {
            (2, b't') => &[Self::To],
            (3, b'v') => &[Self::Via],
            (4, b'c') => &[Self::CSeq],
            (4, b'd') => &[Self::Date],
            (4, b'f') => &[Self::From],
            (4, b'j') => &[Self::Join],
            (4, b'p') => &[Self::Path],
            (4, b'r') => &[Self::RAck, Self::RSeq],
            (5, b'a') => &[Self::Allow],
            (5, b'e') => &[Self::Event],
            (5, b'r') => &[Self::Route],
            (6, b'a') => &[Self::Accept],
            (6, b'm') => &[Self::MinSe],
            (6, b'r') => &[Self::Reason],
            (6, b's') => &[Self::Server],
            (7, b'c') => &[Self::CallId, Self::Contact],
            (7, b'e') => &[Self::Expires],
            (7, b'p') => &[Self::Privacy],
            (7, b'r') => &[Self::Require],
            (7, b's') => &[Self::Subject],
            (7, b'w') => &[Self::Warning],
            (8, b'r') => &[Self::ReferTo, Self::Replaces],
            (8, b's') => &[Self::SipEtag],
            (9, b'c') => &[Self::CallInfo],
            (9, b'd') => &[Self::Diversion],
            (9, b'r') => &[Self::ReferSub],
            (9, b's') => &[Self::Supported],
            (9, b't') => &[Self::Timestamp],
            (10, b'a') => &[Self::AlertInfo],
            (10, b'c') => &[Self::CiscoGuid],
            (10, b'e') => &[Self::ErrorInfo],
            (10, b'p') => &[Self::PRtpStat],
            (10, b's') => &[Self::SessionId],
            (10, b'u') => &[Self::UserAgent],
            (11, b'm') => &[Self::MinExpires],
            (11, b'r') => &[Self::ReferredBy, Self::RetryAfter],
            (11, b'u') => &[Self::Unsupported],
            (12, b'a') => &[Self::AllowEvents],
            (12, b'c') => &[Self::ContentType],
            (12, b'h') => &[Self::HistoryInfo],
            (12, b'm') => &[Self::MaxForwards, Self::MimeVersion],
            (12, b'r') => &[Self::RecordRoute],
            (12, b's') => &[Self::SipIfMatch],
            (13, b'a') => &[Self::Authorization],
            (13, b'p') => &[Self::ProxyRequire],
            (14, b'c') => &[Self::ContentLength],
            (15, b'a') => &[Self::AcceptEncoding, Self::AcceptLanguage],
            (15, b'r') => &[Self::RemotePartyId],
            (15, b's') => &[Self::SessionExpires],
            (16, b'c') => &[Self::ContentEncoding, Self::ContentLanguage],
            (16, b'w') => &[Self::WwwAuthenticate],
            (18, b'p') => &[Self::ProxyAuthenticate],
            (18, b's') => &[Self::SubscriptionState],
            (19, b'c') => &[Self::ContentDisposition],
            (19, b'p') => &[Self::PAssertedIdentity, Self::ProxyAuthorization],
            (20, b'p') => &[Self::PPreferredIdentity],
            _ => &[],
        }
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
