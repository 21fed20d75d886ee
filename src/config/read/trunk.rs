//! Reads `[[trunk]]` and the references to trunks, and finds the trunk of a number by its prefix.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::names::Names;
use crate::config::reader::{Located, Section};
use crate::config::trunk::{
    Answering, BigRequests, Dtmf, Hold, Identity, MakeCallFlow, Peer, Selection, Trunk,
};
use crate::config::value;
use crate::config::{Address, Credentials, TrunkIndex};
use crate::limits::{SESSION_SECONDS_MIN, TRUNK_NETWORKS_MAX, TRUNK_PEERS_MAX, TRUNK_PREFIXES_MAX};

pub(super) const MODES: [(&str, Selection); 2] = [
    ("round_robin", Selection::RoundRobin),
    ("primary_backup", Selection::PrimaryBackup),
];

const ANSWERS: [(&str, Answering); 4] = [
    ("none", Answering::None),
    ("call-info", Answering::CallInfo),
    ("alert-info", Answering::AlertInfo),
    ("talk", Answering::Talk),
];

const DTMF: [(&str, Dtmf); 3] = [
    ("none", Dtmf::None),
    ("dtmf-relay", Dtmf::Relay),
    ("dtmf", Dtmf::Plain),
];

/// The trunks, their names claimed, with the line of each.
pub(super) fn read<'a>(
    sections: Vec<Section<'a>>,
    names: &mut Names<'a>,
) -> (Vec<Trunk>, Vec<u32>) {
    let mut trunks = Vec::new();
    let mut lines = Vec::new();
    let mut peer_lines = BTreeMap::new();
    for section in sections {
        let index = TrunkIndex(u16::try_from(trunks.len()).expect("TRUNKS_MAX bounds the trunks"));
        lines.push(section.line);
        trunks.push(read_one(section, index, names, &mut peer_lines));
    }
    (trunks, lines)
}

fn read_one<'a>(
    mut section: Section<'a>,
    index: TrunkIndex,
    names: &mut Names<'a>,
    peer_lines: &mut BTreeMap<Peer, u32>,
) -> Trunk {
    let name = section.required("name", "\"ucm\"", value::name);
    if let Some(name) = name {
        names.claim(name, Address::Trunk(index));
    }
    let secs = Duration::from_secs;
    let oos_check = read_oos_check(&mut section);
    let ping_max_forwards = section.integer("ping_max_forwards", 0..=255, 70);
    let (session_expires, min_se) = read_session(&mut section);
    let (credentials, challenge) = read_credentials(&mut section);
    let trunk = Trunk {
        name: name.map_or("", |name| name.value).into(),
        peers: read_peers(&mut section, peer_lines),
        mode: section.choice("mode", &MODES, Selection::RoundRobin),
        oos_check,
        ping_timeout: section.duration(
            "ping_timeout",
            Duration::from_millis(100)..=secs(32),
            secs(4),
        ),
        oos_force: section.duration("oos_force", Duration::ZERO..=secs(600), secs(10)),
        recovery_timeout: section.duration("recovery_timeout", secs(1)..=secs(3_600), secs(30)),
        domain: section.optional("domain", value::host),
        tls_name: section.optional("tls_name", value::tls_name),
        ping_max_forwards: u8::try_from(ping_max_forwards).unwrap_or(u8::MAX),
        prefixes: read_prefixes(&mut section),
        call_rate: section.integer("call_rate", 1..=1_000_000, 10_000),
        subscribe_rate: section.integer("subscribe_rate", 1..=10_000, 50),
        big_requests: section.choice(
            "big_requests",
            &[("tcp", BigRequests::Tcp), ("udp", BigRequests::Udp)],
            BigRequests::Tcp,
        ),
        outbound: section.flag("outbound", false),
        dual_dialog: section.flag("dual_dialog", false),
        hold: section.choice("hold", &HOLDS, Hold::Inactive),
        make_call_flow: section.choice("make_call_flow", &FLOWS, MakeCallFlow::One),
        answer: section.choice("answer", &ANSWERS, Answering::None),
        dtmf: section.choice("dtmf", &DTMF, Dtmf::None),
        session_expires,
        min_se,
        reliable_provisional: section.flag("reliable_provisional", false),
        early_media: section.flag("early_media", true),
        refer: section.flag("refer", false),
        identity: section.choice("identity", &IDENTITIES, Identity::Asserted),
        accept: section
            .list("accept", TRUNK_NETWORKS_MAX, value::network)
            .unwrap_or_default()
            .into_iter()
            .map(|located| located.value)
            .collect(),
        trusted: section.flag("trusted", true),
        credentials,
        challenge,
        overload_control: section.flag("overload_control", false),
    };
    section.finish();
    trunk
}

const HOLDS: [(&str, Hold); 2] = [("inactive", Hold::Inactive), ("sendonly", Hold::SendOnly)];

const FLOWS: [(&str, MakeCallFlow); 2] = [("1", MakeCallFlow::One), ("4", MakeCallFlow::Four)];

const IDENTITIES: [(&str, Identity); 4] = [
    ("asserted", Identity::Asserted),
    ("remote_party", Identity::RemoteParty),
    ("both", Identity::Both),
    ("none", Identity::Neither),
];

