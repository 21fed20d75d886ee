//! What `check` says about a file: whether it runs, what has no effect, and on which line.

use std::fmt::Write as _;

use offhook::server::words::counted;

use super::load::Loaded;
use super::model::Side;

/// What is not yet played, or never will be; see `docs/loadgen.md` for the tiers.
const TIERS: &[(&[&str], &str)] = &[
    (&["sendCmd", "recvCmd"], "T3, 3PCC"),
    (&["init", "DefaultMessage"], "T2"),
    (
        &[
            "urlencode",
            "urldecode",
            "insert",
            "replace",
            "setdest",
            "closecon",
            "sample",
            "jump",
            "index",
            "gettimeofday",
        ],
        "T2",
    ),
    (&["exec", "rtp_echo"], "T1, media"),
];

/// The verdict on a file, line by line; `true` if it can be run.
#[must_use]
pub fn check(name: &str, loaded: &Loaded) -> (String, bool) {
    let mut text = String::new();
    for note in loaded.notes.sorted() {
        push(&mut text, format_args!("{name}:{note}"));
    }
    if loaded.notes.dropped > 0 {
        push(
            &mut text,
            format_args!("{name}: {} more remarks", loaded.notes.dropped),
        );
    }
    let used: Vec<String> = loaded
        .elements
        .iter()
        .map(|(element, count)| match tier(element) {
            Some(tier) => format!("{element} {count} ({tier})"),
            None => format!("{element} {count}"),
        })
        .collect();
    if !used.is_empty() {
        push(&mut text, format_args!("{name}: uses {}", used.join(", ")));
    }
    match &loaded.scenario {
        Some(scenario) => {
            let side = match scenario.side {
                Side::Client => "opens calls",
                Side::Server => "waits for calls",
            };
            let warnings = loaded.notes.sorted().len();
            let warnings = counted(warnings, "warning");
            let steps = counted(scenario.steps.len(), "step");
            push(
                &mut text,
                format_args!("{name}: can be run: {steps}, {side}, {warnings}"),
            );
        }
        None => {
            let errors = loaded.notes.errors();
            push(
                &mut text,
                format_args!("{name}: cannot be run: {errors} errors"),
            );
        }
    }
    (text, loaded.scenario.is_some())
}

fn tier(element: &str) -> Option<&'static str> {
    let found = TIERS
        .iter()
        .find(|(elements, _)| elements.contains(&element));
    found.map(|(_, tier)| *tier)
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{line}");
    debug_assert!(written.is_ok(), "a String takes everything");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::load::load;

    #[test]
    fn the_verdict_names_lines_and_tiers() {
        let text = "<scenario>\n<recv request=\"INVITE\" id=\"1\"/>\n<nop><action>\n\
            <exec command=\"a\"/></action></nop></scenario>";
        let (verdict, runs) = check("a.xml", &load(text.as_bytes(), &BTreeMap::new()));
        assert!(runs);
        let expected = "a.xml:2: warning: <recv> has no attribute id\n\
            a.xml:4: warning: the command runs only with --allow-exec\n\
            a.xml: uses exec 1 (T1, media), nop 1, recv 1\n\
            a.xml: can be run: 2 steps, waits for calls, 2 warnings\n";
        assert_eq!(verdict, expected);
        let (verdict, runs) = check("b.xml", &load(b"<scenario>", &BTreeMap::new()));
        assert!(
            !runs && verdict.ends_with("b.xml: cannot be run: 1 errors\n"),
            "{verdict}"
        );
    }
}
