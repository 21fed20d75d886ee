//! What a watcher knows of its DN whatever becomes of its subscriptions: the vote and its end, the
//! status that is shown, the wait after failures. What a subscription is doing is in `watcher`.

use std::time::{Duration, Instant};

use crate::config::{ClosedBusy, DnIndex, TrunkIndex};
use crate::counters::Counter;
use crate::cti::{Notice, SubscriptionStatus};
use crate::dialog::{PassingBody, Subscribe, SubscriptionKey, SubscriptionState, TerminatedReason};
use crate::limits::TRUNK_WAIT;
use crate::trunk::{Failure, Route, sip_uri};

use super::backoff::Backoff;
use super::pacing::{Lane, Ticket};
use super::subscribing::{Idle, Pending};
use super::vote::LastVote;
use super::watcher::{BackingOff, Cause, State, Surroundings};
use super::{Output, Vote};

/// What is known of a DN whatever state its subscription is in.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) dn: DnIndex,
    /// The last ticket drawn.
    ticket: u32,
    /// The last subscription begun; none is 0.
    pub(super) epoch: u32,
    /// Whether the present subscription has given a vote.
    pub(super) heard: bool,
    pub(super) status: SubscriptionStatus,
    pub(super) backoff: Backoff,
    vote: LastVote,
    /// Whether it was said that the extension lacks call waiting.
    warned: bool,
    /// When the last vote ends.
    pub(super) lapse_at: Option<Instant>,
    /// How it ends.
    lapse: Lapse,
    /// The subscription that was begun last and not forgotten since, and the epoch it is of.
    subscription: Option<(u32, SubscriptionKey)>,
}

/// How a vote ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lapse {
    /// The subscription that gave it ran out: nothing is known any more.
    Expired,
    /// The subscription was terminated, and the grace for that is over.
    Terminated,
}

impl Record {
    pub(super) fn new(dn: DnIndex) -> Self {
        Self {
            dn,
            ticket: 0,
            epoch: 0,
            heard: false,
            // The control plane's own assumption, so that the first word is news.
            status: SubscriptionStatus::Off,
            backoff: Backoff::default(),
            vote: LastVote::default(),
            warned: false,
            lapse_at: None,
            lapse: Lapse::Expired,
            subscription: None,
        }
    }

    /// Notes the subscription of an epoch; gives back the one that it replaces.
    pub(super) fn set_subscription(
        &mut self,
        epoch: u32,
        key: SubscriptionKey,
    ) -> Option<SubscriptionKey> {
        let replaced = self.subscription.replace((epoch, key));
        replaced.map(|(_, key)| key)
    }

    /// The epoch of a subscription, unless it was replaced or forgotten.
    pub(super) fn epoch_of(&self, key: SubscriptionKey) -> Option<u32> {
        let (epoch, current) = self.subscription?;
        (current == key).then_some(epoch)
    }

    /// The subscription of an epoch, unless it was replaced or forgotten.
    pub(super) fn subscription(&self, epoch: u32) -> Option<SubscriptionKey> {
        let (current, key) = self.subscription?;
        (current == epoch).then_some(key)
    }

    /// Takes the subscription of an epoch out.
    pub(super) fn forget_subscription(&mut self, epoch: u32) -> Option<SubscriptionKey> {
        let forgotten = self.subscription.take_if(|(current, _)| *current == epoch);
        forgotten.map(|(_, key)| key)
    }

    /// Whether this is its last ticket.
    pub(super) fn holds(&self, ticket: Ticket) -> bool {
        self.ticket == ticket.number
    }

    /// Tells the control plane a status that is new.
    pub(super) fn show(&mut self, status: SubscriptionStatus, around: &mut Surroundings<'_>) {
        if self.status != status {
            self.status = status;
            around
                .outputs
                .push_back(Output::Notice(Notice::Subscription {
                    dn: self.dn,
                    status,
                }));
        }
    }

