//! Plans as people write them: `100`, `10..100/30s`, several of them with commas between, or one
//! of the words `ramp`, `steps`, `spike` and `file`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::arrivals::Spacing;
use super::shape::{Segment, Shape};

/// Stretches of one plan.
const SEGMENTS_MAX: usize = 100_000;
/// Moments of a file.
const MOMENTS_MAX: usize = 50_000_000;
/// Arrivals a second.
const RATE_MAX: f64 = 10_000_000.0;

/// When things arrive.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// At a rate that changes with time.
    Shaped {
        /// How it changes.
        shape: Shape,
        /// How far apart arrivals are.
        spacing: Spacing,
    },
    /// At given moments after the beginning, in their order.
    Listed(Arc<[Duration]>),
}

/// What a text asks for: a shape, or a file that holds the moments.
#[derive(Debug, Clone, PartialEq)]
pub enum Moments {
    /// A shape.
    Shape(Shape),
    /// A file to be read and given to [`Plan::listed`].
    File(PathBuf),
}

impl Plan {
    /// Always the same rate.
    #[must_use]
    pub fn constant(rate: f64, spacing: Spacing) -> Self {
        Self::Shaped {
            shape: Shape::constant(rate),
            spacing,
        }
    }

    /// The moments of a file: a number of seconds a line, none before the one above it, `#` before
    /// remarks.
    ///
    /// # Errors
    /// Which line is wrong, and how.
    pub fn listed(text: &str) -> Result<Self, String> {
        let mut moments: Vec<Duration> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let fault = |what: &str| format!("line {}: `{line}` {what}", index + 1);
            let seconds: f64 = line.parse().map_err(|_| fault("is no number of seconds"))?;
            let at = Duration::try_from_secs_f64(seconds)
                .map_err(|_| fault("is no time after the beginning"))?;
            if moments.last().is_some_and(|last| *last > at) {
                return Err(fault("lies before the line above it"));
            }
            if moments.len() == MOMENTS_MAX {
                return Err(format!("it has more than {MOMENTS_MAX} lines"));
            }
            moments.push(at);
        }
        if moments.is_empty() {
            return Err("it has no line with a number of seconds".to_owned());
        }
        Ok(Self::Listed(moments.into()))
    }
}

impl std::str::FromStr for Moments {
    type Err = String;

    /// Reads `RATE`, `RATE/TIME`, `RATE..RATE/TIME`, several with commas between them, or
    /// `ramp:FROM..TO/TIME`, `steps:RATE,RATE,…/TIME`, `spike:RATE,PEAK/CALM,BURST`, `file:PATH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(path.into()));
        }
        let shape = if let Some(rest) = text.strip_prefix("steps:") {
            let (rates, length) = rest.rsplit_once('/').ok_or_else(hint)?;
            let rates: Vec<f64> = rates.split(',').map(rate).collect::<Result<_, _>>()?;
            Shape::steps(&rates, length_of(length)?)
        } else if let Some(rest) = text.strip_prefix("spike:") {
            let (rates, lengths) = rest.split_once('/').ok_or_else(hint)?;
            let (base, peak) = rates.split_once(',').ok_or_else(hint)?;
            let (calm, burst) = lengths.split_once(',').ok_or_else(hint)?;
            Shape::spike(
                rate(base)?,
                rate(peak)?,
                length_of(calm)?,
                length_of(burst)?,
            )
        } else {
            let is_ramp = text.starts_with("ramp:");
            let shape = segments(text.strip_prefix("ramp:").unwrap_or(text))?;
            match shape.segment(0) {
                Some(only) if is_ramp => {
                    let rate = only.to;
                    shape.and_then(rate)
                }
                Some(_) | None => shape,
            }
        };
        Ok(Self::Shape(shape))
    }
}

fn segments(text: &str) -> Result<Shape, String> {
    let mut segments = Vec::new();
    let mut after = None;
    for word in text.split(',') {
        if after.is_some() {
            return Err(
                "only the last rate of a plan may be without a time: write RATE/TIME".to_owned(),
            );
        }
        let Some((rates, length)) = word.split_once('/') else {
            after = Some(rate(word)?);
            continue;
        };
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        segments.push(Segment {
            length: length_of(length)?,
            from: rate(from)?,
            to: rate(to)?,
        });
    }
    if segments.len() > SEGMENTS_MAX {
        return Err(format!("a plan has at most {SEGMENTS_MAX} stretches"));
    }
    let shape = Shape::new(segments);
    Ok(match after {
        Some(rate) => shape.and_then(rate),
        None => shape,
    })
}

