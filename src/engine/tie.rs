//! Ties: two conversations joined as if by a call between them, without a message on the network.
//! One of them dials, the other one is dialled for the place of one of its parties
//! (`call::takeover`), and from then on each is a leg to the other: what a leg is told at one end
//! is what the leg says at the other. They may be on two shards or on one.

use std::collections::BTreeMap;

use std::time::Instant;

use offhook_shards::ShardId;

use crate::call::{
    self, CallKey, Dial, DialTo, Event as CallEvent, LegCommand, LegSlot, Newcomer, Question,
};
use crate::dialog::{LegEvent, Release};
use crate::sip::Status;

use super::{Engine, Message};

/// A tie, by the leg that dialled it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TieName {
    shard: ShardId,
    key: CallKey,
    slot: LegSlot,
}

/// One of the two ends of a tie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TieEnd {
    /// That of the conversation that dialled.
    Dialling,
    /// The other one.
    Dialled,
}

/// A leg of a conversation.
type Place = (CallKey, LegSlot);

/// One end that is here.
#[derive(Debug, Clone, Copy)]
struct End {
    name: TieName,
    end: TieEnd,
    /// The shard of the other end.
    across: ShardId,
    /// Whether the first answer has not been acknowledged.
    is_opening: bool,
    /// Whether an offer of the other end waits for an answer of this one.
    is_offered: bool,
}

/// The ends of ties that are on this shard.
#[derive(Debug, Default)]
pub(super) struct Ties {
    ends: BTreeMap<Place, End>,
    places: BTreeMap<(TieName, TieEnd), Place>,
}

impl Ties {
    /// How many ends there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn add(&mut self, place: Place, end: End) {
        self.places.insert((end.name, end.end), place);
        self.ends.insert(place, end);
    }

    fn remove(&mut self, place: Place) -> Option<End> {
        let end = self.ends.remove(&place)?;
        self.places.remove(&(end.name, end.end));
        Some(end)
    }
}

impl End {
    fn new(name: TieName, end: TieEnd, across: ShardId) -> Self {
        Self {
            name,
            end,
            across,
            is_opening: true,
            is_offered: false,
        }
    }

    /// What the other end hears when this one is told something; `None` where there is nobody
    /// whom it could concern.
    fn heard_across(&mut self, command: LegCommand) -> Option<LegEvent> {
        Some(match command {
            LegCommand::Progress(status) => LegEvent::Progress { status, body: None },
            LegCommand::Queued(_) => LegEvent::Progress {
                status: Status::QUEUED,
                body: None,
            },
            LegCommand::EarlyMedia(status, body) => LegEvent::Progress {
                status,
                body: Some(body),
            },
            LegCommand::Answer(body) => LegEvent::Answered { body },
            LegCommand::Refuse(refusal) => LegEvent::Refused {
                status: refusal.status,
                retry_after: refusal.retry_after,
                after_provisional: false,
            },
            LegCommand::Acknowledge(body) if std::mem::take(&mut self.is_opening) => {
                LegEvent::Acknowledged { body }
            }
            LegCommand::Acknowledge(body) => LegEvent::OfferAcknowledged { body },
            LegCommand::Offer(body) => LegEvent::Offered { body },
            LegCommand::WithdrawOffer => LegEvent::OfferCancelled,
            LegCommand::AnswerOffer(body) => {
                self.is_offered = false;
                LegEvent::OfferAnswered { body }
            }
            LegCommand::RefuseOffer(status) => {
                self.is_offered = false;
                LegEvent::OfferRefused { status }
            }
            // Whoever is behind this end has not left, but was lost.
            LegCommand::HangUp(cause) if cause == call::cause::FAILURE.into() => {
                LegEvent::HungUp(Release::Lost)
            }
            LegCommand::HangUp(cause) => LegEvent::HungUp(Release::Bye { cause }),
            LegCommand::Identify(party) => LegEvent::Identified(party),
            LegCommand::Info { body, reports } => LegEvent::Info { body, reports },
            LegCommand::InfoAnswered(status) => LegEvent::InfoAnswered { status },
            LegCommand::Talk
            | LegCommand::Focus(_)
            | LegCommand::AcceptRefer
            | LegCommand::RefuseRefer(_)
            | LegCommand::ReportRefer(_) => return None,
        })
    }
}

impl TieEnd {
    fn other(self) -> Self {
        match self {
            Self::Dialling => Self::Dialled,
            Self::Dialled => Self::Dialling,
        }
    }
}

fn ends_tie(event: &LegEvent) -> bool {
    matches!(event, LegEvent::HungUp(_) | LegEvent::Refused { .. })
}

fn refused(status: Status) -> LegEvent {
    LegEvent::Refused {
        status,
        retry_after: None,
        after_provisional: false,
    }
}

