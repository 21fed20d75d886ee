//! The same calls over every transport; how connections are used, and who is trusted.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::play::{client, folder, free_address, server, words};

/// A file of `tests/tls`: an authority that has signed two peers, one of which is revoked.
fn file(name: &str) -> String {
    format!("{}/tests/tls/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Options of somebody with this certificate.
fn certificate(name: &str) -> Vec<String> {
    let (certificate, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key")));
    ["-tls_cert", &certificate, "-tls_key", &key]
        .map(str::to_owned)
        .to_vec()
}

fn both_succeed(transport: &str) {
    let address = free_address();
    let own = certificate("peer");
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let child = server(
        &[&["uas", "-t", transport, "-m", "30"], &own[..]].concat(),
        address,
    );
    let statistics = folder(transport).join("statistics.csv");
    let file = statistics.to_string_lossy().into_owned();
    let arguments = [
        "uac",
        "-t",
        transport,
        "-m",
        "30",
        "-r",
        "100",
        "-d",
        "50",
        "-trace_stat",
        "-stf",
        &file,
    ];
    let output = client(&arguments, address);
    let text = words(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{text}\n{}",
        words(&output.stderr)
    );
    assert!(text.contains("successful 30, failed 0"), "{text}");
    assert!(
        text.contains("from the intended moment") && text.contains("(30 measured)"),
        "{text}"
    );
    let ended = child.wait_with_output().expect("the server ends by itself");
    let text = words(&ended.stdout);
    assert_eq!(
        ended.status.code(),
        Some(0),
        "{text}\n{}",
        words(&ended.stderr)
    );
    assert!(text.contains("(30 in, 0 out), successful 30"), "{text}");
    let csv = fs::read_to_string(&statistics).expect("the statistics were written");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(';').collect();
    let last: Vec<&str> = lines.last().expect("a line").split(';').collect();
    assert_eq!(header.len(), last.len());
    let column = header.iter().position(|name| *name == "SuccessfulCall(C)");
    assert_eq!(last[column.expect("the column")], "30");
}

#[test]
fn calls_over_udp_succeed_on_both_sides() {
    both_succeed("u1");
}

#[test]
fn calls_over_tcp_succeed_on_both_sides() {
    both_succeed("t1");
}

#[test]
fn calls_over_tcp_with_a_connection_each_succeed_on_both_sides() {
    both_succeed("tn");
}

#[test]
fn calls_over_tls_succeed_on_both_sides() {
    both_succeed("l1");
}

#[test]
fn calls_over_tls_with_a_connection_each_succeed_on_both_sides() {
    both_succeed("ln");
}

/// One request of a stream, and its answer.
fn serve(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).expect("it comes in time") == 0 {
            assert_eq!(head, "", "nothing ends in the middle");
            return None;
        }
    }
    let kept = head.lines().filter(|line| {
        ["Via:", "From:", "To:", "Call-ID:", "CSeq:"]
            .iter()
            .any(|name| line.starts_with(name))
    });
    let kept: Vec<&str> = kept.collect();
    let answer = format!(
        "SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n",
        kept.join("\r\n")
    );
    stream
        .get_mut()
        .write_all(answer.as_bytes())
        .expect("it is taken");
    Some(head)
}

/// How many requests come on each connection, until all are closed; `held` are kept for the end.
fn connections(arguments: &[&str], expected: usize) -> Vec<usize> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let address = listener.local_addr().expect("it has an address");
    let peer = std::thread::spawn(move || {
        let mut served = Vec::new();
        // The first one only shows whether somebody is there.
        for _ in 0..=expected {
            let (stream, _) = listener.accept().expect("somebody comes");
            stream
                .set_read_timeout(Some(Duration::from_secs(30)))
                .expect("it can have one");
            served.push(std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                std::iter::from_fn(|| serve(&mut stream)).count()
            }));
        }
        let counts = served.into_iter().map(|one| one.join().expect("it ends"));
        counts.skip(1).collect::<Vec<usize>>()
    });
    let output = client(arguments, address);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
    peer.join().expect("the peer ends")
}

#[test]
fn calls_share_a_connection_or_have_one_each() {
    let ping = ["run", "-sn", "options-ping", "-m", "3", "-r", "50", "-t"];
    assert_eq!(connections(&[&ping[..], &["t1"]].concat(), 1), [3]);
    assert_eq!(connections(&[&ping[..], &["tn"]].concat(), 3), [1, 1, 1]);
}

