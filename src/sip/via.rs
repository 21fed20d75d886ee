//! Via: where a response goes (RFC 3261 §18.2, §20.42, RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::header::HeaderName;
use super::malformed::Malformed;
use super::parameters::{Parameters, is_named};
use super::scan::{Elements, Scanner, is_space};
use super::uri::{Host, host_and_port, plain_host_and_port, port};
use crate::limits::BRANCH_BYTES_MAX;

/// The transport in a Via or in a `transport` parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport<'a> {
    /// `UDP`
    Udp,
    /// `TCP`
    Tcp,
    /// `TLS`
    Tls,
    /// `SCTP`
    Sctp,
    /// `WS` (RFC 7118)
    Ws,
    /// `WSS` (RFC 7118)
    Wss,
    /// Any other token.
    Other(&'a str),
}

impl<'a> Transport<'a> {
    /// The transport of that name, in any case.
    #[must_use]
    pub fn from_token(name: &'a str) -> Self {
        const KNOWN: [Transport<'static>; 6] = [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Sctp,
            Transport::Ws,
            Transport::Wss,
        ];
        let known = KNOWN
            .iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name));
        known.copied().unwrap_or(Self::Other(name))
    }

    /// The name as Via spells it.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Sctp => "SCTP",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Transport<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

const INVALID: Malformed = Malformed::Invalid(HeaderName::Via);

/// RFC 3261 §8.1.1.7: a branch that starts with this is unique and identifies its transaction.
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Via<'a> {
    /// The transport the request was sent over.
    pub transport: Transport<'a>,
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by, when one is written.
    pub port: Option<u16>,
    /// The parameters.
    pub parameters: Parameters<'a>,
    /// One of them, which is asked for again and again.
    branch: Option<&'a str>,
    /// The value of another one, which an answer fills in; `Some(None)` when it has none.
    rport: Option<Option<&'a str>>,
    /// Whether it says already where it was received from.
    is_received: bool,
    /// What it says of overload (RFC 7339); `Some(None)` where it asks to hear of it.
    overload: Option<Option<&'a str>>,
}

impl<'a> Via<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::UriHost`], [`Malformed::UriPort`],
    /// [`Malformed::Parameter`], [`Malformed::BranchEmpty`], [`Malformed::BranchTooLong`], ….
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(value);
        let via = Self::scan(&mut scanner)?;
        if !scanner.at_end() {
            return Err(INVALID);
        }
        via.checked()
    }

    /// Reads the first value of a line.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub(super) fn first(line: &'a [u8]) -> Result<Self, Malformed> {
        // Where a value ends that is one need not be searched.
        let mut scanner = Scanner::new(line);
        if let Ok(via) = Self::scan(&mut scanner)
            && matches!(scanner.peek(), None | Some(b','))
        {
            return via.checked();
        }
        Self::parse(Elements::new(line).next().unwrap_or_default())
    }

    /// Reads a value and the white space on both sides.
    fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        let (transport, host, port) = match plain_start(scanner.rest()) {
            Some((start, rest)) => {
                scanner.advance(scanner.rest().len() - rest.len());
                start
            }
            None => any_start(scanner)?,
        };
        let [mut branch, mut rport, mut received, mut overload] = [None; 4];
        let parameters = Parameters::scan_each(scanner, |name, value| {
            let wanted = match name.len() {
                2 if is_named(name, "oc") => &mut overload,
                5 if is_named(name, "rport") => &mut rport,
                6 if is_named(name, "branch") => &mut branch,
                8 if is_named(name, "received") => &mut received,
                _ => return,
            };
            // Of two with one name the first counts.
            wanted.get_or_insert(value);
        })?;
        scanner.skip_space();
        Ok(Self {
            transport,
            host,
            port,
            parameters,
            branch: branch.flatten(),
            rport,
            is_received: received.is_some(),
            overload,
        })
    }

    /// Itself, when the branch is one.
    #[inline]
    fn checked(self) -> Result<Self, Malformed> {
        match self.branch() {
            // Every request with such a branch would fall into one transaction.
            Some(branch) if branch.len() <= MAGIC_COOKIE.len() && has_cookie(branch) => {
                Err(Malformed::BranchEmpty)
            }
            Some(branch) if branch.len() > BRANCH_BYTES_MAX => Err(Malformed::BranchTooLong),
            Some(_) | None => Ok(self),
        }
    }

    /// The branch as received; `None` in requests of RFC 2543.
    #[must_use]
    pub fn branch(&self) -> Option<&'a str> {
        self.branch
    }

    /// The branch when it starts with the magic cookie, so that it identifies a transaction.
    #[must_use]
    pub fn unique_branch(&self) -> Option<&'a str> {
        self.branch().filter(|branch| has_cookie(branch))
    }

    /// The address that the next element saw the request come from. RFC 5118 §4.5: brackets
    /// around an IPv6 address are accepted here.
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.parameters.value("received")?;
        let inside = value
            .strip_prefix('[')
            .and_then(|value| value.strip_suffix(']'));
        inside.unwrap_or(value).parse().ok()
    }

    /// RFC 3581: `None` when absent, `Some(None)` when asked for, `Some(Some(port))` when filled.
    #[must_use]
    pub fn rport(&self) -> Option<Option<u16>> {
        Some(self.rport?.and_then(|digits| port(digits.as_bytes()).ok()))
    }

    /// The parameter `oc`: `None` when absent, `Some(None)` when it has no value.
    pub(super) fn overload(&self) -> Option<Option<&'a str>> {
        self.overload
    }

    /// Whether there is a `received` already, whatever it says.
    pub(super) fn is_received(&self) -> bool {
        self.is_received
    }

    /// Where a response over a datagram transport goes when the request came from `source`
    /// (RFC 3261 §18.2.2, RFC 3581 §4). Never to `maddr`, and never to a sent-by that is not the
    /// source: both would let one peer aim our answers at another.
    #[must_use]
    pub fn reply_to(&self, source: SocketAddr) -> SocketAddr {
        match self.rport() {
            Some(_) => source,
            None => SocketAddr::new(source.ip(), self.sent_by_port()),
        }
    }

    /// The port of sent-by or the default of the transport (RFC 3261 §18.2.2).
    #[must_use]
    pub fn sent_by_port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Transport::Tls | Transport::Wss => 5061,
            Transport::Udp
            | Transport::Tcp
            | Transport::Sctp
            | Transport::Ws
            | Transport::Other(_) => 5060,
        })
    }
}

