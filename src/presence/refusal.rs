//! What a final response to a SUBSCRIBE means for the next one.

use crate::sip::Status;

/// What to do about a refused SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 423: ask for longer.
    TooBrief,
    /// 481: the peer does not know the dialog.
    Unknown,
    /// 408: the peer could not reach what it needs; the dialog is not to be trusted.
    TimedOut,
    /// 503: the peer has no room now.
    Unavailable,
    /// Another peer may do better.
    PeerFault,
    /// The DN is not to be had now.
    Later,
    /// The answer will be the same until somebody changes the configuration of the PBX.
    Lasting,
}

impl Refusal {
    /// The meaning of 300 to 699.
    pub(super) fn of(status: Status) -> Self {
        match status.0 {
            408 => Self::TimedOut,
            423 => Self::TooBrief,
            481 => Self::Unknown,
            // RFC 3261 §21.4.18, §21.4.24, §21.4.25, §21.4.27: about this moment.
            480 | 486 | 487 | 491 => Self::Later,
            503 => Self::Unavailable,
            // RFC 3261 §21.5.2, §21.5.6 and §21.5.7: about what the peer can do at all.
            501 | 505 | 513 => Self::Lasting,
            500..=599 => Self::PeerFault,
            600 => Self::Later,
            _ => Self::Lasting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_meaning() {
        use Refusal::*;
        for (status, meaning) in [
            (302, Lasting),
            (400, Lasting),
            (401, Lasting),
            (403, Lasting),
            (404, Lasting),
            (408, TimedOut),
            (423, TooBrief),
            (480, Later),
            (481, Unknown),
            (486, Later),
            (489, Lasting),
            (500, PeerFault),
            (501, Lasting),
            (502, PeerFault),
            (503, Unavailable),
            (504, PeerFault),
            (600, Later),
            (603, Lasting),
            (604, Lasting),
        ] {
            assert_eq!(Refusal::of(Status(status)), meaning, "{status}");
        }
    }
}
