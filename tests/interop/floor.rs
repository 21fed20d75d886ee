//! A call floor: the server, agents logged in by desktop, and SIPp as their phones. Each crew of
//! agents has a trunk, and so a SIPp, of its own, so that crews can answer differently.

use std::fmt::Write as _;
use std::time::Duration;

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
        let phones: Vec<Sipp> = crews
            .iter()
            .map(|crew| Sipp::phones(&directory, crew.scenario, transport))
            .collect();
        let server = Server::start(&directory, &config(transport, crews, &phones));
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

fn config(transport: Transport, crews: &[Crew], phones: &[Sipp]) -> String {
    let mut config = String::from(
        "[presence]\nenabled = false\n\n\
         [agent_defaults]\nno_answer = 1\nno_answer_action = \"none\"\n",
    );
    for (index, (crew, sipp)) in crews.iter().zip(phones).enumerate() {
        let (first, last) = (dn(index, 0), dn(index, crew.agents - 1));
        let peer = format!("{}:{}", transport.name(), sipp.address);
        write!(
            config,
            "\n[[trunk]]\nname = \"ucm{index}\"\npeers = [\"{peer}\"]\noos_check = 0\n\
             big_requests = \"udp\"\n\n\
             [[agents]]\nrange = \"{first}-{last}\"\nqueues = [\"sales\"]\n\
             trunks = [\"ucm{index}\"]\npresence = false\n",
        )
        .expect("a string takes every text");
    }
    config
        + "\n[[queue]]\nname = \"sales\"\n\n\
           [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"\n"
}
