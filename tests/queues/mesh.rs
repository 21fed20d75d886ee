//! Random days on the floor: no agent is ever offered two calls, no call is lost or offered twice,
//! and nobody waits while an agent of its queue idles, once the messages have arrived.

use std::collections::BTreeMap;
use std::time::Duration;

use offhook::config::{DnIndex, QueueIndex};
use offhook::counters::Counter;
use offhook::cti::{AgentWorkMode, DesktopRequest, EventName, KeyValueList};
use offhook::presence::Vote;
use offhook::queue::Place;

use super::floor::{AGENTS, Floor, QUEUES, Stand};

const STEPS: usize = 600;

#[test]
fn random_days_lose_nobody() {
    for seed in seeds() {
        let mut floor = Floor::new(seed);
        for dn in Floor::dns() {
            floor.presence(dn, Vote::Ready { initial: true });
        }
        for _ in 0..STEPS {
            something_happens(&mut floor);
            one_offer_per_agent(&floor, seed);
            if floor.seed.below(20) == 0 {
                floor.drain();
                everybody_agrees(&floor, seed);
            }
        }
        the_day_ends(&mut floor, seed);
    }
}

/// One seed from the environment to replay, or two hundred.
fn seeds() -> std::ops::Range<u64> {
    match std::env::var("SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..200,
    }
}

fn something_happens(floor: &mut Floor) {
    match floor.seed.below(20) {
        0..10 => {
            floor.deliver();
        }
        10..12 => floor.caller_arrives(),
        12..15 => {
            if !floor.calls.is_empty() {
                let call = floor.seed.below(floor.calls.len());
                floor.call_goes_on(call);
            }
        }
        15 => {
            let milliseconds = floor.seed.below(3_000) as u64;
            floor.pass(Duration::from_millis(milliseconds));
        }
        16 => phone_says(floor),
        17 => desktop_asks(floor),
        18 => {
            let there = floor.seed.below(2) == 0;
            floor.router_present(there);
        }
        _ => router_chooses(floor),
    }
}

fn any_agent(floor: &mut Floor) -> DnIndex {
    DnIndex(u32::try_from(floor.seed.below(AGENTS as usize)).unwrap())
}

fn phone_says(floor: &mut Floor) {
    let dn = any_agent(floor);
    let activities = vec!["on-the-phone".to_owned()].into();
    let vote = match floor.seed.below(8) {
        0 => Vote::Out {
            activities: Vec::new().into(),
        },
        1..3 => Vote::NotReady {
            activities,
            initial: false,
        },
        _ => Vote::Ready { initial: false },
    };
    floor.presence(dn, vote);
}

fn desktop_asks(floor: &mut Floor) {
    let dn = any_agent(floor);
    let reasons = KeyValueList::new();
    let request = match floor.seed.below(8) {
        0 => DesktopRequest::Logout { reasons },
        1 | 2 => DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AuxWork,
            wrap_up: None,
            reasons,
        },
        3 | 4 => {
            let work_mode = AgentWorkMode::AutoIn;
            DesktopRequest::Login {
                agent_id: None,
                work_mode,
                reasons,
            }
        }
        _ => DesktopRequest::Ready {
            work_mode: AgentWorkMode::ManualIn,
            reasons,
        },
    };
    floor.ask(dn, request);
}

fn router_chooses(floor: &mut Floor) {
    if floor.calls.is_empty() {
        return;
    }
    let call = floor.seed.below(floor.calls.len());
    let number = match floor.seed.below(8) {
        0 => None,
        1 => Some("9999".to_owned()),
        other => Some((2_000 + other).to_string()),
    };
    floor.route(call, number);
}

/// At any moment, whatever is under way.
fn one_offer_per_agent(floor: &Floor, seed: u64) {
    let mut offered = BTreeMap::new();
    for call in &floor.calls {
        let dn = match call.stand {
            Stand::Offered { dn, .. } | Stand::Talking(dn) => dn,
            Stand::Waiting | Stand::Ended => continue,
        };
        let other = offered.insert(dn, call.call.conn_id);
        assert_eq!(other, None, "seed {seed}: {dn:?} is offered two calls");
    }
}

