//! What is taken while more comes than can be handled: what belongs to calls that are up always,
//! requests of clients until even that waits too long, presence when there is time, new calls last.
//! The measure is how long a message waited before it was handled, not how many there are.

use std::time::{Duration, Instant};

use offhook_shards::{ShardId, Source, Urgency};

use crate::agent;
use crate::allowance::Rate;
use crate::call;
use crate::counters::Counter;
use crate::cti::{CallRequest, ConnId, ErrorCode, Event, Request, RequestBody, RequestedBy};
use crate::dialog::{Admission, Offered};
use crate::limits::{
    BACKLOG_MAX, BEHIND_AFTER, CALL_WAIT_MAX, CALLS_AT_ONCE_MIN, FEEDBACK_VALIDITY,
    LEGS_FOR_NEW_CALLS_MAX, OUTBOX_BYTES_FOR_NEW_CALLS, REQUEST_WAIT_MAX,
};
use crate::sip::{Feedback, Kind};
use crate::wall::Wall;

use super::{Engine, Message, Notebook};

/// The part of one shard of the calls that an address may begin in a second, which come to all of
/// them at random: each allows a few at once all the same.
pub(super) fn share(per_second: u32, shards: u16) -> Rate {
    let part = per_second.div_ceil(u32::from(shards.max(1)));
    let at_once = match shards {
        0 | 1 => part,
        _ => part.max(CALLS_AT_ONCE_MIN),
    };
    Rate::new(at_once, per_second, shards)
}

/// Whether what comes has waited too long for a while. A pause of this machine makes everything
/// late once, and is over when that was handled; a load that is too high makes it late for good.
#[derive(Debug)]
pub(super) struct Delay {
    wait_max: Duration,
    /// Since when everything has waited longer, or nothing has.
    since: Option<Instant>,
    /// Which of the two.
    is_late: bool,
    /// Whether it has been so for a while.
    stands: bool,
    /// When it was looked at last.
    noted: Option<Instant>,
}

impl Delay {
    fn new(wait_max: Duration) -> Self {
        Self {
            wait_max,
            since: None,
            is_late: false,
            stands: false,
            noted: None,
        }
    }

    /// Whether it is so now: if nothing has come of late, nothing waits.
    pub(super) fn is_behind(&self, now: Instant) -> bool {
        let is_fresh = |noted| now.saturating_duration_since(noted) < BEHIND_AFTER;
        self.stands && self.is_late && self.noted.is_some_and(is_fresh)
    }

    /// A message is handled that has waited so long.
    fn note(&mut self, now: Instant, waited: Duration) {
        let is_late = waited > self.wait_max;
        if self.is_late != is_late {
            (self.is_late, self.since) = (is_late, Some(now));
        }
        self.noted = Some(now);
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= BEHIND_AFTER {
            self.stands = is_late;
        }
    }
}

/// How many of a hundred new calls those should keep to themselves who follow RFC 7339: so many
/// more, in each stretch, as were refused of those that came, and a quarter less when none was. To
/// a client the shards are one server, so that each counts what came to the others, and its own
/// when the others can.
#[derive(Debug, Default)]
struct Loss {
    is_alone: bool,
    /// When this stretch ends.
    until: Option<Instant>,
    here: Offered,
    /// What came in the stretch before.
    last: Offered,
    elsewhere: Offered,
    /// What the others have not been told.
    untold: Offered,
    percent: u32,
}

impl Loss {
    fn percent(&mut self, now: Instant) -> u8 {
        let until = *self.until.get_or_insert(now + FEEDBACK_VALIDITY);
        if now >= until {
            let passed = now.duration_since(until) + FEEDBACK_VALIDITY;
            let stretches = passed.as_millis() / FEEDBACK_VALIDITY.as_millis();
            let mut all = std::mem::take(&mut self.elsewhere);
            let here = std::mem::take(&mut self.here);
            if self.is_alone {
                all += here;
            } else {
                self.untold += here;
                all += std::mem::replace(&mut self.last, here);
            }
            self.percent = match all.refused {
                0 => self.percent * 3 / 4,
                refused => {
                    let more = u64::from(100 - self.percent) * u64::from(refused);
                    let more = more / u64::from(all.came.max(refused));
                    self.percent + u32::try_from(more).unwrap_or_default()
                }
            };
            // Nothing has come since.
            for _ in 1..stretches.min(32) {
                self.percent = self.percent * 3 / 4;
            }
            self.until = Some(now + FEEDBACK_VALIDITY);
        }
        u8::try_from(self.percent).unwrap_or(100)
    }
}

