//! Calls tied in a circle. A phone that joins its two calls and leaves makes them one; phones that
//! each do so may in the end have tied the last call to the first. No phone is left there that
//! could hang up.
//!
//! A conversation that has become a mere link, two ties and nobody else, therefore asks along one
//! of them. Links pass the question on, and anybody else lets it be. Whoever gets its own question
//! back is in a circle, and ends. As every link asks when it becomes one, the last of a circle
//! finds it closed. Where a question has come round there was no phone: a link has none that could
//! be replaced or bring somebody, and whoever a desktop calls into it hears only ties.
//!
//! A conference that only ties are in is no link. Such a circle lasts as long as calls may.

use offhook_shards::ShardId;

use crate::agent::EndCause;
use crate::limits::CIRCLE_CALLS_MAX;

use super::CallKey;
use super::command::{Command, LegSlot};
use super::conversation::{Conversation, Turn};
use super::facts::cause;

/// Whether calls are tied in a circle, asked by one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    pub(super) shard: ShardId,
    pub(super) key: CallKey,
    /// How many links may still pass it on: it ends where its asker is none any more.
    pub(super) hops: u16,
}

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
            let question = Question {
                shard: self.facts.shard,
                key: self.facts.key,
                hops: CIRCLE_CALLS_MAX,
            };
            turn.commands.push(Command::AskRound(way, question));
        }
    }

    /// A question has come by a tie.
    pub(super) fn asked_round(&mut self, turn: &mut Turn<'_>, leg: LegSlot, question: Question) {
        let way = match self.link() {
            Some([one, other]) if leg == one => other,
            Some([one, other]) if leg == other => one,
            Some(_) | None => return,
        };
        if (question.shard, question.key) == (self.facts.shard, self.facts.key) {
            return self.end_all(turn, EndCause::CallerReleased, cause::NORMAL);
        }
        if let Some(hops) = question.hops.checked_sub(1) {
            let question = Question { hops, ..question };
            turn.commands.push(Command::AskRound(way, question));
        }
    }
}
