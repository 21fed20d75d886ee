//! The network between the parties: every datagram may be lost, doubled, delayed and thereby
//! overtaken, as the seed says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::random::Random;
use super::swallowed::{Stage, Swallowed};

/// T4, for which a refused INVITE is remembered (RFC 3261 §17.2.1): whoever gets a copy later has
/// to take it for a new call.
const INVITE_LATE_MAX: Duration = Duration::from_secs(5);

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
    /// Datagrams, per thousand, of which one more copy arrives long after.
    pub echoes: u32,
    /// Datagrams, per thousand, that are long on their way.
    pub stragglers: u32,
    /// How long an echo or a straggler takes at most.
    pub late_max: Duration,
}

impl Faults {
    /// A local network on a good day.
    pub const CALM: Self = Self {
        loss: 0,
        duplication: 0,
        delay_min: Duration::from_micros(200),
        delay_max: Duration::from_micros(800),
        echoes: 0,
        stragglers: 0,
        late_max: Duration::ZERO,
    };

    /// A bad line: loss, copies, and a spread that lets a 200 overtake its 180.
    pub const LOSSY: Self = Self {
        loss: 100,
        duplication: 50,
        delay_min: Duration::from_millis(1),
        delay_max: Duration::from_millis(80),
        ..Self::CALM
    };
}

/// A datagram on its way.
#[derive(Debug, Clone)]
pub struct Flight {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// What becomes of one datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// What the faults of the network say.
    Usual,
    /// It never arrives.
    Lost,
    /// It arrives so much later.
    Late(Duration),
}

/// Decides about single datagrams.
pub type Rule = Box<dyn FnMut(&Flight) -> Fate>;

/// Changes single datagrams on their way.
pub type Rewrite = Box<dyn FnMut(&mut Flight)>;

/// Something to be remembered for the report of a failure.
enum Noted {
    Arrived(Flight),
    Lost(Flight),
    Said(String),
}

/// Datagrams on their way, by arrival.
pub struct Network {
    pub faults: Faults,
    /// Decides about single datagrams, where a test has one.
    pub rule: Option<Rule>,
    /// Changes single datagrams before that, where a test does.
    pub rewrite: Option<Rewrite>,
    /// Who sends to whom in vain.
    pub cut: BTreeSet<(SocketAddr, SocketAddr)>,
    /// A host that sleeps, and until when: what comes meanwhile waits for it.
    pub asleep: Option<(SocketAddr, Instant)>,
    /// What has been lost of each exchange.
    pub swallowed: Swallowed,
    /// How long the slowest datagram was under way.
    pub slowest: Duration,
    random: Random,
    serial: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    /// The last datagrams carried and what was said beside them, for the report of a failure.
    ladder: Vec<(Instant, Noted)>,
    started: Instant,
}

