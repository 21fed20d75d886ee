//! The reference: a queue that looks at every agent and every caller for each decision, as the
//! documentation says it. Whatever happens, the real one must make the same choices.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{EndCause, RefusedOffer};
use offhook::call::{CallKey, CallRef};
use offhook::config::{
    Config, DnIndex, EntryIndex, Levels, QueueIndex, RoutingPointIndex, Strategy,
};
use offhook::counters::Counters;
use offhook::cti::{ConnId, KeyValueList};
use offhook::queue::{Input, Output, Queues};
use offhook::wall::Wall;
use offhook_shards::ShardId;
use proptest::prelude::*;
use proptest::strategy::Strategy as Draw;

use super::hall::{info, offers};

const QUEUE: QueueIndex = QueueIndex(0);
const AGENTS: u32 = 8;
const ROUTING_POINTS: u16 = 4;

/// Eight agents of five profiles, and four ways in, two of which relax.
fn configuration(strategy: &str, ageing: u32) -> Arc<Config> {
    let skills = [
        "english = 7, sales = 3",
        "english = 4, sales = 9",
        "german = 5",
        "english = 7, sales = 3",
        "german = 9, english = 2",
        "",
        "german = 5",
        "english = 4, sales = 9",
    ];
    let agents: String = (2_000..)
        .zip(skills)
        .map(|(dn, skills)| {
            format!("[[agent]]\ndn = \"{dn}\"\nqueues = \"q\"\nskills = {{ {skills} }}\n")
        })
        .collect();
    let text = format!(
        "{agents}\
         [[trunk]]\nname = \"pbx\"\npeers = \"udp:192.0.2.1\"\n\
         [[queue]]\nname = \"q\"\nstrategy = \"{strategy}\"\npriority_ageing = {ageing}\n\
         [[routing_point]]\nnumber = \"7000\"\nqueue = \"q\"\n\
         [[routing_point]]\nnumber = \"7001\"\nqueue = \"q\"\npriority = 3\n\
         skills = {{ english = 5 }}\n\
         relax = [{{ after = 8, skills = {{ english = 2 }} }}, {{ after = 20 }}]\n\
         [[routing_point]]\nnumber = \"7002\"\nqueue = \"q\"\npriority = 1\n\
         skills = {{ german = 6 }}\nrelax = [{{ after = 5, skills = {{ german = 1 }} }}]\n\
         [[routing_point]]\nnumber = \"7003\"\nqueue = \"q\"\n\
         skills = {{ english = 1, sales = 2 }}\n"
    );
    let parsed = offhook::config::parse(&text, &|_| Err(String::new()));
    Arc::new(parsed.unwrap_or_else(|mistakes| panic!("{mistakes:#?}")))
}

struct Caller {
    conn_id: ConnId,
    routing_point: RoutingPointIndex,
    since: Instant,
    offered: Option<DnIndex>,
    /// Who let it ring.
    unanswered_by: Vec<DnIndex>,
}

#[derive(Default, Clone)]
struct Agent {
    idle_since: Option<Instant>,
    offered: bool,
    last_offer: u32,
    answered: u32,
}

struct Model {
    config: Arc<Config>,
    start: Instant,
    callers: Vec<Caller>,
    agents: Vec<Agent>,
    offers: u32,
}

impl Model {
    fn entry_of(&self, routing_point: RoutingPointIndex) -> EntryIndex {
        let nothing = KeyValueList::new();
        self.config.route(routing_point, None, &nothing)[0]
    }

    /// What a caller needs now.
    fn needs(&self, caller: &Caller, now: Instant) -> &Levels {
        let entry = self.entry_of(caller.routing_point);
        let mut ladder = self.config.entry_at(entry).ladder.iter();
        let waited = now - caller.since;
        let rung = ladder.rfind(|rung| rung.after <= waited);
        self.config.requirement_at(rung.unwrap().requirement)
    }

    /// The lower, the sooner: strictly by priority, or by age with priority as a head start.
    fn urgency(&self, caller: &Caller) -> (i64, i128, ConnId) {
        let entry = self.entry_of(caller.routing_point);
        let priority = self.config.entry_at(entry).priority;
        let age = i128::try_from((caller.since - self.start).as_nanos()).unwrap();
        match self.config.queue_at(QUEUE).priority_ageing {
            None => (-i64::from(priority), age, caller.conn_id),
            Some(step) => {
                let head_start = i128::try_from(step.as_nanos()).unwrap() * i128::from(priority);
                (0, age - head_start, caller.conn_id)
            }
        }
    }

