//! Options of a run by what they are about.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::super::calendar::Stamps;
use super::{Play, milliseconds, seconds};
use crate::files;
use crate::load::Spacing;
use crate::report::{Outcome, junit, page};

/// When calls are opened, and who opens them.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct LoadOptions {
    /// How the rate changes: 0..100/30s,100/5m or steps:10,20,50/10s or spike:10,200/20s,2s or
    /// ramp:0..100/30s, or moments from a file: file:PATH. It replaces -r.
    #[arg(long = "load", value_name = "PLAN")]
    pub plan: Option<String>,
    /// How far apart calls are: even, or poisson (independent of each other, as people call).
    #[arg(long = "arrivals", value_name = "SPACING", default_value = "even",
          value_parser = spacing)]
    pub spacing: Spacing,
    /// How long a user of -users waits between two calls; a bare number is milliseconds.
    #[arg(long = "think", value_name = "TIME", default_value = "0", value_parser = milliseconds)]
    pub think: Duration,
    /// Open calls, end pauses and take datagrams at multiples of this time; 0 does so at once. A
    /// bare number is milliseconds. Without it, 1ms for those who call over UDP without media, and
    /// 0 for all others.
    #[arg(long = "tick", value_name = "TIME", value_parser = milliseconds)]
    pub tick: Option<Duration>,
    /// Give the kernel each datagram alone. Otherwise those of equal length to the same peer are
    /// one to it, until it cuts them: cheaper, but captures on this machine show them so.
    #[arg(long = "separate")]
    pub separate: bool,
    /// How many workers share the load, each with sockets of its own.
    #[arg(long = "workers", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// The cores that the workers run on, one each, such as 1-3; without --workers, as many
    /// workers as cores.
    #[arg(long = "cores", value_name = "CORES")]
    pub cores: Option<String>,
    /// Do not end with status 3 when the generator itself has spoiled the run.
    #[arg(long = "allow-degraded")]
    pub allows_degraded: bool,
    /// What is demanded, such as 'p99(setup)<50ms && failed<0.01%'; missed, the run ends with
    /// status 5.
    #[arg(long = "slo", value_name = "OBJECTIVE")]
    pub objective: Option<String>,
    /// Start although nobody listens at the peer's address yet.
    #[arg(long = "unchecked")]
    pub unchecked: bool,
}

/// Other programs that play the other side of the same calls (3PCC).
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct TwinOptions {
    /// The twin's address, if the scenario's first command is sent; else our own, to which the
    /// twin connects.
    #[arg(long = "3pcc", visible_alias = "twin", value_name = "IP:PORT")]
    pub twin: Option<std::net::SocketAddr>,
    /// Our name among several twins, of which we are the first.
    #[arg(long = "master", value_name = "NAME", requires = "twins")]
    pub master: Option<String>,
    /// Our name among several twins.
    #[arg(
        long = "slave",
        value_name = "NAME",
        requires = "twins",
        conflicts_with = "master"
    )]
    pub slave: Option<String>,
    /// The file of all twins: name;address:port a line.
    #[arg(long = "slave_cfg", visible_alias = "twins", value_name = "FILE")]
    pub twins: Option<PathBuf>,
}

/// Certificates and keys, in files of PEM.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct TlsOptions {
    /// Our certificate, with those between it and the authority; cacert.pem without it, if there
    /// is such a file. A server needs one.
    #[arg(long = "tls_cert", visible_alias = "tls-cert", value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// The certificate's key; cakey.pem without it.
    #[arg(long = "tls_key", visible_alias = "tls-key", value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Authorities: peers must have a certificate of one of them. Without it nobody's is looked
    /// at.
    #[arg(long = "tls_ca", visible_alias = "tls-ca", value_name = "FILE")]
    pub authorities: Option<PathBuf>,
    /// Lists of certificates that their authorities have revoked.
    #[arg(
        long = "tls_crl",
        visible_alias = "tls-crl",
        value_name = "FILE",
        requires = "authorities"
    )]
    pub revoked: Option<PathBuf>,
}

