//! What happens besides calls in a random run: desktops ask for everything at any time, a router
//! answers well, badly or never, strangers send whatever needs no acquaintance, and the world does
//! what its profile says.

use std::time::Duration;

use super::desktops::Desktops;
use super::hands::{self, Hands};
use super::invariants::{self, Suspects};
use super::joined::Joined;
use super::order::Order;
use super::profile::Profile;
use super::random::Random;
use super::strangers;
use super::weather::Weather;
use super::world::World;
use offhook::config::{Address, RoutingPointIndex};
use offhook::cti::{
    AgentWorkMode, CallRequest, ClientId, DesktopRequest, EventName, KeyValueList, RequestBody,
    RouteRequest, RouteType, UserDataChange, Value,
};

/// Everything besides calls.
pub struct Turmoil {
    random: Random,
    agents: u32,
    desktops: bool,
    router: bool,
    /// Desktops that do something to calls, where there are any.
    control: Option<Desktops>,
    /// People who do something with their phones.
    hands: Option<Hands>,
    strangers: bool,
    /// What the profile does.
    pub weather: Weather,
    /// Whether shards take no new calls any more, one after the other.
    pub sheds: bool,
    suspects: Suspects,
    /// Events that the router has looked at.
    read: usize,
}

impl Turmoil {
    pub fn new(profile: Profile, mut random: Random, agents: u32, nodes: u16) -> Self {
        let control = random.below(3) > 0;
        let hands = random.below(2) == 0;
        Self {
            agents,
            desktops: random.below(2) == 0,
            router: random.below(3) == 0,
            control: control.then(|| Desktops::new(Random::new(random.next()), agents)),
            hands: hands.then(|| Hands::new(Random::new(random.next()), agents)),
            strangers: random.below(3) == 0,
            weather: Weather::new(profile, Random::new(random.next()), nodes),
            sheds: random.below(8) == 0,
            suspects: Suspects::default(),
            read: 0,
            random,
        }
    }

    /// Runs `world` for `time`, with something besides calls every now and then.
    pub fn run(&mut self, world: &mut World, time: Duration) {
        let end = world.now + time;
        // What desktops ask for while the server's host sleeps is done at once when it wakes.
        world.are_steered = self.control.is_some() || self.weather.sleeps();
        world.order = Some((Order::default(), self.router));
        while world.now < end {
            let pause = self
                .random
                .between(Duration::from_millis(50), Duration::from_millis(1_500));
            world.run_for(pause.min(end - world.now));
            self.strike(world);
            self.look(world);
        }
        self.calm(world);
    }

    /// Nothing is out of order and the router is gone; what agents are is what they were left at.
    fn calm(&mut self, world: &mut World) {
        self.weather.clear(world);
        if self.router {
            present(world, None);
        }
        self.look(world);
        hands::hang_up_all(world);
        self.look(world);
        world.order = None;
    }

    /// What has been wrong for too long is a fault.
    fn look(&mut self, world: &World) {
        if let Some(hands) = &mut self.hands {
            hands.joined.listen(&world.population.ends());
        }
        if let Err(fault) = self.suspects.look(world) {
            world.fail(&fault);
        }
    }

    /// Everything is over: what can be said of the whole run.
    pub fn judge(&self, world: &World) {
        let verdict = invariants::i16_calls_are_conserved(world)
            .and_then(|()| invariants::i10_nothing_is_shed(world))
            .and_then(|()| invariants::i10_new_calls_are_shed(world))
            .and_then(|()| match &self.hands {
                Some(hands) => hands.joined.i15_no_caller_is_dropped(world, self.router),
                None => Joined::default().i15_no_caller_is_dropped(world, self.router),
            });
        if let Err(fault) = verdict {
            world.fail(&fault);
        }
    }

    fn strike(&mut self, world: &mut World) {
        if self.desktops {
            match self.random.below(4) {
                0 | 1 => self.ask_for_agent(world),
                2 => self.ask_for_call(world),
                _ => {}
            }
        }
        if let Some(control) = &mut self.control {
            control.strike(world);
        }
        if let Some(hands) = &mut self.hands {
            hands.strike(world);
        }
        if self.strangers {
            strangers::strike(world, &mut self.random);
        }
        if self.router {
            self.route(world);
        }
        self.weather.strike(world, &mut self.suspects);
        if self.sheds && self.random.below(8) == 0 {
            let shards = world.cluster.engines.len() as u64;
            let shard = self.random.below(shards) as usize;
            world.cluster.engines[shard].set_draining(true);
        }
    }

