//! `[[calendar]]`: the hours at which queues are open, in the time of their place. Wall time comes
//! in as an argument; the rules of time zones are compiled in. What follows from being closed is
//! decided in `queue/`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A week of opening hours, with days that are closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its name in references.
    pub name: Box<str>,
    /// Where its hours are counted.
    zone: TimeZone,
    open: Box<[Hours]>,
    closed: Box<[ClosedDay]>,
}

/// Hours that some days of the week have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hours {
    /// A bit for each day, Monday first.
    days: u8,
    /// In minutes of the day.
    from: u16,
    /// The first minute after it.
    until: u16,
}

/// A day that is closed, whatever day of the week it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedDay {
    /// `None` is every year.
    year: Option<i16>,
    month: i8,
    day: i8,
}

impl Calendar {
    pub(super) fn new(
        name: &str,
        zone: Option<TimeZone>,
        open: Vec<Hours>,
        closed: Vec<ClosedDay>,
    ) -> Self {
        Self {
            name: name.into(),
            zone: zone.unwrap_or(TimeZone::UTC),
            open: open.into(),
            closed: closed.into(),
        }
    }

    /// Whether it is open at a time, counted from 1970.
    #[must_use]
    pub fn is_open(&self, since_epoch: Duration) -> bool {
        let now = local(&self.zone, since_epoch);
        let today = now.date();
        let is_holiday = self.closed.iter().any(|closed| {
            closed.year.is_none_or(|year| year == today.year())
                && (closed.month, closed.day) == (today.month(), today.day())
        });
        let day = 1 << today.weekday().to_monday_zero_offset();
        let minute = i16::from(now.hour()) * 60 + i16::from(now.minute());
        let within = |hours: &Hours| {
            hours.days & day != 0 && (hours.from..hours.until).contains(&minute.unsigned_abs())
        };
        !is_holiday && self.open.iter().any(within)
    }

    /// The next time at which a day begins there.
    #[must_use]
    pub fn next_day(&self, since_epoch: Duration) -> Duration {
        next_day(&self.zone, since_epoch)
    }
}

/// The next time at which a day begins in UTC.
#[must_use]
pub fn next_day_in_utc(since_epoch: Duration) -> Duration {
    next_day(&TimeZone::UTC, since_epoch)
}

fn next_day(zone: &TimeZone, since_epoch: Duration) -> Duration {
    let tomorrow = local(zone, since_epoch).date().tomorrow();
    let begins = tomorrow.and_then(|date| zone.to_timestamp(date.at(0, 0, 0, 0)));
    // Beyond the year 9999 days are no longer told apart.
    let begins = begins.map_or(u64::MAX, |at| u64::try_from(at.as_second()).unwrap_or(0));
    Duration::from_secs(begins.max(since_epoch.as_secs() + 1))
}

fn local(zone: &TimeZone, since_epoch: Duration) -> DateTime {
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    zone.to_datetime(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX))
}

/// The zone of a name such as `Europe/Berlin`.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    // The bundled rules only: what a host has in its files is not ours to read.
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Reads `mon-fri 08:00-18:00`, `sat,sun 10:00-14:00` or `daily 00:00-24:00`.
pub(super) fn hours(text: &str) -> Option<Hours> {
    let (days, times) = text.split_once(' ')?;
    let (from, until) = times.trim().split_once('-')?;
    let (from, until) = (minutes(from)?, minutes(until)?);
    (from < until).then_some(Hours {
        days: self::days(days)?,
        from,
        until,
    })
}

fn days(text: &str) -> Option<u8> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    if text == "daily" {
        return Some(0x7f);
    }
    let day = |name: &str| NAMES.iter().position(|known| *known == name);
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let range = first..=last;
        (first <= last).then(|| range.fold(days, |days, day| days | 1 << day))
    })
}

/// Minutes of the day, 24:00 included.
fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| {
        let two_digits = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two_digits.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY_MINUTES).then_some(minutes)
}

/// Reads `2026-12-25`, or `12-25` for every year.
pub(super) fn closed_day(text: &str) -> Option<ClosedDay> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |digits: &str, length: usize| -> Option<i16> {
        let is_number = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = match parts[..] {
        [year, month, day] => (Some(number(year, 4)?), month, day),
        [month, day] => (None, month, day),
        _ => return None,
    };
    let month = i8::try_from(number(month, 2)?).ok()?;
    let day = i8::try_from(number(day, 2)?).ok()?;
    // A leap year, so that 29 February may be closed whenever there is one.
    Date::new(year.unwrap_or(2024), month, day).ok()?;
    Some(ClosedDay { year, month, day })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a date and time in UTC.
    fn utc(text: &str) -> Duration {
        let date: DateTime = text.parse().unwrap();
        let at = TimeZone::UTC.to_timestamp(date).unwrap();
        Duration::from_secs(u64::try_from(at.as_second()).unwrap())
    }

    fn office() -> Calendar {
        let open = ["mon-fri 08:00-18:00", "sat 09:30-13:00"];
        let closed = ["2026-04-03", "12-25"];
        Calendar::new(
            "office",
            zone("Europe/Berlin"),
            open.iter().map(|text| hours(text).unwrap()).collect(),
            closed
                .iter()
                .map(|text| closed_day(text).unwrap())
                .collect(),
        )
    }

    #[test]
    fn it_is_open_in_the_time_of_its_place() {
        for (at, open) in [
            // A Wednesday in winter: one hour before UTC.
            ("2026-01-14T06:59:59", false),
            ("2026-01-14T07:00:00", true),
            ("2026-01-14T16:59:59", true),
            ("2026-01-14T17:00:00", false),
            // And in summer: two.
            ("2026-07-15T06:00:00", true),
            ("2026-07-15T05:59:59", false),
            ("2026-07-15T16:00:00", false),
            // Saturday, Sunday, Good Friday, Christmas of any year.
            ("2026-01-17T08:29:59", false),
            ("2026-01-17T08:30:00", true),
            ("2026-01-18T10:00:00", false),
            ("2026-04-03T10:00:00", false),
            ("2026-12-25T10:00:00", false),
            ("2030-12-25T10:00:00", false),
        ] {
            assert_eq!(office().is_open(utc(at)), open, "{at}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_of_the_place() {
        let next = office().next_day(utc("2026-01-14T12:00:00"));
        assert_eq!(next, utc("2026-01-14T23:00:00"));
        assert_eq!(office().next_day(next), utc("2026-01-15T23:00:00"));
        // The night in which summer time begins has 23 hours.
        let next = office().next_day(utc("2026-03-28T23:00:00"));
        assert_eq!(next, utc("2026-03-29T22:00:00"));
        assert_eq!(
            next_day_in_utc(utc("2026-01-14T12:00:00")),
            utc("2026-01-15T00:00:00")
        );
    }

    #[test]
    fn hours_and_days_that_are_none_are_refused() {
        for text in [
            "mon",
            "mon 8-18",
            "mon 08:00",
            "mon 18:00-08:00",
            "fri-mon 08:00-18:00",
            "mon 08:60-18:00",
            "mon 08:00-24:01",
            "montag 08:00-18:00",
            "",
            "mon 08:00-08:00",
        ] {
            assert_eq!(hours(text), None, "{text:?}");
        }
        assert!(hours("daily 00:00-24:00").is_some());
        for text in [
            "2026-13-01",
            "2026-02-30",
            "26-12-25",
            "12-5",
            "christmas",
            "-12-25",
        ] {
            assert_eq!(closed_day(text), None, "{text:?}");
        }
        assert!(closed_day("02-29").is_some());
        assert!(zone("Europe/Berln").is_none());
    }
}
