//! Reads a section of the file key by key and collects mistakes instead of stopping at the first.
//! A value that is missing or wrong becomes the default, so that the rest can be checked too. It
//! knows TOML and lines; what the values mean is in `value`, which keys there are in `keys`.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Keys, instead_of};
use super::mistake::Mistakes;
use super::value::{self, Converted, Scalar};

/// A file under examination.
pub(super) struct Source<'a> {
    /// Its name in mistakes.
    pub(super) file: &'a str,
    /// Where the lines begin.
    line_starts: Vec<usize>,
    /// Where its mistakes go.
    pub(super) mistakes: &'a Mistakes,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &str, mistakes: &'a Mistakes) -> Self {
        let line_starts = memchr::memchr_iter(b'\n', text.as_bytes())
            .map(|at| at + 1)
            .collect();
        Self {
            file,
            line_starts,
            mistakes,
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> u32 {
        let before = self.line_starts.partition_point(|start| *start <= byte);
        u32::try_from(before + 1).expect("CONFIGURATION_BYTES_MAX bounds the lines")
    }

    pub(super) fn mistake(&self, line: u32, what: impl Into<String>, instead: impl Into<String>) {
        self.mistakes.add((self.file, line), what, instead);
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) line: u32,
}

/// One section of the file while it is read.
pub(super) struct Section<'a> {
    keys: &'static Keys,
    table: Option<&'a DeTable<'a>>,
    /// The line of its header.
    pub(super) line: u32,
    pub(super) source: &'a Source<'a>,
    /// A bit for each key that was asked for.
    asked: u64,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        keys: &'static Keys,
        table: Option<&'a DeTable<'a>>,
        line: u32,
        source: &'a Source<'a>,
    ) -> Self {
        Self {
            keys,
            table,
            line,
            source,
            asked: 0,
        }
    }

    /// Ends the reading: whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        let all = (1_u64 << self.keys.keys.len()) - 1;
        assert!(
            self.asked == all,
            "each known key of {} is read",
            self.keys.header
        );
        for key in self.table.iter().flat_map(|table| table.keys()) {
            if self.keys.keys.contains(&&**key.get_ref()) {
                continue;
            }
            let line = self.source.line(key.span().start);
            let shown: String = key.get_ref().chars().take(64).collect();
            let what = format!("{} has no key `{}`", self.keys.header, shown.escape_debug());
            self.source
                .mistake(line, what, instead_of(self.keys, key.get_ref()));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        let position = self.keys.keys.iter().position(|known| *known == key);
        self.asked |= 1 << position.expect("only keys of the section are asked for");
        self.table?.get(key)
    }

    /// Whether the file says anything about `key`.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// How many values a list has, a single value counting as one; nothing if it is not there.
    pub(super) fn count(&self, key: &'static str) -> Option<usize> {
        let value = self.table?.get(key)?;
        Some(value.get_ref().as_array().map_or(1, |items| items.len()))
    }

    /// The line of a key, or of the header if the file does not have it.
    pub(super) fn line_of(&self, key: &'static str) -> u32 {
        let value = self.table.and_then(|table| table.get(key));
        value.map_or(self.line, |value| self.source.line(value.span().start))
    }

    /// A mistake about `key`.
    pub(super) fn mistake(&self, key: &'static str, what: &str, instead: impl Into<String>) {
        let what = format!("`{key}` in {} {what}", self.keys.header);
        self.source.mistake(self.line_of(key), what, instead);
    }

    fn wrong(&self, key: &str, line: u32, value: Scalar<'_>, instead: String) {
        let what = format!("`{key}` in {} is {value}", self.keys.header);
        self.source.mistake(line, what, instead);
    }

    /// The value of a key, converted; nothing if it is missing or wrong.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(Scalar<'a>) -> Converted<T>,
    ) -> Option<T> {
        let scalar = Scalar::from(self.take(key)?.get_ref());
        match convert(scalar) {
            Ok(value) => Some(value),
            Err(instead) => {
                self.wrong(key, self.line_of(key), scalar, instead);
                None
            }
        }
    }

    /// The same for a secret: a mistake does not repeat what is written.
    pub(super) fn hidden<T>(
        &mut self,
        key: &'static str,
        convert: impl FnOnce(Scalar<'a>) -> Converted<T>,
    ) -> Option<T> {
        let scalar = Scalar::from(self.take(key)?.get_ref());
        convert(scalar)
            .map_err(|instead| self.mistake(key, "cannot be taken", instead))
            .ok()
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        convert: impl FnOnce(Scalar<'a>) -> Converted<T>,
    ) -> Option<Located<T>> {
        if !self.has(key) {
            let what = format!("{} has no `{key}`", self.keys.header);
            self.source
                .mistake(self.line, what, format!("write {key} = {example}"));
        }
        let value = self.optional(key, convert)?;
        Some(Located {
            value,
            line: self.line_of(key),
        })
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.optional(key, value::flag).unwrap_or(default)
    }

    pub(super) fn integer(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        self.optional(key, |scalar| value::integer(scalar, &bounds))
            .unwrap_or(default)
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        self.optional(key, |scalar| value::duration(scalar, &bounds))
            .unwrap_or(default)
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        default: T,
    ) -> T {
        self.optional(key, |scalar| value::choice(scalar, words))
            .unwrap_or(default)
    }

    /// The values of a list, each converted; those that are wrong are left out. A single value
    /// stands for a list of one.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        count_max: usize,
        convert: impl Fn(Scalar<'a>) -> Converted<T>,
    ) -> Option<Vec<Located<T>>> {
        let value = self.take(key)?;
        let items = value
            .get_ref()
            .as_array()
            .map_or(std::slice::from_ref(value), |items| items);
        if items.len() > count_max {
            self.mistake(
                key,
                &format!("has {} values", items.len()),
                format!("write at most {count_max}"),
            );
        }
        let mut converted = Vec::new();
        for item in items.iter().take(count_max) {
            let scalar = Scalar::from(item.get_ref());
            let line = self.source.line(item.span().start);
            match convert(scalar) {
                Ok(value) => converted.push(Located { value, line }),
                Err(instead) => self.wrong(key, line, scalar, instead),
            }
        }
        Some(converted)
    }

    /// The pairs of a table, each converted; those that are wrong are left out.
    pub(super) fn pairs<T>(
        &mut self,
        key: &'static str,
        count_max: usize,
        example: &str,
        convert: impl Fn(&'a str, Scalar<'a>) -> Converted<T>,
    ) -> Option<Vec<T>> {
        let value = self.take(key)?;
        let Some(table) = value.get_ref().as_table() else {
            let scalar = Scalar::from(value.get_ref());
            self.wrong(key, self.line_of(key), scalar, format!("write {example}"));
            return None;
        };
        if table.len() > count_max {
            let what = format!("has {} pairs", table.len());
            self.mistake(key, &what, format!("write at most {count_max}"));
        }
        let mut converted = Vec::new();
        for (name, item) in table.iter().take(count_max) {
            let scalar = Scalar::from(item.get_ref());
            match convert(name.get_ref(), scalar) {
                Ok(pair) => converted.push(pair),
                Err(instead) => {
                    let shown: String = name.get_ref().chars().take(64).collect();
                    let key = format!("{key}.{}", shown.escape_debug());
                    self.wrong(&key, self.source.line(item.span().start), scalar, instead);
                }
            }
        }
        Some(converted)
    }

    /// The section `[key]`, empty if the file does not have it.
    pub(super) fn table(&mut self, key: &'static str, keys: &'static Keys) -> Self {
        let Some(value) = self.take(key) else {
            return Self::new(keys, None, 1, self.source);
        };
        let line = self.source.line(value.span().start);
        let table = value.get_ref().as_table();
        if table.is_none() {
            let kind = if value.get_ref().is_array() {
                "repeated"
            } else {
                "a value"
            };
            self.source.mistake(
                line,
                format!("`{key}` is {kind}"),
                format!("write it once, as {}", keys.header),
            );
        }
        Self::new(keys, table, line, self.source)
    }

    /// The sections `[[key]]`.
    pub(super) fn tables(
        &mut self,
        key: &'static str,
        keys: &'static Keys,
        count_max: usize,
    ) -> Vec<Self> {
        let source = self.source;
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let line = source.line(value.span().start);
        let items = value
            .get_ref()
            .as_array()
            .map_or(std::slice::from_ref(value), |items| items);
        if !value.get_ref().is_array() {
            let what = format!("`{key}` is not a list");
            source.mistake(
                line,
                what,
                format!("write {}, in double brackets", keys.header),
            );
        }
        if items.len() > count_max {
            let what = format!("there are {} {}", items.len(), keys.header);
            source.mistake(line, what, format!("write at most {count_max}"));
        }
        let mut sections = Vec::new();
        for item in items.iter().take(count_max) {
            let line = source.line(item.span().start);
            match item.get_ref().as_table() {
                Some(table) => sections.push(Self::new(keys, Some(table), line, source)),
                None if value.get_ref().is_array() => source.mistake(
                    line,
                    format!("`{key}` is {}", Scalar::from(item.get_ref())),
                    format!("write {}", keys.header),
                ),
                None => {}
            }
        }
        sections
    }
}
