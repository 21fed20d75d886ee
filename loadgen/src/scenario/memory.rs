//! What of a received message a scenario may still ask for. A call keeps no more: a held call is
//! mostly the message that it received last.

use super::heads::is_named;
use super::message::{Received, first_line};
use super::model::{Action, Scenario, SearchIn, StepKind};
use super::template::{Keyword, Template};

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Everything.
    is_whole: bool,
    /// The names of headers.
    headers: Vec<Vec<u8>>,
}

impl Memory {
    /// What the texts and actions of a scenario look at.
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut memory = Self::default();
        // What is looked at outside of templates.
        for name in [&b"From"[..], b"To", b"Call-ID", b"CSeq", b"Via"] {
            memory.add(name);
        }
        for template in scenario.templates() {
            memory.add_template(template);
        }
        // Where media go stands in the body.
        memory.is_whole |= !scenario.media.is_empty();
        for step in scenario.steps.iter().chain(&scenario.initial) {
            let is_receive = matches!(step.kind, StepKind::Receive(_));
            let looks = |action: &Action| looks_at_received(action);
            // The actions of a receive step see the message itself.
            memory.is_whole |= !is_receive && step.actions.iter().any(looks);
        }
        memory
    }

    fn add(&mut self, name: &[u8]) {
        let is_it = |known: &Vec<u8>| known.eq_ignore_ascii_case(name);
        if !self.headers.iter().any(is_it) {
            self.headers.push(name.to_vec());
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "these are the keywords that look at what was received"
    )]
    fn add_template(&mut self, template: &Template) {
        template.visit(&mut |keyword| match keyword {
            Keyword::LastHeader(name) => self.add(name),
            Keyword::LastMessage => self.is_whole = true,
            _ => {}
        });
    }

    /// Appends what is kept of a message.
    pub(crate) fn keep(&self, message: &Received<'_>, output: &mut Vec<u8>) {
        if self.is_whole {
            output.reserve_exact(message.bytes.len());
            output.extend_from_slice(message.bytes);
            return;
        }
        let is_kept =
            |(_, name): &(&[u8], &[u8])| self.headers.iter().any(|known| is_named(name, known));
        // Which of the first lines are kept is asked once.
        let mut kept = 0_u64;
        let mut length = 0;
        for (place, line) in message.heads.lines().enumerate() {
            if is_kept(&line) {
                kept |= 1_u64.checked_shl(place as u32).unwrap_or(0);
                length += line.0.len() + 2;
            }
        }
        let first = first_line(message.bytes);
        output.reserve_exact(first.len() + 2 + length + 2);
        output.extend_from_slice(first);
        output.extend_from_slice(b"\r\n");
        for (place, line) in message.heads.lines().enumerate() {
            let bit = 1_u64.checked_shl(place as u32);
            if bit.map_or_else(|| is_kept(&line), |bit| kept & bit > 0) {
                output.extend_from_slice(line.0.trim_ascii_end());
                output.extend_from_slice(b"\r\n");
            }
        }
        output.extend_from_slice(b"\r\n");
    }
}

fn looks_at_received(action: &Action) -> bool {
    match action {
        Action::Match { search, .. } => match search {
            SearchIn::Message | SearchIn::Body | SearchIn::Header { .. } => true,
            SearchIn::Variable(_) => false,
        },
        Action::VerifyAuth { .. } => true,
        Action::Say { .. }
        | Action::AssignText { .. }
        | Action::Arithmetic { .. }
        | Action::ToNumber { .. }
        | Action::Change { .. }
        | Action::Test { .. }
        | Action::CompareText { .. }
        | Action::Sample { .. }
        | Action::TimeOfDay { .. }
        | Action::Index { .. }
        | Action::Jump(_)
        | Action::RestorePause(_)
        | Action::Lookup { .. }
        | Action::Insert { .. }
        | Action::Replace { .. }
        | Action::SetDestination { .. }
        | Action::Media(_)
        | Action::Execute(_)
        | Action::CloseConnection
        | Action::Stop(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::load::load;
    use super::*;

    const MESSAGE: &[u8] = b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP x\r\nFrom: <sip:a@b>\r\n\
        Subject: one\r\n two\r\nX-Long: gone\r\nt: <sip:c@d>;tag=1\r\ni: 7\r\nCSeq: 1 INVITE\r\n\
        Content-Length: 3\r\n\r\nabc";

    fn kept(text: &str) -> String {
        let text = format!(
            "<scenario><send><![CDATA[INVITE\n{text}]]></send><recv response=\"200\"/></scenario>"
        );
        let loaded = load(text.as_bytes(), &BTreeMap::new());
        let scenario = loaded.scenario.expect("a good scenario");
        let mut output = Vec::new();
        let message = Received::new(MESSAGE).expect("a response");
        scenario.memory.keep(&message, &mut output);
        String::from_utf8(output).expect("text")
    }

    #[test]
    fn only_what_may_be_asked_for_is_kept() {
        assert_eq!(
            kept("[last_Subject:]"),
            "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP x\r\nFrom: <sip:a@b>\r\nSubject: one\r\n two\r\n\
             t: <sip:c@d>;tag=1\r\ni: 7\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        assert!(!kept("x").contains("Subject"));
        assert_eq!(kept("[last_message]").as_bytes(), MESSAGE);
    }
}
