//! Lists of option tags, methods and packages: Require, Supported, Allow and their like.

use super::class::media_type_end;
use super::header::HeaderName;
use super::message::Message;
use super::scan::{Elements, Scanner, trim};

/// The tokens of every line of one header, empty elements left out. An element with parameters
/// (as in Accept) yields what stands before them; anything that is not a token ends at its first
/// foreign character.
#[derive(Debug, Clone)]
pub struct Tokens<'a, L> {
    lines: L,
    elements: Option<Elements<'a>>,
}

impl<'a, L: Iterator<Item = &'a [u8]>> Tokens<'a, L> {
    fn new(lines: L) -> Self {
        Self {
            lines,
            elements: None,
        }
    }
}

impl<'a, L: Iterator<Item = &'a [u8]>> Iterator for Tokens<'a, L> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            match self.elements.as_mut().and_then(Iterator::next) {
                Some(element) => {
                    let mut scanner = Scanner::new(element);
                    if let Some(token) = scanner.media_type() {
                        return Some(token);
                    }
                }
                None => self.elements = Some(Elements::new(self.lines.next()?)),
            }
        }
    }
}

impl<'a> Message<'a> {
    /// The tokens of a header, over all its lines.
    pub fn tokens(&self, name: HeaderName) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        Tokens::new(self.headers(name))
    }

    /// Whether a header lists this token. Option tags compare without regard to case.
    #[must_use]
    pub fn has_token(&self, name: HeaderName, token: &str) -> bool {
        self.headers(name).any(|line| lists(line, token))
    }

    /// Option tags that the peer requires (RFC 3261 §20.32).
    pub fn require(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.tokens(HeaderName::Require)
    }

    /// Option tags that the peer understands (RFC 3261 §20.37).
    pub fn supported(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.tokens(HeaderName::Supported)
    }

    /// Methods that the peer accepts (RFC 3261 §20.5).
    pub fn allow(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.tokens(HeaderName::Allow)
    }

    /// Media types that the peer accepts, without parameters (RFC 3261 §20.1).
    pub fn accept(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.tokens(HeaderName::Accept)
    }
}

/// Whether a line lists this token.
fn lists(line: &[u8], token: &str) -> bool {
    let is_it = |found: &[u8]| found.eq_ignore_ascii_case(token.as_bytes());
    if memchr::memchr2(b'"', b'<', line).is_some() {
        return Tokens::new([line].into_iter()).any(|found| is_it(found.as_bytes()));
    }
    // As nearly every line is: commas separate, and nothing else has to be looked at.
    line.split(|byte| *byte == b',').any(|element| {
        let element = trim(element);
        is_it(&element[..media_type_end(element)])
    })
}
