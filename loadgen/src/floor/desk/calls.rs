//! What agents at desktops do to their calls: hold, transfer in one step and in two, release. What
//! will be done to a call is drawn when it is up; a desktop asks for nothing that it would not show
//! a button for.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Desks, Due};
use crate::floor::said::Said;
use crate::population::Span;

/// How long an agent takes to see that a call has ended.
const REACTION: Span = Span::milliseconds(200, 1_000);

/// What a desktop does to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Release,
    Hold,
    Retrieve,
    Transfer,
    Consult,
    Complete,
}

/// A call at a desk.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Call {
    held: bool,
    /// The call that consults about it.
    consultation: Option<String>,
}

/// What will be done to a call, and how long after the answer.
#[derive(Debug, Default)]
struct Plans {
    /// The hold, and how long it lasts.
    hold: Option<(Duration, Duration)>,
    transfer: Option<Duration>,
    consultation: Option<Duration>,
    release: Option<Duration>,
}

impl Desks {
    /// Hears what happens to a call at a desk.
    pub(super) fn hear_of_call(&mut self, said: &Said, place: usize) {
        let Some(id) = said.conn_id.as_ref() else {
            return;
        };
        let calls = &mut self.desks[place].calls;
        match (said.message.as_str(), &said.previous) {
            ("EventEstablished", _) => self.established(said.at, id, said.is_consult(), place),
            ("EventDialing", Some(main)) => {
                if let Some(call) = calls.get_mut(main) {
                    call.consultation = Some(id.clone());
                }
            }
            ("EventHeld" | "EventRetrieved", _) => {
                if let Some(call) = calls.get_mut(id) {
                    call.held = said.message == "EventHeld";
                }
            }
            ("EventPartyChanged", Some(previous)) => {
                calls.remove(previous);
                calls.insert(id.clone(), Call::default());
            }
            ("EventReleased" | "EventAbandoned", _) => self.released(said.at, id, place),
            _ => {}
        }
    }

    fn established(&mut self, at: Instant, id: &String, is_consult: bool, place: usize) {
        let (_, _, length) = self.groups[self.desks[place].group].plan.consultations;
        let desk = &mut self.desks[place];
        let consulted = |call: &Call| call.consultation.as_ref() == Some(id);
        let main = desk.calls.iter().find(|(_, call)| consulted(call));
        if let Some((main, _)) = main {
            let due = Due::Act(main.clone(), Act::Complete);
            let wait = desk.random.within(length);
            self.agenda.add(at + wait, (place, due));
            return;
        }
        desk.calls.insert(id.clone(), Call::default());
        let plans = self.draw(place);
        if is_consult {
            return;
        }
        let mut add = |wait: Duration, act: Act| {
            let due = Due::Act(id.clone(), act);
            self.agenda.add(at + wait, (place, due));
        };
        if let Some((after, length)) = plans.hold {
            add(after, Act::Hold);
            add(after + length, Act::Retrieve);
        }
        match (plans.transfer, plans.consultation) {
            (Some(after), _) => add(after, Act::Transfer),
            (None, Some(after)) => add(after, Act::Consult),
            (None, None) => {}
        }
        if let Some(after) = plans.release {
            add(after, Act::Release);
        }
    }

    /// Draws what will be done to a call. Each call takes as much from the stream of chance.
    fn draw(&mut self, place: usize) -> Plans {
        let desk = &mut self.desks[place];
        let plan = &self.groups[desk.group].plan;
        let mut draw = |(chance, span): (f64, Span)| {
            let happens = desk.random.chance(chance);
            let wait = desk.random.within(span);
            happens.then_some(wait)
        };
        let (hold_chance, hold_after, hold_length) = plan.holds;
        let (consult_chance, consult_after, _) = plan.consultations;
        Plans {
            hold: draw((hold_chance, hold_after)).zip(draw((1.0, hold_length))),
            transfer: draw(plan.transfers),
            consultation: draw((consult_chance, consult_after)),
            release: draw(plan.releases),
        }
    }

    fn released(&mut self, at: Instant, id: &String, place: usize) {
        let plan = &self.groups[self.desks[place].group].plan;
        let desk = &mut self.desks[place];
        let consulted = |call: &Call| call.consultation.as_ref() == Some(id);
        if let Some((main, call)) = desk.calls.iter_mut().find(|(_, call)| consulted(call)) {
            // The agent returns to the caller.
            call.consultation = None;
            let due = Due::Act(main.clone(), Act::Retrieve);
            let wait = desk.random.within(REACTION);
            self.agenda.add(at + wait, (place, due));
        }
        let Some(ended) = desk.calls.remove(id) else {
            return;
        };
        if let Some(consultation) = ended.consultation {
            // There is nothing left to consult about.
            let due = Due::Act(consultation.clone(), Act::Release);
            let wait = desk.random.within(REACTION);
            self.agenda.add(at + wait, (place, due));
            desk.calls.insert(consultation, Call::default());
        }
        if let Some(span) = plan.wrap_up.filter(|_| desk.calls.is_empty()) {
            let wait = desk.random.within(span);
            self.agenda.add(at + wait, (place, Due::WrappedUp));
        }
    }

    /// Does what is due to a call, if it still can be done.
    pub(super) fn act_on(&mut self, place: usize, id: &str, act: Act) {
        let Some(call) = self.desks[place].calls.get(id).cloned() else {
            return;
        };
        let partner = self.partner(place);
        let this = json!({ "ConnID": id });
        let to = |partner: String| json!({"ConnID": id, "OtherDN": partner});
        match (act, call.consultation, partner) {
            (Act::Release, _, _) => self.ask(place, "RequestReleaseCall", this),
            (Act::Hold, None, _) if !call.held => self.ask(place, "RequestHoldCall", this),
            (Act::Retrieve, None, _) if call.held => self.ask(place, "RequestRetrieveCall", this),
            (Act::Transfer, None, Some(partner)) => {
                self.ask(place, "RequestSingleStepTransfer", to(partner));
            }
            (Act::Consult, None, Some(partner)) => {
                self.ask(place, "RequestInitiateTransfer", to(partner));
            }
            (Act::Complete, Some(consultation), _) => {
                let fields = json!({"ConnID": id, "TransferConnID": consultation});
                self.ask(place, "RequestCompleteTransfer", fields);
            }
            (Act::Hold | Act::Retrieve | Act::Transfer | Act::Consult | Act::Complete, _, _) => {}
        }
    }

    /// Whom the agent calls.
    pub(super) fn partner(&mut self, place: usize) -> Option<String> {
        let desk = &mut self.desks[place];
        let partners = &self.groups[desk.group].partners;
        let pick = desk.random.below(partners.len() as u64);
        let partner = partners.get(usize::try_from(pick).unwrap_or(0))?;
        (*partner != desk.dn).then(|| partner.clone())
    }
}
