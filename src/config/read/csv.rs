//! Reads a CSV file of agents: a header row with keys of `[[agent]]`, then one agent a line. An
//! empty cell says nothing. Quoted cells may hold commas, but no line ends.

use std::borrow::Cow;

use super::agents::{Enrolment, Origin};
use super::settings::Settings;
use crate::config::keys::{AGENT, instead_of};
use crate::config::value::{self, Scalar};
use crate::limits::CONFIGURATION_CSV_BYTES_MAX;

/// Enrols every agent of the file; `section` holds what its section in the configuration says.
pub(super) fn read(enrolment: &mut Enrolment<'_>, file: &str, text: &str, section: &Settings) {
    let mistakes = enrolment.mistakes();
    if text.len() > CONFIGURATION_CSV_BYTES_MAX {
        let instead = format!("split it: at most {CONFIGURATION_CSV_BYTES_MAX} bytes a file");
        mistakes.add((file, 1), "the file is too long", instead);
        return;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1_u32..).zip(text.lines()).filter(|(_, line)| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    let Some((header_line, header)) = lines.next() else {
        let what = "the file has no header row";
        mistakes.add(
            (file, 1),
            what,
            "write the names of the columns first: dn,agent_id,queues",
        );
        return;
    };
    let Some(columns) = columns(enrolment, (file, header_line), header) else {
        return;
    };
    let file_index = enrolment.add_file(file);
    for (line, row) in lines {
        let Some(cells) = cells(row) else {
            mistakes.add(
                (file, line),
                "a quote is not closed",
                "close it on the same line",
            );
            continue;
        };
        if cells.len() > columns.len() {
            let what = format!(
                "there are {} cells for {} columns",
                cells.len(),
                columns.len()
            );
            mistakes.add((file, line), what, "quote a cell that holds a comma");
            continue;
        }
        let row = columns
            .iter()
            .copied()
            .zip(&cells)
            .filter(|(_, cell)| !cell.is_empty());
        read_row(
            enrolment,
            row,
            (file, line),
            Origin {
                file: file_index,
                line,
            },
            section,
        );
    }
}

/// The keys that the columns stand for; nothing if the rows would make no sense.
fn columns(
    enrolment: &Enrolment<'_>,
    place: (&str, u32),
    header: &str,
) -> Option<Vec<&'static str>> {
    let mistakes = enrolment.mistakes();
    let mut columns = Vec::new();
    let mut is_sound = true;
    for cell in cells(header).unwrap_or_default() {
        match AGENT.keys.iter().find(|key| **key == cell) {
            Some(key) if columns.contains(key) => {
                mistakes.add(
                    place,
                    format!("column `{key}` is there twice"),
                    "remove one of them",
                );
                is_sound = false;
            }
            Some(key) => columns.push(*key),
            None => {
                let shown: String = cell.chars().take(64).collect();
                let what = format!("there is no column `{}`", shown.escape_debug());
                mistakes.add(place, what, instead_of(&AGENT, &cell));
                is_sound = false;
            }
        }
    }
    if is_sound && !columns.contains(&"dn") {
        mistakes.add(
            place,
            "there is no column `dn`",
            "add it: the numbers of the phones",
        );
        is_sound = false;
    }
    is_sound.then_some(columns)
}

fn read_row<'c>(
    enrolment: &mut Enrolment<'_>,
    row: impl Iterator<Item = (&'static str, &'c Cow<'c, str>)>,
    place: (&str, u32),
    origin: Origin,
    section: &Settings,
) {
    let mistakes = enrolment.mistakes();
    let mut settings = Settings::default();
    let (mut dn, mut agent_id) = (None, None);
    let mut is_sound = true;
    for (column, cell) in row {
        let read = match column {
            "dn" => value::name(Scalar::Text(cell)).map(|number| dn = Some(number)),
            "agent_id" => value::name(Scalar::Text(cell)).map(|id| agent_id = Some(id)),
            _ => settings.read_cell(column, cell, place, enrolment.names()),
        };
        if let Err(instead) = read {
            let what = format!("column `{column}` is {}", Scalar::Text(cell));
            mistakes.add(place, what, instead);
            is_sound = false;
        }
    }
    match dn {
        Some(dn) => enrolment.enrol(dn, agent_id.unwrap_or(dn), settings.over(section), origin),
        None if is_sound => {
            mistakes.add(
                place,
                "the agent has no `dn`",
                "write the number of its phone",
            );
        }
        None => {}
    }
}

/// The cells of a line, without the blanks around them; nothing if a quote stays open.
fn cells(line: &str) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let text = text.trim_start();
        let Some(quoted) = text.strip_prefix('"') else {
            let (cell, after) = text
                .split_once(',')
                .map_or((text, None), |(cell, after)| (cell, Some(after)));
            cells.push(Cow::Borrowed(cell.trim_end()));
            rest = after;
            continue;
        };
        let mut cell = String::new();
        let mut quoted = quoted;
        let after = loop {
            let (part, after) = quoted.split_once('"')?;
            cell.push_str(part);
            // RFC 4180 §2: two quotes stand for one.
            let Some(next) = after.strip_prefix('"') else {
                break after;
            };
            cell.push('"');
            quoted = next;
        };
        cells.push(Cow::Owned(cell));
        rest = match after.trim_start() {
            "" => None,
            after => Some(after.strip_prefix(',')?),
        };
    }
    Some(cells)
}
