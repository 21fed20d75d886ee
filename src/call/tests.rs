//! Calls without any SIP: leg events in, commands out. Races on the wire are the user agent's and
//! the simulator's tests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_shards::ShardId;

use super::*;
use crate::agent::{self, EndCause, PartyState};
use crate::config::{self, Config, QueueIndex, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::{
    CallInfo, CallRequest, CallType, CallUuid, ClientId, ErrorCode, KeyValueList, RequestedBy,
    UserDataChange,
};
use crate::dialog::{Body, LegEvent, Release};
use crate::queue;
use crate::sip::Status;

const AGENT: DnIndex = DnIndex(0);
const OTHER: DnIndex = DnIndex(1);

#[test]
fn caller_waits_then_talks_then_hangs_up() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.expect_leg(Side::Caller, &LegCommand::Progress(Status::QUEUED));
    assert!(
        table
            .queue_inputs()
            .any(|input| matches!(input, queue::Input::Enter { .. }))
    );
    table.offer(key, AGENT);
    assert!(table.commands.contains(&Command::Dial(AGENT)));
    table.leg(
        key,
        Side::Agent,
        LegEvent::Progress {
            status: Status::RINGING,
        },
    );
    assert_eq!(table.party_states(), [PartyState::Ringing]);
    table.expect_leg(Side::Caller, &LegCommand::Progress(Status::RINGING));
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("answer"),
        },
    );
    assert_eq!(table.party_states(), [PartyState::Established]);
    table.expect_leg(Side::Caller, &LegCommand::Answer(body("answer")));
    table.expect_leg(Side::Agent, &LegCommand::Acknowledge(None));
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    table.leg(
        key,
        Side::Caller,
        LegEvent::HungUp(Release::Bye { cause: Some(16) }),
    );
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::CallerReleased)]
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL));
    table.expect_over();
}

#[test]
fn delayed_offer_passes_through_both_ways() {
    let mut table = Table::new();
    let key = table.arrive(None);
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("agent's offer"),
        },
    );
    table.expect_leg(Side::Caller, &LegCommand::Answer(body("agent's offer")));
    assert!(
        !table
            .leg_commands(Side::Agent)
            .any(|command| matches!(command, LegCommand::Acknowledge(_))),
        "the agent's ACK waits for the caller's answer"
    );
    table.leg(
        key,
        Side::Caller,
        LegEvent::Acknowledged {
            body: body("caller's answer"),
        },
    );
    table.expect_leg(
        Side::Agent,
        &LegCommand::Acknowledge(body("caller's answer")),
    );
}

#[test]
fn delayed_offer_without_an_answer_in_the_ack_ends_both_legs() {
    let mut table = Table::new();
    let key = table.arrive(None);
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Answered {
            body: body("offer"),
        },
    );
    table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::FAILURE));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::FAILURE));
    table.expect_over();
}

#[test]
fn every_refusal_of_the_phone_returns_the_reservation_and_keeps_the_place() {
    for (status, cause) in [
        (486, EndCause::Busy),
        (600, EndCause::Busy),
        (603, EndCause::Declined),
        (403, EndCause::Declined),
        (404, EndCause::Unreachable),
        (408, EndCause::Unreachable),
        (480, EndCause::Unreachable),
        (503, EndCause::Unreachable),
    ] {
        let mut table = Table::new();
        let key = table.arrive(Some("offer"));
        table.offer(key, AGENT);
        let refused = LegEvent::Refused {
            status: Status(status),
            retry_after: None,
            after_provisional: false,
        };
        table.leg(key, Side::Agent, refused);
        assert_eq!(table.party_states(), [PartyState::Ended(cause)], "{status}");
        let conn_id = table.conn_id;
        let failed = queue::Input::OfferFailed {
            conn_id,
            dn: AGENT,
            cause,
        };
        assert!(
            table.queue_inputs().any(|input| *input == failed),
            "{status}"
        );
        table.offer(key, OTHER);
        assert!(
            table.commands.contains(&Command::Dial(OTHER)),
            "{status}: the next agent"
        );
    }
}

