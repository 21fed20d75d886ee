//! Scenarios against SIPp itself, both ways, over UDP and TCP. `cargo interop` runs it: it needs
//! SIPp (on Debian: apt-get install sip-tester).

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const CALLS: &str = "40";

fn free_address() -> SocketAddr {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = udp.local_addr().expect("a bound socket has an address");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of loopback is free");
}

/// A folder of the test's own: SIPp writes beside its scenario.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("offhook-sipp-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
    path
}

fn ours(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook-load"));
    prepare(&mut command, folder);
    command
}

fn sipp(folder: &Path) -> Command {
    let mut command = Command::new("sipp");
    prepare(&mut command, folder);
    command.args(["-timeout_error", "-max_socket", "100"]);
    command
}

fn prepare(command: &mut Command, folder: &Path) {
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
}

/// Options that both understand.
fn shared(command: &mut Command, local: SocketAddr, transport: &str) {
    command
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &local.port().to_string(),
            "-t",
            transport,
        ])
        .args(["-m", CALLS, "-nostdin", "-timeout", "60s"]);
}

fn start(mut command: Command, address: SocketAddr) -> Child {
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{command:?} cannot be run ({error}); on Debian: apt-get install sip-tester")
    });
    for _ in 0..1_000 {
        if UdpSocket::bind(address).is_err() || TcpListener::bind(address).is_err() {
            return child;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = child.kill().and_then(|()| child.wait());
    panic!("nobody listens on {address}: {ended:?}");
}

fn is_clean(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {:?}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// SIPp calls us.
fn sipp_calls(transport: &str) {
    let folder = folder(&format!("uas-{transport}"));
    let address = free_address();
    let mut command = ours(&folder);
    command.args(["uas", "--allow-degraded"]);
    shared(&mut command, address, transport);
    let server = start(command, address);
    let mut command = sipp(&folder);
    command.args(["-sn", "uac", &address.to_string(), "-r", "50", "-d", "50"]);
    shared(&mut command, free_address(), transport);
    let output = command
        .output()
        .expect("SIPp can be run; on Debian: sip-tester");
    is_clean("SIPp", &output);
    let output = server
        .wait_with_output()
        .expect("the server ends by itself");
    is_clean("our server", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("successful {CALLS}, failed 0")),
        "{text}"
    );
}

/// We call SIPp.
fn sipp_answers(transport: &str) {
    let folder = folder(&format!("uac-{transport}"));
    let address = free_address();
    let mut command = sipp(&folder);
    command.args(["-sn", "uas"]);
    shared(&mut command, address, transport);
    let server = start(command, address);
    let mut command = ours(&folder);
    command.args([
        "uac",
        "--allow-degraded",
        &address.to_string(),
        "-r",
        "50",
        "-d",
        "50",
    ]);
    shared(&mut command, free_address(), transport);
    let output = command.output().expect("our own program can be run");
    is_clean("our client", &output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains(&format!("successful {CALLS}, failed 0")),
        "{text}"
    );
    let output = server.wait_with_output().expect("SIPp ends by itself");
    is_clean("SIPp", &output);
}

#[test]
fn sipp_calls_over_udp() {
    sipp_calls("u1");
}

#[test]
fn sipp_calls_over_tcp() {
    sipp_calls("t1");
}

#[test]
fn sipp_answers_over_udp() {
    sipp_answers("u1");
}

#[test]
fn sipp_answers_over_tcp() {
    sipp_answers("t1");
}

/// The same scenario in both programs: what they send is the same, but for process and times.
#[test]
fn messages_are_sipp_s_byte_for_byte() {
    let folder = folder("bytes");
    let scenario = folder.join("bytes.xml");
    std::fs::write(&scenario, SCENARIO).expect("the folder can be written");
    std::fs::write(folder.join("people.csv"), "SEQUENTIAL\nann;one\nbob;two\n")
        .expect("the folder can be written");
    let local = free_address();
    let sent = |mut command: Command| {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .expect("it can have one");
        let address = peer.local_addr().expect("a bound socket has an address");
        command
            .args(["-sf", "bytes.xml", &address.to_string(), "-i", "127.0.0.1"])
            .args([
                "-p",
                &local.port().to_string(),
                "-m",
                "2",
                "-nostdin",
                "-r",
                "5",
            ])
            .args([
                "-inf",
                "people.csv",
                "-key",
                "word",
                "key",
                "-s",
                "who",
                "-timeout",
                "20",
            ]);
        let child = command
            .spawn()
            .expect("SIPp can be run; on Debian: sip-tester");
        let process = child.id().to_string();
        let mut messages = Vec::new();
        for _ in 0..4 {
            let mut bytes = [0; 4_096];
            let (length, from) = peer.recv_from(&mut bytes).expect("a message comes");
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with("OPTIONS") {
                peer.send_to(answer(&text).as_bytes(), from)
                    .expect("loopback takes it");
            }
            messages.push(
                text.replace(&process, "PID")
                    .replace(&address.to_string(), "PEER"),
            );
        }
        is_clean(
            "the sender",
            &child.wait_with_output().expect("it ends by itself"),
        );
        messages
    };
    let theirs = sent(sipp(&folder));
    let mut own = ours(&folder);
    own.args(["run", "--allow-degraded"]);
    let ours = sent(own);
    assert_eq!(ours, theirs);
}

/// The first line of statistics is SIPp's, whatever response times and counters there are.
#[test]
fn the_columns_of_statistics_are_sipp_s() {
    let folder = folder("columns");
    let scenario = SCENARIO
        .replacen("<send>", "<send start_rtd=\"a\" counter=\"tries\">", 1)
        .replace("rrs=\"true\"", "rrs=\"true\" rtd=\"a\" counter=\"2\"")
        .replace(
            "</scenario>",
            "<pause milliseconds=\"1\" rtd=\"true\"/>\
             <ResponseTimeRepartition value=\"20, 10\"/>\
             <CallLengthRepartition value=\"10, 20\"/></scenario>",
        );
    std::fs::write(folder.join("columns.xml"), scenario).expect("the folder can be written");
    std::fs::write(folder.join("people.csv"), "SEQUENTIAL\nann;one\n")
        .expect("the folder can be written");
    let header = |mut command: Command, file: &str| {
        // Nobody answers there: the call fails, and the file is written all the same.
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = peer.local_addr().expect("a bound socket has an address");
        command
            .args([
                "-sf",
                "columns.xml",
                &address.to_string(),
                "-i",
                "127.0.0.1",
            ])
            .args([
                "-m",
                "1",
                "-nostdin",
                "-inf",
                "people.csv",
                "-key",
                "word",
                "key",
            ])
            .args([
                "-recv_timeout",
                "200",
                "-timeout",
                "20",
                "-trace_stat",
                "-stf",
                file,
            ]);
        let output = command.output();
        output.expect("SIPp can be run; on Debian: sip-tester");
        let text = std::fs::read_to_string(folder.join(file)).expect("the file was written");
        text.lines().next().unwrap_or_default().to_owned()
    };
    let theirs = header(sipp(&folder), "theirs.csv");
    let mut own = ours(&folder);
    own.args(["run", "--allow-degraded"]);
    assert_eq!(header(own, "ours.csv"), theirs);
}

/// The first line of counts is SIPp's.
#[test]
fn the_columns_of_counts_are_sipp_s() {
    let folder = folder("counts");
    let scenario = SCENARIO.replace("<send>", "<nop/><pause/><send retrans=\"500\" lost=\"1\">");
    std::fs::write(folder.join("counts.xml"), scenario).expect("the folder can be written");
    std::fs::write(folder.join("people.csv"), "SEQUENTIAL\nann;one\n")
        .expect("the folder can be written");
    let header = |mut command: Command| {
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
        let address = peer.local_addr().expect("a bound socket has an address");
        command
            .args(["-sf", "counts.xml", &address.to_string(), "-i", "127.0.0.1"])
            .args([
                "-m",
                "1",
                "-nostdin",
                "-inf",
                "people.csv",
                "-key",
                "word",
                "key",
            ])
            .args(["-recv_timeout", "200", "-timeout", "20", "-trace_counts"]);
        command
            .output()
            .expect("SIPp can be run; on Debian: sip-tester");
        let files = std::fs::read_dir(&folder).expect("the folder is there");
        let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let found = paths.find(|path| path.to_string_lossy().ends_with("counts.csv"));
        let path = found.expect("the file was written");
        let text = std::fs::read_to_string(&path).expect("it is text");
        std::fs::remove_file(&path).expect("it is ours");
        text.lines().next().unwrap_or_default().to_owned()
    };
    let theirs = header(sipp(&folder));
    let mut own = ours(&folder);
    own.args(["run", "--allow-degraded"]);
    assert_eq!(header(own), theirs);
}

/// One of two twins is SIPp, and then the other one.
#[test]
fn a_twin_may_be_sipp() {
    for is_calling_ours in [true, false] {
        let folder = folder(&format!("twins-{is_calling_ours}"));
        for (name, text) in [
            ("calling.xml", include_str!("twins/calling.xml")),
            ("called.xml", include_str!("twins/called.xml")),
        ] {
            std::fs::write(folder.join(name), text).expect("the folder can be written");
        }
        let peers = [free_address(), free_address()];
        let answering = peers.map(|address| {
            let mut command = ours(&folder);
            command.args(["uas", "--allow-degraded"]);
            shared(&mut command, address, "u1");
            start(command, address)
        });
        let between = free_address().to_string();
        let twin = |is_ours: bool, file: &str, peer: SocketAddr, local: SocketAddr| {
            let mut command = if is_ours {
                let mut own = ours(&folder);
                own.args(["run", "--allow-degraded"]);
                own
            } else {
                sipp(&folder)
            };
            command.args(["-sf", file, &peer.to_string(), "-3pcc", &between]);
            shared(&mut command, local, "u1");
            command
        };
        let local = free_address();
        let called = start(twin(!is_calling_ours, "called.xml", peers[1], local), local);
        let mut command = twin(is_calling_ours, "calling.xml", peers[0], free_address());
        let output = command.output().expect("it can be run");
        is_clean("the calling twin", &output);
        let output = called.wait_with_output().expect("it ends by itself");
        is_clean("the called twin", &output);
        for child in answering {
            is_clean(
                "a peer",
                &child.wait_with_output().expect("it ends by itself"),
            );
        }
    }
}

fn answer(options: &str) -> String {
    let header = |name: &str| {
        let line = options.lines().find(|line| line.starts_with(name));
        line.unwrap_or_default().to_owned()
    };
    format!(
        "SIP/2.0 200 OK\r\n{}\r\nRecord-Route: <sip:r1;lr>\r\nRecord-Route: <sip:r2;lr>,<sip:r3>\
         \r\n{}\r\n{};tag=xyz\r\n{}\r\n{}\r\nContact: <sip:you@127.0.0.1:7;x=y>\r\n\
         Content-Length: 0\r\n\r\n",
        header("Via:"),
        header("From:"),
        header("To:"),
        header("Call-ID:"),
        header("CSeq:")
    )
}

const SCENARIO: &str = r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="bytes">
<send><![CDATA[

      OPTIONS sip:[service]@[remote_ip] SIP/2.0
	Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: <sip:a@b>;tag=[pid]x[call_number]
      To: <sip:b@c>
      Call-ID: [call_id]
      [last_Foo:]
      X: a [last_Foo:] b [word] [field0] [field1] \x5bx]
      CSeq: [cseq] OPTIONS
      Y: [cseq+5] [msg_index] [call_number] [local_ip_type] [media_ip] [media_ip_type] [users]
      Content-Length: [len]


      body   line
         indented


    ]]></send>
<recv response="200" rrs="true">
  <action>
    <ereg regexp="(.)sip:(y|you)" search_in="hdr" header="ontact:" assign_to="1,2,3"/>
    <assign assign_to="4" value="1.5"/>
    <multiply assign_to="4" value="3"/>
    <assignstr assign_to="5" value="x[$4]y"/>
    <strcmp assign_to="6" variable="5" value="zz"/>
    <test assign_to="7" variable="4" compare="greater_than" value="3"/>
  </action>
</recv>
<send><![CDATA[
      ACK [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-2]
      [routes]
      [last_To:]
      [last_From]
      [last_Record-Route:]
      Call-ID: [call_id]
      CSeq: [cseq] ACK
      Z: [$1]|[$2]|[$3]|[$4]|[$5]|[$6]|[$7]|[last_cseq_number+1]|[last_Request_URI]|[peer_tag_param]
      Content-Length: [len]

      end]]></send>
</scenario>
"#;
