//! Twins: other programs that play the other side of a call and are told by texts over a stream
//! of their own, each ended by one byte. They may be SIPp.

use std::net::SocketAddr;

/// What ends a text.
pub(crate) const END: u8 = 0x1b;

/// Whom commands go to and come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Twins {
    /// Where twins connect to us.
    pub own: Option<SocketAddr>,
    /// The twin of a scenario that names none.
    pub only: Option<SocketAddr>,
    /// Twins by name.
    pub named: Vec<(String, SocketAddr)>,
}

impl Twins {
    /// Everybody to whom commands may go.
    pub(crate) fn others(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let named = self.named.iter().map(|(_, address)| *address);
        let others = named.chain(self.only);
        others.filter(|address| Some(*address) != self.own)
    }
}

/// The text of a message that a twin has sent; `None` if it is SIP, whatever it ends with.
pub(crate) fn text(message: &[u8]) -> Option<&[u8]> {
    let end = length(message).filter(|end| *end == message.len())?;
    Some(&message[..end - 1])
}

/// Where the first text of a stream ends; `None` if the stream is no twin's, or has not ended one.
pub(crate) fn length(buffer: &[u8]) -> Option<usize> {
    let end = memchr::memchr(END, buffer)?;
    let line = super::message::first_line(&buffer[..end]);
    let is_sip = memchr::memmem::find(line, b"SIP/2.0").is_some();
    (!is_sip).then_some(end + 1)
}

/// The value of a header, which may stand in the first line.
pub(crate) fn header<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let lines = text.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        let value = value.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
        found.eq_ignore_ascii_case(name).then_some(value)
    });
    values.next().filter(|value| !value.is_empty())
}

/// Names and addresses of a file of twins: `name;address:port` a line.
///
/// # Errors
/// Which line is wrong.
pub(crate) fn named(text: &str) -> Result<Vec<(String, SocketAddr)>, String> {
    let mut twins = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let pair = line.split_once(';').and_then(|(name, address)| {
            Some((name.trim().to_owned(), address.trim().parse().ok()?))
        });
        let fault = || format!("line {}: write name;address:port", index + 1);
        twins.push(pair.ok_or_else(fault)?);
    }
    Ok(twins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_their_byte_and_sip_is_none() {
        assert_eq!(length(b"Call-ID: 1\r\n\r\n\x1bCall"), Some(15));
        assert_eq!(length(b"Call-ID: 1\r\n"), None);
        assert_eq!(length(b"BYE sip:a SIP/2.0\r\nX: \x1b"), None);
        assert_eq!(
            text(b"Call-ID: 1\r\n\r\n\x1b"),
            Some(&b"Call-ID: 1\r\n\r\n"[..])
        );
        assert_eq!(text(b"BYE sip:a SIP/2.0\r\n\r\n\x1b"), None);
    }

    #[test]
    fn headers_are_found_also_in_the_first_line() {
        let text = b"Call-ID: 7@x\r\nfrom : m\r\n\r\nv=0";
        assert_eq!(header(text, b"Call-ID"), Some(&b"7@x"[..]));
        assert_eq!(header(text, b"From"), Some(&b"m"[..]));
        assert_eq!(header(text, b"To"), None);
    }

    #[test]
    fn a_file_of_twins_is_read() {
        let twins = named("# who\nm;127.0.0.1:7000\ns1; 127.0.0.1:7001\n").expect("a good file");
        assert_eq!(twins.len(), 2);
        assert_eq!(
            twins[1],
            ("s1".to_owned(), SocketAddr::from(([127, 0, 0, 1], 7_001)))
        );
        assert!(named("m 127.0.0.1").expect_err("no").contains("line 1"));
    }
}
