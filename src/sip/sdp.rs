//! Session descriptions (RFC 8866), as far as a server in the signalling path must look: that it
//! is one, who wrote it, and which way each medium flows. Bodies are passed on as they came.

use super::scan::{decimal, text};
use super::status::Status;
use crate::limits::{SDP_LINES_MAX, SDP_MEDIA_MAX};

/// Why a body is not a session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SdpError {
    /// RFC 8866 §5.1: the first line is `v=0`.
    Version,
    /// RFC 8866 §5: a line is a letter, `=` and a value.
    Line,
    /// RFC 8866 §5.2: no `o=` line with six fields before the first medium.
    Origin,
    /// RFC 8866 §5.7: a `c=` line without three fields.
    Connection,
    /// RFC 8866 §5.14: a `m=` line without a kind, a port, a protocol and a format.
    Media,
    /// More lines than `SDP_LINES_MAX`.
    TooManyLines,
    /// More media than `SDP_MEDIA_MAX`.
    TooManyMedia,
}

impl SdpError {
    /// The final response this earns a request.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Version | Self::Line | Self::Origin | Self::Connection | Self::Media => {
                Status::BAD_REQUEST
            }
            Self::TooManyLines | Self::TooManyMedia => Status::NOT_ACCEPTABLE_HERE,
        }
    }
}

/// Which way a medium flows, seen from the side that wrote the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendReceive,
    /// The writer only sends: it has put the other side on hold, with music.
    SendOnly,
    /// The writer only receives.
    ReceiveOnly,
    /// Neither: hold.
    Inactive,
}

impl Direction {
    /// Whether the writer sends.
    #[must_use]
    pub fn sends(self) -> bool {
        match self {
            Self::SendReceive | Self::SendOnly => true,
            Self::ReceiveOnly | Self::Inactive => false,
        }
    }

    /// Whether the writer receives.
    #[must_use]
    pub fn receives(self) -> bool {
        match self {
            Self::SendReceive | Self::ReceiveOnly => true,
            Self::SendOnly | Self::Inactive => false,
        }
    }
}

/// The `o=` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin<'a> {
    /// The user name, `-` for none.
    pub username: &'a str,
    /// The session identifier.
    pub session: &'a str,
    /// The version; a new description of the same session has a higher one.
    pub version: u64,
    /// `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address, without brackets.
    pub address: &'a str,
}

/// One `m=` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Media<'a> {
    /// `audio`, `video`, ….
    pub kind: &'a str,
    /// The port; 0 refuses the medium.
    pub port: u16,
    /// `RTP/AVP`, `RTP/SAVP`, ….
    pub protocol: &'a str,
    /// The formats, separated by spaces, as received.
    pub formats: &'a str,
    /// The connection address of the section, else of the session.
    pub address: Option<&'a str>,
    /// The direction of the section, else of the session.
    pub direction: Direction,
}

impl Media<'_> {
    /// Whether the writer holds the other side: by direction, or by the old address 0.0.0.0
    /// (RFC 3264 §8.4).
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.direction.receives() || matches!(self.address, Some("0.0.0.0" | "::"))
    }
}

/// What a description says in short: all that must be known of an offer when its answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gist {
    /// The number of media, refused ones too.
    pub media_count: u8,
    /// Whether every medium in use is on hold; `false` when none is in use.
    pub is_held: bool,
    /// Whether its writer sends none of the media in use.
    pub is_silent: bool,
}

const _: () = assert!(SDP_MEDIA_MAX <= u8::MAX as usize);

/// A session description that has been checked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdp<'a> {
    /// From the first `m=` line on.
    sections: &'a [u8],
    /// The `o=` line.
    pub origin: Origin<'a>,
    /// The connection address of the session.
    pub address: Option<&'a str>,
    /// The direction of the session, the default of its media.
    pub direction: Direction,
    /// The number of media.
    pub media_count: usize,
}

