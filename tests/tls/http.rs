//! HTTP and WebSocket under TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use offhook::server::serve::Choices;
use tokio_tungstenite::tungstenite;

use crate::authority::Authority;
use crate::peers::{Client, PATIENCE, connect};
use crate::server::serve_with;

/// What one request is answered.
fn fetch(stream: &mut (impl Read + Write), path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // Whoever closes a connection need not say goodbye in TLS.
    let _ = stream.read_to_string(&mut answer);
    answer
}

fn client(authority: &Authority, to: SocketAddr) -> Client {
    connect(to, authority.client(None), "us.example.com")
}

#[test]
fn desktops_and_scrapers_come_by_tls_and_nobody_without() {
    let authority = Authority::new("http");
    let server = serve_with(&authority, ("auto", Choices::default()), "http_tls = true");
    let answer = fetch(&mut client(&authority, server.http), "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    let stream = client(&authority, server.http);
    let (mut desktop, _) = tungstenite::client("wss://localhost/cti", stream).unwrap();
    let hello = desktop.read().unwrap().into_text().unwrap();
    assert!(hello.contains("EventServerInfo"), "{hello}");

    let mut plain = TcpStream::connect(server.http).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    let answer = fetch(&mut plain, "/healthz");
    assert!(!answer.contains("HTTP"), "{answer}");
    let page = fetch(&mut client(&authority, server.http), "/metrics");
    let counted = "offhook_http_refused_total{cause=\"handshake\"} 1\n";
    assert!(page.contains(counted), "{page}");
    server.stop().unwrap();
}

#[test]
fn one_who_does_not_finish_a_handshake_holds_up_nobody_and_is_cut_off() {
    let authority = Authority::new("http-slow");
    let mut choices = Choices::default();
    choices.deadlines.http_head = Duration::from_secs(3);
    let server = serve_with(&authority, ("epoll", choices), "http_tls = true");
    let silent = (0..20).map(|_| TcpStream::connect(server.http).unwrap());
    let silent: Vec<_> = silent.collect();
    let answer = fetch(&mut client(&authority, server.http), "/readyz");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let read = stream.read(&mut [0; 64]);
        assert!(read.is_ok_and(|bytes| bytes == 0), "it is closed");
    }
    let page = fetch(&mut client(&authority, server.http), "/metrics");
    let counted = "offhook_http_refused_total{cause=\"too_slow\"} 20\n";
    assert!(page.contains(counted), "{page}");
    server.stop().unwrap();
}
