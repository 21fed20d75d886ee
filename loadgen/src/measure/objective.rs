//! What is demanded of a server, such as `p99(setup)<50ms && failed<0.01%`.

use std::time::Duration;

use super::times::{LONGEST, Times};
use crate::load::time;

/// Terms of one objective.
const TERMS_MAX: usize = 32;

/// What a term looks at.
#[derive(Debug, Clone, PartialEq)]
enum Measure {
    /// The time below which this part of all lies.
    Quantile(f64, String),
    Mean(String),
    Longest(String),
    /// The part of all calls that failed.
    Failed,
    /// Calls a second that ended well.
    Goodput,
}

/// One term.
#[derive(Debug, Clone, PartialEq)]
struct Term {
    measure: Measure,
    /// Whether what is found must be below the limit, or above it.
    is_below: bool,
    /// Whether it may be the limit itself.
    or_equal: bool,
    /// Microseconds, a part of one, or calls a second.
    limit: f64,
    text: String,
}

/// All that is demanded.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    terms: Vec<Term>,
    text: String,
}

/// What was found for one term.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The term, as it was written.
    pub text: String,
    /// What was found, in words.
    pub found: String,
    /// Whether that is enough.
    pub met: bool,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} (found {})", self.text, self.found)
    }
}

/// Where an objective finds what it looks at.
pub trait Readings {
    /// A latency by its name, from the intended moment; `None` if there is none of that name.
    fn latency(&self, name: &str) -> Option<&Times>;
    /// The part of all calls that failed.
    fn failed_part(&self) -> f64;
    /// Calls a second that ended well.
    fn goodput(&self) -> f64;
}

impl Objective {
    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of all latencies that it looks at.
    pub fn latencies(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().filter_map(|term| match &term.measure {
            Measure::Quantile(_, name) | Measure::Mean(name) | Measure::Longest(name) => {
                Some(name.as_str())
            }
            Measure::Failed | Measure::Goodput => None,
        })
    }

    /// Looks at every term.
    #[must_use]
    pub fn judge(&self, readings: &impl Readings) -> Vec<Finding> {
        self.terms.iter().map(|term| term.judge(readings)).collect()
    }
}

impl Term {
    fn judge(&self, readings: &impl Readings) -> Finding {
        let value = match &self.measure {
            Measure::Failed => Some(readings.failed_part()),
            Measure::Goodput => Some(readings.goodput()),
            Measure::Quantile(_, name) | Measure::Mean(name) | Measure::Longest(name) => {
                let times = readings.latency(name).filter(|times| times.count() > 0);
                times.map(|times| self.time_of(times))
            }
        };
        let met = value.is_some_and(|value| match (self.is_below, self.or_equal) {
            (true, true) => value <= self.limit,
            (true, false) => value < self.limit,
            (false, true) => value >= self.limit,
            (false, false) => value > self.limit,
        });
        let found = match (&self.measure, value) {
            (_, None) => "nothing measured".to_owned(),
            (Measure::Failed, Some(part)) => format!("{:.4} %", part * 100.0),
            (Measure::Goodput, Some(rate)) => format!("{rate:.1} calls/s"),
            (Measure::Quantile(..) | Measure::Mean(_) | Measure::Longest(_), Some(micros)) => {
                format!("{:.3} ms", micros / 1_000.0)
            }
        };
        Finding {
            text: self.text.clone(),
            found,
            met,
        }
    }

    fn time_of(&self, times: &Times) -> f64 {
        match &self.measure {
            Measure::Quantile(part, _) => times.quantile_us(*part) as f64,
            Measure::Mean(_) => times.mean_us().0,
            Measure::Longest(_) => times.max_us() as f64,
            Measure::Failed | Measure::Goodput => 0.0,
        }
    }
}

impl std::str::FromStr for Objective {
    type Err = String;

    /// Reads terms with `&&` between them: `p99(NAME)<50ms`, `mean(NAME)<…`, `max(NAME)<…`,
    /// `failed<0.01%`, `goodput>100`. NAME is that of a response time; `setup` is the first one.
    fn from_str(text: &str) -> Result<Self, String> {
        let terms: Vec<Term> = text.split("&&").map(term).collect::<Result<_, _>>()?;
        if terms.len() > TERMS_MAX {
            return Err(format!("write at most {TERMS_MAX} terms"));
        }
        let words: Vec<&str> = terms.iter().map(|term| term.text.as_str()).collect();
        let text = words.join(" && ");
        Ok(Self { terms, text })
    }
}

