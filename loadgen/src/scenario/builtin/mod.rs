//! The scenarios that come with the program.

/// A scenario that is built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// What `-sn` calls it.
    pub name: &'static str,
    /// What it does, in a few words.
    pub purpose: &'static str,
    /// The file's text.
    pub text: &'static str,
}

macro_rules! built_in {
    ($($name:literal, $purpose:literal;)+) => {
        /// All of them.
        pub const ALL: &[BuiltIn] = &[
            $(BuiltIn {
                name: $name,
                purpose: $purpose,
                text: include_str!(concat!($name, ".xml")),
            },)+
        ];
    };
}

built_in! {
    "uac", "calls, talks for -d and hangs up";
    "uas", "answers calls and waits for their end";
    "uac-register-auth", "registers and answers the challenge";
    "uac-invite-auth", "calls and answers the challenge of a proxy";
    "reinvite-hold-resume", "calls, holds, resumes and hangs up";
    "cancel-race", "calls and gives up after -d, within 20 ms";
    "prack", "calls and acknowledges provisional responses";
    "refer-blind", "calls and transfers the peer to [target], a -key word";
    "subscribe-presence", "subscribes to presence, hears it, ends the subscription";
    "options-ping", "asks with OPTIONS";
    "redirect-3xx", "answers calls with 302 to [target], a -key word";
    "late-offer", "calls without an offer and answers in the ACK";
    "session-timer", "calls and refreshes the session once, after -d";
    "early-media", "answers calls with 183 and a body, and later with 200";
    "lost-ack", "calls and never acknowledges: the peer must resend, then give up";
    "refer-attended", "calls, calls [target] as well, connects both with each other";
    "trunk-failover", "refuses calls with 503: the caller has to take another trunk";
    "fork-2x200", "answers each call twice, as two phones would";
    "glare-491", "answers calls and refuses the first re-INVITE with 491";
    "siprec-srs", "answers a recorder's calls: two streams and metadata";
    "acd-burst", "calls into a queue, waits for an agent, talks for -d and hangs up";
    "agent-day", "a team's phones: answers calls soon, late or not at all";
    "login-storm", "registers [service] and its own number, and answers a challenge";
    "notify-storm", "takes a subscription to presence and notifies fifty times in a row";
    "torture", "sends odd and broken requests, then asks whether the peer still lives";
    "protos", "sends INVITEs with wrong values, then asks whether the peer lives";
    "slowloris", "lets messages trickle over TCP, then asks whether the peer still has room";
    "pbx-presence", "takes a subscription to presence and tells of a phone that is used";
}

/// The scenario of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    ALL.iter().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::load::load;

    #[test]
    fn the_page_lists_all() {
        let page = include_str!("../../../../docs/loadgen.md");
        for scenario in ALL {
            let name = format!("`{}`", scenario.name);
            assert!(page.contains(&name), "docs/loadgen.md does not list {name}");
        }
    }

    #[test]
    fn all_are_loaded_without_a_word() {
        let keys = BTreeMap::from([("target".to_owned(), "sip:b@127.0.0.1".to_owned())]);
        for scenario in ALL {
            let loaded = load(scenario.text.as_bytes(), &keys);
            let notes: Vec<String> = loaded
                .notes
                .sorted()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(notes, Vec::<String>::new(), "{}", scenario.name);
            assert!(loaded.scenario.is_some(), "{}", scenario.name);
        }
    }
}
