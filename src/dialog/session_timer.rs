//! The session timer of one call (RFC 4028): who refreshes it, when, and when it is given up.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use offhook_shards::wheel::TimerKey;

use crate::journal::field::fields;
use crate::limits::{PROBE_PART, PROBE_WITHIN, SESSION_RAISES_MAX, SESSION_SECONDS_MIN};
use crate::sip::{HeaderName, Message, Refresher};

use super::LegPolicy;
use super::compose::Fields;
use super::core::{Core, Timer};
use super::turn::Turn;

/// What has been agreed on; nothing, until the first 2xx.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SessionTimer {
    /// Seconds; 0 when the session does not expire.
    interval: u32,
    /// Whether it is ours to refresh.
    ours: bool,
    /// Whether a 2xx has said what holds.
    agreed: bool,
    /// The longest Min-SE that a 422 has named, seconds.
    min_se: u32,
    /// How many 422 have come in a row.
    raised: u8,
    /// Whether it was taken up after a crash, and nobody has refreshed it since.
    recalled: bool,
    /// When the call is given up.
    expires_at: Option<Instant>,
    timer: Option<TimerKey>,
}

/// What a request of the peer's says about the session timer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    interval: Option<u32>,
    refresher: Option<Refresher>,
    min_se: u32,
    supported: bool,
}

/// What is to be done now that the timer has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Refresh,
    Expired,
}

fields!(SessionTimer {
    interval,
    ours,
    agreed,
    min_se,
} forgets { raised, recalled, expires_at, timer });

impl Asked {
    /// A header that cannot be read asks for nothing.
    pub(super) fn of(message: &Message<'_>) -> Self {
        let expires = message.session_expires().ok().flatten();
        Self {
            interval: expires.map(|expires| expires.seconds),
            refresher: expires.and_then(|expires| expires.refresher),
            min_se: message.min_se().ok().flatten().unwrap_or_default(),
            supported: message.has_token(HeaderName::Supported, "timer"),
        }
    }

    /// RFC 4028 §9: refused with 422, but only to somebody who knows what that means.
    pub(super) fn is_too_short(&self, policy: &LegPolicy) -> bool {
        self.supported
            && self
                .interval
                .is_some_and(|interval| interval < policy.min_se)
    }
}

impl SessionTimer {
    pub(super) fn is_ours(&self) -> bool {
        self.ours && self.interval > 0
    }

    /// What an INVITE or an UPDATE of ours asks for.
    pub(super) fn request_fields(&self, fields: Fields, policy: &LegPolicy) -> Fields {
        let Some(wanted) = policy.session_expires.map(NonZeroU32::get) else {
            return fields;
        };
        let min_se = self.min_se.max(policy.min_se);
        let fields = if min_se > SESSION_SECONDS_MIN {
            fields.with(HeaderName::MinSe, format_args!("{min_se}"))
        } else {
            fields
        };
        let interval = self.interval.max(min_se);
        match (self.agreed, self.interval) {
            // §7.1: the first time the choice of the refresher is the callee's.
            (false, _) => {
                let wanted = wanted.max(min_se);
                fields.with(HeaderName::SessionExpires, format_args!("{wanted}"))
            }
            (true, 0) => fields,
            (true, _) => {
                let refresher = if self.ours {
                    Refresher::Uac
                } else {
                    Refresher::Uas
                }
                .as_str();
                let value = format_args!("{interval};refresher={refresher}");
                fields.with(HeaderName::SessionExpires, value)
            }
        }
    }

    /// A 2xx has come to an INVITE or an UPDATE of ours (§7.2).
    pub(super) fn accepted(&mut self, turn: &mut Turn<'_>, message: &Message<'_>) {
        let expires = message.session_expires().ok().flatten();
        let refresher = expires.and_then(|expires| expires.refresher);
        self.interval = expires.map_or(0, |expires| expires.seconds.max(SESSION_SECONDS_MIN));
        self.ours = refresher != Some(Refresher::Uas);
        self.agreed = true;
        self.raised = 0;
        self.restart(turn);
    }

