//! What a call costs in memory, by a counting allocator: nothing is allocated for a call once the
//! station is warm, and a held call takes less than a kilobyte beside its templates.

// A global allocator is an unsafe trait; this one only counts and passes on.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_loadgen::scenario::builtin;
use offhook_loadgen::scenario::calendar::Calendar;
use offhook_loadgen::scenario::floor::Files;
use offhook_loadgen::scenario::load::load;
use offhook_loadgen::scenario::settings::Settings;
use offhook_loadgen::scenario::station::Station;
use offhook_shards::Source;

thread_local! {
    /// Allocations of this thread, and the bytes that they hold: other tests run beside.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn note(bytes: isize) {
    BYTES.set(BYTES.get() + bytes);
}

// SAFETY: every call goes to the system's allocator with the caller's arguments unchanged; the
// counters are thread-locals without destructors and do not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        note(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-layout.size().cast_signed());
        // SAFETY: the pointer came from `alloc` above, so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        note(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: as for `dealloc`, and the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What was allocated in one of the two stations.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    allocations: usize,
    bytes: isize,
}

/// A client and a server without a network between them, in virtual time.
struct Pair {
    stations: [Station; 2],
    addresses: [SocketAddr; 2],
    tallies: [Tally; 2],
    now: Instant,
    wire: Vec<u8>,
}

impl Pair {
    fn new(change: impl Fn(&mut Settings)) -> Self {
        let addresses = [5_060, 5_070].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let now = Instant::now();
        let station = |name: &str, own: usize, peer: Option<usize>| {
            let text = builtin::find(name).expect("it is built in").text;
            let scenario = load(text.as_bytes(), &BTreeMap::new()).scenario;
            let mut settings = Settings::new(addresses[own]);
            settings.remote = peer.map(|peer| addresses[peer]);
            settings.remote_host = "peer".to_owned();
            settings.dead_call_wait = Duration::from_secs(1);
            settings.recent_bytes = 64 << 10;
            change(&mut settings);
            let calendar = Calendar::new(now, Duration::from_secs(1));
            let scenario = Arc::new(scenario.expect("it can be run"));
            Station::new(
                now,
                scenario,
                Arc::new(settings),
                Files::default(),
                calendar,
            )
        };
        Self {
            stations: [station("uac", 0, Some(1)), station("uas", 1, None)],
            addresses,
            tallies: [Tally::default(); 2],
            now,
            wire: Vec::with_capacity(64 << 10),
        }
    }

    /// What a station does, with what it allocates.
    fn on<T>(&mut self, which: usize, work: impl FnOnce(&mut Station) -> T) -> T {
        let (allocations, bytes) = (ALLOCATIONS.get(), BYTES.get());
        let result = work(&mut self.stations[which]);
        self.tallies[which].allocations += ALLOCATIONS.get() - allocations;
        self.tallies[which].bytes += BYTES.get() - bytes;
        result
    }

    /// Carries all messages, also those that they cause.
    fn carry(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for which in 0..2 {
                loop {
                    let mut wire = std::mem::take(&mut self.wire);
                    wire.clear();
                    let sent = self.on(which, |station| station.transmit(&mut wire));
                    let Some(transmit) = sent else {
                        self.wire = wire;
                        break;
                    };
                    is_quiet = false;
                    let source = Source {
                        transport: transmit.transport,
                        local: transmit.remote,
                        remote: self.addresses[which],
                        connection: None,
                    };
                    let now = self.now;
                    self.on(1 - which, |station| station.receive(now, source, &wire));
                    self.wire = wire;
                }
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let next = self
                .stations
                .iter()
                .filter_map(Station::next_deadline)
                .min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            let now = self.now;
            for which in 0..2 {
                self.on(which, |station| station.expire(now));
            }
            self.carry();
        }
    }

    fn successful(&self) -> [u64; 2] {
        [0, 1].map(|which| self.stations[which].statistics().successful)
    }
}

#[test]
fn nothing_is_allocated_for_a_call_once_the_station_is_warm() {
    let mut pair = Pair::new(|settings| {
        settings.load.rate = 500.0;
        settings.pause = Duration::from_millis(200);
    });
    pair.pass(Duration::from_secs(12));
    let (before, warm) = (pair.successful(), pair.tallies);
    pair.pass(Duration::from_secs(6));
    let after = pair.successful();
    for which in 0..2 {
        let calls = after[which] - before[which];
        assert!(calls >= 2_990, "{calls}");
        assert_eq!(pair.stations[which].statistics().failed(), 0);
        let fresh = pair.tallies[which].allocations - warm[which].allocations;
        assert_eq!(fresh, 0, "{which}: {fresh} allocations in {calls} calls");
    }
}

#[test]
fn a_held_call_takes_less_than_a_kilobyte() {
    const CALLS: u64 = 8_000;
    let mut pair = Pair::new(|settings| {
        settings.load.rate = 10_000.0;
        settings.load.calls_max = Some(CALLS);
        settings.pause = Duration::from_secs(3_600);
    });
    let before = pair.tallies;
    pair.pass(Duration::from_secs(10));
    for (which, name) in ["client", "server"].into_iter().enumerate() {
        assert_eq!(pair.stations[which].statistics().current, CALLS);
        let bytes = pair.tallies[which].bytes - before[which].bytes;
        let each = bytes as f64 / CALLS as f64;
        println!("{name}: {each:.0} bytes a held call");
        assert!(each < 1_024.0, "{name}: {each:.0} bytes a held call");
    }
}
