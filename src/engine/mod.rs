//! One shard's worth of everything: the user agent below, calls, agents, queues and trunks above.
//!
//! [`Engine`] implements [`offhook_shards::Engine`]: bytes, messages, requests and time come in,
//! and after each of them `settle` lets the parts answer each other until nobody has more to say.
//! The parts never see each other; only this module knows who talks to whom. `owner` says which
//! shard a thing lives on, `links` which SIP thing belongs to which of ours, `tie` what two calls
//! say to each other.

mod admission;
mod arrival;
mod dial;
mod links;
mod memory;
pub mod message;
mod notebook;
mod owner;
mod recall;
mod settle;
mod setup;
mod tie;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::wheel::Wheel;
use offhook_shards::{
    ConnectionChange, ConnectionOutcome, Frame, ShardId, Source, Transmit, Urgency,
};

use crate::agent::{self, Agents};
use crate::burst_queue::BurstQueue;
use crate::call;
use crate::call::{CallKey, CallRef, Calls, Dial, LegSlot, Live, Mint};
use crate::config::{Config, DnIndex, QueueIndex, RoutingPointIndex, Strangers, TrunkIndex};
use crate::counters::{Counters, Gauge};
use crate::cti::{ErrorCode, Event, Output, Request, RequestBody, RequestedBy, RouteRequest};
use crate::dialog::{Admission, LegKey, Sender, Unwelcome, UserAgent};
use crate::journal::{Image, Record};
use crate::presence::Watchers;
use crate::queue::{self, Queues};
use crate::sip::framing;
use crate::trunk::Trunks;
use crate::wall::Wall;

pub use message::{Input, Message};
pub use owner::Owners;
pub use setup::{EngineConfig, Shared};
pub use waiting::Waiting;

use admission::Backlog;
use links::Links;
use memory::Memory;
use notebook::Notebook;
use tie::Ties;

/// One shard's engine.
///
/// After every `handle_*` drain `poll_transmit`, `poll_message` and `poll_event`, in this order,
/// then wait until `poll_timeout` or new input.
#[derive(Debug)]
pub struct Engine {
    shard: ShardId,
    owners: Owners,
    config: Arc<Config>,
    counters: Arc<Counters>,
    user_agent: UserAgent,
    calls: Calls,
    agents: Agents,
    queues: Queues,
    watchers: Watchers,
    trunks: Trunks,
    links: Links,
    ties: Ties,
    /// Whether calls may only end.
    is_draining: bool,
    backlog: Backlog,
    memory: Memory,
    /// Peers that have been silent on an INVITE for so long that the next one is tried.
    silences: Wheel<(CallKey, LegKey)>,
    /// Legs that are to be made when an earlier one to the same phone is over.
    postponed: BTreeMap<LegKey, (CallKey, LegSlot, Box<Dial>)>,
    wall: Wall,
    /// What is written down, if anything is.
    notebook: Option<Notebook>,
    /// What this shard tells itself.
    local: VecDeque<Message>,
    messages: VecDeque<(ShardId, Message)>,
    events: BurstQueue<Output>,
}

impl Engine {
    /// An engine that starts to watch its DNs and ping its trunks at once.
    #[must_use]
    pub fn new(now: Instant, setup: EngineConfig) -> Self {
        let mut engine = Self::build(now, setup);
        engine.tell_agents_of_trunks(now);
        engine.settle(now);
        engine
    }

    /// An engine that writes down what it must know after a crash, and takes up what an earlier
    /// one has written. Drain [`Engine::poll_record`] before `poll_transmit`.
    #[must_use]
    pub fn with_journal(now: Instant, setup: EngineConfig, image: &Image) -> Self {
        let mut engine = Self::build(now, setup);
        engine.notebook = Some(Notebook::default());
        engine.calls.watch_touched();
        engine.agents.watch_touched();
        engine.watchers.watch_touched();
        engine.user_agent.watch_over();
        engine.tell_agents_of_trunks(now);
        engine.take_up(now, image);
        engine.settle(now);
        engine
    }

    /// The next thing to write down.
    pub fn poll_record(&mut self) -> Option<Record> {
        self.notebook.as_mut()?.poll_record()
    }

