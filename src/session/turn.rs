//! What a negotiation works with while it handles one input.

use std::time::Instant;

use crate::call::LegCommand;
use crate::dialog::Body;
use crate::sip::Status;

use super::Sessions;
use super::description::Told;
use super::leg::LegSession;

pub(super) struct Turn<'a, S> {
    pub(super) now: Instant,
    pub(super) sessions: &'a mut dyn Sessions<S>,
    pub(super) commands: &'a mut Vec<(S, LegCommand)>,
}

impl<S: Copy> Turn<'_, S> {
    pub(super) fn session(&mut self, leg: S) -> &mut LegSession {
        self.sessions.session(leg)
    }

    pub(super) fn tell(&mut self, leg: S, command: LegCommand) {
        self.commands.push((leg, command));
    }

    pub(super) fn refuse_offer(&mut self, leg: S, status: Status) {
        self.tell(leg, LegCommand::RefuseOffer(status));
    }

    /// The answer to the leg's offer that leaves its session as it is. Says whether the leg's
    /// media have moved.
    pub(super) fn acknowledge_alone(&mut self, leg: S) -> bool {
        let (answer, moved) = self.session(leg).answer_alone();
        self.tell(leg, LegCommand::Acknowledge(answer));
        moved
    }

    /// A 2xx makes an offer for which an earlier process has asked: it gets the answer that leaves
    /// the leg's session as it is. Says whether that is news for whom the leg is connected with.
    pub(super) fn acknowledge_recalled(&mut self, leg: S, offer: &Body) -> bool {
        let session = self.session(leg);
        let is_news = !session.is_known(offer);
        session.hear_offer(&Told::of(offer));
        self.acknowledge_alone(leg);
        is_news
    }

    /// The leg's answer in the 2xx to a re-INVITE of ours takes effect.
    pub(super) fn conclude(&mut self, leg: S, answer: &Body) {
        self.session(leg).hear_answer(&Told::of(answer));
        self.tell(leg, LegCommand::Acknowledge(None));
    }
}
