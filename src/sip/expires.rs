//! Headers that are a number: Expires, Min-Expires, Retry-After, Max-Forwards, RSeq.

use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::scan::{Scanner, decimal};

/// Reads delta-seconds, 0 to 2^32 - 1.
pub(super) fn seconds(bytes: &[u8], name: HeaderName) -> Result<u32, Malformed> {
    let number = decimal(bytes).ok_or(Malformed::Invalid(name))?;
    let number = number.map_err(|()| Malformed::OutOfRange(name))?;
    u32::try_from(number).map_err(|_| Malformed::OutOfRange(name))
}

impl Message<'_> {
    /// Max-Forwards, 0 to 255.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn max_forwards(&self) -> Result<Option<u8>, Malformed> {
        const NAME: HeaderName = HeaderName::MaxForwards;
        let Some(hops) = self.number(NAME)? else {
            return Ok(None);
        };
        u8::try_from(hops)
            .map(Some)
            .map_err(|_| Malformed::OutOfRange(NAME))
    }

    /// Expires, in seconds.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn expires(&self) -> Result<Option<u32>, Malformed> {
        self.number(HeaderName::Expires)
    }

    /// Min-Expires, in seconds: what a 423 asks for.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn min_expires(&self) -> Result<Option<u32>, Malformed> {
        self.number(HeaderName::MinExpires)
    }

    /// Retry-After, in seconds; its comment and its parameters say nothing to a program.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn retry_after(&self) -> Result<Option<u32>, Malformed> {
        const NAME: HeaderName = HeaderName::RetryAfter;
        let Some(value) = self.header(NAME) else {
            return Ok(None);
        };
        let mut scanner = Scanner::new(value);
        let digits = scanner.take_while(|byte| byte.is_ascii_digit());
        scanner.skip_space();
        if !matches!(scanner.peek(), None | Some(b'(' | b';')) {
            return Err(Malformed::Invalid(NAME));
        }
        seconds(digits, NAME).map(Some)
    }

    fn number(&self, name: HeaderName) -> Result<Option<u32>, Malformed> {
        self.header(name)
            .map(|value| seconds(value, name))
            .transpose()
    }
}
