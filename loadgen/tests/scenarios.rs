//! Scenarios as users run them: the program, its exit status, its files. It plays both sides
//! against itself, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook-load"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A loopback address that is free for UDP and TCP.
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

/// A folder of the test's own.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("offhook-load-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("the folder for temporary files can be written");
    path
}

/// Starts a server for that many calls; it has its port when this returns.
fn server(arguments: &[&str], address: SocketAddr) -> Child {
    let mut command = program();
    command
        .args(arguments)
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-driver",
            "epoll",
        ])
        .args(["-timeout", "60", "-nostdin", "--allow-degraded"]);
    let mut child = command
        .spawn()
        .expect("the program of this package can be run");
    for _ in 0..1_000 {
        if UdpSocket::bind(address).is_err() {
            return child;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = child.kill().and_then(|()| child.wait());
    panic!("the server does not take its port: {ended:?}");
}

fn client(arguments: &[&str], address: SocketAddr) -> Output {
    program()
        .args(arguments)
        .arg(address.to_string())
        .args(["-timeout", "60", "-nostdin", "-driver", "epoll"])
        // The machine that tests run on may be busy.
        .arg("--allow-degraded")
        .output()
        .expect("the program of this package can be run")
}

fn both_succeed(transport: &str) {
    let address = free_address();
    let child = server(&["uas", "-t", transport, "-m", "30"], address);
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
fn a_failed_call_is_status_1_and_says_why() {
    let address = free_address();
    let folder = folder("busy");
    let file = folder.join("busy.xml");
    let scenario = "<scenario name=\"busy\"><recv request=\"INVITE\"/><send><![CDATA[\n\
        SIP/2.0 486 Busy Here\n[last_Via:]\n[last_From:]\n[last_To:];tag=1\n[last_Call-ID:]\n\
        [last_CSeq:]\nContent-Length: 0\n]]></send><recv request=\"ACK\"/></scenario>";
    fs::write(&file, scenario).expect("the folder can be written");
    let child = server(&["run", &file.to_string_lossy(), "-m", "2"], address);
    let errors = folder.join("errors.log");
    let arguments = [
        "uac",
        "-m",
        "2",
        "-trace_err",
        "-error_file",
        &errors.to_string_lossy(),
    ];
    let output = client(&arguments, address);
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("failed  2: unexpected message"), "{text}");
    let errors = fs::read_to_string(&errors).expect("the errors were written");
    assert!(
        errors.contains("`SIP/2.0 486 Busy Here` came where"),
        "{errors}"
    );
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert_eq!(ended.status.code(), Some(0), "{}", words(&ended.stdout));
}

/// A command line that is refused: its status, and what is said.
fn is_refused(arguments: &[&str], status: i32, cure: &str) {
    let output = program().args(arguments).output().expect("it can be run");
    let text = words(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {text}");
    assert!(text.contains(cure), "{arguments:?}: {text}");
}

#[test]
fn mistakes_are_said_before_anything_starts() {
    for (arguments, status, cure) in [
        (&["uac", "192.0.2.1"][..], 255, "--allow-target 192.0.2.1"),
        (&["uac"], 255, "HOST or HOST:PORT"),
        (
            &["run", "missing.xml", "127.0.0.1"],
            255,
            "missing.xml cannot be read",
        ),
        (
            &["run", "-sn", "nothing", "127.0.0.1"],
            255,
            "there is no scenario nothing",
        ),
        (
            &["uac", "127.0.0.1", "-t", "s1"],
            255,
            "-t s1 is not supported",
        ),
        (
            &["uac", "127.0.0.1", "-inf", "missing.csv"],
            255,
            "missing.csv cannot be read",
        ),
    ] {
        is_refused(arguments, status, cure);
    }
}

#[test]
fn what_the_machine_lacks_is_said_before_anything_starts() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = taken.local_addr().expect("it has an address");
    let port = address.port().to_string();
    for (arguments, status, cure) in [
        (
            &["uac", "127.0.0.1:1"][..],
            255,
            "nobody listens on 127.0.0.1:1 over UDP; start it first",
        ),
        (
            &["uac", "127.0.0.1:1", "-t", "t1"],
            255,
            "127.0.0.1:1 cannot be reached over TCP",
        ),
        (
            &["uac", "127.0.0.1", "--load", "soon"],
            255,
            "write a plan such as",
        ),
        (
            &["uac", "127.0.0.1", "--slo", "fast"],
            255,
            "write terms such as",
        ),
        (
            &["uac", "127.0.0.1", "--slo", "p99(other)<1s"],
            255,
            "measures no `other`",
        ),
        (
            &["find-max", "-sn", "uac", "127.0.0.1", "--unchecked"],
            255,
            "needs an objective",
        ),
        (
            &["uac", "127.0.0.1", "--workers", "3", "-p", "6000-6001"],
            255,
            "3 workers need 3 addresses",
        ),
        (
            &["uas", "-i", "127.0.0.1", "-p", &port],
            254,
            "address is in use",
        ),
        (&["uas", "-frobnicate"], 2, "unexpected argument"),
    ] {
        is_refused(arguments, status, cure);
    }
}

#[test]
fn too_few_descriptors_are_said_with_the_cure() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_offhook-load"))
        .args(["uas", "-i", "127.0.0.1", "-p", "6000"])
        .output()
        .expect("there is a shell");
    let text = words(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{text}");
    assert!(text.contains("ulimit -n 65"), "{text}");
}

/// A server's three workers share its port, a client's two have one each; every call is found by
/// the worker that has it, and what they counted adds up.
#[test]
fn workers_share_the_load_and_the_result_has_all_of_it() {
    let address = free_address();
    let child = server(&["uas", "--workers", "3", "-m", "60"], address);
    let folder = folder("workers");
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (json, html, junit) = (file("a.json"), file("a.html"), file("a.xml"));
    let output = client(
        &[
            "uac",
            "--workers",
            "2",
            "-m",
            "60",
            "--load",
            "steps:20,100/1s",
            "--arrivals",
            "poisson",
            "-d",
            "30",
            "--json",
            &json,
            "--html",
            &html,
            "--junit",
            &junit,
        ],
        address,
    );
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let ended = child.wait_with_output().expect("the server ends by itself");
    let text = words(&ended.stdout);
    assert!(text.contains("successful 60, failed 0"), "{text}");
    let text = fs::read_to_string(&json).expect("the result was written");
    let outcome = offhook_loadgen::report::Outcome::from_json(&text).expect("a result");
    assert_eq!(
        (outcome.total("created"), outcome.total("successful")),
        (60, 60)
    );
    assert_eq!((outcome.load.workers, outcome.load.local.len()), (2, 2));
    assert_eq!(outcome.latencies[0].response.times().count(), 60);
    let page = fs::read_to_string(&html).expect("the page was written");
    assert!(page.contains("verdict passed") && page.contains("<svg"));
    let suite = fs::read_to_string(&junit).expect("the file was written");
    // Whether the generator kept up depends on who else uses the machine.
    assert!(
        suite.contains("name=\"calls\"") && suite.contains("tests=\"2\""),
        "{suite}"
    );
    let compared = program()
        .args(["report", &json, &json])
        .output()
        .expect("it can be run");
    let text = words(&compared.stdout);
    assert!(text.contains("response time 1 response, 99 %"), "{text}");
}

/// The server is stopped for a moment: what an observer who does not wait for answers sees.
#[test]
fn a_stalled_server_does_not_hide_who_had_to_wait() {
    let address = free_address();
    let child = server(&["uas", "-m", "100"], address);
    let json = folder("stall")
        .join("a.json")
        .to_string_lossy()
        .into_owned();
    let mut command = program();
    command
        .args(["uac", "-m", "100", "-r", "50", "--json", &json])
        .arg(address.to_string())
        .args([
            "-timeout",
            "60",
            "-nostdin",
            "-driver",
            "epoll",
            "--allow-degraded",
        ]);
    let running = command.spawn().expect("it can be run");
    let signal = |name: &str| {
        let sent = Command::new("kill")
            .args([name, &child.id().to_string()])
            .status();
        assert!(sent.expect("there is kill").success());
    };
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal("-STOP");
    std::thread::sleep(std::time::Duration::from_secs(3));
    signal("-CONT");
    let output = running.wait_with_output().expect("it ends by itself");
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let text = fs::read_to_string(&json).expect("the result was written");
    let outcome = offhook_loadgen::report::Outcome::from_json(&text).expect("a result");
    let times = &outcome.latencies[0].response;
    // All hundred were due within two seconds; most of them fell into the stall.
    assert_eq!(times.count, 100);
    assert!(
        times.max_us > 2_500_000 && times.p90_us > 1_000_000,
        "{times:?}"
    );
    let stalled = times
        .times()
        .part_below(std::time::Duration::from_millis(500));
    assert!(
        stalled < 0.6,
        "only {stalled} of all were to have waited less"
    );
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert_eq!(ended.status.code(), Some(0), "{}", words(&ended.stdout));
}

const CALLING_TWIN: &str = include_str!("twins/calling.xml");
const CALLED_TWIN: &str = include_str!("twins/called.xml");

/// Two programs control one call each, and tell each other by commands.
#[test]
fn twins_tell_each_other_what_they_have() {
    let folder = folder("twins");
    for (name, text) in [("calling.xml", CALLING_TWIN), ("called.xml", CALLED_TWIN)] {
        fs::write(folder.join(name), text).expect("it can be written");
    }
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let (first, second) = (free_address(), free_address());
    let answering = [first, second].map(|address| server(&["uas", "-m", "5"], address));
    let between = free_address().to_string();
    let own = free_address();
    let called = server(
        &[
            "run",
            &file("called.xml"),
            &second.to_string(),
            "-3pcc",
            &between,
            "-m",
            "5",
        ],
        own,
    );
    let arguments = ["run", &file("calling.xml"), "-3pcc", &between, "-m", "5"];
    let output = client(&arguments, first);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
    let output = called.wait_with_output().expect("it ends by itself");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stdout));
    for child in answering {
        let output = child.wait_with_output().expect("it ends by itself");
        let text = words(&output.stdout);
        assert!(text.contains("successful 5, failed 0"), "{text}");
    }
    let alone = client(&["run", &file("calling.xml")], first);
    assert!(words(&alone.stderr).contains("give its address with -3pcc"));
}