    /// Waits for its turn at the route's trunk, or at one that is chosen now.
    pub(super) fn queue(&mut self, route: Option<Route>, around: &mut Surroundings<'_>) -> State {
        self.queue_but(route, None, around)
    }

    /// As [`Record::queue`], at another peer than `avoid` if there is one.
    pub(super) fn queue_but(
        &mut self,
        route: Option<Route>,
        avoid: Option<(TrunkIndex, u8)>,
        around: &mut Surroundings<'_>,
    ) -> State {
        let Some(mut route) = route.or_else(|| self.choose(around)) else {
            self.show(SubscriptionStatus::Lost, around);
            let until = around.now + around.jitter.between(TRUNK_WAIT / 2, TRUNK_WAIT);
            let cause = Cause::NoTrunk;
            return State::BackingOff(BackingOff { until, cause });
        };
        if avoid == Some((route.trunk(), route.peer().0)) {
            // The peer to avoid is better than none.
            let _ = route.next(around.trunks);
        }
        self.join(Lane::New, route.trunk(), around);
        State::Idle(Idle::queued(route))
    }

    /// Draws a ticket for a lane.
    pub(super) fn join(&mut self, lane: Lane, trunk: TrunkIndex, around: &mut Surroundings<'_>) {
        self.ticket = self.ticket.wrapping_add(1);
        let ticket = Ticket {
            slot: around.slot,
            number: self.ticket,
        };
        around.pacing[usize::from(trunk.0)].join(lane, ticket);
    }

    /// A peer of the DN's trunks.
    pub(super) fn choose(&self, around: &mut Surroundings<'_>) -> Option<Route> {
        let agent = around.config.agent_at(self.dn);
        let set = agent
            .settings
            .presence
            .as_ref()
            .expect("only DNs with trunks for presence are watched");
        around.trunks.select_among(set)
    }

    /// Whether the trunk is one of the DN's.
    pub(super) fn uses(&self, trunk: TrunkIndex, around: &Surroundings<'_>) -> bool {
        let agent = around.config.agent_at(self.dn);
        agent
            .settings
            .presence
            .as_ref()
            .is_some_and(|set| set.trunks.contains(&trunk))
    }

    /// Sends the SUBSCRIBE of a new subscription.
    pub(super) fn subscribe(
        &mut self,
        route: Route,
        corrected: bool,
        around: &mut Surroundings<'_>,
    ) -> State {
        let presence = &around.config.presence;
        let number = &around.config.agent_at(self.dn).dn;
        let request_uri = match &presence.domain {
            Some(domain) => sip_uri(number, domain),
            None => route.request_uri(number),
        };
        let expires = around.expires(route.trunk());
        self.epoch = self.epoch.wrapping_add(1);
        self.heard = false;
        around.counters.count(Counter::SubscriptionStarted);
        around.outputs.push_back(Output::Subscribe {
            dn: self.dn,
            epoch: self.epoch,
            subscribe: Subscribe {
                owner: self.dn.0,
                target: route.peer().1,
                request_uri,
                from_user: presence.from.to_string(),
                expires,
                credentials: around.config.trunk_at(route.trunk()).credentials.clone(),
            },
        });
        Pending::begun(route, expires, corrected, around.overdue())
    }

    /// Nobody listens to the present subscription any more.
    pub(super) fn forget(&self, around: &mut Surroundings<'_>) {
        around.outputs.push_back(Output::Forget {
            dn: self.dn,
            epoch: self.epoch,
        });
    }

    /// The peer failed: the next one, or a wait when all have.
    pub(super) fn fail_over(
        &mut self,
        mut route: Route,
        failure: Option<Failure>,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) -> State {
        around.counters.count(Counter::SubscriptionFailed);
        if let Some(failure) = failure {
            self.report(route.trunk(), route.peer().0, failure, retry_after, around);
        }
        if route.next(around.trunks).is_some() {
            return self.queue(Some(route), around);
        }
        self.back_off(Cause::Failed, retry_after, around)
    }

