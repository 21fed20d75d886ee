//! What is measured and counted where things go wrong: limits, silence, lateness, odd peers.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use offhook_shards::{Engine, Transport};

use super::lab::{lab_with, request};
use crate::load::{Plan, Shape, Spacing};
use crate::reach::Reach;
use crate::scenario::floor::Log;
use crate::scenario::station::{Ending, Order, Report, Worker};
use crate::scenario::statistics::Statistics;

fn talk(milliseconds: u32) -> String {
    format!(
        "{}<pause milliseconds=\"{milliseconds}\"/>",
        request("INFO", "")
    )
}

fn options() -> String {
    format!(
        "{}<recv response=\"200\" rtd=\"1\" timeout=\"500\"/>",
        request("OPTIONS", "start_rtd=\"1\"")
    )
}

#[test]
fn users_beyond_a_limit_wait_and_do_not_spin() {
    let mut lab = lab_with(&talk(300), |settings| {
        settings.load.users = Some(5);
        settings.load.limit = Some(2);
        settings.load.calls_max = None;
    });
    lab.advance(5_000);
    let statistics = lab.statistics();
    assert_eq!(statistics.peak, 2);
    assert!(statistics.limited <= 5 * 6, "{}", statistics.limited);
    assert!(statistics.outgoing >= 30, "{}", statistics.outgoing);
}

#[test]
fn a_limit_is_for_all_workers_together() {
    let at_once = Arc::new(AtomicUsize::new(0));
    let mut peaks = 0;
    let mut labs: Vec<_> = (0..4)
        .map(|worker| {
            lab_with(&talk(5_000), |settings| {
                settings.worker = worker;
                settings.workers = 4;
                settings.load.calls_max = None;
                settings.load.limit = Some(2);
                settings.at_once = Arc::clone(&at_once);
            })
        })
        .collect();
    for lab in &mut labs {
        lab.advance(1_000);
        peaks += lab.statistics().current;
    }
    assert_eq!(peaks, 2);
    // Whose calls have ended makes room for others.
    for lab in &mut labs {
        lab.advance(6_000);
    }
    assert!(labs.iter().all(|lab| lab.statistics().peak <= 2));
    let opened: u64 = labs.iter().map(|lab| lab.statistics().outgoing).sum();
    assert!(opened >= 4, "{opened}");
}

#[test]
fn what_nobody_answers_took_as_long_as_it_was_waited_for() {
    let mut lab = lab_with(&options(), |_| {});
    lab.advance(600);
    assert_eq!(lab.statistics().failed(), 1);
    let times = &lab.statistics().response_times[0];
    assert_eq!(times.latency.response.count(), 0);
    assert_eq!(times.waited.count(), 1);
    assert_eq!(times.waited.max_us() / 1_000, 500);
}

#[test]
fn what_was_refused_or_never_asked_is_no_silence() {
    // Refused: an answer came. Never asked: the time begins behind a message that does not come.
    let scenario = format!(
        "<recv response=\"200\" timeout=\"500\"/>{}",
        request("INFO", "start_rtd=\"1\"")
    );
    let scenario = format!(
        "{}{scenario}<recv response=\"200\" rtd=\"1\"/>",
        request("OPTIONS", "")
    );
    for refused in [true, false] {
        let mut lab = lab_with(&scenario, |_| {});
        let options = lab.sent().pop().expect("the first request");
        if refused {
            lab.answer(&options, "503 Overloaded", "");
        }
        lab.advance(600);
        assert_eq!(lab.statistics().failed(), 1);
        assert_eq!(
            lab.statistics().response_times[0].waited.count(),
            0,
            "{refused}"
        );
    }
}

#[test]
fn the_length_of_a_call_counts_from_the_intended_moment_as_well() {
    let mut lab = lab_with(&talk(100), |settings| settings.load.calls_max = Some(2));
    // The second call was due after 100 ms; nobody woke the station for 400.
    lab.now += Duration::from_millis(400);
    lab.station.expire(lab.now);
    lab.advance(1_000);
    let length = &lab.statistics().call_length;
    assert_eq!(lab.statistics().successful, 2);
    assert!(
        length.response.max_us() >= 400_000,
        "{}",
        length.response.max_us()
    );
    assert_eq!(length.response.count(), length.service.count());
}

#[test]
fn a_server_is_as_late_as_it_takes_what_has_come() {
    let mut lab = lab_with("<recv request=\"INFO\"/><recv request=\"BYE\"/>", |_| {});
    lab.now += Duration::from_millis(500);
    lab.station
        .note_arrival(lab.now - Duration::from_millis(420));
    lab.ask("INFO", 1, "");
    assert_eq!(lab.statistics().lag.count(), 1);
    assert_eq!(lab.statistics().lag.max_us() / 1_000, 420);
}

