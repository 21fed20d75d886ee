//! Agents from a CSV file.

use std::time::Duration;

use super::SMALL;
use crate::config::{Config, Mistake, WrapUp, parse};

fn read(csv: &str) -> Result<Config, Vec<Mistake>> {
    let section = "[[agents]]\ncsv = \"agents.csv\"\nqueues = \"sales\"\nno_answer = 11\n";
    parse(&format!("{SMALL}{section}"), &|file| {
        assert_eq!(file, "agents.csv");
        Ok(csv.to_owned())
    })
}

fn printed(csv: &str) -> Vec<String> {
    read(csv)
        .expect_err("the file has mistakes")
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_row_is_an_agent_and_an_empty_cell_leaves_it_to_the_section() {
    let csv = "\u{feff}wrap_up, dn ,agent_id,queues,presence\r\n\
               untimed,3001,A1,sales,false\r\n\
               # a remark\r\n\r\n\
               ,\"3002\",\"A2\",,\r\n\
               30s,3003\r\n";
    let config = read(csv).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    let agents = &config.agents[1..];
    let ids: Vec<&str> = agents.iter().map(|agent| &*agent.agent_id).collect();
    assert_eq!(ids, ["A1", "A2", "3003"]);
    assert_eq!(agents[0].settings.wrap_up, Some(WrapUp::Untimed));
    assert_eq!(agents[0].settings.presence, None);
    assert_eq!(agents[1].settings.wrap_up, None);
    assert!(agents[1].settings.presence.is_some());
    assert_eq!(
        agents[2].settings.wrap_up,
        Some(WrapUp::Timed(Duration::from_secs(30)))
    );
    assert!(agents.iter().all(|agent| agent.settings.queues.len() == 1));
    assert!(
        agents
            .iter()
            .all(|agent| agent.settings.no_answer == Some(Duration::from_secs(11)))
    );
}

#[test]
fn mistakes_name_the_file_and_its_line() {
    let csv = "dn,agent_id,queues,wrap_up,presence\n\
               3001,A1,salse,soon,yes\n\
               30 02,A2,sales,,\n\
               3003,A1,sales|sales,,\n\
               3004,\"A4,sales,,\n\
               3005,A5,sales,,,\n\
               ,A6,sales,,\n\
               2001,A7,sales,,\n";
    assert_eq!(
        printed(csv),
        [
            "agents.csv:2: `queues` names \"salse\", and there is no such queue; \
             did you mean \"sales\"?",
            "agents.csv:2: column `presence` is \"yes\"; write \"true\" or \"false\"",
            "agents.csv:2: column `wrap_up` is \"soon\"; write seconds or a text like \"30s\" or \
             \"500ms\", from 1s to 1d, or 0 for none, or \"untimed\"",
            "agents.csv:3: column `dn` is \"30 02\"; \
             write 1 to 64 letters, digits or any of * # + . _ -",
            "agents.csv:4: `queues` names the queue \"sales\" twice; name it once",
            "agents.csv:4: agent_id \"A1\" is already on line 2; give each agent its own",
            "agents.csv:5: a quote is not closed; close it on the same line",
            "agents.csv:6: there are 6 cells for 5 columns; quote a cell that holds a comma",
            "agents.csv:7: the agent has no `dn`; write the number of its phone",
            "agents.csv:8: DN \"2001\" is already on offhook.toml:11; \
             give it another dn, or remove one",
        ]
    );
}

#[test]
fn a_header_that_makes_no_sense_is_reported_alone() {
    assert_eq!(
        printed("id,agentid,queues,queues\n1,2,3,4\n"),
        [
            "agents.csv:1: column `queues` is there twice; remove one of them",
            "agents.csv:1: there is no column `agentid`; did you mean `agent_id`?",
            "agents.csv:1: there is no column `id`; remove it, or write one of `dn`, `agent_id`, \
             `queues`, `skills`, `trunks`, `trunk_mode`, `presence`, `presence_trunks`, `wrap_up`, \
             `no_answer`, `no_answer_action`, `login`, `after_login`, `legal_guard`, \
             `auto_logout`",
        ]
    );
    assert_eq!(
        printed("agent_id\nA1\n"),
        ["agents.csv:1: there is no column `dn`; add it: the numbers of the phones"]
    );
    assert_eq!(
        printed("\n# nothing\n"),
        ["agents.csv:1: the file has no header row; \
          write the names of the columns first: dn,agent_id,queues"]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake_of_its_section() {
    let text = format!("{SMALL}[[agents]]\ncsv = \"agents.csv\"\n");
    let mistakes = parse(&text, &|_| Err("no such file".to_owned())).unwrap_err();
    assert_eq!(
        mistakes[0].to_string(),
        "offhook.toml:14: `csv` in [[agents]] names a file that cannot be read (no such file); \
         write a path that starts at the directory of this file"
    );
}

#[test]
fn the_list_of_mistakes_is_bounded_and_says_how_many_are_missing() {
    let rows: String = (0..1_234)
        .map(|row| format!("3{row:04},nobody\n"))
        .collect();
    let printed = printed(&format!("dn,queues\n{rows}"));
    assert_eq!(printed.len(), crate::limits::CONFIGURATION_MISTAKES_MAX + 1);
    let last = "there are 234 more mistakes; correct those above and check again";
    assert!(
        printed.last().unwrap().ends_with(last),
        "{:?}",
        printed.last()
    );
}
