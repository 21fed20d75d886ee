//! Profiles as people write them.

use std::time::Duration;

use super::*;

const SMALL: &str = r#"
[run]
name = "small"
seed = 7
duration = "30s"

[[pbx]]
name = "hq"
kind = "ucm-11.5"
nodes = 2
phones = ["2000-2019"]
outside = "900-909"

[[queue]]
name = "sales"
numbers = ["7000"]

[[agents]]
name = "sales"
phones = "2000-2019"
queues = ["sales"]
answer = "lognormal(3s, 0.4) in 500ms..20s"
desktops = 0.5
breaks = "10m"
break = "1m..5m"

[[callers]]
pbx = "hq"
numbers = ["7000"]
arrivals = "2"
patience = "exponential(60s)"

[[fault]]
at = "10s"
kind = "silence"
pbx = "hq"
node = 1
"#;

fn mistakes(text: &str) -> Vec<String> {
    match Profile::parse("p.toml", text) {
        Ok(profile) => panic!("there is a mistake: {profile:?}"),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_profile_is_read_and_its_server_starts() {
    let profile = Profile::parse("p.toml", SMALL).expect("a good profile");
    assert_eq!((profile.name.as_str(), profile.seed), ("small", 7));
    assert_eq!(profile.pbxs[0].kind, PbxKind::Ucm(11, 5));
    assert_eq!(
        (profile.agent_count(), profile.pbxs[0].outside.len()),
        (20, 10)
    );
    assert_eq!(profile.faults[0].kind, FaultKind::Silence);
    let desk = &profile.agents[0].desk;
    assert_eq!(
        desk.breaks.map(|(every, _)| every),
        Some(Duration::from_secs(600))
    );
    let peers = [vec![
        "127.0.0.1:5070".parse().expect("an address"),
        "127.0.0.1:5071".parse().expect("an address"),
    ]];
    let text = profile.configuration(&peers, "127.0.0.1:0", "127.0.0.1:0");
    let none = |name: &str| Err(name.to_owned());
    let config = offhook::config::parse_named("floor", &text, &none);
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}\n{text}"));
    assert_eq!((config.agents.len(), config.trunks.len()), (20, 1));
}

#[test]
fn all_mistakes_are_found_at_once_with_their_lines() {
    let text = SMALL
        .replace("seed = 7", "seed = \"seven\"")
        .replace("kind = \"ucm-11.5\"", "kind = \"nortel\"")
        .replace("break = \"1m..5m\"", "brake = \"1m\"")
        .replace("patience = \"exponential(60s)\"", "patience = \"long\"")
        .replace("queues = [\"sales\"]", "queues = [\"service\"]")
        .replace("node = 1", "node = 5");
    let found = mistakes(&text);
    for (line, words) in [
        (4, "`seed` in [run] is `seven`; write a whole number"),
        (9, "`kind` in [[pbx]] is `nortel`; write ucm-7.0"),
        (25, "[[agents]] has no key `brake`; remove it"),
        (31, "`patience` in [[callers]] is `long`"),
        (18, "there is no [[queue]] `service`; write one of sales"),
        (
            33,
            "a node that `hq` does not have; write a node from 0 to 1",
        ),
    ] {
        let start = format!("p.toml:{line}: ");
        let is = |mistake: &&String| mistake.starts_with(&start) && mistake.contains(words);
        assert!(
            found.iter().any(|mistake| is(&mistake)),
            "{line} {words}: {found:#?}"
        );
    }
}

#[test]
fn a_queue_that_nobody_serves_is_a_mistake() {
    let queue = "[[queue]]\nname = \"service\"\nnumbers = [\"7001\"]\n";
    let text = format!("{SMALL}{queue}");
    let found = mistakes(&text);
    assert!(
        found
            .iter()
            .any(|one| one.contains("nobody serves the queue `service`")),
        "{found:?}"
    );
    let router = "[[router]]\nnumbers = [\"7001\"]\ngroups = [\"sales\"]\n";
    let routed = Profile::parse("p.toml", &format!("{text}{router}"));
    assert!(routed.is_ok(), "{routed:?}");
}

#[test]
fn sections_that_are_missing_or_contradict_each_other_are_named() {
    let found = mistakes("");
    assert!(
        found.iter().any(|one| one.contains("there is no [[pbx]]")),
        "{found:?}"
    );
    let found = mistakes("[run\n");
    assert!(found[0].contains("p.toml:1:"), "{found:?}");
    for (from, to, words) in [
        (
            "phones = \"2000-2019\"",
            "phones = \"2000-2020\"",
            "2020 is missing",
        ),
        (
            "numbers = [\"7000\"]\narrivals",
            "numbers = [\"7\"]\narrivals",
            "leads nowhere",
        ),
        (
            "arrivals = \"2\"",
            "arrivals = \"often\"",
            "`arrivals` in [[callers]] is `often`",
        ),
        ("at = \"10s\"", "at = \"40s\"", "comes after the last call"),
        (
            "kind = \"silence\"",
            "kind = \"weather\"",
            "changes nothing",
        ),
        (
            "kind = \"silence\"",
            "kind = \"flood\"",
            "write one of silence",
        ),
        (
            "breaks = \"10m\"",
            "makes_calls = \"10m\"",
            "make calls that nobody would end",
        ),
        (
            "outside = \"900-909\"",
            "outside = \"2000\"",
            "a phone and an outside number",
        ),
        (
            "name = \"hq\"",
            "name = \"sales\"",
            "a queue and a PBX are called `sales`",
        ),
    ] {
        let text = SMALL.replace(from, to);
        assert_ne!(text, SMALL, "{from}");
        let found = mistakes(&text);
        assert!(
            found.iter().any(|one| one.contains(words)),
            "{words}: {found:?}"
        );
    }
}
