//! Writes requests and responses. Whatever the texts hold, what comes out is one well-formed
//! message: control characters become blanks and user parts are escaped, so nothing that came in
//! by a header or from a configuration can add a line of its own.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::Write as _;

use offhook_shards::Transport;

use crate::limits::MAX_FORWARDS;
use crate::sip::feedback::ASKS;
use crate::sip::writer::status_line;
use crate::sip::{HeaderName, Method, Status, escape};

use super::dialog::{Dialog, SessionHalves, Tag};
use super::reply::Copied;
use super::{Body, LegPolicy, Listener, Party};

/// RFC 3261 §20.5: what we understand.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, PRACK, UPDATE";

/// RFC 3261 §20.37: the extensions that a response of ours may name.
pub(super) const SUPPORTED: &str = "timer, replaces";

/// What we understand from whoever may transfer.
const ALLOW_REFER: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, PRACK, UPDATE, REFER";

/// What we understand from the far end of a trunk.
pub(super) fn allow(policy: &LegPolicy) -> &'static str {
    if policy.refer { ALLOW_REFER } else { ALLOW }
}

/// What most lines come to, so that one alone is one allocation.
const LINE_BYTES: usize = 64;

/// Header lines, complete with their ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// No lines yet, in room that was used before.
    pub(super) fn in_room(room: Vec<u8>) -> Self {
        Self(room)
    }

    /// The room, to be used again.
    pub(super) fn into_room(self) -> Vec<u8> {
        self.0
    }

    /// Adds one line; control characters in `value` become blanks.
    pub(super) fn with(mut self, name: HeaderName, value: Arguments<'_>) -> Self {
        self.0.reserve(LINE_BYTES);
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        let start = self.0.len();
        put(&mut self.0, value);
        for byte in &mut self.0[start..] {
            *byte = visible(*byte);
        }
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Adds one line whose value is at hand; control characters in it become blanks.
    pub(super) fn with_text(mut self, name: HeaderName, value: &str) -> Self {
        let name = name.as_str();
        self.0.reserve(name.len() + value.len() + 4);
        self.push(name, value.as_bytes());
        self
    }

    /// Adds lines that were written before.
    pub(super) fn and(mut self, others: &Self) -> Self {
        self.0.extend_from_slice(&others.0);
        self
    }

    /// Adds a header that somebody else wrote, unless it is none or is one that routing needs:
    /// those are ours alone.
    pub(super) fn carry(&mut self, name: &str, value: &str) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return;
        }
        match HeaderName::lookup(name.as_bytes()) {
            Some(known) if is_reserved(known) => {}
            Some(_) | None => self.push(name, value.as_bytes()),
        }
    }

    fn push(&mut self, name: &str, value: &[u8]) {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        one_line(&mut self.0, value);
        self.0.extend_from_slice(b"\r\n");
    }
}

fn is_reserved(name: HeaderName) -> bool {
    [
        HeaderName::Via,
        HeaderName::From,
        HeaderName::To,
        HeaderName::CallId,
        HeaderName::CSeq,
        HeaderName::Contact,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::MaxForwards,
        HeaderName::ContentLength,
        HeaderName::ContentType,
        HeaderName::ContentEncoding,
        HeaderName::Require,
        HeaderName::ProxyRequire,
    ]
    .contains(&name)
}

/// A request before its transport is chosen.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) method: Method<'static>,
    pub(super) request_uri: &'a str,
    pub(super) routes: Vec<&'a str>,
    /// From without its tag.
    pub(super) local: &'a str,
    pub(super) local_tag: Tag,
    /// To without its tag.
    pub(super) remote: &'a str,
    pub(super) remote_tag: Option<&'a str>,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
    pub(super) session_id: Option<SessionHalves>,
    pub(super) max_forwards: u8,
    /// Whether its Via asks to hear of overload (RFC 7339).
    pub(super) overload_control: bool,
    /// Where the method has one.
    pub(super) contact: Option<OwnContact<'a>>,
    /// What shows who we are, where that was asked.
    pub(super) authorization: Fields,
    pub(super) fields: Fields,
    pub(super) body: Option<&'a Body>,
}

