//! One contestant between caller and callee: started, called, looked at, ended.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::contestant::{Behind, Cast, Contestant, Places, Setup, WATCH_RATE};
use super::highest::{CLEAN, CLEAN_FAILED_PART};
use super::http::{Watching, log_in, watching};
use super::meter::Meter;
use super::{FIRST_DN, write};
use crate::files;
use crate::measure::{tcp_listeners, udp_sockets};
use crate::process::{self, LOOK_INTERVAL, Program};
use crate::report::Outcome;
use crate::scenario::run::Interrupts;

/// How long a server may do what it does after its start.
const WARM_UP: Duration = Duration::from_secs(1);
/// How much longer than planned calls may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// 64*T1 (RFC 3261 §17): by then the transactions of a call that was answered are over.
const TRANSACTION_MAX: Duration = Duration::from_secs(32);

/// For transactions that are as late as their calls, and for a server to give back what they had.
const SETTLED: Duration = Duration::from_secs(5);
/// Between two looks at how many phones are watched.
const WATCHERS_LOOK: Duration = Duration::from_millis(200);

/// What all scenes share.
pub(super) struct Stage<'a> {
    pub(super) cast: Cast,
    /// The server's core, the caller's and the callee's; the last two may be one.
    pub(super) cores: [usize; 3],
    pub(super) folder: PathBuf,
    pub(super) interrupts: &'a Interrupts,
}

/// Calls to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calls {
    pub(super) rate: u32,
    pub(super) count: u32,
    /// How long each lasts.
    pub(super) pause: Duration,
}

/// Bytes that a server has got for calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// When the last has just begun.
    pub(super) at_first: u64,
    /// When nothing is left but the calls: their transactions are over.
    pub(super) settled: u64,
}

impl Stage<'_> {
    /// Lets time pass.
    ///
    /// # Errors
    /// That somebody wants it all to end.
    pub(super) fn pass(&self, time: Duration) -> Result<(), String> {
        let end = Clock.now() + time;
        while Clock.now() < end {
            self.heed()?;
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(())
    }

    /// A command line of this program: words without blanks in them, and words with.
    fn own_words(&self, plain: &str, others: &[&str]) -> Vec<OsString> {
        let words = plain.split(' ').chain(others.iter().copied());
        let own = self.cast.own.clone().into_os_string();
        std::iter::once(own)
            .chain(words.map(OsString::from))
            .collect()
    }

    fn heed(&self) -> Result<(), String> {
        match self.interrupts.has_ended() {
            true => Err("stopped before the end".to_owned()),
            false => Ok(()),
        }
    }
}

/// A contestant that runs, and who is behind it.
pub(super) struct Scene<'a> {
    stage: &'a Stage<'a>,
    setup: Setup,
    places: Places,
    /// None where caller and callee are alone.
    server: Option<Program>,
    callee: Program,
    numbers: String,
}

