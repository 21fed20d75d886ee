//! A session description cut into its session part and its media sections, as they came, so that
//! sections can be put together anew without losing a line.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialog::Body;
use crate::sip::Sdp;
use crate::sip::sdp::{Gist, Media, Origin};

use super::direction::meant;

/// A description that has been checked once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Description<'a> {
    sdp: Sdp<'a>,
    text: &'a [u8],
    pub(super) gist: Gist,
}

/// One `m=` section with its lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section<'a> {
    /// What the section says, with what it has from the session part.
    pub(super) media: Media<'a>,
    /// From `m=` up to the next `m=`.
    pub(super) text: &'a [u8],
}

/// A body that one party tells another, read once for all who are to look at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) body: &'a Body,
    /// `None` for a body that is no session description: it passes us unread.
    pub(super) description: Option<Description<'a>>,
}

impl<'a> Told<'a> {
    pub(super) fn of(body: &'a Body) -> Self {
        Self {
            body,
            description: Description::of(body),
        }
    }
}

impl<'a> Description<'a> {
    /// `None` for a body that is no session description: it passes us unread.
    pub(super) fn of(body: &'a Body) -> Option<Self> {
        let content_type = body.content_type.split(|byte| *byte == b';').next()?;
        if !content_type
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/sdp")
        {
            return None;
        }
        Self::parse(&body.bytes)
    }

    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let sdp = Sdp::parse(text).ok()?;
        let gist = sdp.gist();
        Some(Self { sdp, text, gist })
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn origin(&self) -> &Origin<'a> {
        &self.sdp.origin
    }

    pub(super) fn media_count(&self) -> usize {
        self.sdp.media_count
    }

    pub(super) fn media(&self) -> impl Iterator<Item = Media<'a>> + use<'a> {
        self.sdp.media()
    }

    /// The lines of the session part, each with its end.
    pub(super) fn session_lines(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        lines(self.text).take_while(|line| !line.starts_with(b"m="))
    }

    /// The media sections in order.
    pub(super) fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let mut rest = self.text;
        skip_to_media(&mut rest);
        self.sdp.media().map(move |media| {
            let whole = rest;
            let own = whole.split_inclusive(|byte| *byte == b'\n').next();
            rest = &rest[own.map_or(0, <[u8]>::len)..];
            skip_to_media(&mut rest);
            Section {
                media,
                text: &whole[..whole.len() - rest.len()],
            }
        })
    }

    /// Whether two descriptions of one party are the same but for the version: nothing has
    /// changed then (RFC 3264 §8).
    pub(super) fn is_same(&self, other: &[u8]) -> bool {
        is_same(self.text, other)
    }
}

/// Whether two texts are the same but for the version in the `o=` line.
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (version_of(one), version_of(other)) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => false,
    }
}

/// Whether two texts say the same, whoever wrote them: all is equal but the `o=` line.
pub(super) fn is_alike(one: &[u8], other: &[u8]) -> bool {
    let says = |line: &&[u8]| !line.starts_with(b"o=");
    lines(one).filter(says).eq(lines(other).filter(says))
}

/// Whether two `o=` lines are of one session, whatever their versions.
pub(super) fn is_same_session(one: &Origin<'_>, other: &Origin<'_>) -> bool {
    let Origin {
        username,
        session,
        version: _,
        address_type,
        address,
    } = one;
    *username == other.username
        && *session == other.session
        && *address_type == other.address_type
        && *address == other.address
}

/// The media that are not refused.
pub(super) fn in_use<'a>(
    description: &Description<'a>,
) -> impl Iterator<Item = Media<'a>> + use<'a> {
    description.media().filter(|media| media.port != 0)
}

/// Whether the media in use are at the same addresses.
pub(super) fn same_places(one: &Description<'_>, other: &Description<'_>) -> bool {
    fn place<'a>(media: Media<'a>) -> (&'a str, u16, Option<&'a str>) {
        (media.kind, media.port, media.address)
    }
    in_use(one).map(place).eq(in_use(other).map(place))
}

/// Whether they flow the same way there.
pub(super) fn same_media(one: &Description<'_>, other: &Description<'_>) -> bool {
    same_places(one, other)
        && in_use(one)
            .zip(in_use(other))
            .all(|(one, other)| meant(&one) == meant(&other))
}

/// A partner's body, with another text where it is a description.
pub(super) fn carry(partner: &Body, text: Option<Arc<[u8]>>) -> Body {
    let Some(bytes) = text else {
        return partner.clone();
    };
    let content_type = partner.content_type.clone();
    Body {
        content_type,
        bytes,
    }
}

pub(super) fn sdp_type() -> Bytes {
    Bytes::from_static(b"application/sdp")
}

pub(super) fn body(text: Arc<[u8]>) -> Body {
    Body {
        content_type: sdp_type(),
        bytes: text,
    }
}

/// The lines of a text, each with its end.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

fn skip_to_media(rest: &mut &[u8]) {
    while !rest.is_empty() && !rest.starts_with(b"m=") {
        let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        *rest = &rest[line..];
    }
}

/// What stands before and behind the version in the `o=` line.
fn version_of(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    for line in lines(text) {
        if line.starts_with(b"o=") {
            let mut fields = line.splitn(4, |byte| *byte == b' ');
            let lead = fields.next()?.len() + fields.next()?.len() + 2;
            let version = fields.next()?.len();
            let (before, rest) = text.split_at(start + lead);
            return Some((before, &rest[version..]));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"v=0\r\no=- 7 41 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 0\r\na=ptime:20\r\nm=video 0 RTP/AVP 31";

    #[test]
    fn sections_and_session_part_are_the_whole_text() {
        let description = Description::parse(TEXT).expect("legal");
        let mut text: Vec<u8> = description.session_lines().flatten().copied().collect();
        let sections: Vec<_> = description.sections().collect();
        assert_eq!(sections.len(), 2);
        assert!(sections[0].text.ends_with(b"a=ptime:20\r\n"));
        assert_eq!(sections[1].media.kind, "video");
        for section in sections {
            text.extend_from_slice(section.text);
        }
        assert_eq!(text, TEXT);
    }

    #[test]
    fn only_the_version_may_differ() {
        let description = Description::parse(TEXT).expect("legal");
        let text = String::from_utf8_lossy(TEXT).into_owned();
        assert!(description.is_same(text.replace(" 41 ", " 1042 ").as_bytes()));
        assert!(!description.is_same(text.replace("o=- 7", "o=- 8").as_bytes()));
        assert!(!description.is_same(text.replace("4000", "4002").as_bytes()));
    }
}