impl Network {
    pub fn new(started: Instant, faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            rule: None,
            rewrite: None,
            cut: BTreeSet::new(),
            asleep: None,
            swallowed: Swallowed::default(),
            slowest: Duration::ZERO,
            random: Random::new(seed),
            serial: 0,
            flights: BTreeMap::new(),
            ladder: Vec::new(),
            started,
        }
    }

    /// Takes a datagram; what becomes of it is the seed's business.
    pub fn carry(&mut self, now: Instant, mut flight: Flight) {
        if let Some(rewrite) = &mut self.rewrite {
            rewrite(&mut flight);
        }
        self.swallowed.note(now, &flight, Stage::Sent);
        match self.rule.as_mut().map_or(Fate::Usual, |rule| rule(&flight)) {
            Fate::Usual => {}
            Fate::Lost => return self.lose(now, flight),
            Fate::Late(delay) => return self.launch(now + delay, flight),
        }
        if self.cut.contains(&(flight.from, flight.to)) {
            return self.lose(now, flight);
        }
        let Faults {
            loss,
            duplication,
            echoes,
            stragglers,
            ..
        } = self.faults;
        let late_max = match flight.bytes.starts_with(b"INVITE ") {
            true => {
                let late_max = INVITE_LATE_MAX.saturating_sub(self.faults.delay_max);
                self.faults.late_max.min(late_max)
            }
            false => self.faults.late_max,
        };
        if self.random.per_thousand(loss) {
            return self.lose(now, flight);
        }
        if self.random.per_thousand(duplication) {
            self.launch(now, flight.clone());
        }
        if echoes > 0 && self.random.per_thousand(echoes) {
            let late = self.random.between(Duration::ZERO, late_max);
            self.launch(now + late, flight.clone());
        }
        let late = match stragglers > 0 && self.random.per_thousand(stragglers) {
            true => self.random.between(Duration::ZERO, late_max),
            false => Duration::ZERO,
        };
        self.launch(now + late, flight);
    }

    /// Nothing goes wrong any more; what is on its way arrives.
    pub fn heal(&mut self) {
        self.faults = Faults::CALM;
        self.cut.clear();
    }

    /// Cuts or mends both directions between two addresses.
    pub fn connect(&mut self, one: SocketAddr, other: SocketAddr, is_up: bool) {
        for link in [(one, other), (other, one)] {
            match is_up {
                true => self.cut.remove(&link),
                false => self.cut.insert(link),
            };
        }
    }

    /// When the next datagram arrives.
    pub fn next(&self) -> Option<Instant> {
        self.flights.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next datagram that has arrived.
    pub fn arrived(&mut self, now: Instant) -> Option<Flight> {
        let flight = loop {
            let entry = self
                .flights
                .first_entry()
                .filter(|entry| entry.key().0 <= now)?;
            let ((_, serial), flight) = entry.remove_entry();
            match self.asleep {
                Some((host, until)) if flight.to == host && now < until => {
                    match self.swallowed.will_have_given_up(&flight, until) {
                        true => self.lose(now, flight),
                        false => drop(self.flights.insert((until, serial), flight)),
                    }
                }
                Some(_) | None => break flight,
            }
        };
        self.swallowed.note(now, &flight, Stage::Arrived);
        self.note(now, Noted::Arrived(flight.clone()));
        Some(flight)
    }

    /// The last INVITE that has arrived for a number, without those within a call.
    pub fn invite_to(&self, number: &str) -> Option<&str> {
        let line = format!("INVITE sip:{number}@");
        let mut arrived = self
            .ladder
            .iter()
            .rev()
            .filter_map(|(_, noted)| match noted {
                Noted::Arrived(flight) => std::str::from_utf8(&flight.bytes).ok(),
                Noted::Lost(_) | Noted::Said(_) => None,
            });
        arrived.find(|text| {
            let mut lines = text.lines();
            let to = lines.find(|line| line.starts_with("To:"));
            text.starts_with(&line) && to.is_some_and(|to| !to.contains(";tag="))
        })
    }

    /// Something that went another way than over the wire.
    pub fn remark(&mut self, now: Instant, what: String) {
        self.note(now, Noted::Said(what));
    }

    /// The last lines of what went over the wire and was said beside it. Pings are left out.
    pub fn ladder(&self, lines: usize) -> String {
        let line = |(at, noted): &(Instant, Noted)| {
            let text = match noted {
                Noted::Arrived(flight) => in_short(flight)?,
                Noted::Lost(flight) => format!("lost  {}", in_short(flight)?),
                Noted::Said(what) => format!("      {what}"),
            };
            let at = at.duration_since(self.started).as_secs_f64();
            Some(format!("{at:>12.6} {text}"))
        };
        let mut last: Vec<String> = self
            .ladder
            .iter()
            .rev()
            .filter_map(line)
            .take(lines)
            .collect();
        last.reverse();
        last.join("\n")
    }

    fn lose(&mut self, now: Instant, flight: Flight) {
        self.note(now, Noted::Lost(flight));
    }

    fn launch(&mut self, now: Instant, flight: Flight) {
        let delay = self
            .random
            .between(self.faults.delay_min, self.faults.delay_max);
        self.slowest = self.slowest.max(delay);
        self.serial += 1;
        self.flights.insert((now + delay, self.serial), flight);
    }

    fn note(&mut self, now: Instant, noted: Noted) {
        self.ladder.push((now, noted));
        if self.ladder.len() > 20_000 {
            self.ladder.drain(..10_000);
        }
    }
}

/// A datagram in one line, unless it is a ping.
fn in_short(flight: &Flight) -> Option<String> {
    let text = String::from_utf8_lossy(&flight.bytes);
    let header = |name: &str| {
        let mut lines = text.lines();
        lines
            .find(|line| line.starts_with(name))
            .unwrap_or_default()
    };
    let number = header("CSeq:");
    if number.ends_with("OPTIONS") {
        return None;
    }
    Some(format!(
        "{} -> {}  {} | {number} | {} {}",
        flight.from,
        flight.to,
        text.lines().next().unwrap_or_default(),
        header("Call-ID:"),
        header("o="),
    ))
}
