//! Chance: random commands on a network that loses, repeats and delays; random bytes. Whatever
//! happens, every leg has at most one end and nothing is left behind.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::messages::{PEER, invite, request, within};
use super::network::{Chance, Network, invite_to, sdp, subscribe_to};
use crate::dialog::{LegEvent, LegKey, LegPolicy, Party, Refusal, UserAgent, UserAgentEvent};
use crate::sip::Status;

/// What a layer above knows of its legs.
#[derive(Debug, Default)]
struct Above {
    /// Legs by agent, each with whether its end was reported or caused.
    legs: Vec<BTreeMap<LegKey, bool>>,
}

impl Above {
    fn hear(&mut self, network: &mut Network, seed: u64) {
        for number in 0..self.legs.len() {
            for event in network.take_events(number) {
                match event {
                    UserAgentEvent::Invited(leg, _) => {
                        let policy = LegPolicy {
                            refer: true,
                            session_expires: NonZeroU32::new(90),
                            ..LegPolicy::default()
                        };
                        // A leg that was cancelled meanwhile says so, and one that is refused for
                        // its session says nothing.
                        let _goes_on = network.agents[number].set_policy(network.now, leg, policy);
                        let before = self.legs[number].insert(leg, false);
                        assert_eq!(before, None, "seed {seed}: a key is used twice");
                    }
                    UserAgentEvent::Leg(leg, event) => {
                        let over = self.legs[number].get_mut(&leg);
                        let over = over.unwrap_or_else(|| panic!("seed {seed}: unknown leg"));
                        assert!(!*over, "seed {seed}: {event:?} after the end");
                        let ends = [
                            matches!(event, LegEvent::Refused { .. }),
                            matches!(event, LegEvent::HungUp(_)),
                        ];
                        *over = ends.contains(&true);
                    }
                    UserAgentEvent::Subscription(..)
                    | UserAgentEvent::Ping(..)
                    | UserAgentEvent::Overload(..)
                    | UserAgentEvent::Over(_)
                    | UserAgentEvent::LookUp(_) => {}
                }
            }
        }
    }
}

/// One random command to a random leg; a leg that is over gets commands too.
fn command(network: &mut Network, above: &mut Above, random: &mut Chance) {
    let number = random.below(2) as usize;
    let now = network.now;
    let legs: Vec<LegKey> = above.legs[number].keys().copied().collect();
    if legs.is_empty() || random.below(12) == 0 {
        let port = if number == 0 { 5061 } else { 5060 };
        let mut invite = invite_to(port);
        invite.policy = policy(random);
        invite.speaks_for = legs.first().copied();
        let leg = network.agents[number]
            .invite(now, &invite)
            .expect("there is room");
        above.legs[number].insert(leg, false);
        return;
    }
    let leg = legs[random.below(u32::try_from(legs.len()).expect("few legs")) as usize];
    let agent = &mut network.agents[number];
    let body = sdp("body");
    let body = Some(&body).filter(|_| random.below(2) == 0);
    let refusal = Refusal {
        status: Status::BUSY_HERE,
        retry_after: None,
    };
    match random.below(14) {
        10 => aside(agent, now, leg, random),
        11 => agent.early_media(now, leg, Status::SESSION_PROGRESS, &sdp("early")),
        12 => agent.accept_refer(now, leg),
        13 => agent.report_refer(now, leg, Status(100 + 100 * random.below(3) as u16)),
        0 => agent.progress(now, leg, Status::RINGING),
        1 | 2 => agent.answer(now, leg, body),
        3 if random.below(4) == 0 => {
            agent.refuse(now, leg, refusal);
        }
        4 | 5 => agent.acknowledge(now, leg, body),
        6 => agent.offer(now, leg, body),
        7 => agent.answer_offer(now, leg, body),
        9 if random.below(4) == 0 => agent.withdraw_offer(now, leg),
        8 => agent.refuse_offer(now, leg, refusal),
        9 if random.below(3) == 0 => {
            agent.hang_up(now, leg, Some(16));
            above.legs[number].insert(leg, true);
        }
        _ => {}
    }
}

