//! Replaces (RFC 3891): the dialog whose place a new call takes.

use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::parameters::Parameters;
use super::scan::{text, trim};

/// A Replaces value. The tags are those of whoever gets the INVITE: its own is `to_tag`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Replaces<'a> {
    /// The Call-ID of the dialog.
    pub call_id: &'a str,
    /// The tag of who gets the INVITE; `0` for peers of RFC 2543, which have none.
    pub to_tag: &'a str,
    /// The tag of who is replaced; `0` as above.
    pub from_tag: &'a str,
    /// Only a call that has not been answered is meant.
    pub early_only: bool,
}

impl<'a> Replaces<'a> {
    /// Reads a whole value, escapes resolved before.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] and what [`Parameters::parse`] finds.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let invalid = Malformed::Invalid(HeaderName::Replaces);
        let value = trim(value);
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let call_id = trim(&value[..end]);
        if call_id.is_empty() || !call_id.iter().all(u8::is_ascii_graphic) {
            return Err(invalid);
        }
        let parameters = Parameters::parse(&value[end..])?;
        let tag = |name| parameters.value(name).filter(|tag| !tag.is_empty());
        Ok(Self {
            call_id: text(call_id).ok_or(invalid)?,
            to_tag: tag("to-tag").ok_or(invalid)?,
            from_tag: tag("from-tag").ok_or(invalid)?,
            early_only: parameters.find("early-only").is_some(),
        })
    }
}

impl<'a> Message<'a> {
    /// The Replaces header.
    ///
    /// # Errors
    /// [`Malformed::Duplicate`] when there are several, and as [`Replaces::parse`].
    pub fn replaces(&self) -> Result<Option<Replaces<'a>>, Malformed> {
        const NAME: HeaderName = HeaderName::Replaces;
        let mut values = self.headers(NAME);
        let first = values.next();
        if values.next().is_some() {
            return Err(Malformed::Duplicate(NAME));
        }
        first.map(Replaces::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_by_three_words() {
        let value = b" 98732@sip.example.com ;\r\n from-tag=r33th4x0r ;to-tag=ff87ff;early-only";
        let replaces = Replaces::parse(value).expect("legal");
        assert_eq!(replaces.call_id, "98732@sip.example.com");
        assert_eq!(
            (replaces.to_tag, replaces.from_tag),
            ("ff87ff", "r33th4x0r")
        );
        assert!(replaces.early_only);
        let repeated = Replaces::parse(b"a;to-tag=1;to-tag=2;from-tag=3").expect("tolerated");
        assert_eq!(repeated.to_tag, "1");
        assert!(!repeated.early_only);
    }

    #[test]
    fn less_names_none() {
        let invalid = Err(Malformed::Invalid(HeaderName::Replaces));
        for text in [
            "",
            ";to-tag=1;from-tag=2",
            "a",
            "a;to-tag=1",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(text.as_bytes()), invalid, "{text}");
        }
    }
}
