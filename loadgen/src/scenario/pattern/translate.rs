//! POSIX extended regular expressions, as glibc reads them, into the words of the `regex` crate.
//! Every character that could mean something else there is written as its number.

use std::fmt::Write as _;

use super::super::limits::{PATTERN_DEPTH_MAX, REPEAT_MAX};
use super::BadPattern;
use super::bracket;

/// A pattern in the words of the `regex` crate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) text: String,
    /// Whether it has choices, so that the first match need not be the longest.
    pub(super) is_ambiguous: bool,
}

pub(super) fn translate(pattern: &[u8]) -> Result<Translated, BadPattern> {
    let mut translation = Translation {
        pattern,
        at: 0,
        text: String::with_capacity(pattern.len() * 2),
        atom: None,
        is_ambiguous: false,
        open: Vec::new(),
    };
    while translation.at < pattern.len() {
        translation.token()?;
    }
    if !translation.open.is_empty() {
        return Err(BadPattern::Unclosed('('));
    }
    Ok(Translated {
        text: translation.text,
        is_ambiguous: translation.is_ambiguous,
    })
}

struct Translation<'a> {
    pattern: &'a [u8],
    at: usize,
    text: String,
    /// Where the last thing that can be repeated begins.
    atom: Option<usize>,
    is_ambiguous: bool,
    /// Where each open group begins.
    open: Vec<usize>,
}

impl Translation<'_> {
    fn token(&mut self) -> Result<(), BadPattern> {
        let byte = self.pattern[self.at];
        self.at += 1;
        match byte {
            b'(' => {
                if self.open.len() == PATTERN_DEPTH_MAX {
                    return Err(BadPattern::TooDeep);
                }
                self.open.push(self.text.len());
                self.text.push('(');
                self.atom = None;
            }
            b')' => {
                let start = self.open.pop().ok_or(BadPattern::Unopened)?;
                self.text.push(')');
                self.atom = Some(start);
            }
            b'|' => {
                self.is_ambiguous = true;
                self.text.push('|');
                self.atom = None;
            }
            b'*' | b'+' | b'?' => self.repeat(&char::from(byte).to_string()),
            b'{' => self.interval()?,
            b'[' => {
                let (set, length) = bracket::translate(&self.pattern[self.at..])?;
                self.at += length;
                self.push_atom(&set);
            }
            b'\\' => self.escaped()?,
            b'.' => self.push_atom("."),
            b'^' | b'$' => {
                self.atom = None;
                self.text.push(char::from(byte));
            }
            _ => self.push_literal(byte),
        }
        Ok(())
    }

    fn push_atom(&mut self, text: &str) {
        self.atom = Some(self.text.len());
        self.text.push_str(text);
    }

    fn push_literal(&mut self, byte: u8) {
        self.atom = Some(self.text.len());
        push_byte(&mut self.text, byte);
    }

    /// A repetition with nothing to repeat is passed over, as glibc does. One after another
    /// applies to the result of the first; without the group it would mean "as few as possible".
    fn repeat(&mut self, operator: &str) {
        let Some(start) = self.atom else {
            return;
        };
        self.is_ambiguous = true;
        let repeated = self.text.ends_with(['*', '+', '?', '}']) && !self.text.ends_with("\\x7D");
        if repeated {
            self.text.insert_str(start, "(?:");
            self.text.push(')');
        }
        self.text.push_str(operator);
    }

    /// `{3}`, `{3,}`, `{,5}` or `{3,5}`; a brace that begins none of these is a letter.
    fn interval(&mut self) -> Result<(), BadPattern> {
        let rest = &self.pattern[self.at..];
        let inside = rest
            .iter()
            .position(|byte| *byte == b'}')
            .map(|end| &rest[..end]);
        let is_interval = |text: &&[u8]| {
            let digit_or_comma = |byte: &u8| byte.is_ascii_digit() || *byte == b',';
            !text.is_empty() && text.iter().all(digit_or_comma)
        };
        let Some(inside) = inside.filter(is_interval) else {
            self.push_literal(b'{');
            return Ok(());
        };
        self.at += inside.len() + 1;
        let text = std::str::from_utf8(inside).map_err(|_| BadPattern::BadInterval)?;
        let number = |text: &str| match text {
            "" => Ok(None),
            digits => match digits.parse::<u32>() {
                Ok(number) if number <= REPEAT_MAX => Ok(Some(number)),
                Ok(_) | Err(_) => Err(BadPattern::BadInterval),
            },
        };
        let operator = match text.split_once(',') {
            None => format!("{{{}}}", number(text)?.unwrap_or(0)),
            Some((low, high)) => {
                let (low, high) = (number(low)?.unwrap_or(0), number(high)?);
                match high {
                    None => format!("{{{low},}}"),
                    Some(high) if high < low => return Err(BadPattern::BadInterval),
                    Some(high) => format!("{{{low},{high}}}"),
                }
            }
        };
        self.repeat(&operator);
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), BadPattern> {
        let byte = *self
            .pattern
            .get(self.at)
            .ok_or(BadPattern::TrailingBackslash)?;
        self.at += 1;
        match byte {
            b'1'..=b'9' => return Err(BadPattern::BackReference),
            // GNU's additions; all others are the letter itself, `\d` among them.
            b's' => self.push_atom("[\\x09-\\x0D\\x20]"),
            b'S' => self.push_atom("[^\\x09-\\x0D\\x20]"),
            b'w' => self.push_atom("[0-9A-Za-z_]"),
            b'W' => self.push_atom("[^0-9A-Za-z_]"),
            b'b' => self.push_boundary("\\b"),
            b'B' => self.push_boundary("\\B"),
            b'<' => self.push_boundary("\\b{start}"),
            b'>' => self.push_boundary("\\b{end}"),
            b'`' => self.push_boundary("\\A"),
            b'\'' => self.push_boundary("\\z"),
            _ => self.push_literal(byte),
        }
        Ok(())
    }

    fn push_boundary(&mut self, text: &str) {
        self.atom = None;
        self.text.push_str(text);
    }
}

/// Writes a byte so that it means itself.
pub(super) fn push_byte(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() {
        text.push(char::from(byte));
    } else {
        let written = write!(text, "\\x{byte:02X}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }
}
