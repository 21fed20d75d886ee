//! What failed and what it was about, under names for programs and in words for people.

use serde::{Deserialize, Serialize};

/// Why calls failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// A name for programs.
    pub name: String,
    /// A name for people.
    pub words: String,
    /// How many.
    pub count: u64,
    /// What they were about, the most frequent first, as far as that was told apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// What failures of one cause were about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// For people; a reason phrase in it is the peer's.
    pub words: String,
    /// How many.
    pub count: u64,
}

impl Cause {
    /// In words, with what it was about.
    #[must_use]
    pub fn in_full(&self) -> String {
        let details = self.details.iter();
        let details: Vec<String> = details
            .map(|detail| format!("{} {}", detail.count, detail.words))
            .collect();
        if details.is_empty() {
            self.words.clone()
        } else {
            format!("{} ({})", self.words, details.join("; "))
        }
    }
}