/// What leaves the session alone.
fn aside(agent: &mut UserAgent, now: Instant, leg: LegKey, random: &mut Chance) {
    match random.below(4) {
        0 => agent.info(now, leg, &sdp("digit"), true),
        1 => agent.talk(now, leg),
        2 => agent.refuse_refer(now, leg, Status::DECLINE),
        _ => {
            let party = Party {
                number: random.below(9).to_string().into(),
                ..Party::default()
            };
            agent.identify(now, leg, &party.into());
        }
    }
}

/// Sessions that expire within the run, reliable responses, transfers.
fn policy(random: &mut Chance) -> LegPolicy {
    LegPolicy {
        session_expires: NonZeroU32::new(90).filter(|_| random.below(2) == 0),
        min_se: 90 + 60 * random.below(2),
        reliable_provisional: random.below(2) == 0,
        refer: true,
        ..LegPolicy::default()
    }
}

fn run(seed: u64) {
    let mut network = Network::new(seed, 2);
    let mut random = Chance::new(!seed);
    network.loss_percent = random.below(4) * 10;
    network.duplicate_percent = random.below(3) * 10;
    network.jitter_ms = random.below(3) * 400;
    let mut above = Above {
        legs: vec![BTreeMap::new(), BTreeMap::new()],
    };
    for _ in 0..60 {
        command(&mut network, &mut above, &mut random);
        network.run_for(Duration::from_millis(u64::from(random.below(700))));
        above.hear(&mut network, seed);
    }
    for number in 0..2 {
        for leg in above.legs[number].keys().copied().collect::<Vec<_>>() {
            network.agents[number].hang_up(network.now, leg, None);
            above.legs[number].insert(leg, true);
        }
    }
    // INVITEs that were on their way when all were hung up become new legs.
    for _ in 0..20 {
        network.run_for(Duration::from_secs(10));
        let before: Vec<usize> = above.legs.iter().map(BTreeMap::len).collect();
        above.hear(&mut network, seed);
        for (number, before) in before.into_iter().enumerate() {
            if above.legs[number].len() != before {
                for leg in above.legs[number].keys().copied().collect::<Vec<_>>() {
                    network.agents[number].hang_up(network.now, leg, None);
                    above.legs[number].insert(leg, true);
                }
            }
        }
    }
    network.run_until_idle();
    above.hear(&mut network, seed);
}

#[test]
fn whatever_is_asked_and_lost_every_leg_ends_once_and_nothing_is_left() {
    for seed in 0..150 {
        run(seed);
    }
}

#[test]
fn a_call_over_a_bad_network_connects_and_ends_on_both_sides() {
    let mut connected = 0;
    for seed in 0..60 {
        let mut network = Network::new(seed, 2);
        (
            network.loss_percent,
            network.duplicate_percent,
            network.jitter_ms,
        ) = (20, 10, 60);
        let caller = network.agents[0]
            .invite(network.now, &invite_to(5061))
            .expect("room");
        network.run_for(Duration::from_secs(20));
        let callee = network.take_invited(1);
        network.agents[1].answer(network.now, callee, Some(&sdp("answer")));
        network.run_for(Duration::from_secs(20));
        let answered = LegEvent::Answered {
            body: Some(sdp("answer")),
        };
        if network.take_leg_events(0).first() == Some(&answered) {
            network.agents[0].acknowledge(network.now, caller, None);
            network.run_for(Duration::from_secs(10));
            let acknowledged = [LegEvent::Acknowledged { body: None }];
            connected += u32::from(network.take_leg_events(1) == acknowledged);
        }
        network.agents[0].hang_up(network.now, caller, None);
        network.run_for(Duration::from_secs(120));
        network.agents[1].hang_up(network.now, callee, None);
        network.run_until_idle();
    }
    assert!(connected >= 55, "{connected} of 60 calls connected");
}

