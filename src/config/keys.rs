//! Every section and key that a configuration may hold, and the guess at which of them was meant
//! when one is not among them. What a key means is in the file of its section.

/// One section and the keys it may hold.
pub(super) struct Keys {
    /// As it is written in a file, brackets included.
    pub(super) header: &'static str,
    /// Its keys; no more than fit into the bits that a section uses to mark them.
    pub(super) keys: &'static [&'static str],
}

pub(super) const DOCUMENT: Keys = Keys {
    header: "the file",
    keys: &[
        "server",
        "tls",
        "dns",
        "token",
        "trunk",
        "presence",
        "agent_defaults",
        "agent",
        "agents",
        "routing_point",
        "queue",
        "calendar",
    ],
};

pub(super) const SERVER: Keys = Keys {
    header: "[server]",
    keys: &[
        "sip",
        "advertise",
        "http",
        "http_tls",
        "shards",
        "cores",
        "pin",
        "driver",
        "log",
        "call_duration_max",
        "t1",
        "t2",
        "t4",
        "on_disconnect",
        "client_queue",
        "event_history",
        "music",
        "mixer",
        "strangers",
        "drain_timeout",
        "memory_max",
    ],
};

pub(super) const TLS: Keys = Keys {
    header: "[tls]",
    keys: &["certificate", "key", "ca", "client_certificates"],
};

pub(super) const DNS: Keys = Keys {
    header: "[dns]",
    keys: &["servers", "timeout", "attempts", "ttl_min", "ttl_max"],
};

pub(super) const TOKEN: Keys = Keys {
    header: "[[token]]",
    keys: &["token", "role", "dns"],
};

pub(super) const TRUNK: Keys = Keys {
    header: "[[trunk]]",
    keys: &[
        "name",
        "peers",
        "mode",
        "oos_check",
        "oos_force",
        "ping_timeout",
        "recovery_timeout",
        "domain",
        "tls_name",
        "ping_max_forwards",
        "prefixes",
        "subscribe_rate",
        "big_requests",
        "outbound",
        "dual_dialog",
        "hold",
        "make_call_flow",
        "answer",
        "dtmf",
        "session_expires",
        "min_se",
        "reliable_provisional",
        "early_media",
        "refer",
        "identity",
        "accept",
        "call_rate",
        "trusted",
        "realm",
        "user",
        "password",
        "challenge",
        "overload_control",
    ],
};

pub(super) const PRESENCE: Keys = Keys {
    header: "[presence]",
    keys: &[
        "enabled",
        "trunks",
        "trunk_mode",
        "expires",
        "from",
        "domain",
        "idle_activities",
        "alerting_is_activity",
        "initial_activity",
        "closed_busy",
        "own_calls",
        "own_call_tail",
        "terminated_grace",
        "lost",
        "relogin_restores_desktop_state",
        "login_while_unregistered",
        "notready_refresh",
    ],
};

/// What `[agent_defaults]`, `[[agent]]`, `[[agents]]` and the columns of a CSV file share.
macro_rules! with_agent_settings {
    ($($own:literal),*) => {
        &[
            $($own,)*
            "queues",
            "skills",
            "trunks",
            "trunk_mode",
            "presence",
            "presence_trunks",
            "wrap_up",
            "no_answer",
            "no_answer_action",
            "login",
            "after_login",
            "legal_guard",
            "auto_logout",
        ]
    };
}

pub(super) const AGENT_DEFAULTS: Keys = Keys {
    header: "[agent_defaults]",
    keys: with_agent_settings!(),
};

pub(super) const AGENT: Keys = Keys {
    header: "[[agent]]",
    keys: with_agent_settings!("dn", "agent_id"),
};

pub(super) const AGENTS: Keys = Keys {
    header: "[[agents]]",
    keys: with_agent_settings!("range", "csv"),
};

pub(super) const ROUTING_POINT: Keys = Keys {
    header: "[[routing_point]]",
    keys: &[
        "number",
        "queue",
        "priority",
        "skills",
        "relax",
        "also",
        "route",
        "router_timeout",
    ],
};

pub(super) const ROUTE: Keys = Keys {
    header: "[[routing_point.route]]",
    keys: &[
        "ani", "data", "queue", "priority", "skills", "relax", "also",
    ],
};

pub(super) const ALSO: Keys = Keys {
    header: "[[routing_point.also]]",
    keys: &["queue", "after", "priority", "skills", "relax"],
};

pub(super) const RELAX: Keys = Keys {
    header: "[[routing_point.relax]]",
    keys: &["after", "skills"],
};

pub(super) const QUEUE: Keys = Keys {
    header: "[[queue]]",
    keys: &[
        "name",
        "strategy",
        "priority_ageing",
        "wrap_up",
        "no_answer",
        "no_answer_action",
        "no_answer_max",
        "overflow_no_answer",
        "capacity",
        "overflow_full",
        "wait_max",
        "overflow_wait",
        "overflow_no_agents",
        "calendar",
        "overflow_closed",
        "queued_progress_interval",
    ],
};

pub(super) const CALENDAR: Keys = Keys {
    header: "[[calendar]]",
    keys: &["name", "time_zone", "open", "closed"],
};

/// All sections below the document itself.
pub(super) const SECTIONS: [&Keys; 13] = [
    &SERVER,
    &TOKEN,
    &TRUNK,
    &PRESENCE,
    &AGENT_DEFAULTS,
    &AGENT,
    &AGENTS,
    &ROUTING_POINT,
    &ROUTE,
    &ALSO,
    &RELAX,
    &QUEUE,
    &CALENDAR,
];

/// What to write in place of a key that `section` does not have.
pub(super) fn instead_of(section: &Keys, key: &str) -> String {
    if let Some(meant) = closest(key, section.keys.iter().copied()) {
        return format!("did you mean `{meant}`?");
    }
    let homes: Vec<&str> = SECTIONS
        .iter()
        .filter(|other| other.keys.contains(&key))
        .map(|other| other.header)
        .collect();
    if !homes.is_empty() {
        return format!("move it to {}", homes.join(" or "));
    }
    format!(
        "remove it, or write one of {}",
        listed(section.keys.iter().copied())
    )
}

/// The candidate that a slip of the hand turns into `word`, if there is one.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    // A third of the letters wrong is another word; long input is no slip of the hand.
    if word.len() > crate::limits::NAME_BYTES_MAX {
        return None;
    }
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Names in back quotes with commas between them.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Letters to insert, remove, replace or swap with their neighbour until `left` is `right`.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &other) in right.iter().enumerate() {
            let replaced = above[column] + usize::from(letter != other);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && letter == right[column - 1] && left[row - 1] == other;
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}
