//! The same counters whoever plays: each pair of scenarios is played by SIPp and by us on either
//! side, over UDP and TCP, and what `-trace_stat` and `-trace_counts` say at the end is what SIPp
//! says of itself.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::play::{folder, free_address, ours, sipp, start};

const HEAD: &str =
    "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n<scenario name=\"counted\">\n";
/// Calls of a run, and how many there are a second.
const CALLS: &str = "20";
const RATE: &str = "50";

/// Two scenarios that play with each other.
struct Pair {
    name: &'static str,
    calling: String,
    called: String,
    /// Options of both programs.
    options: &'static [&'static str],
    /// Words of columns that cannot be the same.
    differs: &'static [&'static str],
}

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Sipp,
    Ours,
}

/// Columns and their values: of the statistics, then of the counts by step.
type Counters = Vec<(String, String)>;

impl Pair {
    fn counts_the_same(&self, transports: &[&str]) {
        for transport in transports {
            let expected = self.played(Program::Sipp, Program::Sipp, transport);
            for (client, server) in [
                (Program::Ours, Program::Sipp),
                (Program::Sipp, Program::Ours),
                (Program::Ours, Program::Ours),
            ] {
                let found = self.played(client, server, transport);
                for (side, found, expected) in [
                    ("calling", &found[0], &expected[0]),
                    ("called", &found[1], &expected[1]),
                ] {
                    let both = found.iter().zip(expected);
                    let differing: Vec<_> =
                        both.filter(|(found, wanted)| found != wanted).collect();
                    assert!(
                        differing.is_empty() && found.len() == expected.len(),
                        "{} over {transport}, {side}, {client:?} calls {server:?}: {differing:?}",
                        self.name
                    );
                }
            }
        }
    }

    /// What both sides have counted.
    fn played(&self, client: Program, server: Program, transport: &str) -> [Counters; 2] {
        let name = format!("{}-{transport}-{client:?}-{server:?}", self.name);
        let folders = ["calling", "called"].map(|side| folder(&format!("count-{name}-{side}")));
        for (folder, text) in folders.iter().zip([&self.calling, &self.called]) {
            let text = format!("{HEAD}{text}</scenario>");
            std::fs::write(folder.join("play.xml"), text).expect("the folder can be written");
        }
        let addresses = [free_address(), free_address()];
        let command = self.command(server, &folders[1], addresses[1], transport);
        let answering = start(command, addresses[1]);
        let mut command = self.command(client, &folders[0], addresses[0], transport);
        command.args([&addresses[1].to_string(), "-r", RATE]);
        let output = command.output();
        output.expect("SIPp can be run; on Debian: apt-get install sip-tester");
        answering.wait_with_output().expect("it ends by itself");
        folders.map(|folder| self.counters(&folder))
    }

    fn command(
        &self,
        program: Program,
        folder: &Path,
        local: SocketAddr,
        transport: &str,
    ) -> Command {
        let mut command = match program {
            Program::Sipp => sipp(folder),
            Program::Ours => {
                let mut own = ours(folder);
                own.args(["run", "--allow-degraded", "-driver", "epoll"]);
                own
            }
        };
        command
            .args([
                "-sf",
                "play.xml",
                "-i",
                "127.0.0.1",
                "-p",
                &local.port().to_string(),
            ])
            .args(["-t", transport, "-m", CALLS, "-nostdin", "-timeout", "30s"])
            .args(["-trace_stat", "-stf", "statistics.csv", "-trace_counts"])
            .args(self.options);
        command
    }

