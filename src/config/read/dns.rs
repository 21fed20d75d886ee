//! Reads `[dns]`.

use std::time::Duration;

use crate::config::dns::Dns;
use crate::config::reader::{Located, Section};
use crate::config::value;
use crate::limits::DNS_SERVERS_MAX;

pub(super) fn read(mut section: Section<'_>) -> Dns {
    let default = Dns::default();
    let secs = Duration::from_secs;
    let servers = section.list("servers", DNS_SERVERS_MAX, value::name_server);
    if section.count("servers") == Some(0) {
        let instead = "name a name server, or remove the key to use those of the operating system";
        section.mistake("servers", "is empty", instead);
    }
    let mut distinct = Vec::new();
    for Located {
        value: server,
        line,
    } in servers.unwrap_or_default()
    {
        if distinct.contains(&server) {
            let what = format!("`servers` in [dns] has {server} twice");
            section
                .source
                .mistake(line, what, "write each name server once");
        } else {
            distinct.push(server);
        }
    }
    let dns = Dns {
        servers: distinct,
        timeout: section.duration(
            "timeout",
            Duration::from_millis(100)..=secs(30),
            default.timeout,
        ),
        attempts: section.integer("attempts", 1..=10, default.attempts),
        ttl_min: section.duration("ttl_min", secs(1)..=secs(3_600), default.ttl_min),
        ttl_max: section.duration("ttl_max", secs(1)..=secs(86_400), default.ttl_max),
    };
    if dns.ttl_min > dns.ttl_max {
        let key = if section.has("ttl_min") {
            "ttl_min"
        } else {
            "ttl_max"
        };
        let what = "leaves no time between ttl_min and ttl_max";
        section.mistake(key, what, "write a ttl_max that is not below ttl_min");
    }
    section.finish();
    dns
}