/// When all messages have arrived: calls, queues and agents tell the same story.
fn everybody_agrees(floor: &Floor, seed: u64) {
    let mut taken = 0;
    for call in &floor.calls {
        let conn_id = call.call.conn_id;
        let queues = call.queues.iter().skip(usize::from(call.is_refused));
        let places: Vec<Option<Place>> = queues
            .map(|queue| floor.queues[usize::from(queue.0)].place(*queue, conn_id))
            .collect();
        let forgotten = places.iter().all(Option::is_none);
        let at_agent = |dn| {
            floor
                .agents_of(dn)
                .status(dn)
                .unwrap()
                .call
                .map(|(call, _)| call.conn_id)
        };
        match call.stand {
            Stand::Waiting => assert!(
                places
                    .iter()
                    .all(|place| matches!(place, Some(Place::Waiting | Place::Asked))),
                "seed {seed}: {conn_id} waits, its queues say {places:?}"
            ),
            Stand::Offered { dn, rings, .. } => {
                let ours = if rings {
                    Place::Ringing(dn)
                } else {
                    Place::Offered(dn)
                };
                let mut offers = 0;
                for place in &places {
                    offers += u32::from(*place == Some(ours));
                    let elsewhere = *place == Some(Place::Elsewhere(dn));
                    assert!(elsewhere || *place == Some(ours), "seed {seed}: {places:?}");
                }
                assert_eq!(offers, 1, "seed {seed}: {conn_id} at {dn:?}: {places:?}");
                assert_eq!(at_agent(dn), Some(conn_id), "seed {seed}");
            }
            Stand::Talking(dn) => {
                assert!(forgotten, "seed {seed}: {conn_id} talks: {places:?}");
                assert_eq!(at_agent(dn), Some(conn_id), "seed {seed}");
            }
            Stand::Ended => assert!(forgotten, "seed {seed}: {conn_id} is over: {places:?}"),
        }
        taken += usize::from(matches!(
            call.stand,
            Stand::Offered { .. } | Stand::Talking(_)
        ));
    }
    let reserved =
        Floor::dns().filter(|dn| floor.agents_of(*dn).status(*dn).unwrap().call.is_some());
    assert_eq!(
        reserved.count(),
        taken,
        "seed {seed}: a reservation without a call"
    );
    for queue in (0..QUEUES).map(QueueIndex) {
        nobody_waits_in_vain(floor, queue, seed);
    }
    assert_eq!(floor.counted(Counter::ReservationExpired), 0, "seed {seed}");
}

fn nobody_waits_in_vain(floor: &Floor, queue: QueueIndex, seed: u64) {
    let serving = floor.config.queue_at(queue).agents.iter();
    let available = serving
        .filter(|dn| floor.agents_of(**dn).status(**dn).unwrap().available)
        .count();
    let queues = &floor.queues[usize::from(queue.0)];
    let status = queues.status(queue).unwrap();
    assert_eq!(
        status.available, available,
        "seed {seed}: {queue:?} knows its agents"
    );
    let waiting = queues.waiting(queue).count();
    assert!(
        waiting == 0 || available == 0,
        "seed {seed}: {waiting} wait, {available} idle"
    );
}

fn the_day_ends(floor: &mut Floor, seed: u64) {
    floor.router_present(false);
    for _ in 0..200 {
        floor.drain();
        everybody_agrees(floor, seed);
        for call in 0..floor.calls.len() {
            match floor.calls[call].stand {
                Stand::Talking(_) => floor.call_goes_on(call),
                Stand::Waiting | Stand::Offered { .. } | Stand::Ended => {
                    floor.caller_leaves(call);
                }
            }
        }
        floor.pass(Duration::from_secs(7));
    }
    floor.drain();
    everybody_agrees(floor, seed);
    for call in &floor.calls {
        let conn_id = call.call.conn_id;
        assert_eq!(
            call.stand,
            Stand::Ended,
            "seed {seed}: {conn_id} never ended"
        );
        let count = |name| floor.events_at_routing_points(conn_id, name);
        let closed = count(EventName::Diverted) + count(EventName::Abandoned);
        assert_eq!(
            count(EventName::Queued),
            closed,
            "seed {seed}: events of {conn_id}"
        );
    }
    let answers = floor.events.iter().filter_map(|event| event.requested_by);
    let mut answered: Vec<u32> = answers.map(|answer| answer.reference_id).collect();
    answered.sort_unstable();
    let expected: Vec<u32> = (1..=floor.requests).collect();
    assert_eq!(
        answered, expected,
        "seed {seed}: each request is answered once"
    );
}
