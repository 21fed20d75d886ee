//! Everything that is said in a world: SIP messages of calls, what desktops ask, and what they are
//! told. `ladder.rs` draws it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use offhook::config::Config;
use offhook::cti::{
    CallAction, CallRequest, CallState, ConsultKind, DesktopRequest, Event, RequestBody,
};
use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, Method, Request, Response, Status};

use super::network::Flight;

/// Who takes part, in the order of a ladder's columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    Caller,
    Offhook,
    Phone(String),
    MediaServer,
}

/// One thing that is said.
#[derive(Debug, Clone)]
pub struct Line {
    pub at: Instant,
    pub said: Said,
}

#[derive(Debug, Clone)]
pub enum Said {
    /// A message on the wire.
    Message {
        from: Column,
        to: Column,
        text: String,
    },
    /// What the desktop of a DN asks or is told.
    Note { dn: String, text: String },
}

/// What is said, in order.
#[derive(Default)]
pub struct Trace {
    pub lines: Vec<Line>,
    /// Whose dialog with the server a Call-ID is.
    dialogs: BTreeMap<String, Column>,
    /// Requests that had an offer, by Call-ID and CSeq: what answers them is an answer.
    offered: BTreeMap<(String, u32), bool>,
}

impl Trace {
    /// A datagram leaves. What is no message of a call, and 100 Trying, is left out.
    pub fn sent(&mut self, now: Instant, flight: &Flight) {
        let mut index = HeaderIndex::default();
        match Message::receive(&flight.bytes, &mut index) {
            Ok(Checked::Request(request)) => {
                let goes_out = is_server(flight.from);
                self.request(now, goes_out, flight, &request);
            }
            Ok(Checked::Response(response)) => {
                let goes_out = is_server(flight.from);
                self.response(now, goes_out, &response);
            }
            Err(_) => {}
        }
    }

    fn request(&mut self, now: Instant, goes_out: bool, flight: &Flight, request: &Request<'_>) {
        if request.method == Method::Invite && request.to_tag.is_none() {
            let column = far_end(goes_out, flight, request);
            self.dialogs.insert(request.call_id.to_owned(), column);
        }
        let body = request.message.body();
        let transaction = (request.call_id.to_owned(), request.cseq);
        let is_offer = match request.method {
            Method::Invite | Method::Update => {
                self.offered.insert(transaction, !body.is_empty());
                true
            }
            _ => false,
        };
        let text = format!("{}{}", request_name(request), description(body, is_offer));
        self.message(now, goes_out, request.call_id, text);
    }

    fn response(&mut self, now: Instant, goes_out: bool, response: &Response<'_>) {
        if response.status == Status::TRYING {
            return;
        }
        let transaction = (response.call_id.to_owned(), response.cseq);
        let answers = self.offered.get(&transaction).copied().unwrap_or(true);
        let mut text = format!("{} {}", response.status.0, response.status.reason());
        if response.cseq_method != Method::Invite {
            text = format!("{text} ({})", response.cseq_method.as_str());
        }
        text.push_str(&description(response.message.body(), !answers));
        self.message(now, goes_out, response.call_id, text);
    }

    fn message(&mut self, at: Instant, goes_out: bool, call_id: &str, text: String) {
        let Some(far) = self.dialogs.get(call_id).cloned() else {
            return;
        };
        let (from, to) = if goes_out {
            (Column::Offhook, far)
        } else {
            (far, Column::Offhook)
        };
        let said = Said::Message { from, to, text };
        self.lines.push(Line { at, said });
    }

    /// A client asks.
    pub fn asked(&mut self, at: Instant, config: &Config, body: &RequestBody) {
        let (dn, text) = match body {
            RequestBody::Desktop(dn, request) => (config.agent_at(*dn).dn.to_string(), of(request)),
            RequestBody::Call(
                _,
                CallRequest::Party {
                    this_dn, action, ..
                },
            ) => (config.agent_at(*this_dn).dn.to_string(), asked_of(action)),
            RequestBody::Call(_, CallRequest::UserData { this_dn, .. }) => {
                (this_dn.clone(), "RequestUpdateUserData".to_owned())
            }
            RequestBody::Route(routing_point, _) => {
                let number = &config.routing_point_at(*routing_point).number;
                (number.to_string(), "RequestRouteCall".to_owned())
            }
        };
        let said = Said::Note { dn, text };
        self.lines.push(Line { at, said });
    }

    /// Clients are told. What is about an agent and not about a call is left out.
    pub fn said(&mut self, at: Instant, event: &Event) {
        if event.call.is_none() && event.error_code.is_none() {
            return;
        }
        let mut text = format!("Event{}", event.name.name());
        let state = event.call_state.filter(|state| *state != CallState::Ok);
        if let Some(state) = state {
            text = format!("{text} ({})", state.name());
        }
        if let Some(code) = event.error_code {
            text = format!("{text} ({})", code.name());
        }
        let dn = event.this_dn.to_string();
        let said = Said::Note { dn, text };
        self.lines.push(Line { at, said });
    }
}

fn is_server(address: SocketAddr) -> bool {
    address == SocketAddr::from(([10, 0, 0, 1], 5060))
}

