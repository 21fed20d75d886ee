//! Splits the head of a message into header lines, folds included.
//!
//! Line ends are CRLF and nothing else: a neighbour that took a bare LF for a line end would see
//! other headers than we do. Defects are noted and the walk goes on, because a request with a
//! broken line still deserves an answer, and the answer needs its Via.

use std::ops::Range;

use super::class::is_token;
use super::header::{HeaderIndex, HeaderName, NAME_WINDOW};
use super::malformed::Malformed;
use super::scan::is_space;
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
        let start = self.at;
        let end = self.line_end(start, false);
        &self.head[start..end]
    }

    /// Puts every header line up to the blank line into `index`.
    #[inline(never)]
    pub(super) fn index(&mut self, bytes: &[u8], index: &mut HeaderIndex) {
        loop {
            // Apart from the other lines, so that nothing is asked of a line twice.
            let pushed = if let Some((name, name_span, value_span)) = self.usual() {
                index.push(Some(name), position(name_span), position(value_span))
            } else {
                let Some(line) = self.unusual() else {
                    break;
                };
                line.and_then(|(name, name_span, value_span)| {
                    index.push(name, position(name_span), position(value_span))
                })
            };
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
        match self.usual() {
            Some((name, name_span, value_span)) => Some(Ok((Some(name), name_span, value_span))),
            None => self.unusual(),
        }
    }

    /// The next header line, when its name is known and all of it is as nearly every peer writes
    /// it. Otherwise the walk stays where it is.
    #[inline(always)]
    fn usual(&mut self) -> Option<(HeaderName, Range<usize>, Range<usize>)> {
        let (start, rest) = (self.at, &self.head[self.at..]);
        let last;
        let window = match rest.first_chunk() {
            Some(window) => window,
            None => {
                last = last_window(rest);
                &last
            }
        };
        let colon = find_colon(window)?;
        let name = HeaderName::written(window, colon)?;
        // A name that is known has no control character.
        let end = colon + find_control(&rest[colon..])?;
        let [b'\r', b'\n', next, ..] = rest[end..] else {
            return None;
        };
        if matches!(next, b' ' | b'\t') || end > LINE_BYTES_MAX {
            return None;
        }
        self.at = start + end + 2;
        let value = match rest[colon + 1..end] {
            // One blank before it and none behind.
            [b' ', first, .., last] if first > b' ' && last > b' ' => {
                start + colon + 2..start + end
            }
            _ => self.value(start + colon + 1, start + end),
        };
        Some((name, start..start + colon, value))
    }

    /// Any header line, or `None` after the blank line or at the end.
    #[inline(never)]
    fn unusual(&mut self) -> Option<Result<HeaderLine, Malformed>> {
        if self.at == self.head.len() {
            self.note(Malformed::HeadUnterminated);
            return None;
        }
        let start = self.at;
        if self.head[start..].starts_with(b"\r\n") {
            self.at += 2;
            return None;
        }
        let end = self.line_end(start, true);
        if start == end {
            return None;
        }
        Some(self.split(start, end))
    }

    pub(super) fn note(&mut self, error: Malformed) {
        self.defect = self.defect.or(Some(error));
    }

    /// Takes any line apart.
    fn split(&self, start: usize, end: usize) -> Result<HeaderLine, Malformed> {
        let line = &self.head[start..end];
        let colon = memchr::memchr(b':', line).ok_or(Malformed::HeaderLine)?;
        let mut name = &line[..colon];
        // RFC 3261 §25.1, HCOLON: blanks may stand before the colon.
        while let [shorter @ .., b' ' | b'\t'] = name {
            name = shorter;
        }
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return Err(Malformed::HeaderLine);
        }
        let value = self.value(start + colon + 1, end);
        Ok((HeaderName::lookup(name), start..start + name.len(), value))
    }

    /// What is between the colon and the end of the line, without white space around it.
    fn value(&self, mut start: usize, mut end: usize) -> Range<usize> {
        while start < end && is_space(self.head[start]) {
            start += 1;
        }
        while end > start && is_space(self.head[end - 1]) {
            end -= 1;
        }
        start..end
    }

    /// The end of the line that the walk is in and has looked through up to `from`, which is no
    /// control character. A line that goes on after a fold is one line.
    fn line_end(&mut self, from: usize, folds: bool) -> usize {
        if let Some(offset) = find_control(&self.head[from..])
            && let [b'\r', b'\n', next, ..] = self.head[from + offset..]
            && !matches!(next, b' ' | b'\t')
            && from + offset - self.at <= LINE_BYTES_MAX
        {
            self.at = from + offset + 2;
            return from + offset;
        }
        self.odd_line_end(from, folds)
    }

    /// The same for a line that is folded, the last, too long or broken.
    #[cold]
    fn odd_line_end(&mut self, mut from: usize, folds: bool) -> usize {
        let start = self.at;
        loop {
            let Some(offset) = find_control(&self.head[from..]) else {
                self.at = self.head.len();
                self.note(Malformed::HeadUnterminated);
                return self.head.len();
            };
            let at = from + offset;
            from = at + 1;
            match self.head[at] {
                b'\r' if self.head.get(from) == Some(&b'\n') => {
                    from += 1;
                    let folded = matches!(self.head.get(from), Some(b' ' | b'\t'));
                    if !(folds && folded && at > start) {
                        self.at = from;
                        if at - start > LINE_BYTES_MAX {
                            self.note(Malformed::LineTooLong);
                        }
                        return at;
                    }
                }
                b'\r' | b'\n' => self.note(Malformed::BareLineEnd),
                // RFC 3261 §25.1: a quoted pair may hold a NUL, nothing else may.
                0 if at == start || self.head[at - 1] != b'\\' => self.note(Malformed::NulByte),
                _ => {}
            }
        }
    }
}

