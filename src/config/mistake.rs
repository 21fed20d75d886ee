//! What is wrong with a configuration, and where. It collects and prints; it decides nothing.

use std::fmt;

use crate::limits::CONFIGURATION_MISTAKES_MAX;

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The file, or the flag of the command line.
    pub file: String,
    /// The line in the file, from 1; 0 for a flag.
    pub line: u32,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            what,
            instead,
        } = self;
        if *line == 0 {
            return write!(formatter, "{file}: {what}; {instead}");
        }
        write!(formatter, "{file}:{line}: {what}; {instead}")
    }
}

impl std::error::Error for Mistake {}

/// All mistakes of one configuration, up to a bound.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    list: Vec<Mistake>,
    unlisted: usize,
}

impl Mistakes {
    pub(super) fn add(
        &mut self,
        (file, line): (&str, u32),
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        if self.list.len() == CONFIGURATION_MISTAKES_MAX {
            self.unlisted += 1;
            return;
        }
        self.list.push(Mistake {
            file: file.to_owned(),
            line,
            what: what.into(),
            instead: instead.into(),
        });
    }

    /// Those found, by file and line; `Ok` if there are none.
    pub(super) fn into_result(mut self) -> Result<(), Vec<Mistake>> {
        self.list.sort();
        let Some(last) = self.list.last().cloned() else {
            return Ok(());
        };
        if self.unlisted > 0 {
            self.list.push(Mistake {
                what: format!("there are {} more mistakes", self.unlisted),
                instead: "correct those above and check again".to_owned(),
                ..last
            });
        }
        Err(self.list)
    }
}
