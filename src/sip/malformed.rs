//! What can be wrong with the text of a message, one variant for each broken rule.
//!
//! A message that parses and is still illegal in its place (an unknown dialog, a CSeq that goes
//! back) is not a matter for this type: the layer that knows the place names it.

use std::fmt;

use super::header::HeaderName;
use super::status::Status;

/// A message, or one header of it, that could not be parsed. Names the rule that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// Nothing but line ends: a keep-alive, to be ignored.
    Empty,
    /// RFC 3261 §7.1: method, one space, URI, one space, version.
    StartLine,
    /// RFC 3261 §7.1: the version is SIP, and not 2.0.
    Version,
    /// RFC 3261 §7.2: three digits, 100 to 699.
    StatusCode,
    /// RFC 3261 §7: no blank line ends the header.
    HeadUnterminated,
    /// The header is longer than `HEAD_BYTES_MAX`.
    HeadTooLarge,
    /// One line is longer than `LINE_BYTES_MAX`.
    LineTooLong,
    /// More header lines than `HEADERS_MAX`.
    TooManyHeaders,
    /// More values of this header than `VALUES_MAX`.
    TooManyValues(HeaderName),
    /// RFC 3261 §7.3.1: a header line without a name or a colon.
    HeaderLine,
    /// RFC 3261 §25.1: a CR or a LF alone inside the header.
    BareLineEnd,
    /// RFC 3261 §25.1: a NUL outside a quoted pair.
    NulByte,
    /// RFC 3261 §8.1.1: a mandatory header is missing.
    Missing(HeaderName),
    /// RFC 3261 §7.3.1: a header that may occur once occurs more often.
    Duplicate(HeaderName),
    /// The value of this header breaks its grammar.
    Invalid(HeaderName),
    /// A number in this header is larger than its RFC allows.
    OutOfRange(HeaderName),
    /// RFC 3261 §25.1: a quoted string is not closed.
    UnbalancedQuote,
    /// RFC 3261 §20: neither a name-addr nor an addr-spec.
    NameAddr,
    /// RFC 3261 §20.10: a URI with `?` must stand in angle brackets.
    UriUnbracketed,
    /// RFC 3261 §25.1: a character that no URI may contain, or no scheme.
    Uri,
    /// RFC 3261 §19.1.2: `%` without two hexadecimal digits.
    UriEscape,
    /// RFC 3261 §25.1, RFC 5118 §4: neither a name, an IPv4 address nor a bracketed IPv6 address.
    UriHost,
    /// RFC 3261 §25.1: not a port number.
    UriPort,
    /// RFC 3261 §19.1.1: headers are not allowed in a Request-URI.
    UriHeaders,
    /// RFC 3261 §25.1: an empty or broken parameter.
    Parameter,
    /// More parameters than `PARAMETERS_MAX`.
    TooManyParameters,
    /// RFC 3261 §8.1.1.5: the method of CSeq is not the method of the request.
    CSeqMethodMismatch,
    /// RFC 3261 §8.1.1.7: a branch that is nothing but the magic cookie identifies nothing.
    BranchEmpty,
    /// A branch longer than `BRANCH_BYTES_MAX`.
    BranchTooLong,
    /// RFC 3261 §18.3: Content-Length is missing on a stream.
    ContentLengthMissing,
    /// RFC 3261 §18.3: the body is shorter than Content-Length says.
    BodyTruncated,
    /// Content-Length says more than `BODY_BYTES_MAX`.
    BodyTooLarge,
}

impl Malformed {
    /// The final response this earns a request other than ACK, which is never answered.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Version => Status::VERSION_NOT_SUPPORTED,
            Self::BodyTooLarge => Status::REQUEST_ENTITY_TOO_LARGE,
            Self::HeadTooLarge | Self::LineTooLong | Self::TooManyHeaders => {
                Status::MESSAGE_TOO_LARGE
            }
            Self::Empty
            | Self::StartLine
            | Self::StatusCode
            | Self::HeadUnterminated
            | Self::TooManyValues(_)
            | Self::HeaderLine
            | Self::BareLineEnd
            | Self::NulByte
            | Self::Missing(_)
            | Self::Duplicate(_)
            | Self::Invalid(_)
            | Self::OutOfRange(_)
            | Self::UnbalancedQuote
            | Self::NameAddr
            | Self::UriUnbracketed
            | Self::Uri
            | Self::UriEscape
            | Self::UriHost
            | Self::UriPort
            | Self::UriHeaders
            | Self::Parameter
            | Self::TooManyParameters
            | Self::CSeqMethodMismatch
            | Self::BranchEmpty
            | Self::BranchTooLong
            | Self::ContentLengthMissing
            | Self::BodyTruncated => Status::BAD_REQUEST,
        }
    }

    /// A short name for logs.
    #[must_use]
    pub fn cause(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::StartLine => "start_line",
            Self::Version => "version",
            Self::StatusCode => "status_code",
            Self::HeadUnterminated => "head_unterminated",
            Self::HeadTooLarge => "head_too_large",
            Self::LineTooLong => "line_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::TooManyValues(_) => "too_many_values",
            Self::HeaderLine => "header_line",
            Self::BareLineEnd => "bare_line_end",
            Self::NulByte => "nul_byte",
            Self::Missing(_) => "header_missing",
            Self::Duplicate(_) => "header_duplicate",
            Self::Invalid(_) => "header_invalid",
            Self::OutOfRange(_) => "number_out_of_range",
            Self::UnbalancedQuote => "unbalanced_quote",
            Self::NameAddr => "name_addr",
            Self::UriUnbracketed => "uri_unbracketed",
            Self::Uri => "uri",
            Self::UriEscape => "uri_escape",
            Self::UriHost => "uri_host",
            Self::UriPort => "uri_port",
            Self::UriHeaders => "uri_headers",
            Self::Parameter => "parameter",
            Self::TooManyParameters => "too_many_parameters",
            Self::CSeqMethodMismatch => "cseq_method_mismatch",
            Self::BranchEmpty => "branch_empty",
            Self::BranchTooLong => "branch_too_long",
            Self::ContentLengthMissing => "content_length_missing",
            Self::BodyTruncated => "body_truncated",
            Self::BodyTooLarge => "body_too_large",
        }
    }

    /// The header this is about, when it is about one.
    #[must_use]
    pub fn header(self) -> Option<HeaderName> {
        if let Self::TooManyValues(name)
        | Self::Missing(name)
        | Self::Duplicate(name)
        | Self::Invalid(name)
        | Self::OutOfRange(name) = self
        {
            return Some(name);
        }
        None
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.cause())?;
        match self.header() {
            Some(name) => write!(formatter, " ({name})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Malformed {}
