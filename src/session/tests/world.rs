//! Two phones in a negotiation, in virtual time.

use std::sync::Arc;
use std::time::Instant;

use super::phone::{Deed, Phone, State, media};
use crate::call::LegCommand;
use crate::dialog::LegEvent;
use crate::session::description::Told;
use crate::session::slots::Slots;
use crate::session::{Hold, LegSession, Negotiation, Outcome, Sessions, Sink, Source, Why};
use crate::sip::Direction;

/// The first leg.
pub(super) const ONE: usize = 0;
/// The other one.
pub(super) const TWO: usize = 1;

/// No negotiation takes so many turns.
const TURNS_MAX: usize = 200;

/// How a flow begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// The first leg's re-INVITE goes to the second.
    Relay { asks: bool },
    /// The first leg gives the offer, the second takes it.
    Join(From, To),
    /// The first leg alone.
    Alone(Alone),
}

/// A `Source`, without what it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Invite,
    Offered,
    Dialled,
    Answered,
    Confirmed,
    Known,
}

/// A `Sink`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    Dial,
    Invite,
    Offered,
    Confirmed,
    /// It does nothing of its own before it is free, but hang up.
    Occupied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    Hold(Hold),
    Silent,
    Answer { asks: bool },
}

pub(super) fn flows() -> Vec<Flow> {
    let mut flows = vec![Flow::Relay { asks: false }, Flow::Relay { asks: true }];
    for from in [
        From::Invite,
        From::Offered,
        From::Dialled,
        From::Answered,
        From::Confirmed,
        From::Known,
    ] {
        for to in [
            To::Dial,
            To::Invite,
            To::Offered,
            To::Confirmed,
            To::Occupied,
        ] {
            flows.push(Flow::Join(from, to));
        }
    }
    for alone in [
        Alone::Hold(Hold::Inactive),
        Alone::Hold(Hold::SendOnly),
        Alone::Silent,
        Alone::Answer { asks: false },
        Alone::Answer { asks: true },
    ] {
        flows.push(Flow::Alone(alone));
    }
    flows
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) sessions: [LegSession; 2],
    over: [bool; 2],
}

impl Sessions<usize> for Table {
    fn session(&mut self, leg: usize) -> &mut LegSession {
        assert!(!self.over[leg], "leg {leg} is over");
        &mut self.sessions[leg]
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) phones: [Phone; 2],
    pub(super) table: Table,
    negotiation: Option<Negotiation<usize>>,
    pub(super) outcome: Outcome<usize>,
    commands: Vec<(usize, LegCommand)>,
    /// Everything that was commanded.
    pub(super) log: Vec<(usize, LegCommand)>,
    /// What the phones went by before.
    before: [Option<Arc<[u8]>>; 2],
    ignoring: [bool; 2],
    calls: [bool; 2],
}

