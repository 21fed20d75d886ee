//! Line charts as SVG, drawn by hand: a few series over a common axis.

use std::fmt::Write as _;

use super::page::{amount, escape, micros};

/// Points drawn of one series; of more, the highest of each stretch is taken.
const POINTS_MAX: usize = 600;
const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 26.0;
/// Colours of the page, by series.
const COLOURS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What a chart's numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Counts or rates, from zero.
    Amount,
    /// Microseconds, each tenfold as far as the one before.
    Micros,
}

/// How the common axis is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Across {
    /// Seconds from the beginning.
    Seconds,
    /// Calls a second.
    Rate,
    /// Percentiles: each nine as far as the one before.
    Percentile,
}

/// A line.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

impl Series {
    pub(super) fn new(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self {
            name: name.to_owned(),
            points: points.into_iter().collect(),
        }
    }
}

/// A figure with its caption and the names of its lines.
pub(super) fn chart(caption: &str, unit: Unit, across: Across, all: &[Series]) -> String {
    let scale = Scale::new(unit, across, all);
    let mut svg = String::new();
    let mut push = |line: std::fmt::Arguments<'_>| {
        let written = svg.write_fmt(line);
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    let caption = escape(caption);
    push(format_args!(
        "<figure><figcaption>{caption}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{caption}\">"
    ));
    for (value, label) in scale.rows() {
        let y = scale.y(value);
        push(format_args!(
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0
        ));
    }
    for (value, label) in scale.columns() {
        let x = scale.x(value);
        push(format_args!(
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            HEIGHT - 8.0
        ));
    }
    for (series, colour) in all.iter().zip(COLOURS.iter().cycle()) {
        let path = path(&series.points, &scale);
        push(format_args!(
            "<path class=\"curve\" style=\"stroke:var(--{colour})\" d=\"{path}\">\
             <title>{}</title></path>",
            escape(&series.name)
        ));
    }
    push(format_args!("</svg><div>"));
    for (series, colour) in all.iter().zip(COLOURS.iter().cycle()) {
        push(format_args!(
            "<span class=\"key\"><i style=\"background:var(--{colour})\"></i>{}</span>",
            escape(&series.name)
        ));
    }
    push(format_args!("</div></figure>\n"));
    svg
}

