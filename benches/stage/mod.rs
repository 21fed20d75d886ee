//! The hub with its clients and without sockets: what a shard's event costs until it lies in the
//! queue of everyone who listens, and is taken out of it.

#![allow(dead_code, reason = "benches use different parts")]

use std::sync::Arc;
use std::time::Instant;

use offhook::config::{self, DnIndex, QueueIndex};
use offhook::cti::{
    CallInfo, CallState, CallType, CallUuid, ClientId, ConnId, DnRole, Event, EventName,
    KeyValueList, Output, Request,
};
use offhook::server::clients::{self, Close, Inbox, Kind};
use offhook::server::clock::Clock;
use offhook::server::hub::{Hub, Received};
use offhook::server::link::{Full, Shards};
use offhook::server::permissions::Identity;
use offhook_shards::ShardId;

const CONFIGURATION: &str = r#"
[server]
sip = ["udp:127.0.0.1:5060"]
event_history = 20000
[[trunk]]
name = "ucm"
peers = ["udp:127.0.0.1:5070"]
[[agents]]
range = "2001-2400"
queues = ["sales"]
[[queue]]
name = "sales"
[[routing_point]]
number = "7000"
queue = "sales"
"#;
const DNS: u64 = 400;

/// Shards that are told of desktops and say nothing.
#[derive(Debug)]
struct Silent;

impl Shards for Silent {
    fn count(&self) -> u16 {
        1
    }

    fn owner_of_dn(&self, _: DnIndex) -> ShardId {
        ShardId(0)
    }

    fn owner_of_queue(&self, _: QueueIndex) -> ShardId {
        ShardId(0)
    }

    fn request(&self, _: ShardId, _: Request) -> Result<(), Full> {
        Ok(())
    }
}

/// A hub and clients that listen to everything.
pub(crate) struct Stage {
    hub: Hub<Silent>,
    now: Instant,
    queue: usize,
    readers: Vec<Inbox>,
    /// Who does not read. When it is cut off, it comes again.
    stalled: Vec<Inbox>,
    /// Events so far.
    pub(crate) sent: u64,
    /// How often somebody was cut off.
    pub(crate) cut_off: u64,
}

impl Stage {
    /// So many clients that read, and so many that do not.
    pub(crate) fn new(readers: usize, stalled: usize) -> Self {
        let config = config::parse(CONFIGURATION, &|name| Err(name.to_owned()));
        let config = config.expect("the configuration is right");
        let clock = Clock::start();
        let now = clock.started();
        let queue = config.server.client_queue as usize;
        let mut stage = Self {
            hub: Hub::new(Arc::new(config), clock, Silent),
            now,
            queue,
            readers: Vec::new(),
            stalled: Vec::new(),
            sent: 0,
            cut_off: 0,
        };
        stage.readers = (0..readers).map(|_| stage.client()).collect();
        stage.stalled = (0..stalled).map(|_| stage.client()).collect();
        stage
    }

    /// A wallboard that has been greeted and has registered for everything.
    fn client(&mut self) -> Inbox {
        let (outbox, mut inbox) = clients::queue(self.queue);
        let id = self
            .hub
            .connect(self.now, Identity::everyone(), Kind::Socket, outbox);
        let id: ClientId = id.expect("there is room for more");
        let register = br#"{"Message":"RequestRegisterAddress","ReferenceID":1,"ThisDN":"*"}"#;
        self.hub
            .handle_frame(self.now, id, Received::Text(register));
        let mut heard = 0;
        while let Ok(outgoing) = inbox.queue.try_recv() {
            assert_eq!(outgoing.sequence, None, "no event before the registration");
            heard += 1;
        }
        assert!(heard >= 2, "it is greeted and answered");
        inbox
    }

    /// Another event, as a shard reports it: a call is up at some agent, and next it is over.
    pub(crate) fn event(&self) -> Output {
        let call = self.sent / 2;
        let dn = (2001 + call % DNS).to_string();
        let name = if self.sent.is_multiple_of(2) {
            EventName::Established
        } else {
            EventName::Released
        };
        let mut event = Event::new(self.now, name, dn);
        event.call = Some(Arc::new(CallInfo {
            conn_id: ConnId::new(ShardId(0), 1 + call),
            call_id: 17,
            call_uuid: CallUuid(0x1234_5678_9abc_def0),
            call_type: CallType::Inbound,
            ani: Some("+441632960123".into()),
            dnis: Some("7000".into()),
            user_data: KeyValueList::new().with_text("Language", "en"),
        }));
        event.this_dn_role = Some(DnRole::Destination);
        event.call_state = Some(CallState::Ok);
        event.this_queue = Some("7000".into());
        event.other_dn = Some("+441632960123".into());
        event.agent_id = Some("carol".into());
        Output::Event(Box::new(event))
    }

    /// Gives it to the hub.
    #[inline(never)]
    pub(crate) fn tell(&mut self, event: Output) {
        self.hub.handle_output(event);
        self.sent += 1;
    }

    /// Everybody who reads has read it; who was cut off comes again.
    #[inline(never)]
    pub(crate) fn read(&mut self) {
        for inbox in &mut self.readers {
            let outgoing = inbox.queue.try_recv().expect("everyone hears every event");
            assert_eq!(outgoing.sequence, Some(self.sent));
        }
        for at in 0..self.stalled.len() {
            if let Ok(close) = self.stalled[at].close.try_recv() {
                assert_eq!(close, Close::Slow);
                self.cut_off += 1;
                self.stalled[at] = self.client();
            }
        }
    }

    /// Events after which somebody who reads nothing has been cut off.
    pub(crate) fn patience(&self) -> u64 {
        self.queue as u64 + 1
    }
}
