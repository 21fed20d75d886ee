//! What may come to the HTTP port: strangers, other protocols, two readings of one request, and
//! those who never finish a sentence.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::scene::{ADMIN, DEADLINE, DESKTOP, PATIENCE, Scene};
use super::{Answer, Row, hold};

#[test]
fn http_port() {
    let tables = [
        strangers(),
        refused(),
        garbage(),
        two_readings(),
        endless(),
        slow(),
    ];
    hold(
        Scene::open(1),
        &tables.into_iter().flatten().collect::<Vec<_>>(),
    );
}

fn connect(scene: &Scene) -> TcpStream {
    let stream = TcpStream::connect(scene.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says it, and reads to the end.
fn thrown(scene: &Scene, text: &str) -> Answer {
    let mut stream = connect(scene);
    // Whoever is refused early may not read it all.
    let _ = stream.write_all(text.as_bytes());
    heard(&mut stream)
}

fn heard(stream: &mut TcpStream) -> Answer {
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the connection stays open: {error}"),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    let statuses: Vec<_> = answer
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|rest| rest.get(..3)?.parse().ok())
        .collect();
    match *statuses {
        [] => Answer::Close,
        [status] => Answer::StatusAndClose(status),
        _ => panic!("more than one answer: {answer}"),
    }
}

/// A good head without its blank line, but for what follows.
fn head(method: &str, path: &str, token: &str, rest: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n{rest}"
    )
}

fn strangers() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    const UNAUTHORIZED: &[(&str, u64)] = &[("http_refused{unauthorized}", 1)];
    const FORBIDDEN: &[(&str, u64)] = &[("http_refused{forbidden}", 1)];
    vec![
        row(
            "no token",
            |scene| Answer::Status(scene.ask("", "GET", "/api/v1/agents", "").0),
            401,
            UNAUTHORIZED,
        ),
        row(
            "a wrong token for the metrics",
            |scene| Answer::Status(scene.ask("the-admins-toke", "GET", "/metrics", "").0),
            401,
            UNAUTHORIZED,
        ),
        row(
            "a desktop that wants the metrics",
            |scene| Answer::Status(scene.ask(DESKTOP, "GET", "/metrics", "").0),
            403,
            FORBIDDEN,
        ),
        row(
            "a desktop that wants another's state",
            |scene| Answer::Status(scene.ask(DESKTOP, "GET", "/api/v1/agents/2001", "").0),
            403,
            FORBIDDEN,
        ),
        row(
            "a desktop that logs another out",
            |scene| {
                let logout = r#"{"Message":"RequestAgentLogout","ThisDN":"2001"}"#;
                Answer::Status(scene.ask(DESKTOP, "POST", "/api/v1/requests", logout).0)
            },
            403,
            &[("cti_errors{Forbidden}", 1), ("http_refused{forbidden}", 1)],
        ),
    ]
}

fn refused() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    vec![
        row(
            "a body that is no JSON",
            |scene| Answer::Status(scene.ask(ADMIN, "POST", "/api/v1/requests", "\0\0").0),
            400,
            &[
                ("cti_errors{InvalidAttribute}", 1),
                ("http_refused{other}", 1),
            ],
        ),
        row(
            "a body of 70 KB",
            |scene| {
                Answer::Status(
                    scene
                        .ask(ADMIN, "POST", "/api/v1/requests", &"x".repeat(70_000))
                        .0,
                )
            },
            413,
            &[("http_refused{too_large}", 1)],
        ),
        row(
            "a path that is not served",
            |scene| Answer::Status(scene.ask(ADMIN, "GET", "/../../etc/passwd", "").0),
            404,
            &[("http_refused{not_found}", 1)],
        ),
        row(
            "a method that is not taken",
            |scene| Answer::Status(scene.ask(ADMIN, "DELETE", "/api/v1/agents", "").0),
            405,
            &[("http_refused{method}", 1)],
        ),
        row(
            "a WebSocket's door without a WebSocket",
            |scene| Answer::Status(scene.ask(ADMIN, "GET", "/cti", "").0),
            400,
            &[("http_refused{other}", 1)],
        ),
    ]
}

fn garbage() -> Vec<Row> {
    let row = |name, act, status| Row {
        name,
        act,
        answer: Answer::StatusAndClose(status),
        counts: &[("http_refused{malformed}", 1)],
    };
    vec![
        row(
            "SIP",
            |scene| {
                thrown(
                    scene,
                    "OPTIONS sip:7000@127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\n\r\n",
                )
            },
            400,
        ),
        row(
            "TLS",
            |scene| thrown(scene, "\x16\x03\x01\x02\x00\x01\x00\x01\x03\x03\r\n\r\n"),
            400,
        ),
        row("NULs", |scene| thrown(scene, &"\0".repeat(1_000)), 400),
    ]
}

