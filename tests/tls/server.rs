//! The server on both sides of TLS.

use std::net::SocketAddr;

use offhook::config;
use offhook::server::serve::{self, Choices, Serving};

use crate::authority::Authority;
use crate::peers::{PATIENCE, ask, connect, pbx};

fn serve(authority: &Authority, driver: &str, peer: SocketAddr, tls: &str) -> Serving {
    serve_both(authority, (driver, Choices::default()), peer, (tls, ""))
}

/// A server with `more` in its `[server]`, and no peer that is there.
pub(crate) fn serve_with(authority: &Authority, how: (&str, Choices), more: &str) -> Serving {
    serve_both(authority, how, nowhere(), ("", more))
}

fn serve_both(
    authority: &Authority,
    (driver, choices): (&str, Choices),
    peer: SocketAddr,
    (tls, more): (&str, &str),
) -> Serving {
    authority.write("us.example.com");
    let text = format!(
        r#"
        {}
        [server]
        sip = ["tls:127.0.0.1:0"]
        http = "127.0.0.1:0"
        shards = 2
        pin = false
        driver = "{driver}"
        {more}
        [[trunk]]
        name = "pbx"
        peers = ["tls:{peer}"]
        tls_name = "pbx.example.com"
        oos_check = 1
        recovery_timeout = 1
        ping_timeout = "500ms"
        [[agent]]
        dn = "8001"
        [presence]
        enabled = false
        "#,
        authority.section(tls)
    );
    let config = config::parse(&text, &|_| Err("no file".to_owned()));
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    serve::start(&config, choices).unwrap_or_else(|error| panic!("{error}"))
}

/// Nobody is there.
fn nowhere() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}

#[test]
fn requests_over_tls_are_answered_by_both_drivers() {
    // Where io_uring is denied, `auto` is epoll once more.
    for driver in ["epoll", "auto"] {
        let authority = Authority::new(&format!("requests-{driver}"));
        let server = serve(&authority, driver, nowhere(), "");
        let mut client = connect(server.tls[0], authority.client(None), "us.example.com");
        let response = ask(&mut client, "OPTIONS", 1).unwrap();
        assert!(response.starts_with("SIP/2.0 200"), "{response}");
        assert!(response.contains("Via: SIP/2.0/TLS "), "{response}");
        // The trunk is at this address, only the number is nobody's.
        let response = ask(&mut client, "INVITE", 2).unwrap();
        assert!(response.starts_with("SIP/2.0 404"), "{response}");
        server.stop().unwrap();
    }
}

#[test]
fn a_peer_is_pinged_under_tls_and_told_who_we_are() {
    for driver in ["epoll", "auto"] {
        let authority = Authority::new(&format!("pinged-{driver}"));
        let identity = authority.vouch("pbx.example.com");
        let (address, heard) = pbx(authority.server(&identity));
        let server = serve(&authority, driver, address, "");
        // The PBX wants a certificate of whoever connects, and got it.
        let ping = heard.recv_timeout(PATIENCE).unwrap().unwrap();
        let start = format!("OPTIONS sip:{address} SIP/2.0\r\n");
        assert!(ping.starts_with(&start), "{ping}");
        assert!(ping.contains("\r\nVia: SIP/2.0/TLS "), "{ping}");
        assert!(ping.contains(";transport=tls>"), "{ping}");
        assert!(heard.recv_timeout(PATIENCE).unwrap().is_ok(), "and again");
        server.stop().unwrap();
    }
}

#[test]
fn a_peer_whose_certificate_is_for_another_gets_not_a_byte() {
    let authority = Authority::new("wrong-name");
    let identity = authority.vouch("other.example.com");
    let (address, heard) = pbx(authority.server(&identity));
    let server = serve(&authority, "epoll", address, "");
    for _ in 0..2 {
        assert!(heard.recv_timeout(PATIENCE).unwrap().is_err());
    }
    server.stop().unwrap();
}

#[test]
fn who_connects_must_be_a_peer_of_ours_where_that_is_required() {
    let authority = Authority::new("mutual");
    let demand = "client_certificates = \"require\"";
    let server = serve(&authority, "epoll", nowhere(), demand);
    let to = server.tls[0];
    let name = "us.example.com";

    let known = authority.vouch("pbx.example.com");
    let mut client = connect(to, authority.client(Some(&known)), name);
    let response = ask(&mut client, "OPTIONS", 1).unwrap();
    assert!(response.starts_with("SIP/2.0 200"), "{response}");

    let strangers = Authority::new("strangers");
    for (number, identity) in [
        None,
        Some(authority.vouch("other.example.com")),
        Some(strangers.vouch("pbx.example.com")),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = connect(to, authority.client(identity.as_ref()), name);
        let refused = ask(&mut client, "OPTIONS", 10 + number as u32);
        assert!(refused.is_err(), "{number}: {refused:?}");
    }
    server.stop().unwrap();
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let authority = Authority::new("files");
    authority.write("us.example.com");
    let text = format!(
        "{}[server]\nsip = [\"tls:127.0.0.1:0\"]\nhttp = \"127.0.0.1:0\"\n[[trunk]]\n\
         name = \"pbx\"\npeers = [\"tls:127.0.0.1:1\"]\n[[agent]]\ndn = \"8001\"\n",
        authority.section("")
    );
    let config = config::parse(&text, &|_| Err("no file".to_owned())).unwrap();
    let start = || match serve::start(&config, Choices::default()) {
        Ok(server) => {
            server.stop().unwrap();
            "it starts".to_owned()
        }
        Err(error) => error.to_string(),
    };
    let file = |name: &str| authority.folder.join(name);
    std::fs::write(file("offhook.key"), "no key").unwrap();
    assert!(
        start().contains("offhook.key has no private key"),
        "{}",
        start()
    );
    let other = Authority::new("other-key");
    other.write("us.example.com");
    std::fs::copy(other.folder.join("offhook.key"), file("offhook.key")).unwrap();
    assert!(start().contains("do not fit"), "{}", start());
    std::fs::write(file("ca.pem"), "").unwrap();
    assert!(start().contains("ca.pem has no certificate"), "{}", start());
    std::fs::remove_file(file("offhook.pem")).unwrap();
    authority.write("us.example.com");
    std::fs::remove_file(file("ca.pem")).unwrap();
    assert!(start().contains("ca.pem cannot be read"), "{}", start());
}
