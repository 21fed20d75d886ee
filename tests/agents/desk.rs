//! One agent at one DN, with its events in a short form: `Ready ManualIn`, `Error WrongState`,
//! `Released NoAnswer`; a `*` in front marks the answer to a request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{
    Agents, EndCause, Input, Offer, OfferSource, Output, Party, PartyState, RefusedOffer, Stage,
    Standing, Status,
};
use offhook::call::{self, CallKey, CallRef};
use offhook::config::{self, Config, DnIndex, QueueIndex};
use offhook::counters::{Counter, Counters};
use offhook::cti::{
    AgentWorkMode, CallInfo, CallState, CallType, CallUuid, ClientId, ConnId, DesktopRequest,
    DnRole, Event, EventName, KeyValueList, RequestedBy, Value,
};
use offhook::presence::Vote;
use offhook::queue;
use offhook_shards::ShardId;

/// The desk's agent: `A1` at 2001, in both queues. 2002 is there to be not it.
pub(crate) const DN: DnIndex = DnIndex(0);
pub(crate) const SALES: QueueIndex = QueueIndex(0);
pub(crate) const SERVICE: QueueIndex = QueueIndex(1);
/// Longer than any tail.
pub(crate) const TAIL: Duration = Duration::from_secs(2);

/// One agent with a desktop, and everything that came out since it was last asked.
pub(crate) struct Desk {
    pub(crate) now: Instant,
    pub(crate) agents: Agents,
    pub(crate) counters: Arc<Counters>,
    references: u32,
    conn_ids: u64,
}

/// A configuration with these lines in `[server]`, `[presence]` and the agent.
pub(crate) fn configuration(server: &str, presence: &str, agent: &str) -> Arc<Config> {
    let text = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:5060"]
        {server}
        [[trunk]]
        name = "pbx"
        peers = ["udp:127.0.0.1:5070"]
        [presence]
        {presence}
        [[agent]]
        dn = "2001"
        agent_id = "A1"
        queues = ["sales", "service"]
        {agent}
        [[agent]]
        dn = "2002"
        queues = ["sales"]
        [[queue]]
        name = "sales"
        [[queue]]
        name = "service"
        [[routing_point]]
        number = "7000"
        queue = "sales"
        [[routing_point]]
        number = "7001"
        queue = "service"
        "#
    );
    let parsed = config::parse(&text, &|file| Err(format!("no file {file}")));
    Arc::new(parsed.expect("the configuration of the test is right"))
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with("", "", "wrap_up = 30")
    }

    pub(crate) fn with(server: &str, presence: &str, agent: &str) -> Self {
        let config = configuration(server, presence, agent);
        let counters = Arc::new(Counters::default());
        let now = Instant::now();
        let dns = [DN, DnIndex(1)].into_iter();
        let agents = Agents::new(now, config, dns, Arc::clone(&counters));
        let mut desk = Self {
            now,
            agents,
            counters,
            references: 0,
            conn_ids: 0,
        };
        assert_eq!(desk.ask(DesktopRequest::Present), [""; 0]);
        desk
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.agents.poll_output()).collect()
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Output> {
        self.agents.handle(self.now, DN, input);
        self.outputs()
    }

    pub(crate) fn events(&mut self, input: Input) -> Vec<String> {
        in_short(&self.handle(input))
    }

    pub(crate) fn presence(&mut self, vote: Vote) -> Vec<String> {
        self.events(Input::Presence(vote))
    }

    pub(crate) fn ask(&mut self, request: DesktopRequest) -> Vec<String> {
        let input = self.request(request);
        self.events(input)
    }

    pub(crate) fn request(&mut self, request: DesktopRequest) -> Input {
        Input::Desktop {
            requested_by: self.requested_by(),
            request,
        }
    }

    pub(crate) fn requested_by(&mut self) -> RequestedBy {
        self.references += 1;
        RequestedBy {
            client: ClientId(1),
            reference_id: self.references,
        }
    }

    /// Lets time pass, one timer after the other.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Output> {
        let until = self.now + time;
        let mut outputs = Vec::new();
        while let Some(next) = self.agents.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.agents.handle_timeout(self.now);
            outputs.extend(self.outputs());
        }
        self.now = until;
        outputs
    }

    /// Nobody looks at the clock for so long.
    pub(crate) fn sleep(&mut self, time: Duration) -> Vec<Output> {
        self.now += time;
        self.pass(Duration::ZERO)
    }

    pub(crate) fn after(&mut self, time: Duration) -> Vec<String> {
        in_short(&self.pass(time))
    }

    pub(crate) fn status(&self) -> Status {
        self.agents.status(DN).expect("the DN is ours")
    }

    /// `effective (presence, desktop)`.
    pub(crate) fn standing(&self) -> String {
        let vote = |vote: Option<Standing>| vote.map_or("-".to_owned(), |vote| format!("{vote:?}"));
        let status = self.status();
        let desktop = if status.after_call_work {
            "ACW".to_owned()
        } else {
            vote(status.desktop)
        };
        format!(
            "{:?} ({}, {desktop})",
            status.effective,
            vote(status.presence)
        )
    }

    pub(crate) fn new_call(&mut self) -> CallRef {
        self.conn_ids += 1;
        let (shard, conn_id) = (ShardId(0), ConnId::new(ShardId(0), self.conn_ids));
        CallRef {
            shard,
            key: CallKey::default(),
            conn_id,
        }
    }

    pub(crate) fn reserve(&mut self, call: CallRef, source: OfferSource) -> Vec<Output> {
        self.handle(Input::Reserve(Offer { call, source }))
    }

    pub(crate) fn party(&mut self, party: Party) -> Vec<String> {
        self.events(Input::Party(party))
    }

    /// A call of sales, granted.
    pub(crate) fn reserved(&mut self) -> CallRef {
        let call = self.new_call();
        let outputs = self.reserve(call, OfferSource::Queue(SALES));
        let offer = Output::Call(
            call,
            call::Input::Offer {
                dn: DN,
                elsewhere: None,
            },
        );
        assert!(outputs.contains(&offer), "not granted: {outputs:?}");
        call
    }

    /// A call of sales that rings.
    pub(crate) fn ringing(&mut self) -> CallRef {
        let call = self.reserved();
        let rung = self.party(queued(call, PartyState::Ringing));
        assert_eq!(rung, ["Ringing Ok"]);
        call
    }

    /// A call of sales that is answered.
    pub(crate) fn talking(&mut self) -> CallRef {
        let call = self.ringing();
        assert_eq!(
            self.party(queued(call, PartyState::Established)),
            ["Established Ok"]
        );
        call
    }

    /// Ready by presence, which says nothing else until the test does.
    pub(crate) fn ready(mut self) -> Self {
        assert_eq!(self.presence(idle()), ["Login", "Ready ManualIn"]);
        self
    }

    /// In wrap-up, with the tail of the call over.
    pub(crate) fn wrapping_up(mut self) -> Self {
        let call = self.talking();
        let ended = self.party(queued(call, PartyState::Ended(EndCause::CallerReleased)));
        assert_eq!(ended, ["NotReady AfterCallWork", "Released RemoteRelease"]);
        assert_eq!(self.after(TAIL), [""; 0]);
        self
    }

    pub(crate) fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }
}