#[test]
fn no_answer_cancels_the_phone_and_keeps_the_caller() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Progress {
            status: Status::RINGING,
        },
    );
    table.commands.clear();
    table.wait(Duration::from_secs(20));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NO_ANSWER));
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::NoAnswer)]
    );
    table.expect_leg(Side::Caller, &LegCommand::Progress(Status::QUEUED));
    assert_eq!(table.calls.live().unanswered, 1);
}

#[test]
fn waiting_caller_hears_queued_at_least_once_a_minute() {
    let mut table = Table::new();
    table.arrive(Some("offer"));
    let mut heard = 0;
    for _ in 0..10 {
        table.commands.clear();
        table.wait(Duration::from_secs(60));
        heard += table
            .leg_commands(Side::Caller)
            .filter(|command| **command == LegCommand::Progress(Status::QUEUED))
            .count();
    }
    assert_eq!(heard, 10);
}

#[test]
fn expires_of_the_invite_ends_an_unanswered_call() {
    for ringing in [false, true] {
        let mut table = Table::new();
        let key = table.arrive_with(Some("offer"), Some(Duration::from_secs(10)));
        if ringing {
            table.offer(key, AGENT);
        }
        table.wait(Duration::from_secs(10));
        let refusals = table
            .leg_commands(Side::Caller)
            .filter(
                |command| matches!(command, LegCommand::Refuse(refusal) if refusal.status.0 == 487),
            )
            .count();
        assert_eq!(refusals, 1);
        table.expect_over();
    }
}

#[test]
fn caller_who_leaves_while_it_rings_frees_the_agent() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Progress {
            status: Status::RINGING,
        },
    );
    table.leg(key, Side::Caller, LegEvent::HungUp(Release::Cancelled));
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL));
    let states = table.party_states();
    assert_eq!(
        states.last(),
        Some(&PartyState::Ended(EndCause::CallerAbandoned))
    );
    assert!(
        table
            .queue_inputs()
            .any(|input| matches!(input, queue::Input::Left { .. }))
    );
    assert!(
        table
            .commands
            .contains(&Command::Count(Counter::CallAbandoned))
    );
    table.expect_over();
}

#[test]
fn reinvite_is_relayed_with_its_offer_and_answer() {
    for (offer, answer, acknowledgement) in [
        (body("offer"), body("answer"), None),
        (None, body("late offer"), body("late answer")),
    ] {
        for side in [Side::Caller, Side::Agent] {
            let (mut table, key) = Table::connected();
            table.leg(
                key,
                side,
                LegEvent::Offered {
                    body: offer.clone(),
                },
            );
            table.expect_leg(side.other(), &LegCommand::Offer(offer.clone()));
            table.leg(
                key,
                side.other(),
                LegEvent::OfferAnswered {
                    body: answer.clone(),
                },
            );
            table.expect_leg(side, &LegCommand::AnswerOffer(answer.clone()));
            let acknowledge = LegCommand::Acknowledge(acknowledgement.clone());
            if offer.is_some() {
                // The answer was in the 2xx: it is ACKed at once.
                table.expect_leg(side.other(), &acknowledge);
            }
            let body = acknowledgement.clone();
            table.leg(key, side, LegEvent::OfferAcknowledged { body });
            if offer.is_none() {
                table.expect_leg(side.other(), &acknowledge);
            }
            // The exchange is over: the other side may offer now.
            table.commands.clear();
            table.leg(
                key,
                side.other(),
                LegEvent::Offered {
                    body: body_of("again"),
                },
            );
            table.expect_leg(side, &LegCommand::Offer(body_of("again")));
        }
    }
}