    /// Tells the trunk of a failing peer.
    pub(super) fn report(
        &self,
        trunk: TrunkIndex,
        peer: u8,
        failure: Failure,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) {
        around.outputs.push_back(Output::Failure {
            trunk,
            peer,
            failure,
            retry_after,
        });
    }

    /// Waits, longer each time.
    pub(super) fn back_off(
        &mut self,
        cause: Cause,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.show_lost(around);
        let until = around.now + self.backoff.next(retry_after, around.jitter);
        State::BackingOff(BackingOff { until, cause })
    }

    /// Lost, unless worse is known.
    pub(super) fn show_lost(&mut self, around: &mut Surroundings<'_>) {
        if self.status != SubscriptionStatus::Failed {
            self.show(SubscriptionStatus::Lost, around);
        }
    }

    /// The PBX refuses this DN for good. Raises the alarm once.
    pub(super) fn show_failed(
        &mut self,
        what: &dyn std::fmt::Display,
        around: &mut Surroundings<'_>,
    ) {
        if self.status != SubscriptionStatus::Failed {
            let dn = &*around.config.agent_at(self.dn).dn;
            tracing::warn!(dn, %what, "the PBX refuses to be watched at this DN");
        }
        self.show(SubscriptionStatus::Failed, around);
    }

    /// Tries again rarely.
    pub(super) fn refused(
        &mut self,
        what: &dyn std::fmt::Display,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) -> State {
        around.counters.count(Counter::SubscriptionFailed);
        self.show_failed(what, around);
        let until = around.now + Backoff::refused(retry_after, around.jitter);
        let cause = Cause::Told;
        State::BackingOff(BackingOff { until, cause })
    }

    /// A NOTIFY of a subscription that goes on.
    pub(super) fn notified(
        &mut self,
        state: SubscriptionState,
        body: Option<&PassingBody>,
        vote_until: Instant,
        around: &mut Surroundings<'_>,
    ) {
        match state {
            SubscriptionState::Active => {
                self.show(SubscriptionStatus::Active, around);
                if let Some(body) = body {
                    self.apply(body, vote_until, around);
                }
            }
            // RFC 3856 §6.6.2: what it says before it has decided need not be true.
            SubscriptionState::Pending => {}
            SubscriptionState::Terminated { .. } => {
                unreachable!("the watcher hands a termination to `terminated`")
            }
        }
    }

    fn apply(&mut self, body: &PassingBody, vote_until: Instant, around: &mut Surroundings<'_>) {
        let dn = &*around.config.agent_at(self.dn).dn;
        let presence = &around.config.presence;
        match self
            .vote
            .read(presence, around.lists, dn, body, !self.heard)
        {
            Ok(vote) => {
                self.heard = true;
                self.lapses(vote_until, Lapse::Expired);
                around.counters.count(Counter::NotifyApplied);
                self.warn_of_call_waiting(&vote, around);
                around.outputs.push_back(Output::Vote(self.dn, vote));
            }
            Err(counter) => {
                around.counters.count(counter);
                if counter == Counter::NotifyOtherEntity {
                    tracing::warn!(dn, "a NOTIFY about another entity was not applied");
                } else {
                    tracing::debug!(dn, cause = counter.cause(), "a NOTIFY was not applied");
                }
            }
        }
    }

    /// Every private call logs the agent out at a phone that says closed while it is in use. Says
    /// so once a DN, unless such phones are configured for.
    fn warn_of_call_waiting(&mut self, vote: &Vote, around: &Surroundings<'_>) {
        let lacks = matches!(vote, Vote::Out { activities } if !activities.is_empty());
        if self.warned || !lacks || around.config.presence.closed_busy == ClosedBusy::NotReady {
            return;
        }
        self.warned = true;
        around.counters.count(Counter::PhoneWithoutCallWaiting);
        let dn = &*around.config.agent_at(self.dn).dn;
        tracing::warn!(
            dn,
            "extension lacks call waiting: closed while it is in use"
        );
    }

