//! The step from a message that can be split to one that can be acted on.
//!
//! A [`Request`] and a [`Response`] hold every field that routing needs, parsed once and known to
//! be good. A [`Rejection`] holds what is left of a message that is not.

use super::header::{HeaderIndex, HeaderName};
use super::malformed::Malformed;
use super::message::Message;
use super::method::Method;
use super::name_addr::{Address, NameAddr};
use super::start_line::StartLine;
use super::status::Status;
use super::uri::Uri;
use super::via::Via;
use crate::limits::{REPEATED_BYTES_MAX, VALUES_MAX};

/// A request with everything that routing needs.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is asked; the same as in CSeq.
    pub method: Method<'a>,
    /// The Request-URI. Its scheme may be one that we do not serve.
    pub uri: Uri<'a>,
    /// The top Via.
    pub via: Via<'a>,
    /// The From header. Its URI is known to be one in requests outside of dialogs.
    pub from: Address<'a>,
    /// The To header, likewise.
    pub to: Address<'a>,
    /// The tag of From; `None` from peers of RFC 2543.
    pub from_tag: Option<&'a str>,
    /// The tag of To; `None` outside dialogs.
    pub to_tag: Option<&'a str>,
    /// The Call-ID.
    pub call_id: &'a str,
    /// The number of CSeq, less than 2^31.
    pub cseq: u32,
    /// The first Contact address; `None` when there is none or it is `*`.
    pub contact: Option<NameAddr<'a>>,
    /// Max-Forwards; `None` when absent, which RFC 3261 §8.1.1.6 forbids and peers do.
    pub max_forwards: Option<u8>,
    /// The whole message.
    pub message: Message<'a>,
}

const _: () = assert!(
    size_of::<Request<'_>>() <= 760,
    "it is made for each message"
);

/// A response with everything that routing needs.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    /// The code.
    pub status: Status,
    /// The top Via: ours, when the response is for us.
    pub via: Via<'a>,
    /// The From header.
    pub from: Address<'a>,
    /// The To header.
    pub to: Address<'a>,
    /// The tag of From.
    pub from_tag: Option<&'a str>,
    /// The tag of To.
    pub to_tag: Option<&'a str>,
    /// The Call-ID.
    pub call_id: &'a str,
    /// The number of CSeq, less than 2^31.
    pub cseq: u32,
    /// The method of CSeq: what the response answers.
    pub cseq_method: Method<'a>,
    /// The whole message.
    pub message: Message<'a>,
}

const _: () = assert!(
    size_of::<Response<'_>>() <= 448,
    "it is made for each message"
);

/// A message that can be acted on.
#[derive(Debug, Clone, Copy)]
#[allow(
    clippy::large_enum_variant,
    reason = "it lives on the stack while its message is handled, and a box would be an allocation"
)]
pub enum Checked<'a> {
    /// A request.
    Request(Request<'a>),
    /// A response.
    Response(Response<'a>),
}

/// A message that cannot be acted on, and what to do with it.
#[derive(Debug, Clone, Copy)]
pub struct Rejection<'a> {
    /// The first rule that the message breaks.
    pub error: Malformed,
    /// The answer it gets. `None` when it is dropped: a response, an ACK, or a request of which too
    /// little is left to answer.
    pub answer: Option<Status>,
    /// What could be read, when enough could be read for an answer or for a log line.
    pub message: Option<Message<'a>>,
}

/// The headers that an answer repeats (RFC 3261 §8.2.6.2, §12.1.1).
const REPEATED: [HeaderName; 7] = [
    HeaderName::Via,
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::Timestamp,
    HeaderName::RecordRoute,
];

impl Rejection<'_> {
    fn without_message(error: Malformed) -> Self {
        Self {
            error,
            answer: None,
            message: None,
        }
    }
}

impl<'a> Message<'a> {
    /// Reads and checks a message from the network in one step, keeping what an answer needs when
    /// the message is broken.
    ///
    /// # Errors
    /// A [`Rejection`] with the rule and the answer.
    pub fn receive(
        bytes: &'a [u8],
        index: &'a mut HeaderIndex,
    ) -> Result<Checked<'a>, Rejection<'a>> {
        Self::read(bytes, index)
            .map_err(Rejection::without_message)?
            .check()
    }

