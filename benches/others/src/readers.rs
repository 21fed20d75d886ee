//! One function for each parser: from the bytes of a request to the typed headers that route it.

use std::fmt;
use std::hint::black_box;

use bytes::Bytes;
use offhook::sip::{Checked, HeaderIndex, Message};

/// What every parser must find.
pub(crate) struct Facts<'a> {
    pub(crate) user: &'a str,
    pub(crate) branch: &'a str,
    pub(crate) from_user: &'a str,
    pub(crate) from_tag: &'a str,
    pub(crate) to_user: &'a str,
    pub(crate) to_tag: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    pub(crate) max_forwards: u32,
    pub(crate) contact_user: &'a str,
    /// Route and Record-Route values.
    pub(crate) routes: usize,
}

// The line that the program in C prints, too.
impl fmt::Display for Facts<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} {} {} {} {} {} {} {} {} {}",
            self.user,
            self.branch,
            self.from_user,
            self.from_tag,
            self.to_user,
            self.to_tag,
            self.call_id,
            self.cseq,
            self.max_forwards,
            self.contact_user,
            self.routes
        )
    }
}

/// Given what was read, before it is dropped.
pub(crate) type See<'a> = &'a mut dyn FnMut(&Facts<'_>);

const NONE: &str = "-";

pub(crate) fn offhook(bytes: &'static [u8], index: &mut HeaderIndex, see: See<'_>) {
    let Ok(Checked::Request(request)) = Message::receive(bytes, index) else {
        panic!("the sample is a request");
    };
    let message = request.message;
    let contact = request.contact.expect("there");
    let (from, to) = (request.from.read(), request.to.read());
    let (from, to) = (from.expect("legal"), to.expect("legal"));
    let routes = message.routes().chain(message.record_routes());
    see(&Facts {
        user: request.uri.user.unwrap_or(NONE),
        branch: request.via.branch().unwrap_or(NONE),
        from_user: from.uri.user.unwrap_or(NONE),
        from_tag: request.from_tag.unwrap_or(NONE),
        to_user: to.uri.user.unwrap_or(NONE),
        to_tag: request.to_tag.unwrap_or(NONE),
        call_id: request.call_id,
        cseq: request.cseq,
        max_forwards: request.max_forwards.map_or(0, u32::from),
        contact_user: contact.uri.user.unwrap_or(NONE),
        routes: routes.map(|route| route.expect("legal")).count(),
    });
}

/// The index of header lines alone.
pub(crate) fn offhook_index(bytes: &'static [u8], index: &mut HeaderIndex) {
    let message = Message::parse(bytes, index).expect("the sample is a message");
    black_box(message.body());
}

/// The header lines without the start line, which is not HTTP's. The samples have no folds.
pub(crate) fn httparse_headers(bytes: &'static [u8]) {
    let start = memchr::memchr(b'\n', bytes).expect("a start line") + 1;
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let parsed = httparse::parse_headers(&bytes[start..], &mut headers);
    assert!(matches!(parsed, Ok(httparse::Status::Complete(_))));
    black_box(headers);
}

/// `None` where it refuses a header: parameter names with `!`, which RFC 3261 §25.1 allows and UCM
/// puts into a Contact.
pub(crate) fn rsip(bytes: &'static [u8], see: See<'_>) -> Option<()> {
    use rsip::headers::{ToTypedHeader, UntypedHeader};
    use rsip::message::{HasHeaders, HeadersExt};
    let Ok(rsip::SipMessage::Request(request)) = rsip::SipMessage::try_from(bytes) else {
        panic!("the sample is a request");
    };
    let via = request.via_header().expect("there").typed().ok()?;
    let from = request.from_header().expect("there").typed().ok()?;
    let to = request.to_header().expect("there").typed().ok()?;
    let cseq = request.cseq_header().expect("there").typed().ok()?;
    let contact = request.contact_header().expect("there").typed().ok()?;
    let max_forwards = request.max_forwards_header().expect("there");
    let routes = request.headers().iter().map(|header| match header {
        rsip::Header::Route(route) => route.typed().expect("legal").uris().len(),
        rsip::Header::RecordRoute(route) => route.typed().expect("legal").uris().len(),
        _ => 0,
    });
    see(&Facts {
        user: request.uri.user().unwrap_or(NONE),
        branch: via.branch().map_or(NONE, |branch| branch.value()),
        from_user: from.uri.user().unwrap_or(NONE),
        from_tag: from.tag().map_or(NONE, |tag| tag.value()),
        to_user: to.uri.user().unwrap_or(NONE),
        to_tag: to.tag().map_or(NONE, |tag| tag.value()),
        call_id: request.call_id_header().expect("there").value(),
        cseq: cseq.seq,
        max_forwards: max_forwards.num().expect("a number"),
        contact_user: contact.uri.user().unwrap_or(NONE),
        routes: routes.sum(),
    });
    Some(())
}

pub(crate) fn rsipstack(bytes: &'static [u8], see: See<'_>) {
    use rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
    let parsed = rsipstack::sip::parser::parse_message(bytes);
    let Ok(rsipstack::sip::SipMessage::Request(request)) = parsed else {
        panic!("the sample is a request");
    };
    let via = request.via_header().expect("there").typed().expect("legal");
    let from = request
        .from_header()
        .expect("there")
        .typed()
        .expect("legal");
    let to = request.to_header().expect("there").typed().expect("legal");
    let cseq = request
        .cseq_header()
        .expect("there")
        .typed()
        .expect("legal");
    let contact = request
        .contact_header()
        .expect("there")
        .typed()
        .expect("legal");
    let max_forwards = request.max_forwards_header().expect("there").value();
    let routes = request.typed_route_headers().expect("legal").len()
        + request.typed_record_route_headers().expect("legal").len();
    see(&Facts {
        user: request.uri.user().unwrap_or(NONE),
        branch: via.branch().map_or(NONE, |branch| branch.value()),
        from_user: from.uri.user().unwrap_or(NONE),
        from_tag: from.tag().map_or(NONE, |tag| tag.value()),
        to_user: to.uri.user().unwrap_or(NONE),
        to_tag: to.tag().map_or(NONE, |tag| tag.value()),
        call_id: request.call_id_header().expect("there").value(),
        cseq: cseq.seq,
        max_forwards: max_forwards.trim().parse().expect("a number"),
        contact_user: contact.uri.user().unwrap_or(NONE),
        routes,
    });
}

pub(crate) fn ezk(bytes: &'static [u8], see: See<'_>) {
    use ezk_sip_types::header::typed::{CSeq, CallID, Contact, FromTo, MaxForwards, Routing, Via};
    use ezk_sip_types::msg::{Line, MessageLine, PullParser};
    use ezk_sip_types::parse::Parse;
    use ezk_sip_types::uri::SipUri;
    use ezk_sip_types::{Headers, Name};
    // Nothing is copied: as if the datagram had been received into such a buffer.
    let source = Bytes::from_static(bytes);
    let mut lines = PullParser::new(&source, 0)
        .map(|line| std::str::from_utf8(line.expect("a whole message")).expect("text"));
    let first = lines.next().expect("a start line");
    let Ok((_, MessageLine::Request(line))) = MessageLine::parse(&source)(first) else {
        panic!("the sample is a request");
    };
    let mut headers = Headers::with_capacity(32);
    for line in lines {
        let (_, line) = Line::parse(&source, line).expect("a header line");
        headers.insert(line.name, line.value);
    }
    let vias: Vec<Via> = headers.get_named().expect("legal");
    let from: FromTo = headers.get(Name::FROM).expect("legal");
    let to: FromTo = headers.get(Name::TO).expect("legal");
    let call_id: CallID = headers.get_named().expect("legal");
    let cseq: CSeq = headers.get_named().expect("legal");
    let max_forwards: MaxForwards = headers.get_named().expect("legal");
    let contacts: Vec<Contact> = headers.get_named().expect("legal");
    let route = |name| {
        let routes = headers.try_get::<Vec<Routing>>(name);
        routes.map_or(0, |routes| routes.expect("legal").len())
    };
    fn user(uri: &SipUri) -> &str {
        use ezk_sip_types::uri::SipUriUserPart::{Empty, User, UserPw};
        match &uri.user_part {
            User(user) => user,
            UserPw(both) => &both.user,
            Empty => NONE,
        }
    }
    see(&Facts {
        user: user(&line.uri),
        branch: vias[0]
            .params
            .get_val("branch")
            .map_or(NONE, |branch| branch),
        from_user: user(&from.uri.uri),
        from_tag: from.tag.as_deref().unwrap_or(NONE),
        to_user: user(&to.uri.uri),
        to_tag: to.tag.as_deref().unwrap_or(NONE),
        call_id: &call_id.0,
        cseq: cseq.cseq,
        max_forwards: u32::from(max_forwards.0),
        contact_user: user(&contacts[0].uri.uri),
        routes: route(Name::ROUTE) + route(Name::RECORD_ROUTE),
    });
}

pub(crate) fn rvoip(bytes: &'static [u8], see: See<'_>) {
    use rvoip_sip_core::types::Message;
    use rvoip_sip_core::{HeaderName, TypedHeader};
    let Ok(Message::Request(request)) = rvoip_sip_core::parse_message(bytes) else {
        panic!("the sample is a request");
    };
    let (from, to) = (request.from().expect("there"), request.to().expect("there"));
    let Some(TypedHeader::Contact(contact)) = request.header(&HeaderName::Contact) else {
        panic!("a Contact");
    };
    let contact = contact.address().expect("an address");
    let Some(TypedHeader::MaxForwards(max_forwards)) = request.header(&HeaderName::MaxForwards)
    else {
        panic!("Max-Forwards");
    };
    let routes = request.all_headers().iter().map(|header| match header {
        TypedHeader::Route(routes) => routes.0.len(),
        TypedHeader::RecordRoute(routes) => routes.0.len(),
        _ => 0,
    });
    see(&Facts {
        user: request.uri().username().unwrap_or(NONE),
        branch: request.via_branch().unwrap_or(NONE),
        from_user: from.address().uri.username().unwrap_or(NONE),
        from_tag: from.tag().unwrap_or(NONE),
        to_user: to.address().uri.username().unwrap_or(NONE),
        to_tag: to.address().tag().unwrap_or(NONE),
        call_id: request.call_id().expect("there").as_str(),
        cseq: request.cseq_number().expect("there"),
        max_forwards: u32::from(max_forwards.0),
        contact_user: contact.uri.username().unwrap_or(NONE),
        routes: routes.sum(),
    });
}
