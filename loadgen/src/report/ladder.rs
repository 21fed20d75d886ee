//! The messages of one call, one below the other, as people draw them: ours to the right, the
//! peer's to the left.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// When, from the call's beginning, in microseconds.
    pub at_us: u64,
    /// Whether we sent it.
    pub is_ours: bool,
    /// What it is, in a word or two.
    pub line: String,
    /// The whole of it, if it was still remembered.
    pub text: Option<String>,
}

/// The messages of a call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The call's number.
    pub call: u64,
    /// Its Call-ID.
    pub call_id: String,
    /// Why it failed.
    pub cause: String,
    /// Its messages.
    pub rows: Vec<Row>,
}

impl Ladder {
    /// As text, with every message that was remembered whole.
    #[must_use]
    pub fn whole_text(&self) -> String {
        let mut text = self.text();
        for row in &self.rows {
            let who = if row.is_ours { "sent" } else { "received" };
            let millis = row.at_us as f64 / 1_000.0;
            let message = row.text.as_deref().unwrap_or("not remembered");
            let end = message.trim_end();
            text.push_str(&format!("-- {who} after {millis:.3} ms\n{end}\n"));
        }
        text
    }

    /// As text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        const WIDTH: usize = 32;
        let mut text = format!("call {} ({}): {}\n", self.call, self.call_id, self.cause);
        let mut push = |line: std::fmt::Arguments<'_>| {
            let written = text.write_fmt(line);
            debug_assert!(written.is_ok(), "a String takes everything");
        };
        for row in &self.rows {
            let millis = row.at_us as f64 / 1_000.0;
            let line: String = row.line.chars().take(WIDTH - 4).collect();
            let dashes = "-".repeat(WIDTH - 2 - line.chars().count());
            if row.is_ours {
                push(format_args!("{millis:>12.3} ms  |-{line}{dashes}>|\n"));
            } else {
                push(format_args!("{millis:>12.3} ms  |<{dashes}{line}-|\n"));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_go_right_and_theirs_left() {
        let row = |at_us, is_ours, line: &str| Row {
            at_us,
            is_ours,
            line: line.to_owned(),
            text: None,
        };
        let ladder = Ladder {
            call: 3,
            call_id: "3@x".to_owned(),
            cause: "unexpected message".to_owned(),
            rows: vec![row(0, true, "INVITE"), row(12_340, false, "486")],
        };
        assert_eq!(
            ladder.text(),
            "call 3 (3@x): unexpected message\n\
             \x20      0.000 ms  |-INVITE------------------------>|\n\
             \x20     12.340 ms  |<---------------------------486-|\n"
        );
    }
}
