//! What a desktop has asked for and takes several exchanges: steps, one after the other, and then
//! what they were for. A step waits for an exchange that its legs are in; nothing is said to
//! clients before all is done, and what fails is put back and told to who asked.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::agent::{self, PartyState};
use crate::config::DnIndex;
use crate::cti::{ErrorCode, KeyValueList, RequestedBy};
use crate::dialog::{Body, Party};
use crate::session::{Negotiation, Outcome, Sink, Source};

use super::command::{Command, Dial, DialTo, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::exchange::{Ended, Purpose};
use super::facts::{Destination, Origin, cause, refuse_request};
use super::follow::Joining;
use super::leg::{Kind, Phase};
use super::participant::{Call, News, Standing};
use super::takeover::{Admission, Referral};
use super::why::Why;

/// A desktop's request, while it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) requested_by: RequestedBy,
    /// The agent in whose name it is made.
    pub(super) dn: DnIndex,
    pub(super) reasons: KeyValueList,
}

impl Asked {
    pub(super) fn origin(&self) -> Origin {
        Origin::request(self.requested_by, self.reasons.clone())
    }
}

/// Steps and what they are for.
#[derive(Debug)]
pub(super) struct Task {
    /// Who is told if it fails.
    pub(super) asked: Option<Asked>,
    /// What is to be done, the step under way first.
    pub(super) steps: VecDeque<Step>,
    /// Whether the first step is under way.
    pub(super) runs: Runs,
    pub(super) then: Then,
}

/// Whether a task's first step has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// It waits for its legs.
    NotYet,
    /// It is under way.
    Now,
}

/// One exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The leg is told that its call is on hold.
    Hold(LegSlot),
    /// The leg hears music, if there is any, while it waits. Who does not want it hears nothing.
    Quiet(LegSlot),
    /// The two hear each other; the first makes the offer.
    Join(LegSlot, LegSlot),
    /// The leg hears the conference.
    Mix(LegSlot),
    /// The first, whose INVITE waits, and the second hear each other.
    Admit(LegSlot, LegSlot),
    /// The leg hears a party of another conversation.
    Tie(LegSlot),
}

/// What the steps are for.
#[derive(Debug)]
pub(super) enum Then {
    /// The agent holds the call.
    Held(Which),
    /// The agent has the call back.
    Retrieved(Which),
    /// The agent has this call back and holds the other.
    Alternated(Which),
    /// The agent calls somebody else.
    Consult(Box<Consultation>),
    /// Who was held and who was consulted go on without the agent.
    Transferred,
    /// Somebody is sought for who waits.
    Seek(Destination, Why),
    /// All three are in a conference.
    Conferenced,
    /// Somebody was added to the call, by this leg.
    Mixed(LegSlot),
    /// Somebody from another conversation takes the place of a party.
    Admitted(Box<Admission>),
    /// A party takes a place in another conversation, as its partner's phone has asked.
    Referred(Box<Referral>),
    /// Who was held and who was consulted go on without the agent, as its phone has asked.
    PhoneJoined(Joining),
    /// Two go on together whose agent has gone; the one who was called leaves if they cannot.
    Joined(LegSlot),
    /// Nothing: a leg is at rest.
    Rest,
}

/// A consultation to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Consultation {
    pub(super) destination: Destination,
    /// The number as it was asked for.
    pub(super) number: String,
    pub(super) user_data: KeyValueList,
    /// Whether it is a transfer as soon as somebody rings.
    pub(super) is_muted: bool,
}

impl Step {
    fn legs(self) -> [LegSlot; 2] {
        match self {
            Self::Hold(leg) | Self::Quiet(leg) | Self::Mix(leg) | Self::Tie(leg) => [leg, leg],
            Self::Join(one, other) | Self::Admit(one, other) => [one, other],
        }
    }
}

impl Task {
    /// Whether something is still to be done with a leg.
    pub(super) fn awaits(&self, leg: LegSlot) -> bool {
        self.steps.iter().any(|step| step.legs().contains(&leg))
    }

    /// Whether no client may change the call meanwhile.
    pub(super) fn is_change(&self) -> bool {
        let comes = self.then.admission().is_some()
            || self.then.referral().is_some()
            || self.then.joining().is_some();
        self.asked.is_some() || comes || self.then.seeks()
    }
}

