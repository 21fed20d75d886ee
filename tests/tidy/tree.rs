//! The files of the tree, and what is code in them.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines with what is code in them: without comments and the text of strings.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().map(|(index, line)| {
        let mut code = String::new();
        let mut in_string = false;
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if in_string => {
                    letters.next();
                }
                '"' => in_string = !in_string,
                '/' if !in_string && letters.peek() == Some(&'/') => break,
                _ if in_string => {}
                _ => code.push(letter),
            }
        }
        (index + 1, code)
    })
}

pub(crate) fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

pub(crate) fn rust_files() -> Vec<PathBuf> {
    let folders = ["src", "shards", "loadgen", "benches", "tests", "fuzz"];
    files_below(&folders, |file| {
        file.extension().is_some_and(|extension| extension == "rs")
    })
}

pub(crate) fn files_below(folders: &[&str], is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &is_wanted, &mut files);
    }
    files.sort();
    assert!(files.len() > 20, "the tree was not found");
    files
}

fn collect(folder: &Path, is_wanted: &impl Fn(&Path) -> bool, files: &mut Vec<PathBuf>) {
    /// What is built, found or stored beside the tree.
    const OUTSIDE: [&str; 3] = ["target", "artifacts", ".git"];
    for entry in fs::read_dir(folder).expect("the folder exists and can be read") {
        let path = entry.expect("its entries can be read").path();
        if OUTSIDE.iter().any(|outside| path.ends_with(outside)) {
            continue;
        }
        if path.is_dir() {
            collect(&path, is_wanted, files);
        } else if is_wanted(&path) {
            files.push(path);
        }
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn name(file: &Path) -> String {
    let relative = file.strip_prefix(root()).expect("files are below the root");
    relative.to_string_lossy().replace('\\', "/")
}

pub(crate) fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
