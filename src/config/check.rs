//! Checks that need several sections at once, and those that flags of the command line make
//! necessary again.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::closest;
use super::mistake::{Mistake, Mistakes};
use super::reader::{Section, Source};
use super::server::{Server, Transport};
use super::tls::Tls;
use super::trunk::{Peer, Trunk};
use super::{Config, EntryKind, Overflow, ProfileIndex, QueueIndex, RequirementIndex, SkillIndex};
use crate::limits::QUEUE_REQUIREMENTS_MAX;

/// A place to report: a file and a line, or a flag and 0.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) file: Box<str>,
    pub(super) line: u32,
}

impl Place {
    pub(super) fn flag(flag: &str) -> Self {
        Self {
            file: flag.into(),
            line: 0,
        }
    }

    fn pair(&self) -> (&str, u32) {
        (&self.file, self.line)
    }
}

/// Where the settings stand that are checked again when flags override them.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) sip: Place,
    pub(super) http: Place,
    pub(super) http_tls: Place,
    pub(super) shards: Place,
    pub(super) cores: Place,
    pub(super) trunks: Vec<Place>,
}

impl Places {
    pub(super) fn new(server: &Section<'_>, trunks: Vec<u32>) -> Self {
        let file: &str = server.source.file;
        let at = |line| Place {
            file: file.into(),
            line,
        };
        Self {
            sip: at(server.line_of("sip")),
            http: at(server.line_of("http")),
            http_tls: at(server.line_of("http_tls")),
            shards: at(server.line_of("shards")),
            cores: at(server.line_of("cores")),
            trunks: trunks.into_iter().map(at).collect(),
        }
    }
}

/// What flags can break.
pub(super) fn check_server(
    server: &Server,
    (tls, trunks): (Option<&Tls>, &[Trunk]),
    has_tokens: bool,
    places: &Places,
    mistakes: &Mistakes,
) {
    if server.sip.is_empty() {
        let instead = "write one, such as \"udp:0.0.0.0:5060\"";
        mistakes.add(
            places.sip.pair(),
            "there is no address to listen on for SIP",
            instead,
        );
    }
    let secret = server.sip.iter().find(|it| it.transport == Transport::Tls);
    if let (Some(listener), None) = (secret, tls) {
        let what = format!("{listener} needs a certificate");
        let instead = "add [tls] with certificate, key and ca";
        mistakes.add(places.sip.pair(), what, instead);
    }
    if server.http_tls && tls.is_none() {
        let instead = "add [tls] with certificate, key and ca";
        mistakes.add(
            places.http_tls.pair(),
            "http_tls needs a certificate",
            instead,
        );
    }
    for (position, listener) in server.sip.iter().enumerate() {
        if listener.address.port() != 0 && server.sip[..position].contains(listener) {
            let what = format!("{listener} is there twice");
            mistakes.add(places.sip.pair(), what, "write each listener once");
        }
    }
    if !server.http.ip().is_loopback() && !has_tokens {
        mistakes.add(
            places.http.pair(),
            format!(
                "http is {}, where everyone may come, and there is no token",
                server.http
            ),
            "add a [[token]] for each client, or listen on 127.0.0.1",
        );
    }
    if let Some(cores) = &server.cores {
        let shards = usize::from(server.shards.unwrap_or(0));
        if !server.pin {
            mistakes.add(
                places.cores.pair(),
                "cores has no effect when shards are not pinned",
                "remove cores, or pin the shards",
            );
        } else if shards > cores.0.len() {
            let what = format!("{shards} shards do not fit on {} cores", cores.0.len());
            mistakes.add(places.shards.pair(), what, "name a core for each shard");
        }
    }
    check_peers(server, trunks, places, mistakes);
}

/// A peer answers to a listener of its own transport and family; what a name leads to is known
/// later, and what has no listener then is left out.
fn check_peers(server: &Server, trunks: &[Trunk], places: &Places, mistakes: &Mistakes) {
    for (trunk, place) in trunks.iter().zip(&places.trunks) {
        let deaf = trunk.peers.iter().find(|peer| {
            !server.sip.iter().any(|listener| match peer {
                Peer::Address { transport, address } => {
                    listener.transport == *transport
                        && listener.address.is_ipv4() == address.is_ipv4()
                }
                Peer::Name(_) => peer
                    .transport()
                    .is_none_or(|transport| listener.transport == transport),
            })
        });
        let Some(peer) = deaf else { continue };
        let any = match peer {
            Peer::Address { address, .. } if address.is_ipv6() => "[::]",
            Peer::Address { .. } | Peer::Name(_) => "0.0.0.0",
        };
        let transport = peer.transport().unwrap_or(Transport::Udp);
        mistakes.add(
            place.pair(),
            format!("nothing listens where peer {peer} can reach us"),
            format!(
                "add \"{transport}:{any}:{}\" to sip in [server]",
                transport.port()
            ),
        );
    }
}

