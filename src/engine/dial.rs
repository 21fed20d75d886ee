//! The agent's phone is dialled through a trunk, peer by peer: one that is silent, unavailable or
//! cannot be reached before it said anything gives way to the next (RFC 3261 §16.7, RFC 3263
//! §4.3), and the call above does not notice.

use std::time::{Duration, Instant};

use crate::call::{CallKey, Event as CallEvent, Side};
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::dialog::{Invite, LegEvent, LegKey};
use crate::limits::PEER_SILENCE_IN_T1;
use crate::sip::Status;
use crate::trunk::{Failure, Route, leg_policy};

use super::Engine;
use super::links::Dialled;

impl Engine {
    /// Makes the agent's leg of a call.
    pub(super) fn dial(&mut self, now: Instant, key: CallKey, dn: DnIndex) {
        let trunks = &self.config.agent_at(dn).trunks;
        match self.trunks.select_among(trunks) {
            Some(route) => self.dial_along(now, key, dn, route),
            None => self.calls.handle(now, key, CallEvent::DialFailed),
        }
    }

    fn dial_along(&mut self, now: Instant, key: CallKey, dn: DnIndex, route: Route) {
        let (Some(caller), Some(facts)) = (self.links.caller(key), self.calls.facts(key)) else {
            return;
        };
        let invite = Invite {
            target: route.peer().1,
            request_uri: route.request_uri(&self.config.agent_at(dn).dn),
            calling: caller.calling.clone(),
            max_forwards: caller.max_forwards,
            body: facts.offer.clone(),
            carried: caller.carried.clone(),
            diversion: None,
            auto_answer: None,
            replaces: None,
            referred_by: None,
            speaks_for: Some(caller.leg),
            policy: leg_policy(self.config.trunk_at(route.trunk())),
        };
        match self.user_agent.invite(now, &invite) {
            Ok(leg) => {
                self.silences
                    .arm(now + PEER_SILENCE_IN_T1 * self.config.server.t1, (key, leg));
                self.links.set_agent(
                    key,
                    Dialled {
                        leg,
                        dn,
                        route,
                        rings: false,
                    },
                );
            }
            // The agent stays reserved until its phone has had its time to ring: to pass the call
            // on at once would go through the whole floor while the table is full.
            Err(_full) => {}
        }
    }

    /// The agent's leg was refused: either the peer failed, and the next one is tried, or the
    /// phone has spoken, and the call decides.
    pub(super) fn dial_refused(
        &mut self,
        now: Instant,
        key: CallKey,
        leg: LegKey,
        event: LegEvent,
    ) {
        let LegEvent::Refused {
            status,
            retry_after,
            after_provisional,
        } = event
        else {
            unreachable!("only a refusal is handed to dial_refused");
        };
        let rings = self
            .links
            .caller(key)
            .and_then(|caller| caller.agent.as_ref());
        let rings = rings.is_some_and(|dialled| dialled.rings);
        let failure = match status.0 {
            // UCM says 100 before it knows whether it can: only a phone that rang was reached.
            503 if !rings => Some(Failure::Unavailable),
            408 if !after_provisional => Some(Failure::Silent),
            _ => None,
        };
        if let Some(failure) = failure {
            let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
            if self.try_next_peer(now, key, leg, failure, retry_after) {
                return;
            }
        }
        self.links.take_agent(key);
        self.calls
            .handle(now, key, CallEvent::Leg(Side::Agent, event));
    }

    /// The silence timer of a leg has run out: the next peer, or the end of the offer.
    pub(super) fn peer_was_silent(&mut self, now: Instant, key: CallKey, leg: LegKey) {
        if self.links.leg(key, Side::Agent) != Some(leg) || self.user_agent.has_response(leg) {
            return;
        }
        let goes_on = self.try_next_peer(now, key, leg, Failure::Silent, None);
        if !goes_on {
            self.links.take_agent(key);
        }
        // Should the silent peer have rung the phone after all, its 2xx is ACKed and BYEd.
        self.user_agent.hang_up(now, leg, None);
        if !goes_on {
            // RFC 3261 §16.8: silence is as a 408.
            let refused = LegEvent::Refused {
                status: Status::REQUEST_TIMEOUT,
                retry_after: None,
                after_provisional: false,
            };
            let event = CallEvent::Leg(Side::Agent, refused);
            self.calls.handle(now, key, event);
        }
    }

    /// Counts what a peer did to a call or a subscription.
    pub(super) fn count_failure(&self, failure: Failure) {
        self.counters.count(match failure {
            Failure::Silent => Counter::PeerSilent,
            Failure::Unavailable | Failure::Connection => Counter::PeerUnavailable,
        });
    }

    /// Reports the peer and dials the next; `false` when there is none.
    fn try_next_peer(
        &mut self,
        now: Instant,
        key: CallKey,
        leg: LegKey,
        failure: Failure,
        retry_after: Option<Duration>,
    ) -> bool {
        if self.links.leg(key, Side::Agent) != Some(leg) {
            return false;
        }
        let Some(mut dialled) = self.links.take_agent(key) else {
            return false;
        };
        let (trunk, (peer, _)) = (dialled.route.trunk(), dialled.route.peer());
        self.count_failure(failure);
        self.trunks
            .handle_failure(now, trunk, peer, failure, retry_after);
        if dialled.route.next(&mut self.trunks).is_some() {
            self.dial_along(now, key, dialled.dn, dialled.route);
            return true;
        }
        self.links.set_agent(key, dialled);
        false
    }
}
