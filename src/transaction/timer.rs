//! The timers of RFC 3261 §17 and RFC 6026 by name, and the durations that they are made of.
//!
//! Timer C is a proxy's and timer N a subscription's: neither is here.

use std::time::Duration;

/// What a deadline is for. A transaction has at most one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Timer A: send the INVITE again.
    InviteRetransmit,
    /// Timer B: give the INVITE up. Also runs for a cancelled INVITE (§9.1).
    InviteTimeout,
    /// Timer D: stop absorbing repeated failures of an INVITE.
    FailureAbsorb,
    /// Timer E: send the request again.
    RequestRetransmit,
    /// Timer F: give the request up.
    RequestTimeout,
    /// Timer G: send the failure of an INVITE again.
    FailureRetransmit,
    /// Timer H: give up waiting for the ACK.
    AckTimeout,
    /// Timer I: stop absorbing repeated ACKs.
    AckAbsorb,
    /// Timer J: stop answering repeated requests.
    RequestAbsorb,
    /// Timer K: stop absorbing repeated responses.
    ResponseAbsorb,
    /// Timer L: stop absorbing repeated INVITEs after our 2xx (RFC 6026 §7.1).
    AcceptedInviteAbsorb,
    /// Timer M: stop passing up further 2xx (RFC 6026 §7.2).
    SuccessCollect,
}

/// The three durations that all timers are made of (RFC 3261 §17, table 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// The estimated round trip; the first retransmission interval. More than zero.
    pub t1: Duration,
    /// The longest retransmission interval of everything but an INVITE request. At least T1.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
        }
    }
}

impl Timers {
    /// How long the next message waits when the last one waited `interval`: twice as long, but
    /// never longer than T2 (timers E and G).
    pub(super) fn capped_double(self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }

    /// 64*T1, the patience of timers B, D, F, H, J, L and M: 32 s by default, which is the least
    /// that §17.1.1.2 asks of timer D.
    pub(super) fn patience(self) -> Duration {
        self.t1 * 64
    }

    /// How long a client takes until its timer E has grown to T2: before that, a 100 to a request
    /// other than INVITE is forbidden on UDP (RFC 4320 §4.1).
    pub(super) fn until_slowest(self) -> Duration {
        let mut interval = self.t1;
        let mut passed = Duration::ZERO;
        while interval < self.t2 {
            passed += interval;
            interval = self.capped_double(interval);
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_rfc_3261() {
        let timers = Timers::default();
        assert_eq!(timers.patience(), Duration::from_secs(32));
        assert_eq!(
            timers.capped_double(Duration::from_secs(3)),
            Duration::from_secs(4)
        );
    }

    #[test]
    fn a_client_asks_three_times_before_its_timer_reaches_t2() {
        // 500, 1,000 and 2,000 ms; the fourth wait is T2.
        assert_eq!(
            Timers::default().until_slowest(),
            Duration::from_millis(3_500)
        );
    }
}
