//! What every response copies from its request (RFC 3261 §8.2.6.2), kept until it is sent: a call
//! is answered long after the INVITE's bytes are gone.

use std::net::SocketAddr;

use crate::sip::{Feedback, HeaderName, Message, Request, Writer};

/// The part of a response that its request decides: Via to CSeq, in wire form, and then the
/// Record-Route lines, which go into responses that make a dialog (§12.1.1).
#[derive(Debug, Clone)]
pub(super) struct Reply {
    lines: Vec<u8>,
    /// Where the Record-Route lines begin.
    routes: u32,
}

impl Reply {
    /// Copies what is there of a request into `lines`, which are none yet.
    pub(super) fn to(request: Copied<'_>, mut lines: Vec<u8>) -> Self {
        request.write_fields(&mut lines);
        let routes = u32::try_from(lines.len()).expect("a message is shorter than 4 GB");
        request.write_routes(&mut lines);
        Self { lines, routes }
    }

    /// The same without more room than it needs: a caller may wait for hours.
    pub(super) fn for_long(request: Copied<'_>, scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        let reply = Self::to(request, std::mem::take(scratch));
        let lines = reply.lines.clone();
        *scratch = reply.lines;
        Self {
            lines,
            routes: reply.routes,
        }
    }

    /// Room for the next one.
    pub(super) fn into_room(self) -> Vec<u8> {
        self.lines
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        self.lines.split_at(self.routes as usize)
    }
}

/// Where a response takes what its request decides.
#[derive(Debug, Clone, Copy)]
pub(super) enum Copied<'a> {
    /// From the request, which is answered at once.
    From {
        request: &'a Request<'a>,
        source: SocketAddr,
        /// The To tag where there is none.
        tag: &'a str,
        /// What is said of overload.
        feedback: Option<Feedback>,
    },
    /// From a message that could not be read to its end, with the same.
    Broken {
        message: &'a Message<'a>,
        source: SocketAddr,
        tag: &'a str,
        feedback: Option<Feedback>,
    },
    /// From what was kept of it.
    Kept(&'a Reply),
}

impl Copied<'_> {
    /// Writes Via to CSeq.
    pub(super) fn write_fields(self, out: &mut Vec<u8>) {
        match self {
            Self::From {
                request,
                source,
                tag,
                feedback,
            } => Writer::lines(out, feedback).repeat_checked(request, source, tag),
            Self::Broken {
                message,
                source,
                tag,
                feedback,
            } => Writer::lines(out, feedback).repeat(message, source, tag),
            Self::Kept(reply) => out.extend_from_slice(reply.parts().0),
        }
    }

    /// Writes Record-Route.
    pub(super) fn write_routes(self, out: &mut Vec<u8>) {
        match self {
            Self::From { request, .. } => copy_routes(out, &request.message),
            Self::Broken { message, .. } => copy_routes(out, message),
            Self::Kept(reply) => out.extend_from_slice(reply.parts().1),
        }
    }
}

fn copy_routes(out: &mut Vec<u8>, message: &Message<'_>) {
    Writer::lines(out, None).copy(message, HeaderName::RecordRoute);
}

impl<'a> From<&'a Reply> for Copied<'a> {
    fn from(reply: &'a Reply) -> Self {
        Self::Kept(reply)
    }
}
