//! Coming back: what was missed, once and in order, or a gap and fresh snapshots; and the property
//! that a snapshot with what follows says the same as the whole stream.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn hold(this_dn: &str) -> Json {
    json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": this_dn,
           "Extensions": {"Hold": 1}})
}

fn resume(stage: &Stage, sequence: u64) -> Json {
    json!({"Message": "RequestResume", "ReferenceID": 2, "EventSequenceNumber": sequence,
           "ServerStartTime": stage.hub.start_time})
}

#[test]
fn what_was_missed_comes_in_order_and_then_live() {
    let mut stage = Stage::new();
    for dn in ["2001", "2002", "2001", "2003"] {
        stage.emit_ready(dn);
    }
    let mut desk = stage.client();
    assert_eq!(
        stage.ask(&mut desk, &hold("2001"))["Message"],
        "EventRegistered"
    );
    assert_eq!(
        stage.ask(&mut desk, &hold("2003"))["Message"],
        "EventRegistered"
    );
    stage.emit_ready("2003");
    assert_eq!(desk.hear(), None, "held back until the client resumes");
    stage.say(&desk, &resume(&stage, 1));
    let answer = desk.hear().unwrap();
    assert_eq!(
        (&answer["Message"], &answer["ReferenceID"]),
        (&json!("EventACK"), &json!(2))
    );
    assert_eq!(desk.hear_sequences(), [3, 4, 5]);
    stage.emit_ready("2002");
    stage.emit_ready("2001");
    assert_eq!(desk.hear_sequences(), [7]);
}

#[test]
fn what_came_live_before_the_resume_is_not_sent_again() {
    let mut stage = Stage::new();
    for dn in ["2001", "2001", "2002"] {
        stage.emit_ready(dn);
    }
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.emit_ready("2001");
    stage.emit_ready("2002");
    assert_eq!(desk.hear_sequences(), [4]);
    stage.register(&mut desk, "2002");
    stage.emit_ready("2002");
    assert_eq!(desk.hear_sequences(), [6]);
    stage.say(&desk, &resume(&stage, 1));
    assert_eq!(desk.hear().unwrap()["Message"], "EventACK");
    assert_eq!(desk.hear_sequences(), [2, 3, 5]);
    // A second time there is nothing left to send.
    stage.say(&desk, &resume(&stage, 1));
    assert_eq!(desk.hear().unwrap()["Message"], "EventACK");
    assert!(desk.hear_sequences().is_empty());
    stage.emit_ready("2001");
    assert_eq!(desk.hear_sequences(), [7]);
}

#[test]
fn what_is_no_longer_kept_is_a_gap() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    assert_eq!(
        stage.ask(&mut desk, &hold("2002"))["Message"],
        "EventRegistered"
    );
    for _ in 0..40 {
        stage.emit_ready("2002");
    }
    stage.say(&desk, &resume(&stage, 3));
    let frames = desk.hear_all();
    let names: Vec<_> = frames
        .iter()
        .map(|frame| frame["Message"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["EventGap", "EventRegistered", "EventRegistered"]);
    assert_eq!(frames[0]["ReferenceID"], 2);
    assert!(frames[1].get("ReferenceID").is_none());
    assert_eq!(frames[2]["Extensions"]["EventSequenceNumber"], 40);
    assert_eq!(frames[2]["Extensions"]["AgentStatus"], "Ready");
    stage.emit_ready("2002");
    assert_eq!(desk.hear_sequences(), [41]);
}

#[test]
fn another_start_of_the_server_is_a_gap() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.register(&mut desk, "*");
    let request = json!({"Message": "RequestResume", "ReferenceID": 2, "EventSequenceNumber": 0,
                         "ServerStartTime": "2020-01-01T00:00:00.000000Z"});
    stage.say(&desk, &request);
    let frames = desk.hear_all();
    assert_eq!(frames[0]["Message"], "EventGap");
    assert_eq!(frames[0]["ServerStartTime"], stage.hub.start_time);
    let addresses = frames[1]["Extensions"]["Addresses"].as_array().unwrap();
    let names: Vec<_> = addresses
        .iter()
        .map(|one| one["ThisDN"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["2001", "2002", "2003", "7000", "sales", "ucm"]);
}

#[test]
fn the_future_cannot_be_resumed() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    let request = resume(&stage, 1);
    assert_eq!(
        stage.ask(&mut desk, &request)["ErrorCode"],
        "InvalidAttribute"
    );
}

