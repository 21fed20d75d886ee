//! Walks a profile's file, section by section and key by key, and collects mistakes. It knows
//! TOML and lines; what keys mean is in `sections`.

use std::cell::RefCell;
use std::time::Duration;

use offhook::config::Mistake;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::length;
use crate::population::Span;

/// Mistakes that are listed.
const MISTAKES_MAX: usize = 100;

/// A file under examination.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self {
            file,
            text,
            line_starts: memchr::memchr_iter(b'\n', text.as_bytes())
                .map(|at| at + 1)
                .collect(),
            mistakes: RefCell::default(),
        }
    }

    pub(super) fn line(&self, byte: usize) -> u32 {
        let before = self.line_starts.partition_point(|start| *start <= byte);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }

    /// The line of the last `[[section]]` before a byte.
    fn header_before(&self, byte: usize) -> u32 {
        let before = self.text.get(..byte).unwrap_or_default();
        self.line(before.rfind("[[").unwrap_or(byte))
    }

    pub(super) fn mistake(&self, line: u32, what: impl Into<String>, instead: impl Into<String>) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MISTAKES_MAX {
            mistakes.push(Mistake {
                file: self.file.to_owned(),
                line,
                what: what.into(),
                instead: instead.into(),
            });
        }
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort();
        mistakes
    }
}

/// One section while it is read.
pub(super) struct Section<'a> {
    /// As it is written, with its brackets.
    pub(super) header: &'static str,
    table: Option<&'a DeTable<'a>>,
    pub(super) line: u32,
    pub(super) source: &'a Source<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        header: &'static str,
        table: Option<&'a DeTable<'a>>,
        line: u32,
        source: &'a Source<'a>,
    ) -> Self {
        Self {
            header,
            table,
            line,
            source,
            asked: RefCell::default(),
        }
    }

    fn value(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// The line of a key, or of the section if it is not there.
    pub(super) fn line_of(&self, key: &str) -> u32 {
        let value = self.table.and_then(|table| table.get(key));
        value.map_or(self.line, |value| self.source.line(value.span().start))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    pub(super) fn mistake(&self, key: &str, what: &str, instead: impl Into<String>) {
        let what = format!("`{key}` in {} {what}", self.header);
        self.source.mistake(self.line_of(key), what, instead);
    }

    /// What was not asked for is unknown.
    pub(super) fn finish(self) {
        let asked = self.asked.into_inner();
        for key in self.table.iter().flat_map(|table| table.keys()) {
            let word: &str = key.get_ref();
            if !asked.contains(&word) {
                let shown: String = word.chars().take(64).collect();
                let what = format!("{} has no key `{}`", self.header, shown.escape_debug());
                let line = self.source.line(key.span().start);
                let instead = format!("remove it, or write one of {}", asked.join(", "));
                self.source.mistake(line, what, instead);
            }
        }
    }

    /// A value as text: a string, or a number that stands for one.
    fn text_of(value: &DeValue<'_>) -> Option<String> {
        match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.as_str().to_owned()),
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        }
    }

    /// The value of a key, converted from its text; nothing if it is missing or wrong.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        convert: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let Some(text) = Self::text_of(value.get_ref()) else {
            self.mistake(key, "is no text and no number", "write it in quotes");
            return None;
        };
        match convert(&text) {
            Ok(value) => Some(value),
            Err(instead) => {
                let shown: String = text.chars().take(64).collect();
                self.mistake(key, &format!("is `{}`", shown.escape_debug()), instead);
                None
            }
        }
    }

    /// The text of a key that must be there.
    pub(super) fn required(&self, key: &'static str, example: &str) -> String {
        if !self.has(key) {
            let what = format!("{} has no `{key}`", self.header);
            self.source
                .mistake(self.line, what, format!("write {key} = {example}"));
        }
        self.optional(key, |text| Ok(text.to_owned()))
            .unwrap_or_default()
    }

    pub(super) fn flag(&self, key: &'static str) -> bool {
        match self.value(key).map(Spanned::get_ref) {
            None => false,
            Some(DeValue::Boolean(flag)) => *flag,
            Some(_) => {
                self.mistake(key, "is neither true nor false", "write true or false");
                false
            }
        }
    }

    pub(super) fn time(&self, key: &'static str, default: Duration) -> Duration {
        self.optional(key, length::time).unwrap_or(default)
    }

    pub(super) fn span(&self, key: &'static str, default: Span) -> Span {
        self.optional(key, length::span).unwrap_or(default)
    }

    pub(super) fn maybe_span(&self, key: &'static str) -> Option<Span> {
        self.optional(key, length::span)
    }

    /// A chance, from 0 to 1.
    pub(super) fn chance(&self, key: &'static str, default: f64) -> f64 {
        let convert = |text: &str| match text.parse::<f64>() {
            Ok(chance) if (0.0..=1.0).contains(&chance) => Ok(chance),
            Ok(_) | Err(_) => Err("write a part from 0 to 1, such as 0.05".to_owned()),
        };
        self.optional(key, convert).unwrap_or(default)
    }

    pub(super) fn integer(
        &self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let convert = |text: &str| match text.parse::<u64>() {
            Ok(number) if bounds.contains(&number) => Ok(number),
            Ok(_) | Err(_) => Err(format!(
                "write a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            )),
        };
        self.optional(key, convert).unwrap_or(default)
    }

    /// The texts of a list, a single one counting as a list of one.
    pub(super) fn list(&self, key: &'static str) -> Vec<String> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let items = value
            .get_ref()
            .as_array()
            .map_or(std::slice::from_ref(value), |items| items);
        let mut texts = Vec::new();
        for item in items {
            match Self::text_of(item.get_ref()) {
                Some(text) => texts.push(text),
                None => self.mistake(key, "holds no texts", "write a list of texts in quotes"),
            }
        }
        texts
    }

    /// The section `[key]`, empty if the file does not have it.
    pub(super) fn table(&self, key: &'static str, header: &'static str) -> Self {
        let Some(value) = self.value(key) else {
            return Self::new(header, None, 1, self.source);
        };
        let line = self.source.line(value.span().start);
        let table = value.get_ref().as_table();
        if table.is_none() {
            let what = format!("`{key}` is no section");
            self.source.mistake(line, what, format!("write {header}"));
        }
        Self::new(header, table, line, self.source)
    }

    /// The sections `[[key]]`.
    pub(super) fn tables(&self, key: &'static str, header: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let line = self.source.line(value.span().start);
        let Some(items) = value.get_ref().as_array() else {
            let what = format!("`{key}` is not a list of sections");
            let instead = format!("write {header}, in double brackets");
            self.source.mistake(line, what, instead);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            let first = item
                .get_ref()
                .as_table()
                .into_iter()
                .flat_map(|table| table.keys());
            let first = first.map(|key| key.span().start).min();
            // A section has no span of its own in a list: its header stands before its first key.
            let line = first.map_or(line, |key| self.source.header_before(key));
            match item.get_ref().as_table() {
                Some(table) => sections.push(Self::new(header, Some(table), line, self.source)),
                None => {
                    let what = format!("`{key}` holds something else than sections");
                    self.source.mistake(line, what, format!("write {header}"));
                }
            }
        }
        sections
    }
}
