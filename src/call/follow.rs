//! What a phone does by itself is followed: a transfer by REFER is as if its desktop had asked for
//! it (RFC 3515, RFC 5589), and who is across is shown to whom it talks to.

use std::sync::Arc;

use crate::config::DnIndex;
use crate::dialog;
use crate::sip::Status;

use super::command::{Command, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::facts::Origin;
use super::participant::{Participant, Who};
use super::takeover::Target;
use super::task::Then;
use super::why::Why;
use super::{Destination, Referred, Replaced};

/// A phone joins its two calls, under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Joining {
    /// Whose REFER it is.
    leg: LegSlot,
    /// The agent who leaves both calls by it.
    dn: DnIndex,
    /// Whom it has consulted.
    consulted: LegSlot,
}

impl Joining {
    /// The two cannot be connected: the phone keeps both calls, and is told so.
    pub(super) fn fails(self, turn: &mut Turn<'_>) {
        refer_ends(turn, self.leg, Status::TEMPORARILY_UNAVAILABLE);
    }
}

impl Conversation {
    /// Who is across has told its name: whom it talks to is shown it.
    pub(super) fn identified(
        &mut self,
        turn: &mut Turn<'_>,
        leg: LegSlot,
        party: Arc<dialog::Party>,
    ) {
        self.across_is(leg, &party);
        if let Some(partner) = self.legs.partner(leg) {
            self.show_party(turn, partner, party);
        }
    }

    /// A leg is shown whom another one has told of.
    pub(super) fn show_party(
        &mut self,
        turn: &mut Turn<'_>,
        leg: LegSlot,
        party: Arc<dialog::Party>,
    ) {
        self.show_who(turn, leg, &Who::Outside(party));
    }

    /// A leg is shown whom it talks to now.
    pub(super) fn show(&mut self, turn: &mut Turn<'_>, leg: LegSlot, whom: &Participant) {
        self.show_who(turn, leg, &whom.who);
    }

    /// Unless it was before: calls that are tied in a circle would tell each other of one who is in
    /// none of them, and never end.
    fn show_who(&mut self, turn: &mut Turn<'_>, leg: LegSlot, who: &Who) {
        if self.legs.shows(leg, Some(who)) {
            let identify = LegCommand::Identify(who.party(&self.facts));
            turn.commands.push(Command::Leg(leg, identify));
        }
    }

    /// A phone transfers its call by REFER.
    pub(super) fn referred(&mut self, turn: &mut Turn<'_>, leg: LegSlot, referred: Referred) {
        let Referred {
            number,
            referred_by,
            replaced,
        } = referred;
        let which = self.talking_in(leg);
        let dn = self.call(which).and_then(|call| call.with_leg(leg)?.dn());
        let dn = dn.filter(|dn| self.facts.config.phone(*dn).refer);
        let done = match (dn, replaced) {
            (_, _) if self.task.is_some() => false,
            (Some(dn), Replaced::Nothing) => {
                let target = Target {
                    number,
                    referred_by,
                };
                self.blind_transfer(turn, (which, leg, dn), target)
            }
            (Some(dn), Replaced::Leg(other)) => self.attended_transfer(turn, (leg, other), dn),
            // Who has both calls may join them, whoever it is.
            (_, Replaced::Elsewhere(replaces)) => {
                let target = Target {
                    number,
                    referred_by,
                };
                self.transfer_across(turn, leg, (target, replaces))
            }
            (None, Replaced::Nothing | Replaced::Leg(_)) => false,
        };
        if !done {
            let refuse = LegCommand::RefuseRefer(Status::DECLINE);
            turn.commands.push(Command::Leg(leg, refuse));
        }
    }

    fn blind_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        (which, leg, dn): (Which, LegSlot, DnIndex),
        target: Target,
    ) -> bool {
        let number = &target.number;
        let Some(call) = self.call(which) else {
            return false;
        };
        let is_seeking = call.quest.is_some();
        let plain = which == Which::Main
            && self.consult.is_none()
            && call.participants.len() == 2
            && !is_seeking;
        let destination = self
            .destination(number)
            .filter(|destination| match destination {
                Destination::Direct { dn } => !self.is_here(*dn),
                Destination::Queue { .. }
                | Destination::Outside { .. }
                | Destination::Takeover { .. } => true,
            });
        let Some(destination) = destination.filter(|_| plain) else {
            return false;
        };
        turn.commands
            .push(Command::Leg(leg, LegCommand::AcceptRefer));
        // RFC 3515 §2.4.5 wants to be told how the call goes that this leads to. But whom it leads
        // to is ours from here on, and the phone's leg ends at once, and its subscription with it,
        // so that the agent is free: what comes back to it is another call.
        refer_ends(turn, leg, Status::OK);
        let by = self.facts.number_of(dn);
        self.let_agent_go(turn, (leg, number), Origin::default());
        self.main.referred_by = target.referred_by;
        self.seek_for_rest(turn, destination, Why::Transferred(by));
        true
    }

    fn attended_transfer(
        &mut self,
        turn: &mut Turn<'_>,
        (leg, other): (LegSlot, LegSlot),
        dn: DnIndex,
    ) -> bool {
        let is_agent_in = |which, leg| {
            let call: Option<&super::participant::Call> = self.call(which);
            call.and_then(|call| call.with_leg(leg))
                .is_some_and(|who| who.dn() == Some(dn))
        };
        let both = is_agent_in(Which::Main, leg) && is_agent_in(Which::Consult, other)
            || is_agent_in(Which::Main, other) && is_agent_in(Which::Consult, leg);
        let far = |which| {
            let call: Option<&super::participant::Call> = self.call(which);
            let mut others = call?.participants.iter().filter(|who| who.dn() != Some(dn));
            others.next().cloned()
        };
        let (Some(held), Some(consulted), true) = (far(Which::Main), far(Which::Consult), both)
        else {
            return false;
        };
        let accept = LegCommand::AcceptRefer;
        turn.commands.push(Command::Leg(leg, accept));
        let joining = Joining {
            leg,
            dn,
            consulted: consulted.leg,
        };
        let steps = Self::meeting(&held, &consulted);
        self.start(turn, None, steps, Then::PhoneJoined(joining));
        true
    }

    /// Whom the phone held and whom it consulted hear each other: it hears so, and leaves.
    pub(super) fn phone_joined(&mut self, turn: &mut Turn<'_>, joining: Joining) {
        refer_ends(turn, joining.leg, Status::OK);
        self.transferred(turn, joining.dn, Origin::default());
    }

    /// A phone that joins its two calls has hung up one of them: whether it was that. The other
    /// two go on, as whoever transfers may leave as soon as the REFER is taken (RFC 5589 §6).
    pub(super) fn joiner_left(&mut self, turn: &mut Turn<'_>, leg: LegSlot) -> bool {
        let joining = self.task.as_ref().and_then(|task| task.then.joining());
        let Some(Joining { dn, consulted, .. }) = joining else {
            return false;
        };
        let is_its = |which| {
            let own = self.call(which).and_then(|call| call.agent(dn));
            own.is_some_and(|who| who.leg == leg)
        };
        if !is_its(Which::Main) && !is_its(Which::Consult) {
            return false;
        }
        if let Some(task) = self.task.as_mut() {
            task.then = Then::Joined(consulted);
        }
        self.transferred(turn, dn, Origin::default());
        self.go_on(turn);
        true
    }
}

/// The last word on a REFER.
fn refer_ends(turn: &mut Turn<'_>, leg: LegSlot, status: Status) {
    let report = LegCommand::ReportRefer(status);
    turn.commands.push(Command::Leg(leg, report));
}
