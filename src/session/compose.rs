//! Puts descriptions together: sections of one party under the `o=` line that the other side
//! knows, in the places that it knows, with other directions where a hold wants that. Each takes
//! what was said last first, and is that where nothing has changed.

use std::fmt::{Arguments, Write as _};
use std::ops::Range;
use std::sync::Arc;

use crate::sip::Direction;
use crate::sip::sdp::{Media, Origin};

use super::description::{Description, Section, lines};
use super::direction::{attribute, both, is_attribute, meant, reversed};
use super::slots::Slots;

/// The discard port, for media that are kept without being used.
const DISCARD_PORT: u16 = 9;

/// A description in the making. As long as it says what was said last, nothing of it is written
/// down: most say the same again.
#[derive(Debug)]
struct Text<'a> {
    /// What was said last; `None` from where the text says something else.
    said: Option<&'a Arc<[u8]>>,
    /// How much of that the text is so far, but for the version.
    same: usize,
    /// Where the version is in what was said, and what it is in the text.
    version: Option<(Range<usize>, u64)>,
    /// The text from where it says something else.
    written: Vec<u8>,
}

impl<'a> Text<'a> {
    fn new(said: Option<&'a Arc<[u8]>>) -> Self {
        Self {
            said,
            same: 0,
            version: None,
            written: Vec::new(),
        }
    }

    /// The lines of the session part, with another `o=` line.
    fn begin(
        said: Option<&'a Arc<[u8]>>,
        origin: &Origin<'_>,
        version: u64,
        source: &Description<'_>,
    ) -> Self {
        let mut text = Self::new(said);
        for line in source.session_lines() {
            if line.starts_with(b"o=") {
                text.origin(origin, version);
            } else {
                text.copy(line);
            }
        }
        text
    }

    /// A description without media, in our own name.
    fn own(said: Option<&'a Arc<[u8]>>, origin: &Origin<'_>, version: u64) -> Self {
        let mut text = Self::new(said);
        text.line(format_args!("v=0"));
        text.origin(origin, version);
        text.line(format_args!("s=-"));
        text.line(format_args!("c=IN IP4 0.0.0.0"));
        text.line(format_args!("t=0 0"));
        text
    }

    fn origin(&mut self, origin: &Origin<'_>, version: u64) {
        let Origin {
            username,
            session,
            address_type,
            address,
            ..
        } = origin;
        self.part(format_args!("o={username} {session} "));
        self.version(version);
        self.line(format_args!(" IN {address_type} {address}"));
    }

    fn version(&mut self, version: u64) {
        if let (Some(said), None) = (self.said, &self.version) {
            let old = memchr::memchr(b' ', &said[self.same..]).unwrap_or_default();
            self.version = Some((self.same..self.same + old, version));
            self.same += old;
        } else {
            self.part(format_args!("{version}"));
        }
    }

    fn line(&mut self, line: Arguments<'_>) {
        self.part(line);
        self.put(b"\r\n");
    }

    fn part(&mut self, part: Arguments<'_>) {
        // What takes it does not fail.
        let _ = self.write_fmt(part);
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(said) = self.said {
            if said[self.same..].starts_with(bytes) {
                self.same += bytes.len();
                return;
            }
            self.departs_from(said);
        }
        self.written.extend_from_slice(bytes);
    }

    /// What comes now was not said last.
    fn departs_from(&mut self, said: &[u8]) {
        self.said = None;
        self.written.reserve(said.len() + 64);
        let mut start = 0;
        if let Some((old, version)) = self.version.take() {
            self.written.extend_from_slice(&said[..old.start]);
            self.part(format_args!("{version}"));
            start = old.end;
        }
        self.written.extend_from_slice(&said[start..self.same]);
    }

    /// RFC 3264 §8: what has not changed keeps its version, and is the same text.
    fn end(mut self) -> Arc<[u8]> {
        if let Some(said) = self.said {
            if said.len() == self.same {
                return Arc::clone(said);
            }
            self.departs_from(said);
        }
        self.written.into()
    }

    /// Lines as they came; the last one of a peer may lack its end.
    fn copy(&mut self, lines: &[u8]) {
        self.put(lines);
        if !lines.is_empty() && !lines.ends_with(b"\n") {
            self.put(b"\r\n");
        }
    }

    /// RFC 3264 §6, §8.2: a medium that is refused or over has port 0 and stays in its place.
    fn refuse(&mut self, media: &Media<'_>) {
        let Media {
            kind,
            protocol,
            formats,
            ..
        } = media;
        self.line(format_args!("m={kind} 0 {protocol} {formats}"));
    }

    /// A section that flows another way.
    fn redirect(&mut self, section: &Section<'_>, direction: Direction) {
        self.without_direction(section.text);
        self.line(format_args!("{}", attribute(direction)));
    }

    fn without_direction(&mut self, text: &[u8]) {
        for line in lines(text).filter(|line| !is_attribute(line)) {
            self.copy(line);
        }
    }
}

impl std::fmt::Write for Text<'_> {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.put(part.as_bytes());
        Ok(())
    }
}

