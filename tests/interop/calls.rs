//! Callers and phones of SIPp with the server between them, each case by UDP and by TCP.

use super::floor::{Crew, Floor, QUEUE_NUMBER};
use super::sipp::Transport;

const CALLS: u32 = 20;
const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// A crew of phones that answer.
fn crew(scenario: &'static str) -> Crew {
    Crew::of(scenario, 5)
}

/// Twenty calls of one kind to phones of one kind, all answered.
fn answered_calls(caller: &str, phone: &'static str) {
    for transport in BOTH {
        let floor = Floor::open(caller, transport, &[crew(phone)]);
        floor.call(caller, QUEUE_NUMBER, CALLS);
        floor.expect_calls([20, 20, 0, 0, 0]);
        floor.close();
    }
}

#[test]
fn caller_with_early_offer_hangs_up() {
    answered_calls("caller_early", "phone_early");
}

#[test]
fn caller_with_delayed_offer_hangs_up() {
    answered_calls("caller_delayed", "phone_delayed");
}

#[test]
fn phone_hangs_up_after_early_offer() {
    answered_calls("caller_early_stays", "phone_early_hangs_up");
}

#[test]
fn phone_hangs_up_after_delayed_offer() {
    answered_calls("caller_delayed_stays", "phone_delayed_hangs_up");
}

#[test]
fn caller_holds_and_resumes_with_offers() {
    answered_calls("caller_early_holds", "phone_early_held");
}

#[test]
fn caller_holds_and_resumes_without_offers() {
    answered_calls("caller_delayed_holds", "phone_delayed_held");
}

#[test]
fn busy_phone_passes_the_caller_on() {
    for transport in BOTH {
        let busy = Crew::of("phone_busy", 1);
        let floor = Floor::open("busy", transport, &[busy, crew("phone_early")]);
        floor.call("caller_early", QUEUE_NUMBER, CALLS);
        floor.expect_calls([20, 20, 0, 0, 0]);
        assert!(floor.counted("offers_failed", "busy") > 0);
        floor.close();
    }
}

#[test]
fn phone_that_is_not_answered_passes_the_caller_on() {
    for transport in BOTH {
        let absent = Crew::of("phone_rings", 1);
        let floor = Floor::open("no_answer", transport, &[absent, crew("phone_delayed")]);
        floor.call("caller_delayed", QUEUE_NUMBER, CALLS);
        floor.expect_calls([20, 20, 0, 0, 0]);
        assert!(floor.counted("offers_failed", "no_answer") > 0);
        floor.close();
    }
}

#[test]
fn caller_gives_up_while_the_phone_rings() {
    for transport in BOTH {
        let ringing = Crew::of("phone_rings", 10);
        let floor = Floor::open("cancel", transport, &[ringing]);
        floor.call("caller_cancels", QUEUE_NUMBER, CALLS);
        floor.expect_calls([20, 0, 20, 0, 0]);
        floor.close();
    }
}

#[test]
fn number_of_nobody_gets_404() {
    for transport in BOTH {
        let floor = Floor::open("unknown", transport, &[crew("phone_early")]);
        floor.call("caller_unknown_number", "9999", CALLS);
        floor.expect_calls([20, 0, 0, 20, 0]);
        assert_eq!(floor.counted("calls_refused", "unknown_number"), 20);
        floor.close();
    }
}

#[test]
fn ping_of_ucm_is_answered() {
    for transport in BOTH {
        let floor = Floor::open("ping", transport, &[crew("phone_early")]);
        floor.call("ping", "", 5);
        floor.expect_calls([0; 5]);
        floor.close();
    }
}
