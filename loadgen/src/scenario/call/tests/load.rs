//! When calls are opened, how many, and what is measured of it.

use std::time::Duration;

use offhook_shards::{ConnectionChange, ConnectionOutcome, Transport};

use super::lab::{lab_with, request, response};
use crate::scenario::settings::Growth;
use crate::scenario::station::Ending;
use crate::scenario::statistics::Failure;

fn talk(milliseconds: u32) -> String {
    format!(
        "{}<pause milliseconds=\"{milliseconds}\"/>",
        request("INFO", "")
    )
}

#[test]
fn calls_are_opened_at_the_rate_until_there_are_enough() {
    let mut lab = lab_with(&talk(50), |settings| {
        settings.load.rate = 20.0;
        settings.load.calls_max = Some(5);
    });
    lab.advance(199);
    assert_eq!((lab.sent().len(), lab.station.ending()), (4, None));
    lab.advance(1_000);
    assert_eq!(lab.sent().len(), 1);
    assert_eq!(lab.statistics().successful, 5);
    assert_eq!(lab.station.ending(), Some(Ending::Complete));
}

#[test]
fn a_growing_rate_ends_the_run_when_its_highest_was_held() {
    for (ends, expected) in [(true, 30), (false, 61)] {
        let mut lab = lab_with(&talk(50), |settings| {
            settings.load.calls_max = None;
            settings.load.growth = Some(Growth {
                step: 15.0,
                interval: Duration::from_secs(1),
                rate_max: Some(20.0),
                ends,
            });
        });
        lab.advance(3_540);
        assert_eq!(lab.sent().len(), expected);
        let ending = ends.then_some(Ending::Complete);
        assert_eq!(lab.station.ending(), ending);
    }
}

#[test]
fn a_limit_drops_arrivals_and_counts_them() {
    let mut lab = lab_with(&talk(1_000), |settings| {
        settings.load.calls_max = None;
        settings.load.limit = Some(3);
    });
    lab.advance(950);
    assert_eq!((lab.sent().len(), lab.statistics().limited), (3, 7));
    assert_eq!(lab.statistics().peak, 3);
}

#[test]
fn users_call_again_and_again() {
    let mut lab = lab_with(&talk(100), |settings| {
        settings.load.users = Some(2);
        settings.load.calls_max = None;
    });
    lab.advance(250);
    assert_eq!((lab.sent().len(), lab.statistics().current), (6, 2));
    lab.station.drain();
    lab.advance(100);
    assert_eq!(lab.station.ending(), Some(Ending::Complete));
}

#[test]
fn lateness_of_the_generator_is_in_the_response_time_and_not_in_the_service_time() {
    let scenario = format!(
        "{}<recv response=\"200\" rtd=\"true\"/>",
        request("OPTIONS", "")
    );
    let mut lab = lab_with(&scenario, |settings| settings.load.calls_max = Some(2));
    lab.sent();
    // The second call was due after 100 ms; nobody woke the station for 400.
    lab.now += Duration::from_millis(400);
    lab.station.expire(lab.now);
    let options = lab.sent().pop().expect("the second call");
    lab.now += Duration::from_millis(20);
    lab.answer(&options, "200 OK", "");
    let times = &lab.statistics().response_times[0].latency;
    assert_eq!(times.service.max_us() / 1_000, 20);
    assert_eq!(times.response.max_us() / 1_000, 320);
    assert_eq!(lab.statistics().lag.max_us() / 1_000, 300);
}

#[test]
fn a_scenario_or_an_operator_ends_the_run() {
    let stopping = |word: &str| {
        format!(
            "{}<nop><action><exec int_cmd=\"{word}\"/></action></nop>",
            request("INFO", "")
        )
    };
    let endless = |settings: &mut crate::scenario::settings::Settings| {
        settings.load.calls_max = None;
    };
    let mut now = lab_with(&stopping("stop_now"), endless);
    assert_eq!(now.station.ending(), Some(Ending::Stopped));
    assert_eq!(now.station.next_deadline(), None);
    let mut gracefully = lab_with(&stopping("stop_gracefully"), endless);
    gracefully.advance(1_000);
    assert_eq!(gracefully.station.ending(), Some(Ending::Complete));
    assert_eq!(gracefully.sent().len() + now.sent().len(), 2);
    let fatal = "<nop><action><error message=\"enough\"/></action></nop>";
    let fatal = lab_with(&(request("INFO", "") + fatal), endless);
    assert_eq!(fatal.station.ending(), Some(Ending::Fatal));
}

#[test]
fn a_lost_connection_fails_the_calls_that_need_it() {
    let scenario = [
        request("INFO", "").as_str(),
        "<recv response=\"200\"/>",
        "<timewait milliseconds=\"1000\"/>",
    ]
    .concat();
    let change = |outcome| ConnectionChange {
        connection: None,
        remote: std::net::SocketAddr::from(([127, 0, 0, 1], 5_070)),
        outcome,
    };
    let stream = |settings: &mut crate::scenario::settings::Settings| {
        settings.transport = Transport::Tcp;
    };
    let mut lab = lab_with(&scenario, stream);
    lab.station
        .lose(lab.now, change(ConnectionOutcome::ConnectFailed));
    assert!(lab.failed_by(Failure::ConnectFailed));
    let mut lab = lab_with(&scenario, stream);
    let info = lab.sent().pop().expect("an INFO");
    lab.answer(&info, "200 OK", "");
    lab.station.lose(lab.now, change(ConnectionOutcome::Closed));
    assert!(lab.is_successful());
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let scenario = format!(
        "{}<pause distribution=\"exponential\" mean=\"100\"/>{}",
        request("INFO", ""),
        response("200 OK", "lost=\"50\"")
    );
    let run = |seed| {
        let mut lab = lab_with(&scenario, |settings| {
            settings.seed = seed;
            settings.load.calls_max = Some(20);
        });
        let mut times = Vec::new();
        for _ in 0..4_000 {
            let count = lab.sent().len();
            times.push(count);
            lab.advance(1);
        }
        times
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
