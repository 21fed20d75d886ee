//! Writes messages into the caller's buffer, header by header.
//!
//! Whatever a value holds, it stays one header: CR, LF and NUL never get through, a fold becomes
//! one space, and a name that is not a token is not written. What belongs into a message is the
//! caller's decision.

use std::fmt::{self, Display, Write};
use std::net::SocketAddr;

use crate::limits::VALUES_MAX;

use super::checked::{Rejection, Request};
use super::class::is_token;
use super::feedback::{self, Feedback};
use super::header::HeaderName;
use super::message::Message;
use super::method::Method;
use super::reply::Reply;
use super::scan::is_space;
use super::status::Status;
use super::via::{Transport, Via};

/// A message being written at the end of a buffer. End it with [`Writer::body`] or
/// [`Writer::end`]; before that it is not a message.
#[must_use]
pub struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    /// What is said of overload in the Via of a client that wants to hear of it.
    feedback: Option<Feedback>,
}

impl<'b> Writer<'b> {
    /// Starts a request. Bytes that cannot stand in a URI are escaped.
    pub fn request(buffer: &'b mut Vec<u8>, method: Method<'_>, uri: &[u8]) -> Self {
        buffer.extend_from_slice(method.as_str().as_bytes());
        buffer.push(b' ');
        for byte in uri {
            if super::class::is_uri(*byte) {
                buffer.push(*byte);
            } else {
                push_display(buffer, format_args!("%{byte:02X}"));
            }
        }
        buffer.extend_from_slice(b" SIP/2.0\r\n");
        Self {
            buffer,
            feedback: None,
        }
    }

    /// Starts a response to a request that came from `source`: Via (with `received` and `rport`
    /// filled), From, To with `tag` unless it has one, Call-ID, CSeq, and Record-Route where a
    /// dialog may start.
    pub fn response(
        buffer: &'b mut Vec<u8>,
        status: Status,
        request: &Request<'_>,
        source: SocketAddr,
        tag: Option<&str>,
    ) -> Self {
        Self::response_telling(buffer, (status, None), request, source, tag)
    }

    /// The same with what is said of overload.
    pub(crate) fn response_telling(
        buffer: &'b mut Vec<u8>,
        (status, feedback): (Status, Option<Feedback>),
        request: &Request<'_>,
        source: SocketAddr,
        tag: Option<&str>,
    ) -> Self {
        let mut writer = Self::status_line(buffer, status);
        writer.feedback = feedback;
        writer.vias(&request.message, Some(&request.via), source);
        writer.copy(&request.message, HeaderName::From);
        writer.to(&request.message, tag.filter(|_| request.to_tag.is_none()));
        writer.copy(&request.message, HeaderName::CallId);
        writer.copy(&request.message, HeaderName::CSeq);
        if status == Status::TRYING {
            // RFC 3261 §8.2.6.1: the peer measures its round trip with it.
            writer.copy(&request.message, HeaderName::Timestamp);
        }
        if carries_record_route(request.method, status) {
            writer.copy(&request.message, HeaderName::RecordRoute);
        }
        writer
    }

    /// Starts a response to a request whose bytes are gone.
    pub fn reply(
        buffer: &'b mut Vec<u8>,
        status: Status,
        reply: &Reply,
        tag: Option<&str>,
    ) -> Self {
        let writer = Self::status_line(buffer, status);
        reply.write(writer.buffer, status, tag);
        writer
    }

    /// Starts the answer to a broken request, from whatever of it could be read. `None` when it
    /// gets no answer.
    pub fn rejection(
        buffer: &'b mut Vec<u8>,
        rejection: &Rejection<'_>,
        source: SocketAddr,
        tag: &str,
    ) -> Option<Self> {
        let (status, message) = (rejection.answer?, rejection.message?);
        let mut writer = Self::status_line(buffer, status);
        writer.repeat(&message, source, tag);
        Some(writer)
    }

    /// Writes header lines alone.
    pub(crate) fn lines(buffer: &'b mut Vec<u8>, feedback: Option<Feedback>) -> Self {
        Self { buffer, feedback }
    }