    /// Reads what there is of a message whose end cannot be found in its stream, so that it can be
    /// answered.
    #[must_use]
    pub fn refuse(bytes: &'a [u8], index: &'a mut HeaderIndex, error: Malformed) -> Rejection<'a> {
        match Self::read(bytes, index) {
            Ok(message) => message.reject(error),
            Err(_) => Rejection::without_message(error),
        }
    }

    /// Parses every field that routing needs.
    ///
    /// # Errors
    /// A [`Rejection`] with the rule and the answer.
    pub fn check(self) -> Result<Checked<'a>, Rejection<'a>> {
        let error = match (self.defect(), self.start_line()) {
            (Some(defect), _) => defect,
            (None, StartLine::Request { method, uri }) => match self.check_request(method, uri) {
                Ok(request) => return Ok(Checked::Request(request)),
                Err(error) => error,
            },
            (None, StartLine::Response { status, .. }) => match self.check_response(status) {
                Ok(response) => return Ok(Checked::Response(response)),
                Err(error) => error,
            },
        };
        Err(self.reject(error))
    }

    fn reject(self, error: Malformed) -> Rejection<'a> {
        let answered = match self.start_line() {
            // RFC 3261 §17.1.1.3: an ACK is never answered.
            StartLine::Request { method, .. } => method != Method::Ack,
            StartLine::Response { .. } => false,
        };
        let answered = answered && self.header(HeaderName::Via).is_some();
        Rejection {
            error,
            answer: answered.then(|| error.status()),
            message: Some(self),
        }
    }

    /// Whether an answer might have a line that we would refuse ourselves.
    fn repeats_too_much(&self) -> bool {
        let is_long = |value: &[u8]| value.len() > REPEATED_BYTES_MAX;
        let mut repeated = REPEATED.iter();
        is_long(self.bytes()) && repeated.any(|name| self.headers(*name).any(is_long))
    }

    fn check_request(self, method: Method<'a>, uri: &'a [u8]) -> Result<Request<'a>, Malformed> {
        if self.repeats_too_much() {
            return Err(Malformed::LineTooLong);
        }
        let uri = Uri::parse(uri)?;
        if !uri.headers.is_empty() {
            return Err(Malformed::UriHeaders);
        }
        let fields = self.fields()?;
        if fields.to_tag.is_none() {
            // What begins here is told of by them.
            fields.from.read()?;
            fields.to.read()?;
        }
        if fields.cseq_method != method {
            return Err(Malformed::CSeqMethodMismatch);
        }
        for name in [HeaderName::Via, HeaderName::Route, HeaderName::RecordRoute] {
            // A line without a comma is one value. Any other has one more than it has commas, and
            // it may have nothing else.
            let values = |line: &[u8]| memchr::memchr(b',', line).map_or(1, |_| line.len() + 1);
            let most: usize = self.headers(name).map(values).sum();
            if most > VALUES_MAX && self.elements(name).nth(VALUES_MAX).is_some() {
                return Err(Malformed::TooManyValues(name));
            }
        }
        Ok(Request {
            method,
            uri,
            via: fields.via,
            from: fields.from,
            to: fields.to,
            from_tag: fields.from_tag,
            to_tag: fields.to_tag,
            call_id: fields.call_id,
            cseq: fields.cseq,
            contact: self.checked_contact()?,
            max_forwards: self.max_forwards()?,
            message: self,
        })
    }

    /// The first Contact, when all of them are good.
    fn checked_contact(self) -> Result<Option<NameAddr<'a>>, Malformed> {
        if self.headers(HeaderName::Contact).nth(1).is_none()
            && let Some(contact) = self.plain_contact()
        {
            return Ok(Some(contact));
        }
        let mut contacts = self.contacts();
        let Some(first) = contacts.next() else {
            return Ok(None);
        };
        let first = first?;
        for (count, contact) in contacts.enumerate() {
            contact?;
            if count + 1 == VALUES_MAX {
                return Err(Malformed::TooManyValues(HeaderName::Contact));
            }
        }
        Ok(first.address().copied())
    }

    fn check_response(self, status: Status) -> Result<Response<'a>, Malformed> {
        let fields = self.fields()?;
        Ok(Response {
            status,
            via: fields.via,
            from: fields.from,
            to: fields.to,
            from_tag: fields.from_tag,
            to_tag: fields.to_tag,
            call_id: fields.call_id,
            cseq: fields.cseq,
            cseq_method: fields.cseq_method,
            message: self,
        })
    }

    #[inline(always)]
    fn fields(self) -> Result<Fields<'a>, Malformed> {
        let call_id = self.call_id()?;
        let from = Address::parse(self.mandatory(HeaderName::From)?)?;
        let to = Address::parse(self.mandatory(HeaderName::To)?)?;
        let cseq = self.cseq()?;
        let via = self.via()?;
        Ok(Fields {
            via,
            from_tag: from.checked_tag(HeaderName::From)?,
            to_tag: to.checked_tag(HeaderName::To)?,
            from,
            to,
            call_id,
            cseq: cseq.number,
            cseq_method: cseq.method,
        })
    }
}

/// What requests and responses have both.
struct Fields<'a> {
    via: Via<'a>,
    from: Address<'a>,
    to: Address<'a>,
    from_tag: Option<&'a str>,
    to_tag: Option<&'a str>,
    call_id: &'a str,
    cseq: u32,
    cseq_method: Method<'a>,
}

impl<'a> Request<'a> {
    /// The Request-URI as it stands on the wire.
    #[must_use]
    pub fn uri_bytes(&self) -> &'a [u8] {
        match self.message.start_line() {
            StartLine::Request { uri, .. } => uri,
            StartLine::Response { .. } => b"",
        }
    }
}
