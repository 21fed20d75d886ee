//! All calls of one worker: opens them when the schedule says, finds the call of each message,
//! and wakes calls when their time has come. Pure: time and datagrams come in, datagrams go out.
//! `engine` puts it on the shards runtime.

mod commands;
mod connections;
mod engine;
mod openings;
mod orders;
mod players;
mod schedule;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use offhook_shards::wheel::{TimerKey, Wheel};
use offhook_shards::{ConnectionId, Source, Transmit, Transport};

use super::calendar::Calendar;
use super::call::{Call, Opening, Progress};
use super::floor::{Files, Floor, Line};
use super::hash::{ByHash, Hashes, hash};
use super::heads::Heads;
use super::limits::{CALLS_MAX, DEAD_CALLS_MAX};
use super::message::{Kind, Received};
use super::model::{Scenario, Side, Stop};
use super::settings::Settings;
use super::statistics::Statistics;
use super::ticks::Ticks;
use super::twin;
use super::value::{write_ip, write_number};
pub use engine::{Order, Report, Worker};
use players::{MEDIA, Players, media_address};
use schedule::{Schedule, Share};

/// How a run ends that nobody interrupts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All calls have ended.
    Complete,
    /// The scenario or an operator has stopped it.
    Stopped,
    /// The scenario's `error` has.
    Fatal,
}

/// A call's place. The call stays when it has ended: the next one takes over its memory.
#[derive(Debug)]
struct Slot {
    call: Call,
    is_live: bool,
    /// The connection that it uses, of those that peers have opened.
    held: Option<ConnectionId>,
    timer: Option<(Instant, TimerKey)>,
}

/// The calls of one worker.
#[derive(Debug)]
pub struct Station {
    floor: Floor,
    slots: Vec<Slot>,
    free: Vec<usize>,
    /// Live calls by the hash of their Call-ID.
    by_id: ByHash<usize>,
    dead: Hashes,
    dead_until: VecDeque<(Instant, u64)>,
    wheel: Wheel<u32>,
    schedule: Schedule,
    players: Players,
    /// Users without a call, and when each will call again; in that order.
    idle_users: VecDeque<(Instant, usize)>,
    /// The moment of what happened last.
    clock: Instant,
    created: u64,
    is_draining: bool,
    /// Whether no call is opened for now.
    is_paused: bool,
    id: Vec<u8>,
}

impl Station {
    /// A station that opens its first call at `now`.
    #[must_use]
    pub fn new(
        now: Instant,
        scenario: Arc<Scenario>,
        settings: Arc<Settings>,
        files: Files,
        calendar: Calendar,
    ) -> Self {
        let share = Share {
            worker: settings.worker,
            workers: settings.workers.max(1),
            seed: settings.seed,
        };
        let users = settings.load.users.unwrap_or(0);
        let own = shared_out(1..=users, &settings);
        let idle_users = own.map(|user| (now, user)).collect();
        let mut station = Self {
            schedule: Schedule::new(
                now,
                &settings.load,
                share,
                Ticks::new(calendar.at, settings.tick),
            ),
            floor: Floor::new(scenario, settings, files, calendar),
            slots: Vec::new(),
            free: Vec::new(),
            by_id: ByHash::default(),
            dead: Hashes::default(),
            dead_until: VecDeque::new(),
            wheel: Wheel::new(now),
            players: Players::default(),
            idle_users,
            clock: now,
            created: 0,
            is_draining: false,
            is_paused: false,
            id: Vec::new(),
        };
        station.initialize(now);
        station
    }

    /// Carries out `<init>`: on a call that nobody else sees.
    fn initialize(&mut self, now: Instant) {
        if self.floor.scenario.initial.is_empty() {
            return;
        }
        let opening = self.opening(now, self.floor.settings.local, false, None);
        let mut call = Call::new(now, &opening, b"init", &mut self.floor);
        call.initialize(now, &mut self.floor);
    }

