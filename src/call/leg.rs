//! The legs of a conversation: how far each is, what was said on it, and who hears whom.

use crate::dialog::{Body, LegEvent};
use crate::few::Few;
use crate::journal::field::{Field, Reader, choices, fields};
use crate::session::{LegSession, Sessions};

use super::command::{LegCommand, LegSlot};
use super::participant::Who;

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    slot: LegSlot,
    session: LegSession,
    pub(super) phase: Phase,
    kind: Kind,
    /// Whether its far end held by itself when its party's standing was last set by that.
    held: bool,
    /// Whether its far end is told that it is in a conference.
    is_focus: bool,
    /// Whether our answer to its INVITE has no ACK.
    unacknowledged: bool,
    /// Whom its far end was shown last, as a hash; 0 where that is not known.
    shown: u64,
    /// The leg whose media it gets.
    pub(super) with: Option<LegSlot>,
}

const _: () = assert!(size_of::<Leg>() <= 128, "a held call has two of them");

/// Whom a leg leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody who takes part, or is to.
    Party,
    /// Another conversation of ours.
    Tie,
    /// Music for who is held.
    Music,
    /// The mixer of a conference.
    Mixer,
}

/// How far a leg is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its INVITE waits for our answer.
    Invited {
        /// The offer in it; `None` asks us for one.
        offer: Option<Box<Body>>,
    },
    /// Our INVITE waits for its answer.
    Dialled {
        /// Whether the INVITE had an offer; else the answer will.
        with_offer: bool,
    },
    /// Its answer to our INVITE waits for our ACK.
    Answered {
        /// The offer in it, where our INVITE had none.
        offer: Option<Box<Body>>,
    },
    /// Both sides have what they need. Nothing else is written down.
    #[default]
    Up,
}

choices!(Kind {
    Party = 1,
    Tie = 2,
    Music = 3,
    Mixer = 4,
});
fields!(Leg {
    slot,
    session,
    kind,
    held,
    is_focus,
    with,
} forgets { phase, shown, unacknowledged });

/// The legs of a conversation.
#[derive(Debug, Default)]
pub(super) struct Legs {
    legs: Few<Leg>,
    next: u32,
}

impl Legs {
    /// The leg of an INVITE from outside.
    pub(super) fn invited(&mut self, seed: u64, offer: Option<Body>) -> LegSlot {
        let offer = offer.map(Box::new);
        self.add(LegSession::inbound, seed, Phase::Invited { offer })
    }

    /// The leg of an INVITE of ours.
    pub(super) fn dialled(&mut self, seed: u64) -> LegSlot {
        self.add(
            LegSession::outbound,
            seed,
            Phase::Dialled { with_offer: false },
        )
    }

    /// The INVITE of a leg goes out with an offer.
    pub(super) fn offers(&mut self, slot: LegSlot) {
        if let Some(leg) = self.entry(slot) {
            leg.phase = Phase::Dialled { with_offer: true };
        }
    }

    /// The leg leads to somebody else than a party.
    pub(super) fn leads_to(&mut self, slot: LegSlot, kind: Kind) {
        if let Some(leg) = self.entry(slot) {
            leg.kind = kind;
        }
    }

    pub(super) fn is_tie(&self, slot: LegSlot) -> bool {
        self.get(slot).is_some_and(|leg| leg.kind == Kind::Tie)
    }

    /// Whether the leg gets the media of a conference.
    pub(super) fn hears_mixer(&self, slot: LegSlot) -> bool {
        let partner = self.partner(slot).and_then(|partner| self.get(partner));
        partner.is_some_and(|partner| partner.kind == Kind::Mixer)
    }

    /// The far end of a leg is told whether it is in a conference; whether that is news to it.
    pub(super) fn focuses(&mut self, slot: LegSlot, is_focus: bool) -> bool {
        let leg = self.entry(slot);
        leg.is_some_and(|leg| std::mem::replace(&mut leg.is_focus, is_focus) != is_focus)
    }

    /// The far end of a leg is shown somebody, or somebody of whom no more is known than that it
    /// was told; whether that is news to it.
    pub(super) fn shows(&mut self, slot: LegSlot, who: Option<&Who>) -> bool {
        let Some(leg) = self.entry(slot) else {
            return false;
        };
        let shown = who.map_or(0, Who::fingerprint);
        let is_news = shown == 0 || leg.shown != shown;
        leg.shown = shown;
        is_news
    }

    fn add(&mut self, session: fn(u64) -> LegSession, seed: u64, phase: Phase) -> LegSlot {
        let slot = LegSlot(self.next);
        self.next += 1;
        self.legs.push(Leg {
            slot,
            session: session(seed.wrapping_add(u64::from(slot.0))),
            phase,
            kind: Kind::Party,
            held: false,
            is_focus: false,
            unacknowledged: false,
            shown: 0,
            with: None,
        });
        slot
    }

