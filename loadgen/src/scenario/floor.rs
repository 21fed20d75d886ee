//! What all calls of one worker share: the scenario, the settings, what they send, count and
//! log, chance and injection files. A call gets it with every step; it holds no call.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::{ConnectionId, Source, Transmit, Transport};

use super::calendar::Calendar;
use super::call::{Call, Resend};
use super::flows::Flows;
use super::injection::Injection;
use super::limits::{LADDERS_PER_CAUSE_MAX, LOG_BACKLOG_MAX, SPARE_BUFFERS_MAX};
use super::media::Track;
use super::message::{Received, first_line};
use super::model::{Scenario, Stop};
use super::names::{Scope, VariableId};
use super::pattern::Memory;
use super::recent::Recent;
use super::settings::Settings;
use super::statistics::{Failure, Statistics};
use super::ticks::Ticks;
use super::value::Value;
use crate::population::Random;
use crate::report::Ladder;

/// Where a line is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// What goes wrong.
    Error,
    /// What the scenario says.
    Scenario,
    /// A message sent or received.
    Message,
    /// A message sent or received, in one line.
    Short,
    /// A response time.
    ResponseTime,
    /// The messages of a call that has failed.
    Call,
}

/// A line to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub log: Log,
    /// When.
    pub at: Instant,
    /// What.
    pub text: Vec<u8>,
}

/// Files that messages quote, by name.
#[derive(Debug, Clone, Default)]
pub struct Files {
    pub(crate) injections: Vec<(String, Injection)>,
    pub(crate) contents: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) tracks: Vec<Arc<Track>>,
}

/// What is to be given to the runtime, in this order.
#[derive(Debug)]
enum Outgoing {
    Message {
        to: Transmit,
        range: Range<usize>,
        /// The call, if it has a connection of its own.
        flow: Option<u64>,
    },
    /// A call needs its own connection no more.
    HangUp(u64),
    /// A connection is needed no more.
    Close(ConnectionId),
}

#[derive(Debug)]
pub(crate) struct Floor {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) statistics: Statistics,
    pub(crate) random: Random,
    pub(crate) calendar: Calendar,
    pub(crate) files: Files,
    pub(crate) globals: Vec<Value>,
    /// Of each user.
    pub(crate) users: Vec<Vec<Value>>,
    pub(crate) lines: VecDeque<Line>,
    /// What the scenario or the load plan has ordered for the whole run.
    pub(crate) stop: Option<Stop>,
    /// Whether a scenario's `error` has ended the run.
    pub(crate) is_fatal: bool,
    /// Room for regular expressions, by index.
    pub(crate) memories: Vec<Memory>,
    pub(crate) groups: Vec<Option<Range<usize>>>,
    /// Room for texts that are made to be looked at.
    pub(crate) scratch: Vec<u8>,
    /// Texts of recent messages.
    pub(crate) recent: Recent,
    /// Calls that failed, to be reported.
    pub(crate) ladders: VecDeque<Ladder>,
    /// How many were, by cause.
    pub(crate) ladder_counts: [u8; Failure::ALL.len()],
    /// The connection on which a twin was heard last.
    pub(crate) twin: Option<(SocketAddr, ConnectionId)>,
    /// Tracks that the call at work wants to be played, and where to.
    pub(crate) media_orders: Vec<(usize, SocketAddr)>,
    /// Whether media that come are sent back.
    pub(crate) echoes: bool,
    /// Commands for the shell.
    pub(crate) commands: VecDeque<String>,
    /// Buffers that calls have given back.
    #[allow(
        clippy::vec_box,
        reason = "calls own boxes, and get the same ones back"
    )]
    spare: Vec<Box<Resend>>,
    /// What `[dynamic_id]` was last; every use has the next one.
    dynamic_ids: Cell<u64>,
    /// Whether a scenario has sent calls elsewhere (`setdest`).
    pub(crate) is_redirected: bool,
    /// The calls' stream connections.
    pub(crate) flows: Flows,
    /// Response times that begin at a step, by index.
    pub(crate) begun_by_steps: Vec<usize>,
    /// When a busy worker acts.
    pub(crate) ticks: Ticks,
    /// When the message at hand has come, if that was noted.
    pub(crate) arrived: Option<Instant>,
    /// First messages of calls, second ones, and so on: those of one step are often of equal
    /// length, and cheap if they follow each other. The last holds all further ones.
    waves: [VecDeque<Outgoing>; WAVES],
    /// How often all of it was given away.
    rounds: u32,
    outgoing: Vec<u8>,
}

/// See [`Floor::waves`].
const WAVES: usize = 3;

/// Which message of its call one is, of those that wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    round: u32,
    wave: u8,
}

