//! The face of a running exchange, of one leg or of two.

use std::time::Instant;

use crate::call::LegCommand;
use crate::dialog::{Body, LegEvent};

use super::Sessions;
use super::description::Told;
use super::news::News;
use super::ours::Hold;
use super::outcome::{Outcome, Timer};
use super::pair::Pair;
use super::single::Single;
use super::turn::Turn;

/// Where the offer comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The leg's INVITE had this offer and is not answered yet. A failure leaves it so.
    Invite(Body),
    /// The leg's re-INVITE had this offer.
    Offered(Body),
    /// The leg was INVITEd without an offer and will make it in its 2xx.
    Dialled,
    /// The same of a leg without a dialog, whose 2xx need not be acknowledged: a failure leaves it
    /// without ACK, so that its far end, which waits for that, learns of no success.
    Tied,
    /// The leg made this offer in its 2xx, which is not acknowledged yet.
    Answered(Body),
    /// The leg is asked for an offer, by a re-INVITE without one.
    Confirmed,
    /// What the leg said last is the offer. It is re-INVITEd with the answer if it has not heard
    /// that before.
    Known,
}

/// Where the offer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Into the INVITE of a new leg: [`Outcome::Dial`] says when.
    Dial,
    /// The leg's INVITE had no offer: into our 2xx.
    Invite,
    /// The leg's re-INVITE had no offer: into our 2xx.
    Offered,
    /// Into a re-INVITE.
    Confirmed,
    /// The same of a leg that is in another negotiation, which has the leg's events: not before
    /// [`Negotiation::resume`]. The source may answer meanwhile.
    Occupied,
}

/// A running exchange of offer and answer. It acknowledges every 2xx that it waits for, but for
/// that of a [`Source::Tied`], and never hangs up nor refuses an INVITE. A start that does not fail
/// at once wants every later event of its legs, until it is done or has failed; while it runs, no
/// other may be started on them, but for one to which a leg is [`Sink::Occupied`]. It may be
/// dropped at any time when all its legs are hung up.
#[derive(Debug)]
pub struct Negotiation<S>(Machine<S>);

#[derive(Debug)]
enum Machine<S> {
    Pair(Pair<S>),
    Single(Single<S>),
}

impl<S: Copy + PartialEq> Negotiation<S> {
    // Starts.

    /// Brings the source's offer to the sink and the sink's answer back.
    pub fn join(
        now: Instant,
        source: (S, Source),
        sink: (S, Sink),
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let turn = &mut turn(now, sessions, commands);
        let (pair, outcome) = Pair::start(turn, source, sink);
        (Self(Machine::Pair(pair)), outcome)
    }

    /// Brings a leg's re-INVITE, with or without an offer, to the leg across.
    pub fn relay(
        now: Instant,
        offerer: S,
        other: S,
        offer: Option<Body>,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let (source, sink) = match offer {
            Some(offer) => ((offerer, Source::Offered(offer)), (other, Sink::Confirmed)),
            None => ((other, Source::Confirmed), (offerer, Sink::Offered)),
        };
        Self::join(now, source, sink, sessions, commands)
    }

    /// Puts a leg on hold.
    pub fn hold(
        now: Instant,
        leg: S,
        hold: Hold,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let turn = &mut turn(now, sessions, commands);
        let (single, outcome) = Single::hold(turn, leg, hold);
        (Self(Machine::Single(single)), outcome)
    }

    /// Calls a leg with an offer that has no media (RFC 3725 §4.4); a join brings them later. The
    /// outcome is `Dial`.
    pub fn dial_without_media(
        now: Instant,
        leg: S,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let turn = &mut turn(now, sessions, commands);
        let (single, outcome) = Single::dial(turn, leg);
        (Self(Machine::Single(single)), outcome)
    }

    /// Answers a leg's re-INVITE out of what the leg was told before, because nobody is across or
    /// nothing has changed.
    pub fn answer_alone(
        now: Instant,
        leg: S,
        offer: Option<&Body>,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let turn = &mut turn(now, sessions, commands);
        let (single, outcome) = Single::answer(turn, leg, offer);
        (Self(Machine::Single(single)), outcome)
    }

