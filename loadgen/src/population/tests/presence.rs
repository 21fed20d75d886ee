//! The PBX as a notifier, watched by a small subscriber.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{Basic, Method, Response, Status, pidf};

use super::network::{Network, Weather, address};
use crate::node::{Node, Packet};
use crate::population::dialog::Dialog;
use crate::population::exchange::{Exchange, Incoming};
use crate::population::message::Outgoing;
use crate::population::session::refuse;
use crate::population::*;

/// What the watcher has heard, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Heard {
    /// A final response to a SUBSCRIBE, with Expires, Min-Expires or Retry-After.
    Response(u16, Option<u32>),
    /// A NOTIFY: the state and the document.
    Notify(String, Option<(Basic, Vec<String>)>),
}

struct Watcher {
    exchange: Exchange,
    pbx: SocketAddr,
    dialog: Option<Dialog>,
    last: Option<Outgoing>,
    heard: Vec<Heard>,
    /// What NOTIFYs are answered with; `None` never answers.
    answer: Option<Status>,
}

impl Watcher {
    fn new(own: SocketAddr, pbx: SocketAddr) -> Self {
        Self {
            exchange: Exchange::new(own, "w".to_owned(), Timers::default()),
            pbx,
            dialog: None,
            last: None,
            heard: Vec::new(),
            answer: Some(Status::OK),
        }
    }

    fn subscribe(&mut self, now: Instant, dn: &str, event: &str, expires: u32) {
        let own = self.exchange.address;
        let mut request = Outgoing {
            method: Method::Subscribe,
            uri: format!("sip:{dn}@{}", self.pbx),
            from: format!("<sip:watcher@{own}>;tag=w1"),
            to: format!("<sip:{dn}@{}>", self.pbx.ip()),
            call_id: format!("{dn}-{event}-{expires}@{own}"),
            cseq: 1,
            routes: Vec::new(),
            max_forwards: 70,
            fields: String::new(),
            body: None,
        };
        request.field("Contact", &format!("<sip:watcher@{own}>"));
        request.field("Event", event);
        request.field("Expires", &expires.to_string());
        self.last = Some(request.clone());
        self.exchange.send(now, self.pbx, request);
    }

    fn refresh(&mut self, now: Instant, expires: u32) {
        let dialog = self.dialog.as_mut().expect("a subscription was accepted");
        let mut request = dialog.request(Method::Subscribe);
        request.field("Event", "presence");
        request.field("Expires", &expires.to_string());
        let to = dialog.next_hop();
        self.exchange.send(now, to, request);
    }

    fn hear_response(&mut self, response: &Response<'_>) {
        let message = &response.message;
        let number = [
            message.expires(),
            message.min_expires(),
            message.retry_after(),
        ];
        let number = number.into_iter().find_map(|value| value.ok().flatten());
        self.heard.push(Heard::Response(response.status.0, number));
        if let (true, Some(request), None) =
            (response.status.is_success(), &self.last, &self.dialog)
        {
            self.dialog = Some(Dialog::of_response(request, "w1", response, self.pbx));
        }
    }
}

impl Node for Watcher {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let mut index = self.exchange.take_index();
        match self.exchange.receive(now, from, bytes, &mut index) {
            Incoming::Request(id, request) => {
                let state = request
                    .message
                    .header(offhook::sip::HeaderName::SubscriptionState);
                let state = String::from_utf8_lossy(state.unwrap_or_default()).into_owned();
                let text = pidf::text(request.message.body()).ok();
                let document = text.and_then(|text| {
                    let document = pidf::parse(&text).ok()?;
                    let activities = document.activities.iter();
                    Some((document.basic, activities.map(str::to_owned).collect()))
                });
                self.heard.push(Heard::Notify(state, document));
                if let Some(status) = self.answer {
                    refuse(now, &mut self.exchange, id, status);
                }
            }
            Incoming::Response(_, response) => self.hear_response(&response),
            Incoming::Cancelled(_) | Incoming::Acknowledged(_) | Incoming::Nothing => {}
        }
        self.exchange.return_index(index);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while self.exchange.handle_timeout(now).is_some() {}
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        let to = self.exchange.poll_transmit(buffer)?;
        Some(Packet {
            from: self.exchange.address,
            to,
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.exchange.poll_timeout()
    }
}

type Watching = Network<Watcher, Pbx>;

const SECOND: Duration = Duration::from_secs(1);

fn watching(change: impl FnOnce(&mut PbxOptions)) -> Watching {
    let (near, far) = (address(5070), address(5060));
    let mut options = PbxOptions::new(far, ["2001".to_owned()]);
    options.expires_max = SECOND * 600;
    change(&mut options);
    Network::new(
        1,
        Weather::FINE,
        near,
        Watcher::new(near, far),
        Pbx::new(options),
    )
}

impl Watching {
    fn subscribe(&mut self, dn: &str, event: &str, expires: u32) {
        let now = self.now;
        self.near.subscribe(now, dn, event, expires);
        self.run(SECOND);
    }