impl Floor {
    pub(crate) fn new(
        scenario: Arc<Scenario>,
        settings: Arc<Settings>,
        files: Files,
        calendar: Calendar,
    ) -> Self {
        let count = |scope| scenario.names.count(scope);
        let users = settings.load.users.unwrap_or(0);
        let mut files = files;
        for (_, file) in &mut files.injections {
            file.share(settings.worker, settings.workers);
        }
        let mut floor = Self {
            statistics: Statistics::new(&scenario),
            random: Random::new(settings.seed, settings.worker),
            calendar,
            files,
            globals: vec![Value::Unset; count(Scope::Global)],
            users: Vec::new(),
            lines: VecDeque::new(),
            stop: None,
            is_fatal: false,
            memories: scenario
                .patterns
                .iter()
                .map(super::pattern::Pattern::memory)
                .collect(),
            groups: Vec::new(),
            scratch: Vec::new(),
            recent: Recent::new(settings.recent_bytes),
            ladders: VecDeque::new(),
            ladder_counts: [0; Failure::ALL.len()],
            twin: None,
            media_orders: Vec::new(),
            echoes: settings.echoes,
            commands: VecDeque::new(),
            spare: Vec::new(),
            dynamic_ids: Cell::new(0),
            is_redirected: false,
            flows: Flows::default(),
            begun_by_steps: begun_by_steps(&scenario),
            ticks: Ticks::new(calendar.at, settings.tick),
            arrived: None,
            waves: Default::default(),
            rounds: 1,
            outgoing: Vec::new(),
            scenario,
            settings,
        };
        let scenario = Arc::clone(&floor.scenario);
        for (name, value) in &Arc::clone(&floor.settings).variables {
            if let Some(VariableId {
                scope: Scope::Global,
                index,
            }) = scenario.names.find(name)
            {
                floor.globals[index] = Value::Text(value.as_bytes().to_vec());
            }
        }
        floor.seat_users(users);
        floor
    }

    /// Has room for the variables of so many users, and of the one who is nobody.
    pub(crate) fn seat_users(&mut self, users: usize) {
        let own = vec![Value::Unset; self.scenario.names.count(Scope::User)];
        if self.users.len() <= users {
            self.users.resize(users + 1, own);
        }
    }

    /// Queues a message, and returns the number by which its text is found. `flow` is the call, if
    /// it has a connection of its own; `last` is where its message before this one was.
    pub(crate) fn send(
        &mut self,
        to: Transmit,
        flow: Option<u64>,
        last: &mut Place,
        bytes: &[u8],
        now: Instant,
    ) -> u32 {
        self.trace_message(now, true, to.transport, bytes);
        // On a stream nothing overtakes anything.
        let is_first = last.round != self.rounds || to.transport != Transport::Udp;
        *last = Place {
            round: self.rounds,
            wave: if is_first { 0 } else { last.wave + 1 },
        };
        last.wave = last.wave.min((WAVES - 1) as u8);
        self.queue(to, flow, usize::from(last.wave), bytes);
        self.recent.push(bytes)
    }

    fn queue(&mut self, to: Transmit, flow: Option<u64>, wave: usize, bytes: &[u8]) {
        let start = self.outgoing.len();
        self.outgoing.extend_from_slice(bytes);
        let range = start..self.outgoing.len();
        self.waves[wave].push_back(Outgoing::Message { to, range, flow });
    }

    /// Closes a call's own connection behind what was sent on it.
    pub(crate) fn hang_up(&mut self, flow: u64) {
        self.waves[0].push_back(Outgoing::HangUp(flow));
    }

