//! The interface over HTTP, spoken by hand: state, requests, metrics, health and problems.

use offhook::server::serve::Serving;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::schema;
use crate::script::{CONFIGURATION, Client, PATIENCE, not_ready, server};

/// Status, content type and body of one request.
async fn fetch(server: &Serving, method: &str, path: &str, body: &str) -> (u16, String, String) {
    fetch_with(server, method, path, body, "").await
}

async fn fetch_with(
    server: &Serving,
    method: &str,
    path: &str,
    body: &str,
    headers: &str,
) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\
         Content-Length: {}\r\n\r\n{body}",
        server.http,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let kind = head
        .lines()
        .find_map(|line| line.strip_prefix("content-type: "));
    (status, kind.unwrap_or_default().to_owned(), body.to_owned())
}

async fn fetch_json(server: &Serving, path: &str) -> Json {
    let (status, kind, body) = fetch(server, "GET", path, "").await;
    assert_eq!(
        (status, kind.as_str()),
        (200, "application/json"),
        "{path}: {body}"
    );
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn the_state_is_what_the_events_said() {
    let server = server(CONFIGURATION);
    let mut client = Client::connect(&server).await;
    client.register("2002").await;
    client
        .ask(&not_ready(1, "2002", &json!({"Break": "tea"})))
        .await;
    let agents = fetch_json(&server, "/api/v1/agents").await;
    assert_eq!(agents["EventSequenceNumber"], 1);
    let statuses: Vec<_> = agents["Agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| agent["AgentStatus"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        ["LoggedOut", "NotReady", "LoggedOut", "LoggedOut"]
    );
    let agent = fetch_json(&server, "/api/v1/agents/2002").await;
    assert_eq!(
        (&agent["AgentID"], &agent["Reasons"]),
        (&json!("carol"), &json!({"Break": "tea"}))
    );
    let page = fetch_json(&server, "/api/v1/agents?after=2001&limit=1").await;
    assert_eq!(
        (&page["Agents"][0], &page["Next"]),
        (&agent, &json!("2002"))
    );
    assert_eq!(
        fetch_json(&server, "/api/v1/calls").await["Calls"],
        json!([])
    );
    let page = "/api/v1/calls?after=00010000000000ab&limit=1000";
    assert_eq!(fetch_json(&server, page).await["Calls"], json!([]));
    let queues = fetch_json(&server, "/api/v1/queues").await;
    assert_eq!(queues["Queues"][0]["RoutingPoints"][0]["ThisDN"], "7000");
    let trunks = fetch_json(&server, "/api/v1/trunks").await;
    assert_eq!(trunks["Trunks"][0]["InService"], true);
    let shards = fetch_json(&server, "/api/v1/shards").await;
    assert_eq!(shards["Shards"].as_array().unwrap().len(), 2);
    // The request, and the word that the DN has a desktop.
    let shard = &shards["Shards"][1];
    assert_eq!(shard["Counters"]["requests"], 2);
    let turns = &shard["TurnMicroseconds"];
    assert!(turns["P50"].as_u64() <= turns["P99"].as_u64(), "{turns}");
    assert!(turns["P99"].as_u64() <= turns["Max"].as_u64(), "{turns}");
    let waiting = &shard["Waiting"];
    for queue in ["received", "from_shards", "requests", "events"] {
        assert_eq!(waiting[queue], 0, "{waiting}");
    }
    assert_eq!(shard["DatagramsPerBatch"], json!({}));
    let held = &shard["Holds"];
    assert_eq!(held.as_object().unwrap().len(), 6, "{held}");
    assert_eq!(
        (&held["calls"], &held["timers"]),
        (&json!(0), &json!(0)),
        "a script has none"
    );
    server.stop().unwrap();
}

#[tokio::test]
async fn one_request_is_answered_with_its_direct_answer() {
    let server = server(CONFIGURATION);
    let post = async |body: &str| {
        let (status, _, body) = fetch(&server, "POST", "/api/v1/requests", body).await;
        let answer: Json = serde_json::from_str(&body).unwrap();
        if answer.get("Message").is_some() {
            schema::check_frame(&answer);
        }
        (status, answer)
    };
    let (status, answer) = post(r#"{"Message":"RequestAgentReady","ThisDN":"2001"}"#).await;
    assert_eq!(
        (status, &answer["Message"]),
        (200, &json!("EventAgentReady"))
    );
    let (_, answer) =
        post(r#"{"Message":"RequestAgentReady","ThisDN":"2001","ReferenceID":7}"#).await;
    assert_eq!(answer["ReferenceID"], 7);
    for (body, expected, code) in [
        ("{", 400, "InvalidAttribute"),
        (
            r#"{"Message":"RequestAgentReady","ThisDN":"9"}"#,
            404,
            "UnknownDN",
        ),
        (
            r#"{"Message":"RequestMergeCalls","ThisDN":"2001"}"#,
            501,
            "UnsupportedOperation",
        ),
        (
            r#"{"Message":"RequestRegisterAddress","ThisDN":"2001"}"#,
            501,
            "UnsupportedOperation",
        ),
    ] {
        let (status, answer) = post(body).await;
        assert_eq!(
            (status, answer["ErrorCode"].as_str()),
            (expected, Some(code)),
            "{body}"
        );
    }
    let (status, problem) = post(&"x".repeat(70_000)).await;
    assert_eq!((status, &problem["status"]), (413, &json!(413)));
    server.stop().unwrap();
}

#[tokio::test]
async fn problems_are_told_in_words() {
    let server = server(CONFIGURATION);
    for (method, path, expected) in [
        ("GET", "/", 404),
        ("GET", "/api/v1/agents/9", 404),
        ("GET", "/api/v1/agents?limit=many", 400),
        ("GET", "/api/v1/agents?limit=10001", 400),
        ("GET", "/api/v1/calls?limit=0", 400),
        ("GET", "/api/v1/calls?limit=1001", 400),
        ("GET", "/api/v1/calls?limit=-1", 400),
        ("GET", "/api/v1/calls?after=2001", 400),
        ("DELETE", "/api/v1/agents", 405),
        ("GET", "/api/v1/requests", 405),
        ("GET", "/cti", 400),
    ] {
        let (status, kind, body) = fetch(&server, method, path, "").await;
        assert_eq!(
            (status, kind.as_str()),
            (expected, "application/problem+json"),
            "{path}"
        );
        let problem: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], expected);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    let foreign = "Origin: https://evil.example\r\n";
    let (status, ..) = fetch_with(&server, "POST", "/api/v1/requests", "{}", foreign).await;
    assert_eq!(status, 403);
    server.stop().unwrap();
}

#[tokio::test]
async fn tokens_guard_everything_but_health() {
    let tokens = "\n[[token]]\ntoken = \"carols-token\"\nrole = \"agent\"\ndns = [\"2001\"]\n";
    let server = server(&format!("{CONFIGURATION}{tokens}"));
    let carol = "Authorization: Bearer carols-token\r\n";
    for (path, nobody, agent) in [
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 401, 403),
        ("/api/v1/agents", 401, 200),
        ("/api/v1/agents/2001", 401, 200),
        ("/api/v1/agents/2002", 401, 403),
        ("/api/v1/queues", 401, 403),
        ("/api/v1/shards", 401, 403),
    ] {
        assert_eq!(fetch(&server, "GET", path, "").await.0, nobody, "{path}");
        assert_eq!(
            fetch_with(&server, "GET", path, "", carol).await.0,
            agent,
            "{path}"
        );
    }
    server.stop().unwrap();
}

#[tokio::test]
async fn a_desktop_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let token = |name: &str, role: &str| {
        let dns = if role == "agent" {
            "\ndns = [\"2001\"]"
        } else {
            ""
        };
        format!("\n[[token]]\ntoken = \"{name}-token\"\nrole = \"{role}\"{dns}\n")
    };
    let tokens = token("carols", "agent") + &token("the-boss", "supervisor");
    let server = server(&format!("{CONFIGURATION}{tokens}"));
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let (host, path) = (server.http, "/api/v1/agents/2001");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer carols-token\r\n\r\n"
    );
    let mut answered = 0;
    let refusal = loop {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        answered += 1;
        // A second gives a hundred, so even a slow machine gets there.
        assert!(answered < 100_000, "nothing is refused");
    };
    assert!(refusal.starts_with("HTTP/1.1 429"), "{refusal}");
    assert!(refusal.contains("\r\nretry-after: 1\r\n"), "{refusal}");
    assert!(answered >= 500, "{answered}");
    let boss = "Authorization: Bearer the-boss-token\r\n";
    assert_eq!(fetch_with(&server, "GET", path, "", boss).await.0, 200);
    let page = fetch_with(&server, "GET", "/metrics", "", boss).await.2;
    assert!(page.contains("offhook_http_refused_total{cause=\"too_often\"} 1\n"));
    server.stop().unwrap();
}

