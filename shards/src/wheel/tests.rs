//! Directed cases, and random steps against a sorted map.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn start() -> Instant {
    crate::clock::Clock.now()
}

#[test]
fn timers_come_out_by_deadline_then_by_arming() {
    let start = start();
    let mut wheel = Wheel::<_>::new(start);
    let at = |micros| start + Duration::from_micros(micros);
    wheel.arm(at(5_400), "third");
    wheel.arm(at(5_400), "fourth");
    wheel.arm(at(5_100), "second");
    wheel.arm(at(90), "first");
    wheel.arm(at(900_000_000), "last");
    let mut seen = Vec::new();
    while let Some((_, value)) = wheel.expire(at(1_000_000_000)) {
        seen.push(value);
    }
    assert_eq!(seen, ["first", "second", "third", "fourth", "last"]);
    assert!(wheel.is_empty());
}

#[test]
fn nothing_fires_early_even_within_its_own_millisecond() {
    let start = start();
    let mut wheel = Wheel::<_>::new(start);
    let deadline = start + Duration::from_nanos(7_500_001);
    wheel.arm(deadline, ());
    assert_eq!(wheel.expire(deadline - Duration::from_nanos(1)), None);
    assert_eq!(wheel.next(), Some(deadline));
    assert_eq!(wheel.expire(deadline), Some((deadline, ())));
    assert_eq!(wheel.next(), None);
}

#[test]
fn those_that_may_be_late_fall_due_together() {
    const GRAIN: Duration = Duration::from_millis(8);
    let start = start();
    let mut wheel = Wheel::<_>::new(start);
    let at = |micros| start + Duration::from_micros(micros);
    for micros in [8_001, 12_500, 16_000, 16_001] {
        wheel.arm_within(at(micros), GRAIN, micros);
    }
    assert_eq!(wheel.next(), Some(at(16_000)));
    assert_eq!(wheel.expire(at(15_999)), None);
    let mut together = Vec::new();
    while let Some((due, value)) = wheel.expire(at(16_000)) {
        assert_eq!(due, at(16_000));
        together.push(value);
    }
    assert_eq!(together, [8_001, 12_500, 16_000]);
    assert_eq!(wheel.expire(at(24_000)), Some((at(24_000), 16_001)));
}

#[test]
fn a_stale_key_cancels_nothing() {
    let start = start();
    let mut wheel = Wheel::<_>::new(start);
    let old = wheel.arm(start, 1);
    assert_eq!(wheel.expire(start), Some((start, 1)));
    let new = wheel.arm(start, 2);
    assert_eq!(wheel.cancel(old), None);
    assert_eq!(wheel.len(), 1);
    assert_eq!(wheel.cancel(new), Some(2));
    assert_eq!(wheel.cancel(new), None);
    assert_eq!(wheel.next(), None);
}

#[test]
fn a_deadline_before_the_wheel_is_due_at_once() {
    let start = start() + Duration::from_secs(1);
    let mut wheel = Wheel::<_>::new(start);
    let past = start - Duration::from_millis(500);
    wheel.arm(start, "now");
    wheel.arm(past, "past");
    assert_eq!(wheel.next(), Some(past));
    assert_eq!(wheel.expire(start), Some((past, "past")));
    assert_eq!(wheel.expire(start), Some((start, "now")));
}

#[test]
fn a_deadline_beyond_the_last_level_still_fires() {
    let start = start();
    let mut wheel = Wheel::<_>::new(start);
    let far = start + Duration::from_millis(TICK_MAX) + Duration::from_secs(86_400);
    wheel.arm(far, ());
    assert_eq!(wheel.expire(far - Duration::from_nanos(1)), None);
    assert_eq!(wheel.expire(far), Some((far, ())));
}

#[derive(Debug, Clone)]
enum Step {
    Arm { after_micros: u64 },
    Cancel { which: usize },
    Advance { micros: u64 },
}

/// Deadlines crowd around the wheel's own boundaries: within a tick, a level, two levels, years.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0_u64..3_000,
        4 => 0_u64..70_000,
        3 => 0_u64..5_000_000,
        2 => 0_u64..400_000_000,
        1 => 0_u64..100_000_000_000_000,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => span().prop_map(|after_micros| Step::Arm { after_micros }),
        2 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        3 => span().prop_map(|micros| Step::Advance { micros }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 1..200)) {
        let mut now = start();
        let mut wheel = Wheel::<_>::new(now);
        let mut model: BTreeMap<(Instant, u64), TimerKey> = BTreeMap::new();
        let mut keys: Vec<(TimerKey, (Instant, u64))> = Vec::new();
        for (step, number) in steps.into_iter().zip(0_u64..) {
            let advanced = matches!(step, Step::Advance { .. });
            match step {
                Step::Arm { after_micros } => {
                    let at = now + Duration::from_micros(after_micros);
                    let key = wheel.arm(at, number);
                    model.insert((at, number), key);
                    keys.push((key, (at, number)));
                }
                Step::Cancel { which } => {
                    if let Some(&(key, name)) = keys.get(which % keys.len().max(1)) {
                        let expected = model.remove(&name).map(|_| name.1);
                        prop_assert_eq!(wheel.cancel(key), expected);
                    }
                }
                Step::Advance { micros } => {
                    now += Duration::from_micros(micros);
                    while let Some((at, value)) = wheel.expire(now) {
                        let ((deadline, sequence), _) = model.pop_first().unwrap();
                        prop_assert_eq!((at, value), (deadline, sequence));
                        prop_assert!(at <= now);
                    }
                }
            }
            let first = model.first_key_value().map(|((deadline, _), _)| *deadline);
            if advanced {
                let all_later = first.is_none_or(|deadline| deadline > now);
                prop_assert!(all_later, "expire stopped early");
            }
            prop_assert_eq!(wheel.len(), model.len());
            prop_assert_eq!(wheel.next().is_some(), first.is_some());
            prop_assert!(wheel.next() <= first, "never late");
        }
    }
}
