//! The `offhook-load` command. It reads the command line and prints; everything else is the
//! library's.

use std::io::Write;
use std::process::ExitCode;

use offhook_loadgen::cli::{CheckFiles, Command, CommandLine, Demo, Report, Scenarios};
use offhook_loadgen::report::{Outcome, compare, compare_page, junit, page, summary};
use offhook_loadgen::scenario::options::{pairs, with_two_hyphens, without_effect};
use offhook_loadgen::scenario::{builtin, check, load, run as player};
use offhook_loadgen::{demo, files, floor, peers};

/// The demo was carried out and found a fault.
const EXIT_FAULTS: u8 = 1;
/// A file cannot be read.
const EXIT_UNREADABLE: u8 = 255;
/// The demo could not be carried out.
const EXIT_FAILED: u8 = 3;

fn main() -> ExitCode {
    let (arguments, dropped) = without_effect(std::env::args_os().collect());
    let arguments = with_two_hyphens::<CommandLine>(arguments);
    let CommandLine { command } = CommandLine::read(arguments).unwrap_or_else(|fault| fault.exit());
    if !dropped.is_empty() {
        let list = dropped.join(", ");
        // Nobody reads standard error any more: the run itself does not need it.
        let _ = writeln!(
            std::io::stderr(),
            "offhook-load: without effect here: {list}"
        );
    }
    if let Command::Run(play) | Command::Uac(play) | Command::Uas(play) = &command
        && play.background
    {
        return ExitCode::from(player::go_to_background(std::env::args_os()));
    }
    // Before any thread starts.
    offhook_shards::prepare_process();
    match command {
        Command::Demo(options) => run(&options),
        Command::Floor(options) => ExitCode::from(floor::command::run(&options)),
        Command::Run(play) => ExitCode::from(player::run(&play, None)),
        Command::Uac(play) => ExitCode::from(player::run(&play, Some("uac"))),
        Command::Uas(play) => ExitCode::from(player::run(&play, Some("uas"))),
        Command::Report(report) => show(&report),
        Command::FindMax(options) => ExitCode::from(player::find_max(&options)),
        Command::Peers(options) => ExitCode::from(peers::run(&options)),
        Command::Relay(options) => relay(options),
        Command::Check(files) => check_files(&files),
        Command::Scenarios(wanted) => list(&wanted),
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

fn relay(options: peers::RelayOptions) -> ExitCode {
    match peers::relay(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "offhook-load: {fault}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

fn show(options: &Report) -> ExitCode {
    match report_text(options) {
        Ok(text) => {
            let _ = write!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "offhook-load: {fault}");
            ExitCode::from(EXIT_UNREADABLE)
        }
    }
}

/// Writes what was asked for; what is left to print.
fn report_text(options: &Report) -> Result<String, String> {
    let read = |path: &std::path::PathBuf| {
        let fault = |text: String| format!("{}: {text}", path.display());
        let text = files::read_text(path, files::RESULT_BYTES_MAX)?;
        Outcome::from_json(&text).map_err(|error| fault(error.to_string()))
    };
    let write = |path: &std::path::PathBuf, text: String| files::write(path, &text);
    let results: Vec<Outcome> = options.results.iter().map(read).collect::<Result<_, _>>()?;
    match &results[..] {
        [first, second] => {
            if options.junit.is_some() {
                return Err("--junit is of one result".to_owned());
            }
            if let Some(path) = &options.html {
                write(path, compare_page(first, second))?;
                return Ok(String::new());
            }
            Ok(compare(first, second))
        }
        [only, ..] => {
            if let Some(path) = &options.junit {
                write(path, junit(only))?;
            }
            if let Some(path) = &options.html {
                write(path, page(only))?;
            }
            let is_written = options.html.is_some() || options.junit.is_some();
            Ok(if is_written {
                String::new()
            } else {
                summary(only)
            })
        }
        [] => Err("name a result".to_owned()),
    }
}

fn check_files(options: &CheckFiles) -> ExitCode {
    let keys = pairs(&options.key).into_iter().collect();
    let mut all_run = true;
    for file in &options.files {
        let name = file.display().to_string();
        let bytes = match files::read(file, load::FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(fault) => {
                let _ = writeln!(std::io::stderr(), "offhook-load: {fault}");
                return ExitCode::from(EXIT_UNREADABLE);
            }
        };
        let (verdict, runs) = check::check(&name, &load::load(&bytes, &keys));
        let _ = write!(std::io::stdout(), "{verdict}");
        all_run &= runs;
    }
    if all_run {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAULTS)
    }
}

fn list(wanted: &Scenarios) -> ExitCode {
    let mut output = std::io::stdout();
    let Some(name) = &wanted.name else {
        for scenario in builtin::ALL {
            let _ = writeln!(output, "{:<22} {}", scenario.name, scenario.purpose);
        }
        return ExitCode::SUCCESS;
    };
    match builtin::find(name) {
        Some(scenario) => {
            let _ = write!(output, "{}", scenario.text);
            ExitCode::SUCCESS
        }
        None => {
            let _ = writeln!(
                std::io::stderr(),
                "offhook-load: there is no scenario {name}"
            );
            ExitCode::from(EXIT_FAULTS)
        }
    }
}