#[tokio::test]
async fn one_who_posts_and_goes_leaves_nothing_behind() {
    let server = server(CONFIGURATION);
    let body = json!({
        "Message": "RequestAgentNotReady", "ThisDN": "2001", "Reasons": { "Silent": "1" },
    });
    let body = body.to_string();
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let request = format!(
        "POST /api/v1/requests HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        server.http,
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let clients = async |count: u32| {
        let line = format!("offhook_cti_clients {count}\n");
        timeout(PATIENCE, async {
            while !fetch(&server, "GET", "/metrics", "")
                .await
                .2
                .contains(&line)
            {
                tokio::task::yield_now().await;
            }
        })
        .await
    };
    assert!(clients(1).await.is_ok(), "it waits");
    drop(stream);
    assert!(clients(0).await.is_ok(), "it has gone");
    server.stop().unwrap();
}

#[tokio::test]
async fn only_an_admin_stops_the_server() {
    let tokens = "\n[[token]]\ntoken = \"the-boss-token\"\nrole = \"supervisor\"\n";
    let server = server(&format!("{CONFIGURATION}{tokens}"));
    let boss = "Authorization: Bearer the-boss-token\r\n";
    assert_eq!(fetch(&server, "POST", "/api/v1/drain", "").await.0, 401);
    let (status, ..) = fetch_with(&server, "POST", "/api/v1/drain", "", boss).await;
    assert_eq!(status, 403);
    assert_eq!(fetch(&server, "GET", "/api/v1/drain", "").await.0, 405);
    server.stop().unwrap();
}

#[tokio::test]
async fn the_metrics_page_counts() {
    let server = server(CONFIGURATION);
    let mut client = Client::connect(&server).await;
    client.register("2001").await;
    client.ask(&not_ready(1, "2001", &json!({}))).await;
    client.send_text("garbage".to_owned()).await;
    client.hear().await;
    let (status, kind, page) = fetch(&server, "GET", "/metrics", "").await;
    assert_eq!(status, 200);
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    for line in [
        "offhook_cti_clients 1",
        "offhook_cti_events_total 1",
        "offhook_cti_errors_total{cause=\"InvalidAttribute\"} 1",
        "offhook_agents{status=\"NotReady\"} 1",
        "offhook_agents{status=\"LoggedOut\"} 3",
        "offhook_queue_waiting{queue=\"sales\"} 0",
        "offhook_trunk_in_service{trunk=\"ucm\"} 1",
        "offhook_messages_refused_total{shard=\"1\",cause=\"malformed\"} 0",
        "offhook_shard_requests_total{shard=\"0\"} 2",
        "offhook_shards 2",
        "offhook_engine_calls{shard=\"1\"} 0",
        "# TYPE offhook_shard_turn_seconds histogram",
        "# TYPE offhook_shard_turn_seconds_max gauge",
        "offhook_shard_drop_receive_full_total{shard=\"0\"} 0",
        "offhook_shard_queue_depth{shard=\"1\",queue=\"from_shards\"} 0",
        "# TYPE offhook_shard_received_waiting gauge",
        "# EOF",
    ] {
        assert!(
            page.lines().any(|found| found == line),
            "{line} is not in\n{page}"
        );
    }
    assert!(page.contains(&format!("driver=\"{}\"", server.driver)));
    server.stop().unwrap();
}
