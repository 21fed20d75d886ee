//! Small floors as their users see them, played by the program at a server of its own: all habits
//! at once, and each thing that goes wrong on purpose by itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use offhook_loadgen::report::Outcome;

/// Everything that people at phones and desktops do, and a router that decides for a queue.
const HABITS: &str = r#"
[run]
name = "habits"
seed = 5
duration = "12s"
[bounds]
state = "8s"
event = "8s"
waiting = "20s"
[[pbx]]
name = "hq"
kind = "ucm-14.0"
nodes = 2
phones = "2000-2015"
outside = "9000-9003"
outside_talk = "1s..4s"
[[pbx]]
name = "branch"
kind = "asterisk"
phones = "3000-3007"
[[queue]]
name = "sales"
numbers = ["7000"]
[[queue]]
name = "service"
numbers = ["7001"]
[[agents]]
name = "sales"
phones = "2000-2015"
queues = ["sales"]
no_answer = "2s"
answer = "100ms..600ms"
talk = "1s..3s"
no_answers = 0.05
busy = 0.05
declined = 0.05
holds = 0.2
private_calls = "8s"
private_call = "1s..2s"
absences = "10s"
absence = "1s..2s"
desktops = 1
per_connection = 2
shift = "6s..10s"
between_shifts = "1s..2s"
breaks = "5s"
break = "500ms..1s"
desktop_acts = "300ms..1s"
desktop_holds = 0.3
desktop_hold = "300ms..1s"
transfers = 0.2
consultations = 0.3
consultation = "300ms..1s"
desktop_releases = 0.3
desktop_talk = "1s..2s"
makes_calls = "10s"
disconnects = "6s"
disconnect = "200ms..1s"
slow_readers = 0.5
slow_reading = "20ms"
[[agents]]
name = "service"
phones = "3000-3007"
queues = ["service"]
answer = "100ms..600ms"
desktops = 0.5
wrap_up = "200ms..1s"
[[callers]]
name = "sales"
pbx = "hq"
numbers = ["7000"]
arrivals = "4"
patience = "20s"
impatient = 0.1
talk = "1s..3s"
holds = 0.2
redials = 0.5
redial_after = "500ms..1s"
[[callers]]
name = "service"
pbx = "branch"
numbers = ["7001"]
arrivals = "2"
patience = "20s"
talk = "1s..3s"
[[router]]
numbers = ["7001"]
groups = ["service"]
silent = 0.1
defaults = 0.2
"#;

/// Two nodes, twelve agents, and what goes wrong after two seconds.
const FAULT: &str = r#"
[run]
name = "fault"
seed = 5
duration = "6s"
drain_within = "3m"
[bounds]
state = "8s"
event = "8s"
[[pbx]]
name = "hq"
kind = "ucm-14.0"
nodes = 2
phones = "2000-2011"
[[queue]]
name = "sales"
numbers = ["7000"]
[[agents]]
name = "sales"
phones = "2000-2011"
queues = ["sales"]
no_answer = "2s"
answer = "100ms..600ms"
talk = "1s..3s"
private_calls = "4s"
private_call = "1s..2s"
[[callers]]
name = "sales"
pbx = "hq"
numbers = ["7000"]
arrivals = "4"
patience = "20s"
talk = "1s..3s"
[[fault]]
at = "2s"
pbx = "hq"
"#;

fn folder() -> PathBuf {
    let path = std::env::temp_dir().join(format!("offhook-floor-{}", std::process::id()));
    fs::create_dir_all(&path).expect("the folder for temporary files can be written");
    path
}

/// Starts a floor; the machine that tests run on may be busy.
fn play(name: &str, profile: &str) -> (Child, PathBuf) {
    let folder = folder();
    let (file, json) = ["toml", "json"]
        .map(|end| folder.join(format!("{name}.{end}")))
        .into();
    fs::write(&file, profile).expect("the folder can be written");
    let child = Command::new(env!("CARGO_BIN_EXE_offhook-load"))
        .arg("floor")
        .arg(file)
        .args(["--plain", "--allow-degraded", "--driver", "epoll", "--json"])
        .arg(&json)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program of this package can be run");
    (child, json)
}

/// The result of a floor on which no rule was broken.
fn clean(name: &str, output: &Output, json: &Path) -> Outcome {
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{name}: {said}");
    let text = fs::read_to_string(json).expect("the result was written");
    Outcome::from_json(&text).expect("a result")
}

#[test]
fn what_people_do_happens_and_breaks_no_rule() {
    let (child, json) = play("habits", HABITS);
    let output = child.wait_with_output().expect("it ends by itself");
    let outcome = clean("habits", &output, &json);
    for done in [
        "offered",
        "answered",
        "held",
        "retrieved",
        "consulted_about",
        "transferred",
        "dialled",
        "released_by_desktop",
        "requests",
        "connections_lost",
    ] {
        assert!(outcome.total(done) > 0, "{done}: {:?}", outcome.totals);
    }
    assert_eq!(
        outcome.total("connections_lost"),
        outcome.total("connections_resumed")
    );
}

#[test]
fn what_goes_wrong_on_purpose_breaks_no_rule() {
    let floors = [
        ("storm", "rounds = 20\nlasting = \"2s\"\n"),
        (
            "weather",
            "loss = 0.1\nduplicates = 0.1\nlate = 0.3\nlasting = \"3s\"\n",
        ),
        ("brown-out", "node = 1\npart = 0.5\nlasting = \"3s\"\n"),
        ("silence", "node = 0\nlasting = \"3s\"\n"),
        ("restart", ""),
        ("forget", ""),
        ("mute", "part = 0.3\nlasting = \"3s\"\n"),
    ]
    .map(|(kind, more)| {
        let profile = format!("{FAULT}kind = \"{kind}\"\n{more}");
        (kind, play(kind, &profile))
    });
    for (kind, (child, json)) in floors {
        let output = child.wait_with_output().expect("it ends by itself");
        let outcome = clean(kind, &output, &json);
        assert!(outcome.total("offered") > 10, "{kind}");
        match kind {
            // Each of the twelve phones' watcher was told twenty times more.
            "storm" => assert!(outcome.total("notifies") >= 252, "{:?}", outcome.totals),
            "weather" => {
                for what in ["lost", "doubled", "delayed"] {
                    let name = format!("datagrams_{what}_on_purpose");
                    assert!(outcome.total(&name) > 0, "{:?}", outcome.totals);
                }
            }
            _ => {}
        }
    }
}
