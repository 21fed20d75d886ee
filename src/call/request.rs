//! What a desktop may ask of a call, state by state. Every request gets exactly one answer: the
//! event at the party's DN, which carries `requested_by`, or an error.

use std::sync::Arc;
use std::time::Instant;

use crate::agent::PartyState;
use crate::config::{Config, DnIndex};
use crate::cti::{CallRequest, ErrorCode, RequestedBy, UserDataChange};
use crate::queue;

use super::Commands;
use super::facts::{Facts, Origin, refuse_request};

/// The DN in whose name a request is made.
#[must_use]
pub fn requesting_dn(config: &Config, request: &CallRequest) -> String {
    match request {
        CallRequest::Party { this_dn, .. } => config.agent_at(*this_dn).dn.to_string(),
        CallRequest::UserData { this_dn, .. } => this_dn.clone(),
    }
}

/// A request while the call waits: nobody can release it, its data can change.
pub(super) fn while_waiting(
    now: Instant,
    facts: &mut Facts,
    requested_by: RequestedBy,
    request: CallRequest,
    commands: &mut Commands,
) {
    while_offering(now, facts, None, requested_by, request, commands);
}

/// A request while the phone of `party` rings, or while there is no party yet.
pub(super) fn while_offering(
    now: Instant,
    facts: &mut Facts,
    party: Option<DnIndex>,
    requested_by: RequestedBy,
    request: CallRequest,
    commands: &mut Commands,
) {
    let this_dn = requesting_dn(&facts.config, &request);
    match request {
        CallRequest::Party { this_dn: dn, .. } if party == Some(dn) => {
            unsupported(now, requested_by, &this_dn, commands);
        }
        CallRequest::Party { .. } => no_party(now, requested_by, &this_dn, commands),
        CallRequest::UserData { change, .. } => {
            if facts.queue().is_none() && party.is_none() {
                return on_its_way(now, requested_by, &this_dn, commands);
            }
            if !is_at_call(facts, party, &this_dn) {
                return no_party(now, requested_by, &this_dn, commands);
            }
            if !change_user_data(now, facts, requested_by, &this_dn, change, commands) {
                return;
            }
            let at_party = party.filter(|dn| *facts.config.agent_at(*dn).dn == *this_dn);
            if let Some(dn) = party {
                let origin = Origin {
                    requested_by: at_party.and(Some(requested_by)),
                    changed_by: Some(this_dn.clone()),
                    ..Origin::default()
                };
                facts.tell_agent(commands, dn, PartyState::UserDataChanged, origin);
            }
            let input = queue::Input::UserDataChanged {
                conn_id: facts.call.conn_id,
                info: Arc::clone(&facts.info),
                requested_by: if at_party.is_some() {
                    None
                } else {
                    Some(requested_by)
                },
                changed_by: this_dn,
            };
            facts.tell_queue(commands, input);
        }
    }
}

/// A request while the agent at `dn` talks; a release of that party is the caller's business.
pub(super) fn while_connected(
    now: Instant,
    facts: &mut Facts,
    dn: DnIndex,
    requested_by: RequestedBy,
    request: CallRequest,
    commands: &mut Commands,
) {
    let this_dn = requesting_dn(&facts.config, &request);
    match request {
        CallRequest::Party { this_dn: party, .. } if party == dn => {
            unsupported(now, requested_by, &this_dn, commands);
        }
        CallRequest::Party { .. } => no_party(now, requested_by, &this_dn, commands),
        CallRequest::UserData { change, .. } => {
            if !is_at_call(facts, Some(dn), &this_dn) {
                return no_party(now, requested_by, &this_dn, commands);
            }
            if change_user_data(now, facts, requested_by, &this_dn, change, commands) {
                let origin = Origin {
                    requested_by: Some(requested_by),
                    changed_by: Some(this_dn),
                    ..Origin::default()
                };
                facts.tell_agent(commands, dn, PartyState::UserDataChanged, origin);
            }
        }
    }
}

/// Whether the address has to do with the call: the routing point that it came through, or the
/// party that clients know of.
fn is_at_call(facts: &Facts, party: Option<DnIndex>, this_dn: &str) -> bool {
    let config = &facts.config;
    let is_agent = party.is_some_and(|dn| *config.agent_at(dn).dn == *this_dn);
    is_agent
        || facts
            .queue()
            .is_some_and(|(_, point)| *config.routing_point_at(point).number == *this_dn)
}

/// A request about a direct call before its phone rings: no client knows of it yet.
pub(super) fn on_its_way(
    now: Instant,
    requested_by: RequestedBy,
    this_dn: &str,
    commands: &mut Commands,
) {
    let message = "the call is on its way to the agent; try again when it rings";
    let code = ErrorCode::WrongState;
    refuse_request(now, commands, requested_by, this_dn, code, message);
}

fn unsupported(now: Instant, requested_by: RequestedBy, this_dn: &str, commands: &mut Commands) {
    let message = "this server does not offer this request";
    let code = ErrorCode::UnsupportedOperation;
    refuse_request(now, commands, requested_by, this_dn, code, message);
}

fn no_party(now: Instant, requested_by: RequestedBy, this_dn: &str, commands: &mut Commands) {
    let message = format!("{this_dn} is no party of this call");
    let code = ErrorCode::InvalidConnID;
    refuse_request(now, commands, requested_by, this_dn, code, &message);
}

/// Whether the data changed; if not, the requester has its error.
fn change_user_data(
    now: Instant,
    facts: &mut Facts,
    requested_by: RequestedBy,
    this_dn: &str,
    change: UserDataChange,
    commands: &mut Commands,
) -> bool {
    match facts.change_user_data(change) {
        Ok(()) => true,
        Err(code) => {
            let message = if code == ErrorCode::TooBusy {
                "the user data of the call would exceed its limit; delete pairs first"
            } else {
                "the user data has no pair with this key"
            };
            refuse_request(now, commands, requested_by, this_dn, code, message);
            false
        }
    }
}
