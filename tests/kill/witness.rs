//! Reads every datagram on its way and remembers which calls stood when the server was killed, and
//! what their BYEs met afterwards. It believes nobody but the wire.

use std::collections::{BTreeMap, BTreeSet};

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// How often the server was killed so far.
    kills: u64,
    /// The legs that stand, by their Call-IDs, and how often the server had been killed then.
    up: BTreeMap<String, u64>,
    /// The legs that the server has hung up itself.
    left: BTreeSet<String>,
    /// When each BYE was first sent, likewise.
    byes: BTreeMap<String, u64>,
    /// The subscriptions that the server has begun.
    pub(crate) subscribed: BTreeSet<String>,
    /// Legs that stood at some time.
    pub(crate) established: u64,
    /// BYEs that were answered 200 in legs that an earlier process had.
    pub(crate) survived: u64,
    /// Those that were answered 481 although the leg stood and nobody had ended it.
    pub(crate) unknown: Vec<String>,
}

impl Witness {
    /// The server is dead.
    pub(crate) fn killed(&mut self) {
        self.kills += 1;
    }

    /// A phone or a caller says something.
    pub(crate) fn server_hears(&mut self, text: &str) {
        let call_id = header(text, "Call-ID: ");
        if text.starts_with("ACK ") {
            self.is_up(call_id);
        }
        if text.starts_with("BYE ") {
            self.byes.entry(call_id.to_owned()).or_insert(self.kills);
        }
    }

    /// The server says something.
    pub(crate) fn server_says(&mut self, text: &str) {
        let call_id = header(text, "Call-ID: ");
        if text.starts_with("ACK ") {
            self.is_up(call_id);
        }
        if text.starts_with("BYE ") {
            self.left.insert(call_id.to_owned());
        }
        if text.starts_with("SUBSCRIBE ") && !header(text, "To: ").contains("tag=") {
            self.subscribed.insert(call_id.to_owned());
        }
        if !header(text, "CSeq: ").ends_with("BYE") {
            return;
        }
        let Some(since) = self.up.get(call_id).copied() else {
            return;
        };
        // A BYE that was on its way when the server died may have been its last deed to handle.
        let is_fresh = self.byes.get(call_id) == Some(&self.kills);
        if text.starts_with("SIP/2.0 200") && since < self.kills && is_fresh {
            self.survived += 1;
        }
        if text.starts_with("SIP/2.0 481") && is_fresh && !self.left.contains(call_id) {
            self.unknown
                .push(format!("{call_id}, up since kill {since}"));
        }
        if text.starts_with("SIP/2.0 ") {
            self.up.remove(call_id);
        }
    }

    fn is_up(&mut self, call_id: &str) {
        if !self.up.contains_key(call_id) && !self.byes.contains_key(call_id) {
            self.up.insert(call_id.to_owned(), self.kills);
            self.established += 1;
        }
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default()
}
