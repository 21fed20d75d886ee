//! Two runs side by side: what was counted, what was waited, and what else was different, so that
//! nobody compares what cannot be compared.

use std::fmt::Write as _;

use super::chart::{Across, Unit, chart};
use super::html::{Body, percentiles};
use super::outcome::{Distribution, LatencyNote, Outcome};
use super::page::{amount, escape, frame, micros};

/// A line of the comparison.
struct Line {
    name: String,
    first: f64,
    second: f64,
    is_time: bool,
}

impl Line {
    fn shown(&self) -> [String; 3] {
        let show = |value| {
            if self.is_time {
                micros(value)
            } else {
                amount(value)
            }
        };
        let change = if self.first == self.second {
            "=".to_owned()
        } else if self.first == 0.0 {
            "new".to_owned()
        } else {
            format!("{:+.1} %", (self.second / self.first - 1.0) * 100.0)
        };
        [show(self.first), show(self.second), change]
    }
}

/// One run as text.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let mut text = format!(
        "{} {}: {} in {:.1} s, {}\n",
        outcome.name,
        outcome.started,
        outcome.verdict.name(),
        outcome.seconds,
        outcome.load.plan
    );
    let mut push = |line: std::fmt::Arguments<'_>| {
        let written = text.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    for line in lines(outcome, outcome) {
        let [one, ..] = line.shown();
        push(format_args!("{:<34} {one:>14}\n", line.name));
    }
    for cause in &outcome.failures {
        push(format_args!(
            "failed {}: {}\n",
            cause.count,
            cause.in_full()
        ));
    }
    for fault in &outcome.health.faults {
        push(format_args!("Invalid: {}\n", fault.words));
    }
    for violation in &outcome.violations {
        push(format_args!("{violation}\n"));
    }
    for ladder in &outcome.ladders {
        push(format_args!("\n{}", ladder.text()));
    }
    text
}

/// The comparison as text.
#[must_use]
pub fn compare(first: &Outcome, second: &Outcome) -> String {
    let mut text = String::new();
    let mut push = |line: std::fmt::Arguments<'_>| {
        let written = text.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    let (a, b) = (&first.name, &second.name);
    push(format_args!(
        "{:<34} {:>14} {:>14} {:>10}\n",
        "", "A", "B", "change"
    ));
    push(format_args!(
        "{:<34} {:>14} {:>14}\n",
        "verdict",
        first.verdict.name(),
        second.verdict.name()
    ));
    for line in lines(first, second) {
        let [one, other, change] = line.shown();
        push(format_args!(
            "{:<34} {one:>14} {other:>14} {change:>10}\n",
            line.name
        ));
    }
    push(format_args!(
        "\nA: {a}, {}\nB: {b}, {}\n",
        first.started, second.started
    ));
    for warning in warnings(first, second) {
        push(format_args!("Beware: {warning}\n"));
    }
    text
}

/// The comparison as a page.
#[must_use]
pub fn compare_page(first: &Outcome, second: &Outcome) -> String {
    let mut body = Body(String::new());
    body.add(format_args!("<h1>Two runs side by side</h1>\n"));
    for (letter, outcome) in [("A", first), ("B", second)] {
        let verdict = outcome.verdict.name();
        body.add(format_args!(
            "<p>{letter}: <b>{}</b> <span class=\"verdict {verdict}\">{verdict}</span> \
             <span class=\"faint\">{}</span><br><code>{}</code></p>\n",
            escape(&outcome.name),
            escape(&outcome.started),
            escape(&outcome.command.join(" "))
        ));
    }
    for warning in warnings(first, second) {
        body.add(format_args!(
            "<p class=\"bad\">Beware: {}</p>\n",
            escape(&warning)
        ));
    }
    body.add(format_args!(
        "<div class=\"scroll\"><table><tr><th></th><th>A</th><th>B</th><th>change</th></tr>\n"
    ));
    for line in lines(first, second) {
        let [one, other, change] = line.shown();
        body.add(format_args!(
            "<tr><td>{}</td><td>{one}</td><td>{other}</td><td>{change}</td></tr>\n",
            escape(&line.name)
        ));
    }
    body.add(format_args!("</table></div>\n<div class=\"charts\">\n"));
    for (one, other) in pairs(first, second) {
        let series = [
            percentiles("A", &one.response),
            percentiles("B", &other.response),
        ];
        let caption = format!("{} by percentile, from the intended moment", one.name);
        body.0
            .push_str(&chart(&caption, Unit::Micros, Across::Percentile, &series));
    }
    body.add(format_args!("</div>\n"));
    frame("Two runs side by side · offhook-load", &body.0)
}