/// Whose dialog an INVITE begins.
fn far_end(goes_out: bool, flight: &Flight, request: &Request<'_>) -> Column {
    let address = if goes_out { flight.to } else { flight.from };
    if address.ip().to_string() == "10.0.2.1" {
        return Column::MediaServer;
    }
    let user = |user: Option<&str>| user.unwrap_or_default().to_owned();
    match (goes_out, address.port()) {
        (false, 5080) => Column::Caller,
        (false, _) => Column::Phone(user(
            request.from.read().ok().and_then(|from| from.uri.user),
        )),
        (true, _) => Column::Phone(user(request.uri.user)),
    }
}

/// A request with what matters in it.
fn request_name(request: &Request<'_>) -> String {
    let header = |name| {
        let value = request.message.header(name).unwrap_or_default();
        String::from_utf8_lossy(value).into_owned()
    };
    let method = request.method.as_str();
    match request.method {
        Method::Invite if request.to_tag.is_some() => "re-INVITE".to_owned(),
        Method::Invite => {
            let user = request.uri.user.unwrap_or_default();
            // A conference's name is the ConnID.
            let user = match user.split_once('=') {
                Some((before, _)) => format!("{before}=..."),
                None => user.to_owned(),
            };
            format!("{method} {user}")
        }
        Method::Refer => {
            let target = header(HeaderName::ReferTo);
            let number = target.trim_start_matches("<sip:").split('@').next();
            let replaces = if target.contains("Replaces=") {
                ", Replaces"
            } else {
                ""
            };
            format!("{method} to {}{replaces}", number.unwrap_or_default())
        }
        Method::Notify => {
            let body = String::from_utf8_lossy(request.message.body()).into_owned();
            let news = body.lines().next().unwrap_or_default();
            let event = header(HeaderName::Event);
            let event = event.split(';').next().unwrap_or_default();
            let news = news.trim_start_matches("SIP/2.0 ");
            format!("{method} {event} {news}").trim_end().to_owned()
        }
        _ => method.to_owned(),
    }
}

/// What a body is, if it is a session description.
fn description(body: &[u8], is_offer: bool) -> String {
    let text = String::from_utf8_lossy(body);
    if !text.starts_with("v=0") {
        return String::new();
    }
    let kind = if is_offer { "offer" } else { "answer" };
    let ways = ["sendonly", "recvonly", "inactive"];
    let way = ways
        .into_iter()
        .find(|way| text.contains(&format!("a={way}")));
    match way {
        Some(way) => format!(" [{kind}, {way}]"),
        None => format!(" [{kind}]"),
    }
}

fn of(request: &DesktopRequest) -> String {
    match request {
        DesktopRequest::Login { .. } => "RequestAgentLogin".to_owned(),
        DesktopRequest::Logout { .. } => "RequestAgentLogout".to_owned(),
        DesktopRequest::Ready { .. } => "RequestAgentReady".to_owned(),
        DesktopRequest::NotReady { .. } => "RequestAgentNotReady".to_owned(),
        DesktopRequest::MakeCall { destination, .. } => format!("RequestMakeCall {destination}"),
        DesktopRequest::SetDnd { on: true, .. } => "RequestSetDNDOn".to_owned(),
        DesktopRequest::SetDnd { on: false, .. } => "RequestSetDNDOff".to_owned(),
        DesktopRequest::SetForward { destination, .. } => {
            format!("RequestCallForwardSet {destination}")
        }
        DesktopRequest::CancelForward { .. } => "RequestCallForwardCancel".to_owned(),
        DesktopRequest::Reserve { .. } => "RequestReserveAgent".to_owned(),
        DesktopRequest::Present => "the desktop comes".to_owned(),
        DesktopRequest::Gone => "the desktop goes".to_owned(),
        DesktopRequest::RouterGone(_) => "a router goes".to_owned(),
    }
}

fn asked_of(action: &CallAction) -> String {
    match action {
        CallAction::Answer => "RequestAnswerCall".to_owned(),
        CallAction::Release => "RequestReleaseCall".to_owned(),
        CallAction::Clear => "RequestClearCall".to_owned(),
        CallAction::Hold => "RequestHoldCall".to_owned(),
        CallAction::Retrieve => "RequestRetrieveCall".to_owned(),
        CallAction::Alternate { .. } => "RequestAlternateCall".to_owned(),
        CallAction::Reconnect { .. } => "RequestReconnectCall".to_owned(),
        CallAction::Consult {
            kind: ConsultKind::Transfer,
            destination,
            ..
        } => format!("RequestInitiateTransfer {destination}"),
        CallAction::Consult {
            kind: ConsultKind::Conference,
            destination,
            ..
        } => format!("RequestInitiateConference {destination}"),
        CallAction::CompleteTransfer { .. } => "RequestCompleteTransfer".to_owned(),
        CallAction::CompleteConference { .. } => "RequestCompleteConference".to_owned(),
        CallAction::MuteTransfer { destination, .. } => {
            format!("RequestMuteTransfer {destination}")
        }
        CallAction::SingleStepTransfer { destination, .. } => {
            format!("RequestSingleStepTransfer {destination}")
        }
        CallAction::SingleStepConference { destination, .. } => {
            format!("RequestSingleStepConference {destination}")
        }
        CallAction::Redirect { destination } => format!("RequestRedirectCall {destination}"),
        CallAction::DeleteParty { other_dn } => {
            format!("RequestDeleteFromConference {other_dn}")
        }
        CallAction::SendDtmf { digits } => format!("RequestSendDTMF {digits}"),
    }
}
