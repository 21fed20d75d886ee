//! A server whose engines follow a script, and the clients that talk to it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use offhook::config::{self, DnIndex, QueueIndex};
use offhook::counters::Counters;
use offhook::cti::{
    AgentWorkMode, CallAction, CallInfo, CallRequest, CallState, CallType, CallUuid, ConnId,
    DesktopRequest, DnRole, Event, EventName, KeyValueList, Output, Request, RequestBody,
    RequestedBy, RouteRequest, Value,
};
use offhook::engine::Input;
use offhook::server::clock::Clock;
use offhook::server::serve::{self, Choices, Crew, Serving};
use offhook::server::websocket::{Heartbeat, SUBPROTOCOL};
use offhook_shards::{ConnectionChange, Engine, Frame, ShardId, Source, Transmit};
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::schema;

/// Nothing in these tests takes this long unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Agents 2001 to 2004, routing point 7000 of the queue `sales`, trunk `ucm`.
pub(crate) const CONFIGURATION: &str = r#"
[server]
sip = ["udp:127.0.0.1:0"]
http = "127.0.0.1:0"
shards = 2
pin = false
client_queue = 256

[[trunk]]
name = "ucm"
peers = ["udp:127.0.0.1:9"]

[[agents]]
range = "2001-2004"
queues = ["sales"]

[[queue]]
name = "sales"

[[routing_point]]
number = "7000"
queue = "sales"
"#;

/// An engine that grants what a desktop asks, or what its reasons tell it to do: `Silent` gives no
/// answer, `Flood` gives so many events, `IsDesktopThere` comes back as 1 or 0.
/// A routing point shows the first router as EventDNBackInService and the last one's end as
/// EventDNOutOfService.
#[derive(Debug)]
struct Script {
    names: Arc<[String]>,
    events: VecDeque<Output>,
    /// The DNs that have a desktop, as this engine was told.
    desktops: BTreeSet<u32>,
}

impl Script {
    /// Each action of a party leads to its event at once.
    fn carry_out(&mut self, now: Instant, whom: RequestedBy, call: ConnId, asked: CallRequest) {
        let CallRequest::Party {
            this_dn,
            action,
            reasons,
        } = asked
        else {
            return;
        };
        if reasons.value("Silent").is_some() {
            return;
        }
        let digits = "1#".to_owned();
        let known = [
            (CallAction::Hold, EventName::Held),
            (CallAction::Retrieve, EventName::Retrieved),
            (CallAction::Release, EventName::Released),
            (CallAction::SendDtmf { digits }, EventName::DTMFSent),
        ];
        let found = known.into_iter().find(|(known, _)| *known == action);
        let (_, name) = found.expect("the script knows the action");
        self.emit_call(now, name, (this_dn, call), whom);
    }

    fn show_router(&mut self, now: Instant, present: bool) {
        let name = if present {
            EventName::DNBackInService
        } else {
            EventName::DNOutOfService
        };
        let event = Event::new(now, name, "7000");
        self.events.push_back(Output::Event(Box::new(event)));
    }

    fn emit_call(
        &mut self,
        now: Instant,
        name: EventName,
        (dn, conn_id): (DnIndex, ConnId),
        whom: RequestedBy,
    ) {
        let mut event = Event::new(now, name, &*self.names[dn.0 as usize]);
        event.call = Some(Arc::new(CallInfo {
            conn_id,
            call_id: 1,
            call_uuid: CallUuid(1),
            call_type: CallType::Outbound,
            ani: Some(event.this_dn.clone()),
            dnis: Some("5550199".into()),
            user_data: KeyValueList::new(),
        }));
        event.this_dn_role = Some(DnRole::Origination);
        event.call_state = Some(CallState::Ok);
        event.requested_by = Some(whom);
        self.events.push_back(Output::Event(Box::new(event)));
    }

