//! Presence documents (RFC 3863, RFC 4480) as UCM and its relatives send them.
//!
//! Names match by local name within a set of known namespaces, because prefixes and even the
//! namespace of RPID vary between products. Unknown XML is passed over. Entities other than the
//! five of XML are refused, a document type is skipped and never resolved. What a state means for
//! an agent is decided in `presence`.

use std::borrow::Cow;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::limits::{PIDF_ACTIVITIES_MAX, PIDF_ACTIVITY_BYTES_MAX, PIDF_BYTES_MAX};

use super::scan::text_or_replaced;
use document::{Document, Tag};

mod document;

/// Whether a device can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basic {
    /// `open`
    Open,
    /// `closed`
    Closed,
}

/// What a presence document says, as views into its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence<'a> {
    /// Whom it is about: the `entity` URI.
    pub entity: Cow<'a, str>,
    /// The basic status: open when any tuple is open; of the person only when no tuple says.
    pub basic: Basic,
    /// What its person does.
    pub activities: Activities<'a>,
}

/// Activities in document order, each once, at most `PIDF_ACTIVITIES_MAX`. Empty means no
/// activity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activities<'a> {
    names: [&'a str; PIDF_ACTIVITIES_MAX],
    count: usize,
}

impl<'a> Activities<'a> {
    /// Their names.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.names.into_iter().take(self.count)
    }

    fn add(&mut self, name: &'a str) {
        // RFC 4480 §3.2: a note is a remark on the activities, not one of them.
        if name == "note" || self.count == PIDF_ACTIVITIES_MAX {
            return;
        }
        let name = &name[..name.floor_char_boundary(PIDF_ACTIVITY_BYTES_MAX)];
        if !self.names[..self.count].contains(&name) {
            self.names[self.count] = name;
            self.count += 1;
        }
    }
}

/// Why a body is no presence document that can be used. The last known state stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PidfError {
    /// More bytes than `PIDF_BYTES_MAX`.
    TooLarge,
    /// Elements nested deeper than `PIDF_DEPTH_MAX`.
    TooDeep,
    /// An element with more attributes than `PIDF_ATTRIBUTES_MAX`.
    TooWide,
    /// UTF-16; XML allows it and SIP peers do not send it.
    Utf16,
    /// Not well-formed XML.
    Syntax,
    /// An entity other than `amp`, `lt`, `gt`, `quot`, `apos`.
    Entity,
    /// A prefix that no declaration binds.
    UndeclaredPrefix,
    /// The root is not `presence`.
    NotPresence,
    /// RFC 3863 §4.1.1: the root has no `entity`.
    EntityMissing,
    /// No `basic` that is `open` or `closed`.
    BasicMissing,
}

impl PidfError {
    /// A short name for logs and for the metric that counts refusals by cause.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::TooDeep => "too_deep",
            Self::TooWide => "too_wide",
            Self::Utf16 => "utf16",
            Self::Syntax => "syntax",
            Self::Entity => "entity",
            Self::UndeclaredPrefix => "undeclared_prefix",
            Self::NotPresence => "not_presence",
            Self::EntityMissing => "entity_missing",
            Self::BasicMissing => "basic_missing",
        }
    }
}

impl std::fmt::Display for PidfError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.cause())
    }
}

impl std::error::Error for PidfError {}

/// The body of a NOTIFY as text for [`parse`]. Bytes that are not UTF-8 are replaced, whatever
/// encoding the declaration claims; nothing is copied when there are none.
///
/// # Errors
/// What cannot be text of a presence document.
pub fn text(body: &[u8]) -> Result<Cow<'_, str>, PidfError> {
    if body.len() > PIDF_BYTES_MAX {
        return Err(PidfError::TooLarge);
    }
    const UTF16: [&[u8]; 4] = [b"\xfe\xff", b"\xff\xfe", b"<\0", b"\0<"];
    if UTF16.iter().any(|start| body.starts_with(start)) {
        return Err(PidfError::Utf16);
    }
    Ok(text_or_replaced(body))
}

/// Reads a document whose text [`text`] has found to be of bearable length.
///
/// # Errors
/// A [`PidfError`]; the document says nothing then.
pub fn parse(text: &str) -> Result<Presence<'_>, PidfError> {
    // The reader passes over a byte order mark without counting it.
    let text = text.trim_start_matches('\u{feff}');
    let mut document = Document::default();
    let mut reader = Reader::from_str(text);
    loop {
        let start = reader.buffer_position();
        match reader.read_event().map_err(|_| PidfError::Syntax)? {
            Event::Start(element) => document.open(tag(text, start, &element)?)?,
            Event::Empty(element) => {
                document.open(tag(text, start, &element)?)?;
                document.close();
            }
            Event::End(_) => document.close(),
            Event::Text(text) => document.text(&text),
            Event::CData(text) => document.text(&text),
            Event::GeneralRef(reference) => check_reference(&reference)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return document.finish(),
        }
    }
}

/// The tag that the reader has found at `start`, with the lifetime of the text and not of the
/// event, so that what is kept of it needs no copy.
fn tag<'a>(text: &'a str, start: u64, element: &BytesStart<'_>) -> Result<Tag<'a>, PidfError> {
    let start = usize::try_from(start).map_err(|_| PidfError::Syntax)? + "<".len();
    let content = text.get(start..start + element.len());
    let content = content.ok_or(PidfError::Syntax)?;
    debug_assert_eq!(content, &**element, "no event spans two tags");
    Ok(Tag::new(content, element.name().as_ref().len()))
}

/// One of XML's own five, or a character by its number.
fn check_reference(reference: &BytesRef<'_>) -> Result<(), PidfError> {
    let known = match reference.resolve_char_ref() {
        Ok(character) => character.is_some() || resolve_xml_entity(reference).is_some(),
        Err(_) => false,
    };
    known.then_some(()).ok_or(PidfError::Entity)
}

#[cfg(test)]
mod tests;
