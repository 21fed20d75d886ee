//! What a run has counted and measured. Times are taken twice: from when something was really
//! sent (service time), and from when it should have been (response time), so that a generator
//! that falls behind shows it.

use std::time::Duration;

use hdrhistogram::Histogram;

/// The longest time that is told apart: two minutes.
const HIGHEST_US: u64 = 120_000_000;

/// Why a call has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// A message could not be made or sent.
    CannotSend,
    /// No answer to the last resend.
    ResendsExhausted,
    /// A connection could not be opened.
    ConnectFailed,
    /// A connection was closed while it was needed.
    ConnectionClosed,
    /// A message that the scenario does not expect.
    Unexpected,
    /// The scenario ended the call.
    Rejected,
    /// A command to a twin could not be sent.
    CommandNotSent,
    /// A regular expression had to match.
    PatternMissed,
    /// A regular expression had not to match.
    PatternMatched,
    /// The header to look into is not there.
    HeaderMissing,
    /// Too much waits to be sent.
    Congestion,
    /// A message did not come in time.
    ReceiveTimeout,
    /// A message could not be sent in time.
    SendTimeout,
    /// A test had to be true.
    TestFailed,
    /// A test had not to be true.
    TestSucceeded,
    /// Two texts had to be equal.
    TextsDiffer,
    /// Two texts had not to be equal.
    TextsEqual,
}

impl Failure {
    /// All of them, in the order of SIPp's columns.
    pub const ALL: [Self; 17] = [
        Self::CannotSend,
        Self::ResendsExhausted,
        Self::ConnectFailed,
        Self::ConnectionClosed,
        Self::Unexpected,
        Self::Rejected,
        Self::CommandNotSent,
        Self::PatternMissed,
        Self::PatternMatched,
        Self::HeaderMissing,
        Self::Congestion,
        Self::ReceiveTimeout,
        Self::SendTimeout,
        Self::TestFailed,
        Self::TestSucceeded,
        Self::TextsDiffer,
        Self::TextsEqual,
    ];

    /// Its column, and its words in the final table.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::CannotSend => ("CannotSendMessage", "message not sent"),
            Self::ResendsExhausted => ("MaxUDPRetrans", "no answer to the last resend"),
            Self::ConnectFailed => ("TcpConnect", "connection refused"),
            Self::ConnectionClosed => ("TcpClosed", "connection closed"),
            Self::Unexpected => ("UnexpectedMessage", "unexpected message"),
            Self::Rejected => ("CallRejected", "ended by the scenario"),
            Self::CommandNotSent => ("CmdNotSent", "command not sent"),
            Self::PatternMissed => ("RegexpDoesntMatch", "pattern does not match"),
            Self::PatternMatched => ("RegexpShouldntMatch", "pattern matches"),
            Self::HeaderMissing => ("RegexpHdrNotFound", "header not found"),
            Self::Congestion => ("OutboundCongestion", "congestion"),
            Self::ReceiveTimeout => ("TimeoutOnRecv", "message did not come"),
            Self::SendTimeout => ("TimeoutOnSend", "message not sent in time"),
            Self::TestFailed => ("TestDoesntMatch", "test is false"),
            Self::TestSucceeded => ("TestShouldntMatch", "test is true"),
            Self::TextsDiffer => ("StrcmpDoesntMatch", "texts differ"),
            Self::TextsEqual => ("StrcmpShouldntMatch", "texts are equal"),
        }
    }
}

/// Times of one kind, in microseconds; every one is recorded.
#[derive(Debug, Clone)]
pub struct Times {
    histogram: Histogram<u64>,
    sum_us: f64,
    squares_us: f64,
}

impl Default for Times {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, HIGHEST_US, 3);
        Self {
            histogram: histogram.expect("one microsecond to two minutes can be told apart"),
            sum_us: 0.0,
            squares_us: 0.0,
        }
    }
}

