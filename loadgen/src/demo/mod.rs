//! The demo: the real server in this process, and around it, over loopback UDP, a contact center
//! with a PBX, phones, desktops and callers. It is a floor (`floor`) with a profile of its own
//! (`mix`), and a result that says first what a newcomer wants to know (`report`).

mod mix;
mod report;

use crate::cli::Demo;
use crate::floor::command::Watcher;
use crate::floor::{self, FloorError, Setup};

pub use report::Report;

/// Carries out a demo, with progress on a screen where there is a terminal, else in lines on
/// standard error.
///
/// # Errors
/// [`FloorError`] when it could not be carried out; what it found out is in the [`Report`].
pub fn run(options: &Demo) -> Result<Report, FloorError> {
    let profile = mix::profile(options);
    let setup = Setup {
        driver: options.driver,
        ..Setup::default()
    };
    let mut watcher = Watcher::new(options.plain);
    let outcome = floor::run(&profile, &setup, &mut |progress| watcher.watch(progress));
    // The terminal is given back before anything is printed.
    drop(watcher);
    let outcome = outcome?;
    Ok(Report::of(outcome))
}
