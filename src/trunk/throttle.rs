//! What a node has said of its overload (RFC 7339), and for how long that counts: how many of a
//! hundred new calls it is to be spared.

use std::time::{Duration, Instant};

use crate::limits::PEER_FEEDBACK_VALIDITY_MAX;
use crate::sip::Feedback;

/// The last word of one node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Throttle(Option<Word>);

#[derive(Debug, Clone, Copy)]
struct Word {
    loss_percent: u8,
    until: Instant,
    sequence: Duration,
}

impl Throttle {
    /// A word of the node's. One that is older than what counts now was late (§4.4); what counts
    /// no more says nothing about order, because a node that starts again may count from the
    /// beginning.
    pub(super) fn note(&mut self, now: Instant, feedback: &Feedback) {
        let stands = self.0.filter(|word| now < word.until);
        if stands.is_some_and(|word| feedback.sequence <= word.sequence) {
            return;
        }
        self.0 = Some(Word {
            loss_percent: feedback.loss_percent,
            until: now + feedback.validity.min(PEER_FEEDBACK_VALIDITY_MAX),
            sequence: feedback.sequence,
        });
    }

    /// How many of a hundred new calls it is to be spared now.
    pub(super) fn loss_percent(&self, now: Instant) -> u8 {
        let word = self.0.filter(|word| now < word.until);
        word.map_or(0, |word| word.loss_percent)
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::clock::Clock;

    use super::*;

    fn feedback(loss_percent: u8, validity: u64, sequence: u64) -> Feedback {
        Feedback {
            loss_percent,
            validity: Duration::from_millis(validity),
            sequence: Duration::from_millis(sequence),
        }
    }

    #[test]
    fn the_newest_word_counts_for_as_long_as_it_says_and_not_for_ever() {
        let start = Clock.now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut throttle = Throttle::default();
        assert_eq!(throttle.loss_percent(start), 0);
        throttle.note(start, &feedback(40, 500, 10));
        assert_eq!(throttle.loss_percent(at(499)), 40);
        assert_eq!(throttle.loss_percent(at(500)), 0);
        // Responses that overtake each other.
        throttle.note(at(100), &feedback(90, 500, 9));
        throttle.note(at(100), &feedback(90, 500, 10));
        assert_eq!(throttle.loss_percent(at(100)), 40);
        throttle.note(at(100), &feedback(60, 500, 11));
        assert_eq!(throttle.loss_percent(at(599)), 60);
        // §4.5: a validity of zero ends it.
        throttle.note(at(200), &feedback(60, 0, 12));
        assert_eq!(throttle.loss_percent(at(200)), 0);
        // A node that has started again.
        throttle.note(at(300), &feedback(10, 500, 1));
        assert_eq!(throttle.loss_percent(at(300)), 10);
        throttle.note(at(900), &feedback(100, u64::MAX, 2));
        let end = at(900) + PEER_FEEDBACK_VALIDITY_MAX;
        assert_eq!(throttle.loss_percent(end - Duration::from_millis(1)), 100);
        assert_eq!(throttle.loss_percent(end), 0);
    }
}
