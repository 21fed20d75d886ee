//! One value of the configuration: from what is written to what is meant. Each conversion that
//! fails says what to write instead; where the value stands is the reader's business.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::agent::WrapUp;
use super::keys::{closest, listed};
use super::network::Network;
use super::server::{Cores, Listener, MediaServer, transport_and_address};
use super::trunk::Peer;
use crate::dns::Question;
use crate::limits::{
    CREDENTIAL_BYTES_MAX, HOST_BYTES_MAX, NAME_BYTES_MAX, SKILL_LEVEL_MAX, WRAP_UP_MAX,
};

/// A value as it is written, in TOML or in a cell of a CSV file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scalar<'a> {
    /// In quotes, or a cell.
    Text(&'a str),
    /// A whole number; the value if it is not negative and fits.
    Integer(&'a str, Option<u64>),
    /// A number with a point.
    Float(&'a str),
    /// `true` or `false`.
    Flag(bool),
    /// What holds other values, or a date: how to call it.
    Other(&'static str),
}

impl<'a> From<&'a DeValue<'_>> for Scalar<'a> {
    fn from(value: &'a DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text),
            DeValue::Integer(integer) => {
                let text = integer.as_str();
                Self::Integer(text, u64::from_str_radix(text, integer.radix()).ok())
            }
            DeValue::Float(float) => Self::Float(float.as_str()),
            DeValue::Boolean(flag) => Self::Flag(*flag),
            DeValue::Datetime(_) => Self::Other("a date"),
            DeValue::Array(_) => Self::Other("a list"),
            DeValue::Table(_) => Self::Other("a table"),
        }
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 40;
        match self {
            Self::Text(text) if text.chars().count() > SHOWN_MAX => {
                let shown: String = text.chars().take(SHOWN_MAX).collect();
                write!(formatter, "{shown:?}…")
            }
            Self::Text(text) => write!(formatter, "{text:?}"),
            Self::Integer(text, _) | Self::Float(text) => write!(formatter, "{text:.40}"),
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Other(kind) => formatter.write_str(kind),
        }
    }
}

/// The value, or what to write instead.
pub(super) type Converted<T> = Result<T, String>;

/// A whole number within bounds.
pub(super) fn integer(scalar: Scalar<'_>, bounds: &RangeInclusive<u32>) -> Converted<u32> {
    let write = || {
        Err(format!(
            "write a whole number from {} to {}",
            bounds.start(),
            bounds.end()
        ))
    };
    match scalar {
        Scalar::Integer(_, Some(value)) => match u32::try_from(value) {
            Ok(value) if bounds.contains(&value) => Ok(value),
            Ok(_) | Err(_) => write(),
        },
        Scalar::Integer(_, None)
        | Scalar::Text(_)
        | Scalar::Float(_)
        | Scalar::Flag(_)
        | Scalar::Other(_) => write(),
    }
}

/// `true` or `false`.
pub(super) fn flag(scalar: Scalar<'_>) -> Converted<bool> {
    match scalar {
        Scalar::Flag(flag) => Ok(flag),
        Scalar::Text(_) | Scalar::Integer(..) | Scalar::Float(_) | Scalar::Other(_) => {
            Err("write true or false, without quotes".to_owned())
        }
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(scalar: Scalar<'_>, words: &[(&str, T)]) -> Converted<T> {
    let text = match scalar {
        Scalar::Text(text) => text,
        Scalar::Integer(..) | Scalar::Float(_) | Scalar::Flag(_) | Scalar::Other(_) => "",
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    if let Some(meant) = closest(text, words.iter().map(|(word, _)| *word)) {
        return Err(format!("did you mean \"{meant}\"?"));
    }
    let words: Vec<String> = words
        .iter()
        .map(|(word, _)| format!("\"{word}\""))
        .collect();
    Err(format!("write {}", words.join(" or ")))
}

/// A length of time within bounds: seconds, or a text with a unit.
pub(super) fn duration(
    scalar: Scalar<'_>,
    bounds: &RangeInclusive<Duration>,
) -> Converted<Duration> {
    time(scalar)
        .filter(|time| bounds.contains(time))
        .ok_or_else(|| {
            let (least, most) = (shown(*bounds.start()), shown(*bounds.end()));
            format!("write seconds or a text like \"30s\" or \"500ms\", from {least} to {most}")
        })
}

/// A length of time within bounds, or zero for none.
pub(super) fn duration_or_none(
    scalar: Scalar<'_>,
    bounds: &RangeInclusive<Duration>,
) -> Converted<Option<Duration>> {
    if time(scalar) == Some(Duration::ZERO) {
        return Ok(None);
    }
    match duration(scalar, bounds) {
        Ok(time) => Ok(Some(time)),
        Err(instead) => Err(format!("{instead}, or 0 for none")),
    }
}

/// A wrap-up: a length of time, zero for none, or `untimed`.
pub(super) fn wrap_up(scalar: Scalar<'_>) -> Converted<WrapUp> {
    if let Scalar::Text("untimed") = scalar {
        return Ok(WrapUp::Untimed);
    }
    const BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=WRAP_UP_MAX;
    match duration_or_none(scalar, &BOUNDS) {
        Ok(Some(time)) => Ok(WrapUp::Timed(time)),
        Ok(None) => Ok(WrapUp::Off),
        Err(instead) => Err(format!("{instead}, or \"untimed\"")),
    }
}

/// A pause of an agent, zero for none.
pub(super) fn pause(scalar: Scalar<'_>) -> Converted<Option<Duration>> {
    duration_or_none(scalar, &(Duration::from_secs(1)..=Duration::from_hours(24)))
}

/// How long a phone may ring.
pub(super) fn no_answer(scalar: Scalar<'_>) -> Converted<Duration> {
    duration(scalar, &(Duration::from_secs(1)..=Duration::from_mins(10)))
}

fn time(scalar: Scalar<'_>) -> Option<Duration> {
    match scalar {
        Scalar::Integer(_, value) => value.map(Duration::from_secs),
        Scalar::Text(text) | Scalar::Float(text) => time_of_text(text),
        Scalar::Flag(_) | Scalar::Other(_) => None,
    }
}

fn time_of_text(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit_ms = match &text[number.len()..] {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    let number = number.trim_end();
    // `f64` would also take "inf", "1e9" and a sign.
    if !number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let milliseconds = (number.parse::<f64>().ok()? * unit_ms).round();
    Duration::try_from_secs_f64(milliseconds / 1_000.0).ok()
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_millis() != 0 {
        return format!("{}ms", time.as_millis());
    }
    match seconds {
        0 => "0".to_owned(),
        _ if seconds.is_multiple_of(86_400) => format!("{}d", seconds / 86_400),
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

/// A text of any kind.
pub(super) fn text<'a>(scalar: Scalar<'a>) -> Converted<&'a str> {
    match scalar {
        Scalar::Text(text) => Ok(text),
        Scalar::Integer(text, _) | Scalar::Float(text) => {
            Err(format!("write it in quotes: \"{text:.40}\""))
        }
        Scalar::Flag(_) | Scalar::Other(_) => Err("write a text in quotes".to_owned()),
    }
}

/// A skill with its level.
pub(super) fn skill<'a>(name: &'a str, level: Scalar<'_>) -> Converted<(&'a str, u8)> {
    let name = self::name(Scalar::Text(name))?;
    let level = integer(level, &(1..=u32::from(SKILL_LEVEL_MAX)))?;
    Ok((name, u8::try_from(level).unwrap_or(SKILL_LEVEL_MAX)))
}

/// The skills of a cell: `english=7|sales=3`.
pub(super) fn skills(cell: &str, count_max: usize) -> Converted<Vec<(&str, u8)>> {
    let mut skills: Vec<(&str, u8)> = Vec::new();
    for pair in cell.split('|') {
        let write = || "write skills with levels, such as english=7|sales=3".to_owned();
        let (name, level) = pair.split_once('=').ok_or_else(write)?;
        let level = level.trim();
        let number = level.parse::<u64>().map_err(|_| write())?;
        let (name, level) = skill(name.trim(), Scalar::Integer(level, Some(number)))?;
        if skills.iter().any(|(known, _)| *known == name) {
            return Err(format!("write the skill {name} once"));
        }
        skills.push((name, level));
    }
    if skills.len() > count_max {
        return Err(format!("write at most {count_max} skills"));
    }
    Ok(skills)
}

/// The name of a file.
pub(super) fn file<'a>(scalar: Scalar<'a>) -> Converted<&'a str> {
    let text = text(scalar)?;
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err("write the name of a file, such as \"agents.csv\"".to_owned());
    }
    Ok(text)
}

/// A DN, a number, an identifier or a name.
pub(super) fn name<'a>(scalar: Scalar<'a>) -> Converted<&'a str> {
    let text = text(scalar)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"*#+._-".contains(&byte);
    if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(legal) {
        return Err(format!(
            "write 1 to {NAME_BYTES_MAX} letters, digits or any of * # + . _ -"
        ));
    }
    Ok(text)
}

