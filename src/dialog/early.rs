//! The early dialogs of an INVITE of ours: their tags, and the order of the reliable provisional
//! responses in each (RFC 3262 §4). Each fork counts for itself.

use crate::limits::EARLY_DIALOGS_MAX;
use crate::sip::{HeaderName, Method, Response};

use super::Body;
use super::asides::{self, Aside};
use super::call_dialog::CallDialog;
use super::compose::Fields;
use super::dialog::Dialog;
use super::turn::{Turn, body_of};

/// What is known of the early dialogs.
#[derive(Debug, Default)]
pub(super) struct Early {
    forks: Vec<Fork>,
}

#[derive(Debug)]
struct Fork {
    /// With the tag of the phone, and where requests in this early dialog go (RFC 3261 §12.1.2).
    dialog: Box<Dialog>,
    /// That of its last reliable response.
    rseq: Option<u32>,
    /// The answer that a reliable response brought, which the 2xx need not repeat.
    answer: Option<Box<Body>>,
    /// The offer of an UPDATE, until it is answered.
    offered: Option<Box<Body>>,
    /// Whether one was: the phone's last word is not what its 2xx says.
    changed: bool,
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
        self.forks.iter().any(|fork| fork.dialog.is_with(tag))
    }

    /// The early dialog that was heard of last: the phone that rings.
    pub(super) fn latest(&self) -> Option<&Dialog> {
        self.forks.last().map(|fork| &*fork.dialog)
    }

    fn fork(&mut self, tag: Option<&str>) -> Option<&mut Fork> {
        self.forks.iter_mut().find(|fork| fork.dialog.is_with(tag))
    }

    /// What a phone that answers says of its session: in its 2xx, unless it has said it before
    /// (RFC 3262 §5, RFC 3311 §5.2).
    pub(super) fn last_word(&mut self, tag: Option<&str>, body: Option<Body>) -> Option<Body> {
        let Some(fork) = self.fork(tag) else {
            return body;
        };
        let answer = fork.answer.take().map(|body| *body);
        if fork.changed {
            answer
        } else {
            body.or(answer)
        }
    }

    /// Whether the offer of the INVITE has its answer in this early dialog.
    pub(super) fn is_answered(&mut self, tag: Option<&str>) -> bool {
        self.fork(tag).is_some_and(|fork| fork.answer.is_some())
    }

    /// An UPDATE with an offer has been reported.
    pub(super) fn offers(&mut self, tag: Option<&str>, offer: Option<Body>) {
        if let Some(fork) = self.fork(tag) {
            fork.offered = offer.map(Box::new);
        }
    }

    /// It has its answer. The dialog whose target it moves is this early one: another phone may
    /// take the call.
    pub(super) fn offer_accepted(&mut self, contact: Option<Box<str>>) {
        let offers = |fork: &&mut Fork| fork.offered.is_some();
        if let Some(fork) = self.forks.iter_mut().find(offers) {
            fork.answer = fork.offered.take();
            fork.changed = true;
            fork.dialog.refresh(contact);
        }
    }

    /// It was refused.
    pub(super) fn offer_refused(&mut self) {
        for fork in &mut self.forks {
            fork.offered = None;
        }
    }

    /// Takes a provisional response, and acknowledges one that asks for it.
    pub(super) fn hear(
        &mut self,
        turn: &mut Turn<'_>,
        dialog: &mut CallDialog,
        cseq: u32,
        response: &Response<'_>,
    ) -> Heard {
        let tag = response.to_tag;
        if tag.is_none() {
            return Heard::Once;
        }
        let known = self.forks.iter().position(|fork| fork.dialog.is_with(tag));
        let place = match known {
            Some(place) => place,
            None if self.forks.len() == EARLY_DIALOGS_MAX => return Heard::Once,
            None => {
                let mut early = Box::new((**dialog).clone());
                early.confirm(response);
                self.forks.push(Fork {
                    dialog: early,
                    rseq: None,
                    answer: None,
                    offered: None,
                    changed: false,
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
        if let Some(body) = body_of(message).filter(|_| !fork.changed) {
            fork.answer = Some(Box::new(body));
        }
        let number = dialog.next_cseq();
        let rack = format_args!("{rseq} {cseq} INVITE");
        let fields = Fields::default().with(HeaderName::RAck, rack);
        let prack = Method::Prack;
        let _is_sent = asides::send_in(
            turn,
            &fork.dialog,
            number,
            prack,
            fields,
            None,
            Aside::Other,
        );
        Heard::Reliably
    }
}
