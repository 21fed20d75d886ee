//! The agent's phone is dialled through a trunk, peer by peer: one that is silent, unavailable or
//! cannot be reached before it said anything gives way to the next (RFC 3261 §16.7, RFC 3263
//! §4.3), and the call above does not notice.

use std::time::{Duration, Instant};

use crate::call::{CallKey, Dial, DialTo, Event as CallEvent, LegCommand, LegSlot, cause};
use crate::config::{Answering, MediaServer, TrunkSet};
use crate::counters::Counter;
use crate::dialog::{AutoAnswer, Cause, Invite, LegEvent, LegKey, LegPolicy, Target};
use crate::limits::{PEER_SILENCE_IN_T1, TIMER_GRAIN};
use crate::sip::Status;
use crate::trunk::{Failure, Route, leg_policy, sip_uri};

use super::Engine;
use super::links::Dialled;

impl Engine {
    /// Makes a leg of a call, when the one is over in whose place it comes.
    pub(super) fn dial(&mut self, now: Instant, key: CallKey, slot: LegSlot, mut dial: Box<Dial>) {
        if let Some(earlier) = dial.instead_of.take() {
            let leg = self.links.leg(key, earlier);
            let hang_up = LegCommand::HangUp(cause::NORMAL.into());
            self.command_leg(now, key, earlier, hang_up);
            if let Some(leg) = leg.filter(|leg| self.user_agent.awaits_end(*leg)) {
                self.postponed.insert(leg, (key, slot, dial));
                return;
            }
        }
        self.dial_at_once(now, key, slot, dial);
    }

    /// A leg is over, and the call may still want the one that comes in its place.
    pub(super) fn earlier_is_over(&mut self, now: Instant, leg: LegKey) {
        if let Some((key, slot, dial)) = self.postponed.remove(&leg)
            && self.calls.has_leg(key, slot)
        {
            self.dial_at_once(now, key, slot, dial);
        }
    }

    fn dial_at_once(&mut self, now: Instant, key: CallKey, slot: LegSlot, dial: Box<Dial>) {
        let config = std::sync::Arc::clone(&self.config);
        match &dial.to {
            DialTo::Agent(dn) => {
                self.dial_among(
                    now,
                    (key, slot),
                    &config.agent_at(*dn).settings.trunks,
                    dial,
                );
            }
            DialTo::Number(number) => match config.outbound(number) {
                Some(trunks) => self.dial_among(now, (key, slot), &trunks, dial),
                None => self.calls.handle(now, key, CallEvent::DialFailed(slot)),
            },
            DialTo::Music => {
                let server = config.server.music.as_ref();
                self.dial_server(now, (key, slot), server, None, &dial);
            }
            DialTo::Mixer(name) => {
                let server = config.server.mixer.as_ref();
                let user = format!("conf={name}");
                self.dial_server(now, (key, slot), server, Some(&user), &dial);
            }
            DialTo::Takeover(_) => self.tie((key, slot), *dial),
        }
    }

    fn dial_among(
        &mut self,
        now: Instant,
        (key, slot): (CallKey, LegSlot),
        trunks: &TrunkSet,
        dial: Box<Dial>,
    ) {
        match self.trunks.select_for_call(now, trunks) {
            Some(route) => self.dial_along(now, (key, slot), dial, route),
            None => {
                if trunks
                    .trunks
                    .iter()
                    .any(|trunk| self.trunks.in_service(*trunk))
                {
                    self.counters.count(Counter::CallSpared);
                }
                self.calls.handle(now, key, CallEvent::DialFailed(slot));
            }
        }
    }

    fn dial_along(
        &mut self,
        now: Instant,
        (key, slot): (CallKey, LegSlot),
        dial: Box<Dial>,
        route: Route,
    ) {
        let number = match &dial.to {
            DialTo::Agent(dn) => &*self.config.agent_at(*dn).dn,
            DialTo::Number(number) => number,
            DialTo::Music | DialTo::Mixer(_) | DialTo::Takeover(_) => return,
        };
        let trunk = self.config.trunk_at(route.trunk());
        let auto_answer = match trunk.answer {
            Answering::CallInfo => Some(AutoAnswer::CallInfo),
            Answering::AlertInfo => Some(AutoAnswer::AlertInfo),
            Answering::None | Answering::Talk => None,
        };
        let invite = Invite {
            auto_answer: auto_answer.filter(|_| dial.auto_answer),
            policy: leg_policy(trunk),
            credentials: trunk.credentials.clone(),
            ..self.invite(key, slot, &dial, route.peer().1, route.request_uri(number))
        };
        match self.user_agent.invite(now, &invite) {
            Ok(leg) => {
                let silent = now + PEER_SILENCE_IN_T1 * self.config.server.t1;
                self.silences.arm_within(silent, TIMER_GRAIN, (key, leg));
                let rings = false;
                let dialled = Box::new(Dialled { dial, route, rings });
                self.links.add_dialled((key, slot), leg, dialled);
            }
            // The agent stays reserved until its phone has had its time to ring: to pass the call
            // on at once would go through the whole floor while the table is full.
            Err(_full) => {}
        }
    }

