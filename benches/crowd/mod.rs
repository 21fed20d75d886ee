//! One queue with very many agents, callers and skills, and nothing else of the server: for the
//! bench of matching, and in small for a test. Who should have been chosen is found by a scan.

#![allow(dead_code, reason = "the bench and the test use different parts")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{self, EndCause};
use offhook::call::{CallKey, CallRef};
use offhook::config::{self, Config, DnIndex, QueueIndex, RoutingPointIndex};
use offhook::counters::Counters;
use offhook::cti::{CallInfo, CallType, CallUuid, ConnId, KeyValueList};
use offhook::queue::{Input, Output, Queues};
use offhook::wall::Wall;
use offhook_shards::ShardId;

pub(crate) const SKILLS: u32 = 50;
/// Skills of each agent.
const SKILLS_EACH: u32 = 5;
const QUEUE: QueueIndex = QueueIndex(0);

/// One queue, everybody in it, and what should be true of them.
pub(crate) struct Crowd {
    pub(crate) queues: Queues,
    config: Arc<Config>,
    now: Instant,
    serial: u64,
    chance: u64,
    /// Callers who wait, and what each asks for.
    waiting: BTreeMap<ConnId, (RoutingPointIndex, Instant)>,
    /// Agents who are idle, and since when.
    idle: BTreeMap<DnIndex, Instant>,
    /// Agents who are not.
    busy: Vec<DnIndex>,
    /// Pairs that were made.
    pub(crate) matched: u64,
}

impl Crowd {
    /// So many agents, nobody idle, nobody waiting. Hardly two can do the same.
    #[allow(
        clippy::disallowed_methods,
        reason = "virtual time needs some instant to count from"
    )]
    pub(crate) fn new(agents: u32) -> Self {
        let now = Instant::now();
        let config = Arc::new(configuration(agents));
        let counters = Arc::new(Counters::default());
        let queues = [QUEUE].into_iter();
        Self {
            queues: Queues::new(
                now,
                Arc::clone(&config),
                queues,
                counters,
                Wall::since_1970(now),
            ),
            config,
            now,
            serial: 0,
            chance: 1,
            waiting: BTreeMap::new(),
            idle: BTreeMap::new(),
            busy: (0..agents).map(DnIndex).collect(),
            matched: 0,
        }
    }

    /// Callers come until so many wait; nobody may be idle.
    pub(crate) fn fill(&mut self, callers: usize) {
        while self.waiting.len() < callers {
            let (enter, _) = self.arrival();
            self.queues.handle(self.now, QUEUE, enter);
            assert_eq!(self.offer(), None);
        }
    }

    /// Everybody becomes idle; nobody may wait.
    pub(crate) fn rest(&mut self) {
        while !self.busy.is_empty() {
            let (freed, _) = self.freed();
            self.queues.handle(self.now, QUEUE, freed);
            assert_eq!(self.offer(), None);
        }
    }

    /// An agent becomes free: what the queue is told, and who it is.
    pub(crate) fn freed(&mut self) -> (Input, DnIndex) {
        self.now += Duration::from_millis(1);
        let position = self.below(self.busy.len());
        let dn = self.busy.swap_remove(position);
        self.idle.insert(dn, self.now);
        let idle_since = self.now;
        (Input::AgentAvailable { dn, idle_since }, dn)
    }

    /// A caller comes: what the queue is told, and who it is.
    pub(crate) fn arrival(&mut self) -> (Input, ConnId) {
        self.now += Duration::from_millis(1);
        self.serial += 1;
        let call = CallRef {
            shard: ShardId(0),
            key: CallKey::default(),
            conn_id: ConnId::new(ShardId(0), self.serial),
        };
        let routing_points = self.config.routing_points.len();
        let routing_point =
            RoutingPointIndex(u16::try_from(self.below(routing_points)).expect("a few hundred"));
        let since = self.now;
        self.waiting.insert(call.conn_id, (routing_point, since));
        let info = Arc::new(CallInfo {
            conn_id: call.conn_id,
            call_id: 1,
            call_uuid: CallUuid(1),
            call_type: CallType::Inbound,
            ani: None,
            dnis: None,
            user_data: KeyValueList::new(),
        });
        let enter = Input::Enter {
            call,
            info,
            routing_point,
            entry: self.config.route(routing_point, None, &KeyValueList::new())[0],
            since,
            returns: false,
            beside: None,
            visited: Box::new([]),
        };
        (enter, call.conn_id)
    }

    /// Tells the queue something, and nothing else.
    #[inline(never)]
    pub(crate) fn tell(&mut self, input: Input) {
        self.queues.handle(self.now, QUEUE, input);
    }

    /// The pair that the queue has made, if it has made one. There is never more than one to make.
    pub(crate) fn offer(&mut self) -> Option<(DnIndex, ConnId)> {
        let mut made = None;
        while let Some(output) = self.queues.poll_output() {
            match output {
                Output::Agent(dn, agent::Input::Reserve(offer)) => {
                    assert_eq!(made, None, "one event makes one pair");
                    made = Some((dn, offer.call.conn_id));
                }
                Output::Agent(..) | Output::Event(_) | Output::Notice(_) | Output::Call(..) => {}
            }
        }
        made
    }

    /// The agent takes the call, and is busy from here on.
    pub(crate) fn answer(&mut self, (dn, conn_id): (DnIndex, ConnId)) {
        let (routing_point, _) = self.waiting.remove(&conn_id).expect("it waited");
        self.idle.remove(&dn).expect("it was idle");
        self.busy.push(dn);
        assert!(
            self.serves(dn, routing_point),
            "{dn:?} cannot serve {conn_id}"
        );
        self.matched += 1;
        self.queues
            .handle(self.now, QUEUE, Input::Answered { conn_id, dn });
        assert_eq!(self.offer(), None);
    }

    /// The caller whom an agent should get: the one who waits longest of those it can serve.
    pub(crate) fn caller_for(&self, dn: DnIndex) -> Option<ConnId> {
        let waiting = self.waiting.iter();
        let served = waiting.filter(|(_, (routing_point, _))| self.serves(dn, *routing_point));
        served
            .min_by_key(|(conn_id, (_, since))| (*since, **conn_id))
            .map(|(conn_id, _)| *conn_id)
    }

    /// The agent whom a caller should get: the one who is idle longest of those who can serve it.
    pub(crate) fn agent_for(&self, conn_id: ConnId) -> Option<DnIndex> {
        let (routing_point, _) = self.waiting[&conn_id];
        let able = self
            .idle
            .iter()
            .filter(|(dn, _)| self.serves(**dn, routing_point));
        able.min_by_key(|(dn, since)| (**since, **dn))
            .map(|(dn, _)| *dn)
    }

    /// The caller gives up.
    pub(crate) fn leave(&mut self, conn_id: ConnId) {
        self.waiting.remove(&conn_id).expect("it waited");
        let cause = EndCause::CallerAbandoned;
        self.queues
            .handle(self.now, QUEUE, Input::Left { conn_id, cause });
        assert_eq!(self.offer(), None);
    }

    fn serves(&self, dn: DnIndex, routing_point: RoutingPointIndex) -> bool {
        let entry = self.config.route(routing_point, None, &KeyValueList::new())[0];
        let required = self.config.entry_at(entry).ladder[0].requirement;
        let required = self.config.requirement_at(required);
        self.config.profile_of(dn).meets(required)
    }

    fn below(&mut self, bound: usize) -> usize {
        let drawn = splitmix(&mut self.chance) % bound as u64;
        usize::try_from(drawn).expect("it is below a usize")
    }
}

