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
    codes: Option<BufWriter<File>>,
    counts: Option<BufWriter<File>>,
    screen: Option<BufWriter<File>>,
    lines: [Lines; ALL.len()],
    pub(super) delimiter: String,
}

/// Kinds of lines, in the order of their numbers.
const ALL: [Log; 6] = [
    Log::Error,
    Log::Scenario,
    Log::Message,
    Log::Short,
    Log::ResponseTime,
    Log::Call,
];

/// A file for lines of one kind.
struct Lines {
    path: PathBuf,
    size: Size,
    /// Begun with the first line that is wanted.
    file: Option<LogFile>,
    is_wanted: bool,
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
        let lines = |own: &Option<PathBuf>, ending: &str, size: Size| Lines {
            path: path(own, ending),
            size,
            file: None,
            is_wanted: false,
        };
        let size = Size {
            bytes_max: traces.bytes_max,
            ring_bytes: traces.ring_bytes,
            ring_files: traces.ring_files,
        };
        let endless = Size::default();
        let mut logs = Self {
            statistics: open(traces.statistics, &traces.statistics_file, ".csv")?,
            codes: open(traces.codes, &None, "error_codes.csv")?,
            counts: open(traces.counts, &None, "counts.csv")?,
            screen: open(traces.screen, &None, "screen.log")?,
            lines: ALL.map(|log| match log {
                Log::Error => lines(&traces.error_file, "errors.log", size),
                Log::Scenario => lines(&traces.log_file, "logs.log", endless),
                Log::Message => lines(&traces.message_file, "messages.log", size),
                Log::Short => lines(&None, "shortmessages.log", size),
                Log::ResponseTime => lines(&None, "rtt.csv", endless),
                Log::Call => lines(&None, "calldebug.log", size),
            }),
            delimiter: traces.delimiter.clone(),
        };
        for log in ALL {
            let is_wanted = match log {
                Log::Error => traces.errors,
                Log::Scenario => traces.logs,
                Log::Message => traces.messages,
                Log::Short => traces.short,
                Log::ResponseTime => traces.response_times,
                Log::Call => traces.failed_calls,
            };
            logs.trace(log, is_wanted)?;
        }
        let header = counts::header(scenario, &logs.delimiter);
        logs.counts(&header);
        if let Some(file) = &mut logs.statistics {
            let header = csv::header(scenario, &logs.delimiter);
            writeln!(file, "{header}").map_err(|error| error.to_string())?;
        }
        Ok(logs)
    }

    /// Whether lines of this kind are wanted.
    pub(super) fn is_traced(&self, log: Log) -> bool {
        self.lines[log as usize].is_wanted
    }

    /// Begins the file for lines of this kind where they are wanted; one that was begun stays.
    pub(super) fn trace(&mut self, log: Log, is_wanted: bool) -> Result<(), String> {
        let lines = &mut self.lines[log as usize];
        if is_wanted && lines.file.is_none() {
            let mut file = LogFile::create(&lines.path, lines.size)?;
            if log == Log::ResponseTime {
                file.write(&[b"Date_ms;response_time_ms;rtd_no\n"]);
            }
            lines.file = Some(file);
        }
        lines.is_wanted = is_wanted;
        Ok(())
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
            let Some(file) = &mut self.lines[line.log as usize].file else {
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
        let files = self
            .lines
            .iter_mut()
            .filter_map(|lines| lines.file.as_mut());
        files.for_each(LogFile::flush);
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
