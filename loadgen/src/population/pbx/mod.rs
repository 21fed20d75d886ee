//! A PBX of the UCM kind: one or more nodes, each with an address, over one set of phones.
//!
//! Any node takes SUBSCRIBEs and INVITEs for any phone, as in a cluster. A subscription and a call
//! live at the node that took them and die with it; the phones do not. What the callers on the
//! other side of the PBX do is in `callers`.

mod dial;
mod habits;
mod kind;
mod legs;
mod phone;
mod subscriptions;
mod talk;
mod trouble;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::sip::{Method, Request, Status};

use super::agenda::Agenda;
use super::exchange::{ClientId, Exchange, Expiry, Incoming, ServerId, Timers, Wire};
use super::message::{ALLOW, Style};
use super::random::{Random, Span};
use super::session::{Reception, refuse};
use super::truth::{Fact, Log, Record};
use crate::node::{Node, Packet};
use legs::{Act, Leg, LegId};
use phone::{Line, Phone};
use subscriptions::{Subscription, SubscriptionId};
use talk::Connection;
use trouble::BrownOut;

pub use habits::{Answering, Behaviour, Habits, Rhythm};
pub use kind::PbxKind;
pub use phone::{Activity, PhoneControl, PhoneView, Presence};
pub use subscriptions::SubscribeRefusal;

/// RFC 3261 §14.1: how long a party that did not mint the Call-ID waits after a 491.
const GLARE_WAIT: Span = Span::milliseconds(0, 2_000);
/// Where the streams of chance of single phones begin: what one phone does depends on no other.
const PHONE_STREAM: u64 = 1 << 32;

/// What a PBX is made of.
#[derive(Debug, Clone)]
pub struct PbxOptions {
    /// The address of each node; at least one.
    pub addresses: Vec<SocketAddr>,
    /// The directory numbers of the phones.
    pub dns: Vec<String>,
    /// Where chance comes from.
    pub seed: u64,
    /// The timers of its transactions.
    pub timers: Timers,
    /// How its phones behave.
    pub habits: Habits,
    /// Whether the phones are there from the start.
    pub registered: bool,
    /// The longest subscription that is granted.
    pub expires_max: Duration,
    /// The shortest one; a shorter wish gets 423.
    pub expires_min: Duration,
    /// Whether the first NOTIFY leaves before the 200 (RFC 6665 §4.1.2.4).
    pub notify_first: bool,
    /// Whether presence shows that a phone rings.
    pub alerting_is_shown: bool,
    /// How many calls of the server's a phone may have at once; one more is busy.
    pub calls_max: usize,
    /// Where the server hears SIP, for phones that dial.
    pub server: Option<SocketAddr>,
    /// The methods that the PBX allows: the value of its Allow header.
    pub allow: String,
    /// Whether its phones answer with a session timer where one is asked for (RFC 4028).
    pub session_timers: bool,
    /// Whose PBX it is.
    pub kind: PbxKind,
}

