//! What a shard counts: one relaxed atomic for each cause, read by the metrics page.
//!
//! Counting is the one side effect that pure code may have: a counter is never read by what
//! counts it, so it decides nothing.

use std::sync::atomic::{AtomicU64, Ordering};

/// Defines the counters: variant, metric name, label of the cause, help.
macro_rules! counters {
    ($($(#[$meta:meta])* $variant:ident => $metric:literal, $cause:literal;)+) => {
        /// A counter. Its public name is the metric with the label `cause`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter { $($(#[$meta])* $variant),+ }

        impl Counter {
            /// Every counter; those of one metric stand together.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The metric that this counter is a part of, without prefix and `_total`.
            #[must_use]
            pub fn metric(self) -> &'static str {
                match self { $(Self::$variant => $metric),+ }
            }

            /// The value of the label `cause`.
            #[must_use]
            pub fn cause(self) -> &'static str {
                match self { $(Self::$variant => $cause),+ }
            }
        }
    };
}

counters! {
    /// Calls and agents that were taken up from the journal.
    RecordTakenUp => "journal_records", "taken_up";
    /// Records of the journal that could not be taken up.
    RecordUnreadable => "journal_records", "unreadable";
    /// Times at which something was said before its record was written, because the disk took too
    /// long.
    RecordLate => "journal_records", "late";
    /// Requests and responses that could not be parsed.
    MessageMalformed => "messages_refused", "malformed";
    /// Messages longer than the limit, or with too many headers.
    MessageTooLarge => "messages_refused", "too_large";
    /// In-dialog requests for dialogs we do not have.
    RequestUnknownDialog => "messages_refused", "unknown_dialog";
    /// Requests with an unknown method.
    RequestMethod => "messages_refused", "method";
    /// Requests that require an extension we lack.
    RequestExtension => "messages_refused", "extension";
    /// Requests with a scheme, content type or encoding we do not serve.
    RequestUnsupported => "messages_refused", "unsupported";
    /// Requests that came back to us or ran out of hops.
    RequestLoop => "messages_refused", "loop";
    /// In-dialog requests with a CSeq that went back.
    RequestOutOfOrder => "messages_refused", "out_of_order";
    /// Requests other than INVITE refused because a table is full.
    RequestOverload => "messages_refused", "overload";
    /// Requests other than calls from addresses that are no trunk's.
    RequestUnknownSource => "messages_refused", "unknown_source";
    /// Responses that match no transaction of ours.
    ResponseStray => "messages_refused", "stray_response";
    /// Messages of ours that were lost because too many waited to be sent.
    TransmitOverflow => "messages_lost", "outbox_full";
    /// INFOs and NOTIFYs within a call that were not sent because too many waited for the answer
    /// to the one before.
    InOrderOverflow => "messages_lost", "call_full";
    /// INVITEs from addresses that are no trunk's.
    InviteUnknownSource => "calls_refused", "unknown_source";
    /// INVITEs from unknown addresses while a trunk's name had not been looked up yet.
    InviteSourceUnresolved => "calls_refused", "source_unresolved";
    /// INVITEs that were challenged and have answered wrongly.
    InviteWrongPassword => "calls_refused", "wrong_password";
    /// INVITEs to numbers that we do not serve.
    InviteUnknownNumber => "calls_refused", "unknown_number";
    /// INVITEs with Replaces from trunks without `refer`.
    InviteReplaces => "calls_refused", "replaces";
    /// INVITEs refused because a table or a backlog is full.
    InviteOverload => "calls_refused", "overload";
    /// INVITEs refused because the process has as much memory as it may.
    InviteOutOfMemory => "calls_refused", "memory";
    /// INVITEs refused because their source has begun as many calls as it may.
    InviteTooOften => "calls_refused", "source_rate";
    /// INVITEs refused because the server is to stop.
    InviteDraining => "calls_refused", "draining";
    /// INVITEs refused because the queue is full.
    InviteQueueFull => "calls_refused", "queue_full";
    /// INVITEs refused because of another limit of the queue.
    InviteQueueLimit => "calls_refused", "queue_limit";
    /// Direct calls to an agent who cannot take them.
    InviteAgentUnavailable => "calls_refused", "agent_unavailable";
    /// Calls of untrusted trunks that said more about their caller than is believed.
    IdentityUntrusted => "identities_dropped", "untrusted_trunk";
    /// Calls that came in.
    CallOffered => "calls", "offered";
    /// Calls that a desktop has made.
    CallPlaced => "calls", "placed";
    /// Calls that reached an agent who answered.
    CallAnswered => "calls", "answered";
    /// Calls whose caller gave up.
    CallAbandoned => "calls", "abandoned";
    /// Calls that we refused.
    CallRefused => "calls", "refused";
    /// Calls that a fault of ours or of a peer ended before the answer.
    CallFailed => "calls", "failed";
    /// Agents' phones that did not answer.
    OfferNoAnswer => "offers_failed", "no_answer";
    /// Agents' phones that were busy.
    OfferBusy => "offers_failed", "busy";
    /// Agents' phones that declined.
    OfferDeclined => "offers_failed", "declined";
    /// Agents' phones that could not be reached.
    OfferUnreachable => "offers_failed", "unreachable";
    /// Offers that a fault ended, such as a phone that answers without a session description.
    OfferFailed => "offers_failed", "failed";
    /// Agents who were no longer to be had when a queue or a router wanted them.
    OfferRefused => "offers_failed", "agent_unavailable";
    /// Reservations that outlived their lease: a defect if it ever counts.
    ReservationExpired => "offers_failed", "lease_expired";
    /// Calls from a DN that has as many as are kept: they are carried, but no client sees them.
    CallNotShown => "calls_not_shown", "too_many_at_dn";
    /// SUBSCRIBEs sent in a new dialog.
    SubscriptionStarted => "subscriptions", "started";
    /// Refreshes sent.
    SubscriptionRefreshed => "subscriptions", "refreshed";
    /// SUBSCRIBEs refused or unanswered.
    SubscriptionFailed => "subscriptions", "failed";
    /// NOTIFYs that were applied.
    NotifyApplied => "notifies", "applied";
    /// NOTIFYs for no subscription of ours.
    NotifyUnknown => "notifies", "unknown_subscription";
    /// NOTIFYs that found too many waiting, and were left to be repeated.
    NotifyPostponed => "notifies", "postponed";
    /// NOTIFYs older than one already seen.
    NotifyOutOfOrder => "notifies", "out_of_order";
    /// NOTIFYs whose body is not presence.
    NotifyContentType => "notifies", "content_type";
    /// NOTIFYs whose body could not be read.
    NotifyMalformed => "notifies", "malformed";
    /// NOTIFYs larger than the limit.
    NotifyTooLarge => "notifies", "too_large";
    /// NOTIFYs about another entity.
    NotifyOtherEntity => "notifies", "other_entity";
    /// DNs that were closed because they were in use: their extensions lack call waiting.
    PhoneWithoutCallWaiting => "presence_warnings", "no_call_waiting";
    /// Names of far ends that there was no room to remember; their requests went the peer's way.
    FarEndsFull => "far_ends", "no_room";
    /// Pings of a trunk's peer that nobody answered.
    PingSilent => "pings", "silent";
    /// Pings not sent because the user agent's tables were full.
    PingSkipped => "pings", "skipped";
    /// Calls and subscriptions that a trunk's peer did not answer at all.
    PeerSilent => "peer_failures", "silent";
    /// Calls and subscriptions that a trunk's peer answered with 503, or that could not reach it.
    PeerUnavailable => "peer_failures", "unavailable";
    /// Calls that no peer of their trunks was sent, because each has asked for fewer.
    CallSpared => "calls_spared", "peer_overload";
    /// Calls that a limit of a queue sent elsewhere.
    QueueOverflow => "routing", "overflow";
    /// Calls that a router was asked about and did not route in time.
    RouterTimeout => "routing", "router_timeout";
    /// Panics that were contained; the call that they met was ended.
    Panic => "panics", "contained";
}

