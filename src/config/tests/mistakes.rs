//! What is wrong, on which line, and what to write instead. The table is `mistakes.txt`: each part
//! is a configuration and, after `! `, the lines that it earns, without the name of the file.

use super::{SMALL, printed};
use crate::config::{embedded_default, parse_named};

const TABLE: &str = include_str!("mistakes.txt");

#[test]
fn each_mistake_names_its_line_and_the_cure() {
    for case in TABLE.split("---\n") {
        let is_expected = |line: &&str| line.starts_with("! ");
        let expected: Vec<String> = case
            .lines()
            .filter(is_expected)
            .map(|line| line.replacen("! ", "offhook.toml:", 1))
            .collect();
        let text: String = case
            .split_inclusive('\n')
            .filter(|line| !is_expected(line))
            .collect();
        assert!(!expected.is_empty(), "a case without mistakes:\n{text}");
        assert_eq!(printed(&text), expected, "of this configuration:\n{text}");
    }
}

#[test]
fn mistakes_of_all_sections_come_at_once() {
    let text = embedded_default()
        .replace("pin = true", "pin = 1")
        .replace("role = \"router\"", "role = \"routing\"")
        .replace("oos_check = 30", "oos_chek = 30")
        .replace("lost = \"keep\"", "lost = \"lose\"")
        .replace("login = \"auto\"", "login = true")
        .replace("dn = \"2001\"", "dn = \"3001\"")
        .replace("number = \"7001\"", "number = \"7000\"")
        .replace("capacity = 10000", "capacity = -1");
    let mistakes = parse_named("/etc/offhook.toml", &text, &|_| Ok(String::new())).unwrap_err();
    let found: Vec<(&str, &str)> = mistakes
        .iter()
        .map(|mistake| {
            let line = text.lines().nth(mistake.line as usize - 1).unwrap();
            (line, mistake.what.as_str())
        })
        .collect();
    let line_of = |wanted: &str| text.lines().position(|line| line == wanted).unwrap() + 1;
    let explicit = line_of("dn = \"3001\"");
    let number = line_of("number = \"7000\"");
    assert_eq!(
        found,
        [
            ("pin = 1", "`pin` in [server] is 1"),
            (
                "dns = [\"2001\", \"3000-3099\"]",
                "`dns` in [[token]] names \"2001\", which no agent has"
            ),
            ("role = \"routing\"", "`role` in [[token]] is \"routing\""),
            ("oos_chek = 30", "[[trunk]] has no key `oos_chek`"),
            ("lost = \"lose\"", "`lost` in [presence] is \"lose\""),
            ("login = true", "`login` in [agent_defaults] is true"),
            (
                "range = \"3000-3099\"",
                &*format!("DN \"3001\" is already on line {explicit}")
            ),
            (
                "number = \"7000\"",
                &*format!(
                    "routing point \"7000\" has the name of the routing point on line {number}"
                )
            ),
            ("capacity = -1", "`capacity` in [[queue]] is -1"),
        ]
    );
    assert!(
        mistakes
            .iter()
            .all(|mistake| mistake.file == "/etc/offhook.toml")
    );
}

#[test]
fn lines_are_counted_the_same_with_any_line_end_and_a_byte_order_mark() {
    let text = format!("{SMALL}wrap_up = \"never\"\n");
    let expected = printed(&text);
    assert_eq!(printed(&text.replace('\n', "\r\n")), expected);
    assert_eq!(printed(&format!("\u{feff}{text}")), expected);
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let text = "#".repeat(crate::limits::CONFIGURATION_BYTES_MAX + 1);
    assert_eq!(
        printed(&text),
        ["offhook.toml:1: the file is too long; \
          move agents to CSV files: at most 16777216 bytes"]
    );
}

#[test]
fn more_agents_than_the_limit_are_one_mistake() {
    let text = format!(
        "{SMALL}[[agents]]\nrange = \"000000-999999\"\n[[agents]]\nrange = \"1000000-1000009\"\n"
    );
    assert_eq!(
        printed(&text),
        ["offhook.toml:14: there are too many agents; configure at most 1000000"]
    );
}
