//! Media of scenarios: recorded packets, raw audio and digits are cut into packets once, before
//! the run, and sent when their time has come. Nothing is decoded.

mod digits;
mod packet;
mod recording;
mod stream;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::message;

/// Packets of one track; a longer recording is refused.
pub(crate) const PACKETS_MAX: usize = 2_000_000;

/// What is sent to the peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Track {
    /// When each packet goes, from the beginning, in order.
    pub(crate) packets: Vec<(Duration, Vec<u8>)>,
    /// How long one passage is, for tracks that are repeated.
    pub(crate) length: Duration,
    /// How often it is played; without it, for ever.
    pub(crate) times: Option<u32>,
}

/// Which media line of a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    Image,
}

impl Kind {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Audio => b"m=audio ",
            Self::Video => b"m=video ",
            Self::Image => b"m=image ",
        }
    }
}

/// What an action asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Play a track by its index.
    Play { track: usize, kind: Kind },
    /// Send nothing for now.
    Pause,
    /// Go on.
    Resume,
    /// Send back what comes, or no longer.
    Echo(bool),
}

/// A file or text that a scenario plays, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Packets recorded with pcap.
    Recording(String),
    /// Raw audio: the file, how often (`None` is for ever), the payload type.
    Stream {
        file: String,
        times: Option<u32>,
        payload_type: u8,
    },
    /// Digits as RFC 4733 has them.
    Digits(String),
}

impl Source {
    /// The file to read, if there is one.
    pub(crate) fn file(&self) -> Option<&str> {
        match self {
            Self::Recording(file) | Self::Stream { file, .. } => Some(file),
            Self::Digits(_) => None,
        }
    }

    /// Cuts it into packets.
    pub(crate) fn track(&self, bytes: &[u8]) -> Result<Track, String> {
        match self {
            Self::Recording(_) => recording::track(bytes),
            Self::Stream {
                times,
                payload_type,
                ..
            } => stream::track(bytes, *payload_type, *times),
            Self::Digits(text) => digits::track(text),
        }
    }
}

/// Reads what `rtp_stream` says: `FILE[,TIMES[,PAYLOAD TYPE[,NAME/RATE]]]`.
pub(crate) fn stream_source(text: &str) -> Result<Source, String> {
    let mut words = text.split(',').map(str::trim);
    let file = words.next().unwrap_or_default().to_owned();
    let number = |word: Option<&str>, default: i64, what: &str| match word {
        None | Some("") => Ok(default),
        Some(word) => word.parse().map_err(|_| format!("`{word}` is no {what}")),
    };
    let times = number(words.next(), 1, "number of times")?;
    let payload_type = number(words.next(), 0, "payload type")?;
    Ok(Source::Stream {
        file,
        times: u32::try_from(times).ok().filter(|times| *times > 0),
        payload_type: u8::try_from(payload_type)
            .ok()
            .filter(|payload_type| *payload_type < 128)
            .ok_or_else(|| format!("{payload_type} is no payload type"))?,
    })
}

/// Where the peer wants to have media, as its session description says.
pub(crate) fn destination(received: &[u8], kind: Kind) -> Option<SocketAddr> {
    let body = message::body(received);
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let address = |line: &[u8]| -> Option<IpAddr> {
        let rest = line
            .strip_prefix(b"c=IN IP4 ")
            .or_else(|| line.strip_prefix(b"c=IN IP6 "))?;
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b' '));
        std::str::from_utf8(&rest[..end.unwrap_or(rest.len())])
            .ok()?
            .parse()
            .ok()
    };
    let mut ip = None;
    let port = loop {
        let line = lines.next()?;
        ip = address(line).or(ip);
        if let Some(rest) = line.strip_prefix(kind.word()) {
            let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
            break std::str::from_utf8(&rest[..end])
                .ok()?
                .parse::<u16>()
                .ok()?;
        }
    };
    // An address below the media line stands instead of the one above all.
    for line in lines.take_while(|line| !line.starts_with(b"m=")) {
        ip = address(line).or(ip);
    }
    (port > 0).then_some(SocketAddr::new(ip?, port))
}
