//! Times and their distributions as people write them: `3s`, `1s..5s`, `exponential(3m)`,
//! `lognormal(3m, 0.5) in 10s..30m`.

use std::time::Duration;

use crate::population::Span;
use crate::scenario::distribution::Distribution;

/// The longest time in a profile.
pub(super) const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// What may be written.
const HINT: &str = "write a time such as 3s, a range such as 1s..5s, or exponential(MEAN), \
                    normal(MEAN, DEVIATION), lognormal(MEDIAN, SIGMA), gamma(SHAPE, SCALE), \
                    weibull(SCALE, SHAPE), pareto(LEAST, SHAPE), each with `in LOW..HIGH` if \
                    wanted";

/// Reads `500ms`, `3s`, `1.5m`, `2h`; a bare number is seconds.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let hint = || format!("`{text}` is no time; write one such as 500ms, 30s, 2m or 1h");
    let text = text.trim();
    let end = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(hint()),
    };
    let seconds: f64 = number.trim().parse().map_err(|_| hint())?;
    let time = Duration::try_from_secs_f64(seconds * factor).map_err(|_| hint())?;
    if time > TIME_MAX {
        return Err("write a time of at most seven days".to_owned());
    }
    Ok(time)
}

/// Reads a length of time that is drawn.
pub(super) fn span(text: &str) -> Result<Span, String> {
    let (shape, within) = match text.split_once(" in ") {
        Some((shape, within)) => (shape, Some(range(within)?)),
        None => (text, None),
    };
    let (low, high) = within.unwrap_or((Duration::ZERO, TIME_MAX));
    let Some((name, inner)) = shape.trim().split_once('(') else {
        if within.is_some() {
            return Err(HINT.to_owned());
        }
        return match shape.split_once("..") {
            Some(_) => range(shape).map(|(low, high)| Span::between(low, high)),
            None => time(shape).map(Span::exactly),
        };
    };
    let inner = inner.trim().strip_suffix(')').ok_or(HINT)?;
    let words: Vec<&str> = inner.split(',').map(str::trim).collect();
    let seconds = |word: &str| time(word).map(|time| time.as_secs_f64());
    let plain = |word: &str| word.parse::<f64>().map_err(|_| HINT.to_owned());
    let (name, parameters) = match (name.trim(), &words[..]) {
        ("exponential", [mean]) => ("exponential", vec![("mean", seconds(mean)?)]),
        ("normal", [mean, deviation]) => (
            "normal",
            vec![("mean", seconds(mean)?), ("stdev", seconds(deviation)?)],
        ),
        ("lognormal", [median, sigma]) => {
            let median = seconds(median)?;
            if median <= 0.0 {
                return Err(HINT.to_owned());
            }
            (
                "lognormal",
                vec![("mean", median.ln()), ("stdev", plain(sigma)?)],
            )
        }
        ("gamma", [shape, scale]) => (
            "gamma",
            vec![("k", plain(shape)?), ("theta", seconds(scale)?)],
        ),
        ("weibull", [scale, shape]) => (
            "weibull",
            vec![("lambda", seconds(scale)?), ("k", plain(shape)?)],
        ),
        ("pareto", [least, shape]) => (
            "pareto",
            vec![("x_m", seconds(least)?), ("k", plain(shape)?)],
        ),
        _ => return Err(HINT.to_owned()),
    };
    let find = |word: &str| {
        let found = parameters.iter().find(|(name, _)| *name == word);
        found.map(|(_, value)| *value)
    };
    let distribution = Distribution::new(name, find).map_err(|_| HINT.to_owned())?;
    Ok(Span::drawn(distribution, low, high))
}

fn range(text: &str) -> Result<(Duration, Duration), String> {
    let (low, high) = text.split_once("..").ok_or(HINT)?;
    let (low, high) = (time(low)?, time(high)?);
    if low > high {
        return Err("write a range that rises, such as 1s..5s".to_owned());
    }
    Ok((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::Random;

    fn mean(text: &str) -> f64 {
        let span = span(text).expect(text);
        let mut random = Random::new(7, 7);
        let total: Duration = (0..20_000).map(|_| random.within(span)).sum();
        total.as_secs_f64() / 20_000.0
    }

    #[test]
    fn lengths_have_the_means_that_their_words_promise() {
        for (text, wanted) in [
            ("3s", 3.0),
            ("1s..5s", 3.0),
            ("500ms..1500ms", 1.0),
            ("exponential(2m)", 120.0),
            ("normal(60s, 5s)", 60.0),
            ("lognormal(10s, 0.1)", 10.05),
            ("gamma(2, 5s)", 10.0),
            ("weibull(3s, 1)", 3.0),
            ("pareto(4s, 5)", 5.0),
            ("exponential(10s) in 10s..10s", 10.0),
        ] {
            let found = mean(text);
            assert!((found - wanted).abs() < wanted * 0.05, "{text}: {found}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in [
            "",
            "soon",
            "3x",
            "-1s",
            "5s..1s",
            "8d",
            "200h",
            "normal(3s)",
            "bell(3s)",
            "lognormal(0s, 1)",
            "weibull(3s, 0)",
            "exponential(3s",
            "3s in 1s..2s",
        ] {
            let fault = span(text).expect_err(text);
            assert!(fault.contains("write"), "{text}: {fault}");
        }
    }
}
