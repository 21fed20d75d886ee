//! Everybody hears whom they should: after a task that came to nothing half-way, and after
//! somebody has left in the middle of one. What each party is to hear follows from where it
//! stands, so that it does not matter how far the task had come.

use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::leg::Phase;
use super::participant::{Participant, Standing};
use super::task::{Step, Then};

impl Conversation {
    /// Takes the steps that put everybody right, after some that are needed anyway. A task under
    /// way does so itself.
    pub(super) fn put_right(&mut self, turn: &mut Turn<'_>, mut steps: Vec<Step>) {
        if self.task.is_some() {
            return;
        }
        for which in [Which::Main, Which::Consult] {
            steps.extend(self.misplaced(which));
        }
        // Who is on hold first: that can always be done, and what fails ends the task.
        steps.sort_by_key(|step| !matches!(step, Step::Quiet(_)));
        steps.dedup();
        if !steps.is_empty() {
            self.start(turn, None, steps, Then::Rest);
        }
    }

    /// The steps by which each party of a call hears whom it should.
    fn misplaced(&self, which: Which) -> Vec<Step> {
        let all = self.call(which).map_or(&[][..], |call| &call.participants);
        let holds = |who: &&Participant| who.standing == Standing::Holding;
        let mut steps = Vec::new();
        for holder in all.iter().filter(holds) {
            let is_away = self.talking_in(holder.leg) != which;
            if !is_away && self.legs.hears_mixer(holder.leg) {
                steps.push(Step::Hold(holder.leg));
            }
        }
        match all {
            [one, other] if !holds(&one) && !holds(&other) => {
                steps.extend(self.join_of(one.leg, other.leg));
            }
            // On hold, or alone while somebody is sought.
            [_] | [_, _] => {
                let mixed = all.iter().filter(|who| !holds(who)).map(|who| who.leg);
                steps.extend(
                    mixed
                        .filter(|leg| self.legs.hears_mixer(*leg))
                        .map(Step::Quiet),
                );
            }
            _ => steps.extend(self.unmixed(all)),
        }
        steps
    }

    /// The steps by which all of a conference who talk hear its mixer.
    pub(super) fn unmixed(&self, all: &[Participant]) -> impl Iterator<Item = Step> {
        let talk = |who: &&Participant| who.standing == Standing::Talking;
        let legs = all.iter().filter(talk).map(|who| who.leg);
        legs.filter(|leg| !self.legs.hears_mixer(*leg))
            .map(Step::Mix)
    }

    /// Two who talk to each other hear each other, or both the mixer.
    fn join_of(&self, one: LegSlot, other: LegSlot) -> Vec<Step> {
        let hear_mixer = [one, other].map(|leg| self.legs.hears_mixer(leg));
        let is_being_joined = self.exchanges.joins(one) || self.exchanges.joins(other);
        if hear_mixer == [true; 2] || self.legs.partner(one) == Some(other) || is_being_joined {
            return Vec::new();
        }
        if self.legs.is_up(one) && self.legs.is_up(other) {
            return vec![Step::Join(one, other)];
        }
        // Who was added and has only just answered: its offer can go to the mixer.
        let waits = |leg| matches!(self.legs.phase(leg), Some(Phase::Answered { .. }));
        if !waits(one) && !waits(other) {
            return Vec::new();
        }
        let apart = [one, other].into_iter().zip(hear_mixer);
        let unmixed = apart.filter(|(_, hears)| !hears);
        unmixed.map(|(leg, _)| Step::Mix(leg)).collect()
    }

    /// Whoever holds the main call, and consults nobody any more, hears nobody; and neither does
    /// whom it holds, where it had begun to take that one back.
    pub(super) fn rest_holders(&mut self, turn: &mut Turn<'_>) {
        let holders = self
            .main
            .participants
            .iter()
            .filter(|who| who.dn().is_some() && who.standing == Standing::Holding);
        let legs: Vec<LegSlot> = holders
            .map(|who| who.leg)
            .filter(|leg| self.legs.is_up(*leg))
            .collect();
        let mut steps = Vec::new();
        for leg in legs {
            self.undo_exchange(turn, leg);
            let partner = self.legs.partner(leg);
            let held = partner.filter(|partner| self.main.with_leg(*partner).is_some());
            steps.extend(held.map(Step::Quiet));
            steps.push(Step::Hold(leg));
        }
        self.put_right(turn, steps);
    }
}