impl Then {
    /// Somebody from another conversation who is let in.
    pub(super) fn admission(&self) -> Option<&Admission> {
        if let Self::Admitted(admission) = self {
            return Some(admission);
        }
        None
    }

    /// A party that takes a place in another conversation.
    pub(super) fn referral(&self) -> Option<&Referral> {
        if let Self::Referred(referral) = self {
            return Some(referral);
        }
        None
    }

    pub(super) fn referral_mut(&mut self) -> Option<&mut Referral> {
        if let Self::Referred(referral) = self {
            return Some(referral);
        }
        None
    }

    /// A phone that joins its two calls.
    pub(super) fn joining(&self) -> Option<Joining> {
        if let Self::PhoneJoined(joining) = self {
            return Some(*joining);
        }
        None
    }

    /// Who was called to join, and has answered.
    pub(super) fn added(&self) -> Option<LegSlot> {
        if let Self::Mixed(added) = self {
            return Some(*added);
        }
        None
    }

    /// Who leaves if the two cannot hear each other.
    fn leaves_alone(&self) -> Option<LegSlot> {
        if let Self::Joined(called) = self {
            return Some(*called);
        }
        None
    }

    /// Whether a search begins with it, without which whoever waits is alone.
    fn seeks(&self) -> bool {
        matches!(self, Self::Seek(..))
    }

    /// Whether parties wait for it; a leg that is only put to rest is not tried again.
    fn is_for_somebody(&self) -> bool {
        !self.seeks() && !matches!(self, Self::Rest | Self::Joined(_))
    }

    /// What who asked is told if it cannot be done.
    fn failure(&self) -> (ErrorCode, &'static str) {
        if matches!(self, Self::Transferred) {
            let message = "the parties cannot be connected";
            return (ErrorCode::CannotCompleteTransfer, message);
        }
        if matches!(self, Self::Conferenced | Self::Mixed(_)) {
            let message = "the mixer cannot be reached, or a party refuses it";
            return (ErrorCode::CannotCompleteConference, message);
        }
        (ErrorCode::Rejected, "a phone has refused the change")
    }
}

impl Conversation {
    /// Begins a task. Only one is under way at a time.
    pub(super) fn start(
        &mut self,
        turn: &mut Turn<'_>,
        asked: Option<Asked>,
        steps: impl IntoIterator<Item = Step>,
        then: Then,
    ) {
        // One that a search follows stays: nobody else would look for whom it seeks.
        if self.task.as_ref().is_some_and(|task| task.then.seeks()) {
            return self.supersede(turn, asked, &then);
        }
        if let Some(before) = self.task.take() {
            self.supersede(turn, before.asked, &before.then);
        }
        self.task.set(Task {
            asked,
            steps: steps.into_iter().collect(),
            runs: Runs::NotYet,
            then,
        });
        self.go_on(turn);
    }

    /// A task makes room for another one.
    fn supersede(&mut self, turn: &mut Turn<'_>, asked: Option<Asked>, then: &Then) {
        self.dismiss(turn, then);
        if let Some(asked) = asked {
            self.wrong_state(turn, &asked, "the call is being changed by another request");
        }
    }

    /// Takes the next step if nothing is in its way.
    pub(super) fn go_on(&mut self, turn: &mut Turn<'_>) {
        self.skip_vain_steps();
        let Some(task) = self.task.as_mut() else {
            return;
        };
        if task.runs == Runs::Now {
            return;
        }
        let Some(step) = task.steps.front().copied() else {
            if let Some(task) = self.task.take() {
                self.finish_task(turn, task);
            }
            return;
        };
        let [one, other] = step.legs();
        let offers = |leg| match (step, self.legs.phase(leg)) {
            (Step::Mix(_), Some(Phase::Answered { .. })) => true,
            (Step::Admit(newcomer, _), Some(Phase::Invited { .. })) => newcomer == leg,
            (_, _) => false,
        };
        let is_there = |leg| self.legs.is_up(leg) || offers(leg);
        let is_free = |leg| is_there(leg) && !self.exchanges.is_busy(leg);
        if is_free(one) && is_free(other) {
            task.runs = Runs::Now;
            self.take_step(turn, step);
        }
    }

