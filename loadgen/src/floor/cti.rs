//! The CTI connections on real sockets, in a thread of their own: they register, stamp what they
//! read on arrival, and send what they are given. Some read slowly; some are lost and resume.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use offhook::server::websocket::SUBPROTOCOL;
use offhook_shards::clock::Clock;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::desk::FIRST_REFERENCE;
use super::said::{Connection, Said};

/// How long the server may take to accept a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(30);
/// Between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Connections opened at once; more wait for these.
const OPENING_MAX: usize = 64;

/// What a connection is for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// The addresses that it registers.
    pub addresses: Vec<String>,
    /// Whether it routes the calls of these addresses.
    pub routes: bool,
    /// How long it pauses before each frame that it reads.
    pub pause: Option<Duration>,
}

/// What a connection tells.
#[derive(Debug)]
pub(super) enum Heard {
    /// The server has said something.
    Said(Box<Said>),
    /// The connection is lost: what was asked on it may stay without an answer.
    Lost(Connection, Instant),
    /// The server still had what the connection missed, or not.
    Resumed(Connection, bool),
    /// The connection is over for good.
    Ended(Connection, String),
}

/// What a connection is told.
#[derive(Debug)]
enum Wish {
    Send(String),
    Lose(Duration),
}

/// All connections.
#[derive(Debug)]
pub(super) struct Lines {
    wishes: Vec<UnboundedSender<Wish>>,
    thread: Option<JoinHandle<()>>,
}

impl Lines {
    /// Opens connections to `http`; what they hear goes to `heard`.
    ///
    /// # Errors
    /// When no thread or event loop can be had.
    pub(super) fn open(
        http: SocketAddr,
        lines: Vec<Line>,
        heard: Sender<Heard>,
    ) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (mut wishes, mut ends) = (Vec::new(), Vec::new());
        for line in lines {
            let (sender, receiver) = unbounded_channel();
            wishes.push(sender);
            ends.push((line, receiver));
        }
        let thread = std::thread::Builder::new().name("cti".to_owned());
        let thread = thread.spawn(move || {
            let tell = move |told: Heard| heard.send(told).is_ok();
            runtime.block_on(attend_all(http, ends, tell));
        })?;
        Ok(Self {
            wishes,
            thread: Some(thread),
        })
    }

    /// Sends a frame on a connection. Nothing happens when it is over.
    pub(super) fn send(&self, connection: Connection, frame: String) {
        if let Some(wish) = self.wishes.get(connection.0) {
            // A connection that is over has said so.
            let _ = wish.send(Wish::Send(frame));
        }
    }

    /// Cuts a connection for so long; then it comes back and resumes.
    pub(super) fn lose(&self, connection: Connection, length: Duration) {
        if let Some(wish) = self.wishes.get(connection.0) {
            let _ = wish.send(Wish::Lose(length));
        }
    }

    /// Closes all of them.
    pub(super) fn close(mut self) {
        self.wishes.clear();
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has said so already.
            let _ = thread.join();
        }
    }
}

