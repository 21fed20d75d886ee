//! The hub with fake shards: every frame that it sends is held against the public schema.

#[path = "../../../tests/cti/schema.rs"]
mod schema;

mod calls;
mod messages;
mod refusals;
mod resuming;
mod routers;
mod shown;
mod stream;
mod turning;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use offhook_shards::ShardId;
use serde_json::json;

use super::*;
use crate::config::{self, DnIndex, QueueIndex, Role};
use crate::cti::{
    AgentWorkMode, CallInfo, CallState, CallType, CallUuid, ConnId, DnRole, KeyValueList,
};
use crate::server::clients::{self, Inbox};
use crate::server::link::Full;

/// Agents 2001 to 2003, routing point 7000 of the queue `sales`, trunk `ucm`.
/// A question about every call.
const ALL_CALLS: Query = Query::Calls {
    after: None,
    limit: usize::MAX,
};

const CONFIGURATION: &str = r#"
[server]
sip = ["udp:127.0.0.1:5060"]
client_queue = 64
event_history = 32

[[trunk]]
name = "ucm"
peers = ["udp:127.0.0.1:5070"]

[[agents]]
range = "2001-2003"
queues = ["sales"]

[[queue]]
name = "sales"

[[routing_point]]
number = "7000"
queue = "sales"
"#;

/// What the fake shards have been asked.
#[derive(Debug, Clone, Default)]
struct FakeShards {
    asked: Rc<RefCell<Vec<(ShardId, Request)>>>,
    full: Rc<Cell<bool>>,
}

impl Shards for FakeShards {
    fn count(&self) -> u16 {
        2
    }

    fn owner_of_dn(&self, dn: DnIndex) -> ShardId {
        ShardId(u16::try_from(dn.0 % 2).unwrap())
    }

    fn owner_of_queue(&self, _queue: QueueIndex) -> ShardId {
        ShardId(1)
    }

    fn request(&self, shard: ShardId, request: Request) -> Result<(), Full> {
        if self.full.get() {
            return Err(Full);
        }
        self.asked.borrow_mut().push((shard, request));
        Ok(())
    }
}

/// A hub, its fake shards, and the time.
struct Stage {
    hub: Hub<FakeShards>,
    shards: FakeShards,
    now: Instant,
}

/// A client and what it was sent.
struct Desk {
    id: ClientId,
    inbox: Inbox,
}

impl Stage {
    fn new() -> Self {
        Self::with(CONFIGURATION)
    }

    fn with(configuration: &str) -> Self {
        let files = |_: &str| Err("no file".to_owned());
        let config = Arc::new(config::parse(configuration, &files).unwrap());
        let clock = Clock::start();
        let shards = FakeShards::default();
        let hub = Hub::new(config, clock, shards.clone());
        Self {
            hub,
            shards,
            now: clock.started(),
        }
    }

    /// An administrator that counts as a desktop, and has read its EventServerInfo.
    fn client(&mut self) -> Desk {
        self.client_as(Identity::everyone())
    }

    fn client_in(&mut self, role: Role) -> Desk {
        let dns = if role == Role::Agent {
            vec![DnIndex(0)]
        } else {
            Vec::new()
        };
        self.client_as(Identity {
            role,
            dns,
            desktop: role == Role::Agent,
        })
    }

    fn client_as(&mut self, identity: Identity) -> Desk {
        let queue = self.hub.book.config().server.client_queue as usize;
        let (outbox, inbox) = clients::queue(queue);
        let id = self
            .hub
            .connect(self.now, identity, Kind::Socket, outbox)
            .unwrap();
        let mut desk = Desk { id, inbox };
        assert_eq!(desk.hear().unwrap()["Message"], "EventServerInfo");
        desk
    }

    fn say(&mut self, desk: &Desk, request: &Json) {
        schema::check_frame(request);
        self.say_anything(desk, &request.to_string());
    }

    fn say_anything(&mut self, desk: &Desk, text: &str) {
        self.hub
            .handle_frame(self.now, desk.id, Received::Text(text.as_bytes()));
    }

    /// Says it and returns the only thing that is heard.
    fn ask(&mut self, desk: &mut Desk, request: &Json) -> Json {
        self.say(desk, request);
        let answer = desk.hear().expect("a request is answered");
        assert_eq!(answer["ReferenceID"], request["ReferenceID"], "{answer}");
        assert_eq!(desk.hear(), None);
        answer
    }