    /// Leaves out what puts nobody right any more.
    fn skip_vain_steps(&mut self) {
        let is_idle = |task: &&Task| matches!(task.then, Then::Rest) && task.runs == Runs::NotYet;
        let next = |conversation: &Self| {
            let task = conversation.task.as_ref().filter(is_idle)?;
            task.steps.front().copied()
        };
        while next(self).is_some_and(|step| !self.is_of_use(step)) {
            self.task.as_mut().map(|task| task.steps.pop_front());
        }
    }

    /// Whether a step that puts somebody right is still that: who was across may have somebody else
    /// by now, when the two were free.
    fn is_of_use(&self, step: Step) -> bool {
        let Step::Join(one, other) = step else {
            return true;
        };
        let talk = |call: Option<&Call>| {
            let talks = |leg| {
                let who = call.and_then(|call| call.with_leg(leg));
                who.is_some_and(|who| who.standing == Standing::Talking)
            };
            talks(one) && talks(other)
        };
        self.legs.partner(one) == Some(other)
            || talk(Some(&self.main))
            || talk(self.consult.as_ref())
    }

    /// A task that waits for a leg which is gone comes to nothing.
    pub(super) fn end_vain_task(&mut self, turn: &mut Turn<'_>) {
        let waits = |task: &&Task| task.runs == Runs::NotYet;
        let task = self.task.as_ref().filter(waits);
        let step = task.and_then(|task| task.steps.front());
        let is_gone = |leg: &LegSlot| self.legs.get(*leg).is_none();
        if step.is_some_and(|step| step.legs().iter().any(is_gone)) {
            self.fail_task(turn);
        }
    }

    /// A leg is told with what comes next whether it is in a conference (RFC 4579).
    fn focus(&mut self, turn: &mut Turn<'_>, leg: LegSlot, is_focus: bool) {
        if self.legs.focuses(leg, is_focus) {
            let focus = LegCommand::Focus(is_focus);
            turn.commands.push(Command::Leg(leg, focus));
        }
    }

    fn take_step(&mut self, turn: &mut Turn<'_>, step: Step) {
        let mut told = turn.told();
        let now = turn.now;
        for leg in step.legs() {
            self.focus(turn, leg, matches!(step, Step::Mix(_)));
        }
        match step {
            Step::Quiet(leg) if self.facts.config.server.music.is_some() => {
                self.serve(turn, (step, leg), DialTo::Music);
            }
            Step::Hold(leg) | Step::Quiet(leg) => self.hold_leg(turn, step, leg),
            Step::Join(one, other) => {
                let source = (one, Source::Confirmed);
                let sink = (other, Sink::Confirmed);
                let started = Negotiation::join(now, source, sink, &mut self.legs, &mut told);
                self.begin(turn, started, (one, other), Purpose::Step(step), told);
            }
            Step::Mix(leg) => {
                let name = self.main.conn_id.to_string();
                self.serve(turn, (step, leg), DialTo::Mixer(name));
            }
            Step::Admit(newcomer, stays) => self.admit(turn, newcomer, stays),
            Step::Tie(leg) => {
                let calling = self.party_of(leg);
                match self.dial_across(calling) {
                    Some(dial) => self.serve_by(turn, (step, leg), dial),
                    None => self.fail_task(turn),
                }
            }
        }
    }

    /// The leg is told that nobody hears it.
    fn hold_leg(&mut self, turn: &mut Turn<'_>, step: Step, leg: LegSlot) {
        let mut told = turn.told();
        let hold = self.hold_of(leg);
        let started = Negotiation::hold(turn.now, leg, hold, &mut self.legs, &mut told);
        self.begin(turn, started, (leg, leg), Purpose::Step(step), told);
    }

    /// The leg is joined to a server of media, which makes the offer.
    fn serve(&mut self, turn: &mut Turn<'_>, (step, leg): (Step, LegSlot), to: DialTo) {
        let calling = self.party_of(leg);
        let dial = self.facts.dial(to, calling);
        self.serve_by(turn, (step, leg), dial);
    }

    fn party_of(&self, leg: LegSlot) -> Arc<Party> {
        let who = self
            .main
            .with_leg(leg)
            .or_else(|| self.consult.as_ref()?.with_leg(leg));
        who.map(|who| who.party(&self.facts)).unwrap_or_default()
    }