/// A host: an address or a name. A bare IPv6 address gets its brackets.
pub(super) fn host(scalar: Scalar<'_>) -> Converted<Box<str>> {
    let text = text(scalar)?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() => {
            Err("write an address that others can reach, such as \"192.0.2.10\"".to_owned())
        }
        Ok(IpAddr::V6(address)) => Ok(format!("[{address}]").into()),
        Ok(IpAddr::V4(_)) if bare.len() == text.len() => Ok(text.into()),
        Ok(IpAddr::V4(_)) | Err(_) => {
            if is_host_name(text) {
                return Ok(text.into());
            }
            Err("write an address or a host name without port, such as \"192.0.2.10\"".to_owned())
        }
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    // RFC 1123 §2.1: a name of digits and points only would be an address, and is none.
    let digits = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.len() <= HOST_BYTES_MAX && !digits && text.split('.').all(label)
}

/// An address to listen on.
pub(super) fn listener(scalar: Scalar<'_>) -> Converted<Listener> {
    let listener: Listener = text(scalar)?
        .parse()
        .map_err(|wrong: super::Unusable| wrong.to_string())?;
    if listener.address.ip().is_multicast() {
        return Err("write an address of this host, or 0.0.0.0 for all of them".to_owned());
    }
    Ok(listener)
}

