//! The example and the page of the documentation know every key.

use super::{parse, read};
use crate::config::{embedded_default, keys};

const PAGE: &str = include_str!("../../../docs/configuration.md");

const CSV: &str = "dn,agent_id,queues\n4000,A4000,sales|service\n";

#[test]
fn the_example_is_a_configuration_without_mistakes() {
    let config = read(embedded_default()).expect("the example has no mistakes");
    assert_eq!(config.agents.len(), 101);
    assert_eq!(config.serving_mistakes(), []);
}

#[test]
fn the_example_stays_sound_with_every_setting_switched_on() {
    let text = switched_on();
    let config = parse(&text, &|file| {
        assert_eq!(file, "agents.csv");
        Ok(CSV.to_owned())
    });
    let config = config.expect("the example has no mistakes with its settings switched on");
    assert_eq!(config.agents.len(), 102);
}

#[test]
fn the_example_shows_every_section_and_key() {
    let text = switched_on();
    for section in keys::SECTIONS {
        let parts = text.split("\n[").filter(|part| {
            part.lines()
                .next()
                .is_some_and(|header| format!("[{header}") == section.header)
        });
        let part: String = parts.collect();
        assert!(!part.is_empty(), "the example has no {}", section.header);
        for key in section.keys {
            // Agents inherit: each shared key is explained once, in the defaults or at an agent.
            let shared = keys::AGENT_DEFAULTS.keys.contains(key);
            let place = if shared && section.header != "[presence]" {
                &text
            } else {
                &part
            };
            let written = format!("\n{key} = ");
            // Or as sections of their own, below this one.
            let nested = format!("\n[[routing_point.{key}]]\n");
            assert!(
                place.contains(&written) || text.contains(&nested),
                "the example has no {key} in {}",
                section.header
            );
        }
    }
}

#[test]
fn the_page_explains_every_section_and_key() {
    for section in keys::SECTIONS {
        let heading = format!("\n## `{}`", section.header);
        let (_, part) = PAGE
            .split_once(&heading)
            .unwrap_or_else(|| panic!("no{heading}"));
        let part = part.split("\n## ").next().unwrap_or_default();
        for key in section.keys {
            let shared = section.header != "[agent_defaults]"
                && section.header.starts_with("[[agent")
                && keys::AGENT_DEFAULTS.keys.contains(key);
            let row = format!("\n| `{key}` |");
            assert!(
                shared || part.contains(&row),
                "{} has no row {row:?}",
                section.header
            );
        }
    }
}

#[test]
fn the_example_says_the_defaults_where_it_says_it_does() {
    let said = read(embedded_default()).expect("the example has no mistakes");
    let silent = read(super::SMALL).expect("a small configuration has no mistakes");
    assert_eq!(said.presence, silent.presence);
    assert_eq!(said.agent_defaults, silent.agent_defaults);
    assert_eq!(said.dns, silent.dns);
    let (mut said_server, silent_server) = (said.server, silent.server);
    said_server.advertise = None;
    said_server.tokens.clear();
    assert_eq!(said_server, silent_server);
    let (mut said_trunk, silent_trunk) = (said.trunks[0].clone(), silent.trunks[0].clone());
    said_trunk.peers.clone_from(&silent_trunk.peers);
    assert_eq!(said_trunk, silent_trunk);
}

/// The example with each `#key = value` and `#[[section]]` made a setting.
fn switched_on() -> String {
    let mut text = String::new();
    for line in embedded_default().lines() {
        let setting = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        text.push_str(setting.unwrap_or(line));
        text.push('\n');
    }
    text
}