    fn counters(&self, folder: &Path) -> Counters {
        let files = std::fs::read_dir(folder).expect("the folder is there");
        let paths: Vec<PathBuf> = files.filter_map(|entry| Some(entry.ok()?.path())).collect();
        let mut all = Counters::new();
        for ending in ["statistics.csv", "counts.csv"] {
            let ends = |path: &&PathBuf| path.to_string_lossy().ends_with(ending);
            let path = paths.iter().find(ends).expect("the file was written");
            let text = std::fs::read_to_string(path).expect("it is text");
            let mut lines = text.lines();
            let names: Vec<&str> = lines.next().expect("a header").split(';').collect();
            let values: Vec<&str> = lines.next_back().expect("a line").split(';').collect();
            let columns = names.into_iter().zip(values);
            let kept = columns.filter(|(name, _)| self.is_a_count(name));
            all.extend(kept.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
        }
        all
    }

    /// Whether a column is a number of something that both count, and not a time.
    fn is_a_count(&self, name: &str) -> bool {
        const TIMES: [&str; 11] = [
            "Time",
            "Rate",
            "Length",
            "Repartition",
            "(P)",
            "<",
            ">",
            "Warnings",
            "Watchdog",
            "DeadCall",
            "StDev",
        ];
        let is_other = |word: &&str| name.contains(word);
        !name.is_empty() && !TIMES.iter().any(is_other) && !self.differs.iter().any(is_other)
    }
}

/// A request to be sent.
fn request(method: &str, attributes: &str) -> String {
    format!(
        "<send {attributes}><![CDATA[\n{method} sip:b@[remote_ip] SIP/2.0\n\
         Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\nMax-Forwards: 70\n\
         From: <sip:a@b>;tag=[pid]x[call_number]\nTo: <sip:b@c>[peer_tag_param]\n\
         Call-ID: [call_id]\nCSeq: [cseq] {method}\nContact: <sip:a@[local_ip]:[local_port]>\n\
         Content-Length: 0\n\n]]></send>\n"
    )
}

/// A response to what came last.
fn response(status: &str, attributes: &str) -> String {
    format!(
        "<send {attributes}><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n\
         [last_To:];tag=[pid]s[call_number]\n[last_Call-ID:]\n[last_CSeq:]\n\
         Contact: <sip:b@[local_ip]:[local_port]>\nContent-Length: 0\n\n]]></send>\n"
    )
}

fn receive(what: &str) -> String {
    format!("<recv {what}/>\n")
}

#[test]
fn calls_that_succeed() {
    let pair = Pair {
        name: "good",
        calling: [
            request("INVITE", "retrans=\"500\" start_rtd=\"1\" counter=\"1\""),
            receive("response=\"100\" optional=\"true\""),
            receive("response=\"180\" optional=\"true\""),
            receive("response=\"200\" rtd=\"1\""),
            request("ACK", ""),
            "<pause milliseconds=\"20\"/>\n".to_owned(),
            request("BYE", "retrans=\"500\""),
            receive("response=\"200\" counter=\"2\""),
        ]
        .concat(),
        called: [
            receive("request=\"INVITE\""),
            response("180 Ringing", ""),
            response("200 OK", "retrans=\"500\""),
            receive("request=\"ACK\" rtd=\"true\""),
            receive("request=\"BYE\""),
            response("200 OK", ""),
        ]
        .concat(),
        options: &[],
        differs: &[],
    };
    pair.counts_the_same(&["u1", "t1", "tn"]);
}

#[test]
fn calls_that_are_refused() {
    let pair = Pair {
        name: "refused",
        calling: [
            request("INVITE", "retrans=\"500\""),
            receive("response=\"100\" optional=\"true\""),
            receive("response=\"200\""),
            request("ACK", ""),
        ]
        .concat(),
        called: [
            receive("request=\"INVITE\""),
            response("100 Trying", ""),
            response("486 Busy Here", "retrans=\"500\""),
            receive("request=\"ACK\""),
        ]
        .concat(),
        options: &[],
        differs: &[],
    };
    pair.counts_the_same(&["u1", "t1"]);
}

#[test]
fn checks_that_fail() {
    let check = |action: &str| format!("<recv response=\"200\"><action>{action}</action></recv>\n");
    for (name, action) in [
        (
            "missed",
            "<ereg regexp=\"never\" search_in=\"msg\" check_it=\"true\" assign_to=\"1\"/>",
        ),
        (
            "matched",
            "<ereg regexp=\"SIP\" search_in=\"msg\" check_it_inverse=\"true\" \
             assign_to=\"1\"/>",
        ),
        (
            "nothing",
            "<ereg regexp=\"x\" search_in=\"hdr\" header=\"Nothing:\" check_it=\"true\" \
             assign_to=\"1\"/>",
        ),
        ("stopped", "<exec int_cmd=\"stop_call\"/>"),
    ] {
        let reference = if name == "stopped" {
            ""
        } else {
            "<Reference variables=\"1\"/>"
        };
        let pair = Pair {
            name,
            calling: request("OPTIONS", "retrans=\"500\"") + &check(action) + reference,
            called: receive("request=\"OPTIONS\"") + &response("200 OK", ""),
            options: &[],
            differs: &[],
        };
        pair.counts_the_same(&["u1"]);
    }
}

#[test]
fn messages_that_do_not_come() {
    let pair = Pair {
        name: "late",
        calling: request("OPTIONS", "")
            + &receive("response=\"100\" optional=\"true\"")
            + &receive("response=\"200\" timeout=\"300\""),
        called: receive("request=\"OPTIONS\"") + &response("100 Trying", ""),
        options: &[],
        differs: &[],
    };
    // Over TCP the server that ends first closes the connection of those that still wait.
    pair.counts_the_same(&["u1"]);
}

#[test]
fn ways_through_a_scenario() {
    let calling = [
        request("OPTIONS", "retrans=\"500\""),
        "<recv response=\"404\" optional=\"true\" next=\"absent\" counter=\"absent\"/>\n"
            .to_owned(),
        "<recv response=\"200\"><action><ereg regexp=\"[13579]-\" search_in=\"hdr\" \
         header=\"Call-ID:\" assign_to=\"odd\"/></action></recv>\n"
            .to_owned(),
        "<nop next=\"end\" test=\"odd\"/>\n".to_owned(),
        request("INFO", "retrans=\"500\" counter=\"even\""),
        receive("response=\"200\" next=\"end\""),
        "<label id=\"absent\"/>\n<nop/>\n<label id=\"end\"/>\n<nop/>\n".to_owned(),
    ];
    let called = [
        receive("request=\"OPTIONS\""),
        response("200 OK", ""),
        "<recv request=\"INFO\" optional=\"true\" next=\"more\" timeout=\"300\" \
         ontimeout=\"end\"/>\n"
            .to_owned(),
        "<recv request=\"NEVER\" timeout=\"300\" ontimeout=\"end\"/>\n".to_owned(),
        "<label id=\"more\"/>\n".to_owned(),
        response("200 OK", ""),
        "<label id=\"end\"/>\n<nop/>\n".to_owned(),
    ];
    let pair = Pair {
        name: "ways",
        calling: calling.concat(),
        called: called.concat(),
        options: &[],
        differs: &[],
    };
    pair.counts_the_same(&["u1"]);
}

#[test]
fn requests_that_nobody_answers() {
    let pair = Pair {
        name: "silent",
        calling: request("OPTIONS", "retrans=\"200\"") + &receive("response=\"200\""),
        called: receive("request=\"OPTIONS\"") + "<pause milliseconds=\"2500\"/>\n",
        options: &["-max_retrans", "2"],
        differs: &[],
    };
    pair.counts_the_same(&["u1"]);
}
