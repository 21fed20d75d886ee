//! TLS against a library that is not ours: Debian's SIPp has none, so OpenSSL's own programs carry
//! the bytes and the test plays the peer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::play::{await_bound, folder, free_address, is_clean, ours, start, udp_or_tcp};

/// A file of `tests/tls`: an authority that has signed a peer.
fn file(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// OpenSSL with a peer's end of the bytes.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

fn openssl(words: &[&str]) -> Peer {
    let mut child = Command::new("openssl")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("openssl cannot be run: {error}"));
    let input = child.stdin.take().expect("it is piped");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    Peer {
        child,
        input,
        output,
    }
}

impl Peer {
    fn say(&mut self, text: &str) {
        let text = text.replace('\n', "\r\n");
        self.input.write_all(text.as_bytes()).expect("it listens");
        self.input.flush().expect("it listens");
    }

    /// Reads one message, its body included.
    fn hear(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("it speaks");
            assert!(read > 0, "it has ended behind {lines:?}");
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let length = value(&lines, "Content-Length").parse().expect("a number");
        let mut body = vec![0; length];
        self.output.read_exact(&mut body).expect("the body follows");
        lines
    }

    /// Answers a request with 200.
    fn answer(&mut self, request: &[String]) {
        let header = |name| format!("{name}: {}\n", value(request, name));
        let same = ["Via", "From", "Call-ID", "CSeq"].map(header).concat();
        let to = value(request, "To")
            .split(";tag=")
            .next()
            .unwrap_or_default()
            .to_owned();
        self.say(&format!(
            "SIP/2.0 200 OK\n{same}To: {to};tag=theirs\nContact: <sip:peer@127.0.0.1>\n\
             Content-Length: 0\n\n"
        ));
    }
}

impl Peer {
    /// Whether it ends by itself, and soon.
    fn ends(&mut self) -> bool {
        (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            let ended = self.child.try_wait().expect("it was started");
            ended.is_some_and(|status| status.success())
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn value<'a>(message: &'a [String], name: &str) -> &'a str {
    let found = message.iter().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    found.unwrap_or_else(|| panic!("no {name} in {message:?}"))
}

/// Our own program with what all of these tests need, as `-t` says.
fn player(name: &str, transport: &str, words: &[&str]) -> Command {
    let mut command = ours(&folder(name));
    command.args(words);
    command.args(["-t", transport, "-i", "127.0.0.1"]);
    command.args(["--allow-degraded", "-nostdin", "-timeout", "60s"]);
    command
}

/// A peer calls: its INVITE is answered, and then its BYE.
struct Caller {
    peer: Peer,
    whom: String,
    call_id: &'static str,
    to: String,
}

impl Caller {
    fn connect(whom: &str, call_id: &'static str) -> Self {
        let authority = file("authority.pem");
        let check = ["-verify_return_error", "-CAfile", &authority];
        let words = ["s_client", "-quiet", "-connect", whom];
        Self {
            peer: openssl(&[&words[..], &check].concat()),
            whom: whom.to_owned(),
            call_id,
            to: "<sip:us@127.0.0.1>".to_owned(),
        }
    }

    fn request(&mut self, method: &str, number: u32) {
        let Self {
            whom, call_id, to, ..
        } = self;
        let text = format!(
            "{method} sip:us@{whom} SIP/2.0\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK{method}\n\
             Max-Forwards: 70\nFrom: <sip:peer@127.0.0.1>;tag=theirs\nTo: {to}\n\
             Call-ID: {call_id}\nCSeq: {number} {method}\nContact: <sip:peer@127.0.0.1>\n\
             Content-Length: 0\n\n"
        );
        self.peer.say(&text);
    }

    fn hear(&mut self, first_line: &str) {
        let answer = self.peer.hear();
        assert_eq!(answer[0], first_line);
        assert_eq!(value(&answer, "Call-ID"), self.call_id);
        value(&answer, "To").clone_into(&mut self.to);
    }

    fn begin(&mut self) {
        self.request("INVITE", 1);
        self.hear("SIP/2.0 180 Ringing");
        self.hear("SIP/2.0 200 OK");
        self.request("ACK", 1);
    }

    fn end(&mut self) {
        self.request("BYE", 2);
        self.hear("SIP/2.0 200 OK");
    }
}

#[test]
fn openssl_calls_over_tls() {
    let [certificate, key] = ["peer.pem", "peer.key"].map(file);
    for (transport, calls) in [("l1", &["one"][..]), ("ln", &["one", "two", "three"])] {
        let address = free_address();
        let (port, count) = (address.port().to_string(), calls.len().to_string());
        let mut command = player(&format!("openssl-calls-{transport}"), transport, &["uas"]);
        command.args(["-p", &port, "-m", &count]);
        command.args(["-tls_cert", &certificate, "-tls_key", &key]);
        let server = start(command, address);
        let whom = address.to_string();
        let connect = |call_id: &&'static str| Caller::connect(&whom, call_id);
        let mut callers: Vec<Caller> = calls.iter().map(connect).collect();
        // All at a time, and the last one ends first: each is answered on its own connection.
        callers.iter_mut().for_each(Caller::begin);
        callers.iter_mut().rev().for_each(Caller::end);
        let output = server.wait_with_output().expect("it ends by itself");
        is_clean("our server", &output);
    }
}

#[test]
fn openssl_answers_over_tls() {
    let [certificate, key, authority] = ["peer.pem", "peer.key", "authority.pem"].map(file);
    for (transport, calls) in [("l1", 1), ("ln", 3)] {
        let address = free_address();
        let (whom, count) = (address.to_string(), calls.to_string());
        let words = ["s_server", "-quiet", "-cert", &certificate, "-key", &key];
        // OpenSSL takes one connection at a time, and ends behind the last of them.
        let words = [&words[..], &["-accept", &whom, "-naccept", &count]].concat();
        let mut peer = openssl(&words);
        await_bound(&mut peer.child, address, udp_or_tcp).expect("openssl listens");
        let mut command = player(&format!("openssl-answers-{transport}"), transport, &["uac"]);
        command.args([&whom, "-users", "1", "-m", &count, "-tls_ca", &authority]);
        let client = command.spawn().expect("our own program can be run");
        for _ in 0..calls {
            let invite = peer.hear();
            assert!(invite[0].starts_with("INVITE "), "{invite:?}");
            peer.answer(&invite);
            let ack = peer.hear();
            assert!(ack[0].starts_with("ACK "), "{ack:?}");
            let bye = peer.hear();
            assert!(bye[0].starts_with("BYE "), "{bye:?}");
            peer.answer(&bye);
        }
        let output = client.wait_with_output().expect("it ends by itself");
        is_clean("our client", &output);
        assert!(peer.ends(), "{transport}: it waits for a connection more");
    }
}