fn hint() -> String {
    "write a plan such as 100, 10..100/30s,100/1m, steps:10,20,50/10s, spike:10,200/20s,2s or \
     file:PATH"
        .to_owned()
}

fn rate(text: &str) -> Result<f64, String> {
    let found = text.trim().parse::<f64>().ok();
    let found = found.filter(|rate| (0.0..=RATE_MAX).contains(rate));
    found.ok_or_else(|| format!("`{text}` is no rate; {}", hint()))
}

fn length_of(text: &str) -> Result<Duration, String> {
    let length = time(text.trim(), 1.0)?;
    if length.is_zero() {
        return Err(format!("`{text}`: write a time above zero"));
    }
    Ok(length)
}

/// The longest time that may be given: a year.
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A time as people write it: a number with a unit, or `hours:minutes:seconds`; a bare number
/// counts units of `unit_default` seconds.
///
/// # Errors
/// What to write instead.
pub fn time(text: &str, unit_default: f64) -> Result<Duration, String> {
    let hint = || format!("`{text}` is no time such as 500ms, 30s, 2m, 1h or 1:30:00");
    let seconds = if text.contains(':') {
        let mut total = 0.0;
        for part in text.split(':') {
            let number: f64 = part.parse().map_err(|_| hint())?;
            total = total * 60.0 + number;
        }
        total
    } else {
        let end = text.find(|letter: char| letter.is_ascii_alphabetic());
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let factor = match unit {
            "" => unit_default,
            "us" => 0.000_001,
            "ms" => 0.001,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            _ => return Err(hint()),
        };
        number.parse::<f64>().map_err(|_| hint())? * factor
    };
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| hint())?;
    if time > TIME_MAX {
        return Err("write a time of at most a year".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::super::arrivals::Arrivals;
    use super::*;

    fn shape(text: &str) -> Shape {
        match text.parse() {
            Ok(Moments::Shape(shape)) => shape,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn plans_are_read_as_people_write_them() {
        let seconds = Duration::from_secs;
        assert_eq!(shape("100"), Shape::constant(100.0));
        assert_eq!(shape("ramp:1..9/2s"), Shape::ramp(1.0, 9.0, seconds(2)));
        assert_eq!(
            shape("steps:1,2,3/5"),
            Shape::steps(&[1.0, 2.0, 3.0], seconds(5))
        );
        assert_eq!(
            shape("spike:1,50/1m,2s"),
            Shape::spike(1.0, 50.0, seconds(60), seconds(2))
        );
        let mixed = shape("0..10/10s, 10/1m,5");
        assert_eq!(mixed.rate_at(seconds(5)), 5.0);
        assert_eq!(
            (mixed.rate_at(seconds(69)), mixed.rate_at(seconds(99))),
            (10.0, 5.0)
        );
        assert_eq!("file:a b".parse(), Ok(Moments::File("a b".into())));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in [
            "",
            "fast",
            "-1",
            "1,2/3s",
            "1/0s",
            "steps:1,2",
            "spike:1/2s",
            "1/soon",
            "NaN",
        ] {
            let fault = text.parse::<Moments>().expect_err(text);
            assert!(
                fault.contains("write") || fault.contains("is no"),
                "{text}: {fault}"
            );
        }
    }

    #[test]
    fn a_file_gives_its_moments() {
        let plan = Plan::listed("# warm up\n0\n0.25\n\n0.25 # twice\n3e0\n").expect("a good file");
        let millis: Vec<u128> = Arrivals::new(&plan, 0)
            .map(|one| one.at.as_millis())
            .collect();
        assert_eq!(millis, [0, 250, 250, 3_000]);
        for (text, words) in [
            ("1\n0.5\n", "line 2: `0.5` lies before"),
            ("soon", "line 1: `soon` is no number"),
            ("-1", "is no time after"),
            ("#\n", "no line"),
        ] {
            let fault = Plan::listed(text).expect_err(text);
            assert!(fault.contains(words), "{fault}");
        }
    }
}
