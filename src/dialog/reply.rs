//! What every response copies from its request (RFC 3261 §8.2.6.2), kept until it is sent: a call
//! is answered long after the INVITE's bytes are gone.

use std::net::SocketAddr;

use crate::sip::{HeaderName, Message, Writer};

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
        Writer::lines(&mut fields).repeat(message, source, tag);
        let mut routes = Vec::new();
        Writer::lines(&mut routes).copy(message, HeaderName::RecordRoute);
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