pub(crate) fn info(call: CallRef, call_type: CallType) -> Arc<CallInfo> {
    Arc::new(CallInfo {
        conn_id: call.conn_id,
        call_id: 1,
        call_uuid: CallUuid(1),
        call_type,
        ani: Some("5550100".into()),
        dnis: Some("7000".into()),
        user_data: KeyValueList::new(),
    })
}

/// A report about a call that came through 7000.
pub(crate) fn queued(call: CallRef, state: PartyState) -> Party {
    let routing_point = Some(config::RoutingPointIndex(0));
    Party {
        routing_point,
        ..direct(call, state)
    }
}

/// A report about a call that dialled the DN.
pub(crate) fn direct(call: CallRef, state: PartyState) -> Party {
    Party {
        call,
        info: info(call, CallType::Inbound),
        routing_point: None,
        role: DnRole::Destination,
        other: Some(("5550100".into(), DnRole::Origination)),
        third: None,
        previous_conn_id: None,
        call_state: CallState::Ok,
        state,
        requested_by: None,
        reasons: KeyValueList::new(),
        changed_by: None,
    }
}

/// The call is told that nobody will answer.
pub(crate) fn withdrawn(call: CallRef, cause: EndCause) -> Output {
    Output::Call(call, call::Input::OfferWithdrawn { dn: DN, cause })
}

pub(crate) fn idle() -> Vote {
    Vote::Ready { initial: false }
}

pub(crate) fn busy() -> Vote {
    active(&["on-the-phone"])
}

pub(crate) fn active(activities: &[&str]) -> Vote {
    let activities = activities.iter().map(|&activity| activity.to_owned());
    Vote::NotReady {
        activities: Arc::new(activities.collect()),
        initial: false,
    }
}

pub(crate) fn closed() -> Vote {
    Vote::Out {
        activities: Arc::default(),
    }
}

pub(crate) fn closed_busy() -> Vote {
    Vote::Out {
        activities: Arc::new(vec!["on-the-phone".to_owned()]),
    }
}

pub(crate) fn login() -> DesktopRequest {
    login_as(None, AgentWorkMode::Unknown)
}

pub(crate) fn login_as(agent_id: Option<&str>, work_mode: AgentWorkMode) -> DesktopRequest {
    let agent_id = agent_id.map(str::to_owned);
    DesktopRequest::Login {
        agent_id,
        work_mode,
        reasons: KeyValueList::new(),
    }
}

