//! How often the engine's steady path allocates, and what it holds, by a counting allocator:
//! parsing and answers to retransmissions never allocate; all else has a bound that may only fall.

// A global allocator is an unsafe trait; this one only weighs and passes on.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

#[path = "../benches/floor/mod.rs"]
mod floor;
#[path = "../benches/stage/mod.rs"]
mod stage;

use floor::{Floor, Notifies, Shards};
use offhook::counters::Counter;
use offhook::server::allocator::{self, Counted};
use offhook::sip::{
    Checked, Frame, Framer, HeaderIndex, HeaderName, Message, Request, Sdp, Writer,
};

use offhook_loadgen::population::{CallPlan, Change};
use stage::Stage;

const INVITE: &[u8] = include_bytes!("data/cucm/invite_early_offer.sip");
const NOTIFY: &[u8] = include_bytes!("data/cucm/notify_open_on_the_phone.sip");

thread_local! {
    /// Bytes that were allocated on this thread less those that were freed on it: other tests run
    /// beside.
    static LIVE: Cell<usize> = const { Cell::new(0) };
}

struct Weighing;

// SAFETY: every call goes to the system's allocator with the caller's arguments unchanged; the
// counter is a thread-local without a destructor and does not allocate.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get().wrapping_add(layout.size()));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
        // SAFETY: the pointer came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let grown = LIVE.get().wrapping_add(size);
        LIVE.set(grown.wrapping_sub(layout.size()));
        // SAFETY: as for `dealloc`, and the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted<Weighing> = Counted(Weighing);

/// How often `work` allocates.
fn allocations<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = allocator::allocations();
    let result = work();
    let count = allocator::allocations() - before;
    let count = usize::try_from(count).expect("they fit the address space");
    (count, result)
}

#[test]
fn the_counter_counts() {
    let (count, _) = allocations(|| black_box(Vec::<u8>::with_capacity(10)));
    assert_eq!(count, 1);
}

#[test]
fn an_invite_is_routed_without_an_allocation() {
    let mut index = HeaderIndex::new();
    let (count, length) = allocations(|| {
        let request = request(INVITE, &mut index);
        assert_eq!(request.message.body().len(), 259);
        read_invite(&request)
    });
    assert_eq!((count, length > 0), (0, true));
}

#[test]
fn a_notify_is_routed_without_an_allocation() {
    let mut index = HeaderIndex::new();
    let (count, length) = allocations(|| {
        let request = request(NOTIFY, &mut index);
        let message = request.message;
        let event = message.event().expect("legal").expect("there");
        assert!(event.is("presence"));
        let state = message.subscription_state().expect("legal").expect("there");
        assert_eq!(state.expires, None);
        assert!(
            message
                .content_type()
                .expect("legal")
                .expect("there")
                .is("application/pidf+xml")
        );
        request.call_id.len() + request.to_tag.map_or(0, str::len)
    });
    assert_eq!((count, length > 0), (0, true));
}

#[test]
fn framing_and_answering_allocate_nothing() {
    let mut index = HeaderIndex::new();
    let mut buffer = Vec::with_capacity(4_096);
    let source = ([192, 0, 2, 20], 5060).into();
    let (count, ()) = allocations(|| {
        assert_eq!(Framer::new().frame(INVITE), Frame::Complete(INVITE.len()));
        let request = request(INVITE, &mut index);
        let status = offhook::sip::Status::RINGING;
        let mut writer = Writer::response(&mut buffer, status, &request, source, Some("a1b2"));
        writer.header(
            HeaderName::Contact,
            format_args!("<sip:{}:{}>", "192.0.2.10", 5060),
        );
        writer.end();
    });
    assert_eq!(count, 0);
    assert!(buffer.starts_with(b"SIP/2.0 180 Ringing\r\nVia: "));
}

