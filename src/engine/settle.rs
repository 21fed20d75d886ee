//! Who talks to whom: what one part says is carried to the others until nobody has more to say.

use std::time::Instant;

use offhook_shards::ShardId;

use crate::agent;
use crate::call;
use crate::call::{
    CallKey, CallRef, Command, Event as CallEvent, LegCommand, LegSlot, Referred, Replaced,
};
use crate::config::{DnIndex, TrunkIndex};
use crate::counters::Counter;
use crate::cti::{Notice, Output};
use crate::dialog::{LegEvent, LegKey, PingOutcome, Refusal, UserAgentEvent};
use crate::limits::SETTLE_ROUNDS_MAX;
use crate::{presence, queue, trunk};

use super::{Engine, Message};

impl Engine {
    /// Lets the parts answer each other until nobody has more to say.
    pub(super) fn settle(&mut self, now: Instant) {
        for _ in 0..SETTLE_ROUNDS_MAX {
            let mut quiet = true;
            while let Some(event) = self.user_agent.poll_event() {
                quiet = false;
                self.heard(now, event);
            }
            while let Some((key, command)) = self.calls.poll_command() {
                quiet = false;
                self.obey(now, key, command);
            }
            while let Some(output) = self.agents.poll_output() {
                quiet = false;
                self.agent_says(now, output);
            }
            while let Some(output) = self.queues.poll_output() {
                quiet = false;
                self.queue_says(output);
            }
            while let Some(output) = self.watchers.poll_output() {
                quiet = false;
                self.watcher_says(now, output);
            }
            while let Some(output) = self.trunks.poll_output() {
                quiet = false;
                self.trunk_says(now, output);
            }
            while let Some(message) = self.local.pop_front() {
                quiet = false;
                self.handle_local(now, message);
            }
            if quiet {
                return self.write_down();
            }
        }
        panic!("the parts of an engine answer each other without end");
    }

    /// A message that this shard is the owner for.
    pub(super) fn handle_local(&mut self, now: Instant, message: Message) {
        match message {
            Message::Agent(dn, input) => self.agents.handle(now, dn, input),
            Message::Queue(queue, input) => self.queues.handle(now, queue, input),
            Message::Call(call, input) => self.tell_own_call(now, call, input),
            Message::Takeover(name, newcomer) => self.taken_over(now, name, *newcomer),
            Message::Tie(name, end, event) => self.tie_says(now, name, end, event),
            Message::AskRound(name, end, question) => {
                self.asked_on_tie(now, name, end, question);
            }
            Message::Offered(offered) => self.backlog.handle_offered(now, offered),
            Message::TrunkHealth(trunk, change) => {
                self.trunks.handle_change(trunk, change);
                let in_service = self.trunks.in_service(trunk);
                self.agents.handle_trunk(now, trunk, in_service);
                self.node_changed(now, trunk, change);
            }
            Message::TrunkNodes(trunk, nodes) => {
                let changes = self.trunks.handle_nodes(trunk, &nodes);
                let in_service = self.trunks.in_service(trunk);
                self.agents.handle_trunk(now, trunk, in_service);
                for change in changes {
                    self.node_changed(now, trunk, change);
                }
            }
            Message::TrunkFailure {
                trunk,
                peer,
                failure,
                retry_after,
            } => {
                self.trunks
                    .handle_failure(now, trunk, peer, failure, retry_after);
            }
        }
    }

    /// A node may be used again, or not any more, whether it answers or its name leads there.
    fn node_changed(&mut self, now: Instant, trunk: TrunkIndex, change: trunk::HealthChange) {
        self.watchers
            .handle_change(now, &mut self.trunks, trunk, change);
        if change.in_service {
            // Who has hung up meanwhile was heard by nobody.
            let trunks = &self.trunks;
            let is_back = |address| trunks.leads_by(trunk, change.peer, address);
            self.user_agent.probe(now, is_back);
        }
    }

