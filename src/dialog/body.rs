//! A message body on its way through us.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::limits::{PASSING_BODIES_BYTES, SPARE_BUFFER_BYTES_MAX};
use crate::sip::{HeaderName, Message};
use crate::spare::Shared;

/// A body with its type. Cloning is cheap; the bytes are never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body<B = Arc<[u8]>> {
    /// The Content-Type value as received.
    pub content_type: Bytes,
    /// The bytes. Those of a session description live as long as its call.
    pub bytes: B,
}

/// A body that is looked at in the turn in which it comes, and not kept.
pub type PassingBody = Body<Bytes>;

/// The types that most bodies have, which need no copy.
const USUAL_TYPES: [&[u8]; 4] = [
    b"application/sdp",
    b"application/pidf+xml",
    b"application/dtmf-relay",
    b"application/dtmf",
];

impl Body {
    /// A body out of a message; `None` where it has none.
    pub(super) fn of(message: &Message<'_>) -> Option<Self> {
        Self::taken(message, |bytes| bytes.into())
    }

    /// The same in the room of a body that nobody needs any more.
    pub(super) fn in_room(message: &Message<'_>, spare: &mut Shared) -> Option<Self> {
        Self::taken(message, |bytes| spare.copy(bytes))
    }

    /// The same, sharing the bytes of the last one if they are equal. It is the last one from then
    /// on, unless it is too long to be kept for as long as a call may last: the peer may send what
    /// nobody takes.
    pub(super) fn after(
        message: &Message<'_>,
        last: &mut Option<Arc<[u8]>>,
        spare: &mut Shared,
    ) -> Option<Self> {
        Self::taken(message, |bytes| match last {
            Some(last) if **last == *bytes => Arc::clone(last),
            Some(_) | None => {
                let new = spare.copy(bytes);
                if bytes.len() > SPARE_BUFFER_BYTES_MAX {
                    *last = None;
                    return new;
                }
                if let Some(old) = last.replace(Arc::clone(&new)) {
                    spare.put_back(old);
                }
                new
            }
        })
    }
}

impl<B> Body<B> {
    fn taken(message: &Message<'_>, copy: impl FnOnce(&[u8]) -> B) -> Option<Self> {
        let bytes = message.body();
        if bytes.is_empty() {
            return None;
        }
        // RFC 3261 §20.15 demands a type; where a peer forgets it, a session is meant.
        let content_type = message
            .header(HeaderName::ContentType)
            .unwrap_or(b"application/sdp");
        let usual = USUAL_TYPES.iter().find(|usual| **usual == content_type);
        Some(Self {
            content_type: usual.map_or_else(
                || Bytes::copy_from_slice(content_type),
                |usual| Bytes::from_static(usual),
            ),
            bytes: copy(bytes),
        })
    }
}

/// Room for passing bodies: as soon as they are gone it is used again.
#[derive(Debug, Default)]
pub(super) struct PassingBodies(BytesMut);

impl PassingBodies {
    /// As [`Body::of`].
    pub(super) fn take(&mut self, message: &Message<'_>) -> Option<PassingBody> {
        Body::taken(message, |bytes| {
            if self.0.capacity() < bytes.len() {
                self.0.reserve(bytes.len().max(PASSING_BODIES_BYTES));
            }
            self.0.extend_from_slice(bytes);
            self.0.split().freeze()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::sip::{Checked, HeaderIndex};

    use super::*;

    const NOTIFY: &[u8] = include_bytes!("../../tests/data/cucm/notify_open_on_the_phone.sip");

    #[test]
    fn the_last_body_is_shared_unless_it_is_long() {
        let (mut last, mut spare) = (None, Shared::default());
        let mut hear = |length: usize| {
            let text = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
                 From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.1>;tag=2\r\nCall-ID: 1\r\n\
                 CSeq: 1 INVITE\r\nContent-Length: {length}\r\n\r\n{}",
                "x".repeat(length)
            );
            let mut index = HeaderIndex::new();
            let Ok(Checked::Response(response)) = Message::receive(text.as_bytes(), &mut index)
            else {
                panic!("it is a response: {text}");
            };
            let body = Body::after(&response.message, &mut last, &mut spare);
            let bytes = body.expect("it has one").bytes;
            assert_eq!(bytes.len(), length);
            (Arc::strong_count(&bytes), last.is_some())
        };
        assert_eq!(hear(SPARE_BUFFER_BYTES_MAX), (2, true));
        assert_eq!(hear(SPARE_BUFFER_BYTES_MAX), (2, true));
        assert_eq!(hear(SPARE_BUFFER_BYTES_MAX + 1), (1, false));
        assert_eq!(hear(10), (2, true));
    }

    #[test]
    fn room_of_bodies_that_have_passed_is_used_again() {
        let mut index = HeaderIndex::new();
        let Ok(Checked::Request(request)) = Message::receive(NOTIFY, &mut index) else {
            panic!("the sample is a request");
        };
        let mut bodies = PassingBodies::default();
        let mut places = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let body = bodies.take(&request.message);
            let bytes = body.as_ref().map(|body| &body.bytes[..]);
            assert_eq!(bytes, Some(request.message.body()));
            places.extend(body.map(|body| body.bytes.as_ptr()));
        }
        assert!(places.len() <= PASSING_BODIES_BYTES / request.message.body().len());
        // Those that are still there keep their bytes.
        let all: Vec<Option<PassingBody>> =
            (0..100).map(|_| bodies.take(&request.message)).collect();
        let kept = all.iter().flatten().map(|body| &body.bytes[..]);
        assert!(kept.eq((0..100).map(|_| request.message.body())));
    }
}
