//! Identifiers of calls and clients, and what is known of a call by everyone who reports on it.

use std::fmt;

use compact_str::CompactString;
use offhook_shards::ShardId;

use super::{CallType, KeyValueList};

/// Identifies a call for its whole life; shown as 16 hex digits.
///
/// The upper 16 bits name the shard that owns the call, so that a request about the call finds it
/// without a table. The lower 48 bits count up from a point drawn at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

impl ConnId {
    /// The `serial`th call of `shard`; only the lower 48 bits of `serial` count.
    #[must_use]
    pub fn new(shard: ShardId, serial: u64) -> Self {
        Self((u64::from(shard.0) << 48) | (serial & 0xffff_ffff_ffff))
    }

    /// The shard that owns the call. A number from outside may name a shard that does not exist.
    #[must_use]
    pub fn shard(self) -> ShardId {
        ShardId((self.0 >> 48) as u16)
    }

    /// Reads 16 hex digits; anything else is no ConnID.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }

    /// Its public form: 16 hex digits.
    #[must_use]
    pub fn digits(self) -> Digits<16> {
        Digits::new(self.0.into(), b"0123456789abcdef")
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.digits().as_str())
    }
}

/// The call's identifier for reports: 32 characters of a base-32 alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallUuid(pub u128);

impl CallUuid {
    /// Its public form. 128 bits are 26 digits of five bits; the field is 32 wide, so zeroes lead.
    #[must_use]
    pub fn digits(self) -> Digits<32> {
        Digits::new(self.0, b"0123456789ABCDEFGHIJKLMNOPQRSTUV")
    }
}

impl fmt::Display for CallUuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.digits().as_str())
    }
}

/// All digits of an identifier, with zeroes in front. Each event has two identifiers: their digits
/// are dearer by way of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits<const WIDTH: usize>([u8; WIDTH]);

impl<const WIDTH: usize> Digits<WIDTH> {
    fn new<const BASE: usize>(mut rest: u128, alphabet: &[u8; BASE]) -> Self {
        let mut digits = [alphabet[0]; WIDTH];
        for digit in digits.iter_mut().rev() {
            *digit = alphabet[(rest % BASE as u128) as usize];
            rest /= BASE as u128;
        }
        Self(digits)
    }

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }
}

/// A client of the control plane: one WebSocket connection or one HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Who asked for what an event reports; only that client sees the `ReferenceID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestedBy {
    /// The client that sent the request.
    pub client: ClientId,
    /// The number of the request among all that wait; the hub knows the client's own number.
    pub reference_id: u32,
}

/// What every event about a call repeats. Shared behind an `Arc`; a change makes a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallInfo {
    /// The call, for its whole life.
    pub conn_id: ConnId,
    /// The switch's number for the call, never 0.
    pub call_id: u32,
    /// The call in reports.
    pub call_uuid: CallUuid,
    /// Seen from the contact center.
    pub call_type: CallType,
    /// Who calls: P-Asserted-Identity over Remote-Party-ID over From; absent when withheld.
    pub ani: Option<CompactString>,
    /// What was dialled.
    pub dnis: Option<CompactString>,
    /// Attached data.
    pub user_data: KeyValueList,
}
