//! A call floor: the server, agents logged in by desktop, and SIPp or guests as their phones. Each
//! crew of agents has a trunk, and so a SIPp, of its own, so that crews can answer differently.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::directory::Directory;
use super::program;
use super::server::Server;
use super::sipp::{Callers, Sipp, Transport};

/// The number that callers dial.
pub(crate) const QUEUE_NUMBER: &str = "7000";

/// How long the server may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(10);

/// Agents whose phones all do the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crew {
    /// What the phones do.
    pub(crate) scenario: &'static str,
    /// How many agents, at most 10.
    pub(crate) agents: u32,
    /// More of the trunk's configuration.
    pub(crate) trunk: &'static str,
}

impl Crew {
    /// A crew behind a trunk as configured by default.
    pub(crate) fn of(scenario: &'static str, agents: u32) -> Self {
        Self {
            scenario,
            agents,
            trunk: "",
        }
    }

    /// The same behind a trunk with more of a configuration.
    pub(crate) fn with_trunk(self, trunk: &'static str) -> Self {
        Self { trunk, ..self }
    }
}

/// A phone of somebody else's than SIPp, and its agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guest<'a> {
    /// The agent's DN.
    pub(crate) dn: &'a str,
    /// Where the phone hears SIP.
    pub(crate) address: SocketAddr,
    /// More of its trunk's configuration.
    pub(crate) trunk: &'a str,
}

/// Everything that runs.
#[derive(Debug)]
pub(crate) struct Floor {
    directory: Directory,
    transport: Transport,
    pub(crate) server: Server,
    phones: Vec<Sipp>,
}

impl Floor {
    /// Starts all and logs the agents in, crew by crew: the first has been idle longest.
    pub(crate) fn open(name: &str, transport: Transport, crews: &[Crew]) -> Self {
        let directory = Directory::new(&format!("{name}_{}", transport.name()));
        Self::open_with(directory, transport, crews, &[])
    }

