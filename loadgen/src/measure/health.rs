//! Whether a run measured the server or the generator. The evidence is part of every result; when
//! it is bad the run is *invalid*, which is no statement about the server.

use std::fmt;
use std::time::Duration;

use offhook_shards::Counter;

use super::times::Times;

/// What the runtime counts of messages that the kernel did not take.
pub(crate) const UNSENT: [Counter; 4] = [
    Counter::DropSendFull,
    Counter::DropSendError,
    Counter::DropNoSocket,
    Counter::DropMeshFull,
];

/// What one worker's thread has used of its core.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct WorkerLoad {
    /// Time on a core.
    pub busy: Duration,
    /// Time in which it was ready and had to wait for a core.
    pub waited: Duration,
}

/// The evidence.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// How long it was observed.
    pub observed: Duration,
    /// How much later than intended things were sent; of a server, how much later than they came
    /// messages were taken, and over streams, how late it woke up.
    pub lag: Times,
    /// How late a timer that every worker keeps for this purpose went off: what the event loop was
    /// held up by, whatever there was to send.
    pub stalls: Times,
    /// Datagrams that the kernel dropped at our own sockets for want of buffer.
    pub own_drops: u64,
    /// Datagrams that the kernel dropped at the peer's sockets, where the peer is on this machine:
    /// it was slower than what came. No fault of the generator's, but why times are those of
    /// repetitions.
    pub peer_drops: u64,
    /// Datagrams that the kernel dropped anywhere on this machine.
    pub machine_drops: u64,
    /// Messages that could not be given to the kernel.
    pub unsent: u64,
    /// Connections that could not be opened or accepted for want of descriptors or ports.
    pub exhausted: u64,
    /// Each worker's use of its core.
    pub workers: Vec<WorkerLoad>,
}

/// Sendings of which a 99th percentile can be told from the longest; fewer say nothing of it.
const LAG_COUNT_MIN: u64 = 100;

/// How much is tolerated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The 99th percentile of the lag.
    pub lag_p99: Duration,
    /// The longest hold-up of an event loop.
    pub stall_max: Duration,
    /// The part of its core that a worker may use.
    pub busy_max: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self {
            lag_p99: Duration::from_millis(5),
            stall_max: Duration::from_millis(500),
            busy_max: 0.95,
        }
    }
}

/// Why a run is invalid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// What was to be sent was sent late, or what came was taken late.
    Late {
        /// The 99th percentile of the lag, in microseconds.
        lag_us: u64,
    },
    /// An event loop was held up.
    Stalled {
        /// The longest time, in microseconds.
        stall_us: u64,
    },
    /// Our own sockets lost what the peer had sent.
    Dropped {
        /// How many datagrams.
        datagrams: u64,
    },
    /// The kernel did not take what we sent.
    Unsent {
        /// How many messages.
        messages: u64,
    },
    /// The machine had no descriptors or ports left for connections.
    Exhausted {
        /// Connections that were not opened.
        connections: u64,
    },
    /// A worker had no time left.
    Busy {
        /// Which one.
        worker: usize,
        /// The part of its core that it used.
        part: f64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { lag_us } => write!(
                formatter,
                "the generator was late (p99 {:.1} ms): lower the rate, or give it more cores or a \
                 machine of its own",
                *lag_us as f64 / 1_000.0
            ),
            Self::Stalled { stall_us } => write!(
                formatter,
                "the generator was held up for {:.1} ms: something else uses its cores",
                *stall_us as f64 / 1_000.0
            ),
            Self::Dropped { datagrams } => write!(
                formatter,
                "the kernel dropped {datagrams} datagrams at the generator's sockets: sysctl \
                 net.core.rmem_max=4194304, or more workers (--workers)"
            ),
            Self::Unsent { messages } => write!(
                formatter,
                "the kernel refused {messages} messages of the generator: lower the rate, or \
                 sysctl net.core.wmem_max=4194304"
            ),
            Self::Exhausted { connections } => write!(
                formatter,
                "{connections} connections of the generator found no descriptor or no port: raise \
                 ulimit -n, give more addresses (-i), or lower the rate"
            ),
            Self::Busy { worker, part } => write!(
                formatter,
                "worker {worker} used {:.0} % of its core: more workers (--workers), or a lower \
                 rate",
                part * 100.0
            ),
        }
    }
}

