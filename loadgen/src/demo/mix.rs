//! What the people of the demo are like: mostly well-behaved, with a little of everything that
//! happens on a floor.

use std::fmt::Write as _;

use crate::cli::Demo;
use crate::floor::profile::Profile;

/// The first agent's directory number.
const FIRST_DN: u32 = 200_000;
/// Whom agents transfer calls to, beside each other.
const OUTSIDE: &str = "900000-900019";
/// Agents who share a connection, so that a large demo needs no thousands of sockets.
const PER_CONNECTION: u32 = 10;

/// The profile of a demo.
///
/// # Panics
/// Never: its text is ours.
pub(super) fn profile(options: &Demo) -> Profile {
    let (first, last) = (FIRST_DN, FIRST_DN + options.agents - 1);
    let mut text = format!(
        "[run]\nname = \"demo\"\nseed = {}\nready_within = \"30s\"\n\n\
         [server]\nshards = {}\n\n\
         [[pbx]]\nname = \"pbx\"\nphones = \"{first}-{last}\"\noutside = \"{OUTSIDE}\"\n\n\
         [[queue]]\nname = \"demo\"\nnumbers = [\"7000\"]\n\n",
        options.seed,
        options.shards.unwrap_or(0),
    );
    write!(
        text,
        "[[agents]]\nname = \"demo\"\nphones = \"{first}-{last}\"\nqueues = [\"demo\"]\n\
         no_answer = \"3s\"\nringing = \"10ms..60ms\"\nanswer = \"200ms..1500ms\"\n\
         talk = \"2s..8s\"\nno_answers = 0.02\nbusy = 0.01\ndeclined = 0.02\nholds = 0.1\n\
         private_calls = \"60s\"\nprivate_call = \"2s..8s\"\nabsences = \"180s\"\n\
         absence = \"2s..6s\"\nlogin = \"1s..2s\"\ndesktops = 0.5\n\
         per_connection = {PER_CONNECTION}\n\
         desktop_releases = 0.2\ndesktop_talk = \"1s..6s\"\n\
         desktop_holds = 0.1\ndesktop_acts = \"500ms..2s\"\ndesktop_hold = \"500ms..3s\"\n\
         transfers = 0.05\nconsultations = 0.1\nconsultation = \"500ms..2s\"\n\n\
         [[callers]]\npbx = \"pbx\"\nnumbers = [\"7000\"]\narrivals = \"{}\"\n\
         early_offer = 0.5\npatience = \"15s..30s\"\nimpatient = 0.05\n\
         little_patience = \"20ms..2s\"\ntalk = \"2s..8s\"\nholds = 0.1\n",
        options.calls_per_second,
    )
    .expect("writing to a string cannot fail");
    let mut profile = match Profile::parse("demo", &text) {
        Ok(profile) => profile,
        Err(mistakes) => unreachable!("the demo's own profile is right: {mistakes:?}"),
    };
    profile.duration = options.duration;
    profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn every_demo_has_a_profile() {
        for words in [
            &["offhook-load", "demo"][..],
            &[
                "offhook-load",
                "demo",
                "--agents",
                "1",
                "--calls-per-second",
                "0.0001",
            ],
            &[
                "offhook-load",
                "demo",
                "--agents",
                "100000",
                "--duration",
                "24h",
            ],
        ] {
            let command = crate::cli::CommandLine::parse_from(words).command;
            let crate::cli::Command::Demo(options) = command else {
                panic!("not a demo: {command:?}");
            };
            let profile = profile(&options);
            assert_eq!(profile.agent_count(), options.agents as usize);
            assert_eq!(profile.duration, options.duration);
        }
    }
}