impl<'a> Sdp<'a> {
    /// Checks a body and reads its session section. Lines may end in CRLF or in LF.
    ///
    /// # Errors
    /// The first rule that the body breaks.
    pub fn parse(body: &'a [u8]) -> Result<Self, SdpError> {
        let mut origin = None;
        let mut address = None;
        let mut direction = Direction::default();
        let mut media_count = 0;
        let mut sections = body.len();
        let mut lines = lines(body);
        match lines.next().map(|(_, line)| split(line)).transpose()? {
            Some((b'v', value)) if value.trim_ascii() == b"0" => {}
            Some(_) | None => return Err(SdpError::Version),
        }
        for (number, (start, line)) in (1..).zip(lines) {
            if number == SDP_LINES_MAX {
                return Err(SdpError::TooManyLines);
            }
            let (letter, value) = split(line)?;
            match letter {
                b'm' => {
                    media(value)?;
                    media_count += 1;
                    sections = sections.min(start);
                }
                b'o' if origin.is_none() => origin = Some(read_origin(value)?),
                b'c' => {
                    let found = connection(value)?;
                    if media_count == 0 {
                        address = Some(found);
                    }
                }
                b'a' if media_count == 0 => direction = attribute(value).unwrap_or(direction),
                _ => {}
            }
        }
        if media_count > SDP_MEDIA_MAX {
            return Err(SdpError::TooManyMedia);
        }
        let origin = origin.ok_or(SdpError::Origin)?;
        Ok(Self {
            sections: &body[sections..],
            origin,
            address,
            direction,
            media_count,
        })
    }

    /// The media in order.
    pub fn media(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        let (address, direction) = (self.address, self.direction);
        let mut lines = lines(self.sections)
            .filter_map(|(_, line)| split(line).ok())
            .peekable();
        std::iter::from_fn(move || {
            let (_, value) = lines.find(|(letter, _)| *letter == b'm')?;
            let mut section = media(value).ok()?;
            section.address = address;
            section.direction = direction;
            while let Some((letter, value)) = lines.next_if(|(letter, _)| *letter != b'm') {
                match letter {
                    b'c' => section.address = connection(value).ok().or(section.address),
                    b'a' => section.direction = attribute(value).unwrap_or(section.direction),
                    _ => {}
                }
            }
            Some(section)
        })
    }

    /// What it says in short, in one walk over its media.
    #[must_use]
    pub fn gist(&self) -> Gist {
        let (mut live, mut held, mut sending) = (0, 0, 0);
        for media in self.media().filter(|media| media.port != 0) {
            live += 1;
            held += usize::from(media.is_held());
            sending += usize::from(media.direction.sends());
        }
        Gist {
            media_count: u8::try_from(self.media_count).expect("no more than SDP_MEDIA_MAX"),
            is_held: live > 0 && held == live,
            is_silent: sending == 0,
        }
    }
}

/// The lines without their ends, each with where it starts. Empty lines are not in the grammar;
/// peers put them at the end.
fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < body.len() {
            let start = next;
            let rest = &body[start..];
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            next = start + end + 1;
            let line = &rest[..end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !line.is_empty() {
                return Some((start, line));
            }
        }
        None
    })
}

fn split(line: &[u8]) -> Result<(u8, &[u8]), SdpError> {
    match line {
        [letter, b'=', value @ ..] if letter.is_ascii_lowercase() => Ok((*letter, value)),
        _ => Err(SdpError::Line),
    }
}

fn read_origin(value: &[u8]) -> Result<Origin<'_>, SdpError> {
    let mut rest = text(value).ok_or(SdpError::Origin)?;
    let mut next = || word(&mut rest).ok_or(SdpError::Origin);
    let (username, session, version) = (next()?, next()?, next()?);
    let (_network, address_type, address) = (next()?, next()?, next()?);
    let Some(Ok(version)) = decimal(version.as_bytes()) else {
        return Err(SdpError::Origin);
    };
    Ok(Origin {
        username,
        session,
        version,
        address_type,
        address,
    })
}

