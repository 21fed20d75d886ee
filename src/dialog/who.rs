//! Who is across, as headers tell it: P-Asserted-Identity (RFC 3325), Remote-Party-ID, Privacy
//! (RFC 3323), Diversion (RFC 5806) and History-Info (RFC 7044).

use crate::journal::field::choices;
use crate::sip::HeaderName;

use super::compose::{Fields, name_addr};
use super::{Diversion, IdentityHeaders, Party};

/// Whose part we play towards the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The caller's: the INVITE was ours.
    Calling,
    /// The callee's.
    Called,
}

choices!(Role { Calling = 1, Called = 2 });

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Calling => "calling",
            Self::Called => "called",
        }
    }
}

/// Adds the lines that say who a party is. A number that is to be hidden goes only to those whom
/// the network trusts, marked as what it is.
pub(super) fn write(
    mut fields: Fields,
    party: &Party,
    host: &str,
    headers: IdentityHeaders,
    role: Role,
) -> Fields {
    let (asserted, remote_party) = match headers {
        IdentityHeaders::Asserted => (true, false),
        IdentityHeaders::RemoteParty => (false, true),
        IdentityHeaders::Both => (true, true),
        IdentityHeaders::Neither => (false, false),
    };
    if !party.number.is_empty() && (asserted || remote_party) {
        let address = name_addr(&party.display_name, &party.number, host);
        if asserted {
            fields = fields.with_text(HeaderName::PAssertedIdentity, &address);
        }
        if remote_party {
            let privacy = if party.private { "full" } else { "off" };
            let party = role.as_str();
            let value = format_args!("{address};party={party};screen=yes;privacy={privacy}");
            fields = fields.with(HeaderName::RemotePartyId, value);
        }
    }
    if party.private {
        // RFC 3325 §9.3: the number is for those only whom the network trusts.
        fields = fields.with_text(HeaderName::Privacy, "id");
    }
    fields
}

/// Adds a diversion above those that are carried (RFC 5806 §7: the last one is on top).
pub(super) fn write_diversion(fields: Fields, diversion: &Diversion, host: &str) -> Fields {
    let by = &diversion.by;
    let address = name_addr(&by.display_name, &by.number, host);
    let reason = match diversion.reason.as_str() {
        token if is_token(token) => token,
        _ => "unknown",
    };
    let privacy = if by.private { "full" } else { "off" };
    let counter = diversion.counter.max(1);
    fields.with(
        HeaderName::Diversion,
        format_args!("{address};reason={reason};counter={counter};privacy={privacy}"),
    )
}

/// The History-Info entries for a new target, and for those before it that have diverted the call
/// here: each one level below the last one (RFC 7044 §9.2), with why the call went there
/// (RFC 7544 §7). None where nobody on the way has begun a history.
pub(super) fn write_history<'a>(
    mut fields: Fields,
    carried: impl Iterator<Item = &'a str>,
    (request_uri, host): (&str, &str),
    diversions: &[Diversion],
) -> Fields {
    let last = carried
        .filter_map(|entries| {
            entries
                .rsplit(";index=")
                .next()
                .filter(|_| entries.contains(";index="))
        })
        .last();
    let Some(last) = last else {
        return fields;
    };
    let index = last.split([';', ',', ' ']).next().unwrap_or_default();
    let numbers = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if index.is_empty() || !index.bytes().all(numbers) {
        return fields;
    }
    let mut index = index.to_owned();
    // The first of them is where the call came to: that entry is carried.
    let mut cause = "";
    for (place, diversion) in diversions.iter().rev().enumerate() {
        if place > 0 {
            index.push_str(".1");
            let address = name_addr("", &diversion.by.number, host);
            let uri = address.trim_matches(['<', '>']);
            fields = history_entry(fields, uri, cause, &index);
        }
        cause = cause_of(&diversion.reason);
    }
    index.push_str(".1");
    history_entry(fields, request_uri, cause, &index)
}

fn history_entry(fields: Fields, uri: &str, cause: &str, index: &str) -> Fields {
    fields.with(
        HeaderName::HistoryInfo,
        format_args!("<{uri}{cause}>;index={index}"),
    )
}

/// The parameter of the URI to which a call was diverted (RFC 4458 §4, RFC 7544 §7).
fn cause_of(reason: &str) -> &'static str {
    match reason {
        "unconditional" => ";cause=302",
        "user-busy" => ";cause=486",
        "no-answer" => ";cause=408",
        "deflection" => ";cause=480",
        "unavailable" => ";cause=503",
        _ => ";cause=404",
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
