//! Injection files: values for calls, one line a call. The first line says in which order lines
//! are taken: one after the other, by chance, or by user.

use std::collections::BTreeMap;

use super::limits::INJECTION_BYTES_MAX;
use super::value::write_to;
use crate::population::Random;

/// In which order lines are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Sequential,
    Random,
    /// The line with the number of the call's user.
    User,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadInjection {
    TooLong,
    /// The first line says none of SEQUENTIAL, RANDOM and USER.
    Order,
    /// `PRINTF=` without a number above zero.
    Count,
    /// There is no line with values.
    Empty,
}

impl std::fmt::Display for BadInjection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::TooLong => "it is too long",
            Self::Order => "its first line must say SEQUENTIAL, RANDOM or USER",
            Self::Count => "its PRINTF must be a number above zero",
            Self::Empty => "it has no line with values",
        })
    }
}

/// One file.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    order: Order,
    lines: Vec<Vec<u8>>,
    next: usize,
    /// From one line that is taken to the next: other workers take those between.
    step: usize,
    /// One line stands for this many, its `%d` replaced.
    printed: Option<Printed>,
    /// Which line begins with a key, by column.
    indexes: BTreeMap<usize, BTreeMap<Vec<u8>, usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Printed {
    count: usize,
    multiple: i64,
    offset: i64,
}

impl Injection {
    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: &[u8]) -> Result<Self, BadInjection> {
        if text.len() > INJECTION_BYTES_MAX {
            return Err(BadInjection::TooLong);
        }
        let mut lines = text.split(|byte| *byte == b'\n').map(trim_line);
        let header = lines.next().unwrap_or_default();
        let header = String::from_utf8_lossy(header).to_ascii_uppercase();
        let mut words = header.split(',').map(str::trim);
        let order = match words.next().unwrap_or_default() {
            "SEQUENTIAL" => Order::Sequential,
            "RANDOM" => Order::Random,
            "USER" => Order::User,
            _ => return Err(BadInjection::Order),
        };
        let mut count = None;
        let (mut multiple, mut offset) = (1, 0);
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let number: i64 = value.trim().parse().map_err(|_| BadInjection::Count)?;
            match name.trim() {
                "PRINTF" => count = usize::try_from(number).ok().filter(|count| *count > 0),
                "PRINTFMULTIPLE" => multiple = number,
                "PRINTFOFFSET" => offset = number,
                _ => {}
            }
            if name.trim() == "PRINTF" && count.is_none() {
                return Err(BadInjection::Count);
            }
        }
        let is_value = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
        let lines: Vec<Vec<u8>> = lines.filter(is_value).map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return Err(BadInjection::Empty);
        }
        Ok(Self {
            order,
            lines,
            next: 0,
            step: 1,
            printed: count.map(|count| Printed {
                count,
                multiple,
                offset,
            }),
            indexes: BTreeMap::new(),
        })
    }

    /// Takes every line that is this worker's share: workers together take the lines in order.
    pub(crate) fn share(&mut self, worker: u64, workers: u64) {
        self.next = usize::try_from(worker).unwrap_or(0);
        self.step = usize::try_from(workers).unwrap_or(1).max(1);
    }

    /// How many lines calls can have.
    pub(crate) fn len(&self) -> usize {
        self.printed
            .map_or(self.lines.len(), |printed| printed.count)
    }

    /// The line of the next call.
    pub(crate) fn take(&mut self, user: Option<usize>, random: &mut Random) -> usize {
        match (self.order, user) {
            (Order::Random, _) => {
                let line = random.below(self.len() as u64);
                usize::try_from(line).expect("a number below a usize is one")
            }
            (Order::User, Some(user)) => user.saturating_sub(1) % self.len(),
            (Order::Sequential, _) | (Order::User, None) => {
                let line = self.next % self.len();
                self.next = self.next.wrapping_add(self.step);
                line
            }
        }
    }

    /// Appends a field of a line, the first field being 0; nothing if there is none.
    pub(crate) fn write(&self, line: usize, column: usize, output: &mut Vec<u8>) {
        let stored = self.printed.map_or(line, |_| line % self.lines.len());
        let Some(text) = self.lines.get(stored) else {
            return;
        };
        let field = field(text, column);
        let Some(printed) = self.printed else {
            output.extend_from_slice(field);
            return;
        };
        let number = i64::try_from(line).unwrap_or(i64::MAX);
        let number = number
            .saturating_mul(printed.multiple)
            .saturating_add(printed.offset);
        write_printed(field, number, output);
    }

    /// Builds the look-up of a column.
    pub(crate) fn index(&mut self, column: usize) {
        let mut index = BTreeMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            index.insert(field(line, column).to_vec(), place);
        }
        self.indexes.insert(column, index);
    }

    /// The line whose indexed column has this value; without an index, the first column.
    pub(crate) fn look_up(&self, key: &[u8]) -> Option<usize> {
        if self.indexes.is_empty() {
            return self.lines.iter().position(|line| field(line, 0) == key);
        }
        self.indexes
            .values()
            .find_map(|index| index.get(key).copied())
    }

    /// Adds a line.
    pub(crate) fn insert(&mut self, text: &[u8]) {
        self.lines.push(trim_line(text).to_vec());
        self.index_line(self.lines.len() - 1);
    }

    /// Replaces a line; `false` if there is none.
    pub(crate) fn replace(&mut self, line: usize, text: &[u8]) -> bool {
        let Some(stored) = self.lines.get_mut(line) else {
            return false;
        };
        *stored = trim_line(text).to_vec();
        for index in self.indexes.values_mut() {
            index.retain(|_, place| *place != line);
        }
        self.index_line(line);
        true
    }

    fn index_line(&mut self, line: usize) {
        for (column, index) in &mut self.indexes {
            index.insert(field(&self.lines[line], *column).to_vec(), line);
        }
    }
}