impl<'a> Scene<'a> {
    /// Starts them.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub(super) fn open(
        stage: &'a Stage<'a>,
        contestant: Contestant,
        setup: Setup,
    ) -> Result<Self, String> {
        let places = Places::find()?;
        let [server_core, _, callee_core] = stage.cores;
        let folder = &stage.folder;
        let words = match setup.behind {
            Behind::Phones => callee(stage, places, "callee.xml", include_str!("callee.xml"))?,
            Behind::Watched => callee(stage, places, "watched.xml", include_str!("watched.xml"))?,
            Behind::Presence => {
                let words = stage.cast.presence_words(&places, folder)?;
                words.ok_or("there is no presence server without kamailio")?
            }
        };
        let mut callee = Program::start("callee", callee_core, words, folder)?;
        callee.await_bound(places.callee, udp_sockets)?;
        let words = stage
            .cast
            .words(contestant, &places, setup, folder, server_core)?;
        let server = match words.is_empty() {
            true => None,
            false => Some(Program::start(
                contestant.name(),
                server_core,
                words,
                folder,
            )?),
        };
        let mut scene = Self {
            stage,
            setup,
            places,
            server,
            callee,
            numbers: numbers(folder, setup.dns)?,
        };
        scene.prepare(contestant)?;
        Ok(scene)
    }

    /// Waits until the server can be called, and watches whom it is to watch.
    fn prepare(&mut self, contestant: Contestant) -> Result<(), String> {
        let Setup { behind, dns, .. } = self.setup;
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        server.await_bound(self.places.server, udp_sockets)?;
        if contestant == Contestant::Offhook {
            server.await_bound(self.places.http, tcp_listeners)?;
            log_in(self.places.http, FIRST_DN..FIRST_DN + dns)?;
            if behind != Behind::Phones {
                self.await_watchers()?;
            }
        }
        self.stage.pass(WARM_UP)
    }

    /// Until all phones have been heard of, or where they have nothing to say yet, asked for.
    fn await_watchers(&self) -> Result<(), String> {
        let dns = self.setup.dns;
        let end = Clock.now() + PATIENCE + begun(WATCH_RATE, dns);
        loop {
            let found = self.watching_well()?;
            let watched = match self.setup.behind {
                Behind::Watched => found.heard,
                // There is no phone to be heard of yet, or none to be watched.
                Behind::Presence | Behind::Phones => found.asked,
            };
            if watched >= u64::from(dns) {
                return Ok(());
            }
            if Clock.now() > end {
                return Err(format!(
                    "{watched} of {dns} phones are watched, and no more"
                ));
            }
            self.stage.pass(WATCHERS_LOOK)?;
        }
    }

    /// How it goes with the phones that are watched; an error if one cannot be.
    fn watching_well(&self) -> Result<Watching, String> {
        let found = watching(self.places.http)?;
        match found.failed {
            0 => Ok(found),
            failed => Err(format!(
                "{failed} subscriptions were refused or not answered"
            )),
        }
    }

    /// Makes calls, and waits until they have ended.
    ///
    /// # Errors
    /// Why it could not be done; calls that fail are in the outcome.
    pub(super) fn call(&mut self, calls: Calls) -> Result<Outcome, String> {
        let caller = self.caller(calls)?;
        self.outcome(caller, calls)
    }

    /// Starts a caller.
    fn caller(&self, calls: Calls) -> Result<Program, String> {
        let Calls { rate, count, pause } = calls;
        let length = planned(calls) + PATIENCE;
        let (pause, length) = (pause.as_millis(), length.as_millis());
        // Moments that do not depend on each other, the same for everyone; datagrams one by one, as
        // from many senders. So short a tick gathers next to nothing, and there are stamps.
        self.start_caller(&format!(
            "run --arrivals poisson --tick 100us --separate --allow-degraded \
             -r {rate} -m {count} -d {pause}ms -timeout {length}ms"
        ))
    }

    fn start_caller(&self, plain: &str) -> Result<Program, String> {
        let (stage, places) = (self.stage, &self.places);
        let folder = &stage.folder;
        let (name, scenario, server) = match (self.setup.behind, &self.server) {
            (Behind::Presence, _) => (
                "publisher.xml",
                include_str!("publisher.xml"),
                places.callee,
            ),
            (_, Some(_)) => ("caller.xml", include_str!("caller.xml"), places.server),
            (_, None) => ("caller.xml", include_str!("caller.xml"), places.callee),
        };
        let scenario = write(folder, name, scenario)?;
        let (server, port) = (server.to_string(), places.caller.port().to_string());
        let json = result(folder).display().to_string();
        let plain = format!("{plain} -i 127.0.0.1 -nostdin --plain --no-ladders -p {port}");
        let paths = ["-sf", &scenario, "-inf", &self.numbers, "--json", &json];
        let mut words = stage.own_words(&plain, &paths);
        words.push(server.into());
        // Figures of an earlier caller are not to be taken for this one's.
        let _ = std::fs::remove_file(result(folder));
        Program::start("caller", stage.cores[1], words, folder)
    }

    /// Waits for a caller's end and reads what it found out.
    fn outcome(&mut self, mut caller: Program, calls: Calls) -> Result<Outcome, String> {
        let end = Clock.now() + planned(calls) + PATIENCE * 2;
        self.await_end(&mut caller, end)?;
        self.read(&caller)
    }

    fn await_end(&mut self, caller: &mut Program, end: Instant) -> Result<(), String> {
        while caller.ended().is_none() {
            self.stage.heed()?;
            if Clock.now() > end {
                return Err(caller.complaint("it does not end"));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        for program in self.server.iter_mut().chain([&mut self.callee]) {
            if let Some(status) = program.ended() {
                return Err(program.complaint(&format!("it ended while it was called: {status}")));
            }
        }
        Ok(())
    }

    fn read(&self, caller: &Program) -> Result<Outcome, String> {
        let path = result(&self.stage.folder);
        let text = files::read_text(&path, files::RESULT_BYTES_MAX);
        let text = text.map_err(|_| caller.complaint("it found nothing out"))?;
        Outcome::from_json(&text).map_err(|fault| caller.complaint(&fault.to_string()))
    }

    /// Makes calls; the processor time of the server for all of them as well, less what it uses
    /// when nobody calls.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) fn cost(
        &mut self,
        calls: Calls,
        settle: Duration,
    ) -> Result<(Option<Duration>, Outcome), String> {
        let Some(process) = self.server.as_ref().map(Program::id) else {
            return Ok((None, self.call(calls)?));
        };
        let mut meter = Meter::of(self.stage, [process])?;
        meter.begin()?;
        let outcome = self.call(calls)?;
        self.stage.pass(settle)?;
        let [used] = meter.used()?;
        Ok((Some(used), outcome))
    }

    /// Has the presence server told what each phone does, and then that it does something else.
    /// The processor time of who sends the NOTIFYs of the second change, its PUBLISHes included,
    /// and of the server, which hears them.
    ///
    /// # Errors
    /// As [`Self::call`], and that not every change was heard once.
    pub(super) fn publish(&mut self, rate: u32) -> Result<([Duration; 2], Outcome), String> {
        /// Between the last of the first and the first of the second, half of it before the
        /// processor time is read; and after the last. Besides, moments that come independently of
        /// each other are early or late by a few times the root of their number.
        const APART: Duration = Duration::from_secs(3);
        const SPREADS: f64 = 6.0;
        let server = self.server.as_ref().map(Program::id);
        let server = server.expect("whoever watches is a server");
        let count = self.setup.dns;
        let spread = f64::from(count).sqrt() / f64::from(rate);
        let apart = APART + Duration::from_secs_f64(SPREADS * spread);
        let pause = begun(rate, count) + apart;
        let calls = Calls { rate, count, pause };
        // Transactions of the subscriptions would be taken for what both do by themselves.
        self.stage.pass(TRANSACTION_MAX + SETTLED)?;
        let at_first = self.watching_well()?.heard;
        let mut meter = Meter::of(self.stage, [self.callee.id(), server])?;
        let publisher = self.caller(calls)?;
        self.stage.pass(pause - apart / 2)?;
        let before = self.watching_well()?.heard;
        meter.begin()?;
        let outcome = self.outcome(publisher, calls)?;
        self.stage.pass(apart)?;
        let used = meter.used()?;
        let after = self.watching_well()?.heard;
        for heard in [before - at_first, after - before] {
            if heard != u64::from(count) {
                return Err(format!("{heard} NOTIFYs were heard of {count} changes"));
            }
        }
        Ok((used, outcome))
    }

    /// Bytes that the server has for whom it watches and for itself, transactions over.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) fn watching(&mut self) -> Result<u64, String> {
        let server = self.server.as_ref().map(Program::id);
        let server = server.expect("whoever watches is a server");
        self.stage.pass(TRANSACTION_MAX + SETTLED)?;
        self.watching_well()?;
        process::memory_bytes(server)
    }

    /// Makes calls that last until all of them live, and for half a minute more; how much memory
    /// the server has got for them.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) fn hold(&mut self, rate: u32, count: u32) -> Result<(Held, Outcome), String> {
        /// After all have begun: for those that are late, and for the last to end.
        const LATE: Duration = Duration::from_secs(3);
        const SPARE: Duration = Duration::from_secs(5);
        let process = self.server.as_ref().map(Program::id);
        let process = process.expect("whoever holds calls is a server");
        let begun = begun(rate, count);
        let calls = Calls {
            rate,
            count,
            pause: begun + LATE + TRANSACTION_MAX + SETTLED + SPARE,
        };
        let before = process::memory_bytes(process)?;
        let caller = self.caller(calls)?;
        self.stage.pass(begun + LATE)?;
        let at_first = process::memory_bytes(process)?;
        self.stage.pass(TRANSACTION_MAX + SETTLED)?;
        let settled = process::memory_bytes(process)?;
        let outcome = self.outcome(caller, calls)?;
        let held = Held {
            at_first: at_first.saturating_sub(before),
            settled: settled.saturating_sub(before),
        };
        Ok((held, outcome))
    }

    /// Offers a rate for a while; what is wrong with how it was carried, if anything is.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(super) fn offer(&mut self, calls: Calls) -> Result<Option<String>, String> {
        /// For calls that are under way after the last was begun; those that last longer have
        /// failed.
        const DRAIN: Duration = Duration::from_secs(12);
        let Calls { rate, count, pause } = calls;
        let (pause, length) = (pause.as_millis(), (planned(calls) + DRAIN).as_millis());
        let caller = self.start_caller(&format!(
            "run --allow-degraded --slo {CLEAN} -r {rate} -m {count} -d {pause}ms \
             -timeout {length}ms"
        ))?;
        let outcome = self.outcome(caller, calls)?;
        let failed = u64::from(count).saturating_sub(outcome.total("successful"));
        let missed = outcome.objectives.iter().filter(|objective| !objective.met);
        let words: Vec<String> = missed
            .map(|objective| format!("{} (found {})", objective.text, objective.found))
            .collect();
        Ok(match words.is_empty() {
            false => Some(words.join("; ")),
            // Those that are cut off at the end are no failure of the protocol.
            true if failed as f64 > f64::from(count) * CLEAN_FAILED_PART => {
                Some(format!("{failed} of {count} calls did not end well"))
            }
            true => None,
        })
    }
}

