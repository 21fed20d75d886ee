//! What ends at one moment: what is said of the one may make another, which then has the place that
//! the other had.

use std::time::Duration;

use super::messages::{PEER, response};
use super::network::{Network, invite_to};
use crate::dialog::{LegEvent, LegKey, Release};
use crate::sip::Status;

/// How long a request waits for an answer.
const PATIENCE: Duration = Duration::from_secs(32);

/// A call of agent 0 that the peer has answered.
fn connected(network: &mut Network) -> LegKey {
    let to_peer = invite_to(PEER);
    let leg = network.agents[0].invite(network.now, &to_peer).unwrap();
    let invite = network.take_text();
    let contact = "Contact: <sip:phone@127.0.0.1:6000>\r\nContent-Type: application/sdp\r\n";
    network.send(PEER, &response(&invite, 200, "far", contact, "answer"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.run_for(PATIENCE);
    network.take_texts();
    network.take_events(0);
    leg
}

/// A call is lost because nobody answers a change of it, and its BYE goes out; a call that nobody
/// answers ends at the same moment, and is heard of all the same.
#[test]
fn requests_that_are_given_up_at_one_moment_are_all_heard_of() {
    for calls in [1, 3] {
        let mut network = Network::new(1, 1);
        let changed: Vec<LegKey> = (0..calls).map(|_| connected(&mut network)).collect();
        let now = network.now;
        let agent = &mut network.agents[0];
        for leg in &changed {
            agent.offer(now, *leg, None);
        }
        let called = (0..calls).map(|_| agent.invite(now, &invite_to(PEER)).unwrap());
        let called: Vec<LegKey> = called.collect();
        network.run_for(PATIENCE);
        let events = network.take_leg_events(0);
        let lost = LegEvent::HungUp(Release::Lost);
        let lost = events.iter().filter(|event| **event == lost).count();
        let refused = LegEvent::Refused {
            status: Status::REQUEST_TIMEOUT,
            retry_after: None,
            after_provisional: false,
        };
        let refused = events.iter().filter(|event| **event == refused).count();
        assert_eq!((lost, refused), (changed.len(), called.len()), "{events:?}");
        network.run_until_idle();
    }
}