/// A search for the highest rate.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct FindMax {
    #[command(flatten)]
    /// What is played at each rate, and at whom.
    pub play: Play,
    /// The first rate that is tried, in calls a second.
    #[arg(long = "first", value_name = "RATE", default_value_t = 10.0, value_parser = rate)]
    pub first: f64,
    /// No higher rate is tried.
    #[arg(long = "highest", value_name = "RATE", default_value_t = 100_000.0, value_parser = rate)]
    pub highest: f64,
    /// How long each rate is measured; a bare number is seconds.
    #[arg(long = "step-time", value_name = "TIME", default_value = "10s", value_parser = seconds)]
    pub step_time: Duration,
    /// How long each rate is offered before it is measured; a bare number is seconds.
    #[arg(long = "warm-up", value_name = "TIME", default_value = "2s", value_parser = seconds)]
    pub warm_up: Duration,
    /// How close the rates that meet and miss the objective have to be, in percent.
    #[arg(long = "precision", value_name = "PERCENT", default_value_t = 5.0,
          value_parser = percent)]
    pub precision: f64,
    /// How often the highest rate has to meet the objective.
    #[arg(long = "confirmations", value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=20))]
    pub confirmations: u32,
    /// Afterwards offer so many times the highest rate, such as 10x, and watch the recovery.
    #[arg(long = "overload", value_name = "FACTOR", value_parser = factor)]
    pub overload: Option<f64>,
}

fn rate(text: &str) -> Result<f64, String> {
    let found = text.parse::<f64>().ok();
    let found = found.filter(|rate| *rate > 0.0 && *rate <= 10_000_000.0);
    found.ok_or_else(|| "write calls a second, above 0".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let found = text.trim_end_matches('%').parse::<f64>().ok();
    let found = found.filter(|percent| (0.1..=50.0).contains(percent));
    found.ok_or_else(|| "write a number from 0.1 to 50".to_owned())
}

fn factor(text: &str) -> Result<f64, String> {
    let found = text.trim_end_matches('x').parse::<f64>().ok();
    let found = found.filter(|factor| (1.0..=1_000.0).contains(factor));
    found.ok_or_else(|| "write a factor such as 10x".to_owned())
}

/// What a run leaves behind.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct ResultOptions {
    /// Write everything that was found out as JSON.
    #[arg(long = "json", value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page with charts.
    #[arg(long = "html", value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a JUnit file for build servers.
    #[arg(long = "junit", value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Do not keep messages for the ladders of calls that fail.
    #[arg(long = "no-ladders")]
    pub no_ladders: bool,
    /// Print lines of progress also where there is a terminal.
    #[arg(long = "plain")]
    pub plain: bool,
}

/// How a result is written.
type Form = fn(&Outcome) -> String;

impl ResultOptions {
    fn files(&self) -> [(Option<&Path>, Form); 3] {
        [
            (self.json.as_deref(), Outcome::to_json),
            (self.html.as_deref(), page),
            (self.junit.as_deref(), junit),
        ]
    }

    /// Makes sure, before a run, that its result can be written.
    ///
    /// # Errors
    /// Which file cannot be, and why.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut named = self.files().into_iter().filter_map(|(path, _)| path);
        named
            .try_for_each(files::check_writable)
            .map_err(|fault| format!("offhook-load: {fault}"))
    }

    /// Writes the files that were asked for; what went wrong with them.
    pub(crate) fn write(&self, outcome: &Outcome) -> Vec<String> {
        let write = |(path, text): (Option<&Path>, fn(&Outcome) -> String)| {
            let fault = files::write(path?, &text(outcome)).err()?;
            Some(format!("offhook-load: {fault}"))
        };
        self.files().into_iter().filter_map(write).collect()
    }
}

fn spacing(text: &str) -> Result<Spacing, String> {
    match text {
        "even" | "constant" => Ok(Spacing::Even),
        "poisson" => Ok(Spacing::Poisson),
        _ => Err("write even or poisson".to_owned()),
    }
}

/// Time-outs and resends.
#[derive(Debug, Clone, PartialEq, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Timers {
    /// How long the run may take; a bare number is seconds. It then ends with status 97.
    #[arg(long = "timeout", value_name = "TIME", value_parser = seconds)]
    pub run_timeout: Option<Duration>,
    /// End with status 255 when the run took too long.
    #[arg(long = "timeout_error", visible_alias = "timeout-error")]
    pub timeout_is_error: bool,
    /// How long a message may take that has no time of its own; a bare number is milliseconds.
    #[arg(long = "recv_timeout", visible_alias = "receive-timeout", value_name = "TIME",
          value_parser = milliseconds)]
    pub receive_timeout: Option<Duration>,
    /// Resend nothing.
    #[arg(long = "nr", visible_alias = "no-resend")]
    pub no_resend: bool,
    /// How often anything is resent at most.
    #[arg(long = "max_retrans", visible_alias = "max-resends", value_name = "N")]
    pub resends_max: Option<u32>,
    /// How often an INVITE is resent at most.
    #[arg(
        long = "max_invite_retrans",
        visible_alias = "max-invite-resends",
        value_name = "N"
    )]
    pub invite_resends_max: Option<u32>,
    /// How often another message is resent at most.
    #[arg(
        long = "max_non_invite_retrans",
        visible_alias = "max-other-resends",
        value_name = "N"
    )]
    pub other_resends_max: Option<u32>,
    /// The longest time between two resends; a bare number is milliseconds.
    #[arg(long = "T2", visible_alias = "t2", value_name = "TIME", value_parser = milliseconds)]
    pub t2: Option<Duration>,
    /// How long ended calls are remembered; a bare number is milliseconds.
    #[arg(long = "deadcall_wait", visible_alias = "dead-call-wait", value_name = "TIME",
          value_parser = milliseconds)]
    pub dead_call_wait: Option<Duration>,
}

