//! The options of `run`, `uac` and `uas`: SIPp's names, with one hyphen or two, and longer ones
//! beside them. What is wrong with them is said before anything starts.

mod parts;
mod ranges;
mod words;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::limits;
use super::settings::Behaviours;
use crate::load::time;
pub use parts::{
    FindMax, LoadOptions, ResultOptions, Timers, TlsOptions, TraceOptions, TwinOptions,
};
pub use ranges::{IpRange, PortRange};
pub use words::{with_two_hyphens, without_effect};

/// Options of a run.
#[derive(Debug, Clone, PartialEq, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Play {
    /// The scenario file, unless `-sf` or `-sn` names one, and the peer: HOST or HOST:PORT.
    #[arg(value_name = "FILE.xml] [HOST[:PORT]", num_args = 0..=2)]
    pub words: Vec<String>,
    /// The scenario file.
    #[arg(long = "sf", visible_alias = "scenario", value_name = "FILE")]
    pub scenario_file: Option<PathBuf>,
    /// A scenario that is built in; `offhook-load scenarios` lists them.
    #[arg(long = "sn", visible_alias = "built-in", value_name = "NAME")]
    pub scenario_name: Option<String>,
    /// Our address, which messages name, or several, such as 127.0.0.2-127.0.0.20, which calls
    /// take in turn.
    #[arg(long = "i", visible_alias = "local-ip", value_name = "IP[-IP]")]
    pub local_ip: Option<IpRange>,
    /// Our port, or several, such as 6000-6099; a server takes 5060 without it, a client any free
    /// one.
    #[arg(long = "p", visible_alias = "local-port", value_name = "PORT[-PORT]")]
    pub local_port: Option<PortRange>,
    /// What [service] is.
    #[arg(
        long = "s",
        visible_alias = "service",
        value_name = "NAME",
        default_value = "service"
    )]
    pub service: String,
    /// Calls to open in a period.
    #[arg(
        long = "r",
        visible_alias = "rate",
        value_name = "RATE",
        default_value_t = 10.0
    )]
    pub rate: f64,
    /// The period of the rate; a bare number is milliseconds.
    #[arg(long = "rp", visible_alias = "rate-period", value_name = "TIME",
          default_value = "1s", value_parser = milliseconds)]
    pub period: Duration,
    /// Calls at a time. A call that would be more is not opened; it is counted, and not made up.
    #[arg(long = "l", visible_alias = "limit", value_name = "CALLS")]
    pub limit: Option<usize>,
    /// Calls in all.
    #[arg(long = "m", visible_alias = "calls", value_name = "CALLS")]
    pub calls: Option<u64>,
    /// A fixed number of users who call again and again: a closed loop.
    #[arg(long = "users", value_name = "USERS", value_parser = users)]
    pub users: Option<usize>,
    /// How long pauses last that say nothing themselves; a bare number is milliseconds.
    #[arg(long = "d", visible_alias = "pause", value_name = "TIME",
          default_value = "0", value_parser = milliseconds)]
    pub pause: Duration,
    /// An injection file; may be given several times.
    #[arg(long = "inf", visible_alias = "injection", value_name = "FILE")]
    pub injections: Vec<PathBuf>,
    /// A column of an injection file to look lines up by.
    #[arg(long = "infindex", value_names = ["FILE", "COLUMN"], num_args = 2,
          action = ArgAction::Append)]
    pub indexes: Vec<String>,
    /// A word that scenarios use as [NAME].
    #[arg(long = "key", value_names = ["NAME", "VALUE"], num_args = 2,
          action = ArgAction::Append, allow_hyphen_values = true)]
    pub keys: Vec<String>,
    /// The first value of a variable.
    #[arg(long = "set", value_names = ["VARIABLE", "VALUE"], num_args = 2,
          action = ArgAction::Append, allow_hyphen_values = true)]
    pub variables: Vec<String>,
    /// Over what: u1 (UDP), un (UDP, calls in turn over several ports), ui (UDP, over the
    /// addresses of -i), t1 (one TCP connection), tn (a TCP connection a call), l1 (one TLS
    /// connection) or ln (a TLS connection a call).
    #[arg(
        long = "t",
        visible_alias = "transport",
        value_name = "TRANSPORT",
        default_value = "u1"
    )]
    pub transport: String,
    #[command(flatten)]
    /// Certificates and keys.
    pub tls: TlsOptions,
    /// The user of digests; [service] without it.
    #[arg(long = "au", visible_alias = "auth-user", value_name = "NAME")]
    pub username: Option<String>,
    /// The password of digests.
    #[arg(
        long = "ap",
        visible_alias = "auth-password",
        value_name = "PASSWORD",
        default_value = "password"
    )]
    pub password: String,
    /// The URI of digests, without `sip:`.
    #[arg(long = "auth_uri", visible_alias = "auth-uri", value_name = "URI")]
    pub digest_uri: Option<String>,
    /// The address that messages name for media.
    #[arg(long = "mi", visible_alias = "media-ip", value_name = "IP")]
    pub media_ip: Option<IpAddr>,
    /// The port that messages name for media.
    #[arg(
        long = "mp",
        visible_alias = "media-port",
        value_name = "PORT",
        default_value_t = 6_000
    )]
    pub media_port: u16,
    /// Send media back that come to the port for media.
    #[arg(long = "rtp_echo", visible_alias = "echo")]
    pub echoes: bool,
    /// Let scenarios run commands (exec command).
    #[arg(long = "allow-exec")]
    pub allows_commands: bool,
    /// Where messages go instead of the peer that they name.
    #[arg(
        long = "rsa",
        visible_alias = "outbound-proxy",
        value_name = "HOST[:PORT]"
    )]
    pub proxy: Option<String>,
    #[command(flatten)]
    /// When calls are opened, and who opens them.
    pub load: LoadOptions,
    #[command(flatten)]
    /// Twins.
    pub twins: TwinOptions,
    #[command(flatten)]
    /// What a run leaves behind.
    pub results: ResultOptions,
    #[command(flatten)]
    /// Time-outs and resends.
    pub timers: Timers,
    #[command(flatten)]
    /// What is written down.
    pub traces: TraceOptions,
    /// Answer INFO, NOTIFY, OPTIONS and UPDATE without a step.
    #[arg(long = "aa", visible_alias = "auto-answer")]
    pub auto_answer: bool,
    /// Do nothing without a step: no 200 to BYE, no giving up after unexpected messages.
    #[arg(long = "nd", visible_alias = "no-defaults")]
    pub no_defaults: bool,
    /// What is done without a step: all, none, bye, abortunexp, pingreply and, beyond SIPp,
    /// indialog (answer OPTIONS and session refreshes inside a call), each with a `-` before it to
    /// switch it off, and commas between them.
    #[arg(
        long = "default_behaviors",
        visible_alias = "default-behaviors",
        value_name = "LIST",
        allow_hyphen_values = true
    )]
    pub behaviours: Option<String>,
    /// Pass over messages during pauses.
    #[arg(long = "pause_msg_ign", visible_alias = "ignore-in-pause")]
    pub ignores_in_pause: bool,
    /// Take Call-IDs whole, also the part before `///`.
    #[arg(long = "callid_slash_ign", visible_alias = "keep-slashes")]
    pub keeps_slashes: bool,
    /// The form of Call-IDs: %u is the call, %p the process, %s our address.
    #[arg(
        long = "cid_str",
        visible_alias = "call-id",
        value_name = "FORM",
        default_value = "%u-%p@%s"
    )]
    pub call_id: String,
    /// The number of the first CSeq.
    #[arg(
        long = "base_cseq",
        visible_alias = "base-cseq",
        value_name = "N",
        default_value_t = 1,
        value_parser = first_number
    )]
    pub base_cseq: u64,
    /// Percent of messages to lose on purpose.
    #[arg(long = "lost", value_name = "PERCENT", default_value_t = 0.0)]
    pub lost: f64,
    /// Bytes of the kernel's buffers of each UDP socket, for receiving and for sending; as much as
    /// the machine grants without it.
    #[arg(long = "buff_size", visible_alias = "socket-buffer", value_name = "BYTES",
          value_parser = clap::value_parser!(u32).range(4_096..=1 << 30))]
    pub socket_buffer_bytes: Option<u32>,
    /// Go on in the background; the status is then 99.
    #[arg(long = "bg", visible_alias = "background")]
    pub background: bool,
    /// What the rate grows by every interval.
    #[arg(
        long = "rate_increase",
        visible_alias = "rate-increase",
        value_name = "RATE"
    )]
    pub rate_increase: Option<f64>,
    /// Between two growths of the rate; a bare number is seconds.
    #[arg(long = "rate_interval", visible_alias = "rate-interval", value_name = "TIME",
          value_parser = seconds)]
    pub rate_interval: Option<Duration>,
    /// The highest rate.
    #[arg(long = "rate_max", visible_alias = "rate-max", value_name = "RATE")]
    pub rate_max: Option<f64>,
    /// What the keys + - * / change the rate by is multiplied by this.
    #[arg(
        long = "rate_scale",
        visible_alias = "rate-scale",
        value_name = "FACTOR",
        default_value_t = 1.0
    )]
    pub rate_scale: f64,
    /// Ports of -t un; connections at a time of -t tn and ln, 50,000 unless given.
    #[arg(
        long = "max_socket",
        visible_alias = "max-sockets",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub sockets_max: Option<u32>,
    /// Go on when the highest rate is reached.
    #[arg(long = "no_rate_quit", visible_alias = "no-rate-quit")]
    pub no_rate_quit: bool,
    /// Where chance comes from: the same seed gives the same choices.
    #[arg(long = "seed", value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// An address that is not loopback and may be called; may be given several times.
    #[arg(long = "allow-target", value_name = "IP")]
    pub allowed: Vec<IpAddr>,
    /// Do not read keys from the terminal.
    #[arg(long = "nostdin", visible_alias = "no-keys")]
    pub no_keys: bool,
    /// How bytes are moved: epoll, which auto means, or uring.
    #[arg(long = "driver", value_name = "DRIVER", default_value = "auto")]
    pub driver: offhook::config::Driver,
}

