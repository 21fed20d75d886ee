//! `;name=value` lists, of URIs and of header values.

use std::fmt;

use super::class::{PARAMETER, URI_PARAMETER, VALUE, class_end, class_text, is_parameter};
use super::malformed::Malformed;
use super::scan::{Scanner, is_space, text};
use crate::limits::PARAMETERS_MAX;

/// A list of parameters that has been checked once. Names compare without regard to case; of two
/// parameters with one name the first counts (UCM repeats some).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Parameters<'a> {
    /// The text from the first semicolon on; empty when there are none.
    text: &'a [u8],
}

impl<'a> Parameters<'a> {
    /// Reads parameters up to a comma or the end.
    pub(super) fn scan(scanner: &mut Scanner<'a>) -> Result<Self, Malformed> {
        Self::scan_each(scanner, |_, _| {})
    }

    /// Reads parameters up to a comma or the end, and finds one of them on the way, as
    /// [`Self::find`] does.
    pub(super) fn scan_for(
        scanner: &mut Scanner<'a>,
        wanted: &str,
    ) -> Result<(Self, Option<Option<&'a str>>), Malformed> {
        let mut found = None;
        let parameters = Self::scan_each(scanner, |name, value| {
            if found.is_none() && is_named(name, wanted) {
                found = Some(value);
            }
        })?;
        Ok((parameters, found))
    }

    /// Reads parameters up to a comma or the end, and shows each on the way.
    pub(super) fn scan_each(
        scanner: &mut Scanner<'a>,
        mut each: impl FnMut(&'a str, Option<&'a str>),
    ) -> Result<Self, Malformed> {
        let start = scanner.at();
        for _ in 0..=PARAMETERS_MAX {
            if scanner.at_end() {
                let text = scanner.since(start);
                return Ok(Self { text });
            }
            let Some((name, value)) = next(scanner)? else {
                let text = scanner.since(start);
                return Ok(Self { text });
            };
            each(name, value);
        }
        Err(Malformed::TooManyParameters)
    }

    /// Reads a whole text, as [`Self::scan_for`] does, when it is written as by nearly everybody.
    #[inline(always)]
    pub(super) fn plain_for(
        text: &'a [u8],
        wanted: &str,
    ) -> Option<(Self, Option<Option<&'a str>>)> {
        if is_long(text) {
            return None;
        }
        let mut found = None;
        let mut rest = text;
        while !rest.is_empty() {
            let ((name, value), length) = next_plain(rest)?;
            if found.is_none() && is_named(name, wanted) {
                found = Some(value);
            }
            rest = &rest[length..];
        }
        Some((Self { text }, found))
    }

    /// Reads a whole text of a URI in one pass, when it is as nearly everybody writes it: without
    /// escapes and quotes, and with what may stand in a URI only.
    pub(super) fn plain(text: &'a [u8]) -> Option<Self> {
        if is_long(text) {
            return None;
        }
        let mut rest = text;
        while let [b';', parameter @ ..] = rest {
            let end = class_end(parameter, URI_PARAMETER);
            // A name is there, and a value, if there is an equals sign.
            if matches!(parameter[..end], [] | [b'=', ..] | [.., b'=']) {
                return None;
            }
            rest = &parameter[end..];
        }
        rest.is_empty().then_some(Self { text })
    }

    /// Reads a whole text that is empty or starts with a semicolon.
    ///
    /// # Errors
    /// [`Malformed::Parameter`], [`Malformed::UnbalancedQuote`], [`Malformed::TooManyParameters`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let mut scanner = Scanner::new(bytes);
        let parameters = Self::scan(&mut scanner)?;
        scanner.skip_space();
        if scanner.at_end() {
            Ok(parameters)
        } else {
            Err(Malformed::Parameter)
        }
    }

    /// The text from the first semicolon on, as received; empty when there are no parameters.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Names and values in order. A quoted value comes without its quotes, escapes kept.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + use<'a> {
        let mut scanner = Scanner::new(self.text);
        std::iter::from_fn(move || next(&mut scanner).ok().flatten())
    }

    /// The parameter of that name: `None` when absent, `Some(None)` when it has no value.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Option<&'a str>> {
        let (_, value) = self.iter().find(|(found, _)| is_named(found, name))?;
        Some(value)
    }

    /// The value of the parameter of that name, when it is there and has one.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.find(name).flatten()
    }
}

/// Writes the list so that it parses again, each with its semicolon and without white space.
impl fmt::Display for Parameters<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(formatter, "{}", Written(name, value))?;
        }
        Ok(())
    }
}