/// What is written down.
#[derive(Debug, Clone, PartialEq, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct TraceOptions {
    /// Write statistics to a file, one line every `-fd`.
    #[arg(long = "trace_stat", visible_alias = "trace-stat")]
    pub statistics: bool,
    /// Where statistics go.
    #[arg(long = "stf", visible_alias = "stat-file", value_name = "FILE")]
    pub statistics_file: Option<PathBuf>,
    /// Between two lines of statistics; a bare number is seconds.
    #[arg(long = "fd", visible_alias = "stat-interval", value_name = "TIME",
          default_value = "60s", value_parser = seconds)]
    pub statistics_interval: Duration,
    /// What stands between two columns of statistics.
    #[arg(
        long = "stat_delimiter",
        visible_alias = "stat-delimiter",
        value_name = "TEXT",
        default_value = ";"
    )]
    pub delimiter: String,
    /// Write how often each step was passed to a file, one line every `-fd`.
    #[arg(long = "trace_counts", visible_alias = "trace-counts")]
    pub counts: bool,
    /// Write every response time to a file.
    #[arg(long = "trace_rtt", visible_alias = "trace-response-times")]
    pub response_times: bool,
    /// Write one line for every message to a file.
    #[arg(long = "trace_shortmsg", visible_alias = "trace-short")]
    pub short: bool,
    /// Write what is printed at the end to a file as well.
    #[arg(long = "trace_screen", visible_alias = "trace-screen")]
    pub screen: bool,
    /// Write the status codes of unexpected responses to a file, one line every `-fd`.
    #[arg(long = "trace_error_codes", visible_alias = "trace-error-codes")]
    pub codes: bool,
    /// Write the messages of every call that fails to a file.
    #[arg(long = "trace_calldebug", visible_alias = "trace-failed-calls")]
    pub failed_calls: bool,
    /// Write every message to a file.
    #[arg(long = "trace_msg", visible_alias = "trace-messages")]
    pub messages: bool,
    /// Where messages go.
    #[arg(
        long = "message_file",
        visible_alias = "message-file",
        value_name = "FILE"
    )]
    pub message_file: Option<PathBuf>,
    /// Write what goes wrong to a file.
    #[arg(long = "trace_err", visible_alias = "trace-errors")]
    pub errors: bool,
    /// Where errors go.
    #[arg(long = "error_file", visible_alias = "error-file", value_name = "FILE")]
    pub error_file: Option<PathBuf>,
    /// Write what the scenario logs to a file.
    #[arg(long = "trace_logs", visible_alias = "trace-logs")]
    pub logs: bool,
    /// Where the scenario's logs go.
    #[arg(long = "log_file", visible_alias = "log-file", value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Write no more than this to a file of messages, errors or failed calls.
    #[arg(long = "max_log_size", visible_alias = "log-bytes", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub bytes_max: Option<u64>,
    /// Begin a new file of messages, errors or failed calls after so much; the one before gets a
    /// number into its name.
    #[arg(long = "ringbuffer_size", visible_alias = "ring-bytes", value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1..))]
    pub ring_bytes: Option<u64>,
    /// How many of these files before are kept; all without it.
    #[arg(
        long = "ringbuffer_files",
        visible_alias = "ring-files",
        value_name = "N",
        requires = "ring_bytes"
    )]
    pub ring_files: Option<usize>,
    /// Write moments as RFC 3339 has them, with microseconds.
    #[arg(long = "rfc3339")]
    pub rfc3339: bool,
    /// Count the classes of times in the statistics anew after every line.
    #[arg(long = "periodic_rtd", visible_alias = "periodic-classes")]
    pub periodic_classes: bool,
}

impl TraceOptions {
    /// How moments are written.
    pub(crate) fn stamps(&self) -> Stamps {
        if self.rfc3339 {
            Stamps::Rfc3339
        } else {
            Stamps::Tabs
        }
    }
}
