//! The character classes of RFC 3261 §25.1.

// One look at each byte, instead of two, decides that it is text.
#![allow(unsafe_code)]

pub(super) const TOKEN: u16 = 1;
pub(super) const PARAMETER: u16 = 2;
const URI: u16 = 4;
/// What stands in a URI and delimits none of its parts.
pub(super) const URI_PART: u16 = 8;
pub(super) const VALUE: u16 = 16;
const HOST: u16 = 32;
const VISIBLE: u16 = 64;
pub(super) const MEDIA_TYPE: u16 = 128;
/// What stands in a parameter of a URI, its `=` included.
pub(super) const URI_PARAMETER: u16 = 256;

const CLASSES: [u16; 256] = classes();

const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let letter = byte as u8;
        let alphanumeric = letter.is_ascii_alphanumeric();
        if alphanumeric || is_one_of(letter, b"-.!%*_+`'~") {
            table[byte] |= TOKEN | MEDIA_TYPE;
        }
        if letter == b'/' {
            table[byte] |= MEDIA_TYPE;
        }
        // Underscores are not in the grammar of a host and are in the field.
        if alphanumeric || is_one_of(letter, b"-._") {
            table[byte] |= HOST;
        }
        if letter > b' ' && letter < 0x7f {
            table[byte] |= VISIBLE;
            // Wider than `token`: hosts, `[::1]`, base64 and other values met in practice.
            if !is_one_of(letter, b"\",;<>=\\") {
                table[byte] |= PARAMETER | VALUE;
            }
            if letter == b'=' {
                table[byte] |= VALUE;
            }
            if !is_one_of(letter, b"\"<>\\") {
                table[byte] |= URI;
                if !is_one_of(letter, b":@;?%") {
                    table[byte] |= URI_PART;
                    if letter != b',' {
                        table[byte] |= URI_PARAMETER;
                    }
                }
            }
        }
        byte += 1;
    }
    table
}

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut index = 0;
    while index < set.len() {
        if set[index] == byte {
            return true;
        }
        index += 1;
    }
    false
}

/// `token` of RFC 3261 §25.1.
pub(super) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Anything visible that does not end an unquoted parameter name.
pub(super) fn is_parameter(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & PARAMETER != 0
}

/// The bytes as text when each of them may stand in a host name.
pub(super) fn host_text(bytes: &[u8]) -> Option<&str> {
    whole_text(bytes, HOST)
}

/// The bytes as text when each of them may stand in a URI.
pub(super) fn uri_text(bytes: &[u8]) -> Option<&str> {
    whole_text(bytes, URI)
}

/// The bytes as text when there are some, and none of them is a blank, a control or foreign.
pub(super) fn visible_text(bytes: &[u8]) -> Option<&str> {
    whole_text(bytes, VISIBLE).filter(|text| !text.is_empty())
}

#[inline(always)]
fn whole_text(bytes: &[u8], class: u16) -> Option<&str> {
    Some(class_text(bytes, class)).filter(|text| text.len() == bytes.len())
}

/// The bytes from the start on that are of this class. The library would look at each again.
#[inline(always)]
pub(super) fn class_text(bytes: &[u8], class: u16) -> &str {
    let of_class = &bytes[..class_end(bytes, class)];
    // SAFETY: each of these bytes is of a class, and what is of a class is ASCII, as the
    // assertion below says of the table. ASCII is UTF-8.
    unsafe { std::str::from_utf8_unchecked(of_class) }
}

const _: () = {
    let mut byte = 0x80;
    while byte < 0x100 {
        assert!(CLASSES[byte] == 0, "what is of a class is ASCII");
        byte += 1;
    }
};

/// Where the token ends that starts here, or the two of them with a `/` between.
pub(super) fn media_type_end(bytes: &[u8]) -> usize {
    class_end(bytes, MEDIA_TYPE)
}

/// How many bytes from the start on are of this class.
#[inline(always)]
pub(super) fn class_end(bytes: &[u8], class: u16) -> usize {
    let is_of = |byte: &u8| CLASSES[usize::from(*byte)] & class != 0;
    let mut rest = bytes;
    while let Some(([one, two, three, four], next)) = rest.split_first_chunk() {
        let at = bytes.len() - rest.len();
        if !is_of(one) {
            return at;
        }
        if !is_of(two) {
            return at + 1;
        }
        if !is_of(three) {
            return at + 2;
        }
        if !is_of(four) {
            return at + 3;
        }
        rest = next;
    }
    let end = rest.iter().position(|byte| !is_of(byte));
    bytes.len() - rest.len() + end.unwrap_or(rest.len())
}

/// Anything visible that does not end a URI in angle brackets.
pub(super) fn is_uri(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & URI != 0
}

/// `unreserved` of RFC 3261 §25.1: escaped or not, the same character.
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || is_one_of(byte, b"-_.!~*'()")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [u16; 9] = [
        TOKEN,
        PARAMETER,
        URI,
        URI_PART,
        VALUE,
        HOST,
        VISIBLE,
        MEDIA_TYPE,
        URI_PARAMETER,
    ];

    #[test]
    fn text_ends_before_the_first_byte_of_another_class() {
        for class in ALL {
            let is_of = |byte: &u8| CLASSES[usize::from(*byte)] & class != 0;
            for byte in 0..=u8::MAX {
                for length in 0..10 {
                    for at in 0..=length {
                        let mut bytes = [b'a'; 10];
                        bytes[at] = byte;
                        let bytes = &bytes[..length];
                        let end = bytes.iter().position(|byte| !is_of(byte));
                        let expected = &bytes[..end.unwrap_or(length)];
                        assert_eq!(Ok(class_text(bytes, class)), std::str::from_utf8(expected));
                    }
                }
            }
        }
    }
}
