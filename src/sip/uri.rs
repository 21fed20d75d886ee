//! SIP, SIPS and other URIs (RFC 3261 §19.1), and the comparison of §19.1.4.
//!
//! Escapes are checked and kept: a URI is never unescaped into a header (RFC 3261 §19.1.2).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::class::{URI_PART, class_end, class_text, host_text, is_unreserved, uri_text};
use super::escape::escape;
use super::malformed::Malformed;
use super::parameters::Parameters;
use super::scan::{decimal, text};
use super::via::Transport;

/// The scheme of a URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme<'a> {
    /// `sip`
    Sip,
    /// `sips`
    Sips,
    /// `tel` (RFC 3966)
    Tel,
    /// Anything else; as a Request-URI it earns a 416.
    Other(&'a str),
}

impl<'a> Scheme<'a> {
    /// The scheme as it is written.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(name) => name,
        }
    }

    /// `sip` or `sips`: the URI has a host.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        matches!(self, Self::Sip | Self::Sips)
    }
}

/// A host as it stands in URIs and in Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name, case as received.
    Name(&'a str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Reads a whole host. An IPv6 address must stand in brackets.
    ///
    /// # Errors
    /// [`Malformed::UriHost`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if let [b'[', inside @ .., b']'] = bytes {
            let address = text(inside).and_then(|inside| inside.parse().ok());
            return address.map(Self::V6).ok_or(Malformed::UriHost);
        }
        if let Some((address, [])) = v4(bytes) {
            return Ok(Self::V4(address));
        }
        Self::name(bytes)
    }

    fn name(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let name = host_text(bytes).ok_or(Malformed::UriHost)?;
        // The last label, which one dot or more may follow.
        let label_end = bytes.iter().rposition(|byte| *byte != b'.');
        let labels = label_end.map_or(&bytes[..0], |last| &bytes[..=last]);
        let dot = labels.iter().rposition(|byte| *byte == b'.');
        // RFC 3261 §25.1: the top label starts with a letter, so 256.0.0.1 is no name either.
        let top = labels
            .get(dot.map_or(0, |dot| dot + 1))
            .is_some_and(u8::is_ascii_alphabetic);
        // Single labels such as `3com-gateway` are met inside company networks.
        let is_single = || labels.len() == bytes.len() && dot.is_none();
        if top || (is_single() && bytes.iter().any(u8::is_ascii_alphabetic)) {
            return Ok(Self::Name(name));
        }
        Err(Malformed::UriHost)
    }

    /// The address, when it is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether both name the same host; names compare without regard to case.
    #[must_use]
    pub fn equivalent(&self, other: &Host<'_>) -> bool {
        if let (Self::Name(this), Host::Name(that)) = (self, other) {
            return this.eq_ignore_ascii_case(that);
        }
        self.address().is_some() && self.address() == other.address()
    }
}

impl From<IpAddr> for Host<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::V4(address) => write!(formatter, "{address}"),
            Self::V6(address) => write!(formatter, "[{address}]"),
        }
    }
}

