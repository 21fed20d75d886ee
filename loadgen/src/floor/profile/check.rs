//! What sections must be to each other.

use std::collections::BTreeSet;

use super::reader::Source;
use super::{FaultKind, Profile};

/// Adds a mistake for whatever does not fit. Sections are named by their place among their kind,
/// because a profile that was read no longer knows its lines.
pub(super) fn check(source: &Source<'_>, profile: &Profile) {
    let fault = |what: String, instead: &str| source.mistake(1, what, instead);
    if profile.pbxs.is_empty() {
        fault(
            "there is no [[pbx]]".to_owned(),
            "write one with its phones",
        );
    }
    if profile.agents.is_empty() {
        fault(
            "there is no [[agents]]".to_owned(),
            "write one with its phones and queues",
        );
    }
    if profile.queues.is_empty() {
        fault(
            "there is no [[queue]]".to_owned(),
            "write one with the numbers that lead to it",
        );
    }
    phones(profile, &fault);
    names(profile, &fault);
    numbers(profile, &fault);
    faults(profile, &fault);
}

fn phones(profile: &Profile, fault: &impl Fn(String, &str)) {
    for group in &profile.agents {
        let name = &group.name;
        let strays = profile
            .pbxs
            .iter()
            .map(|pbx| group.phones.outside_of(&pbx.phones))
            .collect::<Option<Vec<String>>>();
        // Of every PBX some number is missing: none has them all.
        if let Some(stray) = strays.and_then(|strays| strays.into_iter().next()) {
            fault(
                format!("no [[pbx]] has all phones of the agents `{name}`: {stray} is missing"),
                "give a group of agents phones of one PBX",
            );
        }
    }
    let mut groups = profile.agents.iter();
    while let Some(group) = groups.next() {
        for other in groups.clone() {
            if let Some(shared) = group.phones.shared_with(&other.phones) {
                fault(
                    format!("`{}` and `{}` share {shared}", group.name, other.name),
                    "give each phone to one group of agents",
                );
            }
        }
    }
    let mut pbxs = profile.pbxs.iter();
    while let Some(pbx) = pbxs.next() {
        for other in pbxs.clone() {
            if let Some(shared) = pbx.phones.shared_with(&other.phones) {
                fault(
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
                format!(
                    "{shared} is a phone and an outside number of `{}`",
                    pbx.name
                ),
                "take it out of one of the two",
            );
        }
    }
}

fn names(profile: &Profile, fault: &impl Fn(String, &str)) {
    let known = |what: &str, name: &str, all: &BTreeSet<&str>| {
        if !all.contains(name) && !name.is_empty() {
            let names: Vec<&str> = all.iter().copied().collect();
            fault(
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
                format!("two {kind} have one name"),
                "give each a name of its own",
            );
        }
    }
    for group in &profile.agents {
        for queue in &group.queues {
            known("[[queue]]", queue, &queues);
        }
    }
    for callers in &profile.callers {
        known("[[pbx]]", &callers.pbx, &pbxs);
    }
    for fault in &profile.faults {
        known("[[pbx]]", &fault.pbx, &pbxs);
    }
    for router in &profile.routers {
        for group in &router.groups {
            known("[[agents]]", group, &groups);
        }
    }
}

fn numbers(profile: &Profile, fault: &impl Fn(String, &str)) {
    let leads = |number: &str| profile.queue_of(number).is_some();
    let is_agent = |number: &str| {
        profile
            .agents
            .iter()
            .any(|group| group.phones.contains(number))
    };
    for callers in &profile.callers {
        if callers.numbers.is_empty() {
            fault(
                format!("the callers `{}` dial nothing", callers.name),
                "write numbers = [\"7000\"]",
            );
        }
        for number in &callers.numbers {
            if !leads(number) && !is_agent(number) {
                fault(
                    format!(
                        "the callers `{}` dial {number}, which leads nowhere",
                        callers.name
                    ),
                    "write a number of a [[queue]], or of an agent",
                );
            }
        }
    }
    for router in &profile.routers {
        for number in router.numbers.iter().filter(|number| !leads(number)) {
            fault(
                format!("a [[router]] routes {number}, which leads to no queue"),
                "write a number of a [[queue]]",
            );
        }
    }
    let mut seen = BTreeSet::new();
    for number in profile.queues.iter().flat_map(|queue| &queue.numbers) {
        if !seen.insert(number) || is_agent(number) {
            fault(
                format!("{number} leads to two places"),
                "give each number to one queue, and none of an agent's",
            );
        }
    }
}

fn faults(profile: &Profile, fault: &impl Fn(String, &str)) {
    for plan in &profile.faults {
        let Some(pbx) = profile.pbxs.iter().find(|pbx| pbx.name == plan.pbx) else {
            continue;
        };
        if plan.node.is_some_and(|node| node >= usize::from(pbx.nodes)) {
            fault(
                format!("a [[fault]] is at a node that `{}` does not have", plan.pbx),
                &format!("write a node from 0 to {}", pbx.nodes - 1),
            );
        }
        if plan.at >= profile.duration {
            fault(
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
                "a [[fault]] of `weather` changes nothing".to_owned(),
                "write loss, duplicates or late",
            );
        }
    }
}
