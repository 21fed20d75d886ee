//! What kills other generators, thrown at the running program: torture messages and mutations of
//! them, at a server over UDP and TCP and as answers to a client. It costs no exit, it is counted,
//! and good calls succeed all the while.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use offhook_loadgen::population::Random;

use crate::play::{client, free_address, server, words};

/// Messages of the tests' own, for where there are no torture messages.
const GOOD: [&str; 3] = [
    "INVITE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-1\r\nMax-Forwards: 70\
     \r\nFrom: <sip:x@y>;tag=5\r\nTo: <sip:c@d>\r\nCall-ID: hostile-1\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:x@y>\r\nContent-Length: 0\r\n\r\n",
    "BYE sip:c@d SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-2\r\n\
     From: <sip:x@y>;tag=5\r\nTo: <sip:c@d>;tag=6\r\nCall-ID: hostile-1\r\nCSeq: 2 BYE\r\n\
     Content-Length: 0\r\n\r\n",
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK-1\r\nFrom: <sip:x@y>;tag=5\r\n\
     To: <sip:c@d>;tag=6\r\nCall-ID: hostile-1\r\nCSeq: 1 INVITE\r\nContact: <sip:me@there>\r\n\
     Content-Length: 0\r\n\r\n",
];

/// The torture messages where they are, and our own.
fn messages() -> Vec<Vec<u8>> {
    let named = std::env::var("OFFHOOK_TEST_DATA").ok().map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = named.unwrap_or(beside);
    let mut found = Vec::new();
    for name in ["rfc4475", "rfc5118"] {
        collect(&root.join(name), &mut found);
    }
    if found.is_empty() {
        let cure = "set OFFHOOK_TEST_DATA to the directory that has rfc4475 and rfc5118";
        // Past the test harness, which swallows what a passing test prints.
        let said = writeln!(std::io::stderr(), "SKIPPED: no torture messages; {cure}");
        said.expect("standard error can be written");
    }
    found.extend(GOOD.map(|text| text.as_bytes().to_vec()));
    found
}

/// All files of a directory and those in it.
fn collect(directory: &Path, messages: &mut Vec<Vec<u8>>) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, messages);
        } else if let Ok(bytes) = std::fs::read(&path) {
            messages.push(bytes);
        }
    }
}

/// A copy with up to four faults.
fn mutated(message: &[u8], random: &mut Random) -> Vec<u8> {
    const PIECES: [&[u8]; 8] = [
        b"\r\n\r\n",
        b"\0",
        b":",
        b"<",
        b"\"",
        b"4294967296",
        b"\xff",
        b"%n",
    ];
    let mut changed = message.to_vec();
    let mut below = |end: usize| usize::try_from(random.below(end as u64)).expect("it fits");
    for _ in 0..=below(4) {
        let place = below(changed.len() + 1);
        let end = (place + below(24)).min(changed.len());
        match below(4) {
            0 => changed.truncate(place),
            1 => drop(changed.drain(place..end)),
            2 => {
                let copied = changed[place..end].repeat(3);
                drop(changed.splice(place..place, copied));
            }
            _ => drop(changed.splice(place..end, PIECES[below(PIECES.len())].iter().copied())),
        }
    }
    // A datagram has no room for more.
    changed.truncate(60_000);
    changed
}

fn is_running(child: &mut Child) {
    let ended = child.try_wait().expect("it can be asked");
    assert!(ended.is_none(), "the server has ended: {ended:?}");
}

fn call_succeeds(address: SocketAddr, transport: &str) {
    let output = client(&["uac", "-t", transport, "-m", "1"], address);
    let text = words(&output.stdout);
    assert!(
        text.contains("successful 1, failed 0"),
        "{text}\n{}",
        words(&output.stderr)
    );
}

/// A server with its numbers, after it was interrupted twice.
fn stopped(child: Child) -> String {
    for _ in 0..2 {
        let sent = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(sent.expect("there is kill").success());
        std::thread::sleep(Duration::from_millis(200));
    }
    let output = child
        .wait_with_output()
        .expect("it ends when it is told so");
    // Failed calls are all that is left, or calls that wait for more.
    let status = output.status.code();
    assert!(
        matches!(status, Some(1 | 97)),
        "{status:?}: {}",
        words(&output.stderr)
    );
    words(&output.stdout)
}

