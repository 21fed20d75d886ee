//! By whom a call was diverted before it came to us: Diversion (RFC 5806), or History-Info
//! (RFC 7044) where only that is there.

use crate::limits::DIVERSIONS_MAX;
use crate::sip::{HeaderName, Message, NameAddr, unescaped};

use super::identity::{is_anonymous, number};
use super::{Diversion, Party};

/// The diversions of a call, the last one first.
pub(super) fn diversions(message: &Message<'_>) -> Vec<Diversion> {
    let told: Vec<Diversion> = message
        .diversions()
        .filter_map(Result::ok)
        .take(DIVERSIONS_MAX)
        .map(|diversion| Diversion {
            by: party(&diversion.address),
            reason: diversion.reason().unwrap_or_default().to_owned(),
            counter: diversion.counter().unwrap_or(1).max(1),
        })
        .collect();
    if told.is_empty() {
        return from_history(message);
    }
    told
}

/// RFC 7544 §5: each entry but the last was a target that the call was taken from; why, its own
/// Reason says.
fn from_history(message: &Message<'_>) -> Vec<Diversion> {
    let mut entries: Vec<Diversion> = message
        .addresses(HeaderName::HistoryInfo)
        .filter_map(Result::ok)
        .take(DIVERSIONS_MAX + 1)
        .map(|entry| Diversion {
            by: party(&entry),
            reason: reason(&entry).to_owned(),
            counter: 1,
        })
        .collect();
    // Where the call is now: nobody has taken it from there.
    entries.pop();
    entries.retain(|entry| !entry.reason.is_empty());
    entries.reverse();
    entries
}

/// RFC 7544 §7.1.
fn reason(entry: &NameAddr<'_>) -> &'static str {
    let Some(header) = entry.uri.header("Reason") else {
        return "";
    };
    let header = unescaped(header);
    let cause = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("cause="));
    match cause.map(str::trim) {
        Some("302") => "unconditional",
        Some("486") => "user-busy",
        Some("408") => "no-answer",
        Some("480" | "487") => "deflection",
        Some("503") => "unavailable",
        Some(_) | None => "unknown",
    }
}

fn party(address: &NameAddr<'_>) -> Party {
    let hidden = address
        .param("privacy")
        .is_some_and(|privacy| !privacy.eq_ignore_ascii_case("off"))
        || address.uri.header("Privacy").is_some();
    Party {
        number: number(address.uri.user.unwrap_or_default()).into(),
        display_name: address.display_text().collect(),
        private: hidden || is_anonymous(address),
    }
}
