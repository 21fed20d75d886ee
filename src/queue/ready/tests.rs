//! The word of an agent against the outcome of an offer.

use std::time::Duration;

use super::*;

fn ready(start: Instant) -> Ready {
    let text = "[[trunk]]\nname = \"pbx\"\npeers = \"udp:192.0.2.1\"\n\
                [[agents]]\nrange = \"2000-2003\"\nqueues = \"sales\"\n\
                [[agent]]\ndn = \"2004\"\n[[queue]]\nname = \"sales\"\n\
                [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"";
    let config = crate::config::parse(text, &|_| Err(String::new())).unwrap();
    Ready::new(start, &config, QueueIndex(0))
}

#[test]
fn a_word_that_overtakes_the_outcome_counts_after_it() {
    let start = Instant::now();
    let (dn, call) = (DnIndex(3), ConnId(9));
    let mut ready = ready(start);
    ready.say(dn, Some(start));
    ready.pick(dn, call);
    ready.say(dn, Some(start + Duration::from_secs(1)));
    assert_eq!(ready.first_for(0, &[]), None);
    ready.settle(dn, ConnId(8));
    assert_eq!(
        ready.first_for(0, &[]),
        None,
        "another call's outcome is not this one's"
    );
    ready.settle(dn, call);
    assert_eq!(ready.first_for(0, &[]), Some(dn));
}

#[test]
fn a_newer_word_replaces_the_old_one() {
    let start = Instant::now();
    let later = |seconds| Some(start + Duration::from_secs(seconds));
    let mut ready = ready(start);
    ready.say(DnIndex(1), later(1));
    ready.say(DnIndex(2), later(2));
    ready.say(DnIndex(1), later(3));
    assert_eq!(
        (ready.len(), ready.first_for(0, &[])),
        (2, Some(DnIndex(2)))
    );
    ready.say(DnIndex(2), None);
    assert_eq!(
        (ready.len(), ready.first_for(0, &[])),
        (1, Some(DnIndex(1)))
    );
}

#[test]
fn an_agent_of_another_queue_is_a_guest() {
    let start = Instant::now();
    let (dn, call) = (DnIndex(4), ConnId(9));
    let mut ready = ready(start);
    ready.say(dn, Some(start));
    assert_eq!((ready.len(), ready.first_for(0, &[])), (0, None));
    ready.pick(dn, call);
    assert!(ready.is_offered(dn));
    ready.settle(dn, ConnId(8));
    assert!(ready.is_offered(dn));
    ready.settle(dn, call);
    assert!(!ready.is_offered(dn));
}

#[test]
fn agents_are_found_on_both_sides_of_a_gap() {
    let start = Instant::now();
    let text = "[[trunk]]\nname = \"pbx\"\npeers = \"udp:192.0.2.1\"\n\
                [[agent]]\ndn = \"2000\"\n\
                [[agents]]\nrange = \"2001-2002\"\nqueues = \"sales\"\n\
                [[agents]]\nrange = \"2003-2005\"\n\
                [[agents]]\nrange = \"2006-2007\"\nqueues = \"sales\"\n\
                [[agent]]\ndn = \"2008\"\n[[queue]]\nname = \"sales\"\n\
                [[routing_point]]\nnumber = \"7000\"\nqueue = \"sales\"";
    let config = crate::config::parse(text, &|_| Err(String::new())).unwrap();
    let ready = Ready::new(start, &config, QueueIndex(0));
    let found: Vec<_> = (0..9).map(|dn| ready.position(DnIndex(dn))).collect();
    let (first, second) = ([Some(0), Some(1)], [Some(2), Some(3)]);
    let nobody = [None; 3];
    assert_eq!(
        found,
        [&[None][..], &first, &nobody, &second, &[None]].concat()
    );
}
