//! The `offhook` command as a user runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use crate::script::{CONFIGURATION, driver};

/// Nothing takes this long unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

fn offhook(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A configuration in a file of its own.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn check_says_that_all_is_fine() {
    let path = file("fine.toml", CONFIGURATION);
    let (status, out, err) = offhook(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(status, Some(0));
    let mut words = err.lines();
    assert!(words.all(|line| line.starts_with("this host: ")), "{err}");
    assert_eq!(out.lines().count(), 1);
    assert!(
        out.contains("is fine: 4 agents, 1 queue, 1 routing point, 1 trunk"),
        "{out}"
    );
}

/// A start would fail there; another machine may have the address.
#[test]
fn check_warns_of_an_address_that_this_host_does_not_have() {
    let elsewhere = CONFIGURATION.replace("udp:127.0.0.1:0", "udp:192.0.2.77:5060");
    let path = file("elsewhere.toml", &elsewhere);
    let (status, out, err) = offhook(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(status, Some(0));
    assert!(out.contains("is fine"), "{out}");
    let warning = "this host: it has no address 192.0.2.77; ";
    assert!(err.contains(warning), "{err}");
    let (_, _, err) = offhook(&[
        "serve",
        "--config",
        path.to_str().unwrap(),
        "--http",
        "8080",
    ]);
    assert!(err.contains("write ADDRESS:PORT"), "{err}");
    let (_, _, err) = offhook(&["serve", "--drain-timeout", "30s"]);
    assert!(err.contains("write a whole number of seconds"), "{err}");
}

/// The configuration that README plays is one, and it needs no file beside it.
#[test]
fn the_configuration_for_one_machine_is_fine() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/one-machine.toml");
    let (status, out, err) = offhook(&["check", "--config", page.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{err}");
    assert!(
        out.contains("is fine: 5 agents, 1 queue, 1 routing point, 1 trunk"),
        "{out}"
    );
}

#[test]
fn check_names_every_mistake() {
    let wrong = CONFIGURATION
        .replace("shards = 2", "shards = \"two\"")
        .replace("7000", "");
    let path = file("wrong.toml", &wrong);
    let (status, out, err) = offhook(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(err.contains("wrong.toml:5: "), "{err}");
    assert!(err.contains("wrong.toml:21: "), "{err}");
    let (status, _, err) = offhook(&["check", "--config", "no/such/file.toml"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("no/such/file.toml: cannot be read"), "{err}");
}

#[test]
fn serve_without_a_configuration_says_what_to_do() {
    let (status, _, err) = offhook(&["serve"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("offhook serve --config FILE"), "{err}");
    let (status, _, err) = offhook(&["serve", "--driver", "steam"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("write auto, uring or epoll"), "{err}");
}

#[test]
fn flags_override_the_file_and_their_mistakes_are_named() {
    let path = file("flags.toml", CONFIGURATION);
    let config = path.to_str().unwrap();
    let (status, _, err) = offhook(&["serve", "--config", config, "--http", "192.0.2.1:80"]);
    assert_eq!(status, Some(2), "{err}");
    assert!(err.contains("--http"), "{err}");
}

/// A program that a test which fails does not leave behind.
struct EndsWithTheTest(Child);

impl Drop for EndsWithTheTest {
    fn drop(&mut self) {
        // Nothing is left to kill after a test that went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server with this configuration, what it logs, and the first line of that.
fn serve(path: &Path) -> (EndsWithTheTest, BufReader<ChildStderr>, String) {
    serve_in(path, &[])
}

/// The same, with these variables in its environment.
fn serve_in(
    path: &Path,
    variables: &[(&str, &str)],
) -> (EndsWithTheTest, BufReader<ChildStderr>, String) {
    let mut server = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .envs(variables.iter().copied())
        .args(["serve", "--shards", "1", "--config", path.to_str().unwrap()])
        .args(["--driver", &driver().unwrap_or_else(|| "auto".to_owned())])
        .stderr(Stdio::piped())
        .spawn()
        .map(EndsWithTheTest)
        .unwrap();
    let mut log = BufReader::new(server.0.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    (server, log, line)
}

fn terminate(server: &EndsWithTheTest) {
    let stopped = Command::new("kill").arg(server.0.id().to_string()).status();
    assert!(stopped.unwrap().success());
}

/// Sends a request of this call and waits for a final response to it: its status.
fn ask(socket: &UdpSocket, server: &str, method: &str, call: &str) -> u16 {
    let from = socket.local_addr().unwrap();
    let branch = format!("{call}{}", method.replace("CANCEL", "INVITE"));
    let request = format!(
        "{method} sip:7000@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@{from}>;tag=a\r\nTo: <sip:7000@{server}>\r\n\
         Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:1@{from}>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), server).unwrap();
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let status = text.strip_prefix("SIP/2.0 ").map(|rest| rest[..3].parse());
        let Some(Ok(status)) = status else { continue };
        let is_ours = text.contains(&format!("Call-ID: {call}\r\n"))
            && text.contains(&format!("CSeq: 1 {method}\r\n"));
        // A caller who waits is told so, and that is all that it is told.
        if is_ours && (status >= 200 || status == 182) {
            return status;
        }
    }
}

/// A caller who waits at the server that began with this line, and where that hears SIP.
fn one_waits(line: &str) -> (UdpSocket, &str) {
    let (_, rest) = line.split_once("udp:").unwrap();
    let sip = rest.split([' ', ',']).next().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(ask(&socket, sip, "INVITE", "waits"), 182);
    (socket, sip)
}

/// The server ends well, because nobody is in a call any more.
fn ends_with_its_calls(server: &mut EndsWithTheTest, log: &mut BufReader<ChildStderr>) {
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("no call is left"), "{rest}");
}

#[test]
fn a_signal_lets_calls_end_and_no_others_in() {
    let path = file("drain.toml", CONFIGURATION);
    let (mut server, mut log, line) = serve(&path);
    let (socket, sip) = one_waits(&line);
    terminate(&server);
    let mut said = String::new();
    while !said.contains("no new calls") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // The shards hear of it a moment later.
    let turned_away = (0..1_000).any(|number| {
        ask(&socket, sip, "INVITE", &format!("late{number}")) == 503 || {
            ask(&socket, sip, "CANCEL", &format!("late{number}"));
            false
        }
    });
    assert!(turned_away);
    assert_eq!(ask(&socket, sip, "OPTIONS", "ping"), 503);
    assert!(server.0.try_wait().unwrap().is_none(), "somebody waits");
    assert!(http(&line, "GET /healthz").starts_with("HTTP/1.1 200"));
    assert!(http(&line, "GET /readyz").starts_with("HTTP/1.1 503"));
    assert_eq!(ask(&socket, sip, "CANCEL", "waits"), 200);
    ends_with_its_calls(&mut server, &mut log);
}

/// What the server that began with this line answers to a request without a body.
fn http(line: &str, request: &str) -> String {
    let (_, http) = line.split_once("CTI on http://").unwrap();
    let http = http.split(';').next().unwrap();
    let mut client = TcpStream::connect(http).unwrap();
    let request = format!(
        "{request} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// An administrator stops the server that began with this line.
fn drain(line: &str) {
    let answer = http(line, "POST /api/v1/drain");
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let words = r#"{"Draining":true,"SecondsAtMost":30}"#;
    assert!(answer.ends_with(words), "{answer}");
}

/// A container's or a service manager's signal often follows such a request.
#[test]
fn the_first_signal_after_an_administrator_s_request_ends_no_call() {
    let path = file("drain_and_signal.toml", CONFIGURATION);
    let (mut server, mut log, line) = serve(&path);
    let (socket, sip) = one_waits(&line);
    drain(&line);
    terminate(&server);
    let mut said = String::new();
    while !said.contains("SIGTERM") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "{said}");
    }
    assert_eq!(ask(&socket, sip, "CANCEL", "waits"), 200);
    ends_with_its_calls(&mut server, &mut log);
}

/// What the service manager is told next.
fn told(watcher: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = watcher.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).trim().to_owned()
}

#[test]
fn a_service_manager_hears_that_it_runs_lives_and_is_stopped_by_an_administrator() {
    let path = file("service.toml", CONFIGURATION);
    let name = PathBuf::from(format!("/tmp/offhook-service-{}", std::process::id()));
    let watcher = UnixDatagram::bind(&name).unwrap();
    watcher.set_read_timeout(Some(PATIENCE)).unwrap();
    let variables = [
        ("NOTIFY_SOCKET", name.to_str().unwrap()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let (mut server, mut log, line) = serve_in(&path, &variables);
    assert_eq!(told(&watcher), "READY=1");
    assert_eq!(told(&watcher), "WATCHDOG=1");
    assert_eq!(told(&watcher), "WATCHDOG=1", "and again");
    drain(&line);
    while told(&watcher) != "STOPPING=1" {}
    ends_with_its_calls(&mut server, &mut log);
    std::fs::remove_file(&name).unwrap();
}

/// The unit of docs/operations.md: each key with its value.
fn unit() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let unit = page.split("```ini\n").nth(1).unwrap();
    let unit = unit.split("```").next().unwrap();
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_unit_of_the_page_fits_systemd_and_this_program() {
    let unit = unit();
    let value = |name: &str| {
        let line = unit.iter().find(|(key, _)| key == name);
        line.map(|(_, value)| value.as_str()).unwrap()
    };
    assert_eq!(value("Type"), "notify");
    // Longer than calls may take to end by themselves.
    assert!(value("TimeoutStopSec").parse::<u64>().unwrap() > 30);
    // Both commands are those of this program, with flags that it knows.
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let state = folder.join("unit-state");
    let config = file("unit.toml", CONFIGURATION);
    let here = |command: &str| -> Vec<String> {
        let words = command.split(' ').map(|word| match word {
            "/usr/local/bin/offhook" => env!("CARGO_BIN_EXE_offhook").to_owned(),
            "/etc/offhook/offhook.toml" => config.display().to_string(),
            "/var/lib/offhook" => state.display().to_string(),
            word => word.to_owned(),
        });
        words.collect()
    };
    let check = here(value("ExecStartPre"));
    let status = Command::new(&check[0]).args(&check[1..]).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    let name = PathBuf::from(format!("/tmp/offhook-unit-{}", std::process::id()));
    let watcher = UnixDatagram::bind(&name).unwrap();
    watcher.set_read_timeout(Some(PATIENCE)).unwrap();
    let serve = here(value("ExecStart"));
    let server = Command::new(&serve[0])
        .args(&serve[1..])
        .env("NOTIFY_SOCKET", &name)
        .stderr(Stdio::null())
        .spawn();
    let mut server = EndsWithTheTest(server.unwrap());
    assert_eq!(told(&watcher), "READY=1");
    terminate(&server);
    assert_eq!(told(&watcher), "STOPPING=1");
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
    std::fs::remove_file(&name).unwrap();
    // Its keys are systemd's, where that is installed.
    let text: Vec<String> = unit
        .iter()
        .map(|(key, value)| format!("{key}={}", here(value).join(" ")))
        .collect();
    let path = file(
        "offhook.service",
        &format!("[Service]\n{}\n", text.join("\n")),
    );
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", path.to_str().unwrap()])
        .output();
    if let Ok(verified) = verified {
        let words = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success(), "{words}");
        assert!(!words.contains("offhook.service"), "{words}");
    }
    // 1.5, in the tenths that it counts in; the page says 1.2.
    let judged = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=15"])
        .arg(&path)
        .output();
    if let Ok(judged) = judged {
        let words = String::from_utf8_lossy(&judged.stdout);
        assert!(judged.status.success(), "{words}");
        assert!(words.contains("Overall exposure level"), "{words}");
    }
}

/// Calls are not refused altogether where memory is short, and the log says so.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a pipe is read without a deadline"
)]
fn a_server_short_of_memory_says_how_many_calls_it_takes_all_the_same() {
    let text = CONFIGURATION.replace("[server]\n", "[server]\nmemory_max = 1\n");
    assert_ne!(text, CONFIGURATION);
    let (_server, log, _) = serve(&file("memory.toml", &text));
    // The server does not end, and neither do its lines.
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = log.lines().map_while(Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    let mut lines = std::iter::from_fn(|| lines.recv_timeout(PATIENCE).ok());
    let line = lines.find(|line| line.contains("the memory is used up"));
    let line = line.expect("it says so");
    assert!(
        line.contains("always takes one while it has fewer than 16"),
        "{line}"
    );
}

#[test]
fn each_shard_says_how_often_it_has_allocated() {
    let path = file("allocations.toml", CONFIGURATION);
    let (_server, _log, line) = serve(&path);
    let (_socket, _) = one_waits(&line);
    let allocations = || {
        let answer = http(&line, "GET /api/v1/shards");
        let (_, shards) = answer.split_once("\r\n\r\n").unwrap();
        let shards: serde_json::Value = serde_json::from_str(shards).unwrap();
        let count = &shards["Shards"][0]["Counters"]["allocations"];
        count.as_u64().unwrap()
    };
    // It is said at the end of a turn, and the call was answered in the middle of one.
    assert!(
        (0..10_000).any(|_| allocations() > 0),
        "a call takes memory"
    );
}

#[test]
fn serve_starts_says_so_in_one_line_and_stops_on_a_signal() {
    let path = file("serve.toml", CONFIGURATION);
    let (mut server, mut log, line) = serve(&path);
    assert!(line.contains(" serves SIP on udp:127.0.0.1:"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours for a pipe: {line:?}");
    assert!(line.contains(" CTI on http://127.0.0.1:"), "{line}");
    assert!(
        line.contains(" 1 shard on cores unpinned; driver "),
        "{line}"
    );
    terminate(&server);
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(server.0.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("SIGTERM"), "{rest}");
}
