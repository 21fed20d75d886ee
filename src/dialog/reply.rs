//! What every response copies from its request (RFC 3261 §8.2.6.2), kept until it is sent.

use std::io::Write;
use std::net::SocketAddr;

use crate::sip::{HeaderName, Message, Via};

use super::compose::one_line;

/// The part of a response that its request decides: Via to CSeq, in wire form.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    fields: Box<[u8]>,
    /// Record-Route lines; they go into responses that make a dialog (§12.1.1).
    routes: Box<[u8]>,
}

impl Reply {
    /// Copies what is there of a request, which may be broken. `tag` becomes the To tag where
    /// there is none.
    pub(super) fn to(message: &Message<'_>, source: SocketAddr, tag: &str) -> Self {
        let mut fields = Vec::with_capacity(512);
        let mut vias = message.elements(HeaderName::Via);
        if let Some(top) = vias.next() {
            fields.extend_from_slice(b"Via: ");
            top_via(top, source, &mut fields);
            fields.extend_from_slice(b"\r\n");
        }
        for via in vias {
            line(&mut fields, HeaderName::Via, via);
        }
        if let Some(from) = message.header(HeaderName::From) {
            line(&mut fields, HeaderName::From, from);
        }
        if let Some(to) = message.header(HeaderName::To) {
            line(&mut fields, HeaderName::To, to);
            if message.to().is_ok_and(|to| to.tag().is_none()) {
                fields.truncate(fields.len() - 2);
                fields.extend_from_slice(b";tag=");
                fields.extend_from_slice(tag.as_bytes());
                fields.extend_from_slice(b"\r\n");
            }
        }
        for name in [HeaderName::CallId, HeaderName::CSeq] {
            if let Some(value) = message.header(name) {
                line(&mut fields, name, value);
            }
        }
        let mut routes = Vec::new();
        for value in message.headers(HeaderName::RecordRoute) {
            line(&mut routes, HeaderName::RecordRoute, value);
        }
        Self {
            fields: fields.into(),
            routes: routes.into(),
        }
    }

    /// Via to CSeq.
    pub(super) fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Record-Route.
    pub(super) fn routes(&self) -> &[u8] {
        &self.routes
    }
}

fn line(out: &mut Vec<u8>, name: HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    one_line(out, value);
    out.extend_from_slice(b"\r\n");
}

/// RFC 3261 §18.2.1, RFC 3581 §4: the top Via says where the request really came from.
fn top_via(element: &[u8], source: SocketAddr, out: &mut Vec<u8>) {
    let Ok(via) = Via::parse(element) else {
        one_line(out, element);
        return;
    };
    let asked = via.rport().is_some();
    let moved = via.host.address() != Some(source.ip());
    let port = via.port.map(|port| format!(":{port}")).unwrap_or_default();
    write_all(
        out,
        format_args!("SIP/2.0/{} {}{port}", via.transport, via.host),
    );
    for (name, value) in via.parameters.iter() {
        if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
            continue;
        }
        match value {
            None => write_all(out, format_args!(";{name}")),
            Some(value) if value.bytes().any(|byte| b" \t\",;<>=".contains(&byte)) => {
                write_all(out, format_args!(";{name}=\""));
                one_line(out, value.as_bytes());
                out.push(b'"');
            }
            Some(value) => write_all(out, format_args!(";{name}={value}")),
        }
    }
    if moved || asked {
        write_all(out, format_args!(";received={}", source.ip()));
    }
    if asked {
        write_all(out, format_args!(";rport={}", source.port()));
    }
}

fn write_all(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text)
        .expect("writing to a vector cannot fail");
}
