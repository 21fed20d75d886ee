//! Start, stop, requests, events, messages and timers, on both drivers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod echo;

use echo::{Echo, Event, PATIENCE, Request, eventually, launch, options};
use offhook_shards::limits;
use offhook_shards::{
    Counter, Driver, DriverChoice, Full, Options, Placement, ShardId, StartError, StopError,
    Transport, placement, prepare_process, start,
};
use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

on_both_drivers! {
    requests_and_events_make_the_round
    events_come_in_order_however_many_there_are
    messages_between_engines_come_in_order_and_none_is_lost
    timers_fire_in_order
    a_full_queue_of_requests_says_so
    stop_frees_the_addresses
    a_panicking_engine_is_noticed
    turns_with_work_are_timed
    events_wake_a_tokio_task
    memory_grows_in_small_pages
}

fn requests_and_events_make_the_round(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 2)) else {
        return;
    };
    for number in 0..200 {
        let shard = ShardId(u16::try_from(number % 2).unwrap());
        host.running.request(shard, Request::Ping(number)).unwrap();
        let pong = host.wait_for(|_, event| *event == Event::Pong(number));
        assert_eq!(pong.0, shard);
    }
    assert_eq!(host.running.metrics().total(Counter::Requests), 200);
    host.running.stop().unwrap();
}

fn events_come_in_order_however_many_there_are(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let count = u32::try_from(5 * limits::EVENT_QUEUE_MAX).unwrap();
    host.running
        .request(ShardId(0), Request::Flood(count))
        .unwrap();
    // Nobody fetches them at first, so the queue fills and the engine keeps the rest.
    let metrics = host.running.metrics();
    eventually("the queue does not fill", || {
        metrics.total(Counter::EventQueueFull) > 0
    });
    assert_eq!(
        metrics.total(Counter::Events),
        limits::EVENT_QUEUE_MAX as u64
    );
    host.wait_until(|seen| seen.len() == count as usize);
    let expected: Vec<_> = (0..count)
        .map(|number| (ShardId(0), Event::Flood(number)))
        .collect();
    assert_eq!(host.seen, expected);
    host.running.stop().unwrap();
}

fn messages_between_engines_come_in_order_and_none_is_lost(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 2)) else {
        return;
    };
    let count = u32::try_from(10 * limits::MESH_QUEUE_MAX).unwrap();
    let routes = [(0, 1), (1, 0), (1, 1)];
    for (from, to) in routes {
        let to = ShardId(to);
        host.running
            .request(ShardId(from), Request::Messages { to, count })
            .unwrap();
    }
    host.wait_until(|seen| seen.len() == routes.len() * count as usize);
    for (from, to) in routes {
        let came = host.seen.iter().filter_map(|(at, event)| {
            let Event::Message {
                from: sender,
                number,
            } = event
            else {
                panic!("{event:?}");
            };
            (*sender == ShardId(from) && *at == ShardId(to)).then_some(*number)
        });
        assert!(came.eq(0..count), "from {from} to {to}");
    }
    host.running.stop().unwrap();
}

fn timers_fire_in_order(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let after = |millis, number| (Duration::from_millis(millis), number);
    let timers = vec![
        after(60, 5),
        after(5, 2),
        after(0, 0),
        after(20, 4),
        after(5, 3),
        after(1, 1),
    ];
    host.running
        .request(ShardId(0), Request::Timers(timers))
        .unwrap();
    host.wait_until(|seen| seen.len() == 6);
    let fired: Vec<Event> = host.seen.iter().map(|(_, event)| event.clone()).collect();
    assert_eq!(fired, (0..6).map(Event::Timer).collect::<Vec<_>>());
    // Each deadline costs a wake-up or two, not a busy loop.
    let metrics = host.running.metrics();
    host.running.stop().unwrap();
    assert!((1..=6).contains(&metrics.total(Counter::EngineTimeouts)));
    assert!(metrics.total(Counter::Turns) < 1_000);
}

fn a_full_queue_of_requests_says_so(driver: Driver) {
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    // The shard empties its queue while it is filled, so "full" comes late, but it comes.
    let full = (0..10_000_000).find_map(|_| {
        host.running
            .request(ShardId(0), Request::Timers(Vec::new()))
            .err()
    });
    assert_eq!(full, Some(Full));
    assert!(host.running.metrics().total(Counter::RequestQueueFull) >= 1);
    host.running.stop().unwrap();
}

fn stop_frees_the_addresses(driver: Driver) {
    let mut options = options(driver, 2);
    for _ in 0..3 {
        let Some(host) = launch(&options) else { return };
        // From the second round on these are the very ports of the first.
        options.udp = host.running.udp_addresses().to_vec();
        options.tcp = host.running.tcp_addresses().to_vec();
        assert!(
            options
                .udp
                .iter()
                .chain(&options.tcp)
                .all(|address| address.port() != 0)
        );
        host.running.stop().unwrap();
    }
    UdpSocket::bind(options.udp[0]).unwrap();
    TcpListener::bind(options.tcp[0]).unwrap();
}

fn a_panicking_engine_is_noticed(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 2)) else {
        return;
    };
    let control = host.running.control();
    assert_eq!(control.ended(), None);
    host.running.request(ShardId(1), Request::Panic).unwrap();
    eventually("nobody notices", || control.ended().is_some());
    assert_eq!(control.ended(), Some(ShardId(1)));
    // The other one goes on.
    host.running.request(ShardId(0), Request::Ping(7)).unwrap();
    host.wait_for(|shard, event| shard == ShardId(0) && *event == Event::Pong(7));
    assert_eq!(
        host.running.stop(),
        Err(StopError::Panicked { shard: ShardId(1) })
    );
}

