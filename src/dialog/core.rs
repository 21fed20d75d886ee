//! What legs, subscriptions and pings share: transactions, timers, tables, randomness, and the
//! way a message gets its branch and its transport. It decides nothing about any of them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::pages::LASTING_BYTES;
use offhook_shards::wheel::{TimerKey, Wheel};
use offhook_shards::{Transmit, Transport};
use siphasher::sip::SipHasher24;
use slotmap::SecondaryMap;

use crate::counters::{Counter, Counters};
use crate::dns::FarEnds;
use crate::limits::TEXT_BYTES;
use crate::sip::via::MAGIC_COOKIE;
use crate::sip::{Host, Method, Status, Uri};
use crate::spare::{Boxes, Rooms, Shared};
use crate::transaction::{
    ClientKey, Fallback, Full, Outgoing, ServerKey, Timers, Transactions, transport_for,
};

use super::accepted::Accepted;
use super::asides::Aside;
use super::body::PassingBodies;
use super::compose::{Answer, Draft, Fields, response};
use super::dialog::{Peers, Tag};
use super::digits::{self, Digits};
use super::invites::{Acknowledged, SentInvite};
use super::offered::Offered;
use super::random::Random;
use super::reply::Copied;
use super::table::{Hashed, Table};
use super::{
    LegKey, Listener, PingKey, SessionUuid, SubscriptionKey, Target, UserAgentConfig,
    UserAgentEvent, call_id,
};

/// Whose request a client transaction carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A call's, and about its session: INVITE or BYE.
    Leg(LegKey),
    /// A call's, and beside its session.
    Aside(LegKey, Aside),
    /// A subscription's.
    Subscription(SubscriptionKey),
    /// A ping.
    Ping(PingKey),
}

/// What a timer of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The 2xx to an INVITE goes out again (RFC 3261 §13.3.1.4), or a reliable provisional
    /// response (RFC 3262 §3).
    Repeat(LegKey),
    /// No ACK, or no PRACK, came for 64*T1; or an UPDATE waits for its answer for nearly as long.
    AnswerMissing(LegKey),
    /// A 2xx to an INVITE of ours waits for its ACK.
    AckWaits(LegKey),
    /// The session timer of RFC 4028.
    Session(LegKey),
    /// The far end of a call is asked whether it still has it.
    Probe(LegKey),
    /// Timer N of RFC 6665 §4.1.2.4.
    NotifyMissing(SubscriptionKey),
}

/// A request that is on its way, and what a CANCEL must repeat of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) client: ClientKey,
    branch: Branch,
}

impl Sent {
    /// Whether it had no body: an INVITE without an offer asks for one.
    pub(super) fn asks(self) -> bool {
        self.branch.asks()
    }
}

/// A message that may have to be sent again.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) transmit: Transmit,
    pub(super) bytes: Vec<u8>,
}

/// What tells a request of ours: random, but for the last bit, which says whether the request had
/// no body. A response has it, too, so that it can be acknowledged as it must be although nobody
/// remembers the INVITE any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct Branch(u64);

impl Branch {
    fn new(random: u64, asks: bool) -> Self {
        Self(random & !1 | u64::from(asks))
    }

    /// That of a Via of ours.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.strip_prefix(MAGIC_COOKIE)
            .and_then(digits::read)
            .map(Self)
    }

    /// Whether its request had no body.
    pub(super) fn asks(self) -> bool {
        self.0 & 1 == 1
    }

    fn text(self) -> Digits<23> {
        Digits::new(MAGIC_COOKIE, self.0)
    }
}

/// What a listener is called in messages.
#[derive(Debug)]
struct Own {
    host: Box<str>,
    /// The host where it is an address.
    ip: Option<IpAddr>,
    port: u16,
}

impl Own {
    fn of(listener: &Listener) -> Self {
        let uri = format!("sip:{}", listener.advertised);
        match Uri::parse(uri.as_bytes()) {
            Ok(uri) => Self {
                host: uri.host.to_string().into(),
                ip: uri.host.address(),
                port: uri.port.unwrap_or(5060),
            },
            Err(_) => Self {
                host: listener.advertised.as_str().into(),
                ip: None,
                port: listener.address.port(),
            },
        }
    }
}

