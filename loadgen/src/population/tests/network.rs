//! A network in virtual time that delays, loses and repeats datagrams from a seed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::node::{Node, Packet};
use crate::population::random::{Random, Span};
use crate::population::*;

/// One datagram on its way.
#[derive(Debug, Clone)]
struct Flight {
    arrives: Instant,
    number: u64,
    packet: Packet,
    bytes: Vec<u8>,
}

/// What happens to datagrams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    pub(super) loss: f64,
    pub(super) repeat: f64,
    pub(super) delay: Span,
}

impl Weather {
    pub(super) const FINE: Self = Self {
        loss: 0.0,
        repeat: 0.0,
        delay: Span::exactly(Duration::from_millis(1)),
    };
    pub(super) const BAD: Self = Self {
        loss: 0.1,
        repeat: 0.05,
        delay: Span::milliseconds(1, 60),
    };
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Nodes and what is between them.
pub(super) struct Network<A, B> {
    pub(super) started: Instant,
    pub(super) now: Instant,
    /// Usually the callers or the watcher.
    pub(super) near: A,
    /// Usually the PBX.
    pub(super) far: B,
    near_address: SocketAddr,
    random: Random,
    weather: Weather,
    flights: Vec<Flight>,
    sent: u64,
    /// Every datagram that was sent: when, since the start, and what.
    pub(super) transcript: Vec<(Duration, Packet, Vec<u8>)>,
}

impl<A: Node, B: Node> Network<A, B> {
    pub(super) fn new(
        seed: u64,
        weather: Weather,
        near_address: SocketAddr,
        near: A,
        far: B,
    ) -> Self {
        let started = start();
        Self {
            started,
            now: started,
            near,
            far,
            near_address,
            random: Random::new(seed, 99),
            weather,
            flights: Vec::new(),
            sent: 0,
            transcript: Vec::new(),
        }
    }

    /// Goes on until `length` has passed.
    pub(super) fn run(&mut self, length: Duration) {
        let end = self.now + length;
        for _ in 0..1_000_000 {
            self.drain();
            let arrival = self
                .flights
                .iter()
                .map(|flight| (flight.arrives, flight.number))
                .min();
            let timers = [self.near.poll_timeout(), self.far.poll_timeout()];
            let timer = timers.into_iter().flatten().min();
            let next = arrival.map(|(at, _)| at).into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if arrival.is_some_and(|(at, _)| at <= self.now) {
                self.deliver();
            } else {
                self.near.handle_timeout(self.now);
                self.far.handle_timeout(self.now);
            }
        }
        panic!("the network does not come to rest");
    }

    fn drain(&mut self) {
        let mut buffer = Vec::new();
        while let Some(packet) = {
            buffer.clear();
            self.near
                .poll_transmit(&mut buffer)
                .or_else(|| self.far.poll_transmit(&mut buffer))
        } {
            self.transcript
                .push((self.now - self.started, packet, buffer.clone()));
            self.carry(packet, &buffer);
        }
    }

    fn carry(&mut self, packet: Packet, bytes: &[u8]) {
        if self.random.chance(self.weather.loss) {
            return;
        }
        let copies = if self.random.chance(self.weather.repeat) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            self.sent += 1;
            self.flights.push(Flight {
                arrives: self.now + self.random.within(self.weather.delay),
                number: self.sent,
                packet,
                bytes: bytes.to_vec(),
            });
        }
    }

    fn deliver(&mut self) {
        let order = |at: &usize| (self.flights[*at].arrives, self.flights[*at].number);
        let first = (0..self.flights.len())
            .min_by_key(order)
            .expect("something is on its way");
        let Flight { packet, bytes, .. } = self.flights.swap_remove(first);
        if packet.to == self.near_address {
            self.near
                .handle_datagram(self.now, packet.to, packet.from, &bytes);
        } else {
            self.far
                .handle_datagram(self.now, packet.to, packet.from, &bytes);
        }
    }
}

/// Callers who dial the phones of a PBX directly.
pub(super) type Direct = Network<Callers, Pbx>;

pub(super) fn direct(seed: u64, weather: Weather, habits: Habits) -> Direct {
    let (near, far) = (address(5070), address(5060));
    let mut options = PbxOptions::new(far, ["2001", "2002", "2003"].map(str::to_owned));
    (options.seed, options.habits) = (seed, habits);
    let mut callers = CallersOptions::new(near, far, "2001");
    callers.seed = seed;
    Network::new(
        seed,
        weather,
        near,
        Callers::new(callers),
        Pbx::new(options),
    )
}

impl Direct {
    pub(super) fn call(&mut self, plan: CallPlan) -> Token {
        self.near.call(self.now, plan)
    }

    pub(super) fn phone(&mut self, dn: &str) -> PhoneControl<'_> {
        self.far.phone(self.now, dn)
    }

    pub(super) fn outcome(&self, token: Token) -> Option<Outcome> {
        let mut outcomes = self
            .near
            .records()
            .iter()
            .filter_map(|record| match record.fact {
                Fact::Ended {
                    token: ended,
                    outcome,
                } if ended == token => Some(outcome),
                _ => None,
            });
        let outcome = outcomes.next();
        assert_eq!(outcomes.next(), None, "a call ends once");
        outcome
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let records = self.near.records().iter().chain(self.far.records());
        let faults = records.filter_map(|record| match &record.fact {
            Fact::Fault { fault, .. } => Some(*fault),
            _ => None,
        });
        faults.collect()
    }

    pub(super) fn count(&self, wanted: impl Fn(&Fact) -> bool) -> usize {
        let records = self.near.records().iter().chain(self.far.records());
        records.filter(|record| wanted(&record.fact)).count()
    }
}
