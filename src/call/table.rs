//! The conversations of a shard: their storage, their names, their deadlines, and the wall between
//! a fault in one of them and all the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;
use offhook_shards::pages::LASTING_BYTES;
use offhook_shards::wheel::{TimerKey, Wheel};
use slotmap::SlotMap;

use compact_str::CompactString;

use crate::agent::{EndCause, PartyState, Place};
use crate::config::{Config, DnIndex, Hold, QueueIndex};
use crate::counters::Counter;
use crate::cti::{CallInfo, CallType, ConnId, DnRole, KeyValueList};
use crate::dialog::{Body, Party};
use crate::few::Rarely;
use crate::limits::CALLS_MAX;
use crate::sip::Status;

use super::command::{Command, LegSlot};
use super::conversation::{Conversation, Spare, Turn, Which};
use super::facts::{Destination, Facts, Way, cause, refuse_leg};
use super::leg::Legs;
use super::mint::Mint;
use super::participant::{Call, News, Participant, Who};
use super::takeover::Newcomer;
use super::timer::{Deadlines, Timer};
use super::why::Why;
use super::{CallKey, CallRef, Event, Input};

/// A caller at the door.
#[derive(Debug)]
pub struct Arrival {
    /// Where the caller asks to go.
    pub destination: Destination,
    /// Who calls.
    pub calling: Arc<Party>,
    /// The number as it was dialled.
    pub called: String,
    /// The caller's offer; `None` asks us for one.
    pub offer: Option<Body>,
    /// The INVITE's `Expires`.
    pub patience: Option<Duration>,
    /// How the caller is put on hold.
    pub hold: Hold,
    /// What INVITEs of ours take over.
    pub way: Way,
}

/// How many calls stand where, for gauges and for the checkers of the simulator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Live {
    /// Calls without an answer.
    pub unanswered: usize,
    /// Calls in which somebody talks, or waits for somebody after the answer.
    pub connected: usize,
}

#[derive(Debug)]
pub(super) struct Entry {
    conversation: Conversation,
    /// The names by which it is found: of its main call and of a consultation.
    names: [Option<ConnId>; 2],
    /// The wheel's entry for the earliest deadline.
    armed: Option<(Instant, TimerKey)>,
}

/// The conversations of a shard.
#[derive(Debug)]
pub struct Calls {
    pub(super) shard: ShardId,
    pub(super) config: Arc<Config>,
    mint: Mint,
    /// Each in a place of its own: a table that grows makes room for as many more.
    pub(super) calls: SlotMap<CallKey, Box<Entry>>,
    names: BTreeMap<ConnId, CallKey>,
    wheel: Wheel<CallKey, LASTING_BYTES>,
    scratch: Vec<Command>,
    spare: Spare,
    commands: VecDeque<(CallKey, Command)>,
    /// Those that had a turn, while somebody wants to know.
    touched: Option<BTreeSet<CallKey>>,
    calls_max: usize,
}

impl Calls {
    /// No calls yet.
    #[must_use]
    pub fn new(now: Instant, shard: ShardId, config: Arc<Config>, mint: Mint) -> Self {
        Self {
            shard,
            config,
            mint,
            calls: SlotMap::with_key(),
            names: BTreeMap::new(),
            wheel: Wheel::new(now),
            scratch: Vec::new(),
            spare: Spare::default(),
            commands: VecDeque::new(),
            touched: None,
            calls_max: CALLS_MAX,
        }
    }

