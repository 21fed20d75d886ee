//! A cursor over one header value.
//!
//! Folding needs no copy: CR and LF reach a value only as part of a fold (`lines` sees to that),
//! so the cursor counts them as white space.

use std::borrow::Cow;

use super::class::{MEDIA_TYPE, PARAMETER, TOKEN, VALUE, class_text};
use super::malformed::Malformed;

/// Linear white space, folds included.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `bytes` without white space at either end.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Text, when it is.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What came as text, with U+FFFD for what is not UTF-8. Nothing is copied where all of it is.
pub(crate) fn text_or_replaced(bytes: &[u8]) -> Cow<'_, str> {
    // To look for what must be replaced takes ten times as long as to see that nothing must.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// A decimal number of any length without sign; `None` when it is not one.
///
/// The inner `Err` says that it is a number and does not fit.
pub(super) fn decimal(bytes: &[u8]) -> Option<Result<u64, ()>> {
    if bytes.is_empty() {
        return None;
    }
    let mut number: u64 = 0;
    for byte in bytes {
        let digit = Some(byte.wrapping_sub(b'0')).filter(|digit| *digit < 10)?;
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    // So many digits cannot be too large.
    if bytes.len() < u64::MAX.ilog10() as usize {
        return Some(Ok(number));
    }
    let number = bytes.iter().try_fold(0_u64, |number, byte| {
        number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))
    });
    Some(number.ok_or(()))
}

/// A position in one header value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// What was passed since the position `start`.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn advance(&mut self, count: usize) {
        self.at = (self.at + count).min(self.bytes.len());
    }

    pub(super) fn skip_space(&mut self) {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Passes `byte` when it is next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        if next {
            self.at += 1;
        }
        next
    }

    /// Passes these bytes when they are next.
    pub(super) fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let next = self.rest().starts_with(bytes);
        if next {
            self.at += bytes.len();
        }
        next
    }

    /// Passes `byte` with white space on both sides, as RFC 3261 allows around separators.
    pub(super) fn eat_separator(&mut self, byte: u8) -> bool {
        // Hardly anybody writes white space here.
        if self
            .peek()
            .is_some_and(|next| next != byte && !is_space(next))
        {
            return false;
        }
        let start = self.at;
        self.skip_space();
        if self.eat(byte) {
            self.skip_space();
            true
        } else {
            self.at = start;
            false
        }
    }

    pub(super) fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|byte| !accepts(*byte));
        let taken = &rest[..end.unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// What stands before `byte`, or before the end.
    pub(super) fn take_until(&mut self, byte: u8) -> &'a [u8] {
        let rest = self.rest();
        let taken = &rest[..memchr::memchr(byte, rest).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// The token here, or `None` when there is none.
    pub(super) fn token(&mut self) -> Option<&'a str> {
        self.take_class(TOKEN)
    }

    /// The token here, or two of them with a `/` between.
    pub(super) fn media_type(&mut self) -> Option<&'a str> {
        self.take_class(MEDIA_TYPE)
    }

    /// The parameter name here.
    pub(super) fn parameter_name(&mut self) -> Option<&'a str> {
        self.take_class(PARAMETER)
    }

    /// The unquoted parameter value here.
    pub(super) fn parameter_value(&mut self) -> Option<&'a str> {
        self.take_class(VALUE)
    }

    #[inline(always)]
    fn take_class(&mut self, class: u16) -> Option<&'a str> {
        let taken = class_text(self.rest(), class);
        self.at += taken.len();
        (!taken.is_empty()).then_some(taken)
    }

    /// The inside of the quoted string that starts here, escapes kept.
    pub(super) fn quoted(&mut self) -> Result<&'a [u8], Malformed> {
        if !self.eat(b'"') {
            return Err(Malformed::UnbalancedQuote);
        }
        let start = self.at;
        loop {
            match memchr::memchr2(b'"', b'\\', self.rest()) {
                None => return Err(Malformed::UnbalancedQuote),
                Some(offset) if self.rest()[offset] == b'"' => {
                    let inside = &self.bytes[start..self.at + offset];
                    self.at += offset + 1;
                    return Ok(inside);
                }
                Some(offset) => self.advance(offset + 2),
            }
        }
    }
}

/// The elements of a comma-separated value. Commas in quotes and angle brackets do not count.
#[derive(Debug, Clone)]
pub(super) struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Elements<'a> {
    pub(super) fn new(value: &'a [u8]) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = element_end(rest);
        self.rest = rest.get(end + 1..);
        Some(trim(&rest[..end]))
    }
}

/// Where the first element of `value` ends: at a comma, or at the end.
fn element_end(value: &[u8]) -> usize {
    let Some(comma) = memchr::memchr(b',', value) else {
        return value.len();
    };
    // What stands before a comma is mostly a word.
    let quotes = |byte: &u8| matches!(byte, b'"' | b'<');
    if !value[..comma].iter().any(quotes) {
        return comma;
    }
    let mut scanner = Scanner::new(value);
    let mut bracketed = false;
    while let Some(byte) = scanner.peek() {
        match byte {
            b'"' if !bracketed => {
                if scanner.quoted().is_err() {
                    return value.len();
                }
                continue;
            }
            b'<' => bracketed = true,
            b'>' => bracketed = false,
            b',' if !bracketed => return scanner.at(),
            _ => {}
        }
        scanner.advance(1);
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_no_text_is_replaced() {
        for plain in ["", "2001", "Müller"] {
            assert!(
                matches!(text_or_replaced(plain.as_bytes()), Cow::Borrowed(text) if text == plain)
            );
        }
        assert_eq!(text_or_replaced(b"M\xfcller"), "M\u{fffd}ller");
    }

    proptest! {
        #[test]
        fn a_decimal_number_is_what_the_standard_library_reads(
            text in "[0-9]{0,3}|0{0,30}[0-9]{17,22}|[0-9]{0,2}[ -~][0-9]{0,22}|\
                1844674407370955161[0-9]",
        ) {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let expected = is_number.then(|| text.parse().map_err(|_| ()));
            prop_assert_eq!(decimal(text.as_bytes()), expected);
        }
    }
}