#[test]
fn refused_reinvite_leaves_the_call_as_it_was() {
    let (mut table, key) = Table::connected();
    table.leg(
        key,
        Side::Caller,
        LegEvent::Offered {
            body: body("offer"),
        },
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::OfferRefused {
            status: Status(488),
        },
    );
    table.expect_leg(Side::Caller, &LegCommand::RefuseOffer(Status(488)));
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn a_reinvite_that_is_taken_back_is_taken_back_from_the_other_party_too() {
    let answered = LegEvent::OfferAnswered {
        body: body("too late"),
    };
    let refused = LegEvent::OfferRefused {
        status: Status::REQUEST_TERMINATED,
    };
    for (answer, acknowledged) in [(answered, true), (refused, false)] {
        let (mut table, key) = Table::connected();
        let offer = LegEvent::Offered {
            body: body("offer"),
        };
        table.leg(key, Side::Caller, offer.clone());
        table.leg(key, Side::Caller, LegEvent::OfferCancelled);
        table.expect_leg(Side::Agent, &LegCommand::WithdrawOffer);
        table.commands.clear();
        table.leg(key, Side::Agent, answer);
        let acknowledge = Command::Leg(Side::Agent, LegCommand::Acknowledge(None));
        let expected: &[Command] = if acknowledged { &[acknowledge] } else { &[] };
        assert_eq!(table.commands, expected);
        // The exchange is over: the next one may begin.
        table.leg(key, Side::Caller, offer);
        table.expect_leg(Side::Agent, &LegCommand::Offer(body("offer")));
    }
}

#[test]
fn crossing_reinvites_are_both_refused() {
    let (mut table, key) = Table::connected();
    table.leg(
        key,
        Side::Caller,
        LegEvent::Offered {
            body: body("offer"),
        },
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::Offered {
            body: body("crossing"),
        },
    );
    table.expect_leg(
        Side::Agent,
        &LegCommand::RefuseOffer(Status::REQUEST_PENDING),
    );
    table.leg(
        key,
        Side::Agent,
        LegEvent::OfferRefused {
            status: Status::REQUEST_PENDING,
        },
    );
    table.expect_leg(
        Side::Caller,
        &LegCommand::RefuseOffer(Status::REQUEST_PENDING),
    );
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn bye_during_a_reinvite_ends_both_legs() {
    for side in [Side::Caller, Side::Agent] {
        let (mut table, key) = Table::connected();
        table.leg(
            key,
            Side::Caller,
            LegEvent::Offered {
                body: body("offer"),
            },
        );
        table.leg(key, side, LegEvent::HungUp(Release::Bye { cause: None }));
        table.expect_leg(side.other(), &LegCommand::HangUp(cause::NORMAL));
        table.expect_over();
    }
}

#[test]
fn desktop_releases_its_call_and_no_other() {
    let (mut table, key) = Table::connected();
    table.ask(
        key,
        CallRequest::Release {
            this_dn: OTHER,
            reasons: KeyValueList::new(),
        },
    );
    assert_eq!(table.errors(), [ErrorCode::InvalidConnID]);
    table.commands.clear();
    table.ask(
        key,
        CallRequest::Release {
            this_dn: AGENT,
            reasons: KeyValueList::new(),
        },
    );
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL));
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::NORMAL));
    assert!(table.commands.iter().any(|command| matches!(
        command,
        Command::Agent(AGENT, agent::Input::Party(party)) if party.requested_by == Some(ASKED)
    )));
    table.expect_over();
}

#[test]
fn desktop_that_releases_a_ringing_call_sends_the_caller_on() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.leg(
        key,
        Side::Agent,
        LegEvent::Progress {
            status: Status::RINGING,
        },
    );
    table.commands.clear();
    table.ask(
        key,
        CallRequest::Release {
            this_dn: AGENT,
            reasons: KeyValueList::new(),
        },
    );
    assert_eq!(
        table.party_states(),
        [PartyState::Ended(EndCause::AgentReleased)]
    );
    assert_eq!(table.calls.live().unanswered, 1);
}