/// Calls take turns over the ports of -t un, and every kind of trace is written.
#[test]
fn traces_are_written_and_calls_come_from_several_ports() {
    let address = free_address();
    let child = server(&["uas", "-m", "20"], address);
    let folder = folder("traces");
    let output = program()
        .current_dir(&folder)
        .args([
            "uac",
            &address.to_string(),
            "-m",
            "20",
            "-r",
            "100",
            "-t",
            "un",
        ])
        .args([
            "-max_socket",
            "5",
            "-trace_rtt",
            "-trace_counts",
            "-trace_shortmsg",
        ])
        .args([
            "-trace_screen",
            "-nostdin",
            "--allow-degraded",
            "-timeout",
            "60",
        ])
        .output()
        .expect("it can be run");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    assert!(
        words(&output.stderr).contains("5 addresses"),
        "{}",
        words(&output.stderr)
    );
    child.wait_with_output().expect("the server ends by itself");
    let read = |ending: &str| {
        let files = fs::read_dir(&folder).expect("the folder is there");
        let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let found = paths.find(|path| path.to_string_lossy().ends_with(ending));
        fs::read_to_string(found.expect("it was written")).expect("it is text")
    };
    assert_eq!(read("_rtt.csv").lines().count(), 21);
    assert!(read("_counts.csv").contains("0_INVITE_Sent"));
    assert!(read("_screen.log").contains("successful 20, failed 0"));
    let short = read("_shortmessages.log");
    assert!(short.lines().count() >= 120, "{short}");
    assert!(short.contains("\tS\t1-"), "{short}");
}