impl<'a> Draft<'a> {
    /// A request in a dialog, without body and further headers.
    pub(super) fn within(dialog: &'a Dialog, method: Method<'static>, cseq: u32) -> Self {
        let path = dialog.path();
        let authorization = dialog.authorization.as_deref();
        let authorization = authorization.map(|it| it.fields(method, path.request_uri, cseq));
        Draft {
            method,
            request_uri: path.request_uri,
            routes: path.routes,
            local: dialog.local(),
            local_tag: dialog.local_tag,
            remote: dialog.remote(),
            remote_tag: dialog.remote_tag(),
            call_id: dialog.call_id(),
            cseq,
            session_id: dialog.session_id.as_deref().copied(),
            max_forwards: MAX_FORWARDS,
            overload_control: dialog.peer().overload_control,
            contact: None,
            authorization: authorization.unwrap_or_default(),
            fields: Fields::default(),
            body: None,
        }
    }

    /// Writes the message as it goes over `transport`, from `listener`.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        transport: Transport,
        listener: &Listener,
        branch: &str,
        user_agent: &str,
    ) {
        out.clear();
        let method = self.method.as_str();
        parts(out, [method, " ", self.request_uri, " SIP/2.0\r\n"]);
        // RFC 3581 §3: asked for on UDP; a stream's answer comes back on the stream.
        let (name, rport) = match transport {
            Transport::Udp => ("UDP ", ";rport"),
            Transport::Tcp => ("TCP ", ""),
            Transport::Tls => ("TLS ", ""),
        };
        parts(out, ["Via: SIP/2.0/", name, &listener.advertised]);
        let asks = if self.overload_control { ASKS } else { "" };
        parts(out, [";branch=", branch, rport, asks, "\r\n"]);
        out.extend_from_slice(b"Max-Forwards: ");
        number(out, u32::from(self.max_forwards));
        out.extend_from_slice(b"\r\n");
        for route in &self.routes {
            parts(out, ["Route: <", route, ">\r\n"]);
        }
        parts(out, ["From: ", self.local, ";tag=", &self.local_tag.text()]);
        parts(out, ["\r\nTo: ", self.remote]);
        if let Some(tag) = self.remote_tag.filter(|tag| !tag.is_empty()) {
            parts(out, [";tag=", tag]);
        }
        parts(out, ["\r\nCall-ID: ", self.call_id, "\r\nCSeq: "]);
        number(out, self.cseq);
        parts(out, [" ", method, "\r\n"]);
        if let Some(own) = self.contact {
            write_contact(out, own, transport, listener);
        }
        if !user_agent.is_empty() {
            out.extend_from_slice(b"User-Agent: ");
            one_line(out, user_agent.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        write_session_id(out, self.session_id);
        out.extend_from_slice(&self.authorization.0);
        out.extend_from_slice(&self.fields.0);
        end(out, self.body);
    }
}

fn write_session_id(out: &mut Vec<u8>, halves: Option<SessionHalves>) {
    if let Some(SessionHalves { ours, theirs }) = halves {
        out.extend_from_slice(b"Session-ID: ");
        for (uuid, end) in [(ours, ";remote="), (theirs, "\r\n")] {
            parts(out, [&uuid.text(), end]);
        }
    }
}

/// What a response says beyond what its request decides.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    /// Contact, in responses that make or refresh a dialog; Record-Route goes with it.
    pub(super) contact: Option<OwnContact<'a>>,
    pub(super) session_id: Option<SessionHalves>,
    pub(super) fields: Fields,
    pub(super) body: Option<&'a Body>,
}

