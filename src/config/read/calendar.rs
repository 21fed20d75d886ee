//! Reads `[[calendar]]`.

use crate::config::CalendarIndex;
use crate::config::calendar::{self, Calendar};
use crate::config::reader::{Located, Section, Source};
use crate::config::value::{self, Converted, Scalar, instead_of_name};
use crate::limits::{CALENDAR_LINES_MAX, CONDITION_BYTES_MAX};

/// The calendars, each name once.
pub(super) fn read(sections: Vec<Section<'_>>) -> Vec<Calendar> {
    let mut calendars: Vec<Calendar> = Vec::new();
    for section in sections {
        let source = section.source;
        let line = section.line_of("name");
        let calendar = read_calendar(section);
        let is_known = calendars.iter().any(|known| known.name == calendar.name);
        if is_known && !calendar.name.is_empty() {
            let what = format!("calendar \"{}\" is already there", calendar.name);
            source.mistake(
                line,
                what,
                "give it a name of its own, or remove one of them",
            );
        }
        calendars.push(calendar);
    }
    calendars
}

fn read_calendar(mut section: Section<'_>) -> Calendar {
    let name = section.required("name", "\"office\"", value::name);
    let zone = section.required("time_zone", "\"Europe/Berlin\"", |scalar| {
        let instead = "write a name of the IANA time zone database, such as \"Europe/Berlin\"";
        calendar::zone(value::text(scalar)?).ok_or_else(|| instead.to_owned())
    });
    let open = section.list("open", CALENDAR_LINES_MAX, |scalar| {
        let instead =
            "write days and hours, such as \"mon-fri 08:00-18:00\" or \"sat 09:00-24:00\"";
        calendar::hours(short(scalar)?).ok_or_else(|| instead.to_owned())
    });
    if open.is_none() {
        let instead = "write open = [\"mon-fri 08:00-18:00\"]";
        section
            .source
            .mistake(section.line, "[[calendar]] has no `open`", instead);
    }
    let closed = section.list("closed", CALENDAR_LINES_MAX, |scalar| {
        let instead = "write a date, such as \"2026-12-25\", or \"12-25\" for every year";
        calendar::closed_day(short(scalar)?).ok_or_else(|| instead.to_owned())
    });
    section.finish();
    let values = |located: Located<_>| located.value;
    Calendar::new(
        name.map_or("", |name| name.value),
        zone.map(|zone| zone.value),
        open.into_iter().flatten().map(values).collect(),
        closed.into_iter().flatten().map(|day| day.value).collect(),
    )
}

/// A text that is short enough to be what is asked for.
fn short(scalar: Scalar<'_>) -> Converted<&str> {
    let text = value::text(scalar)?;
    if text.len() > CONDITION_BYTES_MAX {
        return Err(format!("write at most {CONDITION_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The calendar of a name; what is wrong with the name is reported.
pub(super) fn find(
    calendars: &[Calendar],
    name: Located<&str>,
    source: &Source<'_>,
) -> Option<CalendarIndex> {
    let found = calendars
        .iter()
        .position(|calendar| *calendar.name == *name.value);
    if found.is_none() {
        let what = format!(
            "`calendar` names \"{}\", and there is no such calendar",
            name.value
        );
        let known = calendars.iter().map(|calendar| &*calendar.name);
        let instead = instead_of_name(name.value, "calendar", known);
        source.mistake(name.line, what, instead);
    }
    found.map(|index| CalendarIndex(u16::try_from(index).expect("CALENDARS_MAX fits in 16 bits")))
}
