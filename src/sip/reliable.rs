//! RSeq and RAck: which provisional response is acknowledged (RFC 3262 §7).

use super::cseq::{CSeq, number, number_and_method};
use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::scan::{Scanner, decimal, trim};

/// A RAck value: the response that a PRACK acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RAck<'a> {
    /// The RSeq of the response.
    pub rseq: u32,
    /// The CSeq of the response.
    pub cseq: CSeq<'a>,
}

impl<'a> RAck<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        const NAME: HeaderName = HeaderName::RAck;
        let mut scanner = Scanner::new(value);
        let rseq = number(&mut scanner, NAME, u32::MAX)?;
        let cseq = number_and_method(&mut scanner, NAME)?;
        if scanner.at_end() {
            Ok(Self { rseq, cseq })
        } else {
            Err(Malformed::Invalid(NAME))
        }
    }
}

impl<'a> Message<'a> {
    /// The RSeq header: 1 to 2^32 - 1.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn rseq(&self) -> Result<Option<u32>, Malformed> {
        const NAME: HeaderName = HeaderName::RSeq;
        let Some(value) = self.header(NAME) else {
            return Ok(None);
        };
        let number = decimal(trim(value)).ok_or(Malformed::Invalid(NAME))?;
        match number.ok().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if number > 0 => Ok(Some(number)),
            Some(_) | None => Err(Malformed::OutOfRange(NAME)),
        }
    }

    /// The RAck header.
    ///
    /// # Errors
    /// As [`RAck::parse`].
    pub fn rack(&self) -> Result<Option<RAck<'a>>, Malformed> {
        self.header(HeaderName::RAck).map(RAck::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    #[test]
    fn a_rack_names_a_response() {
        let rack = RAck::parse(b"776656 \r\n 1 INVITE").expect("legal");
        assert_eq!((rack.rseq, rack.cseq.number), (776_656, 1));
        assert_eq!(rack.cseq.method, Method::Invite);
    }

    #[test]
    fn a_broken_rack_names_none() {
        let invalid = Err(Malformed::Invalid(HeaderName::RAck));
        for text in ["", "1", "1 2", "1 INVITE", "x 1 INVITE", "1 2 INVITE x"] {
            assert_eq!(RAck::parse(text.as_bytes()), invalid, "{text}");
        }
        let range = Err(Malformed::OutOfRange(HeaderName::RAck));
        assert_eq!(RAck::parse(b"4294967296 1 INVITE"), range);
        assert_eq!(RAck::parse(b"1 2147483648 INVITE"), range);
    }
}
