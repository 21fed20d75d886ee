//! A conversation: its legs, its calls, and the exchanges and tasks under way. Here is who gets
//! what; what is made of it is in the sibling files, one operation each.
//!
//! A conversation has a main call and, beside it, a consultation at most. A call is who takes part
//! and whom it seeks. An agent with one dialog has the same leg in both calls, one of which it
//! holds. A conversation in which nobody takes part is over.

use std::time::Instant;

use crate::agent::{EndCause, PartyState};
use crate::config::DnIndex;
use crate::counters::Counter;
use crate::cti::ConnId;
use crate::dialog::{Cause, LegEvent, Release};
use crate::seldom::Seldom;
use crate::session::Sessions as _;
use crate::sip::Status;
use crate::spare::Boxes;

use super::command::{Command, LegCommand, LegSlot};
use super::digits::Underway;
use super::exchange::{Exchange, Exchanges};
use super::facts::{Destination, Facts, Origin, cause, refuse_leg};
use super::leg::Legs;
use super::mint::Mint;
use super::participant::{Call, News, Participant, Standing};
use super::postponed::Postponed;
use super::quest::{Quest, Stage};
use super::task::Task;
use super::timer::Timer;
use super::{Commands, Event, Input};

/// One of the calls of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// The one that it began with.
    Main,
    /// The one beside it.
    Consult,
}

impl Which {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Main => Self::Consult,
            Self::Consult => Self::Main,
        }
    }
}

/// A conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) facts: Facts,
    pub(super) legs: Legs,
    pub(super) main: Call,
    pub(super) consult: Seldom<Call>,
    pub(super) exchanges: Exchanges,
    pub(super) postponed: Postponed,
    pub(super) task: Seldom<Task>,
    pub(super) digits: Underway,
}

const _: () = assert!(size_of::<Conversation>() <= 392, "a held call has 4 KB");

/// What the exchange on a leg makes of the leg's news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hearing {
    /// There is none.
    Nobody,
    /// It goes on, or is done.
    Well,
    /// It has failed by it.
    Failed,
}

/// One turn of a conversation: the time, and where what it says goes.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) commands: &'a mut Commands,
    pub(super) mint: &'a mut Mint,
    pub(super) spare: &'a mut Spare,
}

/// Room that conversations use again and again.
#[derive(Debug, Default)]
pub(super) struct Spare {
    /// For what an exchange tells its legs.
    pub(super) told: Vec<(LegSlot, LegCommand)>,
    pub(super) exchanges: Boxes<Exchange>,
}

impl Turn<'_> {
    /// What an exchange tells its legs: nothing yet. [`Conversation::tell`] takes it back.
    pub(super) fn told(&mut self) -> Vec<(LegSlot, LegCommand)> {
        std::mem::take(&mut self.spare.told)
    }
}

impl Conversation {
    pub(super) fn new(facts: Facts, legs: Legs, main: Call) -> Self {
        Self {
            facts,
            legs,
            main,
            consult: Seldom::default(),
            exchanges: Exchanges::default(),
            postponed: Postponed::default(),
            task: Seldom::default(),
            digits: Underway::default(),
        }
    }

    /// Whether nobody takes part any more.
    pub(super) fn is_over(&self) -> bool {
        self.main.participants.is_empty()
    }

    pub(super) fn handle(&mut self, turn: &mut Turn<'_>, event: Event) {
        match event {
            Event::Leg(leg, event) => self.leg_says(turn, leg, event),
            Event::Referred(leg, referred) => self.referred(turn, leg, *referred),
            Event::DialFailed(leg) => self.dial_failed(turn, leg),
            Event::Input(conn_id, input) => self.told(turn, conn_id, input),
            Event::Timer(timer) => self.time_has_come(turn, timer),
            Event::AskedRound(leg, question) => self.asked_round(turn, leg, question),
        }
        self.settle(turn);
    }

