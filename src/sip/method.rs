//! Request methods.

use std::fmt;

use super::class::is_token;
use super::malformed::Malformed;
use super::scan::text;

/// A request method. RFC 3261 §7.1: case matters, so `invite` is an unknown one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method<'a> {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13, never answered.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §11.
    Options,
    /// RFC 3261 §10.
    Register,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3903.
    Publish,
    /// RFC 6086.
    Info,
    /// RFC 3515.
    Refer,
    /// RFC 3428.
    Message,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// Any other token.
    Other(&'a str),
}

impl<'a> Method<'a> {
    /// Reads a whole method name.
    ///
    /// # Errors
    /// [`Malformed::StartLine`] when it is not a token.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Ok(match bytes {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            b"UPDATE" => Self::Update,
            b"PRACK" => Self::Prack,
            other => {
                if other.is_empty() || !other.iter().copied().all(is_token) {
                    return Err(Malformed::StartLine);
                }
                Self::Other(text(other).ok_or(Malformed::StartLine)?)
            }
        })
    }

    /// The name as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Options => "OPTIONS",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Update => "UPDATE",
            Self::Prack => "PRACK",
            Self::Other(name) => name,
        }
    }

    /// Whether a success to this request may create a dialog (RFC 3261 §12, RFC 6665, RFC 3515),
    /// so that its responses must carry Record-Route.
    #[must_use]
    pub fn forms_dialog(&self) -> bool {
        match self {
            Self::Invite | Self::Subscribe | Self::Notify | Self::Refer => true,
            Self::Ack
            | Self::Bye
            | Self::Cancel
            | Self::Options
            | Self::Register
            | Self::Publish
            | Self::Info
            | Self::Message
            | Self::Update
            | Self::Prack
            | Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
