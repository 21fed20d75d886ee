//! Reason (RFC 3326): why a request was sent, usually a BYE or a CANCEL.

use super::event::token_and_parameters;
use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::parameters::Parameters;

/// One Reason value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850`, `preemption`, ….
    pub protocol: &'a str,
    /// The parameters.
    pub parameters: Parameters<'a>,
}

impl<'a> Reason<'a> {
    /// Reads one element.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] and what [`Parameters::parse`] finds.
    pub fn parse(element: &'a [u8]) -> Result<Self, Malformed> {
        let (protocol, parameters) = token_and_parameters(element, HeaderName::Reason)?;
        Ok(Self {
            protocol,
            parameters,
        })
    }

    /// The status code or the Q.850 cause.
    #[must_use]
    pub fn cause(&self) -> Option<u16> {
        self.parameters
            .value("cause")
            .and_then(|digits| digits.parse().ok())
    }

    /// The phrase for people, escapes kept.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.parameters.value("text")
    }

    /// Whether the cause is one of ITU-T Q.850.
    #[must_use]
    pub fn is_q850(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("Q.850")
    }

    /// Whether the cause is a SIP status code.
    #[must_use]
    pub fn is_sip(&self) -> bool {
        self.protocol.eq_ignore_ascii_case("SIP")
    }
}

impl<'a> Message<'a> {
    /// Every Reason value.
    pub fn reasons(&self) -> impl Iterator<Item = Result<Reason<'a>, Malformed>> + use<'a> {
        self.elements(HeaderName::Reason).map(Reason::parse)
    }
}
