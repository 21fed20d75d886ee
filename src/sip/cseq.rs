//! CSeq (RFC 3261 §20.16).

use super::header::HeaderName;
use super::malformed::Malformed;
use super::method::Method;
use super::scan::{Scanner, decimal};
use crate::limits::CSEQ_MAX;

/// A CSeq value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CSeq<'a> {
    /// Less than 2^31.
    pub number: u32,
    /// The method of the request.
    pub method: Method<'a>,
}

impl<'a> CSeq<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        if let Some(cseq) = Self::plain(value) {
            return Ok(cseq);
        }
        let mut scanner = Scanner::new(value);
        let cseq = number_and_method(&mut scanner, HeaderName::CSeq)?;
        if scanner.at_end() {
            Ok(cseq)
        } else {
            Err(Malformed::Invalid(HeaderName::CSeq))
        }
    }

    /// Reads what nearly everybody writes: up to nine digits, a blank and a method.
    fn plain(value: &'a [u8]) -> Option<Self> {
        const { assert!(CSEQ_MAX > 999_999_999) };
        let mut number = 0;
        for (count, byte) in value.iter().enumerate() {
            match byte {
                b'0'..=b'9' if count < 9 => number = number * 10 + u32::from(byte - b'0'),
                b' ' if count > 0 => {
                    let method = Method::parse(&value[count + 1..]).ok()?;
                    return Some(Self { number, method });
                }
                _ => return None,
            }
        }
        None
    }
}

pub(super) fn number_and_method<'a>(
    scanner: &mut Scanner<'a>,
    header: HeaderName,
) -> Result<CSeq<'a>, Malformed> {
    let number = number(scanner, header, CSEQ_MAX)?;
    let method = Method::parse(scanner.token().unwrap_or_default().as_bytes());
    let method = method.map_err(|_| Malformed::Invalid(header))?;
    scanner.skip_space();
    Ok(CSeq { number, method })
}

pub(super) fn number(
    scanner: &mut Scanner<'_>,
    header: HeaderName,
    max: u32,
) -> Result<u32, Malformed> {
    scanner.skip_space();
    let digits = scanner.take_while(|byte| byte.is_ascii_digit());
    let number = decimal(digits).ok_or(Malformed::Invalid(header))?;
    let start = scanner.at();
    scanner.skip_space();
    if scanner.at() == start {
        return Err(Malformed::Invalid(header));
    }
    match number.ok().and_then(|number| u32::try_from(number).ok()) {
        Some(number) if number <= max => Ok(number),
        Some(_) | None => Err(Malformed::OutOfRange(header)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_methods_are_read_with_odd_space() {
        let cseq = CSeq::parse(b"0009\r\n  INVITE").expect("legal");
        assert_eq!(
            cseq,
            CSeq {
                number: 9,
                method: Method::Invite
            }
        );
    }

    #[test]
    fn out_of_range_is_not_wrapped() {
        let range = Malformed::OutOfRange(HeaderName::CSeq);
        let invalid = Malformed::Invalid(HeaderName::CSeq);
        for (text, expected) in [
            ("36893488147419103232 INVITE", range),
            ("4294967297 INVITE", range),
            ("2147483648 INVITE", range),
            ("-1 INVITE", invalid),
            ("1INVITE", invalid),
            ("1", invalid),
            ("1 ", invalid),
            ("1 INVITE x", invalid),
            ("", invalid),
        ] {
            assert_eq!(CSeq::parse(text.as_bytes()), Err(expected), "{text}");
        }
        assert!(CSeq::parse(b"2147483647 INVITE").is_ok());
    }

    proptest! {
        #[test]
        fn white_space_before_a_value_changes_nothing(
            value in "[0-9]{0,2}|[0-9]{7,11}",
            rest in " INVITE|  BYE| ?X|[ \\t]?[ -~]{0,3}",
        ) {
            let value = value + &rest;
            let longer = format!(" {value}");
            prop_assert_eq!(CSeq::parse(value.as_bytes()), CSeq::parse(longer.as_bytes()));
        }
    }
}