/// The number behind a word of what was printed.
fn number(text: &str, word: &str) -> u64 {
    let rest = text.split(word).nth(1).unwrap_or_default();
    let digits: String = rest
        .chars()
        .skip(1)
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no number behind `{word}` in {text}"))
}

#[test]
fn a_server_takes_what_kills_others_over_udp() {
    let (messages, mut random) = (messages(), Random::new(4_475, 0));
    let address = free_address();
    let mut child = server(&["uas", "-aa", "-m", "1000000"], address);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    for round in 0..40 {
        for message in &messages {
            let bytes = if round == 0 {
                message.clone()
            } else {
                mutated(message, &mut random)
            };
            // A message that is too long for a datagram cannot hurt.
            let _ = socket.send_to(&bytes, address);
        }
        std::thread::sleep(Duration::from_millis(5));
        is_running(&mut child);
    }
    call_succeeds(address, "u1");
    is_running(&mut child);
    let text = stopped(child);
    assert!(
        number(&text, "not SIP") > 0 && number(&text, "created") > 1,
        "{text}"
    );
}

#[test]
fn a_server_takes_what_kills_others_over_tcp() {
    let (messages, mut random) = (messages(), Random::new(5_118, 0));
    let address = free_address();
    let mut child = server(&["uas", "-t", "t1", "-aa", "-m", "1000000"], address);
    for round in 0..10 {
        for message in &messages {
            let bytes = if round == 0 {
                message.clone()
            } else {
                mutated(message, &mut random)
            };
            let mut stream = TcpStream::connect(address).expect("the server accepts");
            // It may close the connection before it has read everything.
            let _ = stream.write_all(&bytes);
        }
        is_running(&mut child);
    }
    call_succeeds(address, "t1");
    is_running(&mut child);
    let text = stopped(child);
    assert!(number(&text, "created") > 1, "{text}");
}

/// What a good server says to a request; nothing to an ACK.
fn answer(request: &str) -> Option<String> {
    let status = if request.starts_with("ACK") {
        None
    } else {
        Some("200 OK")
    }?;
    let kept = request.lines().filter(|line| {
        let names = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        names.iter().any(|name| line.starts_with(name))
    });
    let kept: Vec<&str> = kept.collect();
    Some(format!(
        "SIP/2.0 {status}\r\n{}\r\nContact: <sip:peer@127.0.0.1>\r\nContent-Length: 0\r\n\r\n",
        kept.join("\r\n")
    ))
}

/// Every second call is answered with rubbish under its own Call-ID, and fails; the others live.
#[test]
fn a_client_takes_what_kills_others() {
    const CALLS: usize = 60;
    let (messages, mut random) = (messages(), Random::new(7, 0));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has free ports");
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("it can have one");
    let address = socket.local_addr().expect("it has an address");
    let peer = std::thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let id = text.lines().find_map(|line| line.strip_prefix("Call-ID: "));
            let id = id.unwrap_or_default().to_owned();
            let call: usize = id
                .split('-')
                .next()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0);
            if call.is_multiple_of(2) {
                let reply = answer(&text);
                let sent = reply.map(|reply| socket.send_to(reply.as_bytes(), from));
                sent.transpose().expect("loopback takes it");
                continue;
            }
            for message in messages.iter().skip(call % 5).step_by(5) {
                let text = String::from_utf8_lossy(message).into_owned();
                let own = text.lines().map(|line| {
                    if line.to_ascii_lowercase().starts_with("call-id") {
                        format!("Call-ID: {id}")
                    } else {
                        line.to_owned()
                    }
                });
                let text = own.collect::<Vec<String>>().join("\r\n") + "\r\n\r\n";
                let rubbish = mutated(text.as_bytes(), &mut random);
                let _ = socket.send_to(text.as_bytes(), from);
                let _ = socket.send_to(&rubbish, from);
            }
        }
    });
    let calls = CALLS.to_string();
    let arguments = ["uac", "-m", &calls, "-r", "100", "-recv_timeout", "1500"];
    let output = client(&arguments, address);
    let text = words(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(1),
        "{text}\n{}",
        words(&output.stderr)
    );
    let good = number(&text, "successful");
    assert_eq!(number(&text, "created"), CALLS as u64, "{text}");
    assert!(good >= CALLS as u64 / 2, "{text}");
    assert_eq!(good + number(&text, "failed"), CALLS as u64, "{text}");
    peer.join().expect("the peer ends");
}
