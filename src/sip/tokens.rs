//! Lists of option tags, methods and packages: Require, Supported, Allow and their like.

use super::class::media_type_end;
use super::header::HeaderName;
use super::message::Message;
use super::scan::{Elements, Scanner, is_space};

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
    let first = match token.as_bytes() {
        [first, ..] if memchr::memchr2(b'"', b'<', line).is_none() => *first,
        _ => return Tokens::new([line].into_iter()).any(|found| is_it(found.as_bytes())),
    };
    // As nearly every line is: commas separate, and nothing else has to be looked at.
    memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), line).any(|at| {
        let (before, element) = line.split_at(at);
        let last = before.iter().rfind(|byte| !is_space(**byte));
        matches!(last, None | Some(b',')) && is_it(&element[..media_type_end(element)])
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_line_lists_what_its_elements_begin_with(
            line in "(UPDATE|update|a|b/a|a;q=1|100rel|,|, |,\r\n |\\(|\"|<|>| |\t|u){0,9}",
            token in "UPDATE|a|b/a|u|100rel|UP|\\(",
        ) {
            let mut tokens = Tokens::new([line.as_bytes()].into_iter());
            let expected = tokens.any(|found| found.eq_ignore_ascii_case(&token));
            prop_assert_eq!(lists(line.as_bytes(), &token), expected, "{:?} {}", line, token);
        }
    }
}