#[test]
fn user_data_changes_are_told_to_the_party_and_bounded() {
    let (mut table, key) = Table::connected();
    let pairs = KeyValueList::new().with_text("Segment", "gold");
    table.ask(key, data_change(UserDataChange::Attach(pairs)));
    assert_eq!(table.party_states(), [PartyState::UserDataChanged]);
    table.commands.clear();
    table.ask(
        key,
        data_change(UserDataChange::DeletePair("Missing".into())),
    );
    assert_eq!(table.errors(), [ErrorCode::InvalidAttribute]);
    table.commands.clear();
    let pairs = KeyValueList::new().with_text("Big", "x".repeat(20_000));
    table.ask(key, data_change(UserDataChange::Update(pairs)));
    assert_eq!(table.errors(), [ErrorCode::TooBusy]);
    let facts = table.calls.facts(key).expect("the call lives");
    assert_eq!(facts.info.user_data.len(), 1);
}

#[test]
fn direct_caller_is_told_why_the_agent_cannot_take_the_call() {
    for (why, status) in [
        (RefusedOffer::LoggedOut, 480),
        (RefusedOffer::NotReady, 480),
        (RefusedOffer::Busy, 486),
    ] {
        let mut table = Table::new();
        let key = table.arrive_direct();
        table.input(key, Input::DirectRefused { dn: AGENT, why });
        assert!(table.leg_commands(Side::Caller).any(|command| {
            matches!(command, LegCommand::Refuse(refusal) if refusal.status.0 == status)
        }));
        table.expect_over();
    }
}

#[test]
fn call_that_lasts_for_ever_is_ended() {
    let (mut table, _) = Table::connected();
    table.wait(Duration::from_secs(12 * 3_600));
    table.expect_leg(Side::Caller, &LegCommand::HangUp(cause::TIMER));
    table.expect_over();
}

#[test]
fn fault_in_one_call_ends_that_call_only() {
    let mut table = Table::new();
    let unharmed = table.arrive(Some("offer"));
    let harmed = table.arrive(Some("offer"));
    // No such agent: the lookup is a broken invariant, and panics.
    table.offer(harmed, DnIndex(u32::MAX));
    assert!(table.commands.contains(&Command::Count(Counter::Panic)));
    assert!(table.calls.facts(harmed).is_none());
    assert!(table.calls.facts(unharmed).is_some());
}

const ASKED: RequestedBy = RequestedBy {
    client: ClientId(1),
    reference_id: 7,
};

struct Table {
    now: Instant,
    calls: Calls,
    commands: Vec<Command>,
    conn_id: ConnId,
    serial: u64,
}

