//! What the configuration accepts, what it makes of it, and what it says about mistakes.

mod csv;
mod documents;
mod meaning;
mod mistakes;
mod robustness;

use super::{Config, Mistake, parse};

/// Reads a text that names no files.
fn read(text: &str) -> Result<Config, Vec<Mistake>> {
    parse(text, &|file| {
        Err(format!("{file} is not part of this test"))
    })
}

/// The mistakes of a text, as they are printed.
fn printed(text: &str) -> Vec<String> {
    read(text)
        .expect_err("the text has mistakes")
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// A trunk, a queue with its routing point, and an agent: a configuration that can take calls.
const SMALL: &str = r#"
[[trunk]]
name = "ucm"
peers = ["udp:192.0.2.20:5060"]
[[queue]]
name = "sales"
[[routing_point]]
number = "7000"
queue = "sales"
[[agent]]
dn = "2001"
queues = ["sales"]
"#;
