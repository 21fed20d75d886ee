//! One PBX with its phones and its callers on a worker of the shards runtime: what it may be
//! ordered, and what it tells.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionChange, Engine, Frame, ShardId, Source, Transmit, Transport};

use super::profile::{FaultKind, Weather};
use super::trail::{Line, Trail};
use super::weather::{Losses, Weathered};
use crate::load::Arrivals;
use crate::measure::Times;
use crate::node::Node;
use crate::population::{CallerHabits, Population, Record, Routing, Token, Totals, Wire};

/// Records in one report.
const RECORDS_PER_REPORT_MAX: usize = 256;
/// Between two beats of the timer that shows what holds the worker up.
const HEARTBEAT: Duration = Duration::from_millis(20);
/// 503, as an overloaded trunk says.
const OVERLOADED: offhook::sip::Status = offhook::sip::Status::SERVICE_UNAVAILABLE;

/// What a site may be ordered.
#[derive(Debug, Clone)]
pub(super) enum Order {
    /// Somebody listens to the server: from now on the PBX is there.
    Admit,
    /// Phones begin to have habits; callers come from `from` until `until`, as each group says.
    Open {
        /// The first moment.
        from: Instant,
        /// The last.
        until: Instant,
        /// Groups of callers.
        groups: Vec<(CallerHabits, Arrivals)>,
    },
    /// Nothing new begins.
    Close,
    /// Something goes wrong, or is over.
    Fault {
        /// What.
        kind: FaultKind,
        /// At which node; `None` is all.
        node: Option<usize>,
        /// For how long; `None` ends it.
        lasting: Option<Duration>,
    },
    /// Compare the legs of calls; what has contradicted itself for so long is a fault.
    Audit(Duration),
    /// Say how things stand.
    Report,
    /// Show the messages of a call.
    Show(Token),
    /// Whatever is not over is lost.
    Finish,
}

/// How a site stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// How calls ended.
    pub totals: Totals,
    /// Callers that are not over.
    pub live: usize,
    /// Calls at phones.
    pub phone_calls: usize,
    /// Whether nothing is under way at any phone.
    pub phones_rest: bool,
    /// Whether callers come yet.
    pub arriving: bool,
    /// Subscriptions.
    pub subscriptions: usize,
    /// NOTIFYs sent, without retransmissions.
    pub notifies: u64,
    /// What went over the wire.
    pub wire: Wire,
    /// What the network did on purpose.
    pub losses: Losses,
    /// How late the worker's own timer was.
    pub stalls: Times,
}

/// What a site tells.
#[derive(Debug)]
pub(super) enum Report {
    /// What happened, in order.
    Records(Vec<Record>),
    /// How callers found phones.
    Routings(Vec<Routing>),
    /// How things stand.
    Standing(Box<Standing>),
    /// The messages of a call.
    Trail(Token, Vec<Line>),
}

/// A site.
#[derive(Debug)]
pub(super) struct Site {
    party: Weathered<Population>,
    trail: Trail,
    now: Instant,
    /// When the timer is due that shows what holds the worker up.
    heartbeat: Instant,
    stalls: Times,
    /// Whether [`Order::Admit`] has come. The PBX is silent before it, as one that is switched off:
    /// peers repeat what they sent, each at its own time. Were it kept for them, all answers and
    /// NOTIFYs would leave at once, and no server has buffers for that.
    is_there: bool,
    records: VecDeque<Record>,
    reports: VecDeque<Report>,
}

impl Site {
    /// A site of these people behind this network.
    #[must_use]
    pub(super) fn new(
        now: Instant,
        population: Population,
        weather: Weather,
        seed: u64,
        trail_max: usize,
    ) -> Self {
        Self {
            party: Weathered::new(population, weather, seed),
            trail: Trail::new(trail_max),
            now,
            heartbeat: now + HEARTBEAT,
            stalls: Times::default(),
            is_there: false,
            records: VecDeque::new(),
            reports: VecDeque::new(),
        }
    }

    fn obey(&mut self, now: Instant, order: Order) {
        match order {
            Order::Admit => self.is_there = true,
            Order::Open {
                from,
                until,
                groups,
            } => {
                self.party.node.pbx.begin_habits(from);
                for (habits, arrivals) in groups {
                    let habits = Arc::new(habits);
                    self.party
                        .node
                        .callers
                        .arrive_as_planned(from, until, arrivals, habits);
                }
            }
            Order::Close => {
                self.party.node.pbx.end_rhythms();
                self.party.node.callers.end_redials();
            }
            Order::Fault {
                kind,
                node,
                lasting,
            } => self.fault(now, kind, node, lasting),
            Order::Audit(grace) => {
                self.party.node.audit(now, grace);
            }
            Order::Report => {
                let standing = Box::new(self.standing());
                self.reports.push_back(Report::Standing(standing));
            }
            Order::Show(token) => {
                let lines = self.trail.of(token);
                self.reports.push_back(Report::Trail(token, lines));
            }
            Order::Finish => self.party.node.callers.finish(now),
        }
    }