/// What a worker has counted.
fn counted(worker: &mut Worker, now: Instant) -> Statistics {
    worker.handle_request(now, Order::Report);
    loop {
        match worker.poll_event().expect("it reports") {
            Report::Statistics(statistics, _) => return *statistics,
            Report::Thread(_)
            | Report::Everybody(_)
            | Report::Execute(_)
            | Report::Ladder(_)
            | Report::Lines(_)
            | Report::Ended(..) => {}
        }
    }
}

#[test]
fn a_server_of_streams_is_as_late_as_it_wakes_up() {
    // The beat that was late, and the 42 that were due meanwhile.
    let server = "<recv request=\"INFO\"/>".to_owned();
    let client = format!("{}<recv response=\"200\"/>", request("INFO", ""));
    for (transport, body, beats) in [
        (Transport::Tcp, &server, 43),
        (Transport::Tls, &server, 43),
        (Transport::Udp, &server, 0),
        (Transport::Tcp, &client, 0),
    ] {
        let lab = lab_with(body, |settings| settings.transport = transport);
        let before = lab.statistics().lag.count();
        let mut worker = Worker::new(lab.now, lab.station);
        let due = worker.poll_timeout().expect("it watches itself");
        let now = due + Duration::from_millis(420);
        worker.handle_timeout(now);
        let lag = counted(&mut worker, now).lag;
        assert_eq!(lag.count() - before, beats, "{transport:?} {body}");
        if beats > 0 {
            assert_eq!(lag.max_us() / 1_000, 420);
            assert!(lag.quantile_us(0.5) / 1_000 >= 200);
        }
    }
}

#[test]
fn a_plan_that_is_paused_goes_on_where_it_was() {
    let mut lab = lab_with(&talk(10), |settings| {
        settings.load.calls_max = None;
        settings.load.plan = Some(Plan::Shaped {
            shape: Shape::steps(&[5.0, 10.0], Duration::from_secs(1)),
            spacing: Spacing::Even,
        });
    });
    lab.advance(950);
    assert_eq!(lab.statistics().outgoing, 5);
    lab.station.pause(lab.now);
    assert_eq!(lab.station.rate(), 0.0);
    lab.advance(10_000);
    assert_eq!(lab.statistics().outgoing, 5);
    lab.station.pause(lab.now);
    lab.advance(2_000);
    assert_eq!(lab.statistics().outgoing, 15);
    assert_eq!(lab.station.ending(), Some(Ending::Complete));
}

#[test]
fn users_pause_as_well() {
    let mut lab = lab_with(&talk(100), |settings| {
        settings.load.users = Some(2);
        settings.load.calls_max = None;
    });
    lab.advance(250);
    let before = lab.statistics().outgoing;
    lab.station.pause(lab.now);
    lab.advance(1_000);
    assert_eq!(
        (lab.statistics().outgoing, lab.statistics().current),
        (before, 0)
    );
    lab.station.pause(lab.now);
    lab.advance(50);
    assert_eq!(lab.statistics().outgoing, before + 2);
    // The pause is nobody's lateness.
    assert!(lab.statistics().lag.max_us() < 1_000);
}

#[test]
fn sip_that_ends_like_a_command_is_sip() {
    let mut lab = lab_with(
        "<recv request=\"INFO\"/><recv request=\"BYE\"/>",
        |settings| {
            settings.transport = Transport::Tcp;
        },
    );
    lab.receive_bytes(
        b"INFO sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5070;branch=z9hG4bK-1\r\n\
        From: <sip:x@y>;tag=5\r\nTo: <sip:c@d>\r\nCall-ID: 1-77@127.0.0.1\r\nCSeq: 1 INFO\r\n\
        Content-Length: 3\r\n\r\nab\x1b",
    );
    assert_eq!(lab.statistics().incoming, 1);
    assert_eq!(lab.statistics().steps[0].messages, 1);
}

#[test]
fn numbers_of_cseq_that_are_none_are_ignored() {
    let scenario = format!(
        "<recv request=\"INFO\"/>{}<recv response=\"200\"/>",
        request("OPTIONS", "")
    );
    for (peers, ours) in [
        ("7", "8"),
        ("2147483648", "1"),
        ("18446744073709551615", "1"),
    ] {
        let mut lab = lab_with(&scenario, |_| {});
        lab.receive(&format!(
            "INFO sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-1\r\n\
             From: <sip:x@y>;tag=5\r\nTo: <sip:c@d>\r\nCall-ID: 1-77@127.0.0.1\r\n\
             CSeq: {peers} INFO\r\nContent-Length: 0\r\n\r\n"
        ));
        let sent = lab.sent().pop().expect("the answer to it");
        assert!(sent.contains(&format!("CSeq: {ours} OPTIONS")), "{sent}");
    }
}

