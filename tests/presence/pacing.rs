//! P10: many DNs due at once, in virtual time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use offhook::config::DnIndex;
use offhook::cti::SubscriptionStatus;
use offhook::dialog::SubscriptionEvent;
use offhook::sip::Status;

use crate::lab::{Lab, Sent, config, notified, pidf_about, seconds};

const DNS: u32 = 10_000;

fn crowd(shards: u16) -> Lab {
    let agents = "[[agents]]\nrange = \"10000-19999\"\ntrunks = [\"pbx\"]";
    Lab::with(config("expires = 3600", agents), shards, 11)
}

/// Runs with a PBX that answers everything within 10 ms; `answer` may say otherwise.
fn serve(lab: &mut Lab, time: Duration, answer: impl Fn(&Sent) -> Option<SubscriptionEvent>) {
    let end = lab.now + time;
    let mut seen = lab.sent.len();
    let mut due: VecDeque<(Instant, DnIndex, SubscriptionEvent)> = VecDeque::new();
    loop {
        for (at, dn, sent) in &lab.sent[seen..] {
            let at = *at + Duration::from_millis(10);
            if let Some(event) = answer(sent) {
                due.push_back((at, *dn, event));
            } else if *sent != Sent::Forget {
                let accepted = SubscriptionEvent::Accepted {
                    expires: seconds(3_600),
                };
                due.push_back((at, *dn, accepted));
                let entity = format!("sip:{}@192.0.2.20", 10_000 + dn.0);
                due.push_back((at, *dn, notified(&pidf_about(&entity, "open", ""), None)));
            }
        }
        seen = lab.sent.len();
        let timer = lab.watchers.poll_timeout();
        let next = [timer, due.front().map(|event| event.0)]
            .into_iter()
            .flatten()
            .min();
        let Some(at) = next.filter(|at| *at <= end) else {
            break;
        };
        lab.now = at.max(lab.now);
        if due.front().is_some_and(|event| event.0 <= lab.now) {
            let (_, dn, event) = due.pop_front().expect("just seen");
            let epoch = lab.epochs[&dn];
            lab.event_for(dn, epoch, event);
        } else {
            lab.watchers.handle_timeout(lab.now, &mut lab.trunks);
            lab.drain();
        }
    }
    lab.now = end;
}

fn as_usual(_: &Sent) -> Option<SubscriptionEvent> {
    None
}

/// The most SUBSCRIBEs within any second.
fn busiest_second(lab: &Lab) -> usize {
    let times: Vec<Instant> = lab
        .sent
        .iter()
        .filter(|sent| sent.2 != Sent::Forget)
        .map(|sent| sent.0)
        .collect();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in times.iter().enumerate() {
        while *at - times[first] >= seconds(1) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

fn active(lab: &Lab) -> u32 {
    let is_active = |dn: &u32| lab.status_of(DnIndex(*dn)) == SubscriptionStatus::Active;
    (0..DNS).filter(is_active).count() as u32
}

#[test]
fn p10_ten_thousand_dns_start_at_the_rate_and_all_arrive() {
    let mut lab = crowd(1);
    serve(&mut lab, seconds(201), as_usual);
    assert_eq!(active(&lab), DNS, "10,000 at 50 a second");
    assert!(busiest_second(&lab) <= 50, "{}", busiest_second(&lab));
    assert_eq!(lab.sent.len(), DNS as usize);
}

#[test]
fn p10_shards_share_the_rate() {
    let mut lab = crowd(4);
    serve(&mut lab, seconds(100), as_usual);
    let sent = lab.sent.len();
    assert!((1_248..=1_251).contains(&sent), "12.5 a second: {sent}");
    assert!(busiest_second(&lab) <= 13, "{}", busiest_second(&lab));
}

#[test]
fn p10_a_day_of_refreshes_stays_below_the_rate_and_loses_nobody() {
    let mut lab = crowd(1);
    serve(&mut lab, seconds(6 * 3_600), as_usual);
    assert_eq!(active(&lab), DNS);
    assert!(busiest_second(&lab) <= 50, "{}", busiest_second(&lab));
    assert!(
        lab.sent
            .iter()
            .skip(DNS as usize)
            .all(|sent| matches!(sent.2, Sent::Refresh { .. }))
    );
    let refreshes = lab.sent.len() as u32 - DNS;
    assert!((6 * DNS..8 * DNS).contains(&refreshes), "{refreshes}");
}

#[test]
fn p10_after_a_restart_of_the_pbx_everybody_is_back_in_bounded_time() {
    let mut lab = crowd(1);
    serve(&mut lab, seconds(300), as_usual);
    assert_eq!(active(&lab), DNS);
    // Its nodes go and come back, and know no dialog any more.
    for (peer, in_service) in [(0, false), (1, false), (0, true), (1, true)] {
        lab.peer(peer, in_service);
        serve(&mut lab, seconds(20), |_| {
            Some(SubscriptionEvent::Unreachable)
        });
    }
    lab.sent.clear();
    lab.votes.clear();
    let forgotten = |sent: &Sent| match sent {
        Sent::Refresh { .. } => Some(SubscriptionEvent::Refused {
            status: Status::CALL_DOES_NOT_EXIST,
            retry_after: None,
            min_expires: None,
        }),
        Sent::Subscribe { .. } | Sent::Forget => None,
    };
    serve(&mut lab, seconds(500), forgotten);
    assert_eq!(
        active(&lab),
        DNS,
        "two SUBSCRIBEs each at 50 a second, and the failed ones"
    );
    assert!(busiest_second(&lab) <= 50, "{}", busiest_second(&lab));
    let lost = lab
        .votes
        .iter()
        .filter(|(_, vote)| *vote == offhook::presence::Vote::None)
        .count();
    assert_eq!(lost, 0, "nobody lost its vote");
}
