//! What both ends of a dialog remember (RFC 3261 §12), from our side of it.

use std::net::SocketAddr;

use offhook::sip::{HeaderName, Message, Method, NameAddr, Request, Response, Uri};

use super::message::Outgoing;
use super::session::Replaces;

/// A dialog, seen from our end.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// Our From in requests, with our tag.
    pub(super) local: String,
    /// Our To in requests, with the peer's tag when it is known.
    pub(super) remote: String,
    local_tag: String,
    remote_tag: String,
    target: String,
    routes: Vec<String>,
    /// Of the last request we sent.
    pub(super) cseq: u32,
    /// Of the last request the peer sent.
    remote_cseq: u32,
    /// Where the peer is when its Contact names no address.
    peer: SocketAddr,
}

impl Dialog {
    /// The dialog that our answer with `tag` makes of a request.
    pub(super) fn of_request(request: &Request<'_>, source: SocketAddr, tag: &str) -> Self {
        let message = &request.message;
        let from = value(message, HeaderName::From);
        Self {
            call_id: request.call_id.to_owned(),
            local: format!("{};tag={tag}", value(message, HeaderName::To)),
            target: contact(message).unwrap_or_else(|| text(request.from.uri_bytes)),
            remote: from,
            local_tag: tag.to_owned(),
            remote_tag: request.from_tag.unwrap_or_default().to_owned(),
            routes: message
                .elements(HeaderName::RecordRoute)
                .map(text)
                .collect(),
            // UCM's requests begin with 101.
            cseq: 100,
            remote_cseq: request.cseq,
            peer: source,
        }
    }

    /// The dialog that a response makes of our request.
    pub(super) fn of_response(
        request: &Outgoing,
        local_tag: &str,
        response: &Response<'_>,
        peer: SocketAddr,
    ) -> Self {
        let message = &response.message;
        let mut routes: Vec<_> = message
            .elements(HeaderName::RecordRoute)
            .map(text)
            .collect();
        routes.reverse();
        Self {
            call_id: request.call_id.clone(),
            local: request.from.clone(),
            remote: value(message, HeaderName::To),
            local_tag: local_tag.to_owned(),
            remote_tag: response.to_tag.unwrap_or_default().to_owned(),
            target: contact(message).unwrap_or_else(|| request.uri.clone()),
            routes,
            cseq: request.cseq,
            remote_cseq: 0,
            peer,
        }
    }

    /// Whether a request is of this dialog.
    pub(super) fn owns(&self, request: &Request<'_>) -> bool {
        request.call_id == self.call_id
            && request.to_tag == Some(self.local_tag.as_str())
            && request.from_tag.unwrap_or_default() == self.remote_tag
    }

    /// This dialog as its peer knows it (RFC 3891 §3).
    pub(super) fn replaces(&self) -> Replaces {
        Replaces {
            call_id: self.call_id.clone(),
            to_tag: self.remote_tag.clone(),
            from_tag: self.local_tag.clone(),
        }
    }

    /// Takes the number of a request of the peer's; `false` when it is older than the last
    /// (RFC 3261 §12.2.2).
    pub(super) fn advance(&mut self, request: &Request<'_>) -> bool {
        if request.cseq <= self.remote_cseq {
            return false;
        }
        self.remote_cseq = request.cseq;
        true
    }

    /// Takes the peer's present Contact from a target refresh (RFC 3261 §12.2).
    pub(super) fn refresh(&mut self, message: &Message<'_>) {
        if let Some(target) = contact(message) {
            self.target = target;
        }
    }

    /// Our next request.
    pub(super) fn request(&mut self, method: Method<'static>) -> Outgoing {
        self.cseq += 1;
        self.with_number(method, self.cseq)
    }

    /// A request with the number of another: an ACK.
    pub(super) fn with_number(&self, method: Method<'static>, cseq: u32) -> Outgoing {
        Outgoing {
            method,
            uri: self.target.clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            routes: self.routes.clone(),
            max_forwards: 70,
            fields: String::new(),
            body: None,
        }
    }

    /// Where our requests go: the first route or the target; the peer if that is only a name.
    pub(super) fn next_hop(&self) -> SocketAddr {
        let next = match self.routes.first() {
            Some(route) => NameAddr::parse(route.as_bytes()).map(|route| route.uri),
            None => Uri::parse(self.target.as_bytes()),
        };
        let address = next.ok().and_then(|uri| {
            let host = uri.host.address()?;
            Some(SocketAddr::new(host, uri.port.unwrap_or(5060)))
        });
        address.unwrap_or(self.peer)
    }
}

fn value(message: &Message<'_>, name: HeaderName) -> String {
    text(message.header(name).unwrap_or_default())
}

/// A header value as text on one line.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(['\r', '\n'], " ")
}

fn contact(message: &Message<'_>) -> Option<String> {
    let contact = message.contact().ok().flatten()?;
    Some(text(contact.uri_bytes))
}