/// A URI in its parts. Of schemes other than `sip` and `sips`, `user` is everything between the
/// colon and the parameters (a number, for `tel`) and `host` is the empty name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uri<'a> {
    /// Before the first colon.
    pub scheme: Scheme<'a>,
    /// Before `@`, without the password, escapes kept.
    pub user: Option<&'a str>,
    /// Between the user's colon and `@`; deprecated, kept so that a copy is a copy.
    pub password: Option<&'a str>,
    /// The host.
    pub host: Host<'a>,
    /// The port, when one is written.
    pub port: Option<u16>,
    /// `;name=value` after the host.
    pub parameters: Parameters<'a>,
    /// What follows `?`, without it, never interpreted; empty when there is none.
    pub headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a whole URI without brackets and without white space.
    ///
    /// # Errors
    /// [`Malformed::Uri`], [`Malformed::UriEscape`], [`Malformed::UriHost`],
    /// [`Malformed::UriPort`], [`Malformed::Parameter`], [`Malformed::TooManyParameters`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        match Self::plain(bytes) {
            Some(uri) => Ok(uri),
            None => Self::parse_any(bytes),
        }
    }

    /// Reads in one pass what nearly everybody writes: `sip:8001@192.0.2.1:5060;transport=udp`.
    /// What is written otherwise, or wrong, is `None`.
    fn plain(bytes: &'a [u8]) -> Option<Self> {
        let after_scheme = bytes.strip_prefix(b"sip:")?;
        let user = class_text(after_scheme, URI_PART);
        let (user, rest) = match after_scheme[user.len()..] {
            [b'@', ref host @ ..] if !user.is_empty() => (Some(user), host),
            _ => (None, after_scheme),
        };
        let (host, port, rest) = plain_host_and_port(rest)?;
        Some(Self {
            scheme: Scheme::Sip,
            user,
            password: None,
            host,
            port,
            parameters: Parameters::plain(rest)?,
            headers: "",
        })
    }

    fn parse_any(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let marks = Marks::find(bytes)?;
        // Only what is asked for as text is made text.
        let part = |part: &'a [u8]| uri_text(part).ok_or(Malformed::Uri);
        let colon = marks.colon.ok_or(Malformed::Uri)?;
        let scheme = scheme(&bytes[..colon])?;
        if !scheme.is_sip() {
            return Self::parse_opaque(scheme, part(&bytes[colon + 1..])?);
        }
        let (user, password) = match (marks.at, marks.password) {
            (Some(at), Some(second)) => (
                Some(part(&bytes[colon + 1..second])?),
                Some(part(&bytes[second + 1..at])?),
            ),
            (Some(at), None) => (Some(part(&bytes[colon + 1..at])?), None),
            (None, _) => (None, None),
        };
        if user == Some("") {
            return Err(Malformed::Uri);
        }
        let host = marks.at.unwrap_or(colon) + 1;
        let end = marks.headers.unwrap_or(bytes.len());
        let headers = match bytes.get(end + 1..) {
            Some(headers) => part(headers)?,
            None => "",
        };
        let host_end = marks.parameters.unwrap_or(end);
        let (host, port) = host_and_port(&bytes[host..host_end])?;
        let parameters = Parameters::parse(&bytes[host_end..end])?;
        Ok(Self {
            scheme,
            user,
            password,
            host,
            port,
            parameters,
            headers,
        })
    }

    fn parse_opaque(scheme: Scheme<'a>, rest: &'a str) -> Result<Self, Malformed> {
        if rest.is_empty() {
            return Err(Malformed::Uri);
        }
        // Only `tel` is known to have parameters of this shape (RFC 3966).
        let end = match scheme {
            Scheme::Tel => rest.find(';').unwrap_or(rest.len()),
            Scheme::Sip | Scheme::Sips | Scheme::Other(_) => rest.len(),
        };
        Ok(Self {
            scheme,
            user: Some(&rest[..end]),
            password: None,
            host: Host::Name(""),
            port: None,
            parameters: Parameters::parse(&rest.as_bytes()[end..])?,
            headers: "",
        })
    }

    /// The value of a URI parameter: `None` when absent, `Some("")` when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.parameters.find(name).map(Option::unwrap_or_default)
    }

    /// The value of a header after the `?`, escapes kept; `None` when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.split('&').find_map(|header| {
            let (found, value) = header.split_once('=')?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The `transport` parameter.
    #[must_use]
    pub fn transport(&self) -> Option<Transport<'a>> {
        self.parameters
            .value("transport")
            .map(Transport::from_token)
    }

    /// RFC 3261 §19.1.1: the element at this URI is a loose router.
    #[must_use]
    pub fn lr(&self) -> bool {
        self.parameters.find("lr").is_some()
    }

    /// RFC 3261 §19.1.4: whether both mean the same resource.
    #[must_use]
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        self.scheme
            .as_str()
            .eq_ignore_ascii_case(other.scheme.as_str())
            && same_optional(self.user, other.user)
            && same_optional(self.password, other.password)
            && self.host.equivalent(&other.host)
            && self.port == other.port
            && self.parameters_agree(other)
            && other.parameters_agree(self)
            && headers_agree(self.headers, other.headers)
            && headers_agree(other.headers, self.headers)
    }

    fn parameters_agree(&self, other: &Uri<'_>) -> bool {
        let mut names = self.parameters.iter().map(|(name, _)| name);
        // Of two parameters with one name the first counts, here as there.
        names.all(|name| match (self.param(name), other.param(name)) {
            (Some(own), Some(found)) => same_caseless(own, found),
            // These four must appear in both or in neither; others may appear in one.
            (Some(_) | None, _) => !["user", "ttl", "method", "maddr", "transport"]
                .iter()
                .any(|strict| strict.eq_ignore_ascii_case(name)),
        })
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:", self.scheme.as_str())?;
        if let Some(user) = self.user {
            formatter.write_str(user)?;
            if let Some(password) = self.password {
                write!(formatter, ":{password}")?;
            }
            if self.scheme.is_sip() {
                formatter.write_str("@")?;
            }
        }
        write!(formatter, "{}", self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        // There are no quotes in a URI: what stands behind the first `=` is written as it came.
        for (name, value) in self.parameters.iter() {
            write!(formatter, ";{name}")?;
            if let Some(value) = value {
                write!(formatter, "={value}")?;
            }
        }
        if !self.headers.is_empty() {
            write!(formatter, "?{}", self.headers)?;
        }
        Ok(())
    }
}

