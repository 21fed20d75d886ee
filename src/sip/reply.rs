//! What every response to one request repeats, copied out of the request once.
//!
//! A call is answered long after the INVITE's bytes are gone. One allocation here replaces keeping
//! the datagram.

use std::net::SocketAddr;

use super::checked::Request;
use super::header::HeaderName;
use super::status::Status;
use super::writer::{Writer, carries_record_route, push_display, push_value};

/// The header lines of responses to one request. Write with [`Writer::reply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Via, From, Call-ID and CSeq lines; Record-Route lines; To without its line end.
    lines: Box<[u8]>,
    record_route_start: u32,
    to_start: u32,
    /// The request had a tag in To, so none is added.
    has_tag: bool,
    forms_dialog: bool,
}

impl Reply {
    /// Copies the lines of a request that came from `source`.
    #[must_use]
    pub fn new(request: &Request<'_>, source: SocketAddr) -> Self {
        let mut lines = Vec::with_capacity(512);
        let message = &request.message;
        let mut writer = Writer::lines(&mut lines, None);
        writer.vias(message, Some(&request.via), source);
        writer.copy(message, HeaderName::From);
        writer.copy(message, HeaderName::CallId);
        writer.copy(message, HeaderName::CSeq);
        let record_route_start = position(lines.len());
        Writer::lines(&mut lines, None).copy(message, HeaderName::RecordRoute);
        let to_start = position(lines.len());
        lines.extend_from_slice(b"To: ");
        push_value(
            &mut lines,
            message.header(HeaderName::To).unwrap_or_default(),
        );
        Self {
            lines: lines.into_boxed_slice(),
            record_route_start,
            to_start,
            has_tag: request.to_tag.is_some(),
            forms_dialog: carries_record_route(request.method, Status::OK),
        }
    }

    /// The bytes kept, for accounts of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn write(&self, buffer: &mut Vec<u8>, status: Status, tag: Option<&str>) {
        let (record_route, to) = (self.record_route_start as usize, self.to_start as usize);
        buffer.extend_from_slice(&self.lines[..record_route]);
        if self.forms_dialog && status > Status::TRYING && !status.is_failure() {
            buffer.extend_from_slice(&self.lines[record_route..to]);
        }
        buffer.extend_from_slice(&self.lines[to..]);
        if let Some(tag) = tag.filter(|_| !self.has_tag) {
            push_display(buffer, format_args!(";tag={tag}"));
        }
        buffer.extend_from_slice(b"\r\n");
    }
}

fn position(length: usize) -> u32 {
    u32::try_from(length).expect("the copied headers of one message are shorter than 4 GiB")
}
