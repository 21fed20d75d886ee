//! What clippy cannot check: the shape of the tree. A file or function that outgrows its limit
//! fails here, and so do words that say nothing and packages that reach where they must not.

use std::fs;
use std::path::{Path, PathBuf};

/// Columns of a line.
const LINE_COLUMNS_MAX: usize = 100;
/// Lines of a function, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file; above 600 it needs a line below that says why.
const FILE_LINES_MAX: usize = 600;

/// Files that may be longer than [`FILE_LINES_MAX`], and why. None may pass 1,000 lines.
const LONG_FILES: &[(&str, &str)] = &[];

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
        .filter(|file| !name(file).ends_with("tests/tidy.rs"))
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

/// A table of docs/TESTING.md that names tests is no promise unless they are there.
#[test]
fn tests_that_the_page_names_are_there() {
    let page = read(&root().join("docs/TESTING.md"));
    let mut faults = Vec::new();
    let names = check_named("docs/TESTING.md", &mut faults);
    for (class, count) in [("D", 28), ("I-", 22), ("C", 13)] {
        for row in (1..=count).map(|number| format!("| {class}{number} ")) {
            match page.lines().find(|line| line.starts_with(&row)) {
                Some(line) if class != "D" || line.contains(".rs::") => {}
                Some(_) => faults.push(format!("docs/TESTING.md names no test in {row:?}")),
                None => faults.push(format!(
                    "docs/TESTING.md has no row that begins with {row:?}"
                )),
            }
        }
    }
    assert!(names > 28, "the table was not found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every class of threats has its row, and every row a test or a reason why it does not apply.
#[test]
fn threats_have_their_tests() {
    const PAGE: &str = "docs/threats.md";
    const CLASSES: [(&str, u32); 5] = [("F", 25), ("B", 12), ("A", 16), ("R", 15), ("P", 15)];
    let mut faults = Vec::new();
    check_named(PAGE, &mut faults);
    let promises = "docs/reliability.md";
    assert!(
        check_named(promises, &mut faults) > 20,
        "the tables were not found"
    );
    for row in rows(&read(&root().join(promises))) {
        if !row.contains(".rs::") && !row.contains("| none: ") {
            faults.push(format!("{promises} names no test: {row}"));
        }
    }
    let page = read(&root().join(PAGE));
    for (class, count) in CLASSES {
        for number in 1..=count {
            let start = format!("| {class}{number} ");
            let row = page.lines().find(|line| line.starts_with(&start));
            match row {
                Some(row) if row.contains(".rs::") || row.contains("does not apply: ") => {}
                Some(_) => faults.push(format!("{PAGE}: {class}{number} names no test")),
                None => faults.push(format!("{PAGE} has no row {class}{number}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Every maximum says on the page what happens there, or that it is of something else than a table,
/// and every row of a table names a test or says why there is none.
#[test]
fn limits_have_their_tests() {
    const PAGE: &str = "docs/limits.md";
    let mut faults = Vec::new();
    check_named(PAGE, &mut faults);
    let page = read(&root().join(PAGE));
    for file in [
        "src/limits.rs",
        "src/limits/clients.rs",
        "shards/src/limits.rs",
    ] {
        let text = read(&root().join(file));
        let names = text.lines().filter_map(|line| {
            let (name, kind) = line.strip_prefix("pub const ")?.split_once(": ")?;
            let counts = ["usize", "u8", "u16", "u32", "u64"];
            let is_count = counts.iter().any(|count| kind.starts_with(count));
            (is_count && name.contains("MAX")).then_some(name)
        });
        for name in names.filter(|name| !page.contains(&format!("`{name}`"))) {
            faults.push(format!("{PAGE} does not say what happens at {name}"));
        }
    }
    for row in page.lines().filter(|line| line.starts_with("| `")) {
        if !row.contains(".rs::") && !row.contains("| none") {
            faults.push(format!("{PAGE} names no test: {row}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The rows of a page's tables, without their heads.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    let lines = page.lines().zip(page.lines().skip(1));
    let rows = lines.filter(|(line, next)| line.starts_with("| ") && !next.starts_with("|--"));
    rows.map(|(line, _)| line)
}

/// Finds every test that a page names; how many there are.
fn check_named(page: &str, faults: &mut Vec<String>) -> usize {
    let text = read(&root().join(page));
    let named = text.split('`').filter(|word| word.contains(".rs::"));
    let mut names = 0;
    for test in named {
        let (file, function) = test.split_once("::").expect("it was just found");
        let path = root().join(file);
        names += 1;
        let is_there = |text: &str| {
            let called = [
                format!("fn {function}()"),
                format!("fn {function}(driver: Driver)"),
            ];
            called.iter().any(|called| text.contains(called))
        };
        if !path.exists() || !is_there(&read(&path)) {
            faults.push(format!("{page} names {test}, which is not there"));
        }
    }
    names
}

fn check_length(file: &Path, text: &str, faults: &mut Vec<String>) {
    let lines = text.lines().count();
    let excused = LONG_FILES.iter().any(|(long, _)| *long == name(file));
    let is_test = name(file).contains("tests");
    let limit = if excused || is_test {
        1_000
    } else {
        FILE_LINES_MAX
    };
    if lines > limit {
        faults.push(format!(
            "{}: {lines} lines, {limit} is the limit",
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

/// Lines with what is code in them: without comments and the text of strings.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, String)> {
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

fn identifiers(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

fn rust_files() -> Vec<PathBuf> {
    let folders = ["src", "shards", "loadgen", "benches", "tests", "fuzz"];
    files_below(&folders, |file| {
        file.extension().is_some_and(|extension| extension == "rs")
    })
}

fn files_below(folders: &[&str], is_wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn name(file: &Path) -> String {
    let relative = file.strip_prefix(root()).expect("files are below the root");
    relative.to_string_lossy().replace('\\', "/")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