/// How far a shard is behind.
#[derive(Debug)]
pub(super) struct Backlog {
    loss: Loss,
    /// What the last feedback was numbered.
    sequence: Duration,
    /// When the message that is handled next has come, and where it waited, if that is known.
    arrival: Option<(Instant, Urgency)>,
    /// Of new calls.
    pub(super) calls: Delay,
    /// Of what goes before requests of clients.
    pub(super) requests: Delay,
}

impl Backlog {
    pub(super) fn new(shards: u16) -> Self {
        Self {
            loss: Loss {
                is_alone: shards == 1,
                ..Loss::default()
            },
            sequence: Duration::ZERO,
            arrival: None,
            calls: Delay::new(CALL_WAIT_MAX),
            requests: Delay::new(REQUEST_WAIT_MAX),
        }
    }

    /// What responses say of overload. The time of day is a number that rises from process to
    /// process, and is the same on all shards (RFC 7339 §4.4); it does not fall when the clock is
    /// set back.
    pub(super) fn feedback(&mut self, now: Instant, wall: Wall) -> Feedback {
        self.sequence = self.sequence.max(wall.time_at(now));
        Feedback {
            loss_percent: self.loss.percent(now),
            validity: FEEDBACK_VALIDITY,
            sequence: self.sequence,
        }
    }

    /// What came to another shard.
    pub(super) fn handle_offered(&mut self, now: Instant, offered: Offered) {
        self.loss.percent(now);
        self.loss.elsewhere += offered;
    }

    pub(super) fn handle_arrival(&mut self, at: Instant, urgency: Urgency) {
        self.arrival = Some((at, urgency));
    }

    /// The message that was announced is handled now; where it waited. Nobody is told to wait
    /// because of those whom nobody knows.
    pub(super) fn note_wait(&mut self, now: Instant) -> Option<Urgency> {
        let (came, urgency) = self.arrival.take()?;
        let waited = now.saturating_duration_since(came);
        match urgency {
            Urgency::Now => self.requests.note(now, waited),
            Urgency::Last => self.calls.note(now, waited),
            Urgency::Soon | Urgency::Aside => {}
        }
        Some(urgency)
    }
}

impl Engine {
    /// How soon a message must be handled. A CANCEL stays behind its INVITE, and what nobody known
    /// sends is in nobody's way, unless it is part of a dialog: far ends may speak from other
    /// addresses than the trunk's, and media servers have no trunk.
    pub(super) fn urgency_of(&self, from: &Source, bytes: &[u8]) -> Urgency {
        let is_known = self.trunks.by_source(from.remote.ip()).is_some()
            || self.user_agent.has_dialog_of(bytes)
            || self.owners.is_begun_elsewhere(bytes, self.shard);
        if !is_known {
            return Urgency::Aside;
        }
        match Kind::of(bytes) {
            Kind::Call | Kind::Cancel => Urgency::Last,
            Kind::Notify => Urgency::Soon,
            Kind::Other => Urgency::Now,
        }
    }

    /// Whether new calls are taken now, whoever makes them.
    pub(super) fn admission(&self, now: Instant) -> Admission {
        if self.is_draining {
            Admission::Draining
        } else if self.is_full() || self.backlog.calls.is_behind(now) {
            Admission::Overloaded
        } else if !self.memory.has_room(self.calls.len()) {
            Admission::OutOfMemory
        } else {
            Admission::Open
        }
    }

    /// Whether so much waits to be told, or is held, that new work would be in the way of what is
    /// there.
    pub(super) fn is_full(&self) -> bool {
        let records = self.notebook.as_ref().map_or(0, Notebook::len);
        self.messages.len() + self.events.len() + records > BACKLOG_MAX
            || self.calls.is_full()
            || self.user_agent.legs() > LEGS_FOR_NEW_CALLS_MAX
            || self.user_agent.bytes_to_send() > OUTBOX_BYTES_FOR_NEW_CALLS
    }

