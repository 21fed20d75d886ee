//! How SIPp writes its options: with one hyphen, and some that tune what does not exist here.

use std::ffi::OsString;

use clap::CommandFactory;

/// Subcommands whose options may have one hyphen, as SIPp's have.
const PLAYING: &[&str] = &["run", "uac", "uas", "find-max"];

/// Options of SIPp that have no effect here, and whether a value follows them: what they tune
/// does not exist, or needs no tuning.
const WITHOUT_EFFECT: &[(&str, bool)] = &[
    ("max_recv_loops", true),
    ("max_sched_loops", true),
    ("rtcheck", true),
    ("skip_rlimit", false),
    ("timer_resol", true),
    ("rtt_freq", true),
    ("send_timeout", true),
    ("watchdog_interval", true),
    ("watchdog_major_maxtriggers", true),
    ("watchdog_major_threshold", true),
    ("watchdog_minor_maxtriggers", true),
    ("watchdog_minor_threshold", true),
    ("watchdog_reset", true),
];

/// Takes out the options of SIPp that have no effect here, and returns them.
#[must_use]
pub fn without_effect(arguments: Vec<OsString>) -> (Vec<OsString>, Vec<String>) {
    let command = arguments
        .get(1)
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    if !PLAYING.contains(&command) {
        return (arguments, Vec::new());
    }
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    let mut words = arguments.into_iter();
    while let Some(word) = words.next() {
        let name = word.to_str().and_then(|text| text.strip_prefix('-'));
        let found = WITHOUT_EFFECT
            .iter()
            .find(|(known, _)| Some(*known) == name);
        let Some((known, has_value)) = found else {
            kept.push(word);
            continue;
        };
        dropped.push(format!("-{known}"));
        if *has_value {
            words.next();
        }
    }
    (kept, dropped)
}

/// Gives options with one hyphen the second one, where the command is one that plays scenarios.
#[must_use]
pub fn with_two_hyphens<C: CommandFactory>(arguments: Vec<OsString>) -> Vec<OsString> {
    let command = arguments
        .get(1)
        .and_then(|word| word.to_str())
        .unwrap_or_default();
    if !PLAYING.contains(&command) {
        return arguments;
    }
    let definition = C::command();
    let Some(playing) = definition.find_subcommand(command) else {
        return arguments;
    };
    let is_known = |name: &str| {
        playing.get_arguments().any(|argument| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_long() == Some(name) || aliases.contains(&name)
        })
    };
    let lengthen = |word: OsString| match word.to_str() {
        Some(text) if text.starts_with('-') && !text.starts_with("--") => {
            let name = text[1..].split('=').next().unwrap_or_default();
            if is_known(name) {
                format!("-{text}").into()
            } else {
                word
            }
        }
        Some(_) | None => word,
    };
    arguments.into_iter().map(lengthen).collect()
}
