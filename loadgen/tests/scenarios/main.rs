//! Scenarios as users run them: the program, its exit status, its files. It plays both sides
//! against itself, on loopback.

#[path = "../common/address.rs"]
mod address;
mod hostile;
mod play;
mod refusals;
mod search;
mod stall;
mod traces;
mod transports;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use play::{client, folder, free_address, program, server, words};

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
    let said = "  failed  2: unexpected message\n          \
                2: 486 Busy Here to INVITE, where 200 was expected\n";
    assert!(text.contains(said), "{text}");
    let errors = fs::read_to_string(&errors).expect("the errors were written");
    assert!(
        errors.contains("`SIP/2.0 486 Busy Here` came where"),
        "{errors}"
    );
    let ended = child.wait_with_output().expect("the server ends by itself");
    assert_eq!(ended.status.code(), Some(0), "{}", words(&ended.stdout));
}

/// What a limit keeps from being opened makes a run of its own kind.
#[test]
fn a_run_that_a_limit_has_thinned_has_a_status_of_its_own() {
    let address = free_address();
    let child = server(&["uas", "-m", "2"], address);
    let json = folder("thinned").join("a.json");
    let path = json.to_string_lossy();
    let arguments = [
        "uac", "-m", "2", "-l", "1", "-r", "20", "-d", "500", "--json", &path,
    ];
    let output = client(&arguments, address);
    let text = words(&output.stdout);
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert!(text.contains("limit_hit="), "{text}");
    let text = fs::read_to_string(&json).expect("the result was written");
    let outcome = offhook_loadgen::report::Outcome::from_json(&text).expect("a result");
    assert_eq!(outcome.verdict.name(), "thinned");
    child.wait_with_output().expect("the server ends by itself");
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

const CALLING_TWIN: &str = include_str!("../twins/calling.xml");
const CALLED_TWIN: &str = include_str!("../twins/called.xml");

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