    /// What was counted and measured so far.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.floor.statistics
    }

    /// Calls a second that are opened now.
    #[must_use]
    pub fn rate(&self) -> f64 {
        if self.is_paused {
            return 0.0;
        }
        self.schedule.calls_per_second(self.clock)
    }

    /// Whether the run is over, and how.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        if self.floor.is_fatal {
            return Some(Ending::Fatal);
        }
        if self.floor.stop == Some(Stop::Now) {
            return Some(Ending::Stopped);
        }
        let is_done = self.is_draining || self.has_enough();
        (is_done && self.floor.statistics.current == 0).then_some(Ending::Complete)
    }

    /// Opens no more calls.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Ends the run whatever calls there are.
    pub fn stop(&mut self) {
        self.floor.stop = Some(Stop::Now);
    }

    /// Calls a period that are opened now.
    fn schedule_rate(&self) -> f64 {
        self.schedule.rate(self.clock)
    }

    /// Opens that many calls a period from now on.
    pub fn set_rate(&mut self, now: Instant, rate: f64) {
        self.is_paused = false;
        self.schedule.set_rate(now, rate);
    }

    /// The lines that wait to be written.
    pub fn take_lines(&mut self) -> Vec<Line> {
        self.floor.lines.drain(..).collect()
    }

    /// The next message to be sent is appended to `buffer`.
    pub fn transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        self.floor.transmit(buffer)
    }

    /// When [`Station::expire`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.floor.stop == Some(Stop::Now) {
            return None;
        }
        let opening = if !self.may_open() {
            None
        } else if self.is_closed_loop() {
            self.idle_users.front().map(|(ready, _)| *ready)
        } else {
            self.schedule.next()
        };
        let dead = self.dead_until.front().map(|(until, _)| *until);
        let times = [opening, dead, self.wheel.next()];
        let next = times.into_iter().flatten().min()?;
        Some(self.floor.ticks.at_or_after(next))
    }

    /// When the message that is given next has come, if that was before it is.
    pub fn note_arrival(&mut self, at: Instant) {
        self.floor.arrived = Some(at);
    }

    /// Opens the calls that are due and wakes those that wait no longer.
    pub fn expire(&mut self, now: Instant) {
        if self.floor.stop == Some(Stop::Now) {
            return;
        }
        while let Some((until, id)) = self.dead_until.front().copied() {
            if until > now && self.dead_until.len() <= DEAD_CALLS_MAX {
                break;
            }
            self.dead_until.pop_front();
            self.dead.remove(&id);
        }
        self.clock = now;
        self.open_due(now);
        self.is_draining |= !self.is_closed_loop() && self.schedule.is_over();
        while let Some((_, slot)) = self.wheel.expire(now) {
            if slot & MEDIA > 0 {
                self.play_on(now, slot & !MEDIA);
                continue;
            }
            let slot = slot as usize;
            self.slots[slot].timer = None;
            let progress = self.slots[slot].call.run(now, &mut self.floor);
            self.settle(now, slot, progress);
        }
        if self.floor.stop == Some(Stop::Gracefully) {
            self.is_draining = true;
        }
    }

    /// Takes a datagram, or a message cut from a stream.
    pub fn receive(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.take(now, from, bytes);
        self.floor.arrived = None;
    }

    fn take(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        if self.floor.stop == Some(Stop::Now) || bytes.trim_ascii().is_empty() {
            return;
        }
        let settings = &self.floor.settings;
        if settings.has_media && from.local == media_address(settings) {
            return self.floor.receive_media(&from, bytes);
        }
        // A server has nothing to send by a plan: how late it is shows in what it takes. Streams
        // bring no stamps: there the worker's beats count.
        if self.floor.scenario.side == Side::Server
            && from.connection.is_none()
            && let Some(arrived) = self.floor.arrived
        {
            let waited = now.saturating_duration_since(arrived);
            self.floor.statistics.lag.record(waited);
        }
        self.floor.trace_message(now, false, from.transport, bytes);
        if self.floor.scenario.first_command.is_some()
            && from.transport == Transport::Tcp
            && let Some(text) = twin::text(bytes)
        {
            return self.receive_command(now, from, text);
        }
        let message = Received::new(bytes);
        let message = message.and_then(|found| found.call_id().map(|id| (found, id)));
        let Some((message, id)) = message else {
            self.floor.statistics.malformed += 1;
            let remote = from.remote;
            self.floor
                .warn(now, || format!("what {remote} sent is no SIP message"));
            return;
        };
        let id = dialog_id(&self.floor.settings, id);
        let hash = hash(id);
        let known = self.by_id.get(&hash).copied();
        match known.filter(|slot| self.slots[*slot].call.call_id() == id) {
            Some(slot) => {
                let sequence = self.floor.recent.push(bytes);
                let call = &mut self.slots[slot].call;
                call.follow(&from);
                call.note(now, false, message.kind, sequence);
                let progress = call.receive(now, &message, &mut self.floor);
                self.settle(now, slot, progress);
            }
            None if self.dead.contains(&hash) => self.floor.statistics.dead_call += 1,
            None if self.accepts() => {
                let opening = self.opening(now, from.remote, false, None);
                let path = Transmit {
                    transport: from.transport,
                    local: Some(from.local),
                    remote: from.remote,
                    connection: from.connection,
                };
                let opening = Opening { path, ..opening };
                self.floor.statistics.incoming += 1;
                self.floor.settings.admitted.fetch_add(1, Ordering::Relaxed);
                let slot = self.open(now, &opening, id);
                let sequence = self.floor.recent.push(bytes);
                let call = &mut self.slots[slot].call;
                call.note(now, false, message.kind, sequence);
                let progress = call.receive(now, &message, &mut self.floor);
                self.settle(now, slot, progress);
            }
            None => self.out_of_call(now, &from, &message),
        }
    }

    fn out_of_call(&mut self, now: Instant, from: &Source, message: &Received<'_>) {
        self.floor.statistics.out_of_call += 1;
        let is_answered = matches!(
            message.kind,
            Kind::Request {
                method: b"INFO" | b"NOTIFY" | b"OPTIONS" | b"UPDATE"
            }
        );
        if is_answered && self.floor.settings.behaviours.auto_answer {
            let opening = self.opening(now, from.remote, false, None);
            let path = Transmit {
                transport: from.transport,
                local: Some(from.local),
                remote: from.remote,
                connection: from.connection,
            };
            let opening = Opening { path, ..opening };
            let mut call = Call::new(now, &opening, b"", &mut self.floor);
            call.answer(now, message, &mut self.floor);
            return;
        }
        let remote = from.remote;
        self.floor
            .warn(now, || format!("a message of {remote} belongs to no call"));
    }

    fn is_closed_loop(&self) -> bool {
        self.floor.settings.load.users.is_some()
    }

    /// Whether there were as many calls as `-m` says. Those that we open are shared out among the
    /// workers beforehand; those of peers come to whom they come.
    fn has_enough(&self) -> bool {
        let settings = &self.floor.settings;
        let Some(calls_max) = settings.load.calls_max else {
            return false;
        };
        match self.floor.scenario.side {
            Side::Client => {
                let (worker, workers) = (settings.worker, settings.workers.max(1));
                let share = calls_max / workers + u64::from(worker < calls_max % workers);
                self.created >= share
            }
            Side::Server => settings.admitted.load(Ordering::Relaxed) >= calls_max,
        }
    }

    fn accepts(&self) -> bool {
        let is_server = self.floor.scenario.side == Side::Server;
        is_server && !self.is_draining && !self.has_enough() && self.by_id.len() < CALLS_MAX
    }

    fn opening(
        &self,
        intended: Instant,
        remote: SocketAddr,
        is_ours: bool,
        user: Option<usize>,
    ) -> Opening {
        let settings = &self.floor.settings;
        let place = usize::try_from(self.created).unwrap_or(0) % settings.locals.len().max(1);
        let local = settings.locals.get(place).copied();
        Opening {
            // Numbers of different workers never meet.
            number: settings.first_call + self.created * settings.workers + settings.worker + 1,
            path: Transmit {
                transport: settings.transport,
                local: Some(local.unwrap_or(settings.local)),
                remote,
                connection: None,
            },
            intended,
            is_ours,
            user,
        }
    }

    fn open(&mut self, now: Instant, opening: &Opening, id: &[u8]) -> usize {
        self.created += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot]
                    .call
                    .begin(now, opening, id, &mut self.floor);
                slot
            }
            None => {
                let call = Call::new(now, opening, id, &mut self.floor);
                self.slots.push(Slot {
                    call,
                    is_live: false,
                    held: None,
                    timer: None,
                });
                self.slots.len() - 1
            }
        };
        self.slots[slot].is_live = true;
        self.hold_connection(slot);
        // Half empty, it never has to grow because of what was removed.
        let calls = self.by_id.len() + 1;
        if self.by_id.capacity() < 2 * calls {
            self.by_id.reserve(calls + 1);
        }
        self.by_id.insert(hash(id), slot);
        let statistics = &mut self.floor.statistics;
        statistics.current += 1;
        statistics.peak = statistics.peak.max(statistics.current);
        slot
    }

    /// Arms the call's timer, or buries it.
    fn settle(&mut self, now: Instant, index: usize, progress: Progress) {
        if !self.floor.media_orders.is_empty() {
            self.begin_media(now, index);
        }
        let slot = &mut self.slots[index];
        let wanted = match progress {
            Progress::Waiting(until) => until,
            Progress::Ended(_) => None,
        };
        if slot.timer.map(|(at, _)| at) != wanted {
            if let Some((_, key)) = slot.timer.take() {
                self.wheel.cancel(key);
            }
            slot.timer = wanted.map(|at| (at, self.wheel.arm(at, number_of(index))));
        }
        let Progress::Ended(failure) = progress else {
            return self.hold_connection(index);
        };
        if let Some(failure) = failure {
            self.floor.keep_ladder(now, &slot.call, failure);
        }
        slot.is_live = false;
        if let Some(flow) = slot.call.flow(&self.floor) {
            self.floor.hang_up(flow);
        }
        self.hold_connection(index);
        let slot = &mut self.slots[index];
        let id = hash(slot.call.call_id());
        let user = slot.call.user;
        self.by_id.remove(&id);
        self.floor.statistics.current -= 1;
        self.free.push(index);
        let wait = self.floor.settings.dead_call_wait;
        if self.dead.capacity() < 2 * self.dead.len() {
            self.dead.reserve(self.dead.len() + 1);
        }
        if !wait.is_zero() && self.dead.insert(id) {
            self.dead_until.push_back((now + wait, id));
        }
        let settings = &self.floor.settings;
        if self.floor.scenario.side == Side::Client {
            settings.at_once.fetch_sub(1, Ordering::Relaxed);
        }
        // Users may have become fewer meanwhile.
        let users = settings.load.users.unwrap_or(0);
        if let Some(user) = user.filter(|user| *user <= users) {
            let think = settings.load.think;
            self.rest(now + think, user);
        }
    }
}

