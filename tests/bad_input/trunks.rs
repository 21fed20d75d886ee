//! A trunk that never answers: calls go to the next peer, the trunk goes out of service, and
//! nobody is logged out because of it.

use super::message::Draft;
use super::scene::{Caller, PATIENCE, Scene, comes_true};

#[test]
fn a_trunk_that_never_answers() {
    let scene = Scene::open(2);
    let before = scene.counted();
    scene.pbx.fall_silent();
    // Before a ping has told: the caller is answered by the phone behind the next peer.
    let offered = scene.spare.invites();
    scene.still_works();
    assert!(scene.spare.invites() > offered, "the next peer was asked");
    let rise = |key: &str| scene.counted()[key] - before[key];
    assert!(rise("peer_failures{silent}") + rise("pings{silent}") > 0);
    assert!(comes_true(PATIENCE, || rise("pings{silent}") > 0));
    assert_eq!(scene.trunk_in_service(), 1);
    scene.still_works();

    scene.spare.fall_silent();
    assert!(comes_true(PATIENCE, || scene.trunk_in_service() == 0));
    // The floor is not logged out: presence knows nothing new.
    scene.await_agent("Ready");
    let (_, agent) = scene.ask(super::scene::ADMIN, "GET", "/api/v1/agents/2001", "");
    assert!(agent.contains("\"AgentStatus\":\"Ready\""), "{agent}");
    // A caller waits: nobody can be rung, and nobody hangs up on the caller.
    let caller = Caller::new(scene.udp);
    let invite = Draft::invite("7000");
    caller.send(&invite);
    let silence = std::time::Duration::from_millis(500);
    assert!(caller.hear_final_within(silence, "INVITE").is_none());
    let cancel = invite.clone().cancel();
    caller.send(&cancel);
    assert_eq!(caller.hear_final("CANCEL").unwrap().status(), Some(200));
    let gone = caller.hear_final("INVITE").unwrap();
    assert_eq!(gone.status(), Some(487));
    caller.send(&invite.acknowledgement(&gone));
    assert_eq!(rise("panics{contained}"), 0);
    scene.server.stop().unwrap();
}