impl Reason {
    /// A short name for result files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Late { .. } => "late",
            Self::Stalled { .. } => "stalled",
            Self::Dropped { .. } => "dropped",
            Self::Unsent { .. } => "unsent",
            Self::Exhausted { .. } => "exhausted",
            Self::Busy { .. } => "busy",
        }
    }
}

impl Health {
    /// The part of its core that each worker used.
    #[must_use]
    pub fn busy_parts(&self) -> Vec<f64> {
        let whole = self.observed.as_secs_f64().max(1e-6);
        let part = |worker: &WorkerLoad| worker.busy.as_secs_f64() / whole;
        self.workers.iter().map(part).collect()
    }

    /// What else there is to say about the generator: nothing, or that it did too little to be
    /// judged by how late it was.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let count = self.lag.count();
        (1..LAG_COUNT_MIN).contains(&count).then(|| {
            format!(
                "whether the generator was late cannot be said of {count} messages; it needs \
                 {LAG_COUNT_MIN}"
            )
        })
    }

    /// Why the run says nothing about the server; empty if it does.
    #[must_use]
    pub fn faults(&self, tolerance: &Tolerance) -> Vec<Reason> {
        /// A shorter run is over before its part of a core means anything.
        const BUSY_TIME_MIN: Duration = Duration::from_secs(1);
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let mut faults = Vec::new();
        let lag_us = self.lag.quantile_us(0.99);
        if self.lag.count() >= LAG_COUNT_MIN && lag_us > micros(tolerance.lag_p99) {
            faults.push(Reason::Late { lag_us });
        }
        let stall_us = self.stalls.max_us();
        if stall_us > micros(tolerance.stall_max) {
            faults.push(Reason::Stalled { stall_us });
        }
        if self.own_drops > 0 {
            let datagrams = self.own_drops;
            faults.push(Reason::Dropped { datagrams });
        }
        if self.unsent > 0 {
            let messages = self.unsent;
            faults.push(Reason::Unsent { messages });
        }
        if self.exhausted > 0 {
            let connections = self.exhausted;
            faults.push(Reason::Exhausted { connections });
        }
        if self.observed >= BUSY_TIME_MIN {
            for (worker, part) in self.busy_parts().into_iter().enumerate() {
                if part > tolerance.busy_max {
                    faults.push(Reason::Busy { worker, part });
                }
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_evidence_makes_a_run_invalid_by_itself() {
        let tolerance = Tolerance::default();
        assert_eq!(Health::default().faults(&tolerance), []);
        let mut late = Health::default();
        for _ in 0..LAG_COUNT_MIN {
            late.lag.record(Duration::from_millis(6));
        }
        let mut stalled = Health::default();
        stalled.stalls.record(Duration::from_millis(700));
        let dropped = Health {
            own_drops: 3,
            ..Health::default()
        };
        let unsent = Health {
            unsent: 1,
            ..Health::default()
        };
        let exhausted = Health {
            exhausted: 2,
            ..Health::default()
        };
        let busy = Health {
            observed: Duration::from_secs(10),
            workers: vec![
                WorkerLoad::default(),
                WorkerLoad {
                    busy: Duration::from_millis(9_900),
                    waited: Duration::ZERO,
                },
            ],
            ..Health::default()
        };
        for (health, name) in [
            (late, "late"),
            (stalled, "stalled"),
            (dropped, "dropped"),
            (unsent, "unsent"),
            (exhausted, "exhausted"),
            (busy, "busy"),
        ] {
            let faults = health.faults(&tolerance);
            let names: Vec<&str> = faults.iter().map(Reason::name).collect();
            assert_eq!(names, [name]);
            assert!(faults[0].to_string().len() > 40);
        }
    }

    #[test]
    fn few_messages_make_no_run_invalid() {
        let mut few = Health::default();
        assert_eq!(few.note(), None);
        for count in 1..=LAG_COUNT_MIN {
            few.lag.record(Duration::from_millis(6));
            let is_judged = count == LAG_COUNT_MIN;
            assert_eq!(few.faults(&Tolerance::default()).is_empty(), !is_judged);
            assert_eq!(few.note().is_none(), is_judged, "{count}");
        }
    }

    #[test]
    fn drops_elsewhere_are_no_fault_of_the_generator() {
        let health = Health {
            peer_drops: 5,
            machine_drops: 9,
            ..Health::default()
        };
        assert_eq!(health.faults(&Tolerance::default()), []);
    }
}
