//! Runs a scenario on real sockets: checks what can be checked before anything starts, turns the
//! control loop (keys, progress, files) while a shard plays, and reports.

mod csv;
mod keys;
mod prepare;
mod table;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::clock::Clock;
use offhook_shards::{
    Control, Events, Options, Placement, Running, ShardId, StartError, Transport, start,
};

use super::calendar::Calendar;
use super::floor::{Line, Log};
use super::model::{Scenario, Side};
use super::options::Play;
use super::settings::Settings;
use super::station::{Ending, Order, Report, Station, Worker};
use super::statistics::Statistics;
use prepare::Prepared;

/// Exit statuses, which are SIPp's.
const EXIT_FAILED: u8 = 1;
const EXIT_STOPPED: u8 = 97;
const EXIT_NO_CALLS: u8 = 99;
const EXIT_BIND: u8 = 254;
const EXIT_FATAL: u8 = 255;

/// Between two looks at what the shard says.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Events taken at a time.
const EVENTS_MAX: usize = 1_024;

/// Runs a scenario as the options say: that of a file, or `built_in`. Returns the exit status.
#[must_use]
pub fn run(play: &Play, built_in: Option<&str>) -> u8 {
    let opened = prepare::prepare(play, built_in).and_then(|prepared| {
        let logs = Logs::open(play, &prepared.scenario, prepared.settings.process_id)?;
        Ok((prepared, logs))
    });
    let (prepared, logs) = match opened {
        Ok(opened) => opened,
        Err(text) => {
            say(&text);
            return EXIT_FATAL;
        }
    };
    let started = Clock.now();
    let calendar = Calendar {
        at: started,
        epoch: prepare::epoch(),
    };
    let mut running = match launch(play, &prepared, calendar) {
        Ok(running) => running,
        Err(error) => {
            say(&format!("offhook-load: {error}"));
            let is_bind = matches!(error, StartError::Bind { .. });
            return if is_bind { EXIT_BIND } else { EXIT_FATAL };
        }
    };
    let Prepared {
        scenario, settings, ..
    } = prepared;
    announce(&scenario, &settings);
    let drops = prepare::receive_buffer_errors();
    let mut desk = Desk {
        control: running.control(),
        events: running.take_events().expect("nobody else has taken them"),
        keys: (!play.no_keys).then(keys::listen).flatten(),
        logs,
        calendar,
        started,
        scenario,
        settings,
        last: Statistics::default(),
        before: Statistics::default(),
        before_at: started,
        rate: 0.0,
    };
    let ending = desk.turn(play);
    // Whatever stopping says, the calls were counted.
    if let Err(error) = running.stop() {
        say(&format!("offhook-load: {error}"));
    }
    let drops = prepare::receive_buffer_errors().zip(drops);
    let drops = drops.map_or(0, |(after, before)| after.saturating_sub(before));
    desk.finish(play, ending, drops)
}

/// Starts the shard with its sockets.
fn launch(
    play: &Play,
    prepared: &Prepared,
    calendar: Calendar,
) -> Result<Running<Worker>, StartError> {
    let local = prepared.settings.local;
    let options = Options {
        shards: 1,
        placement: Placement::NoPin,
        driver: prepare::driver(play.driver),
        udp: vec![local],
        tcp: match prepared.settings.transport {
            Transport::Udp => Vec::new(),
            Transport::Tcp => vec![local],
        },
        ..Options::default()
    };
    let scenario = Arc::clone(&prepared.scenario);
    let settings = Arc::clone(&prepared.settings);
    let files = prepared.files.clone();
    start(&options, move |_| {
        let (scenario, settings) = (Arc::clone(&scenario), Arc::clone(&settings));
        Worker::new(Station::new(
            Clock.now(),
            scenario,
            settings,
            files.clone(),
            calendar,
        ))
    })
}

/// Why the control loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Ended(Ending),
    /// The run took too long.
    Late,
    /// The shard is gone.
    Broken,
}

/// The control loop's side of a run.
struct Desk {
    control: Control<Worker>,
    events: Events<Worker>,
    keys: Option<std::sync::mpsc::Receiver<Order>>,
    logs: Logs,
    calendar: Calendar,
    started: Instant,
    scenario: Arc<Scenario>,
    settings: Arc<Settings>,
    /// What was reported last.
    last: Statistics,
    /// What the line of statistics before was made of, and when.
    before: Statistics,
    before_at: Instant,
    rate: f64,
}