/// The session interval and the shortest one that is taken (RFC 4028 §4, §5).
fn read_session(section: &mut Section<'_>) -> (Option<Duration>, Duration) {
    let shortest = Duration::from_secs(u64::from(SESSION_SECONDS_MIN));
    let bounds = shortest..=Duration::from_hours(24);
    let session_expires = section
        .optional("session_expires", |scalar| {
            value::duration_or_none(scalar, &bounds)
        })
        .unwrap_or(Some(Duration::from_mins(30)));
    let min_se = section.duration("min_se", bounds, shortest);
    if session_expires.is_some_and(|interval| interval < min_se) {
        section.mistake(
            "min_se",
            "is longer than `session_expires`",
            "write at most what session_expires says, which is 30min by itself",
        );
    }
    (session_expires, min_se)
}

/// The time between pings, and what has no meaning without any.
fn read_oos_check(section: &mut Section<'_>) -> Option<Duration> {
    let bounds = Duration::from_secs(1)..=Duration::from_hours(1);
    let oos_check = section
        .optional("oos_check", |scalar| {
            value::duration_or_none(scalar, &bounds)
        })
        .unwrap_or(Some(Duration::from_secs(30)));
    for key in ["ping_timeout", "oos_force", "ping_max_forwards"] {
        if oos_check.is_none() && section.has(key) {
            let instead = "remove it, or set oos_check";
            section.mistake(key, "has no effect without pings", instead);
        }
    }
    oos_check
}

/// What the trunk is shown, and must show.
fn read_credentials(section: &mut Section<'_>) -> (Option<Arc<Credentials>>, bool) {
    const KEYS: [&str; 3] = ["realm", "user", "password"];
    let [realm, user] = ["realm", "user"].map(|key| section.optional(key, value::quotable));
    let password = section.hidden("password", value::quotable);
    let given = KEYS.into_iter().filter(|key| section.has(key)).count();
    if let Some(missing) = KEYS.into_iter().find(|key| given > 0 && !section.has(key)) {
        let what = format!("[[trunk]] has no `{missing}`");
        let instead = "write realm, user and password, or none of them";
        section.source.mistake(section.line, what, instead);
    }
    let challenge = section.flag("challenge", false);
    if challenge && given == 0 {
        let instead = "write realm, user and password that its calls must show";
        section.mistake("challenge", "has nothing to ask for", instead);
    }
    let credentials = realm
        .zip(user)
        .zip(password)
        .map(|((realm, user), password)| {
            Arc::new(Credentials {
                realm: realm.into(),
                user: user.into(),
                password: password.into(),
            })
        });
    (credentials, challenge)
}

fn read_peers(section: &mut Section<'_>, peer_lines: &mut BTreeMap<Peer, u32>) -> Vec<Peer> {
    let peers = section.list("peers", TRUNK_PEERS_MAX, value::peer);
    if section.count("peers").is_none_or(|count| count == 0) {
        let instead = "write peers = [\"udp:192.0.2.20:5060\"]";
        section.source.mistake(
            section.line_of("peers"),
            "[[trunk]] has no `peers`",
            instead,
        );
    }
    let mut distinct = Vec::new();
    for Located { value: peer, line } in peers.unwrap_or_default() {
        if let Some(first) = peer_lines.insert(peer.clone(), line) {
            section.source.mistake(
                line,
                format!("peer {peer} is already on line {first}"),
                "name each peer once, in one trunk",
            );
            continue;
        }
        distinct.push(peer);
    }
    distinct
}

fn read_prefixes(section: &mut Section<'_>) -> Vec<Box<str>> {
    let listed = section
        .list("prefixes", TRUNK_PREFIXES_MAX, value::name)
        .unwrap_or_default();
    let mut prefixes: Vec<Box<str>> = Vec::new();
    for Located {
        value: prefix,
        line,
    } in listed
    {
        if prefixes.iter().any(|known| **known == *prefix) {
            let what = format!("`prefixes` in [[trunk]] has \"{prefix}\" twice");
            section.source.mistake(line, what, "write each prefix once");
        } else {
            prefixes.push(prefix.into());
        }
    }
    prefixes
}

/// Which trunks lead to a number when nobody has said so: those with the longest prefix of it.
pub(super) struct Prefixes {
    sets: BTreeMap<Box<str>, Arc<[TrunkIndex]>>,
    lengths: BTreeSet<usize>,
}

impl Prefixes {
    pub(super) fn new(trunks: &[Trunk]) -> Self {
        let mut lists: BTreeMap<Box<str>, Vec<TrunkIndex>> = BTreeMap::new();
        for (index, trunk) in (0..).map(TrunkIndex).zip(trunks) {
            for prefix in &trunk.prefixes {
                lists.entry(prefix.clone()).or_default().push(index);
            }
            if trunk.prefixes.is_empty() {
                lists.entry("".into()).or_default().push(index);
            }
        }
        let lengths = lists.keys().map(|prefix| prefix.len()).collect();
        let sets = lists
            .into_iter()
            .map(|(prefix, list)| (prefix, list.into()))
            .collect();
        Self { sets, lengths }
    }

    pub(super) fn find(&self, number: &str) -> Option<Arc<[TrunkIndex]>> {
        let mut lengths = self.lengths.iter().rev();
        lengths.find_map(|length| self.sets.get(number.get(..*length)?).cloned())
    }
}
