//! What the server has said about each agent, held against what the phones know.
//!
//! Words travel, so a phone is compared only when nothing about it has changed for a while: long
//! enough for a NOTIFY to be lost and sent again.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::measure::Latencies;
use super::watch::{Said, Word};
use crate::population::{Activity, Fact, PhoneView, Presence, Record};

/// How long a phone must have been as it is before it is compared.
pub(super) const SETTLED: Duration = Duration::from_secs(3);
/// How long after a call of the server's own a phone's word does not count at once (the server
/// waits a second on purpose).
const OWN_CALL_TAIL: Duration = Duration::from_millis(1_500);

/// One agent's page.
#[derive(Debug, Default)]
struct Page {
    word: Option<Word>,
    /// NOTIFYs that must change the word, oldest first.
    awaited: VecDeque<(Instant, Word)>,
    /// Whether a call of the server's own is at the phone.
    in_call: bool,
    /// When the last one left.
    last_call: Option<Instant>,
    /// Whether the present contradiction has been counted.
    mismatched: bool,
}

/// The words about all agents.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: BTreeMap<String, Page>,
    /// NOTIFY sent → CTI event seen.
    pub(super) latencies: Latencies,
    /// Contradictions, each counted once.
    pub(super) mismatches: u64,
    /// The first few of them, in words.
    pub(super) examples: Vec<String>,
    /// Comparisons made.
    pub(super) compared: u64,
}

/// Contradictions that are told in words.
const EXAMPLES_MAX: usize = 10;

impl Ledger {
    /// The server has said something.
    pub(super) fn hear(&mut self, said: Said) {
        let page = self.pages.entry(said.dn).or_default();
        let awaited = page.awaited.iter().position(|(_, word)| *word == said.word);
        if let Some(at) = awaited {
            let (sent, _) = page.awaited[at];
            self.latencies
                .record(said.at.saturating_duration_since(sent));
            // Whatever was awaited before has been overtaken.
            page.awaited.drain(..=at);
        }
        page.word = Some(said.word);
    }

    /// Something has happened at a phone.
    pub(super) fn note(&mut self, record: &Record) {
        match &record.fact {
            Fact::Rang { dn, .. } => {
                let page = self.pages.entry(dn.clone()).or_default();
                page.in_call = true;
                page.awaited.clear();
            }
            Fact::PhoneRefused { dn, .. }
            | Fact::PhoneCancelled { dn, .. }
            | Fact::PhoneEnded { dn, .. } => {
                let page = self.pages.entry(dn.clone()).or_default();
                page.in_call = false;
                page.last_call = Some(record.at);
            }
            Fact::Notified { dn, presence } => {
                let page = self.pages.entry(dn.clone()).or_default();
                page.expect(record.at, *presence);
            }
            Fact::Offered { .. }
            | Fact::Progress { .. }
            | Fact::Connected { .. }
            | Fact::Ended { .. }
            | Fact::PhoneAnswered { .. }
            | Fact::Changed { .. }
            | Fact::ChangeRefused { .. }
            | Fact::Referred { .. }
            | Fact::Info { .. }
            | Fact::Identified { .. }
            | Fact::Dialled { .. }
            | Fact::DialAnswered { .. }
            | Fact::DialFailed { .. }
            | Fact::Registered { .. }
            | Fact::PrivateCall { .. }
            | Fact::Subscribed { .. }
            | Fact::SubscribeRefused { .. }
            | Fact::Unsubscribed { .. }
            | Fact::Fault { .. } => {}
        }
    }

    /// How many agents are Ready, not ready in any way, and logged out.
    pub(super) fn states(&self) -> (usize, usize, usize) {
        let mut states = (0, 0, 0);
        for page in self.pages.values() {
            match page.word {
                Some(Word::Ready) => states.0 += 1,
                Some(Word::NotReady(_) | Word::WrappingUp | Word::LoggedIn) => states.1 += 1,
                Some(Word::LoggedOut) | None => states.2 += 1,
            }
        }
        states
    }

    /// Compares every phone that has settled.
    pub(super) fn compare<'a>(
        &mut self,
        now: Instant,
        phones: impl Iterator<Item = PhoneView<'a>>,
    ) {
        for phone in phones {
            let settled = phone.since.is_none_or(|since| now >= since + SETTLED);
            if !settled || phone.notifying {
                continue;
            }
            let page = self.pages.entry(phone.dn.to_owned()).or_default();
            let expected = expected(&phone);
            let matches = page.word.as_ref() == Some(&expected);
            self.compared += 1;
            if !matches && !page.mismatched {
                self.mismatches += 1;
                if self.examples.len() < EXAMPLES_MAX {
                    let example = format!(
                        "{}: the phone is {:?} and {:?}, so {expected:?} is right; the server \
                         says {:?}",
                        phone.dn, phone.presence, phone.activity, page.word
                    );
                    self.examples.push(example);
                }
            }
            page.mismatched = !matches;
        }
    }
}