    fn build(now: Instant, setup: EngineConfig) -> Self {
        let EngineConfig {
            shard,
            owners,
            config,
            user_agent,
            seed,
            counters,
            wall,
        } = setup;
        let shards = owners.shards();
        let memory_max = config.server.memory_max;
        let mine = |owner: ShardId| owner == shard;
        let dns: Vec<DnIndex> = indices(config.agents.len())
            .map(DnIndex)
            .filter(|&dn| mine(owners.dn(&config, dn)))
            .collect();
        let queues = indices(config.queues.len())
            .map(|index| QueueIndex(narrow(index)))
            .filter(|&queue| mine(owners.queue(&config, queue)));
        let pinging: Vec<TrunkIndex> = indices(config.trunks.len())
            .map(|index| TrunkIndex(narrow(index)))
            .filter(|&trunk| mine(owners.trunk(&config, trunk)))
            .collect();
        let (its_config, its_counters) = (Arc::clone(&config), Arc::clone(&counters));
        let agents = Agents::new(now, its_config, dns.iter().copied(), its_counters);
        let (its_config, its_counters) = (Arc::clone(&config), Arc::clone(&counters));
        let queues = Queues::new(now, its_config, queues, its_counters, wall);
        let mint = Mint::new(shard, shards, seed & 0xffff_ffff_0000);
        let mut trunks = Trunks::new(now, Arc::clone(&config), shard, &pinging, seed);
        let watchers = Watchers::new(
            now,
            Arc::clone(&config),
            &mut trunks,
            shards,
            dns.iter().copied(),
            seed ^ u64::from(shard.0),
            Arc::clone(&counters),
        );
        Self {
            shard,
            owners,
            user_agent: UserAgent::new(now, user_agent, Arc::clone(&counters)),
            calls: Calls::new(now, shard, Arc::clone(&config), mint),
            agents,
            queues,
            watchers,
            trunks,
            config,
            counters,
            links: Links::default(),
            ties: Ties::default(),
            is_draining: false,
            backlog: Backlog::new(shards),
            memory: Memory::new(memory_max),
            silences: Wheel::new(now),
            postponed: BTreeMap::new(),
            wall,
            notebook: None,
            local: VecDeque::new(),
            messages: VecDeque::new(),
            events: BurstQueue::default(),
        }
    }

    /// Until its names have been looked up, a trunk leads nowhere.
    fn tell_agents_of_trunks(&mut self, now: Instant) {
        for index in indices(self.config.trunks.len()) {
            let trunk = TrunkIndex(narrow(index));
            let in_service = self.trunks.in_service(trunk);
            self.agents.handle_trunk(now, trunk, in_service);
        }
    }

    /// How many calls stand where.
    #[must_use]
    pub fn live(&self) -> Live {
        self.calls.live()
    }

    /// Says how much is held; to be asked at the end of a turn.
    pub(crate) fn say_what_is_held(&self) {
        let held = [
            (Gauge::Calls, self.calls.len()),
            (Gauge::Legs, self.user_agent.legs()),
            (Gauge::Subscriptions, self.user_agent.subscriptions()),
            (Gauge::Transactions, self.user_agent.transactions()),
            (Gauge::Dns, self.agents.count()),
            (Gauge::Timers, self.timers()),
        ];
        for (gauge, count) in held {
            self.counters.hold(gauge, count);
        }
    }

    fn timers(&self) -> usize {
        self.user_agent.timers()
            + self.calls.timers()
            + self.agents.timers()
            + self.queues.timers()
            + self.watchers.timers()
            + self.trunks.timers()
            + self.silences.len()
    }

    /// The agents of this shard, for checkers.
    #[must_use]
    pub fn agents(&self) -> &Agents {
        &self.agents
    }

    /// The queues of this shard, for checkers.
    #[must_use]
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// How many ends of ties there are, for checkers.
    #[must_use]
    pub fn ties(&self) -> usize {
        self.ties.len()
    }

    /// How many legs belong to calls, for checkers.
    #[must_use]
    pub fn linked_legs(&self) -> usize {
        self.links.len()
    }

    /// The SIP side of this shard, for checkers.
    #[must_use]
    pub fn user_agent(&self) -> &UserAgent {
        &self.user_agent
    }

    /// New calls are refused, and OPTIONS answered 503, so that trunks go elsewhere.
    pub fn set_draining(&mut self, draining: bool) {
        self.is_draining = draining;
        self.user_agent.set_draining(draining);
    }

