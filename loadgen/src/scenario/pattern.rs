//! The regular expressions of scenarios: POSIX extended ones, as glibc reads them, over bytes.
//! They are translated for the `regex` crate, which prefers the first alternative where POSIX
//! wants the longest match; so the longest end is looked for with a second automaton, and the
//! groups are then matched within it. Back-references are refused.

use std::fmt;
use std::ops::Range;

use regex::bytes::{CaptureLocations, Regex, RegexBuilder};
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::limits::{PATTERN_BYTES_MAX, PATTERN_MEMORY_BYTES_MAX};

mod bracket;
#[cfg(test)]
mod tests;
mod translate;

/// Why a regular expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadPattern {
    /// It is longer than `PATTERN_BYTES_MAX`, or takes too much memory compiled.
    TooLarge,
    /// Groups are inside each other too often.
    TooDeep,
    /// A bracket expression, group or interval is never closed.
    Unclosed(char),
    /// A group is closed that was never opened.
    Unopened,
    /// Such as `[z-a]` or `[[:no:]]`.
    BadBracket,
    /// Such as `a{3,1}`, or a number that is too large.
    BadInterval,
    /// It ends with a backslash.
    TrailingBackslash,
    /// `\1` to `\9`.
    BackReference,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => formatter.write_str("it is too large"),
            Self::TooDeep => formatter.write_str("its groups are nested too deeply"),
            Self::Unclosed(opening) => write!(formatter, "`{opening}` is never closed"),
            Self::Unopened => {
                formatter.write_str("a `)` closes nothing; write `\\)` for the letter")
            }
            Self::BadBracket => formatter.write_str("what is in brackets is not understood"),
            Self::BadInterval => formatter.write_str("an interval in braces is not understood"),
            Self::TrailingBackslash => formatter.write_str("it ends with a lone backslash"),
            Self::BackReference => formatter.write_str("back-references are not supported"),
        }
    }
}

/// A compiled regular expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    plain: Regex,
    /// For patterns whose first match need not be the longest from the same start.
    longest: Option<Box<Longest>>,
}

#[derive(Debug)]
struct Longest {
    /// Finds the longest match from a given start.
    automaton: DFA,
    /// The same pattern, which must match all it is shown.
    whole: Regex,
}

/// What matching needs to remember, so that it allocates nothing once warm.
#[derive(Debug)]
pub(crate) struct Memory {
    locations: CaptureLocations,
    whole_locations: Option<CaptureLocations>,
    cache: Option<Box<Cache>>,
}

impl Pattern {
    /// Compiles a regular expression.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(text: &[u8], ignore_case: bool) -> Result<Self, BadPattern> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(BadPattern::TooLarge);
        }
        let translated = translate::translate(text)?;
        let build = |pattern: &str| {
            RegexBuilder::new(pattern)
                .unicode(false)
                .case_insensitive(ignore_case)
                .dot_matches_new_line(true)
                .size_limit(PATTERN_MEMORY_BYTES_MAX)
                .build()
                .map_err(|_| BadPattern::TooLarge)
        };
        let longest = if translated.is_ambiguous {
            let automaton = DFA::builder()
                .configure(
                    DFA::config()
                        .match_kind(MatchKind::All)
                        .skip_cache_capacity_check(true),
                )
                .syntax(
                    syntax::Config::new()
                        .unicode(false)
                        .utf8(false)
                        .case_insensitive(ignore_case)
                        .dot_matches_new_line(true),
                )
                .thompson(
                    regex_automata::nfa::thompson::Config::new()
                        .utf8(false)
                        .nfa_size_limit(Some(PATTERN_MEMORY_BYTES_MAX)),
                )
                .build(&translated.text)
                .map_err(|_| BadPattern::TooLarge)?;
            let whole = build(&format!("\\A(?:{})\\z", translated.text))?;
            Some(Box::new(Longest { automaton, whole }))
        } else {
            None
        };
        Ok(Self {
            plain: build(&translated.text)?,
            longest,
        })
    }

    /// What [`Pattern::matches`] needs.
    pub(crate) fn memory(&self) -> Memory {
        let longest = self.longest.as_deref();
        Memory {
            locations: self.plain.capture_locations(),
            whole_locations: longest.map(|longest| longest.whole.capture_locations()),
            cache: longest.map(|longest| Box::new(longest.automaton.create_cache())),
        }
    }

    /// Groups with numbers, beside the whole match.
    #[cfg(test)]
    pub(crate) fn groups(&self) -> usize {
        self.plain.captures_len() - 1
    }

    /// The whole match of the leftmost, longest match (group 0) and its groups; `None` in the
    /// list stands for a group that took no part. `false` if nothing matches.
    pub(crate) fn matches(
        &self,
        text: &[u8],
        memory: &mut Memory,
        groups: &mut Vec<Option<Range<usize>>>,
    ) -> bool {
        groups.clear();
        let Some(first) = self.plain.captures_read(&mut memory.locations, text) else {
            return false;
        };
        let end = self.longest_end(text, &first, memory);
        let (locations, offset) = match (&self.longest, &mut memory.whole_locations) {
            (Some(longest), Some(locations)) if end > first.end() => {
                let part = &text[first.start()..end];
                let found = longest.whole.captures_read(locations, part);
                debug_assert!(found.is_some(), "both automata know the same language");
                (&*locations, first.start())
            }
            (_, _) => (&memory.locations, 0),
        };
        let group = |index| locations.get(index);
        let count = locations.len();
        let shift = |(start, end): (usize, usize)| start + offset..end + offset;
        groups.extend((0..count).map(|index| group(index).map(shift)));
        true
    }

    fn longest_end(
        &self,
        text: &[u8],
        first: &regex::bytes::Match<'_>,
        memory: &mut Memory,
    ) -> usize {
        let (Some(longest), Some(cache)) = (&self.longest, &mut memory.cache) else {
            return first.end();
        };
        let input = Input::new(text)
            .span(first.start()..text.len())
            .anchored(Anchored::Yes);
        // The automaton may give up; then the first alternative's match has to do.
        match longest.automaton.try_search_fwd(cache, &input) {
            Ok(Some(found)) => found.offset().max(first.end()),
            Ok(None) | Err(_) => first.end(),
        }
    }
}
