//! The last messages of a site, so that a call that went wrong can be shown: bounded, oldest
//! dropped first.

use std::collections::VecDeque;
use std::time::Instant;

use crate::population::Token;

/// Bytes of a message that are looked at for its Call-ID and its token.
const HEAD_BYTES_MAX: usize = 2_048;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: Instant,
    /// Whether it left a phone or a caller.
    pub is_ours: bool,
    /// Its first line, and its CSeq if it is a response.
    pub words: String,
    /// Its Call-ID.
    pub call_id: String,
}

/// The last messages.
#[derive(Debug)]
pub(super) struct Trail {
    lines: VecDeque<(Line, Option<Token>)>,
    lines_max: usize,
}

impl Trail {
    pub(super) fn new(lines_max: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            lines_max,
        }
    }

    pub(super) fn note(&mut self, at: Instant, is_ours: bool, bytes: &[u8]) {
        if self.lines_max == 0 {
            return;
        }
        let Some((line, token)) = read(at, is_ours, bytes) else {
            return;
        };
        if self.lines.len() >= self.lines_max {
            self.lines.pop_front();
        }
        self.lines.push_back((line, token));
    }

    /// What is still known of a call: the messages of every dialog that has its token.
    pub(super) fn of(&self, token: Token) -> Vec<Line> {
        let with_token = |(line, found): &(Line, Option<Token>)| {
            (*found == Some(token)).then(|| line.call_id.clone())
        };
        let mut dialogs: Vec<String> = self.lines.iter().filter_map(with_token).collect();
        dialogs.sort();
        dialogs.dedup();
        self.lines
            .iter()
            .filter(|(line, _)| dialogs.binary_search(&line.call_id).is_ok())
            .map(|(line, _)| line.clone())
            .collect()
    }
}

fn read(at: Instant, is_ours: bool, bytes: &[u8]) -> Option<(Line, Option<Token>)> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let first = lines.next()?;
    // NOTIFYs and SUBSCRIBEs are of no call.
    let (mut call_id, mut cseq, mut token) = (None, "", None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        match name {
            "Call-ID" | "i" => call_id = Some(value.trim()),
            "CSeq" => cseq = value.trim(),
            "Session-ID" => token = Token::of_session(value.trim().as_bytes()).or(token),
            "Cisco-Guid" => token = token.or(Token::of_guid(value.trim().as_bytes())),
            _ => {}
        }
    }
    let words = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => format!("{status} ({cseq})"),
        None => first.strip_suffix(" SIP/2.0").unwrap_or(first).to_owned(),
    };
    if cseq.ends_with("SUBSCRIBE") || cseq.ends_with("OPTIONS") {
        return None;
    }
    let call_id = call_id?.to_owned();
    let line = Line {
        at,
        is_ours,
        words,
        call_id,
    };
    Some((line, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn a_call_is_shown_with_both_its_dialogs_and_nothing_else() {
        let now = Instant::now();
        let mut trail = Trail::new(5);
        let token = "0ff0000000010000002a0ff00ff00ff0;remote=0";
        let invite = |call_id: &str, session: &str| {
            format!(
                "INVITE sip:7000@x SIP/2.0\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\
                 Session-ID: {session}\r\n\r\n"
            )
        };
        trail.note(now, true, invite("a", token).as_bytes());
        trail.note(now, true, invite("other", "0").as_bytes());
        trail.note(now, false, invite("b", token).as_bytes());
        trail.note(
            now,
            true,
            b"SIP/2.0 180 Ringing\r\nCall-ID: b\r\nCSeq: 1 INVITE\r\n\r\n",
        );
        trail.note(
            now,
            true,
            b"OPTIONS sip:x SIP/2.0\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
        );
        let lines = trail.of(Token(1 << 32 | 42));
        let words: Vec<&str> = lines.iter().map(|line| line.words.as_str()).collect();
        assert_eq!(
            words,
            [
                "INVITE sip:7000@x",
                "INVITE sip:7000@x",
                "180 Ringing (1 INVITE)"
            ]
        );
        for _ in 0..5 {
            trail.note(now, true, invite("z", "0").as_bytes());
        }
        assert_eq!(trail.of(Token(1 << 32 | 42)), []);
    }
}
