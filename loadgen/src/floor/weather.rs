//! A network that loses, doubles and delays datagrams, around any party: what comes late
//! overtakes and is overtaken. Chance comes from a seed.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::profile::Weather;
use crate::node::{Node, Packet};
use crate::population::Random;

/// The stream of chance of networks.
const STREAM: u64 = 0x3ea7;

/// A datagram on its way.
#[derive(Debug)]
enum Flight {
    In {
        to: SocketAddr,
        from: SocketAddr,
        bytes: Vec<u8>,
    },
    Out(Packet, Vec<u8>),
}

/// What has become of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// Lost on purpose.
    pub lost: u64,
    /// Sent twice on purpose.
    pub doubled: u64,
    /// Held back on purpose.
    pub delayed: u64,
}

/// A party behind a network.
#[derive(Debug)]
pub(super) struct Weathered<N> {
    /// The party.
    pub node: N,
    /// What the network has done.
    pub losses: Losses,
    always: Weather,
    now_and_then: Option<Weather>,
    random: Random,
    now: Option<Instant>,
    made: u64,
    flights: BTreeMap<(Instant, u64), Flight>,
    leaving: VecDeque<(Packet, Vec<u8>)>,
}

impl<N: Node> Weathered<N> {
    /// `node` behind a network that is always like this.
    pub(super) fn new(node: N, always: Weather, seed: u64) -> Self {
        Self {
            node,
            losses: Losses::default(),
            always,
            now_and_then: None,
            random: Random::new(seed, STREAM),
            now: None,
            made: 0,
            flights: BTreeMap::new(),
            leaving: VecDeque::new(),
        }
    }

    /// From now on the network does this as well; `None` ends it.
    pub(super) fn set(&mut self, weather: Option<Weather>) {
        self.now_and_then = weather;
    }

    /// When each copy of a datagram arrives: none, one, or two times from now.
    fn fates(&mut self) -> [Option<Duration>; 2] {
        let weathers = [Some(self.always), self.now_and_then];
        let mut fates = [Some(Duration::ZERO), None];
        for weather in weathers.into_iter().flatten() {
            if weather == Weather::CALM {
                continue;
            }
            if self.random.chance(weather.loss) {
                self.losses.lost += 1;
                return [None, None];
            }
            if self.random.chance(weather.duplicates) {
                self.losses.doubled += 1;
                fates[1] = Some(Duration::ZERO);
            }
            for fate in fates.iter_mut().flatten() {
                if self.random.chance(weather.late.0) {
                    self.losses.delayed += 1;
                    *fate += self.random.within(weather.late.1);
                }
            }
        }
        fates
    }

    fn hold(&mut self, at: Instant, flight: Flight) {
        self.made += 1;
        self.flights.insert((at, self.made), flight);
    }
}

impl<N: Node> Node for Weathered<N> {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        self.now = Some(now);
        for delay in self.fates().into_iter().flatten() {
            if delay.is_zero() {
                self.node.handle_datagram(now, to, from, bytes);
            } else {
                let bytes = bytes.to_vec();
                self.hold(now + delay, Flight::In { to, from, bytes });
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.now = Some(now);
        while let Some(entry) = self.flights.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Flight::In { to, from, bytes } => {
                    self.node.handle_datagram(now, to, from, &bytes);
                }
                Flight::Out(packet, bytes) => self.leaving.push_back((packet, bytes)),
            }
        }
        if self.node.poll_timeout().is_some_and(|at| at <= now) {
            self.node.handle_timeout(now);
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        loop {
            if let Some((packet, bytes)) = self.leaving.pop_front() {
                buffer.extend_from_slice(&bytes);
                return Some(packet);
            }
            let start = buffer.len();
            let packet = self.node.poll_transmit(buffer)?;
            let mut first = None;
            for delay in self.fates().into_iter().flatten() {
                if delay.is_zero() && first.is_none() {
                    first = Some(packet);
                    continue;
                }
                let bytes = buffer[start..].to_vec();
                match self.now {
                    Some(now) if !delay.is_zero() => {
                        self.hold(now + delay, Flight::Out(packet, bytes));
                    }
                    Some(_) | None => self.leaving.push_back((packet, bytes)),
                }
            }
            if first.is_some() {
                return first;
            }
            buffer.truncate(start);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let flight = self.flights.keys().next().map(|(at, _)| *at);
        flight.into_iter().chain(self.node.poll_timeout()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Span;

    /// Sends back what it hears.
    #[derive(Debug, Default)]
    struct Echo(VecDeque<(Packet, Vec<u8>)>);

    impl Node for Echo {
        fn handle_datagram(&mut self, _: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
            let packet = Packet { from: to, to: from };
            self.0.push_back((packet, bytes.to_vec()));
        }

        fn handle_timeout(&mut self, _: Instant) {}

        fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
            let (packet, bytes) = self.0.pop_front()?;
            buffer.extend_from_slice(&bytes);
            Some(packet)
        }

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
    }

    /// How many of a thousand datagrams come back, and the order of those that do.
    #[allow(
        clippy::disallowed_methods,
        reason = "a test needs some instant to count from"
    )]
    fn echoes(weather: Weather, seed: u64) -> (Vec<u16>, Losses) {
        let mut now = Instant::now();
        let address = SocketAddr::from(([127, 0, 0, 1], 5060));
        let mut node = Weathered::new(Echo::default(), weather, seed);
        let (mut heard, mut buffer) = (Vec::new(), Vec::new());
        for number in 0..1_200_u16 {
            if number < 1_000 {
                node.handle_datagram(now, address, address, &number.to_be_bytes());
            }
            if node.poll_timeout().is_some_and(|at| at <= now) {
                node.handle_timeout(now);
            }
            while node.poll_transmit(&mut buffer).is_some() {
                heard.push(u16::from_be_bytes([buffer[0], buffer[1]]));
                buffer.clear();
            }
            now += Duration::from_millis(1);
        }
        (heard, node.losses)
    }

    #[test]
    fn a_calm_network_changes_nothing() {
        let (heard, losses) = echoes(Weather::CALM, 1);
        assert_eq!(heard, (0..1_000).collect::<Vec<u16>>());
        assert_eq!(losses, Losses::default());
    }

    #[test]
    fn datagrams_are_lost_doubled_and_late_as_often_as_asked_for() {
        let weather = Weather {
            loss: 0.1,
            ..Weather::CALM
        };
        let (heard, losses) = echoes(weather, 1);
        // Twice one in ten: on the way in, and on the way out.
        assert!((770..850).contains(&heard.len()), "{}", heard.len());
        assert_eq!(heard.len() as u64 + losses.lost, 1_000);
        let weather = Weather {
            duplicates: 0.1,
            ..Weather::CALM
        };
        let (heard, losses) = echoes(weather, 1);
        assert_eq!(heard.len() as u64, 1_000 + losses.doubled);
        let weather = Weather {
            late: (0.3, Span::milliseconds(5, 50)),
            ..Weather::CALM
        };
        let (heard, losses) = echoes(weather, 1);
        assert_eq!(heard.len(), 1_000);
        assert!(losses.delayed > 300 && !heard.is_sorted());
        assert_eq!(
            echoes(weather, 1),
            (heard, losses),
            "the same seed does the same"
        );
    }
}