/// A node of a trunk.
pub(super) fn peer(scalar: Scalar<'_>) -> Converted<Peer> {
    const WRITE: &str = "write udp:ADDRESS:PORT, tcp:ADDRESS:PORT or tls:ADDRESS:PORT, such as \
                         \"udp:192.0.2.20:5060\", or a name, such as \"udp:pbx.example.com\" or \
                         \"sip:example.com\"";
    let text = text(scalar)?;
    if let Some((transport, address)) = transport_and_address(text) {
        let ip = address.ip();
        if address.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
            return Err(WRITE.to_owned());
        }
        return Ok(Peer::Address { transport, address });
    }
    let (scheme, place) = text.split_once(':').ok_or(WRITE)?;
    let transport = match scheme {
        "sip" => None,
        "udp" => Some(offhook_shards::Transport::Udp),
        "tcp" => Some(offhook_shards::Transport::Tcp),
        "tls" => Some(offhook_shards::Transport::Tls),
        _ => return Err(WRITE.to_owned()),
    };
    let (host, port) = match place.split_once(':') {
        None => (place, None),
        Some((host, port)) => (host, Some(port)),
    };
    let is_address = place.parse::<SocketAddr>().is_ok() || place.parse::<IpAddr>().is_ok();
    if scheme == "sip" && is_address {
        return Err(format!(
            "sip: looks up a name; for an address write \"udp:{place}\""
        ));
    }
    if !is_host_name(host) {
        return Err(WRITE.to_owned());
    }
    let number = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let number = port.parse().ok().filter(|port| digits && *port != 0);
        number.ok_or_else(|| "write a port from 1 to 65535 after the name, or none".to_owned())
    };
    let port = port.map(number).transpose()?;
    Ok(Peer::Name(Question::new(host, port, transport)))
}

/// Whom a certificate is for: a host name, or an address without brackets.
pub(super) fn tls_name(scalar: Scalar<'_>) -> Converted<Box<str>> {
    let text = text(scalar)?;
    if is_host_name(text) || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_ascii_lowercase().into());
    }
    Err("write the name or the address in the certificate, such as \"pbx.example.com\"".to_owned())
}

/// The address of a name server; without a port, 53.
pub(super) fn name_server(scalar: Scalar<'_>) -> Converted<SocketAddr> {
    const WRITE: &str = "write the address of a name server, such as \"192.0.2.53\" or \
                         \"[2001:db8::53]:53\"";
    let text = text(scalar)?;
    let address = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .map_err(|_| WRITE)?;
    if address.port() == 0 || address.ip().is_unspecified() || address.ip().is_multicast() {
        return Err(WRITE.to_owned());
    }
    Ok(address)
}

/// A server of media.
pub(super) fn media_server(scalar: Scalar<'_>) -> Converted<MediaServer> {
    text(scalar)?
        .parse()
        .map_err(|wrong: super::Unusable| wrong.to_string())
}

/// A text that may stand between quotes in a header.
pub(super) fn quotable<'a>(scalar: Scalar<'a>) -> Converted<&'a str> {
    let text = text(scalar)?;
    let legal = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    if text.is_empty() || text.len() > CREDENTIAL_BYTES_MAX || !text.bytes().all(legal) {
        return Err(format!(
            "write 1 to {CREDENTIAL_BYTES_MAX} characters of ASCII, none of \" and \\"
        ));
    }
    Ok(text)
}

/// A network, or an address.
pub(super) fn network(scalar: Scalar<'_>) -> Converted<Network> {
    text(scalar)?
        .parse()
        .map_err(|wrong: super::Unusable| wrong.to_string())
}

/// Core numbers.
pub(super) fn cores(scalar: Scalar<'_>) -> Converted<Cores> {
    text(scalar)?
        .parse()
        .map_err(|wrong: super::Unusable| wrong.to_string())
}

/// What to write in place of a name that nothing has.
pub(super) fn instead_of_name<'a>(
    name: &str,
    kind: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    if let Some(meant) = closest(name, known.clone()) {
        return format!("did you mean \"{meant}\"?");
    }
    let few: Vec<&str> = known.take(8).collect();
    if few.is_empty() {
        return format!("add a [[{kind}]] with that name");
    }
    format!(
        "add a [[{kind}]] with that name, or write one of {}",
        listed(few.into_iter())
    )
}
