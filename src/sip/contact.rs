//! Contact (RFC 3261 §20.10).

use super::malformed::Malformed;
use super::message::Message;
use super::name_addr::NameAddr;
use super::scan::trim;
use super::{expires, header::HeaderName};

/// One Contact value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `*`, which removes every binding of a REGISTER.
    Star,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// Reads one element.
    ///
    /// # Errors
    /// As [`NameAddr::parse`].
    pub fn parse(element: &'a [u8]) -> Result<Self, Malformed> {
        let element = trim(element);
        if element == b"*" {
            return Ok(Self::Star);
        }
        NameAddr::parse(element).map(Self::Address)
    }

    /// The address, when it is one.
    #[must_use]
    pub fn address(&self) -> Option<&NameAddr<'a>> {
        match self {
            Self::Star => None,
            Self::Address(address) => Some(address),
        }
    }

    /// The `expires` parameter in seconds.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`].
    pub fn expires(&self) -> Result<Option<u32>, Malformed> {
        let value = self.address().and_then(|address| address.param("expires"));
        value
            .map(|text| expires::seconds(text.as_bytes(), HeaderName::Contact))
            .transpose()
    }
}

impl<'a> Message<'a> {
    /// The first Contact address; `None` when there is none or it is `*`.
    ///
    /// # Errors
    /// As [`NameAddr::parse`].
    pub fn contact(&self) -> Result<Option<NameAddr<'a>>, Malformed> {
        let first = self.contacts().next().transpose()?;
        Ok(first.and_then(|contact| contact.address().copied()))
    }

    /// Every Contact value in order.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, Malformed>> + use<'a> {
        self.elements(HeaderName::Contact).map(Contact::parse)
    }
}
