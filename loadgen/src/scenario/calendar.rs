//! Wall-clock time in messages and files, counted from one reading at the start: nothing here
//! reads a clock. All times are UTC.

use std::time::{Duration, Instant};

use super::value::write_to;

const DAY_NAMES: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTH_NAMES: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// What the wall clock said at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// The moment.
    pub at: Instant,
    /// Since 1970-01-01 00:00 UTC.
    pub epoch: Duration,
    /// How moments are written in files.
    pub stamps: Stamps,
}

/// How moments are written in files and for `[timestamp]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamps {
    /// Day, time and seconds since 1970, with tabs between them.
    #[default]
    Tabs,
    /// As RFC 3339 has it, with microseconds.
    Rfc3339,
}

struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Days since 1970-01-01.
    days: u64,
    second_of_day: u64,
}

impl Calendar {
    /// What the wall clock said at a moment: so much since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn new(at: Instant, epoch: Duration) -> Self {
        let stamps = Stamps::Tabs;
        Self { at, epoch, stamps }
    }

    /// Time since 1970.
    #[must_use]
    pub fn epoch(&self, now: Instant) -> Duration {
        self.epoch + now.saturating_duration_since(self.at)
    }

    /// A moment as RFC 3339 has it.
    #[must_use]
    pub fn rfc3339(&self, now: Instant) -> String {
        let Date {
            year,
            month,
            day,
            second_of_day,
            ..
        } = date(self.epoch(now));
        let (hour, minute, second) = clock(second_of_day);
        format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Appends a date as SIP's Date header has it.
    pub(crate) fn write_date(&self, now: Instant, output: &mut Vec<u8>) {
        let Date {
            year,
            month,
            day,
            days,
            second_of_day,
        } = date(self.epoch(now));
        let name = DAY_NAMES[usize::try_from(days % 7).unwrap_or(0)];
        let month = MONTH_NAMES[usize::try_from(month - 1).unwrap_or(0)];
        let (hour, minute, second) = clock(second_of_day);
        write_to(
            output,
            format_args!("{name}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT"),
        );
    }

    /// Appends a moment as `stamps` says.
    pub(crate) fn write_timestamp(&self, now: Instant, output: &mut Vec<u8>) {
        let epoch = self.epoch(now);
        let Date {
            year,
            month,
            day,
            second_of_day,
            ..
        } = date(epoch);
        let (hour, minute, second) = clock(second_of_day);
        let micros = epoch.subsec_micros();
        match self.stamps {
            Stamps::Tabs => write_to(
                output,
                format_args!(
                    "{year}-{month:02}-{day:02}\t{hour:02}:{minute:02}:{second:02}.{micros:06}\t\
                     {}.{micros:06}",
                    epoch.as_secs()
                ),
            ),
            Stamps::Rfc3339 => write_to(
                output,
                format_args!(
                    "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
                ),
            ),
        }
    }
}

fn clock(second_of_day: u64) -> (u64, u64, u64) {
    (
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    )
}

/// The civil date, by eras of 400 years that begin in March.
fn date(epoch: Duration) -> Date {
    let days = epoch.as_secs() / 86_400;
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    Date {
        year: year_of_era + era * 400 + u64::from(month <= 2),
        month,
        day,
        days,
        second_of_day: epoch.as_secs() % 86_400,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "any moment will do")]
    fn dates_are_those_of_the_calendar() {
        let at = Instant::now();
        let shown = |seconds: u64, micros: u64| {
            let epoch = Duration::from_secs(seconds) + Duration::from_micros(micros);
            let mut output = Vec::new();
            let mut calendar = Calendar::new(at, epoch);
            calendar.write_date(at, &mut output);
            for stamps in [Stamps::Tabs, Stamps::Rfc3339] {
                output.push(b'|');
                calendar.stamps = stamps;
                calendar.write_timestamp(at, &mut output);
            }
            String::from_utf8(output).unwrap()
        };
        assert_eq!(
            shown(1_795_375_434, 760_221),
            "Sun, 22 Nov 2026 19:23:54 GMT|2026-11-22\t19:23:54.760221\t1795375434.760221|\
             2026-11-22T19:23:54.760221Z"
        );
        assert!(shown(951_782_400, 0).starts_with("Tue, 29 Feb 2000 00:00:00"));
        assert!(shown(0, 0).starts_with("Thu, 01 Jan 1970"));
    }
}
