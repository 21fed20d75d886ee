//! Configurations that are refused before anything runs: by `check` and by `serve` alike, with
//! exit status 2, and with the file and the line of every mistake.

use std::path::PathBuf;
use std::process::Command;

const GOOD: &str = r#"[server]
sip = ["udp:127.0.0.1:0"]
http = "127.0.0.1:0"
shards = 1
[[trunk]]
name = "ucm"
peers = ["udp:127.0.0.1:5070"]
[[agent]]
dn = "2001"
queues = ["sales"]
[[queue]]
name = "sales"
[[routing_point]]
number = "7000"
queue = "sales"
"#;

struct Mistaken {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    /// Lines that are named, each with a word of what is said there.
    named: &'static [(u32, &'static str)],
}

const TABLE: &[Mistaken] = &[
    Mistaken {
        name: "no TOML",
        from: "shards = 1",
        to: "shards = = 1",
        named: &[(4, "")],
    },
    Mistaken {
        name: "a wrong type",
        from: "shards = 1",
        to: "shards = \"one\"",
        named: &[(4, "shards")],
    },
    Mistaken {
        name: "an unknown key",
        from: "shards = 1",
        to: "shard = 1",
        named: &[(4, "shard")],
    },
    Mistaken {
        name: "two mistakes are both named",
        from: "shards = 1\n[[trunk]]\nname = \"ucm\"",
        to: "shards = 9999\n[[trunk]]\nname = \"\"",
        named: &[(4, "shards"), (6, "name")],
    },
    Mistaken {
        name: "two agents with one DN",
        from: "[[queue]]",
        to: "[[agent]]\ndn = \"2001\"\n[[queue]]",
        named: &[(12, "2001")],
    },
    Mistaken {
        name: "two agents with one DN, one of them of a range",
        from: "[[queue]]",
        to: "[[agents]]\nrange = \"2000-2009\"\n[[queue]]",
        named: &[(12, "2001")],
    },
    Mistaken {
        name: "a queue that does not exist",
        from: "queues = [\"sales\"]",
        to: "queues = [\"sales\", \"nowhere\"]",
        named: &[(10, "nowhere")],
    },
    Mistaken {
        name: "a peer that is neither an address nor a name",
        from: "udp:127.0.0.1:5070",
        to: "udp:ucm example.com",
        named: &[(7, "ucm example.com")],
    },
    Mistaken {
        name: "a listener that no peer could reach",
        from: "udp:127.0.0.1:0",
        to: "udp:0.0.0.0:0",
        named: &[(2, "advertise")],
    },
];

#[test]
fn configurations() {
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(GOOD.matches(row.from).count(), 1, "{}", row.name);
        let file = format!("bad-{index}.toml");
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&file);
        std::fs::write(&path, GOOD.replace(row.from, row.to)).unwrap();
        for command in ["check", "serve"] {
            let output = Command::new(env!("CARGO_BIN_EXE_offhook"))
                .args([command, "--config", path.to_str().unwrap()])
                .output()
                .unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                output.status.code(),
                Some(2),
                "{command}: {}: {said}",
                row.name
            );
            assert_eq!(
                said.lines().count(),
                row.named.len(),
                "{}: {said}",
                row.name
            );
            for (line, word) in row.named {
                let place = format!("{file}:{line}: ");
                let told = said
                    .lines()
                    .any(|mistake| mistake.contains(&place) && mistake.contains(word));
                assert!(
                    told,
                    "{command}: {}: {place}{word} is not in {said}",
                    row.name
                );
            }
        }
    }
}