/// Changes some bytes of a message, or cuts it, or says a part of it twice.
fn mutate(text: &str, random: &mut Chance) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=random.below(6) {
        let length = u32::try_from(bytes.len()).expect("messages are short");
        if length == 0 {
            break;
        }
        let at = random.below(length) as usize;
        match random.below(5) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes.truncate(at),
            3 => {
                bytes.remove(at);
            }
            _ => {
                let end = (at + random.below(40) as usize).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

const EXTENDED: &str = "Require: 100rel\r\nSupported: timer\r\nMin-SE: 90\r\n\
    Session-Expires: 1800;refresher=uac\r\nContent-Type: application/sdp\r\n\
    Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\r\n\
    P-Asserted-Identity: \"A\" <sip:1@h>\r\nRemote-Party-ID: <sip:2@h>;privacy=full\r\n\
    History-Info: <sip:1@h?Reason=SIP%3Bcause%3D486>;index=1, <sip:2@h>;index=1.1\r\n\
    Diversion: <sip:7@h>;reason=no-answer;counter=2\r\n\
    Replaces: call;to-tag=a;from-tag=b;early-only\r\n";
const RELIABLE: &str = "Require: 100rel\r\nRSeq: 7\r\nAllow: UPDATE\r\n\
    Contact: <sip:p@127.0.0.1:6000>\r\nContent-Type: application/sdp\r\n";
const REFERRING: &str = "Refer-To: <sip:1@h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n\
    Referred-By: <sip:2@h>\r\nRefer-Sub: false\r\n";

#[test]
fn no_bytes_from_the_network_panic() {
    for seed in 0..40 {
        let mut random = Chance::new(!seed);
        let mut network = Network::new(seed, 1);
        network.agents[0]
            .invite(network.now, &invite_to(PEER))
            .expect("room");
        let ours = network.take_text();
        network.agents[0]
            .subscribe(network.now, &subscribe_to(PEER))
            .expect("room");
        let subscribe = network.take_text();
        let state = "Event: presence\r\nSubscription-State: active;expires=9\r\n";
        let corpus = [
            invite(
                "call",
                "1",
                "Record-Route: <sip:a;lr>, <sip:b>\r\nRequire: x\r\n",
            ),
            request("OPTIONS", "x", 1, None, "2", "Max-Forwards: 0\r\n", ""),
            request("CANCEL", "call", 101, None, "1", "", ""),
            within(&ours, "BYE", 7, "a", "Reason: Q.850;cause=16\r\n", ""),
            within(&subscribe, "NOTIFY", 7, "n", state, "<a/>"),
            super::messages::response(&ours, 200, "a", "Contact: <sip:p@127.0.0.1:6000>\r\n", ""),
            super::messages::response(&ours, 180, "a", "", ""),
            super::messages::response(&subscribe, 200, "n", "Expires: 60\r\n", ""),
            super::messages::response(&subscribe, 423, "n", "Min-Expires: 9\r\n", ""),
            invite("call", "2", EXTENDED),
            super::messages::response(&ours, 183, "a", RELIABLE, "early"),
            super::messages::response(&ours, 422, "a", "Min-SE: 3600\r\n", ""),
            within(&ours, "UPDATE", 8, "a", EXTENDED, "offer"),
            within(&ours, "INFO", 9, "a", "", "digit"),
            within(&ours, "REFER", 10, "a", REFERRING, ""),
            within(&ours, "PRACK", 11, "a", "RAck: 1 2 INVITE\r\n", ""),
        ];
        for round in 0..400_u32 {
            let text = &corpus[random.below(16) as usize];
            let bytes = if round % 20 == 0 {
                (0..random.below(200))
                    .map(|_| random.below(256) as u8)
                    .collect()
            } else {
                mutate(text, &mut random)
            };
            network.send_bytes(PEER, &bytes);
            for event in network.take_events(0) {
                if let UserAgentEvent::Invited(leg, _) = event {
                    network.agents[0].answer(network.now, leg, None);
                    network.agents[0].hang_up(network.now, leg, None);
                }
            }
        }
    }
}
