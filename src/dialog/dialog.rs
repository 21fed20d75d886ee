//! One dialog (RFC 3261 §12): its identity, its sequence numbers, where its requests go. Writing
//! the requests is `compose.rs`; what the dialog is used for is a leg or a subscription.

mod resting;

use std::borrow::Cow;
use std::net::SocketAddr;

use offhook_shards::{Source, Transport};

use crate::journal::field::{Field, Reader, fields, write_text};
use crate::seldom::Seldom;
use crate::sip::{self, NameAddr, Request, Response, Uri, text_or_replaced};
use crate::texts::Texts;

use super::authorization::Authorization;
use super::compose::OwnContact;
use super::digits::{self, Digits};
use super::far_end::Way;
use super::packed::Packed;
use super::{SessionUuid, Target};

pub(super) use resting::{Peers, Resting};

/// A local tag: 64 random bits, written as 16 hexadecimal digits (RFC 3261 §19.3 asks for 32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u64);

impl Tag {
    pub(super) fn text(self) -> Digits<16> {
        Digits::new("", self.0)
    }

    /// What [`Self::text`] has written.
    pub(super) fn read(text: &str) -> Option<Self> {
        digits::read(text).map(Self)
    }
}

/// Both halves of a Session-ID (RFC 7989), as they stand in what we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct SessionHalves {
    /// That of who is across, or our own while nobody is.
    pub(super) ours: SessionUuid,
    /// The peer's; zero until it is known.
    pub(super) theirs: SessionUuid,
}

/// Which of a dialog's texts: a call has two dialogs for as long as it lasts, and six small strings
/// in each would be six allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    CallId,
    RemoteTag,
    Local,
    Remote,
    RemoteTarget,
    ContactUser,
}

impl From<Place> for usize {
    fn from(place: Place) -> Self {
        place as Self
    }
}

/// What both ends of a dialog have agreed on.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    texts: Texts<{ Place::ContactUser as usize + 1 }>,
    pub(super) local_tag: Tag,
    /// Whether the peer has named its tag.
    has_remote_tag: bool,
    routes: Seldom<Box<[Route]>>,
    /// How its next hop is found; looked at anew when the peer names another.
    pub(super) way: Way,
    pub(super) local_cseq: u32,
    remote_cseq: Option<u32>,
    peer: Packed,
    /// Whether we are the focus of a conference that the peer is in (RFC 4579).
    pub(super) is_focus: bool,
    /// There when one of the ends uses it.
    pub(super) session_id: Option<Box<SessionHalves>>,
    /// There when the peer may ask us who we are.
    pub(super) authorization: Option<Box<Authorization>>,
}

const _: () = assert!(size_of::<Dialog>() <= 144, "a held call has two of them");

/// One hop of the route set.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Route {
    uri: Box<str>,
    loose: bool,
}

fields!(Tag { 0 });
fields!(Route { uri, loose });
fields!(SessionHalves { ours, theirs });

impl Field for Dialog {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self.call_id(), out);
        self.local_tag.write(out);
        self.has_remote_tag.write(out);
        if let Some(tag) = self.remote_tag() {
            write_text(tag, out);
        }
        write_text(self.local(), out);
        write_text(self.remote(), out);
        write_text(self.remote_target(), out);
        match self.routes.as_ref() {
            Some(routes) => routes.write(out),
            None => Vec::<Route>::new().write(out),
        }
        (self.local_cseq, self.remote_cseq).write(out);
        self.peer().write(out);
        write_text(self.contact_user(), out);
        self.is_focus.write(out);
        self.session_id.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let call_id = String::read(from)?;
        let local_tag: Tag = Field::read(from)?;
        let remote_tag = Option::<String>::read(from)?;
        let [local, remote, remote_target] = [
            String::read(from)?,
            String::read(from)?,
            String::read(from)?,
        ];
        let routes: Box<[Route]> = Field::read(from)?;
        let (local_cseq, remote_cseq) = Field::read(from)?;
        let peer = Target::read(from)?;
        let contact_user = String::read(from)?;
        Some(Self {
            texts: Texts::new([
                &call_id,
                remote_tag.as_deref().unwrap_or_default(),
                &local,
                &remote,
                &remote_target,
                &contact_user,
            ]),
            local_tag,
            has_remote_tag: remote_tag.is_some(),
            routes: seldom(routes),
            way: Way::Unread,
            local_cseq,
            remote_cseq,
            peer: peer.into(),
            is_focus: Field::read(from)?,
            session_id: Field::read(from)?,
            authorization: None,
        })
    }
}