    fn refresh(&mut self, expires: u32) {
        let now = self.now;
        self.near.refresh(now, expires);
        self.run(SECOND);
    }

    fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.near.heard)
    }
}

fn active(basic: Basic, activities: &[&str]) -> Heard {
    let activities = activities.iter().map(|name| (*name).to_owned()).collect();
    Heard::Notify("active".to_owned(), Some((basic, activities)))
}

fn terminated(reason: &str) -> Heard {
    Heard::Notify(format!("terminated;reason={reason}"), None)
}

#[test]
fn every_change_of_a_phone_is_notified_once() {
    let mut network = watching(|_| {});
    network.subscribe("2001", "presence", 3_600);
    assert_eq!(
        network.heard(),
        [Heard::Response(200, Some(600)), active(Basic::Open, &[])]
    );
    let now = network.now;
    assert!(network.far.phone(now, "2001").begin_private_call());
    network.run(SECOND);
    assert!(network.far.phone(now, "2001").end_private_call());
    network.run(SECOND);
    network.far.phone(now, "2001").unregister();
    network.far.phone(now, "2001").unregister();
    network.run(SECOND);
    network.far.phone(now, "2001").register();
    network.run(SECOND);
    let expected = [
        active(Basic::Open, &["on-the-phone"]),
        active(Basic::Open, &[]),
        active(Basic::Closed, &[]),
        active(Basic::Open, &[]),
    ];
    assert_eq!(network.heard(), expected);
    network.far.phone(now, "2001").set_call_waiting(false);
    assert!(network.far.phone(now, "2001").begin_private_call());
    network.run(SECOND);
    assert_eq!(network.heard(), [active(Basic::Closed, &["on-the-phone"])]);
    assert_eq!(
        (network.far.notifies_sent(), network.far.subscriptions()),
        (6, 1)
    );
}

#[test]
fn the_first_notify_may_come_before_the_200() {
    let mut network = watching(|options| options.notify_first = true);
    network.subscribe("2001", "presence", 3_600);
    assert_eq!(
        network.heard(),
        [active(Basic::Open, &[]), Heard::Response(200, Some(600))]
    );
}

#[test]
fn subscriptions_are_refreshed_ended_and_expire() {
    let mut network = watching(|_| {});
    network.subscribe("2001", "presence", 100);
    network.heard();
    network.run(SECOND * 60);
    network.refresh(100);
    assert_eq!(
        network.heard(),
        [Heard::Response(200, Some(100)), active(Basic::Open, &[])]
    );
    network.run(SECOND * 60);
    assert_eq!(network.far.subscriptions(), 1);
    network.refresh(0);
    assert_eq!(
        network.heard(),
        [Heard::Response(200, Some(0)), terminated("timeout")]
    );
    assert_eq!(network.far.subscriptions(), 0);
    network.refresh(100);
    assert_eq!(network.heard(), [Heard::Response(481, None)]);
    network.near.dialog = None;
    network.subscribe("2001", "presence", 90);
    network.run(SECOND * 90);
    assert_eq!(network.heard()[2..], [terminated("timeout")]);
    assert_eq!(
        (
            network.far.subscriptions(),
            network
                .far
                .phone_view("2001")
                .map(|view| view.subscriptions)
        ),
        (0, Some(0))
    );
}