/// A call sends digits to where the answer says, and gets them back.
#[test]
fn media_go_where_the_peer_says_and_come_back() {
    let address = free_address();
    let media = free_address().port().to_string();
    let child = server(&["uas", "-m", "3", "-mp", &media, "-rtp_echo"], address);
    let folder = folder("media");
    let text = offhook_loadgen::scenario::builtin::find("uac")
        .expect("it is built in")
        .text;
    let digits = "<nop><action><exec play_dtmf=\"1#\"/></action></nop>\n  <pause/>";
    fs::write(folder.join("digits.xml"), text.replace("<pause/>", digits)).expect("written");
    let (file, json) = (folder.join("digits.xml"), folder.join("a.json"));
    let output = client(
        &[
            "run",
            "-sf",
            &file.to_string_lossy(),
            "-m",
            "3",
            "-d",
            "900",
            "-mp",
            &free_address().port().to_string(),
            "--json",
            &json.to_string_lossy(),
        ],
        address,
    );
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    let text = fs::read_to_string(&json).expect("the result was written");
    let outcome = offhook_loadgen::report::Outcome::from_json(&text).expect("a result");
    assert_eq!(
        (outcome.total("media_sent"), outcome.total("media_received")),
        (66, 66)
    );
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert!(words(&ended.stdout).contains("66 packets sent, 66 received"));
}