async fn attend_all(
    http: SocketAddr,
    ends: Vec<(Line, UnboundedReceiver<Wish>)>,
    tell: impl Fn(Heard) -> bool + Clone + Send + Sync + 'static,
) {
    let opening = std::sync::Arc::new(tokio::sync::Semaphore::new(OPENING_MAX));
    let mut tasks = tokio::task::JoinSet::new();
    for (number, (line, wishes)) in ends.into_iter().enumerate() {
        let (tell, opening) = (tell.clone(), opening.clone());
        tasks.spawn(async move {
            let connection = Connection(number);
            let mut client = Client {
                connection,
                http,
                line,
                place: None,
            };
            let words = client.attend(wishes, &tell, &opening).await;
            let words = words.err().unwrap_or_else(|| "closed".to_owned());
            tell(Heard::Ended(connection, words));
        });
    }
    while tasks.join_next().await.is_some() {}
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One connection, over all its losses.
struct Client {
    connection: Connection,
    http: SocketAddr,
    line: Line,
    /// The server's start and the last event's number: where to resume.
    place: Option<(String, u64)>,
}

/// Why a connection is not there any more.
enum Gone {
    /// Nobody wants it any more.
    Unwanted,
    /// It is cut on purpose, for so long.
    Cut(Duration),
    /// The server has closed it, with this code.
    Closed(u16),
}

impl Client {
    async fn attend(
        &mut self,
        mut wishes: UnboundedReceiver<Wish>,
        tell: &(impl Fn(Heard) -> bool + Sync),
        opening: &tokio::sync::Semaphore,
    ) -> Result<(), String> {
        /// RFC 6455: the server goes away.
        const GOING_AWAY: u16 = 1_001;
        loop {
            let permit = opening
                .acquire()
                .await
                .map_err(|_| "no permit".to_owned())?;
            let socket = self.connect().await?;
            let (mut sink, mut stream) = socket.split();
            self.register(&mut sink).await?;
            drop(permit);
            let gone = self
                .serve(&mut sink, &mut stream, &mut wishes, tell)
                .await?;
            match gone {
                Gone::Unwanted => {
                    // A server that is gone needs no farewell.
                    let _ = sink.close().await;
                    return Ok(());
                }
                Gone::Closed(GOING_AWAY) => return Err("the server has stopped".to_owned()),
                Gone::Closed(_) => {
                    tell(Heard::Lost(self.connection, Clock.now()));
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Gone::Cut(length) => {
                    drop((sink, stream));
                    tell(Heard::Lost(self.connection, Clock.now()));
                    tokio::time::sleep(length).await;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let words = |error: tokio_tungstenite::tungstenite::Error| error.to_string();
        let deadline = Clock.now() + CONNECT_TIME_MAX;
        loop {
            let mut request = format!("ws://{}/cti", self.http)
                .into_client_request()
                .map_err(words)?;
            let protocol = SUBPROTOCOL
                .parse()
                .expect("the protocol's name is a header value");
            request
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", protocol);
            let left = deadline.saturating_duration_since(Clock.now());
            let connecting = tokio_tungstenite::connect_async(request);
            match tokio::time::timeout(left, connecting).await {
                Ok(Ok((socket, _))) => return Ok(socket),
                Err(_) => return Err(format!("no answer from {}", self.http)),
                Ok(Err(error)) if Clock.now() >= deadline => return Err(error.to_string()),
                Ok(Err(_)) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Registers all addresses, and resumes if the connection had been there before.
    async fn register(&self, sink: &mut SplitSink<Socket, Message>) -> Result<(), String> {
        let mut reference = 0;
        let mut frames = Vec::new();
        for address in &self.line.addresses {
            reference += 1;
            let mut extensions = serde_json::Map::new();
            if self.place.is_some() {
                extensions.insert("Hold".to_owned(), json!(1));
            }
            if self.line.routes {
                extensions.insert("Router".to_owned(), json!(1));
            }
            let mut frame = json!({
                "Message": "RequestRegisterAddress",
                "ReferenceID": reference,
                "ThisDN": address,
            });
            if !extensions.is_empty() {
                frame["Extensions"] = Value::Object(extensions);
            }
            frames.push(frame.to_string());
        }
        if let Some((start, sequence)) = &self.place {
            let frame = json!({
                "Message": "RequestResume",
                "ReferenceID": reference + 1,
                "ServerStartTime": start,
                "EventSequenceNumber": sequence,
            });
            frames.push(frame.to_string());
        }
        for frame in frames {
            let sent = sink.feed(Message::Text(frame.into())).await;
            sent.map_err(|error| error.to_string())?;
        }
        sink.flush().await.map_err(|error| error.to_string())
    }

    async fn serve(
        &mut self,
        sink: &mut SplitSink<Socket, Message>,
        stream: &mut SplitStream<Socket>,
        wishes: &mut UnboundedReceiver<Wish>,
        tell: &(impl Fn(Heard) -> bool + Sync),
    ) -> Result<Gone, String> {
        loop {
            tokio::select! {
                wish = wishes.recv() => match wish {
                    None => return Ok(Gone::Unwanted),
                    Some(Wish::Lose(length)) => return Ok(Gone::Cut(length)),
                    Some(Wish::Send(frame)) => {
                        let sent = sink.send(Message::Text(frame.into())).await;
                        if sent.is_err() {
                            return Ok(Gone::Closed(0));
                        }
                    }
                },
                message = stream.next() => match message {
                    None | Some(Err(_)) => return Ok(Gone::Closed(0)),
                    Some(Ok(Message::Close(frame))) => {
                        return Ok(Gone::Closed(frame.map_or(0, |frame| frame.code.into())));
                    }
                    Some(Ok(Message::Text(text))) => {
                        if !self.take(&text, tell) {
                            return Ok(Gone::Unwanted);
                        }
                        if let Some(pause) = self.line.pause {
                            tokio::time::sleep(pause).await;
                        }
                    }
                    // Pings are answered below us.
                    Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_)
                        | Message::Frame(_))) => {}
                },
            }
        }
    }

    /// Takes a frame; `false` when nobody listens any more.
    fn take(&mut self, text: &str, tell: &impl Fn(Heard) -> bool) -> bool {
        let Some(said) = Said::read(Clock.now(), self.connection, text) else {
            return true;
        };
        let is_own = said
            .reference
            .is_some_and(|reference| reference < FIRST_REFERENCE);
        match said.message.as_str() {
            "EventServerInfo" if self.place.is_none() => {
                let value: Value = serde_json::from_str(text).unwrap_or_default();
                let start = value["ServerStartTime"].as_str().unwrap_or_default();
                self.place = Some((start.to_owned(), said.sequence.unwrap_or(0)));
                return true;
            }
            "EventServerInfo" => return true,
            "EventACK" if is_own => return tell(Heard::Resumed(self.connection, true)),
            "EventGap" if is_own => return tell(Heard::Resumed(self.connection, false)),
            _ => {}
        }
        if let (Some((_, last)), Some(sequence)) = (&mut self.place, said.sequence) {
            *last = sequence.max(*last);
        }
        tell(Heard::Said(Box::new(said)))
    }
}
