//! A whole contact center around a server: PBXs with phones, agents at desktops, callers, routers
//! and what goes wrong among them, as a profile describes it, and an oracle that knows the truth
//! of all of them.
//!
//! `profile` is what is asked for. `site` plays one PBX and its callers on a worker of its own,
//! behind the network of `weather`; `desk` and `router` are who sits at desktops and in the
//! router, `cti` their connections. `oracle` judges. `stage` connects everything, `play` has the
//! phases of a run, `outcome` what was found. Only `cti`, `stage` and `play` know sockets.

mod cast;
pub mod command;
mod cti;
mod deeds;
mod desk;
mod error;
mod oracle;
mod outcome;
mod play;
pub mod profile;
mod report;
mod router;
mod said;
mod site;
mod stage;
mod timeline;
mod trail;
mod view;
mod weather;

use std::net::SocketAddr;
use std::time::Duration;

use offhook::config::Driver;

use profile::Profile;

pub use error::FloorError;
pub use oracle::{Measure, Rule, Tally, Violation};
pub use outcome::FloorOutcome;
pub(crate) use outcome::{add_row, times, verdict, words};
pub use stage::Progress;

/// What the numbers of the callers of a PBX begin with.
pub(crate) fn prefix(pbx: usize) -> String {
    match pbx {
        0 => "3".to_owned(),
        other => format!("3{other}"),
    }
}

/// A server that runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Where it hears SIP.
    pub sip: SocketAddr,
    /// Where it serves CTI.
    pub http: SocketAddr,
}

/// How a floor is run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The server; `None` starts one in this process.
    pub target: Option<Target>,
    /// How that one moves bytes.
    pub driver: Driver,
    /// Messages that each site remembers, to show calls that went wrong.
    pub trail_max: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            target: None,
            driver: Driver::Auto,
            trail_max: 50_000,
        }
    }
}

/// What a run is told by whoever watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It goes on.
    GoOn,
    /// No more calls are offered.
    Drain,
    /// It ends now.
    Stop,
}

/// Plays a floor. `progress` is called about every second.
///
/// # Errors
/// [`FloorError`] when it could not be carried out; what it found is in the [`FloorOutcome`].
pub fn run(
    profile: &Profile,
    setup: &Setup,
    progress: &mut dyn FnMut(&Progress) -> Wish,
) -> Result<FloorOutcome, FloorError> {
    let mut stage = stage::Stage::set_up(profile, setup)?;
    let played = play::play(&mut stage, profile, progress);
    // Whatever happened, the server stops in good order.
    let stopped = stage.clear();
    let outcome = played?;
    stopped?;
    Ok(outcome)
}

/// How long agents may take to log in, beside the pace of subscriptions.
const READY_RATE_MIN: u32 = 25;

/// How long a floor may take until everybody is there.
fn ready_time_max(profile: &Profile) -> Duration {
    let agents = u32::try_from(profile.agent_count()).unwrap_or(u32::MAX);
    profile.ready_within + Duration::from_secs((agents / READY_RATE_MIN).into())
}