    fn tell_own_call(&mut self, now: Instant, call: CallRef, input: call::Input) {
        if self.calls.is_live(call.key) {
            let event = CallEvent::Input(call.conn_id, input);
            return self.calls.handle(now, call.key, event);
        }
        // The call has ended while it was on its way.
        match input {
            // The reservation returns.
            call::Input::Offer { dn, .. } => self.tell_agent(dn, agent::Input::Returned { call }),
            call::Input::Request {
                requested_by,
                request,
            } => self.no_such_call(now, call.conn_id, requested_by, &request),
            call::Input::DirectRefused { .. }
            | call::Input::DirectForwarded { .. }
            | call::Input::QueueRefused { .. }
            | call::Input::Standing(_)
            | call::Input::Dnis(_)
            | call::Input::Forward { .. }
            | call::Input::OfferWithdrawn { .. } => {}
        }
    }

    /// What the user agent says.
    fn heard(&mut self, now: Instant, event: UserAgentEvent) {
        match event {
            UserAgentEvent::Invited(leg, invitation) => self.invited(now, leg, *invitation),
            UserAgentEvent::Leg(leg, event) => self.leg_says(now, leg, event),
            UserAgentEvent::Over(leg) => self.earlier_is_over(now, leg),
            UserAgentEvent::Subscription(owner, key, event) => {
                let dn = DnIndex(owner);
                if let Some(epoch) = self.watchers.epoch_of(dn, key) {
                    self.watchers
                        .handle(now, &mut self.trunks, dn, epoch, event);
                }
            }
            UserAgentEvent::Overload(remote, feedback) => {
                self.trunks.handle_feedback(now, remote, &feedback);
            }
            UserAgentEvent::LookUp(question) => self.events.push_back(Output::LookUp(question)),
            UserAgentEvent::Ping(key, outcome) => {
                if outcome == PingOutcome::Silent {
                    self.counters.count(Counter::PingSilent);
                }
                if let Some((trunk, peer, number)) = self.links.pings.remove(&key) {
                    self.trunks.handle_ping(now, trunk, peer, number, outcome);
                }
            }
        }
    }

