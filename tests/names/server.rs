//! The server with trunks to names: what it looks up, what it makes of changes and failures.

use std::net::SocketAddr;
use std::time::Duration;

use offhook::config;
use offhook::server::serve::{self, Choices, Serving};
use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use crate::name_server::{Manner, NameServer};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn serve(names: &NameServer, peers: &str, more: &str) -> Serving {
    let configuration = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:0"]
        http = "127.0.0.1:0"
        shards = 2
        pin = false
        strangers = "refuse"
        [dns]
        servers = ["{}"]
        timeout = "300ms"
        attempts = 1
        ttl_min = "1s"
        [[trunk]]
        name = "pbx"
        peers = {peers}
        {more}
        [[agent]]
        dn = "8001"
        "#,
        names.address
    );
    let config = config::parse(&configuration, &|_| Err("no file".to_owned()));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    serve::start(&config, Choices::default()).unwrap()
}

async fn fetch(server: &Serving, path: &str) -> String {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let host = server.http;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// The only trunk as the API shows it.
async fn trunk(server: &Serving) -> Json {
    let body = fetch(server, "/api/v1/trunks").await;
    let start = body.find('{').unwrap();
    let end = body.rfind('}').unwrap();
    let shown: Json = serde_json::from_str(&body[start..=end]).unwrap();
    let lists = shown.as_object().unwrap().values();
    let mut lists = lists.filter_map(Json::as_array);
    lists.next().unwrap_or_else(|| panic!("{body}"))[0].clone()
}

/// Waits until the trunk looks as wanted.
async fn until(server: &Serving, wanted: impl Fn(&Json) -> bool) -> Json {
    let mut last = Json::Null;
    let waited = timeout(PATIENCE, async {
        loop {
            last = trunk(server).await;
            if wanted(&last) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never came to that: {last:#}");
    last
}

/// The addresses of the trunk's nodes.
fn addresses(trunk: &Json) -> Vec<String> {
    let nodes = trunk["Nodes"].as_array().cloned().unwrap_or_default();
    let address = |node: &Json| node["Address"].as_str().map(ToOwned::to_owned);
    nodes.iter().filter_map(address).collect()
}

async fn metric(server: &Serving, line: &str) -> Option<u64> {
    let page = fetch(server, "/metrics").await;
    let found = page.lines().find_map(|it| it.strip_prefix(line))?;
    found.trim().parse().ok()
}

/// A PBX that answers every OPTIONS.
async fn pbx(address: &str) -> SocketAddr {
    let socket = UdpSocket::bind(address).await.unwrap();
    let bound = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let copied = request.lines().filter(|line| {
                ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "]
                    .iter()
                    .any(|name| line.starts_with(name))
            });
            let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n");
            let _ = socket.send_to(answer.as_bytes(), from).await;
        }
    });
    bound
}

#[tokio::test]
async fn naptr_and_srv_lead_to_nodes_and_a_dead_one_leaves_the_others() {
    let names = NameServer::start().await;
    let alive = pbx("127.0.0.1:0").await;
    // Bound, so that nobody else answers there, and never read.
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dead = dead.local_addr().unwrap();
    names.naptr(
        "example.test",
        &[
            (10, "SIP+D2T", "_sip._tcp.example.test."),
            (20, "SIP+D2U", "_sip._udp.pbx.example.test."),
        ],
    );
    names.srv(
        "_sip._udp.pbx.example.test",
        &[
            (10, 5, dead.port(), "one.example.test."),
            (20, 5, alive.port(), "two.example.test."),
        ],
    );
    names.a("one.example.test", &["127.0.0.1"]);
    names.a("two.example.test", &["127.0.0.1"]);
    let more = "oos_check = 1\nping_timeout = \"200ms\"\noos_force = 0";
    let server = serve(&names, r#"["sip:example.test"]"#, more);
    let shown = until(&server, |trunk| {
        trunk["Nodes"][0]["Status"] == "ping-silent" && trunk["Nodes"][1]["Status"] == "in-service"
    })
    .await;
    let wanted = [dead, alive].map(|address| format!("udp:{address}"));
    assert_eq!(addresses(&shown), wanted);
    assert_eq!(shown["InService"], true, "{shown:#}");
    assert_eq!(shown["Peers"][0], "sip:example.test");
    assert_eq!(shown["Nodes"][0]["Peer"], "sip:example.test");
    server.stop().unwrap();
}

#[tokio::test]
async fn a_change_of_address_is_followed() {
    let names = NameServer::start().await;
    names.a("pbx.test", &["127.0.0.1"]);
    let server = serve(&names, r#"["udp:PBX.test:5090"]"#, "oos_check = 0");
    until(&server, |trunk| addresses(trunk) == ["udp:127.0.0.1:5090"]).await;
    names.a("pbx.test", &["127.0.0.3", "127.0.0.2"]);
    let shown = until(&server, |trunk| addresses(trunk).len() == 2).await;
    let mut both = addresses(&shown);
    both.sort();
    assert_eq!(both, ["udp:127.0.0.2:5090", "udp:127.0.0.3:5090"]);
    server.stop().unwrap();
}

#[tokio::test]
async fn while_dns_is_down_the_last_answer_is_kept_and_called_stale() {
    let names = NameServer::start().await;
    names.srv("_sip._udp.pbx.test", &[(1, 1, 5090, "one.pbx.test.")]);
    names.a("one.pbx.test", &["127.0.0.1"]);
    let server = serve(&names, r#"["udp:pbx.test"]"#, "oos_check = 0");
    until(&server, |trunk| trunk["Nodes"][0]["Status"] == "in-service").await;
    for (manner, word) in [
        (Manner::Silent, "dns-no-answer"),
        (Manner::Broken, "dns-refused"),
    ] {
        names.behave(manner);
        let shown = until(&server, |trunk| trunk["Nodes"][0]["Dns"] == word).await;
        assert_eq!(addresses(&shown), ["udp:127.0.0.1:5090"]);
        assert_eq!(shown["InService"], true);
        let stale = metric(&server, "offhook_dns_names{state=\"stale\"}").await;
        assert_eq!(stale, Some(1));
        names.behave(Manner::Honest);
        until(&server, |trunk| trunk["Nodes"][0]["Dns"].is_null()).await;
    }
    // A name that is gone keeps its last addresses too.
    names.forget();
    let shown = until(&server, |trunk| trunk["Nodes"][0]["Dns"] == "no-such-name").await;
    assert_eq!(addresses(&shown), ["udp:127.0.0.1:5090"]);
    server.stop().unwrap();
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_out_of_service_with_the_reason_until_it_does() {
    let names = NameServer::start().await;
    let server = serve(&names, r#"["udp:pbx.test"]"#, "oos_check = 0");
    let shown = until(&server, |trunk| trunk["InService"] == false).await;
    assert_eq!(shown["Nodes"][0]["Status"], "no-such-name", "{shown:#}");
    assert_eq!(shown["AddressStatus"], "OutOfService");
    names.a("pbx.test", &["127.0.0.1"]);
    let shown = until(&server, |trunk| trunk["InService"] == true).await;
    assert_eq!(
        addresses(&shown),
        ["udp:127.0.0.1:5060"],
        "no SRV: the address and 5060"
    );
    server.stop().unwrap();
}

#[tokio::test]
async fn an_answer_that_does_not_fit_a_datagram_is_fetched_by_tcp() {
    let names = NameServer::start().await;
    names.behave(Manner::Truncating);
    names.a("pbx.test", &["127.0.0.1"]);
    let server = serve(&names, r#"["udp:pbx.test:5090"]"#, "oos_check = 0");
    until(&server, |trunk| addresses(trunk) == ["udp:127.0.0.1:5090"]).await;
    assert!(names.by_tcp() > 0);
    server.stop().unwrap();
}

/// An INVITE to a number that nobody has, from where the trunk's name may lead; the status of its
/// answer.
async fn invite(socket: &UdpSocket, server: &Serving, branch: u32) -> String {
    let (to, from) = (server.udp[0], socket.local_addr().unwrap());
    let request = format!(
        "INVITE sip:9999@{to} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@{from}>;tag=a{branch}\r\nTo: <sip:9999@{to}>\r\n\
         Call-ID: {branch}@{from}\r\nCSeq: 1 INVITE\r\nContact: <sip:1@{from}>\r\n\
         Subject: longer than its answer may be\r\nContent-Length: 0\r\n\r\n"
    );
    let mut buffer = [0; 2_048];
    let answered = timeout(PATIENCE, async {
        socket.send_to(request.as_bytes(), to).await.unwrap();
        loop {
            let length = socket.recv(&mut buffer).await.unwrap();
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
            let ours = answer.contains(&format!("z9hG4bK{branch}"));
            if ours && status != "100" {
                return status;
            }
        }
    });
    answered.await.unwrap()
}

#[tokio::test]
async fn calls_are_taken_from_where_a_name_leads_and_led_and_not_before_dns_has_spoken() {
    let names = NameServer::start().await;
    names.behave(Manner::Slow(Duration::from_millis(250)));
    names.a("pbx.test", &["127.0.0.5"]);
    let server = serve(&names, r#"["udp:pbx.test:5060"]"#, "oos_check = 0");
    let (old, other) = ("127.0.0.5:0", "127.0.0.7:0");
    let (old, other) = (
        UdpSocket::bind(old).await.unwrap(),
        UdpSocket::bind(other).await.unwrap(),
    );
    let first = invite(&old, &server, 1).await;
    // A machine that was busy for a quarter of a second may have the answer already.
    assert!(["503", "404"].contains(&&*first), "{first}");
    until(&server, |trunk| !addresses(trunk).is_empty()).await;
    assert_eq!(
        invite(&old, &server, 2).await,
        "404",
        "known: only the number is not"
    );
    assert_eq!(invite(&other, &server, 3).await, "403");
    names.a("pbx.test", &["127.0.0.7"]);
    until(&server, |trunk| addresses(trunk) == ["udp:127.0.0.7:5060"]).await;
    // The news goes to every shard, one after the other.
    let taken = timeout(PATIENCE, async {
        for branch in 10.. {
            if invite(&other, &server, branch).await == "404" {
                return;
            }
        }
    });
    taken.await.unwrap();
    assert_eq!(
        invite(&old, &server, 4).await,
        "404",
        "of late it was the trunk's"
    );
    assert!(names.questions() > 1);
    server.stop().unwrap();
}