fn two_readings() -> Vec<Row> {
    let row = |name, act, status| Row {
        name,
        act,
        answer: Answer::StatusAndClose(status),
        counts: &[("http_refused{malformed}", 1)],
    };
    vec![
        row(
            "two lengths",
            |scene| {
                let two = "Content-Length: 0\r\nContent-Length: 44\r\n\r\n";
                let inner = head("GET", "/metrics", ADMIN, "\r\n");
                thrown(
                    scene,
                    &(head("POST", "/api/v1/requests", ADMIN, two) + &inner),
                )
            },
            400,
        ),
        row(
            "a negative length",
            |scene| {
                thrown(
                    scene,
                    &head(
                        "POST",
                        "/api/v1/requests",
                        ADMIN,
                        "Content-Length: -1\r\n\r\n",
                    ),
                )
            },
            400,
        ),
        row(
            "a coding that is not known",
            |scene| {
                let coding = "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n";
                thrown(scene, &head("POST", "/api/v1/requests", ADMIN, coding))
            },
            400,
        ),
        row(
            "a space before the colon",
            |scene| {
                thrown(
                    scene,
                    &head("GET", "/metrics", ADMIN, "Content-Length : 5\r\n\r\n"),
                )
            },
            400,
        ),
    ]
}

fn endless() -> Vec<Row> {
    let row = |name, act, status| Row {
        name,
        act,
        answer: Answer::StatusAndClose(status),
        counts: &[("http_refused{malformed}", 1)],
    };
    vec![
        row(
            "two hundred headers",
            |scene| {
                thrown(
                    scene,
                    &head("GET", "/metrics", ADMIN, &("X: y\r\n".repeat(200) + "\r\n")),
                )
            },
            431,
        ),
        row(
            "a header of 1 MB",
            |scene| {
                let long = format!("X: {}\r\n\r\n", "y".repeat(1 << 20));
                thrown(scene, &head("GET", "/metrics", ADMIN, &long))
            },
            431,
        ),
        Row {
            name: "half a request, and the end",
            act: |scene| {
                let mut stream = connect(scene);
                stream
                    .write_all(head("GET", "/metrics", ADMIN, "").as_bytes())
                    .unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                heard(&mut stream)
            },
            answer: Answer::Close,
            counts: &[("http_refused{malformed}", 1)],
        },
    ]
}

fn slow() -> Vec<Row> {
    vec![
        Row {
            name: "a head that comes byte by byte",
            act: |scene| {
                trickle(
                    scene,
                    &head("GET", "/metrics", ADMIN, &"X: y\r\n".repeat(90)),
                )
            },
            answer: Answer::Close,
            counts: &[("http_refused{too_slow}", 1)],
        },
        Row {
            name: "a body that does not come",
            act: |scene| {
                let rest = "Connection: close\r\nContent-Length: 100\r\n\r\n{";
                thrown(scene, &head("POST", "/api/v1/requests", ADMIN, rest))
            },
            answer: Answer::StatusAndClose(408),
            counts: &[("http_refused{too_slow}", 1)],
        },
        Row {
            name: "answers that are never taken",
            act: |scene| {
                let mut stream = connect(scene);
                let patience = Some(Duration::from_millis(50));
                stream.set_write_timeout(patience).unwrap();
                let (start, mut at) = (Instant::now(), 0);
                let asked = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(1_000);
                loop {
                    assert!(start.elapsed() < PATIENCE, "it is never closed");
                    match stream.write(&asked.as_bytes()[at..]) {
                        Ok(written) => at = (at + written) % asked.len(),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return Answer::Close,
                    }
                }
            },
            answer: Answer::Close,
            counts: &[("http_refused{too_slow}", 1)],
        },
        Row {
            name: "a connection that says nothing",
            act: |scene| heard(&mut connect(scene)),
            answer: Answer::Close,
            counts: &[],
        },
    ]
}

/// Says it byte by byte until the connection is closed, while others are served.
fn trickle(scene: &Scene, text: &str) -> Answer {
    let mut stream = connect(scene);
    stream
        .set_read_timeout(Some(Duration::from_millis(10)))
        .unwrap();
    let start = Instant::now();
    for byte in text.bytes() {
        assert!(start.elapsed() < PATIENCE, "the slow one is never closed");
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        assert_eq!(scene.ask("", "GET", "/healthz", "").0, 200);
        match stream.read(&mut [0; 16]) {
            Ok(0) => break,
            Ok(_) => panic!("half a request is answered"),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(_) => {}
        }
    }
    assert!(start.elapsed() >= DEADLINE, "the slow one had its time");
    Answer::Close
}