/// The description `source` for a party that knows `origin` and has `list` as its media: each
/// section of the source in its slot, other media of the list refused.
pub(super) fn rewrite(
    last: Option<&Arc<[u8]>>,
    origin: &Origin<'_>,
    version: u64,
    source: &Description<'_>,
    list: &Description<'_>,
    slots: &Slots,
) -> Arc<[u8]> {
    let mut text = Text::begin(last, origin, version, source);
    let mut listed = list.media();
    for slot in slots.iter() {
        let place = listed.next();
        match (slot.and_then(|line| source.sections().nth(line)), place) {
            (Some(section), Some(media)) if section.media.port == 0 => {
                // The kind in the list, whatever is refused of the other party.
                let same = media.kind == section.media.kind;
                text.refuse(if same { &section.media } else { &media });
            }
            (Some(section), Some(_) | None) => text.copy(section.text),
            (None, Some(media)) => text.refuse(&media),
            (None, None) => {}
        }
    }
    text.end()
}

/// The description with each medium in use flowing as `wanted` says of it.
pub(super) fn redirect(
    last: Option<&Arc<[u8]>>,
    origin: &Origin<'_>,
    version: u64,
    source: &Description<'_>,
    wanted: impl Fn(Direction) -> Direction,
) -> Arc<[u8]> {
    let mut text = Text::new(last);
    for line in source.session_lines() {
        if line.starts_with(b"o=") {
            text.origin(origin, version);
        } else {
            text.without_direction(line);
        }
    }
    for section in source.sections() {
        if section.media.port == 0 {
            text.copy(section.text);
        } else {
            text.redirect(&section, wanted(section.media.direction));
        }
    }
    text.end()
}

/// The answer to `offer` that keeps things as `said` has them: the media that the offer still has
/// in common with it, flowing no more than both want.
pub(super) fn keep(
    last: Option<&Arc<[u8]>>,
    origin: &Origin<'_>,
    version: u64,
    offer: &Description<'_>,
    said: &Description<'_>,
) -> Arc<[u8]> {
    let mut text = Text::begin(last, origin, version, said);
    let slots = Slots::answer(offer, said);
    for (line, offered) in slots.iter().zip(offer.media()) {
        let section = line.and_then(|line| said.sections().nth(line));
        match section {
            Some(section) if offered.port != 0 && section.media.port != 0 => {
                keep_section(&mut text, &section, &offered);
            }
            Some(_) | None => text.refuse(&offered),
        }
    }
    text.end()
}

fn keep_section(text: &mut Text<'_>, section: &Section<'_>, offered: &Media<'_>) {
    let said = section.media.direction;
    let direction = both(said, reversed(meant(offered)));
    let common = |format: &&str| {
        offered
            .formats
            .split_ascii_whitespace()
            .any(|offered| offered == *format)
    };
    let formats = section.media.formats.split_ascii_whitespace();
    let (mut all, mut count) = (0, 0);
    for format in formats.clone() {
        all += 1;
        count += usize::from(common(&format));
    }
    if count == 0 {
        return text.refuse(offered);
    }
    let mut section = *section;
    if count < all {
        let Media {
            kind,
            port,
            protocol,
            ..
        } = section.media;
        let formats: Vec<&str> = formats.filter(common).collect();
        text.line(format_args!(
            "m={kind} {port} {protocol} {}",
            formats.join(" ")
        ));
        let own = lines(section.text).next().map_or(0, <[u8]>::len);
        section.text = &section.text[own..];
    }
    if direction == said {
        text.copy(section.text);
    } else {
        text.redirect(&section, direction);
    }
}

/// The answer to an offer of somebody who has no partner: the media stay, and nothing flows.
pub(super) fn park(
    last: Option<&Arc<[u8]>>,
    origin: &Origin<'_>,
    version: u64,
    offer: &Description<'_>,
) -> Arc<[u8]> {
    let mut text = Text::own(last, origin, version);
    for Section {
        media,
        text: lines_of_media,
    } in offer.sections()
    {
        // Other transports need keys or candidates that nobody has here.
        if media.port == 0 || !["RTP/AVP", "RTP/AVPF"].contains(&media.protocol) {
            text.refuse(&media);
            continue;
        }
        let Media {
            kind,
            protocol,
            formats,
            ..
        } = media;
        text.line(format_args!("m={kind} {DISCARD_PORT} {protocol} {formats}"));
        // RFC 3264 §6.1: what a dynamic number means stands in every description that has it.
        let says_format =
            |line: &&[u8]| line.starts_with(b"a=rtpmap:") || line.starts_with(b"a=fmtp:");
        for line in lines(lines_of_media).filter(says_format) {
            text.copy(line);
        }
        text.line(format_args!("{}", attribute(Direction::Inactive)));
    }
    text.end()
}

/// RFC 3725 §4.4: an offer without media, for a party whose partner is not there yet. Media that
/// the dialog has already stay in their places.
pub(super) fn no_media(
    last: Option<&Arc<[u8]>>,
    origin: &Origin<'_>,
    version: u64,
    list: Option<&Description<'_>>,
) -> Arc<[u8]> {
    let mut text = Text::own(last, origin, version);
    for media in list.into_iter().flat_map(Description::media) {
        text.refuse(&media);
    }
    text.end()
}
