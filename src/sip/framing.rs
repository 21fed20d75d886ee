//! Cuts a byte stream into messages (RFC 3261 §18.3) and keep-alives (RFC 5626 §3.5.1, §4.4.1).
//!
//! The length comes from the same reading of header lines as the parser's, so that no neighbour
//! and no later stage sees a border elsewhere. When the length is in doubt the framing is lost and
//! the connection must go; how long a peer may take is the caller's decision.

use memchr::memmem;

use super::class::is_token;
use super::content::content_length;
use super::header::HeaderName;
use super::lines::Lines;
use super::malformed::Malformed;
use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX};

/// What the front of a stream's buffer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Line ends between messages, to be skipped: 4 bytes are a ping and want the answer CRLF,
    /// 2 bytes are an answer or a stray line end.
    KeepAlive(usize),
    /// A whole message of that many bytes.
    Complete(usize),
    /// Not yet decided: read more.
    Incomplete,
    /// No border can be found any more: answer if possible, then close the connection.
    Malformed(Malformed),
}

/// Finds the first frame of `buffer`, which starts where the previous frame ended. For one call;
/// a stream that arrives in pieces wants a [`Framer`], which does not look at a byte twice.
#[must_use]
pub fn frame(buffer: &[u8]) -> Frame {
    Framer::new().frame(buffer)
}

/// The state between two looks at a growing buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Framer {
    /// Bytes in which the blank line does not start.
    scanned: usize,
    /// The length of the message at the front, once its head is complete.
    length: Option<usize>,
}

impl Framer {
    /// For a new connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Finds the first frame of `buffer`. After `Complete` and `KeepAlive` the caller removes as
    /// many bytes from the front; after `Incomplete` it only appends.
    pub fn frame(&mut self, buffer: &[u8]) -> Frame {
        let frame = self.find(buffer);
        match frame {
            Frame::Complete(_) | Frame::KeepAlive(_) => *self = Self::new(),
            Frame::Incomplete | Frame::Malformed(_) => {}
        }
        frame
    }

    fn find(&mut self, buffer: &[u8]) -> Frame {
        if let Some(frame) = between_messages(buffer) {
            return frame;
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.message_length(buffer) {
                Ok(Some(length)) => length,
                Ok(None) => return Frame::Incomplete,
                Err(error) => return Frame::Malformed(error),
            },
        };
        self.length = Some(length);
        if buffer.len() < length {
            Frame::Incomplete
        } else {
            Frame::Complete(length)
        }
    }

    /// The length of the message once its head is here.
    fn message_length(&mut self, buffer: &[u8]) -> Result<Option<usize>, Malformed> {
        let window = &buffer[..buffer.len().min(HEAD_BYTES_MAX)];
        let Some(offset) = memmem::find(&window[self.scanned..], b"\r\n\r\n") else {
            if window.len() == HEAD_BYTES_MAX {
                return Err(Malformed::HeadTooLarge);
            }
            // The blank line may have begun in the last three bytes.
            self.scanned = window.len().saturating_sub(3);
            return Ok(None);
        };
        let head = self.scanned + offset + 4;
        let body = announced(&buffer[..head])?;
        Ok(Some(head + body))
    }
}

/// What stands at the front when it is not a message.
fn between_messages(buffer: &[u8]) -> Option<Frame> {
    match buffer {
        [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Some(Frame::Incomplete),
        [b'\r', b'\n', b'\r', b'\n', ..] => Some(Frame::KeepAlive(4)),
        [b'\r', b'\n', ..] => Some(Frame::KeepAlive(2)),
        [b'\r' | b'\n', ..] => Some(Frame::Malformed(Malformed::BareLineEnd)),
        // A method and `SIP/2.0` both start with a token; a TLS hello does not.
        [first, ..] if !is_token(*first) => Some(Frame::Malformed(Malformed::StartLine)),
        [_, ..] => None,
    }
}

/// The body bytes that a head announces.
fn announced(head: &[u8]) -> Result<usize, Malformed> {
    let mut lines = Lines::new(head, 0);
    lines.start_line();
    let mut length = None;
    while let Some(line) = lines.header() {
        // A line that is broken in itself does not move the border; the parser will refuse it.
        let Ok((Some(HeaderName::ContentLength), _, value)) = line else {
            continue;
        };
        if length.is_some() {
            return Err(Malformed::Duplicate(HeaderName::ContentLength));
        }
        length = Some(content_length(&head[value])?);
    }
    let length = length.ok_or(Malformed::ContentLengthMissing)?;
    match usize::try_from(length) {
        Ok(length) if length <= BODY_BYTES_MAX => Ok(length),
        Ok(_) | Err(_) => Err(Malformed::BodyTooLarge),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_length(line: &str) -> Vec<u8> {
        format!("OPTIONS sip:a SIP/2.0\r\n{line}\r\nVia: x\r\n\r\nbody").into_bytes()
    }

    #[test]
    fn the_length_is_read_in_all_its_spellings() {
        for line in [
            "Content-Length: 4",
            "l:4",
            "CONTENT-LENGTH \t:  0004  ",
            "L:\r\n 4",
            "l: \r\n\t4\r\n ",
        ] {
            let bytes = with_length(line);
            assert_eq!(frame(&bytes), Frame::Complete(bytes.len()), "{line}");
            assert_eq!(
                frame(&bytes[..bytes.len() - 1]),
                Frame::Incomplete,
                "{line}"
            );
        }
    }

    #[test]
    fn a_doubtful_length_loses_the_framing() {
        const NAME: HeaderName = HeaderName::ContentLength;
        for (line, expected) in [
            ("X: 4", Malformed::ContentLengthMissing),
            ("l: 4\r\nContent-Length: 4", Malformed::Duplicate(NAME)),
            ("l: 4\r\nl: 5", Malformed::Duplicate(NAME)),
            ("l: -4", Malformed::Invalid(NAME)),
            ("l: +4", Malformed::Invalid(NAME)),
            ("l: 0x4", Malformed::Invalid(NAME)),
            ("l: 4 4", Malformed::Invalid(NAME)),
            ("l:", Malformed::Invalid(NAME)),
            ("l: 4294967300", Malformed::BodyTooLarge),
            ("l: 18446744073709551620", Malformed::OutOfRange(NAME)),
            ("l: 262145", Malformed::BodyTooLarge),
        ] {
            assert_eq!(
                frame(&with_length(line)),
                Frame::Malformed(expected),
                "{line}"
            );
        }
    }

    #[test]
    fn line_ends_between_messages_are_told_apart() {
        for (bytes, expected) in [
            (&b""[..], Frame::Incomplete),
            (b"\r\n", Frame::Incomplete),
            (b"\r\n\r\n", Frame::KeepAlive(4)),
            (b"\r\n\r\n\r\n", Frame::KeepAlive(4)),
            (b"\r\nO", Frame::KeepAlive(2)),
            (b"\r\n\rO", Frame::KeepAlive(2)),
            (b"\n", Frame::Malformed(Malformed::BareLineEnd)),
            (b"\rO", Frame::Malformed(Malformed::BareLineEnd)),
            (b"\x16\x03\x01", Frame::Malformed(Malformed::StartLine)),
        ] {
            assert_eq!(frame(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let bytes = vec![b'a'; HEAD_BYTES_MAX];
        assert_eq!(frame(&bytes[..HEAD_BYTES_MAX - 1]), Frame::Incomplete);
        assert_eq!(frame(&bytes), Frame::Malformed(Malformed::HeadTooLarge));
    }
}
