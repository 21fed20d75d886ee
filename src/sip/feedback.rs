//! Overload control (RFC 7339): what a response says in the Via of a client that has asked for it,
//! by the algorithm `loss`, which everybody has who has any; as server and as client.

use std::fmt;
use std::time::Duration;

use super::via::Via;
use crate::limits::PEER_FEEDBACK_VALIDITY;

/// How much less a client should send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback {
    /// Of a hundred new requests so many should not be sent.
    pub loss_percent: u8,
    /// For how long.
    pub validity: Duration,
    /// What time it is, so that what was said later, by whatever process, is known as such.
    pub sequence: Duration,
}

/// What our Via says where we can follow (§4.1, §4.2).
pub(crate) const ASKS: &str = ";oc;oc-algo=\"loss\"";

impl Feedback {
    /// What a response says to us in our own Via; `None` if it says nothing that we can follow.
    #[must_use]
    pub fn told(via: &Via<'_>) -> Option<Self> {
        let loss_percent = via.overload()??;
        let loss_percent = number(loss_percent).filter(|percent| *percent <= 100)?;
        let algorithm = via.parameters.value("oc-algo");
        if !algorithm.is_none_or(names_loss) {
            return None;
        }
        let validity = match via.parameters.value("oc-validity") {
            Some(millis) => Duration::from_millis(number(millis)?),
            None => PEER_FEEDBACK_VALIDITY,
        };
        Some(Self {
            loss_percent: u8::try_from(loss_percent).ok()?,
            validity,
            sequence: sequence(via.parameters.value("oc-seq")?)?,
        })
    }
}

/// §4.4: digits, and where there is a point up to five more after it.
fn sequence(text: &str) -> Option<Duration> {
    let (seconds, rest) = text.split_once('.').unwrap_or((text, "0"));
    if rest.len() > 5 {
        return None;
    }
    let parts = number(rest)? * 10_u64.pow(9 - u32::try_from(rest.len()).ok()?);
    Some(Duration::new(number(seconds)?, u32::try_from(parts).ok()?))
}

/// Up to twelve digits and nothing else.
fn number(digits: &str) -> Option<u64> {
    let is_number =
        (1..=12).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

fn names_loss(algorithms: &str) -> bool {
    let mut algorithms = algorithms.split(',');
    algorithms.any(|algorithm| algorithm.trim().eq_ignore_ascii_case("loss"))
}

/// The parameters that tell of it, or ask for it.
pub(super) const PARAMETERS: [&str; 4] = ["oc", "oc-algo", "oc-validity", "oc-seq"];

/// As it stands in a Via (§4).
impl fmt::Display for Feedback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loss, validity) = (self.loss_percent, self.validity.as_millis());
        let (seconds, parts) = (self.sequence.as_secs(), self.sequence.subsec_micros() / 10);
        write!(
            formatter,
            ";oc={loss};oc-algo=\"loss\";oc-validity={validity};oc-seq={seconds}.{parts:05}"
        )
    }
}

/// Whether whoever wrote this Via wants to hear of overload, and can follow (§4.1, §4.2).
pub(super) fn is_wanted(via: &Via<'_>) -> bool {
    let algorithms = || via.parameters.value("oc-algo");
    via.overload() == Some(None) && algorithms().is_some_and(names_loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_response_says_is_read_by_the_grammar_or_not_at_all() {
        let told = |parameters: &str| {
            let via = format!("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa{parameters}");
            Feedback::told(&Via::parse(via.as_bytes()).expect("a Via"))
        };
        let all = ";oc=20;oc-algo=\"loss\";oc-validity=1000;oc-seq=1282321615.782";
        let expected = Feedback {
            loss_percent: 20,
            validity: Duration::from_secs(1),
            sequence: Duration::from_millis(1_282_321_615_782),
        };
        assert_eq!(told(all), Some(expected));
        // What we say as a server is what we understand as a client.
        assert_eq!(told(&expected.to_string()), Some(expected));
        let short = told(";oc=0;oc-seq=7").expect("enough is said");
        assert_eq!(short.validity, PEER_FEEDBACK_VALIDITY);
        assert_eq!(short.sequence, Duration::from_secs(7));
        for none in [
            "",
            ASKS,
            ";oc=20;oc-algo=\"loss\"",
            ";oc=101;oc-algo=\"loss\";oc-seq=1.1",
            ";oc=-1;oc-algo=\"loss\";oc-seq=1.1",
            ";oc=20;oc-algo=\"rate\";oc-seq=1.1",
            ";oc=20;oc-algo=\"loss\";oc-validity=x;oc-seq=1.1",
            ";oc=20;oc-algo=\"loss\";oc-validity=1;oc-seq=1.123456",
            ";oc=20;oc-algo=\"loss\";oc-validity=1;oc-seq=.1",
            ";oc=20;oc-algo=\"loss\";oc-validity=1;oc-seq=1234567890123",
        ] {
            assert_eq!(told(none), None, "{none}");
        }
    }
}