/// Allocations of the engine in what `step` makes it do.
fn engine_allocations(step: impl FnOnce(floor::Turn<'_>)) -> usize {
    let mut sum = 0;
    step(&mut |shards, now| sum += allocations(|| shards.turn(now)).0);
    sum
}

/// The worst of some steps, after as many that fill tables and buffers.
fn worst(mut step: impl FnMut(floor::Turn<'_>)) -> usize {
    for _ in 0..100 {
        step(&mut Shards::turn);
    }
    (0..100)
        .map(|_| engine_allocations(&mut step))
        .max()
        .expect("a hundred steps have a worst one")
}

/// The worst of what a caller changes again and again in its call, the two across from each other,
/// with so long a pause before each: what is kept for 32 seconds is used again.
fn worst_change(pause: Duration, changes: &[Change]) -> usize {
    let mut floor = Floor::new(1, 4);
    let plan = CallPlan::to("7000").with_offer();
    let token = floor.callers.call(floor.now, plan);
    floor.run(500);
    let mut changes = changes.iter().cycle();
    let mut made = 0;
    let worst = worst(|turn| {
        floor.now += pause;
        floor.tick(&mut Shards::turn);
        let before = floor.received;
        let change = *changes.next().expect("they go round and round");
        assert!(floor.callers.change(floor.now, token, change));
        floor.exchange(turn);
        assert!((1..=4).contains(&(floor.received - before)));
        made += 1;
    });
    assert_eq!((made, floor.shards.live_calls()), (200, 1));
    worst
}

// INVITE, 200 and ACK, each of which goes on to who is across. The caller's description has a new
// version each time, as that of many a PBX.
#[test]
fn a_relayed_refresh_allocates_nothing() {
    for pause in [1, 40] {
        let worst = worst_change(Duration::from_secs(pause), &[Change::Refresh]);
        assert_eq!(worst, 0, "allocations with {pause} s between");
    }
}

// The descriptions go on as they are: each replaces two.
#[test]
fn a_relayed_hold_and_its_end_allocate_nothing() {
    for (hold, resume) in [
        (Change::HoldWithMusic, Change::ResumeWithOffer),
        (Change::Hold, Change::ResumeWithOffer),
        (Change::HoldByUpdate, Change::ResumeByUpdate),
        (Change::Hold, Change::Resume),
    ] {
        let worst = worst_change(Duration::from_secs(1), &[hold, resume]);
        assert_eq!(worst, 0, "allocations of {hold:?} and {resume:?}");
    }
}

#[test]
fn a_refresh_by_update_allocates_nothing() {
    let worst = worst_change(Duration::from_secs(1), &[Change::Update]);
    assert_eq!(worst, 0, "allocations");
}

#[test]
fn a_relayed_info_allocates_nothing() {
    let mut floor = Floor::new(1, 4);
    let plan = CallPlan::to("7000").with_offer();
    let token = floor.callers.call(floor.now, plan);
    floor.run(500);
    assert!(floor.callers.change(floor.now, token, Change::Refresh));
    floor.collect();
    let (_, refresh) = floor.shards.incoming.iter().next().expect("it is sent");
    let refresh = String::from_utf8_lossy(refresh).into_owned();
    floor.exchange(&mut Shards::turn);
    let mut number = 1_000;
    let worst = worst(|turn| {
        floor.now += Duration::from_secs(1);
        floor.tick(&mut Shards::turn);
        number += 1;
        floor.send(info(&refresh, number).as_bytes());
        let before = floor.received;
        floor.exchange(turn);
        assert_eq!(floor.received - before, 2, "the phone answers it");
    });
    assert_eq!(worst, 0, "allocations");
}

/// An INFO in the dialog of another request, with this number.
fn info(request: &str, number: u32) -> String {
    let names = ["From: ", "To: ", "Call-ID: "];
    let of_dialog = |line: &&str| names.iter().any(|name| line.starts_with(name));
    let lines: Vec<&str> = request.lines().filter(of_dialog).collect();
    assert_eq!(lines.len(), names.len());
    let body = format!("Signal={}\r\nDuration=160\r\n", number % 10);
    format!(
        "INFO sip:7000@192.0.2.10 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKi{number};rport\r\nMax-Forwards: 70\r\n\
         {}\r\nCSeq: {number} INFO\r\nContent-Type: application/dtmf-relay\r\n\
         Content-Length: {}\r\n\r\n{body}",
        lines.join("\r\n"),
        body.len()
    )
}

// Steps of a second, so that what transactions keep for 32 seconds is used again. What else the
// time brings, as pings, is not the NOTIFY's.
#[test]
fn a_notify_that_changes_nothing_allocates_nothing() {
    let mut floor = Floor::new(1, 4);
    let mut notifies = Notifies::of(&mut floor, 4);
    let mut step = |turn: floor::Turn<'_>| {
        floor.now += Duration::from_secs(1);
        floor.turn_alone(&mut Shards::turn);
        notifies.send_next(&mut floor);
        assert_eq!(floor.turn_alone(turn), 1, "a NOTIFY has one answer");
    };
    // The subscriptions are refreshed meanwhile, for which more transactions live at a time.
    worst(&mut step);
    let worst = worst(&mut step);
    let applied = floor.counters.value(Counter::NotifyApplied);
    assert!(
        applied >= 408,
        "four first ones, four changes, 400 that say the same"
    );
    assert_eq!(worst, 0, "allocations");
}

// The agent's events are among them.
#[test]
fn a_notify_that_changes_the_state_allocates_at_most_6_times() {
    let mut floor = Floor::new(1, 4);
    let mut phones = (0..4).cycle();
    let worst = worst(|turn| {
        floor.now += Duration::from_secs(1);
        floor.tick(&mut Shards::turn);
        floor.change_presence(phones.next().expect("phones go round and round"));
        floor.exchange(turn);
    });
    assert!(worst <= 6, "{worst} allocations");
}

/// What the dearest of 200 calls allocates, in all engines together.
fn dearest_call(shards: u16) -> usize {
    let mut floor = Floor::new(shards, 4);
    let worst = worst(|turn| {
        let plan = CallPlan {
            hang_up_after: Some(floor::TICK * 100),
            ..CallPlan::to("7000").with_offer()
        };
        floor.callers.call(floor.now, plan);
        for _ in 0..600 {
            floor.tick(turn);
        }
        assert_eq!(floor.shards.live_calls(), 0);
    });
    assert_eq!(floor.callers.totals().answered, 200);
    worst
}

#[test]
fn a_whole_call_allocates_at_most_79_times() {
    let worst = dearest_call(1);
    assert!(worst <= 79, "{worst} allocations");
}

/// Its queue, its agent and its caller are wherever their hashes put them.
#[test]
fn a_whole_call_on_three_shards_allocates_at_most_82_times() {
    let worst = dearest_call(3);
    assert!(worst <= 82, "{worst} allocations");
}

/// Its JSON is written once, whoever listens; queues of clients grow by blocks.
#[test]
fn an_event_to_100_clients_allocates_at_most_5_times() {
    const EVENTS: usize = 1_000;
    let mut stage = Stage::new(100, 0);
    let mut told = |count: usize| {
        let turns = (0..count).map(|_| {
            let event = stage.event();
            let (count, ()) = allocations(|| stage.tell(event));
            stage.read();
            count
        });
        turns.sum::<usize>()
    };
    told(EVENTS);
    let mean = told(EVENTS).div_ceil(EVENTS);
    assert!(mean <= 5, "{mean} allocations");
}

/// What the engines hold, their configuration included.
fn held(floor: Floor) -> usize {
    let engines = floor.shards.into_engines();
    let before = LIVE.get();
    drop((engines, floor.config));
    before - LIVE.get()
}

#[test]
fn a_watched_dn_keeps_at_most_780_bytes() {
    // At the default rate, and until the transactions of the last subscription are forgotten: what
    // they took while they lived does not grow with the number of phones.
    let [few, many] = [2_000, 4_000].map(|agents| {
        let mut floor = Floor::subscribing(1, agents, 50);
        floor.run(40_000);
        held(floor)
    });
    let each = (many - few) / 2_000;

    assert!(each <= 780, "{each} bytes");
}

#[test]
fn a_held_call_keeps_at_most_2600_bytes() {
    const CALLS: usize = 400;
    let ends = Some(floor::TICK * 100);
    // Both have had as many transactions at a time, so that what is kept for the next ones is
    // equal: calls that end have the more of them.
    let floor = |hang_up_after| {
        let mut floor = Floor::new(1, 500);
        for hang_up_after in [ends, hang_up_after] {
            for _ in 0..CALLS {
                let plan = CallPlan {
                    hang_up_after,
                    ..CallPlan::to("7000").with_offer()
                };
                floor.callers.call(floor.now, plan);
                floor.run(400);
            }
            // Until all transactions are forgotten.
            floor.run(40_000);
        }
        floor
    };
    let (over, holding) = (floor(ends), floor(None));
    assert_eq!(
        (over.shards.live_calls(), holding.shards.live_calls()),
        (0, CALLS)
    );
    let each = (held(holding) - held(over)) / CALLS;
    assert!(each <= 2_600, "{each} bytes");
}

#[test]
fn a_retransmission_is_answered_without_an_allocation() {
    let mut floor = Floor::new(1, 4);
    let mut notifies = Notifies::of(&mut floor, 4);
    notifies.send_next(&mut floor);
    assert_eq!(floor.turn_alone(&mut Shards::turn), 1);
    let worst = worst(|turn| {
        floor.send(notifies.last());
        assert_eq!(floor.turn_alone(turn), 1, "the same answer");
    });
    assert_eq!(worst, 0);
}

#[test]
fn a_new_call_that_is_not_taken_is_refused_without_an_allocation() {
    let mut floor = Floor::new(1, 4);
    floor.shards.set_draining(true);
    let mut calls = 0;
    let worst = worst(|turn| {
        floor.send_invite(calls);
        calls += 1;
        assert_eq!(floor.turn_alone(turn), 1, "a 503");
    });
    assert_eq!(floor.counters.value(Counter::InviteDraining), 200);
    assert_eq!(worst, 0);
}

fn request<'a>(bytes: &'a [u8], index: &'a mut HeaderIndex) -> Request<'a> {
    match Message::receive(bytes, index) {
        Ok(Checked::Request(request)) => request,
        Ok(Checked::Response(_)) | Err(_) => panic!("the sample is a request"),
    }
}

/// Reads every header that a call looks at.
fn read_invite(request: &Request<'_>) -> usize {
    let message = &request.message;
    let contact = message.contact().expect("legal").expect("there");
    let session = message.session_expires().expect("legal").expect("there");
    assert_eq!((session.seconds, message.min_se()), (1800, Ok(Some(1800))));
    assert_eq!(message.expires(), Ok(Some(180)));
    assert!(message.has_token(HeaderName::Supported, "timer"));
    assert!(message.has_token(HeaderName::Allow, "UPDATE"));
    assert_eq!(message.require().count(), 0);
    assert_eq!(message.record_routes().chain(message.routes()).count(), 0);
    assert_eq!(message.diversions().count(), 0);
    let caller = message.calling_identity().expect("legal");
    assert!(!message.identity_is_private());
    assert!(
        message
            .content_type()
            .expect("legal")
            .expect("there")
            .is("application/sdp")
    );
    let sdp = Sdp::parse(message.body()).expect("legal");
    assert_eq!(sdp.media().count(), 1);
    let lengths = [
        request.call_id.len(),
        request.from_tag.map_or(0, str::len),
        request.via.branch().map_or(0, str::len),
        request.uri.user.map_or(0, str::len),
        contact.uri_bytes.len(),
        caller.uri_bytes.len(),
        usize::from(request.max_forwards.unwrap_or(0)),
        usize::from(request.cseq == 101),
    ];
    lengths.iter().sum()
}
