//! A site as the server meets it: before anybody listens, and with each thing that goes wrong on
//! purpose, up to its end.

use std::net::SocketAddr;

use super::*;
use crate::population::{Callers, CallersOptions, Pbx, PbxOptions, Span};

const SECOND: Duration = Duration::from_secs(1);

/// A site with two hundred phones from 2000 on, and its server.
struct Lab {
    site: Site,
    now: Instant,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn request(method: &str, dn: u32, more: &str, body: &str) -> String {
    format!(
        "{method} sip:{dn}@127.0.0.1:5070 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{method}{dn}\r\nMax-Forwards: 70\r\n\
         From: <sip:offhook@127.0.0.1>;tag=us{dn}\r\nTo: <sip:{dn}@127.0.0.1>\r\n\
         Call-ID: {method}-{dn}\r\nCSeq: 1 {method}\r\nContact: <sip:127.0.0.1:5060>\r\n\
         {more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn subscribe(dn: u32) -> String {
    request("SUBSCRIBE", dn, "Event: presence\r\nExpires: 3600\r\n", "")
}

/// A call with an offer.
fn invite(dn: u32) -> String {
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 7000 RTP/AVP 8\r\n";
    request("INVITE", dn, "Content-Type: application/sdp\r\n", offer)
}

impl Lab {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn new() -> Self {
        let now = Instant::now();
        let (node, callers, server) = (address(5_070), address(5_071), address(5_060));
        let dns = (0..200).map(|number| (2_000 + number).to_string());
        let pbx = Pbx::new(PbxOptions {
            server: Some(server),
            ..PbxOptions::new(node, dns)
        });
        let callers = Callers::new(CallersOptions::new(callers, server, "7000"));
        let population = Population::new(pbx, callers, SECOND / 2);
        let site = Site::new(now, population, Weather::CALM, 1, 10);
        Self { site, now }
    }

    /// Somebody listens, and the server watches ten phones.
    fn watched() -> Self {
        let mut lab = Self::new();
        lab.site.handle_request(lab.now, Order::Admit);
        (2_000..2_010).for_each(|dn| lab.say(&subscribe(dn)));
        assert_eq!(lab.heard().len(), 20);
        lab
    }

    fn say(&mut self, text: &str) {
        let source = Source {
            transport: Transport::Udp,
            local: address(5_070),
            remote: address(5_060),
            connection: None,
        };
        self.site.handle_datagram(self.now, source, text.as_bytes());
    }

    fn fault(&mut self, kind: FaultKind, lasting: Option<Duration>) {
        let node = None;
        let order = Order::Fault {
            kind,
            node,
            lasting,
        };
        self.site.handle_request(self.now, order);
    }

    /// What has come to the server since the last look.
    fn heard(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = Vec::new();
        while self.site.poll_transmit(&mut buffer).is_some() {
            let bytes = std::mem::take(&mut buffer);
            all.push(String::from_utf8(bytes).expect("a site sends text"));
        }
        all
    }

    /// What comes in the time that follows, each with its moment.
    fn heard_within(&mut self, length: Duration) -> Vec<(Duration, String)> {
        let (begin, end) = (self.now, self.now + length);
        let mut all = Vec::new();
        while let Some(next) = self.site.poll_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.site.handle_timeout(self.now);
            let after = self.now.saturating_duration_since(begin);
            all.extend(self.heard().into_iter().map(|text| (after, text)));
        }
        self.now = end;
        all
    }

    /// The final answer to an INVITE.
    fn answered(&mut self, dn: u32) -> String {
        self.say(&invite(dn));
        let call_id = format!("Call-ID: INVITE-{dn}\r\n");
        let is_final = |text: &String| {
            let provisional = text.starts_with("SIP/2.0 1") || !text.starts_with("SIP/2.0");
            !provisional && text.contains(&call_id)
        };
        let at_once = self.heard();
        let later = self.heard_within(SECOND * 20);
        let all = at_once
            .into_iter()
            .chain(later.into_iter().map(|(_, text)| text));
        all.into_iter().find(is_final).expect("it is answered")
    }

    fn standing(&self) -> Standing {
        self.site.standing()
    }
}

/// A server that had subscribed for a while was once answered all at once, more than its buffers
/// hold, so that its answers took as long as repetitions take.
#[test]
fn nothing_that_came_before_anybody_listened_is_answered_at_once() {
    let mut lab = Lab::new();
    (2_000..2_200).for_each(|dn| lab.say(&subscribe(dn)));
    assert_eq!(lab.heard().len(), 0);
    lab.site.handle_request(lab.now, Order::Admit);
    assert_eq!(lab.heard().len(), 0);
    // The repetition of each is answered, and followed by a NOTIFY.
    lab.now += SECOND / 2;
    lab.say(&subscribe(2_007));
    assert_eq!(lab.heard().len(), 2);
}

#[test]
fn a_silent_node_hears_and_says_nothing_until_it_is_back() {
    let mut lab = Lab::watched();
    lab.fault(FaultKind::Silence, Some(SECOND * 5));
    lab.say(&subscribe(2_050));
    assert_eq!(lab.heard().len(), 0);
    assert_eq!(lab.heard_within(SECOND * 5), []);
    lab.fault(FaultKind::Silence, None);
    lab.say(&subscribe(2_050));
    assert!(lab.heard()[0].starts_with("SIP/2.0 200"));
    // It is back as it was.
    assert_eq!(lab.standing().subscriptions, 11);
}

#[test]
fn a_node_that_restarts_forgets_calls_and_subscriptions() {
    let mut lab = Lab::watched();
    lab.answered(2_001);
    assert_eq!(
        (lab.standing().subscriptions, lab.standing().phone_calls),
        (10, 1)
    );
    lab.fault(FaultKind::Restart, Some(Duration::ZERO));
    assert_eq!(
        (lab.standing().subscriptions, lab.standing().phone_calls),
        (0, 0)
    );
    // It says nothing about it: the server finds out.
    assert_eq!(lab.heard(), Vec::<String>::new());
}

#[test]
fn a_node_that_forgets_keeps_its_calls() {
    let mut lab = Lab::watched();
    lab.answered(2_001);
    lab.fault(FaultKind::Forget, Some(Duration::ZERO));
    assert_eq!(
        (lab.standing().subscriptions, lab.standing().phone_calls),
        (0, 1)
    );
}

#[test]
fn a_storm_tells_every_watcher_so_often_within_its_time() {
    let mut lab = Lab::watched();
    let before = lab.standing().notifies;
    lab.fault(FaultKind::Storm(20), Some(SECOND * 2));
    lab.heard_within(SECOND * 2);
    assert_eq!(lab.standing().notifies - before, 200);
    lab.heard_within(SECOND * 10);
    assert_eq!(lab.standing().notifies - before, 200);
}

#[test]
fn bad_weather_loses_doubles_and_delays_until_it_is_over() {
    let mut lab = Lab::watched();
    let bad = |loss, duplicates, late| Weather {
        loss,
        duplicates,
        late: (late, Span::milliseconds(20, 80)),
    };
    lab.fault(FaultKind::Weather(bad(1.0, 0.0, 0.0)), Some(SECOND));
    lab.say(&subscribe(2_050));
    assert_eq!((lab.heard().len(), lab.standing().losses.lost), (0, 1));
    lab.fault(FaultKind::Weather(bad(0.0, 1.0, 0.0)), Some(SECOND));
    lab.say(&subscribe(2_051));
    // 200 and NOTIFY, each twice; the SUBSCRIBE came twice, and is answered twice as well.
    assert!(lab.heard().len() >= 4 && lab.standing().losses.doubled >= 3);
    lab.fault(FaultKind::Weather(bad(0.0, 0.0, 1.0)), Some(SECOND));
    lab.say(&subscribe(2_052));
    assert!(lab.heard().len() < 2 && lab.standing().losses.delayed > 0);
    lab.fault(FaultKind::Weather(bad(0.0, 0.0, 1.0)), None);
    lab.heard_within(SECOND * 40);
    let before = lab.standing().losses;
    lab.say(&subscribe(2_053));
    assert_eq!(lab.heard().len(), 2);
    assert_eq!(lab.standing().losses, before);
}

#[test]
fn phones_that_are_mute_answer_without_a_description() {
    let mut lab = Lab::watched();
    let description = "Content-Type: application/sdp";
    lab.fault(FaultKind::Mute(1.0), Some(SECOND * 60));
    let answer = lab.answered(2_001);
    assert!(answer.starts_with("SIP/2.0 200") && !answer.contains(description));
    lab.fault(FaultKind::Mute(1.0), None);
    let answer = lab.answered(2_002);
    assert!(answer.starts_with("SIP/2.0 200") && answer.contains(description));
}

#[test]
fn a_brown_out_refuses_what_is_new() {
    let mut lab = Lab::watched();
    lab.fault(FaultKind::BrownOut(1.0), Some(SECOND * 60));
    assert!(lab.answered(2_001).starts_with("SIP/2.0 503"));
    lab.fault(FaultKind::BrownOut(1.0), None);
    assert!(lab.answered(2_002).starts_with("SIP/2.0 200"));
    lab.fault(FaultKind::BrownOut(0.5), Some(SECOND * 60));
    let refused = (2_100..2_160)
        .filter(|dn| lab.answered(*dn).starts_with("SIP/2.0 503"))
        .count();
    assert!((15..=45).contains(&refused), "{refused} of 60");
}
