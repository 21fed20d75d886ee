//! Replays what the fuzzer starts from and what it has found (`fuzz/seeds`, `fuzz/corpus`), and a
//! few thousand changes of each that are the same in every run. docs/TESTING.md says how to
//! explore.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    unreachable_pub,
    reason = "modules of one test target, seen by nobody else"
)]

mod changes;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use changes::Changes;
use targets::{ALL, Target};

/// Changes of one target. An engine or a server of configurations takes its time.
fn changes_of(name: &str) -> usize {
    match name {
        "engine" | "body" => 20,
        "configuration" | "cti" | "scenario" | "agents" => 100,
        _ => 2_000,
    }
}

#[test]
fn what_was_found_is_replayed() {
    for (name, target) in ALL {
        let files = files(name);
        assert!(!files.is_empty(), "{name} has neither seeds nor a corpus");
        for (path, bytes) in files {
            survives(&path.display().to_string(), target, &bytes);
        }
    }
}

/// `CHANGES=20` tries twenty times as many, `TARGET=uri` those of one target.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "how many comes from whoever looks for more"
)]
fn changes_of_what_was_found_are_survived() {
    let words = words();
    let times = std::env::var("CHANGES").map_or(1, |times| times.parse().unwrap());
    let chosen = std::env::var("TARGET").ok();
    let is_chosen = |name: &str| chosen.as_deref().is_none_or(|chosen| chosen == name);
    for (name, target) in ALL.into_iter().filter(|(name, _)| is_chosen(name)) {
        let texts: Vec<Vec<u8>> = files(name).into_iter().map(|(_, bytes)| bytes).collect();
        let mut changes = Changes::new(&texts, &words);
        for number in 0..times * changes_of(name) {
            let bytes = changes.next();
            survives(&format!("{name}, change {number}"), target, &bytes);
        }
    }
}

/// `REPLAY=fuzz/artifacts` replays all files below a folder, or one, and says what each has taken.
/// The folder of a file names its target, unless `TARGET` does.
#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "what is replayed, and in which time, is for whoever looks into it"
)]
fn what_a_file_holds_is_survived() {
    let Ok(place) = std::env::var("REPLAY") else {
        return;
    };
    let chosen = std::env::var("TARGET").ok();
    let mut broken = Vec::new();
    for path in below(Path::new(&place)) {
        let folder = path.parent().and_then(Path::file_name);
        let folder = folder.map(|name| name.to_string_lossy().into_owned());
        let name = chosen.clone().or(folder).unwrap();
        let target = ALL.into_iter().find(|(known, _)| *known == name);
        let (_, target) = target.unwrap_or_else(|| panic!("{name} is no target"));
        let bytes = fs::read(&path).unwrap();
        let start = Instant::now();
        let survived = catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_ok();
        eprintln!("{}: {survived}, {:.1?}", path.display(), start.elapsed());
        if !survived {
            broken.push(path);
        }
    }
    assert!(broken.is_empty(), "these break a promise: {broken:?}");
}

/// A file, or all files below a folder, in their order.
fn below(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).unwrap();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.iter().flat_map(|entry| below(entry)).collect()
}

#[track_caller]
fn survives(what: &str, target: Target, bytes: &[u8]) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        panic!("{what} breaks a promise: {}", bytes.escape_ascii());
    }
}

/// Files of a target, in the order of their names.
fn files(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for kind in ["seeds", "corpus"] {
        let folder = root().join(kind).join(name);
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}

/// The words of the dictionaries.
fn words() -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    for entry in fs::read_dir(root().join("dictionaries")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let quoted = text
            .lines()
            .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
        words.extend(quoted.map(unescaped));
    }
    words.sort();
    words
}

/// libFuzzer's escapes in a word of a dictionary.
fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap() as u8;
                bytes.push(digit(high) << 4 | digit(low));
                after
            }
            (b'\\', [escaped, after @ ..]) => {
                bytes.push(*escaped);
                after
            }
            _ => {
                bytes.push(*first);
                after
            }
        };
    }
    bytes
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// A target that is not explored, or explored and not replayed, is of no use.
#[test]
fn every_target_can_be_explored() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    for (name, _) in ALL {
        assert!(
            manifest.contains(&format!("\nname = \"{name}\"\n")),
            "{name} is not in fuzz/"
        );
        let source = fs::read_to_string(root().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("targets::{name}::run")), "{name}");
    }
    assert_eq!(manifest.matches("[[bin]]").count(), ALL.len());
}
