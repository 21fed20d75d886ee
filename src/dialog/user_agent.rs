//! The user agent: one shard's SIP above bytes and below calls. Here is who gets what: messages
//! to transactions, requests to dialogs, news to their owners. What comes of it is in `leg.rs` and
//! its states for calls, in `subscription.rs`, and in `requests.rs`, which judges requests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::pages::LASTING_BYTES;
use offhook_shards::{ConnectionChange, Source, Transmit};
use slotmap::SlotMap;

use crate::counters::{Counter, Counters};
use crate::paged::PagedMap;
use crate::sip::{
    Checked, Feedback, HeaderIndex, HeaderName, Malformed, Message, Rejection, Request, Response,
    Status, Writer,
};
use crate::transaction::{ClientKey, Delivered, Event};

use super::callers::Callers;
use super::challenge::Nonces;
use super::compose::{Answer, Fields, response};
use super::core::{Core, Owner, Timer};
use super::leg::Leg;
use super::ping::Pings;
use super::reply::Copied;
use super::strangers::{Sender, StrangersLog};
use super::stray::Strays;
use super::subscription::{Place, Subscription};
use super::turn::Turn;
use super::turned_away::{Offered, TurnedAway, Verdict};
use super::{
    LegKey, PingKey, PingOutcome, SubscriptionKey, Target, UserAgentConfig, UserAgentEvent,
};

/// A table is full: nothing was sent and there is no key. Try elsewhere or answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no room for another dialog")
    }
}

impl std::error::Error for Full {}

/// Legs, subscriptions and pings of one shard.
///
/// After every call drain `poll_transmit`, then `poll_event`, then look at `poll_timeout`.
/// Commands are total: one that comes too late, or with a key that is spent, does nothing.
#[derive(Debug)]
pub struct UserAgent {
    pub(super) core: Core,
    /// A leg is missing from its place only while something happens to it.
    pub(super) legs: PagedMap<LegKey, Option<Leg>, LASTING_BYTES>,
    pub(super) subscriptions: SlotMap<SubscriptionKey, Place>,
    pings: Pings,
    /// Missing only while a message is being read.
    index: Option<HeaderIndex>,
    pub(super) draining: bool,
    pub(super) strangers: StrangersLog,
    pub(super) nonces: Nonces,
    pub(super) turned_away: TurnedAway,
    pub(super) callers: Callers,
    pub(super) offered: Offered,
    pub(super) strays: Strays,
    /// The legs that are over, while somebody wants to know.
    pub(super) over: Option<Vec<LegKey>>,
    /// The legs of whose end somebody waits to hear.
    pub(super) awaited: BTreeSet<LegKey>,
    /// The latest time that it was told, for the one command that comes without.
    pub(super) now: Instant,
}

impl UserAgent {
    /// A user agent without calls. `now` is the earliest time that it will be told.
    ///
    /// # Panics
    /// When the configuration has no listener.
    #[must_use]
    pub fn new(now: Instant, config: UserAgentConfig, counters: Arc<Counters>) -> Self {
        Self {
            nonces: Nonces::new(now, config.keys),
            turned_away: TurnedAway::new(now, config.t1 * 64, config.keys),
            callers: Callers::default(),
            offered: Offered::default(),
            strays: Strays::default(),
            core: Core::new(now, config, counters),
            legs: PagedMap::default(),
            subscriptions: SlotMap::with_key(),
            pings: Pings::default(),
            index: Some(HeaderIndex::new()),
            draining: false,
            strangers: StrangersLog::default(),
            over: None,
            awaited: BTreeSet::new(),
            now,
        }
    }

    // The network and time.