fn hint(text: &str) -> String {
    format!(
        "`{text}`: write terms such as p99(setup)<50ms, mean(setup)<10ms, max(setup)<1s, \
         failed<0.01% or goodput>100, with && between them"
    )
}

fn term(text: &str) -> Result<Term, String> {
    let text = text.trim();
    let fault = || hint(text);
    let place = text.find(['<', '>']).ok_or_else(fault)?;
    let (what, rest) = text.split_at(place);
    let is_below = rest.starts_with('<');
    let rest = &rest[1..];
    let (rest, or_equal) = rest
        .strip_prefix('=')
        .map_or((rest, false), |rest| (rest, true));
    let limit_text = rest.trim();
    let measure = measure(what.trim()).ok_or_else(fault)?;
    let limit = match &measure {
        Measure::Failed => {
            let number = limit_text.strip_suffix('%');
            let part: f64 = number
                .unwrap_or(limit_text)
                .trim()
                .parse()
                .map_err(|_| fault())?;
            if number.is_some() { part / 100.0 } else { part }
        }
        Measure::Goodput => limit_text.parse().map_err(|_| fault())?,
        Measure::Quantile(..) | Measure::Mean(_) | Measure::Longest(_) => {
            let limit: Duration = time(limit_text, 0.001).map_err(|_| fault())?;
            if limit >= LONGEST {
                return Err(format!("`{text}`: write a time below a day"));
            }
            limit.as_secs_f64() * 1e6
        }
    };
    if !limit.is_finite() || limit < 0.0 {
        return Err(fault());
    }
    Ok(Term {
        measure,
        is_below,
        or_equal,
        limit,
        text: text.split_whitespace().collect(),
    })
}

fn measure(text: &str) -> Option<Measure> {
    match text {
        "failed" | "fail" => return Some(Measure::Failed),
        "goodput" => return Some(Measure::Goodput),
        _ => {}
    }
    let (kind, name) = text.split_once('(')?;
    let name = name.strip_suffix(')')?.trim().to_owned();
    match kind.trim() {
        "mean" => Some(Measure::Mean(name)),
        "max" => Some(Measure::Longest(name)),
        percentile => {
            let number: f64 = percentile.strip_prefix('p')?.parse().ok()?;
            let is_percent = (0.0..=100.0).contains(&number);
            is_percent.then(|| Measure::Quantile(number / 100.0, name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Found(Times, f64);

    impl Readings for Found {
        fn latency(&self, name: &str) -> Option<&Times> {
            (name == "setup").then_some(&self.0)
        }
        fn failed_part(&self) -> f64 {
            self.1
        }
        fn goodput(&self) -> f64 {
            100.0
        }
    }

    fn found(failed: f64) -> Found {
        let mut times = Times::default();
        for millis in 1..=100 {
            times.record(Duration::from_millis(millis));
        }
        Found(times, failed)
    }

    #[test]
    fn every_term_is_judged_by_itself() {
        for (text, expected) in [
            ("p99(setup)<100ms && failed<0.01%", vec![true, true]),
            ("p99(setup)<50ms && failed < 0.01 %", vec![false, true]),
            ("mean(setup)<=51ms&&max(setup)<1s", vec![true, true]),
            ("goodput>=100", vec![true]),
            ("goodput>100", vec![false]),
            ("p50(other)<1s", vec![false]),
            ("p99.9(setup) < 0:00:01", vec![true]),
        ] {
            let objective: Objective = text.parse().expect(text);
            let findings = objective.judge(&found(0.0));
            let met: Vec<bool> = findings.iter().map(|finding| finding.met).collect();
            assert_eq!(met, expected, "{text}");
        }
        let objective: Objective = "failed<0.01%".parse().expect("a good one");
        let finding = &objective.judge(&found(0.5))[0];
        assert_eq!(finding.to_string(), "failed<0.01% (found 50.0000 %)");
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in [
            "",
            "p99<50ms",
            "p999(setup)<1s",
            "fast",
            "failed<x",
            "p99(setup)<soon",
            "<",
        ] {
            let fault = text.parse::<Objective>().expect_err(text);
            assert!(fault.contains("p99(setup)<50ms"), "{fault}");
        }
    }
}
