//! A trunk as a CTI client sees it, with the real engines: its only peer, which the test is, falls
//! silent and comes back.

use offhook::config;
use offhook::server::serve::{self, Choices};
use serde_json::json;
use tokio::net::UdpSocket;

use crate::script::Client;

#[tokio::test]
async fn a_client_sees_a_trunk_go_and_come_back() {
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let configuration = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:0"]
        http = "127.0.0.1:0"
        shards = 1
        pin = false
        [[trunk]]
        name = "ucm"
        peers = ["udp:{}"]
        oos_check = 1
        ping_timeout = "300ms"
        oos_force = 0
        "#,
        peer.local_addr().unwrap()
    );
    let config = config::parse(&configuration, &|_| Err("no file".to_owned())).unwrap();
    let server = serve::start(&config, Choices::default()).unwrap();
    let mut client = Client::connect(&server).await;
    client.register("ucm").await;
    let event = client.hear().await;
    assert_eq!(event["Message"], "EventDNOutOfService", "{event}");
    assert_eq!(event["ThisDN"], "ucm");
    let query = json!({"Message": "RequestQueryAddress", "ReferenceID": 2, "ThisDN": "ucm"});
    let answer = client.ask(&query).await;
    assert_eq!(
        answer["Extensions"]["AddressStatus"], "OutOfService",
        "{answer}"
    );

    let answering = tokio::spawn(answer_pings(peer));
    let event = client.hear().await;
    assert_eq!(event["Message"], "EventDNBackInService", "{event}");
    let answer = client.ask(&query).await;
    assert_eq!(answer["Extensions"]["AddressStatus"], "Idle", "{answer}");
    server.stop().unwrap();
    answering.abort();
}

/// Answers OPTIONS for as long as it is asked.
async fn answer_pings(peer: UdpSocket) {
    let mut buffer = [0; 2_048];
    while let Ok((length, from)) = peer.recv_from(&mut buffer).await {
        let request = std::str::from_utf8(&buffer[..length]).unwrap();
        let copied = request.lines().filter(|line| {
            let copied = ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "];
            copied.iter().any(|name| line.starts_with(name))
        });
        let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
        let answer = format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n");
        peer.send_to(answer.as_bytes(), from).await.unwrap();
    }
}
