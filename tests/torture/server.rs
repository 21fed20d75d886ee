//! What a running server answers to each torture message: one engine, no sockets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook::config;
use offhook::engine::{Engine, EngineConfig, Shared};
use offhook::wall::Wall;
use offhook_shards::{Engine as _, ShardId, Source, Transport};

/// The final statuses that the server sends within a minute of the message, in order, without
/// retransmissions.
pub(crate) fn answers(now: Instant, bytes: &[u8]) -> Vec<u16> {
    let mut engine = engine(now);
    let source = Source {
        transport: Transport::Udp,
        local: "192.0.2.10:5060".parse().expect("an address"),
        remote: "192.0.2.20:5060".parse().expect("an address"),
        connection: None,
    };
    let mut statuses = sent(&mut engine);
    assert!(statuses.is_empty(), "an engine without a task is silent");
    engine.handle_datagram(now, source, bytes);
    statuses.extend(sent(&mut engine));
    let end = now + Duration::from_secs(60);
    while let Some(at) = engine.poll_timeout().filter(|at| *at <= end) {
        engine.handle_timeout(at);
        statuses.extend(sent(&mut engine));
    }
    statuses.dedup();
    statuses
}

fn sent(engine: &mut Engine) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut bytes = Vec::new();
    while engine.poll_transmit(&mut bytes).is_some() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        bytes.clear();
        let mut words = text.split(' ');
        if words.next() == Some("SIP/2.0") {
            let status = words
                .next()
                .and_then(|word| word.parse().ok())
                .expect("a status");
            statuses.push(status);
        }
    }
    statuses.retain(|status| *status >= 200);
    statuses
}

fn engine(now: Instant) -> Engine {
    let text = r#"
        [server]
        sip = ["udp:192.0.2.10:5060"]
        [[trunk]]
        name = "ietf"
        peers = ["udp:192.0.2.20:5060"]
        oos_check = 0
    "#;
    let config = config::parse(text, &|name| Err(name.to_owned())).expect("it has no mistakes");
    let (config, counters) = (Arc::new(config), Arc::default());
    let wall = Wall::since_1970(now);
    let shared = Shared {
        shards: 1,
        keys: [1, 2],
        seed: 1,
    };
    let setup = EngineConfig::new(config, ShardId(0), shared, counters, wall);
    Engine::new(now, setup)
}
