//! The word of an agent against the outcome of an offer.

use std::time::Duration;

use super::*;

#[test]
fn a_word_that_overtakes_the_outcome_counts_after_it() {
    let start = Instant::now();
    let (dn, call) = (DnIndex(3), ConnId(9));
    let mut ready = Ready::default();
    ready.say(dn, Some(start));
    ready.pick(dn, call);
    ready.say(dn, Some(start + Duration::from_secs(1)));
    assert_eq!(ready.longest_idle(), None);
    ready.settle(dn, ConnId(8));
    assert_eq!(
        ready.longest_idle(),
        None,
        "another call's outcome is not this one's"
    );
    ready.settle(dn, call);
    assert_eq!(ready.longest_idle(), Some(dn));
}

#[test]
fn a_newer_word_replaces_the_old_one() {
    let start = Instant::now();
    let later = |seconds| Some(start + Duration::from_secs(seconds));
    let mut ready = Ready::default();
    ready.say(DnIndex(1), later(1));
    ready.say(DnIndex(2), later(2));
    ready.say(DnIndex(1), later(3));
    assert_eq!((ready.len(), ready.longest_idle()), (2, Some(DnIndex(2))));
    ready.say(DnIndex(2), None);
    assert_eq!((ready.len(), ready.longest_idle()), (1, Some(DnIndex(1))));
}