impl Page {
    /// A NOTIFY has been sent: what the server must say soon, unless it says so already.
    fn expect(&mut self, at: Instant, presence: Presence) {
        let word = match presence {
            Presence::Idle => Word::Ready,
            Presence::OnThePhone => on_the_phone(),
            Presence::Closed | Presence::Terminated => Word::LoggedOut,
            Presence::Alerting | Presence::ClosedOnThePhone => return,
        };
        let tail = self
            .last_call
            .is_some_and(|ended| at < ended + OWN_CALL_TAIL);
        let last = self
            .awaited
            .back()
            .map(|(_, word)| word)
            .or(self.word.as_ref());
        let known = match last {
            Some(last) => *last == word,
            None => word == Word::LoggedOut,
        };
        if !self.in_call && !tail && !known {
            self.awaited.push_back((at, word));
        }
    }
}

/// What is right to say about a phone. Its own calls do not make an agent NotReady, and there is
/// no wrap-up in the demo.
fn expected(phone: &PhoneView<'_>) -> Word {
    match (phone.registered, phone.activity) {
        (false, _) => Word::LoggedOut,
        (true, Activity::Private) => on_the_phone(),
        (
            true,
            Activity::Idle | Activity::Ringing(_) | Activity::Dialling(_) | Activity::Talking(_),
        ) => Word::Ready,
    }
}

fn on_the_phone() -> Word {
    Word::NotReady(Some("on-the-phone".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::measure::now;

    fn said(at: Instant, word: Word) -> Said {
        Said {
            at,
            dn: "1".to_owned(),
            word,
        }
    }

    fn notified(at: Instant, presence: Presence) -> Record {
        Record {
            at,
            fact: Fact::Notified {
                dn: "1".to_owned(),
                presence,
            },
        }
    }

    fn view(activity: Activity, since: Instant) -> PhoneView<'static> {
        PhoneView {
            dn: "1",
            registered: true,
            activity,
            since: Some(since),
            presence: Presence::Idle,
            subscriptions: 1,
            notifying: false,
        }
    }

    #[test]
    fn latency_is_from_the_notify_to_the_word_it_leads_to() {
        let start = now();
        let later = |ms| start + Duration::from_millis(ms);
        let mut ledger = Ledger::default();
        ledger.note(&notified(later(0), Presence::Idle));
        ledger.hear(said(later(1), Word::LoggedIn));
        ledger.hear(said(later(2), Word::Ready));
        ledger.note(&notified(later(10), Presence::Idle));
        ledger.note(&notified(later(20), Presence::OnThePhone));
        ledger.note(&notified(later(21), Presence::Idle));
        ledger.hear(said(later(24), on_the_phone()));
        ledger.hear(said(later(26), Word::Ready));
        // Three digits are kept.
        let longest = ledger.latencies.max();
        assert_eq!(ledger.latencies.count(), 3);
        assert!((5_000..5_010).contains(&longest), "{longest}");
        assert_eq!(ledger.states(), (1, 0, 0));
    }

    #[test]
    fn own_calls_are_not_measured() {
        let start = now();
        let mut ledger = Ledger::default();
        ledger.hear(said(start, Word::Ready));
        let record = |fact| Record { at: start, fact };
        let dn = || "1".to_owned();
        ledger.note(&record(Fact::Rang {
            token: None,
            dn: dn(),
        }));
        ledger.note(&notified(start, Presence::OnThePhone));
        ledger.note(&record(Fact::PhoneCancelled {
            token: None,
            dn: dn(),
        }));
        ledger.note(&notified(
            start + Duration::from_secs(1),
            Presence::OnThePhone,
        ));
        ledger.hear(said(start, on_the_phone()));
        assert_eq!(ledger.latencies.count(), 0);
    }

    #[test]
    fn a_contradiction_counts_once_and_only_when_settled() {
        let start = now();
        let mut ledger = Ledger::default();
        ledger.hear(said(start, Word::Ready));
        let private = || std::iter::once(view(Activity::Private, start));
        ledger.compare(start + SETTLED / 2, private());
        assert_eq!((ledger.compared, ledger.mismatches), (0, 0));
        ledger.compare(start + SETTLED, private());
        ledger.compare(start + SETTLED * 2, private());
        assert_eq!((ledger.compared, ledger.mismatches), (2, 1));
        assert_eq!(ledger.examples.len(), 1);
        ledger.hear(said(start, on_the_phone()));
        ledger.compare(start + SETTLED * 3, private());
        ledger.compare(
            start + SETTLED * 3,
            std::iter::once(view(Activity::Idle, start)),
        );
        assert_eq!(ledger.mismatches, 2);
    }
}