impl PbxOptions {
    /// One node whose phones are there, with UCM's lifetimes.
    #[must_use]
    pub fn new(address: SocketAddr, dns: impl IntoIterator<Item = String>) -> Self {
        Self {
            addresses: vec![address],
            dns: dns.into_iter().collect(),
            seed: 0,
            timers: Timers::default(),
            habits: Habits::default(),
            registered: true,
            expires_max: Duration::from_secs(3_600),
            expires_min: Duration::from_secs(60),
            notify_first: false,
            alerting_is_shown: false,
            calls_max: 1,
            server: None,
            allow: ALLOW.to_owned(),
            session_timers: false,
            kind: PbxKind::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Leg(LegId, Act),
    Expire(SubscriptionId),
    PrivateCall(usize),
    PrivateCallOver(usize),
    Absence(usize),
    AbsenceOver(usize),
    Storm,
}

#[derive(Debug)]
struct PbxNode {
    exchange: Exchange,
    subscribe_refusal: Option<SubscribeRefusal>,
    brown_out: Option<BrownOut>,
    restarts: u32,
}

/// A PBX with its phones. See the module.
#[derive(Debug)]
pub struct Pbx {
    nodes: Vec<PbxNode>,
    phones: Vec<Phone>,
    by_dn: BTreeMap<String, usize>,
    habits: Habits,
    random: Random,
    seed: u64,
    made: u64,
    expires_max: Duration,
    expires_min: Duration,
    notify_first: bool,
    alerting_is_shown: bool,
    kind: PbxKind,
    mute_answers: f64,
    server: Option<SocketAddr>,
    legs: BTreeMap<LegId, Leg>,
    leg_by_call: BTreeMap<(usize, String), LegId>,
    leg_by_invite: BTreeMap<(usize, ServerId), LegId>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    subscription_by_call: BTreeMap<(usize, String), SubscriptionId>,
    /// NOTIFYs that wait for their answers.
    notifies: BTreeMap<(usize, ClientId), SubscriptionId>,
    notifies_sent: u64,
    rang: u64,
    agenda: Agenda<Due>,
    log: Log,
}

impl Pbx {
    /// A PBX as described. Habits begin with [`Pbx::begin_habits`].
    ///
    /// # Panics
    /// Without an address.
    #[must_use]
    pub fn new(options: PbxOptions) -> Self {
        assert!(!options.addresses.is_empty(), "a PBX has at least one node");
        let nodes = nodes(&options);
        let shown = if options.registered {
            Presence::Idle
        } else {
            Presence::Closed
        };
        let phones: Vec<Phone> = options
            .dns
            .into_iter()
            .enumerate()
            .map(|(place, dn)| Phone {
                dn,
                registered: options.registered,
                line: Line::Idle,
                legs: Vec::new(),
                calls_max: options.calls_max,
                reception: Reception::default(),
                call_waiting: true,
                since: None,
                shown,
                behaviour: None,
                habits: None,
                random: Random::new(options.seed, PHONE_STREAM + place as u64),
                subscriptions: Vec::new(),
            })
            .collect();
        Self {
            nodes,
            by_dn: phones
                .iter()
                .enumerate()
                .map(|(at, phone)| (phone.dn.clone(), at))
                .collect(),
            phones,
            habits: options.habits,
            random: Random::new(options.seed, 1),
            seed: options.seed,
            made: 0,
            expires_max: options.expires_max,
            expires_min: options.expires_min,
            notify_first: options.notify_first,
            alerting_is_shown: options.alerting_is_shown,
            kind: options.kind,
            mute_answers: 0.0,
            server: options.server,
            legs: BTreeMap::new(),
            leg_by_call: BTreeMap::new(),
            leg_by_invite: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            subscription_by_call: BTreeMap::new(),
            notifies: BTreeMap::new(),
            notifies_sent: 0,
            rang: 0,
            agenda: Agenda::default(),
            log: Log::default(),
        }
    }

    /// From now on phones have private calls and go away by habit.
    pub fn begin_habits(&mut self, now: Instant) {
        for phone in 0..self.phones.len() {
            let habits = self.habits_of(phone);
            let random = &mut self.phones[phone].random;
            if let Some(rhythm) = habits.private_calls {
                let gap = random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::PrivateCall(phone));
            }
            if let Some(rhythm) = habits.absences {
                let gap = random.gap(rhythm.every);
                self.agenda.add(now + gap, Due::Absence(phone));
            }
        }
    }

    /// The habits of one phone: its own, or those of the PBX.
    pub(super) fn habits_of(&self, phone: usize) -> Habits {
        self.phones[phone]
            .habits
            .as_deref()
            .copied()
            .unwrap_or(self.habits)
    }

    /// Other habits from now on, for all phones. What has begun, ends; without a rhythm nothing
    /// new begins.
    pub fn set_habits(&mut self, habits: Habits) {
        self.habits = habits;
        for phone in &mut self.phones {
            phone.habits = None;
        }
    }

    /// From now on nobody begins anything unasked: no private calls, no absences.
    pub fn end_rhythms(&mut self) {
        let calm = |habits: &Habits| Habits {
            private_calls: None,
            absences: None,
            ..*habits
        };
        self.habits = calm(&self.habits);
        for phone in &mut self.phones {
            phone.habits = phone.habits.as_ref().map(|habits| Arc::new(calm(habits)));
        }
    }

    /// Commands to one phone.
    ///
    /// # Panics
    /// When the PBX has no such phone.
    pub fn phone(&mut self, now: Instant, dn: &str) -> PhoneControl<'_> {
        let phone = self.by_dn.get(dn).copied();
        let phone = phone.unwrap_or_else(|| panic!("this PBX has no phone {dn}"));
        PhoneControl {
            pbx: self,
            now,
            phone,
        }
    }

