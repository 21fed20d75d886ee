//! Somebody is dialled, rings, answers or does not. With whom it is to talk is known from the
//! start, and so is which of the two makes the offer; the exchange of it begins here.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::{self, EndCause, PartyState};
use crate::config::{Config, QueueIndex};
use crate::counters::Counter;
use crate::cti::{CallState, DnRole};
use crate::dialog::{Body, LegEvent, Party};
use crate::limits::{OFFER_SETUP_IN_T1, OUTSIDE_NO_ANSWER, PROGRESS_INTERVAL};
use crate::queue;
use crate::session::{Negotiation, Outcome, Sessions, Sink, Source};
use crate::sip::Status;

use super::command::{Command, DialTo, LegCommand, LegSlot};
use super::conversation::{Conversation, Hearing, Turn, Which};
use super::entry::{Entry, Hold};
use super::exchange::Purpose;
use super::facts::{Origin, cause, cause_of, error_of};
use super::leg::{Kind, Phase};
use super::participant::{News, Participant, Who};
use super::quest::{Quest, Ringing, Stage};
use super::task::Asked;
use super::timer::Timer;
use super::why::Why;

impl Conversation {
    /// Dials somebody for the one who waits.
    pub(super) fn dial(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        who: Who,
        (entry, why): (Option<Entry>, Why),
    ) {
        self.dial_again(turn, which, who, (entry, why), None);
    }

    /// The same, in place of an earlier leg to the same phone, if there was one: the phone is asked
    /// to answer by itself then.
    pub(super) fn dial_again(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        who: Who,
        (entry, why): (Option<Entry>, Why),
        instead_of: Option<LegSlot>,
    ) {
        let to = match &who {
            Who::Agent(dn) => DialTo::Agent(*dn),
            Who::Outside(party) => DialTo::Number(party.number.to_string()),
        };
        self.ring(turn, which, who, (to, instead_of), (entry, why));
    }

    /// Makes the leg of who is called.
    pub(super) fn ring(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        who: Who,
        (to, instead_of): (DialTo, Option<LegSlot>),
        (entry, why): (Option<Entry>, Why),
    ) {
        let Some((facts, legs, call)) = self.parts(which) else {
            return;
        };
        // Who is added is called by the one who adds it; anybody else by who waits.
        let caller = match &why {
            Why::Added(asked, _) => call.agent(asked.dn),
            Why::Called | Why::Transferred(_) | Why::Muted(_) => call.participants.first(),
        };
        let Some(caller) = caller.cloned() else {
            return;
        };
        // The time of who is called begins when it rings.
        let setup = facts.config.server.t1 * OFFER_SETUP_IN_T1;
        facts.deadlines.arm(Timer::NoAnswer, turn.now + setup);
        if entry.is_none() && legs.is_invited(caller.leg) {
            let again = turn.now + PROGRESS_INTERVAL;
            facts.deadlines.arm(Timer::Progress, again);
        }
        let leg = legs.dialled(call.conn_id.0);
        if let DialTo::Takeover(_) = to {
            legs.leads_to(leg, Kind::Tie);
        }
        let place = entry.as_ref().map(Entry::place).or(call.through);
        let home = place.map(|place| place.0);
        let no_answer = no_answer(&facts.config, &who, entry.as_ref(), home);
        let mut dial = facts.dial(to, caller.party(facts));
        dial.auto_answer = instead_of.is_some();
        dial.instead_of = instead_of;
        dial.diversions = call.diversions.to_vec();
        dial.referred_by = call.referred_by.clone();
        let mut called = Participant::new(who, leg, DnRole::Destination);
        called.routing_point = place.map(|place| place.1);
        called.brings = why.brings();
        let adds = matches!(why, Why::Added(..));
        call.quest.set(Quest {
            stage: Stage::Ringing(Ringing {
                called,
                rings: false,
                no_answer,
                picked_up_for: None,
                elsewhere: None,
            }),
            entry,
            why,
        });
        legs.shows(leg, Some(&caller.who));
        let shows = legs.is_invited(caller.leg) && !legs.is_tie(leg);
        if shows && let Some(called) = call.quest.as_ref().and_then(Quest::called).cloned() {
            // What the caller is answered says by whom.
            self.show(turn, caller.leg, &called);
        }
        if adds {
            dial.is_focus = true;
            self.legs.focuses(leg, true);
            return turn.commands.push(Command::Dial(leg, Box::new(dial)));
        }
        self.connect(turn, which, (caller.leg, leg), dial);
    }

