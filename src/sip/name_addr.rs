//! `"Name" <uri>;parameters`, the shape of From, To, Contact, Route and their relatives.

use std::fmt;

use super::header::HeaderName;
use super::malformed::Malformed;
use super::parameters::Parameters;
use super::scan::{Scanner, is_space, trim};
use super::uri::Uri;

/// A name-addr or an addr-spec (RFC 3261 §20.10) with its header parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameAddr<'a> {
    /// The display name without its quotes, escapes kept; may be any bytes. `None` when absent.
    pub display: Option<&'a [u8]>,
    /// The URI.
    pub uri: Uri<'a>,
    /// The URI as it stands on the wire, for a copy.
    pub uri_bytes: &'a [u8],
    /// Header parameters, after the brackets.
    pub parameters: Parameters<'a>,
    /// One of them, which From and To are asked for with every message; `Some(None)` when it has
    /// no value.
    tag: Option<Option<&'a str>>,
}

/// The same without a look into the URI: of From and To, most messages are asked for the tag only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    /// As in [`NameAddr`].
    pub display: Option<&'a [u8]>,
    /// What should be a URI, as it stands on the wire.
    pub uri_bytes: &'a [u8],
    /// As in [`NameAddr`].
    pub parameters: Parameters<'a>,
    tag: Option<Option<&'a str>>,
}

impl<'a> Address<'a> {
    /// Reads a whole element, white space around it allowed.
    ///
    /// # Errors
    /// [`Malformed::NameAddr`], [`Malformed::UnbalancedQuote`], [`Malformed::UriUnbracketed`],
    /// and what [`Parameters::parse`] finds.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        match Self::plain(value) {
            Some(address) => Ok(address),
            None => Self::parse_any(value),
        }
    }

    /// Reads what nearly everybody writes: `"Bell" <sip:8001@192.0.2.1>;tag=8a5`. What is
    /// written otherwise, or wrong, is `None`.
    #[inline(always)]
    fn plain(value: &'a [u8]) -> Option<Self> {
        let (display, rest) = match value {
            [b'"', inside @ ..] => {
                let end = memchr::memchr2(b'"', b'\\', inside)?;
                let rest = inside[end..].strip_prefix(b"\"")?;
                (
                    Some(&inside[..end]),
                    rest.strip_prefix(b" ").unwrap_or(rest),
                )
            }
            _ => (None, value),
        };
        let inside = rest.strip_prefix(b"<")?;
        let end = memchr::memchr(b'>', inside)?;
        let (parameters, tag) = Parameters::plain_for(&inside[end + 1..], "tag")?;
        Some(Self {
            display,
            uri_bytes: &inside[..end],
            parameters,
            tag,
        })
    }

    fn parse_any(value: &'a [u8]) -> Result<Self, Malformed> {
        let mut scanner = Scanner::new(trim(value));
        let display = display(&mut scanner)?;
        let uri_bytes = if scanner.eat(b'<') {
            let uri = scanner.take_until(b'>');
            if !scanner.eat(b'>') {
                return Err(Malformed::NameAddr);
            }
            uri
        } else if display.is_some() {
            return Err(Malformed::NameAddr);
        } else {
            // RFC 3261 §20.10: without brackets, parameters belong to the header.
            let uri = scanner.take_while(|byte| byte != b';' && byte != b',' && !is_space(byte));
            if memchr::memchr(b'?', uri).is_some() {
                return Err(Malformed::UriUnbracketed);
            }
            uri
        };
        let (parameters, tag) = Parameters::scan_for(&mut scanner, "tag")?;
        if !scanner.at_end() {
            return Err(Malformed::NameAddr);
        }
        Ok(Self {
            display,
            uri_bytes,
            parameters,
            tag,
        })
    }

    /// Reads the URI as well.
    ///
    /// # Errors
    /// What [`Uri::parse`] finds.
    #[inline(always)]
    pub fn read(&self) -> Result<NameAddr<'a>, Malformed> {
        let Self {
            display,
            uri_bytes,
            parameters,
            tag,
        } = *self;
        Ok(NameAddr {
            display,
            uri: Uri::parse(uri_bytes)?,
            uri_bytes,
            parameters,
            tag,
        })
    }

    /// The `tag` parameter of From and To.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.tag.flatten()
    }

    /// The same, which must not be empty.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] with the name of the header.
    pub(super) fn checked_tag(&self, header: HeaderName) -> Result<Option<&'a str>, Malformed> {
        match self.tag {
            Some(None | Some("")) => Err(Malformed::Invalid(header)),
            Some(tag) => Ok(tag),
            None => Ok(None),
        }
    }
}