    /// A server of media has no other peer to go to.
    fn dial_server(
        &mut self,
        now: Instant,
        (key, slot): (CallKey, LegSlot),
        server: Option<&MediaServer>,
        user: Option<&str>,
        dial: &Dial,
    ) {
        let Some(server) = server else {
            return self.calls.handle(now, key, CallEvent::DialFailed(slot));
        };
        let user = user.or(server.user.as_deref()).unwrap_or_default();
        let target = Target {
            transport: server.transport.of_shards(),
            address: server.address,
            large_requests: None,
            overload_control: false,
        };
        let request_uri = sip_uri(user, &server.address.to_string());
        let invite = self.invite(key, slot, dial, target, request_uri);
        match self.user_agent.invite(now, &invite) {
            Ok(leg) => self.links.add(key, slot, leg),
            Err(_full) => self.calls.handle(now, key, CallEvent::DialFailed(slot)),
        }
    }

    fn invite(
        &self,
        key: CallKey,
        slot: LegSlot,
        dial: &Dial,
        target: Target,
        request_uri: String,
    ) -> Invite {
        Invite {
            target,
            request_uri,
            calling: dial.calling.clone(),
            max_forwards: dial.max_forwards,
            body: dial.offer.clone(),
            carried: dial.carried.clone(),
            diversions: dial.diversions.clone(),
            is_focus: dial.is_focus,
            auto_answer: None,
            replaces: dial.replaces.clone(),
            referred_by: dial.referred_by.clone(),
            speaks_for: self.links.another_leg(key, slot),
            policy: LegPolicy::default(),
            credentials: None,
        }
    }

    /// A leg of ours was refused: either the peer failed, and the next one is tried, or whoever
    /// was called has spoken, and the call decides.
    pub(super) fn dial_refused(
        &mut self,
        now: Instant,
        (key, slot): (CallKey, LegSlot),
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
        let rings = self.links.dialled(key, slot);
        let rings = rings.is_some_and(|dialled| dialled.rings);
        let failure = match status.0 {
            // UCM says 100 before it knows whether it can: only a phone that rang was reached.
            503 if !rings => Some(Failure::Unavailable),
            408 if !after_provisional => Some(Failure::Silent),
            _ => None,
        };
        if let Some(failure) = failure {
            let retry_after = retry_after.map(|seconds| Duration::from_secs(seconds.into()));
            if self.try_next_peer(now, (key, slot), leg, failure, retry_after) {
                return;
            }
        }
        self.links.take(key, slot);
        self.calls.handle(now, key, CallEvent::Leg(slot, event));
    }

    /// The silence timer of a leg has run out: the next peer, or the end of the offer.
    pub(super) fn peer_was_silent(&mut self, now: Instant, key: CallKey, leg: LegKey) {
        let Some((_, slot)) = self.links.call_of(leg) else {
            return;
        };
        if self.user_agent.has_response(leg) {
            return;
        }
        let goes_on = self.try_next_peer(now, (key, slot), leg, Failure::Silent, None);
        if !goes_on {
            self.links.take(key, slot);
        }
        // Should the silent peer have rung the phone after all, its 2xx is ACKed and BYEd.
        self.user_agent.hang_up(now, leg, Cause::default());
        if !goes_on {
            // RFC 3261 §16.8: silence is as a 408.
            let refused = LegEvent::Refused {
                status: Status::REQUEST_TIMEOUT,
                retry_after: None,
                after_provisional: false,
            };
            let event = CallEvent::Leg(slot, refused);
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
        (key, slot): (CallKey, LegSlot),
        leg: LegKey,
        failure: Failure,
        retry_after: Option<Duration>,
    ) -> bool {
        if self.links.leg(key, slot) != Some(leg) {
            return false;
        }
        let Some(mut dialled) = self.links.take_dialled(key, slot) else {
            return false;
        };
        let (trunk, (peer, _)) = (dialled.route.trunk(), dialled.route.peer());
        self.count_failure(failure);
        self.trunks
            .handle_failure(now, trunk, peer, failure, retry_after);
        let next = dialled.route.next_for_call(&mut self.trunks, now);
        if next.is_some() {
            self.links.take(key, slot);
            self.dial_along(now, (key, slot), dialled.dial, dialled.route);
        }
        next.is_some()
    }
}