    /// Begins the exchange between who waits and who is dialled.
    fn connect(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (waiting, dialled): (LegSlot, LegSlot),
        mut dial: super::Dial,
    ) {
        let (source, sink) = match self.legs.phase(waiting) {
            Some(Phase::Invited { offer: Some(offer) }) => (
                (waiting, Source::Invite(Body::clone(offer))),
                (dialled, Sink::Dial),
            ),
            Some(Phase::Invited { offer: None }) => {
                ((dialled, self.dialled(dialled)), (waiting, Sink::Invite))
            }
            Some(Phase::Answered { offer: Some(offer) }) => (
                (waiting, Source::Answered(Body::clone(offer))),
                (dialled, Sink::Dial),
            ),
            Some(Phase::Answered { offer: None } | Phase::Dialled { .. } | Phase::Up) | None => {
                let sink = self.sink(waiting);
                ((dialled, self.dialled(dialled)), (waiting, sink))
            }
        };
        let mut told = turn.told();
        let started = Negotiation::join(turn.now, source, sink, &mut self.legs, &mut told);
        if let Outcome::Dial { offer, .. } = &started.1 {
            dial.offer = Some(offer.clone());
            self.legs.offers(dialled);
        }
        turn.commands.push(Command::Dial(dialled, Box::new(dial)));
        let purpose = Purpose::Connect(which);
        self.begin(turn, started, (waiting, dialled), purpose, told);
    }

    /// What a leg is to an exchange that was dialled without an offer.
    pub(super) fn dialled(&self, leg: LegSlot) -> Source {
        if self.legs.is_tie(leg) {
            return Source::Tied;
        }
        Source::Dialled
    }

    /// Begins the exchange between who waits and somebody who was dialled for somebody else. Where
    /// the INVITE had that one's offer, the answer has to come first.
    pub(super) fn connect_dialled(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (waiting, dialled): (LegSlot, LegSlot),
    ) {
        if self.legs.phase(dialled) != Some(&Phase::Dialled { with_offer: false }) {
            return;
        }
        let mut told = turn.told();
        let source = (dialled, self.dialled(dialled));
        let sink = (waiting, self.sink(waiting));
        let started = Negotiation::join(turn.now, source, sink, &mut self.legs, &mut told);
        let purpose = Purpose::Connect(which);
        self.begin(turn, started, (waiting, dialled), purpose, told);
    }

    /// Who was dialled with somebody else's offer has answered: only now it can be connected.
    fn connect_answered(&mut self, turn: &mut Turn<'_>, leg: LegSlot, answer: Option<&Body>) {
        if let Some(answer) = answer {
            self.legs.session(leg).hear_late_answer(answer);
        }
        let acknowledge = LegCommand::Acknowledge(None);
        self.tell(turn, vec![(leg, acknowledge)]);
        self.meets(turn, leg);
    }

    /// Who was dialled has the session of somebody who has gone: it is connected with who is there.
    fn meets(&mut self, turn: &mut Turn<'_>, leg: LegSlot) {
        let waiting = self.main.others(leg).next().map(|who| who.leg);
        if let Some(waiting) = waiting {
            self.bring_together(turn, waiting, leg);
        }
    }

