//! `offhook-load floor` as its users see it: what it reads, prints and ends with.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use offhook::config::Mistake;
use offhook::server::words::counted;
use offhook_shards::Transport;

use super::profile::Profile;
use super::{FloorOutcome, Progress, Setup, Target, Wish};
use crate::cli::Floor;
use crate::files;
use crate::population::Totals;
use crate::reach::Reach;
use crate::scenario::run::check_peer;
use crate::screen::{Key, Screen};

/// No rule was broken, and calls were lost.
const EXIT_LOST: u8 = 1;
/// The profile is wrong.
const EXIT_WRONG: u8 = 2;
/// The generator itself has spoiled the run.
const EXIT_INVALID: u8 = 3;
/// The oracle found a broken rule.
const EXIT_VIOLATION: u8 = 4;
/// Bytes of a profile; a longer file is none.
const PROFILE_BYTES_MAX: usize = 4 << 20;
/// The run could not be carried out.
const EXIT_FAILED: u8 = 255;

/// Carries out the command. Returns the exit status.
#[must_use]
pub fn run(options: &Floor) -> u8 {
    let mut profile = match read(options) {
        Ok(profile) => profile,
        Err((status, words)) => {
            say(&words);
            return status;
        }
    };
    if let Some(seed) = options.seed {
        profile.seed = seed;
    }
    if let Some(duration) = options.duration {
        profile.duration = duration;
        profile.faults.retain(|fault| fault.at < duration);
    }
    if options.check {
        print(&summary(&profile));
        return 0;
    }
    if options.print_config {
        return print_configuration(options, &profile);
    }
    if let Err(words) = preflight(options) {
        say(&words);
        return EXIT_FAILED;
    }
    let setup = Setup {
        target: options.target.map(|sip| Target {
            sip,
            http: options.cti,
        }),
        driver: options.driver,
        trail_max: if options.results.no_ladders {
            0
        } else {
            Setup::default().trail_max
        },
    };
    let mut watcher = Watcher::new(options.results.plain);
    let outcome = super::run(&profile, &setup, &mut |progress| watcher.watch(progress));
    // The terminal is given back before anything is printed.
    drop(watcher);
    match outcome {
        Ok(outcome) => {
            print(&outcome.table());
            let status = status(&outcome, options.allow_degraded);
            let report = outcome.report(std::env::args().collect(), status);
            let faults = options.results.write(&report);
            for words in &faults {
                say(words);
            }
            if status == 0 && !faults.is_empty() {
                return EXIT_FAILED;
            }
            status
        }
        Err(error) => {
            say(&format!("offhook-load: {error}"));
            EXIT_FAILED
        }
    }
}

/// Who watches a run: a screen where there is a terminal, else lines.
pub(crate) struct Watcher {
    screen: Option<Screen>,
}

impl Watcher {
    pub(crate) fn new(plain: bool) -> Self {
        Self {
            screen: if plain { None } else { Screen::open() },
        }
    }

    pub(crate) fn watch(&mut self, progress: &Progress) -> Wish {
        let Some(screen) = &mut self.screen else {
            say(&line(progress));
            return Wish::GoOn;
        };
        screen.show(progress.snapshot.clone());
        match screen.key() {
            Some(Key::Letter('q')) => Wish::Drain,
            Some(Key::Letter('Q') | Key::Interrupt) => Wish::Stop,
            Some(Key::Letter(_)) | None => Wish::GoOn,
        }
    }
}

/// What a run is worth, as the exit status says it.
fn status(outcome: &FloorOutcome, allow_degraded: bool) -> u8 {
    if !outcome.counts.is_empty() {
        EXIT_VIOLATION
    } else if !outcome.is_clean() {
        EXIT_LOST
    } else if !outcome.is_trustworthy() && !allow_degraded {
        EXIT_INVALID
    } else {
        0
    }
}