    fn grant(&mut self, now: Instant, request: Request) {
        let (dn, asked) = match request.body {
            RequestBody::Desktop(DnIndex(dn), asked) => (dn, asked),
            RequestBody::Route(_, RouteRequest::Router(router)) => {
                return self.show_router(now, router.is_some());
            }
            RequestBody::Call(conn_id, asked) => {
                return self.carry_out(now, request.requested_by, conn_id, asked);
            }
            RequestBody::Route(..) => return,
        };
        if let DesktopRequest::MakeCall { .. } = &asked {
            let conn_id = ConnId::new(ShardId(u16::try_from(dn % 2).unwrap()), 1);
            let whom = request.requested_by;
            return self.emit_call(now, EventName::Dialing, (DnIndex(dn), conn_id), whom);
        }
        let (name, work_mode, mut reasons) = match asked {
            DesktopRequest::Login {
                work_mode, reasons, ..
            } => (EventName::AgentLogin, work_mode, reasons),
            DesktopRequest::Logout { reasons } => {
                (EventName::AgentLogout, AgentWorkMode::Unknown, reasons)
            }
            DesktopRequest::Ready { work_mode, reasons } => {
                (EventName::AgentReady, work_mode, reasons)
            }
            DesktopRequest::NotReady {
                work_mode, reasons, ..
            } => (EventName::AgentNotReady, work_mode, reasons),
            DesktopRequest::MakeCall { .. }
            | DesktopRequest::SetDnd { .. }
            | DesktopRequest::SetForward { .. }
            | DesktopRequest::CancelForward { .. }
            | DesktopRequest::RouterGone(_) => return,
            DesktopRequest::Reserve { reasons, .. } => {
                (EventName::AgentReserved, AgentWorkMode::Unknown, reasons)
            }
            DesktopRequest::Present => {
                self.desktops.insert(dn);
                return;
            }
            DesktopRequest::Gone => {
                self.desktops.remove(&dn);
                let reasons = KeyValueList::new().with_text("Desktop", "gone");
                (EventName::AgentNotReady, AgentWorkMode::Unknown, reasons)
            }
        };
        if reasons.value("Silent").is_some() {
            return;
        }
        if reasons.value("IsDesktopThere").is_some() {
            let there = i64::from(self.desktops.contains(&dn));
            reasons.set("IsDesktopThere", Value::Integer(there));
        }
        let mut event = Event::new(now, name, &*self.names[dn as usize]);
        event.agent_id = Some("carol".into());
        event.agent_work_mode = Some(work_mode);
        event.requested_by = Some(request.requested_by);
        let flood = match reasons.value("Flood") {
            Some(Value::Integer(count)) => usize::try_from(*count).unwrap(),
            Some(Value::Text(_) | Value::List(_)) | None => 0,
        };
        event.reasons = reasons;
        let copies = std::iter::repeat_n(event, flood + 1);
        self.events
            .extend(copies.map(|event| Output::Event(Box::new(event))));
    }
}

impl Engine for Script {
    type Message = ();
    type Request = Input;
    type Event = Output;

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
    }

    fn frame(_buffer: &[u8]) -> Frame {
        Frame::Incomplete
    }

    fn handle_datagram(&mut self, _now: Instant, _from: Source, _bytes: &[u8]) {}

    fn handle_connection(&mut self, _now: Instant, _change: ConnectionChange) {}

    fn handle_message(&mut self, _now: Instant, _from: ShardId, (): ()) {}

    fn handle_request(&mut self, now: Instant, input: Input) {
        match input {
            Input::Request(request) => self.grant(now, request),
            Input::Resolved(_) | Input::Drain | Input::Wall(_) | Input::Resident(_) => {}
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self, _buffer: &mut Vec<u8>) -> Option<Transmit> {
        None
    }

    fn poll_message(&mut self) -> Option<(ShardId, ())> {
        None
    }

    fn poll_event(&mut self) -> Option<Output> {
        self.events.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// The scripted engines of one server.
#[derive(Debug, Clone)]
struct Scripts {
    names: Arc<[String]>,
    counters: Vec<Arc<Counters>>,
}

impl Crew for Scripts {
    type Engine = Script;

    fn engine(&self, _shard: ShardId) -> Script {
        Script {
            names: Arc::clone(&self.names),
            events: VecDeque::new(),
            desktops: BTreeSet::new(),
        }
    }

    fn counters(&self) -> Vec<Arc<Counters>> {
        self.counters.clone()
    }

    fn owner_of_dn(&self, dn: DnIndex) -> ShardId {
        ShardId(u16::try_from(dn.0 % 2).unwrap())
    }

    fn owner_of_queue(&self, _queue: QueueIndex) -> ShardId {
        ShardId(0)
    }
}

/// Starts a server with scripted engines.
/// The driver that `OFFHOOK_TEST_DRIVER` names; without it, the server chooses.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests chooses the driver"
)]
pub(crate) fn driver() -> Option<String> {
    std::env::var("OFFHOOK_TEST_DRIVER").ok()
}

