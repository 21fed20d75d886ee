//! Somebody takes the place of a party: an INVITE with Replaces (RFC 3891), or whom a phone has
//! transferred by a REFER that names a call of its own here (RFC 5589). Who takes it is in a
//! conversation of its own, perhaps on another shard, and the two are joined by a tie, which to
//! both is a leg like any other.
//!
//! A call that rings is picked up in the same way (`intercept`).
//!
//! The parties are connected first. The one who is replaced is let go afterwards, or keeps its
//! place if they cannot be.

use std::sync::Arc;

use compact_str::CompactString;

use crate::agent::{EndCause, PartyState};
use crate::config::{Address, QueueIndex, RoutingPointIndex};
use crate::cti::{CallState, DnRole, KeyValueList, UserDataChange};
use crate::dialog::{Body, Party, Replaces};
use crate::sip::Status;

use super::Destination;
use super::command::{Command, Dial, DialTo, LegCommand, LegSlot};
use super::conversation::{Conversation, Turn, Which};
use super::entry::Entry;
use super::exchange::Purpose;
use super::facts::{cause, refuse_leg};
use super::leg::{Kind, Phase};
use super::participant::{News, Participant, Standing, Who, number_of};
use super::task::{Runs, Step, Task, Then};
use super::why::Why;

/// The place of a party in a call of ours, for somebody from another conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Takeover {
    /// The dialog of the party.
    pub replaces: Replaces,
    /// The attached data of the conversation that it comes from.
    pub user_data: KeyValueList,
    /// The queue and the routing point through which that one came.
    pub through: Option<(QueueIndex, RoutingPointIndex)>,
}

/// Who takes a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Newcomer {
    /// Who it is.
    pub calling: Arc<Party>,
    /// Its offer; without one it asks for ours.
    pub offer: Option<Body>,
    /// What it brings along; the dialog is that of the party whose place it takes.
    pub takeover: Takeover,
}

/// A takeover under way.
#[derive(Debug)]
pub(super) struct Admission {
    which: Which,
    /// Who is replaced.
    replaced: LegSlot,
    newcomer: LegSlot,
    who: Newcomer,
}

/// Whom a REFER names besides a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) number: String,
    pub(super) referred_by: Option<String>,
}

/// A transfer to the party of another conversation, under way.
#[derive(Debug)]
pub(super) struct Referral {
    which: Which,
    /// Whose REFER it is; it may leave before the transfer is done.
    by: Participant,
    takeover: Box<Takeover>,
    /// The number that the REFER names, and in whose name it does.
    target: Target,
    /// Whether the dialog is none of ours: it is the PBX's that has this number.
    is_outside: bool,
    /// Whom the other conversation says that it has.
    across: Who,
    tie: Option<LegSlot>,
    /// Why it does not take anybody.
    refused: Option<Status>,
}

impl Conversation {
    // The conversation that has the place.

    /// A newcomer asks for the place of the party with this leg; gives back its own leg.
    ///
    /// # Errors
    /// The status that it gets: a party that is in two calls, waits, is on hold or in a
    /// conference keeps its place.
    pub(super) fn take_over(
        &mut self,
        turn: &mut Turn<'_>,
        replaced: LegSlot,
        newcomer: Newcomer,
    ) -> Result<LegSlot, Status> {
        if let Some((which, true)) = self.seeks_with(replaced) {
            return self.intercept(turn, which, newcomer);
        }
        let place = self.place_between_two(replaced);
        let (which, stays) = place
            .filter(|_| self.task.is_none())
            .ok_or(Status::BUSY_HERE)?;
        if stays.standing == Standing::Holding {
            return Err(Status::BUSY_HERE);
        }
        let leg = self
            .legs
            .invited(self.main.conn_id.0, newcomer.offer.clone());
        self.legs.leads_to(leg, Kind::Tie);
        self.show(turn, leg, &stays);
        let admission = Admission {
            which,
            replaced,
            newcomer: leg,
            who: newcomer,
        };
        let steps = [Step::Admit(leg, stays.leg)];
        self.start(turn, None, steps, Then::Admitted(Box::new(admission)));
        Ok(leg)
    }

