//! HoldCall, RetrieveCall, AlternateCall, ReconnectCall: whom an agent hears.

use crate::cti::{ConnId, ErrorCode};

use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::departure::Leave;
use super::facts::{Facts, Origin, cause};
use super::participant::{Call, Participant, Standing, Who};
use super::request::Position;
use super::task::{Asked, Step, Then};
use crate::agent::EndCause;
use crate::config::Hold;

impl Conversation {
    /// How a leg is put on hold: as the trunk to its far end says.
    pub(super) fn hold_of(&self, leg: LegSlot) -> Hold {
        let Facts {
            config,
            is_inbound,
            caller_hold,
            ..
        } = &self.facts;
        if *is_inbound && leg == LegSlot::FIRST {
            return *caller_hold;
        }
        let calls = [Some(&self.main), self.consult.as_ref()];
        let mut calls = calls.into_iter().flatten();
        let who = calls.find_map(|call| call.with_leg(leg));
        match who.map(|who| &who.who) {
            Some(Who::Agent(dn)) => config.phone(*dn).hold,
            Some(Who::Outside(party)) => {
                let trunks = config.outbound(&party.number);
                let first = trunks.and_then(|trunks| trunks.trunks.first().copied());
                first.map_or(Hold::Inactive, |first| config.trunk_at(first).hold)
            }
            None => Hold::Inactive,
        }
    }

    /// The steps by which an agent puts a call on hold: first its own leg, which may refuse, then
    /// those of the others.
    pub(super) fn hold_steps(&self, which: Which, leg: LegSlot) -> Vec<Step> {
        let call = self.call(which).filter(|call| !call.is_conference());
        let others = call.into_iter().flat_map(|call| quieted(call, leg));
        std::iter::once(Step::Hold(leg)).chain(others).collect()
    }

    pub(super) fn hold(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        position: Position,
        asked: Asked,
    ) {
        match position {
            Position::Talking(leg) => {
                let steps = self.hold_steps(which, leg);
                self.start(turn, Some(asked), steps, Then::Held(which));
            }
            Position::Holding(_) => {
                self.refuse(
                    turn,
                    &asked,
                    ErrorCode::AlreadyInState,
                    "the call is on hold",
                );
            }
            Position::Ringing | Position::Dialing(_) | Position::OnItsWay => {
                self.wrong_state(turn, &asked, "the call is not answered");
            }
        }
    }

    pub(super) fn retrieve(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        position: Position,
        asked: Asked,
    ) {
        match position {
            Position::Holding(leg) => match self.position(which.other(), asked.dn) {
                Some(Position::Holding(_)) | None => {
                    let steps = self.take_back(which, leg);
                    self.start(turn, Some(asked), steps, Then::Retrieved(which));
                }
                Some(
                    Position::Talking(_)
                    | Position::Dialing(_)
                    | Position::Ringing
                    | Position::OnItsWay,
                ) => {
                    let message = "the agent is in another call: alternate or reconnect";
                    self.wrong_state(turn, &asked, message);
                }
            },
            Position::Talking(_) => {
                self.refuse(
                    turn,
                    &asked,
                    ErrorCode::AlreadyInState,
                    "the call is not on hold",
                );
            }
            Position::Ringing | Position::Dialing(_) | Position::OnItsWay => {
                self.wrong_state(turn, &asked, "the call is not answered");
            }
        }
    }

    /// The step by which an agent has a call back. If the other one holds it too, it is the agent
    /// who is on hold from then on.
    pub(super) fn take_back(&self, which: Which, leg: LegSlot) -> Vec<Step> {
        let Some(call) = self.call(which) else {
            return Vec::new();
        };
        if call.is_conference() {
            return vec![Step::Mix(leg)];
        }
        let other = call.others(leg).next();
        other
            .map(|who| match who.standing {
                Standing::Talking => Step::Join(leg, who.leg),
                Standing::Holding => Step::Quiet(leg),
            })
            .into_iter()
            .collect()
    }

