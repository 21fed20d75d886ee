//! Requests of ours within a call whose order matters: digits, an INFO each, and the NOTIFYs of a
//! REFER. Each waits for the final response of the one of its kind before: one that is lost and
//! sent again would come after the next, and be refused for its number (RFC 3261 §12.2.2). Between
//! the kinds nobody waits: a far end that never answers the one may well take the other. Other
//! INFOs do not wait at all; they are bounded here like those.

use std::collections::VecDeque;

use crate::counters::Counter;
use crate::limits::{IN_ORDER_BYTES_MAX, IN_ORDER_MAX};
use crate::sip::{Method, Status};

use super::asides::{self, Aside};
use super::call_dialog::CallDialog;
use super::compose::Fields;
use super::turn::Turn;
use super::{Body, LegEvent};

/// The requests of one call.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    digits: Line,
    notifies: Line,
    /// Other INFOs without a final response.
    infos: usize,
}

/// Those of one kind.
#[derive(Debug, Default)]
struct Line {
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
    /// An INFO with a digit, and whether the layer above hears of its answer.
    Digit { reports: bool },
    /// Another INFO.
    Info,
    /// A NOTIFY about a REFER.
    Notify,
}

impl InOrder {
    /// The line in which it waits, if it does.
    fn line(&mut self, kind: Kind) -> Option<&mut Line> {
        match kind {
            Kind::Digit { .. } => Some(&mut self.digits),
            Kind::Notify => Some(&mut self.notifies),
            Kind::Info => None,
        }
    }
}

impl Line {
    fn has_room(&self, ordered: &Ordered) -> bool {
        let all = self.waiting.iter().chain([ordered]);
        let bytes: usize = all.map(|ordered| ordered.body.bytes.len()).sum();
        self.waiting.len() < IN_ORDER_MAX && bytes <= IN_ORDER_BYTES_MAX
    }
}

impl Ordered {
    fn send(&self, turn: &mut Turn<'_>, dialog: &mut CallDialog) -> bool {
        let method = match self.kind {
            Kind::Digit { .. } | Kind::Info => Method::Info,
            Kind::Notify => Method::Notify,
        };
        let (fields, body) = (self.fields.clone(), Some(&self.body));
        let is_sent = asides::send(
            turn,
            dialog,
            method,
            fields,
            body,
            Aside::InOrder(self.kind),
        );
        let in_order = &mut dialog.rare_mut().in_order;
        match in_order.line(self.kind) {
            Some(line) => line.is_under_way = is_sent,
            None => in_order.infos += usize::from(is_sent),
        }
        if !is_sent {
            self.is_lost(turn);
        }
        is_sent
    }

    /// It was not sent.
    fn is_lost(&self, turn: &mut Turn<'_>) {
        turn.core.count(Counter::InOrderOverflow);
        if self.kind == (Kind::Digit { reports: true }) {
            let status = Status::SERVICE_UNAVAILABLE;
            turn.emit(LegEvent::InfoAnswered { status });
        }
    }
}

/// Sends it, or has it wait.
pub(super) fn send(turn: &mut Turn<'_>, dialog: &mut CallDialog, ordered: Ordered) {
    let in_order = &mut dialog.rare_mut().in_order;
    let infos = in_order.infos;
    let goes = match in_order.line(ordered.kind) {
        Some(line) if line.is_under_way && line.has_room(&ordered) => {
            return line.waiting.push_back(ordered);
        }
        Some(line) => !line.is_under_way,
        None => infos < IN_ORDER_MAX,
    };
    if goes {
        let _is_sent = ordered.send(turn, dialog);
    } else {
        ordered.is_lost(turn);
    }
}

/// One has its final response, or will have none: the next of its kind goes.
pub(super) fn answered(turn: &mut Turn<'_>, dialog: &mut CallDialog, kind: Kind) {
    while let Some(in_order) = dialog.in_order_mut() {
        let Some(line) = in_order.line(kind) else {
            in_order.infos = in_order.infos.saturating_sub(1);
            return;
        };
        line.is_under_way = false;
        let next = line.waiting.pop_front();
        if next.is_none_or(|next| next.send(turn, dialog)) {
            return;
        }
    }
}

/// The call ends: what a REFER has come to is said at once, and digits are of no use any more.
pub(super) fn end(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    let Some(in_order) = dialog.in_order_mut() else {
        return;
    };
    in_order.digits.waiting.clear();
    for ordered in std::mem::take(&mut in_order.notifies.waiting) {
        // Whoever ends a call for good hears of a NOTIFY that is lost by nothing else.
        let _is_sent = ordered.send(turn, dialog);
    }
}
