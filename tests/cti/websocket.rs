//! Clients on WebSockets: requests and answers, garbage, tokens, slow and silent clients.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook::server::websocket::Heartbeat;
use serde_json::{Value as Json, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::script::{CONFIGURATION, Client, PATIENCE, not_ready, server, server_with};

#[tokio::test]
async fn a_request_is_answered_and_others_see_what_it_did() {
    let server = server(CONFIGURATION);
    let mut asking = Client::connect(&server).await;
    let mut watching = Client::connect(&server).await;
    asking.register("2001").await;
    watching.register("2001").await;
    let request = json!({"Message": "RequestAgentNotReady", "ReferenceID": 7, "ThisDN": "2001",
                         "AgentWorkMode": "AuxWork", "Reasons": {"Break": "lunch"}});
    let answer = asking.ask(&request).await;
    let seen = watching.hear().await;
    assert_eq!(answer["Message"], "EventAgentNotReady");
    assert_eq!(seen["EventSequenceNumber"], 1);
    assert!(seen.get("ReferenceID").is_none());
    let mut without = answer.clone();
    without.as_object_mut().unwrap().remove("ReferenceID");
    assert_eq!(seen, without);
    server.stop().unwrap();
}

#[tokio::test]
async fn a_desktop_that_comes_or_goes_away_is_reported_to_its_shard() {
    let server = server(CONFIGURATION);
    let mut watching = Client::connect(&server).await;
    watching.register("*").await;
    let asked = not_ready(1, "2002", &json!({"IsDesktopThere": 1}));
    let there = |answer: &Json| answer["Reasons"]["IsDesktopThere"] == 1;
    assert!(
        !there(&watching.ask(&asked).await),
        "asking is not being there"
    );
    // Whoever comes back need not ask anything to be there.
    for _ in 0..2 {
        let mut desktop = Client::connect(&server).await;
        desktop.register("2002").await;
        assert!(there(&watching.ask(&asked).await));
        drop(desktop);
        assert_eq!(watching.hear().await["Reasons"], json!({"Desktop": "gone"}));
        assert!(!there(&watching.ask(&asked).await));
    }
    server.stop().unwrap();
}

#[tokio::test]
async fn who_only_watches_a_routing_point_is_not_asked_to_route() {
    let server = server(CONFIGURATION);
    let mut wallboard = Client::connect(&server).await;
    wallboard.register("7000").await;
    let mut router = Client::connect(&server).await;
    let ask = json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "7000",
                     "Extensions": {"Router": 1}});
    assert_eq!(router.ask(&ask).await["Message"], "EventRegistered");
    let came = wallboard.hear().await;
    assert_eq!(came["Message"], "EventDNBackInService");
    assert_eq!(came["EventSequenceNumber"], 1, "the wallboard was none");
    drop(router);
    assert_eq!(wallboard.hear().await["Message"], "EventDNOutOfService");
    server.stop().unwrap();
}

#[tokio::test]
async fn garbage_is_answered_and_the_connection_stays() {
    let server = server(CONFIGURATION);
    let mut client = Client::connect(&server).await;
    client.send_text("{\"Message\":".to_owned()).await;
    assert_eq!(client.hear().await["ErrorCode"], "InvalidAttribute");
    client
        .socket
        .send(Message::Binary(vec![0, 159, 146, 150].into()))
        .await
        .unwrap();
    assert_eq!(client.hear().await["ErrorCode"], "InvalidAttribute");
    client
        .send_text(format!("\"{}\"", "x".repeat(70_000)))
        .await;
    assert_eq!(client.hear().await["ErrorCode"], "InvalidAttribute");
    let query = json!({"Message": "RequestQueryServer", "ReferenceID": 3});
    assert_eq!(client.ask(&query).await["Message"], "EventServerInfo");
    server.stop().unwrap();
}

#[tokio::test]
async fn a_frame_of_two_megabytes_closes_the_connection() {
    let server = server(CONFIGURATION);
    let mut client = Client::connect(&server).await;
    // The server may close before it has read everything, so the write itself may fail.
    let _ = client
        .socket
        .send(Message::Text("x".repeat(2 << 20).into()))
        .await;
    let closed = timeout(PATIENCE, client.socket.next()).await.unwrap();
    match closed {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1009),
        Some(Err(Error::Io(_) | Error::Protocol(_))) | None => {}
        other => panic!("{other:?}"),
    }
    let mut another = Client::connect(&server).await;
    another.register("2001").await;
    server.stop().unwrap();
}

#[tokio::test]
async fn a_slow_client_is_cut_off_alone_and_resumes() {
    // More than the queue and the kernel's buffers hold together.
    const FLOOD: u64 = 3_000;
    let padding = "x".repeat(8_000);
    let server = server(CONFIGURATION);
    let mut slow = Client::connect(&server).await;
    slow.register("2001").await;
    let mut quick = Client::connect(&server).await;
    quick.register("2001").await;
    // In portions that the quick client can follow.
    for portion in 0..FLOOD / 100 {
        quick
            .send(&not_ready(
                1,
                "2001",
                &json!({"Flood": 99, "Padding": padding}),
            ))
            .await;
        for step in 1..=100 {
            assert_eq!(quick.hear_sequence().await, portion * 100 + step);
        }
    }
    let mut last = 0;
    let close = loop {
        match slow.next().await {
            Ok(frame) => {
                let sequence = frame["EventSequenceNumber"].as_u64().unwrap();
                assert_eq!(sequence, last + 1);
                last = sequence;
            }
            Err(close) => break close.expect("a close frame"),
        }
    };
    assert!(last < FLOOD, "the slow client was cut off before the end");
    assert_eq!(u16::from(close.code), 4008);
    assert!(
        close.reason.ends_with(&format!(" {last}")),
        "{} after {last}",
        close.reason
    );

    let mut back = Client::connect(&server).await;
    let hold = json!({"Message": "RequestRegisterAddress", "ReferenceID": 1, "ThisDN": "2001",
                      "Extensions": {"Hold": 1}});
    assert_eq!(back.ask(&hold).await["Message"], "EventRegistered");
    let resume = json!({"Message": "RequestResume", "ReferenceID": 2, "EventSequenceNumber": last,
                        "ServerStartTime": slow.server_start_time});
    assert_eq!(back.ask(&resume).await["Message"], "EventACK");
    for expected in last + 1..=FLOOD {
        assert_eq!(back.hear_sequence().await, expected);
    }
    back.send(&not_ready(3, "2001", &json!({}))).await;
    assert_eq!(back.hear_sequence().await, FLOOD + 1);
    server.stop().unwrap();
}

