//! One message as a view: its bytes, its start line, its header index and its body.
//!
//! Typed accessors for single headers live in the file of the header's name.

use super::class::visible_text;
use super::content::content_length;
use super::cseq::CSeq;
use super::header::{HeaderIndex, HeaderName};
use super::lines::Lines;
use super::malformed::Malformed;
use super::name_addr::NameAddr;
use super::scan::Elements;
use super::start_line::StartLine;
use super::via::Via;

/// A parsed message. Copying it copies references.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    index: &'a HeaderIndex,
    start_line: StartLine<'a>,
    body: &'a [u8],
    /// The first rule the message breaks, when it was read for the sake of an answer.
    defect: Option<Malformed>,
}

impl<'a> Message<'a> {
    /// Reads one whole message: a datagram, or what `framing` cut out of a stream. Bytes after
    /// Content-Length are ignored (RFC 3261 §18.3); without Content-Length the body is the rest.
    ///
    /// # Errors
    /// The first rule that the message breaks. Use [`Message::receive`] where a request must be
    /// answered even then.
    pub fn parse(bytes: &'a [u8], index: &'a mut HeaderIndex) -> Result<Self, Malformed> {
        let message = Self::read(bytes, index)?;
        match message.defect {
            Some(defect) => Err(defect),
            None => Ok(message),
        }
    }

    /// Reads as much as can be read.
    pub(super) fn read(bytes: &'a [u8], index: &'a mut HeaderIndex) -> Result<Self, Malformed> {
        index.clear();
        let mut start = 0;
        // RFC 3261 §7.5: empty lines before the start line are ignored.
        while bytes[start..].starts_with(b"\r\n") {
            start += 2;
        }
        if start == bytes.len() {
            return Err(Malformed::Empty);
        }
        if start > crate::limits::LINE_BYTES_MAX {
            return Err(Malformed::StartLine);
        }
        let mut lines = Lines::new(bytes, start);
        let (start_line, defect) = StartLine::parse(lines.start_line())?;
        if let Some(defect) = defect {
            lines.note(defect);
        }
        lines.index(bytes, index);
        let rest = &bytes[lines.at()..];
        let body = match body(rest, index, bytes) {
            Ok(body) => body,
            Err(error) => {
                lines.note(error);
                &rest[..0]
            }
        };
        Ok(Self {
            bytes,
            index,
            start_line,
            body,
            defect: lines.defect,
        })
    }

    /// The first rule the message breaks as a whole.
    pub(super) fn defect(&self) -> Option<Malformed> {
        self.defect
    }

    /// The request line or the status line.
    #[must_use]
    pub fn start_line(&self) -> StartLine<'a> {
        self.start_line
    }

    /// The bytes the message was read from, as received.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body: exactly Content-Length bytes.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The value of the first line of this header, without white space around it. Folds inside it
    /// are kept; the typed accessors read them as white space.
    #[must_use]
    pub fn header(&self, name: HeaderName) -> Option<&'a [u8]> {
        self.index.first(name).map(|line| line.value(self.bytes))
    }

    /// The value of every line of this header.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let bytes = self.bytes;
        self.index.chain(name).map(move |line| line.value(bytes))
    }

    /// The comma-separated elements of every line of this header.
    pub fn elements(&self, name: HeaderName) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.headers(name).flat_map(Elements::new)
    }

    /// Name and value of every header line in order, names as received.
    pub fn all_headers(
        &self,
    ) -> impl Iterator<Item = (Option<HeaderName>, &'a [u8], &'a [u8])> + Clone + use<'a> {
        let bytes = self.bytes;
        self.index
            .lines()
            .iter()
            .map(move |line| (line.name, line.name(bytes), line.value(bytes)))
    }

    /// Name and value of every header line that has no [`HeaderName`].
    pub fn unknown_headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let unknown = self.all_headers().filter(|(known, _, _)| known.is_none());
        unknown.map(|(_, name, value)| (name, value))
    }

    /// The Call-ID.
    ///
    /// # Errors
    /// [`Malformed::Missing`], [`Malformed::Invalid`].
    pub fn call_id(&self) -> Result<&'a str, Malformed> {
        const NAME: HeaderName = HeaderName::CallId;
        let value = self.mandatory(NAME)?;
        // RFC 3261 §25.1 lists the characters; what matters is that it is one visible word.
        visible_text(value).ok_or(Malformed::Invalid(NAME))
    }

    /// The From header.
    ///
    /// # Errors
    /// [`Malformed::Missing`] and what [`NameAddr::parse`] finds.
    pub fn from(&self) -> Result<NameAddr<'a>, Malformed> {
        NameAddr::parse(self.mandatory(HeaderName::From)?)
    }

    /// The To header.
    ///
    /// # Errors
    /// [`Malformed::Missing`] and what [`NameAddr::parse`] finds.
    pub fn to(&self) -> Result<NameAddr<'a>, Malformed> {
        NameAddr::parse(self.mandatory(HeaderName::To)?)
    }

    /// The CSeq header.
    ///
    /// # Errors
    /// [`Malformed::Missing`] and what [`CSeq::parse`] finds.
    pub fn cseq(&self) -> Result<CSeq<'a>, Malformed> {
        CSeq::parse(self.mandatory(HeaderName::CSeq)?)
    }

    /// The top Via value.
    ///
    /// # Errors
    /// [`Malformed::Missing`] and what [`Via::parse`] finds.
    pub fn via(&self) -> Result<Via<'a>, Malformed> {
        Via::first(self.mandatory(HeaderName::Via)?)
    }

    /// Every Via value, from top to bottom.
    pub fn vias(&self) -> impl Iterator<Item = Result<Via<'a>, Malformed>> + use<'a> {
        self.elements(HeaderName::Via).map(Via::parse)
    }

    pub(super) fn mandatory(&self, name: HeaderName) -> Result<&'a [u8], Malformed> {
        self.header(name).ok_or(Malformed::Missing(name))
    }
}

/// The part of `rest` that is the body.
fn body<'a>(rest: &'a [u8], index: &HeaderIndex, bytes: &[u8]) -> Result<&'a [u8], Malformed> {
    let Some(line) = index.first(HeaderName::ContentLength) else {
        return Ok(rest);
    };
    let claimed = content_length(line.value(bytes))?;
    let claimed = usize::try_from(claimed).map_err(|_| Malformed::BodyTruncated)?;
    rest.get(..claimed).ok_or(Malformed::BodyTruncated)
}
