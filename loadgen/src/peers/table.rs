//! The figures as a table that can stand in a document.

use std::fmt::Write as _;

use super::figures::{Figure, Judgement, Report, Row, Verdict};

/// All of it.
pub(super) fn text(report: &Report) -> String {
    let mut text = format!("{}\n\n", report.machine);
    let names = report.contestants.join(" | ");
    let lines = "---|".repeat(report.contestants.len() + 4);
    // A text takes every text.
    let _ = writeln!(text, "| what | {names} | found | goal | |\n|{lines}");
    for row in &report.rows {
        let figures = report.contestants.iter().map(|name| cell(row, name));
        let figures: Vec<String> = figures.collect();
        let mut verdicts = row.verdicts.iter().map(verdict);
        let first = verdicts.next().unwrap_or_else(|| " |  | ".to_owned());
        let _ = writeln!(text, "| {} | {} | {first} |", row.what, figures.join(" | "));
        let none = " |".repeat(report.contestants.len() + 1);
        for further in verdicts {
            let _ = writeln!(text, "|{none} {further} |");
        }
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {note}");
    }
    text
}

fn cell(row: &Row, name: &str) -> String {
    match row.figures.get(name) {
        None => "-".to_owned(),
        Some(Figure::Missing(why)) => why.clone(),
        Some(Figure::Known {
            median,
            low,
            high,
            at_least,
        }) => {
            let least = if *at_least { "at least " } else { "" };
            match low < high {
                true => format!(
                    "{} ({} to {})",
                    number(*median),
                    number(*low),
                    number(*high)
                ),
                false => format!("{least}{}", number(*median)),
            }
        }
    }
}

fn verdict(verdict: &Verdict) -> String {
    let found = match verdict.found {
        Some(found) if found.abs() >= 100.0 => number(found),
        Some(found) => format!("{found:.2}"),
        None => "-".to_owned(),
    };
    let judgement = match verdict.judgement {
        Judgement::Met => "met",
        Judgement::Missed => "missed",
        Judgement::Open => "open",
    };
    format!("{found} | {} | {judgement}", verdict.goal)
}

/// A whole number with its thousands apart.
fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    match value.round() < 0.0 {
        true => format!("-{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::contestant::Contestant;
    use super::super::figures::{Bound, Goal};
    use super::*;

    #[test]
    fn numbers_are_whole_and_have_their_thousands_apart() {
        let all = [0.4, 999.6, 12_345.0, 1_234_567.0, -0.2, -4_321.0].map(number);
        assert_eq!(all, ["0", "1,000", "12,345", "1,234,567", "0", "-4,321"]);
    }

    #[test]
    fn each_goal_has_a_line_and_each_contestant_a_column() {
        let goal = |against, words, limit| Goal {
            words,
            against: Some(against),
            limit,
            bound: Bound::AtMost,
        };
        let goals = [
            goal(Contestant::Relay, "at most 2 × relay", 2.0),
            goal(Contestant::Kamailio, "at most 1/3 of kamailio", 1.0 / 3.0),
        ];
        let figures = [
            (Contestant::Relay, Figure::of(&[60.0, 50.0, 70.0])),
            (Contestant::Kamailio, Figure::Missing("failed".to_owned())),
            (Contestant::Offhook, Figure::of(&[90.0])),
        ];
        let held = [(Contestant::Offhook, Figure::single(4_000.0, true))];
        let report = Report {
            schema: "",
            version: 1,
            machine: "a machine".to_owned(),
            contestants: vec!["relay", "kamailio", "offhook"],
            rows: vec![
                Row::new("time".to_owned(), figures, &goals),
                Row::new("held".to_owned(), held, &[]),
            ],
            notes: vec!["a note".to_owned()],
        };
        let expected = "a machine\n\n\
            | what | relay | kamailio | offhook | found | goal | |\n\
            |---|---|---|---|---|---|---|\n\
            | time | 60 (50 to 70) | failed | 90 | 1.50 | at most 2 × relay | met |\n\
            | | | | | - | at most 1/3 of kamailio | open |\n\
            | held | - | - | at least 4,000 |  |  |  |\n\n- a note\n";
        assert_eq!(text(&report), expected);
    }
}