impl fmt::Display for Via<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        write!(formatter, "{}", self.parameters)
    }
}

fn has_cookie(branch: &str) -> bool {
    branch
        .get(..MAGIC_COOKIE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// What stands before the parameters.
type Start<'a> = (Transport<'a>, Host<'a>, Option<u16>);

/// The start that nearly everybody writes, `SIP/2.0/UDP 192.0.2.1:5060`, and the parameters that
/// follow.
fn plain_start(value: &[u8]) -> Option<(Start<'_>, &[u8])> {
    let (transport, rest) = match value.strip_prefix(b"SIP/2.0/")? {
        [b'U', b'D', b'P', b' ', rest @ ..] => (Transport::Udp, rest),
        [b'T', b'C', b'P', b' ', rest @ ..] => (Transport::Tcp, rest),
        [b'T', b'L', b'S', b' ', rest @ ..] => (Transport::Tls, rest),
        _ => return None,
    };
    let (host, port, rest) = plain_host_and_port(rest)?;
    matches!(rest, [] | [b';', ..]).then_some(((transport, host, port), rest))
}

fn any_start<'a>(scanner: &mut Scanner<'a>) -> Result<Start<'a>, Malformed> {
    scanner.skip_space();
    // As nearly everybody writes it.
    if !scanner.eat_all(b"SIP/2.0/") {
        let name = scanner.token().ok_or(INVALID)?;
        let slash = scanner.eat_separator(b'/');
        let version = scanner.token().ok_or(INVALID)?;
        if !slash || !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err(INVALID);
        }
        if !scanner.eat_separator(b'/') {
            return Err(INVALID);
        }
    }
    scanner.skip_space();
    let transport = Transport::from_token(scanner.token().ok_or(INVALID)?);
    if !scanner.peek().is_some_and(is_space) {
        return Err(INVALID);
    }
    scanner.skip_space();
    let (host, port) = sent_by(scanner)?;
    Ok((transport, host, port))
}

/// Reads sent-by, with the white space that RFC 3261 §25.1 allows around its colon.
fn sent_by<'a>(scanner: &mut Scanner<'a>) -> Result<(Host<'a>, Option<u16>), Malformed> {
    let start = scanner.at();
    // Nothing that ends it is of this class; what is of none is looked at by itself.
    scanner.parameter_name();
    scanner.take_while(|byte| byte != b';' && byte != b',' && !is_space(byte));
    let whole = scanner.since(start);
    let (host, port_here) = match whole.strip_suffix(b":") {
        // `host: 5060`
        Some(host) if !host.ends_with(b":") => {
            scanner.skip_space();
            return Ok((Host::parse(host)?, Some(port(digits(scanner))?)));
        }
        Some(_) | None => host_and_port(whole)?,
    };
    // `host :5060`
    if port_here.is_none() && scanner.eat_separator(b':') {
        return Ok((host, Some(port(digits(scanner))?)));
    }
    Ok((host, port_here))
}

