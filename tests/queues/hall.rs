//! The queue "sales" (room for three) behind 7000 and, with priority, 7001; agents 2001 to 2003.
//! Events in a short form: `7000 Queued`, `7000 Diverted 2001`; a `*` marks the answer to a
//! request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{self, OfferSource};
use offhook::call::{self, CallKey, CallRef, QueueRefusal};
use offhook::config::{self, Config, DnIndex, EntryIndex, QueueIndex, RoutingPointIndex};
use offhook::counters::Counters;
use offhook::cti::{
    CallInfo, CallType, CallUuid, ClientId, ConnId, Event, KeyValueList, Notice, RequestedBy,
};
use offhook::queue::{Input, Output, Queues};
use offhook::wall::Wall;
use offhook_shards::ShardId;

pub(crate) const SALES: QueueIndex = QueueIndex(0);
pub(crate) const PLAIN: RoutingPointIndex = RoutingPointIndex(0);
pub(crate) const URGENT: RoutingPointIndex = RoutingPointIndex(1);

pub(crate) fn configuration(agents: &str, rest: &str) -> Arc<Config> {
    let text = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:5060"]
        [[trunk]]
        name = "pbx"
        peers = ["udp:127.0.0.1:5070"]
        {agents}
        [[routing_point]]
        number = "7000"
        queue = "sales"
        [[routing_point]]
        number = "7001"
        queue = "sales"
        priority = 10
        {rest}
        "#
    );
    let parsed = config::parse(&text, &|file| Err(format!("no file {file}")));
    Arc::new(parsed.expect("the configuration of the test is right"))
}

pub(crate) struct Hall {
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) queues: Queues,
    pub(crate) config: Arc<Config>,
    references: u32,
    conn_ids: u64,
}

impl Hall {
    pub(crate) fn new() -> Self {
        Self::with("[[queue]]\nname = \"sales\"\ncapacity = 3")
    }

    /// With these queues in place of the one, and the same agents, all of whom serve "sales".
    pub(crate) fn with(rest: &str) -> Self {
        let agents = "[[agents]]\nrange = \"2001-2003\"\nqueues = [\"sales\"]";
        Self::of(configuration(agents, rest))
    }

    pub(crate) fn of(config: Arc<Config>) -> Self {
        let start = Instant::now();
        let all = (0..u16::try_from(config.queues.len()).unwrap()).map(QueueIndex);
        let queues = Queues::new(
            start,
            Arc::clone(&config),
            all,
            Arc::new(Counters::default()),
            Wall::since_1970(start),
        );
        Self {
            start,
            now: start,
            queues,
            config,
            references: 0,
            conn_ids: 0,
        }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Output> {
        self.handle_at(SALES, input)
    }

    pub(crate) fn handle_at(&mut self, queue: QueueIndex, input: Input) -> Vec<Output> {
        self.queues.handle(self.now, queue, input);
        self.outputs()
    }

    /// So much time passes, and what is due happens.
    pub(crate) fn pass(&mut self, seconds: u64) -> Vec<Output> {
        self.now += Duration::from_secs(seconds);
        self.queues.handle_timeout(self.now);
        self.outputs()
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.queues.poll_output()).collect()
    }

