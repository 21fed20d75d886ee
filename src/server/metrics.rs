//! The metrics page: what the shards and the hub have counted, read when it is asked for, so that
//! nothing is shared while calls run. It adds up nothing: Prometheus does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use offhook_shards::turns::TurnTimes;
use offhook_shards::{Counter as ShardCounter, Depths, Metrics, ShardId};

use crate::counters::{Counter, Counters, Gauge};
use crate::cti::ErrorCode;

use super::dns::Tally;
use super::door::{Cause, CutOff, Refusals};
use super::hub::Numbers;
use super::weigher;

/// What the control plane knows of the running shards.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The driver that moves bytes.
    pub driver: &'static str,
    /// Why it is not io_uring, where that was wanted.
    pub fallback: Option<String>,
    /// Each shard's core, where it is pinned.
    pub cores: Vec<Option<usize>>,
    /// What each engine counts.
    pub counters: Vec<Arc<Counters>>,
    /// What the shards themselves count.
    pub metrics: Arc<Metrics>,
    /// What waits in each shard's queues, when it is asked for.
    pub queues: Queues,
    /// What HTTP has turned away.
    pub refusals: Arc<Refusals>,
    /// What the resolver counts.
    pub dns: Arc<Tally>,
}

/// Looks into the queues of all shards.
#[derive(Clone)]
pub struct Queues(pub Arc<dyn Fn(ShardId) -> Depths + Send + Sync>);

impl fmt::Debug for Queues {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Queues")
    }
}

impl Fleet {
    /// How much waits for a shard and from it, under the names of the queues.
    #[must_use]
    pub fn waiting(&self, shard: ShardId) -> [(&'static str, u64); 4] {
        let Depths {
            from_shards,
            requests,
            events,
        } = (self.queues.0)(shard);
        let received = self.metrics.shard(shard);
        [
            ("received", received.value(ShardCounter::ReceivedWaiting)),
            ("from_shards", from_shards as u64),
            ("requests", requests as u64),
            ("events", events as u64),
        ]
    }
}

/// The page.
#[must_use]
pub fn page(fleet: Fleet, numbers: Numbers) -> String {
    let mut registry = Registry::with_prefix("offhook");
    registry.register_collector(Box::new(Page { fleet, numbers }));
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes every text");
    text
}

/// Labels by name and value.
type Labels<'a> = Vec<(&'static str, &'a str)>;

#[derive(Debug)]
struct Page {
    fleet: Fleet,
    numbers: Numbers,
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_server(&mut encoder)?;
        self.encode_hub(&mut encoder)?;
        self.encode_refusals(&mut encoder)?;
        self.encode_dns(&mut encoder)?;
        self.encode_state(&mut encoder)?;
        self.encode_engines(&mut encoder)?;
        self.encode_shards(&mut encoder)
    }
}

impl Page {
    fn encode_server(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let fallback = self.fleet.fallback.as_deref().unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION");
        let labels = vec![
            ("version", version),
            ("driver", self.fleet.driver),
            ("why", fallback),
        ];
        gauges(
            encoder,
            "server",
            "The version and the driver that was taken",
            [(labels, 1)],
        )?;
        let shards = self.fleet.counters.len() as u64;
        gauges(
            encoder,
            "shards",
            "Shards that were started",
            [(vec![], shards)],
        )?;
        let resident = weigher::resident().map(|bytes| (vec![], bytes));
        let help = "Memory of the process that is resident";
        gauges(encoder, "resident_bytes", help, resident)
    }

    fn encode_hub(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Numbers {
            tally,
            events,
            clients,
            pending,
            ..
        } = &self.numbers;
        let one = |value| [(Labels::new(), value)];
        gauges(
            encoder,
            "cti_clients",
            "CTI clients connected",
            one(*clients as u64),
        )?;
        let help = "Requests that wait for a shard";
        gauges(encoder, "cti_requests_pending", help, one(*pending as u64))?;
        for (name, help, value) in [
            ("cti_events", "Events of the stream", *events),
            (
                "cti_requests",
                "Requests and frames from clients",
                tally.requests,
            ),
            (
                "cti_timeouts",
                "Requests that no shard answered in time",
                tally.timeouts,
            ),
            ("cti_gaps", "Clients that resumed too late", tally.gaps),
            (
                "cti_refused_clients",
                "Clients refused because of their number",
                tally.refused_clients,
            ),
            (
                "cti_unknown_addresses",
                "Events of addresses unknown here",
                tally.unknown_addresses,
            ),
        ] {
            counters(encoder, name, help, one(value))?;
        }
        Ok(())
    }

    fn encode_dns(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let dns = &self.fleet.dns;
        let looks = dns.looks();
        let looks = looks.map(|(outcome, count)| (vec![("outcome", outcome)], count));
        counters(encoder, "dns_lookups", "Names looked up, by outcome", looks)?;
        let names = dns.names().into_iter();
        let names = names.map(|(state, count)| (vec![("state", state)], count));
        let help = "Names by how they stand: stale ones live on an old answer";
        gauges(encoder, "dns_names", help, names)?;
        let help = "Names of far ends that were not looked up because too many waited";
        let dropped = [(Labels::new(), dns.dropped())];
        counters(encoder, "dns_questions_dropped", help, dropped)
    }

