//! The command line of `offhook-load`: what may be said, and what is wrong with what was said.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use offhook::config::Driver;

use crate::peers::{PeersOptions, RelayOptions};
use crate::scenario::options::{FindMax, Play, ResultOptions};

/// Phones of one demo: each has a name of six digits and a subscription of its own.
const AGENTS_MAX: i64 = 100_000;
/// Calls a second; one thread plays all phones and callers.
const CALLS_PER_SECOND_MAX: f64 = 10_000.0;
const DURATION_MAX: Duration = Duration::from_secs(24 * 3_600);

/// Plays PBX, phones and callers against Offhook, and measures from outside.
#[derive(Debug, Parser)]
#[command(name = "offhook-load", version, arg_required_else_help = true)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of `run` that say when calls are opened, or what is written meanwhile: `find-max` does
/// the one itself and not the other.
const NOT_OF_FIND_MAX: &[&str] = &[
    "rate",
    "period",
    "calls",
    "users",
    "plan",
    "think",
    "rate_increase",
    "rate_interval",
    "rate_max",
    "rate_scale",
    "no_rate_quit",
    "run_timeout",
    "timeout_is_error",
    "allows_commands",
    "background",
    "statistics",
    "statistics_file",
    "statistics_interval",
    "delimiter",
    "counts",
    "response_times",
    "short",
    "screen",
    "codes",
    "failed_calls",
    "messages",
    "message_file",
    "errors",
    "error_file",
    "logs",
    "log_file",
    "bytes_max",
    "ring_bytes",
    "ring_files",
    "rfc3339",
    "periodic_classes",
];

impl CommandLine {
    /// Reads a command line.
    ///
    /// # Errors
    /// What is wrong with it, or the help that was asked for.
    pub fn read(words: Vec<OsString>) -> Result<Self, clap::Error> {
        let mut definition = Self::command();
        let matches = definition.try_get_matches_from_mut(words)?;
        if let Some(("find-max", found)) = matches.subcommand() {
            let is_given = |id: &&&str| found.value_source(id) == Some(ValueSource::CommandLine);
            if let Some(id) = NOT_OF_FIND_MAX.iter().find(is_given) {
                let playing = definition.find_subcommand("find-max");
                let option = playing
                    .and_then(|command| command.get_arguments().find(|it| it.get_id() == *id))
                    .and_then(clap::Arg::get_long)
                    .unwrap_or(id);
                let words = format!(
                    "find-max has no use for `-{option}`: it tries rates of its own, and writes \
                     only --json, --html and --junit"
                );
                return Err(definition.error(ErrorKind::ArgumentConflict, words));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

/// What `offhook-load` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts the server in this process and, over loopback UDP, a simulated PBX with phones and
    /// callers.
    ///
    /// Phones register, are watched by the server, become Ready, take calls, hold them, do not
    /// answer or decline, have private calls, go away and come back; callers wait, give up, talk.
    /// Everything comes from the seed. What the phones know is held against what the server says
    /// on its CTI WebSocket.
    ///
    /// Exit status: 0 when every offered call was answered, abandoned or refused, none was lost
    /// and every agent's state was right; 1 when not; 2 when the command line is wrong; 3 when
    /// the demo could not be carried out.
    Demo(Demo),
    /// Plays a whole contact center, as a profile describes it, and judges the server.
    ///
    /// PBXs with phones, agents at desktops, callers, outside routers and faults, from the
    /// profile's seed. An oracle knows the truth of all of them and holds it against what the
    /// server says and does. Without --target the server is started in this process.
    ///
    /// Exit status: 0 when no rule was broken; 1 when calls were lost; 2 when the command line or
    /// the profile is wrong; 3 when the generator itself has spoiled the run; 4 when the oracle
    /// found a broken rule; 255 when the run could not be carried out.
    Floor(Floor),
    /// Plays a SIPp scenario: run FILE.xml HOST[:PORT], or run FILE.xml to wait for calls.
    ///
    /// Options have SIPp's names, with one hyphen or two. The last signs of life go to standard
    /// error, the result to standard output.
    ///
    /// Exit status, as SIPp's: 0 when all calls were successful; 1 when a call failed; 97 when
    /// the run was stopped or took too long; 99 when there was no call; 254 when the address
    /// cannot be had; 255 when the run could not be carried out. Beyond SIPp: 2 when the command
    /// line is wrong; 3 when the generator itself has spoiled the run; 5 when an objective of
    /// --slo was missed; 6 when less was offered than planned, because of -l or --allow-target.
    Run(Play),
    /// Calls with the built-in scenario, or that of -sf or -sn: uac HOST[:PORT].
    Uac(Play),
    /// Answers calls with the built-in scenario, or that of -sf or -sn.
    Uas(Play),
    /// Searches the highest rate that meets an objective: find-max -sn uac HOST[:PORT] --slo
    /// 'p99(setup)<50ms && failed<0.01%'.
    ///
    /// Rates double until one misses the objective, then the gap is halved, then the best is
    /// tried again. The options of run hold for each try; those that say when calls are opened, or
    /// write files meanwhile, are refused.
    ///
    /// Exit status: 0 when a rate was found, 5 when none meets the objective, 3 when the generator
    /// itself was at its end first, 6 when --allow-target kept something from being sent, 255 when
    /// the search could not be carried out, 2 when the command line is wrong.
    FindMax(FindMax),
    /// Measures the server and its yardsticks side by side, on this machine and in one run.
    ///
    /// The same calls go through Offhook, through Kamailio as a proxy and through a UDP relay that
    /// is built in, each in turn and on the same core; caller and callee have another. Printed are
    /// processor time a call, the highest clean rate, memory a held call and what a server adds to
    /// the set-up, each beside its goal. What is not installed is named and left out.
    ///
    /// Exit status: 0 when it was measured, whether goals were met or not; 2 when the command line
    /// is wrong; 255 when it could not be carried out.
    Peers(PeersOptions),
    /// Sends each datagram of a caller on to a callee, and back: the relay of `peers`.
    #[command(hide = true)]
    Relay(RelayOptions),
    /// Says whether a scenario can be run, what in it has no effect, and on which line.
    ///
    /// Exit status: 0 when all files can be run, 1 when not, 255 when one cannot be read.
    Check(CheckFiles),
    /// Shows a result as text, or two side by side: report A.json [B.json].
    ///
    /// Exit status: 0, or 255 when a file cannot be read or written.
    Report(Report),
    /// Lists the scenarios that are built in; with a name, prints it.
    Scenarios(Scenarios),
}

/// Flags of `check`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct CheckFiles {
    /// Scenario files.
    #[arg(required = true, value_name = "FILE.xml")]
    pub files: Vec<std::path::PathBuf>,
    /// A word that the scenarios use as [NAME].
    #[arg(long, value_names = ["NAME", "VALUE"], num_args = 2,
          action = clap::ArgAction::Append, allow_hyphen_values = true)]
    pub key: Vec<String>,
}