impl World {
    /// Both phones are ready for the flow.
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    pub(super) fn new(flow: Flow, kinds: [&[&'static str]; 2]) -> Self {
        let now = Instant::now();
        let phones = [
            Phone::new(now, 10_000, kinds[ONE]),
            Phone::new(now, 20_000, kinds[TWO]),
        ];
        let mut world = Self {
            now,
            phones,
            table: Table {
                sessions: [LegSession::outbound(77), LegSession::inbound(78)],
                over: [false; 2],
            },
            negotiation: None,
            outcome: Outcome::Running,
            commands: Vec::new(),
            log: Vec::new(),
            before: [None, None],
            ignoring: [false; 2],
            calls: [false; 2],
        };
        world.begin(flow);
        world
    }

    fn begin(&mut self, flow: Flow) {
        match flow {
            Flow::Relay { asks } => {
                self.establish(ONE);
                self.establish(TWO);
                let offer = self.phones[ONE].invite(asks);
                self.start(|now, table, commands| {
                    Negotiation::relay(now, ONE, TWO, offer, table, commands)
                });
            }
            Flow::Join(from, to) => {
                let source = self.source(from);
                let sink = self.sink(to);
                self.start(|now, table, commands| {
                    Negotiation::join(now, (ONE, source), (TWO, sink), table, commands)
                });
            }
            Flow::Alone(alone) => self.begin_alone(alone),
        }
    }

    fn begin_alone(&mut self, alone: Alone) {
        if alone != Alone::Silent {
            self.establish(ONE);
        }
        let offer = match alone {
            Alone::Answer { asks } => self.phones[ONE].invite(asks),
            Alone::Hold(_) | Alone::Silent => None,
        };
        self.start(|now, table, commands| match alone {
            Alone::Hold(hold) => Negotiation::hold(now, ONE, hold, table, commands),
            Alone::Silent => Negotiation::dial_without_media(now, ONE, table, commands),
            Alone::Answer { .. } => {
                Negotiation::answer_alone(now, ONE, offer.as_ref(), table, commands)
            }
        });
    }

    fn source(&mut self, from: From) -> Source {
        let phone = &mut self.phones[ONE];
        match from {
            From::Invite => {
                self.calls[ONE] = true;
                Source::Invite(phone.call(false).expect("an offer"))
            }
            From::Offered => {
                self.establish(ONE);
                Source::Offered(self.phones[ONE].invite(false).expect("an offer"))
            }
            From::Dialled => {
                phone.dial(None);
                Source::Dialled
            }
            From::Answered => {
                phone.dial(None);
                match phone.act(self.now, Deed::Comply) {
                    Some(LegEvent::Answered { body: Some(offer) }) => Source::Answered(offer),
                    other => panic!("{other:?}"),
                }
            }
            From::Confirmed => {
                self.establish(ONE);
                Source::Confirmed
            }
            From::Known => {
                self.establish(ONE);
                Source::Known
            }
        }
    }

    fn sink(&mut self, to: To) -> Sink {
        match to {
            To::Dial => Sink::Dial,
            To::Invite => {
                self.calls[TWO] = true;
                self.phones[TWO].call(true);
                Sink::Invite
            }
            To::Offered => {
                self.establish(TWO);
                self.phones[TWO].invite(true);
                Sink::Offered
            }
            To::Confirmed => {
                self.establish(TWO);
                Sink::Confirmed
            }
            To::Occupied => {
                self.establish(TWO);
                Sink::Occupied
            }
        }
    }

    /// The phone talks with somebody else, over a session of its own.
    fn establish(&mut self, leg: usize) {
        let mut other = Phone::new(self.now, 30_000 + 100 * leg as u16, &["audio", "video"]);
        let (offer, answer) = self.phones[leg].talks_with(&mut other);
        let session = &mut self.table.sessions[leg];
        session.hear_offer(&Told::of(&offer));
        let slots = Slots::identity(media(&offer.bytes).len());
        let told = session.answer(&Told::of(&answer), &slots);
        assert_eq!(told, answer);
        self.before[leg] = Some(told.bytes);
    }

    fn start(
        &mut self,
        start: impl FnOnce(
            Instant,
            &mut dyn Sessions<usize>,
            &mut Vec<(usize, LegCommand)>,
        ) -> (Negotiation<usize>, Outcome<usize>),
    ) {
        let (negotiation, outcome) = start(self.now, &mut self.table, &mut self.commands);
        self.negotiation = Some(negotiation);
        self.settle(outcome);
    }

    /// Carries commands out, and what comes of them.
    fn settle(&mut self, outcome: Outcome<usize>) {
        let mut outcome = Some(outcome);
        while let Some(news) = outcome.take() {
            match news {
                Outcome::Dial { leg, offer } => self.phones[leg].dial(Some(offer)),
                Outcome::Running => {}
                ended @ (Outcome::Done | Outcome::Failed(_)) => {
                    assert!(!self.is_over(), "it ended twice");
                    self.outcome = ended;
                }
            }
            let commands = std::mem::take(&mut self.commands);
            let mut events = Vec::new();
            for (leg, command) in commands {
                self.log.push((leg, command.clone()));
                let event = self.phones[leg].hear(self.now, command);
                events.extend(event.map(|event| (leg, event)));
            }
            for (leg, event) in events {
                let next = self.feed(leg, &event);
                outcome = Some(next);
            }
        }
    }

    fn feed(&mut self, leg: usize, event: &LegEvent) -> Outcome<usize> {
        if matches!(event, LegEvent::HungUp(_) | LegEvent::Refused { .. }) {
            self.table.over[leg] = true;
        }
        if let (true, LegEvent::OfferAcknowledged { body }) = (self.is_over(), event) {
            // As the call does.
            self.table.sessions[leg].hear_acknowledged(body.as_ref());
        }
        let negotiation = self.negotiation.as_mut().expect("started");
        negotiation.handle(self.now, leg, event, &mut self.table, &mut self.commands)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.outcome, Outcome::Done | Outcome::Failed(_))
    }

    fn is_kept_from(&self, leg: usize) -> bool {
        let negotiation = self.negotiation.as_ref().expect("started");
        !self.is_over() && negotiation.is_kept_from(leg)
    }

    /// What the second leg was in is over; `false` if there was nothing.
    pub(super) fn resume(&mut self) -> bool {
        if !self.is_kept_from(TWO) {
            return false;
        }
        let negotiation = self.negotiation.as_mut().expect("started");
        let outcome = negotiation.resume(self.now, &mut self.table, &mut self.commands);
        self.settle(outcome);
        true
    }

    pub(super) fn act(&mut self, leg: usize, deed: Deed) {
        if deed != Deed::HangUp && self.is_kept_from(leg) {
            return;
        }
        if deed == Deed::Ignore {
            self.ignoring[leg] = true;
        }
        if let Some(event) = self.phones[leg].act(self.now, deed) {
            let outcome = self.feed(leg, &event);
            self.settle(outcome);
        }
    }

    pub(super) fn withdraw(&mut self) {
        let negotiation = self.negotiation.as_mut().expect("started");
        let outcome = negotiation.withdraw(self.now, &mut self.table, &mut self.commands);
        self.settle(outcome);
    }

    /// Time passes, until a deadline; `false` when there is none.
    pub(super) fn wait(&mut self) -> bool {
        let negotiation = self.negotiation.as_ref().expect("started");
        let own = negotiation.poll_timeout().map(|(at, _)| at);
        let phones = [ONE, TWO].map(|leg| self.phones[leg].deadline());
        let Some(at) = phones.into_iter().flatten().chain(own).min() else {
            return false;
        };
        self.now = self.now.max(at);
        for leg in [ONE, TWO] {
            if phones[leg] == Some(at) {
                let event = self.phones[leg].give_up();
                let outcome = self.feed(leg, &event);
                self.settle(outcome);
            }
        }
        if own == Some(at) && !self.is_over() {
            let negotiation = self.negotiation.as_mut().expect("started");
            let outcome = negotiation.handle_timeout(self.now, &mut self.table, &mut self.commands);
            self.settle(outcome);
        }
        true
    }

    /// The leg whose turn it is.
    pub(super) fn turn(&self) -> Option<usize> {
        let has_turn = |leg: &usize| self.phones[*leg].has_turn() && !self.ignoring[*leg];
        [ONE, TWO].into_iter().find(has_turn)
    }

    /// Everybody does what is right until it is over. `deed` tells who does something else.
    pub(super) fn run(&mut self, mut deed: impl FnMut(usize) -> Option<(usize, Deed)>) {
        for turn in 0..TURNS_MAX {
            if let Some((leg, deed)) = deed(turn) {
                self.act(leg, deed);
            } else if let Some(leg) = self.turn() {
                self.act(leg, Deed::Comply);
            } else if self.is_over() {
                return;
            } else if self.resume() {
                // It goes on.
            } else {
                assert!(self.wait(), "nobody does anything any more: {self:#?}");
            }
        }
        panic!("it never ends: {self:#?}");
    }

    // What must hold at the end.

    pub(super) fn check(&self) {
        for leg in [ONE, TWO] {
            let (phone, session) = (&self.phones[leg], &self.table.sessions[leg]);
            let takes_part = matches!(phone.state, State::Settled);
            if !takes_part || phone.unsure || self.ignoring[leg] {
                continue;
            }
            assert!(session.is_settled(), "{self:#?}");
            assert_eq!(session.said(), phone.told.as_ref(), "leg {leg}: {self:#?}");
            assert_eq!(
                session.heard(),
                phone.given.as_ref(),
                "leg {leg}: {self:#?}"
            );
        }
        match &self.outcome {
            Outcome::Done => self.check_joined(),
            Outcome::Failed(failure) => {
                for leg in [ONE, TWO] {
                    let broken = failure.leg == leg && failure.why == Why::NoDescription;
                    if !broken && !failure.is_disturbed(leg) {
                        self.check_undisturbed(leg);
                    }
                }
            }
            Outcome::Running | Outcome::Dial { .. } => panic!("it still runs"),
        }
    }

    /// Each phone sends where the other one is.
    fn check_joined(&self) {
        let [one, two] = &self.phones;
        if one.is_over() || two.is_over() || two.told.is_none() {
            return;
        }
        let joined = [one, two].map(|phone| {
            let told = phone.told.as_ref().expect("it was told something");
            media(told).iter().any(|(_, port, _)| *port / 10_000 == 3)
        });
        if joined == [true, true] {
            return; // Neither was joined: a leg on its own.
        }
        for (phone, other) in [(one, two), (two, one)] {
            let told = media(phone.told.as_ref().expect("it was told something"));
            let given = media(other.given.as_ref().expect("it gave something"));
            for (kind, port, direction) in told.iter().filter(|(_, port, _)| *port != 0) {
                assert!(
                    given.contains(&(kind.clone(), *port, *direction)),
                    "{kind} {port} {direction:?}: {self:#?}"
                );
            }
        }
    }

    fn check_undisturbed(&self, leg: usize) {
        let phone = &self.phones[leg];
        if phone.state != State::Settled || phone.unsure {
            return;
        }
        let Some(before) = &self.before[leg] else {
            return;
        };
        // The line of a medium may be another one when its kind was changed in between.
        let in_use = |text: &Arc<[u8]>| {
            let mut media = media(text);
            media.retain(|(_, port, _)| *port != 0);
            media.sort_by_key(|(_, port, _)| *port);
            media
        };
        let (mut told, mut before) = (
            in_use(phone.told.as_ref().expect("it was told something")),
            in_use(before),
        );
        if phone.has_held() {
            // An answer to a hold flows one way less.
            for (_, _, direction) in told.iter_mut().chain(&mut before) {
                *direction = Direction::default();
            }
        }
        assert_eq!(told, before, "leg {leg}: {self:#?}");
    }
}
