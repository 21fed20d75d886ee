//! Calls without any SIP: leg events in, commands out. Races on the wire are the user agent's and
//! the simulator's tests.

mod answered;
mod carry;
mod conference;
mod control;
mod faults;
mod holds;
mod joins;
mod late;
mod memory;
mod occupied;
mod positions;
mod recalled;
mod requests;
mod returns;
mod several;
mod takeover;
mod unanswered;
mod waiting;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook_shards::ShardId;

use super::*;
use crate::agent::{self, EndCause, PartyState};
use crate::config::{self, Config, QueueIndex, RoutingPointIndex};
use crate::counters::Counter;
use crate::cti::{CallRequest, ClientId, ErrorCode, KeyValueList, RequestedBy, UserDataChange};
use crate::dialog::{Body, Cause, LegEvent, Party, Refusal, Release};
use crate::queue;
use crate::sip::Status;

const AGENT: DnIndex = DnIndex(0);
const OTHER: DnIndex = DnIndex(1);

const ASKED: RequestedBy = RequestedBy {
    client: ClientId(1),
    reference_id: 7,
};

/// One of the two legs of a plain call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Caller,
    /// The phone that was dialled last.
    Agent,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Caller => Self::Agent,
            Self::Agent => Self::Caller,
        }
    }
}

struct Table {
    now: Instant,
    calls: Calls,
    commands: Vec<Command>,
    /// The call that came last.
    conn_id: ConnId,
    /// The leg that was dialled last.
    phone: LegSlot,
    /// Who calls.
    caller: Party,
}

impl Table {
    fn with(agents: &str) -> Self {
        Self::configured(&configuration(agents))
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn configured(text: &str) -> Self {
        let now = Instant::now();
        let config = Arc::new(parsed(text));
        Self {
            now,
            calls: Calls::new(now, ShardId(0), config, Mint::new(ShardId(0), 1, 0)),
            commands: Vec::new(),
            conn_id: ConnId(0),
            phone: LegSlot::FIRST,
            caller: Party {
                number: "3427".into(),
                ..Party::default()
            },
        }
    }

    fn new() -> Self {
        Self::with("")
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
            queue: Some(QueueIndex(0)),
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
        let arrival = Arrival {
            destination,
            calling: Arc::new(self.caller.clone()),
            called: "7000".into(),
            offer: offer.and_then(body),
            patience,
            hold: config::Hold::Inactive,
            way: Way {
                max_forwards: 69,
                carried: crate::dialog::Carried::default(),
            },
        };
        let key = self.calls.arrive(self.now, arrival).expect("there is room");
        self.drain();
        let name = |command: &Command| match command {
            Command::Queue(_, queue::Input::Enter { call, .. }) => Some(call.conn_id),
            Command::Agent(_, agent::Input::Reserve(offer)) => Some(offer.call.conn_id),
            _ => None,
        };
        let named = self.commands.iter().rev().find_map(name);
        self.conn_id = named.expect("the call asks for somebody");
        key
    }

    fn slot(&self, side: Side) -> LegSlot {
        match side {
            Side::Caller => LegSlot::FIRST,
            Side::Agent => self.phone,
        }
    }

    fn offer(&mut self, key: CallKey, dn: DnIndex) {
        self.commands.clear();
        self.input(
            key,
            Input::Offer {
                dn,
                elsewhere: None,
            },
        );
    }

    fn input(&mut self, key: CallKey, input: Input) {
        let event = Event::Input(self.conn_id, input);
        self.calls.handle(self.now, key, event);
        self.drain();
    }

    fn call_ref(&self, key: CallKey) -> CallRef {
        CallRef {
            shard: ShardId(0),
            key,
            conn_id: self.conn_id,
        }
    }

    /// The queue says where the call stands.
    fn stand(&mut self, key: CallKey, position: u32) -> LegCommand {
        let standing = queue::Standing {
            position,
            estimated_wait: Some(Duration::from_secs(30)),
        };
        self.input(key, Input::Standing(Some(standing)));
        LegCommand::Queued(standing)
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
        let event = Event::Leg(self.slot(side), event);
        self.calls.handle(self.now, key, event);
        self.drain();
    }

    /// The phone says that it rings.
    fn ring(&mut self, key: CallKey) {
        let status = Status::RINGING;
        self.leg(key, Side::Agent, LegEvent::Progress { status, body: None });
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
            if let Command::Dial(slot, _) = &command {
                self.phone = *slot;
            }
            self.commands.push(command);
        }
    }

    fn leg_commands(&self, side: Side) -> impl Iterator<Item = &LegCommand> {
        let slot = self.slot(side);
        self.commands
            .iter()
            .filter_map(move |command| match command {
                Command::Leg(told, command) if *told == slot => Some(command),
                Command::Leg(..)
                | Command::Across(..)
                | Command::AskRound(..)
                | Command::Dial(..)
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

    /// Whether the agent's phone was dialled.
    fn dials(&self, dn: DnIndex) -> bool {
        self.commands.iter().any(
            |command| matches!(command, Command::Dial(_, dial) if dial.to == DialTo::Agent(dn)),
        )
    }

    fn dials_nobody(&self) -> bool {
        let dials = |command: &Command| matches!(command, Command::Dial(..));
        !self.commands.iter().any(dials)
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

fn release(this_dn: DnIndex) -> CallRequest {
    CallRequest::release(this_dn, KeyValueList::new())
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
        bytes: text.as_bytes().into(),
    })
}

fn configuration(agents: &str) -> String {
    format!(
        r#"
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
        {agents}
        "#
    )
}

fn parsed(text: &str) -> Config {
    config::parse(text, &|name| Err(format!("no file {name}"))).expect("a good configuration")
}
