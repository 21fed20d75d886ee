//! What is taken while more comes than can be handled: what belongs to calls that are up always,
//! requests of clients until even that waits too long, presence when there is time, new calls last.
//! The measure is how long a message waited before it was handled, not how many there are.

use std::time::{Duration, Instant};

use offhook_shards::{Source, Urgency};

use crate::allowance::Rate;
use crate::call;
use crate::config::TrunkIndex;
use crate::counters::Counter;
use crate::cti::{ErrorCode, Event, Request, RequestBody};
use crate::dialog::Admission;
use crate::limits::{
    BACKLOG_MAX, BEHIND_AFTER, CALL_WAIT_MAX, FEEDBACK_VALIDITY, LEGS_FOR_NEW_CALLS_MAX,
    OUTBOX_BYTES_FOR_NEW_CALLS, REQUEST_WAIT_MAX,
};
use crate::sip::{Feedback, opens_call};

use super::{Engine, Notebook, callers};

/// How soon a message must be handled. A CANCEL stays behind its INVITE.
pub(super) fn urgency(bytes: &[u8]) -> Urgency {
    if bytes.starts_with(b"NOTIFY ") {
        Urgency::Soon
    } else if bytes.starts_with(b"CANCEL ") || opens_call(bytes) {
        Urgency::Last
    } else {
        Urgency::Now
    }
}

/// Whether what comes has waited too long for a while. A pause of this machine makes everything
/// late once, and is over when that was handled; a load that is too high makes it late for good.
#[derive(Debug)]
struct Delay {
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
    fn is_behind(&self, now: Instant) -> bool {
        let is_fresh = |noted| now.saturating_duration_since(noted) < BEHIND_AFTER;
        self.stands && self.is_late && self.noted.is_some_and(is_fresh)
    }

    /// A message is handled that has waited so long; whether that is too long, for good.
    fn note(&mut self, now: Instant, waited: Duration) -> bool {
        let is_late = waited > self.wait_max;
        if self.is_late != is_late {
            (self.is_late, self.since) = (is_late, Some(now));
        }
        self.noted = Some(now);
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= BEHIND_AFTER {
            self.stands = is_late;
        }
        self.is_behind(now)
    }
}

/// How many of a hundred new calls those should keep to themselves who follow RFC 7339: so many
/// more, in each stretch, as were refused of those that came, and a quarter less when none was.
#[derive(Debug, Default)]
struct Loss {
    began: Option<Instant>,
    came: u32,
    refused: u32,
    percent: u32,
}

impl Loss {
    fn note(&mut self, now: Instant, is_refused: bool) {
        self.percent(now);
        self.came += 1;
        self.refused += u32::from(is_refused);
    }

    fn percent(&mut self, now: Instant) -> u8 {
        let began = *self.began.get_or_insert(now);
        let passed = now.saturating_duration_since(began);
        if passed >= FEEDBACK_VALIDITY {
            let stretches = passed.as_millis() / FEEDBACK_VALIDITY.as_millis();
            self.percent = match self.refused {
                0 => self.percent * 3 / 4,
                refused => self.percent + (100 - self.percent) * refused / self.came,
            };
            // Nothing has come since.
            for _ in 1..stretches.min(32) {
                self.percent = self.percent * 3 / 4;
            }
            (self.began, self.came, self.refused) = (Some(now), 0, 0);
        }
        u8::try_from(self.percent).unwrap_or(100)
    }
}

/// How far a shard is behind.
#[derive(Debug)]
pub(super) struct Backlog {
    started: Instant,
    loss: Loss,
    /// When the message that is handled next has come, and how urgent it is, if that is known.
    came: Option<(Instant, Urgency)>,
    /// Of new calls.
    calls: Delay,
    /// Of what goes before requests of clients.
    requests: Delay,
}

impl Backlog {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            started: now,
            loss: Loss::default(),
            came: None,
            calls: Delay::new(CALL_WAIT_MAX),
            requests: Delay::new(REQUEST_WAIT_MAX),
        }
    }

    /// What responses say of overload.
    pub(super) fn feedback(&mut self, now: Instant) -> Feedback {
        Feedback {
            loss_percent: self.loss.percent(now),
            validity: FEEDBACK_VALIDITY,
            sequence: now.saturating_duration_since(self.started),
        }
    }

    pub(super) fn handle_arrival(&mut self, at: Instant, urgency: Urgency) {
        self.came = Some((at, urgency));
    }

    /// How urgent the message is that is handled now, and whether it is a new call that comes too
    /// late.
    fn note(&mut self, now: Instant, bytes: &[u8]) -> (Urgency, bool) {
        let came = self.came.take();
        let (came, urgency) = came.unwrap_or_else(|| (now, urgency(bytes)));
        let waited = now.saturating_duration_since(came);
        let is_late = match urgency {
            Urgency::Now => {
                self.requests.note(now, waited);
                false
            }
            Urgency::Soon | Urgency::Aside => false,
            Urgency::Last => self.calls.note(now, waited),
        };
        (urgency, is_late)
    }
}

impl Engine {
    /// Whether new calls are taken, whoever makes them; `is_late` says that they wait too long.
    fn admission(&self, is_late: bool) -> Admission {
        if self.is_draining {
            Admission::Draining
        } else if is_late || self.is_full() {
            Admission::Overloaded
        } else if !self.memory.has_room(self.calls.len()) {
            Admission::OutOfMemory
        } else {
            Admission::Open
        }
    }

    /// Whether a desktop may make a call now.
    pub(super) fn takes_calls(&self, now: Instant) -> bool {
        self.admission(self.backlog.calls.is_behind(now)) == Admission::Open
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

    /// How urgent a message is that is handled now, and whether it is taken if it is a new call.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        from: Source,
        bytes: &[u8],
    ) -> (Urgency, Admission) {
        let (urgency, is_late) = self.backlog.note(now, bytes);
        let admission = self.admission(is_late);
        if urgency != Urgency::Last {
            return (urgency, admission);
        }
        let is_refused = match admission {
            Admission::Overloaded | Admission::OutOfMemory => true,
            Admission::Open | Admission::TooOften | Admission::Draining => false,
        };
        self.backlog.loss.note(now, is_refused);
        if admission == Admission::Open && self.calls_too_often(now, from) {
            return (urgency, Admission::TooOften);
        }
        (urgency, admission)
    }

    fn calls_too_often(&mut self, now: Instant, from: Source) -> bool {
        let address = from.remote.ip();
        let Some(trunk) = self.trunks.by_source(address) else {
            return false;
        };
        let rate = self.call_rate(trunk);
        !self.callers.has_room(now, address, rate)
    }

    /// How many new calls each address of a trunk may begin on this shard.
    pub(super) fn call_rate(&self, trunk: TrunkIndex) -> Rate {
        callers::share(self.config.trunk_at(trunk).call_rate, self.owners.shards())
    }

    /// There is no room for this message to wait. A NOTIFY comes again, until it is answered.
    pub(super) fn shed(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        match self.judge(now, from, bytes) {
            (Urgency::Soon, _) => self.counters.count(Counter::NotifyPostponed),
            (Urgency::Last, Admission::Open) => {
                self.backlog.loss.note(now, true);
                self.take(now, from, Admission::Overloaded, bytes);
            }
            (Urgency::Now | Urgency::Last | Urgency::Aside, admission) => {
                self.take(now, from, admission, bytes);
            }
        }
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