fn digits<'a>(scanner: &mut Scanner<'a>) -> &'a [u8] {
    scanner.take_while(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parameters_are_found_and_typed() {
        let via = Via::parse(
            b"SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255];rport=99;ttl=3;\
              maddr=224.2.0.1;branch=z9hG4bKas3",
        )
        .expect("legal");
        assert_eq!(via.transport, Transport::Udp);
        assert_eq!(via.host.to_string(), "[2001:db8::9:1]");
        assert_eq!(via.port, Some(6050));
        assert_eq!(via.received(), "2001:db8::9:255".parse().ok());
        assert_eq!(via.rport(), Some(Some(99)));
        assert_eq!(via.unique_branch(), Some("z9hG4bKas3"));
    }

    #[test]
    fn white_space_is_allowed_where_the_grammar_has_it() {
        let via = Via::parse(b"SIP  / 2.0\r\n /TCP   h.example.com : 99 ; branch = x").expect("ok");
        assert_eq!((via.port, via.branch()), (Some(99), Some("x")));
        assert_eq!(via.unique_branch(), None);
        let via = Via::parse(b"SIP/2.0/WSS h: 99;rport").expect("legal");
        assert_eq!((via.port, via.rport()), (Some(99), Some(None)));
    }

    #[test]
    fn broken_values_name_the_rule_they_break() {
        let invalid = Malformed::Invalid(HeaderName::Via);
        for (text, expected) in [
            ("", invalid),
            ("SIP/3.0/UDP h", invalid),
            ("SIP/2.0 UDP h", invalid),
            ("SIP/2.0/UDP", invalid),
            ("SIP/2.0/UDP h x", invalid),
            ("SIP/2.0/UDP ;branch=x", Malformed::UriHost),
            ("SIP/2.0/UDP h:99999", Malformed::UriPort),
            ("SIP/2.0/UDP 2001:db8::1", Malformed::UriHost),
            ("SIP/2.0/UDP 192.0.2.15;;,;,,", Malformed::Parameter),
            ("SIP/2.0/UDP h;branch=z9hG4bK", Malformed::BranchEmpty),
        ] {
            assert_eq!(Via::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn what_nearly_everybody_writes_is_read_in_the_quick_way() {
        for text in ["SIP/2.0/UDP 192.0.2.1:5060;rport", "SIP/2.0/TLS 192.0.2.1"] {
            assert!(plain_start(text.as_bytes()).is_some(), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        // The blank keeps a value out of the quick way.
        #[test]
        fn white_space_before_a_value_changes_nothing(
            start in "SIP/2\\.0/(UDP|TCP|TLS|udp|SCTP|U)( |  |\t|)",
            host in "192\\.0\\.2\\.1|([0-9]{1,3}\\.){2,4}[0-9]{0,3}|h|\\[::1\\]|",
            port in "|:|:[0-9]{1,7}|:6553[0-9]|::5060| :5060|:5060 |: 5060",
            rest in "(;branch=z9hG4bKa|;rport|,|x| |\r\n |;){0,3}",
        ) {
            let text = [start, host, port, rest].concat();
            let longer = format!(" {text}");
            prop_assert_eq!(
                Via::parse(text.as_bytes()),
                Via::parse(longer.as_bytes()),
                "{:?}",
                text
            );
        }

        #[test]
        fn the_first_value_of_a_line_is_its_first_element(
            line in "(SIP/2.0/UDP |SIP/2\\.0/TLS|SIP|/| |h|1\\.2\\.3\\.4|:|5060|;branch=|z9hG4bK|\
                ;|a|=|\"|,|<|>|\\\\|\r\n |;rport|x){0,12}",
        ) {
            let addressed = format!("SIP/2.0/UDP h{line}");
            let branched = format!("SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK{line}");
            for line in [line, addressed, branched] {
                let element = Elements::new(line.as_bytes()).next().expect("one at least");
                prop_assert_eq!(Via::first(line.as_bytes()), Via::parse(element), "{:?}", line);
            }
        }
    }
}
