//! Our requests: sent again until answered, given up after 64*T1, an INVITE's refusal
//! acknowledged, a CANCEL held back until the INVITE has a provisional response.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{Method, Response};

use super::{ClientId, Due, Exchange, Expiry, Incoming};
use crate::population::agenda::Appointment;
use crate::population::message::Outgoing;

/// RFC 3261 §17.1.1.2: how long an INVITE's refusal is acknowledged again.
const REFUSAL_KEPT: Duration = Duration::from_secs(32);

/// One request of ours.
#[derive(Debug)]
pub(super) struct Client {
    to: SocketAddr,
    request: Outgoing,
    branch: String,
    state: State,
    interval: Duration,
    resend: Option<Appointment>,
    give_up: Option<Appointment>,
    /// Whether the INVITE is to be cancelled as soon as it may be.
    cancel_wanted: bool,
    /// What acknowledges the final response, and the tag of who gave it.
    ack: Option<Vec<u8>>,
    answered_by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing has come back.
    Calling,
    /// A provisional response has.
    Proceeding,
    /// A final response has.
    Done,
}

impl Exchange {
    /// Sends a request.
    pub(in crate::population) fn send(
        &mut self,
        now: Instant,
        to: SocketAddr,
        request: Outgoing,
    ) -> ClientId {
        let id = ClientId(self.next_number());
        let branch = format!("z9hG4bK{}{:x}", self.mark, id.0);
        self.begin(now, id, to, request, branch);
        id
    }

    fn begin(
        &mut self,
        now: Instant,
        id: ClientId,
        to: SocketAddr,
        request: Outgoing,
        branch: String,
    ) {
        let t1 = self.timers.t1;
        let client = Client {
            resend: Some(self.agenda.add(now + t1, Due::Resend(id))),
            give_up: Some(
                self.agenda
                    .add(now + self.timers.patience(), Due::GiveUp(id)),
            ),
            to,
            state: State::Calling,
            interval: t1,
            cancel_wanted: false,
            ack: None,
            answered_by: None,
            request,
            branch,
        };
        let bytes = client
            .request
            .render(self.address, &client.branch, &self.style);
        self.clients.insert(id, client);
        self.transmit(to, bytes);
    }

    /// Sends an ACK to a 2xx, and again whenever the 2xx comes again.
    pub(in crate::population) fn acknowledge(
        &mut self,
        id: ClientId,
        to: SocketAddr,
        ack: &Outgoing,
    ) {
        // RFC 3261 §13.2.2.4: outside every transaction, so with a branch of its own.
        let number = self.next_number();
        let bytes = ack.render(
            self.address,
            &format!("z9hG4bK{}a{number:x}", self.mark),
            &self.style,
        );
        if let Some(client) = self.clients.get_mut(&id) {
            client.ack = Some(bytes.clone());
            client.to = to;
        }
        self.transmit(to, bytes);
    }

    /// Takes an INVITE back: at once when it has a provisional response, else when one comes
    /// (RFC 3261 §9.1), and not at all when the final one is faster.
    pub(in crate::population) fn cancel(&mut self, now: Instant, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        match client.state {
            State::Calling => client.cancel_wanted = true,
            State::Proceeding => self.send_cancel(now, id),
            State::Done => {}
        }
    }

