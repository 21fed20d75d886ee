//! A message body on its way through us.

use std::sync::Arc;

use bytes::Bytes;

/// A body with its type. Cloning is cheap; the bytes are never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The Content-Type value as received.
    pub content_type: Bytes,
    /// The bytes. Those of a session description live as long as its call.
    pub bytes: Arc<[u8]>,
}

/// The types that most bodies have, which need no copy.
const USUAL_TYPES: [&[u8]; 2] = [b"application/sdp", b"application/pidf+xml"];

impl Body {
    /// A body out of a message.
    pub(super) fn copied(content_type: &[u8], bytes: &[u8]) -> Self {
        let usual = USUAL_TYPES.iter().find(|usual| **usual == content_type);
        Self {
            content_type: usual.map_or_else(
                || Bytes::copy_from_slice(content_type),
                |usual| Bytes::from_static(usual),
            ),
            bytes: bytes.into(),
        }
    }
}
