//! Splits the head of a message into header lines, folds included.
//!
//! Line ends are CRLF and nothing else: a neighbour that took a bare LF for a line end would see
//! other headers than we do. Defects are noted and the walk goes on, because a request with a
//! broken line still deserves an answer, and the answer needs its Via.

use std::ops::Range;

use super::header::{HeaderIndex, HeaderName};
use super::malformed::Malformed;
use super::scan::{is_space, is_token, trim};
use crate::limits::{HEAD_BYTES_MAX, LINE_BYTES_MAX};

/// The name, when it is known, where the name is, and where the value is without its white space.
type HeaderLine = (Option<HeaderName>, Range<usize>, Range<usize>);

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
        while let Some(line) = self.header() {
            let pushed = line.and_then(|(name, name_span, value_span)| {
                index.push(name, position(name_span), position(value_span))
            });
            if let Err(error) = pushed {
                self.note(error);
            }
        }
        if self.at == self.head.len() && bytes.len() > HEAD_BYTES_MAX {
            // The blank line may be there, beyond what is looked at.
            self.defect = Some(Malformed::HeadTooLarge);
        }
    }

    /// The next header line, or `None` after the blank line or at the end.
    pub(super) fn header(&mut self) -> Option<Result<HeaderLine, Malformed>> {
        if self.at == self.head.len() {
            self.note(Malformed::HeadUnterminated);
            return None;
        }
        let (start, end) = self.line(true);
        (start != end).then(|| self.split(start, end))
    }

    pub(super) fn note(&mut self, error: Malformed) {
        self.defect = self.defect.or(Some(error));
    }

    fn split(&self, start: usize, end: usize) -> Result<HeaderLine, Malformed> {
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
        let after = &line[colon + 1..];
        let leading = after.iter().take_while(|byte| is_space(**byte)).count();
        let value_start = start + colon + 1 + leading;
        let value_end = value_start + trim(&after[leading..]).len();
        let name = HeaderName::lookup(&line[..name_length]);
        Ok((name, start..start + name_length, value_start..value_end))
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

fn position(span: Range<usize>) -> (u16, u16) {
    let narrow = |at| u16::try_from(at).expect("a head is no longer than sixteen bits can say");
    (narrow(span.start), narrow(span.end))
}