    /// Who sent a message.
    fn sender<'a>(
        config: &'a Config,
        trunks: &Trunks,
        (admission, shards): (Admission, u16),
        source: Source,
    ) -> Sender<'a> {
        if let Some(trunk) = trunks.by_source(source.remote.ip()) {
            let trunk = config.trunk_at(trunk);
            return Sender::Known {
                is_trusted: trunk.trusted,
                shows: trunk.credentials.as_deref().filter(|_| trunk.challenge),
                admission,
                call_rate: admission::share(trunk.call_rate, shards),
            };
        }
        // Whose address it is may be known as soon as DNS has said so for the first time.
        let unwelcome = match config.server.strangers {
            _ if trunks.is_awaiting() => Unwelcome::Later,
            Strangers::Ignore => Unwelcome::Ignored,
            Strangers::Refuse => Unwelcome::Refused,
        };
        Sender::Stranger(unwelcome)
    }

    /// Takes a message; `admission` is for it if it makes a new call.
    fn take(&mut self, now: Instant, from: Source, admission: Admission, bytes: &[u8]) {
        let admission_here = (admission, self.owners.shards());
        let sender = Self::sender(&self.config, &self.trunks, admission_here, from);
        let mut is_over = false;
        match sender {
            Sender::Known { call_rate, .. } => {
                let feedback = self.backlog.feedback(now, self.wall);
                self.user_agent.set_feedback(Some(feedback));
                let gate = (admission, call_rate);
                let user_agent = &mut self.user_agent;
                is_over = user_agent.refuse_at_a_glance(now, from, gate, bytes);
            }
            Sender::Stranger(_) => self.user_agent.set_feedback(None),
        }
        if !is_over {
            self.user_agent.handle_datagram(now, from, sender, bytes);
        }
        self.note_offered(now);
        if !is_over {
            self.settle(now);
        }
    }

    fn send(&mut self, to: ShardId, message: Message) {
        if to == self.shard {
            self.local.push_back(message);
        } else {
            self.messages.push_back((to, message));
        }
    }

    fn tell_agent(&mut self, dn: DnIndex, input: agent::Input) {
        self.send(self.owners.dn(&self.config, dn), Message::Agent(dn, input));
    }

    fn tell_queue(&mut self, queue: QueueIndex, input: queue::Input) {
        self.send(
            self.owners.queue(&self.config, queue),
            Message::Queue(queue, input),
        );
    }

    fn tell_call(&mut self, call: CallRef, input: call::Input) {
        self.send(call.shard, Message::Call(call, input));
    }

    fn emit(&mut self, event: Box<Event>) {
        self.events.push_back(Output::Event(event));
    }

    /// A router's word: about a call to its home, about the router itself to every queue that the
    /// routing point leads to.
    fn route(
        &mut self,
        now: Instant,
        routing_point: RoutingPointIndex,
        requested_by: RequestedBy,
        request: &RouteRequest,
    ) {
        let queues = match request {
            RouteRequest::Router(_) => self.config.homes(routing_point),
            RouteRequest::Call { conn_id, .. } => self.calls.home(*conn_id).into_iter().collect(),
        };
        if let (RouteRequest::Call { conn_id, .. }, true) = (request, queues.is_empty()) {
            let number = &self.config.routing_point_at(routing_point).number;
            let message = format!("no call {conn_id} waits at a routing point");
            let code = ErrorCode::InvalidConnID;
            let error = Event::error(now, &**number, requested_by, code, message);
            return self.emit(Box::new(error));
        }
        for queue in queues {
            let input = queue::Input::Router {
                routing_point,
                requested_by,
                request: request.clone(),
            };
            self.tell_queue(queue, input);
        }
    }

    fn request(&mut self, now: Instant, request: Request) {
        let Request { requested_by, body } = request;
        match body {
            RequestBody::Desktop(dn, request) => {
                self.tell_agent(
                    dn,
                    agent::Input::Desktop {
                        requested_by,
                        request,
                    },
                );
            }
            RequestBody::Route(routing_point, request) => {
                self.route(now, routing_point, requested_by, &request);
            }
            RequestBody::Call(conn_id, request) => match self.calls.find(conn_id) {
                Some(key) if let Some(dn) = call::takes_in_hand(&request) => {
                    let call = CallRef {
                        shard: self.shard,
                        key,
                        conn_id,
                    };
                    let request = Box::new(request);
                    let input = agent::Input::Take {
                        call,
                        requested_by,
                        request,
                    };
                    self.tell_agent(dn, input);
                }
                Some(key) => {
                    let input = call::Input::Request {
                        requested_by,
                        request,
                    };
                    self.calls
                        .handle(now, key, call::Event::Input(conn_id, input));
                }
                None => self.no_such_call(now, conn_id, requested_by, &request),
            },
        }
    }
}

impl offhook_shards::Engine for Engine {
    type Message = Message;
    type Request = Input;
    type Event = Output;