/// Commands run only where that was allowed.
#[test]
fn scenarios_run_commands_only_where_that_is_allowed() {
    let folder = folder("commands");
    let (file, mark) = (folder.join("a.xml"), folder.join("mark"));
    let text = format!(
        "<scenario><send><![CDATA[\nINFO sip:a@b SIP/2.0\nCall-ID: [call_id]\n\n]]></send>\
         <nop><action><exec command=\"echo [call_number] >> {}\"/></action></nop>\
         <pause milliseconds=\"300\"/></scenario>",
        mark.display()
    );
    fs::write(&file, text).expect("the folder can be written");
    let path = file.to_string_lossy();
    let address: SocketAddr = ([127, 0, 0, 1], 1).into();
    let output = client(
        &["run", &path, "-m", "2", "-r", "100", "--unchecked"],
        address,
    );
    assert!(words(&output.stderr).contains("only with --allow-exec"));
    assert!(!mark.exists());
    let arguments = [
        "run",
        &path,
        "-m",
        "2",
        "-r",
        "100",
        "--unchecked",
        "--allow-exec",
    ];
    let output = client(&arguments, address);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
    let mut lines: Vec<String> = Vec::new();
    for _ in 0..500 {
        let text = fs::read_to_string(&mark).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        if lines.len() == 2 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    lines.sort();
    assert_eq!(lines, ["1", "2"]);
}

#[test]
fn a_server_nobody_calls_is_stopped_by_its_time_out() {
    let output = program()
        .args([
            "uas",
            "-i",
            "127.0.0.1",
            "-p",
            &free_address().port().to_string(),
        ])
        .args(["-timeout", "300ms", "-nostdin", "-driver", "epoll"])
        .output()
        .expect("the program of this package can be run");
    assert_eq!(output.status.code(), Some(97), "{}", words(&output.stderr));
}

#[test]
fn check_says_on_which_line() {
    let folder = folder("check");
    let (good, bad) = (folder.join("good.xml"), folder.join("bad.xml"));
    fs::write(
        &good,
        "<scenario>\n<recv request=\"INVITE\" typo=\"1\"/>\n</scenario>",
    )
    .unwrap();
    fs::write(
        &bad,
        "<scenario>\n<recv request=\"INVITE\"/>\n<snd/>\n</scenario>",
    )
    .unwrap();
    let check = |file: &PathBuf| {
        program()
            .arg("check")
            .arg(file)
            .output()
            .expect("it can be run")
    };
    let output = check(&good);
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("good.xml:2: warning: <recv> has no attribute typo"),
        "{text}"
    );
    let output = check(&bad);
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("bad.xml:3: error: unknown element <snd>"),
        "{text}"
    );
    let listed = program().arg("scenarios").output().expect("it can be run");
    assert!(words(&listed.stdout).contains("uac-register-auth"));
}