    pub(super) fn get(&self, slot: LegSlot) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.slot == slot)
    }

    fn entry(&mut self, slot: LegSlot) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.slot == slot)
    }

    pub(super) fn phase(&self, slot: LegSlot) -> Option<&Phase> {
        self.get(slot).map(|leg| &leg.phase)
    }

    /// Whether its INVITE waits for our answer.
    pub(super) fn is_invited(&self, slot: LegSlot) -> bool {
        matches!(self.phase(slot), Some(Phase::Invited { .. }))
    }

    pub(super) fn is_up(&self, slot: LegSlot) -> bool {
        matches!(self.phase(slot), Some(Phase::Up))
    }

    /// Whether neither of us owes the other an answer or an ACK that has one.
    pub(super) fn is_settled(&self, slot: LegSlot) -> bool {
        self.get(slot).is_some_and(|leg| leg.session.is_settled())
    }

    /// Whether the far end of a leg has been told what that of another one has said last.
    pub(super) fn knows(&self, slot: LegSlot, other: LegSlot) -> bool {
        let (Some(leg), Some(other)) = (self.get(slot), self.get(other)) else {
            return false;
        };
        leg.session.knows(&other.session)
    }

    /// The leg whose media this one gets.
    pub(super) fn partner(&self, slot: LegSlot) -> Option<LegSlot> {
        self.get(slot).and_then(|leg| leg.with)
    }

    /// Whether the far end has put us on hold by itself.
    pub(super) fn is_held_by_far_end(&self, slot: LegSlot) -> bool {
        self.get(slot)
            .is_some_and(|leg| leg.session.far_end_holds())
    }

    /// Looks at whether the far end holds by itself; whether it has taken back, and sends again,
    /// what it held when that was last looked at. A far end that holds nothing and refreshes its
    /// session has not: it may offer to send and receive although we have put it on hold
    /// (RFC 6337 §5.3).
    pub(super) fn takes_back(&mut self, slot: LegSlot) -> bool {
        let Some(leg) = self.entry(slot) else {
            return false;
        };
        let holds = leg.session.far_end_holds();
        let held = std::mem::replace(&mut leg.held, holds);
        held && !holds && leg.session.far_end_sends()
    }

    /// Forgets a leg; who heard it hears nobody.
    pub(super) fn remove(&mut self, slot: LegSlot) -> bool {
        self.part(slot);
        let before = self.legs.len();
        self.legs.retain(|leg| leg.slot != slot);
        self.legs.len() < before
    }

    /// The two hear each other from now on; gives back who is left alone by that.
    pub(super) fn join(&mut self, one: LegSlot, other: LegSlot) -> Vec<LegSlot> {
        let mut alone = Vec::new();
        for (slot, with) in [(one, other), (other, one)] {
            alone.extend(self.part(slot).filter(|old| *old != with));
        }
        for (slot, with) in [(one, other), (other, one)] {
            if let Some(leg) = self.entry(slot) {
                leg.with = Some(with);
            }
        }
        alone
    }

    /// The leg hears nobody from now on; gives back who heard it.
    pub(super) fn part(&mut self, slot: LegSlot) -> Option<LegSlot> {
        let partner = self.entry(slot)?.with.take()?;
        if let Some(leg) = self.entry(partner) {
            leg.with = None;
        }
        Some(partner)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = LegSlot> {
        self.legs.iter().map(|leg| leg.slot)
    }

    /// Notes what a leg says about how far it is.
    pub(super) fn hear(&mut self, slot: LegSlot, event: &LegEvent) {
        if let (Some(leg), LegEvent::Answered { body }) = (self.entry(slot), event)
            && let Phase::Dialled { with_offer } = leg.phase
        {
            let offer = body.as_ref().filter(|_| !with_offer);
            let offer = offer.cloned().map(Box::new);
            leg.phase = Phase::Answered { offer };
        }
        if let (Some(leg), LegEvent::Acknowledged { .. }) = (self.entry(slot), event) {
            leg.unacknowledged = false;
        }
    }

    /// Whether the far end of a leg may not know that its INVITE was answered.
    pub(super) fn is_unacknowledged(&self, slot: LegSlot) -> bool {
        self.get(slot).is_some_and(|leg| leg.unacknowledged)
    }

    /// Notes what a leg is told about how far it is.
    pub(super) fn told(&mut self, slot: LegSlot, command: &LegCommand) {
        let Some(leg) = self.entry(slot) else {
            return;
        };
        let is_up = match (&leg.phase, command) {
            (Phase::Invited { .. }, LegCommand::Answer(_))
            | (Phase::Answered { .. }, LegCommand::Acknowledge(_)) => true,
            (
                Phase::Invited { .. } | Phase::Dialled { .. } | Phase::Answered { .. } | Phase::Up,
                _,
            ) => false,
        };
        if is_up {
            leg.unacknowledged = matches!(leg.phase, Phase::Invited { .. });
            leg.phase = Phase::Up;
        }
    }
}

impl Field for Legs {
    fn write(&self, out: &mut Vec<u8>) {
        let up = || self.legs.iter().filter(|leg| leg.phase == Phase::Up);
        let count = u32::try_from(up().count()).expect("legs are numbered with 32 bits");
        count.write(out);
        for leg in up() {
            leg.write(out);
        }
        self.next.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut legs = Self {
            legs: Vec::<Leg>::read(from)?.into_iter().collect(),
            next: u32::read(from)?,
        };
        let slots: Vec<LegSlot> = legs.slots().collect();
        for leg in legs.legs.iter_mut() {
            leg.with.take_if(|with| !slots.contains(with));
        }
        Some(legs)
    }
}

impl Sessions<LegSlot> for Legs {
    fn session(&mut self, slot: LegSlot) -> &mut LegSession {
        let leg = self.entry(slot);
        &mut leg
            .expect("an exchange is told when one of its legs is gone")
            .session
    }
}
