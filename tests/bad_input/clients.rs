//! CTI clients that send garbage, do not read, or ask for what they may not.

use std::net::{SocketAddr, TcpStream};

use offhook::cti::ErrorCode;
use serde_json::{Value as Json, json};
use socket2::{Domain, Socket, Type};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::scene::{ADMIN, DESKTOP, PATIENCE, Scene};
use super::{Answer, Row, hold};

#[test]
fn clients() {
    let tables = [garbage(), forbidden(), in_vain(), closed()];
    hold(
        Scene::open(2),
        &tables.into_iter().flatten().collect::<Vec<_>>(),
    );
}

/// A client that has been greeted.
struct Client {
    socket: WebSocket<TcpStream>,
    start_time: Json,
}

impl Client {
    fn connect(scene: &Scene, token: &str) -> Self {
        Self::connect_narrow(scene.http, token, None)
    }

    fn connect_narrow(server: SocketAddr, token: &str, receive_bytes: Option<usize>) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        socket.connect(&server.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("ws://{server}/cti").into_client_request().unwrap();
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("Authorization", bearer);
        let (socket, _) = tungstenite::client(request, stream).unwrap();
        let mut client = Self {
            socket,
            start_time: Json::Null,
        };
        let greeting = client.hear();
        assert_eq!(greeting["Message"], "EventServerInfo");
        client.start_time = greeting["ServerStartTime"].clone();
        client
    }

    fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::Text(text.into().into())).unwrap();
    }

    fn next(&mut self) -> Result<Json, Option<u16>> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => {
                    return Err(frame.map(|frame| u16::from(frame.code)));
                }
                Ok(_) => {}
                Err(_) => return Err(None),
            }
        }
    }

    fn hear(&mut self) -> Json {
        self.next().expect("a frame")
    }

    fn ask(&mut self, request: &Json) -> Json {
        self.say(request.to_string());
        self.hear()
    }

    /// The error that it gets; the connection stays.
    fn error(&mut self) -> Answer {
        let answer = self.hear();
        assert_eq!(answer["Message"], "EventError", "{answer}");
        let code = answer["ErrorCode"].as_str().and_then(ErrorCode::from_name);
        let query = json!({"Message": "RequestQueryServer", "ReferenceID": 3});
        assert_eq!(self.ask(&query)["Message"], "EventServerInfo");
        Answer::Error(code.expect("an error has a known code"))
    }
}

/// A desktop says a text and is told an error.
fn said(scene: &Scene, text: impl Into<String>) -> Answer {
    let mut client = Client::connect(scene, DESKTOP);
    client.say(text);
    client.error()
}

fn asked(scene: &Scene, request: &Json) -> Answer {
    said(scene, request.to_string())
}

const INVALID: &[(&str, u64)] = &[("cti_errors{InvalidAttribute}", 1)];

fn garbage() -> Vec<Row> {
    let row = |name, act| Row {
        name,
        act,
        answer: Answer::Error(ErrorCode::InvalidAttribute),
        counts: INVALID,
    };
    vec![
        row("what is no JSON", |scene| said(scene, "{\"Message\":")),
        row("what is no object", |scene| said(scene, "[1, 2]")),
        row("an empty frame", |scene| said(scene, "")),
        row("a NUL", |scene| said(scene, "{\"Message\":\"\0\"}")),
        row("a message of no name", |scene| {
            asked(scene, &json!({"ReferenceID": 1}))
        }),
        row("a name that nobody knows", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestNonsense", "ReferenceID": 1}),
            )
        }),
        row("a number for a DN", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestAgentReady", "ReferenceID": 1, "ThisDN": 2002}),
            )
        }),
        row("a text for a ReferenceID", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestAgentReady", "ReferenceID": "1", "ThisDN": "2002"}),
            )
        }),
        row("no ReferenceID", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestAgentReady", "ThisDN": "2002"}),
            )
        }),
        row("a frame of 70 KB", |scene| {
            said(scene, format!("\"{}\"", "x".repeat(70_000)))
        }),
        row("thirty thousand lists in each other", |scene| {
            said(scene, "[".repeat(30_000))
        }),
        row("a list of a thousand keys", |scene| {
            let reasons: serde_json::Map<_, _> =
                (0..1_000).map(|n| (n.to_string(), json!(n))).collect();
            asked(
                scene,
                &json!({"Message": "RequestAgentReady", "ReferenceID": 1, "ThisDN": "2002",
                        "Reasons": reasons}),
            )
        }),
        row("a binary frame", |scene| {
            let mut client = Client::connect(scene, DESKTOP);
            let bytes = Message::Binary(vec![0, 159, 146, 150].into());
            client.socket.send(bytes).unwrap();
            client.error()
        }),
    ]
}

fn forbidden() -> Vec<Row> {
    let row = |name, act| Row {
        name,
        act,
        answer: Answer::Error(ErrorCode::Forbidden),
        counts: &[("cti_errors{Forbidden}", 1)],
    };
    vec![
        row("to listen to another's DN", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "2001"}),
            )
        }),
        row("to listen to everything", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "*"}),
            )
        }),
        row("another's state", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestQueryAddress", "ReferenceID": 1, "ThisDN": "2001"}),
            )
        }),
        row("to log another out", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestAgentLogout", "ReferenceID": 1, "ThisDN": "2001"}),
            )
        }),
        row("to route a call", |scene| {
            asked(
                scene,
                &json!({"Message": "RequestRouteCall", "ReferenceID": 1, "OtherDN": "2002",
                        "ConnID": "0001000000000001"}),
            )
        }),
    ]
}