    /// One phone as the PBX knows it.
    #[must_use]
    pub fn phone_view(&self, dn: &str) -> Option<PhoneView<'_>> {
        self.by_dn.get(dn).map(|phone| self.view(*phone))
    }

    /// Every phone, in the order of the options.
    pub fn phones(&self) -> impl Iterator<Item = PhoneView<'_>> {
        (0..self.phones.len()).map(|phone| self.view(phone))
    }

    /// Whether this is the address of a node.
    #[must_use]
    pub fn is_at(&self, address: SocketAddr) -> bool {
        self.nodes
            .iter()
            .any(|node| node.exchange.address == address)
    }

    /// Live subscriptions of all phones.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// NOTIFYs sent so far, without retransmissions.
    #[must_use]
    pub fn notifies_sent(&self) -> u64 {
        self.notifies_sent
    }

    /// INVITEs that reached phones so far.
    #[must_use]
    pub fn invites_received(&self) -> u64 {
        self.rang
    }

    /// Calls of the server's at phones, those that ring included.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.legs.len()
    }

    /// Transactions under way or still remembered, at all nodes.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.nodes
            .iter()
            .map(|node| node.exchange.transactions())
            .sum()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Whether every phone is there, idle, and has nothing to be told.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.legs.is_empty()
            && self.notifies.is_empty()
            && self
                .phones
                .iter()
                .all(|phone| phone.registered && phone.line == Line::Idle)
    }

    /// What a node has sent and received.
    #[must_use]
    pub fn wire(&self, node: usize) -> Wire {
        self.nodes[node].exchange.wire
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.log.records()
    }

    /// Takes what happened since the last time.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.log.take()
    }

    /// The calls that phones talk in, with their phones.
    pub(super) fn connections(&self) -> impl Iterator<Item = Connection<'_>> {
        self.talking()
    }

    /// Adds a finding to the log.
    pub(super) fn report(&mut self, now: Instant, fact: Fact) {
        self.log.add(now, fact);
    }

    fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn new_tag(&mut self) -> String {
        let number = self.next_number();
        let high = self.random.number();
        // UCM's tags look like this, tilde and all.
        format!("{number}~{high:016x}")
    }

    fn handle_request(
        &mut self,
        now: Instant,
        node: usize,
        source: SocketAddr,
        id: ServerId,
        request: &Request<'_>,
    ) {
        if request.to_tag.is_some() && request.method != Method::Subscribe {
            if !self.handle_in_leg(now, node, id, request) {
                let exchange = &mut self.nodes[node].exchange;
                refuse(now, exchange, id, Status::CALL_DOES_NOT_EXIST);
            }
            return;
        }
        if let Some((status, retry_after)) = self.refuses(node) {
            return self.refuse_everything(now, node, id, status, retry_after);
        }
        match request.method {
            Method::Invite => self.handle_invite(now, node, source, id, request),
            Method::Subscribe => self.handle_subscribe(now, node, source, id, request),
            Method::Options => refuse(now, &mut self.nodes[node].exchange, id, Status::OK),
            Method::Bye | Method::Notify | Method::Info | Method::Update | Method::Prack => {
                refuse(
                    now,
                    &mut self.nodes[node].exchange,
                    id,
                    Status::CALL_DOES_NOT_EXIST,
                );
            }
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Publish
            | Method::Refer
            | Method::Message
            | Method::Other(_) => {
                refuse(
                    now,
                    &mut self.nodes[node].exchange,
                    id,
                    Status::METHOD_NOT_ALLOWED,
                );
            }
        }
    }

    fn refuse_everything(
        &mut self,
        now: Instant,
        node: usize,
        id: ServerId,
        status: Status,
        retry_after: Option<u32>,
    ) {
        let mut answer = super::exchange::Answer {
            tag: Some("refused"),
            ..Default::default()
        };
        if let Some(seconds) = retry_after {
            answer
                .fields
                .push((offhook::sip::HeaderName::RetryAfter, seconds.to_string()));
        }
        self.nodes[node].exchange.answer(now, id, status, &answer);
    }

    fn handle_due(&mut self, now: Instant, due: Due) {
        match due {
            Due::Leg(leg, act) => self.act(now, leg, act),
            Due::Expire(subscription) => {
                self.end_subscription(now, subscription, "timeout", None);
            }
            Due::Storm => self.storm_round(now),
            Due::PrivateCall(_)
            | Due::PrivateCallOver(_)
            | Due::Absence(_)
            | Due::AbsenceOver(_) => self.habit(now, due),
        }
    }
}