impl<'a> NameAddr<'a> {
    /// Reads a whole element, white space around it allowed.
    ///
    /// # Errors
    /// What [`Address::parse`] and [`Uri::parse`] find.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        Address::parse(value)?.read()
    }

    /// Reads a whole line that is one element, as nearly everybody writes it. What is written
    /// otherwise, or wrong, is `None`.
    pub(super) fn plain(line: &'a [u8]) -> Option<Self> {
        Address::plain(line)?.read().ok()
    }

    /// The `tag` parameter of From and To.
    #[must_use]
    pub fn tag(&self) -> Option<&'a str> {
        self.tag.flatten()
    }

    /// The value of a header parameter: `None` when absent, `Some("")` when it has no value.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.parameters.find(name).map(Option::unwrap_or_default)
    }

    /// The display name for people: escapes resolved, controls and broken UTF-8 replaced.
    pub fn display_text(&self) -> impl Iterator<Item = char> + use<'a> {
        let mut characters = self
            .display
            .unwrap_or_default()
            .utf8_chunks()
            .flat_map(|chunk| {
                let broken = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
                chunk.valid().chars().chain(broken)
            });
        std::iter::from_fn(move || {
            let character = match characters.next()? {
                '\\' => characters.next()?,
                other => other,
            };
            Some(if character.is_control() {
                ' '
            } else {
                character
            })
        })
    }
}

/// Writes the element so that it parses again, whatever the display name holds.
impl fmt::Display for NameAddr<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.display.is_some() {
            formatter.write_str("\"")?;
            for character in self.display_text() {
                if matches!(character, '"' | '\\') {
                    formatter.write_str("\\")?;
                }
                write!(formatter, "{character}")?;
            }
            formatter.write_str("\" ")?;
        }
        write!(formatter, "<{}>{}", self.uri, self.parameters)
    }
}

/// Passes the display name, if any, and the white space after it.
fn display<'a>(scanner: &mut Scanner<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    if scanner.peek() == Some(b'"') {
        let inside = scanner.quoted()?;
        scanner.skip_space();
        return Ok(Some(inside));
    }
    // Wider than the grammar's tokens: unquoted UTF-8 and `:` are met in practice.
    let rest = scanner.rest();
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'<' | b',' | b';' | b'"' | b'>'));
    match end {
        Some(end) if rest[end] == b'<' => {
            scanner.advance(end);
            Ok(Some(trim(&rest[..end])).filter(|words| !words.is_empty()))
        }
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<NameAddr<'_>, Malformed> {
        NameAddr::parse(text.as_bytes())
    }

    #[test]
    fn all_shapes_are_read() {
        for (text, display, user, tag) in [
            ("<sip:a@h>", None, "a", None),
            ("sip:a@h;tag=1", None, "a", Some("1")),
            ("sip:a@h ;\r\n tag = 1", None, "a", Some("1")),
            (
                "A. Bell <sip:a@h>;tag=x~y",
                Some("A. Bell"),
                "a",
                Some("x~y"),
            ),
            ("caller<sip:a@h>;tag=323", Some("caller"), "a", Some("323")),
            (
                "\"a, \\\"b\\\"; <c>\" <sip:a@h;lr>;x;TAG=q",
                Some("a, \\\"b\\\"; <c>"),
                "a",
                Some("q"),
            ),
            ("\"\"<sip:a;b=c@h>", Some(""), "a;b=c", None),
            ("<sip:a@h>;v=\"x;tag=no\";tag=yes", None, "a", Some("yes")),
        ] {
            let parsed = parse(text).expect(text);
            assert_eq!(parsed.display, display.map(str::as_bytes), "{text}");
            assert_eq!(parsed.uri.user, Some(user), "{text}");
            assert_eq!(parsed.tag(), tag, "{text}");
        }
    }

    #[test]
    fn broken_elements_name_the_rule_they_break() {
        for (text, expected) in [
            ("", Malformed::Uri),
            ("\"open <sip:a@h>", Malformed::UnbalancedQuote),
            ("\"closed\" sip:a@h", Malformed::NameAddr),
            ("<sip:a@h", Malformed::NameAddr),
            ("<sip:a@h> x", Malformed::NameAddr),
            ("< sip:a@h >", Malformed::Uri),
            ("Bell, Alexander <sip:a@h>;tag=43", Malformed::NameAddr),
            ("sip:a@h?Route=%3Csip:b%3E", Malformed::UriUnbracketed),
            ("<sip:a@h>;;", Malformed::Parameter),
            ("<sip:a@h>;tag=", Malformed::Parameter),
            ("<sip:a@h>,<sip:b@h>", Malformed::NameAddr),
        ] {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn a_display_name_cannot_break_out_of_its_quotes() {
        let parsed =
            NameAddr::parse(b"\"a\\\"\\\x00\xff\\\\\" <sip:a@h>;tag=1;x=\"b c\"").expect("legal");
        let written = parsed.to_string();
        assert_eq!(written, "\"a\\\" \u{fffd}\\\\\" <sip:a@h>;tag=1;x=\"b c\"");
        assert_eq!(parse(&written).expect("parses again").tag(), Some("1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        // The blank keeps an element out of the quick way, and its parameters out of theirs as a
        // whole. Each of them is still tried in the quick way of one first, on both sides.
        #[test]
        fn white_space_before_an_element_changes_nothing(
            start in "|\"Bell\" ?|\"A\\\\\"B\"|B ell",
            rest in "(;tag=|;|a|=|\"|\"x\"|,|<|>|\\\\|\r\n | |%|;TAG=1){0,8}",
        ) {
            let plain = format!("{start}<sip:a@192.0.2.1>{rest}");
            for text in [format!("{start}{rest}"), plain] {
                let longer = format!(" {text}");
                prop_assert_eq!(parse(&text), parse(&longer), "{}", text);
            }
        }
    }
}
