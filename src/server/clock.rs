//! The clock of the control plane: the one place that reads wall time. Shards stamp events with
//! monotonic time; a pair of both, taken at start, turns it into a date, so that the order of
//! events survives a step of the wall clock. It does not follow such a step; calendars, days and
//! the journal do (`timekeeper`).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::limits::WALL_STEP_MIN;
use crate::wall::Wall;

/// The moment at which the server started, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    started: Instant,
    started_since_epoch: Duration,
}

impl Clock {
    /// Reads both clocks.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "wall time is made here")]
    pub fn start() -> Self {
        // A wall clock before 1970 is not set at all: dates then count from 1970.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self::at(Instant::now(), since_epoch)
    }

    /// Both clocks again, if the wall clock has been set since this one was read: it is further
    /// from where it should be than reading it takes.
    #[must_use]
    pub(super) fn set_since(&self) -> Option<Self> {
        let now = Self::start();
        now.is_apart(self).then_some(now)
    }

    fn is_apart(&self, earlier: &Self) -> bool {
        let expected = earlier.wall().time_at(self.started);
        self.started_since_epoch.abs_diff(expected) >= WALL_STEP_MIN
    }

    /// A clock that started at a given moment.
    #[must_use]
    pub fn at(started: Instant, started_since_epoch: Duration) -> Self {
        Self {
            started,
            started_since_epoch,
        }
    }

    /// Wall time as a value, for the engines.
    #[must_use]
    pub fn wall(&self) -> Wall {
        Wall {
            at: self.started,
            since_epoch: self.started_since_epoch,
        }
    }

    /// The present moment.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the control plane's own deadlines"
    )]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// When the server started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The date of a moment, as RFC 3339 with microseconds in UTC.
    #[must_use]
    pub fn date(&self, at: Instant) -> String {
        rfc3339(self.since_epoch(at))
    }

    fn since_epoch(&self, at: Instant) -> Duration {
        match at.checked_duration_since(self.started) {
            Some(later) => self.started_since_epoch + later,
            None => self.started_since_epoch.saturating_sub(self.started - at),
        }
    }
}

/// Writes the dates of moments of which many lie in the same second: that is worked out once.
#[derive(Debug)]
pub struct Dates {
    clock: Clock,
    /// The second of the last date.
    second: u64,
    /// The last date.
    text: String,
}

impl Dates {
    /// By a clock.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            second: clock.started_since_epoch.as_secs(),
            text: clock.date(clock.started),
        }
    }

    /// [`Clock::date`], until the next one is asked for.
    #[must_use]
    pub fn date(&mut self, at: Instant) -> &str {
        let since_epoch = self.clock.since_epoch(at);
        if self.second == since_epoch.as_secs() {
            self.text.truncate(SECOND.len());
            // With a digit in front of them the zeroes are written, too.
            let micros = 1_000_000 + since_epoch.subsec_micros();
            self.text.push_str(&itoa::Buffer::new().format(micros)[1..]);
            self.text.push('Z');
        } else {
            self.second = since_epoch.as_secs();
            self.text = rfc3339(since_epoch);
        }
        &self.text
    }
}

/// What all dates of a second have in common has this form.
const SECOND: &str = "2026-11-22T10:15:30.";

/// A point in time since 1970 as RFC 3339 §5.6 with microseconds.
fn rfc3339(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = since_epoch.subsec_micros().into();
    let mut date = *b"0000-00-00T00:00:00.000000Z";
    for (field, number) in [
        (0..4, year),
        (5..7, month),
        (8..10, day),
        (11..13, hour),
        (14..16, minute),
        (17..19, second),
        (20..26, micros),
    ] {
        write_digits(&mut date[field], number);
    }
    String::from_utf8(date.to_vec()).expect("digits and signs are text")
}

/// Writes a number into all of a field, its last digits if there are more.
fn write_digits(field: &mut [u8], mut number: u64) {
    for place in field.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of a day since 1970 in the Gregorian calendar.
///
/// Years are counted from 1 March of year 0, so that the leap day is a year's last.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + DAYS_TO_1970;
    let (cycle, day_of_cycle) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    // Takes the leap days out: one in 4 years, none in 100, one in 400.
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
        - day_of_cycle / 146_096)
        / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // From March on, five months have 153 days.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = cycle * 400 + year_of_cycle + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_gregorian() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, "2000-02-28T23:59:59.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_795_342_530, "2026-11-22T10:15:30.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), date);
        }
    }

    #[test]
    fn a_step_is_seen_in_both_directions_and_slewing_is_none() {
        let started = Clock::start().started();
        let noon = Duration::from_secs(12 * 3_600);
        let clock = Clock::at(started, noon);
        let minute = Duration::from_secs(60);
        for (apart, by) in [(false, 0), (false, 500), (true, 3_600_000)] {
            let by = Duration::from_millis(by);
            for time in [noon + minute + by, noon + minute - by] {
                let later = Clock::at(started + minute, time);
                assert_eq!(later.is_apart(&clock), apart, "{by:?}");
            }
        }
    }

    #[test]
    fn dates_follow_the_monotonic_clock() {
        let started = Clock::start().started();
        let clock = Clock::at(started, Duration::from_micros(1_795_342_530_123_456));
        assert_eq!(clock.date(started), "2026-11-22T10:15:30.123456Z");
        let later = started + Duration::from_micros(900_000);
        assert_eq!(clock.date(later), "2026-11-22T10:15:31.023456Z");
    }

    #[test]
    fn dates_one_behind_the_other_are_those_of_the_clock() {
        let started = Clock::start().started();
        let clock = Clock::at(started, Duration::from_micros(1_795_342_530_123_456));
        let mut dates = Dates::new(clock);
        for micros in [
            0,
            1,
            876_543,
            876_544,
            876_545,
            1_876_543,
            1_876_544,
            999,
            86_400_000_000,
        ] {
            let at = started + Duration::from_micros(micros);
            assert_eq!(dates.date(at), clock.date(at));
        }
    }
}
