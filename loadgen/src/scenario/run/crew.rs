//! The workers of one run. A client's have sockets of their own, each its part of the addresses;
//! a server's share theirs, and hand calls over by their Call-ID.

use std::net::SocketAddr;
use std::sync::Arc;

use offhook_shards::clock::Clock;
use offhook_shards::{
    Control, Counter, Events, Options, Placement, Room, Running, ShardId, StartError, TlsStore,
    Transport, start,
};

use super::super::calendar::Calendar;
use super::super::model::Side;
use super::super::settings::Settings;
use super::super::station::{Ending, Order, Report, Station, Worker};
use super::super::statistics::Statistics;
use super::prepare::Prepared;
use super::tls::Tls;
use crate::measure::UNSENT;

/// Events taken at a time.
const EVENTS_MAX: usize = 1_024;

/// Workers that were started together, and what each said last.
pub(super) struct Crew {
    parts: Vec<Part>,
    latest: Vec<Statistics>,
    rates: Vec<f64>,
    endings: Vec<Option<Ending>>,
    /// Which workers have reported since they were asked.
    fresh: Vec<bool>,
    pub(super) threads: Vec<u32>,
    pub(super) sockets: Vec<SocketAddr>,
    pub(super) driver: &'static str,
}

struct Part {
    /// Until it was stopped.
    running: Option<Running<Worker>>,
    control: Control<Worker>,
    events: Events<Worker>,
    /// The number of its first worker.
    first: usize,
}

impl Crew {
    pub(super) fn start(prepared: &Prepared, calendar: Calendar) -> Result<Self, StartError> {
        let workers = prepared.settings.workers;
        let mut crew = Self {
            parts: Vec::new(),
            latest: Vec::new(),
            rates: Vec::new(),
            endings: Vec::new(),
            fresh: Vec::new(),
            threads: Vec::new(),
            sockets: Vec::new(),
            driver: "",
        };
        match prepared.scenario.side {
            Side::Server => {
                let all = Arc::clone(&prepared.settings);
                crew.add(prepared, calendar, all, 0, workers, &prepared.cores)?;
            }
            Side::Client => {
                for worker in 0..workers {
                    let core = usize::try_from(worker).unwrap_or(0);
                    let core = prepared.cores.get(core).map(std::slice::from_ref);
                    let own = own_settings(&prepared.settings, worker);
                    crew.add(prepared, calendar, own, worker, 1, core.unwrap_or(&[]))?;
                }
            }
        }
        Ok(crew)
    }

    /// Starts some workers that share their sockets.
    fn add(
        &mut self,
        prepared: &Prepared,
        calendar: Calendar,
        settings: Arc<Settings>,
        first: u64,
        count: u64,
        cores: &[usize],
    ) -> Result<(), StartError> {
        let of = |wanted| {
            let is_it = settings.transport == wanted;
            settings.locals.iter().copied().filter(move |_| is_it)
        };
        let mut streams: Vec<SocketAddr> = of(Transport::Tcp).collect();
        streams.extend(settings.twins.own);
        let accepts = prepared.tls.as_ref().is_some_and(|tls| tls.accepts);
        let secret = of(Transport::Tls).filter(|_| accepts).collect();
        let mut datagrams = settings.locals.clone();
        if settings.has_media {
            datagrams.push(SocketAddr::new(settings.media_ip, settings.media_port));
        }
        let options = Options {
            shards: u16::try_from(count).unwrap_or(u16::MAX),
            placement: if cores.is_empty() {
                Placement::NoPin
            } else {
                Placement::Cores(cores.to_vec())
            },
            driver: prepared.driver,
            socket_buffer_bytes: settings.socket_buffer_bytes,
            udp: datagrams,
            tcp: streams,
            tls: secret,
            tls_store: prepared.tls.as_ref().map(tls_store),
            pace: settings.tick,
            // How late a server is shows in when it takes what has come.
            stamps: prepared.scenario.side == Side::Server,
            joins_datagrams: settings.joins_datagrams,
            // A test machine is one address, however many calls it plays.
            room: Room {
                connections: settings.connections_max,
                per_source: settings.connections_max,
            },
            ..Options::default()
        };
        let scenario = Arc::clone(&prepared.scenario);
        let files = prepared.files.clone();
        let mut running = start(&options, move |shard| {
            let mut own = Settings::clone(&settings);
            own.worker = first + u64::from(shard.0);
            let now = Clock.now();
            let scenario = Arc::clone(&scenario);
            let station = Station::new(now, scenario, Arc::new(own), files.clone(), calendar);
            Worker::new(now, station)
        })?;
        self.driver = running.driver().name();
        self.sockets.extend_from_slice(running.udp_addresses());
        let before = self.latest.len();
        (0..count).for_each(|_| self.expect(prepared));
        self.parts.push(Part {
            control: running.control(),
            events: running.take_events().expect("nobody else has taken them"),
            running: Some(running),
            first: before,
        });
        Ok(())
    }

