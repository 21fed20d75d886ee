//! What one side of a call may see of the other: nothing that says how it is reached, by what, or
//! what it calls itself. Every party's messages get marks on their way to the server, and none may
//! be in what the server sends to another; session descriptions are the parties' own affair.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use offhook::cti::CallAction;
use offhook::sip::{Checked, HeaderIndex, Message, Status};
use offhook_loadgen::population::{Behaviour, CallPlan};

use super::control::{
    AGENT, OTHER, OUTSIDE, act, connected, consulting, end, single_step, talking,
};
use super::network::Flight;
use super::world::{Setup, World};

/// Who has said what.
#[derive(Debug, Default)]
pub struct Topology {
    said: BTreeMap<String, SocketAddr>,
}

impl Topology {
    /// A message on its way to the server: it is marked, and what it says of its sender noted.
    pub fn arrives(&mut self, flight: &mut Flight) {
        let text = String::from_utf8_lossy(&flight.bytes).into_owned();
        let mark = format!("mark-{}", flight.from.to_string().replace(['.', ':'], "-"));
        // Lines that go nowhere, and in responses a route that leads where they came from: who
        // sends a request would follow its own.
        let mut lines = format!(
            "\r\nServer: {mark}\r\nOrganization: {mark}\r\nX-Inside: {mark}\r\nSubject: {mark}"
        );
        if text.starts_with("SIP/2.0 ") && text.contains(" INVITE\r\n") {
            lines += &format!("\r\nRecord-Route: <sip:{mark}@{};lr>", flight.from);
        }
        let mut index = HeaderIndex::default();
        let note = match Message::receive(&flight.bytes, &mut index) {
            Ok(Checked::Request(request)) => {
                let ours = if request.to_tag.is_none() {
                    request.call_id
                } else {
                    ""
                };
                let branch = request.via.branch().unwrap_or_default();
                let tag = request.from_tag.unwrap_or_default();
                [ours, branch, tag].map(str::to_owned)
            }
            Ok(Checked::Response(response)) => {
                [response.to_tag.unwrap_or_default(), "", ""].map(str::to_owned)
            }
            Err(_) => return,
        };
        let note = note.into_iter().chain([mark, flight.from.to_string()]);
        for said in note.filter(|said| said.len() > 2) {
            self.said.entry(said).or_insert(flight.from);
        }
        if let Some(place) = text.find("\r\nCall-ID:") {
            let at = place..place;
            flight.bytes.splice(at, lines.into_bytes());
        }
    }

    /// A message of the server's says nothing of anybody but its receiver.
    pub fn leaves(&self, flight: &Flight) -> Result<(), String> {
        let text = String::from_utf8_lossy(&flight.bytes);
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        // A dialog that is to be replaced is named to whoever has it (RFC 3891).
        for line in head.lines().filter(|line| !line.starts_with("Replaces:")) {
            let others = self.said.iter().filter(|(_, by)| **by != flight.to);
            for (said, by) in others {
                if line.contains(said.as_str()) {
                    return Err(format!("{} sees {said} of {by} in {line:?}", flight.to));
                }
            }
        }
        Ok(())
    }

    /// How much has been noted.
    pub fn noted(&self) -> usize {
        self.said.len()
    }
}

/// A world in which everybody is marked.
fn marked(seed: u64) -> World {
    let mut world = World::new(Setup {
        seed,
        server: "music = \"sip:music@10.0.2.1:5060\"".to_owned(),
        trunk: "outbound = true\nrefer = true\n".to_owned(),
        ..Setup::calm(3)
    });
    world.run_until_ready();
    world.journal.events.clear();
    world.topology = Some(Topology::default());
    world
}

fn is_marked(world: &World) -> bool {
    let topology = world.topology.as_ref();
    topology.is_some_and(|topology| topology.noted() > 6)
}

#[test]
fn a_call_shows_neither_side_the_other() {
    for (seed, early_offer) in [(1, true), (2, false)] {
        let mut world = marked(seed);
        let token = world.call(CallPlan {
            early_offer,
            ..CallPlan::to(AGENT)
        });
        world.run_for(Duration::from_secs(10));
        assert!(connected(&world, token, AGENT));
        end(&mut world, token);
        assert!(is_marked(&world));
    }
}

#[test]
fn refusals_and_silence_show_neither_side_the_other() {
    for behaviour in [
        Behaviour::refuses(Status::BUSY_HERE),
        Behaviour::refuses(Status::DECLINE),
        Behaviour::rings(),
    ] {
        let mut world = marked(1);
        world.phone(AGENT).set_behaviour(Some(behaviour));
        let token = world.call(CallPlan::to(AGENT));
        world.run_for(Duration::from_secs(40));
        end(&mut world, token);
        assert!(is_marked(&world));
    }
}

#[test]
fn holds_and_transfers_show_nobody_the_others() {
    let mut world = marked(1);
    let (token, main) = talking(&mut world);
    act(&mut world, AGENT, main, CallAction::Hold);
    act(&mut world, AGENT, main, CallAction::Retrieve);
    let consult = consulting(&mut world, main, OTHER);
    let complete = CallAction::CompleteTransfer { consult };
    act(&mut world, AGENT, main, complete);
    world.run_for(Duration::from_secs(3));
    end(&mut world, token);
    assert!(is_marked(&world));

    let mut world = marked(2);
    let (token, main) = talking(&mut world);
    act(&mut world, AGENT, main, single_step(OUTSIDE));
    world.run_for(Duration::from_secs(10));
    end(&mut world, token);
    assert!(is_marked(&world));
}