/// The Request-URI and the Route values of a request in a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) request_uri: &'a str,
    pub(super) routes: Vec<&'a str>,
}

/// A dialog before the peer has said a word.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pub(super) call_id: String,
    pub(super) local_tag: Tag,
    pub(super) local: String,
    pub(super) request_uri: &'a str,
    pub(super) target: Target,
    pub(super) contact_user: &'a str,
    pub(super) is_focus: bool,
}

impl Dialog {
    /// The caller's or subscriber's side, before any response.
    pub(super) fn open(opening: &Opening<'_>) -> Self {
        Self {
            texts: Texts::of_parts([
                alone(&opening.call_id),
                alone(""),
                alone(&opening.local),
                in_brackets(opening.request_uri),
                alone(opening.request_uri),
                alone(opening.contact_user),
            ]),
            local_tag: opening.local_tag,
            has_remote_tag: false,
            routes: Seldom::default(),
            way: Way::Unread,
            local_cseq: 1,
            remote_cseq: None,
            peer: opening.target.into(),
            is_focus: opening.is_focus,
            session_id: None,
            authorization: None,
        }
    }

    /// Whether a response asks who we are, and the request may be sent again with the answer.
    pub(super) fn is_challenged(&mut self, response: &Response<'_>, client_nonce: u64) -> bool {
        let first = self.local_cseq.saturating_add(1);
        let authorization = self.authorization.as_deref_mut();
        authorization.is_some_and(|it| it.is_challenged(response, first, client_nonce))
    }

    /// The callee's side (RFC 3261 §12.1.1). `contact` is that of the INVITE.
    pub(super) fn accept(
        request: &Request<'_>,
        contact: &NameAddr<'_>,
        source: Source,
        local_tag: Tag,
    ) -> Self {
        Self {
            texts: Texts::of_parts([
                alone(request.call_id),
                alone(request.from_tag.unwrap_or_default()),
                in_brackets(&text_or_replaced(request.to.uri_bytes)),
                in_brackets(&text_or_replaced(request.from.uri_bytes)),
                alone(&target_uri(contact)),
                alone(request.uri.user.unwrap_or_default()),
            ]),
            local_tag,
            has_remote_tag: true,
            routes: seldom(routes(&request.message).collect()),
            way: Way::Unread,
            local_cseq: 0,
            remote_cseq: Some(request.cseq),
            peer: Target {
                transport: source.transport,
                address: source.remote,
                large_requests: None,
                overload_control: false,
            }
            .into(),
            is_focus: false,
            session_id: None,
            authorization: None,
        }
    }

    /// The caller's side of one of which nothing is left, as a 2xx to its INVITE shows it. Where
    /// that names no address to go to, requests go to `peer`.
    pub(super) fn of_answer(response: &Response<'_>, peer: Target, local_tag: Tag) -> Self {
        let mut dialog = Self::open(&Opening {
            call_id: response.call_id.to_owned(),
            local_tag,
            local: in_brackets(&text_or_replaced(response.from.uri_bytes)).concat(),
            request_uri: &text_or_replaced(response.to.uri_bytes),
            target: peer,
            contact_user: "",
            is_focus: false,
        });
        dialog.confirm(response);
        // Where the next hop is a name, whom the answer came from knows the way.
        dialog.way = Way::Direct;
        dialog
    }

    pub(super) fn call_id(&self) -> &str {
        self.texts.get(Place::CallId)
    }

    /// `None` until the peer has named it; empty for peers of RFC 2543, which have none.
    pub(super) fn remote_tag(&self) -> Option<&str> {
        self.has_remote_tag
            .then(|| self.texts.get(Place::RemoteTag))
    }

    /// Our side as From writes it, without the tag.
    pub(super) fn local(&self) -> &str {
        self.texts.get(Place::Local)
    }