#[test]
fn subscriptions_are_refused_as_ucm_refuses_them() {
    let mut network = watching(|_| {});
    network.subscribe("2999", "presence", 3_600);
    network.subscribe("2001", "dialog", 3_600);
    network.subscribe("2001", "presence", 10);
    let expected = [
        Heard::Response(404, None),
        Heard::Response(489, None),
        Heard::Response(423, Some(60)),
    ];
    assert_eq!(network.heard(), expected);
    let busy = SubscribeRefusal {
        retry_after: Some(7),
        refreshes: false,
        ..SubscribeRefusal::with(Status::SERVICE_UNAVAILABLE)
    };
    network.subscribe("2001", "presence", 100);
    network.heard();
    network.far.set_subscribe_refusal(0, Some(busy));
    network.subscribe("2001", "presence", 200);
    network.refresh(100);
    assert_eq!(
        network.heard()[..2],
        [
            Heard::Response(503, Some(7)),
            Heard::Response(200, Some(100))
        ]
    );
    network
        .far
        .set_subscribe_refusal(0, Some(SubscribeRefusal::with(Status::FORBIDDEN)));
    network.refresh(100);
    assert_eq!(network.heard(), [Heard::Response(403, None)]);
}

#[test]
fn a_pbx_that_restarts_knows_nobody_any_more() {
    let mut network = watching(|_| {});
    network.subscribe("2001", "presence", 100);
    network.heard();
    let now = network.now;
    network.far.restart(now, 0);
    assert_eq!(network.far.subscriptions(), 0);
    network.refresh(100);
    assert_eq!(network.heard(), [Heard::Response(481, None)]);
    network.near.dialog = None;
    network.subscribe("2001", "presence", 101);
    assert_eq!(network.heard().len(), 2);
    let now = network.now;
    network.far.forget_subscriptions(now, 0);
    network.refresh(100);
    assert_eq!(network.heard(), [Heard::Response(481, None)]);
}

#[test]
fn a_pbx_ends_subscriptions_when_it_is_told_to() {
    let mut network = watching(|_| {});
    network.subscribe("2001", "presence", 100);
    network.heard();
    let now = network.now;
    network
        .far
        .phone(now, "2001")
        .end_subscriptions("probation", Some(5));
    network.run(SECOND);
    assert_eq!(network.heard(), [terminated("probation;retry-after=5")]);
}

#[test]
fn a_notify_that_is_not_answered_ends_the_subscription() {
    let mut network = watching(|_| {});
    network.near.answer = None;
    network.subscribe("2001", "presence", 100);
    assert!(
        network
            .far
            .phone_view("2001")
            .is_some_and(|view| view.notifying)
    );
    network.run(SECOND * 33);
    assert_eq!(network.far.subscriptions(), 0);
    let fault = network.far.records().iter().any(|record| {
        matches!(
            record.fact,
            Fact::Fault {
                fault: Fault::NotifyUnanswered,
                ..
            }
        )
    });
    assert!(fault);
    let mut network = watching(|_| {});
    network.near.answer = Some(Status::CALL_DOES_NOT_EXIST);
    network.subscribe("2001", "presence", 100);
    assert_eq!(network.far.subscriptions(), 0);
}

#[test]
fn any_node_of_a_cluster_knows_every_phone() {
    let second = address(5061);
    let mut network = watching(|options| options.addresses.push(second));
    network.subscribe("2001", "presence", 100);
    network.far.go_silent(0);
    network.near.pbx = second;
    network.near.dialog = None;
    network.heard();
    network.subscribe("2001", "presence", 101);
    let now = network.now;
    assert!(network.far.phone(now, "2001").begin_private_call());
    network.run(SECOND);
    let expected = [
        Heard::Response(200, Some(101)),
        active(Basic::Open, &[]),
        active(Basic::Open, &["on-the-phone"]),
    ];
    assert_eq!(network.heard(), expected);
}