pub(crate) fn logout() -> DesktopRequest {
    DesktopRequest::Logout {
        reasons: KeyValueList::new(),
    }
}

pub(crate) fn ready() -> DesktopRequest {
    DesktopRequest::Ready {
        work_mode: AgentWorkMode::Unknown,
        reasons: KeyValueList::new(),
    }
}

pub(crate) fn pause() -> DesktopRequest {
    not_ready(AgentWorkMode::AuxWork)
}

pub(crate) fn not_ready(work_mode: AgentWorkMode) -> DesktopRequest {
    DesktopRequest::NotReady {
        work_mode,
        wrap_up: None,
        reasons: KeyValueList::new().with_text("Break", "lunch"),
    }
}

/// The events among the outputs, in short.
pub(crate) fn in_short(outputs: &[Output]) -> Vec<String> {
    events_of(outputs).map(short).collect()
}

/// All events but those of the handset, which go with Established and Released and have a test of
/// their own.
pub(crate) fn events_of(outputs: &[Output]) -> impl Iterator<Item = &Event> {
    all_events_of(outputs)
        .filter(|event| !matches!(event.name, EventName::OffHook | EventName::OnHook))
}

pub(crate) fn all_events_of(outputs: &[Output]) -> impl Iterator<Item = &Event> {
    outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(&**event),
        Output::Call(..) | Output::Queue(..) | Output::RefreshPresence(_) | Output::Place(_) => {
            None
        }
    })
}

fn short(event: &Event) -> String {
    let star = if event.requested_by.is_some() {
        "*"
    } else {
        ""
    };
    let name = event.name.name();
    let name = name.strip_prefix("Agent").unwrap_or(name);
    let mut words = vec![format!("{star}{name}")];
    words.extend(event.agent_work_mode.map(|mode| mode.name().to_owned()));
    words.extend(event.call_state.map(|state| state.name().to_owned()));
    words.extend(event.error_code.map(|code| code.name().to_owned()));
    words.extend(text(event, "ReasonCode"));
    words.join(" ")
}

/// A text among the event's extensions.
pub(crate) fn text(event: &Event, key: &str) -> Option<String> {
    match event.extensions.value(key)? {
        Value::Text(text) => Some(text.to_string()),
        Value::Integer(_) | Value::List(_) => None,
    }
}

/// What the queues were told, in short.
pub(crate) fn told_queues(outputs: &[Output]) -> Vec<(QueueIndex, &'static str)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Queue(_, queue::Input::AgentPresent { .. }) => None,
            Output::Queue(queue, input) => Some((*queue, queue_word(input))),
            Output::Event(_) | Output::Call(..) | Output::RefreshPresence(_) | Output::Place(_) => {
                None
            }
        })
        .collect()
}

/// Whether the queues were told that the agent is logged in.
pub(crate) fn told_presence(outputs: &[Output]) -> Vec<(QueueIndex, bool)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Queue(queue, queue::Input::AgentPresent { present, .. }) => {
                Some((*queue, *present))
            }
            Output::Queue(..)
            | Output::Event(_)
            | Output::Call(..)
            | Output::RefreshPresence(_)
            | Output::Place(_) => None,
        })
        .collect()
}

fn queue_word(input: &queue::Input) -> &'static str {
    match input {
        queue::Input::AgentAvailable { .. } => "available",
        queue::Input::AgentUnavailable { .. } => "unavailable",
        queue::Input::Refused {
            why: RefusedOffer::Busy,
            ..
        } => "refused: busy",
        queue::Input::Refused {
            why: RefusedOffer::LoggedOut,
            ..
        } => "refused: logged out",
        queue::Input::Refused {
            why: RefusedOffer::NotReady,
            ..
        } => "refused: not ready",
        queue::Input::Refused {
            why: RefusedOffer::Unreachable,
            ..
        } => "refused: unreachable",
        other @ (queue::Input::Enter { .. }
        | queue::Input::Promised { .. }
        | queue::Input::AgentPresent { .. }
        | queue::Input::Ringing { .. }
        | queue::Input::Answered { .. }
        | queue::Input::OfferFailed { .. }
        | queue::Input::Left { .. }
        | queue::Input::Redirected { .. }
        | queue::Input::ForwardRings { .. }
        | queue::Input::Forwarded { .. }
        | queue::Input::ForwardFailed { .. }
        | queue::Input::UserDataChanged { .. }
        | queue::Input::Where { .. }
        | queue::Input::Router { .. }) => panic!("an agent does not say {other:?} to a queue"),
    }
}

/// The stage of the call at the desk.
pub(crate) fn stage(desk: &Desk) -> Option<Stage> {
    desk.status().call.map(|(_, stage)| stage)
}
