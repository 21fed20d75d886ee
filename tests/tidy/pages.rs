//! What pages say of tests and limits is so.

use super::tree::{read, root};

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
