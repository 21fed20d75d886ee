//! The reading of a presence document, tag by tag.

use quick_xml::XmlVersion;
use quick_xml::events::attributes::Attributes;
use quick_xml::name::{PrefixDeclaration, QName};

use crate::limits::{PIDF_ATTRIBUTES_MAX, PIDF_DEPTH_MAX, PIDF_NAMESPACES_MAX};

use super::{Activities, Basic, Cow, PidfError, Presence};

/// A start tag.
pub(super) struct Tag<'a> {
    name: &'a str,
    attributes: Attributes<'a>,
}

impl<'a> Tag<'a> {
    /// `content` is what stands between the brackets, the name first.
    pub(super) fn new(content: &'a str, name_length: usize) -> Self {
        let mut attributes = Attributes::new(content, name_length);
        attributes.with_checks(false);
        Self {
            name: &content[..name_length],
            attributes,
        }
    }

    /// The `entity` attribute of the root.
    fn entity(self) -> Result<Cow<'a, str>, PidfError> {
        for attribute in self.attributes {
            let attribute = attribute.map_err(|_| PidfError::Syntax)?;
            if attribute.key.as_ref() == "entity" {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                return value.map_err(|_| PidfError::Entity);
            }
        }
        Err(PidfError::EntityMissing)
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
    fn of(local_name: &str) -> Self {
        match local_name {
            "presence" => Self::Presence,
            "person" => Self::Person,
            "tuple" => Self::Tuple,
            "status" => Self::Status,
            "basic" => Self::Basic,
            "activities" => Self::Activities,
            _ => Self::Unknown,
        }
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

/// A namespace declaration that holds.
#[derive(Debug, Clone, Copy, Default)]
struct Binding<'a> {
    prefix: &'a str,
    /// Whether it binds the prefix, and if so whether to a namespace that we know.
    known: Option<bool>,
}

/// An element that is open.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    element: Element,
    /// How many namespace declarations held before it.
    bindings: usize,
}

/// The reading so far.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// The open elements, outermost first.
    path: [Open; PIDF_DEPTH_MAX],
    depth: usize,
    bindings: [Binding<'a>; PIDF_NAMESPACES_MAX],
    bound: usize,
    entity: Option<Cow<'a, str>>,
    /// The text of the `basic` that is open, as far as it can matter.
    basic: BasicText,
    tuple: Option<Basic>,
    person: Option<Basic>,
    activities: Activities<'a>,
}

impl<'a> Document<'a> {
    pub(super) fn open(&mut self, tag: Tag<'a>) -> Result<(), PidfError> {
        if self.depth == PIDF_DEPTH_MAX {
            return Err(PidfError::TooDeep);
        }
        let bindings = self.bound;
        self.declare(&tag)?;
        let (local_name, prefix) = QName(tag.name).decompose();
        let local_name = local_name.into_inner();
        let element = if self.knows(prefix.map_or("", |prefix| prefix.into_inner()))? {
            Element::of(local_name)
        } else {
            Element::Unknown
        };
        match self.around() {
            None => {
                if element != Element::Presence || self.entity.is_some() {
                    return Err(PidfError::NotPresence);
                }
                self.entity = Some(tag.entity()?);
            }
            Some(Element::Activities) => self.activities.add(local_name),
            Some(_) if element == Element::Basic => self.basic = BasicText::default(),
            Some(_) => {}
        }
        self.path[self.depth] = Open { element, bindings };
        self.depth += 1;
        Ok(())
    }

    /// The innermost element that is open.
    fn around(&self) -> Option<Element> {
        let open = self.path[..self.depth].last();
        open.map(|open| open.element)
    }

    /// Takes the namespace declarations of a tag. What is no attribute ends the tag's list.
    fn declare(&mut self, tag: &Tag<'a>) -> Result<(), PidfError> {
        for (count, attribute) in tag.attributes.clone().enumerate() {
            if count == PIDF_ATTRIBUTES_MAX {
                return Err(PidfError::TooWide);
            }
            let Ok(attribute) = attribute else { break };
            let prefix = match attribute.key.as_namespace_binding() {
                Some(PrefixDeclaration::Default) => "",
                Some(PrefixDeclaration::Named(prefix)) => prefix,
                None => continue,
            };
            let binding = self.bindings.get_mut(self.bound);
            *binding.ok_or(PidfError::TooWide)? = Binding {
                prefix,
                known: (!attribute.value.is_empty()).then(|| is_known(&attribute.value)),
            };
            self.bound += 1;
        }
        Ok(())
    }

    /// Whether names with this prefix may mean something here.
    fn knows(&self, prefix: &str) -> Result<bool, PidfError> {
        let mut bindings = self.bindings[..self.bound].iter().rev();
        match bindings.find(|binding| binding.prefix == prefix) {
            Some(Binding {
                known: Some(known), ..
            }) => Ok(*known),
            // Without a namespace at all.
            Some(_) | None if prefix.is_empty() => Ok(true),
            None if ["xml", "xmlns"].contains(&prefix) => Ok(false),
            // An activity under an unbound prefix must not read as "no activity".
            Some(_) | None => Err(PidfError::UndeclaredPrefix),
        }
    }

    /// Takes the end of the innermost element; the reader has refused one without a start.
    pub(super) fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        let (around, open) = self.path.split_at(self.depth);
        let Open { element, bindings } = open[0];
        self.bound = bindings;
        if element != Element::Basic {
            return;
        }
        let Some(basic) = self.basic.read() else {
            return;
        };
        let inside = |element| around.iter().any(|open| open.element == element);
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

    pub(super) fn text(&mut self, text: &str) {
        if self.around() == Some(Element::Basic) {
            self.basic.add(text.as_bytes());
        }
    }

    pub(super) fn finish(self) -> Result<Presence<'a>, PidfError> {
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

/// The text in a `basic`, which comments may part.
#[derive(Debug, Clone, Copy)]
struct BasicText {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl BasicText {
    const LONGEST: usize = 64;

    fn add(&mut self, text: &[u8]) {
        let end = self.length + text.len();
        // What does not fit is none of the two words.
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(text);
            self.length = end;
        }
    }

    fn read(&self) -> Option<Basic> {
        match self.bytes[..self.length].trim_ascii() {
            b"open" => Some(Basic::Open),
            b"closed" => Some(Basic::Closed),
            _ => None,
        }
    }
}

impl Default for BasicText {
    fn default() -> Self {
        Self {
            bytes: [0; Self::LONGEST],
            length: 0,
        }
    }
}
