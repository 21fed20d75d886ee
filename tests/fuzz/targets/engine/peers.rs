//! Who is around the server: what they were asked, and the dialogs that they have with it.

use std::net::SocketAddr;

use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, Method, Request, Response};

/// The PBX, the other one, the carrier, a stranger, who answers for media, who needs a password.
const ADDRESSES: [&str; 6] = [
    "192.0.2.20:5060",
    "192.0.2.21:5060",
    "192.0.2.30:5060",
    "203.0.113.7:5060",
    "192.0.2.50:5060",
    "192.0.2.40:5060",
];
/// What is kept of the past.
const KEPT_MAX: usize = 64;

/// The address of a peer.
pub(super) fn address(who: usize) -> SocketAddr {
    ADDRESSES[who % ADDRESSES.len()]
        .parse()
        .expect("an address")
}

/// A request of the server's.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) by: SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) is_answered: bool,
}

/// A dialog with the server, as a peer knows it.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) peer: SocketAddr,
    pub(super) call_id: String,
    pub(super) own_tag: String,
    pub(super) their_tag: String,
    /// The server's Contact.
    pub(super) target: String,
    /// The number of our last request.
    pub(super) cseq: u32,
    /// Number, branch and Request-URI of our last INVITE.
    pub(super) invite: (u32, String, String),
    /// The last reliable provisional response: RSeq and number.
    pub(super) reliable: (u32, u32),
    pub(super) is_subscription: bool,
}

/// What peers remember.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) asked: Vec<Asked>,
    pub(super) dialogs: Vec<Dialog>,
    /// Datagrams that were sent, to be sent again.
    pub(super) said: Vec<(SocketAddr, Vec<u8>)>,
    pub(super) unique: u32,
}

impl Peers {
    /// A number that was not used yet.
    pub(super) fn unique(&mut self) -> u32 {
        self.unique += 1;
        self.unique
    }

    /// One of the past by how far back it is.
    pub(super) fn newest<T>(list: &[T], back: usize) -> Option<usize> {
        (!list.is_empty()).then(|| list.len() - 1 - back % list.len())
    }

    /// The server says something to a peer.
    pub(super) fn hear(&mut self, to: SocketAddr, bytes: &[u8]) {
        let mut index = HeaderIndex::new();
        match Message::receive(bytes, &mut index) {
            Ok(Checked::Request(request)) if request.method != Method::Ack => {
                self.asked_by(to, bytes);
            }
            Ok(Checked::Response(response)) => self.answered(&response),
            Ok(Checked::Request(_)) | Err(_) => {}
        }
    }

    fn asked_by(&mut self, by: SocketAddr, bytes: &[u8]) {
        if self.asked.iter().any(|asked| asked.bytes == bytes) {
            return;
        }
        if self.asked.len() == KEPT_MAX {
            self.asked.remove(0);
        }
        let bytes = bytes.to_vec();
        self.asked.push(Asked {
            by,
            bytes,
            is_answered: false,
        });
    }

    /// A response makes or confirms the dialog of its request.
    fn answered(&mut self, response: &Response<'_>) {
        let (Some(own), Some(their)) = (response.from_tag, response.to_tag) else {
            return;
        };
        let contact = response.message.contact().ok().flatten();
        let target = contact.map(|contact| contact.uri.to_string());
        let known = self.dialogs.iter_mut().rev().find(|dialog| {
            dialog.call_id == response.call_id
                && dialog.own_tag == own
                && (dialog.their_tag.is_empty() || dialog.their_tag == their)
        });
        let Some(dialog) = known else {
            return;
        };
        dialog.their_tag = their.to_owned();
        if let Some(target) = target {
            dialog.target = target;
        }
        if let Ok(Some(rseq)) = response.message.rseq() {
            dialog.reliable = (rseq, response.cseq);
        }
    }

    /// A peer begins a dialog with an INVITE.
    pub(super) fn begin(&mut self, dialog: Dialog) {
        if self.dialogs.len() == KEPT_MAX {
            self.dialogs.remove(0);
        }
        self.dialogs.push(dialog);
    }

    /// A peer has answered a request, which makes a dialog if there is none yet.
    pub(super) fn accept(&mut self, peer: SocketAddr, request: &Request<'_>, own_tag: &str) {
        let is_subscription = request.method == Method::Subscribe;
        let makes_one = is_subscription || request.method == Method::Invite;
        let their_tag = request.from_tag.unwrap_or_default();
        let contact = request.message.contact().ok().flatten();
        let target = contact.map(|contact| contact.uri.to_string());
        let known = self
            .dialogs
            .iter_mut()
            .find(|dialog| dialog.call_id == request.call_id && dialog.their_tag == their_tag);
        if let Some(dialog) = known {
            dialog.target = target.unwrap_or_else(|| dialog.target.clone());
            return;
        }
        let Some(target) = target.filter(|_| makes_one) else {
            return;
        };
        let cseq = 1 + self.unique();
        self.begin(Dialog {
            peer,
            call_id: request.call_id.to_owned(),
            own_tag: own_tag.to_owned(),
            their_tag: their_tag.to_owned(),
            target,
            cseq,
            invite: (0, String::new(), String::new()),
            reliable: (0, 0),
            is_subscription,
        });
    }
}

/// The To tag that a peer gives its answers to a request.
pub(super) fn tag_for(request: &Request<'_>) -> String {
    match request.to_tag {
        Some(tag) => tag.to_owned(),
        None => format!("p{}", request.call_id.get(..8).unwrap_or("x")),
    }
}

/// Whether a message carries a description, or asks for one.
pub(super) fn wants_description(request: &Request<'_>) -> bool {
    request.method == Method::Invite || !request.message.body().is_empty()
}

/// The value of a header of a message of the server's.
pub(super) fn header<'a>(request: &Request<'a>, name: HeaderName) -> Option<&'a str> {
    std::str::from_utf8(request.message.header(name)?).ok()
}