/// Room that legs use again and again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// For header lines, and for messages that are kept.
    texts: Rooms<u8>,
    /// For descriptions of sessions.
    pub(super) bodies: Shared,
    pub(super) invites: Rooms<SentInvite>,
    pub(super) acknowledged: Rooms<Acknowledged>,
    pub(super) offered: Boxes<Offered>,
    pub(super) accepted: Boxes<Accepted>,
}

impl Spare {
    /// Room for a text, for header lines as well as for a message, so that none has to grow much.
    pub(super) fn text(&mut self) -> Vec<u8> {
        let mut room = self.texts.take();
        room.reserve(TEXT_BYTES);
        room
    }

    /// Takes a text back.
    pub(super) fn put_back(&mut self, text: Vec<u8>) {
        if text.capacity() >= TEXT_BYTES {
            self.texts.put_back(text);
        }
    }
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: UserAgentConfig,
    pub(super) counters: Arc<Counters>,
    pub(super) transactions: Transactions,
    pub(super) table: Table,
    pub(super) events: VecDeque<UserAgentEvent>,
    pub(super) passing_bodies: PassingBodies,
    /// What dialogs at rest have in common.
    pub(super) peers: Peers,
    /// The names of far ends.
    pub(super) far_ends: FarEnds,
    /// INVITEs of peers, for as long as a CANCEL can name them: their leg, and the tag of the
    /// responses to them.
    pub(super) invites: SecondaryMap<ServerKey, (LegKey, Tag)>,
    /// How others know our listeners, in the order of the configuration.
    own: Vec<Own>,
    /// By whole keys: what is said of a transaction that is over comes when another one may have
    /// its place already.
    owners: HashMap<ClientKey, Owner, BuildHasherDefault<Hashed>>,
    /// The legs whose far ends are to be asked whether they still have their call.
    pub(super) probes: BTreeMap<LegKey, TimerKey>,
    wheel: Wheel<Timer, LASTING_BYTES>,
    random: Random,
    pub(super) spare: Spare,
    /// Where messages are written.
    pub(super) scratch: Vec<u8>,
    /// The datagram that a request in `scratch` would have been, were it not too large for one.
    datagram: Vec<u8>,
}

impl Core {
    pub(super) fn new(now: Instant, config: UserAgentConfig, counters: Arc<Counters>) -> Self {
        assert!(
            !config.listeners.is_empty(),
            "a user agent listens somewhere"
        );
        let timers = Timers {
            t1: config.t1,
            t2: config.t2,
            t4: config.t4,
        };
        Self {
            transactions: Transactions::new(now, timers, config.keys),
            table: Table::new(config.keys),
            events: VecDeque::new(),
            passing_bodies: PassingBodies::default(),
            peers: Peers::default(),
            far_ends: FarEnds::new(now),
            invites: SecondaryMap::new(),
            own: config.listeners.iter().map(Own::of).collect(),
            owners: HashMap::default(),
            probes: BTreeMap::new(),
            wheel: Wheel::new(now),
            random: Random::new(config.keys, config.seed, u64::from(config.shard.0)),
            spare: Spare::default(),
            scratch: Vec::with_capacity(2_048),
            datagram: Vec::new(),
            config,
            counters,
        }
    }

    /// 64*T1: how long anything waits for the other side before it is given up.
    pub(super) fn patience(&self) -> Duration {
        self.config.t1 * 64
    }

    pub(super) fn count(&self, counter: Counter) {
        self.counters.count(counter);
    }

    pub(super) fn tag(&mut self) -> Tag {
        Tag(self.random.next())
    }

    /// A tag that the same bytes always get, and that nobody else can foresee.
    pub(super) fn tag_for(&self, bytes: &[u8]) -> Tag {
        let mut hasher = SipHasher24::new_with_keys(self.config.keys[0], !self.config.keys[1]);
        hasher.write(bytes);
        Tag(hasher.finish())
    }

    pub(super) fn call_id(&mut self) -> String {
        let host = self.config.call_id_host.as_deref();
        call_id::mint(
            self.config.shard,
            self.random.next(),
            self.config.keys,
            host,
        )
    }

