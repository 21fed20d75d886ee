//! What a configuration without mistakes means.

use std::time::Duration;

use super::{SMALL, read};
use crate::config::{
    Address, Config, Cores, DnIndex, Driver, Listener, LogLevel, NoAnswerAction, Overrides,
    QueueIndex, Role, RoutingPointIndex, Selection, Transport, TrunkIndex, WrapUp,
};

fn sound(text: &str) -> Config {
    read(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

#[test]
fn nothing_configured_is_every_default() {
    let config = sound("");
    let sip: Vec<String> = config.server.sip.iter().map(ToString::to_string).collect();
    assert_eq!(sip, ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"]);
    assert_eq!(config.server.http.to_string(), "127.0.0.1:8080");
    assert_eq!(config.server.t1, Duration::from_millis(500));
    assert_eq!(config.server.shards, None);
    assert_eq!(
        config.presence.notready_refresh,
        Some(Duration::from_secs(900))
    );
    assert!(config.agents.is_empty());
}

#[test]
fn names_and_numbers_lead_to_what_they_stand_for() {
    let config = sound(SMALL);
    assert_eq!(config.dn("2001"), Some(DnIndex(0)));
    assert_eq!(config.dn("7000"), None);
    assert_eq!(config.queue("sales"), Some(QueueIndex(0)));
    assert_eq!(config.queue("ucm"), None);
    assert_eq!(config.trunk("ucm"), Some(TrunkIndex(0)));
    assert_eq!(config.routing_point("7000"), Some(RoutingPointIndex(0)));
    assert_eq!(config.address("2001"), Some(Address::Agent(DnIndex(0))));
    assert_eq!(config.address("sales"), Some(Address::Queue(QueueIndex(0))));
    assert_eq!(config.address("nobody"), None);
    assert_eq!(config.queue_at(QueueIndex(0)).agents, [DnIndex(0)]);
    assert_eq!(&*config.agent_at(DnIndex(0)).agent_id, "2001");
}

#[test]
fn a_length_of_time_is_seconds_or_has_a_unit() {
    let written = [
        ("2", 2_000),
        ("2.5", 2_500),
        ("\"2\"", 2_000),
        ("\"750ms\"", 750),
        ("\"1.5 s\"", 1_500),
        ("\"3m\"", 180_000),
        ("\"0.5h\"", 1_800_000),
    ];
    for (text, milliseconds) in written {
        let config = sound(&format!("[presence]\nterminated_grace = {text}"));
        assert_eq!(
            config.presence.terminated_grace,
            Duration::from_millis(milliseconds),
            "{text}"
        );
    }
}

#[test]
fn agents_are_sorted_and_ranges_keep_their_zeros() {
    let text = "[[agents]]\nrange = \"0998-1001\"\n[[agent]]\ndn = \"0500\"\n\
                [[trunk]]\nname = \"ucm\"\npeers = \"udp:192.0.2.20:5060\"";
    let config = sound(text);
    let dns: Vec<&str> = config.agents.iter().map(|agent| &*agent.dn).collect();
    assert_eq!(dns, ["0500", "0998", "0999", "1000", "1001"]);
    assert_eq!(config.dn("1000"), Some(DnIndex(3)));
}

#[test]
fn what_an_agent_says_comes_before_its_queue_and_the_defaults() {
    let text = format!(
        "{SMALL}wrap_up = \"untimed\"\n[[agent]]\ndn = \"2002\"\nqueues = \"sales\"\n\
         no_answer = 7\n[[agent]]\ndn = \"2003\"\n[agent_defaults]\nwrap_up = 5\nno_answer = 9\n\
         no_answer_action = \"logout\"\n"
    );
    let config = sound(&text.replace("name = \"sales\"", "name = \"sales\"\nwrap_up = 30"));
    let sales = QueueIndex(0);
    assert_eq!(config.wrap_up(DnIndex(0), Some(sales)), WrapUp::Untimed);
    assert_eq!(
        config.wrap_up(DnIndex(1), Some(sales)),
        WrapUp::Timed(Duration::from_secs(30))
    );
    assert_eq!(
        config.agent_defaults.wrap_up,
        WrapUp::Timed(Duration::from_secs(5))
    );
    assert_eq!(
        config.no_answer(DnIndex(0), Some(sales)),
        Duration::from_secs(9)
    );
    assert_eq!(config.no_answer(DnIndex(1), None), Duration::from_secs(7));
    assert_eq!(
        config.no_answer_action(DnIndex(2), None),
        NoAnswerAction::Logout
    );
}

#[test]
fn the_longest_prefix_finds_the_trunk() {
    let text = r#"
trunk = [
  { name = "any", peers = "udp:192.0.2.1" },
  { name = "two", peers = "udp:192.0.2.2", prefixes = ["2", "3"] },
  { name = "twenty", peers = "udp:192.0.2.3", prefixes = ["20"] },
  { name = "too", peers = "udp:192.0.2.4", prefixes = ["2"] },
]
agent = [
  { dn = "1" }, { dn = "2001" }, { dn = "2100" },
  { dn = "9", trunks = ["two", "any"], trunk_mode = "round_robin" },
]
"#;
    let config = sound(text);
    let trunks = |dn: &str| {
        let set = &config.agent_at(config.dn(dn).unwrap()).settings.trunks;
        set.trunks
            .iter()
            .map(|index| &*config.trunk_at(*index).name)
            .collect::<Vec<_>>()
    };
    assert_eq!(trunks("1"), ["any"]);
    assert_eq!(trunks("2001"), ["twenty"]);
    assert_eq!(trunks("2100"), ["two", "too"]);
    assert_eq!(trunks("9"), ["two", "any"]);
    assert_eq!(config.agents[3].settings.trunks.mode, Selection::RoundRobin);
    assert_eq!(
        config.agents[0].settings.presence.as_ref(),
        Some(&config.agents[0].settings.trunks)
    );
    assert_eq!(config.trunks[0].peers[0].to_string(), "udp:192.0.2.1:5060");
}

#[test]
fn a_peer_may_be_a_name_of_three_kinds() {
    let text = r#"
dns = { servers = ["192.0.2.53", "[2001:db8::53]:5353"], timeout = "500ms" }
trunk = [
  { name = "a", peers = ["udp:PBX.example.com:5070", "tcp:pbx.example.com", "sip:example.com"] },
  { name = "b", peers = "udp:192.0.2.1" },
]
"#;
    let config = sound(text);
    let names: Vec<String> = config
        .names()
        .map(|question| format!("{question} {}", question.records()))
        .collect();
    assert_eq!(
        names,
        [
            "udp:pbx.example.com:5070 A and AAAA",
            "tcp:pbx.example.com SRV, then A and AAAA",
            "sip:example.com NAPTR and SRV, then A and AAAA",
        ]
    );
    let servers: Vec<String> = config.dns.servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["192.0.2.53:53", "[2001:db8::53]:5353"]);
}

#[test]
fn presence_is_watched_where_it_is_wanted() {
    let text = format!("{SMALL}presence = false\n[[agent]]\ndn = \"2002\"\n");
    let config = sound(&text);
    assert_eq!(config.agents[0].settings.presence, None);
    assert_eq!(
        config.agents[1].settings.presence.as_ref().unwrap().trunks[..],
        [TrunkIndex(0)]
    );
    let off = sound(&format!("{SMALL}[presence]\nenabled = false\n"));
    assert_eq!(off.agents[0].settings.presence, None);
}

#[test]
fn a_token_names_dns_one_by_one_or_as_a_range() {
    let text = format!(
        "{SMALL}[[agents]]\nrange = \"3000-3009\"\n[[token]]\ntoken = \"not-a-secret\"\n\
         role = \"agent\"\ndns = [\"3008-3019\", \"2001\"]\n"
    );
    let config = sound(&text);
    let token = &config.server.tokens[0];
    assert_eq!(token.role, Role::Agent);
    assert_eq!(token.dns, [DnIndex(0), DnIndex(9), DnIndex(10)]);
    assert!(!format!("{token:?}").contains("not-a-secret"));
}

#[test]
fn a_host_is_advertised_only_if_there_is_one() {
    let listener: Listener = "udp:0.0.0.0:5060".parse().unwrap();
    let own: Listener = "tcp:[2001:db8::1]:5060".parse().unwrap();
    let config = sound("");
    assert_eq!(config.server.advertised(listener), None);
    assert_eq!(
        config.server.advertised(own).as_deref(),
        Some("[2001:db8::1]")
    );
    assert_eq!(
        config.serving_mistakes()[0].to_string(),
        "offhook.toml:1: udp:0.0.0.0:5060 is every address of this host, and peers need one; \
         write advertise = \"192.0.2.10\" in [server], the address that the PBX reaches, or \
         listen on that address"
    );
    let config = sound("[server]\nadvertise = \"2001:db8::2\"");
    assert_eq!(
        config.server.advertised(listener).as_deref(),
        Some("[2001:db8::2]")
    );
    assert_eq!(config.serving_mistakes(), []);
}

#[test]
fn flags_override_the_file() {
    let overrides = Overrides {
        shards: Some(2),
        cores: Some("1-2".parse().unwrap()),
        no_pin: false,
        sip: vec!["udp:127.0.0.1:0".parse().unwrap()],
        http: Some("127.0.0.1:9999".parse().unwrap()),
        log: Some("debug".parse().unwrap()),
        driver: Some("epoll".parse().unwrap()),
        drain_timeout: Some(Duration::from_secs(7)),
    };
    let server = sound(SMALL).apply(overrides).unwrap().server;
    assert_eq!(server.shards, Some(2));
    assert_eq!(server.cores, Some(Cores(vec![1, 2])));
    assert_eq!(server.sip.len(), 1);
    assert_eq!(server.sip[0].transport, Transport::Udp);
    assert_eq!(server.http.port(), 9_999);
    assert_eq!(server.drain_timeout, Duration::from_secs(7));
    assert_eq!(
        (server.log, server.driver),
        (LogLevel::Debug, Driver::Epoll)
    );
    let unpinned = sound("[server]\ncores = \"1\"")
        .apply(Overrides {
            no_pin: true,
            ..Overrides::default()
        })
        .unwrap();
    assert_eq!((unpinned.server.pin, unpinned.server.cores), (false, None));
}

#[test]
fn flags_are_checked_as_the_file_is() {
    let overrides = Overrides {
        shards: Some(3),
        cores: Some("1-2".parse().unwrap()),
        no_pin: false,
        sip: vec!["tcp:127.0.0.1:5060".parse().unwrap()],
        http: Some("0.0.0.0:8080".parse().unwrap()),
        log: None,
        driver: None,
        drain_timeout: None,
    };
    let mistakes = sound(SMALL).apply(overrides).unwrap_err();
    let printed: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        printed,
        [
            "--http: http is 0.0.0.0:8080, where everyone may come, and there is no token; \
             add a [[token]] for each client, or listen on 127.0.0.1",
            "--shards: 3 shards do not fit on 2 cores; name a core for each shard",
            "offhook.toml:2: nothing listens where peer udp:192.0.2.20:5060 can reach us; \
             add \"udp:0.0.0.0:5060\" to sip in [server]",
        ]
    );
}

#[test]
fn a_core_list_is_a_set() {
    assert_eq!("5,1-3,2".parse(), Ok(Cores(vec![1, 2, 3, 5])));
    for wrong in ["", "3-1", "a", "1024", "1,,2", "-1"] {
        assert!(wrong.parse::<Cores>().is_err(), "{wrong}");
    }
}
