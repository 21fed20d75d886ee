//! The `offhook-load` command. It reads the command line and prints; everything else is the
//! library's.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use offhook_loadgen::cli::{Command, CommandLine, Demo};
use offhook_loadgen::demo;

/// The demo was carried out and found a fault.
const EXIT_FAULTS: u8 = 1;
/// The demo could not be carried out.
const EXIT_FAILED: u8 = 3;

fn main() -> ExitCode {
    // Before any thread starts.
    offhook_shards::prepare_process();
    let CommandLine { command } = CommandLine::parse();
    match command {
        Command::Demo(options) => run(&options),
    }
}

fn run(options: &Demo) -> ExitCode {
    let report = match demo::run(options) {
        Ok(report) => report,
        Err(error) => {
            // Nobody reads standard error any more: the exit status still tells.
            let _ = writeln!(std::io::stderr(), "offhook-load: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let text = if options.json {
        report.json()
    } else {
        report.table()
    };
    // The same for standard output.
    let _ = writeln!(std::io::stdout(), "{text}");
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAULTS)
    }
}
