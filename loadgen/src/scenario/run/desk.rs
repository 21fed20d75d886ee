//! The control loop of a run: hears the workers, keys and signals, keeps the timeline, the screen
//! and the files, and knows when it is over.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;

use super::super::calendar::Calendar;
use super::super::floor::Log;
use super::super::model::Scenario;
use super::super::options::Play;
use super::super::settings::Settings;
use super::super::station::{Ending, Order, Report};
use super::super::statistics::Statistics;
use super::commands::Commands;
use super::crew::Crew;
use super::keys::Wish;
use super::logs::Logs;
use super::prepare::Prepared;
use super::timeline::Timeline;
use super::{counts, csv, keys, say, table, view};
use crate::measure::{Health, Probe, Tolerance};
use crate::report::Ladder;
use crate::screen::{Key, Screen};

/// Between two looks at what the workers say.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Between two readings.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// Ladders kept of one run.
const LADDERS_MAX: usize = 50;

const PAUSED: &str = "paused";
const ENDING: &str = "ending with the calls";

/// Why the control loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    Ended(Ending),
    /// The run took too long.
    Late,
    /// A worker is gone.
    Broken,
}

/// The control loop's side of a run.
pub(super) struct Desk {
    pub(super) crew: Crew,
    keys: Option<Receiver<Wish>>,
    pub(super) logs: Logs,
    calendar: Calendar,
    pub(super) started: Instant,
    pub(super) ended: Instant,
    pub(super) scenario: Arc<Scenario>,
    pub(super) settings: Arc<Settings>,
    /// What was reported last.
    pub(super) last: Statistics,
    /// What the line of statistics before was made of, and when.
    before: Statistics,
    before_at: Instant,
    pub(super) timeline: Timeline,
    pub(super) ladders: Vec<Ladder>,
    probe: Probe,
    pub(super) driver: &'static str,
    screen: Option<Screen>,
    commands: Commands,
    /// What is special now.
    note: &'static str,
    pub(super) tolerance: Tolerance,
    /// What the keys change the rate by is multiplied by this.
    rate_scale: f64,
    /// What was typed on the screen and means nothing yet.
    typed: keys::Keys,
    /// Why the last command means nothing at all.
    typo: String,
    /// Whether the screen leaves out the steps that the scenario hides.
    pub(super) hides: bool,
    /// Whether classes of times are counted anew after every line of statistics.
    is_periodic: bool,
}

impl Desk {
    pub(super) fn new(
        play: &Play,
        prepared: &Prepared,
        crew: Crew,
        logs: Logs,
        calendar: Calendar,
    ) -> Self {
        let started = Clock.now();
        let nothing = Statistics::new(&prepared.scenario);
        let wants_screen = !play.no_keys && !play.results.plain;
        let screen = wants_screen.then(Screen::open).flatten();
        let wants_keys = !play.no_keys && screen.is_none();
        Self {
            screen,
            commands: Commands::default(),
            note: "",
            rate_scale: play.rate_scale,
            hides: true,
            typed: keys::Keys::default(),
            typo: String::new(),
            is_periodic: play.traces.periodic_classes,
            tolerance: prepared.settings.tolerance,
            keys: wants_keys.then(keys::listen).flatten(),
            driver: crew.driver,
            probe: Probe::read(&crew.sockets, prepared.settings.remote, &[]),
            crew,
            logs,
            calendar,
            started,
            ended: started,
            scenario: Arc::clone(&prepared.scenario),
            settings: Arc::clone(&prepared.settings),
            last: nothing.clone(),
            before: nothing.clone(),
            before_at: started,
            timeline: Timeline::new(started, nothing),
            ladders: Vec::new(),
        }
    }