/// Where the delimiters of a SIP URI are, each the first of its kind where it means something.
#[derive(Default)]
struct Marks {
    /// Behind the scheme.
    colon: Option<usize>,
    /// Behind the user, or before the port when there is no user.
    password: Option<usize>,
    at: Option<usize>,
    parameters: Option<usize>,
    headers: Option<usize>,
}

impl Marks {
    /// One pass: URIs are too short for a search for each delimiter.
    fn find(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut marks = Self::default();
        let mut escapes = true;
        let mut at = 0;
        loop {
            at += class_end(&bytes[at..], URI_PART);
            let Some(byte) = bytes.get(at) else {
                break;
            };
            match byte {
                b':' if marks.colon.is_none() => marks.colon = Some(at),
                b':' if marks.at.is_none() && marks.password.is_none() => {
                    marks.password = Some(at);
                }
                // What stood before it belongs to the user.
                b'@' if marks.at.is_none() => {
                    (marks.at, marks.parameters, marks.headers) = (Some(at), None, None);
                }
                b';' if marks.parameters.is_none() && marks.headers.is_none() => {
                    marks.parameters = Some(at);
                }
                b'?' if marks.headers.is_none() => marks.headers = Some(at),
                b':' | b'@' | b';' | b'?' => {}
                b'%' => escapes &= escape(&bytes[at..]).is_some(),
                // What stands in no URI.
                _ => return Err(Malformed::Uri),
            }
            at += 1;
        }
        if escapes {
            Ok(marks)
        } else {
            Err(Malformed::UriEscape)
        }
    }
}

/// Four decimal numbers, without leading zeros, as `Ipv4Addr` reads them, and what follows.
fn v4(bytes: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let mut octets = [0; 4];
    let mut rest = bytes;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        (*octet, rest) = decimal_octet(rest)?;
    }
    Some((Ipv4Addr::from(octets), rest))
}

/// A number of up to three digits that a byte can hold.
#[inline(always)]
fn decimal_octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let mut octet = u32::from(first - b'0');
    while let Some((next @ b'0'..=b'9', after)) = rest.split_first() {
        let longer = octet * 10 + u32::from(next - b'0');
        // Nothing follows a zero.
        if octet == 0 || longer > u32::from(u8::MAX) {
            return None;
        }
        (octet, rest) = (longer, after);
    }
    Some((octet as u8, rest))
}