fn in_vain() -> Vec<Row> {
    vec![
        Row {
            name: "what this server does not offer",
            act: |scene| {
                asked(
                    scene,
                    &json!({"Message": "RequestMergeCalls", "ReferenceID": 1, "ThisDN": "2002"}),
                )
            },
            answer: Answer::Error(ErrorCode::UnsupportedOperation),
            counts: &[("cti_errors{UnsupportedOperation}", 1)],
        },
        Row {
            name: "to act for its DN without registering it",
            act: |scene| {
                asked(
                    scene,
                    &json!({"Message": "RequestAgentReady", "ReferenceID": 1, "ThisDN": "2002"}),
                )
            },
            answer: Answer::Error(ErrorCode::ClientNotRegistered),
            counts: &[("cti_errors{ClientNotRegistered}", 1)],
        },
        Row {
            name: "to end a call that is none",
            act: |scene| {
                let mut client = Client::connect(scene, DESKTOP);
                register(&mut client, "2002");
                client.say(
                    json!({"Message": "RequestReleaseCall", "ReferenceID": 1, "ThisDN": "2002",
                           "ConnID": "ffff000000000001"})
                    .to_string(),
                );
                client.error()
            },
            answer: Answer::Error(ErrorCode::InvalidConnID),
            counts: &[("cti_errors{InvalidConnID}", 1)],
        },
        refused_at_the_door("a WebSocket with a wrong token", "not-the-token"),
        refused_at_the_door("a WebSocket with an empty token", ""),
    ]
}

fn refused_at_the_door(name: &'static str, token: &'static str) -> Row {
    let act: fn(&Scene) -> Answer = if token.is_empty() {
        |scene| Answer::Status(scene.ask("", "GET", "/cti", "").0)
    } else {
        |scene| Answer::Status(scene.ask("not-the-token", "GET", "/cti", "").0)
    };
    Row {
        name,
        act,
        answer: Answer::Status(401),
        counts: &[("http_refused{unauthorized}", 1)],
    }
}

fn closed() -> Vec<Row> {
    vec![
        Row {
            name: "a frame of 2 MB",
            act: |scene| {
                let mut client = Client::connect(scene, DESKTOP);
                // The server may close before it has read everything.
                let _ = client
                    .socket
                    .send(Message::Text("x".repeat(2 << 20).into()));
                match client.next() {
                    Err(Some(1009) | None) => Answer::CloseCode(1009),
                    other => panic!("{other:?}"),
                }
            },
            answer: Answer::CloseCode(1009),
            counts: &[("cti_clients_closed{frame_too_long}", 1)],
        },
        Row {
            name: "what is no WebSocket any more",
            act: |scene| {
                use std::io::Write as _;
                let mut client = Client::connect(scene, DESKTOP);
                client.socket.get_mut().write_all(&[0xff; 64]).unwrap();
                match client.next() {
                    Err(Some(code)) => Answer::CloseCode(code),
                    other => panic!("{other:?}"),
                }
            },
            answer: Answer::CloseCode(1002),
            counts: &[("cti_clients_closed{protocol}", 1)],
        },
        Row {
            name: "a client that does not read is cut off, and resumes",
            act: stalls_and_resumes,
            answer: Answer::CloseCode(4008),
            counts: &[("cti_clients_closed{slow}", 1)],
        },
    ]
}

fn register(client: &mut Client, this_dn: &str) -> Json {
    let answer = client
        .ask(&json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": this_dn}));
    assert_eq!(answer["Message"], "EventRegistered", "{answer}");
    answer
}

fn stalls_and_resumes(scene: &Scene) -> Answer {
    let mut slow = Client::connect_narrow(scene.http, ADMIN, Some(4_096));
    register(&mut slow, "2002");
    let mut busy = Client::connect(scene, DESKTOP);
    register(&mut busy, "2002");
    let login = json!({"Message": "RequestAgentLogin", "ReferenceID": 2, "ThisDN": "2002"});
    assert_eq!(busy.ask(&login)["Message"], "EventAgentLogin");
    // Until the slow one is cut off: events of 12 KB, each of which the busy one hears.
    let padding = "x".repeat(12_000);
    let mut count = 0;
    while scene.counted()["cti_clients_closed{slow}"] == 0 {
        for _ in 0..50 {
            count += 1;
            let reasons = json!({"Count": count, "Padding": padding});
            let request = json!({"Message": "RequestAgentNotReady", "ReferenceID": 3,
                                 "ThisDN": "2002", "Reasons": reasons});
            busy.say(request.to_string());
            loop {
                let heard = busy.hear();
                assert_ne!(heard["Message"], "EventError", "{heard}");
                if heard["Reasons"]["Count"] == count {
                    break;
                }
            }
        }
        assert!(count < 10_000, "the slow client is never cut off");
    }
    let mut last = 0;
    let code = loop {
        match slow.next() {
            Ok(frame) => last = frame["EventSequenceNumber"].as_u64().unwrap_or(last),
            Err(code) => break code.expect("a close frame"),
        }
    };
    let mut back = Client::connect(scene, ADMIN);
    back.ask(
        &json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "2002",
                     "Extensions": {"Hold": 1}}),
    );
    let resumed = back.ask(&json!({"Message": "RequestResume", "ReferenceID": 2,
                                   "ServerStartTime": slow.start_time,
                                   "EventSequenceNumber": last}));
    assert_eq!(resumed["Message"], "EventACK", "{resumed}");
    loop {
        let event = back.hear();
        assert_eq!(event["EventSequenceNumber"], last + 1);
        last += 1;
        if event["Reasons"]["Count"] == count {
            break;
        }
    }
    Answer::CloseCode(code)
}
