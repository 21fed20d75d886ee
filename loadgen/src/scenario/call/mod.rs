//! One call: where it is in the scenario, what it remembers, and what it waits for. Time comes
//! in, messages go to the floor's outbox; nothing here knows a socket or a clock. `receive`
//! matches messages to steps, `send` sends and resends, `act` carries out actions.

mod abort;
mod act;
mod advance;
mod command;
mod receive;
mod refresh;
mod send;
#[cfg(test)]
pub(crate) mod tests;
mod texts;
mod trace;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionId, Source, Transmit, Transport};

use super::floor::{Floor, Place};
use super::hash::hash;
use super::limits::STEPS_AT_ONCE_MAX;
use super::message::{Kind, Received};
use super::model::Scenario;
use super::names::{Scope, VariableId};
use super::statistics::{Failure, Statistics, classify};
use super::value::Value;
use crate::report::Ladder;
pub(crate) use texts::{Part, Texts};
use trace::Trace;

/// What a call does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for a message, at most until then.
    Waiting(Option<Instant>),
    /// It is over, and has failed if there is a cause.
    Ended(Option<Failure>),
}

/// How a call goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// With the step that it is at now.
    On,
    /// Not before something happens.
    Wait,
    /// Not at all.
    End(Option<Failure>),
}

/// A message that is sent again until it is answered.
#[derive(Debug)]
pub(crate) struct Resend {
    bytes: Vec<u8>,
    step: usize,
    at: Instant,
    delay: Duration,
    count: u32,
    is_invite: bool,
}

impl Resend {
    /// Nothing to be sent yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            bytes: Vec::new(),
            step: 0,
            at: now,
            delay: Duration::ZERO,
            count: 0,
            is_invite: false,
        }
    }
}

/// The beginning of a response time.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    /// As intended.
    began: Instant,
    /// How much later it really was.
    behind_us: u32,
    /// Whether the time was measured.
    is_measured: bool,
    /// Whether the scenario has come to where it begins; one that begins nowhere begins with the
    /// call.
    runs: bool,
}

/// Microseconds, as far as they can be told apart in 32 bits: more than an hour.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// A challenge to answer.
#[derive(Debug)]
pub(crate) struct Challenge {
    pub(crate) value: Vec<u8>,
    pub(crate) is_proxy: bool,
    /// How often it was answered.
    pub(crate) uses: u32,
}

impl Challenge {
    /// The header that answers it.
    pub(crate) fn header(&self) -> &'static str {
        if self.is_proxy {
            "Proxy-Authorization"
        } else {
            "Authorization"
        }
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    number: u64,
    is_ours: bool,
    path: Transmit,
    step: usize,
    /// Until when the pause at `step` lasts.
    pause_until: Option<Instant>,
    /// Until when the message at `step` may come.
    receive_until: Option<Instant>,
    /// Whether an action has chosen the next step.
    has_jumped: bool,
    /// Whether `step` was entered: its time-out runs.
    has_entered: bool,
    started: Instant,
    /// How much later than intended it was opened.
    opened_behind_us: u32,
    /// How much later than intended what happens now does.
    behind: Duration,
    resend: Option<Box<Resend>>,
    /// The hash of the message received last, until something was sent.
    received_hash: Option<u64>,
    /// The hash of the message that triggered the send step beside it.
    answered: Option<(u64, u32)>,
    has_sent_invite: bool,
    is_established: bool,
    awaits_ack: bool,
    /// The CSeq of the INVITE that was answered without a step, and whose ACK needs none either.
    refreshed: Option<u64>,
    /// The first check that failed; the call goes on and then has failed.
    failure: Option<Failure>,
    /// The response times, by index.
    stamps: Vec<Stamp>,
    /// The branches of named transactions.
    branches: Vec<Vec<u8>>,
    pub(crate) cseq: u64,
    pub(crate) user: Option<usize>,
    pub(crate) variables: Vec<Value>,
    pub(crate) texts: Texts,
    pub(crate) challenge: Option<Box<Challenge>>,
    /// The line of each injection file.
    pub(crate) lines: Vec<usize>,
    trace: Trace,
    /// Where its last message waits.
    last_sent: Place,
    /// Whether its media are paused.
    pub(crate) is_silent: bool,
    /// Where its media go, if it has any.
    media_to: Option<Box<SocketAddr>>,
}

/// How a call begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    pub(crate) number: u64,
    pub(crate) path: Transmit,
    /// When it should have begun.
    pub(crate) intended: Instant,
    pub(crate) is_ours: bool,
    pub(crate) user: Option<usize>,
}