/// Fewer bytes than a window has, which stand before the end of most messages without a body.
fn last_window(rest: &[u8]) -> [u8; NAME_WINDOW] {
    let mut window = [0; NAME_WINDOW];
    window[..rest.len()].copy_from_slice(rest);
    window
}

/// Where the first colon is.
#[inline]
fn find_colon(window: &[u8; NAME_WINDOW]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let (words, _) = window.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        // A byte is zero where a colon was; its highest bit is set, and below it none.
        let zero = u64::from_le_bytes(*word) ^ (ONES * u64::from(b':'));
        let found = zero.wrapping_sub(ONES) & !zero & (ONES << 7);
        if found != 0 {
            return Some(at * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    None
}

/// Where the first control character is: CR, LF and NUL are among them.
#[inline(always)]
fn find_control(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::MAX / 255;
    let mut rest = bytes;
    while let Some((block, next)) = rest.split_first_chunk::<16>() {
        // The compiler makes one comparison of sixteen.
        if block
            .iter()
            .fold(false, |found, byte| found | (*byte < b' '))
        {
            // Sets the highest bit of each byte below 32, up to the first at least.
            let found = |half: u64| half.wrapping_sub(ONES * 32) & !half & (ONES << 7);
            let block = u128::from_le_bytes(*block);
            let at = match found(block as u64) {
                0 => 64 + found((block >> 64) as u64).trailing_zeros(),
                low => low.trailing_zeros(),
            };
            return Some(bytes.len() - rest.len() + at as usize / 8);
        }
        rest = next;
    }
    let tail = rest.iter().position(|byte| *byte < b' ')?;
    Some(bytes.len() - rest.len() + tail)
}

/// The same in sixteen bits, which is more than a head has bytes.
fn position(span: Range<usize>) -> (u16, u16) {
    const { assert!(HEAD_BYTES_MAX <= u16::MAX as usize) };
    (span.start as u16, span.end as u16)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_usual_line_is_what_the_walk_over_any_line_finds(
            lines in "((Via|To|CSeq|P-Asserted-Identity|via|t|Y|Subjecte|)(:|: | :|:\t|)\
                (a|SIP/2\\.0/UDP h|:| |\t|\r|\n|\x00|\\\\\x00|\r\n |b, c){0,3}\
                (\r\n|\r\n|\r\n|)){0,5}",
            length in prop_oneof![0..40_usize, LINE_BYTES_MAX - 15..LINE_BYTES_MAX],
            end in "(\r\n){0,2}|\r|\r\n |\r\nx",
        ) {
            let text = format!("{lines}Subject: {}{end}", "y".repeat(length));
            let head = text.as_bytes();
            let from = |at| Lines::new(head, at);
            let mut at = 0;
            loop {
                let (mut quick, mut slow) = (from(at), from(at));
                let found = slow.unusual();
                match quick.usual() {
                    Some((name, name_span, value_span)) => {
                        let line = (Some(name), name_span, value_span);
                        prop_assert_eq!(&Some(Ok(line)), &found, "{:?}", text);
                        prop_assert_eq!((quick.at, quick.defect), (slow.at, slow.defect));
                    }
                    None => prop_assert_eq!((quick.at, quick.defect), (at, None)),
                }
                if found.is_none() {
                    break;
                }
                let (mut quick, mut slow) = (from(at), from(at));
                prop_assert_eq!(quick.line_end(at, true), slow.odd_line_end(at, true));
                prop_assert_eq!((quick.at, quick.defect), (slow.at, slow.defect), "{:?}", text);
                at = slow.at;
            }
        }
    }
}
