//! Reads the XML of scenario files as people write it: raw `<` in attributes, attributes twice,
//! tags that do not match, text before the declaration. It treats characters as bytes, fetches
//! nothing, and never panics. It does not know what elements mean: `load` does.

use super::limits::{ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, FILE_BYTES_MAX};
use super::note::Notes;
use super::text;

#[cfg(test)]
mod tests;

/// An attribute as written, entities resolved, backslashes kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) value: Vec<u8>,
    pub(crate) line: u32,
}

/// An element with everything inside it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) children: Vec<Self>,
    /// What CDATA sections hold.
    pub(crate) data: Vec<u8>,
    /// The line on which the first CDATA section begins; 0 if there is none.
    pub(crate) data_line: u32,
    /// Other text that is not blank.
    pub(crate) text: Vec<u8>,
}

impl Element {
    /// An attribute's value. Of two of a name the first counts, as in SIPp.
    pub(crate) fn attribute(&self, name: &str) -> Option<&[u8]> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
            .map(|attribute| attribute.value.as_slice())
    }
}

/// Why a file cannot be read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is longer than `FILE_BYTES_MAX`.
    TooLong,
    /// Elements are inside each other more than `DEPTH_MAX` times.
    TooDeep,
    /// It has more than `ELEMENTS_MAX` elements.
    TooManyElements,
    /// An element has more than `ATTRIBUTES_MAX` attributes.
    TooManyAttributes,
    /// It ends inside a tag, a comment or a CDATA section.
    Unfinished,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "the file has more than {FILE_BYTES_MAX} bytes"),
            Self::TooDeep => write!(formatter, "more than {DEPTH_MAX} elements in each other"),
            Self::TooManyElements => write!(formatter, "more than {ELEMENTS_MAX} elements"),
            Self::TooManyAttributes => {
                write!(
                    formatter,
                    "an element with more than {ATTRIBUTES_MAX} attributes"
                )
            }
            Self::Unfinished => formatter.write_str(
                "the file ends before this tag, comment or CDATA section does; close it",
            ),
        }
    }
}