/// An address in numbers, perhaps with a port, and what follows, which may be another digit.
pub(super) fn plain_host_and_port(bytes: &[u8]) -> Option<(Host<'_>, Option<u16>, &[u8])> {
    let (address, rest) = v4(bytes)?;
    let [b':', rest @ ..] = rest else {
        return Some((Host::V4(address), None, rest));
    };
    let mut port: u32 = 0;
    let mut count = 0;
    while let Some(digit @ b'0'..=b'9') = rest.get(count)
        && count < 5
    {
        port = port * 10 + u32::from(digit - b'0');
        count += 1;
    }
    let port = u16::try_from(port).ok().filter(|_| count > 0)?;
    Some((Host::V4(address), Some(port), &rest[count..]))
}

fn scheme(name: &[u8]) -> Result<Scheme<'_>, Malformed> {
    if name.eq_ignore_ascii_case(b"sip") {
        return Ok(Scheme::Sip);
    }
    if name.eq_ignore_ascii_case(b"sips") {
        return Ok(Scheme::Sips);
    }
    if name.eq_ignore_ascii_case(b"tel") {
        return Ok(Scheme::Tel);
    }
    let starts = name.first().is_some_and(u8::is_ascii_alphabetic);
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let name = uri_text(name).filter(|_| starts && name.iter().all(allowed));
    name.map(Scheme::Other).ok_or(Malformed::Uri)
}

/// Reads `host` or `host:port`.
pub(super) fn host_and_port(bytes: &[u8]) -> Result<(Host<'_>, Option<u16>), Malformed> {
    if let Some((host, port, [])) = plain_host_and_port(bytes) {
        return Ok((host, port));
    }
    let host_end = match bytes.first() {
        Some(b'[') => memchr::memchr(b']', bytes).ok_or(Malformed::UriHost)? + 1,
        // Hosts are short.
        _ => bytes
            .iter()
            .position(|byte| *byte == b':')
            .unwrap_or(bytes.len()),
    };
    let host = Host::parse(&bytes[..host_end])?;
    match &bytes[host_end..] {
        [] => Ok((host, None)),
        [b':', digits @ ..] => Ok((host, Some(port(digits)?))),
        _ => Err(Malformed::UriHost),
    }
}

/// Reads a port number.
pub(super) fn port(digits: &[u8]) -> Result<u16, Malformed> {
    if (1..=5).contains(&digits.len()) {
        let mut port: u32 = 0;
        for byte in digits {
            if !byte.is_ascii_digit() {
                return Err(Malformed::UriPort);
            }
            port = port * 10 + u32::from(byte - b'0');
        }
        return u16::try_from(port).map_err(|_| Malformed::UriPort);
    }
    match decimal(digits) {
        Some(Ok(number)) => u16::try_from(number).map_err(|_| Malformed::UriPort),
        _ => Err(Malformed::UriPort),
    }
}

fn same_optional(this: Option<&str>, that: Option<&str>) -> bool {
    match (this, that) {
        (Some(this), Some(that)) => characters(this).eq(characters(that)),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn same_caseless(this: &str, that: &str) -> bool {
    let lower = |(byte, escaped): (u8, bool)| (byte.to_ascii_lowercase(), escaped);
    characters(this).map(lower).eq(characters(that).map(lower))
}

/// The characters of a part of a URI, each with whether it must stay escaped: an escaped
/// unreserved character is the character, an escaped reserved one is not.
fn characters(part: &str) -> impl Iterator<Item = (u8, bool)> + '_ {
    let mut rest = part.as_bytes();
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        let (byte, after, must_stay) = match escape(rest) {
            Some((byte, after)) => (byte, after, !is_unreserved(byte)),
            None => (first, tail, false),
        };
        rest = after;
        Some((byte, must_stay))
    })
}

fn headers_agree(these: &str, those: &str) -> bool {
    these
        .split('&')
        .all(|this| those.split('&').any(|that| same_caseless(this, that)))
}

#[cfg(test)]
mod tests;
