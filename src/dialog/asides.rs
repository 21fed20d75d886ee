//! Requests of ours within a call that leave its session alone: INFO, NOTIFY, PRACK, and the UPDATE
//! that refreshes it or says who is across.

use std::sync::Arc;

use crate::sip::{HeaderName, Method};

use super::call_dialog::CallDialog;
use super::compose::{Draft, Fields};
use super::core::Owner;
use super::dialog::Dialog;
use super::in_order::{Kind, Ordered};
use super::turn::Turn;
use super::{Body, in_order};

/// Whose answer it is that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    /// That of an UPDATE without an offer.
    Update,
    /// That of a request whose order matters, or of an INFO.
    InOrder(Kind),
    /// That of an OPTIONS that asks whether the far end still has the call.
    Probe,
    /// Nobody's.
    Other,
}

/// How the types begin in which digits are sent.
const DIGIT_TYPES: [&[u8]; 3] = [
    b"application/dtmf",
    b"audio/telephone-event",
    b"application/vnd.nortelnetworks.digits",
];

/// INFO without an Info-Package, as phones and PBXs use it for DTMF (RFC 6086 §9.3).
pub(super) fn info(turn: &mut Turn<'_>, dialog: &mut CallDialog, body: &Body, reports: bool) {
    let is_digit = |prefix: &&[u8]| {
        let start = body.content_type.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let kind = if reports || DIGIT_TYPES.iter().any(is_digit) {
        Kind::Digit { reports }
    } else {
        Kind::Info
    };
    let info = Ordered {
        kind,
        fields: Fields::default(),
        body: body.clone(),
    };
    in_order::send(turn, dialog, info);
    // Unless it waits for its turn it is of no use any more.
    turn.core.spare.bodies.put_back(Arc::clone(&body.bytes));
}

/// NOTIFY outside any subscription, which many phones take as the wish that they answer or resume.
pub(super) fn talk(turn: &mut Turn<'_>, dialog: &mut CallDialog, early: Option<&Dialog>) {
    let fields = turn.core.fields();
    let fields = fields
        .with_text(HeaderName::Event, "talk")
        .with_text(HeaderName::SubscriptionState, "active");
    let (cseq, method) = (dialog.next_cseq(), Method::Notify);
    let within = early.unwrap_or(dialog);
    let _is_sent = send_in(turn, within, cseq, method, fields, None, Aside::Other);
}

/// UPDATE without an offer (RFC 3311). Whether it is sent.
pub(super) fn update(turn: &mut Turn<'_>, dialog: &mut CallDialog) -> bool {
    let fields = dialog.request_fields(turn.core);
    send(turn, dialog, Method::Update, fields, None, Aside::Update)
}

/// Whether it is sent: there may be no room.
pub(super) fn send(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    method: Method<'static>,
    fields: Fields,
    body: Option<&Body>,
    aside: Aside,
) -> bool {
    let cseq = dialog.next_cseq();
    send_in(turn, dialog, cseq, method, fields, body, aside)
}

/// The same in a dialog that is not, or not yet, the leg's own.
pub(super) fn send_in(
    turn: &mut Turn<'_>,
    dialog: &Dialog,
    cseq: u32,
    method: Method<'static>,
    fields: Fields,
    body: Option<&Body>,
    aside: Aside,
) -> bool {
    let mut draft = Draft::within(dialog, method, cseq);
    draft.contact = Some(dialog.own_contact());
    draft.fields = fields;
    draft.body = body;
    let (owner, next_hop) = (Owner::Aside(turn.leg, aside), dialog.next_hop());
    // Whoever needs one for which there is no room asks again.
    let Ok(sent) = turn.core.request(turn.now, owner, &next_hop, draft) else {
        return false;
    };
    if aside == Aside::Other {
        turn.core.abandon(turn.now, sent.client);
    }
    true
}