#[test]
fn who_is_held_cannot_act() {
    let mut stage = Stage::new();
    let mut desk = stage.client();
    stage.ask(&mut desk, &hold("2001"));
    assert_eq!(
        stage.ask(&mut desk, &ready(5, "2001"))["ErrorCode"],
        "WrongState"
    );
    stage.say(&desk, &resume(&stage, 0));
    desk.hear_all();
    stage.say(&desk, &ready(5, "2001"));
    assert_eq!(stage.asked().len(), 1);
}

#[test]
fn a_long_absence_is_made_up_in_portions() {
    let mut stage = Stage::with(&CONFIGURATION.replace("= 32", "= 1000"));
    for _ in 0..500 {
        stage.emit_ready("2001");
    }
    let mut desk = stage.client();
    stage.ask(&mut desk, &hold("2001"));
    stage.say(&desk, &ready(9, "2001"));
    desk.hear_all();
    stage.say(&desk, &resume(&stage, 0));
    assert_eq!(desk.hear().unwrap()["Message"], "EventACK");
    let mut heard = desk.hear_sequences();
    assert!(heard.len() < 64, "the queue is not filled to the brim");
    // A request and live events meanwhile keep their places.
    stage.say(&desk, &ready(5, "2001"));
    let (_, asked) = stage.asked_once();
    let mut answer = stage.event(EventName::AgentReady, "2001");
    answer.agent_work_mode = Some(AgentWorkMode::ManualIn);
    answer.requested_by = Some(asked.requested_by);
    stage.emit(answer);
    let mut answered = None;
    while heard.last() != Some(&501) {
        stage.pass(Duration::from_millis(20));
        let frames = desk.hear_all();
        assert!(!frames.is_empty(), "stuck after {:?}", heard.last());
        for frame in frames {
            heard.extend(frame["EventSequenceNumber"].as_u64());
            answered = answered.or(frame["ReferenceID"].as_u64().zip(heard.last().copied()));
        }
    }
    assert_eq!(heard, (1..=501).collect::<Vec<_>>());
    assert_eq!(answered, Some((5, 501)));
    assert!(desk.inbox.close.try_recv().is_err());
}

#[test]
fn who_is_overtaken_by_the_history_gets_a_gap() {
    let mut stage = Stage::with(&CONFIGURATION.replace("= 32", "= 200"));
    for _ in 0..150 {
        stage.emit_ready("2001");
    }
    let mut desk = stage.client();
    stage.ask(&mut desk, &hold("2001"));
    stage.say(&desk, &resume(&stage, 0));
    assert!(desk.hear_all().len() < 64);
    for _ in 0..400 {
        stage.emit_ready("2001");
    }
    stage.pass(Duration::from_millis(20));
    let frames = desk.hear_all();
    assert_eq!(frames[0]["Message"], "EventGap");
    assert_eq!(frames[1]["Extensions"]["EventSequenceNumber"], 550);
    stage.emit_ready("2001");
    assert_eq!(desk.hear_sequences(), [551]);
}

/// What a client knows of the agents: its own fold of what it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fold {
    status: BTreeMap<String, String>,
    calls: BTreeMap<String, Vec<String>>,
    last: u64,
}

