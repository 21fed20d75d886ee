//! The queue "sales" (room for three) behind 7000 and, with priority, 7001; agents 2001 to 2003.
//! Events in a short form: `7000 Queued`, `7000 Diverted 2001`; a `*` marks the answer to a
//! request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::agent::{self, OfferSource};
use offhook::call::{CallKey, CallRef};
use offhook::config::{self, Config, DnIndex, QueueIndex, RoutingPointIndex};
use offhook::counters::Counters;
use offhook::cti::{
    CallInfo, CallType, CallUuid, ClientId, ConnId, Event, KeyValueList, Notice, RequestedBy,
};
use offhook::queue::{Input, Output, Queues};
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
    references: u32,
    conn_ids: u64,
}

impl Hall {
    pub(crate) fn new() -> Self {
        let config = configuration(
            "[[agents]]\nrange = \"2001-2003\"\nqueues = [\"sales\"]",
            "[[queue]]\nname = \"sales\"\ncapacity = 3",
        );
        let start = Instant::now();
        let queues = [SALES].into_iter();
        let queues = Queues::new(start, config, queues, Arc::new(Counters::default()));
        Self {
            start,
            now: start,
            queues,
            references: 0,
            conn_ids: 0,
        }
    }

    pub(crate) fn handle(&mut self, input: Input) -> Vec<Output> {
        self.queues.handle(self.now, SALES, input);
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
        let info = info(call);
        let since = self.now;
        (
            call,
            self.handle(Input::Enter {
                call,
                info,
                routing_point,
                since,
            }),
        )
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
        ani: Some("5550100".to_owned()),
        dnis: Some("7000".to_owned()),
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
        event.this_dn.clone(),
        format!("{star}{}", event.name.name()),
    ];
    words.extend(event.third_party_dn.clone());
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
            Output::Notice(Notice::Subscription { .. } | Notice::Trunk(..))
            | Output::Event(_)
            | Output::Agent(..)
            | Output::Call(..) => None,
        })
        .collect()
}