    /// The one call of a leg and who else is in it, where these are two who have answered.
    fn place_between_two(&self, leg: LegSlot) -> Option<(Which, Participant)> {
        let which = self.place_of(leg)?;
        let call = self.call(which)?;
        // By the same dialog or by another: what it does to both is not done to one of them.
        let dn = call.with_leg(leg).and_then(Participant::dn);
        let beside = self.call(which.other());
        if beside.is_some_and(|beside| dn.is_some_and(|dn| beside.agent(dn).is_some())) {
            return None;
        }
        let mut others = call.others(leg);
        let (Some(other), None, None) = (others.next(), others.next(), call.quest.as_ref()) else {
            return None;
        };
        let both = self.legs.is_up(leg) && self.legs.is_up(other.leg);
        both.then(|| (which, other.clone()))
    }

    /// Begins the exchange between who stays and the newcomer, whose INVITE waits.
    pub(super) fn admit(&mut self, turn: &mut Turn<'_>, newcomer: LegSlot, stays: LegSlot) {
        use crate::session::{Negotiation, Sink, Source};
        let (source, sink) = match self.legs.phase(newcomer) {
            Some(Phase::Invited { offer: Some(offer) }) => (
                (newcomer, Source::Invite(Body::clone(offer))),
                (stays, Sink::Confirmed),
            ),
            Some(
                Phase::Invited { offer: None }
                | Phase::Dialled { .. }
                | Phase::Answered { .. }
                | Phase::Up,
            )
            | None => ((stays, Source::Confirmed), (newcomer, Sink::Invite)),
        };
        let legs = (source.0, sink.0);
        let mut told = turn.told();
        let started = Negotiation::join(turn.now, source, sink, &mut self.legs, &mut told);
        let purpose = Purpose::Step(Step::Admit(newcomer, stays));
        self.begin(turn, started, legs, purpose, told);
    }

    /// The newcomer is connected: it has the place.
    pub(super) fn admitted(&mut self, turn: &mut Turn<'_>, admission: Admission) {
        let Admission {
            which,
            replaced,
            newcomer,
            who,
        } = admission;
        let number = number_of(&who.calling);
        let Some(old) = self
            .call(which)
            .and_then(|call| call.with_leg(replaced))
            .cloned()
        else {
            return self.hang_up(turn, newcomer, cause::FAILURE);
        };
        let dn = number
            .as_deref()
            .and_then(|number| match self.facts.config.address(number) {
                Some(Address::Agent(dn)) => Some(dn),
                Some(Address::RoutingPoint(_) | Address::Queue(_) | Address::Trunk(_)) | None => {
                    None
                }
            });
        // Another phone of the same agent: for clients nothing has happened.
        if dn.is_some() && dn == old.dn() {
            self.set_leg(which, replaced, newcomer);
            return self.let_go(turn, replaced, cause::NORMAL);
        }
        let dn = dn.filter(|dn| !self.is_here(*dn));
        let Takeover {
            user_data, through, ..
        } = who.takeover;
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        // Where it would be too much, the call keeps its own.
        let _ = call.change_user_data(UserDataChange::Update(user_data));
        call.through = call.through.or(through);
        let routing_point = call.through.map(|(_, point)| point);
        let ended = PartyState::Ended(EndCause::Transferred);
        let news = News {
            third: number.clone().map(|number| (number, DnRole::NewParty)),
            ..News::default()
        };
        call.report(facts, &old, ended, news, turn.commands);
        let by = old.number(facts);
        let mut new = Participant {
            who: dn.map_or(Who::Outside(who.calling), Who::Agent),
            leg: newcomer,
            standing: Standing::Talking,
            ..old
        };
        new.routing_point = dn.and(routing_point);
        for who in call.participants.iter_mut() {
            if who.leg == replaced {
                *who = new.clone();
            }
            who.routing_point = who
                .routing_point
                .or(routing_point.filter(|_| who.dn().is_some()));
        }
        self.let_go(turn, replaced, cause::NORMAL);
        self.transferred_to(turn, which, &new, by);
    }