    /// Writes what a response repeats of a request that came from `source` and may be broken: Via
    /// (with `received` and `rport` filled), From, To with `tag` unless it has one or `tag` is
    /// empty, Call-ID, CSeq (RFC 3261 §8.2.6.2).
    pub(crate) fn repeat(&mut self, message: &Message<'_>, source: SocketAddr, tag: &str) {
        let via = message.via().ok();
        // A tag is only added to what is known to take one.
        let wants_tag = !tag.is_empty() && message.to().is_ok_and(|to| to.tag().is_none());
        self.vias(message, via.as_ref(), source);
        self.fields(message, wants_tag.then_some(tag));
    }

    /// The same of a request that is known to be good.
    pub(crate) fn repeat_checked(&mut self, request: &Request<'_>, source: SocketAddr, tag: &str) {
        let wants_tag = !tag.is_empty() && request.to_tag.is_none();
        self.vias(&request.message, Some(&request.via), source);
        self.fields(&request.message, wants_tag.then_some(tag));
    }

    fn fields(&mut self, message: &Message<'_>, tag: Option<&str>) {
        self.first(message, HeaderName::From);
        self.to(message, tag);
        self.first(message, HeaderName::CallId);
        self.first(message, HeaderName::CSeq);
    }

    fn status_line(buffer: &'b mut Vec<u8>, status: Status) -> Self {
        status_line(buffer, status);
        Self {
            buffer,
            feedback: None,
        }
    }

    /// Writes a header.
    pub fn header(&mut self, name: HeaderName, value: impl Display) -> &mut Self {
        self.name(name.as_str().as_bytes());
        push_display(self.buffer, value);
        self.line_end()
    }

    /// Writes a header whose value is at hand as bytes.
    pub fn bytes(&mut self, name: HeaderName, value: &[u8]) -> &mut Self {
        self.name(name.as_str().as_bytes());
        push_value(self.buffer, value);
        self.line_end()
    }