impl Fold {
    fn take(&mut self, frame: &Json) {
        let this_dn = frame["ThisDN"].as_str().unwrap_or_default().to_owned();
        let conn_id = frame["ConnID"].as_str().unwrap_or_default().to_owned();
        if let Some(sequence) = frame["EventSequenceNumber"].as_u64() {
            assert!(sequence > self.last, "{sequence} after {}", self.last);
            self.last = sequence;
        }
        let calls = self.calls.entry(this_dn.clone()).or_default();
        match frame["Message"].as_str().unwrap() {
            "EventAgentReady" => drop(self.status.insert(this_dn, "Ready".to_owned())),
            "EventAgentNotReady" => drop(self.status.insert(this_dn, "NotReady".to_owned())),
            "EventAgentLogout" => drop(self.status.insert(this_dn, "LoggedOut".to_owned())),
            "EventRinging" => {
                calls.push(conn_id);
                calls.sort();
                calls.dedup();
            }
            "EventReleased" => calls.retain(|call| *call != conn_id),
            "EventRegistered" => {
                let snapshot = &frame["Extensions"];
                let status = snapshot["AgentStatus"].as_str().unwrap().to_owned();
                self.status.insert(this_dn, status);
                let shown = snapshot["Calls"].as_array().into_iter().flatten();
                *calls = shown
                    .map(|call| call["ConnID"].as_str().unwrap().to_owned())
                    .collect();
                self.last = snapshot["EventSequenceNumber"].as_u64().unwrap();
            }
            _ => {}
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Happening {
    Agent(usize, EventName),
    Call(usize, EventName, u64),
    Breaks,
    Reads,
}

fn happening() -> impl Strategy<Value = Happening> {
    let agent = prop::sample::select(vec![
        EventName::AgentReady,
        EventName::AgentNotReady,
        EventName::AgentLogout,
    ]);
    let call = prop::sample::select(vec![EventName::Ringing, EventName::Released]);
    let agent = (0..3_usize, agent).prop_map(|(dn, name)| Happening::Agent(dn, name));
    let call = (0..3_usize, call, 0..3_u64);
    let call = call.prop_map(|(dn, name, serial)| Happening::Call(dn, name, serial));
    prop_oneof![
        6 => agent,
        6 => call,
        1 => Just(Happening::Breaks),
        2 => Just(Happening::Reads),
    ]
}

/// A client that comes and goes, reads when it likes, and folds what it reads.
struct Wanderer {
    desk: Desk,
    fold: Fold,
    /// Whether it comes back with what it had, or afresh from the snapshots.
    holds: bool,
}

const DNS: [&str; 3] = ["2001", "2002", "2003"];

impl Wanderer {
    fn reads(&mut self) {
        let frames = self.desk.hear_all();
        frames.iter().for_each(|frame| self.fold.take(frame));
    }

    fn comes_back(&mut self, stage: &mut Stage) {
        stage.hub.handle_disconnect(self.desk.id);
        self.desk = stage.client();
        for dn in DNS {
            let request = if self.holds { hold(dn) } else { register(dn) };
            let snapshot = stage.ask(&mut self.desk, &request);
            if !self.holds {
                self.fold.take(&snapshot);
            }
        }
        if self.holds {
            let request = resume(stage, self.fold.last);
            stage.say(&self.desk, &request);
        }
    }

    /// Who did not read for too long has been cut off, and what came then was not for it.
    fn is_cut_off(&mut self) -> bool {
        self.desk.inbox.close.try_recv().is_ok()
    }
}

/// Who reads everything at once and who comes and goes know the same in the end.
fn both_know_the_same(happenings: Vec<Happening>, holds: bool) {
    let mut stage = Stage::new();
    let mut whole = stage.client();
    let mut full = Fold::default();
    let mut wanderer = Wanderer {
        desk: stage.client(),
        fold: Fold::default(),
        holds,
    };
    for dn in DNS {
        full.take(&stage.register(&mut whole, dn));
        let snapshot = stage.register(&mut wanderer.desk, dn);
        wanderer.fold.take(&snapshot);
    }
    for happening in happenings {
        match happening {
            Happening::Agent(dn, name) => {
                let mut event = stage.event(name, DNS[dn]);
                event.agent_work_mode = Some(AgentWorkMode::Unknown);
                stage.emit(event);
            }
            Happening::Call(dn, name, serial) => {
                let mut event = call_event(&stage, name, DNS[dn]);
                let conn_id = ConnId::new(ShardId(0), serial);
                event.call = Some(Arc::new(CallInfo {
                    conn_id,
                    ..(*call()).clone()
                }));
                stage.emit(event);
            }
            Happening::Breaks => wanderer.comes_back(&mut stage),
            Happening::Reads => wanderer.reads(),
        }
        whole.hear_all().iter().for_each(|frame| full.take(frame));
    }
    wanderer.reads();
    if wanderer.is_cut_off() {
        wanderer.comes_back(&mut stage);
        wanderer.reads();
    }
    let mut patched = wanderer.fold;
    assert_eq!(full.status, patched.status);
    full.calls.retain(|_, calls| !calls.is_empty());
    patched.calls.retain(|_, calls| !calls.is_empty());
    assert_eq!(full.calls, patched.calls);
}

proptest! {
    #[test]
    fn snapshot_and_tail_say_what_the_whole_stream_says(
        happenings in prop::collection::vec(happening(), 1..120),
        holds in any::<bool>(),
    ) {
        both_know_the_same(happenings, holds);
    }
}

#[test]
fn who_read_nothing_and_was_cut_off_comes_back_to_the_whole_state() {
    for holds in [false, true] {
        let mut happenings = vec![Happening::Agent(0, EventName::AgentReady); 66];
        happenings.push(Happening::Agent(0, EventName::AgentNotReady));
        both_know_the_same(happenings, holds);
    }
}