    fn set_leg(&mut self, which: Which, old: LegSlot, new: LegSlot) {
        let call = self.call_mut(which);
        for who in call
            .into_iter()
            .flat_map(|call| call.participants.iter_mut())
        {
            if who.leg == old {
                who.leg = new;
            }
        }
    }

    /// Everybody hears that somebody has come by a transfer, and so does the newcomer.
    fn transferred_to(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        new: &Participant,
        by: Option<CompactString>,
    ) {
        let news = News {
            third: by.map(|number| (number, DnRole::TransferredBy)),
            call_state: Some(CallState::Transferred),
            ..News::default()
        };
        let number = new.number(&self.facts);
        let changed = News {
            other: number.map(|number| (number, DnRole::NewParty)),
            ..news.clone()
        };
        self.report_others(turn, which, new.leg, PartyState::Changed, &changed);
        self.report(turn, which, new, PartyState::Established, news);
        let others: Vec<LegSlot> = self
            .call(which)
            .into_iter()
            .flat_map(|call| call.others(new.leg))
            .map(|who| who.leg)
            .collect();
        for leg in others {
            self.show(turn, leg, new);
        }
    }

    /// Whether a leg is of somebody who does not have its place yet.
    pub(super) fn is_newcomer(&self, leg: LegSlot) -> bool {
        let Some(Task { then, .. }) = self.task.as_ref() else {
            return false;
        };
        let admitted = then.admission().map(|admission| admission.newcomer);
        let tie = then.referral().and_then(|referral| referral.tie);
        admitted.or(tie) == Some(leg)
    }

    /// A newcomer has left before it had the place; whether it was one.
    pub(super) fn newcomer_left(&mut self, turn: &mut Turn<'_>, leg: LegSlot) -> bool {
        if !self.is_newcomer(leg) {
            return false;
        }
        self.lose(turn, leg);
        // Under way, the exchange has failed by it, and the task with that.
        if self
            .task
            .as_ref()
            .is_some_and(|task| task.runs == Runs::NotYet)
        {
            self.fail_task(turn);
        }
        true
    }

    /// What comes of somebody from another conversation when a task is given up.
    pub(super) fn dismiss(&mut self, turn: &mut Turn<'_>, then: &Then) {
        if let Some(leg) = then.admission().map(|admission| admission.newcomer) {
            if self.legs.is_invited(leg) {
                refuse_leg(turn.commands, leg, Status::BUSY_HERE);
                self.lose(turn, leg);
            } else {
                self.hang_up(turn, leg, cause::FAILURE);
            }
        }
        if let Some(joining) = then.joining() {
            joining.fails(turn);
        }
        if let Some(referral) = then.referral() {
            let status = referral.refused.unwrap_or(Status::TEMPORARILY_UNAVAILABLE);
            let report = LegCommand::ReportRefer(status);
            turn.commands.push(Command::Leg(referral.by.leg, report));
            if let Some(tie) = referral.tie {
                self.hang_up(turn, tie, cause::FAILURE);
            }
        }
    }

    // The conversation whose party takes the place.

    /// A caller takes the place of a party elsewhere: whoever has it is "called".
    pub(super) fn call_place(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        replaces: Replaces,
        (entry, why): (Option<Entry>, Why),
    ) {
        let user_data = self.call(which).map(|call| call.info.user_data.clone());
        let takeover = Takeover {
            replaces,
            user_data: user_data.unwrap_or_default(),
            through: None,
        };
        let to = DialTo::Takeover(Box::new(takeover));
        let who = Who::Outside(Arc::default());
        self.ring(turn, which, who, (to, None), (entry, why));
    }