    /// The peer's side as To writes it, without the tag.
    pub(super) fn remote(&self) -> &str {
        self.texts.get(Place::Remote)
    }

    /// The Request-URI of what we send: the peer's Contact once it is known.
    fn remote_target(&self) -> &str {
        self.texts.get(Place::RemoteTarget)
    }

    /// The user of our Contact.
    fn contact_user(&self) -> &str {
        self.texts.get(Place::ContactUser)
    }

    /// Our Contact, but for the way that it is written for.
    pub(super) fn own_contact(&self) -> OwnContact<'_> {
        OwnContact {
            user: self.contact_user(),
            is_focus: self.is_focus,
        }
    }

    /// Takes the peer's side from a 2xx to the request that opened the dialog (§12.1.2).
    pub(super) fn confirm(&mut self, response: &Response<'_>) {
        self.meet(response.to_tag, contact_in(response).as_ref());
        // The caller's route set is the callee's in reverse.
        let mut hops: Vec<Route> = routes(&response.message).collect();
        hops.reverse();
        self.routes = seldom(hops.into());
    }

    /// Takes the peer's side from a NOTIFY that came before the 2xx (RFC 6665 §4.4.1).
    pub(super) fn confirm_by_request(&mut self, request: &Request<'_>) {
        self.meet(request.from_tag, request.contact.as_ref());
        self.routes = seldom(routes(&request.message).collect());
    }

    /// The peer has said who it is, and where it is perhaps.
    fn meet(&mut self, tag: Option<&str>, contact: Option<&NameAddr<'_>>) {
        let tag = (Place::RemoteTag, tag.unwrap_or_default());
        match contact.map(target_uri) {
            Some(target) => self.texts.replace([tag, (Place::RemoteTarget, &target)]),
            None => self.texts.replace([tag]),
        }
        self.has_remote_tag = true;
        self.way = Way::Unread;
    }

    /// Target refresh (§12.2): a new Contact replaces the old one, no Contact changes nothing.
    pub(super) fn refresh(&mut self, contact: Option<Box<str>>) {
        if let Some(uri) = contact.filter(|uri| **uri != *self.remote_target()) {
            self.texts.replace([(Place::RemoteTarget, &uri)]);
            self.way = Way::Unread;
        }
    }

    /// The same with the Contact of a request.
    pub(super) fn refresh_by_request(&mut self, request: &Request<'_>) {
        self.refresh(self.new_contact(request.contact.as_ref()));
    }

    /// The same with the Contact of a response.
    pub(super) fn refresh_by_response(&mut self, response: &Response<'_>) {
        self.refresh(self.new_contact(contact_in(response).as_ref()));
    }

    /// A Contact as a Request-URI, if it is another one than before.
    pub(super) fn new_contact(&self, contact: Option<&NameAddr<'_>>) -> Option<Box<str>> {
        contact_of(contact.filter(|contact| is_other(contact, self.remote_target())))
    }

    /// Whether the peer's side of a message is that of this dialog.
    pub(super) fn is_with(&self, tag: Option<&str>) -> bool {
        self.remote_tag() == Some(tag.unwrap_or_default())
    }

    /// The number of the next request of ours.
    pub(super) fn next_cseq(&mut self) -> u32 {
        // RFC 3261 §8.1.1.5 allows 2^31: more requests than a dialog can live to send.
        self.local_cseq += 1;
        self.local_cseq
    }

    /// RFC 3261 §12.2.2: whether a request of the peer is in order, and if so remembers it. With
    /// `repeatable` the same number may come again.
    pub(super) fn advances(&mut self, cseq: u32, repeatable: bool) -> bool {
        let in_order = match self.remote_cseq {
            None => true,
            Some(last) => cseq > last || (repeatable && cseq == last),
        };
        if in_order {
            self.remote_cseq = Some(cseq);
        }
        in_order
    }

    /// RFC 3261 §12.2.1.1.
    pub(super) fn path(&self) -> Path<'_> {
        let Some(first) = self.routes().first() else {
            return Path {
                request_uri: self.remote_target(),
                routes: Vec::new(),
            };
        };
        let uris = self.routes().iter().map(|route| &*route.uri);
        if first.loose {
            return Path {
                request_uri: self.remote_target(),
                routes: uris.collect(),
            };
        }
        // A strict router takes the Request-URI for its own and puts the last Route there.
        let rest = uris.skip(1).chain(std::iter::once(self.remote_target()));
        Path {
            request_uri: &first.uri,
            routes: rest.collect(),
        }
    }

    fn routes(&self) -> &[Route] {
        self.routes.as_ref().map_or(&[], |routes| routes)
    }

    /// Where the first request went or came from: the way when a URI names no address.
    pub(super) fn peer(&self) -> Target {
        self.peer.target()
    }

    /// The URI that the next request is sent to, whatever is in its Request-URI.
    pub(super) fn first_hop(&self) -> &str {
        self.routes()
            .first()
            .map_or(self.remote_target(), |route| &*route.uri)
    }

    /// Where the next request goes: the first hop, when its URI names an address, or a name that
    /// has been looked up; else the way of the first request.
    pub(super) fn next_hop(&self) -> Target {
        match &self.way {
            Way::Known(target) => return **target,
            Way::Peer => return self.peer(),
            Way::Unread | Way::Direct | Way::Named(_) => {}
        }
        let uri = Uri::parse(self.first_hop().as_bytes()).ok();
        let uri = uri.filter(|_| self.has_remote_tag);
        uri.and_then(|uri| self.direct(&uri))
            .unwrap_or_else(|| self.peer())
    }

    /// Where a URI says that the next request goes; `None` if it leaves it to the peer.
    pub(super) fn direct(&self, uri: &Uri<'_>) -> Option<Target> {
        let ip = uri.host.address()?;
        let peer = self.peer();
        let transport = match uri.transport() {
            Some(sip::Transport::Udp) => Transport::Udp,
            Some(sip::Transport::Tcp) => Transport::Tcp,
            Some(sip::Transport::Tls) => Transport::Tls,
            // RFC 3263 §4.1 says UDP for a bare address; a peer that is reached by TCP and does
            // not say so again means TCP.
            None => peer.transport,
            Some(
                sip::Transport::Sctp
                | sip::Transport::Ws
                | sip::Transport::Wss
                | sip::Transport::Other(_),
            ) => return None,
        };
        let default = if transport == Transport::Tls {
            5061
        } else {
            5060
        };
        let address = SocketAddr::new(ip, uri.port.unwrap_or(default));
        let same = (transport, address) == (peer.transport, peer.address);
        Some(Target {
            transport,
            address,
            large_requests: peer.large_requests.filter(|_| same),
            overload_control: peer.overload_control,
        })
    }
}

