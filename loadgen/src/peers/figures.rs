//! What was found: a figure of each contestant, and whether ours meets its goal beside theirs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::contestant::Contestant;

/// What was measured of one contestant.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Figure {
    /// The median of all rounds, the least and the most.
    Known {
        median: f64,
        low: f64,
        high: f64,
        /// It is at least this: the generator was at its end first.
        at_least: bool,
    },
    /// Why there is none.
    Missing(String),
}

impl Figure {
    /// The median of what was measured.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (values.first(), values.last()) else {
            return Self::Missing("failed".to_owned());
        };
        let (middle, before) = (values.len() / 2, (values.len() - 1) / 2);
        Self::Known {
            median: f64::midpoint(values[before], values[middle]),
            low: *low,
            high: *high,
            at_least: false,
        }
    }

    /// A figure of which no second was taken.
    pub(super) fn single(value: f64, at_least: bool) -> Self {
        Self::Known {
            median: value,
            low: value,
            high: value,
            at_least,
        }
    }

    /// All of it less some number.
    pub(super) fn less(&self, number: f64) -> Self {
        match self {
            Self::Known {
                median,
                low,
                high,
                at_least,
            } => Self::Known {
                median: median - number,
                low: low - number,
                high: high - number,
                at_least: *at_least,
            },
            Self::Missing(why) => Self::Missing(why.clone()),
        }
    }

    /// The median, if there is one.
    pub(super) fn median(&self) -> Option<f64> {
        self.known().map(|(median, _)| median)
    }

    /// The median, and whether it is only a lower bound.
    fn known(&self) -> Option<(f64, bool)> {
        match self {
            Self::Known {
                median, at_least, ..
            } => Some((*median, *at_least)),
            Self::Missing(_) => None,
        }
    }
}

/// What a figure of ours should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Goal {
    pub(super) words: &'static str,
    /// Whose figure the limit is a multiple of; none if it is a number by itself.
    pub(super) against: Option<Contestant>,
    pub(super) limit: f64,
    pub(super) bound: Bound,
}

/// On which side of its limit a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    AtMost,
    AtLeast,
}

/// Whether a goal was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Judgement {
    Met,
    Missed,
    /// A figure is missing, or the generator was at its end too soon to tell.
    Open,
}

/// A goal and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) goal: &'static str,
    /// Our figure, as a multiple of the yardstick's if the goal has one.
    pub(super) found: Option<f64>,
    pub(super) judgement: Judgement,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) what: String,
    /// By the names of contestants.
    pub(super) figures: BTreeMap<&'static str, Figure>,
    pub(super) verdicts: Vec<Verdict>,
}

impl Row {
    /// A row, judged by the goals whose yardstick takes part in it.
    pub(super) fn new(
        what: String,
        figures: impl IntoIterator<Item = (Contestant, Figure)>,
        goals: &[Goal],
    ) -> Self {
        let named = figures.into_iter();
        let figures: BTreeMap<_, _> = named.map(|(who, it)| (who.name(), it)).collect();
        let ours = figures.get(Contestant::Offhook.name());
        let judged = |goal: &Goal| {
            let yardstick = match goal.against {
                Some(against) => figures.get(against.name())?.known(),
                None => Some((1.0, false)),
            };
            Some(judge(*goal, ours?.known(), yardstick))
        };
        let verdicts = goals.iter().filter_map(judged).collect();
        Self {
            what,
            figures,
            verdicts,
        }
    }
}

fn judge(goal: Goal, ours: Option<(f64, bool)>, yardstick: Option<(f64, bool)>) -> Verdict {
    let open = Verdict {
        goal: goal.words,
        found: None,
        judgement: Judgement::Open,
    };
    let (Some((ours, ours_at_least)), Some((theirs, theirs_at_least))) = (ours, yardstick) else {
        return open;
    };
    let limit = goal.limit * theirs;
    // What is only known from below may be more: ours is then not certainly below a limit, and a
    // multiple of theirs is not certainly passed.
    let judgement = match (goal.bound, ours <= limit, ours >= limit) {
        (Bound::AtMost, true, _) if !ours_at_least => Judgement::Met,
        (Bound::AtMost, false, _) if !theirs_at_least => Judgement::Missed,
        (Bound::AtLeast, _, true) if !theirs_at_least => Judgement::Met,
        (Bound::AtLeast, _, false) if !ours_at_least => Judgement::Missed,
        (Bound::AtMost | Bound::AtLeast, _, _) => Judgement::Open,
    };
    Verdict {
        found: (theirs > 0.0).then_some(ours / theirs),
        judgement,
        ..open
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) schema: &'static str,
    pub(super) version: u32,
    /// Where it was measured.
    pub(super) machine: String,
    /// Those who were measured, in the order of columns.
    pub(super) contestants: Vec<&'static str>,
    pub(super) rows: Vec<Row>,
    /// What a reader should know about them.
    pub(super) notes: Vec<String>,
}

