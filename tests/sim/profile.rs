//! The profiles of random runs: what the world is like in which everything happens.

use std::time::Duration;

use offhook_loadgen::population::Span;

use super::network::Faults;
use super::random::Random;

/// What goes wrong, besides what everybody does at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A good or a bad line, as the seed says, and in every fourth run nodes that are cut off.
    Mixed,
    /// 30 % of all datagrams are lost; others are doubled, overtaken, and come again 30 s later.
    Lossy,
    /// Links are cut, one direction at a time, and mended, in random order.
    Swizzle,
    /// Nodes of the PBX restart: their calls and subscriptions are forgotten.
    PbxRestart,
    /// The trunks of callers and phones die, by silence or by 503, alone or all at once.
    TrunkDeath,
    /// Datagrams take seconds and some of them 20 s, people take their time, so do clients.
    SlowEverything,
    /// All agents log in within a minute, while every node of the PBX restarts.
    Storm,
    /// The wall clock is set hours forward and back, and the server's host sleeps, with a
    /// monotonic clock that goes on or stands still.
    ClockJumps,
}

impl Profile {
    pub const ALL: [Self; 8] = [
        Self::Mixed,
        Self::Lossy,
        Self::Swizzle,
        Self::PbxRestart,
        Self::TrunkDeath,
        Self::SlowEverything,
        Self::Storm,
        Self::ClockJumps,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Lossy => "lossy",
            Self::Swizzle => "swizzle",
            Self::PbxRestart => "pbx-restart",
            Self::TrunkDeath => "trunk-death",
            Self::SlowEverything => "slow-everything",
            Self::Storm => "storm",
            Self::ClockJumps => "clock-jumps",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// That of a seed where nobody asks for one: they take turns.
    pub fn of(seed: u64) -> Self {
        let turn = seed % Self::ALL.len() as u64;
        Self::ALL[turn as usize]
    }

    /// For how long a run is restless.
    pub fn restless(self) -> Duration {
        Duration::from_secs(match self {
            Self::Mixed => 16,
            Self::Lossy => 24,
            Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::SlowEverything
            | Self::Storm
            | Self::ClockJumps => 64,
        })
    }

    /// Agents there are at most.
    pub fn agents_max(self) -> u64 {
        match self {
            Self::Storm => 40,
            Self::Mixed
            | Self::Lossy
            | Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::SlowEverything
            | Self::ClockJumps => 12,
        }
    }

    /// Callers a second, where a short run would have `rate`.
    pub fn rate(self, rate: f64) -> f64 {
        rate * 16.0 / self.restless().as_secs_f64()
    }

    /// The network of a run.
    pub fn line(self, random: &mut Random) -> Faults {
        match self {
            Self::Mixed => match random.below(3) {
                0 => Faults::CALM,
                _ => Faults {
                    loss: random.below(150) as u32,
                    duplication: random.below(100) as u32,
                    ..Faults::LOSSY
                },
            },
            Self::Lossy => Faults {
                loss: 300,
                duplication: 100 + random.below(200) as u32,
                echoes: random.below(60) as u32,
                late_max: Duration::from_secs(30),
                delay_max: Duration::from_millis(80 + random.below(400)),
                ..Faults::LOSSY
            },
            Self::SlowEverything => Faults {
                delay_min: Duration::from_millis(random.below(500)),
                delay_max: Duration::from_millis(500 + random.below(3_000)),
                stragglers: random.below(50) as u32,
                late_max: Duration::from_secs(20),
                ..Faults::CALM
            },
            Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::Storm
            | Self::ClockJumps => match random.below(2) {
                0 => Faults::CALM,
                _ => Faults {
                    loss: random.below(30) as u32,
                    duplication: random.below(30) as u32,
                    ..Faults::LOSSY
                },
            },
        }
    }

    /// From the first ring to the answer of a phone.
    pub fn answering(self) -> Span {
        match self {
            Self::SlowEverything => Span::milliseconds(0, 25_000),
            Self::Mixed
            | Self::Lossy
            | Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::Storm
            | Self::ClockJumps => Span::milliseconds(0, 4_000),
        }
    }

    /// From the INVITE to the first ring.
    pub fn ringing(self) -> Span {
        match self {
            Self::SlowEverything => Span::milliseconds(0, 8_000),
            Self::Mixed
            | Self::Lossy
            | Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::Storm
            | Self::ClockJumps => Span::milliseconds(0, 300),
        }
    }

    /// Whether both ends may end a call unheard: nodes of the PBX forget theirs, or are away for
    /// longer than a BYE is repeated. The server learns of it when it refreshes the session.
    pub fn forgets(self) -> bool {
        match self {
            Self::PbxRestart | Self::Storm | Self::TrunkDeath | Self::Swizzle => true,
            Self::Mixed | Self::Lossy | Self::SlowEverything | Self::ClockJumps => false,
        }
    }

    /// What the trunk is told besides.
    pub fn trunk(self) -> &'static str {
        match self {
            // No SUBSCRIBEs come faster, however many are due (P10).
            Self::Storm => "subscribe_rate = 5\n",
            Self::PbxRestart
            | Self::Mixed
            | Self::Lossy
            | Self::Swizzle
            | Self::TrunkDeath
            | Self::SlowEverything
            | Self::ClockJumps => "",
        }
    }

    /// How long what a client asks for takes to come in, at most.
    pub fn clients_take(self) -> Duration {
        match self {
            Self::SlowEverything => Duration::from_secs(15),
            Self::Mixed
            | Self::Lossy
            | Self::Swizzle
            | Self::PbxRestart
            | Self::TrunkDeath
            | Self::Storm
            | Self::ClockJumps => Duration::ZERO,
        }
    }
}