fn trim_line(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn field(line: &[u8], column: usize) -> &[u8] {
    line.split(|byte| *byte == b';')
        .nth(column)
        .unwrap_or_default()
}

/// Replaces `%d`, also as `%05d`; `%%` is a percent sign.
fn write_printed(field: &[u8], number: i64, output: &mut Vec<u8>) {
    let mut rest = field;
    while let Some(at) = memchr::memchr(b'%', rest) {
        output.extend_from_slice(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        match after.get(digits) {
            Some(b'd') => {
                let width = std::str::from_utf8(&after[..digits]).unwrap_or_default();
                let pad = width.parse().unwrap_or(0_usize).min(64);
                if width.starts_with('0') {
                    write_to(output, format_args!("{number:0pad$}"));
                } else {
                    write_to(output, format_args!("{number:pad$}"));
                }
                rest = &after[digits + 1..];
            }
            Some(b'%') if digits == 0 => {
                output.push(b'%');
                rest = &after[1..];
            }
            Some(_) | None => {
                output.push(b'%');
                rest = after;
            }
        }
    }
    output.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(injection: &Injection, line: usize, column: usize) -> String {
        let mut output = Vec::new();
        injection.write(line, column, &mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn lines_are_taken_in_order_and_again() {
        let text = b"SEQUENTIAL\r\n#comment\r\nann;1\r\n\r\nbob;2\r\n";
        let mut injection = Injection::new(text).expect("a good file");
        let mut random = Random::new(1, 1);
        let lines: Vec<usize> = (0..3).map(|_| injection.take(None, &mut random)).collect();
        assert_eq!(lines, [0, 1, 0]);
        assert_eq!(
            (shown(&injection, 1, 0), shown(&injection, 1, 1)),
            ("bob".into(), "2".into())
        );
        assert_eq!(shown(&injection, 1, 2), "");
        let mut users = Injection::new(b"USER\na\nb\n").expect("a good file");
        assert_eq!(users.take(Some(2), &mut random), 1);
    }

    #[test]
    fn workers_take_different_lines() {
        let file = Injection::new(b"SEQUENTIAL\na\nb\nc\nd\ne\n").expect("a good file");
        let mut random = Random::new(1, 1);
        let taken = (0..2).map(|worker| {
            let mut own = file.clone();
            own.share(worker, 2);
            (0..4)
                .map(|_| own.take(None, &mut random))
                .collect::<Vec<_>>()
        });
        assert_eq!(taken.collect::<Vec<_>>(), [[0, 2, 4, 1], [1, 3, 0, 2]]);
    }

    #[test]
    fn one_line_may_stand_for_many() {
        let text = b"SEQUENTIAL,PRINTF=999,PRINTFOFFSET=100\nuser%04d;100%%;%x;%d\n";
        let injection = Injection::new(text).expect("a good file");
        assert_eq!(injection.len(), 999);
        assert_eq!(shown(&injection, 7, 0), "user0107");
        assert_eq!(shown(&injection, 7, 1), "100%");
        assert_eq!(shown(&injection, 7, 2), "%x");
        assert_eq!(shown(&injection, 7, 3), "107");
    }

    #[test]
    fn lines_are_found_inserted_and_replaced() {
        let mut injection = Injection::new(b"RANDOM\na;1\nb;2\n").expect("a good file");
        assert_eq!(injection.look_up(b"b"), Some(1));
        injection.index(1);
        assert_eq!(
            (injection.look_up(b"2"), injection.look_up(b"b")),
            (Some(1), None)
        );
        injection.insert(b"c;3");
        assert!(injection.replace(0, b"d;4") && !injection.replace(9, b"x"));
        assert_eq!(injection.look_up(b"3"), Some(2));
        assert_eq!(
            (injection.look_up(b"1"), injection.look_up(b"4")),
            (None, Some(0))
        );
    }

    #[test]
    fn bad_files_say_what_is_wrong() {
        let refused = |text: &[u8]| Injection::new(text).err();
        assert_eq!(refused(b""), Some(BadInjection::Order));
        assert_eq!(refused(b"SEQUENTIAL\n#a\n"), Some(BadInjection::Empty));
        assert_eq!(refused(b"RANDOM,PRINTF=0\na\n"), Some(BadInjection::Count));
    }
}