impl Node for Pbx {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let at = |node: &PbxNode| node.exchange.address == to;
        let Some(node) = self.nodes.iter().position(at) else {
            return;
        };
        let mut index = self.nodes[node].exchange.take_index();
        match self.nodes[node]
            .exchange
            .receive(now, from, bytes, &mut index)
        {
            Incoming::Request(id, request) => self.handle_request(now, node, from, id, &request),
            Incoming::Cancelled(invite) => self.handle_cancelled(now, node, invite),
            Incoming::Acknowledged(request) => self.handle_leg_ack(now, node, &request),
            Incoming::Response(id, response) => {
                if !self.handle_notify_response(now, node, id, &response) {
                    self.handle_leg_response(now, node, id, &response);
                }
            }
            Incoming::Nothing => {}
        }
        self.nodes[node].exchange.return_index(index);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for node in 0..self.nodes.len() {
            while let Some(expiry) = self.nodes[node].exchange.handle_timeout(now) {
                let notify = match expiry {
                    Expiry::NoResponse(id) => self.handle_notify_expiry(now, node, id),
                    Expiry::NeverAcknowledged(_) => false,
                };
                if !notify {
                    self.handle_leg_expiry(now, node, expiry);
                }
            }
        }
        while let Some((_, due)) = self.agenda.take_due(now) {
            self.handle_due(now, due);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        self.nodes.iter_mut().find_map(|node| {
            let to = node.exchange.poll_transmit(buffer)?;
            Some(Packet {
                from: node.exchange.address,
                to,
            })
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let exchanges = self
            .nodes
            .iter()
            .filter_map(|node| node.exchange.poll_timeout());
        exchanges.chain(self.agenda.next()).min()
    }
}

/// What makes the branches of one incarnation of one node its own.
fn mark(seed: u64, node: usize, restarts: u32) -> String {
    let seed = Random::new(seed, 0x9b).number() & 0xffff_ffff;
    format!("{seed:08x}p{node}r{restarts}x")
}

/// The nodes of a PBX as described.
fn nodes(options: &PbxOptions) -> Vec<PbxNode> {
    let nodes = options.addresses.iter().enumerate().map(|(node, address)| {
        let mark = mark(options.seed, node, 0);
        let mut exchange = Exchange::new(*address, mark, options.timers);
        exchange.style = Style {
            user_agent: options.kind.user_agent(),
            allow: options.allow.clone(),
            via_last: options.kind.is_ucm(),
            session_timers: options.session_timers,
        };
        PbxNode {
            exchange,
            subscribe_refusal: None,
            brown_out: None,
            restarts: 0,
        }
    });
    nodes.collect()
}
