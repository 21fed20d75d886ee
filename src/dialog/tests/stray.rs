//! A 2xx that comes when its INVITE has been given up, and nobody has a call for it.

use std::time::Duration;

use offhook_shards::{Source, Transport};

use super::messages::{PEER, body, header, kind, kinds, response, tag};
use super::network::{Network, address, invite_to, sdp};
use crate::allowance::Rate;
use crate::counters::Counter;
use crate::dialog::{Admission, Body, Invite, LegEvent, Sender, Unwelcome};
use crate::limits::{LEGS_MAX, STRAYS_AT_ONCE_MAX, STRAYS_PER_SECOND_MAX};
use crate::sip::Status;

pub(super) const OFFER: &str = "v=0\r\no=phone 1 1 IN IP4 192.0.2.1\r\ns=-\r\n\
    c=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// An INVITE that nobody answers, until it is given up.
fn given_up(network: &mut Network, offer: Option<Body>) -> String {
    let invite = Invite {
        body: offer,
        ..invite_to(PEER)
    };
    network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    network.run_for(Duration::from_secs(33));
    let refused = LegEvent::Refused {
        status: Status::REQUEST_TIMEOUT,
        retry_after: None,
        after_provisional: false,
    };
    assert_eq!(network.take_leg_events(0), [refused]);
    network.take_texts().swap_remove(0)
}

/// What a phone says to it in the end, by way of a proxy that stays between.
fn ok(invite: &str, tag: &str) -> String {
    let extra = format!(
        "Contact: <sip:phone@127.0.0.1:{PEER}>\r\n\
         Record-Route: <sip:127.0.0.1:{PEER};lr>\r\nContent-Type: application/sdp\r\n"
    );
    response(invite, 200, tag, &extra, OFFER)
}

const STRANGER: Sender<'_> = Sender::Stranger(Unwelcome::Ignored);

const KNOWN: Sender<'_> = Sender::Known {
    is_trusted: true,
    shows: None,
    admission: Admission::Open,
    call_rate: Rate::new(1, 1, 1),
};

/// In no time.
fn deliver(network: &mut Network, sender: Sender<'_>, text: &str) {
    let source = Source {
        transport: Transport::Udp,
        local: address(5060),
        remote: address(PEER),
        connection: None,
    };
    network.agents[0].handle_datagram(network.now, source, sender, text.as_bytes());
}

fn number(text: &str) -> u32 {
    let cseq = header(text, "CSeq").split(' ').next().expect("a number");
    cseq.parse().expect("a number")
}

#[test]
fn two_hundred_after_the_end_gets_its_ack_and_a_bye() {
    let mut network = Network::new(1, 1);
    let invite = given_up(&mut network, Some(sdp("offer")));
    let ok = ok(&invite, "phone");
    network.send(PEER, &ok);
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    let [ack, bye] = &texts[..] else {
        panic!("{texts:?}");
    };
    for text in [ack, bye] {
        assert!(text.contains(&format!(" sip:phone@127.0.0.1:{PEER} SIP/2.0")));
        assert_eq!(header(text, "Call-ID"), header(&invite, "Call-ID"));
        assert_eq!(tag(text, "From"), tag(&invite, "From"));
        assert_eq!(tag(text, "To"), "phone");
        assert_eq!(header(text, "Route"), format!("<sip:127.0.0.1:{PEER};lr>"));
        assert_eq!(body(text), "");
    }
    assert_eq!(number(ack), number(&invite));
    assert!(number(bye) > number(ack));
    // The ACK was lost. One BYE is under way, which is enough.
    network.send(PEER, &ok);
    assert_eq!(kind(&network.take_text()), "ACK");
    network.send(PEER, &response(bye, 200, "", "", ""));
    assert_eq!(network.agents[0].legs(), 0);
    // A copy that was late.
    network.send(PEER, &ok);
    let texts = network.take_texts();
    assert_eq!(kinds(&texts), ["ACK", "BYE"]);
    assert!(number(&texts[1]) > number(bye));
    network.send(PEER, &response(&texts[1], 481, "", "", ""));
    assert_eq!(network.take_events(0), []);
    assert_eq!(network.count(0, Counter::ResponseStray), 0);
    network.run_until_idle();
}