/// Latencies that both have.
fn pairs<'a>(
    first: &'a Outcome,
    second: &'a Outcome,
) -> impl Iterator<Item = (&'a LatencyNote, &'a LatencyNote)> {
    first.latencies.iter().filter_map(|one| {
        let other = second
            .latencies
            .iter()
            .find(|other| other.name == one.name)?;
        Some((one, other))
    })
}

fn lines(first: &Outcome, second: &Outcome) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut names: Vec<&String> = first.totals.keys().chain(second.totals.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        lines.push(Line {
            name: name.replace('_', " "),
            first: first.total(name) as f64,
            second: second.total(name) as f64,
            is_time: false,
        });
    }
    let mut push = |name: String, one: f64, other: f64| {
        lines.push(Line {
            name,
            first: one,
            second: other,
            is_time: true,
        });
    };
    for (one, other) in pairs(first, second) {
        let mut add = |kind: &str, one_of: &Distribution, other_of: &Distribution| {
            for (quantile, before, after) in [
                ("50 %", one_of.p50_us, other_of.p50_us),
                ("99 %", one_of.p99_us, other_of.p99_us),
                ("99.9 %", one_of.p999_us, other_of.p999_us),
                ("longest", one_of.max_us, other_of.max_us),
            ] {
                let name = format!("{} {kind}, {quantile}", one.name);
                push(name, before as f64, after as f64);
            }
        };
        add("response", &one.response, &other.response);
        add("service", &one.service, &other.service);
    }
    push(
        "generator lag, 99 %".to_owned(),
        first.health.lag.p99_us as f64,
        second.health.lag.p99_us as f64,
    );
    lines
}

/// What makes a comparison worth less.
fn warnings(first: &Outcome, second: &Outcome) -> Vec<String> {
    let mut warnings = Vec::new();
    for (letter, outcome) in [("A", first), ("B", second)] {
        if !outcome.health.valid {
            warnings.push(format!("in {letter} the generator itself was too slow"));
        }
        if outcome.load.discipline == "closed" {
            warnings.push(format!(
                "{letter} is a closed loop: its times are optimistic"
            ));
        }
    }
    for (what, one, other) in [
        ("load", &first.load.plan, &second.load.plan),
        ("transport", &first.load.transport, &second.load.transport),
        ("scenario", &first.name, &second.name),
        (
            "processor",
            &first.environment.processor,
            &second.environment.processor,
        ),
        (
            "kernel",
            &first.environment.kernel,
            &second.environment.kernel,
        ),
        (
            "version of offhook-load",
            &first.environment.program_version,
            &second.environment.program_version,
        ),
    ] {
        if one != other {
            warnings.push(format!("the {what} differs: {one} and {other}"));
        }
    }
    if first.seed != second.seed {
        warnings.push(format!(
            "the seed differs: {} and {}",
            first.seed, second.seed
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::super::outcome::tests::sample;
    use super::*;

    #[test]
    fn what_changed_is_shown_in_percent() {
        let first = sample();
        let mut second = sample();
        second.totals.insert("created".to_owned(), 60);
        second.totals.insert("fresh".to_owned(), 1);
        second.seed = 8;
        second.load.transport = "TCP".to_owned();
        let text = compare(&first, &second);
        for wanted in [
            "+100.0 %",
            "new",
            "Beware: the transport differs: UDP and TCP",
            "Beware: the seed differs: 7 and 8",
            "1 response, 99 %",
        ] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
        let page = compare_page(&first, &second);
        assert!(page.contains("+100.0 %") && page.contains("<svg") && !page.contains("http:"));
    }
}