    /// The next second.
    pub(crate) fn tick(&mut self) {
        self.now += Duration::from_secs(1);
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

    /// A call enters now, a second after whatever happened before.
    pub(crate) fn enter(&mut self, routing_point: RoutingPointIndex) -> (CallRef, Vec<Output>) {
        self.tick();
        let call = self.new_call();
        let outputs = self.enter_as(call, routing_point, &[]);
        (call, outputs)
    }

    /// A call enters every queue that its routing point leads to, as its shard would have it.
    pub(crate) fn enter_as(
        &mut self,
        call: CallRef,
        routing_point: RoutingPointIndex,
        visited: &[QueueIndex],
    ) -> Vec<Output> {
        let info = info(call);
        let config = Arc::clone(&self.config);
        let entries = config.route(routing_point, info.ani.as_deref(), &info.user_data);
        let enter = |entry: &EntryIndex| {
            let input = Input::Enter {
                call,
                info: Arc::clone(&info),
                routing_point,
                entry: *entry,
                since: self.now,
                returns: false,
                beside: None,
                visited: visited.into(),
            };
            self.handle_at(config.entry_at(*entry).queue, input)
        };
        entries.iter().flat_map(enter).collect()
    }

    pub(crate) fn caller(&mut self, routing_point: RoutingPointIndex) -> CallRef {
        self.enter(routing_point).0
    }

    /// The agent has been idle since so many seconds after the start.
    pub(crate) fn available(&mut self, dn: u32, seconds: u64) -> Vec<Output> {
        let idle_since = self.start + Duration::from_secs(seconds);
        self.handle(Input::AgentAvailable {
            dn: DnIndex(dn),
            idle_since,
        })
    }

    pub(crate) fn requested_by(&mut self) -> RequestedBy {
        self.references += 1;
        RequestedBy {
            client: ClientId(1),
            reference_id: self.references,
        }
    }
}

pub(crate) fn info(call: CallRef) -> Arc<CallInfo> {
    Arc::new(CallInfo {
        conn_id: call.conn_id,
        call_id: 1,
        call_uuid: CallUuid(1),
        call_type: CallType::Inbound,
        ani: Some("5550100".into()),
        dnis: Some("7000".into()),
        user_data: KeyValueList::new(),
    })
}

/// Who is offered which call.
pub(crate) fn offers(outputs: &[Output]) -> Vec<(u32, ConnId)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Agent(dn, agent::Input::Reserve(offer)) => {
                assert_ne!(offer.source, OfferSource::Direct);
                Some((dn.0, offer.call.conn_id))
            }
            Output::Agent(_, other) => panic!("a queue does not say {other:?} to an agent"),
            Output::Event(_) | Output::Notice(_) | Output::Call(..) => None,
        })
        .collect()
}

pub(crate) fn events_of(outputs: &[Output]) -> impl Iterator<Item = &Event> {
    outputs.iter().filter_map(|output| match output {
        Output::Event(event) => Some(&**event),
        Output::Notice(_) | Output::Agent(..) | Output::Call(..) => None,
    })
}

pub(crate) fn in_short(outputs: &[Output]) -> Vec<String> {
    events_of(outputs).map(short).collect()
}

fn short(event: &Event) -> String {
    let star = if event.requested_by.is_some() {
        "*"
    } else {
        ""
    };
    let mut words = vec![
        event.this_dn.to_string(),
        format!("{star}{}", event.name.name()),
    ];
    words.extend(event.third_party_dn.as_ref().map(ToString::to_string));
    words.extend(event.error_code.map(|code| code.name().to_owned()));
    words.join(" ")
}

/// The depths that were published: waiting and available.
pub(crate) fn depths(outputs: &[Output]) -> Vec<(u32, u32)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Notice(Notice::QueueDepth {
                waiting, available, ..
            }) => Some((*waiting, *available)),
            Output::Notice(
                Notice::Subscription { .. } | Notice::QueuePlace { .. } | Notice::Trunk(..),
            )
            | Output::Event(_)
            | Output::Agent(..)
            | Output::Call(..) => None,
        })
        .collect()
}

/// Where calls are sent.
pub(crate) fn sent(outputs: &[Output]) -> Vec<(ConnId, String)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Call(call, call::Input::Forward { destination, .. }) => {
                Some((call.conn_id, destination.clone()))
            }
            Output::Agent(..) | Output::Event(_) | Output::Notice(_) | Output::Call(..) => None,
        })
        .collect()
}

/// What callers are refused with.
pub(crate) fn refused(outputs: &[Output]) -> Vec<(ConnId, QueueRefusal)> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Call(call, call::Input::QueueRefused { refusal }) => {
                Some((call.conn_id, *refusal))
            }
            Output::Agent(..) | Output::Event(_) | Output::Notice(_) | Output::Call(..) => None,
        })
        .collect()
}