    /// The leg of who is called says something.
    pub(super) fn called_says(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        leg: LegSlot,
        (event, heard): (&LegEvent, Hearing),
    ) {
        match event {
            // 181 and 182 say that the phone does not ring yet.
            LegEvent::Progress { status, body }
                if *status == Status::RINGING || *status == Status::SESSION_PROGRESS =>
            {
                let media = body.as_ref().filter(|_| self.has_one_candidate(which));
                match media.and_then(|media| self.early(leg, media)) {
                    Some(early) => self.rings_with(turn, which, *status, early),
                    None => self.rings(turn, which),
                }
            }
            // RFC 3261 §13.2.1: the 2xx must have the answer, or the offer if we made none.
            LegEvent::Answered { .. } if heard == Hearing::Failed => {
                // A phone that answers by itself may skip the 180; the events do not.
                self.rings(turn, which);
                self.hang_up(turn, leg, cause::FAILURE);
                self.call_failed(turn, which, EndCause::Failed, Origin::default());
            }
            LegEvent::Answered { body } => self.called_answers(turn, which, leg, (body, heard)),
            LegEvent::Refused { status, .. } => {
                if self.legs.is_tie(leg) {
                    self.facts.refused_with = Some(*status);
                }
                self.lose(turn, leg);
                self.call_failed(turn, which, cause_of(*status), Origin::default());
            }
            LegEvent::HungUp(_) => {
                self.lose(turn, leg);
                self.call_failed(turn, which, EndCause::Unreachable, Origin::default());
            }
            LegEvent::Offered { .. } if heard == Hearing::Nobody => {
                let refuse = LegCommand::RefuseOffer(Status::NOT_ACCEPTABLE_HERE);
                turn.commands.push(Command::Leg(leg, refuse));
            }
            LegEvent::Identified(party) => self.called_is(turn, which, leg, party),
            // Not before its final response, or of no interest.
            LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. }
            | LegEvent::Referred(_)
            | LegEvent::Progress { .. }
            | LegEvent::AcknowledgementDue
            | LegEvent::Acknowledged { .. }
            | LegEvent::Offered { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferCancelled
            | LegEvent::Refreshed { .. }
            | LegEvent::OfferAcknowledged { .. } => {}
        }
    }

    fn called_answers(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        leg: LegSlot,
        (body, heard): (&Option<Body>, Hearing),
    ) {
        if heard == Hearing::Nobody
            && self.legs.phase(leg) == Some(&Phase::Answered { offer: None })
        {
            self.answered(turn, which);
            return self.connect_answered(turn, leg, body.as_ref());
        }
        self.takes(turn, which, leg);
    }

    /// Somebody takes the call with this leg. A muted transfer to a phone that has not rung is done
    /// by that: the agent, with whom it was to be connected, is gone then.
    pub(super) fn takes(&mut self, turn: &mut Turn<'_>, which: Which, leg: LegSlot) {
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        let is_muted = quest.is_some_and(|quest| matches!(quest.why, Why::Muted(_)));
        self.answered(turn, which);
        if is_muted {
            self.meets(turn, leg);
        }
    }

    /// Who is called says who it is; by a tie, whoever waits hears that.
    fn called_is(&mut self, turn: &mut Turn<'_>, which: Which, leg: LegSlot, party: &Arc<Party>) {
        self.across_is(leg, party);
        let waiting = self.call(which).and_then(|call| call.participants.first());
        if let Some(waiting) = waiting.filter(|_| self.legs.is_tie(leg)) {
            let waiting = waiting.leg;
            self.show_party(turn, waiting, Arc::clone(party));
        }
    }

    /// Whether the caller gets whoever is dialled now, or nobody. Anybody else, and a queue, would
    /// have other media: the early answer of one who then does not answer would bind the caller to
    /// a session that never comes.
    fn has_one_candidate(&self, which: Which) -> bool {
        let call = self.call(which).filter(|call| call.through.is_none());
        let quest = call.and_then(|call| call.quest.as_ref());
        let quest = quest.filter(|quest| quest.why == Why::Called && quest.entry.is_none());
        match quest.map(|quest| &quest.stage) {
            Some(Stage::Ringing(ringing)) => ringing.elsewhere.is_none(),
            Some(Stage::Phone(_) | Stage::Waiting | Stage::Reserving(_)) | None => false,
        }
    }

    /// Who is called rings, and the caller hears what comes with it.
    fn rings_with(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        status: Status,
        (caller, media): (LegSlot, Body),
    ) {
        let media = LegCommand::EarlyMedia(status, media);
        turn.commands.push(Command::Leg(caller, media));
        self.begins_to_ring(turn, which);
        let again = turn.now + PROGRESS_INTERVAL;
        self.facts.deadlines.arm(Timer::Progress, again);
    }

    /// Who is called rings. It may do so more than once, in early dialogs.
    pub(super) fn rings(&mut self, turn: &mut Turn<'_>, which: Which) {
        if self.begins_to_ring(turn, which) {
            self.say_progress(turn, which, Status::RINGING);
        }
    }

