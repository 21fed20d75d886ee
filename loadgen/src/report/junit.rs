//! What build servers read: each thing that can fail is a test case.

use std::fmt::Write as _;

use super::outcome::{Outcome, Verdict};
use super::page::escape;

/// A JUnit file with one suite.
#[must_use]
pub fn junit(outcome: &Outcome) -> String {
    let mut cases: Vec<(String, Option<String>)> = Vec::new();
    let failed = outcome.total("failed");
    let causes: Vec<String> = outcome
        .failures
        .iter()
        .map(|cause| format!("{} {}", cause.count, cause.in_full()))
        .collect();
    // With objectives, they say how many failures are too many.
    let calls = (failed > 0 && outcome.objectives.is_empty())
        .then(|| format!("{failed} failed: {}", causes.join(", ")));
    cases.push(("calls".to_owned(), calls));
    let faults: Vec<&str> = outcome
        .health
        .faults
        .iter()
        .map(|fault| fault.words.as_str())
        .collect();
    let generator = (!faults.is_empty()).then(|| faults.join("; "));
    cases.push(("generator".to_owned(), generator));
    for objective in &outcome.objectives {
        let missed = (!objective.met).then(|| format!("found {}", objective.found));
        cases.push((objective.text.clone(), missed));
    }
    if outcome.kind == "floor" {
        let broken = (!outcome.violations.is_empty()).then(|| outcome.violations.join("; "));
        cases.push(("oracle".to_owned(), broken));
    }
    if outcome.verdict == Verdict::Stopped {
        let text = "the run was ended before its time".to_owned();
        cases.push(("completion".to_owned(), Some(text)));
    }
    let failures = cases
        .iter()
        .filter(|(_, failure)| failure.is_some())
        .count();
    let (name, seconds) = (escape(&outcome.name), outcome.seconds);
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut push = |line: std::fmt::Arguments<'_>| {
        let written = text.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    push(format_args!(
        "<testsuites>\n<testsuite name=\"offhook-load {name}\" tests=\"{}\" \
         failures=\"{failures}\" time=\"{seconds:.3}\" timestamp=\"{}\">\n",
        cases.len(),
        escape(&outcome.started)
    ));
    for (case, failure) in &cases {
        let case = escape(case);
        push(format_args!(
            "<testcase classname=\"{name}\" name=\"{case}\" time=\"{seconds:.3}\""
        ));
        match failure {
            Some(words) => push(format_args!(
                "><failure message=\"{}\"/></testcase>\n",
                escape(words)
            )),
            None => push(format_args!("/>\n")),
        }
    }
    push(format_args!("</testsuite>\n</testsuites>\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::sample;
    use super::*;

    #[test]
    fn failures_are_test_cases_that_fail() {
        let text = junit(&sample());
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
        let words = "3 failed: 3 unexpected message (3 486 Busy Here to INVITE, where 200 was";
        assert!(text.contains(words), "{text}");
        assert!(text.contains("a &lt;b&gt; &amp; &quot;c&quot;"), "{text}");
        let clean = Outcome {
            totals: [("created".to_owned(), 3)].into(),
            ..sample()
        };
        assert!(junit(&clean).contains("failures=\"0\""));
    }
}
