//! The demo: the real server in this process, and around it, over loopback UDP, a contact center
//! with a PBX, phones, desktops and callers. It is a floor (`floor`) with a profile of its own
//! (`mix`), and a result that says first what a newcomer wants to know (`report`).

mod mix;
mod report;

use std::io::Write as _;

use crate::cli::Demo;
use crate::floor::{self, FloorError, Setup, Wish};

pub use report::Report;

/// Carries out a demo, with progress on standard error.
///
/// # Errors
/// [`FloorError`] when it could not be carried out; what it found out is in the [`Report`].
pub fn run(options: &Demo) -> Result<Report, FloorError> {
    let profile = mix::profile(options);
    let setup = Setup {
        driver: options.driver,
        ..Setup::default()
    };
    let outcome = floor::run(&profile, &setup, &mut |progress| {
        // Nobody reads standard error any more: the demo goes on.
        let _ = writeln!(std::io::stderr(), "{}", floor::command::line(progress));
        Wish::GoOn
    })?;
    Ok(Report::of(outcome))
}