    fn serve_by(&mut self, turn: &mut Turn<'_>, (step, leg): (Step, LegSlot), mut dial: Dial) {
        let server = self.legs.dialled(self.main.conn_id.0);
        match dial.to {
            DialTo::Music => self.legs.leads_to(server, Kind::Music),
            DialTo::Mixer(_) => self.legs.leads_to(server, Kind::Mixer),
            DialTo::Agent(_) | DialTo::Number(_) | DialTo::Takeover(_) => self.tie_is(server),
        }
        // Who has just answered makes the offer; anybody else gets the server's.
        let (source, sink) = match self.legs.phase(leg) {
            Some(Phase::Answered { offer: Some(offer) }) => (
                (leg, Source::Answered(Body::clone(offer))),
                (server, Sink::Dial),
            ),
            Some(
                Phase::Answered { offer: None }
                | Phase::Up
                | Phase::Invited { .. }
                | Phase::Dialled { .. },
            )
            | None => ((server, self.dialled(server)), (leg, Sink::Confirmed)),
        };
        let mut told = turn.told();
        let started = Negotiation::join(turn.now, source, sink, &mut self.legs, &mut told);
        if let Outcome::Dial { offer, .. } = &started.1 {
            dial.offer = Some(offer.clone());
            self.legs.offers(server);
        }
        turn.commands.push(Command::Dial(server, Box::new(dial)));
        self.begin(turn, started, (server, leg), Purpose::Step(step), told);
    }

    /// A step has come to its end. Who hears whom changes by it even where another task has taken
    /// the place of its own meanwhile; what that other one waits for has not ended.
    pub(super) fn step_ended(&mut self, turn: &mut Turn<'_>, step: Step, ended: Ended) {
        let is_its = |task: &&mut Task| {
            let front = task.steps.front();
            task.runs == Runs::Now && front == Some(&step)
        };
        let task = self.task.as_mut().filter(is_its);
        let is_awaited = task.is_some();
        if let Some(task) = task {
            task.steps.pop_front();
            task.runs = Runs::NotYet;
        }
        match (step, ended.done) {
            (Step::Hold(leg), true) => {
                if let Some(alone) = self.legs.part(leg) {
                    self.end_service(turn, alone);
                }
            }
            (Step::Quiet(leg), true) if ended.legs.0 == leg => {
                self.legs.part(leg);
            }
            (Step::Join(..), true) => self.joined(turn, ended.legs),
            (Step::Quiet(_) | Step::Mix(_) | Step::Tie(_), true) => {
                let (server, leg) = ended.legs;
                self.joined(turn, ended.legs);
                self.catch_up(turn, (leg, server));
            }
            (Step::Admit(newcomer, stays), true) => {
                self.joined(turn, ended.legs);
                self.catch_up(turn, (newcomer, stays));
            }
            // A leg that does not want to be held: it hears nothing, as nobody speaks to it.
            (Step::Quiet(leg), false) if ended.legs.0 == leg => {
                self.legs.part(leg);
            }
            // The music is not to be had, or the leg does not want it: it is held without.
            (Step::Quiet(leg), false) => {
                self.end_service(turn, ended.legs.0);
                self.legs.part(leg);
                // Another task may have taken the leg already, or somebody has answered for it.
                if self.legs.is_up(leg) && !self.exchanges.have_news_for(leg) {
                    if is_awaited && let Some(task) = self.task.as_mut() {
                        task.steps.push_front(step);
                        task.runs = Runs::Now;
                    }
                    self.hold_leg(turn, step, leg);
                }
            }
            (Step::Hold(_) | Step::Join(..) | Step::Admit(..), false) => {
                if is_awaited {
                    self.fail_task(turn);
                }
            }
            (Step::Mix(leg) | Step::Tie(leg), false) => {
                self.focus(turn, leg, self.legs.hears_mixer(leg));
                if ended.legs.0 != leg {
                    self.end_service(turn, ended.legs.0);
                }
                if !is_awaited {
                    return;
                }
                if self.tries_outside()
                    && let Some(task) = self.task.as_mut()
                {
                    return task.steps.push_front(step);
                }
                self.fail_task(turn);
            }
        }
    }

