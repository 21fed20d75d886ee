//! The log: lines on standard error, filtered by level alone. A filter by target is fixed at start,
//! for a filter that is looked up costs every log line that is not written.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogLevel;

/// Starts to log; a second time changes nothing.
pub fn start(level: LogLevel) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    // Libraries below us tell little that an operator can use; their warnings are enough.
    let targets = Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("offhook", level)
        .with_target("offhook_shards", level);
    // Colours are for eyes; a file or a collector would keep them as noise.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An embedding program that logs already keeps its own way.
    let _ = tracing_subscriber::registry()
        .with(targets)
        .with(lines)
        .try_init();
}
