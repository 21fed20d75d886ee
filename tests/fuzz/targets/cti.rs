//! What clients of the control plane say: every request has one answer, what is sent has its
//! public shape, and how JSON is written decides nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use offhook::config::{self, Config, DnIndex, QueueIndex, Role};
use offhook::cti::{ClientId, DesktopRequest, Request, RequestBody, RouteRequest};
use offhook::server::clients::{Inbox, Kind, queue};
use offhook::server::clock::Clock;
use offhook::server::decode;
use offhook::server::hub::{Hub, Received};
use offhook::server::link::{Full, Shards};
use offhook::server::permissions::Identity;
use offhook_shards::ShardId;
use serde_json::Value as Json;

use super::schema::check_frame;
use super::start::origin;

const CONFIGURATION: &str = r#"
[server]
sip = ["udp:192.0.2.10:5060"]
client_queue = 4096
event_history = 16
[[trunk]]
name = "ucm"
peers = ["udp:192.0.2.20"]
[[agents]]
range = "2001-2003"
queues = ["sales"]
[[queue]]
name = "sales"
[[routing_point]]
number = "7000"
queue = "sales"
"#;

/// Frames of one run; the allowance of a client is larger.
const FRAMES_MAX: usize = 64;
/// Longer than any shard may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Shards that take everything and answer nothing.
#[derive(Debug, Clone, Default)]
struct Silent(Rc<RefCell<Vec<Request>>>);

impl Shards for Silent {
    fn count(&self) -> u16 {
        1
    }

    fn owner_of_dn(&self, _dn: DnIndex) -> ShardId {
        ShardId(0)
    }

    fn owner_of_queue(&self, _queue: QueueIndex) -> ShardId {
        ShardId(0)
    }

    fn request(&self, _shard: ShardId, request: Request) -> Result<(), Full> {
        self.0.borrow_mut().push(request);
        Ok(())
    }
}

/// A client, and how many answers to which number it waits for.
struct Desk {
    id: ClientId,
    inbox: Inbox,
    expected: BTreeMap<u32, i32>,
}

/// Lines: the first byte says who speaks, the rest is a frame.
pub fn run(bytes: &[u8]) {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    let config = CONFIG.get_or_init(|| {
        Arc::new(config::parse(CONFIGURATION, &|_| Err(String::new())).expect("no mistakes"))
    });
    let now = origin();
    let shards = Silent::default();
    let mut hub = Hub::new(
        Arc::clone(config),
        Clock::at(now, Duration::ZERO),
        shards.clone(),
    );
    let mut desks = roles().map(|identity| {
        let (outbox, inbox) = queue(4_096);
        let id = hub
            .connect(now, identity, Kind::Socket, outbox)
            .expect("there is room");
        Desk {
            id,
            inbox,
            expected: BTreeMap::new(),
        }
    });
    for line in bytes.split(|byte| *byte == b'\n').take(FRAMES_MAX) {
        let Some((who, frame)) = line.split_first() else {
            continue;
        };
        let desk = &mut desks[usize::from(*who) % 4];
        say(&mut hub, now, desk, frame);
        let mut asked = shards.0.borrow_mut();
        let requests = asked.drain(..).filter(|request| !is_word(request)).count();
        assert!(requests <= 1, "one frame asks {requests} times");
        drop(asked);
        for desk in &mut desks {
            hear(desk);
        }
    }
    hub.handle_timeout(now + PATIENCE);
    for desk in &mut desks {
        hear(desk);
        let wrong = desk.expected.iter().find(|(_, count)| **count != 0);
        assert!(
            wrong.is_none(),
            "answers are missing or too many: {wrong:?}"
        );
    }
}

fn roles() -> [Identity; 4] {
    let of = |role, dns: &[u32], desktop| Identity {
        role,
        dns: dns.iter().copied().map(DnIndex).collect(),
        desktop,
    };
    [
        Identity::everyone(),
        of(Role::Agent, &[0], true),
        of(Role::Router, &[], false),
        of(Role::Supervisor, &[], false),
    ]
}

fn say(hub: &mut Hub<Silent>, now: Instant, desk: &mut Desk, frame: &[u8]) {
    let decoded = decode::request(frame, true);
    if let Ok(json) = serde_json::from_slice::<Json>(frame) {
        let written = json.to_string();
        let again = decode::request(written.as_bytes(), true);
        assert_eq!(decoded, again, "{written}");
    }
    let number = match &decoded {
        Ok(asked) => asked.reference_id,
        Err(refusal) => {
            assert!(!refusal.words.is_empty());
            refusal.reference_id
        }
    };
    assert!(
        decoded.is_err() || number.is_some(),
        "a request has a number"
    );
    if let Some(number) = number {
        *desk.expected.entry(number).or_default() += 1;
    }
    hub.handle_frame(now, desk.id, Received::Text(frame));
}

fn hear(desk: &mut Desk) {
    while let Ok(outgoing) = desk.inbox.queue.try_recv() {
        let frame: Json = serde_json::from_str(&outgoing.frame).expect("what is sent is JSON");
        check_frame(&frame);
        if let Some(number) = frame["ReferenceID"].as_u64() {
            let number = u32::try_from(number).expect("it was read as one");
            *desk.expected.entry(number).or_default() -= 1;
        }
    }
}

/// What the hub itself tells: it is no answer to a frame alone.
fn is_word(request: &Request) -> bool {
    match &request.body {
        RequestBody::Desktop(_, request) => matches!(
            request,
            DesktopRequest::Present | DesktopRequest::Gone | DesktopRequest::RouterGone(_)
        ),
        RequestBody::Route(_, request) => matches!(request, RouteRequest::Router(_)),
        RequestBody::Call(..) => false,
    }
}