/// What an engine holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gauge {
    /// Calls.
    Calls,
    /// Legs, those included that no call knows any more.
    Legs,
    /// Subscriptions to presence.
    Subscriptions,
    /// Transactions, those included that only absorb repetitions.
    Transactions,
    /// DNs that the shard owns.
    Dns,
    /// Timers that are armed.
    Timers,
}

impl Gauge {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Calls,
        Self::Legs,
        Self::Subscriptions,
        Self::Transactions,
        Self::Dns,
        Self::Timers,
    ];

    /// Its name in snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Legs => "legs",
            Self::Subscriptions => "subscriptions",
            Self::Transactions => "transactions",
            Self::Dns => "dns",
            Self::Timers => "timers",
        }
    }
}

/// One shard's counters.
#[derive(Debug)]
pub struct Counters {
    values: Vec<AtomicU64>,
    gauges: [AtomicU64; Gauge::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: Counter::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            gauges: Gauge::ALL.map(|_| AtomicU64::new(0)),
        }
    }
}

impl Counters {
    /// Adds one.
    pub fn count(&self, counter: Counter) {
        self.values[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn value(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// Says how much there is now; only the shard's own engine does.
    pub fn hold(&self, gauge: Gauge, count: usize) {
        self.gauges[gauge as usize].store(count as u64, Ordering::Relaxed);
    }

    /// How much there was when the engine last said so.
    #[must_use]
    pub fn held(&self, gauge: Gauge) -> u64 {
        self.gauges[gauge as usize].load(Ordering::Relaxed)
    }
}
