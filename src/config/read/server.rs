//! Reads `[server]` and `[[token]]`. What the listeners mean for trunks and flags is checked in
//! `check`, because flags change it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::agents::Roster;
use crate::config::reader::{Located, Section};
use crate::config::server::{
    Driver, Listener, LogLevel, OnDisconnect, Role, Server, Strangers, Token,
};
use crate::config::value::{self, Scalar};
use crate::config::{DnIndex, Transport};
use crate::limits::{
    AGENTS_MAX, DRAIN_TIMEOUT_MAX, MEMORY_MEBIBYTES_MAX, SHARDS_MAX, SIP_LISTENERS_MAX,
    TOKEN_BYTES_MAX, TOKEN_BYTES_MIN,
};

pub(super) fn read(mut section: Section<'_>) -> Server {
    let sip = read_listeners(&mut section);
    let (t1, t2, t4) = read_timers(&mut section);
    let shards = section.integer("shards", 0..=SHARDS_MAX as u32, 0);
    let server = Server {
        sip,
        advertise: section.optional("advertise", value::host),
        http: section
            .optional("http", http)
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        http_tls: section.flag("http_tls", false),
        tokens: Vec::new(),
        shards: u16::try_from(shards).ok().filter(|shards| *shards > 0),
        cores: section.optional("cores", value::cores),
        pin: section.flag("pin", true),
        driver: section.choice("driver", &Driver::WORDS, Driver::Auto),
        log: section.choice("log", &LogLevel::WORDS, LogLevel::Info),
        call_duration_max: section.duration(
            "call_duration_max",
            Duration::from_mins(1)..=Duration::from_hours(7 * 24),
            Duration::from_hours(12),
        ),
        t1,
        t2,
        t4,
        on_disconnect: section.choice(
            "on_disconnect",
            &[
                ("keep", OnDisconnect::Keep),
                ("notready", OnDisconnect::NotReady),
                ("logout", OnDisconnect::Logout),
            ],
            OnDisconnect::Keep,
        ),
        client_queue: section.integer("client_queue", 16..=1_000_000, 16_384),
        event_history: section.integer("event_history", 0..=100_000_000, 262_144),
        music: section.optional("music", value::media_server),
        mixer: section.optional("mixer", value::media_server),
        strangers: section.choice(
            "strangers",
            &[("ignore", Strangers::Ignore), ("refuse", Strangers::Refuse)],
            Strangers::Ignore,
        ),
        drain_timeout: section.duration(
            "drain_timeout",
            Duration::ZERO..=DRAIN_TIMEOUT_MAX,
            Duration::from_secs(30),
        ),
        memory_max: read_memory_max(&mut section),
    };
    section.finish();
    server
}

/// MiB in the file, 0 for no limit.
fn read_memory_max(section: &mut Section<'_>) -> Option<u64> {
    let mebibytes = section.integer("memory_max", 0..=MEMORY_MEBIBYTES_MAX, 0);
    (mebibytes > 0).then_some(u64::from(mebibytes) << 20)
}

fn read_listeners(section: &mut Section<'_>) -> Vec<Listener> {
    let any = |address: IpAddr| {
        [Transport::Udp, Transport::Tcp].map(|transport| Listener {
            transport,
            address: SocketAddr::new(address, 5060),
        })
    };
    let v4 = any(Ipv4Addr::UNSPECIFIED.into());
    let count = section.count("sip");
    let Some(listed) = section.list("sip", SIP_LISTENERS_MAX, value::listener) else {
        return v4.to_vec();
    };
    if count != Some(listed.len()) {
        // One is wrong and reported; with every kind here, no peer is reported for want of it.
        return v4
            .into_iter()
            .chain(any(Ipv6Addr::UNSPECIFIED.into()))
            .collect();
    }
    listed.into_iter().map(|located| located.value).collect()
}