impl Report {
    pub(super) fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self);
        text.expect("numbers, texts and lists of them can be written as JSON") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWICE: Goal = Goal {
        words: "at most 2 × relay",
        against: Some(Contestant::Relay),
        limit: 2.0,
        bound: Bound::AtMost,
    };
    const THRICE: Goal = Goal {
        words: "at least 3 × kamailio",
        against: Some(Contestant::Kamailio),
        limit: 3.0,
        bound: Bound::AtLeast,
    };

    fn row(theirs: Contestant, their: Figure, our: Figure, goal: Goal) -> Vec<Verdict> {
        let figures = [(theirs, their), (Contestant::Offhook, our)];
        Row::new("it".to_owned(), figures, &[goal]).verdicts
    }

    #[test]
    fn the_median_counts() {
        let of = |values: &[f64]| Figure::of(values).known();
        assert_eq!(of(&[3.0, 1.0, 9.0]), Some((3.0, false)));
        assert_eq!(of(&[3.0, 1.0]), Some((2.0, false)));
        assert_eq!(of(&[]), None);
        let figure = Figure::of(&[3.0, 1.0, 9.0]).less(1.0);
        let expected = Figure::Known {
            median: 2.0,
            low: 0.0,
            high: 8.0,
            at_least: false,
        };
        assert_eq!(figure, expected);
    }

    #[test]
    fn goals_are_judged_by_the_yardstick_of_the_same_row() {
        let relay = Contestant::Relay;
        let single = |value| Figure::single(value, false);
        let verdicts = row(relay, single(100.0), single(180.0), TWICE);
        assert_eq!(verdicts[0].judgement, Judgement::Met);
        assert_eq!(verdicts[0].found, Some(1.8));
        let verdicts = row(relay, single(100.0), single(210.0), TWICE);
        assert_eq!(verdicts[0].judgement, Judgement::Missed);
        let verdicts = row(relay, single(100.0), Figure::of(&[]), TWICE);
        assert_eq!(verdicts[0].judgement, Judgement::Open);
        assert_eq!(
            row(Contestant::Kamailio, single(1.0), single(1.0), TWICE),
            []
        );
    }

    /// A yardstick that could do more, for all we know, is not beaten by what we have seen of it.
    #[test]
    fn what_the_generator_hides_is_left_open() {
        for (theirs, ours, judgement) in [
            ((100.0, false), (300.0, false), Judgement::Met),
            ((100.0, false), (300.0, true), Judgement::Met),
            ((100.0, true), (300.0, false), Judgement::Open),
            ((100.0, false), (200.0, false), Judgement::Missed),
            ((100.0, true), (200.0, false), Judgement::Missed),
            ((100.0, false), (200.0, true), Judgement::Open),
        ] {
            let [their, our] =
                [theirs, ours].map(|(value, at_least)| Figure::single(value, at_least));
            let verdicts = row(Contestant::Kamailio, their, our, THRICE);
            assert_eq!(verdicts[0].judgement, judgement, "{theirs:?} {ours:?}");
        }
    }

    /// Latency may seem to shrink where there is next to none: then there is no ratio.
    #[test]
    fn a_yardstick_below_zero_makes_no_ratio() {
        let single = |value| Figure::single(value, false);
        let verdicts = row(Contestant::Relay, single(-1.0), single(5.0), TWICE);
        assert_eq!(
            (verdicts[0].found, verdicts[0].judgement),
            (None, Judgement::Missed)
        );
    }
}