    fn ask_for_agent(&mut self, world: &mut World) {
        let dn = self.number();
        let reasons = KeyValueList::new();
        let work_mode = match self.random.below(3) {
            0 => AgentWorkMode::AutoIn,
            1 => AgentWorkMode::ManualIn,
            _ => AgentWorkMode::Unknown,
        };
        let request = match self.random.below(8) {
            0 | 1 => DesktopRequest::Login {
                agent_id: None,
                work_mode,
                reasons,
            },
            2 => DesktopRequest::Logout { reasons },
            3..=5 => DesktopRequest::Ready { work_mode, reasons },
            6 => DesktopRequest::NotReady {
                work_mode: AgentWorkMode::AuxWork,
                wrap_up: None,
                reasons,
            },
            _ => DesktopRequest::NotReady {
                work_mode: AgentWorkMode::AfterCallWork,
                wrap_up: None,
                reasons,
            },
        };
        world.ask(&dn, request);
    }

    /// About a call that is there, in the name of a party or of somebody else.
    fn ask_for_call(&mut self, world: &mut World) {
        let Some((at, conn_id)) = world.journal.call(self.random.next()) else {
            return;
        };
        let this_dn = match self.random.below(4) {
            0 => self.number(),
            _ => at.to_owned(),
        };
        let dn = world.cluster.config.dn(&this_dn);
        let request = match (self.random.below(3), dn) {
            (0, Some(dn)) => CallRequest::release(dn, KeyValueList::new()),
            _ => {
                let mut pairs = KeyValueList::new();
                pairs.set("Step", Value::Integer(self.random.below(100) as i64));
                let change = match self.random.below(3) {
                    0 => UserDataChange::Attach(pairs),
                    1 => UserDataChange::Update(pairs),
                    _ => UserDataChange::DeletePair("Step".to_owned()),
                };
                CallRequest::UserData { this_dn, change }
            }
        };
        world.request(RequestBody::Call(conn_id, request));
    }

    /// Answers what it was asked: mostly well, sometimes with nonsense, late, twice or never.
    fn route(&mut self, world: &mut World) {
        if self.random.below(10) == 0 {
            let who = self.random.below(3);
            present(world, (who > 0).then_some(ClientId(who)));
        }
        let asked: Vec<_> = world.journal.events[self.read..]
            .iter()
            .filter(|event| event.name == EventName::RouteRequest)
            .filter_map(|event| Some((event.this_dn.clone(), event.call.as_ref()?.conn_id)))
            .collect();
        self.read = world.journal.events.len();
        for (point, conn_id) in asked {
            let Some(Address::RoutingPoint(point)) = world.cluster.config.address(&point) else {
                continue;
            };
            let (other_dn, route_type) = match self.random.below(12) {
                0 => continue,
                1 => (None, RouteType::Default),
                2 => (None, RouteType::CallDisconnect),
                3 => (Some("nobody".to_owned()), RouteType::Direct),
                4 => (Some("7001".to_owned()), RouteType::Direct),
                5 => (Some("7002".to_owned()), RouteType::OverwriteDNIS),
                _ => (Some(self.number()), RouteType::Direct),
            };
            let times = 1 + u64::from(self.random.below(10) == 0);
            for _ in 0..times {
                let call = RouteRequest::Call {
                    conn_id,
                    other_dn: other_dn.clone(),
                    route_type,
                    reasons: KeyValueList::new(),
                };
                world.request(RequestBody::Route(point, call));
            }
        }
    }

    fn number(&mut self) -> String {
        (2_000 + self.random.below(u64::from(self.agents))).to_string()
    }
}

/// Who routes from now on, wherever calls come in.
fn present(world: &mut World, who: Option<ClientId>) {
    for point in 0..world.cluster.config.routing_points.len() {
        let point = RoutingPointIndex(u16::try_from(point).expect("routing points are few"));
        world.request(RequestBody::Route(point, RouteRequest::Router(who)));
    }
}
