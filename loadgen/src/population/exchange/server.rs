//! The peer's requests: answered again from stored bytes when they come again, an INVITE's final
//! response sent again until its ACK comes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{HeaderName, Method, Reply, Request, Status, Writer};

use super::{Due, Exchange, Expiry, Incoming, ServerId};
use crate::population::agenda::Appointment;
use crate::population::message::Style;

/// RFC 3261 §17.2.3: what tells a request from any other: branch, sent-by, method (an ACK has
/// that of its INVITE).
pub(super) type ServerKey = (String, String, String);

/// One request of the peer's.
#[derive(Debug)]
pub(super) struct Server {
    key: ServerKey,
    reply: Reply,
    /// Where answers go.
    to: SocketAddr,
    invite: bool,
    /// Call-ID and CSeq: an ACK to a 2xx has nothing else in common with its INVITE.
    call: (String, u32),
    /// The seconds of its Session-Expires, where session timers are kept.
    lasting: Option<u32>,
    answer: Option<Vec<u8>>,
    state: State,
    interval: Duration,
    again: Option<Appointment>,
    end: Option<Appointment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No final response yet.
    Proceeding,
    /// A 2xx to an INVITE, sent again until the ACK comes.
    Accepted,
    /// Any other final response; to an INVITE sent again until the ACK comes.
    Answered,
    /// Acknowledged; whatever still comes is absorbed.
    Acknowledged,
}

/// What an answer says beyond what its request decides.
#[derive(Debug, Clone, Default)]
pub(in crate::population) struct Answer<'a> {
    /// Our tag, where the request has none yet.
    pub(in crate::population) tag: Option<&'a str>,
    /// Further headers.
    pub(in crate::population) fields: Vec<(HeaderName, String)>,
    /// Content type and bytes.
    pub(in crate::population) body: Option<(&'static str, String)>,
}

