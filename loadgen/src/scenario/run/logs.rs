//! The files that a run writes while it runs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::calendar::Calendar;
use super::super::floor::{Line, Log};
use super::super::model::Scenario;
use super::super::options::Play;
use super::{counts, csv};

/// What stands between two messages.
const RULE: &[u8] = b"----------------------------------------------- ";

/// The files.
pub(super) struct Logs {
    statistics: Option<BufWriter<File>>,
    messages: Option<BufWriter<File>>,
    errors: Option<BufWriter<File>>,
    scenario: Option<BufWriter<File>>,
    short: Option<BufWriter<File>>,
    response_times: Option<BufWriter<File>>,
    counts: Option<BufWriter<File>>,
    screen: Option<BufWriter<File>>,
    pub(super) delimiter: String,
}

impl Logs {
    pub(super) fn open(play: &Play, scenario: &Scenario, process_id: u32) -> Result<Self, String> {
        let traces = &play.traces;
        let name = file_name(scenario);
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
            short: open(traces.short, &None, "shortmessages.log")?,
            response_times: open(traces.response_times, &None, "rtt.csv")?,
            counts: open(traces.counts, &None, "counts.csv")?,
            screen: open(traces.screen, &None, "screen.log")?,
            delimiter: traces.delimiter.clone(),
        };
        let header = counts::header(scenario, &logs.delimiter);
        logs.counts(&header);
        if let Some(file) = &mut logs.response_times {
            let written = writeln!(file, "Date_ms;response_time_ms;rtd_no");
            written.map_err(|error| error.to_string())?;
        }
        if let Some(file) = &mut logs.statistics {
            let header = csv::header(scenario, &logs.delimiter);
            writeln!(file, "{header}").map_err(|error| error.to_string())?;
        }
        Ok(logs)
    }

    pub(super) fn statistics(&mut self, line: &str) {
        if let Some(file) = &mut self.statistics {
            // A full disk does not end the run; the file is then short.
            let _ = writeln!(file, "{line}");
            let _ = file.flush();
        }
    }

    pub(super) fn counts(&mut self, line: &str) {
        if let Some(file) = &mut self.counts {
            // The same.
            let _ = writeln!(file, "{line}");
            let _ = file.flush();
        }
    }

    pub(super) fn screen(&mut self, text: &str) {
        if let Some(file) = &mut self.screen {
            // The same.
            let _ = file.write_all(text.as_bytes());
        }
    }

    pub(super) fn write(&mut self, lines: &[Line], calendar: &Calendar) {
        for line in lines {
            let file = match line.log {
                Log::Error => &mut self.errors,
                Log::Scenario => &mut self.scenario,
                Log::Message => &mut self.messages,
                Log::Short => &mut self.short,
                Log::ResponseTime => &mut self.response_times,
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
                Log::Message => [RULE, &stamp, b"\n"],
            };
            // The same as for statistics.
            let _ = before
                .into_iter()
                .chain([line.text.as_slice(), b"\n"])
                .try_for_each(|part| file.write_all(part));
        }
    }

    pub(super) fn flush(&mut self) {
        let files = [
            &mut self.messages,
            &mut self.errors,
            &mut self.scenario,
            &mut self.short,
            &mut self.response_times,
            &mut self.screen,
        ];
        for file in files.into_iter().flatten() {
            // The same as for statistics.
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

fn create(path: &Path) -> Result<BufWriter<File>, String> {
    File::create(path).map(BufWriter::new).map_err(|error| {
        format!(
            "offhook-load: {} cannot be written: {error}",
            path.display()
        )
    })
}
