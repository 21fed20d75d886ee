//! Splits the head of a message into header lines, folds included.
//!
//! Line ends are CRLF and nothing else: a neighbour that took a bare LF for a line end would see
//! other headers than we do. Defects are noted and the walk goes on, because a request with a
//! broken line still deserves an answer, and the answer needs its Via.

use super::header::{HeaderIndex, HeaderName};
use super::malformed::Malformed;
use super::scan::{is_token, trim};
use crate::limits::{HEAD_BYTES_MAX, LINE_BYTES_MAX};

/// A walk over the lines of a head.
pub(super) struct Lines<'a> {
    head: &'a [u8],
    at: usize,
    /// The first rule that was broken on the way.
    pub(super) defect: Option<Malformed>,
}

impl<'a> Lines<'a> {
    /// Starts at `at`; looks at no more bytes than a head may have.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        let head = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        Self {
            head,
            at,
            defect: None,
        }
    }

    /// Where the walk is: after the blank line once it has ended there.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The start line, which cannot be folded.
    pub(super) fn start_line(&mut self) -> &'a [u8] {
        let (start, end) = self.line(false);
        &self.head[start..end]
    }

    /// Puts every header line up to the blank line into `index`.
    pub(super) fn index(&mut self, bytes: &[u8], index: &mut HeaderIndex) {
        loop {
            if self.at == self.head.len() {
                self.note(if bytes.len() > HEAD_BYTES_MAX {
                    Malformed::HeadTooLarge
                } else {
                    Malformed::HeadUnterminated
                });
                return;
            }
            let (start, end) = self.line(true);
            if start == end {
                return;
            }
            if let Err(error) = self.push(start, end, index) {
                self.note(error);
            }
        }
    }

    pub(super) fn note(&mut self, error: Malformed) {
        self.defect = self.defect.or(Some(error));
    }

    fn push(&self, start: usize, end: usize, index: &mut HeaderIndex) -> Result<(), Malformed> {
        let line = &self.head[start..end];
        let name_length = line
            .iter()
            .position(|byte| !is_token(*byte))
            .unwrap_or(line.len());
        let mut colon = name_length;
        // RFC 3261 §25.1, HCOLON: blanks may stand before the colon.
        while line
            .get(colon)
            .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
        {
            colon += 1;
        }
        if name_length == 0 || line.get(colon) != Some(&b':') {
            return Err(Malformed::HeaderLine);
        }
        let value = trim(&line[colon + 1..]);
        let value_start = match value {
            [] => end,
            _ => start + colon + 1 + leading_space(&line[colon + 1..]),
        };
        index.push(
            HeaderName::lookup(&line[..name_length]),
            (position(start), position(start + name_length)),
            (position(value_start), position(value_start + value.len())),
        )
    }

    /// The next line without its end; a line that goes on after a fold is one line.
    fn line(&mut self, folds: bool) -> (usize, usize) {
        let start = self.at;
        let mut from = start;
        loop {
            let Some(offset) = memchr::memchr3(b'\r', b'\n', 0, &self.head[from..]) else {
                self.at = self.head.len();
                self.note(Malformed::HeadUnterminated);
                return (start, self.head.len());
            };
            let at = from + offset;
            from = at + 1;
            if self.head[at] == 0 {
                // RFC 3261 §25.1: a quoted pair may hold a NUL, nothing else may.
                if at == start || self.head[at - 1] != b'\\' {
                    self.note(Malformed::NulByte);
                }
            } else if self.head[at..].starts_with(b"\r\n") {
                from = at + 2;
                let folded = matches!(self.head.get(from), Some(b' ' | b'\t'));
                if !(folds && folded && at > start) {
                    self.at = from;
                    if at - start > LINE_BYTES_MAX {
                        self.note(Malformed::LineTooLong);
                    }
                    return (start, at);
                }
            } else {
                self.note(Malformed::BareLineEnd);
            }
        }
    }
}

fn leading_space(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| super::scan::is_space(**byte))
        .count()
}

fn position(at: usize) -> u16 {
    u16::try_from(at).expect("a head is no longer than sixteen bits can say")
}