/// A queue that nobody enters or nobody serves.
pub(super) fn check_queues(config: &Config, lines: &[u32], source: &Source<'_>) {
    let mut is_entered = vec![false; config.queues.len()];
    let entries = config
        .entries
        .iter()
        .filter(|entry| entry.kind != EntryKind::Overflow);
    let overflows = config.queues.iter().flat_map(|queue| {
        let overflow = &queue.overflow;
        let often = [
            &overflow.full,
            &overflow.wait,
            &overflow.closed,
            &overflow.no_answer,
        ];
        often.into_iter().chain(&overflow.no_agents)
    });
    let overflows = overflows.filter_map(|overflow| match overflow {
        Overflow::Queue(queue) => Some(*queue),
        Overflow::Refuse(_) | Overflow::Number(_) => None,
    });
    for queue in entries.map(|entry| entry.queue).chain(overflows) {
        if let Some(entered) = is_entered.get_mut(usize::from(queue.0)) {
            *entered = true;
        }
    }
    for ((queue, is_entered), line) in config.queues.iter().zip(is_entered).zip(lines) {
        if queue.name.is_empty() {
            continue; // Reported as a queue without a name.
        }
        if !is_entered {
            let what = format!("no routing point leads to queue \"{}\"", queue.name);
            source.mistake(*line, what, "add a [[routing_point]] for it, or remove it");
        }
        if queue.requirements.len() > QUEUE_REQUIREMENTS_MAX {
            let what = format!(
                "callers of queue \"{}\" need {} different lists of skills",
                queue.name,
                queue.requirements.len()
            );
            let instead = format!("write at most {QUEUE_REQUIREMENTS_MAX} for one queue");
            source.mistake(*line, what, instead);
        }
        if queue.agents.is_empty() {
            let what = format!("no agent serves queue \"{}\"", queue.name);
            source.mistake(
                *line,
                what,
                "name it in the queues of an agent, or remove it",
            );
        }
    }
}

/// Skills that callers need and nobody has: such a caller would wait for ever. `steps` are the
/// lines that say what is needed.
pub(super) fn check_skills(
    config: &Config,
    steps: &[(u32, QueueIndex, RequirementIndex)],
    source: &Source<'_>,
) {
    let had: BTreeSet<SkillIndex> = config
        .profiles
        .iter()
        .flat_map(|profile| profile.iter().map(|(skill, _)| skill))
        .collect();
    let mut profiles: BTreeMap<QueueIndex, BTreeSet<ProfileIndex>> = BTreeMap::new();
    let mut known: BTreeMap<(QueueIndex, RequirementIndex), bool> = BTreeMap::new();
    for &(line, queue, requirement) in steps {
        let required = config.requirement_at(requirement);
        let unknown = required.iter().find(|(skill, _)| !had.contains(skill));
        if let Some((skill, _)) = unknown {
            let name = &config.skills[usize::from(skill.0)];
            let names = had
                .iter()
                .map(|skill| &*config.skills[usize::from(skill.0)]);
            let instead = closest(name, names).map_or_else(
                || "give it to an agent, or remove it".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            source.mistake(line, format!("no agent has the skill \"{name}\""), instead);
            continue;
        }
        let serving = profiles.entry(queue).or_insert_with(|| {
            let agents = config.queue_at(queue).agents.iter();
            agents
                .map(|agent| config.agent_at(*agent).settings.profile)
                .collect()
        });
        let met = *known.entry((queue, requirement)).or_insert_with(|| {
            let mut serving = serving.iter();
            serving.any(|profile| config.profiles[profile.0 as usize].meets(required))
        });
        // A queue without agents is reported as such.
        if !met && !config.queue_at(queue).agents.is_empty() {
            let name = &config.queue_at(queue).name;
            let what = format!("no agent of queue \"{name}\" has all these skills at these levels");
            source.mistake(
                line,
                what,
                "lower a level, or give the skills to one of its agents",
            );
        }
    }
}

impl Config {
    /// What keeps a server with this configuration from being reached, although the configuration
    /// is sound: a listener on every address, and no address that peers could be told.
    #[must_use]
    pub fn serving_mistakes(&self) -> Vec<Mistake> {
        let nameless = self
            .server
            .sip
            .iter()
            .find(|listener| self.server.advertised(**listener).is_none());
        let Some(listener) = nameless else {
            return Vec::new();
        };
        vec![Mistake {
            file: self.places.sip.file.to_string(),
            line: self.places.sip.line,
            what: format!("{listener} is every address of this host, and peers need one"),
            instead: "write advertise = \"192.0.2.10\" in [server], the address that the PBX \
                      reaches, or listen on that address"
                .to_owned(),
        }]
    }
}