/// Flags of `report`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Report {
    /// Results, as --json wrote them.
    #[arg(required = true, num_args = 1..=2, value_name = "RESULT.json")]
    pub results: Vec<std::path::PathBuf>,
    /// Write a page instead of text.
    #[arg(long, value_name = "FILE")]
    pub html: Option<std::path::PathBuf>,
    /// Write a JUnit file (one result only).
    #[arg(long, value_name = "FILE")]
    pub junit: Option<std::path::PathBuf>,
}

/// Flags of `scenarios`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Scenarios {
    /// The scenario to print.
    pub name: Option<String>,
}

/// Flags of `floor`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Floor {
    /// The profile; docs/floor.md describes it.
    #[arg(value_name = "PROFILE.toml")]
    pub profile: std::path::PathBuf,
    /// Where a server that runs already hears SIP over UDP: 127.0.0.1:5060.
    #[arg(long, value_name = "HOST:PORT")]
    pub target: Option<SocketAddr>,
    /// Where that server serves CTI and HTTP.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub cti: SocketAddr,
    /// A target that is not on this machine and may be loaded.
    #[arg(long, value_name = "ADDR")]
    pub allow_target: Vec<IpAddr>,
    /// Print the configuration that a server needs for this profile, and end.
    #[arg(long)]
    pub print_config: bool,
    /// Read the profile, say what it holds, and end.
    #[arg(long)]
    pub check: bool,
    /// Where chance comes from, in place of the profile's seed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// How long calls are offered, in place of the profile's duration.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// How the server that is started here moves bytes: auto, uring or epoll.
    #[arg(long, value_name = "DRIVER", default_value = "auto")]
    pub driver: Driver,
    /// Take the figures of a run that the generator itself has spoiled.
    #[arg(long)]
    pub allow_degraded: bool,
    /// What the run leaves behind.
    #[command(flatten)]
    pub results: ResultOptions,
}

