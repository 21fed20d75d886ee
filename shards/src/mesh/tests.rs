//! Threads that meet over small queues, and what each promise of the mesh means.

use super::*;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// How long a sleeper sleeps before the test calls its wake-up lost.
const PATIENCE: Duration = Duration::from_secs(20);

fn sleepers(count: usize) -> Vec<Arc<Sleeper>> {
    let sleeper = |_| Arc::new(Sleeper::new(EventFd::new(false).unwrap()));
    (0..count).map(sleeper).collect()
}

fn ports(count: u16, places_max: usize) -> Vec<Port<u64>> {
    let mesh = Arc::new(Mesh::new(
        sleepers(usize::from(count)),
        [places_max; Lane::ALL.len()],
    ));
    (0..count)
        .map(|shard| Port::new(ShardId(shard), Arc::clone(&mesh)))
        .collect()
}

#[test]
fn a_full_queue_gives_the_parcel_back() {
    let mut ports = ports(2, 2);
    let to = ShardId(1);
    assert_eq!(ports[0].push(to, Lane::Urgent, 1), Ok(()));
    assert_eq!(ports[0].push_or_starve(to, Lane::Urgent, 2), Ok(()));
    assert_eq!(ports[0].push(to, Lane::Urgent, 3), Err(3));
    assert_eq!(ports[0].push_or_starve(to, Lane::Urgent, 4), Err(4));
    assert_eq!(ports[0].push(to, Lane::New, 5), Ok(()));
    let waiting = |port: &Port<u64>| [0, 1].map(|shard| port.mesh.waiting(ShardId(shard)));
    assert_eq!(waiting(&ports[0]), [0, 3]);
    let mut came = Vec::new();
    let taken = ports[1].receive(Lane::Urgent, 10, |from, parcel| {
        came.push((from, parcel));
        true
    });
    assert_eq!(taken, 2);
    assert_eq!(came, [(ShardId(0), 1), (ShardId(0), 2)]);
    assert_eq!(waiting(&ports[0]), [0, 1]);
}

#[test]
fn what_may_wait_stands_before_nothing_else_and_waits_until_there_is_room() {
    let mut ports = ports(2, 2);
    let to = ShardId(1);
    assert_eq!(ports[0].push_or_starve(to, Lane::Patient, 1), Ok(()));
    assert_eq!(ports[0].push_or_starve(to, Lane::Patient, 2), Ok(()));
    assert_eq!(ports[0].push_or_starve(to, Lane::Patient, 3), Err(3));
    assert_eq!(ports[0].push_or_starve(to, Lane::Urgent, 4), Ok(()));
    let mut came = Vec::new();
    ports[1].receive(Lane::Urgent, 10, |_, parcel| {
        came.push(parcel);
        true
    });
    assert_eq!(came, [4]);
    ports[1].receive(Lane::Patient, 10, |_, parcel| {
        came.push(parcel);
        false
    });
    assert_eq!(came, [4, 1], "the receiver has no room for another");
    ports[1].mesh.sleepers[1].announce();
    assert!(!ports[1].may_sleep(), "one waits");
    assert!(!ports[0].may_sleep(), "there is room again");
}

#[test]
fn a_starved_sender_that_sleeps_is_woken_by_room() {
    let mut ports = ports(2, 1);
    let to = ShardId(1);
    ports[0].push_or_starve(to, Lane::Urgent, 1).unwrap();
    ports[0].push_or_starve(to, Lane::Urgent, 2).unwrap_err();
    ports[0].mesh.sleepers[0].announce();
    ports[1].receive(Lane::Urgent, 1, |_, _| true);
    assert!(ports[0].mesh.sleepers[0].take_signal());
}

#[test]
fn room_made_before_the_sender_sleeps_keeps_it_awake() {
    let mut ports = ports(2, 1);
    let to = ShardId(1);
    ports[0].push_or_starve(to, Lane::Urgent, 1).unwrap();
    ports[0].push_or_starve(to, Lane::Urgent, 2).unwrap_err();
    ports[1].receive(Lane::Urgent, 1, |_, _| true);
    ports[0].mesh.sleepers[0].announce();
    assert!(!ports[0].may_sleep());
    // It has been told once; if it does not try again, it wants no room.
    assert!(ports[0].may_sleep());
}

