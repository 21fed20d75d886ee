//! Files of agents: whatever ends the lines and whatever is quoted, the agents are the same.

use std::fmt::Write as _;

use offhook::config::{self, Config, Mistake};

use super::configuration::check_mistakes;

const CONFIGURATION: &str = r#"
[server]
sip = ["udp:192.0.2.10:5060"]
[[trunk]]
name = "ucm"
peers = ["udp:192.0.2.20"]
[[trunk]]
name = "other"
peers = ["udp:192.0.2.21"]
prefixes = ["9"]
[[queue]]
name = "sales"
[[queue]]
name = "service"
[[agents]]
csv = "agents.csv"
queues = ["sales"]
skills = ["english:5"]
"#;

/// One file.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parsed = parse(&text);
    let outcome = parsed.as_ref().map(|config| &config.agents).map_err(|_| ());
    let marked = text.trim_start_matches('\u{feff}');
    for other in [format!("\u{feff}{marked}"), format!("{marked}\n\n# end\n")] {
        let again = parse(&other);
        let again = again.as_ref().map(|config| &config.agents).map_err(|_| ());
        assert_eq!(outcome, again, "{other:?}");
    }
    if !text.contains('\r') {
        let again = parse(&text.replace('\n', "\r\n"));
        let again = again.as_ref().map(|config| &config.agents).map_err(|_| ());
        assert_eq!(outcome, again, "line ends matter");
    }
    match parsed {
        Ok(config) => check(&text, &config),
        Err(mistakes) => {
            let longest = [&*text, CONFIGURATION]
                .into_iter()
                .max_by_key(|text| text.split('\n').count());
            check_mistakes(longest.unwrap_or_default(), &mistakes);
        }
    }
}

fn parse(text: &str) -> Result<Config, Vec<Mistake>> {
    config::parse(CONFIGURATION, &|_| Ok(text.to_owned()))
}

fn check(text: &str, config: &Config) {
    assert!(config.agents.is_sorted_by(|left, right| left.dn < right.dn));
    assert!(config.agents.len() < text.lines().count());
    let mut written = "\"agent_id\" , dn\n".to_owned();
    for agent in config.agents.iter().rev() {
        let (dn, id) = (&agent.dn, agent.agent_id.replace('"', "\"\""));
        writeln!(written, "  \"{id}\",{dn}").expect("a string takes everything");
    }
    let again = parse(&written).unwrap_or_else(|mistakes| panic!("{written}: {mistakes:?}"));
    let names = |config: &Config| -> Vec<_> {
        let agents = config.agents.iter();
        agents
            .map(|agent| (agent.dn.clone(), agent.agent_id.clone()))
            .collect()
    };
    assert_eq!(names(config), names(&again));
}