impl Exchange {
    /// What to do with a request: new, known, or part of another.
    pub(super) fn handle_request<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        request: Request<'a>,
    ) -> Incoming<'a> {
        match request.method {
            Method::Ack => self.handle_ack(now, request),
            Method::Cancel => self.handle_cancel(now, source, &request),
            Method::Invite
            | Method::Bye
            | Method::Options
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Info
            | Method::Refer
            | Method::Message
            | Method::Update
            | Method::Prack
            | Method::Other(_) => match self.accept(source, &request) {
                Some(id) => Incoming::Request(id, request),
                None => Incoming::Nothing,
            },
        }
    }

    /// A new transaction; `None` when it is a known one, which is answered again.
    fn accept(&mut self, source: SocketAddr, request: &Request<'_>) -> Option<ServerId> {
        let key = key_of(request, request.method);
        if let Some(id) = self.by_branch.get(&key).copied() {
            self.repeat(id);
            return None;
        }
        let id = ServerId(self.next_number());
        let lasting = request.message.session_expires().ok().flatten();
        let lasting = lasting.filter(|_| self.style.session_timers);
        let server = Server {
            lasting: lasting.map(|lasting| lasting.seconds),
            key: key.clone(),
            reply: Reply::new(request, source),
            to: request.via.reply_to(source),
            invite: request.method == Method::Invite,
            call: (request.call_id.to_owned(), request.cseq),
            answer: None,
            state: State::Proceeding,
            interval: self.timers.t1,
            again: None,
            end: None,
        };
        self.by_branch.insert(key, id);
        if server.invite {
            self.invites.insert(server.call.clone(), id);
        }
        self.servers.insert(id, server);
        Some(id)
    }

    fn repeat(&mut self, id: ServerId) {
        self.wire.repeated += 1;
        let Some(server) = self.servers.get(&id) else {
            return;
        };
        let again = match server.state {
            State::Proceeding | State::Answered => server.answer.clone(),
            // RFC 6026 §7.1: the 2xx is sent again by its own clock.
            State::Accepted | State::Acknowledged => None,
        };
        if let Some(bytes) = again {
            let to = server.to;
            self.transmit(to, bytes);
        }
    }

    fn handle_ack<'a>(&mut self, now: Instant, request: Request<'a>) -> Incoming<'a> {
        let refused = self
            .by_branch
            .get(&key_of(&request, Method::Invite))
            .copied();
        let of_dialog = (request.call_id.to_owned(), request.cseq);
        let Some(id) = refused.or_else(|| self.invites.get(&of_dialog).copied()) else {
            return Incoming::Nothing;
        };
        let server = self
            .servers
            .get_mut(&id)
            .expect("both tables name servers that exist");
        let news = match server.state {
            State::Accepted => true,
            State::Answered => false,
            State::Acknowledged => {
                self.wire.repeated += 1;
                return Incoming::Nothing;
            }
            State::Proceeding => return Incoming::Nothing,
        };
        server.state = State::Acknowledged;
        let (again, end) = (server.again.take(), server.end.take());
        self.agenda.cancel(again);
        self.agenda.cancel(end);
        self.agenda.add(now + self.timers.t4, Due::ForgetServer(id));
        if news {
            Incoming::Acknowledged(request)
        } else {
            Incoming::Nothing
        }
    }

    fn handle_cancel<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        request: &Request<'_>,
    ) -> Incoming<'a> {
        let Some(id) = self.accept(source, request) else {
            return Incoming::Nothing;
        };
        let invite = self
            .by_branch
            .get(&key_of(request, Method::Invite))
            .copied();
        let status = match invite {
            Some(_) => Status::OK,
            None => Status::CALL_DOES_NOT_EXIST,
        };
        self.answer(
            now,
            id,
            status,
            &Answer {
                tag: Some("cancelled"),
                ..Answer::default()
            },
        );
        match invite {
            Some(invite) if self.is_open(invite) => Incoming::Cancelled(invite),
            Some(_) | None => Incoming::Nothing,
        }
    }

    /// Whether a request still waits for its final response.
    pub(in crate::population) fn is_open(&self, id: ServerId) -> bool {
        self.servers
            .get(&id)
            .is_some_and(|server| server.state == State::Proceeding)
    }

    /// Answers a request. What comes after its final response is dropped.
    pub(in crate::population) fn answer(
        &mut self,
        now: Instant,
        id: ServerId,
        status: Status,
        answer: &Answer<'_>,
    ) {
        if !self.is_open(id) {
            return;
        }
        let server = self.servers.get_mut(&id).expect("an open server exists");
        let lasting = server.lasting.filter(|_| status.is_success());
        let bytes = render(status, &server.reply, (answer, lasting), &self.style);
        server.answer = Some(bytes.clone());
        let to = server.to;
        if status.is_final() {
            self.close(now, id, status);
        }
        self.transmit(to, bytes);
    }

    fn close(&mut self, now: Instant, id: ServerId, status: Status) {
        let patience = self.timers.patience();
        let server = self
            .servers
            .get_mut(&id)
            .expect("the caller has found the server");
        if !server.invite {
            server.state = State::Answered;
            self.agenda.add(now + patience, Due::ForgetServer(id));
            return;
        }
        server.state = if status.is_success() {
            State::Accepted
        } else {
            State::Answered
        };
        server.again = Some(self.agenda.add(now + server.interval, Due::AnswerAgain(id)));
        server.end = Some(self.agenda.add(now + patience, Due::NoAck(id)));
    }

    pub(super) fn answer_again(&mut self, now: Instant, id: ServerId) -> Option<Expiry> {
        let server = self.servers.get_mut(&id)?;
        server.interval = (server.interval * 2).min(self.timers.t2);
        server.again = Some(self.agenda.add(now + server.interval, Due::AnswerAgain(id)));
        let (to, bytes) = (server.to, server.answer.clone()?);
        self.wire.resent += 1;
        self.transmit(to, bytes);
        None
    }

    pub(super) fn no_ack(&mut self, id: ServerId) -> Option<Expiry> {
        let server = self.servers.get_mut(&id)?;
        let again = server.again.take();
        let accepted = server.state == State::Accepted;
        self.agenda.cancel(again);
        self.forget_server(id);
        accepted.then_some(Expiry::NeverAcknowledged(id))
    }

    pub(super) fn forget_server(&mut self, id: ServerId) -> Option<Expiry> {
        if let Some(server) = self.servers.remove(&id) {
            self.agenda.cancel(server.again);
            self.by_branch.remove(&server.key);
            if self.invites.get(&server.call) == Some(&id) {
                self.invites.remove(&server.call);
            }
        }
        None
    }
}

fn key_of(request: &Request<'_>, method: Method<'_>) -> ServerKey {
    let via = &request.via;
    let branch = via.branch().unwrap_or_default().to_owned();
    // RFC 2543 peers have no branch worth the name: the Call-ID and CSeq tell them apart.
    let branch = match via.unique_branch() {
        Some(_) => branch,
        None => format!("{branch} {} {}", request.call_id, request.cseq),
    };
    (
        branch,
        format!("{}:{}", via.host, via.sent_by_port()),
        method.as_str().to_owned(),
    )
}

fn render(
    status: Status,
    reply: &Reply,
    (answer, lasting): (&Answer<'_>, Option<u32>),
    style: &Style,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(768);
    let mut writer = Writer::reply(&mut bytes, status, reply, answer.tag);
    for (name, value) in &answer.fields {
        writer.header(*name, value);
    }
    if status.is_final() {
        writer.header(HeaderName::Allow, &style.allow);
    }
    // RFC 4028 §9: whoever asks refreshes.
    if let Some(seconds) = lasting {
        writer.header(HeaderName::Require, "timer");
        let value = format!("{seconds};refresher=uac");
        writer.header(HeaderName::SessionExpires, &value);
    }
    writer.header(HeaderName::Server, &style.user_agent);
    match &answer.body {
        Some((content_type, body)) => writer.body(content_type, body.as_bytes()),
        None => writer.end(),
    }
    bytes
}