#[test]
fn only_a_sleeper_is_woken_and_only_once() {
    let mut ports = ports(2, 8);
    let to = ShardId(1);
    ports[0].push(to, Lane::Urgent, 1).unwrap();
    assert_eq!(ports[0].wake_receivers(), 0);
    ports[0].mesh.sleepers[1].announce();
    ports[0].push(to, Lane::Urgent, 2).unwrap();
    ports[0].push(to, Lane::Urgent, 3).unwrap();
    assert_eq!(ports[0].wake_receivers(), 1);
    ports[0].push(to, Lane::Urgent, 4).unwrap();
    assert_eq!(ports[0].wake_receivers(), 0);
    assert!(!ports[0].mesh.sleepers[1].rise());
}

#[test]
fn no_sender_is_always_last() {
    let mut ports = ports(3, 8);
    for (from, parcel) in [(1, 10), (1, 11), (2, 20), (2, 21)] {
        ports[from].push(ShardId(0), Lane::Urgent, parcel).unwrap();
    }
    let mut first = Vec::new();
    for _ in 0..3 {
        ports[0].receive(Lane::Urgent, 1, |from, _| {
            first.push(from);
            true
        });
    }
    assert!(
        first.contains(&ShardId(1)) && first.contains(&ShardId(2)),
        "{first:?}"
    );
}

#[test]
fn nobody_reaches_itself_or_a_stranger() {
    let ports = ports(2, 1);
    assert!(ports[0].reaches(ShardId(1)));
    assert!(!ports[0].reaches(ShardId(0)));
    assert!(!ports[0].reaches(ShardId(2)));
    assert!(ports[1].others().eq([ShardId(0)]));
}

/// What one thread of the stress test does: sends its numbers to everybody in turn, keeps what
/// finds no room, takes what comes, and sleeps whenever it can do neither. A lost wake-up leaves
/// it asleep until its patience ends.
fn exchange(mut port: Port<u64>, count: u64) {
    let me = port.me;
    let sleeper = Arc::clone(&port.mesh.sleepers[me.index()]);
    let mut poll = Poll::new().unwrap();
    let descriptor = sleeper.descriptor().as_raw_fd();
    let registry = poll.registry();
    registry
        .register(&mut SourceFd(&descriptor), Token(0), Interest::READABLE)
        .unwrap();
    let mut events = Events::with_capacity(1);
    let others: Vec<ShardId> = port.others().collect();
    let mut sent = vec![0; others.len()];
    let mut expected = vec![0; usize::from(port.mesh.shards)];
    loop {
        let mut work = 0;
        for (&to, sent) in others.iter().zip(&mut sent) {
            while *sent < count && port.push_or_starve(to, Lane::Urgent, *sent).is_ok() {
                *sent += 1;
                work += 1;
            }
        }
        work += port.receive(Lane::Urgent, 7, |from, number| {
            assert_eq!(
                number,
                expected[from.index()],
                "in order, none lost, none twice"
            );
            expected[from.index()] += 1;
            true
        });
        port.wake_receivers();
        let complete = others.iter().all(|from| expected[from.index()] == count);
        if complete && sent.iter().all(|&sent| sent == count) {
            return;
        }
        if work > 0 {
            continue;
        }
        sleeper.announce();
        if port.may_sleep() {
            poll.poll(&mut events, Some(PATIENCE)).unwrap();
            assert!(
                !events.is_empty(),
                "{me} was not woken: {sent:?} sent, {expected:?} came"
            );
        }
        if !sleeper.rise() {
            sleeper.take_signal();
        }
    }
}

#[test]
fn no_wake_up_is_lost_however_threads_meet() {
    // Queues this small are full, and their receivers asleep, most of the time.
    for (shards, places_max, count) in [(2, 1, 20_000), (3, 2, 20_000), (4, 64, 40_000)] {
        let threads: Vec<_> = ports(shards, places_max)
            .into_iter()
            .map(|port| std::thread::spawn(move || exchange(port, count)))
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn no_lane_moves_the_turn_of_another() {
    let mut ports = ports(4, 8);
    let (to, lane) = (ShardId(0), Lane::Urgent);
    let mut first = Vec::new();
    for _ in 0..4 {
        for port in &mut ports[1..] {
            while port.push(to, lane, 0).is_ok() {}
        }
        ports[0].receive(lane, 1, |from, _| {
            first.push(from.0);
            true
        });
        ports[0].receive(Lane::New, 1, |_, _| true);
    }
    // Who is nobody, itself, has its turn as well; its place goes to the next.
    assert_eq!(first, [1, 1, 2, 3]);
}
