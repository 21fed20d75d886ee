//! What clients tell each other: EventUserEvent, an event of the stream that no shard had a part
//! in. It is numbered and kept like the others, and changes no state.

use std::time::Instant;

use crate::cti::ClientId;
use crate::server::decode::UserEvent;
use crate::server::encode;
use crate::server::history::Entry;
use crate::server::link::Shards;

use super::Hub;
use super::requests::{Blame, about, acting, forbidden};

impl<S: Shards> Hub<S> {
    /// Gives one client's words to everyone who listens to the address.
    pub(super) fn distribute(
        &mut self,
        now: Instant,
        id: ClientId,
        reference_id: Option<u32>,
        event: &UserEvent,
    ) -> Result<(), Blame> {
        let this_dn = &*event.this_dn;
        let (address_id, address) = self.address_of(this_dn)?;
        let client = self.known_client(id)?;
        if !client.identity.may_see(address) {
            return Err(forbidden("this token does not allow this address"));
        }
        acting(client, address_id, this_dn)?;
        let sequence = self.history.next();
        let mut attributes = about(this_dn);
        if let Some(conn_id) = event.conn_id {
            attributes.insert("ConnID".to_owned(), conn_id.to_string().into());
        }
        for (name, list) in [
            ("UserData", &event.user_data),
            ("Reasons", &event.reasons),
            ("Extensions", &event.extensions),
        ] {
            if let Some(list) = encode::pairs(list) {
                attributes.insert(name.to_owned(), list);
            }
        }
        attributes.insert("EventSequenceNumber".to_owned(), sequence.into());
        let time = self.dates.date(now);
        let entry = Entry {
            sequence,
            address: Some(address_id),
            routers_only: false,
            frame: encode::message("EventUserEvent", None, attributes.clone(), time),
        };
        let answer = encode::message("EventUserEvent", reference_id, attributes, time);
        self.fan_out(&entry, Some((id, answer)));
        self.history.push(entry);
        Ok(())
    }
}
