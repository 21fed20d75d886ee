//! What a run has counted and measured. Times are taken twice: from when something was really
//! sent (service time), and from when it should have been (response time), so that a generator
//! that falls behind shows it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measure::{Latency, Times};

/// Kinds of failure that are told apart, for peers choose the words.
const DETAILS_MAX: usize = 24;

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

    /// Whether somebody was waited for in vain.
    pub(crate) fn is_silence(self) -> bool {
        matches!(self, Self::ReceiveTimeout | Self::ResendsExhausted)
    }

    /// Its column, and its words in the final table.
    #[must_use]
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::CannotSend => ("CannotSendMessage", "message not sent"),
            Self::ResendsExhausted => ("MaxUDPRetrans", "no answer to the last resend"),
            Self::ConnectFailed => ("TcpConnect", "connection could not be opened"),
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

/// A response time of the scenario.
#[derive(Debug, Clone, Default)]
pub struct ResponseTime {
    /// From the intended and from the real sending.
    pub latency: Latency,
    /// From the intended moment, also of what nobody answered: until it was given up.
    pub waited: Times,
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
    /// What the failures were about, in words: at most so many as [`DETAILS_MAX`] says, and the
    /// rest under one.
    pub details: BTreeMap<(Failure, String), u64>,
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
    /// Places off this machine that calls were not allowed to send to.
    pub unreached: u64,
    /// Packets of media sent.
    pub media_sent: u64,
    /// Packets of media received.
    pub media_received: u64,
    /// Log lines dropped because nobody took them.
    pub unlogged: u64,
    /// Responses that the scenario does not expect, by status code.
    pub unexpected_codes: BTreeMap<u16, u64>,
    /// Response times, by index.
    pub response_times: Vec<ResponseTime>,
    /// From opening to ending, of calls that ended well or not.
    pub call_length: Latency,
    /// How many lie in each class of `CallLengthRepartition`, the last one open.
    pub call_length_classes: Vec<u64>,
    /// From the intended moment of opening a call or ending a pause to the real one; of a server,
    /// from the moment at which a message came to that at which it was taken.
    pub lag: Times,
    /// How late the timer went off by which each worker watches itself.
    pub stalls: Times,
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

    /// Calls of either side.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.incoming + self.outgoing
    }

    /// Adds what another worker has counted. The peak is then at most what it is said to be: the
    /// workers need not have had theirs at the same moment.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in [
            (&mut self.incoming, other.incoming),
            (&mut self.outgoing, other.outgoing),
            (&mut self.current, other.current),
            (&mut self.peak, other.peak),
            (&mut self.successful, other.successful),
            (&mut self.out_of_call, other.out_of_call),
            (&mut self.dead_call, other.dead_call),
            (&mut self.malformed, other.malformed),
            (&mut self.resent, other.resent),
            (&mut self.auto_answered, other.auto_answered),
            (&mut self.warnings, other.warnings),
            (&mut self.limited, other.limited),
            (&mut self.unreached, other.unreached),
            (&mut self.media_sent, other.media_sent),
            (&mut self.media_received, other.media_received),
            (&mut self.unlogged, other.unlogged),
        ] {
            *own += more;
        }
        for (code, more) in &other.unexpected_codes {
            *self.unexpected_codes.entry(*code).or_default() += more;
        }
        add(&mut self.failures, &other.failures);
        for ((failure, words), count) in &other.details {
            self.tell(*failure, words.clone(), *count);
        }
        add(&mut self.call_length_classes, &other.call_length_classes);
        add(&mut self.counters, &other.counters);
        self.call_length.merge(&other.call_length);
        self.lag.merge(&other.lag);
        self.stalls.merge(&other.stalls);
        for (own, more) in self.response_times.iter_mut().zip(&other.response_times) {
            own.latency.merge(&more.latency);
            own.waited.merge(&more.waited);
            add(&mut own.classes, &more.classes);
        }
        for (own, more) in self.steps.iter_mut().zip(&other.steps) {
            own.messages += more.messages;
            own.repeats += more.repeats;
            own.timeouts += more.timeouts;
            own.unexpected += more.unexpected;
            own.lost += more.lost;
        }
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failures[failure as usize] += 1;
    }

    /// Says what failures were about.
    pub(crate) fn tell(&mut self, failure: Failure, words: String, count: u64) {
        let mut key = (failure, words);
        if self.details.len() >= DETAILS_MAX && !self.details.contains_key(&key) {
            "something else".clone_into(&mut key.1);
        }
        *self.details.entry(key).or_default() += count;
    }

    /// What failures of a cause were about, the most frequent first.
    pub fn details_of(&self, failure: Failure) -> Vec<(&str, u64)> {
        let own = self.details.iter().filter(|((of, _), _)| *of == failure);
        let mut found: Vec<(&str, u64)> = own
            .map(|((_, words), count)| (words.as_str(), *count))
            .collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }
}

fn add(own: &mut [u64], more: &[u64]) {
    for (own, more) in own.iter_mut().zip(more) {
        *own += more;
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
    fn times_fall_into_classes() {
        let mut classes = [0; 3];
        for millis in [1, 10, 15, 20, 99] {
            classify(&[10, 20], &mut classes, Duration::from_millis(millis));
        }
        assert_eq!(classes, [1, 2, 2]);
    }

    #[test]
    fn workers_add_up() {
        let one = || {
            let mut one = Statistics {
                incoming: 2,
                peak: 1,
                response_times: vec![ResponseTime::default()],
                steps: vec![StepCounts::default()],
                ..Statistics::default()
            };
            one.fail(Failure::Unexpected);
            one.steps[0].messages = 3;
            let time = Duration::from_millis(5);
            one.response_times[0].latency.record(time, Duration::ZERO);
            one
        };
        let mut all = one();
        all.merge(&one());
        assert_eq!((all.created(), all.failed(), all.peak), (4, 2, 2));
        assert_eq!(all.steps[0].messages, 6);
        assert_eq!(all.response_times[0].latency.response.count(), 2);
    }

    #[test]
    fn what_peers_choose_the_words_of_is_bounded() {
        let mut statistics = Statistics::default();
        for number in 0..1_000 {
            statistics.tell(Failure::Unexpected, format!("{number}"), 1);
        }
        let details = statistics.details_of(Failure::Unexpected);
        assert_eq!(details.len(), DETAILS_MAX + 1);
        assert_eq!(details[0], ("something else", 1_000 - DETAILS_MAX as u64));
    }

    #[test]
    fn failures_have_the_index_of_their_column() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index);
        }
    }
}