    /// Closes a connection behind what was sent on it.
    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.waves[0].push_back(Outgoing::Close(connection));
    }

    /// What `[dynamic_id]` is now.
    pub(crate) fn dynamic_id(&self) -> u64 {
        /// The first, how many there are, and what is between two.
        const FIRST: u64 = 10_000;
        const COUNT: u64 = 8_000;
        const STEP: u64 = 4;
        let used = self.dynamic_ids.get();
        self.dynamic_ids.set(used + 1);
        let (worker, workers) = (self.settings.worker, self.settings.workers.max(1));
        FIRST + (used * workers + worker) * STEP % COUNT
    }

    /// Whether a call may send there; a place that it may not is counted and warned of.
    pub(crate) fn may_send_to(&mut self, now: Instant, call: u64, ip: IpAddr) -> bool {
        let may = self.settings.reach.has(ip);
        if !may {
            self.statistics.unreached += 1;
            self.warn(now, || {
                format!("call {call}: {ip} is not on this machine, and --allow-target names it not")
            });
        }
        may
    }

    /// Queues a packet of media, which is no message.
    pub(crate) fn send_media(&mut self, to: Transmit, bytes: &[u8]) {
        self.statistics.media_sent += 1;
        self.queue(to, None, 0, bytes);
    }

    /// Takes a packet of media.
    pub(crate) fn receive_media(&mut self, from: &Source, bytes: &[u8]) {
        self.statistics.media_received += 1;
        if self.echoes {
            let back = Transmit {
                transport: from.transport,
                local: Some(from.local),
                remote: from.remote,
                connection: None,
            };
            self.send_media(back, bytes);
        }
    }

    /// Hands a command to whoever runs them, if that was allowed.
    pub(crate) fn execute(&mut self, text: &[u8]) {
        if !self.settings.allows_commands {
            return;
        }
        if self.commands.len() < LOG_BACKLOG_MAX {
            self.commands
                .push_back(String::from_utf8_lossy(text).into_owned());
        } else {
            self.statistics.unlogged += 1;
        }
    }

    /// Appends the next message to a buffer.
    pub(crate) fn transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        while let Some(next) = self.waves.iter_mut().find_map(VecDeque::pop_front) {
            match next {
                Outgoing::Message { to, range, flow } => {
                    buffer.extend_from_slice(&self.outgoing[range]);
                    let connection = self.flows.speak(flow).or(to.connection);
                    return Some(Transmit { connection, ..to });
                }
                Outgoing::HangUp(flow) => self.flows.hang_up(flow),
                Outgoing::Close(connection) => self.flows.close(connection),
            }
        }
        self.outgoing.clear();
        self.rounds = self.rounds.wrapping_add(1);
        None
    }

    /// Whether chance loses a message on purpose.
    pub(crate) fn loses(&mut self, share: f64) -> bool {
        share > 0.0 && self.random.chance(share)
    }

    /// The way to a twin: the one of a name, or the only one; else the one that was heard last.
    pub(crate) fn twin_path(&self, name: Option<&str>) -> Option<Transmit> {
        let twins = &self.settings.twins;
        let known = match name {
            Some(name) => {
                let found = twins.named.iter().find(|(known, _)| known == name);
                found.map(|(_, address)| *address)
            }
            None => twins.only,
        };
        let (remote, connection) = match (known, name, self.twin) {
            (Some(remote), _, _) => (remote, None),
            (None, None, Some((remote, connection))) => (remote, Some(connection)),
            (None, None | Some(_), _) => return None,
        };
        Some(Transmit {
            transport: Transport::Tcp,
            local: None,
            remote,
            connection,
        })
    }

    /// Room for a message that is sent again: what another call needs no more, or new.
    pub(crate) fn spare(&mut self, now: Instant) -> Box<Resend> {
        let known = self.spare.pop();
        known.unwrap_or_else(|| Box::new(Resend::new(now)))
    }

    pub(crate) fn give_back(&mut self, resend: Option<Box<Resend>>) {
        if self.spare.len() < SPARE_BUFFERS_MAX {
            self.spare.extend(resend);
        }
    }

    /// Keeps the messages of one of the first calls that failed of a cause, and writes those of
    /// all down where that was asked for.
    pub(crate) fn keep_ladder(&mut self, now: Instant, call: &Call, failure: Failure) {
        if self.settings.traces.calls {
            let text = call.ladder(failure, self).whole_text().into_bytes();
            self.log(Line {
                log: Log::Call,
                at: now,
                text,
            });
        }
        let count = self.ladder_counts[failure as usize];
        if self.settings.recent_bytes == 0 || count >= LADDERS_PER_CAUSE_MAX {
            return;
        }
        self.ladder_counts[failure as usize] = count + 1;
        let ladder = call.ladder(failure, self);
        self.ladders.push_back(ladder);
    }

    pub(crate) fn warn(&mut self, at: Instant, text: impl FnOnce() -> String) {
        self.statistics.warnings += 1;
        if self.settings.traces.errors {
            self.log(Line {
                log: Log::Error,
                at,
                text: text().into_bytes(),
            });
        }
    }

    pub(crate) fn log(&mut self, line: Line) {
        if self.lines.len() < LOG_BACKLOG_MAX {
            self.lines.push_back(line);
        } else {
            self.statistics.unlogged += 1;
        }
    }

    /// Writes a message down where that was asked for.
    pub(crate) fn trace_message(
        &mut self,
        at: Instant,
        is_ours: bool,
        transport: Transport,
        bytes: &[u8],
    ) {
        if self.settings.traces.messages {
            self.log_message(at, is_ours, transport, bytes);
        }
        if self.settings.traces.short {
            let message = Received::new(bytes);
            let header = |name| message.as_ref().and_then(|message| message.header(name));
            let cseq = [b"CSeq:", header(b"CSeq").unwrap_or_default()].concat();
            let text = [
                if is_ours { &b"S"[..] } else { b"R" },
                header(b"Call-ID").unwrap_or_default(),
                &cseq,
                first_line(bytes),
            ];
            let text = text.join(&b'\t');
            self.log(Line {
                log: Log::Short,
                at,
                text,
            });
        }
    }

    fn log_message(&mut self, at: Instant, is_ours: bool, transport: Transport, bytes: &[u8]) {
        let transport = transport_name(transport);
        let what = if is_ours { "sent" } else { "received" };
        let mut text = format!("{transport} message {what}, {} bytes:\n\n", bytes.len());
        text.push_str(&String::from_utf8_lossy(bytes));
        self.log(Line {
            log: Log::Message,
            at,
            text: text.into_bytes(),
        });
    }
}

fn begun_by_steps(scenario: &Scenario) -> Vec<usize> {
    let mut begun: Vec<usize> = scenario
        .steps
        .iter()
        .flat_map(|step| step.starts.iter().copied())
        .collect();
    begun.sort_unstable();
    begun.dedup();
    begun
}

/// What `[transport]` is.
pub(crate) fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
    }
}
