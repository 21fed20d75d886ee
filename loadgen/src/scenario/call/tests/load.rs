//! When calls are opened, how many, and what is measured of it.

use std::time::Duration;

use offhook_shards::{ConnectionChange, ConnectionOutcome, Transport};

use super::lab::{lab_with, request};
use crate::load::Spacing;
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
fn with_ticks_calls_and_pauses_keep_to_them_and_answers_count_from_when_they_came() {
    let micros = Duration::from_micros;
    let scenario = format!(
        "{}<recv response=\"200\" rtd=\"true\"/><pause milliseconds=\"3\"/>{}",
        request("OPTIONS", ""),
        request("INFO", "")
    );
    let mut lab = lab_with(&scenario, |settings| {
        settings.tick = Duration::from_millis(1);
        settings.load.calls_max = Some(5);
        settings.load.rate = 1_600.0;
    });
    // One every 625 µs: what is due between two ticks is due at the second.
    assert_eq!(lab.sent().len(), 1);
    assert_eq!(lab.station.next_deadline(), Some(lab.start + micros(1_000)));
    lab.advance(1);
    assert_eq!(lab.sent().len(), 1);
    lab.advance(1);
    let options = lab.sent();
    assert_eq!(options.len(), 2);
    assert_eq!(lab.statistics().lag.max_us(), 1);
    // It came 400 µs after it was asked for, and is looked at a little later.
    lab.station.note_arrival(lab.now + micros(400));
    lab.now += micros(900);
    lab.answer(&options[0], "200 OK", "");
    assert_eq!(
        lab.statistics().response_times[0].latency.service.max_us(),
        400
    );
    lab.station.expire(lab.now);
    let pause_ends = lab.start + Duration::from_millis(6);
    while let Some(next) = lab
        .station
        .next_deadline()
        .filter(|next| *next < pause_ends)
    {
        lab.now = next;
        lab.station.expire(next);
        assert!(
            lab.sent()
                .iter()
                .all(|message| message.starts_with("OPTIONS"))
        );
    }
    lab.now = pause_ends;
    lab.station.expire(pause_ends);
    assert!(lab.sent().iter().any(|message| message.starts_with("INFO")));
    assert_eq!(lab.statistics().lag.max_us(), 1);
}

#[test]
fn a_call_sends_in_order_however_others_send_beside_it() {
    let scenario = ["one", "two", "three", "four", "five"]
        .map(|word| request("INFO", "").replace("CSeq", &format!("Subject: {word}\nCSeq")));
    let mut lab = lab_with(&scenario.concat(), |settings| {
        settings.load.users = Some(3);
        settings.load.calls_max = Some(3);
    });
    let sent = lab.sent();
    let subject = |text: &String| {
        let line = text.lines().find(|line| line.starts_with("Subject"));
        line.unwrap_or_default().to_owned()
    };
    let of = |call: usize| {
        let id = format!("Call-ID: {call}-");
        let own = sent.iter().filter(|text| text.contains(&id));
        own.map(subject).collect::<Vec<_>>()
    };
    for call in 1..=3 {
        let words = ["one", "two", "three", "four", "five"];
        assert_eq!(of(call), words.map(|word| format!("Subject: {word}")));
    }
    // The first ones of all calls stand together, and so do the second ones.
    assert_eq!(
        sent[..3].iter().map(subject).collect::<Vec<_>>(),
        ["Subject: one"; 3]
    );
    assert_eq!(
        sent[3..6].iter().map(subject).collect::<Vec<_>>(),
        ["Subject: two"; 3]
    );
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

/// When what was sent by each of the workers, in virtual time: calls that come by chance, and whose
/// pauses, branches and losses are chance as well.
fn transcripts(seed: u64, workers: u64) -> Vec<Vec<(u128, String)>> {
    let scenario = [
        request("INFO", ""),
        "<pause distribution=\"exponential\" mean=\"100\"/>".to_owned(),
        "<nop next=\"short\" chance=\"0.5\"/>".to_owned(),
        request("OPTIONS", "lost=\"50\""),
        "<label id=\"short\"/>".to_owned(),
        request("BYE", ""),
    ]
    .concat();
    let transcript = |worker| {
        let mut lab = lab_with(&scenario, |settings| {
            settings.seed = seed;
            settings.load.calls_max = Some(40);
            settings.load.spacing = Spacing::Poisson;
            (settings.worker, settings.workers) = (worker, workers);
        });
        let mut said = Vec::new();
        for _ in 0..8_000 {
            lab.advance(1);
            let at = lab.elapsed();
            said.extend(lab.lines().into_iter().map(|line| (at, line)));
        }
        said
    };
    (0..workers).map(transcript).collect()
}

#[test]
fn the_same_seed_makes_the_same_schedule_and_choices() {
    for workers in [1, 3] {
        let said = transcripts(7, workers);
        assert_eq!(said, transcripts(7, workers));
        assert_ne!(said, transcripts(8, workers));
        let all: Vec<&(u128, String)> = said.iter().flatten().collect();
        let count = |method: &str| {
            let starts = |said: &&&(u128, String)| said.1.starts_with(method);
            all.iter().filter(starts).count()
        };
        assert_eq!((count("INFO"), count("BYE")), (40, 40));
        assert!((1..40).contains(&count("OPTIONS")), "{}", count("OPTIONS"));
    }
}

#[test]
fn the_moments_of_calls_do_not_depend_on_how_many_workers_share_them() {
    let moments = |workers| {
        let all = transcripts(7, workers).concat();
        let mut moments: Vec<u128> = all
            .into_iter()
            .filter(|(_, line)| line.starts_with("INFO"))
            .map(|(at, _)| at)
            .collect();
        moments.sort_unstable();
        moments
    };
    assert_eq!(moments(1), moments(3));
}
