//! What sections must be to each other.

use std::collections::BTreeSet;

use super::reader::Source;
use super::{FaultKind, Profile};

/// Where each section begins, in the order of the profile's lists.
#[derive(Debug, Default)]
pub(super) struct Places {
    pub(super) pbxs: Vec<u32>,
    pub(super) queues: Vec<u32>,
    pub(super) agents: Vec<u32>,
    pub(super) callers: Vec<u32>,
    pub(super) routers: Vec<u32>,
    pub(super) faults: Vec<u32>,
}

/// Adds a mistake for whatever does not fit, at the line of its section.
pub(super) fn check(source: &Source<'_>, profile: &Profile, places: &Places) {
    let fault = |line: u32, what: String, instead: &str| source.mistake(line, what, instead);
    if profile.pbxs.is_empty() {
        fault(
            1,
            "there is no [[pbx]]".to_owned(),
            "write one with its phones",
        );
    }
    if profile.agents.is_empty() {
        fault(
            1,
            "there is no [[agents]]".to_owned(),
            "write one with its phones and queues",
        );
    }
    if profile.queues.is_empty() {
        fault(
            1,
            "there is no [[queue]]".to_owned(),
            "write one with the numbers that lead to it",
        );
    }
    phones(profile, places, &fault);
    names(profile, places, &fault);
    numbers(profile, places, &fault);
    unserved(profile, places, &fault);
    faults(profile, places, &fault);
    endless(profile, places, &fault);
}

/// Of a call that a desktop makes to a colleague one of the two phones must hang up.
fn endless(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    for (group, line) in profile.agents.iter().zip(&places.agents) {
        if group.desk.makes_calls.is_some() && group.habits.talking.is_none() {
            fault(
                *line,
                format!("`{}` make calls that nobody would end", group.name),
                "write how long their phones talk: talk = \"10s..2m\"",
            );
        }
    }
}

fn phones(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    for (group, line) in profile.agents.iter().zip(&places.agents) {
        let name = &group.name;
        let strays = profile
            .pbxs
            .iter()
            .map(|pbx| group.phones.outside_of(&pbx.phones))
            .collect::<Option<Vec<String>>>();
        // Of every PBX some number is missing: none has them all.
        if let Some(stray) = strays.and_then(|strays| strays.into_iter().next()) {
            fault(
                *line,
                format!("no [[pbx]] has all phones of the agents `{name}`: {stray} is missing"),
                "give a group of agents phones of one PBX",
            );
        }
    }
    let mut groups = profile.agents.iter().zip(&places.agents);
    while let Some((group, _)) = groups.next() {
        for (other, line) in groups.clone() {
            if let Some(shared) = group.phones.shared_with(&other.phones) {
                fault(
                    *line,
                    format!("`{}` and `{}` share {shared}", group.name, other.name),
                    "give each phone to one group of agents",
                );
            }
        }
    }
    let mut pbxs = profile.pbxs.iter().zip(&places.pbxs);
    while let Some((pbx, own_line)) = pbxs.next() {
        for (other, line) in pbxs.clone() {
            if let Some(shared) = pbx.phones.shared_with(&other.phones) {
                fault(
                    *line,
                    format!(
                        "`{}` and `{}` share the phone {shared}",
                        pbx.name, other.name
                    ),
                    "give each phone to one PBX",
                );
            }
        }
        if let Some(shared) = pbx.phones.shared_with(&pbx.outside) {
            fault(
                *own_line,
                format!(
                    "{shared} is a phone and an outside number of `{}`",
                    pbx.name
                ),
                "take it out of one of the two",
            );
        }
    }
}

