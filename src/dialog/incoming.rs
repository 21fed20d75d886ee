//! Whether a request may be looked at: the checks of RFC 3261 §8.2 in their order. A broken
//! version or syntax never gets here (`sip` rejects it); an ACK is never asked, as it is never
//! answered; a CANCEL is only matched (§9.2).

use crate::counters::Counter;
use crate::sip::{HeaderName, Message, Method, Request, Scheme, Status, Via};

use super::Body;
use super::compose::{ALLOW, Fields};
use super::core::Core;
use super::turn::body_of;

/// The media types that a session may be described in.
const SESSION_TYPES: [&str; 2] = ["application/sdp", "multipart/mixed"];

/// A request that is not served, and why.
#[derive(Debug)]
pub(super) struct Unserved {
    pub(super) status: Status,
    pub(super) counter: Counter,
    pub(super) fields: Fields,
}

impl Unserved {
    fn new(status: Status, counter: Counter) -> Self {
        Self {
            status,
            counter,
            fields: Fields::default(),
        }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.fields = self.fields.with_text(name, value);
        self
    }
}

/// Looks at a request in the order of §8.2.
pub(super) fn check(core: &Core, request: &Request<'_>) -> Result<(), Unserved> {
    check_method(request)?;
    check_scheme(request)?;
    check_loop(core, request)?;
    check_extensions(request)?;
    match request.method {
        Method::Invite => {
            check_content(request)?;
            check_accept(request)
        }
        Method::Options | Method::Update | Method::Prack => check_content(request),
        // A call must be able to end, and what a NOTIFY brings is judged above.
        Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Subscribe
        | Method::Notify
        | Method::Publish
        | Method::Info
        | Method::Refer
        | Method::Message
        | Method::Other(_) => Ok(()),
    }
}

/// RFC 7332: what has passed here before must not pass again. An initial request of our own that
/// comes back is found by its From tag, whatever became of its Vias.
fn check_loop(core: &Core, request: &Request<'_>) -> Result<(), Unserved> {
    let is_ours = |via: &Via<'_>| core.is_ours(&via.host, via.sent_by_port());
    // The top one is read already.
    let others = request.message.elements(HeaderName::Via).skip(1);
    let through_us = is_ours(&request.via)
        || others
            .filter_map(|via| Via::parse(via).ok())
            .any(|via| is_ours(&via));
    let from_us = request.to_tag.is_none()
        && request
            .from_tag
            .is_some_and(|tag| core.table.find(request.call_id, tag).is_some());
    if through_us || from_us {
        return Err(Unserved::new(Status::LOOP_DETECTED, Counter::RequestLoop));
    }
    Ok(())
}

fn check_scheme(request: &Request<'_>) -> Result<(), Unserved> {
    match request.uri.scheme {
        Scheme::Sip | Scheme::Tel => Ok(()),
        // RFC 3261 §26.2.2: `sips` promises TLS, which we do not speak.
        Scheme::Sips | Scheme::Other(_) => Err(Unserved::new(
            Status::UNSUPPORTED_URI_SCHEME,
            Counter::RequestUnsupported,
        )),
    }
}

fn check_method(request: &Request<'_>) -> Result<(), Unserved> {
    let status = match request.method {
        Method::Invite
        | Method::Ack
        | Method::Cancel
        | Method::Bye
        | Method::Options
        | Method::Notify
        | Method::Info
        | Method::Refer
        | Method::Update
        | Method::Prack => return Ok(()),
        Method::Register | Method::Subscribe | Method::Publish | Method::Message => {
            Status::METHOD_NOT_ALLOWED
        }
        Method::Other(_) => Status::NOT_IMPLEMENTED,
    };
    Err(Unserved::new(status, Counter::RequestMethod).with(HeaderName::Allow, ALLOW))
}

/// Extensions that a request may require: RFC 3262, RFC 4028, RFC 3891, RFC 4488.
const EXTENSIONS: [&str; 4] = ["100rel", "timer", "replaces", "norefersub"];

/// §8.2.2.3.
fn check_extensions(request: &Request<'_>) -> Result<(), Unserved> {
    let known = |tag: &&str| {
        EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(tag))
    };
    let required: Vec<&str> = request
        .message
        .require()
        .filter(|tag| !known(tag))
        .collect();
    if required.is_empty() {
        return Ok(());
    }
    let unserved = Unserved::new(Status::BAD_EXTENSION, Counter::RequestExtension);
    Err(unserved.with(HeaderName::Unsupported, &required.join(", ")))
}

/// §20.1, §21.4.7: our 2xx would bring a session description, and the caller takes none.
fn check_accept(request: &Request<'_>) -> Result<(), Unserved> {
    let mut accepted = request.message.headers(HeaderName::Accept).peekable();
    let takes_sessions = accepted.peek().is_none()
        || accepted.any(|value| {
            let value = value.to_ascii_lowercase();
            let ranges = [
                &b"application/sdp"[..],
                b"application/*",
                b"*/*",
                b"multipart/",
            ];
            ranges
                .iter()
                .any(|range| memchr::memmem::find(&value, range).is_some())
        });
    if takes_sessions {
        return Ok(());
    }
    Err(Unserved::new(
        Status::NOT_ACCEPTABLE,
        Counter::RequestUnsupported,
    ))
}

/// §8.2.3.
fn check_content(request: &Request<'_>) -> Result<(), Unserved> {
    let message = &request.message;
    if message.body().is_empty() {
        return Ok(());
    }
    let unserved = Unserved::new(Status::UNSUPPORTED_MEDIA_TYPE, Counter::RequestUnsupported);
    let optional = message
        .content_disposition()
        .is_ok_and(|found| found.is_some_and(|disposition| disposition.is_optional()));
    if optional {
        return Ok(());
    }
    if !is_of_session_type(message) {
        return Err(unserved.with(HeaderName::Accept, &SESSION_TYPES.join(", ")));
    }
    if is_encoded(message) {
        return Err(unserved.with(HeaderName::AcceptEncoding, "identity"));
    }
    Ok(())
}

/// The offer of an INVITE that passed [`check`]: a body of another kind got here only as one that
/// may be ignored, and is.
pub(super) fn offer_of(message: &Message<'_>) -> Option<Body> {
    if brings_offer(message) {
        body_of(message)
    } else {
        None
    }
}

/// Whether there is one.
pub(super) fn brings_offer(message: &Message<'_>) -> bool {
    !message.body().is_empty() && is_of_session_type(message) && !is_encoded(message)
}

fn is_of_session_type(message: &Message<'_>) -> bool {
    let content_type = message.content_type().ok().flatten();
    content_type.is_some_and(|content_type| {
        SESSION_TYPES
            .iter()
            .any(|media_type| content_type.is(media_type))
    })
}

fn is_encoded(message: &Message<'_>) -> bool {
    let mut encodings = message.tokens(HeaderName::ContentEncoding);
    encodings.any(|encoding| !encoding.eq_ignore_ascii_case("identity"))
}
