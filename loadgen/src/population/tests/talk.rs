//! What happens in calls that are up, and who talks with whom.

use std::time::Duration;

use offhook::sip::Status;

use super::network::{Network, Weather, address};
use crate::population::*;

const SECOND: Duration = Duration::from_secs(1);

/// A PBX of two nodes with its callers as one node; the other one is a PBX that nobody calls.
type Floor = Network<Pbx, Population>;

fn floor(calls_max: usize) -> Floor {
    let (near, far) = (address(5070), address(5060));
    let dns = ["2001", "2002", "2003"].map(str::to_owned);
    let pbx = Pbx::new(PbxOptions {
        addresses: vec![far, address(5061)],
        // What phones dial comes back at the other node, for want of a server.
        server: Some(address(5061)),
        calls_max,
        ..PbxOptions::new(far, dns)
    });
    let callers = Callers::new(CallersOptions::new(near, far, "2001"));
    let population = Population::new(pbx, callers, SECOND / 2);
    let other = Pbx::new(PbxOptions::new(address(5099), []));
    Network::new(1, Weather::FINE, address(5099), other, population)
}

impl Floor {
    fn phone_of(&mut self, dn: &str) -> PhoneControl<'_> {
        self.far.pbx.phone(self.now, dn)
    }

    fn caller_of(&mut self, dn: &str) -> Token {
        let token = self
            .far
            .callers
            .call(self.now, CallPlan::to(dn).with_offer());
        self.run(SECOND);
        token
    }

    fn change_of(&mut self, token: Token, change: Change) -> bool {
        self.far.callers.change(self.now, token, change)
    }

    fn facts(&mut self) -> Vec<Fact> {
        let records = self.far.take_records(self.now);
        records.into_iter().map(|record| record.fact).collect()
    }

    fn no_faults(&mut self) {
        let facts = self.facts();
        let fault = facts.iter().find(|fact| matches!(fact, Fact::Fault { .. }));
        assert_eq!(fault, None);
        assert_eq!(self.far.one_way(), []);
    }
}

fn phone(dn: &str) -> Party {
    Party::phone(dn)
}

#[test]
fn two_that_hear_each_other_are_connected_and_a_hold_ends_that() {
    let mut floor = floor(1);
    let caller = Party::Caller(floor.caller_of("2001"));
    let Party::Caller(token) = caller else {
        unreachable!("it was made one");
    };
    assert!(floor.far.are_connected(&caller, &phone("2001")));
    assert_eq!(floor.far.hears(&caller), Hears::Party(phone("2001")));
    assert_eq!(floor.far.hears(&phone("2002")), Hears::NoCall);
    for (hold, resume) in [
        (Change::Hold, Change::Resume),
        (Change::HoldWithMusic, Change::ResumeWithOffer),
        (Change::HoldByUpdate, Change::ResumeByUpdate),
    ] {
        assert!(floor.phone_of("2001").change(hold));
        floor.run(SECOND);
        assert!(floor.far.is_on_hold(&caller), "{hold:?}");
        // Music is heard by the side that is on hold only.
        let heard = floor.far.hears(&caller) != Hears::Nothing;
        assert_eq!(heard, hold == Change::HoldWithMusic);
        assert_eq!(floor.far.hears(&phone("2001")), Hears::Nothing);
        assert!(floor.change_of(token, Change::Refresh));
        floor.run(SECOND);
        assert!(
            floor.far.is_on_hold(&caller),
            "the other side cannot end it"
        );
        assert!(floor.phone_of("2001").change(resume));
        floor.run(SECOND);
        assert!(
            floor.far.are_connected(&caller, &phone("2001")),
            "{resume:?}"
        );
    }
    assert!(floor.phone_of("2001").change(Change::Update));
    floor.run(SECOND);
    floor.no_faults();
}

#[test]
fn offers_are_received_as_a_party_is_told_to() {
    for (reception, expected) in [
        (Reception::After(SECOND / 2), None),
        (Reception::Refuse(Status::NOT_ACCEPTABLE_HERE), Some(488)),
        (Reception::Refuse(Status::DECLINE), Some(603)),
    ] {
        for change in [Change::Hold, Change::HoldByUpdate, Change::Refresh] {
            let mut floor = floor(1);
            let token = floor.caller_of("2001");
            floor.phone_of("2001").set_reception(reception);
            assert!(floor.change_of(token, change));
            floor.run(SECOND);
            let refused = floor.facts().into_iter().find_map(|fact| match fact {
                Fact::ChangeRefused { status, .. } => Some(status),
                _ => None,
            });
            assert_eq!(refused, expected, "{change:?}");
            let connected = floor
                .far
                .are_connected(&Party::Caller(token), &phone("2001"));
            let holds = change != Change::Refresh && expected.is_none();
            assert_eq!(connected, !holds, "{change:?} {reception:?}");
            floor.no_faults();
        }
    }
}

