//! Session-ID (RFC 7989): one identifier of a call on all its legs, half of it from each end.

use super::header::HeaderName;
use super::message::Message;
use super::parameters::Parameters;
use super::scan::trim;

/// A Session-ID value; a half that is null or no UUID is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SessionId {
    /// The half of who sent it.
    pub local: Option<u128>,
    /// The half of who gets it, as far as the sender knows it.
    pub remote: Option<u128>,
}

impl SessionId {
    /// Reads a whole value. What is broken is as good as absent: no call fails for it.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let parameters = Parameters::parse(&value[end..]).unwrap_or_default();
        let remote = parameters.value("remote").unwrap_or_default();
        Self {
            local: uuid(trim(&value[..end])),
            remote: uuid(remote.as_bytes()),
        }
    }
}

/// 32 hexadecimal digits; RFC 7989 §5 wants small ones.
fn uuid(digits: &[u8]) -> Option<u128> {
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u128::from_str_radix(digits, 16)
        .ok()
        .filter(|uuid| *uuid != 0)
}

impl Message<'_> {
    /// The Session-ID header.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.header(HeaderName::SessionId).map(SessionId::parse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_and_what_is_no_uuid_is_none() {
        let value = b"212e0a8200105000A0000041d2924d45 ; remote=00000000000000000000000000000000";
        let id = SessionId::parse(value);
        assert_eq!(id.local, Some(0x212e_0a82_0010_5000_a000_0041_d292_4d45));
        assert_eq!(id.remote, None);
        for broken in ["", "abc", "abc;remote=0", "+12e0a8200105000a0000041d2924d4"] {
            assert_eq!(SessionId::parse(broken.as_bytes()), SessionId::default());
        }
    }
}