    /// Decides what a 2xx to the peer's INVITE or UPDATE says, and starts anew (§9).
    pub(super) fn accept(
        &mut self,
        turn: &mut Turn<'_>,
        asked: Asked,
        policy: &LegPolicy,
        fields: Fields,
    ) -> Fields {
        let floor = asked.min_se.max(policy.min_se);
        self.interval = match (asked.interval, policy.session_expires.map(NonZeroU32::get)) {
            (Some(theirs), Some(ours)) => theirs.min(ours.max(floor)).max(SESSION_SECONDS_MIN),
            (Some(theirs), None) => theirs.max(SESSION_SECONDS_MIN),
            (None, Some(ours)) => ours.max(floor),
            (None, None) => 0,
        };
        self.agreed = true;
        self.ours = match asked.refresher.filter(|_| asked.supported) {
            Some(Refresher::Uac) => false,
            Some(Refresher::Uas) => true,
            // An UPDATE of ours costs less than whatever the peer may refresh with.
            None => policy.session_expires.is_some() || !asked.supported,
        };
        self.restart(turn);
        if self.interval == 0 {
            return fields;
        }
        let refresher = if self.ours {
            Refresher::Uas
        } else {
            Refresher::Uac
        };
        let fields = match refresher {
            // §9: a caller who refreshes must know that it has to.
            Refresher::Uac => fields.with_text(HeaderName::Require, "timer"),
            Refresher::Uas => fields,
        };
        let (interval, refresher) = (self.interval, refresher.as_str());
        let value = format_args!("{interval};refresher={refresher}");
        fields.with(HeaderName::SessionExpires, value)
    }

    /// A 422 has come. Whether it is worth another attempt (§7.3).
    pub(super) fn raise(&mut self, message: &Message<'_>) -> bool {
        let min_se = message.min_se().ok().flatten().unwrap_or_default();
        if min_se <= self.min_se.max(self.interval) || self.raised >= SESSION_RAISES_MAX {
            return false;
        }
        self.min_se = min_se;
        self.raised += 1;
        true
    }

    /// The timer has run out; it is not armed any more.
    pub(super) fn run_out(&mut self, now: Instant) -> Due {
        self.timer = None;
        let expired = self.expires_at.is_none_or(|at| now >= at);
        if expired || !self.ours {
            Due::Expired
        } else {
            Due::Refresh
        }
    }

    /// A refresh has failed or cannot be sent now: once more after a while, if there is time.
    pub(super) fn again(&mut self, turn: &mut Turn<'_>, after: Duration) {
        let Some(expires_at) = self.expires_at.filter(|_| self.ours) else {
            return;
        };
        self.disarm(turn.core);
        let at = (turn.now + after).min(expires_at);
        self.timer = Some(turn.core.arm(at, Timer::Session(turn.leg)));
    }

    /// A refresh is on its way: what is left is the end.
    pub(super) fn wait(&mut self, turn: &mut Turn<'_>) {
        self.again(turn, Duration::from_secs(u64::from(u32::MAX)));
    }

    /// The session has just begun, and goes on after a crash.
    pub(super) fn begin(&mut self, turn: &mut Turn<'_>) {
        self.restart(turn);
    }

    /// The session goes on after a crash. When it was refreshed last is not known, and the peer
    /// counts from then: a refresh of ours is due soon, but not of all sessions at once. Whether
    /// there will be one, which asks the peer as well whether it still has the call.
    pub(super) fn recall(&mut self, turn: &mut Turn<'_>) -> bool {
        self.restart(turn);
        self.recalled = true;
        if !self.is_ours() {
            return false;
        }
        let within = Duration::from_secs(u64::from(self.interval)) / PROBE_PART;
        let after = turn.soon(within.min(PROBE_WITHIN));
        self.again(turn, after);
        true
    }

    /// Whether silence may be that of a network which was down when we were.
    pub(super) fn is_patient(&self) -> bool {
        self.recalled
    }

    pub(super) fn stop(&mut self, core: &mut Core) {
        self.disarm(core);
        self.expires_at = None;
    }

    fn disarm(&mut self, core: &mut Core) {
        if let Some(timer) = self.timer.take() {
            core.disarm(timer);
        }
    }

    fn restart(&mut self, turn: &mut Turn<'_>) {
        self.stop(turn.core);
        self.recalled = false;
        if self.interval == 0 {
            return;
        }
        let interval = Duration::from_secs(u64::from(self.interval));
        // §10: the BYE goes out a little before the session expires.
        let margin = Duration::from_secs(32).min(interval / 3);
        let expires_at = turn.now + interval - margin;
        self.expires_at = Some(expires_at);
        let at = if self.ours {
            // §7.4 recommends half of the interval; calls that began together part here.
            let earlier = turn.core.below(self.interval / 20 + 1);
            turn.now + interval / 2 - Duration::from_secs(u64::from(earlier))
        } else {
            expires_at
        };
        self.timer = Some(turn.core.arm(at, Timer::Session(turn.leg)));
    }
}