    /// What follows of whatever has happened: who has waited for the end of something goes on.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.end_vain_task(turn);
        self.resume_exchanges(turn);
        self.take_up_offers(turn);
        self.end_idle_legs(turn);
        self.watch_exchanges();
    }

    /// Sets the time at which an exchange has something to do, or digits are late.
    fn watch_exchanges(&mut self) {
        let both = [self.exchanges.next(), self.digits.next()];
        let next = both.into_iter().flatten().min();
        self.facts.deadlines.set(Timer::Exchange, next);
    }

    // Its calls.

    pub(super) fn call(&self, which: Which) -> Option<&Call> {
        match which {
            Which::Main => Some(&self.main),
            Which::Consult => self.consult.as_ref(),
        }
    }

    pub(super) fn call_mut(&mut self, which: Which) -> Option<&mut Call> {
        match which {
            Which::Main => Some(&mut self.main),
            Which::Consult => self.consult.as_mut(),
        }
    }

    /// What an operation on one call needs, each by itself.
    pub(super) fn parts(&mut self, which: Which) -> Option<(&mut Facts, &mut Legs, &mut Call)> {
        let call = match which {
            Which::Main => &mut self.main,
            Which::Consult => self.consult.as_mut()?,
        };
        Some((&mut self.facts, &mut self.legs, call))
    }

    pub(super) fn which(&self, conn_id: ConnId) -> Option<Which> {
        [Which::Main, Which::Consult].into_iter().find(|which| {
            self.call(*which)
                .is_some_and(|call| call.conn_id == conn_id)
        })
    }

    /// The call in which this leg does not hold.
    pub(super) fn talking_in(&self, leg: LegSlot) -> Which {
        let talks = |call: &Call| {
            let who = call.with_leg(leg);
            who.is_some_and(|who| who.standing == Standing::Talking)
        };
        match self.consult.as_ref() {
            Some(consult) if talks(consult) => Which::Consult,
            Some(consult) if consult.with_leg(leg).is_some() && !talks(&self.main) => {
                Which::Consult
            }
            Some(_) | None => Which::Main,
        }
    }

    /// Whether the agent takes part already.
    pub(super) fn is_here(&self, dn: DnIndex) -> bool {
        let calls = [Some(&self.main), self.consult.as_ref()];
        calls.into_iter().flatten().any(|call| {
            let called = call.quest.as_ref().and_then(Quest::dn);
            call.agent(dn).is_some() || called == Some(dn)
        })
    }

    /// What a number means, as a desktop or a router writes it.
    pub(super) fn destination(&self, number: &str) -> Option<Destination> {
        Destination::of(&self.facts.config, number)
    }

    pub(super) fn report(
        &self,
        turn: &mut Turn<'_>,
        which: Which,
        whom: &Participant,
        state: PartyState,
        news: News,
    ) {
        if let Some(call) = self.call(which) {
            call.report(&self.facts, whom, state, news, turn.commands);
        }
    }

    /// Tells everyone in a call but the one with this leg.
    pub(super) fn report_others(
        &self,
        turn: &mut Turn<'_>,
        which: Which,
        leg: LegSlot,
        state: PartyState,
        news: &News,
    ) {
        if let Some(call) = self.call(which) {
            for whom in call.others(leg) {
                call.report(&self.facts, whom, state, news.clone(), turn.commands);
            }
        }
    }

    // What happens to it.

    fn leg_says(&mut self, turn: &mut Turn<'_>, leg: LegSlot, event: LegEvent) {
        if self.legs.get(leg).is_none() {
            return;
        }
        if self.postpones(leg, &event) {
            return;
        }
        if let LegEvent::InfoAnswered { status } = event {
            return self.digit_answered(turn, leg, status);
        }
        if let LegEvent::Info {
            body,
            reports: true,
        } = event
        {
            return self.digit_of_tie(turn, leg, body);
        }
        self.legs.hear(leg, &event);
        let exchange = self.exchange_hears(turn, leg, &event);
        let heard = match &exchange {
            None => Hearing::Nobody,
            Some(Some(ended)) if !ended.done => Hearing::Failed,
            Some(Some(_) | None) => Hearing::Well,
        };
        let ended = exchange.flatten();
        // An exchange that waits for the leg hears so too, before anybody takes it for one that
        // goes on.
        let is_over = matches!(event, LegEvent::HungUp(_) | LegEvent::Refused { .. });
        let waiting = is_over.then(|| self.exchanges_lose(turn, leg));
        if let (Hearing::Nobody, LegEvent::OfferAcknowledged { body }) = (heard, &event) {
            self.legs.session(leg).hear_acknowledged(body.as_ref());
        }
        if let (Hearing::Nobody, LegEvent::AcknowledgementDue) = (heard, &event) {
            self.acknowledge_alone(turn, leg);
        }
        if let (Hearing::Nobody, LegEvent::OfferRecalled { body }) = (heard, &event) {
            self.offers_to_nobody(turn, leg, body);
        }
        match self.seeks_with(leg) {
            Some((which, true)) => self.called_says(turn, which, leg, (&event, heard)),
            Some((which, false)) => self.phone_says(turn, which, leg, &event),
            None => self.party_says(turn, leg, event, heard),
        }
        for ended in ended.into_iter().chain(waiting.into_iter().flatten()) {
            self.exchange_ended(turn, ended);
        }
    }

    /// The search that this leg belongs to, and whether it is the leg of who is called; else it is
    /// the phone of the one who calls.
    pub(super) fn seeks_with(&self, leg: LegSlot) -> Option<(Which, bool)> {
        for which in [Which::Main, Which::Consult] {
            let Some((call, quest)) = self.call(which).and_then(|call| {
                let quest = call.quest.as_ref()?;
                Some((call, quest))
            }) else {
                continue;
            };
            if quest.is_ringing_on(leg) {
                return Some((which, true));
            }
            let is_phone = matches!(quest.stage, Stage::Phone(_));
            if is_phone && call.with_leg(leg).is_some() {
                return Some((which, false));
            }
        }
        None
    }

    /// A leg of who takes part, or of a server of media.
    fn party_says(&mut self, turn: &mut Turn<'_>, leg: LegSlot, event: LegEvent, heard: Hearing) {
        match event {
            LegEvent::HungUp(release) => self.hung_up(turn, leg, release),
            LegEvent::Refused { status, .. } => {
                self.tie_refused(leg, status);
                self.hung_up(turn, leg, Release::Lost);
            }
            LegEvent::Offered { body } if heard == Hearing::Nobody => {
                self.offer_made(turn, leg, body);
            }
            LegEvent::Info { body, reports } => {
                self.pass_on(turn, leg, LegCommand::Info { body, reports });
            }
            LegEvent::Refreshed { body } => self.refreshed(turn, leg, &body),
            LegEvent::Identified(party) => self.identified(turn, leg, party),
            // Heard before.
            LegEvent::InfoAnswered { .. }
            // Told as `Event::Referred`.
            | LegEvent::Referred(_)
            | LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::AcknowledgementDue
            | LegEvent::Acknowledged { .. }
            | LegEvent::Offered { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::OfferAcknowledged { .. } => {}
        }
    }

    /// What one party says goes to whom it hears.
    fn pass_on(&mut self, turn: &mut Turn<'_>, leg: LegSlot, command: LegCommand) {
        if let Some(partner) = self.legs.partner(leg) {
            turn.commands.push(Command::Leg(partner, command));
        }
    }

    fn dial_failed(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        match self.seeks_with(leg) {
            Some((which, true)) => self.not_dialled(turn, which, leg),
            Some((which, false)) => self.phone_failed(turn, which, EndCause::Unreachable),
            None => self.leg_says(turn, leg, LegEvent::HungUp(Release::Lost)),
        }
    }

    fn told(&mut self, turn: &mut Turn<'_>, conn_id: ConnId, input: Input) {
        let which = self.which(conn_id);
        match (input, which) {
            (
                Input::Request {
                    requested_by,
                    request,
                },
                _,
            ) => self.request(turn, conn_id, requested_by, request),
            (Input::Offer { dn, elsewhere }, Some(which)) => {
                self.offered(turn, which, dn, elsewhere);
            }
            (Input::Offer { dn, .. }, None) => {
                let call = self.facts.call(conn_id);
                let returned = crate::agent::Input::Returned { call };
                turn.commands.push(Command::Agent(dn, returned));
            }
            (Input::DirectRefused { dn, why }, Some(which)) => {
                if self.asks_for(which, dn) {
                    self.direct_refused(turn, which, why);
                }
            }
            (
                Input::DirectForwarded {
                    dn,
                    destination,
                    why,
                },
                Some(which),
            ) => {
                if self.asks_for(which, dn) {
                    self.forward(turn, which, &destination, why);
                }
            }
            (Input::Standing(standing), Some(which)) => self.queue_stands(turn, which, standing),
            (Input::Dnis(dnis), Some(which)) => {
                if let Some(call) = self.call_mut(which) {
                    std::sync::Arc::make_mut(&mut call.info).dnis = dnis;
                }
            }
            (Input::QueueRefused { refusal }, Some(which)) => {
                self.queue_refused(turn, which, refusal);
            }
            (Input::Forward { destination, why }, Some(which)) => {
                self.forward(turn, which, &destination, why);
            }
            (Input::OfferWithdrawn { dn, cause: why }, _) => {
                self.offer_withdrawn(turn, which, dn, why);
            }
            // Of a call that is over.
            (
                Input::DirectRefused { .. }
                | Input::DirectForwarded { .. }
                | Input::Standing(_)
                | Input::Dnis(_)
                | Input::QueueRefused { .. }
                | Input::Forward { .. },
                None,
            ) => {}
        }
    }

    /// Whether an agent is being asked for. What is said of another one comes late: the search has
    /// gone on to somebody else since.
    fn asks_for(&self, which: Which, dn: DnIndex) -> bool {
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        quest.is_some_and(|quest| matches!(quest.stage, Stage::Reserving(asked) if asked == dn))
    }

    /// The agent was taken away while the call was on its way to it. A call that was transferred
    /// meanwhile has another name: it is known by the agent then.
    fn offer_withdrawn(
        &mut self,
        turn: &mut Turn<'_>,
        which: Option<Which>,
        dn: DnIndex,
        why: EndCause,
    ) {
        let named = |call: &Which| which.is_none_or(|which| which == *call);
        for which in [Which::Main, Which::Consult].into_iter().filter(named) {
            let called = self
                .call(which)
                .and_then(|call| call.quest.as_ref()?.called());
            if let Some(leg) = called.filter(|who| who.dn() == Some(dn)).map(|who| who.leg) {
                self.hang_up(turn, leg, cause::NORMAL);
                return self.call_failed(turn, which, why, Origin::default());
            }
        }
    }

    fn time_has_come(&mut self, turn: &mut Turn<'_>, timer: Timer) {
        match timer {
            Timer::Progress => self.progress_is_due(turn),
            Timer::NoAnswer => self.no_answer(turn),
            Timer::Exchange => {
                self.exchange_is_due(turn);
                self.digits_due(turn);
            }
            // The INVITE's `Expires` has passed (RFC 3261 §13.3.1): the caller counts as gone.
            Timer::Patience => {
                let end = (EndCause::CallerAbandoned, cause::TIMER.into());
                self.caller_ends(turn, Status::REQUEST_TERMINATED, end);
            }
            // Whoever called is long gone.
            Timer::Duration => {
                let end = (EndCause::Failed, cause::TIMER.into());
                self.caller_ends(turn, Status::TEMPORARILY_UNAVAILABLE, end);
                self.end_all(turn, EndCause::Failed, cause::TIMER);
            }
        }
    }

    /// The caller's INVITE, if it still waits, is refused.
    fn caller_ends(&mut self, turn: &mut Turn<'_>, status: Status, end: (EndCause, Cause)) {
        let Some(leg) = self.main.participants.first().map(|first| first.leg) else {
            return;
        };
        if self.legs.is_invited(leg) {
            self.end_search(turn, Which::Main, end);
            refuse_leg(turn.commands, leg, status);
            self.lose(turn, leg);
            self.main.take(leg);
            self.count_unanswered(turn, end.0);
        }
    }

    /// A caller from outside has gone without an answer.
    pub(super) fn count_unanswered(&mut self, turn: &mut Turn<'_>, cause: EndCause) {
        let counter = match cause {
            EndCause::CallerAbandoned => Counter::CallAbandoned,
            EndCause::AgentReleased
            | EndCause::CallerReleased
            | EndCause::NoAnswer
            | EndCause::Busy
            | EndCause::Declined
            | EndCause::Unreachable
            | EndCause::Failed
            | EndCause::Transferred
            | EndCause::Conferenced
            | EndCause::Redirected
            | EndCause::Cleared => Counter::CallFailed,
        };
        self.count_outcome(turn, counter);
    }

    /// Counts what has become of a call from outside, once: a caller whose call somebody has taken
    /// may still go, or be refused, before the two are connected.
    pub(super) fn count_outcome(&mut self, turn: &mut Turn<'_>, counter: Counter) {
        if self.facts.is_inbound && !self.facts.is_counted {
            self.facts.is_counted = true;
            turn.commands.push(Command::Count(counter));
        }
    }

    // Its legs.

    /// Hangs a leg up; what it was part of is the business of the caller.
    pub(super) fn hang_up(&mut self, turn: &mut Turn<'_>, leg: LegSlot, cause: impl Into<Cause>) {
        if self.legs.get(leg).is_some() {
            let hang_up = LegCommand::HangUp(cause.into());
            turn.commands.push(Command::Leg(leg, hang_up));
            self.lose(turn, leg);
        }
    }

    /// A leg is gone: whom it heard hears nobody, and a server of media that served it goes too.
    pub(super) fn lose(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        // An exchange that has not heard of it puts its other leg back.
        let ended = self.exchanges_lose(turn, leg);
        let partner = self.legs.partner(leg);
        self.legs.remove(leg);
        self.digits_lost(turn, leg);
        if let Some(partner) = partner {
            self.end_service(turn, partner);
        }
        for ended in ended {
            self.exchange_ended(turn, ended);
        }
    }

    /// Hangs a leg up if nobody takes part with it: a server of media.
    pub(super) fn end_service(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        let calls = [Some(&self.main), self.consult.as_ref()];
        let is_party = calls.into_iter().flatten().any(|call| {
            let rings = call
                .quest
                .as_ref()
                .is_some_and(|quest| quest.is_ringing_on(leg));
            call.with_leg(leg).is_some() || rings
        });
        if !is_party {
            self.hang_up(turn, leg, cause::NORMAL);
        }
    }
}