/// One parameter as it is written, in quotes where it needs them.
pub(super) struct Written<'a>(pub(super) &'a str, pub(super) Option<&'a str>);

impl Written<'_> {
    /// Adds it to a message.
    pub(super) fn write(&self, buffer: &mut Vec<u8>) {
        let Self(name, value) = self;
        buffer.push(b';');
        buffer.extend_from_slice(name.as_bytes());
        match value {
            None => {}
            Some(value) if !value.is_empty() && value.bytes().all(is_parameter) => {
                buffer.push(b'=');
                buffer.extend_from_slice(value.as_bytes());
            }
            Some(value) => {
                buffer.extend_from_slice(b"=\"");
                super::writer::push_value(buffer, value.as_bytes());
                buffer.push(b'"');
            }
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(name, value) = self;
        match value {
            None => write!(formatter, ";{name}"),
            Some(value) if !value.is_empty() && value.bytes().all(is_parameter) => {
                write!(formatter, ";{name}={value}")
            }
            Some(value) => write!(formatter, ";{name}=\"{value}\""),
        }
    }
}

/// A name and perhaps a value.
type Parameter<'a> = (&'a str, Option<&'a str>);

/// Whether a text may hold too many parameters, of which each has two bytes at least.
fn is_long(text: &[u8]) -> bool {
    text.len() > 2 * PARAMETERS_MAX
}

/// Whether a parameter has this name, which most write in the case that we ask in.
#[inline]
pub(super) fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name.eq_ignore_ascii_case(wanted)
}

/// The next parameter, or `None` where no semicolon follows.
#[inline(always)]
fn next<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Parameter<'a>>, Malformed> {
    match next_plain(scanner.rest()) {
        Some((parameter, length)) => {
            scanner.advance(length);
            Ok(Some(parameter))
        }
        None => next_any(scanner),
    }
}

/// The parameter that starts here and its length, when it is written as by nearly everybody:
/// without white space, and quotes around simple values only.
#[inline(always)]
fn next_plain(bytes: &[u8]) -> Option<(Parameter<'_>, usize)> {
    let rest = bytes.strip_prefix(b";")?;
    let name = class_text(rest, PARAMETER);
    if name.is_empty() {
        return None;
    }
    match rest[name.len()..] {
        [b'=', b'"', ref rest @ ..] => {
            // Of what needs quotes, what is one visible word.
            let value = class_text(rest, VALUE);
            let is_whole = rest.get(value.len()) == Some(&b'"');
            is_whole.then_some(((name, Some(value)), 4 + name.len() + value.len()))
        }
        [b'=', ref rest @ ..] => {
            let value = class_text(rest, VALUE);
            let length = 2 + name.len() + value.len();
            (!value.is_empty()).then_some(((name, Some(value)), length))
        }
        [next, ..] if is_space(next) => None,
        _ => Some(((name, None), 1 + name.len())),
    }
}

fn next_any<'a>(scanner: &mut Scanner<'a>) -> Result<Option<Parameter<'a>>, Malformed> {
    if !scanner.eat_separator(b';') {
        return Ok(None);
    }
    let name = scanner.parameter_name().ok_or(Malformed::Parameter)?;
    if !scanner.eat_separator(b'=') {
        return Ok(Some((name, None)));
    }
    let value = if scanner.peek() == Some(b'"') {
        text(scanner.quoted()?)
    } else {
        scanner.parameter_value()
    };
    Ok(Some((name, Some(value.ok_or(Malformed::Parameter)?))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_nearly_everybody_writes_is_read_in_the_quick_way() {
        for text in [";lr", ";tag=8a5", ";a=b==", ";+sip.instance=\"urn:uuid:1\""] {
            assert!(
                next_plain(text.as_bytes()).is_some_and(|(_, length)| length == text.len()),
                "{text}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn the_quick_way_reads_the_parameter_that_any_way_reads(
            start in ";|;a|;a=|;a=\"|",
            rest in "(;|a|tag|=|\"|x|%|,|<|>|\\\\|\r\n |\t| |:|\\[::1\\]|\u{e9}|\x7f|\x00){0,6}",
        ) {
            let text = start + &rest;
            if let Some((parameter, length)) = next_plain(text.as_bytes()) {
                let mut scanner = Scanner::new(text.as_bytes());
                prop_assert_eq!(next_any(&mut scanner), Ok(Some(parameter)), "{:?}", text);
                prop_assert_eq!(scanner.at(), length, "{:?}", text);
            }
        }
    }
}