fn read(options: &Floor) -> Result<Profile, (u8, String)> {
    let name = options.profile.display().to_string();
    let bytes = files::read(&options.profile, PROFILE_BYTES_MAX)
        .map_err(|fault| (EXIT_FAILED, format!("offhook-load: {fault}")))?;
    let text = String::from_utf8(bytes).map_err(|fault| {
        let before = &fault.as_bytes()[..fault.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        (
            EXIT_WRONG,
            format!("{name}:{line}: this is no UTF-8; write the file anew"),
        )
    })?;
    Profile::parse(&name, &text).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        (EXIT_WRONG, lines.join("\n"))
    })
}

/// Whether the run can begin: its result can be written, and a server that runs already may be
/// loaded and is there.
fn preflight(options: &Floor) -> Result<(), String> {
    options.results.check()?;
    let Some(target) = options.target else {
        return Ok(());
    };
    let reach = Reach::new(&options.allow_target);
    reach.check(target.ip())?;
    reach.check(options.cti.ip())?;
    check_peer(target, Transport::Udp)?;
    check_peer(options.cti, Transport::Tcp)
}

fn print_configuration(options: &Floor, profile: &Profile) -> u8 {
    let mut peers = Vec::new();
    for pbx in &profile.pbxs {
        if pbx.port == 0 {
            say(&format!(
                "offhook-load: the PBX `{}` takes any ports; a server of its own must know them: \
                 write port = 5070 in its [[pbx]]",
                pbx.name
            ));
            return EXIT_WRONG;
        }
        let nodes = (0..pbx.nodes)
            .map(|node| SocketAddr::from(([127, 0, 0, 1], pbx.port.saturating_add(node))));
        peers.push(nodes.collect::<Vec<SocketAddr>>());
    }
    let sip = options
        .target
        .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5_060)));
    print(&profile.configuration(&peers, &sip.to_string(), &options.cti.to_string()));
    0
}

/// What a profile holds, in a few lines.
fn summary(profile: &Profile) -> String {
    let phones: usize = profile.pbxs.iter().map(|pbx| pbx.phones.len()).sum();
    let nodes: u32 = profile.pbxs.iter().map(|pbx| u32::from(pbx.nodes)).sum();
    let mut text = format!(
        "{}: {} with {} and {}, {}, {}, callers of {}, {}, {}, {} s, seed {}",
        profile.name,
        counted(profile.pbxs.len(), "PBX"),
        counted(nodes as usize, "node"),
        counted(phones, "phone"),
        counted(profile.queues.len(), "queue"),
        counted(profile.agent_count(), "agent"),
        counted(profile.callers.len(), "kind"),
        counted(profile.routers.len(), "router"),
        counted(profile.faults.len(), "fault"),
        profile.duration.as_secs(),
        profile.seed,
    );
    for callers in &profile.callers {
        let (patience, talking) = (callers.patience.middle(), callers.talking.middle());
        text.push_str(&format!(
            "\n  {}: {} calls a second, wait about {:.0} s, talk about {:.0} s",
            callers.name,
            callers.arrivals_text,
            patience.as_secs_f64(),
            talking.as_secs_f64(),
        ));
    }
    text
}

/// How a run stands, in one line.
fn line(progress: &Progress) -> String {
    let Totals {
        offered,
        answered,
        abandoned,
        refused,
        lost,
    } = progress.totals;
    let violations = match progress.violations {
        0 => String::new(),
        count => format!("   VIOLATIONS: {count}"),
    };
    let seconds = progress.elapsed.max(Duration::ZERO).as_secs();
    format!(
        "{:<5} {seconds:>4} s  agents: {} Ready, {} NotReady, {} LoggedOut   calls: {} in flight, \
         {offered} offered, {answered} answered, {abandoned} abandoned, {refused} refused, \
         {lost} lost{violations}",
        progress.phase,
        progress.tally.ready,
        progress.tally.not_ready,
        progress.tally.logged_out,
        progress.live,
    )
}

fn say(words: &str) {
    // Nobody reads standard error any more: the exit status still tells.
    let _ = writeln!(std::io::stderr(), "{words}");
}

fn print(words: &str) {
    // The same for standard output.
    let _ = writeln!(std::io::stdout(), "{words}");
}
