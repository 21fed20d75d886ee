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
        if let Some(contact) = self.plain_contact() {
            return Ok(Some(contact));
        }
        let first = self.contacts().next().transpose()?;
        Ok(first.and_then(|contact| contact.address().copied()))
    }

    /// What the first line of Contact says, when that is one address as nearly everybody writes it.
    pub(super) fn plain_contact(&self) -> Option<NameAddr<'a>> {
        NameAddr::plain(self.header(HeaderName::Contact)?)
    }

    /// Every Contact value in order.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, Malformed>> + use<'a> {
        self.elements(HeaderName::Contact).map(Contact::parse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::checked::Checked;
    use super::super::header::HeaderIndex;
    use super::*;
    use crate::limits::VALUES_MAX;

    /// The first address, when all of them are good and not too many.
    fn first_of_all<'a>(message: &Message<'a>) -> Result<Option<NameAddr<'a>>, Malformed> {
        let read: Result<Vec<_>, _> = message.contacts().take(VALUES_MAX + 1).collect();
        let read = read?;
        if read.len() > VALUES_MAX {
            return Err(Malformed::TooManyValues(HeaderName::Contact));
        }
        Ok(read.first().and_then(|contact| contact.address().copied()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_contact_is_the_first_of_all(
            line in "(<sip:a@192\\.0\\.2\\.1>|<sip:b@h>|\\*|,|;a=b|;c=\"d\"|\"e,\"| |<|>){0,5}",
            more in "|Contact: <sip:c@h>\r\n",
        ) {
            let text = format!("ACK sip:a SIP/2.0\r\nContact: {line}\r\n{more}\r\n");
            let mut index = HeaderIndex::new();
            let message = Message::parse(text.as_bytes(), &mut index).expect("it has a shape");
            let first = message.contacts().next().expect("there is one");
            let first = first.map(|contact| contact.address().copied());
            prop_assert_eq!(message.contact(), first);
        }

        #[test]
        fn a_request_keeps_the_first_of_all_when_all_are_good(
            line in "(<sip:a@192\\.0\\.2\\.1>|<sip:b@h>|\\*|,|;a=b|;c=\"d\"|\"e,\"| |<|>){0,5}",
            before in "|Contact: (\\*|<sip:b@h>|)\r\n",
            count in prop_oneof![0..3_usize, VALUES_MAX - 3..VALUES_MAX + 2],
            more in "|Contact: (\\*|<sip:c@h>|<|sip:c@h;c, <sip:d@h>)\r\n",
            is_spread in any::<bool>(),
        ) {
            let between = if is_spread { "\r\nContact: " } else { "," };
            let line = format!("{line}{}", format!("{between}<sip:a@h>").repeat(count));
            let text = format!(
                "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\
                 From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\
                 {before}Contact: {line}\r\n{more}\r\n"
            );
            let mut index = HeaderIndex::new();
            let message = Message::parse(text.as_bytes(), &mut index).expect("it has a shape");
            let mut index = HeaderIndex::new();
            let kept = match Message::receive(text.as_bytes(), &mut index) {
                Ok(Checked::Request(request)) => Ok(request.contact),
                Ok(Checked::Response(_)) => panic!("it is a request"),
                Err(rejection) => Err(rejection.error),
            };
            prop_assert_eq!(kept, first_of_all(&message), "{}", text);
        }
    }
}