/// Ports of `-t un` that no option limits.
const PORTS_USUAL: u32 = 100;

impl Play {
    /// Ports of `-t un`.
    #[must_use]
    pub fn ports(&self) -> usize {
        const PORTS_MAX: u32 = 20_000;
        self.sockets_max.unwrap_or(PORTS_USUAL).min(PORTS_MAX) as usize
    }

    /// Connections at a time of `-t tn` and `-t ln`.
    #[must_use]
    pub fn connections(&self) -> usize {
        let given = self.sockets_max.map(|most| most as usize);
        given.unwrap_or(limits::CONNECTIONS_MAX)
    }

    /// The behaviours that the options ask for.
    ///
    /// # Errors
    /// Which word is not known.
    pub fn behaviours(&self) -> Result<Behaviours, String> {
        let all = |on| Behaviours {
            bye: on,
            abort_unexpected: on,
            ping: on,
            in_dialog: on,
            auto_answer: self.auto_answer,
        };
        let mut behaviours = all(!self.no_defaults);
        for word in self.behaviours.iter().flat_map(|list| list.split(',')) {
            let (name, on) = word
                .strip_prefix('-')
                .map_or((word, true), |name| (name, false));
            match name.trim() {
                "all" => behaviours = all(on),
                "none" => behaviours = all(!on),
                "bye" => behaviours.bye = on,
                "abortunexp" => behaviours.abort_unexpected = on,
                "pingreply" => behaviours.ping = on,
                "indialog" => behaviours.in_dialog = on,
                "cseq" | "badcallid" => {}
                other => return Err(format!("`{other}` is no default behaviour")),
            }
        }
        Ok(behaviours)
    }
}

