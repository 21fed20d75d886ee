//! What is wrong with a configuration, and where. It collects and prints; it decides nothing.

use std::cell::RefCell;
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

/// All mistakes of one configuration, up to a bound. The readers of all sections share it.
#[derive(Debug, Default)]
pub(super) struct Mistakes(RefCell<Found>);

#[derive(Debug, Default)]
struct Found {
    list: Vec<Mistake>,
    unlisted: usize,
}

impl Mistakes {
    pub(super) fn add(
        &self,
        (file, line): (&str, u32),
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let mut found = self.0.borrow_mut();
        if found.list.len() == CONFIGURATION_MISTAKES_MAX {
            found.unlisted += 1;
            return;
        }
        let (what, instead) = (what.into(), instead.into());
        found.list.push(Mistake {
            file: file.to_owned(),
            line,
            what,
            instead,
        });
    }

    /// Whether another mistake would only be counted, and need not be put into words.
    pub(super) fn are_full(&self) -> bool {
        self.0.borrow().list.len() == CONFIGURATION_MISTAKES_MAX
    }

    /// Those found, by file and line; `Ok` if there are none.
    pub(super) fn into_result(self) -> Result<(), Vec<Mistake>> {
        let Found { mut list, unlisted } = self.0.into_inner();
        list.sort();
        let Some(last) = list.last().cloned() else {
            return Ok(());
        };
        if unlisted > 0 {
            list.push(Mistake {
                what: format!("there are {unlisted} more mistakes"),
                instead: "correct those above and check again".to_owned(),
                ..last
            });
        }
        Err(list)
    }
}
