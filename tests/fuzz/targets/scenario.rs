//! SIPp's scenario files: a file has errors with their lines or is a scenario, and whatever it is,
//! a call that plays it lets time pass and ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::sip::{Checked, HeaderIndex, Message, Status, Writer};
use offhook_loadgen::scenario::calendar::Calendar;
use offhook_loadgen::scenario::check::check;
use offhook_loadgen::scenario::floor::Files;
use offhook_loadgen::scenario::load::load;
use offhook_loadgen::scenario::model::Scenario;
use offhook_loadgen::scenario::settings::Settings;
use offhook_loadgen::scenario::station::Station;
use offhook_shards::{Source, Transport};

use super::start::origin;

/// How long a call is played.
const PLAYED: Duration = Duration::from_secs(60);
/// Deadlines of one run.
const TURNS_MAX: u32 = 2_000;
/// Messages of one run that are answered; a scenario may send without end.
const ANSWERED_MAX: u32 = 64;

/// A file.
pub fn run(bytes: &[u8]) {
    let keys = BTreeMap::from([("domain".to_owned(), "example.org".to_owned())]);
    let loaded = load(bytes, &keys);
    let again = load(bytes, &keys);
    assert_eq!(loaded.notes, again.notes);
    assert_eq!(loaded.scenario.is_some(), loaded.notes.errors() == 0);
    let lines = bytes.split(|byte| *byte == b'\n').count();
    for note in loaded.notes.sorted() {
        assert!((1..=lines).contains(&(note.line as usize)), "{note}");
        assert!(!note.text.is_empty());
    }
    let (verdict, can_run) = check("fuzz.xml", &loaded);
    assert!(!verdict.is_empty());
    assert_eq!(can_run, loaded.scenario.is_some());
    if let Some(scenario) = loaded.scenario {
        play(scenario);
    }
}

/// One call, with a peer that says 200 to everything and asks what a caller does.
fn play(scenario: Scenario) {
    let [ours, theirs] = [5_060, 5_070].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut settings = Settings::new(ours);
    (settings.remote, settings.named) = (Some(theirs), Some(theirs));
    settings.remote_host = "peer".to_owned();
    settings.load.calls_max = Some(1);
    settings.traces.logs = true;
    let start = origin();
    let calendar = Calendar::new(start, Duration::from_secs(1_000));
    let files = Files::default();
    let mut station = Station::new(
        start,
        Arc::new(scenario),
        Arc::new(settings),
        files,
        calendar,
    );
    let from = Source {
        transport: Transport::Udp,
        local: ours,
        remote: theirs,
        connection: None,
    };
    let mut now = start;
    for request in REQUESTS {
        station.receive(now, from, request.as_bytes());
        answer(&mut station, now, from, theirs);
        now = pass(&mut station, now, now + PLAYED / 4, (from, theirs));
    }
    pass(&mut station, now, start + PLAYED * 2, (from, theirs));
    assert!(station.statistics().current <= 1);
}

const REQUESTS: [&str; 3] = [
    "INVITE sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\n\
     From: \"Caller\" <sip:x@y>;tag=5\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
     Contact: <sip:x@127.0.0.1:5070>\r\nContent-Type: application/sdp\r\nContent-Length: 56\r\n\r\n\
     v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nm=audio 4000 RTP/AVP 0\r\n",
    "ACK sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK2\r\n\
     From: <sip:x@y>;tag=5\r\nTo: <sip:c@d>;tag=9\r\nCall-ID: 1\r\nCSeq: 1 ACK\r\n\
     Content-Length: 0\r\n\r\n",
    "BYE sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK3\r\n\
     From: <sip:x@y>;tag=5\r\nTo: <sip:c@d>;tag=9\r\nCall-ID: 1\r\nCSeq: 2 BYE\r\n\
     Content-Length: 0\r\n\r\n",
];

fn pass(
    station: &mut Station,
    mut now: Instant,
    until: Instant,
    (from, peer): (Source, SocketAddr),
) -> Instant {
    for _ in 0..TURNS_MAX {
        let Some(next) = station.next_deadline().filter(|next| *next <= until) else {
            return until;
        };
        now = now.max(next);
        station.expire(now);
        answer(station, now, from, peer);
    }
    now
}

fn answer(station: &mut Station, now: Instant, from: Source, peer: SocketAddr) {
    let mut bytes = Vec::new();
    let mut answered = 0;
    while station.transmit(&mut bytes).is_some() {
        answered += 1;
        let mut index = HeaderIndex::new();
        if answered < ANSWERED_MAX
            && let Ok(Checked::Request(request)) = Message::receive(&bytes, &mut index)
        {
            let mut written = Vec::new();
            Writer::response(&mut written, Status::OK, &request, peer, Some("t")).end();
            station.receive(now, from, &written);
        }
        bytes.clear();
    }
    station.take_lines();
}