/// Pairs of words, as options with two values give them.
#[must_use]
pub fn pairs(words: &[String]) -> Vec<(String, String)> {
    let pair = |pair: &[String]| (pair[0].clone(), pair[1].clone());
    words.chunks_exact(2).map(pair).collect()
}

fn users(text: &str) -> Result<usize, String> {
    let found = text.parse().ok();
    let found = found.filter(|users| (1..=limits::CALLS_MAX).contains(users));
    found.ok_or_else(|| format!("write a number from 1 to {}", limits::CALLS_MAX))
}

fn first_number(text: &str) -> Result<u64, String> {
    let found = text.parse().ok();
    let found = found.filter(|number| *number < limits::CSEQ_END);
    found.ok_or_else(|| format!("write a number below {}", limits::CSEQ_END))
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    time(text, 0.001)
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    time(text, 1.0)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::Parser;

    use super::*;
    use crate::cli::{Command, CommandLine};

    fn play(arguments: &[&str]) -> Play {
        let words = ["offhook-load", "run"].iter().chain(arguments);
        let words = with_two_hyphens::<CommandLine>(words.map(Into::into).collect());
        let parsed = CommandLine::try_parse_from(words).expect("a good command line");
        let Command::Run(play) = parsed.command else {
            panic!("not a run: {parsed:?}");
        };
        play
    }

    #[test]
    fn options_of_sipp_are_taken_with_one_hyphen() {
        let play = play(&[
            "-sf",
            "a.xml",
            "127.0.0.1:5070",
            "-r",
            "100",
            "-rp",
            "500",
            "-l",
            "20",
            "-m",
            "7",
            "-d",
            "250",
            "-i",
            "127.0.0.2",
            "-p",
            "5099",
            "-key",
            "a",
            "-b",
            "-set",
            "v",
            "1",
            "-key",
            "c",
            "d",
            "-t",
            "t1",
            "-trace_stat",
            "-fd",
            "5",
            "-timeout",
            "1m",
            "-T2",
            "2000",
            "-nd",
            "-aa",
            "-default_behaviors",
            "all,-bye",
        ]);
        assert_eq!(play.words, ["127.0.0.1:5070"]);
        assert_eq!(
            (play.rate, play.limit, play.calls),
            (100.0, Some(20), Some(7))
        );
        assert_eq!(play.period, Duration::from_millis(500));
        assert_eq!(play.pause, Duration::from_millis(250));
        assert_eq!(
            play.local_port,
            Some(PortRange {
                first: 5_099,
                last: 5_099
            })
        );
        let keys = [("a", "-b"), ("c", "d")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(pairs(&play.keys), keys);
        assert_eq!(play.traces.statistics_interval, Duration::from_secs(5));
        assert_eq!(play.timers.run_timeout, Some(Duration::from_secs(60)));
        assert_eq!(play.timers.t2, Some(Duration::from_secs(2)));
        let behaviours = play.behaviours().expect("known words");
        assert!(!behaviours.bye && behaviours.abort_unexpected && behaviours.auto_answer);
        assert!(behaviours.in_dialog);
    }

    /// What people use daily and in load tests, as SIPp spells it; an empty value is a flag.
    #[test]
    fn every_usual_option_of_sipp_is_taken() {
        let all = "sn=uac sf=a.xml i=127.0.0.1 p=5060 s=us t=u1 r=10 rp=1000 l=5 m=5 d=9 inf=a.csv \
            key=a,b set=a,b au=me ap=word auth_uri=us@here trace_err trace_msg trace_stat \
            stf=a.csv fd=1 timeout=9 timeout_error nostdin bg users=5 rate_increase=5 \
            rate_interval=5 rate_max=9 no_rate_quit rate_scale=2 recv_timeout=9 send_timeout=9 \
            max_socket=9 buff_size=65536 max_recv_loops=9 max_sched_loops=9 timer_resol=1 \
            max_retrans=5 max_invite_retrans=5 max_non_invite_retrans=5 nr T2=4000 trace_rtt \
            rtt_freq=9 trace_counts trace_screen trace_error_codes trace_calldebug \
            deadcall_wait=9 watchdog_interval=9 watchdog_reset=9 watchdog_minor_threshold=9 \
            watchdog_minor_maxtriggers=9 watchdog_major_threshold=9 watchdog_major_maxtriggers=9 \
            ringbuffer_size=9 max_log_size=9 periodic_rtd rfc3339 stat_delimiter=,";
        for option in all.split_ascii_whitespace() {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let mut words = vec!["offhook-load".to_owned(), "run".to_owned()];
            words.push(format!("-{name}"));
            let values = value.split(',').filter(|value| !value.is_empty());
            words.extend(values.map(str::to_owned));
            if value == "," {
                words.push(value.to_owned());
            }
            let words = words.iter().map(OsString::from).collect();
            let (kept, _) = without_effect(words);
            let parsed = CommandLine::try_parse_from(with_two_hyphens::<CommandLine>(kept));
            let play = match parsed.map(|line| line.command) {
                Ok(Command::Run(play)) => play,
                other => panic!("-{name}: {other:?}"),
            };
            assert_eq!(play.words, Vec::<String>::new(), "-{name}");
        }
        // How many of its files are kept is only said of a ring.
        play(&["-ringbuffer_size", "9", "-ringbuffer_files", "3"]);
    }

    #[test]
    fn options_without_effect_are_taken_out_with_their_values() {
        let words = [
            "offhook-load",
            "uac",
            "-skip_rlimit",
            "-rtt_freq",
            "9",
            "host",
            "-r",
            "1",
        ];
        let (kept, dropped) = without_effect(words.map(Into::into).to_vec());
        assert_eq!(
            kept,
            ["offhook-load", "uac", "host", "-r", "1"].map(OsString::from)
        );
        assert_eq!(dropped, ["-skip_rlimit", "-rtt_freq"]);
        let (kept, dropped) = without_effect(["x", "demo", "-rtcheck"].map(Into::into).to_vec());
        assert_eq!((kept.len(), dropped.len()), (3, 0));
    }

    #[test]
    fn numbers_have_ends() {
        assert_eq!(users("1000000"), Ok(1_000_000));
        assert!(users("0").is_err() && users("1000001").is_err() && users("-1").is_err());
        assert_eq!(first_number("2147483647"), Ok(2_147_483_647));
        assert!(first_number("2147483648").is_err());
    }

    #[test]
    fn long_names_mean_the_same() {
        let play = play(&["a.xml", "host", "--rate", "5", "--calls=3", "--pause", "1s"]);
        assert_eq!(
            (play.rate, play.calls, play.pause),
            (5.0, Some(3), Duration::from_secs(1))
        );
        assert_eq!(play.words, ["a.xml", "host"]);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(seconds("90"), Ok(Duration::from_secs(90)));
        assert_eq!(seconds("1:30"), Ok(Duration::from_secs(90)));
        assert_eq!(milliseconds("1.5s"), Ok(Duration::from_millis(1_500)));
        assert!(milliseconds("soon").is_err() && seconds("-1").is_err());
        assert!(seconds("1e300").is_err() && seconds("400000000").is_err());
    }
}