fn names(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    let known = |line: u32, what: &str, name: &str, all: &BTreeSet<&str>| {
        if !all.contains(name) && !name.is_empty() {
            let names: Vec<&str> = all.iter().copied().collect();
            fault(
                line,
                format!("there is no {what} `{name}`"),
                &format!("write one of {}", names.join(", ")),
            );
        }
    };
    let queues: BTreeSet<&str> = profile.queues.iter().map(|queue| &*queue.name).collect();
    let pbxs: BTreeSet<&str> = profile.pbxs.iter().map(|pbx| &*pbx.name).collect();
    let groups: BTreeSet<&str> = profile.agents.iter().map(|group| &*group.name).collect();
    for (count, kind) in [
        (profile.queues.len() - queues.len(), "queues"),
        (profile.pbxs.len() - pbxs.len(), "PBXs"),
        (profile.agents.len() - groups.len(), "groups of agents"),
    ] {
        if count > 0 {
            fault(
                1,
                format!("two {kind} have one name"),
                "give each a name of its own",
            );
        }
    }
    if let Some(shared) = queues.intersection(&pbxs).next() {
        fault(
            1,
            format!("a queue and a PBX are called `{shared}`"),
            "give each a name of its own: clients know both by their names",
        );
    }
    for (group, line) in profile.agents.iter().zip(&places.agents) {
        for queue in &group.queues {
            known(*line, "[[queue]]", queue, &queues);
        }
    }
    for (callers, line) in profile.callers.iter().zip(&places.callers) {
        known(*line, "[[pbx]]", &callers.pbx, &pbxs);
    }
    for (fault, line) in profile.faults.iter().zip(&places.faults) {
        known(*line, "[[pbx]]", &fault.pbx, &pbxs);
    }
    for (router, line) in profile.routers.iter().zip(&places.routers) {
        for group in &router.groups {
            known(*line, "[[agents]]", group, &groups);
        }
    }
}

fn numbers(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    let leads = |number: &str| profile.queue_of(number).is_some();
    let is_agent = |number: &str| {
        profile
            .agents
            .iter()
            .any(|group| group.phones.contains(number))
    };
    for (callers, line) in profile.callers.iter().zip(&places.callers) {
        if callers.numbers.is_empty() {
            fault(
                *line,
                format!("the callers `{}` dial nothing", callers.name),
                "write numbers = [\"7000\"]",
            );
        }
        for number in &callers.numbers {
            if !leads(number) && !is_agent(number) {
                fault(
                    *line,
                    format!(
                        "the callers `{}` dial {number}, which leads nowhere",
                        callers.name
                    ),
                    "write a number of a [[queue]], or of an agent",
                );
            }
        }
    }
    for (router, line) in profile.routers.iter().zip(&places.routers) {
        for number in router.numbers.iter().filter(|number| !leads(number)) {
            fault(
                *line,
                format!("a [[router]] routes {number}, which leads to no queue"),
                "write a number of a [[queue]]",
            );
        }
    }
    let mut seen = BTreeSet::new();
    let queues = profile.queues.iter().zip(&places.queues);
    let numbers = queues.flat_map(|(queue, line)| queue.numbers.iter().map(move |it| (it, line)));
    for (number, line) in numbers {
        if !seen.insert(number) || is_agent(number) {
            fault(
                *line,
                format!("{number} leads to two places"),
                "give each number to one queue, and none of an agent's",
            );
        }
    }
}

fn unserved(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    for (queue, line) in profile.queues.iter().zip(&places.queues) {
        let serves = |group: &super::AgentPlan| group.queues.contains(&queue.name);
        let routed = profile.routers.iter().any(|router| {
            let numbers = &router.numbers;
            !router.groups.is_empty() && numbers.iter().any(|it| queue.numbers.contains(it))
        });
        if !routed && !profile.agents.iter().any(serves) {
            fault(
                *line,
                format!("nobody serves the queue `{}`", queue.name),
                "name it in the queues of some [[agents]], or route its number in a [[router]]",
            );
        }
    }
}

fn faults(profile: &Profile, places: &Places, fault: &impl Fn(u32, String, &str)) {
    for (plan, line) in profile.faults.iter().zip(&places.faults) {
        let Some(pbx) = profile.pbxs.iter().find(|pbx| pbx.name == plan.pbx) else {
            continue;
        };
        if plan.node.is_some_and(|node| node >= usize::from(pbx.nodes)) {
            fault(
                *line,
                format!("a [[fault]] is at a node that `{}` does not have", plan.pbx),
                &format!("write a node from 0 to {}", pbx.nodes - 1),
            );
        }
        if plan.at >= profile.duration {
            fault(
                *line,
                format!(
                    "a [[fault]] of `{}` comes after the last call",
                    plan.kind.word()
                ),
                "let it come before the end of [run] duration",
            );
        }
        if let FaultKind::Weather(weather) = plan.kind
            && weather.loss + weather.duplicates + weather.late.0 <= 0.0
        {
            fault(
                *line,
                "a [[fault]] of `weather` changes nothing".to_owned(),
                "write loss, duplicates or late",
            );
        }
    }
}