/// Reads a whole file: its outermost elements under an element without a name.
///
/// # Errors
/// What cannot be read, and the line where that began.
pub(crate) fn read(bytes: &[u8], notes: &mut Notes) -> Result<Element, (u32, Unreadable)> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err((1, Unreadable::TooLong));
    }
    let mut reader = Reader {
        bytes,
        at: 0,
        line: 1,
        open: vec![Element::default()],
        elements: 0,
    };
    while reader.at < bytes.len() {
        let line = reader.line;
        reader.item(notes).map_err(|fault| (line, fault))?;
    }
    while reader.open.len() > 1 {
        let (name, line) = reader.innermost_name();
        notes.warning(line, format!("<{name}> is never closed"));
        reader.close();
    }
    Ok(reader.open.pop().unwrap_or_default())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    /// The elements that are open, the outermost first; never empty.
    open: Vec<Element>,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Moves on, counting lines.
    fn skip(&mut self, count: usize) -> &'a [u8] {
        let end = (self.at + count).min(self.bytes.len());
        let passed = &self.bytes[self.at..end];
        let breaks = memchr::memchr_iter(b'\n', passed).count();
        self.line = self
            .line
            .saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        self.at = end;
        passed
    }

    /// Moves on beyond `end` and returns what is before it.
    fn until(&mut self, end: &[u8]) -> Result<&'a [u8], Unreadable> {
        let found = memchr::memmem::find(self.rest(), end).ok_or(Unreadable::Unfinished)?;
        let passed = self.skip(found);
        self.skip(end.len());
        Ok(passed)
    }

    fn innermost(&mut self) -> &mut Element {
        self.open
            .last_mut()
            .expect("the nameless element is always open")
    }

    fn innermost_name(&self) -> (String, u32) {
        let element = self
            .open
            .last()
            .expect("the nameless element is always open");
        (element.name.clone(), element.line)
    }

    fn item(&mut self, notes: &mut Notes) -> Result<(), Unreadable> {
        let rest = self.rest();
        if rest.starts_with(b"<!--") {
            self.skip(4);
            self.until(b"-->")?;
        } else if rest.starts_with(b"<![CDATA[") {
            self.skip(9);
            let line = self.line;
            let data = self.until(b"]]>")?;
            let element = self.innermost();
            if element.data_line == 0 {
                element.data_line = line;
            }
            element.data.extend_from_slice(data);
        } else if rest.starts_with(b"<?") {
            self.until(b"?>")?;
        } else if rest.starts_with(b"<!") {
            self.declaration()?;
        } else if rest.starts_with(b"</") {
            self.skip(2);
            let line = self.line;
            let name = self.until(b">")?;
            self.end_tag(name, line, notes);
        } else if rest.first() == Some(&b'<') && rest.get(1).is_some_and(|next| is_name(*next)) {
            self.skip(1);
            self.start_tag(notes)?;
        } else {
            self.text(notes);
        }
        Ok(())
    }

    /// `<!DOCTYPE …>` with or without definitions in brackets.
    fn declaration(&mut self) -> Result<(), Unreadable> {
        let mut depth = 0_usize;
        for (index, byte) in self.rest().iter().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                b'>' if depth == 0 => {
                    self.skip(index + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(Unreadable::Unfinished)
    }

    fn text(&mut self, notes: &mut Notes) {
        let line = self.line;
        // A `<` that begins nothing is text.
        let length = self.rest().iter().skip(1).position(|byte| *byte == b'<');
        let passed = self.skip(length.map_or(self.bytes.len(), |length| length + 1));
        let mark = passed.strip_prefix(b"\xef\xbb\xbf").unwrap_or(passed);
        let text = mark.trim_ascii();
        if text.is_empty() {
            return;
        }
        if self.open.len() == 1 {
            notes.warning(line, "text outside of all elements is ignored");
            return;
        }
        let text = resolve_entities(text);
        self.innermost().text.extend_from_slice(&text);
    }

    fn start_tag(&mut self, notes: &mut Notes) -> Result<(), Unreadable> {
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Unreadable::TooManyElements);
        }
        let line = self.line;
        let mut element = Element {
            name: self.name(),
            line,
            ..Element::default()
        };
        loop {
            let blanks = self.rest().iter().position(|byte| !is_blank(*byte));
            self.skip(blanks.unwrap_or(self.bytes.len()));
            let rest = self.rest();
            if rest.starts_with(b"/>") {
                self.skip(2);
                self.innermost().children.push(element);
                return Ok(());
            }
            match rest.first() {
                None => return Err(Unreadable::Unfinished),
                Some(b'>') => {
                    self.skip(1);
                    if self.open.len() > DEPTH_MAX {
                        return Err(Unreadable::TooDeep);
                    }
                    self.open.push(element);
                    return Ok(());
                }
                Some(byte) if is_name(*byte) => self.attribute(&mut element, notes)?,
                Some(byte) => {
                    let text = format!("`{}` inside a tag is ignored", byte.escape_ascii());
                    notes.warning(self.line, text);
                    self.skip(1);
                }
            }
        }
    }

    fn name(&mut self) -> String {
        let length = self.rest().iter().position(|byte| !is_name(*byte));
        let name = self.skip(length.unwrap_or(self.bytes.len()));
        String::from_utf8_lossy(name).into_owned()
    }

    fn skip_blanks(&mut self) {
        let blanks = self.rest().iter().position(|byte| !is_blank(*byte));
        self.skip(blanks.unwrap_or(self.bytes.len()));
    }

    fn attribute(&mut self, element: &mut Element, notes: &mut Notes) -> Result<(), Unreadable> {
        if element.attributes.len() == ATTRIBUTES_MAX {
            return Err(Unreadable::TooManyAttributes);
        }
        let line = self.line;
        let name = self.name();
        self.skip_blanks();
        let value = if self.rest().first() == Some(&b'=') {
            self.skip(1);
            self.skip_blanks();
            self.value(&name, notes)?
        } else {
            notes.warning(line, format!("the attribute {name} has no value"));
            Vec::new()
        };
        if element.attribute(&name).is_some() {
            notes.warning(line, format!("{name} is given twice; the first one counts"));
        }
        element.attributes.push(Attribute { name, value, line });
        Ok(())
    }

    fn value(&mut self, name: &str, notes: &mut Notes) -> Result<Vec<u8>, Unreadable> {
        let rest = self.rest();
        let Some(quote) = rest
            .first()
            .copied()
            .filter(|byte| matches!(byte, b'"' | b'\''))
        else {
            notes.warning(self.line, format!("the value of {name} is not in quotes"));
            let ends = |byte: &u8| is_blank(*byte) || *byte == b'>';
            let length = rest.iter().position(ends).ok_or(Unreadable::Unfinished)?;
            return Ok(resolve_entities(self.skip(length)));
        };
        let mut end = 1;
        loop {
            match rest.get(end) {
                None => return Err(Unreadable::Unfinished),
                // A backslash takes the next character with it, also a quote.
                Some(b'\\') => end += 2,
                Some(byte) if *byte == quote => break,
                Some(_) => end += 1,
            }
        }
        let value = resolve_entities(&rest[1..end]);
        self.skip(end + 1);
        Ok(value)
    }

    fn end_tag(&mut self, name: &[u8], line: u32, notes: &mut Notes) {
        let name = String::from_utf8_lossy(name.trim_ascii()).into_owned();
        let found = self.open.iter().rposition(|element| element.name == name);
        let Some(place) = found.filter(|place| *place > 0) else {
            notes.warning(line, format!("</{name}> closes nothing"));
            return;
        };
        while self.open.len() > place + 1 {
            let (inner, _) = self.innermost_name();
            notes.warning(line, format!("</{name}> comes before </{inner}>"));
            self.close();
        }
        self.close();
    }

    fn close(&mut self) {
        let element = self.open.pop().expect("only a named element is closed");
        self.innermost().children.push(element);
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':') || byte >= 0x80
}

/// The five named entities and numbers below 256; anything else stays as it is.
fn resolve_entities(text: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let end = text[at..].iter().take(8).position(|byte| *byte == b';');
        let meaning = match (byte, end) {
            (b'&', Some(end)) => entity(&text[at + 1..at + end]).map(|meaning| (meaning, end + 1)),
            (_, _) => None,
        };
        let (byte, length) = meaning.unwrap_or((*byte, 1));
        resolved.push(byte);
        at += length;
    }
    resolved
}

fn entity(name: &[u8]) -> Option<u8> {
    match name {
        b"lt" => Some(b'<'),
        b"gt" => Some(b'>'),
        b"amp" => Some(b'&'),
        b"quot" => Some(b'"'),
        b"apos" => Some(b'\''),
        _ => match name.strip_prefix(b"#")? {
            [b'x' | b'X', digits @ ..] => text::number(digits, 16),
            digits => text::number(digits, 10),
        },
    }
}
