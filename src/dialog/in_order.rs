//! Requests of ours within a call whose order matters: digits, an INFO each, and the NOTIFYs of a
//! REFER. Each waits for the final response of the one before: one that is lost and sent again
//! would come after the next, and be refused for its number (RFC 3261 §12.2.2).

use std::collections::VecDeque;

use crate::counters::Counter;
use crate::limits::IN_ORDER_MAX;
use crate::sip::{Method, Status};

use super::asides::{self, Aside};
use super::call_dialog::CallDialog;
use super::compose::Fields;
use super::turn::Turn;
use super::{Body, LegEvent};

/// The requests of one call.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    /// Whether one has no final response.
    is_under_way: bool,
    waiting: VecDeque<Ordered>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) kind: Kind,
    pub(super) fields: Fields,
    pub(super) body: Body,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An INFO, and whether the layer above hears of its answer.
    Info { reports: bool },
    /// A NOTIFY about a REFER.
    Notify,
}

impl Ordered {
    fn send(&self, turn: &mut Turn<'_>, dialog: &mut CallDialog) -> bool {
        let (method, aside) = match self.kind {
            Kind::Info { reports } => (Method::Info, Aside::Info { reports }),
            Kind::Notify => (Method::Notify, Aside::Notify),
        };
        let (fields, body) = (self.fields.clone(), Some(&self.body));
        asides::send(turn, dialog, method, fields, body, aside)
    }

    /// It was not sent.
    fn is_lost(&self, turn: &mut Turn<'_>) {
        turn.core.count(Counter::InOrderOverflow);
        if self.kind == (Kind::Info { reports: true }) {
            let status = Status::SERVICE_UNAVAILABLE;
            turn.emit(LegEvent::InfoAnswered { status });
        }
    }
}

/// Sends it, or has it wait.
pub(super) fn send(turn: &mut Turn<'_>, dialog: &mut CallDialog, ordered: Ordered) {
    let line = &mut dialog.rare_mut().in_order;
    if !line.is_under_way {
        let is_sent = ordered.send(turn, dialog);
        dialog.rare_mut().in_order.is_under_way = is_sent;
        if !is_sent {
            ordered.is_lost(turn);
        }
    } else if line.waiting.len() < IN_ORDER_MAX {
        line.waiting.push_back(ordered);
    } else {
        ordered.is_lost(turn);
    }
}

/// The one under way has its final response, or will have none: the next one goes.
pub(super) fn answered(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    while let Some(line) = dialog.in_order_mut() {
        line.is_under_way = false;
        let Some(next) = line.waiting.pop_front() else {
            return;
        };
        if next.send(turn, dialog) {
            dialog.rare_mut().in_order.is_under_way = true;
            return;
        }
        next.is_lost(turn);
    }
}

/// The call ends: what a REFER has come to is said at once, and digits are of no use any more.
pub(super) fn end(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    let line = dialog.in_order_mut();
    let waiting = line.map(|line| std::mem::take(&mut line.waiting));
    for ordered in waiting.into_iter().flatten() {
        if ordered.kind == Kind::Notify {
            // Whoever ends a call for good hears of a NOTIFY that is lost by nothing else.
            let _is_sent = ordered.send(turn, dialog);
        }
    }
}