impl Table {
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            calls: Calls::new(now, ShardId(0), Arc::new(configuration())),
            commands: Vec::new(),
            conn_id: ConnId(0),
            serial: 0,
        }
    }

    fn connected() -> (Self, CallKey) {
        let mut table = Self::new();
        let key = table.arrive(Some("offer"));
        table.offer(key, AGENT);
        table.leg(
            key,
            Side::Agent,
            LegEvent::Answered {
                body: body("answer"),
            },
        );
        table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
        table.commands.clear();
        (table, key)
    }

    fn arrive(&mut self, offer: Option<&str>) -> CallKey {
        self.arrive_with(offer, None)
    }

    fn arrive_with(&mut self, offer: Option<&str>, patience: Option<Duration>) -> CallKey {
        let destination = Destination::Queue {
            queue: QueueIndex(0),
            routing_point: RoutingPointIndex(0),
        };
        self.arrive_at(destination, offer, patience)
    }

    fn arrive_direct(&mut self) -> CallKey {
        self.arrive_at(Destination::Direct { dn: AGENT }, Some("offer"), None)
    }

    fn arrive_at(
        &mut self,
        destination: Destination,
        offer: Option<&str>,
        patience: Option<Duration>,
    ) -> CallKey {
        self.serial += 1;
        self.conn_id = ConnId::new(ShardId(0), self.serial);
        let info = CallInfo {
            conn_id: self.conn_id,
            call_id: 1,
            call_uuid: CallUuid(1),
            call_type: CallType::Inbound,
            ani: Some("3427".into()),
            dnis: Some("7000".into()),
            user_data: KeyValueList::new(),
        };
        let offer = offer.and_then(body);
        let arrival = Arrival {
            destination,
            info,
            offer,
            patience,
        };
        let key = self.calls.arrive(self.now, arrival).expect("there is room");
        self.drain();
        key
    }

    fn offer(&mut self, key: CallKey, dn: DnIndex) {
        self.commands.clear();
        self.input(key, Input::Offer { dn });
    }

    fn input(&mut self, key: CallKey, input: Input) {
        self.calls.handle(self.now, key, Event::Input(input));
        self.drain();
    }

    fn ask(&mut self, key: CallKey, request: CallRequest) {
        self.input(
            key,
            Input::Request {
                requested_by: ASKED,
                request,
            },
        );
    }

    fn leg(&mut self, key: CallKey, side: Side, event: LegEvent) {
        self.commands.clear();
        self.calls.handle(self.now, key, Event::Leg(side, event));
        self.drain();
    }

    /// Time passes, deadline by deadline.
    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.calls.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.calls.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn drain(&mut self) {
        while let Some((_, command)) = self.calls.poll_command() {
            self.commands.push(command);
        }
    }

    fn leg_commands(&self, side: Side) -> impl Iterator<Item = &LegCommand> {
        self.commands
            .iter()
            .filter_map(move |command| match command {
                Command::Leg(told, command) if *told == side => Some(command),
                Command::Leg(..)
                | Command::Dial(_)
                | Command::Queue(..)
                | Command::Agent(..)
                | Command::Event(_)
                | Command::Count(_)
                | Command::Forget => None,
            })
    }

    fn queue_inputs(&self) -> impl Iterator<Item = &queue::Input> {
        self.commands.iter().filter_map(|command| {
            if let Command::Queue(_, input) = command {
                Some(input)
            } else {
                None
            }
        })
    }

    fn party_states(&self) -> Vec<PartyState> {
        let party = |command: &Command| match command {
            Command::Agent(_, agent::Input::Party(party)) => Some(party.state),
            _ => None,
        };
        self.commands.iter().filter_map(party).collect()
    }

    fn errors(&self) -> Vec<ErrorCode> {
        let code = |command: &Command| match command {
            Command::Event(event) => event.error_code,
            _ => None,
        };
        self.commands.iter().filter_map(code).collect()
    }

    #[track_caller]
    fn expect_leg(&self, side: Side, expected: &LegCommand) {
        assert!(
            self.leg_commands(side).any(|command| command == expected),
            "{side:?} was not told {expected:?} but {:?}",
            self.commands
        );
    }

    #[track_caller]
    fn expect_over(&self) {
        assert!(
            self.commands.contains(&Command::Forget),
            "{:?}",
            self.commands
        );
        assert_eq!(self.calls.live(), Live::default());
        assert_eq!(
            self.calls.poll_timeout(),
            None,
            "an ended call has no deadline"
        );
    }
}

fn data_change(change: UserDataChange) -> CallRequest {
    CallRequest::UserData {
        this_dn: "2000".into(),
        change,
    }
}

fn body(text: &str) -> Option<Body> {
    body_of(text)
}

fn body_of(text: &str) -> Option<Body> {
    Some(Body {
        content_type: Bytes::from_static(b"application/sdp"),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    })
}

fn configuration() -> Config {
    let text = r#"
        [server]
        sip = ["udp:127.0.0.1:5060"]
        [[trunk]]
        name = "ucm"
        peers = ["udp:127.0.0.1:5070"]
        [[queue]]
        name = "sales"
        [[routing_point]]
        number = "7000"
        queue = "sales"
        [[agents]]
        range = "2000-2001"
        queues = ["sales"]
    "#;
    config::parse(text, &|name| Err(format!("no file {name}"))).expect("a good configuration")
}