/// Whom a call may go to that `setdest` sends elsewhere, and where media may go.
#[test]
fn calls_and_media_go_to_no_machine_that_is_not_allowed() {
    let first = request("INFO", "");
    let second = request("OPTIONS", "");
    let scenario = format!(
        "{first}<recv response=\"200\"><action><setdest host=\"192.0.2.9\" port=\"5060\" \
         protocol=\"udp\"/></action></recv>{second}"
    );
    for allowed in [false, true] {
        let mut lab = lab_with(&scenario, |settings| {
            if allowed {
                settings.reach = Reach::new(&[[192, 0, 2, 9].into()]);
            }
        });
        let asked = lab.sent().pop().expect("the first request");
        lab.answer(&asked, "200 OK", "");
        let mut bytes = Vec::new();
        let sent = lab
            .station
            .transmit(&mut bytes)
            .expect("the second request");
        assert_eq!(sent.remote.ip().is_loopback(), !allowed);
        assert_eq!(lab.statistics().unreached, u64::from(!allowed));
    }
}

/// The peer's description names a machine, and the digits are for it.
#[test]
fn media_go_to_no_machine_that_is_not_allowed() {
    let first = request("INVITE", "");
    let scenario = format!(
        "{first}<recv response=\"200\"/><nop><action><exec play_dtmf=\"12\"/></action></nop>\
         <pause milliseconds=\"2000\"/>"
    );
    for (host, allowed) in [
        ("192.0.2.9", false),
        ("192.0.2.9", true),
        ("127.0.0.9", false),
    ] {
        let mut lab = lab_with(&scenario, |settings| {
            settings.has_media = true;
            if allowed {
                settings.reach = Reach::new(&[[192, 0, 2, 9].into()]);
            }
        });
        let asked = lab.sent().pop().expect("the INVITE");
        lab.answer_with(
            &asked,
            &format!("v=0\r\nc=IN IP4 {host}\r\nm=audio 7000 RTP/AVP 8 101\r\n"),
        );
        lab.advance(1_000);
        let is_here = host.starts_with("127.");
        let may = allowed || is_here;
        assert_eq!(lab.statistics().unreached, u64::from(!may), "{host}");
    }
}

#[test]
fn a_limit_that_is_set_while_calls_live_counts_them() {
    let mut lab = lab_with(&talk(2_000), |settings| {
        settings.load.calls_max = None;
        settings.load.rate = 10.0;
    });
    lab.advance(1_000);
    assert!(lab.statistics().current > 5, "{}", lab.statistics().current);
    lab.station.set_limit(4);
    let before = lab.statistics().outgoing;
    lab.advance(900);
    assert_eq!(lab.statistics().outgoing, before);
    lab.advance(3_000);
    let statistics = lab.statistics();
    assert!(statistics.outgoing > before && statistics.current <= 4);
    lab.station.set_limit(1_000);
    lab.advance(1_900);
    assert!(
        lab.statistics().current > 10,
        "{}",
        lab.statistics().current
    );
}

#[test]
fn users_come_and_go_while_a_run_lasts() {
    let mut lab = lab_with(&talk(300), |settings| {
        settings.load.users = Some(2);
        settings.load.calls_max = None;
    });
    lab.advance(1_000);
    assert_eq!(lab.statistics().peak, 2);
    lab.station.set_users(lab.now, 5);
    lab.advance(50);
    assert_eq!(lab.statistics().current, 5);
    // Those who are to go end their calls; who comes back before that is not there twice.
    lab.station.set_users(lab.now, 1);
    lab.station.set_users(lab.now, 3);
    lab.station.set_users(lab.now, 1);
    lab.advance(1_000);
    assert_eq!(lab.statistics().current, 1);
    lab.station.set_users(lab.now, 3);
    lab.advance(1_000);
    let statistics = lab.statistics();
    assert_eq!((statistics.current, statistics.peak), (3, 5));
    let per_second = statistics.outgoing;
    lab.advance(3_000);
    assert!(lab.statistics().outgoing - per_second <= 3 * 11);
}

#[test]
fn traces_begin_and_end_while_a_run_lasts() {
    let mut lab = lab_with(&talk(10), |settings| settings.load.calls_max = None);
    lab.advance(300);
    assert!(lab.station.take_lines().is_empty());
    lab.station.trace(Log::Short, true);
    lab.advance(300);
    let lines = lab.station.take_lines();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.log == Log::Short));
    lab.station.trace(Log::Short, false);
    lab.advance(300);
    assert!(lab.station.take_lines().is_empty());
}

#[test]
fn every_call_can_be_asked_where_it_is() {
    let mut lab = lab_with(&talk(10_000), |settings| settings.load.calls_max = Some(2));
    lab.advance(500);
    lab.station.trace(Log::Error, true);
    lab.station.tell_tasks(lab.now);
    let lines = lab.station.take_lines();
    let texts = lines
        .iter()
        .map(|line| String::from_utf8_lossy(&line.text).into_owned());
    let texts: Vec<String> = texts.collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(
        texts.iter().all(|text| text.contains(" is at step 1: ")),
        "{texts:?}"
    );
}