    fn register(&mut self, desk: &mut Desk, this_dn: &str) -> Json {
        let answer = self.ask(desk, &register(this_dn));
        assert_eq!(answer["Message"], "EventRegistered", "{answer}");
        answer
    }

    fn emit(&mut self, event: Event) {
        self.hub.handle_output(Output::Event(Box::new(event)));
    }

    fn event(&self, name: EventName, this_dn: &str) -> Event {
        Event::new(self.now, name, this_dn)
    }

    /// Emits an agent event of no consequence, and returns its number.
    fn emit_ready(&mut self, this_dn: &str) -> u64 {
        let mut event = self.event(EventName::AgentReady, this_dn);
        event.agent_work_mode = Some(AgentWorkMode::ManualIn);
        self.emit(event);
        self.hub.history.last()
    }

    /// Whoever turns the hub may leave out the looks for which it does not wait.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.hub.waits_for_time() {
            self.hub.handle_timeout(self.now);
        }
    }

    /// The requests that the shards have been sent since the last look, but for the words about
    /// desktops.
    fn asked(&self) -> Vec<(ShardId, Request)> {
        let mut sent = self.shards.asked.borrow_mut();
        let all = std::mem::take(&mut *sent).into_iter();
        let (words, asked) = all.partition(|(_, request)| word_about_desktop(request).is_some());
        *sent = words;
        asked
    }

    /// The words about desktops that the shards have been sent since the last look.
    fn heard_of_desktops(&self) -> Vec<(ShardId, DnIndex, DesktopRequest)> {
        let mut sent = self.shards.asked.borrow_mut();
        let all = std::mem::take(&mut *sent).into_iter();
        let (words, asked): (Vec<_>, _) =
            all.partition(|(_, request)| word_about_desktop(request).is_some());
        *sent = asked;
        let words = words.iter().filter_map(|(shard, request)| {
            let (dn, word) = word_about_desktop(request)?;
            Some((*shard, dn, word))
        });
        words.collect()
    }

    /// The only request since the last look.
    fn asked_once(&self) -> (ShardId, Request) {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }
}

impl Desk {
    /// The next frame that was sent, if any.
    fn hear(&mut self) -> Option<Json> {
        let outgoing = self.inbox.queue.try_recv().ok()?;
        let frame: Json = serde_json::from_str(&outgoing.frame).unwrap();
        schema::check_frame(&frame);
        let numbered = outgoing.sequence.is_some();
        assert!(!numbered || frame["EventSequenceNumber"] == outgoing.sequence.unwrap());
        Some(frame)
    }

    fn hear_all(&mut self) -> Vec<Json> {
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// The numbers of the events that were sent.
    fn hear_sequences(&mut self) -> Vec<u64> {
        let frames = self.hear_all();
        frames
            .iter()
            .filter_map(|frame| frame["EventSequenceNumber"].as_u64())
            .collect()
    }
}

/// Whether the DN has a desktop now, if that is what the hub tells.
fn word_about_desktop(request: &Request) -> Option<(DnIndex, DesktopRequest)> {
    match &request.body {
        RequestBody::Desktop(dn, word @ (DesktopRequest::Present | DesktopRequest::Gone)) => {
            Some((*dn, word.clone()))
        }
        RequestBody::Desktop(..) | RequestBody::Call(..) | RequestBody::Route(..) => None,
    }
}

fn register(this_dn: &str) -> Json {
    json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": this_dn})
}

fn ready(reference_id: u32, this_dn: &str) -> Json {
    json!({"Message": "RequestAgentReady", "ReferenceID": reference_id, "ThisDN": this_dn})
}

/// A call of shard 1.
fn call() -> Arc<CallInfo> {
    Arc::new(CallInfo {
        conn_id: ConnId::new(ShardId(1), 0x00ab),
        call_id: 17,
        call_uuid: CallUuid(0x1234_5678_9abc_def0),
        call_type: CallType::Inbound,
        ani: Some("+441632960123".into()),
        dnis: Some("7000".into()),
        user_data: KeyValueList::new().with_text("Language", "en"),
    })
}

fn call_event(stage: &Stage, name: EventName, this_dn: &str) -> Event {
    let mut event = stage.event(name, this_dn);
    event.call = Some(call());
    event.this_dn_role = Some(DnRole::Destination);
    event.call_state = Some(CallState::Ok);
    event.this_queue = Some("7000".into());
    event.other_dn = Some("+441632960123".into());
    event
}