fn path(points: &[(f64, f64)], scale: &Scale) -> String {
    let stride = points.len().div_ceil(POINTS_MAX).max(1);
    let mut text = String::new();
    for stretch in points.chunks(stride) {
        let highest = stretch
            .iter()
            .copied()
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        let Some((x, y)) = highest else {
            continue;
        };
        let letter = if text.is_empty() { 'M' } else { 'L' };
        let written = write!(text, "{letter}{:.1} {:.1}", scale.x(x), scale.y(y));
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
}

/// Where a value stands.
struct Scale {
    unit: Unit,
    across: Across,
    lowest: f64,
    highest: f64,
    begin: f64,
    end: f64,
}

impl Scale {
    fn new(unit: Unit, across: Across, all: &[Series]) -> Self {
        let points = || all.iter().flat_map(|series| series.points.iter());
        let highest = points().map(|(_, y)| *y).fold(0.0, f64::max);
        let least = points().map(|(_, y)| *y).filter(|y| *y > 0.0);
        let lowest = least.fold(f64::INFINITY, f64::min);
        let begin = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
        let end = points().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
        let (lowest, highest) = match unit {
            Unit::Amount => (0.0, (highest * 1.05).max(1.0)),
            Unit::Micros => {
                let lowest = if lowest.is_finite() { lowest } else { 100.0 };
                let low = 10_f64.powf(lowest.max(1.0).log10().floor());
                let high = 10_f64.powf(highest.max(10.0).log10().ceil());
                (low, high.max(low * 10.0))
            }
        };
        let (begin, end) = match across {
            Across::Percentile => (0.0, end.max(0.99)),
            Across::Seconds | Across::Rate if begin.is_finite() => {
                let begin = begin.min(0.0);
                (begin, end.max(begin + 1.0))
            }
            Across::Seconds | Across::Rate => (0.0, 1.0),
        };
        Self {
            unit,
            across,
            lowest,
            highest,
            begin,
            end,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let part = match self.unit {
            Unit::Amount => value / self.highest,
            Unit::Micros => {
                let value = value.max(self.lowest);
                (value / self.lowest).log10() / (self.highest / self.lowest).log10()
            }
        };
        TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - part.clamp(0.0, 1.0))
    }

    fn x(&self, value: f64) -> f64 {
        let (begin, end) = (self.place(self.begin), self.place(self.end));
        let part = (self.place(value) - begin) / (end - begin).max(1e-9);
        LEFT + (WIDTH - LEFT - RIGHT) * part.clamp(0.0, 1.0)
    }

    /// Percentiles stand as far right as they have nines.
    fn place(&self, value: f64) -> f64 {
        match self.across {
            Across::Percentile => -(1.0 - value.min(0.999_999)).log10(),
            Across::Seconds | Across::Rate => value,
        }
    }

    fn rows(&self) -> Vec<(f64, String)> {
        match self.unit {
            Unit::Amount => {
                let step = step(self.highest);
                let count = (self.highest / step).floor() as usize;
                (0..=count)
                    .map(|index| index as f64 * step)
                    .map(|value| (value, amount(value)))
                    .collect()
            }
            Unit::Micros => {
                let decades = (self.highest / self.lowest).log10().round() as i32;
                (0..=decades)
                    .map(|decade| self.lowest * 10_f64.powi(decade))
                    .map(|value| (value, micros(value)))
                    .collect()
            }
        }
    }

    fn columns(&self) -> Vec<(f64, String)> {
        match self.across {
            Across::Percentile => [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]
                .into_iter()
                .filter(|value| *value <= self.end + 1e-9)
                .map(|value| {
                    let text = format!("{:.3}", value * 100.0);
                    let text = text.trim_end_matches('0').trim_end_matches('.');
                    (value, format!("{text} %"))
                })
                .collect(),
            Across::Seconds | Across::Rate => {
                let step = step(self.end - self.begin);
                let count = ((self.end - self.begin) / step).floor() as usize;
                let unit = if self.across == Across::Seconds {
                    " s"
                } else {
                    ""
                };
                (0..=count)
                    .map(|index| self.begin + index as f64 * step)
                    .map(|value| (value, format!("{}{unit}", amount(value))))
                    .collect()
            }
        }
    }
}

/// A round distance between lines, so that there are about five.
fn step(span: f64) -> f64 {
    let raw = (span / 5.0).max(1e-6);
    let magnitude = 10_f64.powf(raw.log10().floor());
    let rounded = [1.0, 2.0, 5.0, 10.0].into_iter();
    let fits = |factor: &f64| factor * magnitude >= raw * 0.999;
    rounded.into_iter().find(fits).unwrap_or(10.0) * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_at_round_numbers() {
        for (span, expected) in [(1.0, 0.2), (9.0, 2.0), (480.0, 100.0), (12_000.0, 5_000.0)] {
            assert!(
                (step(span) - expected).abs() < 1e-9,
                "{span}: {}",
                step(span)
            );
        }
    }

    #[test]
    fn every_point_stays_in_its_frame() {
        let wild = [(0.0, 0.0), (1.0, 1e12), (2.0, 5.0), (1e9, 1.0)];
        for unit in [Unit::Amount, Unit::Micros] {
            let series = [Series::new("x < y", wild), Series::new("none", [])];
            let text = chart("a & b", unit, Across::Seconds, &series);
            assert!(text.contains("x &lt; y") && !text.contains("NaN") && !text.contains("inf"));
            let scale = Scale::new(unit, Across::Seconds, &series);
            for (x, y) in wild {
                assert!((LEFT..=WIDTH).contains(&scale.x(x)), "{x}");
                assert!((TOP..=HEIGHT).contains(&scale.y(y)), "{y}");
            }
        }
    }

    #[test]
    fn percentiles_are_spread_by_their_nines() {
        let series = [Series::new(
            "p",
            [(0.0, 10.0), (0.9, 100.0), (0.99, 1_000.0)],
        )];
        let scale = Scale::new(Unit::Micros, Across::Percentile, &series);
        let (start, nine, two) = (scale.x(0.0), scale.x(0.9), scale.x(0.99));
        assert!(
            ((nine - start) - (two - nine)).abs() < 0.5,
            "{start} {nine} {two}"
        );
        let text = chart("p", Unit::Micros, Across::Percentile, &series);
        assert!(text.contains(">99 %<"), "{text}");
    }

    #[test]
    fn long_series_are_thinned_to_their_peaks() {
        let mut points: Vec<(f64, f64)> = (0..6_000).map(|at| (f64::from(at), 1.0)).collect();
        points[3_333].1 = 9.0;
        let series = [Series::new("s", points)];
        let scale = Scale::new(Unit::Amount, Across::Seconds, &series);
        let path = path(&series[0].points, &scale);
        assert!(path.matches('L').count() < POINTS_MAX);
        assert!(
            path.contains(&format!(" {:.1}", scale.y(9.0))),
            "the peak stays"
        );
    }
}