/// Flags of `demo`.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Demo {
    /// Phones, each with an agent.
    #[arg(long, value_name = "N", default_value_t = 200,
          value_parser = clap::value_parser!(u32).range(1..=AGENTS_MAX))]
    pub agents: u32,
    /// Calls offered a second, on average; they come independently of each other.
    #[arg(long, value_name = "RATE", default_value_t = 5.0, value_parser = rate)]
    pub calls_per_second: f64,
    /// How long calls are offered: 500ms, 30s, 2m, 1h; a bare number is seconds.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// Shards of the server; the number of cores minus one, at least one, if it is left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub shards: Option<u16>,
    /// Where chance comes from: the same seed gives the same people.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the server moves bytes: auto, uring or epoll.
    #[arg(long, value_name = "DRIVER", default_value = "auto")]
    pub driver: Driver,
    /// Print one JSON object on standard output instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Print lines of progress also where there is a terminal.
    #[arg(long)]
    pub plain: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= CALLS_PER_SECOND_MAX => Ok(rate),
        Ok(_) => Err(format!(
            "write a rate above 0, at most {CALLS_PER_SECOND_MAX}"
        )),
        Err(_) => Err("write a number of calls a second, such as 5 or 0.5".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let milliseconds: Option<u64> = match unit {
        "ms" => Some(1),
        "" | "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let length = number.parse::<u64>().ok().zip(milliseconds);
    let length = length.and_then(|(number, unit)| number.checked_mul(unit));
    match length.map(Duration::from_millis) {
        Some(length) if length.is_zero() => Err("write a time above zero".to_owned()),
        Some(length) if length > DURATION_MAX => Err("write a time of at most 24h".to_owned()),
        Some(length) => Ok(length),
        None => Err("write a time such as 30s, 2m or 500ms".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(arguments: &[&str]) -> Result<Demo, clap::Error> {
        let words = ["offhook-load", "demo"].iter().chain(arguments);
        let command = CommandLine::try_parse_from(words)?.command;
        let Command::Demo(demo) = command else {
            panic!("not a demo: {command:?}");
        };
        Ok(demo)
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let demo = demo(&[]).expect("nothing is needed");
        assert_eq!(
            (demo.agents, demo.calls_per_second, demo.seed),
            (200, 5.0, 1)
        );
        assert_eq!(
            (demo.duration, demo.shards),
            (Duration::from_secs(30), None)
        );
        assert!(!demo.json && !demo.plain);
        let plain = self::demo(&["--plain"]).expect("as the other commands");
        assert!(plain.plain);
    }

    #[test]
    fn times_have_units() {
        for (text, milliseconds) in [
            ("30s", 30_000),
            ("2m", 120_000),
            ("500ms", 500),
            ("7", 7_000),
            ("1h", 3_600_000),
        ] {
            let demo = demo(&["--duration", text]).expect("a time");
            assert_eq!(demo.duration, Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (arguments, words) in [
            (["--duration", "soon"], "write a time such as 30s"),
            (["--duration", "0s"], "above zero"),
            (["--duration", "25h"], "at most 24h"),
            (
                ["--duration", "99999999999999999999s"],
                "write a time such as",
            ),
            (["--calls-per-second", "0"], "write a rate above 0"),
            (
                ["--calls-per-second", "many"],
                "write a number of calls a second",
            ),
            (["--calls-per-second", "NaN"], "write a rate above 0"),
            (["--agents", "0"], "0 is not in"),
            (["--shards", "0"], "0 is not in"),
            (["--driver", "fast"], "write auto, uring or epoll"),
            (["--colour", "red"], "unexpected argument"),
        ] {
            let error = demo(&arguments).expect_err("a mistake").to_string();
            assert!(error.contains(words), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_search_takes_no_option_that_it_does_not_heed() {
        let read = |arguments: &[&str]| {
            let words = ["offhook-load", "find-max", "127.0.0.1"];
            let words = words.iter().chain(arguments);
            CommandLine::read(words.map(Into::into).collect())
        };
        for name in NOT_OF_FIND_MAX {
            let definition = CommandLine::command();
            let playing = definition.find_subcommand("find-max").expect("it is one");
            let known = playing.get_arguments().any(|it| it.get_id() == *name);
            assert!(known, "{name}");
        }
        for arguments in [
            &["--r", "5"][..],
            &["--m", "5"],
            &["--load", "0..5/1s"],
            &["--users", "5"],
            &["--trace_stat"],
            &["--timeout", "5"],
        ] {
            let fault = read(arguments).expect_err("it has no effect").to_string();
            let words = format!("no use for `-{}`", arguments[0].trim_start_matches('-'));
            assert!(fault.contains(&words), "{fault}");
        }
        assert!(read(&["--l", "5", "--slo", "failed<1%", "--nostdin"]).is_ok());
    }

    #[test]
    fn the_help_explains_the_exit_status() {
        let error = demo(&["--help"]).expect_err("help is no command");
        let text = error.to_string();
        assert!(
            text.contains("Exit status") && text.contains("--calls-per-second"),
            "{text}"
        );
    }
}
