//! What a call remembers of its messages, so that one that fails can show what happened: a few
//! bytes for each, the first ones and the last ones. Their texts are in the floor's ring as long
//! as there is room.

use std::time::Duration;

use super::super::message::Kind;
use super::super::recent::Recent;
use super::micros;
use crate::report::Row;

/// Messages that are remembered from a call's beginning.
const FIRST: usize = 3;
/// Messages that are remembered in all; between the first and the last, the rest is forgotten.
const MARKS: usize = 10;

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

/// Marks a message as ours.
const OURS: u16 = 1 << 15;

/// The messages of a call: of each when it was, where in the ring its text is, and a status code
/// or a method by its place in the list.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    at_us: [u32; MARKS],
    sequence: [u32; MARKS],
    what: [u16; MARKS],
    count: u16,
}

impl Trace {
    pub(crate) fn clear(&mut self) {
        self.count = 0;
    }

    pub(crate) fn note(&mut self, at: Duration, is_ours: bool, kind: Kind<'_>, sequence: u32) {
        let what = match kind {
            Kind::Response { status } => status,
            Kind::Request { method } => {
                let place = METHODS.iter().position(|known| known.as_bytes() == method);
                u16::try_from(place.unwrap_or(0)).unwrap_or(0)
            }
        };
        let place = place(self.count);
        self.at_us[place] = micros(at);
        self.sequence[place] = sequence;
        self.what[place] = if is_ours { what | OURS } else { what };
        self.count = self.count.saturating_add(1);
    }

    /// The messages as rows of a ladder.
    pub(crate) fn rows(&self, recent: &Recent) -> Vec<Row> {
        let last = self.count.saturating_sub((MARKS - FIRST) as u16);
        let is_kept = |number: &u16| *number < FIRST as u16 || *number >= last;
        let row = |number: u16| {
            let place = place(number);
            let what = self.what[place] & !OURS;
            let word = METHODS.get(usize::from(what)).copied();
            let text = recent.find(self.sequence[place]);
            Row {
                at_us: u64::from(self.at_us[place]),
                is_ours: self.what[place] & OURS > 0,
                line: word.map_or_else(|| what.to_string(), str::to_owned),
                text: text.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            }
        };
        (0..self.count).filter(is_kept).map(row).collect()
    }
}

/// Where the message of a number is remembered.
fn place(number: u16) -> usize {
    let number = usize::from(number);
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
        let expected: Vec<String> = (200..203)
            .chain(223..230)
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