    /// Takes a leg whose INVITE waits, without media, because its offer cannot be anybody's answer
    /// or because it makes none; a join brings them later. An offer that is no description fails at
    /// once.
    pub fn accept_alone(
        now: Instant,
        leg: S,
        offer: Option<&Body>,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> (Self, Outcome<S>) {
        let turn = &mut turn(now, sessions, commands);
        let (single, outcome) = Single::accept(turn, leg, offer, LegCommand::Answer);
        (Self(Machine::Single(single)), outcome)
    }

    /// Acknowledges a leg whose 2xx has an offer with the answer that keeps its session as it is,
    /// without media where there is none yet: nobody is across, and nobody knows for how long. A
    /// join brings them later. There is nothing to run.
    pub fn acknowledge_alone(
        now: Instant,
        leg: S,
        offer: &Body,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) {
        let turn = &mut turn(now, sessions, commands);
        turn.session(leg).hear_offer(&Told::of(offer));
        turn.acknowledge_alone(leg);
    }

    // Inputs.

    /// A leg that was [`Sink::Occupied`] is free.
    pub fn resume(
        &mut self,
        now: Instant,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> Outcome<S> {
        let turn = &mut turn(now, sessions, commands);
        match &mut self.0 {
            Machine::Pair(pair) => pair.resume(turn),
            Machine::Single(_) => Outcome::Running,
        }
    }

    /// News of a leg. What does not concern the exchange changes nothing.
    pub fn handle(
        &mut self,
        now: Instant,
        leg: S,
        event: &LegEvent,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> Outcome<S> {
        let turn = &mut turn(now, sessions, commands);
        let news = News::of(event);
        match &mut self.0 {
            Machine::Pair(pair) => pair.handle(turn, leg, news),
            Machine::Single(single) => single.handle(turn, leg, news),
        }
    }

    /// The call has changed its mind. What is already agreed comes to its end all the same.
    pub fn withdraw(
        &mut self,
        now: Instant,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> Outcome<S> {
        let turn = &mut turn(now, sessions, commands);
        match &mut self.0 {
            Machine::Pair(pair) => pair.withdraw(turn),
            Machine::Single(single) => single.withdraw(turn),
        }
    }

    /// A deadline may have passed.
    pub fn handle_timeout(
        &mut self,
        now: Instant,
        sessions: &mut dyn Sessions<S>,
        commands: &mut Vec<(S, LegCommand)>,
    ) -> Outcome<S> {
        let turn = &mut turn(now, sessions, commands);
        match &mut self.0 {
            Machine::Pair(pair) => pair.handle_timeout(turn),
            Machine::Single(single) => single.handle_timeout(turn),
        }
    }

    // Questions.

    /// When it acts by itself. A spent one does not.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Instant, Timer)> {
        match &self.0 {
            Machine::Pair(pair) => pair.poll_timeout(),
            Machine::Single(single) => single.poll_timeout(),
        }
    }

    /// Whether it waits for this leg, which was [`Sink::Occupied`], and wants none of its events
    /// but its end.
    #[must_use]
    pub fn is_kept_from(&self, leg: S) -> bool {
        match &self.0 {
            Machine::Pair(pair) => pair.is_kept_from(leg),
            Machine::Single(_) => false,
        }
    }

    /// Whether it has an offer for this leg, which is [`Sink::Occupied`].
    #[must_use]
    pub fn is_held_up_by(&self, leg: S) -> bool {
        match &self.0 {
            Machine::Pair(pair) => pair.is_held_up_by(leg),
            Machine::Single(_) => false,
        }
    }

    /// Whether it has said nothing to this leg so far, and nothing is awaited of it: withdrawn, it
    /// would be over at once.
    #[must_use]
    pub fn has_not_reached(&self, leg: S) -> bool {
        match &self.0 {
            Machine::Pair(pair) => pair.has_not_reached(leg),
            Machine::Single(_) => false,
        }
    }

    /// Whether the leg takes part.
    #[must_use]
    pub fn involves(&self, leg: S) -> bool {
        match &self.0 {
            Machine::Pair(pair) => pair.involves(leg),
            Machine::Single(single) => single.involves(leg),
        }
    }

    /// The description for a provisional response to a caller whose offer is with a leg that
    /// rings, out of that leg's early media. The final answer has to be the same (RFC 6337
    /// §3.1.2): a caller who may yet be given to somebody else must not get it.
    #[must_use]
    pub fn early(&self, media: &Body, sessions: &mut dyn Sessions<S>) -> Option<Body> {
        match &self.0 {
            Machine::Pair(pair) => pair.early(sessions, media),
            Machine::Single(_) => None,
        }
    }

    /// Whether the leg has answered and has its ACK, and only that of the other one is missing. An
    /// offer of the leg's may wait for the end then; handed over before, it is refused with 491.
    #[must_use]
    pub fn waits_for_other(&self, leg: S) -> bool {
        match &self.0 {
            Machine::Pair(pair) => pair.is_done_with(leg),
            Machine::Single(_) => false,
        }
    }
}

fn turn<'a, S>(
    now: Instant,
    sessions: &'a mut dyn Sessions<S>,
    commands: &'a mut Vec<(S, LegCommand)>,
) -> Turn<'a, S> {
    Turn {
        now,
        sessions,
        commands,
    }
}