    /// The agent for a caller, by a look at each.
    fn agent_for(&self, caller: &Caller, now: Instant) -> Option<DnIndex> {
        let needs = self.needs(caller, now);
        let able = (0..AGENTS).map(DnIndex).filter(|dn| {
            let agent = &self.agents[dn.0 as usize];
            agent.idle_since.is_some() && !agent.offered && self.config.profile_of(*dn).meets(needs)
        });
        able.min_by_key(|dn| {
            let agent = &self.agents[dn.0 as usize];
            let idle_since = agent.idle_since.unwrap();
            let left_it_unanswered = caller.unanswered_by.contains(dn);
            let rank = match self.config.queue_at(QUEUE).strategy {
                Strategy::LongestIdle => (0, idle_since, *dn),
                Strategy::MostSkilled => {
                    let sum = self.config.profile_of(*dn).sum(needs);
                    (-i64::from(sum), idle_since, *dn)
                }
                Strategy::LeastCallsToday => (i64::from(agent.answered), idle_since, *dn),
                Strategy::RoundRobin => (i64::from(agent.last_offer), self.start, *dn),
            };
            (left_it_unanswered, rank)
        })
    }

    /// Every pair that is due, in order.
    fn match_up(&mut self, now: Instant) -> Vec<(u32, ConnId)> {
        let mut made = Vec::new();
        loop {
            let waiting = (0..self.callers.len()).filter(|at| self.callers[*at].offered.is_none());
            let served = waiting.filter_map(|at| {
                let dn = self.agent_for(&self.callers[at], now)?;
                Some((self.urgency(&self.callers[at]), at, dn))
            });
            let Some((_, at, dn)) = served.min() else {
                return made;
            };
            self.offers += 1;
            self.callers[at].offered = Some(dn);
            let agent = &mut self.agents[dn.0 as usize];
            (agent.idle_since, agent.offered) = (None, true);
            agent.last_offer = self.offers;
            made.push((dn.0, self.callers[at].conn_id));
        }
    }

    /// The caller of an offer, by a number that stands for it.
    fn offered(&self, number: usize) -> Option<(usize, DnIndex)> {
        let offered = self.callers.iter().enumerate();
        let offered: Vec<_> = offered
            .filter_map(|(at, caller)| Some((at, caller.offered?)))
            .collect();
        (!offered.is_empty()).then(|| offered[number % offered.len()])
    }
}

#[derive(Debug, Clone)]
enum Happening {
    Enter { routing_point: u16 },
    Available { dn: u32, idle_seconds: u64 },
    Unavailable { dn: u32 },
    Fails { number: usize },
    IsNotAnswered { number: usize },
    IsRefused { number: usize },
    Answers { number: usize },
    Leaves { number: usize },
    Passes { seconds: u64 },
}

fn happening() -> impl Draw<Value = Happening> {
    prop_oneof![
        6 => (0..ROUTING_POINTS).prop_map(|routing_point| Happening::Enter { routing_point }),
        6 => (0..AGENTS, 0_u64..30)
            .prop_map(|(dn, idle_seconds)| Happening::Available { dn, idle_seconds }),
        1 => (0..AGENTS).prop_map(|dn| Happening::Unavailable { dn }),
        2 => any::<usize>().prop_map(|number| Happening::Fails { number }),
        3 => any::<usize>().prop_map(|number| Happening::IsNotAnswered { number }),
        2 => any::<usize>().prop_map(|number| Happening::IsRefused { number }),
        3 => any::<usize>().prop_map(|number| Happening::Answers { number }),
        1 => any::<usize>().prop_map(|number| Happening::Leaves { number }),
        4 => (1_u64..9).prop_map(|seconds| Happening::Passes { seconds }),
    ]
}

/// The real queue and the model of it.
struct Pair {
    model: Model,
    queues: Queues,
    now: Instant,
    serial: u64,
}

impl Pair {
    fn new(config: Arc<Config>) -> Self {
        let start = Instant::now();
        let queues = [QUEUE].into_iter();
        let counters = Arc::new(Counters::default());
        Self {
            queues: Queues::new(
                start,
                Arc::clone(&config),
                queues,
                counters,
                Wall::since_1970(start),
            ),
            model: Model {
                config,
                start,
                callers: Vec::new(),
                agents: vec![Agent::default(); AGENTS as usize],
                offers: 0,
            },
            now: start + Duration::from_secs(100),
            serial: 0,
        }
    }

