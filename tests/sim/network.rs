//! The network between the parties: every datagram may be lost, doubled, delayed and thereby
//! overtaken, as the seed says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::random::Random;

/// How bad the network is.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// Datagrams lost, per thousand.
    pub loss: u32,
    /// Datagrams that arrive twice, per thousand.
    pub duplication: u32,
    /// The shortest way.
    pub delay_min: Duration,
    /// The longest way; the spread is what reorders.
    pub delay_max: Duration,
}

impl Faults {
    /// A local network on a good day.
    pub const CALM: Self = Self {
        loss: 0,
        duplication: 0,
        delay_min: Duration::from_micros(200),
        delay_max: Duration::from_micros(800),
    };

    /// A bad line: loss, copies, and a spread that lets a 200 overtake its 180.
    pub const LOSSY: Self = Self {
        loss: 100,
        duplication: 50,
        delay_min: Duration::from_millis(1),
        delay_max: Duration::from_millis(80),
    };
}

/// A datagram on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// Datagrams on their way, by arrival.
pub struct Network {
    pub faults: Faults,
    random: Random,
    serial: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    /// The last datagrams carried, for the report of a failure.
    ladder: Vec<String>,
    /// The INVITEs that have arrived, without those within a call.
    invites: Vec<String>,
    started: Instant,
}

impl Network {
    pub fn new(started: Instant, faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            random: Random::new(seed),
            serial: 0,
            flights: BTreeMap::new(),
            ladder: Vec::new(),
            invites: Vec::new(),
            started,
        }
    }

    /// Takes a datagram; what becomes of it is the seed's business.
    pub fn carry(&mut self, now: Instant, flight: Flight) {
        if self.random.per_thousand(self.faults.loss) {
            self.note(now, "lost  ", &flight);
            return;
        }
        if self.random.per_thousand(self.faults.duplication) {
            self.launch(now, flight.clone());
        }
        self.launch(now, flight);
    }

    /// When the next datagram arrives.
    pub fn next(&self) -> Option<Instant> {
        self.flights.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next datagram that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<Flight> {
        let entry = self
            .flights
            .first_entry()
            .filter(|entry| entry.key().0 <= now)?;
        let flight = entry.remove();
        self.note(now, "", &flight);
        Some(flight)
    }

    /// The last INVITE that has arrived for a number.
    pub fn invite_to(&self, number: &str) -> Option<&str> {
        let line = format!("INVITE sip:{number}@");
        let mut invites = self.invites.iter().rev();
        invites
            .find(|text| text.starts_with(&line))
            .map(String::as_str)
    }

    /// The last lines of what went over the wire.
    pub fn ladder(&self, lines: usize) -> String {
        let start = self.ladder.len().saturating_sub(lines);
        self.ladder[start..].join("\n")
    }

    fn launch(&mut self, now: Instant, flight: Flight) {
        let delay = self
            .random
            .between(self.faults.delay_min, self.faults.delay_max);
        self.serial += 1;
        self.flights.insert((now + delay, self.serial), flight);
    }

    fn note(&mut self, now: Instant, fate: &str, flight: &Flight) {
        let text = String::from_utf8_lossy(&flight.bytes);
        let header = |name: &str| {
            text.lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_default()
                .to_owned()
        };
        let begins = text.starts_with("INVITE ") && !header("To:").contains(";tag=");
        if begins && fate.is_empty() && self.invites.len() < 1_000 {
            self.invites.push(text.clone().into_owned());
        }
        self.ladder.push(format!(
            "{:>12.6} {fate}{} -> {}  {} | {} | {}",
            now.duration_since(self.started).as_secs_f64(),
            flight.from,
            flight.to,
            text.lines().next().unwrap_or_default(),
            header("CSeq:"),
            header("Call-ID:"),
        ));
        if self.ladder.len() > 20_000 {
            self.ladder.drain(..10_000);
        }
    }
}