    fn leg_says(&mut self, now: Instant, leg: LegKey, event: LegEvent) {
        let Some((key, slot)) = self.links.call_of(leg) else {
            return;
        };
        match event {
            LegEvent::Refused { .. } => self.dial_refused(now, (key, slot), leg, event),
            LegEvent::Referred(refer) => {
                let replaced = match (&refer.replaces, refer.replaced) {
                    (None, _) => Replaced::Nothing,
                    (Some(named), Some(other)) => match self.links.call_of(other) {
                        Some((of, other)) if of == key => Replaced::Leg(other),
                        Some(_) | None => Replaced::Elsewhere(named.clone()),
                    },
                    (Some(named), None) => Replaced::Elsewhere(named.clone()),
                };
                let referred = Referred {
                    number: refer.number,
                    referred_by: refer.referred_by,
                    replaced,
                };
                let event = CallEvent::Referred(slot, Box::new(referred));
                self.calls.handle(now, key, event);
            }
            LegEvent::Progress { status, body } => {
                self.links.rings(key, slot);
                let body = body.filter(|_| self.passes_early_media(key, slot));
                let event = LegEvent::Progress { status, body };
                self.calls.handle(now, key, CallEvent::Leg(slot, event));
            }
            LegEvent::HungUp(_) => {
                // It stands for nobody from here on.
                self.links.take(key, slot);
                self.calls.handle(now, key, CallEvent::Leg(slot, event));
            }
            LegEvent::Answered { .. } => {
                // Its peer is the right one: no other way is gone any more.
                self.links.take_dialled(key, slot);
                self.calls.handle(now, key, CallEvent::Leg(slot, event));
            }
            LegEvent::AcknowledgementDue
            | LegEvent::Acknowledged { .. }
            | LegEvent::Offered { .. }
            | LegEvent::OfferCancelled
            | LegEvent::Refreshed { .. }
            | LegEvent::OfferAnswered { .. }
            | LegEvent::OfferRecalled { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::OfferAcknowledged { .. }
            | LegEvent::Identified(_)
            | LegEvent::Info { .. }
            | LegEvent::InfoAnswered { .. } => {
                self.calls.handle(now, key, CallEvent::Leg(slot, event));
            }
        }
    }

    /// Whether callers hear what comes before the answer by the trunk of this leg.
    fn passes_early_media(&self, key: CallKey, slot: LegSlot) -> bool {
        let dialled = self.links.dialled(key, slot);
        dialled.is_some_and(|dialled| self.config.trunk_at(dialled.route.trunk()).early_media)
    }

    /// What a call wants done.
    fn obey(&mut self, now: Instant, key: CallKey, command: Command) {
        match command {
            Command::Leg(slot, command) => self.command_leg(now, key, slot, command),
            Command::Across(one, other) => {
                let legs = (self.links.leg(key, one), self.links.leg(key, other));
                if let (Some(one), Some(other)) = legs {
                    self.user_agent.speak_for(one, Some(other));
                }
            }
            Command::AskRound(slot, question) => self.ask_on_tie((key, slot), question),
            Command::Dial(slot, dial) => self.dial(now, key, slot, dial),
            Command::Queue(queue, input) => self.tell_queue(queue, input),
            Command::Agent(dn, input) => self.tell_agent(dn, input),
            Command::Event(event) => self.emit(event),
            Command::Count(counter) => self.counters.count(counter),
            Command::Forget => {
                self.links.forget_call(key);
                self.cut_ties(key);
            }
        }
    }

    pub(super) fn command_leg(
        &mut self,
        now: Instant,
        key: CallKey,
        slot: LegSlot,
        command: LegCommand,
    ) {
        let Some(leg) = self.links.leg(key, slot) else {
            return self.say_on_tie((key, slot), command);
        };
        let user_agent = &mut self.user_agent;
        match command {
            LegCommand::Progress(status) => user_agent.progress(now, leg, status),
            LegCommand::Queued(standing) => {
                let (position, wait) = (standing.position, standing.estimated_wait);
                user_agent.queued(now, leg, position, wait);
            }
            LegCommand::Answer(body) => user_agent.answer(now, leg, body.as_ref()),
            LegCommand::Refuse(refusal) => user_agent.refuse(now, leg, refusal),
            LegCommand::Acknowledge(body) => user_agent.acknowledge(now, leg, body.as_ref()),
            LegCommand::Offer(body) => user_agent.offer(now, leg, body.as_ref()),
            LegCommand::WithdrawOffer => user_agent.withdraw_offer(now, leg),
            LegCommand::AnswerOffer(body) => user_agent.answer_offer(now, leg, body.as_ref()),
            LegCommand::RefuseOffer(status) => {
                let refusal = Refusal {
                    status,
                    retry_after: None,
                };
                user_agent.refuse_offer(now, leg, refusal);
            }
            LegCommand::EarlyMedia(status, body) => {
                user_agent.early_media(now, leg, status, &body);
            }
            LegCommand::Info { body, reports } => user_agent.info(now, leg, &body, reports),
            // A peer's INFO has its answer already.
            LegCommand::InfoAnswered(_) => {}
            LegCommand::Talk => user_agent.talk(now, leg),
            LegCommand::Focus(is_focus) => user_agent.focus(leg, is_focus),
            LegCommand::Identify(party) => user_agent.identify(now, leg, &party),
            LegCommand::AcceptRefer => user_agent.accept_refer(now, leg),
            LegCommand::RefuseRefer(status) => user_agent.refuse_refer(now, leg, status),
            LegCommand::ReportRefer(status) => user_agent.report_refer(now, leg, status),
            LegCommand::HangUp(cause) => {
                user_agent.hang_up(now, leg, cause);
                self.links.take(key, slot);
                self.note_leaving(leg);
            }
        }
    }

    fn agent_says(&mut self, now: Instant, output: agent::Output) {
        match output {
            agent::Output::Event(event) => self.emit(event),
            agent::Output::Call(call, input) => self.tell_call(call, input),
            agent::Output::Queue(queue, input) => self.tell_queue(queue, input),
            agent::Output::Place(place) => self.place(now, &place),
            agent::Output::RefreshPresence(dn) => {
                self.watchers.refresh_now(now, &mut self.trunks, dn);
            }
        }
    }

    fn watcher_says(&mut self, now: Instant, output: presence::Output) {
        match output {
            presence::Output::Subscribe {
                dn,
                epoch,
                subscribe,
            } => match self.user_agent.subscribe(now, &subscribe) {
                Ok(key) => {
                    if let Some(old) = self.watchers.set_subscription(dn, epoch, key) {
                        self.user_agent.forget(old);
                    }
                }
                Err(_full) => self.watchers.handle_full(now, &mut self.trunks, dn, epoch),
            },
            presence::Output::Refresh { dn, epoch, expires } => {
                if let Some(key) = self.watchers.subscription(dn, epoch) {
                    self.user_agent.refresh(now, key, expires);
                }
            }
            presence::Output::Forget { dn, epoch } => {
                if let Some(key) = self.watchers.forget_subscription(dn, epoch) {
                    self.user_agent.forget(key);
                }
            }
            presence::Output::Vote(dn, vote) => self.tell_agent(dn, agent::Input::Presence(vote)),
            presence::Output::Notice(notice) => self.events.push_back(Output::Notice(notice)),
            presence::Output::Failure {
                trunk,
                peer,
                failure,
                retry_after,
            } => {
                self.count_failure(failure);
                self.trunks
                    .handle_failure(now, trunk, peer, failure, retry_after);
            }
        }
    }

    fn trunk_says(&mut self, now: Instant, output: trunk::Output) {
        match output {
            trunk::Output::Ping {
                trunk,
                peer,
                number,
                target,
                request_uri,
                max_forwards,
            } => {
                match self
                    .user_agent
                    .ping(now, target, &request_uri, max_forwards)
                {
                    Ok(key) => {
                        self.links.pings.insert(key, (trunk, peer, number));
                    }
                    Err(_full) => {
                        self.counters.count(Counter::PingSkipped);
                        self.trunks.handle_unsent(now, trunk, peer, number);
                    }
                }
            }
            trunk::Output::Change(trunk, change) => {
                for shard in 0..self.owners.shards() {
                    self.send(ShardId(shard), Message::TrunkHealth(trunk, change));
                }
            }
            trunk::Output::Nodes(trunk, nodes) => {
                for shard in 0..self.owners.shards() {
                    let message = Message::TrunkNodes(trunk, nodes.clone());
                    self.send(ShardId(shard), message);
                }
            }
            trunk::Output::Status(trunk, status) => {
                let notice = Notice::Trunk(trunk, status);
                self.events.push_back(Output::Notice(notice));
            }
            trunk::Output::Event(event) => self.emit(event),
            trunk::Output::ReportFailure {
                trunk,
                peer,
                failure,
                retry_after,
            } => {
                let owner = self.owners.trunk(&self.config, trunk);
                self.send(
                    owner,
                    Message::TrunkFailure {
                        trunk,
                        peer,
                        failure,
                        retry_after,
                    },
                );
            }
        }
    }

    fn queue_says(&mut self, output: queue::Output) {
        match output {
            queue::Output::Event(event) => self.emit(event),
            queue::Output::Notice(notice) => self.events.push_back(Output::Notice(notice)),
            queue::Output::Agent(dn, input) => self.tell_agent(dn, input),
            queue::Output::Call(call, input) => self.tell_call(call, input),
        }
    }
}
