//! TLS against a library that is not ours: Debian's SIPp has none, so OpenSSL's own programs carry
//! the bytes and the test plays the peer.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

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

#[test]
fn openssl_calls_over_tls() {
    let folder = folder("openssl-calls");
    let address = free_address();
    let mut command = ours(&folder);
    let port = address.port().to_string();
    let [certificate, key] = ["peer.pem", "peer.key"].map(file);
    command.args([
        "uas",
        "--allow-degraded",
        "-t",
        "l1",
        "-i",
        "127.0.0.1",
        "-p",
        &port,
    ]);
    command.args(["-m", "1", "-nostdin", "-timeout", "60s"]);
    command.args(["-tls_cert", &certificate, "-tls_key", &key]);
    let server = start(command, address);
    let (authority, whom) = (file("authority.pem"), address.to_string());
    let words = [
        "s_client",
        "-quiet",
        "-verify_return_error",
        "-CAfile",
        &authority,
    ];
    let mut peer = openssl(&[&words[..], &["-connect", &whom]].concat());
    let request = |method: &str, number: u32, to: &str| {
        format!(
            "{method} sip:us@{whom} SIP/2.0\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK{method}\n\
             Max-Forwards: 70\nFrom: <sip:peer@127.0.0.1>;tag=theirs\nTo: {to}\nCall-ID: one\n\
             CSeq: {number} {method}\nContact: <sip:peer@127.0.0.1>\nContent-Length: 0\n\n"
        )
    };
    peer.say(&request("INVITE", 1, "<sip:us@127.0.0.1>"));
    assert_eq!(peer.hear()[0], "SIP/2.0 180 Ringing");
    let answer = peer.hear();
    assert_eq!(answer[0], "SIP/2.0 200 OK");
    let to = value(&answer, "To");
    peer.say(&request("ACK", 1, to));
    peer.say(&request("BYE", 2, to));
    assert_eq!(peer.hear()[0], "SIP/2.0 200 OK");
    is_clean(
        "our server",
        &server.wait_with_output().expect("it ends by itself"),
    );
}

#[test]
fn openssl_answers_over_tls() {
    let folder = folder("openssl-answers");
    let address = free_address();
    let whom = address.to_string();
    let [certificate, key, authority] = ["peer.pem", "peer.key", "authority.pem"].map(file);
    let words = ["s_server", "-quiet", "-cert", &certificate, "-key", &key];
    let mut peer = openssl(&[&words[..], &["-accept", &whom]].concat());
    await_bound(&mut peer.child, address, udp_or_tcp).expect("openssl listens");
    let mut command = ours(&folder);
    command.args([
        "uac",
        "--allow-degraded",
        "-t",
        "l1",
        "-i",
        "127.0.0.1",
        &whom,
    ]);
    command.args([
        "-m", "1", "-nostdin", "-timeout", "60s", "-tls_ca", &authority,
    ]);
    let client = command.spawn().expect("our own program can be run");
    let invite = peer.hear();
    assert!(invite[0].starts_with("INVITE "), "{invite:?}");
    peer.answer(&invite);
    let ack = peer.hear();
    assert!(ack[0].starts_with("ACK "), "{ack:?}");
    let bye = peer.hear();
    assert!(bye[0].starts_with("BYE "), "{bye:?}");
    peer.answer(&bye);
    is_clean(
        "our client",
        &client.wait_with_output().expect("it ends by itself"),
    );
}