    /// One worker more, which has said nothing yet.
    fn expect(&mut self, prepared: &Prepared) {
        self.latest.push(Statistics::new(&prepared.scenario));
        self.rates.push(0.0);
        self.endings.push(None);
        self.fresh.push(false);
    }

    /// Says the same to all workers.
    pub(super) fn order(&mut self, order: Order) {
        if order == Order::Report {
            self.fresh.fill(false);
        }
        for part in &self.parts {
            for shard in 0..part.control.shards() {
                // A worker that is too busy to take it hears the next one.
                let _ = part.control.request(ShardId(shard), order);
            }
        }
    }

    /// Takes what the workers have said; what is not for the crew goes to `other`.
    pub(super) fn listen(&mut self, mut other: impl FnMut(Report)) {
        let mut heard = Vec::new();
        for part in 0..self.parts.len() {
            let Part { events, first, .. } = &mut self.parts[part];
            let first = *first;
            events.drain(EVENTS_MAX, &mut heard);
            for (shard, report) in heard.drain(..) {
                let worker = first + shard.index();
                match report {
                    Report::Statistics(statistics, rate) => {
                        self.latest[worker] = *statistics;
                        self.rates[worker] = rate;
                        self.fresh[worker] = true;
                    }
                    Report::Ended(statistics, ending) => {
                        self.latest[worker] = *statistics;
                        self.endings[worker] = Some(ending);
                        self.fresh[worker] = true;
                        if ending != Ending::Complete {
                            self.order(Order::Stop);
                        }
                    }
                    Report::Everybody(order) => self.order(order),
                    Report::Thread(thread) => self.threads.push(thread),
                    Report::Lines(_) | Report::Ladder(_) | Report::Execute(_) => other(report),
                }
            }
        }
    }

    /// Whether every worker has reported since it was asked.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh.iter().all(|fresh| *fresh)
    }

    /// What all workers have counted.
    pub(super) fn statistics(&self) -> Statistics {
        let mut all = self.latest[0].clone();
        for other in &self.latest[1..] {
            all.merge(other);
        }
        all
    }

    /// Calls a second that all workers together are to open.
    pub(super) fn rate(&self) -> f64 {
        self.rates.iter().copied().fold(0.0, f64::max)
    }

    /// How the run ended, once it has for all workers.
    pub(super) fn ending(&self) -> Option<Ending> {
        if self.endings.iter().any(Option::is_none) {
            return None;
        }
        let has = |wanted| self.endings.contains(&Some(wanted));
        Some(if has(Ending::Fatal) {
            Ending::Fatal
        } else if has(Ending::Stopped) {
            Ending::Stopped
        } else {
            Ending::Complete
        })
    }

    /// Whether a worker is gone that should be there.
    pub(super) fn is_broken(&self) -> bool {
        self.parts.iter().any(|part| part.control.ended().is_some())
    }

    /// Messages that could not be given to the kernel.
    pub(super) fn unsent(&self) -> u64 {
        let of = |part: &Part| -> u64 {
            let metrics = part.control.metrics();
            UNSENT.iter().map(|counter| metrics.total(*counter)).sum()
        };
        self.parts.iter().map(of).sum()
    }

    /// Connections that found no descriptor or port.
    pub(super) fn exhausted(&self) -> u64 {
        let of = |part: &Part| part.control.metrics().total(Counter::ConnectExhausted);
        self.parts.iter().map(of).sum()
    }

    /// Ends all workers; what went wrong with it. What they said last can still be heard.
    pub(super) fn stop(&mut self) -> Vec<String> {
        let stop = |part: &mut Part| part.running.take()?.stop().err();
        let faults = self.parts.iter_mut().filter_map(stop);
        faults.map(|fault| fault.to_string()).collect()
    }
}

/// One worker's part of the addresses.
fn own_settings(settings: &Settings, worker: u64) -> Arc<Settings> {
    let workers = usize::try_from(settings.workers).unwrap_or(1).max(1);
    let worker_index = usize::try_from(worker).unwrap_or(0);
    let mut own = settings.clone();
    own.worker = worker;
    own.locals = settings
        .locals
        .iter()
        .copied()
        .skip(worker_index)
        .step_by(workers)
        .collect();
    // Audio and video of each worker, with their control ports.
    const MEDIA_PORTS: u16 = 4;
    let ports = u16::try_from(worker)
        .unwrap_or(0)
        .saturating_mul(MEDIA_PORTS);
    own.media_port = settings.media_port.saturating_add(ports);
    own.local = own.locals.first().copied().unwrap_or(settings.local);
    Arc::new(own)
}

fn tls_store(tls: &Arc<Tls>) -> TlsStore {
    TlsStore::new(tls.settings.clone())
}
