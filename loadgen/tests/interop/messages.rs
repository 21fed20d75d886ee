//! What both programs send is the same byte for byte, but for the process, chance and the time of
//! day: one recorder listens to SIPp and to us, plays the peer, and compares.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;

use crate::play::{await_bound, folder, free_address, is_clean, ours, sipp, udp_or_tcp};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/scenarios");
const PEOPLE: &str = "SEQUENTIAL\nann;one two;;[authentication username=zoe password=q]\n\
                      bob;two;x;[authentication username=yan password=p]\n";
const CHALLENGES: [&str; 3] = [
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\"",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", qop=\"auth,auth-int\", algorithm=MD5, \
     opaque=\"o\"",
    "Proxy-Authenticate: Digest realm=\"r\", nonce=\"n3\", algorithm=MD5, qop=\"auth\"",
];

/// A scenario of the folder, and how many messages it sends in all calls.
struct Case {
    name: &'static str,
    messages: usize,
    is_called: bool,
    /// Whether digits are a moment's.
    tells_time: bool,
}

impl Case {
    fn of(name: &'static str, messages: usize) -> Self {
        Self {
            name,
            messages,
            is_called: false,
            tells_time: false,
        }
    }

    fn is_the_same(&self) {
        let folder = folder(&format!("messages-{}", self.name));
        for (file, text) in [("people.csv", PEOPLE), ("quoted.txt", "some text")] {
            std::fs::write(folder.join(file), text).expect("the folder can be written");
        }
        let (local, media) = (free_address(), free_address().port().to_string());
        let recorder = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let theirs = self.recorded(&recorder, local, with_media(sipp(&folder), &media));
        let mut own = ours(&folder);
        own.args(["run", "--allow-degraded", "-driver", "epoll"]);
        let ours = self.recorded(&recorder, local, with_media(own, &media));
        assert_eq!(ours.len(), self.messages, "{}", self.name);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{}", self.name);
        }
    }

    /// What a program sends, with what is never the same made the same.
    fn recorded(
        &self,
        recorder: &UdpSocket,
        local: SocketAddr,
        mut command: Command,
    ) -> Vec<String> {
        let address = recorder
            .local_addr()
            .expect("a bound socket has an address")
            .to_string();
        let file = Path::new(SCENARIOS).join(format!("{}.xml", self.name));
        let calls = if self.is_called { "1" } else { "2" };
        command
            .arg("-sf")
            .arg(file)
            .args([
                address.as_str(),
                "-i",
                "127.0.0.1",
                "-p",
                &local.port().to_string(),
            ])
            .args([
                "-m", calls, "-r", "5", "-nostdin", "-timeout", "20", "-s", "who",
            ])
            .args([
                "-inf",
                "people.csv",
                "-key",
                "word",
                "key",
                "-key",
                "other",
                "a b",
            ])
            .args(["-au", "joe", "-ap", "pass"]);
        let mut child = command
            .spawn()
            .expect("SIPp can be run; on Debian: sip-tester");
        let process = child.id().to_string();
        let mut peer = Peer::default();
        recorder
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("it can have one");
        if self.is_called {
            await_bound(&mut child, local, udp_or_tcp).expect("SIPp starts");
            recorder
                .send_to(INVITE.replace('\n', "\r\n").as_bytes(), local)
                .expect("it is sent");
        }
        let mut messages = Vec::new();
        while messages.len() < self.messages {
            let mut bytes = [0; 8_192];
            let (length, from) = recorder.recv_from(&mut bytes).expect("a message comes");
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            for reply in peer.replies(&text, self.is_called) {
                recorder
                    .send_to(reply.as_bytes(), from)
                    .expect("loopback takes it");
            }
            messages.push(self.masked(&text.replace(&process, "PID").replace(&address, "PEER")));
        }
        let ended = child.wait_with_output().expect("it ends by itself");
        is_clean(self.name, &ended);
        messages
    }

    fn masked(&self, text: &str) -> String {
        let mask = |pattern: &str, by: &str, text: &str| {
            let pattern = Regex::new(pattern).expect("a good pattern");
            pattern.replace_all(text, by).into_owned()
        };
        if self.tells_time {
            return mask("[0-9]", "0", text);
        }
        if !text.contains("cnonce") {
            return text.to_owned();
        }
        // A nonce of the client is chance, and the response follows from it.
        let text = mask("cnonce=\"[^\"]*\"", "cnonce=\"\"", text);
        mask("response=\"[^\"]*\"", "response=\"\"", &text)
    }
}

/// SIPp takes another port for media than 6000 when that is in use.
fn with_media(mut command: Command, port: &str) -> Command {
    command.args(["-mp", port]);
    command
}

/// The side that the programs talk to.
#[derive(Default)]
struct Peer {
    /// Whether there was an INVITE.
    was_invited: bool,
    /// How often each call was challenged.
    challenged: Vec<(String, usize)>,
}