/// The Contact of a response, which is not read before somebody asks. A broken one is none.
fn contact_in<'a>(response: &Response<'a>) -> Option<NameAddr<'a>> {
    response.message.contact().ok().flatten()
}

/// A Contact as a Request-URI.
pub(super) fn contact_of(contact: Option<&NameAddr<'_>>) -> Option<Box<str>> {
    Some(target_uri(contact?).into())
}

/// Whether a Contact is another URI than this one.
fn is_other(contact: &NameAddr<'_>, target: &str) -> bool {
    without_headers(contact.uri_bytes) != target.as_bytes()
}

/// A Contact URI as a Request-URI: without headers, which may not stand there (§19.1.1).
fn target_uri<'a>(contact: &NameAddr<'a>) -> Cow<'a, str> {
    text_or_replaced(without_headers(contact.uri_bytes))
}

fn without_headers(uri: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'?', uri);
    &uri[..end.unwrap_or(uri.len())]
}

fn alone(text: &str) -> [&str; 3] {
    [text, "", ""]
}

fn seldom(routes: Box<[Route]>) -> Seldom<Box<[Route]>> {
    Some(routes).filter(|routes| !routes.is_empty()).into()
}

fn in_brackets(uri: &str) -> [&str; 3] {
    ["<", uri, ">"]
}

fn routes(message: &sip::Message<'_>) -> impl Iterator<Item = Route> {
    message
        .record_routes()
        .filter_map(Result::ok)
        .map(|hop| Route {
            uri: text_or_replaced(hop.uri_bytes).into(),
            loose: hop.uri.lr(),
        })
}
