//! Our server side by side with its yardsticks: the same calls through each of them in turn, one
//! core for the server and another for caller and callee, in one run on one machine. What is
//! printed are ratios, because a time says little about another machine.
//!
//! `contestant` says who takes part, `scene` has one of them between caller and callee, `campaign`
//! the order of it all, `highest` how a highest rate is found, `table` what came of it. `relay` is
//! the yardstick that is built in, `presence` the PBX of phones that are watched.

mod campaign;
mod contestant;
mod figures;
mod highest;
mod http;
mod meter;
mod options;
mod presence;
mod relay;
mod scene;
mod table;

use std::io::Write as _;
use std::path::Path;

pub use contestant::Yardstick;
pub use options::{Part, PeersOptions};
pub use presence::{PRESENCE_DOMAIN, presence_server};
pub use relay::{RelayOptions, run as relay};

use crate::files;
use crate::scenario::run::interrupts;

/// The command could not be carried out.
const EXIT_FAILED: u8 = 255;
/// The first of the DNs that are called: six digits each.
const FIRST_DN: u32 = 100_000;

/// Measures and prints. Returns the exit status.
#[must_use]
pub fn run(options: &PeersOptions) -> u8 {
    let interrupts = interrupts();
    match campaign::run(options, &interrupts) {
        Ok(report) => {
            // Nobody reads standard output any more: the exit status still tells.
            let _ = write!(std::io::stdout(), "{}", table::text(&report));
            match &options.json {
                Some(path) => match files::write(path, &report.to_json()) {
                    Ok(()) => 0,
                    Err(fault) => fail(&fault),
                },
                None => 0,
            }
        }
        Err(fault) => fail(&fault),
    }
}

/// Says something while it goes on.
fn say(words: &str) {
    // Nobody reads standard error any more: the measurement does not need it.
    let _ = writeln!(std::io::stderr(), "offhook-load: {words}");
}

/// Writes a file for one of the programs; its name as a word of a command line.
fn write(folder: &Path, name: &str, text: &str) -> Result<String, String> {
    let path = folder.join(name);
    files::write(&path, text)?;
    Ok(path.display().to_string())
}

fn fail(fault: &str) -> u8 {
    say(fault);
    EXIT_FAILED
}