    /// What clients and HTTP were refused, by cause.
    fn encode_refusals(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let tally = &self.numbers.tally;
        let errors = ErrorCode::ALL
            .iter()
            .map(|&code| (vec![("cause", code.name())], tally.errors.of(code)));
        let help = "Requests answered with an error";
        counters(encoder, "cti_errors", help, errors)?;
        let refusals = &self.fleet.refusals;
        let closed = [
            ("slow", tally.slow_clients),
            ("silent", refusals.cut_off(CutOff::Silent)),
            ("frame_too_long", refusals.cut_off(CutOff::FrameTooLong)),
            ("protocol", refusals.cut_off(CutOff::Protocol)),
        ]
        .map(|(cause, value)| (vec![("cause", cause)], value));
        let help = "Clients that the server closed";
        counters(encoder, "cti_clients_closed", help, closed)?;
        let refused = Cause::ALL
            .iter()
            .map(|&cause| (vec![("cause", cause.name())], refusals.value(cause)));
        let help = "HTTP connections and requests that were refused";
        counters(encoder, "http_refused", help, refused)
    }

    fn encode_state(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let agents = self.numbers.agents.iter();
        let agents = agents.map(|(status, count)| (vec![("status", status.name())], *count as u64));
        gauges(encoder, "agents", "Agents by what they do", agents)?;
        let queues = || self.numbers.queues.iter();
        let waiting = queues()
            .map(|(name, queue)| (vec![("queue", name.as_str())], u64::from(queue.waiting)));
        gauges(
            encoder,
            "queue_waiting",
            "Calls that wait in a queue",
            waiting,
        )?;
        let available = queues()
            .map(|(name, queue)| (vec![("queue", name.as_str())], u64::from(queue.available)));
        gauges(
            encoder,
            "queue_available",
            "Agents that could take a queue's call",
            available,
        )?;
        let trunks = self.numbers.trunks.iter();
        let trunks = trunks
            .map(|(name, in_service)| (vec![("trunk", name.as_str())], u64::from(*in_service)));
        gauges(
            encoder,
            "trunk_in_service",
            "Whether a trunk has a live peer",
            trunks,
        )
    }

    fn encode_engines(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let shards: Vec<String> = (0..self.fleet.counters.len())
            .map(|n| n.to_string())
            .collect();
        // One metric's counters stand together.
        for causes in Counter::ALL.chunk_by(|left, right| left.metric() == right.metric()) {
            let values = causes.iter().flat_map(|counter| {
                self.fleet
                    .counters
                    .iter()
                    .zip(&shards)
                    .map(|(engine, shard)| {
                        let labels = vec![("shard", shard.as_str()), ("cause", counter.cause())];
                        (labels, engine.value(*counter))
                    })
            });
            let metric = causes[0].metric();
            counters(encoder, metric, "What the engine counted, by cause", values)?;
        }
        for gauge in Gauge::ALL {
            let name = format!("engine_{}", gauge.name());
            let values = self.fleet.counters.iter().zip(&shards);
            let values =
                values.map(|(engine, shard)| (vec![("shard", shard.as_str())], engine.held(gauge)));
            gauges(encoder, &name, "What the engine holds", values)?;
        }
        Ok(())
    }

    fn encode_shards(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let shards: Vec<String> = (0..self.fleet.counters.len())
            .map(|n| n.to_string())
            .collect();
        for counter in ShardCounter::ALL {
            let name = format!("shard_{}", counter.name());
            let values = self.fleet.metrics.shards().zip(&shards);
            let values = values.map(|((_, metrics), shard)| {
                (vec![("shard", shard.as_str())], metrics.value(*counter))
            });
            let help = "What the shard itself counted";
            if counter.is_gauge() {
                gauges(encoder, &name, help, values)?;
            } else {
                counters(encoder, &name, help, values)?;
            }
        }
        let waiting = self.fleet.metrics.shards().zip(&shards);
        let waiting = waiting.flat_map(|((id, _), shard)| {
            let label = |(queue, count)| {
                let labels = vec![("shard", shard.as_str()), ("queue", queue)];
                (labels, count)
            };
            self.fleet.waiting(id).map(label)
        });
        let help = "What waits in a shard's queues at this moment";
        gauges(encoder, "shard_queue_depth", help, waiting)?;
        let turns = self.fleet.metrics.shards().zip(&shards);
        let turns =
            turns.map(|((_, metrics), shard)| (vec![("shard", shard.as_str())], metrics.turns()));
        let (name, help) = (
            "shard_turn_seconds",
            "How long turns of the loop with work took",
        );
        family(encoder, name, help, MetricType::Histogram, turns, Turns)?;
        let longest = self.fleet.metrics.shards().zip(&shards);
        let longest = longest.map(|((_, metrics), shard)| {
            let longest = metrics.turns().longest().as_secs_f64();
            (vec![("shard", shard.as_str())], longest)
        });
        let (name, help) = ("shard_turn_seconds_max", "The longest turn since the start");
        family(
            encoder,
            name,
            help,
            MetricType::Gauge,
            longest,
            ConstGauge::new,
        )
    }
}

/// A shard's turns as a histogram.
struct Turns<'a>(&'a TurnTimes);

impl EncodeMetric for Turns<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let seconds = |time: Duration| time.as_secs_f64();
        let counts = self.0.counts();
        let buckets: Vec<(f64, u64)> = counts
            .map(|(below, count)| (below.map_or(f64::INFINITY, seconds), count))
            .collect();
        let all = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(seconds(self.0.total()), all, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn gauges<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    family(encoder, name, help, MetricType::Gauge, values, |value| {
        ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
    })
}

fn counters<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> fmt::Result {
    family(
        encoder,
        name,
        help,
        MetricType::Counter,
        values,
        ConstCounter::new,
    )
}

fn family<'a, V, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl IntoIterator<Item = (Labels<'a>, V)>,
    metric: impl Fn(V) -> M,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        if labels.is_empty() {
            // A metric without labels is its own only member.
            return metric(value).encode(family);
        }
        metric(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