    /// Whether as many calls are held as may be.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.calls.len() >= self.calls_max
    }

    #[cfg(test)]
    pub(crate) fn set_limit(&mut self, calls_max: usize) {
        self.calls_max = calls_max;
    }

    /// Takes a caller in, who is heard of first as `100 Trying`, then `182 Queued` or `180`; its
    /// leg is [`LegSlot::FIRST`]. `None` when as many calls are held as may be: the caller is to
    /// be refused.
    pub fn arrive(&mut self, now: Instant, arrival: Arrival) -> Option<CallKey> {
        if self.is_full() {
            return None;
        }
        let Arrival {
            destination,
            calling,
            called,
            offer,
            patience,
            hold,
            way,
        } = arrival;
        let shown = !calling.private && !calling.number.is_empty();
        let ani = shown.then(|| (&*calling.number).into());
        let info = self.mint.call(
            CallType::Inbound,
            ani,
            Some(called.into()),
            KeyValueList::new(),
        );
        let mut legs = Legs::default();
        let leg = legs.invited(info.conn_id.0, offer);
        let first = Participant::new(Who::Outside(calling), leg, DnRole::Origination);
        let key = self.open(now, (info, first, legs), (way, true));
        let entry = &mut self.calls[key];
        entry.conversation.facts.caller_hold = hold;
        if let Some(patience) = patience {
            let deadlines = &mut entry.conversation.facts.deadlines;
            deadlines.arm(Timer::Patience, now + patience);
        }
        self.scratch.push(Command::Count(Counter::CallOffered));
        let search = (None, Why::Called);
        self.turn(now, (key, None), |conversation, turn| {
            conversation.seek(turn, Which::Main, destination, search);
        });
        Some(key)
    }

    /// Makes the call that a desktop asks for; the leg of its phone is [`LegSlot::FIRST`]. `None`
    /// when as many calls are held as may be.
    pub fn place(
        &mut self,
        now: Instant,
        place: &Place,
        destination: Destination,
        way: Way,
    ) -> Option<CallRef> {
        if self.is_full() {
            return None;
        }
        let call_type = match destination {
            Destination::Queue { .. } | Destination::Direct { .. } => CallType::Internal,
            Destination::Outside { .. } | Destination::Takeover { .. } => CallType::Outbound,
        };
        let ani = (&*self.config.agent_at(place.dn).dn).into();
        let dnis = Some(place.destination.as_str().into());
        let info = self
            .mint
            .call(call_type, Some(ani), dnis, place.user_data.clone());
        let conn_id = info.conn_id;
        let mut legs = Legs::default();
        let leg = legs.dialled(conn_id.0);
        let first = Participant::new(Who::Agent(place.dn), leg, DnRole::Origination);
        let key = self.open(now, (info, first, legs), (way, false));
        self.scratch.push(Command::Count(Counter::CallPlaced));
        self.turn(now, (key, None), |conversation, turn| {
            conversation.place(turn, place, destination);
        });
        Some(CallRef {
            shard: self.shard,
            key,
            conn_id,
        })
    }

    fn open(
        &mut self,
        now: Instant,
        (info, first, legs): (CallInfo, Participant, Legs),
        (way, is_inbound): (Way, bool),
    ) -> CallKey {
        let (shard, config) = (self.shard, Arc::clone(&self.config));
        let mut deadlines = Deadlines::default();
        deadlines.arm(Timer::Duration, now + config.server.call_duration_max);
        self.insert(|key| {
            let facts = Facts {
                shard,
                key,
                config,
                deadlines,
                way,
                visited: Rarely::default(),
                refused_with: None,
                hops: 0,
                caller_hold: Hold::Inactive,
                is_inbound,
                is_counted: false,
                is_link: false,
            };
            let main = Call::new((info, first), None, now);
            Conversation::new(facts, legs, main)
        })
    }

    pub(super) fn insert(&mut self, make: impl FnOnce(CallKey) -> Conversation) -> CallKey {
        self.calls.insert_with_key(|key| {
            Box::new(Entry {
                conversation: make(key),
                names: [None; 2],
                armed: None,
            })
        })
    }

    /// Keeps in mind from now on which conversations had a turn.
    pub fn watch_touched(&mut self) {
        self.touched = Some(BTreeSet::new());
    }

    /// Those that had a turn since this was last asked, over or not.
    pub fn take_touched(&mut self) -> BTreeSet<CallKey> {
        self.touched
            .as_mut()
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// Somebody from another conversation asks for the place of a party of this one; gives back
    /// the leg by which it comes.
    ///
    /// # Errors
    /// The status that it gets.
    pub fn take_over(
        &mut self,
        now: Instant,
        (key, replaced): (CallKey, LegSlot),
        newcomer: Newcomer,
    ) -> Result<LegSlot, Status> {
        if !self.is_live(key) {
            return Err(Status::CALL_DOES_NOT_EXIST);
        }
        let taken = self.turn(now, (key, None), |conversation, turn| {
            let taken = conversation.take_over(turn, replaced, newcomer);
            conversation.settle(turn);
            taken
        });
        taken.unwrap_or(Err(Status::SERVER_INTERNAL_ERROR))
    }

    /// Something happened to a call; to one that has ended it means nothing.
    pub fn handle(&mut self, now: Instant, key: CallKey, event: Event) {
        let offered = event.offered();
        self.turn(now, (key, offered), |conversation, turn| {
            conversation.handle(turn, event);
        });
    }

    /// A conversation's turn. A fault of ours in one call must not end the others: that call is
    /// ended and reported; `None` then. `offered` is the agent whom the turn promises to it.
    pub(super) fn turn<T>(
        &mut self,
        now: Instant,
        (key, offered): (CallKey, Option<(ConnId, DnIndex)>),
        act: impl FnOnce(&mut Conversation, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let conversation = &mut self.calls.get_mut(key)?.conversation;
        let mut turn = Turn {
            now,
            commands: &mut self.scratch,
            mint: &mut self.mint,
            spare: &mut self.spare,
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let outcome = act(conversation, &mut turn);
            conversation.look_for_circle(&mut turn);
            outcome
        }));
        if outcome.is_err() {
            // What was said before the fault stands: who has left the state heard it there only.
            conversation.abort(offered, &mut self.scratch);
        }
        self.settle(key);
        outcome.ok()
    }

    /// Runs the deadlines that have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((_, key)) = self.wheel.expire(now) {
            let Some(entry) = self.calls.get_mut(key) else {
                continue;
            };
            entry.armed = None;
            let deadlines = &mut entry.conversation.facts.deadlines;
            let Some((_, timer)) = deadlines.next().filter(|(at, _)| *at <= now) else {
                self.settle(key);
                continue;
            };
            deadlines.disarm(timer);
            self.handle(now, key, Event::Timer(timer));
        }
    }

    /// The next thing to do for a call. After [`Command::Forget`] its key is not heard of again.
    pub fn poll_command(&mut self) -> Option<(CallKey, Command)> {
        self.commands.pop_front()
    }

    /// When to call [`Calls::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.wheel.next()
    }

    /// Timers that are armed.
    #[must_use]
    pub fn timers(&self) -> usize {
        self.wheel.len()
    }

    /// Whether there is a call, or was one a moment ago.
    #[must_use]
    pub fn is_live(&self, key: CallKey) -> bool {
        self.calls.contains_key(key)
    }

    /// Whether a call has this leg, or wants it made.
    #[must_use]
    pub fn has_leg(&self, key: CallKey, slot: LegSlot) -> bool {
        self.get(key)
            .is_some_and(|conversation| conversation.legs.get(slot).is_some())
    }

    /// The conversation that a call belongs to.
    #[must_use]
    pub fn find(&self, conn_id: ConnId) -> Option<CallKey> {
        self.names.get(&conn_id).copied()
    }

    /// What is known of a call, while it lives.
    #[must_use]
    pub fn info(&self, conn_id: ConnId) -> Option<&Arc<CallInfo>> {
        let conversation = &self.calls.get(self.find(conn_id)?)?.conversation;
        let call = conversation.call(conversation.which(conn_id)?)?;
        Some(&call.info)
    }

    /// The queue that a call is at home in, if it waits.
    #[must_use]
    pub fn home(&self, conn_id: ConnId) -> Option<QueueIndex> {
        let conversation = &self.calls.get(self.find(conn_id)?)?.conversation;
        let call = conversation.call(conversation.which(conn_id)?)?;
        Some(call.quest.as_ref()?.entry?.queue)
    }

    pub(super) fn get(&self, key: CallKey) -> Option<&Conversation> {
        self.calls.get(key).map(|entry| &entry.conversation)
    }

    /// How a conversation stands, for tests of what is possible in it.
    #[cfg(test)]
    pub(super) fn conversation(&self, key: CallKey) -> &Conversation {
        &self.calls[key].conversation
    }

    /// The same, for faults that only a broken invariant makes.
    #[cfg(test)]
    pub(super) fn conversation_mut(&mut self, key: CallKey) -> &mut Conversation {
        &mut self.calls[key].conversation
    }

    /// How many calls there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// How many stand where.
    #[must_use]
    pub fn live(&self) -> Live {
        self.calls
            .values()
            .fold(Live::default(), |mut live, entry| {
                if entry.conversation.is_answered() {
                    live.connected += 1;
                } else {
                    live.unanswered += 1;
                }
                live
            })
    }

    /// Hands the commands out, moves the wheel's entry, and forgets a call that has ended.
    fn settle(&mut self, key: CallKey) {
        if let Some(touched) = &mut self.touched {
            touched.insert(key);
        }
        let entry = &mut self.calls[key];
        self.commands
            .extend(self.scratch.drain(..).map(|command| (key, command)));
        let ended = entry.conversation.is_over();
        let names = if ended {
            [None; 2]
        } else {
            entry.conversation.names()
        };
        if entry.names != names {
            for old in entry.names.iter().flatten() {
                self.names.remove(old);
            }
            for new in names.iter().flatten() {
                self.names.insert(*new, key);
            }
            entry.names = names;
        }
        let next = entry.conversation.facts.deadlines.next();
        let next = next.map(|(at, _)| at).filter(|_| !ended);
        if entry.armed.map(|(at, _)| at) != next {
            if let Some((_, timer)) = entry.armed.take() {
                self.wheel.cancel(timer);
            }
            entry.armed = next.map(|at| (at, self.wheel.arm(at, key)));
        }
        if ended {
            self.calls.remove(key);
            self.commands.push_back((key, Command::Forget));
        }
    }
}