    /// The same with phones that run already, whose agents are logged in first.
    pub(crate) fn open_with(
        directory: Directory,
        transport: Transport,
        crews: &[Crew],
        guests: &[Guest<'_>],
    ) -> Self {
        let phones: Vec<Sipp> = crews
            .iter()
            .map(|crew| Sipp::phones(&directory, crew.scenario, transport))
            .collect();
        let server = Server::start(&directory, &config(transport, crews, &phones, guests));
        for guest in guests {
            server.log_in(guest.dn);
        }
        for (index, crew) in crews.iter().enumerate() {
            for agent in 0..crew.agents {
                server.log_in(&dn(index, agent));
            }
        }
        server.await_agents(REST_MAX, "Ready", None);
        Self {
            directory,
            transport,
            server,
            phones,
        }
    }

    /// Has callers call and waits until each call went as the scenario says.
    pub(crate) fn call(&self, scenario: &str, number: &str, calls: u32) {
        self.start_callers(scenario, number, calls)
            .finish()
            .unwrap_or_else(|report| panic!("{report}{}", self.server.log()));
    }

    pub(crate) fn start_callers(&self, scenario: &str, number: &str, calls: u32) -> Sipp {
        let callers = Callers {
            scenario,
            transport: self.transport,
            server: self.server.sip,
            number,
            calls,
            calls_per_second: 10,
            pause: Duration::from_millis(200),
        };
        Sipp::call(&self.directory, callers)
    }

    /// The desktop of a DN ends its part in a call.
    pub(crate) fn release(&self, dn: &str, call: &str) {
        let answer = self.server.request(&json!({
            "Message": "RequestReleaseCall", "ThisDN": dn, "ConnID": call,
        }));
        assert_eq!(answer["Message"], "EventReleased", "{answer}");
    }

    /// The folder of the test, which outlives the floor.
    pub(crate) fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// The call that a DN has in this state, once it has it.
    pub(crate) fn call_at(&self, dn: &str, status: &str) -> String {
        let mut found = None;
        program::comes_true(REST_MAX, || {
            found = self.server.call_at(dn, status);
            found.is_some()
        });
        found.unwrap_or_else(|| {
            let calls = self.server.state("/api/v1/calls");
            panic!("{dn} is not {status}: {calls:#}{}", self.server.log())
        })
    }

    /// Waits until a DN has this call in this state.
    #[track_caller]
    pub(crate) fn await_call(&self, dn: &str, status: &str, call: &str) {
        let has = program::comes_true(REST_MAX, || {
            self.server.call_at(dn, status).as_deref() == Some(call)
        });
        let calls = || self.server.state("/api/v1/calls");
        assert!(
            has,
            "{dn}: {status} {call}: {:#}{}",
            calls(),
            self.server.log()
        );
    }

    /// Waits until a SIPp has taken so many changes: a desktop that ends the call earlier crosses
    /// them, for which the scenarios have no lines.
    #[track_caller]
    pub(crate) fn await_changes(&self, scenario: &str, changes: usize) {
        let log = || self.directory.tail(&format!("{scenario}.log"), 1000);
        let all = || log().matches(" is answered ").count() >= changes;
        assert!(program::comes_true(REST_MAX, all), "{scenario}: {}", log());
    }

    /// How often the engines counted a cause.
    pub(crate) fn counted(&self, metric: &str, cause: &str) -> u64 {
        let metric = format!("offhook_{metric}_total");
        self.server.metric(&metric, &format!("cause=\"{cause}\""))
    }

    /// What became of the calls: offered, answered, abandoned, refused and failed.
    pub(crate) fn expect_calls(&self, expected: [u64; 5]) {
        let causes = ["offered", "answered", "abandoned", "refused", "failed"];
        let counted = causes.map(|cause| self.counted("calls", cause));
        assert_eq!(counted, expected, "{causes:?}{}", self.server.log());
    }

    /// Everything must be at rest: no call is left, all agents are Ready, no phone met an error.
    pub(crate) fn close(self) {
        let rests = program::comes_true(REST_MAX, || self.server.calls() == 0);
        assert!(
            rests,
            "calls are left: {:#}",
            self.server.state("/api/v1/calls")
        );
        self.server.await_agents(REST_MAX, "Ready", None);
        assert_eq!(self.counted("panics", "contained"), 0);
        for phones in self.phones {
            if let Err(report) = phones.hang_up() {
                panic!("{report}{}", self.server.log());
            }
        }
        self.server.stop();
    }
}

fn dn(crew: usize, agent: u32) -> String {
    format!("3{crew}0{agent}")
}

fn config(transport: Transport, crews: &[Crew], phones: &[Sipp], guests: &[Guest<'_>]) -> String {
    let mut config = String::from(
        "[presence]\nenabled = false\n\n\
         [agent_defaults]\nno_answer = 1\nno_answer_action = \"none\"\n",
    );
    let mut add = |name: &str, address: SocketAddr, more: &str, range: &str| {
        let peer = format!("{}:{address}", transport.name());
        write!(
            config,
            "\n[[trunk]]\nname = \"{name}\"\npeers = [\"{peer}\"]\noos_check = 0\n\
             big_requests = \"udp\"\n{more}\n\
             [[agents]]\nrange = \"{range}\"\nqueues = [\"sales\"]\n\
             trunks = [\"{name}\"]\npresence = false\n",
        )
        .expect("a string takes every text");
    };
    for (index, (crew, sipp)) in crews.iter().zip(phones).enumerate() {
        let range = format!("{}-{}", dn(index, 0), dn(index, crew.agents - 1));
        add(&format!("ucm{index}"), sipp.address, crew.trunk, &range);
    }
    for Guest { dn, address, trunk } in guests {
        add(
            &format!("phone{dn}"),
            *address,
            trunk,
            &format!("{dn}-{dn}"),
        );
    }
    config
        + "\n[[queue]]\nname = \"sales\"\n\n\
           [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"\n"
}
