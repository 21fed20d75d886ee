//! What parts of the tree may reach, and which files belong to it at all.

use std::path::{Path, PathBuf};

use super::tree::{code_lines, identifiers, name, read, root, rust_files};

/// Files that may say `unsafe`; each block there states its reason.
const UNSAFE_FILES: &[&str] = &[
    "shards/src/sys.rs",
    "src/server/allocator.rs",
    "src/sip/class.rs",
    "shards/src/sys/batch.rs",
    "tests/allocation.rs",
    "loadgen/tests/allocation.rs",
    "loadgen/benches/speed/floor.rs",
    "loadgen/benches/speed/programs.rs",
];

/// What pure code must not name: sockets, clocks, threads, randomness, environment, files.
const IMPURE: &[&str] = &[
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "Instant::now",
    "SystemTime",
    "std::thread",
    "std::fs",
    "std::env",
    "std::process",
    "tokio::",
    "glommio",
    "RandomState",
    "thread_local!",
    "async fn",
    ".await;",
    ".await?",
    ".await.",
    ".await)",
];

/// Words of SIP that the package `shards` must not know.
const SIP_WORDS: &[&str] = &[
    "sip",
    "INVITE",
    "SUBSCRIBE",
    "Call-ID",
    "dialog",
    "trunk",
    "agent",
];

#[test]
fn the_engine_is_pure() {
    let mut faults = Vec::new();
    for file in rust_files().iter().filter(|file| is_pure(&name(file))) {
        for (index, line) in code_lines(&read(file)) {
            if let Some(word) = IMPURE.iter().find(|word| line.contains(**word)) {
                faults.push(format!("{}:{index}: pure code names `{word}`", name(file)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn shards_know_no_sip() {
    let mut faults = Vec::new();
    for file in rust_files()
        .iter()
        .filter(|file| name(file).starts_with("shards/"))
    {
        for (index, line) in read(file).lines().enumerate() {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '-');
            if let Some(word) =
                words.find(|word| SIP_WORDS.iter().any(|sip| word.eq_ignore_ascii_case(sip)))
            {
                faults.push(format!(
                    "{}:{}: shards know no `{word}`",
                    name(file),
                    index + 1
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn packages_depend_downwards_only() {
    let shards = read(&root().join("shards/Cargo.toml"));
    assert!(
        !shards.contains("offhook.workspace"),
        "shards must not depend on the engine"
    );
    assert!(
        !shards.contains("offhook-loadgen"),
        "shards must not depend on the load generator"
    );
    let root_manifest = read(&root().join("Cargo.toml"));
    let (_, after) = root_manifest
        .split_once("\n[dependencies]")
        .expect("the root package has it");
    let (dependencies, _) = after
        .split_once("\n[dev-dependencies]")
        .expect("and so has tests");
    assert!(
        !dependencies.contains("offhook-loadgen"),
        "the server must not depend on the load generator"
    );
}

#[test]
fn unsafe_stays_where_it_is_named() {
    let mut faults = Vec::new();
    for file in rust_files() {
        let lines: Vec<String> = read(&file).lines().map(str::to_owned).collect();
        for (index, line) in code_lines(&read(&file)) {
            if !identifiers(&line).any(|word| word == "unsafe") {
                continue;
            }
            if !UNSAFE_FILES.contains(&name(&file).as_str()) {
                faults.push(format!(
                    "{}:{index}: unsafe is not allowed here",
                    name(&file)
                ));
            } else if line.contains("unsafe {") && !has_reason(&lines, index) {
                faults.push(format!(
                    "{}:{index}: unsafe without a SAFETY comment",
                    name(&file)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_file_is_part_of_the_build() {
    let mut faults = Vec::new();
    for file in rust_files()
        .iter()
        .filter(|file| name(file).contains("src/"))
    {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        let folder = file.parent().expect("a source file is in a folder");
        let parents = if ["lib", "main"].contains(&stem) || folder.ends_with("bin") {
            continue;
        } else if stem == "mod" {
            module_parents(
                folder.parent().expect("a module folder has a parent"),
                folder,
            )
        } else {
            module_parents(folder, folder)
        };
        let module = if stem == "mod" {
            folder
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default()
        } else {
            stem
        };
        let declared = parents.iter().any(|parent| {
            parent.exists()
                && read(parent)
                    .lines()
                    .any(|line| line.trim_end().ends_with(&format!("mod {module};")))
        });
        if !declared {
            faults.push(format!(
                "{}: no parent declares `mod {module};`",
                name(file)
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether the file is of the engine: it decides, and touches nothing.
fn is_pure(name: &str) -> bool {
    name.starts_with("src/")
        && !name.starts_with("src/server/")
        && !name.starts_with("src/main")
        && !name.ends_with("tests.rs")
        && !name.contains("/tests/")
}

/// The block's reason stands in the comment above it.
fn has_reason(lines: &[String], line_number: usize) -> bool {
    lines[..line_number]
        .iter()
        .rev()
        .take(8)
        .any(|line| line.contains("SAFETY:"))
}

fn module_parents(folder: &Path, own: &Path) -> Vec<PathBuf> {
    let mut parents = vec![
        folder.join("mod.rs"),
        folder.join("lib.rs"),
        folder.join("main.rs"),
        folder.with_extension("rs"),
    ];
    if own != folder {
        parents.push(own.with_extension("rs"));
    }
    parents
}
