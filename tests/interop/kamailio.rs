//! Kamailio as the presence server of a PBX: configured, started and told by SIPp what phones do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::directory::Directory;
use super::program::{self, Program};
use super::sipp::{self, Sipp, Transport};

/// How long Kamailio may take until it listens.
const START_MAX: Duration = Duration::from_secs(20);

/// The tables that its presence modules look for, with their columns. All state is in memory: the
/// tables stay empty, but without them the modules do not start.
const TABLES: &[(&str, &str)] = &[
    (
        "version",
        "table_name(string) table_version(int) \npresentity:5\nactive_watchers:12\nwatchers:3\n\
         xcap:4",
    ),
    (
        "presentity",
        "id(int,auto) username(string) domain(string) event(string) etag(string) expires(int) \
         received_time(int) body(string) sender(string) priority(int) ruid(string,null)",
    ),
    (
        "active_watchers",
        "id(int,auto) presentity_uri(string) watcher_username(string) watcher_domain(string) \
         to_user(string) to_domain(string) event(string) event_id(string,null) to_tag(string) \
         from_tag(string) callid(string) local_cseq(int) remote_cseq(int) contact(string) \
         record_route(string,null) expires(int) status(int) reason(string,null) version(int) \
         socket_info(string) local_contact(string) from_user(string) from_domain(string) \
         updated(int) updated_winfo(int) flags(int) user_agent(string,null)",
    ),
    (
        "watchers",
        "id(int,auto) presentity_uri(string) watcher_username(string) watcher_domain(string) \
         event(string) status(int) reason(string,null) inserted_time(int)",
    ),
    (
        "xcap",
        "id(int,auto) username(string) domain(string) doc(string) doc_type(int) etag(string) \
         source(int) doc_uri(string) port(int)",
    ),
];

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
        let config = include_str!("kamailio.cfg")
            .replace("@ADDRESS@", &address.to_string())
            .replace("@TRANSPORT@", transport.name())
            .replace("@FOLDER@", &folder);
        let file = directory.write("kamailio.cfg", &config);
        std::fs::create_dir(directory.file("tables")).expect("the test's folder can be written");
        for (table, columns) in TABLES {
            directory.write(&format!("tables/{table}"), &format!("{columns} \n"));
        }
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