    fn step(&mut self, happening: &Happening) {
        match *happening {
            Happening::Enter { routing_point } => self.enter(RoutingPointIndex(routing_point)),
            Happening::Available { dn, idle_seconds } => {
                let idle_since = self.now - Duration::from_secs(idle_seconds);
                self.model.agents[dn as usize].idle_since = Some(idle_since);
                let dn = DnIndex(dn);
                self.tell(Input::AgentAvailable { dn, idle_since });
            }
            Happening::Unavailable { dn } => {
                self.model.agents[dn as usize].idle_since = None;
                self.tell(Input::AgentUnavailable { dn: DnIndex(dn) });
            }
            Happening::Fails { number } => {
                if let Some((conn_id, dn)) = self.withdraw(number, false) {
                    let cause = EndCause::Busy;
                    self.tell(Input::OfferFailed { conn_id, dn, cause });
                }
            }
            Happening::IsNotAnswered { number } => {
                if let Some((conn_id, dn)) = self.withdraw(number, false) {
                    let mut callers = self.model.callers.iter_mut();
                    let caller = callers.find(|caller| caller.conn_id == conn_id).unwrap();
                    if !caller.unanswered_by.contains(&dn) {
                        caller.unanswered_by.push(dn);
                    }
                    let cause = EndCause::NoAnswer;
                    self.tell(Input::OfferFailed { conn_id, dn, cause });
                }
            }
            Happening::IsRefused { number } => {
                if let Some((conn_id, dn)) = self.withdraw(number, false) {
                    let why = RefusedOffer::Busy;
                    self.tell(Input::Refused { conn_id, dn, why });
                }
            }
            Happening::Answers { number } => {
                if let Some((conn_id, dn)) = self.withdraw(number, true) {
                    self.tell(Input::Answered { conn_id, dn });
                }
            }
            Happening::Leaves { number } => {
                let callers = &mut self.model.callers;
                if callers.is_empty() {
                    return;
                }
                let caller = callers.remove(number % callers.len());
                if let Some(dn) = caller.offered {
                    self.model.agents[dn.0 as usize].offered = false;
                }
                let (conn_id, cause) = (caller.conn_id, EndCause::CallerAbandoned);
                self.tell(Input::Left { conn_id, cause });
            }
            Happening::Passes { seconds } => self.pass(seconds),
        }
    }

    fn enter(&mut self, routing_point: RoutingPointIndex) {
        self.serial += 1;
        let call = CallRef {
            shard: ShardId(0),
            key: CallKey::default(),
            conn_id: ConnId::new(ShardId(0), self.serial),
        };
        let since = self.now;
        self.model.callers.push(Caller {
            conn_id: call.conn_id,
            routing_point,
            since,
            offered: None,
            unanswered_by: Vec::new(),
        });
        self.tell(Input::Enter {
            call,
            info: info(call),
            routing_point,
            entry: self.model.entry_of(routing_point),
            since,
            returns: false,
            beside: None,
            visited: Box::new([]),
        });
    }

    /// Ends an offer in the model.
    fn withdraw(&mut self, number: usize, takes_out: bool) -> Option<(ConnId, DnIndex)> {
        let (at, dn) = self.model.offered(number)?;
        let agent = &mut self.model.agents[dn.0 as usize];
        agent.offered = false;
        agent.answered += u32::from(takes_out);
        let conn_id = self.model.callers[at].conn_id;
        if takes_out {
            self.model.callers.remove(at);
        } else {
            self.model.callers[at].offered = None;
        }
        Some((conn_id, dn))
    }

    fn tell(&mut self, input: Input) {
        self.queues.handle(self.now, QUEUE, input);
        self.compare();
    }

    /// Second by second, for the ladders move on whole seconds here.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            while self.queues.poll_timeout().is_some_and(|at| at <= self.now) {
                self.queues.handle_timeout(self.now);
            }
            self.compare();
        }
    }

    fn compare(&mut self) {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.queues.poll_output()).collect();
        let (mut made, mut expected) = (offers(&outputs), self.model.match_up(self.now));
        made.sort_unstable();
        expected.sort_unstable();
        assert_eq!(made, expected);
        let mut line: Vec<&Caller> = self.model.callers.iter().collect();
        line.retain(|caller| caller.offered.is_none());
        line.sort_by_key(|caller| self.model.urgency(caller));
        for (place, caller) in line.iter().enumerate() {
            assert_eq!(self.queues.before(QUEUE, caller.conn_id), Some(place));
        }
        let line = line.into_iter().map(|caller| caller.conn_id);
        assert!(self.queues.waiting(QUEUE).eq(line), "another order");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn the_queue_makes_the_choices_of_a_plain_scan(
        strategy in prop::sample::select(vec![
            "longest_idle",
            "most_skilled",
            "round_robin",
            "least_calls_today",
        ]),
        ageing in prop::sample::select(vec![0, 4]),
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let mut pair = Pair::new(configuration(strategy, ageing));
        for happening in &happenings {
            pair.step(happening);
        }
    }
}
