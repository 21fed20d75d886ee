//! Queues, agents and model calls, each on shards of its own. Messages between two shards stay in
//! order; messages of different pairs overtake each other as the seed wants.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{self, Agents, EndCause, Party, PartyState};
use offhook::call::{self, CallKey, CallRef};
use offhook::config::{Config, DnIndex, EntryIndex, QueueIndex, RoutingPointIndex};
use offhook::counters::{Counter, Counters};
use offhook::cti::{
    CallState, ClientId, ConnId, DesktopRequest, DnRole, ErrorCode, Event, EventName, KeyValueList,
    RequestedBy, RouteRequest, RouteType,
};
use offhook::presence::Vote;
use offhook::queue::{self, Queues};
use offhook::wall::Wall;
use offhook_shards::ShardId;

use super::hall::{configuration, info};

pub(crate) const AGENTS: u32 = 6;
pub(crate) const QUEUES: u16 = 2;
const CALL_SHARDS: u64 = 2;
const AGENT_SHARDS: u32 = 2;

/// A generator that needs no crate: splitmix64.
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shard {
    Queue(QueueIndex),
    Agents(u32),
    Calls(u64),
}

enum Message {
    Queue(QueueIndex, queue::Input),
    Agent(DnIndex, agent::Input),
    Call(CallRef, call::Input),
}

/// Where a model call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    Waiting,
    Offered {
        dn: DnIndex,
        rings: bool,
        since: Instant,
    },
    Talking(DnIndex),
    Ended,
}

pub(crate) struct ModelCall {
    pub(crate) call: CallRef,
    /// The first one is its home.
    pub(crate) queues: Vec<QueueIndex>,
    routing_point: RoutingPointIndex,
    /// Its home has not taken it.
    pub(crate) is_refused: bool,
    pub(crate) stand: Stand,
}

pub(crate) struct Floor {
    pub(crate) seed: Seed,
    pub(crate) now: Instant,
    pub(crate) config: Arc<Config>,
    pub(crate) queues: Vec<Queues>,
    pub(crate) agents: Vec<Agents>,
    pub(crate) calls: Vec<ModelCall>,
    mesh: BTreeMap<(Shard, Shard), VecDeque<Message>>,
    counters: Arc<Counters>,
    pub(crate) events: Vec<Event>,
    pub(crate) requests: u32,
}

impl Floor {
    pub(crate) fn new(seed: u64) -> Self {
        let config = configuration(
            "[agent_defaults]\nno_answer_action = \"none\"\n\
             [[agents]]\nrange = \"2001-2003\"\nqueues = [\"sales\", \"service\"]\nwrap_up = 2\n\
             [[agents]]\nrange = \"2004-2006\"\nqueues = [\"sales\"]",
            "[[routing_point]]\nnumber = \"7002\"\nqueue = \"service\"\n\
             [[routing_point]]\nnumber = \"7003\"\nqueue = \"sales\"\n\
             also = [{ queue = \"service\" }]\n\
             [[queue]]\nname = \"sales\"\ncapacity = 12\n\
             [[queue]]\nname = \"service\"",
        );
        let counters = Arc::new(Counters::default());
        let now = Instant::now();
        let queues = (0..QUEUES)
            .map(|queue| {
                let only = [QueueIndex(queue)].into_iter();
                Queues::new(
                    now,
                    Arc::clone(&config),
                    only,
                    Arc::clone(&counters),
                    Wall::since_1970(now),
                )
            })
            .collect();
        let agents = (0..AGENT_SHARDS)
            .map(|shard| {
                let dns = (0..AGENTS)
                    .filter(|dn| dn % AGENT_SHARDS == shard)
                    .map(DnIndex);
                Agents::new(now, Arc::clone(&config), dns, Arc::clone(&counters))
            })
            .collect();
        Self {
            seed: Seed(seed),
            now,
            config,
            queues,
            agents,
            calls: Vec::new(),
            mesh: BTreeMap::new(),
            counters,
            events: Vec::new(),
            requests: 0,
        }
    }

    pub(crate) fn agents_of(&self, dn: DnIndex) -> &Agents {
        &self.agents[(dn.0 % AGENT_SHARDS) as usize]
    }

    pub(crate) fn dns() -> impl Iterator<Item = DnIndex> {
        (0..AGENTS).map(DnIndex)
    }

