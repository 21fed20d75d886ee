//! The demo: the real server in this process, and around it, over loopback UDP, a PBX with phones
//! and callers.
//!
//! `stage` is the server and the sockets, `play` the phases from the first SUBSCRIBE to the last
//! BYE, `watch` the CTI client, `ledger` the comparison of what the server says with what the
//! phones know, `report` the result.

mod error;
mod ledger;
mod measure;
mod mix;
mod play;
mod report;
mod sockets;
mod stage;
mod watch;

use crate::cli::Demo;

pub use error::DemoError;
pub use measure::Latencies;
pub(crate) use measure::receive_buffer_errors;
pub use report::Report;

/// Carries out a demo, with progress on standard error.
///
/// # Errors
/// [`DemoError`] when it could not be carried out; what it found out is in the [`Report`].
pub fn run(options: &Demo) -> Result<Report, DemoError> {
    let mut stage = stage::Stage::set_up(options)?;
    let played = play::play(&mut stage, options);
    // Whatever happened, the server stops in good order.
    let stopped = stage.clear();
    let report = played?;
    stopped?;
    Ok(report)
}
