//! How long lines, functions and files are, and what is called how.

use std::fs;
use std::path::Path;

use super::tree::{code_lines, files_below, identifiers, name, read, rust_files};

/// Columns of a line.
const LINE_COLUMNS_MAX: usize = 100;
/// Lines of a function, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file.
const FILE_LINES_MAX: usize = 600;

/// Words that are no names: each hides what a thing is or abbreviates what has a name.
const BANNED_NAMES: &[&str] = &[
    "req",
    "resp",
    "tx",
    "dlg",
    "hdr",
    "mgr",
    "ctx",
    "cfg",
    "msg",
    "buf2",
    "tmp",
    "utils",
    "util",
    "helper",
    "helpers",
    "common_utils",
    "misc",
    "manager",
    "impl2",
];

/// Endings of type names that mean two jobs.
const BANNED_TYPE_ENDINGS: &[&str] = &["Manager", "Helper", "Handler", "Util", "Utils"];

/// Marks of unfinished work.
const UNFINISHED: &[&str] = &["TODO", "FIXME", "XXX", "todo!", "unimplemented!"];

#[test]
fn lines_functions_and_files_fit_their_limits() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let text = read(&file);
        for (index, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_COLUMNS_MAX {
                faults.push(format!(
                    "{}:{}: over {LINE_COLUMNS_MAX} columns",
                    name(&file),
                    index + 1
                ));
            }
        }
        check_length(&file, &text, &mut faults);
        check_functions(&file, &text, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_opens_with_its_purpose() {
    let faults: Vec<String> = rust_files()
        .iter()
        .filter(|file| !read(file).starts_with("//!"))
        .map(|file| format!("{}: does not open with //!", name(file)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_are_whole_words() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        if BANNED_NAMES.contains(&stem) {
            faults.push(format!("{}: a file of this name says nothing", name(&file)));
        }
        for (index, line) in code_lines(&read(&file)) {
            for word in defined(&line) {
                if BANNED_NAMES.contains(&word) || word.starts_with("get_") {
                    faults.push(format!("{}:{index}: `{word}` is no name", name(&file)));
                }
                let is_type = word.starts_with(|first: char| first.is_ascii_uppercase());
                if is_type
                    && BANNED_TYPE_ENDINGS
                        .iter()
                        .any(|ending| word.ends_with(ending))
                {
                    faults.push(format!("{}:{index}: `{word}` has two jobs", name(&file)));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let mut faults = Vec::new();
    for file in rust_files()
        .iter()
        .filter(|file| !name(file).ends_with("tests/tidy/shape.rs"))
    {
        for (index, line) in read(file).lines().enumerate() {
            if UNFINISHED.iter().any(|mark| line.contains(mark)) {
                faults.push(format!("{}:{}: {}", name(file), index + 1, line.trim()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Of two branches, both of which may be wanted.
#[test]
fn no_merge_is_left_undecided() {
    let mut faults = Vec::new();
    for file in files_below(&[""], |_| true) {
        let text = fs::read(&file).expect("a file of the tree can be read");
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            // What stands between the two is underlining elsewhere.
            if line.starts_with(b"<<<<<<< ") || line.starts_with(b">>>>>>> ") {
                faults.push(format!("{}:{}: an open conflict", name(&file), index + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn check_length(file: &Path, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!(
            "{}: {lines} lines, {FILE_LINES_MAX} is the limit",
            name(file)
        ));
    }
}

/// A function runs from the line with its `fn` to the closing brace at the same indentation.
fn check_functions(file: &Path, text: &str, faults: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let opens = [
            "fn ",
            "pub fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "async fn ",
            "pub async fn ",
        ];
        if !opens.iter().any(|prefix| code.starts_with(prefix)) {
            continue;
        }
        let indentation = line.len() - code.len();
        let closing = format!("{}}}", " ".repeat(indentation));
        let Some(length) = lines[start..].iter().position(|line| *line == closing) else {
            continue;
        };
        let first_semicolon = lines[start..]
            .iter()
            .position(|line| line.trim_end().ends_with(';'));
        let first_brace = lines[start..]
            .iter()
            .position(|line| line.trim_end().ends_with('{'));
        if first_semicolon < first_brace && first_semicolon.is_some() {
            continue; // a signature without a body
        }
        if length + 1 > FUNCTION_LINES_MAX {
            faults.push(format!(
                "{}:{}: a function of {} lines, {FUNCTION_LINES_MAX} is the limit",
                name(file),
                start + 1,
                length + 1
            ));
        }
    }
}

/// The names that a line gives: what stands behind a defining word or before a type.
fn defined(line: &str) -> impl Iterator<Item = &str> {
    const DEFINING: &[&str] = &[
        "fn", "let", "mut", "struct", "enum", "trait", "mod", "type", "const", "static",
    ];
    let words: Vec<(usize, &str)> = identifiers(line)
        .map(|word| (word.as_ptr() as usize - line.as_ptr() as usize, word))
        .collect();
    (0..words.len()).filter_map(move |index| {
        let (start, word) = words[index];
        let after = &line[start + word.len()..];
        let typed = after.starts_with(':') && !after.starts_with("::");
        let named = index > 0 && DEFINING.contains(&words[index - 1].1);
        (typed || named).then_some(word)
    })
}
