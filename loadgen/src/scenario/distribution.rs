//! The distributions of pauses and samples, drawn from a seeded stream.

use crate::population::Random;

/// A distribution with its parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Distribution {
    Fixed(f64),
    Uniform {
        low: f64,
        high: f64,
    },
    Normal {
        mean: f64,
        deviation: f64,
    },
    LogNormal {
        mean: f64,
        deviation: f64,
    },
    Exponential {
        mean: f64,
    },
    Weibull {
        lambda: f64,
        k: f64,
    },
    Pareto {
        k: f64,
        minimum: f64,
    },
    GeneralPareto {
        shape: f64,
        scale: f64,
        location: f64,
    },
    Gamma {
        k: f64,
        theta: f64,
    },
    NegativeBinomial {
        probability: f64,
        successes: f64,
    },
}

/// Attempts of methods that reject draws; each succeeds more often than not.
const ATTEMPTS_MAX: u32 = 1_000;

impl Distribution {
    /// Builds a distribution from its name and a look-up of its parameters.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub(crate) fn new(name: &str, parameter: impl Fn(&str) -> Option<f64>) -> Result<Self, String> {
        let needed = |word: &str| {
            parameter(word)
                .ok_or_else(|| format!("the distribution {name} needs {word}=\"NUMBER\""))
        };
        let built = match name {
            "fixed" => Self::Fixed(needed("value")?),
            "uniform" => {
                let (low, high) = (needed("min")?, needed("max")?);
                Self::Uniform { low, high }
            }
            "normal" | "lognormal" => {
                let (mean, deviation) = (needed("mean")?, needed("stdev")?);
                if name == "normal" {
                    Self::Normal { mean, deviation }
                } else {
                    Self::LogNormal { mean, deviation }
                }
            }
            "exponential" => Self::Exponential {
                mean: needed("mean")?,
            },
            "weibull" => Self::Weibull {
                lambda: needed("lambda")?,
                k: needed("k")?,
            },
            "pareto" => Self::Pareto {
                k: needed("k")?,
                minimum: needed("x_m")?,
            },
            "gpareto" => Self::GeneralPareto {
                shape: needed("shape")?,
                scale: needed("scale")?,
                location: needed("location")?,
            },
            "gamma" => Self::Gamma {
                k: needed("k")?,
                theta: needed("theta")?,
            },
            "negbin" => Self::NegativeBinomial {
                probability: needed("p")?,
                successes: needed("n")?,
            },
            _ => return Err(format!("there is no distribution {name}")),
        };
        if built.is_possible() {
            Ok(built)
        } else {
            Err(format!(
                "the parameters of the distribution {name} are not possible"
            ))
        }
    }

    fn is_possible(self) -> bool {
        match self {
            Self::Fixed(_) => true,
            Self::Uniform { low, high } => low <= high,
            Self::Normal { deviation, .. } | Self::LogNormal { deviation, .. } => deviation >= 0.0,
            Self::Exponential { mean } => mean >= 0.0,
            Self::Weibull { lambda, k } => lambda > 0.0 && k > 0.0,
            Self::Pareto { k, minimum } => k > 0.0 && minimum > 0.0,
            Self::GeneralPareto { scale, .. } => scale > 0.0,
            Self::Gamma { k, theta } => k > 0.0 && theta > 0.0,
            Self::NegativeBinomial {
                probability,
                successes,
            } => probability > 0.0 && probability <= 1.0 && successes > 0.0,
        }
    }

    /// Draws a number.
    pub(crate) fn sample(self, random: &mut Random) -> f64 {
        match self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => low + (high - low) * random.fraction(),
            Self::Normal { mean, deviation } => mean + deviation * normal(random),
            Self::LogNormal { mean, deviation } => (mean + deviation * normal(random)).exp(),
            Self::Exponential { mean } => mean * -above_zero(random).ln(),
            Self::Weibull { lambda, k } => lambda * (-above_zero(random).ln()).powf(1.0 / k),
            Self::Pareto { k, minimum } => minimum * above_zero(random).powf(-1.0 / k),
            Self::GeneralPareto {
                shape,
                scale,
                location,
            } => {
                let draw = above_zero(random);
                if shape.abs() < f64::EPSILON {
                    location - scale * draw.ln()
                } else {
                    location + scale * (draw.powf(-shape) - 1.0) / shape
                }
            }
            Self::Gamma { k, theta } => theta * gamma(k, random),
            Self::NegativeBinomial {
                probability,
                successes,
            } => {
                // A Poisson process whose rate is drawn from a gamma distribution.
                let rate = gamma(successes, random) * (1.0 - probability) / probability;
                poisson(rate, random)
            }
        }
    }

    /// A number to show for the whole: the mean or something near it.
    pub(crate) fn middle(self) -> f64 {
        match self {
            Self::Fixed(value) => value,
            Self::Uniform { low, high } => f64::midpoint(low, high),
            Self::Normal { mean, .. } | Self::Exponential { mean } => mean,
            Self::LogNormal { mean, .. } => mean.exp(),
            Self::Weibull { lambda, .. } => lambda,
            Self::Pareto { minimum, .. } => minimum,
            Self::GeneralPareto {
                location, scale, ..
            } => location + scale,
            Self::Gamma { k, theta } => k * theta,
            Self::NegativeBinomial {
                probability,
                successes,
            } => successes * (1.0 - probability) / probability,
        }
    }
}