    /// RFC 3261 §14.2: a Retry-After of 0 to 10 seconds.
    pub(super) fn retry_after(&mut self) -> u32 {
        self.random.below(11)
    }

    /// A number in `0..bound`; `bound` is at least 1.
    pub(super) fn draw(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.random.next()) * u128::from(bound);
        u64::try_from(wide >> 64).expect("a fraction of 64 bits has 64 bits")
    }

    /// A number in `0..bound`, all equally likely.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.random.below(bound.max(1))
    }

    /// A half of a Session-ID that nobody else has (RFC 7989 §4.1).
    pub(super) fn session_uuid(&mut self) -> SessionUuid {
        let random = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        // RFC 4122 §4.4: version 4, variant 1.
        let random = random & !(0xf << 76) | 4 << 76;
        SessionUuid(random & !(3 << 62) | 2 << 62)
    }

    /// The listener that a message by this way names in Via and Contact.
    pub(super) fn listener(&self, transport: Transport, remote: SocketAddr) -> &Listener {
        &self.config.listeners[self.listener_index(transport, remote)]
    }

    fn listener_index(&self, transport: Transport, remote: SocketAddr) -> usize {
        let all = &self.config.listeners;
        let mut by_transport = (0..all.len()).filter(|&index| all[index].transport == transport);
        let first = by_transport.clone().next();
        by_transport
            .find(|&index| all[index].address.is_ipv4() == remote.is_ipv4())
            .or(first)
            .unwrap_or(0)
    }

    /// The host that we call ourselves in From, towards this target.
    pub(super) fn host(&self, target: &Target) -> &str {
        &self.own[self.listener_index(target.transport, target.address)].host
    }

    /// Whether a Via or a URI with this host and port means us.
    pub(super) fn is_ours(&self, host: &Host<'_>, port: u16) -> bool {
        self.own.iter().any(|own| {
            own.port == port
                && match host {
                    Host::Name(name) => own.ip.is_none() && own.host.eq_ignore_ascii_case(name),
                    Host::V4(_) | Host::V6(_) => own.ip.is_some() && own.ip == host.address(),
                }
        })
    }

    /// Sends a request that starts a transaction.
    pub(super) fn request(
        &mut self,
        now: Instant,
        owner: Owner,
        target: &Target,
        draft: Draft<'_>,
    ) -> Result<Sent, Full> {
        let branch = Branch::new(self.random.next(), draft.body.is_none());
        let (transport, remote) = self.write(target, &draft, branch);
        self.spare.put_back(draft.fields.into_room());
        let client = self.transactions.request(
            now,
            Outgoing {
                method: draft.method,
                transport,
                remote,
                branch: &branch.text(),
                bytes: &self.scratch,
                fallback: (transport != target.transport).then_some(Fallback {
                    remote: target.address,
                    bytes: &self.datagram,
                }),
            },
        )?;
        self.owners.insert(client, owner);
        Ok(Sent { client, branch })
    }

    /// RFC 3261 §9.1: the CANCEL of an INVITE has its branch and goes where it went. Nobody waits
    /// for the answer: it says nothing about the INVITE.
    pub(super) fn cancel(&mut self, now: Instant, invite: Sent, draft: Draft<'_>) {
        let Some((transport, remote)) = self.transactions.way(invite.client) else {
            return;
        };
        self.write_by(transport, remote, &draft, invite.branch);
        self.spare.put_back(draft.fields.into_room());
        let outgoing = Outgoing {
            method: Method::Cancel,
            transport,
            remote,
            branch: &invite.branch.text(),
            bytes: &self.scratch,
            fallback: None,
        };
        if let Ok(client) = self.transactions.request(now, outgoing) {
            self.transactions.abandon(now, client);
        }
        self.transactions.expect_final(now, invite.client);
    }

    /// Sends an ACK to a 2xx and keeps it (§13.2.2.4).
    pub(super) fn acknowledge(&mut self, target: &Target, draft: &Draft<'_>) -> Kept {
        let branch = Branch::new(self.random.next(), draft.body.is_none());
        let (transport, remote) = self.write(target, draft, branch);
        let transmit = Transmit {
            transport,
            local: None,
            remote,
            connection: None,
        };
        self.transactions.send(transmit, &self.scratch);
        Kept {
            transmit,
            bytes: self.kept_scratch(),
        }
    }

    /// Sends once more what was kept.
    pub(super) fn send(&mut self, kept: &Kept) {
        self.transactions.send(kept.transmit, &kept.bytes);
    }

    /// Answers a request. A request that has its final response keeps it.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        server: ServerKey,
        status: Status,
        copied: Copied<'_>,
        answer: &Answer<'_>,
    ) {
        if !self.transactions.is_unanswered(server) {
            return;
        }
        let source = self.transactions.source(server);
        let source = source.expect("a request that waits for its answer has its transaction");
        let mut out = std::mem::take(&mut self.scratch);
        // A Contact names the listener of the way that the request came.
        let listener = self.listener(source.transport, source.remote);
        let server_name = &self.config.user_agent;
        let way = (source.transport, listener);
        response(&mut out, status, copied, answer, way, server_name);
        self.scratch = out;
        self.transactions
            .respond(now, server, status, &self.scratch);
    }

    /// What [`Self::respond`] sent last, to be sent again; `None` when its transaction is over.
    pub(super) fn kept_response(&mut self, server: ServerKey) -> Option<Kept> {
        let transmit = self.transactions.destination(server)?;
        Some(Kept {
            transmit,
            bytes: self.kept_scratch(),
        })
    }

    fn kept_scratch(&mut self) -> Vec<u8> {
        let mut bytes = self.spare.text();
        bytes.extend_from_slice(&self.scratch);
        bytes
    }

    /// What was kept need not be sent again.
    pub(super) fn discard(&mut self, kept: Kept) {
        self.spare.put_back(kept.bytes);
    }

    /// No header lines yet, and room for those of most messages.
    pub(super) fn fields(&mut self) -> Fields {
        Fields::in_room(self.spare.text())
    }

    pub(super) fn owner(&self, client: ClientKey) -> Option<Owner> {
        self.owners.get(&client).copied()
    }

    pub(super) fn disown(&mut self, client: ClientKey) {
        self.owners.remove(&client);
    }

    /// Forgets a transaction of which nobody wants to hear again.
    pub(super) fn abandon(&mut self, now: Instant, client: ClientKey) {
        self.owners.remove(&client);
        self.transactions.abandon(now, client);
    }

    pub(super) fn arm(&mut self, at: Instant, timer: Timer) -> TimerKey {
        self.wheel.arm(at, timer)
    }

    pub(super) fn disarm(&mut self, timer: TimerKey) {
        self.wheel.cancel(timer);
    }

    pub(super) fn expire(&mut self, now: Instant) -> Option<Timer> {
        self.wheel.expire(now).map(|(_, timer)| timer)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        [self.wheel.next(), self.transactions.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Timers that are armed, those of transactions included.
    pub(super) fn timers(&self) -> usize {
        self.wheel.len() + self.transactions.timers()
    }

    /// Everything that must be gone when nothing goes on.
    pub(super) fn is_idle(&self) -> bool {
        self.table.len() == 0
            && self.wheel.is_empty()
            && self.owners.is_empty()
            && self.invites.is_empty()
            && self.transactions.is_empty()
    }

    /// Writes a request for the transport that its size asks for (§18.1.1).
    fn write(
        &mut self,
        target: &Target,
        draft: &Draft<'_>,
        branch: Branch,
    ) -> (Transport, SocketAddr) {
        self.write_by(target.transport, target.address, draft, branch);
        let (transport, remote) = transport_for(target, self.scratch.len());
        if transport != target.transport {
            std::mem::swap(&mut self.scratch, &mut self.datagram);
            self.write_by(transport, remote, draft, branch);
        }
        (transport, remote)
    }

    fn write_by(
        &mut self,
        transport: Transport,
        remote: SocketAddr,
        draft: &Draft<'_>,
        branch: Branch,
    ) {
        let mut out = std::mem::take(&mut self.scratch);
        let listener = self.listener(transport, remote);
        draft.write(
            &mut out,
            transport,
            listener,
            &branch.text(),
            &self.config.user_agent,
        );
        self.scratch = out;
    }
}
