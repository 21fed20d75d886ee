//! A REFER of the peer's: what it asks, and the implicit subscription by which it hears what became
//! of it (RFC 3515, with RFC 4488 and RFC 3892). The layer above does what is asked.

use bytes::Bytes;

use crate::sip::{
    HeaderName, Message, NameAddr, Request, Scheme, Status, text_or_replaced, unescaped,
};
use crate::transaction::ServerKey;

use super::call_dialog::CallDialog;
use super::compose::{Answer, Fields};
use super::identity::number;
use super::in_order::{self, Kind, Ordered};
use super::reply::Reply;
use super::turn::Turn;
use super::{Body, LegEvent, Refer, Replaces};

/// How long the subscription is said to last; it ends with the call at the latest.
const SECONDS: u32 = 180;

/// A REFER that was reported.
#[derive(Debug)]
pub(super) struct Referring {
    /// Waits for its answer; `None` once it was taken.
    waits: Option<(ServerKey, Reply)>,
    /// The `id` of the subscription, which the first of a dialog does without.
    id: Option<u32>,
    /// Whether NOTIFYs are wanted (RFC 4488).
    notifies: bool,
}

/// Reads what a REFER asks.
///
/// # Errors
/// The status that it deserves.
pub(super) fn read(request: &Request<'_>) -> Result<Refer, Status> {
    let message = &request.message;
    let mut targets = message.headers(HeaderName::ReferTo);
    // RFC 3515 §2.4.2: exactly one.
    let (Some(target), None) = (targets.next(), targets.next()) else {
        return Err(Status::BAD_REQUEST);
    };
    let target = NameAddr::parse(target).map_err(|_| Status::BAD_REQUEST)?;
    match target.uri.scheme {
        Scheme::Sip | Scheme::Tel => {}
        Scheme::Sips | Scheme::Other(_) => return Err(Status::UNSUPPORTED_URI_SCHEME),
    }
    // A method other than INVITE is none that a call can be led on with.
    let method = target.uri.param("method");
    if method.is_some_and(|method| !method.eq_ignore_ascii_case("INVITE")) {
        return Err(Status::NOT_ACCEPTABLE_HERE);
    }
    let replaces = match target.uri.header("Replaces") {
        None => None,
        Some(value) => {
            let value = unescaped(value);
            let read = crate::sip::Replaces::parse(value.as_bytes());
            Some(replaces(&read.map_err(|_| Status::BAD_REQUEST)?))
        }
    };
    let uri = text_or_replaced(target.uri_bytes);
    Ok(Refer {
        number: number(target.uri.user.unwrap_or_default()),
        uri: uri.split('?').next().unwrap_or_default().to_owned(),
        replaces,
        replaced: None,
        referred_by: referred_by(message),
    })
}

/// A Replaces value that outlives its message.
pub(super) fn replaces(read: &crate::sip::Replaces<'_>) -> Replaces {
    Replaces {
        call_id: read.call_id.to_owned(),
        to_tag: read.to_tag.to_owned(),
        from_tag: read.from_tag.to_owned(),
        early_only: read.early_only,
    }
}

fn referred_by(message: &Message<'_>) -> Option<String> {
    let value = message.header(HeaderName::ReferredBy)?;
    NameAddr::parse(value).ok()?;
    Some(text_or_replaced(value).into_owned())
}

/// A REFER within a confirmed call.
pub(super) fn receive(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    server: ServerKey,
    request: &Request<'_>,
    refer: Refer,
) {
    if dialog.referring_mut().is_some() {
        turn.ask_for_later(server, request);
        return;
    }
    let reply = turn.reply_to(server, request);
    let sub = request.message.header(HeaderName::ReferSub);
    let notifies = !sub.is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"false"));
    let rare = dialog.rare_mut();
    let id = rare.referred_before.then_some(request.cseq);
    rare.referred_before = true;
    rare.referring = Some(Referring {
        waits: Some((server, reply)),
        id,
        notifies,
    });
    turn.emit(LegEvent::Referred(Box::new(refer)));
}

/// 202, and the first NOTIFY at once (RFC 3515 §2.4.4).
pub(super) fn accept(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    let Some(referring) = dialog.referring_mut() else {
        return;
    };
    let Some((server, reply)) = referring.waits.take() else {
        return;
    };
    let notifies = referring.notifies;
    let mut answer = Answer {
        contact: Some(dialog.own_contact()),
        ..Answer::default()
    };
    if !notifies {
        // RFC 4488 §4: nobody is told how it goes on.
        answer.fields = Fields::default().with_text(HeaderName::ReferSub, "false");
    }
    turn.respond(server, Status::ACCEPTED, &reply, answer);
    if !notifies {
        dialog.take_referring();
    }
    notify(turn, dialog, Status::TRYING, "active");
}

pub(super) fn refuse(turn: &mut Turn<'_>, dialog: &mut CallDialog, status: Status) {
    let Some(referring) = dialog.take_referring() else {
        return;
    };
    match referring.waits {
        Some((server, reply)) => turn.refuse(server, &reply, status),
        // It was taken, so this is what became of it.
        None => {
            dialog.rare_mut().referring = Some(referring);
            report(turn, dialog, status);
        }
    }
}

/// What became of it; a final status is the last word.
pub(super) fn report(turn: &mut Turn<'_>, dialog: &mut CallDialog, status: Status) {
    let taken = dialog
        .referring_mut()
        .is_some_and(|referring| referring.waits.is_none());
    if !taken {
        return;
    }
    if status.is_provisional() {
        notify(turn, dialog, status, "active");
        return;
    }
    notify(turn, dialog, status, "terminated;reason=noresource");
    dialog.take_referring();
}

/// The dialog is left: what waits is answered, and the subscription ends with it (RFC 5057 §4.2).
pub(super) fn end(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    end_subscription(turn, dialog);
    in_order::end(turn, dialog);
}

fn end_subscription(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    let Some(referring) = dialog.take_referring() else {
        return;
    };
    if let Some((server, reply)) = referring.waits {
        turn.refuse(server, &reply, Status::REQUEST_TERMINATED);
        return;
    }
    dialog.rare_mut().referring = Some(referring);
    let status = Status::TRYING;
    notify(turn, dialog, status, "terminated;reason=noresource");
    dialog.take_referring();
}

/// A NOTIFY found no subscription at the peer; the call is not touched by that (RFC 5057 §5.2).
pub(super) fn unsubscribed(dialog: &mut CallDialog) {
    if dialog
        .referring_mut()
        .is_some_and(|referring| referring.waits.is_none())
    {
        dialog.take_referring();
    }
}

fn notify(turn: &mut Turn<'_>, dialog: &mut CallDialog, status: Status, state: &str) {
    let Some(referring) = dialog.referring_mut() else {
        return;
    };
    let event = match referring.id {
        Some(id) => format!("refer;id={id}"),
        None => "refer".to_owned(),
    };
    let expires = if state == "active" {
        format!(";expires={SECONDS}")
    } else {
        String::new()
    };
    let fields = Fields::default()
        .with(HeaderName::Event, format_args!("{event}"))
        .with(
            HeaderName::SubscriptionState,
            format_args!("{state}{expires}"),
        );
    let line = format!("SIP/2.0 {status} {}\r\n", status.reason());
    let body = Body {
        content_type: Bytes::from_static(b"message/sipfrag;version=2.0"),
        bytes: line.into_bytes().into(),
    };
    let kind = Kind::Notify;
    in_order::send(turn, dialog, Ordered { kind, fields, body });
}