    /// A phone transfers its call to the party of another call of its own; `false` where that
    /// cannot be.
    pub(super) fn transfer_across(
        &mut self,
        turn: &mut Turn<'_>,
        by: LegSlot,
        (target, replaces): (Target, Replaces),
    ) -> bool {
        let Some((which, stays)) = self.place_between_two(by) else {
            return false;
        };
        if stays.standing == Standing::Holding {
            return false;
        }
        let Some(call) = self.call(which) else {
            return false;
        };
        let Some(who) = call.with_leg(by).cloned() else {
            return false;
        };
        let takeover = Takeover {
            replaces,
            user_data: call.info.user_data.clone(),
            through: call.through,
        };
        let accept = LegCommand::AcceptRefer;
        turn.commands.push(Command::Leg(by, accept));
        let referral = Referral {
            which,
            by: who,
            takeover: Box::new(takeover),
            target,
            is_outside: false,
            across: Who::Outside(Arc::default()),
            tie: None,
            refused: None,
        };
        let steps = [Step::Tie(stays.leg)];
        self.start(turn, None, steps, Then::Referred(Box::new(referral)));
        true
    }

    fn referral(&mut self) -> Option<&mut Referral> {
        self.task.as_mut()?.then.referral_mut()
    }

    /// The leg to make for the transfer under way: a tie, or an INVITE with Replaces.
    pub(super) fn dial_across(&mut self, calling: Arc<Party>) -> Option<Dial> {
        let referral = self.referral()?;
        let target = referral.target.clone();
        let takeover = referral.takeover.clone();
        if !referral.is_outside {
            return Some(self.facts.dial(DialTo::Takeover(takeover), calling));
        }
        let to = match self.destination(&target.number)? {
            Destination::Direct { dn } => DialTo::Agent(dn),
            Destination::Outside { number } => DialTo::Number(number),
            Destination::Queue { .. } | Destination::Takeover { .. } => return None,
        };
        Some(Dial {
            replaces: Some(takeover.replaces),
            referred_by: target.referred_by,
            ..self.facts.dial(to, calling)
        })
    }

    /// The dialog that a REFER names is none of ours. Then it is the PBX's, whose phones have
    /// talked without us: the transfer is tried there (RFC 5589 §7); whether it can be.
    pub(super) fn tries_outside(&mut self) -> bool {
        let mut by_agent = false;
        let number = self.referral().and_then(|referral| {
            by_agent = referral.by.dn().is_some();
            let is_unknown = referral.refused == Some(Status::CALL_DOES_NOT_EXIST);
            let again = is_unknown && !referral.is_outside;
            again.then(|| referral.target.number.clone())
        });
        let destination = number
            .as_deref()
            .and_then(|number| self.destination(number));
        let who = match destination {
            Some(Destination::Direct { dn }) if !self.is_here(dn) => Who::Agent(dn),
            // Nobody from outside calls outside through us.
            Some(Destination::Outside { number }) if by_agent => {
                let party = Party {
                    number: number.into(),
                    ..Party::default()
                };
                Who::Outside(Arc::new(party))
            }
            Some(
                Destination::Direct { .. }
                | Destination::Outside { .. }
                | Destination::Queue { .. }
                | Destination::Takeover { .. },
            )
            | None => return false,
        };
        if let Some(referral) = self.referral() {
            referral.is_outside = true;
            referral.refused = None;
            referral.across = who;
        }
        true
    }

    /// The tie of the transfer under way is this leg.
    pub(super) fn tie_is(&mut self, leg: LegSlot) {
        let Some(referral) = self.referral() else {
            return;
        };
        referral.tie = Some(leg);
        if !referral.is_outside {
            self.legs.leads_to(leg, Kind::Tie);
        }
    }