#[test]
fn an_offer_waits_until_it_is_answered_by_hand() {
    let mut floor = floor(1);
    let token = floor.caller_of("2001");
    floor.phone_of("2001").set_reception(Reception::ByHand);
    assert!(!floor.phone_of("2001").answer_offer());
    assert!(floor.change_of(token, Change::Hold));
    floor.run(SECOND * 20);
    assert!(!floor.far.is_on_hold(&Party::Caller(token)));
    assert!(floor.phone_of("2001").answer_offer());
    floor.run(SECOND);
    assert!(floor.far.is_on_hold(&Party::Caller(token)));
    floor.no_faults();
}

#[test]
fn an_offer_may_make_a_phone_hang_up_or_get_a_200_that_says_nothing() {
    let mut floor = floor(1);
    let token = floor.caller_of("2001");
    floor.phone_of("2001").set_reception(Reception::HangUp);
    assert!(floor.change_of(token, Change::Hold));
    floor.run(SECOND);
    assert_eq!(floor.far.pbx.calls(), 0);
    assert_eq!(floor.far.callers.live().len(), 0);
    let token = floor.caller_of("2002");
    floor.phone_of("2002").set_reception(Reception::Undescribed);
    assert!(floor.change_of(token, Change::Hold));
    floor.run(SECOND);
    let fault = Fault::OkWithoutAnswer;
    let found = floor
        .facts()
        .into_iter()
        .any(|fact| matches!(fact, Fact::Fault { fault: found, .. } if found == fault));
    assert!(found);
}

#[test]
fn a_phone_has_as_many_calls_as_it_may_and_talks_in_one() {
    let mut floor = floor(2);
    let first = Party::Caller(floor.caller_of("2001"));
    let second = Party::Caller(floor.caller_of("2001"));
    floor.caller_of("2001");
    let busy = floor
        .facts()
        .into_iter()
        .any(|fact| matches!(fact, Fact::PhoneRefused { status: 486, .. }));
    assert!(busy, "a third one is too many");
    assert!(floor.far.are_connected(&second, &phone("2001")));
    assert!(floor.far.is_on_hold(&first));
    assert!(floor.phone_of("2001").swap());
    floor.run(SECOND);
    assert!(floor.far.are_connected(&first, &phone("2001")));
    assert!(floor.far.is_on_hold(&second));
    assert!(floor.phone_of("2001").hang_up());
    floor.run(SECOND);
    assert_eq!(floor.far.hears(&first), Hears::NoCall);
    assert!(floor.phone_of("2001").change(Change::Resume));
    floor.run(SECOND);
    assert!(floor.far.are_connected(&second, &phone("2001")));
    floor.no_faults();
}

#[test]
fn a_phone_dials_and_holds_what_it_talked_in() {
    let mut floor = floor(2);
    let caller = Party::Caller(floor.caller_of("2001"));
    assert_eq!(floor.phone_of("2001").dial("2999").map(|_| ()), Some(()));
    floor.run(SECOND);
    let failed = floor
        .facts()
        .into_iter()
        .any(|fact| matches!(fact, Fact::DialFailed { status: 404, .. }));
    assert!(failed);
    assert!(floor.phone_of("2001").change(Change::Resume));
    floor.run(SECOND);
    assert!(floor.far.are_connected(&caller, &phone("2001")));
    let token = floor.phone_of("2001").dial("2002");
    floor.run(SECOND);
    assert!(floor.far.are_connected(&phone("2001"), &phone("2002")));
    assert!(floor.far.is_on_hold(&caller));
    let view = floor.far.pbx.phone_view("2002").expect("the phone exists");
    assert_eq!(view.activity, Activity::Talking(token));
    // The other side knows no transfers: they are refused, and everything stays as it is.
    assert!(floor.phone_of("2001").refer("2003"));
    assert!(
        floor
            .phone_of("2001")
            .inform("application/dtmf-relay", "Signal=5")
    );
    floor.run(SECOND);
    let facts = floor.facts();
    let refused = |fact: &Fact| matches!(fact, Fact::Referred { status: 405, .. });
    assert!(facts.iter().any(refused), "{facts:?}");
    let told = |fact: &Fact| matches!(fact, Fact::Info { dn: Some(dn), .. } if dn == "2002");
    assert!(facts.iter().any(told), "{facts:?}");
    assert!(floor.phone_of("2001").refer_attended("2002"));
    floor.run(SECOND);
    assert_eq!(floor.facts().len(), 1, "refused too");
    floor.no_faults();
}
