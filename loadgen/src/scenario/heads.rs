//! Where the header lines of a message stand: found in one pass, and asked for as often as a
//! scenario likes. A message with more lines than there is room for is searched behind them.

use super::message::short_form;

/// Header lines that are remembered.
const PLACES: usize = 24;

/// A header line, by its bytes in the message.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    start: u16,
    /// Where its name ends.
    name_end: u16,
    /// Where its colon is, or its end if it has none.
    colon: u16,
    end: u16,
}

/// The header lines behind the first line; folded lines are one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads<'a> {
    bytes: &'a [u8],
    places: [Place; PLACES],
    count: usize,
    /// What was not looked at, from the line end before it.
    rest: &'a [u8],
}

impl<'a> Heads<'a> {
    /// Looks for the lines.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut heads = Self {
            bytes,
            places: [Place::default(); PLACES],
            count: 0,
            rest: bytes,
        };
        let whole = u16::try_from(bytes.len());
        if let Ok(whole) = whole {
            heads.find(whole);
        }
        heads
    }

    fn find(&mut self, whole: u16) {
        let bytes = self.bytes;
        let mut ends = memchr::memchr_iter(b'\n', bytes).filter_map(|at| u16::try_from(at).ok());
        self.rest = b"";
        let Some(mut start) = ends.next().map(|end| end + 1) else {
            return;
        };
        while !is_empty_line(&bytes[usize::from(start)..]) {
            if self.count == PLACES {
                self.rest = &bytes[usize::from(start) - 1..];
                return;
            }
            let is_last =
                |end: &u16| !matches!(bytes.get(usize::from(*end) + 1), Some(b' ' | b'\t'));
            let end = ends.find(is_last).unwrap_or(whole);
            let line = &bytes[usize::from(start)..usize::from(end)];
            let colon = line.iter().position(|byte| *byte == b':');
            let name = line[..colon.unwrap_or(0)].trim_ascii_end();
            // No part of a message is longer than the whole.
            let short = |length: usize| u16::try_from(length).unwrap_or(u16::MAX);
            self.places[self.count] = Place {
                start,
                name_end: start + short(name.len()),
                colon: colon.map_or(end, |colon| start + short(colon)),
                end,
            };
            self.count += 1;
            if end == whole {
                return;
            }
            start = end + 1;
        }
    }

    /// The lines, without their ends, and the names of their headers; no name if there is none.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, '_> {
        let found = self.places[..self.count]
            .iter()
            .map(|it| it.line(self.bytes));
        found.chain(lines(self.rest).map(|line| (line, name(line))))
    }

    /// Names, as they stand there, and values of all headers of a name, short forms included,
    /// blanks around them removed.
    pub(crate) fn named<'n>(
        &self,
        name: &'n [u8],
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, 'n, '_> {
        let mut places = self.places[..self.count].iter();
        let mut rest = (!self.rest.is_empty()).then(|| named(self.rest, name));
        std::iter::from_fn(move || {
            for place in places.by_ref() {
                let found = place.name(self.bytes);
                if is_named(found, name) && place.colon < place.end {
                    return Some((found, place.value(self.bytes)));
                }
            }
            rest.as_mut()?.next()
        })
    }

    /// The value of the first header of a name.
    pub(crate) fn value(&self, name: &[u8]) -> Option<&'a [u8]> {
        for place in &self.places[..self.count] {
            if is_named(place.name(self.bytes), name) && place.colon < place.end {
                return Some(place.value(self.bytes));
            }
        }
        let found = named(self.rest, name).next();
        found.map(|(_, value)| value)
    }
}

impl Place {
    fn line<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let line = &bytes[usize::from(self.start)..usize::from(self.end)];
        (line, self.name(bytes))
    }

    #[inline]
    fn name<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[usize::from(self.start)..usize::from(self.name_end)]
    }

    fn value<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes[usize::from(self.colon) + 1..usize::from(self.end)].trim_ascii()
    }
}

/// The name in a header's line.
fn name(line: &[u8]) -> &[u8] {
    let colon = memchr::memchr(b':', line).unwrap_or(0);
    line[..colon].trim_ascii_end()
}

/// Whether a header's name is the one that is meant, or its short form.
#[inline]
pub(crate) fn is_named(found: &[u8], name: &[u8]) -> bool {
    if found.len() == name.len() {
        return found.eq_ignore_ascii_case(name);
    }
    matches!(found, [letter] if short_form(name) == Some(*letter))
}

fn is_empty_line(line: &[u8]) -> bool {
    line.is_empty() || line.starts_with(b"\r\n") || line.starts_with(b"\n")
}

/// The same without a memory, for the lines behind those that are remembered.
fn named<'a, 'n>(
    bytes: &'a [u8],
    name: &'n [u8],
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a, 'n> {
    lines(bytes).filter_map(move |line| {
        let colon = memchr::memchr(b':', line)?;
        let found = line[..colon].trim_ascii_end();
        is_named(found, name).then(|| (found, line[colon + 1..].trim_ascii()))
    })
}

fn lines(bytes: &[u8]) -> Lines<'_> {
    Lines { rest: bytes }
}

struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = memchr::memchr(b'\n', self.rest)? + 1;
        let line = &self.rest[start..];
        if is_empty_line(line) {
            self.rest = b"";
            return None;
        }
        let is_last = |end: &usize| !matches!(line.get(*end + 1), Some(b' ' | b'\t'));
        match memchr::memchr_iter(b'\n', line).find(is_last) {
            None => {
                self.rest = b"";
                Some(line)
            }
            Some(end) => {
                self.rest = &line[end..];
                Some(&line[..end])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: usize) -> Vec<u8> {
        let mut text = b"INVITE sip:a SIP/2.0\r\n".to_vec();
        for number in 0..headers {
            let fold = if number % 3 == 0 { "\r\n  on" } else { "" };
            text.extend_from_slice(format!("H{}: {number}{fold}\r\n", number % 4).as_bytes());
        }
        text.extend_from_slice(b"no colon here\r\nv: last\r\n\r\nH1: body\r\n");
        text
    }

    #[test]
    fn more_lines_than_are_remembered_are_found_as_well() {
        for headers in [0, 1, 5, PLACES - 3, PLACES - 2, PLACES - 1, PLACES, 90] {
            let text = message(headers);
            let heads = Heads::new(&text);
            assert_eq!(heads.lines().count(), headers + 2);
            assert_eq!(heads.value(b"Via"), Some(b"last".as_slice()), "{headers}");
            let all: Vec<_> = heads.named(b"h1").map(|(_, value)| value).collect();
            let plain: Vec<_> = named(&text, b"h1").map(|(_, value)| value).collect();
            assert_eq!(all, plain);
            assert_eq!(all.len(), (headers + 2) / 4);
        }
    }

    #[test]
    fn a_message_that_is_cut_off_anywhere_has_the_same_lines_as_before() {
        let text = message(30);
        for end in 0..text.len() {
            let heads = Heads::new(&text[..end]);
            let slow: Vec<_> = lines(&text[..end]).collect();
            let found: Vec<_> = heads.lines().map(|(line, _)| line).collect();
            assert_eq!(found, slow, "{end}");
        }
        let long = [b"A: b\r\nB: ".as_slice(), &[b'x'; 70_000], b"\r\nC: d"].concat();
        let heads = Heads::new(&long);
        assert_eq!(heads.value(b"C"), Some(b"d".as_slice()));
        assert_eq!(heads.lines().count(), 2);
    }
}