fn turns_with_work_are_timed(driver: Driver) {
    let Some(mut host) = launch(&options(driver, 1)) else {
        return;
    };
    let me = ShardId(0);
    for number in 0..100 {
        host.running.request(me, Request::Ping(number)).unwrap();
        host.wait_for(|_, event| *event == Event::Pong(number));
    }
    let metrics = host.running.metrics();
    let timed = || {
        metrics
            .shard(me)
            .turns()
            .counts()
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    // A turn is counted when it has ended, which is after its event can be heard.
    eventually("turns are not timed", || timed() >= 100);
    assert!(timed() <= metrics.total(Counter::Turns));
    host.running.stop().unwrap();
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for types that swap their descriptor"
)]
fn events_wake_a_tokio_task(driver: Driver) {
    use tokio::io::unix::AsyncFd;
    let Some(host) = launch(&options(driver, 2)) else {
        return;
    };
    let echo::Host {
        running, events, ..
    } = host;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let listen = async move {
        let mut events = AsyncFd::new(events).unwrap();
        for number in 0..200 {
            running
                .request(ShardId(number % 2), Request::Ping(number.into()))
                .unwrap();
            let mut seen = Vec::new();
            while seen.is_empty() {
                let mut ready = events.readable_mut().await.unwrap();
                ready.clear_ready();
                let events = ready.get_inner_mut();
                while events.drain(16, &mut seen) > 0 || !events.arm() {}
            }
            assert_eq!(seen, [(ShardId(number % 2), Event::Pong(number.into()))]);
        }
        running
    };
    let running = runtime.block_on(async { tokio::time::timeout(PATIENCE, listen).await });
    running.unwrap().stop().unwrap();
}

#[test]
fn auto_takes_a_driver_and_says_why_it_is_not_io_uring() {
    let options = Options {
        driver: DriverChoice::Auto,
        ..options(Driver::Epoll, 1)
    };
    let host = launch(&options).unwrap();
    let reason = host.running.fallback_reason();
    println!("{}: {reason:?}", host.running.driver().name());
    assert_eq!(host.running.driver() == Driver::Epoll, reason.is_some());
    assert!(reason.is_none_or(|reason| !reason.contains('\n')));
    host.running.stop().unwrap();
}

#[test]
fn auto_falls_back_where_too_little_memory_may_be_locked() {
    // A process of its own, because a limit holds for all threads: this very test binary, told to
    // run the test above.
    let test = "auto_takes_a_driver_and_says_why_it_is_not_io_uring";
    let binary = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -l 64 && exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(binary)
        .arg(test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("epoll: Some("), "{said}");
    // Where io_uring is denied altogether, that is said instead.
    let uring_works = start(&options(Driver::Uring, 1), Echo::new).is_ok();
    assert_eq!(said.contains("only 64 KiB"), uring_works, "{said}");
}

#[test]
fn a_driver_that_was_asked_for_needs_no_excuse() {
    let host = launch(&options(Driver::Epoll, 1)).unwrap();
    assert_eq!(host.running.driver(), Driver::Epoll);
    assert_eq!(host.running.fallback_reason(), None);
    host.running.stop().unwrap();
}

#[test]
fn a_taken_address_is_refused_with_its_name() {
    let first = launch(&options(Driver::Epoll, 2)).unwrap();
    for (transport, address) in [(Transport::Udp, first.udp()), (Transport::Tcp, first.tcp())] {
        let mut second = Options {
            driver: DriverChoice::Epoll,
            ..Options::default()
        };
        match transport {
            Transport::Udp => second.udp.push(address),
            Transport::Tcp => second.tcp.push(address),
            Transport::Tls => second.tls.push(address),
        }
        let error = start(&second, Echo::new).err().unwrap();
        assert!(error.to_string().contains("in use"), "{error}");
        let StartError::Bind {
            transport: told,
            address: at,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((told, at), (transport, address));
    }
    first.running.stop().unwrap();
}

#[test]
fn shards_run_on_the_cores_they_are_given() {
    let online = placement::online_cores().unwrap();
    let options = Options {
        placement: Placement::Cores(vec![online[online.len() - 1]]),
        ..options(Driver::Epoll, 1)
    };
    let host = launch(&options).unwrap();
    assert_eq!(host.running.plan().shards, [online.last().copied()]);
    host.running.stop().unwrap();

    let absent = Options {
        placement: Placement::Cores(vec![4_000]),
        ..Options::default()
    };
    let error = start(&absent, Echo::new).err().unwrap();
    assert!(error.to_string().contains("core 4000"), "{error}");
}

#[test]
fn the_number_of_shards_has_limits() {
    for shards in [0, limits::SHARDS_MAX + 1] {
        let options = Options {
            shards,
            ..Options::default()
        };
        let error = start(&options, Echo::new).err().unwrap();
        assert!(matches!(error, StartError::Shards { shards: told } if told == shards));
    }
}

fn memory_grows_in_small_pages(driver: Driver) {
    prepare_process();
    let Some(host) = launch(&options(driver, 1)) else {
        return;
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    // Kernels before 5.0 do not say.
    let says = status.lines().find(|line| line.starts_with("THP_enabled"));
    assert!(says.is_none_or(|says| says.ends_with('0')), "{says:?}");
    host.running.stop().unwrap();
}
