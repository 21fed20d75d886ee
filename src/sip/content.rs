//! What the body is: Content-Type, Content-Length, Content-Disposition, Content-Encoding.

use super::event::token_and_parameters;
use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::parameters::Parameters;
use super::scan::{Scanner, decimal};

/// A Content-Type value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentType<'a> {
    /// `application` of `application/sdp`.
    pub kind: &'a str,
    /// `sdp` of `application/sdp`.
    pub subtype: &'a str,
    /// The parameters.
    pub parameters: Parameters<'a>,
}

impl<'a> ContentType<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] and what [`Parameters::parse`] finds.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        const INVALID: Malformed = Malformed::Invalid(HeaderName::ContentType);
        let mut scanner = Scanner::new(value);
        let kind = scanner.token().ok_or(INVALID)?;
        if !scanner.eat_separator(b'/') {
            return Err(INVALID);
        }
        let subtype = scanner.token().ok_or(INVALID)?;
        let parameters = Parameters::scan(&mut scanner)?;
        if scanner.at_end() {
            Ok(Self {
                kind,
                subtype,
                parameters,
            })
        } else {
            Err(INVALID)
        }
    }

    /// Whether it is this media type, written `type/subtype`.
    #[must_use]
    pub fn is(&self, media_type: &str) -> bool {
        // Nearly everybody writes it the same way.
        let same = |this: &str, that: &[u8]| {
            this.as_bytes() == that || this.as_bytes().eq_ignore_ascii_case(that)
        };
        match media_type.as_bytes().split_at_checked(self.kind.len()) {
            Some((kind, [b'/', subtype @ ..])) => {
                same(self.subtype, subtype) && same(self.kind, kind)
            }
            Some(_) | None => false,
        }
    }
}

/// A Content-Disposition value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentDisposition<'a> {
    /// `session`, `render`, ….
    pub disposition: &'a str,
    /// The parameters.
    pub parameters: Parameters<'a>,
}

impl ContentDisposition<'_> {
    /// RFC 3261 §20.11: whether a body that is not understood may be ignored.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        let handling = self.parameters.value("handling");
        handling.is_some_and(|value| value.eq_ignore_ascii_case("optional"))
    }
}

/// Reads Content-Length: digits and nothing else (no sign, no blank, no hexadecimal).
pub(super) fn content_length(value: &[u8]) -> Result<u64, Malformed> {
    const NAME: HeaderName = HeaderName::ContentLength;
    decimal(value)
        .ok_or(Malformed::Invalid(NAME))?
        .map_err(|()| Malformed::OutOfRange(NAME))
}

impl<'a> Message<'a> {
    /// The Content-Type header.
    ///
    /// # Errors
    /// As [`ContentType::parse`].
    pub fn content_type(&self) -> Result<Option<ContentType<'a>>, Malformed> {
        self.header(HeaderName::ContentType)
            .map(ContentType::parse)
            .transpose()
    }

    /// The Content-Disposition header.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] and what [`Parameters::parse`] finds.
    pub fn content_disposition(&self) -> Result<Option<ContentDisposition<'a>>, Malformed> {
        const NAME: HeaderName = HeaderName::ContentDisposition;
        let Some(value) = self.header(NAME) else {
            return Ok(None);
        };
        let (disposition, parameters) = token_and_parameters(value, NAME)?;
        Ok(Some(ContentDisposition {
            disposition,
            parameters,
        }))
    }

    /// Content-Length as claimed; the body itself is already cut to it.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn content_length(&self) -> Result<Option<u64>, Malformed> {
        self.header(HeaderName::ContentLength)
            .map(content_length)
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_compared_whole_and_without_regard_to_case() {
        let cases = [
            ("application/sdp", true),
            ("Application/SDP;charset=utf-8", true),
            ("application / sdp", true),
            ("application/sdpx", false),
            ("applicationx/sdp", false),
            ("app/sdp", false),
            ("a/b", false),
        ];
        for (written, expected) in cases {
            let found = ContentType::parse(written.as_bytes()).expect("legal");
            assert_eq!(found.is("application/sdp"), expected, "{written}");
        }
    }
}
