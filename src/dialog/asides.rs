//! Requests of ours within a call that change nothing about it: whatever the peer answers, the call
//! goes on.

use crate::sip::{HeaderName, Method};

use super::Body;
use super::compose::{Draft, Fields};
use super::core::Owner;
use super::dialog::Dialog;
use super::turn::Turn;

/// INFO without an Info-Package, as phones and PBXs use it for DTMF (RFC 6086 §9.3).
pub(super) fn info(turn: &mut Turn<'_>, dialog: &mut Dialog, body: &Body) {
    send(turn, dialog, Method::Info, Fields::default(), Some(body));
}

/// NOTIFY outside any subscription, which many phones take as the wish that they answer or resume.
pub(super) fn talk(turn: &mut Turn<'_>, dialog: &mut Dialog) {
    let fields = Fields::default()
        .with(HeaderName::Event, format_args!("talk"))
        .with(HeaderName::SubscriptionState, format_args!("active"));
    send(turn, dialog, Method::Notify, fields, None);
}

/// Sends a request of whose answer nobody wants to hear.
fn send(
    turn: &mut Turn<'_>,
    dialog: &mut Dialog,
    method: Method<'static>,
    fields: Fields,
    body: Option<&Body>,
) {
    let cseq = dialog.next_cseq();
    let mut draft = Draft::within(dialog, method, cseq);
    draft.contact = Some(&dialog.contact_user);
    draft.fields = fields;
    draft.body = body;
    let (owner, next_hop) = (Owner::Leg(turn.leg), dialog.next_hop());
    // Without room it is not sent: nothing waits for it.
    if let Ok(sent) = turn.core.request(turn.now, owner, &next_hop, &draft) {
        turn.core.abandon(turn.now, sent.client);
    }
}