pub(crate) fn server(configuration: &str) -> Serving {
    server_with(configuration, Heartbeat::default())
}

pub(crate) fn server_with(configuration: &str, heartbeat: Heartbeat) -> Serving {
    let files = |_: &str| Err("no file".to_owned());
    let mut config = config::parse(configuration, &files).unwrap();
    if let Some(driver) = driver() {
        config.server.driver = driver.parse().unwrap();
    }
    let choices = Choices {
        signals: false,
        heartbeat,
        ..Choices::default()
    };
    let scripts = |config: Arc<config::Config>, shards| Scripts {
        names: config
            .agents
            .iter()
            .map(|agent| agent.dn.to_string())
            .collect(),
        counters: (0..shards).map(|_| Arc::default()).collect(),
    };
    serve::start_with(&config, Clock::start(), choices, scripts).unwrap()
}

/// A CTI client.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The greeting's `ServerStartTime`.
    pub(crate) server_start_time: Json,
}

impl Client {
    /// Connects and reads the greeting.
    pub(crate) async fn connect(server: &Serving) -> Self {
        Self::connect_to(server, "", None).await.unwrap()
    }

    pub(crate) async fn connect_to(
        server: &Serving,
        query: &str,
        header: Option<(&'static str, &str)>,
    ) -> Result<Self, Error> {
        let mut request = format!("ws://{}/cti{query}", server.http).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let (socket, response) = tokio_tungstenite::connect_async(request).await?;
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], SUBPROTOCOL);
        let mut client = Self {
            socket,
            server_start_time: Json::Null,
        };
        let greeting = client.hear().await;
        assert_eq!(greeting["Message"], "EventServerInfo");
        client.server_start_time = greeting["ServerStartTime"].clone();
        Ok(client)
    }

    pub(crate) async fn send(&mut self, request: &Json) {
        schema::check_frame(request);
        self.send_text(request.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    /// The next frame, or the close.
    pub(crate) async fn next(&mut self) -> Result<Json, Option<CloseFrame>> {
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("something is heard");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text).unwrap();
                    schema::check_frame(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn hear(&mut self) -> Json {
        self.next().await.expect("a frame")
    }

    /// Says it and returns the next frame.
    pub(crate) async fn ask(&mut self, request: &Json) -> Json {
        self.send(request).await;
        let answer = self.hear().await;
        assert_eq!(answer["ReferenceID"], request["ReferenceID"], "{answer}");
        answer
    }

    pub(crate) async fn register(&mut self, this_dn: &str) {
        let answer = self
            .ask(&json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": this_dn}))
            .await;
        assert_eq!(answer["Message"], "EventRegistered", "{answer}");
    }

    /// The number of the next event of the stream.
    pub(crate) async fn hear_sequence(&mut self) -> u64 {
        loop {
            if let Some(sequence) = self.hear().await["EventSequenceNumber"].as_u64() {
                return sequence;
            }
        }
    }
}

/// RequestAgentNotReady with reasons.
pub(crate) fn not_ready(reference_id: u32, this_dn: &str, reasons: &Json) -> Json {
    json!({"Message": "RequestAgentNotReady", "ReferenceID": reference_id, "ThisDN": this_dn,
           "Reasons": reasons})
}