    /// Tells all who are to know that it rings; whether they did not.
    fn begins_to_ring(&mut self, turn: &mut Turn<'_>, which: Which) -> bool {
        let Some((facts, _, call)) = self.parts(which) else {
            return false;
        };
        let Some(quest) = call.quest.as_mut() else {
            return false;
        };
        let Stage::Ringing(ringing) = &mut quest.stage else {
            return false;
        };
        if ringing.rings {
            return false;
        }
        ringing.rings = true;
        let no_answer = turn.now + ringing.no_answer;
        facts.deadlines.arm(Timer::NoAnswer, no_answer);
        let (called, why) = (ringing.called.clone(), quest.why.clone());
        let mut news = News::default();
        if let Why::Transferred(by) = &why {
            news.third = Some((by.clone(), DnRole::TransferredBy));
            news.call_state = Some(CallState::Transferred);
        }
        call.report(facts, &called, PartyState::Ringing, news, turn.commands);
        self.queue_hears_ringing(turn, which, &called);
        match why {
            Why::Called => {
                let state = PartyState::NetworkReached;
                self.report_others(turn, which, called.leg, state, &News::default());
            }
            Why::Muted(asked) => {
                // The transfer answers the request: nobody waits for that any more.
                if let Some(quest) = self.call_mut(which).and_then(|call| call.quest.as_mut()) {
                    quest.why = Why::Called;
                }
                self.transfer_ringing(turn, &asked);
            }
            Why::Transferred(_) | Why::Added(..) => {}
        }
        true
    }

    fn queue_hears_ringing(&mut self, turn: &mut Turn<'_>, which: Which, called: &Participant) {
        let number = called.number(&self.facts).unwrap_or_default();
        let Some(call) = self.call_mut(which) else {
            return;
        };
        let Some(quest) = call.quest.as_mut() else {
            return;
        };
        match quest.entry {
            Some(entry) if entry.hold == Hold::Forwarding => {
                let (conn_id, destination) = (entry.conn_id, number.into_string());
                let rings = queue::Input::ForwardRings {
                    conn_id,
                    destination,
                };
                entry.tell(&rings, turn.commands);
            }
            Some(entry) if called.dn().map(Hold::Offered) == Some(entry.hold) => {
                if let (Some(dn), conn_id) = (called.dn(), entry.conn_id) {
                    entry.tell(&queue::Input::Ringing { conn_id, dn }, turn.commands);
                }
            }
            // It was redirected, and may come back.
            Some(_) | None => {}
        }
    }

    /// Whoever is called has answered.
    pub(super) fn answered(&mut self, turn: &mut Turn<'_>, which: Which) {
        // A phone that answers by itself may skip the 180; the events do not.
        self.rings(turn, which);
        // By now a muted transfer has made the consultation the main call.
        let which = if self.call(which).is_some_and(|call| call.quest.is_some()) {
            which
        } else {
            Which::Main
        };
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let Some(Quest {
            stage:
                Stage::Ringing(Ringing {
                    called,
                    picked_up_for,
                    ..
                }),
            entry,
            why,
        }) = call.quest.take()
        else {
            return;
        };
        facts.deadlines.disarm_setup();
        let is_alone = call.participants.len() == 1;
        if is_alone {
            call.is_served(entry.as_ref(), &facts.visited);
        }
        let is_first = is_alone && matches!(why, Why::Called);
        call.participants.push(called.clone());
        let established = PartyState::Established;
        let origin = picked_up_for
            .as_ref()
            .map(Asked::origin)
            .unwrap_or_default();
        let news = News::from(origin);
        call.report(facts, &called, established, news, turn.commands);
        if let Some(entry) = entry {
            match entry.hold {
                Hold::Offered(dn) if called.dn() == Some(dn) => {
                    let conn_id = entry.conn_id;
                    entry.tell(&queue::Input::Answered { conn_id, dn }, turn.commands);
                }
                Hold::Offered(_) | Hold::Waiting | Hold::Forwarding | Hold::Redirected(_) => {
                    let number = called.number(facts).unwrap_or_default();
                    entry.forwarded(&number, turn.commands);
                }
            }
        }
        if is_first && which == Which::Main {
            self.count_outcome(turn, Counter::CallAnswered);
        }
        self.others_hear_answer(turn, which, &called, why);
    }

