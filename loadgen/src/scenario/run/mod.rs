//! Runs a scenario on real sockets: checks what can be checked before anything starts, turns the
//! control loop (keys, progress, files) while the workers play, and reports.

mod addresses;
mod commands;
mod counts;
mod crew;
mod csv;
mod desk;
mod find;
mod keys;
mod log_file;
mod logs;
mod outcome;
mod preflight;
mod prepare;
mod table;
mod timeline;
mod tls;
mod view;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use offhook_shards::StartError;
use offhook_shards::clock::Clock;

use super::calendar::Calendar;
use super::model::{Scenario, Side};
use super::options::Play;
use super::settings::Settings;
use super::station::Ending;
use crate::measure::{EXIT_INVALID, EXIT_OBJECTIVE, Objective};
use crate::report::Outcome;
use desk::{Desk, Over};
pub use find::find_max;
pub(crate) use keys::{Interrupts, interrupts};
use logs::Logs;
pub(crate) use preflight::check_peer;

/// Exit statuses, which are SIPp's.
const EXIT_FAILED: u8 = 1;
const EXIT_STOPPED: u8 = 97;
const EXIT_NO_CALLS: u8 = 99;
const EXIT_BIND: u8 = 254;
const EXIT_FATAL: u8 = 255;
/// Beyond SIPp's: less was offered than planned. Calls were not opened because of `-l`, or a call
/// or its media were to go where `--allow-target` allows nobody.
const EXIT_THINNED: u8 = 6;

/// Runs a scenario as the options say: that of a file, or `built_in`. Returns the exit status.
#[must_use]
pub fn run(play: &Play, built_in: Option<&str>) -> u8 {
    let opened = prepare::prepare(play, built_in).and_then(|prepared| {
        let logs = Logs::open(play, &prepared.scenario, prepared.settings.process_id)?;
        Ok((prepared, logs))
    });
    let (prepared, logs) = match opened {
        Ok(opened) => opened,
        Err(refusal) => {
            say(&refusal.words);
            return refusal.status;
        }
    };
    let mut calendar = Calendar::new(Clock.now(), prepare::epoch());
    calendar.stamps = play.traces.stamps();
    // Whoever sees our sockets may send signals.
    let interrupts = keys::interrupts();
    let crew = match crew::Crew::start(&prepared, calendar) {
        Ok(crew) => crew,
        Err(error) => {
            say(&format!("offhook-load: {error}"));
            let is_bind = matches!(error, StartError::Bind { .. });
            return if is_bind { EXIT_BIND } else { EXIT_FATAL };
        }
    };
    announce(&prepared.scenario, &prepared.settings);
    let mut desk = Desk::new(play, &prepared, crew, logs, calendar);
    let over = desk.turn(play, &interrupts);
    finish(play, &prepared, desk, over)
}

/// Starts the same run as a process of its own, without a terminal, and says its number. Returns
/// the exit status of this process, which is SIPp's.
#[must_use]
pub fn go_to_background(arguments: impl Iterator<Item = OsString>) -> u8 {
    let is_wish = |word: &OsString| {
        let text = word.to_str().unwrap_or_default();
        matches!(text, "-bg" | "--bg" | "-background" | "--background")
    };
    let own = arguments.skip(1).filter(|word| !is_wish(word));
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            say(&format!("offhook-load: -bg: {error}"));
            return EXIT_FATAL;
        }
    };
    let started = Command::new(program)
        .args(own)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Signals from the terminal are not for it.
        .process_group(0)
        .spawn();
    match started {
        Ok(child) => {
            let _ = writeln!(std::io::stdout(), "Background mode - PID=[{}]", child.id());
            EXIT_NO_CALLS
        }
        Err(error) => {
            say(&format!("offhook-load: -bg: {error}"));
            EXIT_FATAL
        }
    }
}

/// Says and writes what came out, and what it means.
fn finish(play: &Play, prepared: &prepare::Prepared, mut desk: Desk, over: Over) -> u8 {
    let health = desk.close();
    let faults = health.faults(&prepared.settings.tolerance);
    let seconds = desk.ended.duration_since(desk.started).as_secs_f64();
    let breaches = outcome::breaches(prepared.objective.as_ref(), prepared, &desk.last, seconds);
    let created = desk.last.created();
    let status = match over {
        Over::Broken | Over::Ended(Ending::Fatal) => EXIT_FATAL,
        Over::Late if play.timers.timeout_is_error => {
            say("offhook-load: the run took longer than -timeout allows");
            EXIT_FATAL
        }
        Over::Late | Over::Ended(Ending::Stopped) => EXIT_STOPPED,
        Over::Ended(Ending::Complete) if created == 0 => EXIT_NO_CALLS,
        Over::Ended(Ending::Complete) if !faults.is_empty() && !play.load.allows_degraded => {
            EXIT_INVALID
        }
        Over::Ended(Ending::Complete) if !breaches.is_empty() => EXIT_OBJECTIVE,
        Over::Ended(Ending::Complete) if desk.last.failed() > 0 && prepared.objective.is_none() => {
            EXIT_FAILED
        }
        Over::Ended(Ending::Complete) if desk.last.limited + desk.last.unreached > 0 => {
            EXIT_THINNED
        }
        Over::Ended(Ending::Complete) => 0,
    };
    let mut text = table::table(&desk.snapshot(), &prepared.settings, &health, &faults);
    for breach in &breaches {
        text.push_str(&format!("Objective missed: {breach}\n"));
    }
    desk.logs.screen(&text);
    desk.logs.flush();
    // Nobody reads standard output any more: the exit status still tells.
    let _ = write!(std::io::stdout(), "{text}");
    let outcome = outcome::outcome(play, prepared, &desk, &health, &faults, status);
    leave(play, &outcome)
}

/// Writes the result; a run whose result is lost cannot have succeeded. Returns the exit status.
fn leave(play: &Play, outcome: &Outcome) -> u8 {
    let faults = play.results.write(outcome);
    for fault in &faults {
        say(fault);
    }
    match outcome.exit_status {
        0 if !faults.is_empty() => EXIT_FATAL,
        status => status,
    }
}

/// Reads what `--slo` says.
pub(super) fn objective(text: Option<&str>) -> Result<Option<Objective>, String> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|fault: String| format!("offhook-load: --slo: {fault}"))
}

fn announce(scenario: &Scenario, settings: &Settings) {
    let transport = super::floor::transport_name(settings.transport);
    let (name, local) = (&scenario.name, settings.local);
    let more = match (settings.locals.len(), settings.workers) {
        (1, 1) => String::new(),
        (addresses, workers) => format!(", {addresses} addresses, {workers} workers"),
    };
    match (scenario.side, settings.remote) {
        (Side::Client, Some(remote)) => {
            say(&format!(
                "{name}: from {local} to {remote} over {transport}{more}"
            ));
        }
        (Side::Client, None) | (Side::Server, _) => {
            say(&format!(
                "{name}: waits for calls on {local} over {transport}{more}"
            ));
        }
    }
}

fn say(text: &str) {
    // Nobody reads standard error any more: there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "{text}");
}
