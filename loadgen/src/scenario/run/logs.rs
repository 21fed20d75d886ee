//! The files that a run writes while it runs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::super::calendar::Calendar;
use super::super::floor::{Line, Log};
use super::super::model::Scenario;
use super::super::options::Play;
use super::csv;

/// The files.
pub(super) struct Logs {
    statistics: Option<BufWriter<File>>,
    messages: Option<BufWriter<File>>,
    errors: Option<BufWriter<File>>,
    scenario: Option<BufWriter<File>>,
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
            delimiter: traces.delimiter.clone(),
        };
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

    pub(super) fn write(&mut self, lines: &[Line], calendar: &Calendar) {
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

    pub(super) fn flush(&mut self) {
        let files = [&mut self.messages, &mut self.errors, &mut self.scenario];
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
