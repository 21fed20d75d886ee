//! The `offhook` command: `serve` runs the server, `check` reads its configuration. It reads the
//! command line and files and prints; everything else is the library's.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use offhook::config::{self, Config, Cores, Driver, Listener, LogLevel, Mistake, Overrides};
use offhook::server::allocator::Counted;
#[cfg(feature = "mimalloc")]
use offhook::server::allocator::Mimalloc;
use offhook::server::host;
use offhook::server::journal;
use offhook::server::logging;
use offhook::server::serve::{self, Choices, Serving};
use offhook::server::tls;
use offhook::server::words::counted;

/// The C library's allocator gives memory back to the kernel and asks for it again about once a
/// call (`mprotect`), and its lists cost a tenth of a shard's time (docs/performance.md).
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: Counted<Mimalloc> = Counted(Mimalloc);
#[cfg(not(feature = "mimalloc"))]
#[global_allocator]
static ALLOCATOR: Counted<std::alloc::System> = Counted(std::alloc::System);

/// The configuration or the command line has mistakes.
const EXIT_MISTAKES: u8 = 2;

/// A SIP application server for contact centers.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server until SIGTERM or SIGINT.
    Serve(Serve),
    /// Reads a configuration and names every mistake in it.
    Check {
        /// The configuration file; docs/example.toml is a complete one.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Flags of `serve`, which override the file.
#[derive(Debug, clap::Args)]
struct Serve {
    /// The configuration file; docs/example.toml is a complete one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Shards to start; 0 is the number of cores minus one, at least one.
    #[arg(long, value_name = "N")]
    shards: Option<u16>,
    /// Cores that the shards are pinned to, such as 1-3,5.
    #[arg(long, value_name = "LIST")]
    cores: Option<Cores>,
    /// Leave shards to the scheduler.
    #[arg(long, conflicts_with = "cores")]
    no_pin: bool,
    /// Where SIP is heard: udp:ADDRESS:PORT, tcp:… or tls:…; may be repeated.
    #[arg(long, value_name = "LISTENER")]
    sip: Vec<Listener>,
    /// Where HTTP and WebSocket are heard.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = http)]
    http: Option<SocketAddr>,
    /// The least severe log line: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log: Option<LogLevel>,
    /// How bytes move: auto, uring or epoll.
    #[arg(long, value_name = "DRIVER")]
    driver: Option<Driver>,
    /// Where the journal is that lets calls survive a crash; without it there is none.
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// How many seconds calls may take to end when the server is told to stop.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    drain_timeout: Option<u64>,
}

fn http(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:8080".to_owned())
}

fn seconds(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "write a whole number of seconds, such as 30".to_owned())
}

fn main() -> ExitCode {
    offhook_shards::prepare_process();
    let CommandLine { command } = CommandLine::parse();
    match command {
        Command::Serve(flags) => run(&flags),
        Command::Check { config } => check(&config),
    }
}

fn run(flags: &Serve) -> ExitCode {
    let Some(path) = &flags.config else {
        say_error("offhook serve needs a configuration: offhook serve --config FILE");
        say_error("docs/example.toml is a complete one; offhook check --config FILE checks yours");
        return ExitCode::from(EXIT_MISTAKES);
    };
    let read = read(path).and_then(|config| config.apply(overrides(flags)));
    let read = read.and_then(servable);
    let config = match read {
        Ok(config) => config,
        Err(mistakes) => return list(&mistakes),
    };
    logging::start(config.server.log);
    let choices = Choices {
        signals: true,
        ..Choices::default()
    };
    let started = match &flags.state_dir {
        Some(directory) => journal::start(&config, choices, directory),
        None => serve::start(&config, choices),
    };
    match started.and_then(Serving::wait) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn check(path: &Path) -> ExitCode {
    match read(path).and_then(servable) {
        Ok(config) => {
            if let Err(words) = tls::load(&config) {
                say_error(&format!("{}: [tls]: {words}", path.display()));
                return ExitCode::from(EXIT_MISTAKES);
            }
            let line = format!(
                "{} is fine: {}, {}, {}, {}",
                path.display(),
                counted(config.agents.len(), "agent"),
                counted(config.queues.len(), "queue"),
                counted(config.routing_points.len(), "routing point"),
                counted(config.trunks.len(), "trunk"),
            );
            // Nobody reads standard output any more: the exit status still tells.
            let _ = writeln!(std::io::stdout(), "{line}");
            for question in config.names() {
                let records = question.records();
                let line = format!("to be looked up when it runs: {question} ({records})");
                let _ = writeln!(std::io::stdout(), "{line}");
            }
            for warning in host::warnings(&config) {
                say_error(&format!("this host: {warning}"));
            }
            for address in host::missing_addresses(&config) {
                say_error(&format!(
                    "this host: it has no address {address}; write one of its own, or serve \
                     elsewhere"
                ));
            }
            ExitCode::SUCCESS
        }
        Err(mistakes) => list(&mistakes),
    }
}

/// Reads a configuration and the CSV files that it names, whose paths are relative to its own.
fn read(path: &Path) -> Result<Config, Vec<Mistake>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![Mistake {
            file: name.clone(),
            line: 0,
            what: format!("cannot be read: {error}"),
            instead: "name a file that exists; docs/example.toml is a complete one".to_owned(),
        }]
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let files = |named: &str| {
        std::fs::read_to_string(folder.join(named)).map_err(|error| error.to_string())
    };
    let mut config = config::parse_named(&name, &text, &files)?;
    config.start_from(folder);
    Ok(config)
}

/// A sound configuration that a server can also be reached with.
fn servable(config: Config) -> Result<Config, Vec<Mistake>> {
    let mistakes = config.serving_mistakes();
    if mistakes.is_empty() {
        return Ok(config);
    }
    Err(mistakes)
}

fn overrides(flags: &Serve) -> Overrides {
    Overrides {
        shards: flags.shards,
        cores: flags.cores.clone(),
        no_pin: flags.no_pin,
        sip: flags.sip.clone(),
        http: flags.http,
        log: flags.log,
        driver: flags.driver,
        drain_timeout: flags.drain_timeout.map(Duration::from_secs),
    }
}

fn list(mistakes: &[Mistake]) -> ExitCode {
    for mistake in mistakes {
        say_error(&mistake.to_string());
    }
    ExitCode::from(EXIT_MISTAKES)
}

fn say_error(line: &str) {
    // Nobody reads standard error any more: the exit status still tells.
    let _ = writeln!(std::io::stderr(), "{line}");
}