    /// The subscription that gave the vote lives until then.
    pub(super) fn keep_vote_until(&mut self, expires_at: Instant) {
        if self.heard {
            self.lapses(expires_at, Lapse::Expired);
        }
    }

    /// The agent has kept what presence said to an earlier process.
    pub(super) fn recall_vote(&mut self, until: Instant) {
        self.heard = true;
        self.lapses(until, Lapse::Expired);
    }

    /// The vote has come to its end.
    pub(super) fn handle_lapse(&mut self, around: &mut Surroundings<'_>) {
        if self.lapse_at.take().is_none() {
            return;
        }
        let vote = match self.lapse {
            Lapse::Expired => {
                self.show_lost(around);
                self.vote.expire()
            }
            Lapse::Terminated => self.vote.terminate(),
        };
        around.outputs.push_back(Output::Vote(self.dn, vote));
    }

    /// The peer ended the subscription (RFC 6665 §4.1.3); its body does not count.
    pub(super) fn terminated(
        &mut self,
        reason: TerminatedReason,
        retry_after: Option<Duration>,
        around: &mut Surroundings<'_>,
    ) -> State {
        self.end_vote(reason, around);
        match reason {
            TerminatedReason::Deactivated | TerminatedReason::Timeout => self.again(around),
            TerminatedReason::Probation | TerminatedReason::Giveup => {
                self.back_off(Cause::Told, retry_after, around)
            }
            TerminatedReason::Other => match retry_after {
                Some(_) => self.back_off(Cause::Told, retry_after, around),
                None => self.again(around),
            },
            // For these a retry-after has no meaning.
            TerminatedReason::Rejected => self.refused(&"rejected", None, around),
            TerminatedReason::NoResource => self.refused(&"noresource", None, around),
            TerminatedReason::Invariant => {
                self.show_failed(&"invariant", around);
                State::Invariant
            }
        }
    }

    /// R4: terminated logs out, at once or after the grace for what the PBX calls temporary.
    fn end_vote(&mut self, reason: TerminatedReason, around: &mut Surroundings<'_>) {
        let grace = match reason {
            TerminatedReason::Deactivated
            | TerminatedReason::Timeout
            | TerminatedReason::Probation => around.config.presence.terminated_grace,
            TerminatedReason::Rejected
            | TerminatedReason::Giveup
            | TerminatedReason::NoResource
            | TerminatedReason::Invariant
            | TerminatedReason::Other => Duration::ZERO,
        };
        let has_say = self.vote.is_some() || self.lapse_at.is_some();
        if grace.is_zero() || !has_say {
            self.lapse_at = None;
            let vote: Vote = self.vote.terminate();
            around.outputs.push_back(Output::Vote(self.dn, vote));
            return;
        }
        // A second termination within the grace does not begin it anew.
        let running = self.lapse_at.is_some() && self.lapse == Lapse::Terminated;
        if !running {
            self.lapses(around.now + grace, Lapse::Terminated);
        }
    }

    fn lapses(&mut self, at: Instant, how: Lapse) {
        self.lapse_at = Some(at);
        self.lapse = how;
    }

    /// Subscribes anew at once, but not all DNs in the same moment.
    pub(super) fn again(&mut self, around: &mut Surroundings<'_>) -> State {
        self.again_but(None, around)
    }

    /// As [`Record::again`], at another peer than `avoid` if there is one.
    pub(super) fn again_but(
        &mut self,
        avoid: Option<(TrunkIndex, u8)>,
        around: &mut Surroundings<'_>,
    ) -> State {
        if self.status == SubscriptionStatus::Active {
            self.show(SubscriptionStatus::Pending, around);
        }
        let at = around.now + self.backoff.at_once(around.jitter);
        State::Idle(Idle::later(at, avoid))
    }
}