#[tokio::test]
async fn a_silent_client_is_closed_and_one_that_answers_pings_stays() {
    let heartbeat = Heartbeat {
        ping: Duration::from_millis(50),
        silence_max: Duration::from_millis(400),
    };
    let server = server_with(CONFIGURATION, heartbeat);
    let mut silent = Client::connect(&server).await;
    let mut lively = Client::connect(&server).await;
    lively.register("2001").await;
    // Only a socket that is read answers pings.
    let listening = async {
        loop {
            let heard = lively.socket.next().await;
            assert!(matches!(heard, Some(Ok(Message::Ping(_)))), "{heard:?}");
        }
    };
    assert!(
        timeout(Duration::from_millis(1_500), listening)
            .await
            .is_err()
    );
    let closed = loop {
        match silent.socket.next().await {
            Some(Ok(Message::Ping(_))) => {}
            other => break other,
        }
    };
    assert!(!matches!(closed, Some(Ok(Message::Text(_)))), "{closed:?}");
    let answer = lively.ask(&not_ready(1, "2001", &json!({}))).await;
    assert_eq!(answer["Message"], "EventAgentNotReady");
    server.stop().unwrap();
}

#[tokio::test]
async fn a_hundred_clients_hear_everything_in_one_order() {
    let server = server(CONFIGURATION);
    let mut clients = Vec::new();
    for _ in 0..100 {
        let mut client = Client::connect(&server).await;
        client.register("*").await;
        clients.push(client);
    }
    let mut asking = Client::connect(&server).await;
    for dn in ["2001", "2002", "2003", "2004"] {
        asking.register(dn).await;
    }
    for dn in ["2001", "2002", "2003", "2004"] {
        asking.send(&not_ready(1, dn, &json!({"Flood": 9}))).await;
    }
    let mut first = Vec::new();
    for (index, client) in clients.iter_mut().enumerate() {
        let mut heard = Vec::new();
        for _ in 0..40 {
            let frame = client.hear().await;
            heard.push((
                frame["EventSequenceNumber"].clone(),
                frame["ThisDN"].clone(),
            ));
        }
        let sequences: Vec<_> = heard.iter().map(|(sequence, _)| sequence.clone()).collect();
        assert_eq!(sequences, (1..=40).map(Json::from).collect::<Vec<_>>());
        if index == 0 {
            first = heard;
        } else {
            assert_eq!(heard, first);
        }
    }
    server.stop().unwrap();
}

#[tokio::test]
async fn a_token_opens_what_its_role_may() {
    let tokens = "\n[[token]]\ntoken = \"carols-token\"\nrole = \"agent\"\ndns = [\"2001\"]\n\
                  \n[[token]]\ntoken = \"wallboard-token\"\nrole = \"supervisor\"\n";
    let server = server(&format!("{CONFIGURATION}{tokens}"));
    let refused = |outcome: Result<Client, Error>| match outcome {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the door was open"),
    };
    assert_eq!(refused(Client::connect_to(&server, "", None).await), 401);
    assert_eq!(
        refused(Client::connect_to(&server, "?token=nobody", None).await),
        401
    );
    let bearer = Some(("Authorization", "Bearer carols-tokem"));
    assert_eq!(refused(Client::connect_to(&server, "", bearer).await), 401);

    let bearer = Some(("Authorization", "Bearer carols-token"));
    let mut carol = Client::connect_to(&server, "", bearer).await.unwrap();
    carol.register("2001").await;
    let other = json!({"Message": "RequestRegisterAddress", "ReferenceID": 2, "ThisDN": "2002"});
    assert_eq!(carol.ask(&other).await["ErrorCode"], "Forbidden");
    let mut wallboard = Client::connect_to(&server, "?token=wallboard-token", None)
        .await
        .unwrap();
    wallboard.register("*").await;
    server.stop().unwrap();
}

#[tokio::test]
async fn pages_of_other_sites_stay_outside() {
    let server = server(CONFIGURATION);
    for (origin, open) in [
        ("https://evil.example", false),
        ("null", false),
        ("http://localhost:3000", true),
        ("http://127.0.0.1", true),
    ] {
        let outcome = Client::connect_to(&server, "", Some(("Origin", origin))).await;
        assert_eq!(outcome.is_ok(), open, "{origin}");
    }
    server.stop().unwrap();
}

#[tokio::test]
async fn a_stopping_server_says_so() {
    let server = server(CONFIGURATION);
    let mut client = Client::connect(&server).await;
    let stopping = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(
        client
            .next()
            .await
            .unwrap_err()
            .map(|close| u16::from(close.code)),
        Some(1001)
    );
    // Answers the close, so that the server need not wait for its deadline.
    drop(client);
    stopping.await.unwrap().unwrap();
}