fn connection(value: &[u8]) -> Result<&str, SdpError> {
    let mut rest = text(value).ok_or(SdpError::Connection)?;
    match (word(&mut rest), word(&mut rest), word(&mut rest)) {
        // A multicast address has `/ttl` behind it.
        (Some(_), Some(_), Some(address)) => Ok(before_slash(address)),
        _ => Err(SdpError::Connection),
    }
}

fn media(value: &[u8]) -> Result<Media<'_>, SdpError> {
    let mut rest = text(value).ok_or(SdpError::Media)?;
    // Blanks alone part these words, so that nobody who takes another control for the end of the
    // line sees another medium.
    let mut next = || {
        let end = rest.bytes().position(|byte| byte == b' ');
        let (word, after) = rest.split_at(end.ok_or(SdpError::Media)?);
        rest = after.trim_start_matches(' ');
        Ok(word)
    };
    let (kind, ports, protocol) = (next()?, next()?, next()?);
    let port = before_slash(ports).parse().map_err(|_| SdpError::Media)?;
    let formats = rest.trim_ascii();
    if kind.is_empty() || formats.is_empty() {
        return Err(SdpError::Media);
    }
    let direction = Direction::default();
    Ok(Media {
        kind,
        port,
        protocol,
        formats,
        address: None,
        direction,
    })
}

/// Takes the next word of a line, whatever blanks are before it.
fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let line = rest.trim_ascii_start();
    let end = line.bytes().position(|byte| byte.is_ascii_whitespace());
    let (word, after) = line.split_at(end.unwrap_or(line.len()));
    *rest = after;
    (!word.is_empty()).then_some(word)
}

/// A number of ports or a lifetime may follow behind a slash.
fn before_slash(word: &str) -> &str {
    let end = word.bytes().position(|byte| byte == b'/');
    &word[..end.unwrap_or(word.len())]
}

fn attribute(value: &[u8]) -> Option<Direction> {
    match value.trim_ascii() {
        b"sendrecv" => Some(Direction::SendReceive),
        b"sendonly" => Some(Direction::SendOnly),
        b"recvonly" => Some(Direction::ReceiveOnly),
        b"inactive" => Some(Direction::Inactive),
        _ => None,
    }
}

/// The version of a description that is known to be one; `None` where there is no `o=` line that
/// can be read.
#[must_use]
pub fn version(body: &[u8]) -> Option<u64> {
    let (_, line) = lines(body).find(|(_, line)| line.starts_with(b"o="))?;
    Some(read_origin(&line[2..]).ok()?.version)
}

