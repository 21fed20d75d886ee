//! The files that a run writes while it runs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use super::super::calendar::Calendar;
use super::super::floor::{Line, Log};
use super::super::model::Scenario;
use super::super::options::Play;
use super::log_file::{LogFile, Size, create};
use super::{counts, csv};

/// What stands between two messages.
const RULE: &[u8] = b"----------------------------------------------- ";

/// The files.
pub(super) struct Logs {
    statistics: Option<BufWriter<File>>,
    messages: Option<LogFile>,
    errors: Option<LogFile>,
    scenario: Option<LogFile>,
    short: Option<LogFile>,
    calls: Option<LogFile>,
    codes: Option<BufWriter<File>>,
    response_times: Option<LogFile>,
    counts: Option<BufWriter<File>>,
    screen: Option<BufWriter<File>>,
    pub(super) delimiter: String,
}

impl Logs {
    pub(super) fn open(play: &Play, scenario: &Scenario, process_id: u32) -> Result<Self, String> {
        let traces = &play.traces;
        let name = file_name(scenario);
        let path = |own: &Option<PathBuf>, ending: &str| {
            let default = || PathBuf::from(format!("{name}_{process_id}_{ending}"));
            own.clone().unwrap_or_else(default)
        };
        let open = |wanted: bool, own: &Option<PathBuf>, ending: &str| {
            let opened = wanted.then(|| create(&path(own, ending)));
            opened.transpose()
        };
        let grow = |wanted: bool, own: &Option<PathBuf>, ending: &str, size: Size| {
            let opened = wanted.then(|| LogFile::create(&path(own, ending), size));
            opened.transpose()
        };
        let size = Size {
            bytes_max: traces.bytes_max,
            ring_bytes: traces.ring_bytes,
            ring_files: traces.ring_files,
        };
        let endless = Size::default();
        let mut logs = Self {
            statistics: open(traces.statistics, &traces.statistics_file, ".csv")?,
            messages: grow(traces.messages, &traces.message_file, "messages.log", size)?,
            errors: grow(traces.errors, &traces.error_file, "errors.log", size)?,
            scenario: grow(traces.logs, &traces.log_file, "logs.log", endless)?,
            short: grow(traces.short, &None, "shortmessages.log", size)?,
            calls: grow(traces.failed_calls, &None, "calldebug.log", size)?,
            codes: open(traces.codes, &None, "error_codes.csv")?,
            response_times: grow(traces.response_times, &None, "rtt.csv", endless)?,
            counts: open(traces.counts, &None, "counts.csv")?,
            screen: open(traces.screen, &None, "screen.log")?,
            delimiter: traces.delimiter.clone(),
        };
        let header = counts::header(scenario, &logs.delimiter);
        logs.counts(&header);
        if let Some(file) = &mut logs.response_times {
            file.write(&[b"Date_ms;response_time_ms;rtd_no\n"]);
        }
        if let Some(file) = &mut logs.statistics {
            let header = csv::header(scenario, &logs.delimiter);
            writeln!(file, "{header}").map_err(|error| error.to_string())?;
        }
        Ok(logs)
    }

    pub(super) fn statistics(&mut self, line: &str) {
        add_line(&mut self.statistics, line);
    }

    pub(super) fn counts(&mut self, line: &str) {
        add_line(&mut self.counts, line);
    }

    /// Status codes of unexpected responses: when, since the start, and each code with its count.
    pub(super) fn codes(&mut self, line: &str) {
        add_line(&mut self.codes, line);
    }

    /// Writes what is printed; whether there is a file for it.
    pub(super) fn screen(&mut self, text: &str) -> bool {
        if let Some(file) = &mut self.screen {
            // The same as for lines.
            let _ = file.write_all(text.as_bytes());
        }
        self.screen.is_some()
    }

    pub(super) fn write(&mut self, lines: &[Line], calendar: &Calendar) {
        for line in lines {
            let file = match line.log {
                Log::Error => &mut self.errors,
                Log::Scenario => &mut self.scenario,
                Log::Message => &mut self.messages,
                Log::Short => &mut self.short,
                Log::ResponseTime => &mut self.response_times,
                Log::Call => &mut self.calls,
            };
            let Some(file) = file else {
                continue;
            };
            let mut stamp = Vec::new();
            calendar.write_timestamp(line.at, &mut stamp);
            let before: [&[u8]; 3] = match line.log {
                Log::Error => [b"", &stamp, b": "],
                Log::Scenario | Log::ResponseTime => [b"", b"", b""],
                Log::Short => [b"", &stamp, b"\t"],
                Log::Message | Log::Call => [RULE, &stamp, b"\n"],
            };
            let [first, second, third] = before;
            file.write(&[first, second, third, &line.text, b"\n"]);
        }
    }

    pub(super) fn flush(&mut self) {
        let files = [
            &mut self.messages,
            &mut self.errors,
            &mut self.scenario,
            &mut self.short,
            &mut self.calls,
            &mut self.response_times,
        ];
        for file in files.into_iter().flatten() {
            file.flush();
        }
        if let Some(file) = &mut self.screen {
            // The same as for lines.
            let _ = file.flush();
        }
    }
}

/// The scenario's name, as far as a file's name can have it.
pub(super) fn file_name(scenario: &Scenario) -> String {
    let name = if scenario.name.is_empty() {
        "scenario"
    } else {
        scenario.name.as_str()
    };
    let letter = |letter: char| {
        if letter.is_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    name.chars().map(letter).collect()
}

/// Adds a line to a file that people may watch.
fn add_line(file: &mut Option<BufWriter<File>>, line: &str) {
    if let Some(file) = file {
        // A full disk does not end the run; the file is then short.
        let _ = writeln!(file, "{line}");
        let _ = file.flush();
    }
}