/// The command line of who plays a scenario at the callee's place.
fn callee(
    stage: &Stage<'_>,
    places: Places,
    name: &str,
    scenario: &str,
) -> Result<Vec<OsString>, String> {
    let scenario = write(&stage.folder, name, scenario)?;
    let port = places.callee.port().to_string();
    let plain = "run -i 127.0.0.1 -nostdin --plain --no-ladders --allow-degraded";
    Ok(stage.own_words(plain, &["-sf", &scenario, "-p", &port]))
}

/// How long it takes until the last of so many has begun.
fn begun(rate: u32, count: u32) -> Duration {
    Duration::from_secs_f64(f64::from(count) / f64::from(rate))
}

/// How long calls take from the first to the end of the last.
fn planned(calls: Calls) -> Duration {
    calls.pause + begun(calls.rate, calls.count)
}

fn result(folder: &Path) -> PathBuf {
    folder.join("caller.json")
}

/// A DN a line, which calls take in turn.
fn numbers(folder: &Path, dns: u32) -> Result<String, String> {
    let mut text = "SEQUENTIAL\n".to_owned();
    for dn in FIRST_DN..FIRST_DN + dns {
        writeln!(text, "{dn}").expect("a text takes every text");
    }
    write(folder, "numbers.csv", &text)
}
