//! A caller arrives: from a trunk of ours, to a number of ours, and only while there is room.

use std::time::Instant;

use crate::call::{Arrival, Destination};
use crate::counters::Counter;
use crate::cti::{CallInfo, CallType, CallUuid, ConnId, KeyValueList};
use crate::dialog::{Invitation, LegKey, Refusal};
use crate::limits::RETRY_AFTER_SECONDS;
use crate::sip::Status;
use crate::trunk::leg_policy;

use super::Engine;
use super::links::Caller;

/// Why a caller is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    UnknownSource,
    NotYetKnown,
    UnknownNumber,
    Overload,
    /// The user agent has answered already, and the caller will ask again.
    ShortSession,
}

impl Engine {
    pub(super) fn invited(&mut self, now: Instant, leg: LegKey, invitation: Invitation) {
        match self.take_in(now, leg, invitation) {
            Ok(()) => {}
            Err(refused) => self.turn_away(now, leg, refused),
        }
    }

    fn take_in(
        &mut self,
        now: Instant,
        leg: LegKey,
        invitation: Invitation,
    ) -> Result<(), Refused> {
        let Some(trunk) = self.trunks.by_source(invitation.source.ip()) else {
            // Whose address it is may be known as soon as DNS has said so for the first time.
            return Err(if self.trunks.is_awaiting() {
                Refused::NotYetKnown
            } else {
                Refused::UnknownSource
            });
        };
        let policy = leg_policy(self.config.trunk_at(trunk));
        if !self.user_agent.set_policy(now, leg, policy) {
            return Err(Refused::ShortSession);
        }
        let destination = self
            .destination(&invitation.called)
            .ok_or(Refused::UnknownNumber)?;
        if self.is_overloaded() {
            return Err(Refused::Overload);
        }
        let info = self.describe(&invitation);
        let conn_id = info.conn_id;
        let arrival = Arrival {
            destination,
            info,
            offer: invitation.offer,
            patience: invitation.expires,
        };
        let key = self.calls.arrive(now, arrival).ok_or(Refused::Overload)?;
        let caller = Caller {
            conn_id,
            leg,
            calling: invitation.calling,
            max_forwards: invitation.max_forwards,
            carried: invitation.carried,
            agent: None,
        };
        self.links.add_call(key, caller);
        Ok(())
    }

    fn destination(&self, called: &str) -> Option<Destination> {
        if let Some(routing_point) = self.config.routing_point(called) {
            let queue = self.config.routing_point_at(routing_point).queue;
            return Some(Destination::Queue {
                queue,
                routing_point,
            });
        }
        self.config.dn(called).map(|dn| Destination::Direct { dn })
    }

    /// What will be reported of the call.
    fn describe(&mut self, invitation: &Invitation) -> CallInfo {
        self.serial += 1;
        let conn_id = ConnId::new(self.shard, self.serial);
        // Each shard counts in steps of the number of shards, so that the numbers differ.
        let shards = u64::from(self.owners.shards());
        let call_id = (self.serial * shards + u64::from(self.shard.0)) & 0x7fff_ffff;
        let calling = &invitation.calling;
        let shown = !calling.private && !calling.number.is_empty();
        CallInfo {
            conn_id,
            call_id: u32::try_from(call_id).expect("31 bits fit in 32").max(1),
            call_uuid: CallUuid((u128::from(conn_id.0) << 64) | u128::from(self.serial)),
            call_type: CallType::Inbound,
            ani: shown.then(|| calling.number.clone()),
            dnis: Some(invitation.called.clone()),
            user_data: KeyValueList::new(),
        }
    }

    fn turn_away(&mut self, now: Instant, leg: LegKey, refused: Refused) {
        let (status, counter) = match refused {
            Refused::UnknownSource => (Status::FORBIDDEN, Counter::InviteUnknownSource),
            Refused::NotYetKnown => (Status::SERVICE_UNAVAILABLE, Counter::InviteSourceUnresolved),
            Refused::UnknownNumber => (Status::NOT_FOUND, Counter::InviteUnknownNumber),
            Refused::Overload => (Status::SERVICE_UNAVAILABLE, Counter::InviteOverload),
            Refused::ShortSession => return,
        };
        let later = matches!(refused, Refused::Overload | Refused::NotYetKnown);
        let retry_after = later.then_some(RETRY_AFTER_SECONDS);
        self.counters.count(counter);
        self.counters.count(Counter::CallOffered);
        self.counters.count(Counter::CallRefused);
        self.user_agent.refuse(
            now,
            leg,
            Refusal {
                status,
                retry_after,
            },
        );
    }
}
