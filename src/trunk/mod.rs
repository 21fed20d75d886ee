//! Trunks: peers, their health, and the choice among them.

/// News of a peer's health, from the shard that pings it to all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthChange {
    /// Which of the trunk's peers.
    pub peer: u8,
    /// Whether calls may be sent to it.
    pub in_service: bool,
}

/// How a peer failed a call or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No response came to the first request of a dialog.
    Silent,
    /// It answered 503.
    Unavailable,
    /// The connection could not be made or broke.
    Connection,
}
