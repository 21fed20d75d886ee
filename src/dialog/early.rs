//! The early dialogs of an INVITE of ours: their tags, and the order of the reliable provisional
//! responses in each (RFC 3262 §4). Each fork counts for itself.

use crate::limits::EARLY_DIALOGS_MAX;
use crate::sip::{HeaderName, Method, Response};

use super::Body;
use super::asides::{self, Aside};
use super::call_dialog::CallDialog;
use super::compose::Fields;
use super::turn::{Turn, body_of};

/// What is known of the early dialogs.
#[derive(Debug, Default)]
pub(super) struct Early {
    forks: Vec<Fork>,
}

#[derive(Debug)]
struct Fork {
    tag: Box<str>,
    /// That of its last reliable response.
    rseq: Option<u32>,
    /// The answer that a reliable response brought, which the 2xx need not repeat.
    answer: Option<Box<Body>>,
}

/// What a provisional response turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// One that is not reliable.
    Once,
    /// A reliable one, acknowledged.
    Reliably,
    /// One that was heard before, or that comes after one that is missing.
    Before,
}

impl Early {
    /// Whether this tag is that of an early dialog.
    pub(super) fn is_with(&self, tag: Option<&str>) -> bool {
        let tag = tag.unwrap_or_default();
        self.forks.iter().any(|fork| *fork.tag == *tag)
    }

    pub(super) fn take_answer(&mut self, tag: Option<&str>) -> Option<Body> {
        let tag = tag.unwrap_or_default();
        let fork = self.forks.iter_mut().find(|fork| *fork.tag == *tag)?;
        fork.answer.take().map(|body| *body)
    }

    /// Takes a provisional response, and acknowledges one that asks for it.
    pub(super) fn hear(
        &mut self,
        turn: &mut Turn<'_>,
        dialog: &mut CallDialog,
        cseq: u32,
        response: &Response<'_>,
    ) -> Heard {
        let Some(tag) = response.to_tag else {
            return Heard::Once;
        };
        let known = self.forks.iter().position(|fork| *fork.tag == *tag);
        let place = match known {
            Some(place) => place,
            None if self.forks.len() == EARLY_DIALOGS_MAX => return Heard::Once,
            None => {
                self.forks.push(Fork {
                    tag: tag.into(),
                    rseq: None,
                    answer: None,
                });
                self.forks.len() - 1
            }
        };
        let message = &response.message;
        if !message.has_token(HeaderName::Require, "100rel") {
            return Heard::Once;
        }
        let Ok(Some(rseq)) = message.rseq() else {
            return Heard::Once;
        };
        let fork = &mut self.forks[place];
        // RFC 3262 §4: only the next one is acknowledged; a repetition has its PRACK, and one that
        // comes too early comes again.
        if fork.rseq.is_some_and(|last| rseq != last.wrapping_add(1)) {
            return Heard::Before;
        }
        fork.rseq = Some(rseq);
        if let Some(body) = body_of(message) {
            fork.answer = Some(Box::new(body));
        }
        acknowledge(turn, dialog, cseq, response, rseq);
        Heard::Reliably
    }
}

/// Sends the PRACK in the early dialog of the response.
fn acknowledge(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    cseq: u32,
    response: &Response<'_>,
    rseq: u32,
) {
    let number = dialog.next_cseq();
    let fields = Fields::default().with(HeaderName::RAck, format_args!("{rseq} {cseq} INVITE"));
    let mut fork = (**dialog).clone();
    fork.confirm(response);
    asides::send_in(
        turn,
        &fork,
        number,
        Method::Prack,
        fields,
        None,
        Aside::Other,
    );
}