/// Above zero, at most one.
fn above_zero(random: &mut Random) -> f64 {
    1.0 - random.fraction()
}

/// Mean zero, deviation one (Box and Muller).
fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * above_zero(random).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.fraction()).cos()
}

/// Shape `k`, scale one (Marsaglia and Tsang).
fn gamma(k: f64, random: &mut Random) -> f64 {
    let (shape, boost) = if k < 1.0 {
        (k + 1.0, above_zero(random).powf(1.0 / k))
    } else {
        (k, 1.0)
    };
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    for _ in 0..ATTEMPTS_MAX {
        let draw = normal(random);
        let cube = (1.0 + c * draw).powi(3);
        if cube > 0.0 {
            let accepted = above_zero(random).ln();
            if accepted < 0.5 * draw * draw + d - d * cube + d * cube.ln() {
                return d * cube * boost;
            }
        }
    }
    shape * boost
}

fn poisson(rate: f64, random: &mut Random) -> f64 {
    /// Above it the normal distribution is as good.
    const COUNTED_MAX: f64 = 500.0;
    if rate > COUNTED_MAX {
        return (rate + rate.sqrt() * normal(random)).round().max(0.0);
    }
    let limit = (-rate).exp();
    let (mut count, mut product) = (0.0, above_zero(random));
    while product > limit {
        count += 1.0;
        product *= above_zero(random);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(name: &str, parameters: &[(&str, f64)]) -> f64 {
        let find = |word: &str| {
            let found = parameters.iter().find(|(name, _)| *name == word);
            found.map(|(_, value)| *value)
        };
        let distribution = Distribution::new(name, find).expect("a good distribution");
        let mut random = Random::new(3, 1);
        let total: f64 = (0..40_000).map(|_| distribution.sample(&mut random)).sum();
        total / 40_000.0
    }

    fn is_near(value: f64, wanted: f64) {
        assert!(
            (value - wanted).abs() < wanted * 0.04,
            "{value} is not {wanted}"
        );
    }

    #[test]
    fn every_distribution_has_its_mean() {
        is_near(mean("fixed", &[("value", 7.0)]), 7.0);
        is_near(mean("uniform", &[("min", 10.0), ("max", 20.0)]), 15.0);
        is_near(mean("normal", &[("mean", 60.0), ("stdev", 15.0)]), 60.0);
        is_near(
            mean("lognormal", &[("mean", 2.0), ("stdev", 0.5)]),
            (2.125_f64).exp(),
        );
        is_near(mean("exponential", &[("mean", 900.0)]), 900.0);
        is_near(mean("weibull", &[("lambda", 3.0), ("k", 1.0)]), 3.0);
        is_near(mean("pareto", &[("k", 5.0), ("x_m", 4.0)]), 5.0);
        let general = [("shape", 0.1), ("scale", 9.0), ("location", 2.0)];
        is_near(mean("gpareto", &general), 12.0);
        is_near(mean("gamma", &[("k", 3.0), ("theta", 2.0)]), 6.0);
        is_near(mean("gamma", &[("k", 0.5), ("theta", 8.0)]), 4.0);
        is_near(mean("negbin", &[("p", 0.25), ("n", 4.0)]), 12.0);
    }

    #[test]
    fn what_is_missing_or_impossible_is_said() {
        let none = |_: &str| None;
        let refused = |name| Distribution::new(name, none).expect_err("nothing is given");
        assert!(refused("gamma").contains("needs k="));
        assert!(refused("bell").contains("no distribution bell"));
        let negative = Distribution::new("exponential", |_| Some(-1.0));
        assert!(negative.expect_err("below zero").contains("not possible"));
    }
}