    fn finish_task(&mut self, turn: &mut Turn<'_>, task: Task) {
        let Task { asked, then, .. } = task;
        match (then, asked) {
            (Then::Held(which), Some(asked)) => {
                self.stand(turn, which, &asked, Standing::Holding);
            }
            (Then::Retrieved(which), Some(asked)) => {
                if self.is_held_by_phone(which, &asked) {
                    let message = "the phone itself holds the call, and goes on: press its key";
                    return self.refuse(turn, &asked, ErrorCode::Rejected, message);
                }
                self.stand(turn, which, &asked, Standing::Talking);
            }
            (Then::Alternated(which), Some(asked)) => {
                // It answers no request that this one is on hold now.
                let (other, quiet) = (which.other(), News::default());
                self.stands(turn, other, asked.dn, Standing::Holding, quiet);
                self.stand(turn, which, &asked, Standing::Talking);
            }
            (Then::Consult(consultation), Some(asked)) => {
                self.begin_consultation(turn, asked, *consultation);
            }
            (Then::Transferred, Some(asked)) => self.transferred(turn, asked.dn, asked.origin()),
            (Then::Conferenced, Some(asked)) => self.conferenced(turn, &asked),
            (Then::Mixed(added), Some(asked)) => self.mixed(turn, added, &asked),
            (Then::Seek(destination, why), _) => {
                self.seek(turn, Which::Main, destination, (None, why));
            }
            (Then::Admitted(admission), _) => self.admitted(turn, *admission),
            (Then::Referred(referral), _) => self.referred_across(turn, *referral),
            (Then::PhoneJoined(joining), _) => self.phone_joined(turn, joining),
            (
                Then::Rest
                | Then::Joined(_)
                | Then::Held(_)
                | Then::Retrieved(_)
                | Then::Alternated(_)
                | Then::Consult(_)
                | Then::Transferred
                | Then::Conferenced
                | Then::Mixed(_),
                _,
            ) => {}
        }
    }

    /// The agent's standing in a call is another one now, and whoever asked hears it.
    fn stand(&mut self, turn: &mut Turn<'_>, which: Which, asked: &Asked, standing: Standing) {
        self.stands(turn, which, asked.dn, standing, asked.origin().into());
    }

    /// Whether the phone of who has asked goes on to hold the call for its own part.
    fn is_held_by_phone(&self, which: Which, asked: &Asked) -> bool {
        let who = self.call(which).and_then(|call| call.agent(asked.dn));
        who.is_some_and(|who| self.legs.is_held_by_far_end(who.leg))
    }

    pub(super) fn stands(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        dn: DnIndex,
        standing: Standing,
        news: News,
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let Some(who) = call.agent(dn).cloned() else {
            return;
        };
        call.set_standing(who.leg, standing);
        let state = match standing {
            Standing::Holding => PartyState::Held,
            Standing::Talking => PartyState::Retrieved,
        };
        call.report(facts, &who, state, news, turn.commands);
        // What the phone holds by itself is known from here on.
        self.legs.takes_back(who.leg);
    }

    /// A step could not be done: what was asked for does not happen.
    pub(super) fn fail_task(&mut self, turn: &mut Turn<'_>) {
        let Some(task) = self.task.take() else {
            return;
        };
        let (code, message) = task.then.failure();
        if let Some(asked) = task.asked {
            self.refuse(turn, &asked, code, message);
        }
        self.dismiss(turn, &task.then);
        let left = self.unconnected_leaves(turn, &task.then);
        if task.then.is_for_somebody() && !left {
            self.put_right(turn, Vec::new());
        }
        if let Some(called) = task.then.leaves_alone() {
            return self.leaves_by_fault(turn, called, cause::FAILURE);
        }
        self.stays_alone(turn, task.then);
    }

    /// A desktop's request does not happen.
    pub(super) fn refuse(
        &self,
        turn: &mut Turn<'_>,
        asked: &Asked,
        code: ErrorCode,
        message: &str,
    ) {
        let number = &self.facts.config.agent_at(asked.dn).dn;
        let whom = asked.requested_by;
        refuse_request(turn.now, turn.commands, whom, number, code, message);
        let requested_by = whom;
        let not_taken = agent::Input::NotTaken { requested_by };
        turn.commands.push(Command::Agent(asked.dn, not_taken));
    }
}
