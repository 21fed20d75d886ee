//! When events wake whoever drains them.

use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};

use super::*;
use crate::mesh::Lane;
use crate::scribe::Scribe;
use crate::sys::EventFd;

/// One shard's queue of events, and whoever drains it, by an edge-triggered poller.
struct Bench {
    events: Events<Scribe>,
    poll: Poll,
    drained: Vec<(ShardId, u32)>,
}

impl Bench {
    fn new() -> Self {
        let sleeper = || Sleeper::new(EventFd::new(false).expect("an eventfd"));
        let sleepers = vec![Arc::new(sleeper())];
        let mesh = Arc::new(Mesh::new(sleepers.clone(), [1; Lane::ALL.len()]));
        let events = Events::new(Arc::new(Shared::new(sleepers, sleeper(), mesh)));
        let poll = Poll::new().expect("a poller");
        let descriptor = events.as_raw_fd();
        poll.registry()
            .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
            .expect("an eventfd can be polled");
        Self {
            events,
            poll,
            drained: Vec::new(),
        }
    }

    /// What a shard does with an event; whether that has written the descriptor.
    fn push(&self, event: u32) -> bool {
        let shared = &self.events.shared;
        assert_eq!(shared.events[0].push_or_starve(event), Ok(()));
        shared.listener.wake()
    }

    /// Whether the descriptor has become readable since this was asked last.
    fn has_become_readable(&mut self) -> bool {
        let mut found = mio::Events::with_capacity(1);
        let polled = self.poll.poll(&mut found, Some(Duration::ZERO));
        polled.expect("the poller works");
        !found.is_empty()
    }

    fn drain(&mut self) -> usize {
        self.events.drain(10, &mut self.drained)
    }
}

#[test]
fn events_wake_once_after_each_arming_and_none_is_left_behind() {
    let mut bench = Bench::new();
    assert!(!bench.has_become_readable());
    assert!(bench.push(1), "armed from the beginning");
    assert!(bench.has_become_readable());
    assert_eq!(bench.drain(), 1);

    // Those who gather events are not woken for more of them.
    assert!(!bench.push(2));
    assert!(!bench.has_become_readable());
    // It came between the drain and this: nothing will tell of it, so it is told here.
    assert!(!bench.events.arm());
    assert!(!bench.push(3), "not armed");
    assert!(!bench.has_become_readable());
    assert_eq!(bench.drain(), 2);
    assert_eq!(bench.drain(), 0);

    assert!(bench.events.arm());
    assert!(!bench.has_become_readable());
    assert!(bench.push(4));
    assert!(!bench.push(5), "the first has woken already");
    assert!(bench.has_become_readable());
    assert_eq!(bench.drain(), 2);
    assert!(
        !bench.events.shared.listener.take_signal(),
        "taken by the drain"
    );
    let expected = [1, 2, 3, 4, 5].map(|event| (ShardId(0), event));
    assert_eq!(bench.drained, expected);
}

#[test]
fn who_drains_while_armed_is_not_woken_any_more() {
    let mut bench = Bench::new();
    assert_eq!(bench.drain(), 0);
    assert!(!bench.push(1));
    assert!(!bench.has_become_readable());
    assert_eq!(bench.drain(), 1);
    assert!(bench.events.arm());
    assert!(bench.push(2));
    assert!(bench.has_become_readable());
}