    /// Notes what became of new calls, and tells the other shards now and then.
    pub(super) fn note_offered(&mut self, now: Instant) {
        let loss = &mut self.backlog.loss;
        loss.percent(now);
        loss.here += self.user_agent.take_offered();
        let untold = std::mem::take(&mut loss.untold);
        let others = (0..self.owners.shards()).map(ShardId);
        let others = others.filter(|&shard| shard != self.shard && untold != Offered::default());
        for other in others {
            self.messages.push_back((other, Message::Offered(untold)));
        }
    }

    /// There is no room for this message to wait.
    pub(super) fn shed(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        let urgency = self.backlog.note_wait(now);
        let urgency = urgency.unwrap_or_else(|| self.urgency_of(&from, bytes));
        let admission = match (self.admission(now), urgency) {
            (Admission::Open, Urgency::Last) => Admission::Overloaded,
            (admission, _) => admission,
        };
        match urgency {
            Urgency::Now | Urgency::Last => self.take(now, from, admission, bytes),
            // It comes again, until it is answered.
            Urgency::Soon => self.counters.count(Counter::NotifyPostponed),
            Urgency::Aside => self.counters.count(Counter::RequestUnknownSource),
        }
    }

    /// What is asked of a call that has ended, or never was, is refused.
    pub(super) fn no_such_call(
        &mut self,
        now: Instant,
        conn_id: ConnId,
        requested_by: RequestedBy,
        request: &CallRequest,
    ) {
        if let Some(dn) = call::takes_in_hand(request) {
            self.tell_agent(dn, agent::Input::NotTaken { requested_by });
        }
        let this_dn = call::requesting_dn(&self.config, request);
        let message = format!("there is no call {conn_id}");
        let code = ErrorCode::InvalidConnID;
        let error = Event::error(now, this_dn, requested_by, code, message);
        self.emit(Box::new(error));
    }

    /// Refuses a client's request while the shard is so far behind that its answer would come late.
    pub(super) fn is_too_busy(&mut self, now: Instant, request: &Request) -> bool {
        if !self.backlog.requests.is_behind(now) {
            return false;
        }
        let this_dn = match &request.body {
            RequestBody::Desktop(dn, _) => self.config.agent_at(*dn).dn.to_string(),
            RequestBody::Route(point, _) => self.config.routing_point_at(*point).number.to_string(),
            RequestBody::Call(_, request) => call::requesting_dn(&self.config, request),
        };
        let message = "the server has more to do than it can".to_owned();
        let code = ErrorCode::TooBusy;
        let error = Event::error(now, this_dn, request.requested_by, code, message);
        self.emit(Box::new(error));
        true
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    #[test]
    fn shards_share_a_rate_and_leave_room_for_chance() {
        assert_eq!(share(2, 1), Rate::new(2, 2, 1));
        assert_eq!(share(100, 2), Rate::new(50, 50, 1));
        assert_eq!(share(10, 8), Rate::new(CALLS_AT_ONCE_MIN, 10, 8));
        assert_eq!(share(1, 8), Rate::new(CALLS_AT_ONCE_MIN, 1, 8));
    }

    #[test]
    fn shards_tell_one_loss_whichever_of_them_refuses() {
        let (mut one, mut other) = (Loss::default(), Loss::default());
        let mut now = Clock.now();
        let offered = |came, refused| Offered { came, refused };
        for round in 0..20 {
            one.here += offered(100, if round < 4 { 50 } else { 0 });
            other.here += offered(100, 0);
            for loss in [&mut one, &mut other] {
                loss.percent(now);
            }
            other.elsewhere += std::mem::take(&mut one.untold);
            one.elsewhere += std::mem::take(&mut other.untold);
            let told = [one.percent(now), other.percent(now)];
            assert_eq!(told[0], told[1], "{round}");
            assert!(
                !(3..7).contains(&round) || told[1] > 20,
                "{round}: {told:?}"
            );
            now += FEEDBACK_VALIDITY;
        }
        assert!(other.percent(now) < 5);
    }
}