    fn owner(&self, bytes: &[u8]) -> Option<ShardId> {
        if self.owners.shards() == 1 {
            return None;
        }
        self.owners
            .message(bytes)
            .filter(|&owner| owner != self.shard)
    }

    fn frame(buffer: &[u8]) -> Frame {
        match framing::frame(buffer) {
            // RFC 5626 §3.5.1: a double line end is a ping, a single one its answer.
            framing::Frame::KeepAlive(4) => Frame::Skip {
                bytes: 4,
                reply: b"\r\n",
            },
            framing::Frame::KeepAlive(bytes) => Frame::Skip { bytes, reply: b"" },
            framing::Frame::Complete(bytes) => Frame::Complete(bytes),
            framing::Frame::Incomplete => Frame::Incomplete,
            framing::Frame::Malformed(_) => Frame::Malformed,
        }
    }

    fn identity(&self, remote: SocketAddr) -> Option<String> {
        self.trunks.tls_name(remote)
    }

    fn urgency(&self, from: &Source, bytes: &[u8]) -> Urgency {
        self.urgency_of(from, bytes)
    }

    fn handle_arrival(&mut self, at: Instant, urgency: Urgency) {
        self.backlog.handle_arrival(at, urgency);
    }

    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.backlog.note_wait(now);
        let admission = self.admission(now);
        self.take(now, from, admission, bytes);
    }

    fn handle_excess(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.shed(now, from, bytes);
    }

    fn handle_malformed(&mut self, now: Instant, from: Source, bytes: &[u8]) -> bool {
        let framing::Frame::Malformed(error) = framing::frame(bytes) else {
            return false;
        };
        let admission = (self.admission(now), self.owners.shards());
        let sender = Self::sender(&self.config, &self.trunks, admission, from);
        let answered = self.user_agent.handle_malformed(from, sender, bytes, error);
        self.settle(now);
        answered
    }

    fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        // Every shard hears of every connection; what was sent on another's is not ours to fail.
        if change
            .connection
            .is_none_or(|connection| connection.shard == self.shard)
        {
            // The trunk knows before its calls look for another peer. A connection that a limit of
            // ours refused is not the peer's fault.
            if change.outcome == ConnectionOutcome::ConnectFailed && change.connection.is_some() {
                self.trunks.handle_connect_failed(now, change.remote);
            }
            self.user_agent.handle_connection(now, change);
            self.settle(now);
        }
    }

    fn handle_message(&mut self, now: Instant, _from: ShardId, message: Message) {
        self.handle_local(now, message);
        self.settle(now);
    }

    fn handle_request(&mut self, now: Instant, input: Input) {
        match input {
            Input::Request(request) if self.is_too_busy(now, &request) => {}
            Input::Request(request) => self.request(now, request),
            Input::Resolved(resolved) => {
                self.trunks.handle_resolved(now, &resolved);
                self.user_agent.handle_resolved(now, &resolved);
            }
            Input::Drain => self.set_draining(true),
            Input::Resident(bytes) => self.memory.note(bytes, self.calls.len()),
            Input::Wall(wall) => {
                self.wall = wall;
                self.queues.set_wall(now, wall);
            }
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.user_agent.handle_timeout(now);
        self.calls.handle_timeout(now);
        self.agents.handle_timeout(now);
        self.queues.handle_timeout(now);
        self.trunks.handle_timeout(now);
        self.watchers.handle_timeout(now, &mut self.trunks);
        while let Some((_, (key, leg))) = self.silences.expire(now) {
            self.peer_was_silent(now, key, leg);
        }
        self.settle(now);
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.user_agent.poll_transmit(buffer)
    }

    fn poll_message(&mut self) -> Option<(ShardId, Message)> {
        self.messages.pop_front()
    }

    fn poll_event(&mut self) -> Option<Output> {
        let event = self.events.pop_front();
        if event.is_none() {
            // The last that is asked in a turn.
            self.say_what_is_held();
        }
        event
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [
            self.user_agent.poll_timeout(),
            self.calls.poll_timeout(),
            self.agents.poll_timeout(),
            self.queues.poll_timeout(),
            self.watchers.poll_timeout(),
            self.trunks.poll_timeout(),
            self.silences.next(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

/// The indices of a table of `count` rows.
fn indices(count: usize) -> impl Iterator<Item = u32> {
    0..u32::try_from(count).expect("the configuration's tables have 32-bit indices")
}

fn narrow(index: u32) -> u16 {
    u16::try_from(index).expect("queues and trunks have 16-bit indices")
}

#[cfg(test)]
pub(crate) mod tests;
