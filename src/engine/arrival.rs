//! A caller arrives: from a trunk of ours, to a number of ours, and only while there is room.

use std::time::Instant;

use crate::agent::{self, Place};
use crate::call::{Arrival, Destination, LegSlot, Way};
use crate::counters::Counter;
use crate::cti::{ErrorCode, Event};
use crate::dialog::{Admission, Carried, Invitation, LegKey, Refusal};
use crate::limits::{MAX_FORWARDS, RETRY_AFTER_SECONDS};
use crate::sip::Status;
use crate::trunk::leg_policy;

use super::Engine;

/// Why a caller is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    UnknownNumber,
    /// It would take a party's place, which its trunk may not.
    Replaces,
    Overload,
    /// The user agent has answered already, and the caller will ask again.
    ShortSession,
}

impl Engine {
    pub(super) fn invited(&mut self, now: Instant, leg: LegKey, invitation: Invitation) {
        match self.take_in(now, leg, invitation) {
            Ok(()) => {}
            Err(refused) => self.refuse_caller(now, leg, refused),
        }
    }

    fn take_in(
        &mut self,
        now: Instant,
        leg: LegKey,
        invitation: Invitation,
    ) -> Result<(), Refused> {
        let trunk = self.trunks.by_source(invitation.source.ip());
        let trunk = trunk.expect("the user agent hears no strangers' calls");
        let hold = self.config.trunk_at(trunk).hold;
        let policy = leg_policy(self.config.trunk_at(trunk));
        if !self.user_agent.set_policy(now, leg, policy) {
            return Err(Refused::ShortSession);
        }
        let destination = match invitation.replaces {
            // RFC 3891 §6: not everybody may.
            Some(_) if !policy.refer => return Err(Refused::Replaces),
            Some(replaces) => Destination::Takeover {
                replaces: Box::new(replaces),
            },
            None => self
                .destination(&invitation.called)
                .ok_or(Refused::UnknownNumber)?,
        };
        let arrival = Arrival {
            destination,
            calling: invitation.calling,
            called: invitation.called,
            offer: invitation.offer,
            patience: invitation.expires,
            hold,
            way: Way {
                max_forwards: invitation.max_forwards,
                carried: invitation.carried,
            },
        };
        let key = self.calls.arrive(now, arrival).ok_or(Refused::Overload)?;
        self.links.add(key, LegSlot::FIRST, leg);
        Ok(())
    }

    fn destination(&self, called: &str) -> Option<Destination> {
        match Destination::of(&self.config, called) {
            // Nobody from outside calls outside through us.
            Some(Destination::Outside { .. } | Destination::Takeover { .. }) | None => None,
            Some(inside) => Some(inside),
        }
    }

    /// Makes the call that a desktop asks for, or tells it why not; either way the agent's shard,
    /// which is this one, hears at once whose its reservation is.
    pub(super) fn place(&mut self, now: Instant, place: &Place) {
        let wrong = match Destination::of(&self.config, &place.destination) {
            _ if self.admission(now) != Admission::Open => Err((
                ErrorCode::TooBusy,
                "the server takes no calls now".to_owned(),
            )),
            Some(Destination::Direct { dn }) if dn == place.dn => {
                let message = "an agent cannot call itself".to_owned();
                Err((ErrorCode::InvalidCalledDN, message))
            }
            Some(destination) => Ok(destination),
            None => {
                let message = format!(
                    "{} is no agent and no routing point, and no trunk with `outbound` leads \
                     there",
                    place.destination
                );
                Err((ErrorCode::InvalidCalledDN, message))
            }
        };
        let way = Way {
            max_forwards: MAX_FORWARDS,
            carried: Carried::default(),
        };
        let made = wrong.and_then(|destination| {
            let made = self.calls.place(now, place, destination, way);
            made.ok_or((
                ErrorCode::TooBusy,
                "as many calls are held as may be".to_owned(),
            ))
        });
        let call = match made {
            Ok(call) => Some(call),
            Err((code, message)) => {
                let number = &self.config.agent_at(place.dn).dn;
                let whom = place.requested_by;
                let error = Event::error(now, &**number, whom, code, message);
                self.emit(Box::new(error));
                None
            }
        };
        self.agents
            .handle(now, place.dn, agent::Input::Placed { call });
    }

    fn refuse_caller(&mut self, now: Instant, leg: LegKey, refused: Refused) {
        let (status, counter) = match refused {
            Refused::UnknownNumber => (Status::NOT_FOUND, Counter::InviteUnknownNumber),
            Refused::Replaces => (Status::FORBIDDEN, Counter::InviteReplaces),
            Refused::Overload => (Status::SERVICE_UNAVAILABLE, Counter::InviteOverload),
            Refused::ShortSession => return,
        };
        let later = matches!(refused, Refused::Overload);
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
