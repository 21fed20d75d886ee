//! What a call remembers of its messages, so that one that fails can show what happened: a few
//! bytes for each, the first ones and the last ones. Their texts are in the floor's ring as long
//! as there is room.

use std::time::Duration;

use super::super::message::Kind;
use super::super::recent::Recent;
use crate::report::Row;

/// Messages that are remembered from a call's beginning.
const FIRST: usize = 4;
/// Messages that are remembered in all; between the first and the last, the rest is forgotten.
const MARKS: usize = 16;

/// Methods by which requests are remembered.
const METHODS: [&str; 15] = [
    "request",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "INFO",
    "PRACK",
    "UPDATE",
    "MESSAGE",
    "PUBLISH",
];

/// One message.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    at_us: u32,
    /// Where in the ring its text is.
    sequence: u32,
    /// A status code, or a method by its place in the list.
    what: u16,
    is_ours: bool,
}

/// The messages of a call.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    marks: [Mark; MARKS],
    count: u32,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) fn note(&mut self, at: Duration, is_ours: bool, kind: Kind<'_>, sequence: u32) {
        let what = match kind {
            Kind::Response { status } => status,
            Kind::Request { method } => {
                let is_it = |known: &str| known.as_bytes() == method;
                let place = METHODS.iter().position(|known| is_it(known));
                u16::try_from(place.unwrap_or(0)).unwrap_or(0)
            }
        };
        self.marks[place(self.count)] = Mark {
            at_us: u32::try_from(at.as_micros()).unwrap_or(u32::MAX),
            sequence,
            what,
            is_ours,
        };
        self.count = self.count.saturating_add(1);
    }

    /// The messages as rows of a ladder.
    pub(crate) fn rows(&self, recent: &Recent) -> Vec<Row> {
        let kept = self.count.saturating_sub((MARKS - FIRST) as u32);
        let mut rows = Vec::new();
        for number in 0..self.count {
            if number >= FIRST as u32 && number < kept.max(FIRST as u32) {
                continue;
            }
            let mark = &self.marks[place(number)];
            let status = mark.what.to_string();
            let word = METHODS.get(usize::from(mark.what)).copied();
            let text = recent.find(mark.sequence);
            rows.push(Row {
                at_us: u64::from(mark.at_us),
                is_ours: mark.is_ours,
                line: word.unwrap_or(&status).to_owned(),
                text: text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            });
        }
        rows
    }
}

/// Where the message of a number is remembered.
fn place(number: u32) -> usize {
    let number = number as usize;
    if number < FIRST {
        number
    } else {
        FIRST + (number - FIRST) % (MARKS - FIRST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_messages_are_remembered() {
        let mut trace = Trace::default();
        let recent = Recent::new(0);
        for number in 0..30_u16 {
            let kind = Kind::Response {
                status: 200 + number,
            };
            trace.note(Duration::from_millis(number.into()), true, kind, 0);
        }
        let lines: Vec<String> = trace
            .rows(&recent)
            .into_iter()
            .map(|row| row.line)
            .collect();
        let expected: Vec<String> = (200..204)
            .chain(218..230)
            .map(|status| status.to_string())
            .collect();
        assert_eq!(lines, expected);
        trace.clear();
        trace.note(Duration::ZERO, false, Kind::Request { method: b"BYE" }, 0);
        trace.note(Duration::ZERO, false, Kind::Request { method: b"X" }, 0);
        let lines: Vec<String> = trace
            .rows(&recent)
            .into_iter()
            .map(|row| row.line)
            .collect();
        assert_eq!(lines, ["BYE", "request"]);
    }
}