impl Times {
    /// Records a time.
    pub fn record(&mut self, time: Duration) {
        let micros = time.as_secs_f64() * 1e6;
        self.sum_us += micros;
        self.squares_us += micros * micros;
        let whole = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.histogram.saturating_record(whole.clamp(1, HIGHEST_US));
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time below which this part of all lies, in microseconds.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> u64 {
        self.histogram.value_at_quantile(quantile)
    }

    /// The longest, in microseconds.
    #[must_use]
    pub fn max_us(&self) -> u64 {
        self.histogram.max()
    }

    /// Mean and standard deviation, in microseconds.
    #[must_use]
    pub fn mean_us(&self) -> (f64, f64) {
        mean(self.count(), self.sum_us, self.squares_us)
    }

    /// The same of what was recorded since an earlier state of these times.
    #[must_use]
    pub fn mean_us_since(&self, before: &Self) -> (f64, f64) {
        let count = self.count().saturating_sub(before.count());
        let (sum, squares) = (
            self.sum_us - before.sum_us,
            self.squares_us - before.squares_us,
        );
        mean(count, sum, squares)
    }
}

fn mean(count: u64, sum: f64, squares: f64) -> (f64, f64) {
    if count == 0 {
        return (0.0, 0.0);
    }
    let mean = sum / count as f64;
    let variance = squares / count as f64 - mean * mean;
    (mean, variance.max(0.0).sqrt())
}

/// A response time of the scenario.
#[derive(Debug, Clone, Default)]
pub struct ResponseTime {
    /// From the real sending.
    pub service: Times,
    /// From the intended sending.
    pub response: Times,
    /// How many lie in each class of `ResponseTimeRepartition`, the last one open.
    pub classes: Vec<u64>,
}

/// What happened at one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Messages sent or received, or passages.
    pub messages: u64,
    /// Sent or received again.
    pub repeats: u64,
    /// Waits that were too long.
    pub timeouts: u64,
    /// Other messages that came instead.
    pub unexpected: u64,
    /// Messages lost on purpose.
    pub lost: u64,
}

/// Everything, since the start.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// Calls that peers opened.
    pub incoming: u64,
    /// Calls that we opened.
    pub outgoing: u64,
    /// Calls that live.
    pub current: u64,
    /// The most calls that lived at a time.
    pub peak: u64,
    /// Calls that ended as the scenario says.
    pub successful: u64,
    /// Calls that did not, by cause, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Messages of no call.
    pub out_of_call: u64,
    /// Messages of calls that had ended.
    pub dead_call: u64,
    /// Messages that are no SIP.
    pub malformed: u64,
    /// Messages that we sent again.
    pub resent: u64,
    /// Requests answered without a step.
    pub auto_answered: u64,
    /// Warnings.
    pub warnings: u64,
    /// Arrivals dropped because of a limit.
    pub limited: u64,
    /// Log lines dropped because nobody took them.
    pub unlogged: u64,
    /// Response times, by index.
    pub response_times: Vec<ResponseTime>,
    /// From opening to ending, of calls that ended well or not.
    pub call_length: Times,
    /// How many lie in each class of `CallLengthRepartition`, the last one open.
    pub call_length_classes: Vec<u64>,
    /// From the intended moment of opening a call or ending a pause to the real one.
    pub lag: Times,
    /// Counters of the scenario, by index.
    pub counters: Vec<u64>,
    /// Steps, by index.
    pub steps: Vec<StepCounts>,
}

impl Statistics {
    /// Nothing counted yet, with room for a scenario.
    #[must_use]
    pub(crate) fn new(scenario: &super::model::Scenario) -> Self {
        let classes = |ends: &[u64]| {
            if ends.is_empty() {
                vec![]
            } else {
                vec![0; ends.len() + 1]
            }
        };
        let response_time = || ResponseTime {
            classes: classes(&scenario.response_time_classes),
            ..ResponseTime::default()
        };
        Self {
            response_times: scenario
                .response_times
                .iter()
                .map(|_| response_time())
                .collect(),
            call_length_classes: classes(&scenario.call_length_classes),
            counters: vec![0; scenario.counters.len()],
            steps: vec![StepCounts::default(); scenario.steps.len()],
            ..Self::default()
        }
    }

    /// Calls that failed, for any cause.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.iter().sum()
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failures[failure as usize] += 1;
    }
}

/// Counts a time in its class.
pub(crate) fn classify(ends_ms: &[u64], classes: &mut [u64], time: Duration) {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let class = ends_ms.iter().position(|end| milliseconds < *end);
    if let Some(count) = classes.get_mut(class.unwrap_or(ends_ms.len())) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_quantiles_mean_and_deviation() {
        let mut times = Times::default();
        for millis in [10, 20, 30] {
            times.record(Duration::from_millis(millis));
        }
        let (mean, deviation) = times.mean_us();
        assert!((mean - 20_000.0).abs() < 1.0 && (deviation - 8_165.0).abs() < 1.0);
        assert!(times.max_us() >= 30_000 && times.quantile_us(0.5) >= 20_000);
        assert_eq!(Times::default().mean_us(), (0.0, 0.0));
        let before = times.clone();
        times.record(Duration::from_millis(100));
        let (mean, deviation) = times.mean_us_since(&before);
        assert!((mean - 100_000.0).abs() < 1.0 && deviation < 100.0);
    }

    #[test]
    fn classes_are_open_at_the_end() {
        let mut classes = [0; 3];
        for millis in [5, 10, 19, 20, 900] {
            classify(&[10, 20], &mut classes, Duration::from_millis(millis));
        }
        assert_eq!(classes, [1, 2, 2]);
    }

    #[test]
    fn failures_have_the_index_of_their_column() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
        }
    }
}