    /// Writes a header that has no [`HeaderName`]. Nothing is written when `name` is not a token.
    pub fn raw(&mut self, name: &[u8], value: &[u8]) -> &mut Self {
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return self;
        }
        self.name(name);
        push_value(self.buffer, value);
        self.line_end()
    }

    /// Writes our Via, asking for `rport` (RFC 3581).
    pub fn via(
        &mut self,
        transport: Transport<'_>,
        sent_by: impl Display,
        branch: impl Display,
    ) -> &mut Self {
        self.header(
            HeaderName::Via,
            format_args!("SIP/2.0/{transport} {sent_by};branch={branch};rport"),
        )
    }

    /// Copies every line of a header, folds removed.
    pub fn copy(&mut self, message: &Message<'_>, name: HeaderName) -> &mut Self {
        for value in message.headers(name) {
            self.bytes(name, value);
        }
        self
    }

    fn first(&mut self, message: &Message<'_>, name: HeaderName) {
        if let Some(value) = message.header(name) {
            self.bytes(name, value);
        }
    }

    /// Writes Content-Type, Content-Length, the blank line and the body, and so ends the message.
    pub fn body(&mut self, content_type: &str, body: &[u8]) {
        self.header(HeaderName::ContentType, content_type);
        self.header(HeaderName::ContentLength, body.len());
        self.buffer.extend_from_slice(b"\r\n");
        self.buffer.extend_from_slice(body);
    }

    /// Ends a message without a body.
    pub fn end(&mut self) {
        self.bytes(HeaderName::ContentLength, b"0");
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Copies the Via values of a request, one a line, and says in the top one where it came from
    /// if that one could be read. A refused request may have had too many: commas would become
    /// lines.
    pub(super) fn vias(
        &mut self,
        message: &Message<'_>,
        via: Option<&Via<'_>>,
        source: SocketAddr,
    ) {
        let mut values = message.elements(HeaderName::Via);
        let Some(top) = values.next() else {
            return;
        };
        match via {
            Some(via) => self.top_via(via, top, source),
            None => {
                self.bytes(HeaderName::Via, top);
            }
        }
        for value in values.take(VALUES_MAX - 1) {
            self.bytes(HeaderName::Via, value);
        }
    }

    /// Writes the top Via of a request, `value` as it stood there, with where it came from.
    pub(super) fn top_via(&mut self, via: &Via<'_>, value: &[u8], source: SocketAddr) {
        let address = source.ip().to_canonical();
        let asked = via.rport().is_some();
        let feedback = self.feedback.filter(|_| feedback::is_wanted(via));
        let differs = asked || via.is_received() || via.host.address() != Some(address);
        if !differs && feedback.is_none() {
            self.bytes(HeaderName::Via, value);
            return;
        }
        self.name(b"Via");
        let parameters = via.parameters.as_bytes().len();
        push_value(self.buffer, &value[..value.len() - parameters]);
        let is_told = |name: &str| {
            let mut told = feedback::PARAMETERS.iter();
            feedback.is_some() && told.any(|told| told.eq_ignore_ascii_case(name))
        };
        for (name, value) in via.parameters.iter().filter(|(name, _)| !is_told(name)) {
            if name.eq_ignore_ascii_case("rport") {
                self.buffer.extend_from_slice(b";rport=");
                push_display(self.buffer, source.port());
            } else if !name.eq_ignore_ascii_case("received") {
                super::parameters::Written(name, value).write(self.buffer);
            }
        }
        if let Some(feedback) = feedback {
            push_display(self.buffer, feedback);
        }
        // RFC 3261 §18.2.1 where sent-by differs, RFC 3581 §4 always when rport was asked for.
        if differs {
            self.buffer.extend_from_slice(b";received=");
            push_display(self.buffer, address);
        }
        self.line_end();
    }

    /// Copies To and gives it a tag.
    fn to(&mut self, message: &Message<'_>, tag: Option<&str>) {
        if let Some(value) = message.header(HeaderName::To) {
            self.tagged_to(value, tag);
        }
    }

    /// Writes this To with this tag.
    pub(super) fn tagged_to(&mut self, value: &[u8], tag: Option<&str>) {
        self.name(b"To");
        push_value(self.buffer, value);
        if let Some(tag) = tag {
            self.buffer.extend_from_slice(b";tag=");
            push_value(self.buffer, tag.as_bytes());
        }
        self.line_end();
    }

    fn name(&mut self, name: &[u8]) {
        self.buffer.extend_from_slice(name);
        self.buffer.extend_from_slice(b": ");
    }

    fn line_end(&mut self) -> &mut Self {
        self.buffer.extend_from_slice(b"\r\n");
        self
    }
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Writer({} bytes)", self.buffer.len())
    }
}

/// Adds the first line of a response.
pub(crate) fn status_line(buffer: &mut Vec<u8>, status: Status) {
    buffer.extend_from_slice(b"SIP/2.0 ");
    buffer.extend_from_slice(&status.digits());
    for part in [" ", status.reason(), "\r\n"] {
        buffer.extend_from_slice(part.as_bytes());
    }
}

/// RFC 3261 §12.1.1: what may create a dialog carries the route to it.
pub(super) fn carries_record_route(method: Method<'_>, status: Status) -> bool {
    method.forms_dialog() && status > Status::TRYING && !status.is_failure()
}

/// Adds a value, folds made one space, other forbidden bytes made a space each.
pub(super) fn push_value(buffer: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest) {
        let kept = rest[..at].trim_ascii_end();
        buffer.extend_from_slice(kept);
        buffer.push(b' ');
        let after = &rest[at + 1..];
        let space = after.iter().take_while(|byte| is_space(**byte)).count();
        rest = &after[space..];
    }
    buffer.extend_from_slice(rest);
}

/// Adds formatted text, forbidden characters made a space each.
pub(super) fn push_display(buffer: &mut Vec<u8>, value: impl Display) {
    struct Sanitized<'b>(&'b mut Vec<u8>);
    impl Write for Sanitized<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let start = self.0.len();
            self.0.extend_from_slice(text.as_bytes());
            for byte in &mut self.0[start..] {
                if matches!(byte, b'\r' | b'\n' | 0) {
                    *byte = b' ';
                }
            }
            Ok(())
        }
    }
    // Writing to memory cannot fail; a `Display` that fails has written what it could.
    let _ = write!(Sanitized(buffer), "{value}");
}

#[cfg(test)]
mod tests;
