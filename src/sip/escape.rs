//! Escapes in URIs: `%` and two hexadecimal digits (RFC 3261 §25.1).

use std::borrow::Cow;

use super::scan::text_or_replaced;

/// The byte that an escape at the beginning of the text stands for, and what follows it.
pub(crate) fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, after @ ..] = text else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = digit(*high)? << 4 | digit(*low)?;
    Some((u8::try_from(byte).expect("two digits"), after))
}

/// A text with its escapes resolved (RFC 3261 §19.1.2); `%` without two digits stays as it is.
pub(crate) fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let (byte, after) = escape(rest).unwrap_or((*first, tail));
        bytes.push(byte);
        rest = after;
    }
    Cow::Owned(text_or_replaced(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_a_percent_sign_and_two_digits() {
        assert!(matches!(unescaped("8001"), Cow::Borrowed("8001")));
        for (escaped, text) in [
            ("%238001%2a", "#8001*"),
            ("%2B49%2b", "+49+"),
            ("%+5%-1", "%+5%-1"),
            ("%", "%"),
            ("8001%4", "8001%4"),
            ("%%41", "%A"),
            ("%e9t%C3%A9", "\u{fffd}t\u{e9}"),
        ] {
            assert_eq!(unescaped(escaped), text);
        }
    }
}
