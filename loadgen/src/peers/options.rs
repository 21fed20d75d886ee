//! What `peers` is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::contestant::Yardstick;
use crate::scenario::options::seconds;

/// DNs have six digits.
pub(super) const DNS_MAX: u32 = 800_000;
const RATE_MAX: u32 = 100_000;
const SECONDS_MAX: u32 = 3_600;
const ROUNDS_MAX: u32 = 99;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Processor time a call, and the set-up latency that the server adds.
    Costs,
    /// The highest clean rate.
    Highest,
    /// Memory a held call.
    Held,
    /// Memory a watched DN, and processor time a NOTIFY of a change.
    Watched,
}

/// Flags of `peers`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct PeersOptions {
    /// The yardsticks.
    #[arg(
        long,
        value_name = "NAMES",
        value_enum,
        value_delimiter = ',',
        default_value = "relay,kamailio"
    )]
    pub against: Vec<Yardstick>,
    /// What is measured.
    #[arg(
        long,
        value_name = "PARTS",
        value_enum,
        value_delimiter = ',',
        default_value = "costs,highest,held,watched"
    )]
    pub only: Vec<Part>,
    /// Calls a second at which costs are measured.
    #[arg(long, value_name = "RATES", value_delimiter = ',', default_value = "500,1000,2000",
          value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)))]
    pub rates: Vec<u32>,
    /// How long each rate is offered, in seconds.
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(SECONDS_MAX)))]
    pub seconds: u32,
    /// How often each cost is measured; the median counts.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(ROUNDS_MAX)))]
    pub rounds: u32,
    /// How long after the last call the work of a server still counts: transactions live on. A
    /// bare number is seconds.
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = seconds)]
    pub settle: Duration,
    /// Calls that are held at a time.
    #[arg(long, value_name = "N", default_value_t = 50_000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(DNS_MAX)))]
    pub held: u32,
    /// DNs that are watched at a time.
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(2..=i64::from(DNS_MAX)))]
    pub watched: u32,
    /// No higher rate is tried for the highest.
    #[arg(long, value_name = "RATE", default_value_t = 40_000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)))]
    pub highest: u32,
    /// The server's program; `offhook` beside this one without it.
    #[arg(long, value_name = "FILE")]
    pub server: Option<PathBuf>,
    /// Write the figures as JSON as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Command, CommandLine};

    impl Default for PeersOptions {
        fn default() -> Self {
            read(&[]).expect("nothing is needed")
        }
    }

    fn read(arguments: &[&str]) -> Result<PeersOptions, clap::Error> {
        let words = ["offhook-load", "peers"].iter().chain(arguments);
        let command = CommandLine::try_parse_from(words)?.command;
        let Command::Peers(options) = command else {
            panic!("something else: {command:?}");
        };
        Ok(options)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let options = PeersOptions::default();
        assert_eq!(options.against, [Yardstick::Relay, Yardstick::Kamailio]);
        assert_eq!(
            options.only,
            [Part::Costs, Part::Highest, Part::Held, Part::Watched]
        );
        assert_eq!(options.rates, [500, 1_000, 2_000]);
        assert_eq!((options.seconds, options.rounds), (5, 3));
        assert_eq!(options.settle, Duration::from_secs(6));
        assert_eq!((options.held, options.highest), (50_000, 40_000));
        assert_eq!(options.watched, 100_000);
        assert_eq!((options.server, options.json), (None, None));
    }

    #[test]
    fn lists_have_commas() {
        let arguments = [
            "--against",
            "relay",
            "--only",
            "held,costs",
            "--rates",
            "200,500",
        ];
        let options = read(&arguments).expect("it is right");
        assert_eq!(options.against, [Yardstick::Relay]);
        assert_eq!(options.only, [Part::Held, Part::Costs]);
        assert_eq!(options.rates, [200, 500]);
    }

    #[test]
    fn mistakes_are_named() {
        for (arguments, words) in [
            (
                ["--against", "opensips"],
                "possible values: relay, kamailio",
            ),
            (
                ["--only", "speed"],
                "possible values: costs, highest, held, watched",
            ),
            (["--rates", "0"], "0 is not in 1..=100000"),
            (["--rounds", "0"], "0 is not in 1..=99"),
            (["--held", "900000"], "900000 is not in 1..=800000"),
            (["--watched", "1"], "1 is not in 2..=800000"),
            (["--settle", "soon"], "no time such as 500ms"),
        ] {
            let error = read(&arguments).expect_err("a mistake").to_string();
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }
}
