//! Request lines and status lines (RFC 3261 §7.1, §7.2).

use super::malformed::Malformed;
use super::method::Method;
use super::scan::decimal;
use super::status::Status;

/// The first line of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request line.
    Request {
        /// What is asked.
        method: Method<'a>,
        /// The Request-URI as it stands on the wire, not yet parsed.
        uri: &'a [u8],
    },
    /// A status line.
    Response {
        /// The code, 100 to 699.
        status: Status,
        /// The reason phrase; may be empty, is usually UTF-8.
        reason: &'a [u8],
    },
}

impl<'a> StartLine<'a> {
    /// Reads a line without its end. The second value is a rule that the line breaks although a
    /// request can be made out, so that the request can be answered.
    ///
    /// # Errors
    /// When nothing can be made out: [`Malformed::StartLine`], [`Malformed::StatusCode`],
    /// [`Malformed::Version`] for a response.
    pub(super) fn parse(line: &'a [u8]) -> Result<(Self, Option<Malformed>), Malformed> {
        if line
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        {
            return Self::parse_status(line).map(|response| (response, None));
        }
        if let Some((method, uri)) = plain_request(line) {
            let method = Method::parse(method)?;
            return Ok((Self::Request { method, uri }, None));
        }
        let (method, rest) = cut(line)?;
        let method = Method::parse(method)?;
        let rest_trimmed = rest.trim_ascii();
        let space = memchr::memrchr(b' ', rest_trimmed).ok_or(Malformed::StartLine)?;
        let version = &rest_trimmed[space + 1..];
        let uri = &rest_trimmed[..space];
        let defect = if !version
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
        {
            return Err(Malformed::StartLine);
        } else if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            Some(Malformed::Version)
        } else if rest.len() != rest_trimmed.len() || memchr::memchr2(b' ', b'\t', uri).is_some() {
            // RFC 3261 §7.1: one space between the parts and none in the URI.
            Some(Malformed::StartLine)
        } else {
            None
        };
        Ok((
            Self::Request {
                method,
                uri: uri.trim_ascii(),
            },
            defect,
        ))
    }

    fn parse_status(line: &'a [u8]) -> Result<Self, Malformed> {
        let (version, rest) = cut(line)?;
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(Malformed::Version);
        }
        // The space before an empty reason phrase is often forgotten.
        let (code, reason) = cut(rest).unwrap_or((rest, b""));
        match decimal(code) {
            Some(Ok(number @ 100..=699)) if code.len() == 3 => {
                let status = u16::try_from(number).map_err(|_| Malformed::StatusCode)?;
                Ok(Self::Response {
                    status: Status(status),
                    reason,
                })
            }
            _ => Err(Malformed::StatusCode),
        }
    }
}

/// The method and the Request-URI of a line as nearly everybody writes it.
fn plain_request(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.strip_suffix(b" SIP/2.0")?;
    // Methods are short.
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let (method, uri) = (&rest[..space], &rest[space + 1..]);
    let is_visible = |byte: Option<&u8>| byte.is_some_and(|byte| *byte > b' ');
    let is_plain = is_visible(uri.first())
        && is_visible(uri.last())
        && memchr::memchr2(b' ', b'\t', uri).is_none();
    is_plain.then_some((method, uri))
}

fn cut(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let space = memchr::memchr(b' ', line).ok_or(Malformed::StartLine)?;
    Ok((&line[..space], &line[space + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_version_may_be_written_in_small_letters(
            start in "(INVITE|X|)( ?)(sip:a|[\\x01-\\x20~]{0,3})( sip:b| |\t|)",
        ) {
            let [usual, odd] = ["SIP/2.0", "sip/2.0"].map(|version| format!("{start} {version}"));
            prop_assert_eq!(
                StartLine::parse(usual.as_bytes()),
                StartLine::parse(odd.as_bytes())
            );
        }
    }
}