impl Desk {
    fn turn(&mut self, play: &Play) -> Over {
        let mut heard = Vec::new();
        let mut next_progress = self.started + PROGRESS_INTERVAL;
        let mut next_line = self.started + play.traces.statistics_interval;
        let deadline = play.timers.run_timeout.map(|time| self.started + time);
        let interrupted = keys::interrupts();
        loop {
            heard.clear();
            self.events.drain(EVENTS_MAX, &mut heard);
            for (_, report) in heard.drain(..) {
                match report {
                    Report::Statistics(statistics, rate) => {
                        self.last = *statistics;
                        self.rate = rate;
                        self.progress();
                        if Clock.now() >= next_line {
                            next_line += play.traces.statistics_interval;
                            self.write_statistics();
                        }
                    }
                    Report::Lines(lines) => self.logs.write(&lines, &self.calendar),
                    Report::Ended(statistics, ending) => {
                        self.last = *statistics;
                        return Over::Ended(ending);
                    }
                }
            }
            let now = Clock.now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                self.order(Order::Report);
                self.last_report();
                return Over::Late;
            }
            if self.control.ended().is_some() {
                return Over::Broken;
            }
            if now >= next_progress {
                next_progress += PROGRESS_INTERVAL;
                self.order(Order::Report);
            }
            let key = self.keys.as_ref().and_then(|keys| keys.try_recv().ok());
            if let Some(order) = key.or_else(|| interrupted.take()) {
                self.order(order);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn order(&self, order: Order) {
        // A shard that is too busy to take it hears the next one.
        let _ = self.control.request(ShardId(0), order);
    }

    /// Waits a moment for the report that was ordered.
    fn last_report(&mut self) {
        const LOOKS_MAX: u32 = 100;
        let mut heard = Vec::new();
        for _ in 0..LOOKS_MAX {
            self.events.drain(EVENTS_MAX, &mut heard);
            for (_, report) in heard.drain(..) {
                match report {
                    Report::Statistics(statistics, _) | Report::Ended(statistics, _) => {
                        self.last = *statistics;
                        return;
                    }
                    Report::Lines(lines) => self.logs.write(&lines, &self.calendar),
                }
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    }

    fn snapshot(&self) -> csv::Snapshot<'_> {
        csv::Snapshot {
            statistics: &self.last,
            scenario: &self.scenario,
            calendar: &self.calendar,
            started: self.started,
            now: Clock.now(),
            before: &self.before,
            before_at: self.before_at,
            rate: if self.rate > 0.0 {
                self.rate
            } else {
                self.settings.load.rate
            },
        }
    }

    fn write_statistics(&mut self) {
        let line = csv::line(&self.snapshot(), &self.logs.delimiter);
        self.logs.statistics(&line);
        self.before = self.last.clone();
        self.before_at = Clock.now();
    }

    fn progress(&self) {
        let Statistics {
            current,
            successful,
            lag,
            ..
        } = &self.last;
        let created = self.last.incoming + self.last.outgoing;
        let seconds = Clock.now().duration_since(self.started).as_secs();
        say(&format!(
            "{seconds:>5} s  {:.1} calls/s  {created} created, {current} live, {successful} ok, \
             {} failed, {} resent, lag p99 {} µs",
            self.rate,
            self.last.failed(),
            self.last.resent,
            lag.quantile_us(0.99),
        ));
    }

    fn finish(mut self, play: &Play, over: Over, drops: u64) -> u8 {
        self.write_statistics();
        self.logs.flush();
        let text = table::table(&self.snapshot(), &self.settings, drops);
        // Nobody reads standard output any more: the exit status still tells.
        let _ = write!(std::io::stdout(), "{text}");
        let created = self.last.incoming + self.last.outgoing;
        match over {
            Over::Broken | Over::Ended(Ending::Fatal) => EXIT_FATAL,
            Over::Late if play.timers.timeout_is_error => {
                say("offhook-load: the run took longer than -timeout allows");
                EXIT_FATAL
            }
            Over::Late | Over::Ended(Ending::Stopped) => EXIT_STOPPED,
            Over::Ended(Ending::Complete) if created == 0 => EXIT_NO_CALLS,
            Over::Ended(Ending::Complete) if self.last.failed() > 0 => EXIT_FAILED,
            Over::Ended(Ending::Complete) => 0,
        }
    }
}

fn announce(scenario: &Scenario, settings: &Settings) {
    let transport = super::floor::transport_name(settings.transport);
    let (name, local) = (&scenario.name, settings.local);
    match (scenario.side, settings.remote) {
        (Side::Client, Some(remote)) => {
            say(&format!(
                "{name}: from {local} to {remote} over {transport}"
            ));
        }
        (Side::Client, None) | (Side::Server, _) => {
            say(&format!(
                "{name}: waits for calls on {local} over {transport}"
            ));
        }
    }
}

fn say(text: &str) {
    // Nobody reads standard error any more: there is no other place to say so.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The files that a run writes.
struct Logs {
    statistics: Option<BufWriter<File>>,
    messages: Option<BufWriter<File>>,
    errors: Option<BufWriter<File>>,
    scenario: Option<BufWriter<File>>,
    delimiter: String,
}

impl Logs {
    fn open(play: &Play, scenario: &Scenario, process_id: u32) -> Result<Self, String> {
        let traces = &play.traces;
        let name = if scenario.name.is_empty() {
            "scenario"
        } else {
            scenario.name.as_str()
        };
        let name: String = name
            .chars()
            .map(|letter| {
                if letter.is_alphanumeric() {
                    letter
                } else {
                    '_'
                }
            })
            .collect();
        let open = |wanted: bool, own: &Option<PathBuf>, ending: &str| {
            if !wanted {
                return Ok(None);
            }
            let default = PathBuf::from(format!("{name}_{process_id}_{ending}"));
            let path = own.as_deref().unwrap_or(&default);
            create(path).map(Some)
        };
        let mut logs = Self {
            statistics: open(traces.statistics, &traces.statistics_file, ".csv")?,
            messages: open(traces.messages, &traces.message_file, "messages.log")?,
            errors: open(traces.errors, &traces.error_file, "errors.log")?,
            scenario: open(traces.logs, &traces.log_file, "logs.log")?,
            delimiter: traces.delimiter.clone(),
        };
        if let Some(file) = &mut logs.statistics {
            let header = csv::header(scenario, &logs.delimiter);
            writeln!(file, "{header}").map_err(|error| error.to_string())?;
        }
        Ok(logs)
    }

    fn statistics(&mut self, line: &str) {
        if let Some(file) = &mut self.statistics {
            // A full disk does not end the run; the file is then short.
            let _ = writeln!(file, "{line}");
            let _ = file.flush();
        }
    }

    fn write(&mut self, lines: &[Line], calendar: &Calendar) {
        for line in lines {
            let mut stamp = Vec::new();
            calendar.write_timestamp(line.at, &mut stamp);
            let written = match line.log {
                Log::Error => self.errors.as_mut().map(|file| {
                    file.write_all(&stamp)?;
                    file.write_all(b": ")?;
                    file.write_all(&line.text)
                }),
                Log::Scenario => self
                    .scenario
                    .as_mut()
                    .map(|file| file.write_all(&line.text)),
                Log::Message => self.messages.as_mut().map(|file| {
                    file.write_all(b"----------------------------------------------- ")?;
                    file.write_all(&stamp)?;
                    file.write_all(b"\n")?;
                    file.write_all(&line.text)
                }),
            };
            let file = match line.log {
                Log::Error => self.errors.as_mut(),
                Log::Scenario => self.scenario.as_mut(),
                Log::Message => self.messages.as_mut(),
            };
            // The same as for statistics.
            if let (Some(Ok(())), Some(file)) = (written, file) {
                let _ = file.write_all(b"\n");
            }
        }
    }

    fn flush(&mut self) {
        let files = [&mut self.messages, &mut self.errors, &mut self.scenario];
        for file in files.into_iter().flatten() {
            // The same as for statistics.
            let _ = file.flush();
        }
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|error| {
        format!(
            "offhook-load: {} cannot be written: {error}",
            path.display()
        )
    })
}