#[test]
fn two_hundred_with_an_offer_gets_an_answer_that_takes_nothing() {
    let mut network = Network::new(1, 1);
    let invite = given_up(&mut network, None);
    for _ in 0..2 {
        network.send(PEER, &ok(&invite, "phone"));
        let ack = network.take_texts().swap_remove(0);
        assert_eq!(kind(&ack), "ACK");
        assert!(body(&ack).contains("m=audio 0 "), "{ack}");
    }
}

#[test]
fn two_hundred_to_nothing_of_ours_gets_nothing() {
    let mut network = Network::new(1, 1);
    let invite = given_up(&mut network, Some(sdp("offer")));
    let good = ok(&invite, "phone");
    let elsewhere = good.replace("127.0.0.1:6000", "192.0.2.9:6000");
    deliver(&mut network, STRANGER, &elsewhere);
    let call_id = header(&invite, "Call-ID");
    let forged = format!("{}f", &call_id[..call_id.len() - 1]);
    let from = tag(&invite, "From");
    for bad in [
        good.replace(call_id, &forged),
        good.replace(call_id, "somebody@else"),
        good.replace(from, "x"),
        good.replace("z9hG4bK", "z9hG4bKx"),
        good.replace("INVITE", "UPDATE"),
        good.replace("SIP/2.0 200", "SIP/2.0 183"),
    ] {
        assert_ne!(bad, good);
        network.send(PEER, &bad);
    }
    assert_eq!(network.take_texts(), Vec::<String>::new());
    assert_eq!(network.count(0, Counter::ResponseStray), 7);
    network.agents[0].fill_legs(LEGS_MAX);
    network.send(PEER, &good);
    assert_eq!(network.take_texts(), Vec::<String>::new());
}

/// A server of media is no trunk's node.
#[test]
fn two_hundred_of_a_stranger_is_acknowledged_where_it_came_from() {
    let mut network = Network::new(1, 1);
    let invite = given_up(&mut network, Some(sdp("offer")));
    deliver(&mut network, STRANGER, &ok(&invite, "mixer"));
    assert_eq!(kinds(&network.take_texts()), ["ACK", "BYE"]);
}

#[test]
fn flood_of_two_hundreds_is_answered_at_its_rate() {
    let mut network = Network::new(1, 1);
    let invite = given_up(&mut network, Some(sdp("offer")));
    let ok = ok(&invite, "phone");
    for (round, expected) in [(1, STRAYS_AT_ONCE_MAX), (2, STRAYS_PER_SECOND_MAX)] {
        for call in 0..1_000 {
            let from = format!("{round:08x}{call:08x}");
            let ok = ok.replace(tag(&invite, "From"), &from);
            deliver(&mut network, KNOWN, &ok);
        }
        let texts = network.take_texts();
        let acks = texts.iter().filter(|text| kind(text) == "ACK").count();
        assert_eq!(acks, expected as usize);
        network.run_for(Duration::from_millis(999));
        network.take_texts();
    }
    network.run_until_idle();
}

/// RFC 3261 §13.2.2.4: each of those who answered is in a call, whenever that is heard.
#[test]
fn two_hundred_of_another_fork_gets_its_ack_and_a_bye_when_all_else_is_over() {
    let mut network = Network::new(1, 1);
    let invite = Invite {
        body: Some(sdp("offer")),
        ..invite_to(PEER)
    };
    let leg = network.agents[0]
        .invite(network.now, &invite)
        .expect("there is room");
    let invite = network.take_text();
    network.send(PEER, &ok(&invite, "one"));
    network.agents[0].acknowledge(network.now, leg, None);
    network.run_for(Duration::from_secs(40));
    network.take_texts();
    network.take_events(0);
    for _ in 0..2 {
        network.send(PEER, &ok(&invite, "two"));
        let texts = network.take_texts();
        assert_eq!(kinds(&texts), ["ACK", "BYE"]);
        assert!(texts.iter().all(|text| tag(text, "To") == "two"));
        network.send(PEER, &response(&texts[1], 200, "", "", ""));
    }
    assert_eq!(network.take_leg_events(0), [], "the call goes on");
    // It ends, and its BYE is not answered: the others need not wait for that.
    network.agents[0].hang_up(network.now, leg, 16);
    network.take_texts();
    network.send(PEER, &ok(&invite, "three"));
    assert_eq!(kinds(&network.take_texts()), ["ACK", "BYE"]);
    network.run_until_idle();
}