    /// Turns until the run is over.
    pub(super) fn turn(&mut self, play: &Play, interrupted: &keys::Interrupts) -> Over {
        let mut next_reading = self.started + READ_INTERVAL;
        let mut next_line = self.started + play.traces.statistics_interval;
        let deadline = play.timers.run_timeout.map(|time| self.started + time);
        let mut awaits = false;
        loop {
            self.listen();
            let now = Clock.now();
            if awaits && self.crew.is_fresh() {
                awaits = false;
                self.read(now);
                if now >= next_line {
                    next_line += play.traces.statistics_interval;
                    self.write_statistics(now);
                }
            }
            if let Some(ending) = self.crew.ending() {
                return Over::Ended(ending);
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                self.last_report();
                return Over::Late;
            }
            if self.crew.is_broken() {
                return Over::Broken;
            }
            if now >= next_reading {
                next_reading += READ_INTERVAL;
                self.crew.order(Order::Report);
                awaits = true;
            }
            let key = self.key().or_else(|| interrupted.take());
            match key {
                Some(Wish::Obey(order)) => self.obey(order),
                Some(Wish::Show) => self.dump(now),
                Some(Wish::Scale(scale)) => self.rate_scale = scale,
                Some(Wish::Hide(hides)) => self.hides = hides,
                Some(Wish::Unknown(why)) => self.refuse(why),
                None => {}
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What is to be seen of keys and commands beside the figures.
    pub(super) fn remark(&self) -> String {
        match self.typed.command() {
            Some(command) => format!("c {command}_"),
            None if self.typo.is_empty() => self.note.to_owned(),
            None => self.typo.clone(),
        }
    }

    /// What a key means, from the screen or from lines of the terminal.
    fn key(&mut self) -> Option<Wish> {
        let Some(screen) = &mut self.screen else {
            return self.keys.as_ref().and_then(|keys| keys.try_recv().ok());
        };
        match screen.key()? {
            Key::Letter(letter) => {
                self.typo.clear();
                let wish = self.typed.press(letter);
                screen.write_to_run(self.typed.command().is_some());
                wish
            }
            // The first one ends the run with its calls, the second at once.
            Key::Interrupt if self.note == ENDING => Some(Wish::Obey(Order::Stop)),
            Key::Interrupt => Some(Wish::Obey(Order::Drain)),
        }
    }

    /// Writes what would be printed now, were it the end: to the file of `-trace_screen`, else to
    /// standard error where no screen is in the way.
    fn dump(&mut self, now: Instant) {
        self.ended = now;
        let health = self.health(now);
        let faults = health.faults(&self.tolerance);
        let text = table::table(&self.snapshot(), &self.settings, &health, &faults);
        if self.logs.screen(&text) {
            self.logs.flush();
        } else if self.screen.is_none() {
            say(&text);
        }
    }

    /// Says why nothing comes of what was typed.
    fn refuse(&mut self, why: String) {
        if self.screen.is_none() {
            say(&why);
        } else {
            self.typo = why;
        }
    }

    fn obey(&mut self, mut order: Order) {
        match &mut order {
            Order::RateBy(step) => {
                *step *= self.rate_scale;
                self.leave_pause();
            }
            Order::Rate(_) => self.leave_pause(),
            Order::Pause if self.note == PAUSED => self.note = "",
            Order::Pause => self.note = PAUSED,
            Order::Drain => self.note = ENDING,
            Order::Users(_) if self.settings.load.users.is_none() => {
                return self.refuse("set users is for a run with -users".to_owned());
            }
            Order::Trace(log, is_wanted) => {
                if let Err(why) = self.logs.trace(*log, *is_wanted) {
                    return self.refuse(why);
                }
            }
            Order::Tasks => return self.dump_tasks(),
            Order::Limit(_) | Order::Users(_) | Order::Report | Order::Stop => {}
        }
        self.crew.order(order);
    }

    /// A change of the rate ends a pause.
    fn leave_pause(&mut self) {
        if self.note == PAUSED {
            self.note = "";
        }
    }

    /// Has every call written down among the errors, whether they are traced or not.
    fn dump_tasks(&mut self) {
        let was_traced = self.logs.is_traced(Log::Error);
        if let Err(why) = self.logs.trace(Log::Error, true) {
            return self.refuse(why);
        }
        self.crew.order(Order::Trace(Log::Error, true));
        self.crew.order(Order::Tasks);
        if !was_traced {
            // The file takes what the workers have said of it.
            self.obey(Order::Trace(Log::Error, false));
        }
    }

    fn listen(&mut self) {
        let (logs, calendar, ladders) = (&mut self.logs, &self.calendar, &mut self.ladders);
        let commands = &mut self.commands;
        self.crew.listen(|report| match report {
            Report::Lines(lines) => logs.write(&lines, calendar),
            Report::Execute(command) => commands.run(&command),
            Report::Ladder(ladder) if ladders.len() < LADDERS_MAX => ladders.push(*ladder),
            Report::Ladder(_)
            | Report::Thread(_)
            | Report::Everybody(_)
            | Report::Statistics(..)
            | Report::Ended(..) => {}
        });
    }

    /// Takes a reading of what all workers have counted.
    fn read(&mut self, now: Instant) {
        self.last = self.crew.statistics();
        self.timeline.take(now, &self.last, self.crew.rate());
        if self.screen.is_none() {
            self.progress(now);
            return;
        }
        let health = self.health(now);
        let snapshot = view::snapshot(self, &health, now);
        if let Some(screen) = &mut self.screen {
            screen.show(snapshot);
        }
    }

    /// Waits a moment for the report that ends the run.
    fn last_report(&mut self) {
        const LOOKS_MAX: u32 = 100;
        self.crew.order(Order::Report);
        for _ in 0..LOOKS_MAX {
            self.listen();
            if self.crew.is_fresh() {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    /// What the lines of statistics and the final table are made of.
    pub(super) fn snapshot(&self) -> csv::Snapshot<'_> {
        let rate = self.crew.rate();
        let load = &self.settings.load;
        csv::Snapshot {
            statistics: &self.last,
            scenario: &self.scenario,
            calendar: &self.calendar,
            started: self.started,
            now: self.ended.max(self.before_at),
            before: &self.before,
            before_at: self.before_at,
            rate: if rate > 0.0 { rate } else { load.rate },
            is_periodic: self.is_periodic,
        }
    }

    fn write_statistics(&mut self, now: Instant) {
        self.ended = now;
        let line = csv::line(&self.snapshot(), &self.logs.delimiter);
        self.logs.statistics(&line);
        let line = counts::line(&self.snapshot(), &self.logs.delimiter);
        self.logs.counts(&line);
        self.logs
            .codes(&counts::codes(&self.snapshot(), &self.logs.delimiter));
        self.before = self.last.clone();
        self.before_at = now;
    }

    fn progress(&self, now: Instant) {
        let Statistics {
            current,
            successful,
            lag,
            ..
        } = &self.last;
        let created = self.last.created();
        let elapsed = now.duration_since(self.started);
        // What began, not what was asked for: who waits for calls has asked for nothing.
        let rate = created as f64 / elapsed.as_secs_f64().max(1.0);
        say(&format!(
            "{:>5} s  {rate:.1} calls/s  {created} created, {current} live, {successful} ok, \
             {} failed, {} resent, lag p99 {} µs",
            elapsed.as_secs(),
            self.last.failed(),
            self.last.resent,
            lag.quantile_us(0.99),
        ));
    }

    /// What there is to say about the generator by now.
    fn health(&self, now: Instant) -> Health {
        let after = Probe::read(&self.crew.sockets, self.settings.remote, &self.crew.threads);
        let drops = after.drops_since(&self.probe);
        Health {
            observed: now.duration_since(self.started),
            lag: self.last.lag.clone(),
            stalls: self.last.stalls.clone(),
            own_drops: drops.own,
            peer_drops: drops.peer,
            machine_drops: drops.machine,
            unsent: self.crew.unsent(),
            exhausted: self.crew.exhausted(),
            workers: after.load_since(&self.probe),
        }
    }

    /// Takes the last reading, ends the workers, and judges the generator.
    pub(super) fn close(&mut self) -> Health {
        self.listen();
        self.last = self.crew.statistics();
        let now = Clock.now();
        self.timeline.take(now, &self.last, self.crew.rate());
        self.write_statistics(now);
        // Before the sockets are closed: their counts go with them.
        let health = self.health(now);
        self.screen = None;
        for fault in self.crew.stop() {
            say(&format!("offhook-load: {fault}"));
        }
        // What the workers said while they ended.
        self.listen();
        self.logs.flush();
        health
    }
}
