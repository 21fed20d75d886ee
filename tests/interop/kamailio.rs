//! Kamailio as the presence server of a PBX: configured, started and told by SIPp what phones do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use offhook_loadgen::peers::presence_server;

use super::directory::Directory;
use super::program::{self, Program};
use super::sipp::{self, Sipp, Transport};

/// How long Kamailio may take until it listens.
const START_MAX: Duration = Duration::from_secs(20);

/// A running Kamailio.
#[derive(Debug)]
pub(crate) struct Kamailio {
    /// Held so that it ends with the test.
    _program: Program,
    directory: Directory,
    /// Where it hears SIP, by UDP and by TCP.
    pub(crate) address: SocketAddr,
    /// The publication of each DN.
    tags: BTreeMap<String, String>,
    published: u32,
}

impl Kamailio {
    /// Starts it and waits until it listens. `transport` is that of its Contact.
    pub(crate) fn start(directory: &Directory, transport: Transport) -> Self {
        let kamailio = program::find("kamailio", "kamailio kamailio-presence-modules");
        let address = program::free_address();
        let folder = directory.path().display().to_string();
        let file = presence_server(directory.path(), address, transport.name());
        let file = file.expect("the test's folder can be written");
        let mut command = Command::new(kamailio);
        command
            .args(["-DD", "-E", "-x", "fm", "-X", "fm", "-m", "64", "-M", "8"])
            .args(["-w", &folder, "-Y", &folder, "-P"])
            .arg(directory.file("kamailio.pid"))
            .arg("-f")
            .arg(file);
        let mut program = Program::start("kamailio", directory, &mut command);
        let listens = program::comes_true(START_MAX, || {
            program.ended().is_none()
                && program::is_heard("udp", address)
                && program::is_heard("tcp", address)
        });
        assert!(
            listens,
            "kamailio did not start; is kamailio-presence-modules installed (on Debian: \
             apt-get install kamailio-presence-modules)?\n{}",
            directory.tail("kamailio.err", 30)
        );
        Self {
            _program: program,
            directory: directory.clone(),
            address,
            tags: BTreeMap::new(),
            published: 0,
        }
    }

    /// Publishes one state of the phones of these DNs, in place of what was published before.
    pub(crate) fn publish(&mut self, dns: &[&str], basic: &str, activity: &str) {
        let mut lines = "SEQUENTIAL\n".to_owned();
        for dn in dns {
            let tag = self.tags.get(*dn).map_or("", String::as_str);
            writeln!(lines, "{dn};{basic};{activity};{tag}").expect("a string takes every text");
        }
        self.published += 1;
        let name = format!("publish_{}", self.published);
        let states = self.directory.write(&format!("{name}.csv"), &lines);
        let condition = "SIP-If-Match: [field3]\n";
        let condition = if self.tags.is_empty() { "" } else { condition };
        let scenario = sipp::scenario_text("publish").replace("{{condition}}\n", condition);
        let calls = dns.len().to_string();
        let publisher = |command: &mut Command| {
            command
                .arg("-inf")
                .arg(states)
                .args(["-m", &calls, "-r", "50"])
                .arg(self.address.to_string());
        };
        Sipp::start(&self.directory, &name, &scenario, Transport::Udp, publisher)
            .finish()
            .unwrap_or_else(|report| panic!("{report}\n{}", self.log()));
        let log = self.directory.tail(&format!("{name}.log"), dns.len());
        let tags = log.lines().filter_map(|line| line.split_once(' '));
        self.tags
            .extend(tags.map(|(dn, tag)| (dn.to_owned(), tag.trim().to_owned())));
        assert_eq!(self.tags.len(), dns.len(), "a tag for each: {log}");
    }

    /// What Kamailio said last.
    pub(crate) fn log(&self) -> String {
        self.directory.tail("kamailio.err", 30)
    }
}
