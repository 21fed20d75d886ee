//! From a parsed document to a configuration, section by section, in the order in which they refer
//! to each other: trunks, calendars, queues, routing points, presence, agents, tokens.

mod agents;
mod calendar;
mod csv;
mod dns;
mod entry;
mod names;
mod presence;
mod queue;
mod server;
mod settings;
mod tls;
mod trunk;

use toml::de::DeTable;

use super::Config;
use super::check::{self, Places};
use super::keys;
use super::reader::{Section, Source};
use crate::limits::{
    AGENTS_MAX, CALENDARS_MAX, QUEUES_MAX, ROUTING_POINTS_MAX, TOKENS_MAX, TRUNKS_MAX,
};

/// Reads the whole document; what is wrong goes to the source's mistakes, and then the result is of
/// no use.
pub(super) fn read<'a>(
    document: &'a DeTable<'a>,
    source: &'a Source<'a>,
    files: &dyn Fn(&str) -> Result<String, String>,
) -> Config {
    let mut top = Section::new(&keys::DOCUMENT, Some(document), 1, source);
    let server_section = top.table("server", &keys::SERVER);
    let tls = top.table("tls", &keys::TLS);
    let tls = top.has("tls").then(|| tls::read(tls));
    let dns_section = top.table("dns", &keys::DNS);
    let token_sections = top.tables("token", &keys::TOKEN, TOKENS_MAX);
    let trunk_sections = top.tables("trunk", &keys::TRUNK, TRUNKS_MAX);
    let presence_section = top.table("presence", &keys::PRESENCE);
    let defaults_section = top.table("agent_defaults", &keys::AGENT_DEFAULTS);
    let agent_sections = top.tables("agent", &keys::AGENT, AGENTS_MAX);
    let agents_sections = top.tables("agents", &keys::AGENTS, AGENTS_MAX);
    let point_sections = top.tables("routing_point", &keys::ROUTING_POINT, ROUTING_POINTS_MAX);
    let queue_sections = top.tables("queue", &keys::QUEUE, QUEUES_MAX);
    let calendar_sections = top.tables("calendar", &keys::CALENDAR, CALENDARS_MAX);
    top.finish();

    let mut names = names::Names::new(source);
    let (trunks, trunk_lines) = trunk::read(trunk_sections, &mut names);
    let calendars = calendar::read(calendar_sections);
    let (mut queues, queue_lines) = queue::read(queue_sections, &mut names, &calendars, source);
    let (routing_points, mut entries) = entry::read(point_sections, &mut names);
    let presence = presence::read(presence_section, &names);

    let mut enrolment = agents::Enrolment::new(defaults_section, &names, &trunks, &presence);
    let agent_defaults = enrolment.defaults();
    enrolment.read_single(agent_sections);
    enrolment.read_many(agents_sections, files);
    let roster = enrolment.finish();
    queue::note_agents(&mut queues, &roster);
    queue::note_requirements(&mut queues, &entries);
    entries.add_overflow(&queues);
    let (skills, profiles, requirements) = names.skills.borrow().tables();

    let places = Places::new(&server_section, trunk_lines);
    let mut server = server::read(server_section);
    let has_tokens = !token_sections.is_empty();
    server.tokens = server::read_tokens(token_sections, &roster);
    let beside = (tls.as_ref(), &trunks[..]);
    check::check_server(&server, beside, has_tokens, &places, source.mistakes);
    let names = names.iter().map(|(name, at, _)| (name.into(), at));
    let config = Config {
        server,
        tls,
        dns: dns::read(dns_section),
        trunks,
        presence,
        agents: roster.agents.into(),
        agent_defaults,
        routing_points,
        queues,
        calendars,
        entries: entries.entries,
        skills,
        profiles,
        requirements,
        names: names.collect(),
        places,
    };
    check::check_queues(&config, &queue_lines, source);
    check::check_skills(&config, &entries.steps, source);
    config
}