impl Conversation {
    /// The names of its calls.
    fn names(&self) -> [Option<ConnId>; 2] {
        let consult = self.consult.as_ref().map(|call| call.conn_id);
        [Some(self.main.conn_id), consult]
    }

    /// Whether somebody has answered.
    fn is_answered(&self) -> bool {
        let is_up = |who: &Participant| self.legs.is_up(who.leg);
        let waits_answered = self.facts.is_inbound && self.main.participants.iter().any(is_up);
        self.main.participants.len() > 1 || waits_answered
    }

    /// Ends a conversation that a fault of ours has met: its legs, reservations and places in
    /// queues are given back whatever state was lost.
    fn abort(&mut self, offered: Option<(ConnId, DnIndex)>, commands: &mut Vec<Command>) {
        commands.push(Command::Count(Counter::Panic));
        let slots: Vec<LegSlot> = self.legs.slots().collect();
        for leg in slots {
            if self.legs.is_invited(leg) {
                refuse_leg(commands, leg, Status::SERVER_INTERNAL_ERROR);
            }
            let hang_up = super::LegCommand::HangUp(cause::FAILURE.into());
            commands.push(Command::Leg(leg, hang_up));
        }
        let calls = [Some(&mut self.main), self.consult.as_mut()];
        for call in calls.into_iter().flatten() {
            let called = call.quest.as_ref().and_then(super::quest::Quest::called);
            let promised = offered.filter(|(conn_id, _)| *conn_id == call.conn_id);
            let promised = promised.map(|(_, dn)| {
                Participant::new(Who::Agent(dn), LegSlot::FIRST, DnRole::Destination)
            });
            let all = call.participants.iter().chain(called);
            for who in all.chain(promised.as_ref()) {
                let ended = PartyState::Ended(EndCause::Failed);
                // Without the far party's number, the look-up of which may be what failed.
                let news = News {
                    other: Some((CompactString::const_new(""), DnRole::Unknown)),
                    ..News::default()
                };
                call.report(&self.facts, who, ended, news, commands);
            }
            let entry = call.quest.as_ref().and_then(|quest| quest.entry);
            if let Some(entry) = entry {
                let left = crate::queue::Input::Left {
                    conn_id: entry.conn_id,
                    cause: EndCause::Failed,
                };
                entry.tell(&left, commands);
            }
            call.participants.clear();
            call.quest.clear();
        }
        if self.facts.is_inbound && !self.facts.is_counted {
            self.facts.is_counted = true;
            commands.push(Command::Count(Counter::CallFailed));
        }
    }
}

impl Event {
    /// The agent whom the event promises to the call.
    fn offered(&self) -> Option<(ConnId, DnIndex)> {
        match self {
            Self::Input(conn_id, Input::Offer { dn, .. }) => Some((*conn_id, *dn)),
            Self::Input(
                _,
                Input::DirectRefused { .. }
                | Input::DirectForwarded { .. }
                | Input::Standing(_)
                | Input::Dnis(_)
                | Input::QueueRefused { .. }
                | Input::Request { .. }
                | Input::Forward { .. }
                | Input::OfferWithdrawn { .. },
            )
            | Self::Leg(..)
            | Self::Timer(_)
            | Self::Referred(..)
            | Self::DialFailed(_)
            | Self::AskedRound(..) => None,
        }
    }
}
