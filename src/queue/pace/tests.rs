//! How long a caller may expect to wait.

use super::*;

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
fn the_wait_is_the_place_times_the_time_between_answers() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let expected = |pace: &Pace, now, before| {
        let wait = pace.standing(now, before).estimated_wait;
        wait.map(|wait| wait.as_secs())
    };
    let mut pace = Pace::default();
    pace.note(at(0), false);
    assert_eq!(expected(&pace, at(5), 0), None, "nothing was measured yet");
    pace.answered(at(16));
    assert_eq!(expected(&pace, at(16), 0), Some(16));
    assert_eq!(expected(&pace, at(16), 2), Some(48));
    // 7 of 16 and 1 of 8.
    pace.answered(at(24));
    assert_eq!(expected(&pace, at(24), 0), Some(15));
    // A queue that does not move makes everyone wait longer.
    assert_eq!(expected(&pace, at(64), 1), Some(80));
    // The time without callers is no time between answers.
    pace.note(at(70), true);
    pace.note(at(1_000), false);
    pace.answered(at(1_001));
    assert_eq!(expected(&pace, at(1_001), 0), Some(13));
    assert_eq!(pace.standing(at(1_001), 4).position, 5);
}
