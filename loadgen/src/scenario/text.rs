//! What happens to text between the file and the wire: backslashes in attributes, and the blanks
//! and line ends of message texts.

/// Resolves `\\`, `\"`, `\n`, `\t` and `\r` in an attribute; other backslashes stay.
pub(crate) fn unescape(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, tail @ ..] = rest {
        let meaning = match (first, tail.first()) {
            (b'\\', Some(b'\\')) => Some(b'\\'),
            (b'\\', Some(b'"')) => Some(b'"'),
            (b'\\', Some(b'n')) => Some(b'\n'),
            (b'\\', Some(b't')) => Some(b'\t'),
            (b'\\', Some(b'r')) => Some(b'\r'),
            (_, _) => None,
        };
        text.push(meaning.unwrap_or(*first));
        rest = if meaning.is_some() { &tail[1..] } else { tail };
    }
    text
}

/// A message as it goes on the wire, before its keywords are replaced: no blanks around lines,
/// CRLF between them, an empty line after the headers. Of the line ends behind a body one stays.
pub(crate) fn message(data: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = data
        .iter()
        .position(|byte| !blank(byte))
        .unwrap_or(data.len());
    let end = data
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(start, |last| last + 1);
    let mut text = Vec::with_capacity(data.len() + 64);
    for (index, line) in data[start..end].split(|byte| *byte == b'\n').enumerate() {
        if index > 0 {
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(trim_blanks(line));
    }
    if memchr::memmem::find(&text, b"\r\n\r\n").is_none() {
        text.extend_from_slice(b"\r\n\r\n");
    } else if data[end..].contains(&b'\n') {
        text.extend_from_slice(b"\r\n");
    }
    text
}

fn trim_blanks(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = line {
        line = rest;
    }
    line
}

/// Whether a text names an escape such as `\x5b`; its byte.
pub(crate) fn hexadecimal(text: &[u8]) -> Option<u8> {
    two_digits(text.strip_prefix(b"\\x")?)
}

/// The byte that two hexadecimal digits at the beginning of a text say.
pub(crate) fn two_digits(text: &[u8]) -> Option<u8> {
    number(text.get(..2)?, 16)
}

/// The byte that digits of this base say, and nothing but digits.
pub(crate) fn number(digits: &[u8], base: u32) -> Option<u8> {
    // A sign is no digit, and would be taken.
    let digits = std::str::from_utf8(digits).ok()?;
    let is_number = digits.chars().all(|digit| digit.is_digit(base));
    u8::from_str_radix(digits, base).ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_escapes_are_resolved_and_others_stay() {
        let text = unescape(br#"[^\r\n]\"\\d\d\."#);
        assert_eq!(text, b"[^\r\n]\"\\d\\d\\.");
    }

    #[test]
    fn bytes_are_digits_without_a_sign() {
        assert_eq!(hexadecimal(br"\x5b"), Some(b'['));
        assert_eq!(hexadecimal(br"\x5"), None);
        assert_eq!(hexadecimal(br"\x+5"), None);
        assert_eq!(number(b"65", 10), Some(b'A'));
        for broken in [&b""[..], b"+5", b"-5", b"256", b"5g"] {
            assert_eq!(number(broken, 10), None, "{broken:?}");
        }
    }

    #[test]
    fn lines_lose_their_blanks_and_get_crlf() {
        let text = message(b"\n\n   OPTIONS sip:x SIP/2.0  \r\n\tVia: y\n   \n  ");
        assert_eq!(text, b"OPTIONS sip:x SIP/2.0\r\nVia: y\r\n\r\n");
    }

    #[test]
    fn a_body_keeps_one_line_end_and_the_blank_lines_before_it() {
        let text = message(b"A: b\n\n\n  body  \n   more\n\n  \n ");
        assert_eq!(text, b"A: b\r\n\r\n\r\nbody\r\nmore\r\n");
        assert_eq!(message(b"A: b\n\nbody"), b"A: b\r\n\r\nbody");
    }

    #[test]
    fn an_empty_message_is_only_its_line_ends() {
        assert_eq!(message(b" \n "), b"\r\n\r\n");
    }

    #[test]
    fn bytes_may_be_written_as_numbers() {
        assert_eq!(hexadecimal(b"\\x5bx"), Some(b'['));
        assert_eq!(hexadecimal(b"\\x5"), None);
        assert_eq!(hexadecimal(b"\\n5b"), None);
    }
}