    fn send_cancel(&mut self, now: Instant, id: ClientId) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.cancel_wanted = false;
        // A peer that has swallowed the CANCEL does not keep the INVITE for ever.
        let patience = self.timers.patience();
        client.give_up = Some(self.agenda.add(now + patience, Due::GiveUp(id)));
        let (to, branch) = (client.to, client.branch.clone());
        let request = Outgoing {
            method: Method::Cancel,
            fields: String::new(),
            body: None,
            ..client.request.clone()
        };
        let cancel = ClientId(self.next_number());
        self.cancels.insert(id, cancel);
        self.begin(now, cancel, to, request, branch);
    }

    pub(super) fn handle_response<'a>(
        &mut self,
        now: Instant,
        response: Response<'a>,
    ) -> Incoming<'a> {
        let Some(id) = self.client_of(&response) else {
            self.wire.stray += 1;
            return Incoming::Nothing;
        };
        let client = self
            .clients
            .get_mut(&id)
            .expect("client_of names a client that exists");
        match client.state {
            State::Done => self.final_again(id, &response),
            State::Calling | State::Proceeding if response.status.is_provisional() => {
                self.provisional(now, id);
                Incoming::Response(id, response)
            }
            State::Calling | State::Proceeding => {
                self.finish(now, id, &response);
                Incoming::Response(id, response)
            }
        }
    }

    fn client_of(&self, response: &Response<'_>) -> Option<ClientId> {
        let branch = response.via.unique_branch()?;
        let number = branch
            .strip_prefix("z9hG4bK")?
            .strip_prefix(self.mark.as_str())?;
        let id = ClientId(u64::from_str_radix(number, 16).ok()?);
        let id = if response.cseq_method == Method::Cancel {
            *self.cancels.get(&id)?
        } else {
            id
        };
        let client = self.clients.get(&id)?;
        (client.request.method == response.cseq_method).then_some(id)
    }

    fn provisional(&mut self, now: Instant, id: ClientId) {
        let client = self
            .clients
            .get_mut(&id)
            .expect("the caller has found the client");
        let first = client.state == State::Calling;
        client.state = State::Proceeding;
        if client.request.method != Method::Invite {
            return;
        }
        if first {
            let (resend, give_up) = (client.resend.take(), client.give_up.take());
            let cancel_wanted = client.cancel_wanted;
            self.agenda.cancel(resend);
            self.agenda.cancel(give_up);
            if cancel_wanted {
                self.send_cancel(now, id);
            }
        }
    }

    fn finish(&mut self, now: Instant, id: ClientId, response: &Response<'_>) {
        let client = self
            .clients
            .get_mut(&id)
            .expect("the caller has found the client");
        client.state = State::Done;
        client.answered_by = response.to_tag.map(str::to_owned);
        let (resend, give_up) = (client.resend.take(), client.give_up.take());
        let invite = client.request.method == Method::Invite;
        let kept = match (invite, response.status.is_success()) {
            (true, true) => self.timers.patience(),
            (true, false) => REFUSAL_KEPT,
            (false, _) => self.timers.t4,
        };
        if invite && !response.status.is_success() {
            let ack = client.acknowledgement(response);
            let bytes = ack.render(self.address, &client.branch, &self.style);
            client.ack = Some(bytes.clone());
            let to = client.to;
            self.transmit(to, bytes);
        }
        self.agenda.cancel(resend);
        self.agenda.cancel(give_up);
        self.agenda.add(now + kept, Due::ForgetClient(id));
    }

    /// A final response comes again, or another one comes.
    fn final_again<'a>(&mut self, id: ClientId, response: &Response<'_>) -> Incoming<'a> {
        let client = self
            .clients
            .get(&id)
            .expect("the caller has found the client");
        if response.status.is_provisional() {
            return Incoming::Nothing;
        }
        if client.answered_by.as_deref() != response.to_tag {
            self.wire.forked += 1;
            return Incoming::Nothing;
        }
        self.wire.repeated += 1;
        if let Some(bytes) = client.ack.clone() {
            let to = client.to;
            self.transmit(to, bytes);
        }
        Incoming::Nothing
    }

    pub(super) fn resend(&mut self, now: Instant, id: ClientId) -> Option<Expiry> {
        let client = self.clients.get_mut(&id)?;
        // RFC 3261 §17.1.1.2 and §17.1.2.2: only what is no INVITE stops growing at T2.
        let doubled = client.interval * 2;
        client.interval = match (client.request.method, client.state) {
            (Method::Invite, _) => doubled,
            (_, State::Proceeding) => self.timers.t2,
            (_, State::Calling | State::Done) => doubled.min(self.timers.t2),
        };
        client.resend = Some(self.agenda.add(now + client.interval, Due::Resend(id)));
        let (to, bytes) = (
            client.to,
            client
                .request
                .render(self.address, &client.branch, &self.style),
        );
        self.wire.resent += 1;
        self.transmit(to, bytes);
        None
    }

    pub(super) fn give_up(&mut self, _now: Instant, id: ClientId) -> Option<Expiry> {
        let client = self.clients.remove(&id)?;
        self.agenda.cancel(client.resend);
        self.cancels.remove(&id);
        // Nobody waits for the answer to a CANCEL; its INVITE has a limit of its own.
        (client.request.method != Method::Cancel).then_some(Expiry::NoResponse(id))
    }

    pub(super) fn forget_client(&mut self, id: ClientId) -> Option<Expiry> {
        self.clients.remove(&id);
        self.cancels.remove(&id);
        None
    }
}

impl Client {
    /// RFC 3261 §17.1.1.3: the ACK of a refusal is part of the transaction.
    fn acknowledgement(&self, response: &Response<'_>) -> Outgoing {
        let mut to = self.request.to.clone();
        if let (None, Some(tag)) = (to.find(";tag="), response.to_tag) {
            to.push_str(";tag=");
            to.push_str(tag);
        }
        Outgoing {
            method: Method::Ack,
            to,
            fields: String::new(),
            body: None,
            ..self.request.clone()
        }
    }
}
