//! The crowd of the bench in small: every choice against a scan.

#[path = "../../benches/crowd/mod.rs"]
mod people;

use people::Crowd;

#[test]
fn an_agent_who_becomes_free_gets_the_caller_whom_a_scan_finds() {
    let mut crowd = Crowd::new(300);
    crowd.fill(400);
    for _ in 0..300 {
        let (input, dn) = crowd.freed();
        let expected = crowd.caller_for(dn);
        crowd.tell(input);
        let made = crowd.offer();
        assert_eq!(made, expected.map(|conn_id| (dn, conn_id)));
        if let Some(pair) = made {
            crowd.answer(pair);
        }
    }
    assert!(crowd.matched > 200, "{} pairs", crowd.matched);
}

#[test]
fn a_caller_gets_the_agent_whom_a_scan_finds() {
    let mut crowd = Crowd::new(300);
    crowd.rest();
    for _ in 0..400 {
        let (input, conn_id) = crowd.arrival();
        let expected = crowd.agent_for(conn_id);
        crowd.tell(input);
        let made = crowd.offer();
        assert_eq!(made, expected.map(|dn| (dn, conn_id)));
        match made {
            Some(pair) => crowd.answer(pair),
            None => crowd.leave(conn_id),
        }
    }
    assert!(crowd.matched > 200, "{} pairs", crowd.matched);
}