impl Peer {
    fn replies(&mut self, text: &str, is_called: bool) -> Vec<String> {
        let first = text.split(' ').next().unwrap_or_default();
        let is_invite = header(text, "CSeq").ends_with("INVITE");
        self.was_invited |= first == "INVITE";
        match first {
            "INVITE" => ["100 Trying", "180 Ringing", "200 OK"]
                .map(|status| answer(text, status, ""))
                .to_vec(),
            "ACK" if !self.was_invited => Vec::new(),
            "ACK" => vec![request("INFO", 70, &header(text, "Call-ID"))],
            "REGISTER" => vec![self.challenge(text)],
            "INFO" if is_called => {
                let bye = request("BYE", 18, "Call-ID: abc@d");
                vec![answer(text, "200 OK", ""), bye]
            }
            "SIP/2.0" if is_invite && text.starts_with("SIP/2.0 200") => {
                vec![request("ACK", 17, "Call-ID: abc@d")]
            }
            "SIP/2.0" => Vec::new(),
            _ => vec![answer(text, "200 OK", "")],
        }
    }

    fn challenge(&mut self, text: &str) -> String {
        let id = header(text, "Call-ID");
        let known = self.challenged.iter_mut().find(|(known, _)| *known == id);
        let count = match known {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.challenged.push((id, 0));
                0
            }
        };
        let status = if count == 2 { "407 Proxy" } else { "401 Who" };
        CHALLENGES.get(count).map_or_else(
            || answer(text, "200 OK", ""),
            |challenge| answer(text, status, &format!("{challenge}\r\n")),
        )
    }
}

fn header(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name));
    line.unwrap_or_default().to_owned()
}

fn answer(text: &str, status: &str, more: &str) -> String {
    let to = header(text, "To:");
    let tag = if to.contains("tag=") {
        ""
    } else {
        ";tag=peer1"
    };
    let kept = ["Via:", "From:", "Call-ID:", "CSeq:"]
        .map(|name| header(text, name))
        .join("\r\n");
    format!(
        "SIP/2.0 {status}\r\n{kept}\r\n{to}{tag}\r\nRecord-Route: <sip:r1;lr>\r\n\
         Record-Route: <sip:r2;lr>, <sip:r3>\r\nContact: <sip:peer@127.0.0.1:7;x=y>\r\n\
         X-Once: one two\r\nX-Twice: first\r\nX-Twice: second, more\r\n{more}\
         Content-Length: 13\r\n\r\nbody words 12"
    )
}

fn request(method: &str, number: u32, call_id: &str) -> String {
    format!(
        "{method} sip:x@y SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9:9;branch=z9hG4bK{method}\r\n\
         From: \"x\" <sip:1234@b>;tag=f1\r\nTo: <sip:b@c>;tag=1\r\n{call_id}\r\n\
         CSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

const INVITE: &str = "INVITE sip:b@127.0.0.1 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.9:9;branch=z9hG4bKa
Via: SIP/2.0/UDP 127.0.0.8:9;branch=z9hG4bKb
Record-Route: <sip:r1;lr>
Record-Route: <sip:r2;lr>, <sip:r3>
From: \"x\" <sip:1234@b>;tag=f1
t: <sip:b@c>
Call-ID: abc@d
CSeq: 17 INVITE
Contact: <sip:me@127.0.0.1:7>
Content-Length: 0

";

#[test]
fn addresses_are_sipp_s() {
    Case::of("addresses", 2).is_the_same();
}

#[test]
fn names_and_numbers_of_calls_are_sipp_s() {
    Case::of("identity", 4).is_the_same();
}

#[test]
fn headers_are_taken_over_as_sipp_does() {
    Case::of("headers", 4).is_the_same();
}

#[test]
fn variables_are_shown_as_sipp_does() {
    Case::of("variables", 4).is_the_same();
}

#[test]
fn zero_and_false_are_unset_as_in_sipp() {
    Case::of("zero", 2).is_the_same();
}

#[test]
fn blanks_and_line_ends_are_sipp_s() {
    Case::of("text", 4).is_the_same();
}

#[test]
fn numbers_of_requests_are_sipp_s() {
    Case::of("counting", 8).is_the_same();
}

#[test]
fn challenges_are_answered_as_sipp_does() {
    Case::of("digest", 8).is_the_same();
}

#[test]
fn routes_and_bodies_together_are_sipp_s() {
    Case::of("bytes", 4).is_the_same();
}

#[test]
fn moments_have_sipp_s_form() {
    let case = Case {
        tells_time: true,
        ..Case::of("times", 2)
    };
    case.is_the_same();
}

#[test]
fn a_called_side_answers_as_sipp_does() {
    let case = Case {
        is_called: true,
        ..Case::of("answering", 4)
    };
    case.is_the_same();
}
