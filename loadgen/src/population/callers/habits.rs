//! How callers behave: what they dial, how long they wait, how long they talk.

use std::time::Duration;

use crate::population::random::{Random, Span};
use crate::population::session::Replaces;

/// How often somebody tries again.
const REDIALS_MAX: usize = 10;

/// What one caller does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallPlan {
    /// What is dialled.
    pub number: String,
    /// Whether the INVITE has an offer; without one the 2xx brings it (UCM's default).
    pub early_offer: bool,
    /// Time to the CANCEL when nobody has answered; `None` waits for ever.
    pub patience: Option<Duration>,
    /// Seconds of the INVITE's Expires header.
    pub expires: Option<u32>,
    /// Time from the answer to the caller's BYE; `None` leaves it to the other side.
    pub hang_up_after: Option<Duration>,
    /// Time from the answer to a hold; the call is resumed after as long again.
    pub hold_after: Option<Duration>,
    /// An INVITE without final response for so long is lost.
    pub final_within: Duration,
    /// The dialog that the call shall take the place of (RFC 3891).
    pub replaces: Option<Replaces>,
    /// Waits before the caller tries again after having given up or been refused, the next one
    /// last.
    pub redials: Vec<Duration>,
}

impl CallPlan {
    /// A patient caller without an offer of its own, who leaves the end to the other side.
    #[must_use]
    pub fn to(number: &str) -> Self {
        Self {
            number: number.to_owned(),
            early_offer: false,
            patience: None,
            expires: Some(180),
            hang_up_after: None,
            hold_after: None,
            final_within: Duration::from_secs(300),
            replaces: None,
            redials: Vec::new(),
        }
    }

    /// The wait before the next try, and that try; `None` if there is none.
    pub(super) fn redial(&self) -> Option<(Duration, Self)> {
        let mut plan = self.clone();
        let wait = plan.redials.pop()?;
        Some((wait, plan))
    }

    /// The same caller with an offer in the INVITE.
    #[must_use]
    pub fn with_offer(self) -> Self {
        Self {
            early_offer: true,
            ..self
        }
    }

    /// The same caller, who hangs up so long after the answer.
    #[must_use]
    pub fn talks_for(self, length: Duration) -> Self {
        Self {
            hang_up_after: Some(length),
            ..self
        }
    }

    /// The same caller, who gives up after so long.
    #[must_use]
    pub fn waits_for(self, patience: Duration) -> Self {
        Self {
            patience: Some(patience),
            ..self
        }
    }
}

/// From what callers are drawn. Chances are of one call, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct CallerHabits {
    /// What is dialled, each number as often as any other; at least one.
    pub numbers: Vec<String>,
    /// Chance of an offer in the INVITE.
    pub early_offer: f64,
    /// How long callers wait for an answer.
    pub patience: Span,
    /// Chance of a caller with little patience, and how long that is.
    pub impatient: (f64, Span),
    /// Seconds of the INVITE's Expires header.
    pub expires: Option<u32>,
    /// Time from the answer to the caller's BYE.
    pub talking: Span,
    /// Chance that the caller puts the call on hold once and resumes.
    pub holds: f64,
    /// Chance of another try after having given up or been refused, and the wait before it.
    pub redials: (f64, Span),
}

impl CallerHabits {
    /// Patient callers of one number, half of them with an offer.
    #[must_use]
    pub fn of(number: &str) -> Self {
        Self {
            numbers: vec![number.to_owned()],
            early_offer: 0.5,
            patience: Span::milliseconds(60_000, 120_000),
            impatient: (0.0, Span::milliseconds(10, 1_000)),
            expires: Some(180),
            talking: Span::milliseconds(1_000, 5_000),
            holds: 0.0,
            redials: (0.0, Span::milliseconds(1_000, 60_000)),
        }
    }

    /// Draws a caller.
    ///
    /// # Panics
    /// Without a number to dial.
    #[must_use]
    pub fn plan(&self, random: &mut Random) -> CallPlan {
        assert!(!self.numbers.is_empty(), "callers have a number to dial");
        let pick = usize::try_from(random.below(self.numbers.len() as u64)).unwrap_or(0);
        let (early, hasty) = (
            random.chance(self.early_offer),
            random.chance(self.impatient.0),
        );
        let patience = random.within(if hasty {
            self.impatient.1
        } else {
            self.patience
        });
        let talking = random.within(self.talking);
        let holds = random.chance(self.holds);
        let mut redials = Vec::new();
        while redials.len() < REDIALS_MAX && random.chance(self.redials.0) {
            redials.push(random.within(self.redials.1));
        }
        CallPlan {
            number: self.numbers[pick].clone(),
            early_offer: early,
            patience: Some(patience),
            expires: self.expires,
            hang_up_after: Some(talking),
            hold_after: holds.then_some(talking / 4),
            final_within: Duration::from_secs(300),
            replaces: None,
            redials,
        }
    }
}

/// When callers call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrivals {
    /// Mean time between two calls.
    pub every: Duration,
    /// Whether they come independently of each other (Poisson), or evenly.
    pub random: bool,
}

impl Arrivals {
    /// Calls that come independently, so many a second on average.
    ///
    /// # Panics
    /// When the rate is not above zero.
    #[must_use]
    pub fn per_second(rate: f64) -> Self {
        assert!(rate > 0.0, "a rate is above zero");
        Self {
            every: Duration::from_secs_f64(1.0 / rate),
            random: true,
        }
    }

    pub(super) fn gap(self, random: &mut Random) -> Duration {
        if self.random {
            random.gap(self.every)
        } else {
            self.every
        }
    }
}
