//! What clients ask of calls. Whether a party may do what it asks in the state of its call is
//! decided where the call is; what can be seen from here without it is refused here: another's DN,
//! a call that has no party at the DN, two calls that are one.

use std::time::Instant;

use serde_json::Value as Json;

use crate::cti::{
    CallAction, CallRequest, ClientId, ConnId, ErrorCode, KeyValueList, RequestBody, UserDataChange,
};
use crate::server::address::AddressId;
use crate::server::link::Shards;
use crate::server::snapshot::Attributes;

use super::Hub;
use super::requests::{Blame, about, acting, forbidden};

impl<S: Shards> Hub<S> {
    /// A party does something to its call.
    pub(super) fn party(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: String,
        (conn_id, action, reasons): (ConnId, CallAction, KeyValueList),
    ) -> Result<(), Blame> {
        let (address_id, dn) = self.agent_of(&this_dn)?;
        let client = self.known_client(id)?;
        if !client.identity.may_act_for(dn) {
            return Err(forbidden(
                "this token does not allow acting on this agent's calls",
            ));
        }
        acting(client, address_id, &this_dn)?;
        self.check_shard(conn_id)?;
        self.check_calls(address_id, conn_id, &action)?;
        let request = CallRequest::Party {
            this_dn: dn,
            action,
            reasons,
        };
        self.forward(
            now,
            id,
            reference_id,
            this_dn,
            RequestBody::Call(conn_id, request),
        )
    }

    /// Attached data changes.
    pub(super) fn user_data(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: String,
        (conn_id, change): (ConnId, UserDataChange),
    ) -> Result<(), Blame> {
        let (address_id, address) = self.address_of(&this_dn)?;
        let client = self.known_client(id)?;
        if !client.identity.may_see(address) {
            return Err(forbidden("this token does not allow this address"));
        }
        if !client.identity.may_attach_at(address) {
            let words = format!("ThisDN {this_dn} is neither an agent nor a routing point");
            return Err((ErrorCode::InvalidAttribute, words));
        }
        acting(client, address_id, &this_dn)?;
        let request = CallRequest::UserData {
            this_dn: this_dn.clone(),
            change,
        };
        self.forward(
            now,
            id,
            reference_id,
            this_dn,
            RequestBody::Call(conn_id, request),
        )
    }

    /// EventPartyInfo: the call as the party at `this_dn` sees it, and its other parties that the
    /// client may see.
    pub(super) fn query_call(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        this_dn: &str,
        conn_id: ConnId,
    ) -> Result<(), Blame> {
        let (address_id, address) = self.address_of(this_dn)?;
        let client = self.known_client(id)?;
        if !client.identity.may_see(address) {
            return Err(forbidden("this token does not allow this address"));
        }
        acting(client, address_id, this_dn)?;
        let view = self.view();
        let Some(party) = self.state.party(address_id, conn_id) else {
            return Err(no_party(this_dn, conn_id));
        };
        let mut attributes = about(this_dn);
        attributes.extend(view.call(party));
        let seen = |other: &AddressId| client.identity.may_see(self.book.address(*other));
        let parties = self.state.addresses_of(conn_id).filter(seen);
        let parties = parties.filter_map(|other| view.named_party(other, conn_id));
        let mut extensions = Attributes::new();
        extensions.insert("Parties".to_owned(), Json::Array(parties.collect()));
        attributes.insert("Extensions".to_owned(), Json::Object(extensions));
        self.reply(now, id, "EventPartyInfo", reference_id, attributes);
        Ok(())
    }

    /// Whether the party has the calls that it speaks of. Releasing is left to the call: one that
    /// has just ended is released, whoever was first.
    fn check_calls(
        &self,
        address: AddressId,
        conn_id: ConnId,
        action: &CallAction,
    ) -> Result<(), Blame> {
        let (name, other) = match action {
            CallAction::Release | CallAction::Clear => return Ok(()),
            CallAction::Alternate { held } | CallAction::Reconnect { held } => {
                ("PreviousConnID", Some(*held))
            }
            CallAction::CompleteTransfer { consult }
            | CallAction::CompleteConference { consult } => ("TransferConnID", Some(*consult)),
            CallAction::Answer
            | CallAction::Hold
            | CallAction::Retrieve
            | CallAction::Consult { .. }
            | CallAction::MuteTransfer { .. }
            | CallAction::SingleStepTransfer { .. }
            | CallAction::SingleStepConference { .. }
            | CallAction::Redirect { .. }
            | CallAction::DeleteParty { .. }
            | CallAction::SendDtmf { .. } => ("", None),
        };
        if other == Some(conn_id) {
            let words = format!("ConnID and {name} name the same call");
            return Err((ErrorCode::InvalidConnID, words));
        }
        let this_dn = self.book.name(address);
        for call in [conn_id].into_iter().chain(other) {
            if self.state.party(address, call).is_none() {
                return Err(no_party(this_dn, call));
            }
        }
        Ok(())
    }
}

fn no_party(this_dn: &str, conn_id: ConnId) -> Blame {
    let words = format!("{this_dn} is no party of a call {conn_id}");
    (ErrorCode::InvalidConnID, words)
}
