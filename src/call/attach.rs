//! The attached data of a call changes: in the name of a party, or of the routing point that the
//! call came through. Every party's events show it, and the queue's while the call is there.

use std::sync::Arc;

use crate::agent::PartyState;
use crate::cti::{ErrorCode, Event, EventName, RequestedBy, UserDataChange};
use crate::queue;

use super::Command;
use super::command::LegSlot;
use super::conversation::{Conversation, Turn, Which};
use super::facts::{Origin, refuse_request};
use super::participant::{News, Participant};
use super::quest::Quest;

/// In whose name the data changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// A party of the call.
    Party,
    /// The routing point.
    RoutingPoint,
}

impl Conversation {
    pub(super) fn attach(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        (requested_by, this_dn): (RequestedBy, &str),
        change: UserDataChange,
    ) {
        let parties = self.known_parties(which);
        let by = match self.changes_by(which, &parties, this_dn) {
            Ok(by) => by,
            Err((code, message)) => {
                let now = turn.now;
                return refuse_request(now, turn.commands, requested_by, this_dn, code, &message);
            }
        };
        let Some((_, _, call)) = self.parts(which) else {
            return;
        };
        if let Err(code) = call.change_user_data(change) {
            let message = if code == ErrorCode::TooBusy {
                "the user data of the call would exceed its limit; delete pairs first"
            } else {
                "the user data has no pair with this key"
            };
            let now = turn.now;
            return refuse_request(now, turn.commands, requested_by, this_dn, code, message);
        }
        self.show_attached(turn, which, &parties, (requested_by, this_dn, by));
    }

    /// Who was added is in, and so is what it brings along.
    pub(super) fn attach_brought(&mut self, turn: &mut Turn<'_>, added: LegSlot, by: &str) {
        let mut all = self.main.participants.iter_mut();
        let new = all.find(|who| who.leg == added);
        let Some(pairs) = new.and_then(|who| who.brings.take()) else {
            return;
        };
        let change = UserDataChange::Update(Arc::unwrap_or_clone(pairs));
        let fits = self.main.change_user_data(change).is_ok();
        // Who was added has shown it from the first: the others follow, or it does if the data has
        // grown too large meanwhile.
        self.show_data(turn, by, |who| (who.leg != added) == fits);
    }

    /// What a request has done to the data of the main call besides is shown by some.
    pub(super) fn show_data(
        &self,
        turn: &mut Turn<'_>,
        by: &str,
        is_concerned: impl Fn(&Participant) -> bool,
    ) {
        for who in self
            .main
            .participants
            .iter()
            .filter(|who| is_concerned(who))
        {
            let origin = Origin {
                changed_by: Some(by.into()),
                ..Origin::default()
            };
            let state = PartyState::UserDataChanged;
            self.report(turn, Which::Main, who, state, News::from(origin));
        }
    }

    /// Who of the call is known to clients.
    fn known_parties(&self, which: Which) -> Vec<Participant> {
        let Some(call) = self.call(which) else {
            return Vec::new();
        };
        let ringing = call.quest.as_ref().filter(|quest| quest.rings());
        let ringing = ringing.and_then(Quest::called);
        call.participants.iter().chain(ringing).cloned().collect()
    }

    fn is_at(&self, who: &Participant, this_dn: &str) -> bool {
        let config = &self.facts.config;
        who.dn()
            .is_some_and(|dn| *config.agent_at(dn).dn == *this_dn)
    }

    fn changes_by(
        &self,
        which: Which,
        parties: &[Participant],
        this_dn: &str,
    ) -> Result<By, (ErrorCode, String)> {
        if parties.iter().any(|who| self.is_at(who, this_dn)) {
            return Ok(By::Party);
        }
        let call = self.call(which);
        let through = call.and_then(|call| call.through);
        // Who is added to a call may wait at another one.
        let entry = call.and_then(|call| call.quest.as_ref()?.entry);
        let entered = entry.map(|entry| entry.routing_point);
        let mut points = through.map(|(_, point)| point).into_iter().chain(entered);
        let config = &self.facts.config;
        if points.any(|point| *config.routing_point_at(point).number == *this_dn) {
            return Ok(By::RoutingPoint);
        }
        if through.is_none() && parties.iter().all(|who| who.dn().is_none()) {
            let message = "the call is on its way to the agent; try again when it rings";
            return Err((ErrorCode::WrongState, message.to_owned()));
        }
        let message = format!("{this_dn} is no party of this call");
        Err((ErrorCode::InvalidConnID, message))
    }

    /// Tells all who show the data. Who asked in the name of the routing point is answered by the
    /// queue while the call is there, else by the first party that can.
    fn show_attached(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        parties: &[Participant],
        (requested_by, this_dn, by): (RequestedBy, &str, By),
    ) {
        let Some(call) = self.call(which) else {
            return;
        };
        let entry = call.quest.as_ref().and_then(|quest| quest.entry);
        let mut unanswered = Some(requested_by);
        if let Some(entry) = entry {
            let input = queue::Input::UserDataChanged {
                conn_id: entry.conn_id,
                info: Arc::clone(&call.info),
                requested_by: unanswered.take_if(|_| by == By::RoutingPoint),
                changed_by: this_dn.into(),
            };
            entry.tell_data(input, turn.commands);
        }
        for who in parties.iter().filter(|who| who.dn().is_some()) {
            let answers = by == By::RoutingPoint || self.is_at(who, this_dn);
            let origin = Origin {
                requested_by: unanswered.take_if(|_| answers),
                changed_by: Some(this_dn.into()),
                ..Origin::default()
            };
            let state = PartyState::UserDataChanged;
            self.report(turn, which, who, state, News::from(origin));
        }
        if unanswered.is_some() {
            let mut event = Event::new(turn.now, EventName::ACK, this_dn);
            event.requested_by = unanswered;
            turn.commands.push(Command::Event(Box::new(event)));
        }
    }
}