/// Those of some users who call from this worker.
fn shared_out(
    users: RangeInclusive<usize>,
    settings: &Settings,
) -> impl Iterator<Item = usize> + use<> {
    let (worker, workers) = (settings.worker, settings.workers.max(1));
    users.filter(move |user| *user as u64 % workers == worker)
}

/// The part of a Call-ID that names the call.
fn dialog_id<'a>(settings: &Settings, id: &'a [u8]) -> &'a [u8] {
    if settings.keeps_slashes {
        return id;
    }
    // Hardly any has one.
    if memchr::memchr(b'/', id).is_none() {
        return id;
    }
    memchr::memmem::find(id, b"///").map_or(id, |at| &id[at + 3..])
}

/// A slot's index, as the wheel keeps it.
fn number_of(index: usize) -> u32 {
    u32::try_from(index).expect("CALLS_MAX fits 32 bits")
}

/// Replaces `%u`, `%p`, `%s` and `%%`.
fn write_call_id(settings: &Settings, number: u64, ip: IpAddr, output: &mut Vec<u8>) {
    let mut bytes = settings.call_id_format.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match bytes.next() {
                Some(b'u') => write_number(output, i64::try_from(number).unwrap_or(i64::MAX)),
                Some(b'p') => write_number(output, settings.process_id.into()),
                Some(b's') => write_ip(output, ip),
                Some(other) => output.push(other),
                None => output.push(b'%'),
            },
            other => output.push(other),
        }
    }
}

/// Where the first message of a stream ends (RFC 3261 §18.3): behind the body, whose length the
/// headers say.
fn message_length(buffer: &[u8]) -> Option<usize> {
    let head = memchr::memmem::find(buffer, b"\r\n\r\n")? + 4;
    let value = Heads::new(&buffer[..head]).value(b"Content-Length");
    let digits = value.and_then(|value| std::str::from_utf8(value).ok());
    let body: usize = digits.and_then(|digits| digits.parse().ok()).unwrap_or(0);
    head.checked_add(body)
}