/// Agents with five of fifty skills at random levels, and a number for each skill and level.
fn configuration(agents: u32) -> Config {
    let mut chance = 7;
    let mut draw = |bound: u32| {
        u32::try_from(splitmix(&mut chance) % u64::from(bound)).expect("it is below 32 bits")
    };
    let mut csv = String::from("dn,skills\n");
    for dn in 0..agents {
        let mut skills: Vec<u32> = Vec::new();
        while skills.len() < SKILLS_EACH as usize {
            let skill = draw(SKILLS);
            if !skills.contains(&skill) {
                skills.push(skill);
            }
        }
        let skills = skills
            .into_iter()
            .map(|skill| format!("s{skill}={}", draw(10) + 1));
        let skills = skills.collect::<Vec<_>>().join("|");
        writeln!(csv, "{},{skills}", 2_000_000 + dn).expect("a text grows");
    }
    let mut text = String::from(
        "[[trunk]]\nname = \"pbx\"\npeers = \"udp:192.0.2.1\"\n\
         [[queue]]\nname = \"crowd\"\n\
         [[agents]]\ncsv = \"agents.csv\"\nqueues = \"crowd\"\n",
    );
    for skill in 0..SKILLS {
        for level in [1, 3, 5] {
            writeln!(
                text,
                "[[routing_point]]\nnumber = \"7{skill:02}{level}\"\nqueue = \"crowd\"\n\
                 skills = {{ s{skill} = {level} }}"
            )
            .expect("a text grows");
        }
    }
    let parsed = config::parse(&text, &|_| Ok(csv.clone()));
    parsed.unwrap_or_else(|mistakes| panic!("{:#?}", &mistakes[..1]))
}

/// A generator that needs no crate.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