const CLOSES: &str = r#"<scenario name="closes">
<send><![CDATA[
OPTIONS sip:a@b SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:a@b>;tag=1
To: <sip:a@b>
Call-ID: [call_id]
CSeq: [cseq] OPTIONS
Content-Length: 0
]]></send>
<recv response="200"/>
<nop><action><closecon/></action></nop>
<send><![CDATA[
INFO sip:a@b SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:a@b>;tag=1
To: <sip:a@b>
Call-ID: [call_id]
CSeq: [cseq] INFO
Content-Length: 0
]]></send>
<recv response="200"/>
</scenario>"#;

/// `closecon` closes what is the call's own; the next message opens another one.
#[test]
fn a_scenario_closes_the_connection_of_its_call() {
    let file = folder("closes").join("closes.xml");
    fs::write(&file, CLOSES).expect("the folder can be written");
    let file = file.to_string_lossy();
    let play = ["run", &file, "-m", "2", "-r", "50", "-t"];
    assert_eq!(connections(&[&play[..], &["t1"]].concat(), 1), [4]);
    assert_eq!(connections(&[&play[..], &["tn"]].concat(), 4), [1, 1, 1, 1]);
}

/// A server that closes the connection behind its answer has not lost its call.
#[test]
fn a_server_closes_the_connection_of_its_call() {
    let file = folder("closing").join("closing.xml");
    let text = "<scenario><recv request=\"OPTIONS\"/><send><![CDATA[\nSIP/2.0 200 OK\n\
                [last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
                Content-Length: 0\n]]></send><nop><action><closecon/></action></nop>\
                <pause milliseconds=\"100\"/></scenario>";
    fs::write(&file, text).expect("the folder can be written");
    let address = free_address();
    let child = server(
        &["run", &file.to_string_lossy(), "-t", "t1", "-m", "1"],
        address,
    );
    let mut stream = TcpStream::connect(address).expect("the server is there");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("it can have one");
    stream
        .write_all(b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n")
        .expect("it is taken");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("it is closed in time");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert!(
        words(&ended.stdout).contains("successful 1, failed 0"),
        "{}",
        words(&ended.stdout)
    );
}

/// A call that finds no room fails, and says that its connection could not be opened.
#[test]
fn connections_are_bounded() {
    let address = free_address();
    let child = server(&["uas", "-t", "tn", "-m", "2"], address);
    let arguments = [
        "uac",
        "-t",
        "tn",
        "-max_socket",
        "2",
        "-m",
        "3",
        "-r",
        "100",
        "-d",
        "1000",
    ];
    let output = client(&arguments, address);
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("successful 2, failed 1"), "{text}");
    assert!(
        text.contains("failed  1: connection could not be opened"),
        "{text}"
    );
    child.wait_with_output().expect("the server ends by itself");
}

/// Without `-tls_ca` nobody is checked; with it everybody, and `-tls_crl` revokes some.
#[test]
fn peers_are_trusted_for_their_authority_only() {
    let (authority, stranger) = (file("authority.pem"), file("stranger.pem"));
    let revoked = file("crl.pem");
    let (peer, bad) = (certificate("peer"), certificate("revoked"));
    let trusting = |file: &str| vec!["-tls_ca".to_owned(), file.to_owned()];
    let strict = ["-tls_ca", &authority, "-tls_crl", &revoked]
        .map(str::to_owned)
        .to_vec();
    let none = Vec::new;
    for (server_has, client_has, is_good) in [
        (none(), none(), true),
        (none(), trusting(&authority), true),
        (none(), trusting(&stranger), false),
        (trusting(&authority), none(), false),
        (trusting(&authority), peer.clone(), true),
        (trusting(&authority), bad.clone(), true),
        (strict.clone(), peer.clone(), true),
        (strict, bad, false),
    ] {
        let address = free_address();
        let calls = if is_good { "1" } else { "2" };
        let more = [&peer, &server_has].map(|all| all.iter().map(String::as_str));
        let mut arguments = vec!["uas", "-t", "l1", "-m", calls];
        arguments.extend(more.into_iter().flatten());
        let mut child = server(&arguments, address);
        let mut arguments = vec!["uac", "-t", "l1", "-m", "1"];
        arguments.extend(client_has.iter().map(String::as_str));
        let output = client(&arguments, address);
        let text = words(&output.stdout);
        let expected = if is_good {
            "successful 1, failed 0"
        } else {
            "successful 0, failed 1"
        };
        assert!(
            text.contains(expected),
            "{server_has:?} {client_has:?}: {text}"
        );
        if !is_good {
            child.kill().expect("it still waits for calls");
        }
        child.wait_with_output().expect("it ends");
    }
}