    pub(crate) fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }

    // What happens outside.

    pub(crate) fn caller_arrives(&mut self) {
        let serial = self.calls.len() as u64;
        let shard = ShardId(u16::try_from(serial % CALL_SHARDS).unwrap());
        let conn_id = ConnId::new(shard, serial + 1);
        let call = CallRef {
            shard,
            key: CallKey::default(),
            conn_id,
        };
        let routing_point = RoutingPointIndex(u16::try_from(self.seed.below(4)).unwrap());
        let config = Arc::clone(&self.config);
        let entries = config.route(routing_point, None, &KeyValueList::new());
        let queue_of = |entry: &EntryIndex| config.entry_at(*entry).queue;
        self.calls.push(ModelCall {
            call,
            queues: entries.iter().map(queue_of).collect(),
            routing_point,
            is_refused: false,
            stand: Stand::Waiting,
        });
        for entry in entries {
            let input = queue::Input::Enter {
                call,
                info: info(call),
                routing_point,
                entry: *entry,
                since: self.now,
                returns: false,
                beside: None,
                visited: Box::new([]),
            };
            self.send(call_shard(call), Message::Queue(queue_of(entry), input));
        }
    }

    pub(crate) fn presence(&mut self, dn: DnIndex, vote: Vote) {
        self.at_agent(dn, agent::Input::Presence(vote));
    }

    pub(crate) fn ask(&mut self, dn: DnIndex, request: DesktopRequest) {
        let requested_by = self.requested_by();
        self.at_agent(
            dn,
            agent::Input::Desktop {
                requested_by,
                request,
            },
        );
    }

    pub(crate) fn router_present(&mut self, there: bool) {
        let requested_by = RequestedBy {
            client: ClientId(2),
            reference_id: 0,
        };
        self.at_router(
            requested_by,
            RouteRequest::Router(there.then_some(ClientId(2))),
        );
    }

    pub(crate) fn route(&mut self, call: usize, number: Option<String>) {
        let requested_by = self.requested_by();
        let route_type = if number.is_some() {
            RouteType::Direct
        } else {
            RouteType::Default
        };
        let conn_id = self.calls[call].call.conn_id;
        let reasons = KeyValueList::new();
        let request = RouteRequest::Call {
            conn_id,
            other_dn: number,
            route_type,
            reasons,
        };
        self.at_router(requested_by, request);
    }

    /// The next thing that the phone or the caller of a call does.
    pub(crate) fn call_goes_on(&mut self, index: usize) {
        match self.calls[index].stand {
            Stand::Waiting if self.seed.below(8) == 0 => self.caller_leaves(index),
            Stand::Waiting | Stand::Ended => {}
            Stand::Offered {
                dn,
                rings: false,
                since,
            } => match self.seed.below(8) {
                0 => self.offer_fails(index, dn, EndCause::Busy),
                1 => self.caller_leaves(index),
                2 => self.answer(index, dn),
                _ => {
                    self.calls[index].stand = Stand::Offered {
                        dn,
                        rings: true,
                        since,
                    };
                    self.report(index, dn, PartyState::Ringing);
                    let conn_id = self.calls[index].call.conn_id;
                    self.tell_queue(index, &queue::Input::Ringing { conn_id, dn });
                }
            },
            Stand::Offered {
                dn, rings: true, ..
            } => match self.seed.below(4) {
                0 => self.offer_fails(index, dn, EndCause::NoAnswer),
                1 => self.caller_leaves(index),
                _ => self.answer(index, dn),
            },
            Stand::Talking(dn) => {
                self.calls[index].stand = Stand::Ended;
                self.report(index, dn, PartyState::Ended(EndCause::CallerReleased));
            }
        }
    }

    pub(crate) fn caller_leaves(&mut self, index: usize) {
        let cause = EndCause::CallerAbandoned;
        let conn_id = self.calls[index].call.conn_id;
        match self.calls[index].stand {
            Stand::Waiting => {}
            Stand::Offered { dn, .. } => self.report(index, dn, PartyState::Ended(cause)),
            Stand::Talking(_) | Stand::Ended => return,
        }
        self.calls[index].stand = Stand::Ended;
        self.tell_queue(index, &queue::Input::Left { conn_id, cause });
    }

    /// Delivers everything, then lets time pass; phones that rang long are given up.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.drain();
        self.now += time;
        for index in 0..self.calls.len() {
            if let Stand::Offered { dn, since, .. } = self.calls[index].stand
                && self.now.duration_since(since) > Duration::from_secs(20)
            {
                self.offer_fails(index, dn, EndCause::NoAnswer);
            }
        }
        for shard in 0..self.agents.len() {
            self.agents[shard].handle_timeout(self.now);
            self.collect_agents(shard);
        }
        for queue in 0..self.queues.len() {
            self.queues[queue].handle_timeout(self.now);
            self.collect_queue(queue);
        }
    }

    // The mesh.

    /// Delivers the oldest message of a random pair of shards; `false` if there is none.
    pub(crate) fn deliver(&mut self) -> bool {
        let pairs: Vec<(Shard, Shard)> = self.mesh.keys().copied().collect();
        if pairs.is_empty() {
            return false;
        }
        let pair = pairs[self.seed.below(pairs.len())];
        let line = self.mesh.get_mut(&pair).unwrap();
        let message = line.pop_front().unwrap();
        if line.is_empty() {
            self.mesh.remove(&pair);
        }
        match message {
            Message::Queue(queue, input) => self.at_queue(queue, input),
            Message::Agent(dn, input) => self.at_agent(dn, input),
            Message::Call(call, input) => self.at_call(call, &input),
        }
        true
    }

    pub(crate) fn drain(&mut self) {
        let mut steps = 0;
        while self.deliver() {
            steps += 1;
            assert!(steps < 100_000, "the shards never fall silent");
        }
    }

    fn send(&mut self, from: Shard, message: Message) {
        let to = match &message {
            Message::Queue(queue, _) => Shard::Queue(*queue),
            Message::Agent(dn, _) => Shard::Agents(dn.0 % AGENT_SHARDS),
            Message::Call(call, _) => call_shard(*call),
        };
        self.mesh.entry((from, to)).or_default().push_back(message);
    }

    fn at_queue(&mut self, queue: QueueIndex, input: queue::Input) {
        let index = usize::from(queue.0);
        self.queues[index].handle(self.now, queue, input);
        self.collect_queue(index);
    }

    fn at_router(&mut self, requested_by: RequestedBy, request: RouteRequest) {
        let routing_point = RoutingPointIndex(0);
        let queue = self.config.routing_point_at(routing_point).queue;
        self.at_queue(
            queue,
            queue::Input::Router {
                routing_point,
                requested_by,
                request,
            },
        );
    }

    fn collect_queue(&mut self, index: usize) {
        let from = Shard::Queue(QueueIndex(u16::try_from(index).unwrap()));
        while let Some(output) = self.queues[index].poll_output() {
            match output {
                queue::Output::Event(event) => self.events.push(*event),
                queue::Output::Notice(_) => {}
                queue::Output::Agent(dn, input) => self.send(from, Message::Agent(dn, input)),
                queue::Output::Call(call, input) => self.send(from, Message::Call(call, input)),
            }
        }
    }

    fn at_agent(&mut self, dn: DnIndex, input: agent::Input) {
        let shard = (dn.0 % AGENT_SHARDS) as usize;
        self.agents[shard].handle(self.now, dn, input);
        self.collect_agents(shard);
    }

    fn collect_agents(&mut self, shard: usize) {
        let from = Shard::Agents(u32::try_from(shard).unwrap());
        while let Some(output) = self.agents[shard].poll_output() {
            match output {
                agent::Output::Event(event) => self.events.push(*event),
                agent::Output::Queue(queue, input) => self.send(from, Message::Queue(queue, input)),
                agent::Output::Call(call, input) => self.send(from, Message::Call(call, input)),
                agent::Output::RefreshPresence(_) | agent::Output::Place(_) => {}
            }
        }
    }

    // The model of a call.

    fn at_call(&mut self, call: CallRef, input: &call::Input) {
        let index = self
            .calls
            .iter()
            .position(|known| known.call == call)
            .unwrap();
        match *input {
            call::Input::Offer { dn, .. } => match self.calls[index].stand {
                Stand::Waiting => {
                    let since = self.now;
                    self.calls[index].stand = Stand::Offered {
                        dn,
                        rings: false,
                        since,
                    };
                    let conn_id = call.conn_id;
                    self.tell_queue(index, &queue::Input::Promised { conn_id, dn });
                }
                Stand::Ended => {
                    self.report(index, dn, PartyState::Ended(EndCause::CallerAbandoned));
                }
                other @ (Stand::Offered { .. } | Stand::Talking(_)) => {
                    let several = self.calls[index].queues.len() > 1;
                    assert!(several, "offered to {dn:?} while it is {other:?}");
                    let returned = agent::Input::Returned { call };
                    self.send(call_shard(call), Message::Agent(dn, returned));
                }
            },
            call::Input::OfferWithdrawn { dn, cause } => {
                if matches!(self.calls[index].stand, Stand::Offered { dn: to, .. } if to == dn) {
                    self.offer_fails(index, dn, cause);
                }
            }
            call::Input::QueueRefused { .. } => {
                self.calls[index].is_refused = true;
                self.end_if_refused(index);
            }
            call::Input::Forward {
                ref destination, ..
            } => {
                self.is_sent(index, destination.clone());
            }
            call::Input::Standing(_) | call::Input::Dnis(_) => {}
            call::Input::DirectRefused { .. }
            | call::Input::DirectForwarded { .. }
            | call::Input::Request { .. } => {
                panic!("nobody here says {input:?} to a call")
            }
        }
    }

    fn offer_fails(&mut self, index: usize, dn: DnIndex, cause: EndCause) {
        self.calls[index].stand = Stand::Waiting;
        self.report(index, dn, PartyState::Ended(cause));
        let conn_id = self.calls[index].call.conn_id;
        self.tell_queue(index, &queue::Input::OfferFailed { conn_id, dn, cause });
        self.end_if_refused(index);
    }

    /// A call is sent elsewhere; half of them can go there, and for half it rings there first.
    fn is_sent(&mut self, index: usize, destination: String) {
        let conn_id = self.calls[index].call.conn_id;
        if self.calls[index].stand == Stand::Waiting && self.seed.below(2) == 0 {
            let destination = destination.clone();
            let rings = queue::Input::ForwardRings {
                conn_id,
                destination,
            };
            self.tell_queue(index, &rings);
        }
        let code = match self.calls[index].stand {
            Stand::Ended => return,
            Stand::Offered { .. } | Stand::Talking(_) => ErrorCode::WrongState,
            Stand::Waiting if self.seed.below(2) == 0 => ErrorCode::InvalidCalledDN,
            Stand::Waiting => {
                self.calls[index].stand = Stand::Ended;
                let gone = queue::Input::Forwarded {
                    conn_id,
                    destination,
                };
                return self.tell_queue(index, &gone);
            }
        };
        self.tell_queue(index, &queue::Input::ForwardFailed { conn_id, code });
    }

    /// A call without a home waits nowhere, though it may be with an agent of another queue.
    fn end_if_refused(&mut self, index: usize) {
        let ModelCall {
            call,
            is_refused,
            stand,
            ..
        } = self.calls[index];
        if is_refused && stand == Stand::Waiting {
            self.calls[index].stand = Stand::Ended;
            let (conn_id, cause) = (call.conn_id, EndCause::Failed);
            self.tell_queue(index, &queue::Input::Left { conn_id, cause });
        }
    }

    fn answer(&mut self, index: usize, dn: DnIndex) {
        self.calls[index].stand = Stand::Talking(dn);
        self.report(index, dn, PartyState::Established);
        let conn_id = self.calls[index].call.conn_id;
        self.tell_queue(index, &queue::Input::Answered { conn_id, dn });
    }

    fn report(&mut self, index: usize, dn: DnIndex, state: PartyState) {
        let ModelCall {
            call,
            routing_point,
            ..
        } = self.calls[index];
        let party = Party {
            call,
            info: info(call),
            routing_point: Some(routing_point),
            role: DnRole::Destination,
            other: None,
            third: None,
            previous_conn_id: None,
            call_state: CallState::Ok,
            state,
            requested_by: None,
            reasons: KeyValueList::new(),
            changed_by: None,
        };
        self.send(
            call_shard(call),
            Message::Agent(dn, agent::Input::Party(party)),
        );
    }

    fn tell_queue(&mut self, index: usize, input: &queue::Input) {
        let call = self.calls[index].call;
        for queue in self.calls[index].queues.clone() {
            self.send(call_shard(call), Message::Queue(queue, input.clone()));
        }
    }

    fn requested_by(&mut self) -> RequestedBy {
        self.requests += 1;
        RequestedBy {
            client: ClientId(1),
            reference_id: self.requests,
        }
    }

    /// How many events of a name a call has at routing points.
    pub(crate) fn events_at_routing_points(&self, conn_id: ConnId, name: EventName) -> usize {
        let of_call = |event: &&Event| {
            event.name == name
                && event.this_dn.starts_with('7')
                && event
                    .call
                    .as_ref()
                    .is_some_and(|call| call.conn_id == conn_id)
        };
        self.events.iter().filter(of_call).count()
    }
}

fn call_shard(call: CallRef) -> Shard {
    Shard::Calls(u64::from(call.shard.0))
}
