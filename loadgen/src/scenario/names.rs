//! The names that a scenario gives: variables with their scopes, and the `-key` words of the
//! command line. Steps hold numbers instead of names.

use std::collections::BTreeMap;

use super::note::Notes;

/// Whose a variable is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Each call has its own.
    Call,
    /// Shared by the calls of one user, one after another.
    User,
    /// Shared by all calls.
    Global,
}

/// A variable: its place in the table of its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VariableId {
    pub(crate) scope: Scope,
    pub(crate) index: usize,
}

/// All names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    keys: BTreeMap<Vec<u8>, Vec<u8>>,
    scopes: BTreeMap<String, Scope>,
    variables: BTreeMap<String, Known>,
    /// Variables in each scope: of the call, of the user, of all.
    counts: [usize; 3],
}

#[derive(Debug, Clone)]
struct Known {
    id: VariableId,
    line: u32,
    uses: u32,
    is_written: bool,
}

impl Names {
    /// A word that `-key` has given a value.
    pub(crate) fn set_key(&mut self, name: &str, value: &[u8]) {
        self.keys.insert(name.as_bytes().to_vec(), value.to_vec());
    }

    /// The value of a `-key` word.
    pub(crate) fn key(&self, name: &[u8]) -> Option<&[u8]> {
        self.keys.get(name).map(Vec::as_slice)
    }

    /// Says whose a variable is; later uses find it there.
    pub(crate) fn declare(&mut self, name: &str, scope: Scope) {
        self.scopes.insert(name.to_owned(), scope);
        if let Some(known) = self.variables.get(name)
            && known.id.scope != scope
        {
            // It was used above its declaration; from here on it is the declared one.
            self.variables.remove(name);
        }
    }

    /// A variable that is counted as used although nothing else may use it.
    pub(crate) fn refer(&mut self, name: &str, line: u32) {
        self.used(name, line, 2, true);
    }

    /// A variable that is read.
    pub(crate) fn read(&mut self, name: &[u8], line: u32) -> VariableId {
        self.used(&String::from_utf8_lossy(name), line, 1, false)
    }

    /// A variable that is written.
    pub(crate) fn written(&mut self, name: &[u8], line: u32) -> VariableId {
        self.used(&String::from_utf8_lossy(name), line, 1, true)
    }

    fn used(&mut self, name: &str, line: u32, uses: u32, is_written: bool) -> VariableId {
        let name = name.trim();
        if let Some(known) = self.variables.get_mut(name) {
            known.uses += uses;
            known.is_written |= is_written;
            return known.id;
        }
        let scope = self.scopes.get(name).copied().unwrap_or(Scope::Call);
        let count = &mut self.counts[scope as usize];
        let id = VariableId {
            scope,
            index: *count,
        };
        *count += 1;
        let known = Known {
            id,
            line,
            uses,
            is_written,
        };
        self.variables.insert(name.to_owned(), known);
        id
    }

    /// A variable that is known.
    pub(crate) fn find(&self, name: &str) -> Option<VariableId> {
        self.variables.get(name).map(|known| known.id)
    }

    /// How many variables a scope has.
    pub(crate) fn count(&self, scope: Scope) -> usize {
        self.counts[scope as usize]
    }

    /// Notes variables that are used only once, which SIPp refuses, or never get a value.
    pub(crate) fn check(&self, notes: &mut Notes) {
        for (name, known) in &self.variables {
            if known.uses < 2 && known.id.scope == Scope::Call {
                let text = format!("the variable {name} is used only once; is it misspelt?");
                notes.warning(known.line, text);
            } else if !known.is_written && known.id.scope == Scope::Call {
                notes.warning(
                    known.line,
                    format!("nothing gives the variable {name} a value"),
                );
            }
        }
    }
}