/// Writes a whole response.
pub(super) fn response(
    out: &mut Vec<u8>,
    status: Status,
    copied: Copied<'_>,
    answer: &Answer<'_>,
    (transport, listener): (Transport, &Listener),
    server: &str,
) {
    out.clear();
    status_line(out, status);
    copied.write_fields(out);
    if let Some(own) = answer.contact {
        copied.write_routes(out);
        write_contact(out, own, transport, listener);
    }
    if !server.is_empty() {
        out.extend_from_slice(b"Server: ");
        one_line(out, server.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    write_session_id(out, answer.session_id);
    out.extend_from_slice(&answer.fields.0);
    end(out, answer.body);
}

/// What is said in a Contact of ours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OwnContact<'a> {
    /// The user part; may be empty.
    pub(super) user: &'a str,
    /// Whether we are the focus of a conference.
    pub(super) is_focus: bool,
}

/// A Contact of ours, which names a listener.
fn write_contact(
    out: &mut Vec<u8>,
    own: OwnContact<'_>,
    transport: Transport,
    listener: &Listener,
) {
    let OwnContact { user, is_focus } = own;
    // RFC 4579 §5.1: a parameter of the header, not of the URI.
    let focus = if is_focus { ";isfocus" } else { "" };
    let parameter = match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        // RFC 5630 §3.1.3 calls it deprecated; every PBX in the field reads and writes it.
        Transport::Tls => ";transport=tls",
    };
    out.extend_from_slice(b"Contact: <sip:");
    if stands_as_it_is(user) {
        out.extend_from_slice(user.as_bytes());
    } else {
        out.extend(escaped_user(user).map(|character| character as u8));
    }
    let at = if user.is_empty() { "" } else { "@" };
    parts(
        out,
        [at, &listener.advertised, parameter, ">", focus, "\r\n"],
    );
}

/// A name-addr for From and P-Asserted-Identity.
pub(super) fn name_addr(display_name: &str, user: &str, host: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    let mut text = String::with_capacity(display_name.len() + user.len() + host.len() + 16);
    if !display_name.is_empty() {
        text.push('"');
        for character in display_name
            .chars()
            .filter(|character| !character.is_control())
        {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push_str("\" ");
    }
    text.push_str("<sip:");
    if stands_as_it_is(user) {
        text.push_str(user);
    } else {
        text.extend(escaped_user(user));
    }
    for part in [at, host, ">"] {
        text.push_str(part);
    }
    text
}

/// The From of a call; RFC 3323 §4.1.1.3 for those who hide.
pub(super) fn from_of(calling: &Party, host: &str) -> String {
    if calling.private || calling.number.is_empty() {
        return "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned();
    }
    name_addr(&calling.display_name, &calling.number, host)
}

/// A URI that may stand in a request line: what cannot is left out.
pub(super) fn clean_uri(uri: &str) -> Cow<'_, str> {
    let may_stand =
        |character: &char| character.is_ascii_graphic() && !matches!(character, '<' | '>' | '"');
    if uri.chars().all(|character| may_stand(&character)) {
        return Cow::Borrowed(uri);
    }
    uri.chars().filter(may_stand).collect()
}

/// Copies a value; line ends of folds, and any other control character, become blanks.
pub(super) fn one_line(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().map(|&byte| visible(byte)));
}

fn visible(byte: u8) -> u8 {
    if byte < b' ' || byte == 0x7f {
        b' '
    } else {
        byte
    }
}

fn stands_in_user(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

/// Whether nothing in a user part has to be escaped, as in all numbers.
fn stands_as_it_is(user: &str) -> bool {
    user.bytes().all(stands_in_user)
}

/// RFC 3261 §25.1, user: what may not stand there is escaped. ASCII alone comes out.
fn escaped_user(user: &str) -> impl Iterator<Item = char> {
    let bytes = user.as_bytes();
    bytes.iter().enumerate().flat_map(|(at, &byte)| {
        let stands = stands_in_user(byte) || escape(&bytes[at..]).is_some();
        let digit = |half: u8| char::from(b"0123456789ABCDEF"[usize::from(half)]);
        let escaped = ['%', digit(byte >> 4), digit(byte & 0xf)];
        let (plain, escaped) = if stands {
            (Some(char::from(byte)), None)
        } else {
            (None, Some(escaped))
        };
        plain.into_iter().chain(escaped.into_iter().flatten())
    })
}

fn end(out: &mut Vec<u8>, body: Option<&Body>) {
    let Some(body) = body else {
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        return;
    };
    out.extend_from_slice(b"Content-Type: ");
    one_line(out, &body.content_type);
    out.extend_from_slice(b"\r\nContent-Length: ");
    number(out, u32::try_from(body.bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&body.bytes);
}

fn parts<const COUNT: usize>(out: &mut Vec<u8>, parts: [&str; COUNT]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Adds a number in decimal digits.
fn number(out: &mut Vec<u8>, number: u32) {
    let mut digits = [0; 10];
    let (mut start, mut rest) = (digits.len(), number);
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return out.extend_from_slice(&digits[start..]);
        }
    }
}

fn put(out: &mut Vec<u8>, text: Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a vector cannot fail");
}
