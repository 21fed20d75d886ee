//! What transactions tell the user agent: verdicts on what came in, and news that time brought.
//!
//! Every key has exactly one last word, after which it is spent; the doc of each event says
//! whether it is one.

slotmap::new_key_type! {
    /// A server transaction: a request that we answer.
    pub struct ServerKey;
    /// A client transaction: a request of ours that waits for its answer.
    pub struct ClientKey;
}

/// What a request from the network turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Incoming {
    /// The first of its kind: answer it with `respond`. An INVITE has its 100 (Trying) already.
    New(ServerKey),
    /// A retransmission, or the ACK to a failure of ours: dealt with, nothing is left to do.
    Absorbed,
    /// An ACK that belongs to no failure of ours: one to a 2xx, for the dialog, or to nothing at
    /// all, and then it is dropped without a word.
    Acknowledge,
    /// A CANCEL: answer it (200, or 481 when there is no INVITE to cancel), and the INVITE with
    /// 487 if it has no final response yet.
    Cancel {
        /// The CANCEL's own transaction.
        key: ServerKey,
        /// The INVITE it is for; it may have its final response already, and then the CANCEL
        /// changes nothing (RFC 3261 §9.2).
        invite: Option<ServerKey>,
    },
    /// The same request that another transaction serves, come here by another path: answer 482
    /// (RFC 3261 §8.2.2.2).
    Merged(ServerKey),
    /// There is no room for another transaction: answer 503 with `send_response_stateless`. (An
    /// ACK is never answered and never needs room; CANCEL and requests within dialogs have room
    /// kept for them.)
    Full,
}

/// What a response from the network turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Delivered {
    /// News for whoever sent the request. On a stream the key may be spent already, with its
    /// `ClientEnded` waiting; a 2xx to an INVITE may come more than once, each to be acknowledged.
    To(ClientKey),
    /// A repetition, or a provisional response after the final one: nothing is left to do.
    Absorbed,
    /// It belongs to no transaction that somebody waits for. A 2xx to an INVITE still asks for an
    /// ACK if its dialog is known; all else is dropped.
    Stray,
}

/// News that time or the transport brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// No final response came in time (timers B and F). The last word.
    TimedOut(ClientKey),
    /// The request, or the ACK of it, could not be sent. The last word.
    TransportFailed(ClientKey),
    /// A transaction that had its final response is over. The last word.
    ClientEnded(ClientKey),
    /// No ACK came for a failure that we sent (timer H). The last word.
    AckMissing(ServerKey),
    /// A transaction that was answered is over. The last word.
    ServerEnded(ServerKey),
}

/// The table is at its limit, so the request was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl std::fmt::Display for Full {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("no room for another client transaction")
    }
}

impl std::error::Error for Full {}
