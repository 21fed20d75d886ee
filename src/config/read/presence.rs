//! Reads `[presence]`.

use std::time::Duration;

use super::names::Names;
use super::trunk::MODES;
use crate::config::presence::{
    ClosedBusy, InitialActivity, LoginWhileUnregistered, Lost, OwnCalls, Presence,
};
use crate::config::reader::Section;
use crate::config::trunk::{Selection, TrunkSet};
use crate::config::value;
use crate::limits::{IDLE_ACTIVITIES_MAX, TRUNKS_MAX};

pub(super) fn read(mut section: Section<'_>, names: &Names<'_>) -> Presence {
    let secs = Duration::from_secs;
    let (day, hour) = (Duration::from_hours(24), Duration::from_hours(1));
    let (own_calls, own_call_tail) = read_own_calls(&mut section);
    let (idle_activities, alerting_is_activity) = read_activities(&mut section);
    let presence = Presence {
        enabled: section.flag("enabled", true),
        trunks: read_trunks(&mut section, names),
        expires: section.duration("expires", secs(60)..=day, hour),
        from: section
            .optional("from", value::name)
            .unwrap_or("offhook")
            .into(),
        domain: section.optional("domain", value::host),
        idle_activities,
        alerting_is_activity,
        initial_activity: section.choice(
            "initial_activity",
            &[
                ("notready", InitialActivity::NotReady),
                ("literal", InitialActivity::Literal),
            ],
            InitialActivity::NotReady,
        ),
        closed_busy: section.choice(
            "closed_busy",
            &[
                ("logout", ClosedBusy::Logout),
                ("notready", ClosedBusy::NotReady),
            ],
            ClosedBusy::Logout,
        ),
        own_calls,
        own_call_tail,
        terminated_grace: section.duration(
            "terminated_grace",
            Duration::ZERO..=hour,
            Duration::ZERO,
        ),
        lost: section.choice(
            "lost",
            &[
                ("keep", Lost::Keep),
                ("notready", Lost::NotReady),
                ("logout", Lost::Logout),
            ],
            Lost::Keep,
        ),
        relogin_restores_desktop_state: section.flag("relogin_restores_desktop_state", true),
        login_while_unregistered: section.choice(
            "login_while_unregistered",
            &[
                ("refuse", LoginWhileUnregistered::Refuse),
                ("notready", LoginWhileUnregistered::NotReady),
            ],
            LoginWhileUnregistered::Refuse,
        ),
        notready_refresh: section
            .optional("notready_refresh", |scalar| {
                value::duration_or_none(scalar, &(secs(10)..=day))
            })
            .unwrap_or(Some(secs(900))),
    };
    section.finish();
    presence
}

fn read_trunks(section: &mut Section<'_>, names: &Names<'_>) -> Option<TrunkSet> {
    let trunks = section.list("trunks", TRUNKS_MAX, value::name);
    let trunks = trunks.map(|trunks| names.trunks((section.source.file, "trunks"), trunks));
    if section.count("trunks") == Some(0) {
        section.mistake("trunks", "is empty", "name a trunk, or remove the key");
    }
    let mode = section.choice("trunk_mode", &MODES, Selection::PrimaryBackup);
    if trunks.is_none() && section.has("trunk_mode") {
        let what = "has no effect without `trunks`";
        section.mistake("trunk_mode", what, "remove it, or set trunks");
    }
    trunks.map(|trunks| TrunkSet { trunks, mode })
}

fn read_own_calls(section: &mut Section<'_>) -> (OwnCalls, Duration) {
    let words = [
        ("suppress", OwnCalls::Suppress),
        ("literal", OwnCalls::Literal),
    ];
    let own_calls = section.choice("own_calls", &words, OwnCalls::Suppress);
    let bounds = Duration::ZERO..=Duration::from_mins(1);
    let tail = section.duration("own_call_tail", bounds, Duration::from_secs(1));
    if own_calls == OwnCalls::Literal && section.has("own_call_tail") {
        let what = "has no effect when own_calls is \"literal\"";
        section.mistake("own_call_tail", what, "remove one of the two");
    }
    (own_calls, tail)
}

fn read_activities(section: &mut Section<'_>) -> (Vec<Box<str>>, bool) {
    let listed = section.list("idle_activities", IDLE_ACTIVITIES_MAX, value::name);
    let mut idle: Vec<Box<str>> = match listed {
        Some(listed) => listed
            .iter()
            .map(|word| word.value.to_ascii_lowercase().into())
            .collect(),
        None => vec!["available".into(), "unknown".into()],
    };
    idle.sort_unstable();
    idle.dedup();
    let alerting = section.flag("alerting_is_activity", true);
    let idle_alerting = idle.iter().any(|word| **word == *"alerting");
    if alerting && idle_alerting {
        let what = "holds \"alerting\" while alerting_is_activity is true";
        section.mistake(
            "idle_activities",
            what,
            "set alerting_is_activity = false instead",
        );
    }
    (idle, alerting)
}
