//! What there is to say about a scenario file: each remark knows its line.

use std::fmt;

use super::limits::NOTES_MAX;

/// How serious a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The scenario cannot be run.
    Error,
    /// It can, but something in it has no effect or looks like a mistake.
    Warning,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The line it is about, from 1.
    pub line: u32,
    /// How serious it is.
    pub weight: Weight,
    /// A sentence without a full stop.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weight = match self.weight {
            Weight::Error => "error",
            Weight::Warning => "warning",
        };
        write!(formatter, "{}: {weight}: {}", self.line, self.text)
    }
}

/// Remarks in the order they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    list: Vec<Note>,
    /// Remarks beyond the limit.
    pub dropped: usize,
    errors: usize,
}

impl Notes {
    /// Adds an error.
    pub fn error(&mut self, line: u32, text: impl Into<String>) {
        self.errors += 1;
        self.push(line, Weight::Error, text.into());
    }

    /// Adds a warning.
    pub fn warning(&mut self, line: u32, text: impl Into<String>) {
        self.push(line, Weight::Warning, text.into());
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// All remarks, by line.
    #[must_use]
    pub fn sorted(&self) -> Vec<Note> {
        let mut list = self.list.clone();
        list.sort_by_key(|note| (note.line, note.weight));
        list
    }

    fn push(&mut self, line: u32, weight: Weight, text: String) {
        if self.list.len() < NOTES_MAX {
            self.list.push(Note { line, weight, text });
        } else {
            self.dropped += 1;
        }
    }
}