fn read_timers(section: &mut Section<'_>) -> (Duration, Duration, Duration) {
    const MOST: Duration = Duration::from_mins(1);
    let least = Duration::from_millis(10);
    let t1 = section.duration(
        "t1",
        least..=Duration::from_secs(5),
        Duration::from_millis(500),
    );
    let t2 = section.duration("t2", least..=MOST, Duration::from_secs(4));
    let t4 = section.duration("t4", least..=MOST, Duration::from_secs(5));
    if t2 < t1 {
        // RFC 3261 §17.1.2.2: retransmissions start at T1 and double up to T2.
        let key = if section.has("t2") { "t2" } else { "t1" };
        section.mistake(
            key,
            "makes T2 shorter than T1",
            "write a t2 that is not below t1",
        );
    }
    (t1, t2, t4)
}

fn http(scalar: Scalar<'_>) -> value::Converted<SocketAddr> {
    value::text(scalar)?
        .parse()
        .map_err(|_| "write ADDRESS:PORT, such as \"127.0.0.1:8080\"".to_owned())
}

/// The tokens, once the agents are known.
pub(super) fn read_tokens(sections: Vec<Section<'_>>, roster: &Roster) -> Vec<Token> {
    const ROLES: [(&str, Role); 4] = [
        ("agent", Role::Agent),
        ("supervisor", Role::Supervisor),
        ("router", Role::Router),
        ("admin", Role::Admin),
    ];
    let mut lines: BTreeMap<Box<str>, u32> = BTreeMap::new();
    let mut tokens = Vec::new();
    for mut section in sections {
        let secret = read_secret(&mut section);
        let role = section.required("role", "\"agent\"", |scalar| value::choice(scalar, &ROLES));
        let dns = section.list("dns", AGENTS_MAX, value::name);
        if let Some(Located { value: role, .. }) = role {
            check_dns(&section, role, dns.is_some());
        }
        let dns = found_dns(&section, dns.unwrap_or_default(), roster);
        if let Some(Located {
            value: secret,
            line,
        }) = secret
        {
            if let Some(first) = lines.insert(secret.into(), line) {
                let what = format!("is the same as on line {first}");
                section.mistake("token", &what, "give each client a token of its own");
            }
            let role = role.map_or(Role::Agent, |role| role.value);
            tokens.push(Token {
                secret: secret.into(),
                role,
                dns,
            });
        }
        section.finish();
    }
    tokens
}

fn read_secret<'a>(section: &mut Section<'a>) -> Option<Located<&'a str>> {
    if !section.has("token") {
        let instead = "write token = \"a long random text\"";
        let what = "[[token]] has no `token`";
        section.source.mistake(section.line, what, instead);
    }
    let value = section.hidden("token", secret)?;
    let line = section.line_of("token");
    Some(Located { value, line })
}

fn check_dns(section: &Section<'_>, role: Role, has_dns: bool) {
    match (role, has_dns) {
        (Role::Agent, false) => {
            let what = "[[token]] of an agent has no `dns`";
            section.source.mistake(
                section.line,
                what,
                "write dns = [\"2001\"], its own numbers",
            );
        }
        (Role::Supervisor | Role::Router | Role::Admin, true) => {
            section.mistake(
                "dns",
                "has no effect",
                "remove it: only the role agent is held to dns",
            );
        }
        (Role::Agent, true) | (Role::Supervisor | Role::Router | Role::Admin, false) => {}
    }
}

fn found_dns(section: &Section<'_>, dns: Vec<Located<&str>>, roster: &Roster) -> Vec<DnIndex> {
    let mut found = Vec::new();
    for Located { value: text, line } in dns {
        let before = found.len();
        found.extend(roster.find(text));
        if found.len() == before
            && let Ok(range) = super::agents::range(text)
        {
            found.extend(range.filter_map(|dn| roster.find(&dn)));
        }
        if found.len() == before {
            let what = format!("`dns` in [[token]] names \"{text}\", which no agent has");
            section
                .source
                .mistake(line, what, "write the dn of an agent, or a range of them");
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn secret(scalar: Scalar<'_>) -> value::Converted<&str> {
    let text = value::text(scalar)?;
    // RFC 6750 §2.1: what a bearer token may consist of.
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&text.len()) || !text.bytes().all(legal) {
        return Err(format!(
            "write {TOKEN_BYTES_MIN} to {TOKEN_BYTES_MAX} letters, digits or any of - . _ ~ + / ="
        ));
    }
    Ok(text)
}
