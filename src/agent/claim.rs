//! ReserveAgent: a router keeps an agent for the call that it is about to route there. Requests of
//! several routers are collected for a moment and the most urgent one wins; after that the agent is
//! nobody else's until the call comes or the time is over. It never reserves for a call: that is
//! `reservation`.

use std::time::Duration;

use crate::cti::{ClientId, ErrorCode, EventName, KeyValueList, RequestedBy, Value};
use crate::limits::{CLAIM_COLLECTION, CLAIM_REQUESTS_MAX};

use super::events::Answer;
use super::state::Agent;
use super::step::{Step, Timer};
use super::votes::Standing;

/// A router's wish.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) requested_by: RequestedBy,
    pub(super) duration: Duration,
    pub(super) priority: u16,
    pub(super) reasons: KeyValueList,
}

/// Who keeps the agent, and who would like to.
#[derive(Debug, Default)]
pub(super) struct Claims {
    holder: Option<ClientId>,
    wishes: Vec<Wish>,
}

impl Agent {
    /// Whether the agent is kept for a router, and not for this one.
    pub(super) fn is_claimed(&self, but_for: Option<ClientId>) -> bool {
        let holder = self.claims.as_ref().and_then(|claims| claims.holder);
        holder.is_some() && holder != but_for
    }

    /// A router wants the agent.
    pub(super) fn claim(&mut self, step: &mut Step<'_>, wish: Wish) {
        let whom = wish.requested_by;
        if let Err((code, why)) = self.may_be_claimed(step, whom.client) {
            return step.refuse(whom, code, why);
        }
        let claims = self.claims.get_or_insert_default();
        if claims.holder.is_some() {
            return self.keep_for(step, wish);
        }
        if claims.wishes.len() == CLAIM_REQUESTS_MAX {
            let why = "too many want this agent at the same time";
            return step.refuse(whom, ErrorCode::TooBusy, why);
        }
        if claims.wishes.is_empty() {
            self.timers.arm(step, Timer::Collection, CLAIM_COLLECTION);
        }
        claims.wishes.push(wish);
    }

    /// Who wanted the agent at the same time has been heard.
    pub(super) fn decide_claims(&mut self, step: &mut Step<'_>) {
        let claims = self.claims.get_or_insert_default();
        let wishes = std::mem::take(&mut claims.wishes);
        // Of equals the first.
        let urgent = wishes.iter().map(|wish| wish.priority).max();
        let winner = wishes.iter().position(|wish| Some(wish.priority) == urgent);
        for (place, wish) in wishes.into_iter().enumerate() {
            let whom = wish.requested_by;
            let free = self.may_be_claimed(step, whom.client);
            match free {
                Ok(()) if Some(place) == winner => self.keep_for(step, wish),
                Ok(()) => {
                    let why = format!("{} goes to a more urgent request", step.number());
                    step.refuse(whom, ErrorCode::Busy, why);
                }
                Err((code, why)) => step.refuse(whom, code, why),
            }
        }
    }

    /// The time is over, or the call has come.
    pub(super) fn end_claim(&mut self, step: &mut Step<'_>) {
        if let Some(claims) = &mut self.claims {
            claims.holder = None;
        }
        self.claims.take_if(|claims| claims.wishes.is_empty());
        self.timers.disarm(step, Timer::Claim);
    }

    /// A router has gone: it needs the agent no more, whether it has it or would have got it.
    pub(super) fn claimant_gone(&mut self, step: &mut Step<'_>, router: ClientId) {
        let Some(claims) = &mut self.claims else {
            return;
        };
        claims
            .wishes
            .retain(|wish| wish.requested_by.client != router);
        if claims.holder == Some(router) {
            self.end_claim(step);
        }
    }

    fn keep_for(&mut self, step: &mut Step<'_>, wish: Wish) {
        let Wish {
            requested_by,
            duration,
            reasons,
            ..
        } = wish;
        self.claims.get_or_insert_default().holder = Some(requested_by.client);
        self.timers.arm(step, Timer::Claim, duration);
        let answer = Answer::to(requested_by, &reasons);
        let mut event = self.agent_event(step, EventName::AgentReserved, Some(answer));
        let milliseconds = i64::try_from(duration.as_millis()).expect("a bounded time is small");
        event
            .extensions
            .set("Duration", Value::Integer(milliseconds));
        step.emit(event);
    }

    fn may_be_claimed(&self, step: &Step<'_>, by: ClientId) -> Result<(), (ErrorCode, String)> {
        let number = step.number();
        if self.votes.last() == Standing::LoggedOut {
            let why = format!("nobody is logged in at {number}");
            return Err((ErrorCode::NotLoggedIn, why));
        }
        if self.is_engaged() || self.dnd {
            return Err((ErrorCode::Busy, format!("{number} takes no call now")));
        }
        if self.is_claimed(Some(by)) {
            let why = format!("{number} is reserved by another router");
            return Err((ErrorCode::Busy, why));
        }
        if !self.is_free() {
            return Err((ErrorCode::WrongState, format!("{number} is not ready")));
        }
        if !step.phone_has_a_way() {
            let why = format!("no trunk to {number} is in service");
            return Err((ErrorCode::OutOfService, why));
        }
        Ok(())
    }
}
