//! What a world is made of, and the configuration of the server in it.

use offhook::config::{self, Config};

use super::network::Faults;
use super::profile::Profile;
use super::world::node_address;

/// What a world is made of.
pub struct Setup {
    pub seed: u64,
    pub shards: u16,
    pub agents: u32,
    pub faults: Faults,
    /// More configuration, appended as it is.
    pub more: String,
    /// Nodes of the PBX.
    pub nodes: u16,
    /// How many of them, the last ones, are peers of the trunk `spare` in place of `ucm`.
    pub spare_nodes: u16,
    /// More of the section of the server, as it is.
    pub server: String,
    /// More of the section of the trunk `ucm`, as it is.
    pub trunk: String,
    /// Whether the trunk `ucm` is a name, which leads where `World::resolve` says.
    pub named: bool,
    /// What the world is like; nothing goes wrong by itself in that of a directed test.
    pub profile: Profile,
}

impl Setup {
    pub fn calm(agents: u32) -> Self {
        Self {
            seed: 1,
            shards: 3,
            agents,
            faults: Faults::CALM,
            more: String::new(),
            nodes: 1,
            spare_nodes: 0,
            server: String::new(),
            trunk: String::new(),
            named: false,
            profile: Profile::Mixed,
        }
    }

    pub fn with(self, more: &str) -> Self {
        Self {
            more: more.to_owned(),
            ..self
        }
    }
}

/// SUBSCRIBEs within a second: the rate, or one a shard if that is more, and what two shards that
/// wake at different moments add.
pub fn subscribes_max(config: &Config, shards: u16) -> usize {
    let rate = config.trunks.iter().map(|trunk| trunk.subscribe_rate);
    let rate: u32 = rate.max().unwrap_or_default();
    (rate as usize).max(shards.into()) * config.trunks.len() + 2 * usize::from(shards)
}

/// The server's configuration.
pub fn configuration(setup: &Setup) -> Config {
    let peers = |nodes: std::ops::Range<u16>| {
        nodes
            .map(|node| format!("\"udp:{}\"", node_address(node)))
            .collect::<Vec<String>>()
            .join(", ")
    };
    let (server, trunk) = (&setup.server, &setup.trunk);
    let first_spare = setup.nodes - setup.spare_nodes;
    let spare = match setup.spare_nodes {
        0 => String::new(),
        _ => format!(
            "[[trunk]]\nname = \"spare\"\npeers = [{}]",
            peers(first_spare..setup.nodes)
        ),
    };
    let ucm = if setup.named {
        "\"udp:ucm.example.com\"".to_owned()
    } else {
        peers(0..first_spare)
    };
    let text = format!(
        r#"
        [server]
        sip = ["udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"]
        {server}
        [[trunk]]
        name = "ucm"
        peers = [{ucm}]
        {trunk}
        {spare}
        [[queue]]
        name = "sales"
        [[queue]]
        name = "service"
        [[routing_point]]
        number = "7000"
        queue = "sales"
        [[routing_point]]
        number = "7001"
        queue = "service"
        [[agents]]
        range = "2000-{}"
        queues = ["sales", "service"]
        {}
        "#,
        1_999 + setup.agents,
        setup.more,
    );
    match config::parse(&text, &|name| Err(name.to_owned())) {
        Ok(config) => config,
        Err(mistakes) => panic!("{mistakes:?}"),
    }
}