    /// Whom the other conversation says that it has.
    pub(super) fn across_is(&mut self, leg: LegSlot, party: &Arc<Party>) {
        if !self.legs.is_tie(leg) {
            return;
        }
        if let Some(referral) = self.referral().filter(|referral| referral.tie == Some(leg)) {
            referral.across = Who::Outside(Arc::clone(party));
        }
        for which in [Which::Main, Which::Consult] {
            let Some(call) = self.call_mut(which) else {
                continue;
            };
            let called = call
                .quest
                .as_mut()
                .and_then(super::quest::Quest::called_mut);
            for who in call.participants.iter_mut().chain(called) {
                if who.leg == leg && matches!(who.who, Who::Outside(_)) {
                    who.who = Who::Outside(Arc::clone(party));
                }
            }
        }
    }

    /// The other conversation does not take anybody.
    pub(super) fn tie_refused(&mut self, leg: LegSlot, status: Status) {
        if let Some(referral) = self.referral().filter(|referral| referral.tie == Some(leg)) {
            referral.refused = Some(status);
        }
    }

    /// Who stays hears the party of the other conversation: the phone leaves.
    pub(super) fn referred_across(&mut self, turn: &mut Turn<'_>, referral: Referral) {
        let Referral {
            which,
            by,
            across,
            tie,
            ..
        } = referral;
        let Some(tie) = tie else {
            return;
        };
        let mut new = Participant::new(across, tie, by.role);
        let through = self.call(which).and_then(|call| call.through);
        new.routing_point = new.dn().and(through).map(|(_, point)| point);
        let number = new.number(&self.facts);
        if let Some(call) = self.call_mut(which) {
            call.participants.push(new.clone());
        }
        let leg = by.leg;
        let name = by.number(&self.facts);
        self.referrer_goes(turn, which, &by, number);
        let done = LegCommand::ReportRefer(Status::OK);
        turn.commands.push(Command::Leg(leg, done));
        self.let_go(turn, leg, cause::NORMAL);
        self.transferred_to(turn, which, &new, name);
    }

    /// The phone whose transfer is under way has hung up: whether it was that. The transfer goes
    /// on, as whoever transfers may leave as soon as the REFER is taken (RFC 5589 §6).
    pub(super) fn referrer_left(&mut self, turn: &mut Turn<'_>, leg: LegSlot) -> bool {
        let referral = self.referral().filter(|referral| referral.by.leg == leg);
        let Some((which, by)) = referral.map(|referral| (referral.which, referral.by.clone()))
        else {
            return false;
        };
        self.referrer_goes(turn, which, &by, None);
        true
    }

    fn referrer_goes(
        &mut self,
        turn: &mut Turn<'_>,
        which: Which,
        by: &Participant,
        to: Option<CompactString>,
    ) {
        let Some((facts, _, call)) = self.parts(which) else {
            return;
        };
        let Some(by) = call.take(by.leg) else {
            return;
        };
        let news = News {
            other: call
                .participants
                .first()
                .and_then(|who| who.number(facts).map(|number| (number, who.role))),
            third: to.map(|number| (number, DnRole::NewParty)),
            ..News::default()
        };
        let ended = PartyState::Ended(EndCause::Transferred);
        call.report(facts, &by, ended, news, turn.commands);
    }

    /// A transfer came to nothing whose phone has left meanwhile: who stays is alone.
    pub(super) fn stays_alone(&mut self, turn: &mut Turn<'_>, then: Then) {
        let Then::Referred(referral) = then else {
            return;
        };
        let Referral { which, by, .. } = *referral;
        let call = self.call(which);
        if call.is_some_and(|call| call.participants.len() == 1 && call.quest.is_none()) {
            let by = by.number(&self.facts).unwrap_or_default();
            self.nobody_found(turn, which, &Why::Transferred(by), EndCause::Unreachable);
        }
    }
}
