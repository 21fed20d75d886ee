//! The real server as a process of its own, seen only from outside: its configuration, its HTTP
//! interface, its exit status.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::directory::Directory;
use super::http;
use super::program::{self, Program};

/// How long the server may take until it is ready.
const START_MAX: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    program: Program,
    directory: Directory,
    /// Where it hears SIP, by UDP and by TCP.
    pub(crate) sip: SocketAddr,
    http: SocketAddr,
}

impl Server {
    /// Starts the server with two shards and everything else as `config` says.
    pub(crate) fn start(directory: &Directory, config: &str) -> Self {
        let (sip, http) = (program::free_address(), program::free_address());
        let driver = std::env::var("OFFHOOK_TEST_DRIVER").unwrap_or_else(|_| "auto".to_owned());
        let config = format!(
            "[server]\nsip = [\"udp:{sip}\", \"tcp:{sip}\"]\nhttp = \"{http}\"\nshards = 2\n\
             pin = false\ndriver = \"{driver}\"\nlog = \"debug\"\n\n{config}"
        );
        let file = directory.write("offhook.toml", &config);
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.arg("serve").arg("--config").arg(file);
        let mut server = Self {
            program: Program::start("offhook", directory, &mut command),
            directory: directory.clone(),
            sip,
            http,
        };
        let ready = program::comes_true(START_MAX, || {
            assert!(
                server.program.ended().is_none(),
                "offhook ended at once: {}",
                server.log()
            );
            http::ask(http, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200)
        });
        assert!(ready, "offhook did not become ready: {}", server.log());
        server
    }

    /// What the server said last.
    pub(crate) fn log(&self) -> String {
        let [output, errors] = ["offhook.out", "offhook.err"].map(|file| {
            let tail = self.directory.tail(file, 40);
            format!("\n--- {file}\n{tail}")
        });
        output + &errors
    }

    /// Where it hears HTTP and clients.
    pub(crate) fn http(&self) -> SocketAddr {
        self.http
    }

    /// The answer to `GET`.
    pub(crate) fn state(&self, path: &str) -> Json {
        let (status, body) = self.fetch(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    fn fetch(&self, path: &str) -> (u16, String) {
        http::ask(self.http, "GET", path, "")
            .unwrap_or_else(|error| panic!("{path}: {error}{}", self.log()))
    }

    /// Makes one request of a desktop and expects success.
    pub(crate) fn request(&self, request: &Json) -> Json {
        let (status, body) = http::ask(self.http, "POST", "/api/v1/requests", &request.to_string())
            .unwrap_or_else(|error| panic!("{request}: {error}{}", self.log()));
        assert_eq!(status, 200, "{request}: {body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{request}: {error}: {body}"))
    }

    /// Logs an agent in from the desktop, ready for calls.
    pub(crate) fn log_in(&self, dn: &str) {
        let login = self.request(&json!({
            "Message": "RequestAgentLogin", "ReferenceID": 1, "ThisDN": dn,
            "AgentWorkMode": "AutoIn",
        }));
        assert_eq!(login["Message"], "EventAgentLogin", "{login}");
    }

    /// What `/api/v1/agents` says of each agent: DN, status and reason code.
    pub(crate) fn agents(&self) -> Vec<(String, String, Option<String>)> {
        let answer = self.state("/api/v1/agents");
        let agents = answer["Agents"].as_array().expect("a list of agents");
        let text = |value: &Json| value.as_str().map(str::to_owned);
        let of = |agent: &Json| {
            (
                text(&agent["ThisDN"]).expect("every agent has a DN"),
                text(&agent["AgentStatus"]).expect("every agent has a state"),
                text(&agent["ReasonCode"]),
            )
        };
        agents.iter().map(of).collect()
    }

    /// Waits until every agent has this status and this reason code.
    pub(crate) fn await_agents(&self, longest: Duration, status: &str, reason: Option<&str>) {
        let all = |server: &Self| {
            let agents = server.agents();
            agents.iter().all(|(_, is, why)| {
                is == status && reason.is_none_or(|it| why.as_deref() == Some(it))
            })
        };
        let came = program::comes_true(longest, || all(self));
        assert!(
            came,
            "not every agent became {status} {reason:?}: {:#?}{}",
            self.agents(),
            self.log()
        );
    }

    /// The call that a DN has in this state.
    pub(crate) fn call_at(&self, dn: &str, status: &str) -> Option<String> {
        let answer = self.state("/api/v1/calls");
        let calls = answer["Calls"].as_array().expect("a list of calls");
        let has = |call: &&Json| {
            let parties = call["Parties"].as_array().into_iter().flatten();
            let mut own = parties.filter(|party| party["ThisDN"] == dn);
            own.any(|party| party["PartyStatus"] == status)
        };
        let call = calls.iter().find(has)?;
        call["ConnID"].as_str().map(str::to_owned)
    }

    /// How many calls the server holds.
    pub(crate) fn calls(&self) -> usize {
        let answer = self.state("/api/v1/calls");
        answer["Calls"].as_array().expect("a list of calls").len()
    }

    /// One counter or gauge of the metrics page, over all shards.
    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        let (status, page) = self.fetch("/metrics");
        assert_eq!(status, 200, "{page}");
        let samples = page.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (metric, labels) = series.split_once('{')?;
            (metric == name && labels.contains(label)).then_some(value)
        });
        let mut values = samples
            .map(|value| value.parse::<u64>().expect("a metric is a number"))
            .peekable();
        assert!(values.peek().is_some(), "no {name} with {label} on {page}");
        values.sum()
    }

    /// Ends the server as a service manager does.
    pub(crate) fn stop(mut self) {
        let ended = self.program.stop();
        assert!(
            ended.is_some_and(|status| status.success()),
            "offhook did not end well: {ended:?}{}",
            self.log()
        );
    }
}
