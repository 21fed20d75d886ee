//! A trunk that never answers: calls go to the next peer, the trunk goes out of service, and
//! nobody is logged out because of it.

use std::time::Duration;

use super::message::Draft;
use super::scene::{ADMIN, Caller, PATIENCE, Scene, comes_true};

#[test]
fn a_call_goes_to_the_next_peer() {
    let scene = Scene::open_with(2, "oos_check = 0");
    let before = scene.counted();
    let silent = || scene.counted()["peer_failures{silent}"] - before["peer_failures{silent}"];
    scene.pbx.fall_silent();
    let offered = scene.spare.invites();
    scene.still_works();
    assert_eq!((scene.spare.invites() - offered, silent()), (1, 1));
    // The silent peer is not asked again.
    scene.still_works();
    assert_eq!((scene.spare.invites() - offered, silent()), (2, 1));
    scene.server.stop().unwrap();
}

#[test]
fn a_silent_trunk_goes_out_of_service_and_logs_nobody_out() {
    let scene = Scene::open(2);
    let before = scene.counted();
    scene.pbx.fall_silent();
    scene.spare.fall_silent();
    let in_service = || scene.counted()["trunk_in_service"];
    assert!(comes_true(PATIENCE, || in_service() == 0));
    assert!(scene.counted()["pings{silent}"] >= before["pings{silent}"] + 2);
    let (_, agent) = scene.ask(ADMIN, "GET", "/api/v1/agents/2001", "");
    assert!(agent.contains("\"AgentStatus\":\"Ready\""), "{agent}");

    // Nobody can be rung, and nobody hangs up on the caller.
    let caller = Caller::new(scene.udp);
    let invite = Draft::invite("7000");
    caller.send(&invite);
    let while_waiting = caller.hear_final_within(Duration::from_millis(500), "INVITE");
    assert!(while_waiting.is_none(), "{while_waiting:?}");
    caller.send(&invite.clone().cancel());
    // Either may overtake the other.
    let finals = [
        caller.hear_final("").unwrap(),
        caller.hear_final("").unwrap(),
    ];
    let mut statuses = finals.each_ref().map(|heard| heard.status().unwrap());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 487]);
    let gone = finals.iter().find(|heard| heard.status() == Some(487));
    caller.send(&invite.acknowledgement(gone.unwrap()));
    assert_eq!(scene.counted()["panics{contained}"], 0);
    scene.server.stop().unwrap();
}
