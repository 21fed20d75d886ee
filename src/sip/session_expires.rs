//! Session-Expires and Min-SE (RFC 4028).

use super::event::token_and_parameters;
use super::expires::seconds;
use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;

/// Who refreshes the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The side that sent the request.
    Uac,
    /// The side that answers it.
    Uas,
}

impl Refresher {
    /// The value of the `refresher` parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

/// A Session-Expires value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// The session interval in seconds.
    pub seconds: u32,
    /// Who refreshes; `None` leaves the choice to the other side.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        const NAME: HeaderName = HeaderName::SessionExpires;
        let (digits, parameters) = token_and_parameters(value, NAME)?;
        let refresher = match parameters.value("refresher") {
            None => None,
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(Malformed::Invalid(NAME)),
        };
        Ok(Self {
            seconds: seconds(digits.as_bytes(), NAME)?,
            refresher,
        })
    }
}

impl Message<'_> {
    /// The Session-Expires header.
    ///
    /// # Errors
    /// As [`SessionExpires::parse`].
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, Malformed> {
        self.header(HeaderName::SessionExpires)
            .map(SessionExpires::parse)
            .transpose()
    }

    /// Min-SE in seconds: the shortest session interval that the peer accepts.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn min_se(&self) -> Result<Option<u32>, Malformed> {
        const NAME: HeaderName = HeaderName::MinSe;
        let Some(value) = self.header(NAME) else {
            return Ok(None);
        };
        let (digits, _) = token_and_parameters(value, NAME)?;
        seconds(digits.as_bytes(), NAME).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_refreshers_are_read() {
        let value = SessionExpires::parse(b"1800").expect("legal");
        assert_eq!(
            value,
            SessionExpires {
                seconds: 1800,
                refresher: None
            }
        );
        let value = SessionExpires::parse(b"1800 ; refresher = UAS").expect("legal");
        assert_eq!(value.refresher, Some(Refresher::Uas));
        let invalid = Err(Malformed::Invalid(HeaderName::SessionExpires));
        assert_eq!(SessionExpires::parse(b"90;refresher=me"), invalid);
        assert_eq!(SessionExpires::parse(b"-90"), invalid);
        assert_eq!(
            SessionExpires::parse(b"4294967296"),
            Err(Malformed::OutOfRange(HeaderName::SessionExpires))
        );
    }
}
