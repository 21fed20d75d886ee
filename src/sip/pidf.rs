//! Presence documents (RFC 3863, RFC 4480) as UCM and its relatives send them.
//!
//! Names match by local name within a set of known namespaces, because prefixes and even the
//! namespace of RPID vary between products. Unknown XML is passed over. Entities other than the
//! five of XML are refused, a document type is skipped and never resolved. What a state means for
//! an agent is decided in `presence`.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::{NsReader, XmlVersion};

use crate::limits::{
    PIDF_ACTIVITIES_MAX, PIDF_ACTIVITY_BYTES_MAX, PIDF_ATTRIBUTES_MAX, PIDF_BYTES_MAX,
    PIDF_DEPTH_MAX,
};

/// Whether a device can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basic {
    /// `open`
    Open,
    /// `closed`
    Closed,
}

/// What a presence document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Whom it is about: the `entity` URI as written.
    pub entity: String,
    /// The basic status: open when any tuple is open; of the person only when no tuple says.
    pub basic: Basic,
    /// The activities, in document order, each once, at most `PIDF_ACTIVITIES_MAX`. Empty means
    /// no activity.
    pub activities: Vec<String>,
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

/// Reads the body of a NOTIFY. Bytes that are not UTF-8 are replaced, whatever encoding the
/// declaration claims.
///
/// # Errors
/// A [`PidfError`]; the body says nothing then.
pub fn parse(body: &[u8]) -> Result<Presence, PidfError> {
    if body.len() > PIDF_BYTES_MAX {
        return Err(PidfError::TooLarge);
    }
    const UTF16: [&[u8]; 4] = [b"\xfe\xff", b"\xff\xfe", b"<\0", b"\0<"];
    if UTF16.iter().any(|start| body.starts_with(start)) {
        return Err(PidfError::Utf16);
    }
    let text = String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body));
    let mut document = Document::default();
    let mut reader = NsReader::from_str(&text);
    loop {
        let (namespace, event) = reader
            .read_resolved_event()
            .map_err(|_| PidfError::Syntax)?;
        match event {
            Event::Start(element) => document.open(&namespace, &element)?,
            Event::Empty(element) => {
                document.open(&namespace, &element)?;
                document.close();
            }
            Event::End(_) => document.close(),
            Event::Text(text) => document.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => document.text(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(entity) => check_entity(&entity)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => return document.finish(),
        }
    }
}

fn check_entity(name: &str) -> Result<(), PidfError> {
    match name {
        "amp" | "lt" | "gt" | "quot" | "apos" => Ok(()),
        _ if name.starts_with('#') => Ok(()),
        _ => Err(PidfError::Entity),
    }
}

/// What an element means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Element {
    Presence,
    Person,
    Tuple,
    Status,
    Basic,
    Activities,
    #[default]
    Unknown,
}

impl Element {
    fn of(namespace: &ResolveResult<'_>, local_name: &str) -> Result<Self, PidfError> {
        let known = match namespace {
            ResolveResult::Bound(Namespace(uri)) => is_known(uri),
            ResolveResult::Unbound => true,
            // An activity under an unbound prefix must not read as "no activity".
            ResolveResult::Unknown(_) => return Err(PidfError::UndeclaredPrefix),
        };
        Ok(match local_name {
            _ if !known => Self::Unknown,
            "presence" => Self::Presence,
            "person" => Self::Person,
            "tuple" => Self::Tuple,
            "status" => Self::Status,
            "basic" => Self::Basic,
            "activities" => Self::Activities,
            _ => Self::Unknown,
        })
    }
}

/// Namespaces of PIDF, of its data model, and of RPID in its drafts, its RFC and at Cisco.
fn is_known(uri: &str) -> bool {
    if let Some(rest) = uri.strip_prefix("urn:ietf:params:xml:ns:pidf") {
        return matches!(
            rest,
            "" | ":data-model"
                | ":person"
                | ":rpid"
                | ":rpid-status"
                | ":status:rpid"
                | ":rpid-person"
                | ":rpid-tuple"
        );
    }
    uri == "urn:cisco:params:xml:ns:pidf:rpid"
}