impl Engine {
    /// A conversation dials another one for a place in it.
    pub(super) fn tie(&mut self, (key, slot): Place, dial: Dial) {
        let DialTo::Takeover(takeover) = dial.to else {
            return;
        };
        let name = TieName {
            shard: self.shard,
            key,
            slot,
        };
        let across = self.owners.call_id(&takeover.replaces.call_id);
        let end = End::new(name, TieEnd::Dialling, across);
        self.ties.add((key, slot), end);
        let newcomer = Newcomer {
            calling: dial.calling,
            offer: dial.offer,
            takeover: *takeover,
        };
        self.send(across, Message::Takeover(name, Box::new(newcomer)));
    }

    /// Somebody wants the place of a party here.
    pub(super) fn taken_over(&mut self, now: Instant, name: TieName, newcomer: Newcomer) {
        let taken = self.take_over(now, newcomer);
        match taken {
            Ok(place) => {
                let end = End::new(name, TieEnd::Dialled, name.shard);
                self.ties.add(place, end);
            }
            Err(status) => {
                let refused = Message::Tie(name, TieEnd::Dialling, refused(status));
                self.send(name.shard, refused);
            }
        }
    }

    fn take_over(&mut self, now: Instant, newcomer: Newcomer) -> Result<Place, Status> {
        if self.is_full() {
            return Err(Status::SERVICE_UNAVAILABLE);
        }
        let leg = self.user_agent.replaced(&newcomer.takeover.replaces)?;
        let replaced = self.links.call_of(leg);
        let (key, slot) = replaced.ok_or(Status::CALL_DOES_NOT_EXIST)?;
        let newcomer = self.calls.take_over(now, (key, slot), newcomer)?;
        Ok((key, newcomer))
    }

    /// A leg that is a tie is told something.
    pub(super) fn say_on_tie(&mut self, place: Place, command: LegCommand) {
        let Some(end) = self.ties.ends.get_mut(&place) else {
            return;
        };
        let Some(event) = end.heard_across(command) else {
            return;
        };
        let end = *end;
        if ends_tie(&event) {
            self.ties.remove(place);
        }
        self.send_across(end, event);
    }

    fn send_across(&mut self, end: End, event: LegEvent) {
        let message = Message::Tie(end.name, end.end.other(), event);
        self.send(end.across, message);
    }

    /// The other end of a tie says something.
    pub(super) fn tie_says(&mut self, now: Instant, name: TieName, end: TieEnd, event: LegEvent) {
        // What was said before the other end heard that this one is gone.
        let Some(place) = self.ties.places.get(&(name, end)).copied() else {
            return;
        };
        let Some(here) = self.ties.ends.get_mut(&place) else {
            return;
        };
        match &event {
            LegEvent::Offered { .. } => here.is_offered = true,
            LegEvent::Acknowledged { .. } => here.is_opening = false,
            // The answer has crossed it.
            LegEvent::OfferCancelled if !here.is_offered => return,
            LegEvent::OfferCancelled => {
                here.is_offered = false;
                let here = *here;
                let status = Status::REQUEST_TERMINATED;
                self.send_across(here, LegEvent::OfferRefused { status });
            }
            event if ends_tie(event) => {
                self.ties.remove(place);
            }
            LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::AcknowledgementDue
            | LegEvent::Refreshed { .. }
            | LegEvent::Refused { .. }
            | LegEvent::HungUp(_)
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferAcknowledged { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. }
            | LegEvent::Referred(_) => {}
        }
        let (key, slot) = place;
        self.calls.handle(now, key, CallEvent::Leg(slot, event));
    }

    /// A conversation asks along a tie whether it is in a circle.
    pub(super) fn ask_on_tie(&mut self, place: Place, question: Question) {
        if let Some(end) = self.ties.ends.get(&place).copied() {
            let message = Message::AskRound(end.name, end.end.other(), question);
            self.send(end.across, message);
        }
    }

    /// A conversation that asks so is heard.
    pub(super) fn asked_on_tie(
        &mut self,
        now: Instant,
        name: TieName,
        end: TieEnd,
        question: Question,
    ) {
        if let Some((key, slot)) = self.ties.places.get(&(name, end)).copied() {
            self.calls
                .handle(now, key, CallEvent::AskedRound(slot, question));
        }
    }

    /// A call is over: nothing is left of its ties.
    pub(super) fn cut_ties(&mut self, key: CallKey) {
        let mut left = self.ties.ends.range((key, LegSlot::FIRST)..);
        let mut places = Vec::new();
        while let Some((place, _)) = left.next().filter(|((of, _), _)| *of == key) {
            places.push(*place);
        }
        for place in places {
            if let Some(end) = self.ties.remove(place) {
                self.send_across(end, LegEvent::HungUp(Release::Lost));
            }
        }
    }
}
