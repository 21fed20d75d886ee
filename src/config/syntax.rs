//! From text to a TOML document. A text that is not TOML yields one mistake, because whatever
//! follows it would be a guess; keys that are there twice are all reported, and reading goes on.

use toml::de::DeTable;

use super::mistake::Mistakes;
use super::reader::Source;
use super::{Config, read};
use crate::limits::CONFIGURATION_BYTES_MAX;

/// The configuration, which is of use only if there are no mistakes; nothing if it is not TOML.
pub(super) fn parse(
    file: &str,
    text: &str,
    mistakes: &Mistakes,
    files: &dyn Fn(&str) -> Result<String, String>,
) -> Option<Config> {
    if text.len() > CONFIGURATION_BYTES_MAX {
        let instead = format!("move agents to CSV files: at most {CONFIGURATION_BYTES_MAX} bytes");
        mistakes.add((file, 1), "the file is too long", instead);
        return None;
    }
    let source = Source::new(file, text, mistakes);
    let (document, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let mut is_toml = true;
    for error in errors {
        let span = error.span().unwrap_or_default();
        let line = source.line(span.start);
        if error.message().starts_with("duplicate key") {
            let key: String = text
                .get(span)
                .unwrap_or_default()
                .chars()
                .take(64)
                .collect();
            let what = format!("`{}` is there twice", key.escape_debug());
            source.mistake(line, what, "remove one of the two");
        } else if is_toml {
            let what = format!("this is not TOML ({})", error.message());
            source.mistake(line, what, "see https://toml.io for how to write it");
            is_toml = false;
        }
    }
    is_toml.then(|| read::read(document.get_ref(), &source, files))
}