    fn fault(
        &mut self,
        now: Instant,
        kind: FaultKind,
        node: Option<usize>,
        lasting: Option<Duration>,
    ) {
        let population = &mut self.party.node;
        let nodes = match node {
            Some(node) => node..node + 1,
            None => 0..population.pbx.node_count(),
        };
        for node in nodes {
            let pbx = &mut population.pbx;
            match (kind, lasting) {
                (FaultKind::Silence, Some(_)) => pbx.go_silent(node),
                (FaultKind::Silence, None) => pbx.come_back(node),
                (FaultKind::Restart, Some(_)) => pbx.restart(now, node),
                (FaultKind::Forget, Some(_)) => pbx.forget_subscriptions(now, node),
                (FaultKind::BrownOut(part), lasting) => {
                    let refusal = lasting.map(|_| (part, OVERLOADED, None));
                    pbx.set_brown_out(node, refusal);
                }
                // Those have no end of their own, or are the whole PBX's.
                (FaultKind::Restart | FaultKind::Forget, None)
                | (FaultKind::Storm(_) | FaultKind::Weather(_) | FaultKind::Mute(_), _) => {}
            }
        }
        match (kind, lasting) {
            (FaultKind::Storm(rounds), Some(length)) => population.pbx.storm(now, rounds, length),
            (FaultKind::Weather(weather), lasting) => self.party.set(lasting.map(|_| weather)),
            (FaultKind::Mute(part), lasting) => {
                population.pbx.set_mute_answers(lasting.map(|_| part));
            }
            (FaultKind::Storm(_), None)
            | (
                FaultKind::Silence
                | FaultKind::Restart
                | FaultKind::Forget
                | FaultKind::BrownOut(_),
                _,
            ) => {}
        }
    }

    fn standing(&self) -> Standing {
        let population = &self.party.node;
        let (pbx, callers) = (&population.pbx, &population.callers);
        let mut wire = callers.wire();
        for node in 0..pbx.node_count() {
            wire += pbx.wire(node);
        }
        Standing {
            totals: callers.totals(),
            live: callers.live().len(),
            phone_calls: pbx.calls(),
            phones_rest: pbx.rests(),
            arriving: callers.is_arriving(),
            subscriptions: pbx.subscriptions(),
            notifies: pbx.notifies_sent(),
            wire,
            losses: self.party.losses,
            stalls: self.stalls.clone(),
        }
    }
}

impl Engine for Site {
    type Message = ();
    type Request = Order;
    type Event = Report;

    fn owner(&self, _bytes: &[u8]) -> Option<ShardId> {
        None
    }

    fn frame(_buffer: &[u8]) -> Frame {
        Frame::Malformed
    }

    fn handle_datagram(&mut self, now: Instant, from: Source, bytes: &[u8]) {
        self.now = now;
        if self.is_there {
            self.trail.note(now, false, bytes);
            self.party
                .handle_datagram(now, from.local, from.remote, bytes);
        }
    }

    fn handle_connection(&mut self, _now: Instant, _change: ConnectionChange) {}

    fn handle_message(&mut self, _now: Instant, _from: ShardId, (): ()) {}

    fn handle_request(&mut self, now: Instant, order: Order) {
        self.now = now;
        self.obey(now, order);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if now >= self.heartbeat {
            let late = now.saturating_duration_since(self.heartbeat);
            self.stalls.record(late);
            self.heartbeat = now + HEARTBEAT;
        }
        if self.party.poll_timeout().is_some_and(|at| at <= now) {
            self.party.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        let start = buffer.len();
        let packet = self.party.poll_transmit(buffer)?;
        self.trail.note(self.now, true, &buffer[start..]);
        Some(Transmit {
            transport: Transport::Udp,
            local: Some(packet.from),
            remote: packet.to,
            connection: None,
        })
    }

    fn poll_message(&mut self) -> Option<(ShardId, ())> {
        None
    }

    fn poll_event(&mut self) -> Option<Report> {
        let now = self.now;
        let population = &mut self.party.node;
        self.records.extend(population.take_records(now));
        if !self.records.is_empty() {
            let count = self.records.len().min(RECORDS_PER_REPORT_MAX);
            return Some(Report::Records(self.records.drain(..count).collect()));
        }
        let routings = population.take_routings(now);
        if !routings.is_empty() {
            return Some(Report::Routings(routings));
        }
        self.reports.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let next = self.party.poll_timeout();
        Some(next.map_or(self.heartbeat, |next| next.min(self.heartbeat)))
    }
}