/// The reading so far.
#[derive(Debug, Default)]
struct Document {
    /// The open elements, outermost first.
    path: [Element; PIDF_DEPTH_MAX],
    depth: usize,
    entity: Option<String>,
    /// The text of the `basic` that is open, as far as it can matter.
    basic_text: String,
    tuple: Option<Basic>,
    person: Option<Basic>,
    activities: Vec<String>,
}

impl Document {
    fn open(
        &mut self,
        namespace: &ResolveResult<'_>,
        start: &BytesStart<'_>,
    ) -> Result<(), PidfError> {
        if self.depth == PIDF_DEPTH_MAX {
            return Err(PidfError::TooDeep);
        }
        if start
            .attributes()
            .with_checks(false)
            .take(PIDF_ATTRIBUTES_MAX + 1)
            .count()
            > PIDF_ATTRIBUTES_MAX
        {
            return Err(PidfError::TooWide);
        }
        let local_name = start.local_name();
        let element = Element::of(namespace, local_name.as_ref())?;
        if self.depth == 0 {
            if element != Element::Presence || self.entity.is_some() {
                return Err(PidfError::NotPresence);
            }
            self.entity = Some(entity(start)?);
        } else if self.path[self.depth - 1] == Element::Activities {
            self.activity(local_name.as_ref());
        } else if element == Element::Basic {
            self.basic_text.clear();
        }
        self.path[self.depth] = element;
        self.depth += 1;
        Ok(())
    }

    fn close(&mut self) {
        // The reader has refused an end without a start.
        self.depth = self.depth.saturating_sub(1);
        if self.path[self.depth] != Element::Basic {
            return;
        }
        let basic = match self.basic_text.trim() {
            "open" => Basic::Open,
            "closed" => Basic::Closed,
            _ => return,
        };
        let inside = |element| self.path[..self.depth].contains(&element);
        let place = if inside(Element::Tuple) {
            &mut self.tuple
        } else if inside(Element::Person) {
            &mut self.person
        } else {
            return;
        };
        // Of several the open one counts: one way to reach somebody is enough.
        if *place != Some(Basic::Open) {
            *place = Some(basic);
        }
    }

    fn text(&mut self, text: &str) {
        const LONGEST: usize = 64;
        let in_basic = self.depth > 0 && self.path[self.depth - 1] == Element::Basic;
        if in_basic && self.basic_text.len() + text.len() <= LONGEST {
            self.basic_text.push_str(text);
        }
    }

    fn activity(&mut self, name: &str) {
        // RFC 4480 §3.2: a note is a remark on the activities, not one of them.
        if name == "note" || self.activities.len() == PIDF_ACTIVITIES_MAX {
            return;
        }
        let mut end = name.len().min(PIDF_ACTIVITY_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        if !self.activities.iter().any(|known| *known == name[..end]) {
            self.activities.push(name[..end].to_owned());
        }
    }

    fn finish(self) -> Result<Presence, PidfError> {
        if self.depth != 0 {
            return Err(PidfError::Syntax);
        }
        let entity = self.entity.ok_or(PidfError::NotPresence)?;
        let basic = self.tuple.or(self.person).ok_or(PidfError::BasicMissing)?;
        Ok(Presence {
            entity,
            basic,
            activities: self.activities,
        })
    }
}

/// The `entity` attribute of the root.
fn entity(start: &BytesStart<'_>) -> Result<String, PidfError> {
    for attribute in start.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| PidfError::Syntax)?;
        if attribute.key.as_ref() == "entity" {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            return value.map(Cow::into_owned).map_err(|_| PidfError::Entity);
        }
    }
    Err(PidfError::EntityMissing)
}

#[cfg(test)]
mod tests;
