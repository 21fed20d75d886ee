//! Calls tied in a circle. A phone that joins its two calls and leaves makes them one; phones that
//! each do so may in the end have tied the last call to the first. Nobody is left there who could
//! hang up, and no message comes from outside any more.
//!
//! A conversation that has become a mere link, two ties and nobody else, therefore asks along one
//! of them. Links pass the question on, and anybody else lets it be. Whoever gets its own question
//! back is in a circle, and ends. As every link asks when it becomes one, the last of a circle
//! finds it closed; and no link becomes anything else by the phone of anybody, so that a question
//! that came round is true.

use crate::agent::EndCause;

use super::CallRef;
use super::command::{Command, LegSlot};
use super::conversation::{Conversation, Turn};
use super::facts::cause;

impl Conversation {
    /// The two ties of a conversation in which nobody else is or is sought.
    fn link(&self) -> Option<[LegSlot; 2]> {
        let [one, other] = &*self.main.participants else {
            return None;
        };
        let ties = [one.leg, other.leg];
        let is_link = ties.iter().all(|leg| self.legs.is_tie(*leg))
            && self.consult.is_none()
            && self.main.quest.is_none();
        is_link.then_some(ties)
    }

    /// Asks whether it is in a circle, if it has become a link by this turn.
    pub(super) fn look_for_circle(&mut self, turn: &mut Turn<'_>) {
        let link = self.link();
        let was_link = std::mem::replace(&mut self.facts.is_link, link.is_some());
        if let (Some([_, way]), false) = (link, was_link) {
            let asks = self.facts.call(self.main.conn_id);
            turn.commands.push(Command::AskRound(way, asks));
        }
    }

    /// A question has come by a tie.
    pub(super) fn asked_round(&mut self, turn: &mut Turn<'_>, leg: LegSlot, asks: CallRef) {
        let Some([one, other]) = self.link() else {
            return;
        };
        let facts = &self.facts;
        // Its name may have become another one meanwhile.
        if (asks.shard, asks.key) == (facts.shard, facts.key) {
            return self.end_all(turn, EndCause::CallerReleased, cause::NORMAL);
        }
        let way = if leg == one { other } else { one };
        turn.commands.push(Command::AskRound(way, asks));
    }
}
