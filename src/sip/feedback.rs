//! Overload control (RFC 7339): what a response says in the Via of a client that has asked for it,
//! by the algorithm `loss`, which everybody has who has any.

use std::fmt;
use std::time::Duration;

use super::via::Via;

/// How much less a client should send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feedback {
    /// Of a hundred new requests so many should not be sent.
    pub loss_percent: u8,
    /// For how long.
    pub validity: Duration,
    /// It rises, so that what was said later is known as such.
    pub sequence: Duration,
}

/// The parameters that tell of it, or ask for it.
pub(super) const PARAMETERS: [&str; 4] = ["oc", "oc-algo", "oc-validity", "oc-seq"];

/// As it stands in a Via (§4).
impl fmt::Display for Feedback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loss, validity) = (self.loss_percent, self.validity.as_millis());
        let (seconds, millis) = (self.sequence.as_secs(), self.sequence.subsec_millis());
        write!(
            formatter,
            ";oc={loss};oc-algo=\"loss\";oc-validity={validity};oc-seq={seconds}.{millis:03}"
        )
    }
}

/// Whether whoever wrote this Via wants to hear of overload, and can follow (§4.1, §4.2).
pub(super) fn is_wanted(via: &Via<'_>) -> bool {
    let named = |algorithms: &str| {
        let mut algorithms = algorithms.split(',');
        algorithms.any(|algorithm| algorithm.trim().eq_ignore_ascii_case("loss"))
    };
    via.parameters.find("oc") == Some(None) && via.parameters.value("oc-algo").is_some_and(named)
}
