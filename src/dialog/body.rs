//! A message body on its way through us.

use bytes::Bytes;

/// A body with its type. Cloning is cheap; the bytes are never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The Content-Type value as received.
    pub content_type: Bytes,
    /// The bytes.
    pub bytes: Bytes,
}