    fn others_hear_answer(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        called: &Participant,
        why: Why,
    ) {
        match why {
            Why::Called | Why::Muted(_) => {
                let (state, news) = (PartyState::Established, News::default());
                self.report_others(turn, which, called.leg, state, &news);
            }
            Why::Transferred(by) => {
                let number = called.number(&self.facts);
                let news = News {
                    other: number.map(|number| (number, DnRole::NewParty)),
                    third: Some((by, DnRole::TransferredBy)),
                    call_state: Some(CallState::Transferred),
                    ..News::default()
                };
                self.report_others(turn, which, called.leg, PartyState::Changed, &news);
            }
            Why::Added(asked, _) => self.added(turn, called, asked),
        }
    }

    /// Who is called does not take the call; its leg is gone.
    pub(super) fn call_failed(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        cause: EndCause,
        origin: Origin,
    ) {
        let called = self.call(which).and_then(|call| call.quest.as_ref());
        if let Some(called) = called.and_then(Quest::called).cloned() {
            let ended = PartyState::Ended(cause);
            self.report(turn, which, &called, ended, origin.into());
        }
        self.pick_up_fails(turn, which, cause);
        if self.goes_elsewhere(turn, which, cause) {
            return;
        }
        self.search_failed(turn, which, cause);
    }

    /// The trunk went out of service while the agent was being reserved: no fault of the agent's.
    pub(super) fn not_dialled(&mut self, turn: &mut Turn<'_>, which: Which, leg: LegSlot) {
        self.lose(turn, leg);
        // It rang, and was called again to be picked up: its DN hears of the end of that.
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        if quest.is_some_and(Quest::rings) {
            return self.call_failed(turn, which, EndCause::Unreachable, Origin::default());
        }
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let call_ref = facts.call(call.conn_id);
        if let Some(dn) = call.quest.as_ref().and_then(Quest::dn) {
            let returned = agent::Input::Returned { call: call_ref };
            turn.commands.push(Command::Agent(dn, returned));
        }
        self.search_failed(turn, which, EndCause::Unreachable);
    }

    /// The phone that a desktop wants picked up does not take the call.
    fn pick_up_fails(&mut self, turn: &mut Turn<'_>, which: Which, cause: EndCause) {
        let quest = self.call(which).and_then(|call| call.quest.as_ref());
        if let Some(quest) = quest {
            let failed = (error_of(cause), "the phone was not picked up");
            self.not_picked_up(turn, &quest.stage, failed);
        }
    }

    /// Who is called has rung for long enough, or has not rung in all the time that it had.
    pub(super) fn no_answer(&mut self, turn: &mut Turn<'_>) {
        for which in [Which::Main, Which::Consult] {
            let Some(quest) = self.call(which).and_then(|call| call.quest.as_ref()) else {
                continue;
            };
            let (reason, ended) = if quest.rings() {
                (cause::NO_ANSWER, EndCause::NoAnswer)
            } else {
                (cause::TIMER, EndCause::Unreachable)
            };
            match &quest.stage {
                Stage::Ringing(ringing) => {
                    let leg = ringing.called.leg;
                    self.hang_up(turn, leg, reason);
                    return self.call_failed(turn, which, ended, Origin::default());
                }
                Stage::Phone(_) => return self.phone_failed(turn, which, EndCause::NoAnswer),
                Stage::Waiting | Stage::Reserving(_) => {}
            }
        }
    }

    /// How long an agent's own phone may take to be picked up for a call that it makes.
    pub(super) fn phone_patience(&self, dn: crate::config::DnIndex) -> Duration {
        self.facts.config.no_answer(dn, None)
    }
}

/// How long somebody may ring for a call from these queues, or one at home in this queue.
fn no_answer(
    config: &Config,
    who: &Who,
    entry: Option<&Entry>,
    home: Option<QueueIndex>,
) -> Duration {
    match who {
        Who::Agent(dn) => {
            let queue = entry.map(|entry| entry.queue_of(config, *dn));
            config.no_answer(*dn, queue.or(home))
        }
        Who::Outside(_) => OUTSIDE_NO_ANSWER,
    }
}