impl Call {
    /// A call without a history.
    pub(crate) fn new(now: Instant, opening: &Opening, call_id: &[u8], floor: &mut Floor) -> Self {
        let path = opening.path;
        let mut call = Self {
            number: 0,
            is_ours: true,
            path,
            step: 0,
            pause_until: None,
            receive_until: None,
            has_jumped: false,
            has_entered: false,
            started: now,
            opened_behind_us: 0,
            behind: Duration::ZERO,
            resend: None,
            received_hash: None,
            answered: None,
            has_sent_invite: false,
            is_established: false,
            awaits_ack: false,
            refreshed: None,
            failure: None,
            stamps: Vec::new(),
            branches: Vec::new(),
            cseq: 0,
            user: None,
            variables: Vec::new(),
            texts: Texts::default(),
            challenge: None,
            lines: Vec::new(),
            trace: Trace::default(),
            last_sent: Place::default(),
            is_silent: false,
            media_to: None,
        };
        call.begin(now, opening, call_id, floor);
        call
    }

    /// Makes a new call of an ended one, whose memory it keeps.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        opening: &Opening,
        call_id: &[u8],
        floor: &mut Floor,
    ) {
        self.number = opening.number;
        self.trace.clear();
        self.last_sent = Place::default();
        self.is_silent = false;
        self.media_to = None;
        self.texts.clear();
        self.texts.set(Part::CallId, call_id);
        self.is_ours = opening.is_ours;
        self.path = opening.path;
        self.step = 0;
        self.pause_until = None;
        self.receive_until = None;
        self.has_jumped = false;
        self.has_entered = false;
        self.started = now;
        self.behind = now.saturating_duration_since(opening.intended);
        self.opened_behind_us = micros(self.behind);
        floor.give_back(self.resend.take());
        self.received_hash = None;
        self.answered = None;
        self.has_sent_invite = false;
        self.is_established = false;
        self.awaits_ack = false;
        self.refreshed = None;
        self.failure = None;
        self.cseq = floor.settings.base_cseq;
        self.user = opening.user;
        self.challenge = None;
        let times = floor.scenario.response_times.len();
        self.stamps.clear();
        let stamp = Stamp {
            began: opening.intended,
            behind_us: micros(self.behind),
            is_measured: false,
            runs: true,
        };
        self.stamps.reserve_exact(times);
        self.stamps.resize(times, stamp);
        for begun in &floor.begun_by_steps {
            self.stamps[*begun].runs = false;
        }
        self.branches
            .resize(floor.scenario.transactions.len(), Vec::new());
        self.branches.iter_mut().for_each(Vec::clear);
        self.variables.clear();
        self.variables
            .resize(floor.scenario.names.count(Scope::Call), Value::Unset);
        for (name, value) in &floor.settings.variables {
            if let Some(VariableId {
                scope: Scope::Call,
                index,
            }) = floor.scenario.names.find(name)
            {
                self.variables[index] = Value::Text(value.as_bytes().to_vec());
            }
        }
        self.lines.clear();
        let user = self.user;
        for (_, file) in &mut floor.files.injections {
            self.lines.push(file.take(user, &mut floor.random));
        }
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The index of the step that it is at.
    pub(crate) fn step(&self) -> usize {
        self.step
    }

    pub(crate) fn call_id(&self) -> &[u8] {
        self.texts.text(Part::CallId)
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    /// Our own address, unless the runtime chooses it.
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.path.local
    }

    pub(crate) fn transport(&self) -> Transport {
        self.path.transport
    }

    /// The connection that its peer has opened for it.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.path.connection
    }

    /// Its name among the calls that have connections of their own, if it is one.
    pub(crate) fn flow(&self, floor: &Floor) -> Option<u64> {
        let is_stream = self.path.transport != Transport::Udp;
        let has_own = is_stream && self.is_ours && floor.settings.connects_each;
        has_own.then(|| hash(self.call_id()))
    }

    /// Closes its connection, unless others use it as well.
    fn close_connection(&mut self, floor: &mut Floor) {
        if let Some(flow) = self.flow(floor) {
            floor.hang_up(flow);
        } else if let Some(connection) = self.path.connection
            && floor.flows.users(connection) < 2
        {
            self.path.connection = None;
            floor.close(connection);
        }
    }

    /// Whether it depends on a connection.
    pub(crate) fn uses(&self, connection: ConnectionId) -> bool {
        self.path.connection == Some(connection)
    }

    /// Whether it shares a connection to a peer with other calls.
    pub(crate) fn shares_connection_to(&self, remote: SocketAddr) -> bool {
        let is_stream = self.path.transport != Transport::Udp;
        is_stream && self.path.connection.is_none() && self.path.remote == remote
    }

    /// A peer's call goes where its messages come from.
    pub(crate) fn follow(&mut self, from: &Source) {
        if !self.is_ours && from.transport == self.path.transport {
            self.path.connection = from.connection;
        }
    }

    /// Answers a request that belongs to no call.
    pub(crate) fn answer(&mut self, now: Instant, message: &Received<'_>, floor: &mut Floor) {
        // The answer was asked for by the station, which also counts.
        let _ = self.answer_automatically(now, message, floor);
    }

    /// Carries out the scenario's steps before any call.
    pub(crate) fn initialize(&mut self, now: Instant, floor: &mut Floor) {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        for _ in 0..STEPS_AT_ONCE_MAX {
            let Some(step) = scenario.initial.get(self.step) else {
                return;
            };
            if self.complete(now, step, None, floor) != Flow::On {
                return;
            }
        }
    }

    /// Goes on until it has to wait.
    pub(crate) fn run(&mut self, now: Instant, floor: &mut Floor) -> Progress {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        self.go_on(now, &scenario, floor)
    }

    fn go_on(&mut self, now: Instant, scenario: &Scenario, floor: &mut Floor) -> Progress {
        if let Some(failure) = self.resend_if_due(now, floor) {
            return self.end(now, floor, Some(failure));
        }
        for _ in 0..STEPS_AT_ONCE_MAX {
            match self.take_step(now, scenario, floor) {
                Flow::On => {}
                Flow::Wait => {
                    let resend = self.resend.as_ref().map(|resend| resend.at);
                    let times = [self.pause_until, self.receive_until, resend];
                    return Progress::Waiting(times.into_iter().flatten().min());
                }
                Flow::End(failure) => return self.end(now, floor, failure),
            }
        }
        let number = self.number;
        floor.warn(now, || {
            format!("call {number} loops without waiting; it was ended")
        });
        self.end(now, floor, Some(Failure::Rejected))
    }

    /// Counts the call as over.
    fn end(&mut self, now: Instant, floor: &mut Floor, failure: Option<Failure>) -> Progress {
        floor.give_back(self.resend.take());
        let Floor {
            scenario,
            statistics,
            ..
        } = floor;
        let failure = failure.or(self.failure);
        if failure.is_some_and(Failure::is_silence) {
            self.measure_silence(now, statistics);
        }
        match failure {
            None => statistics.successful += 1,
            Some(failure) => statistics.fail(failure),
        }
        let length = now.saturating_duration_since(self.started);
        let behind = Duration::from_micros(self.opened_behind_us.into());
        statistics.call_length.record(length + behind, behind);
        classify(
            &scenario.call_length_classes,
            &mut statistics.call_length_classes,
            length,
        );
        Progress::Ended(failure)
    }

    /// What nobody answered took at least until now: without it, the latencies would be those of
    /// the answered requests only.
    fn measure_silence(&self, now: Instant, statistics: &mut Statistics) {
        let open = self.stamps.iter().zip(&mut statistics.response_times);
        for (stamp, times) in open.filter(|(stamp, _)| stamp.runs && !stamp.is_measured) {
            times
                .waited
                .record(now.saturating_duration_since(stamp.began));
        }
    }

    /// Sends a message to the peer.
    fn transmit(&mut self, now: Instant, bytes: &[u8], floor: &mut Floor) {
        let flow = self.flow(floor);
        let sequence = floor.send(self.path, flow, &mut self.last_sent, bytes, now);
        if let Some(kind) = Kind::of(bytes) {
            self.note(now, true, kind, sequence);
        }
    }

    /// Remembers a message for a ladder.
    pub(crate) fn note(&mut self, now: Instant, is_ours: bool, kind: Kind<'_>, sequence: u32) {
        let at = now.saturating_duration_since(self.started);
        self.trace.note(at, is_ours, kind, sequence);
    }

    /// The messages of a call that has failed.
    pub(crate) fn ladder(&self, failure: Failure, floor: &Floor) -> Ladder {
        Ladder {
            call: self.number,
            call_id: String::from_utf8_lossy(self.call_id()).into_owned(),
            cause: failure.names().1.to_owned(),
            rows: self.trace.rows(&floor.recent),
        }
    }

    /// Ends the call because its connection is gone.
    pub(crate) fn lose_connection(
        &mut self,
        now: Instant,
        floor: &mut Floor,
        failure: Failure,
    ) -> Progress {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        let is_done = self.is_waiting_at_the_end(&scenario);
        self.end(now, floor, (!is_done).then_some(failure))
    }

    fn value_mut<'a>(&'a mut self, id: VariableId, floor: &'a mut Floor) -> &'a mut Value {
        match id.scope {
            Scope::Call => &mut self.variables[id.index],
            Scope::User => &mut floor.users[self.user.unwrap_or(0)][id.index],
            Scope::Global => &mut floor.globals[id.index],
        }
    }

    fn value<'a>(&'a self, id: VariableId, floor: &'a Floor) -> &'a Value {
        match id.scope {
            Scope::Call => &self.variables[id.index],
            Scope::User => &floor.users[self.user.unwrap_or(0)][id.index],
            Scope::Global => &floor.globals[id.index],
        }
    }

    fn is_passed_over(&self, scenario: &Scenario, step: usize, floor: &Floor) -> bool {
        match scenario.steps[step].condition {
            None => false,
            Some((variable, inverse)) => self.value(variable, floor).is_set() == inverse,
        }
    }
}