    /// Takes one whole message: a datagram, or a frame of a stream.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: Source,
        sender: Sender<'_>,
        bytes: &[u8],
    ) {
        let mut index = self.index.take().unwrap_or_default();
        match (Message::receive(bytes, &mut index), sender) {
            (
                Ok(Checked::Request(request)),
                Sender::Known {
                    is_trusted,
                    shows,
                    admission,
                    call_rate,
                },
            ) => {
                let verdict = self.verdict(now, source, &request, (admission, call_rate));
                if verdict != Verdict::Refused
                    && shows.is_none_or(|shows| self.is_proved(now, source, &request, shows))
                {
                    if verdict == Verdict::Call {
                        self.callers.take(now, source.remote.ip(), call_rate);
                    }
                    self.handle_request(now, source, is_trusted, &request);
                }
            }
            (Ok(Checked::Request(request)), Sender::Stranger(unwelcome)) => {
                self.handle_stranger(now, source, unwelcome, &request);
            }
            // A response is known by the branch of its request, which nobody can guess.
            (Ok(Checked::Response(response)), sender) => {
                self.handle_response(now, source, sender, &response);
            }
            (Err(rejection), _) => {
                self.reject(source, sender, &rejection);
            }
        }
        self.index = Some(index);
        self.settle(now);
    }

    /// Takes the rest of a stream in which no message ends, and why none does. Whether it is
    /// answered, which it is when enough of a request is left.
    pub fn handle_malformed(
        &mut self,
        source: Source,
        sender: Sender<'_>,
        bytes: &[u8],
        error: Malformed,
    ) -> bool {
        let mut index = self.index.take().unwrap_or_default();
        let rejection = Message::refuse(bytes, &mut index, error);
        let answered = self.reject(source, sender, &rejection);
        self.index = Some(index);
        answered
    }

    /// A stream connection was closed or could not be opened.
    pub fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        self.core.transactions.handle_connection(now, &change);
        self.settle(now);
    }

    /// The time that [`Self::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.transactions.handle_timeout(now);
        self.settle(now);
        while let Some(timer) = self.core.expire(now) {
            match timer {
                Timer::Repeat(leg) => self.with_leg(now, leg, Leg::repeat),
                Timer::AnswerMissing(leg) => self.with_leg(now, leg, Leg::give_up),
                Timer::AckWaits(leg) => self.with_leg(now, leg, Leg::ack_waits),
                Timer::Session(leg) => self.with_leg(now, leg, Leg::session_due),
                Timer::Probe(leg) => self.with_leg(now, leg, Leg::probe),
                Timer::NotifyMissing(key) => {
                    self.with_subscription(now, key, Subscription::notify_missing);
                }
            }
        }
        self.settle(now);
    }

    // Pings.

    /// Sends an OPTIONS.
    ///
    /// # Errors
    /// [`Full`] at the limit of pings or transactions.
    pub fn ping(
        &mut self,
        now: Instant,
        target: Target,
        request_uri: &str,
        max_forwards: u8,
    ) -> Result<PingKey, Full> {
        let key = self
            .pings
            .send(now, &mut self.core, target, request_uri, max_forwards)?;
        self.settle(now);
        Ok(key)
    }

    /// While draining, OPTIONS are answered with 503, so that peers send their calls elsewhere.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    // Out.

    /// The next message to send; its bytes are appended to `buffer`.
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.core.transactions.poll_transmit(buffer)
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<UserAgentEvent> {
        self.core.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.poll_timeout()
    }

    /// Legs, those included that nobody above knows any more.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Takes places for legs until so many are taken.
    #[cfg(test)]
    pub(crate) fn fill_legs(&mut self, count: usize) {
        while self.legs.len() < count {
            self.legs.insert(None);
        }
    }

    /// Subscriptions of ours.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Transactions of both sides, those included that only absorb repetitions.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.core.transactions.clients() + self.core.transactions.servers()
    }

    /// What responses say of overload from now on, to whom wants to hear of it (RFC 7339).
    pub fn set_feedback(&mut self, feedback: Option<Feedback>) {
        self.core.transactions.set_feedback(feedback);
    }

    /// Bytes of messages that wait to be sent.
    #[must_use]
    pub fn bytes_to_send(&self) -> usize {
        self.core.transactions.bytes_to_send()
    }

    /// Messages that wait to be sent.
    #[must_use]
    pub fn messages_to_send(&self) -> usize {
        self.core.transactions.messages_to_send()
    }

    /// Timers that are armed, those of transactions included.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.core.timers()
    }

    /// Whether nothing at all is left: no leg, no subscription, no ping, no transaction, no timer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.legs.is_empty()
            && self.subscriptions.is_empty()
            && self.pings.len() == 0
            && self.core.is_idle()
    }

    // Who gets what.

    /// Lets something happen to a leg; a key that is spent changes nothing.
    pub(super) fn with_leg(
        &mut self,
        now: Instant,
        key: LegKey,
        happen: impl FnOnce(Leg, &mut Turn<'_>) -> Leg,
    ) {
        let Some(mut leg) = self.legs.value_mut(key).and_then(Option::take) else {
            return;
        };
        Self::find_way_of_leg(&mut self.core, now, &mut leg);
        let mut turn = Turn {
            now,
            leg: key,
            session_id: leg.dialog().session_id.as_deref().copied(),
            core: &mut self.core,
        };
        let mut leg = happen(leg, &mut turn);
        Self::find_way_of_leg(&mut self.core, now, &mut leg);
        if let Leg::Over(dialog) = &mut leg {
            dialog.stop(&mut self.core);
            self.core.forget_probe(key);
            let table = &mut self.core.table;
            table.remove(dialog.call_id(), dialog.local_tag);
            table.remove_accepted(dialog.call_id(), dialog.remote_tag());
            self.legs.remove(key);
            if let Some(over) = &mut self.over {
                over.push(key);
            }
            if self.awaited.remove(&key) {
                self.core.events.push_back(UserAgentEvent::Over(key));
            }
        } else {
            self.put(key, leg);
        }
    }

    /// A leg; none when it is over, and while something happens to it.
    pub(super) fn leg(&self, key: LegKey) -> Option<&Leg> {
        self.legs.value(key)?.as_ref()
    }

    pub(super) fn leg_mut(&mut self, key: LegKey) -> Option<&mut Leg> {
        self.legs.value_mut(key)?.as_mut()
    }

    /// Puts a leg into its place, which was taken for it.
    pub(super) fn put(&mut self, key: LegKey, leg: Leg) {
        let place = self.legs.value_mut(key);
        *place.expect("only who has the leg gives its place up") = Some(leg);
    }

    fn handle_response(
        &mut self,
        now: Instant,
        source: Source,
        sender: Sender<'_>,
        response: &Response<'_>,
    ) {
        // RFC 3261 §8.1.3.3: a response with a Via below ours was for somebody else.
        if response.message.elements(HeaderName::Via).nth(1).is_some() {
            self.core.count(Counter::ResponseStray);
            return;
        }
        let client = match self.core.transactions.handle_response(now, response) {
            Delivered::To(client) => client,
            Delivered::Absorbed => return,
            Delivered::Stray => {
                if !self.acknowledge_stray(now, source, sender, response) {
                    self.core.count(Counter::ResponseStray);
                }
                return;
            }
        };
        if let Some(told) = Feedback::told(&response.via) {
            let event = UserAgentEvent::Overload(source.remote, told);
            self.core.events.push_back(event);
        }
        match self.core.owner(client) {
            Some(Owner::Leg(leg)) => {
                self.hear_response(leg, response);
                self.with_leg(now, leg, |leg, turn| leg.response(turn, client, response));
            }
            Some(Owner::Aside(leg, aside)) => {
                self.hear_response(leg, response);
                self.with_leg(now, leg, |leg, turn| {
                    leg.aside_answered(turn, aside, response.status, Some(response))
                });
            }
            Some(Owner::Subscription(key)) => {
                self.with_subscription(now, key, |it, moment| {
                    it.response(moment, client, response)
                });
            }
            Some(Owner::Ping(key)) if response.status.is_final() => {
                let outcome = PingOutcome::Answered {
                    status: response.status,
                };
                self.pings.end(&mut self.core, key, outcome);
            }
            Some(Owner::Ping(_)) | None => {}
        }
    }

    /// Hears the news of the transactions until there is none: an answer to one may make another.
    pub(super) fn settle(&mut self, now: Instant) {
        self.now = now;
        for _ in 0..self.core.transactions.take_dropped() {
            self.core.count(Counter::TransmitOverflow);
        }
        while let Some(event) = self.core.transactions.poll_event() {
            match event {
                Event::TimedOut(client) => self.failed(now, client, Status::REQUEST_TIMEOUT),
                Event::TransportFailed(client) => {
                    self.failed(now, client, Status::SERVICE_UNAVAILABLE);
                }
                Event::ClientEnded(client) => {
                    if let Some(Owner::Leg(leg)) = self.core.owner(client) {
                        self.with_leg(now, leg, |leg, turn| leg.ended(turn, client));
                    }
                    self.core.disown(client);
                }
                Event::AckMissing(server) | Event::ServerEnded(server) => {
                    self.core.invites.remove(server);
                }
            }
        }
    }

    fn failed(&mut self, now: Instant, client: ClientKey, status: Status) {
        match self.core.owner(client) {
            Some(Owner::Leg(leg)) => {
                self.with_leg(now, leg, |leg, turn| leg.failed(turn, client, status));
            }
            Some(Owner::Aside(leg, aside)) => {
                self.with_leg(now, leg, |leg, turn| {
                    leg.aside_answered(turn, aside, status, None)
                });
            }
            Some(Owner::Subscription(key)) => {
                self.with_subscription(now, key, |it, moment| it.failed(moment, client));
            }
            Some(Owner::Ping(key)) => self.pings.end(&mut self.core, key, PingOutcome::Silent),
            None => {}
        }
        self.core.disown(client);
    }

    /// Answers a message that cannot be acted on, if it is a request and enough of it is left;
    /// tells whether it was.
    fn reject(&mut self, source: Source, sender: Sender<'_>, rejection: &Rejection<'_>) -> bool {
        if rejection.error == Malformed::Empty {
            // RFC 5626 §4.4.1 and many a NAT: a keep-alive, nothing that is wrong.
            return false;
        }
        let status = rejection.error.status();
        let too_large =
            [Status::MESSAGE_TOO_LARGE, Status::REQUEST_ENTITY_TOO_LARGE].contains(&status);
        self.core.count(if too_large {
            Counter::MessageTooLarge
        } else {
            Counter::MessageMalformed
        });
        let (Some(message), Sender::Known { .. }) = (&rejection.message, sender) else {
            return false;
        };
        // RFC 3261 §8.2.7: the same request gets the same tag.
        let tag = self.core.tag_for(message.bytes());
        let mut bytes = Vec::with_capacity(512);
        let tag = tag.text();
        let Some(mut writer) = Writer::rejection(&mut bytes, rejection, source.remote, &tag) else {
            return false;
        };
        writer.end();
        let transactions = &mut self.core.transactions;
        match message.via() {
            Ok(via) => transactions.send_response_stateless(source, &via, &bytes),
            // Where the Via cannot be read, the answer goes where the request came from.
            Err(_) => {
                let transmit = Transmit {
                    transport: source.transport,
                    local: Some(source.local),
                    remote: source.remote,
                    connection: source.connection,
                };
                transactions.send(transmit, &bytes);
            }
        }
        true
    }

    /// Answers a request that has no transaction.
    pub(super) fn answer_stateless(
        &mut self,
        source: Source,
        request: &Request<'_>,
        status: Status,
        fields: Fields,
    ) {
        let tag = self.core.tag_for(request.message.bytes()).text();
        let bytes = self.stateless((source, &tag), &request.message, status, fields);
        let transactions = &mut self.core.transactions;
        transactions.send_response_stateless(source, &request.via, &bytes);
    }

    /// RFC 3261 §8.2.7: the same request must get the same tag.
    pub(super) fn stateless(
        &self,
        (source, tag): (Source, &str),
        message: &Message<'_>,
        status: Status,
        fields: Fields,
    ) -> Vec<u8> {
        let copied = Copied::Broken {
            message,
            source: source.remote,
            tag,
            feedback: self.core.transactions.feedback(),
        };
        let answer = Answer {
            fields,
            ..Answer::default()
        };
        let mut bytes = Vec::with_capacity(512);
        let listener = self.core.listener(source.transport, source.remote);
        let way = (source.transport, listener);
        let server = &self.core.config.user_agent;
        response(&mut bytes, status, copied, &answer, way, server);
        bytes
    }
}
