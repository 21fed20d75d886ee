//! Draws what was said as a ladder of plain text: a column for everybody, time downwards, what a
//! desktop asks and is told beside its phone.

use std::time::Duration;

use super::trace::{Column, Line, Said};

/// A pause that is worth a line of its own.
const PAUSE: Duration = Duration::from_secs(5);
/// The narrowest gap between two columns.
const GAP_MIN: usize = 10;
/// What an arrow needs beside its text.
const ARROW: usize = 7;

/// Draws the lines.
pub fn draw(lines: &[Line]) -> String {
    let columns = columns(lines);
    let places = places(lines, &columns);
    let width = places.last().copied().unwrap_or_default() + 1;
    let mut rows = vec![heads(&columns, &places)];
    let mut last = None;
    for line in lines {
        let pause = last.map(|last| line.at.duration_since(last));
        if let Some(pause) = pause.filter(|pause| *pause >= PAUSE) {
            let mut row = lifelines(&places, width, ':');
            write(&mut row, places[0] + 2, &in_words(pause));
            rows.push(row);
        }
        last = Some(line.at);
        let mut row = lifelines(&places, width, '|');
        match &line.said {
            Said::Message { from, to, text } => {
                let place = |column| places[position(&columns, column)];
                arrow(&mut row, place(from), place(to), text);
            }
            Said::Note { dn, text } => {
                let (column, text) = note(&columns, dn, text);
                write(&mut row, places[column] + 2, &text);
            }
        }
        rows.push(row);
    }
    let text = |row: Vec<char>| row.into_iter().collect::<String>().trim_end().to_owned();
    rows.into_iter().map(text).collect::<Vec<_>>().join("\n")
}

/// Who appears, in the order of the columns.
fn columns(lines: &[Line]) -> Vec<Column> {
    let mut columns = vec![Column::Offhook];
    for line in lines {
        if let Said::Message { from, to, .. } = &line.said {
            columns.extend([from.clone(), to.clone()]);
        }
    }
    columns.sort();
    columns.dedup();
    columns
}

fn position(columns: &[Column], column: &Column) -> usize {
    let found = columns.iter().position(|other| other == column);
    found.expect("whoever says something has a column")
}

/// Where a note stands: beside the phone of its DN, else beside the server.
fn note(columns: &[Column], dn: &str, text: &str) -> (usize, String) {
    let phone = Column::Phone(dn.to_owned());
    match columns.iter().position(|column| *column == phone) {
        Some(column) => (column, text.to_owned()),
        None => (position(columns, &Column::Offhook), format!("{dn}: {text}")),
    }
}

/// Where each column's line is: no further apart than what stands between them needs.
fn places(lines: &[Line], columns: &[Column]) -> Vec<usize> {
    let mut gaps = vec![GAP_MIN; columns.len()];
    for line in lines {
        if let Said::Note { dn, text } = &line.said {
            let (column, text) = note(columns, dn, text);
            gaps[column] = gaps[column].max(text.len() + 4);
        }
    }
    for line in lines {
        if let Said::Message { from, to, text } = &line.said {
            let (one, other) = (position(columns, from), position(columns, to));
            let (left, right) = (one.min(other), one.max(other));
            let between: usize = gaps[left..right].iter().sum();
            let missing = (text.len() + ARROW).saturating_sub(between);
            gaps[left] += missing;
        }
    }
    let first = name(&columns[0]).len().div_ceil(2) + 1;
    let mut places = vec![first];
    for gap in &gaps[..columns.len() - 1] {
        places.push(places[places.len() - 1] + gap);
    }
    places
}

fn name(column: &Column) -> &str {
    match column {
        Column::Caller => "caller",
        Column::Offhook => "Offhook",
        Column::Phone(dn) => dn,
        Column::MediaServer => "media server",
    }
}

fn heads(columns: &[Column], places: &[usize]) -> Vec<char> {
    let mut row = Vec::new();
    for (column, place) in columns.iter().zip(places) {
        let name = name(column);
        write(&mut row, place - name.len() / 2, name);
    }
    row
}

fn lifelines(places: &[usize], width: usize, mark: char) -> Vec<char> {
    let mut row = vec![' '; width];
    for place in places {
        row[*place] = mark;
    }
    row
}

fn arrow(row: &mut [char], from: usize, to: usize, text: &str) {
    let (left, right) = (from.min(to) + 1, from.max(to));
    row[left..right].fill('-');
    if from < to {
        row[right - 1] = '>';
    } else {
        row[left] = '<';
    }
    let start = left + (right - left - text.len() - 2) / 2;
    let padded = format!(" {text} ");
    for (cell, letter) in row[start..].iter_mut().zip(padded.chars()) {
        *cell = letter;
    }
}

fn write(row: &mut Vec<char>, at: usize, text: &str) {
    let end = at + text.chars().count();
    if row.len() < end {
        row.resize(end, ' ');
    }
    for (cell, letter) in row[at..].iter_mut().zip(text.chars()) {
        *cell = letter;
    }
}

fn in_words(pause: Duration) -> String {
    let seconds = (pause.as_millis() + 500) / 1_000;
    if seconds < 120 {
        format!("{seconds} s")
    } else {
        format!("{} min", (seconds + 30) / 60)
    }
}