    /// The step by which two who have not heard each other do, as far as neither holds.
    pub(super) fn meeting(one: &Participant, other: &Participant) -> Option<Step> {
        match (one.standing, other.standing) {
            (Standing::Talking, Standing::Talking) => Some(Step::Join(one.leg, other.leg)),
            (Standing::Talking, Standing::Holding) => Some(Step::Quiet(one.leg)),
            (Standing::Holding, Standing::Talking) => Some(Step::Quiet(other.leg)),
            (Standing::Holding, Standing::Holding) => None,
        }
    }

    /// The two calls of a request that names an active and a held one, if they are so.
    fn pair(
        &mut self,
        turn: &mut Turn<'_>,
        (which, held): (Which, ConnId),
        asked: &Asked,
    ) -> Option<(LegSlot, LegSlot)> {
        let is_another =
            |other: &Which| *other != which && self.position(*other, asked.dn).is_some();
        let Some(other) = self.which(held).filter(is_another) else {
            let message = format!("{held} is not the other call of this agent");
            self.refuse(turn, asked, ErrorCode::InvalidConnID, &message);
            return None;
        };
        let active = self.position(which, asked.dn);
        let Some(Position::Holding(held)) = self.position(other, asked.dn) else {
            self.wrong_state(turn, asked, "PreviousConnID is not on hold");
            return None;
        };
        match active {
            Some(Position::Talking(leg) | Position::Dialing(leg)) => Some((leg, held)),
            Some(Position::Holding(_) | Position::Ringing | Position::OnItsWay) | None => {
                self.wrong_state(turn, asked, "ConnID is not the call that the agent hears");
                None
            }
        }
    }

    pub(super) fn alternate(
        &mut self,
        turn: &mut Turn<'_>,
        (which, held): (Which, ConnId),
        position: Position,
        asked: Asked,
    ) {
        let Some((active_leg, held_leg)) = self.pair(turn, (which, held), &asked) else {
            return;
        };
        if matches!(position, Position::Dialing(_)) {
            return self.wrong_state(turn, &asked, "the call is not answered");
        }
        let other = which.other();
        // With a dialog of its own for each call, the phone hears that it holds this one.
        let mut steps = if active_leg == held_leg {
            Vec::new()
        } else {
            vec![Step::Hold(active_leg)]
        };
        let call = self.call(which);
        steps.extend(call.into_iter().flat_map(|call| quieted(call, active_leg)));
        steps.extend(self.take_back(other, held_leg));
        self.start(turn, Some(asked), steps, Then::Alternated(other));
    }

    pub(super) fn reconnect(
        &mut self,
        turn: &mut Turn<'_>,
        (which, held): (Which, ConnId),
        position: Position,
        asked: Asked,
    ) {
        let held_conn = held;
        let Some((active_leg, held_leg)) = self.pair(turn, (which, held), &asked) else {
            return;
        };
        self.undo_exchange_in(turn, which, active_leg);
        if matches!(position, Position::Dialing(_)) {
            let end = (EndCause::CallerAbandoned, cause::NORMAL.into());
            self.end_search(turn, which, end);
        }
        // EventReleased of this one is news; what answers the request is EventRetrieved.
        let origin = Origin {
            reasons: asked.reasons.clone(),
            ..Origin::default()
        };
        let leave = Leave {
            turns_back: true,
            ..Leave::by_itself(origin)
        };
        self.drop_task(turn);
        self.leave(turn, which, active_leg, &leave);
        let Some(other) = self.which(held_conn) else {
            return self.wrong_state(turn, &asked, "the held call has ended");
        };
        let steps = self.take_back(other, held_leg);
        self.start(turn, Some(asked), steps, Then::Retrieved(other));
    }
}

/// The steps by which those hear nobody any more whom a party puts on hold: who holds the call
/// itself does already.
fn quieted(call: &Call, leg: LegSlot) -> impl Iterator<Item = Step> {
    let hear = call
        .others(leg)
        .filter(|who| who.standing == Standing::Talking);
    hear.map(|who| Step::Quiet(who.leg))
}