/// The answer that refuses every medium of an offer (RFC 3264 §6: port 0), for a call that is
/// over before it has begun.
///
/// # Errors
/// As [`Sdp::parse`].
pub fn decline(offer: &[u8]) -> Result<Vec<u8>, SdpError> {
    let offer = Sdp::parse(offer)?;
    let mut answer =
        b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n".to_vec();
    for media in offer.media() {
        let line = format!(
            "m={} 0 {} {}\r\n",
            media.kind, media.protocol, media.formats
        );
        answer.extend_from_slice(line.as_bytes());
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=CiscoSystemsCCM-SIP 37245911 2 IN IP4 192.0.2.20\r\n\
        s=SIP Call\r\nc=IN IP4 192.0.2.41\r\nt=0 0\r\na=inactive\r\n\
        m=audio 24580 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n\
        m=video 0/2 RTP/AVP 31\r\nc=IN IP4 224.0.0.1/127\r\na=sendrecv\r\n";

    #[test]
    fn sections_inherit_from_the_session() {
        let sdp = Sdp::parse(OFFER.as_bytes()).expect("legal");
        assert_eq!((sdp.origin.session, sdp.origin.version), ("37245911", 2));
        assert_eq!(version(OFFER.as_bytes()), Some(2));
        assert_eq!(sdp.media_count, 2);
        let media: Vec<_> = sdp.media().collect();
        assert_eq!(
            (media[0].kind, media[0].port, media[0].formats),
            ("audio", 24580, "0 8 101")
        );
        assert_eq!(media[0].address, Some("192.0.2.41"));
        assert_eq!(media[0].direction, Direction::Inactive);
        assert_eq!((media[1].port, media[1].address), (0, Some("224.0.0.1")));
        assert_eq!(media[1].direction, Direction::SendReceive);
        assert!(sdp.gist().is_held);
    }

    #[test]
    fn line_feeds_alone_and_old_hold_are_understood() {
        let is_held = |body: &str| Sdp::parse(body.as_bytes()).expect("legal").gist().is_held;
        let body = OFFER.replace("\r\n", "\n").replace("a=inactive\n", "");
        assert!(!is_held(&body));
        let body = body.replace("IP4 192.0.2.41", "IP4 0.0.0.0");
        assert!(is_held(&body));
    }

    #[test]
    fn the_gist_is_of_what_is_in_use() {
        let cases = [
            // Media, on hold, silent.
            ("", 0, false, true),
            ("m=audio 4 RTP/AVP 0\r\n", 1, false, false),
            ("m=audio 0 RTP/AVP 0\r\n", 1, false, true),
            ("m=audio 4 RTP/AVP 0\r\na=sendonly\r\n", 1, true, false),
            ("m=audio 4 RTP/AVP 0\r\na=recvonly\r\n", 1, false, true),
            ("m=audio 4 RTP/AVP 0\r\na=inactive\r\n", 1, true, true),
            // RFC 3264 §8.4: the old hold, which says that it sends.
            (
                "m=audio 4 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n",
                1,
                true,
                false,
            ),
            (
                "m=audio 4 RTP/AVP 0\r\na=sendonly\r\nm=video 0 RTP/AVP 31\r\n",
                2,
                true,
                false,
            ),
            (
                "m=audio 4 RTP/AVP 0\r\na=inactive\r\nm=video 6 RTP/AVP 31\r\n",
                2,
                false,
                false,
            ),
        ];
        for (sections, media_count, is_held, is_silent) in cases {
            let text = format!("v=0\r\no=- 7 1 IN IP4 h\r\ns=-\r\nt=0 0\r\n{sections}");
            let expected = Gist {
                media_count,
                is_held,
                is_silent,
            };
            let sdp = Sdp::parse(text.as_bytes()).expect("legal");
            assert_eq!(sdp.gist(), expected, "{sections}");
        }
    }

    #[test]
    fn other_bodies_name_the_rule_they_break() {
        let bomb = format!("{OFFER}{}", "m=audio 1 RTP/AVP 0\r\n".repeat(SDP_MEDIA_MAX));
        let long = format!("{OFFER}{}", "a=x\r\n".repeat(SDP_LINES_MAX));
        for (body, expected) in [
            ("", SdpError::Version),
            ("v=1\r\n", SdpError::Version),
            ("o=- 1 1 IN IP4 h\r\n", SdpError::Version),
            ("<presence/>", SdpError::Line),
            ("v=0\r\ns=-\r\n", SdpError::Origin),
            ("v=0\r\no=- 1 x IN IP4 h\r\n", SdpError::Origin),
            ("v=0\r\no=- 1 1 IN IP4\r\n", SdpError::Origin),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nc=IN IP4\r\n",
                SdpError::Connection,
            ),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 70000 RTP/AVP 0\r\n",
                SdpError::Media,
            ),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 7 RTP/AVP\r\n",
                SdpError::Media,
            ),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nm=audio\t7\tRTP/AVP\t0\r\n",
                SdpError::Media,
            ),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nm=audio 7\rRTP/AVP 0\r\n",
                SdpError::Media,
            ),
            (
                "v=0\r\no=- 1 1 IN IP4 h\r\nm= audio 7 RTP/AVP 0\r\n",
                SdpError::Media,
            ),
            (bomb.as_str(), SdpError::TooManyMedia),
            (long.as_str(), SdpError::TooManyLines),
        ] {
            assert_eq!(Sdp::parse(body.as_bytes()), Err(expected), "{body:.60}");
        }
    }
}
