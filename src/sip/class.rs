//! The character classes of RFC 3261 §25.1.

use super::scan::text;

pub(super) const TOKEN: u8 = 1;
pub(super) const PARAMETER: u8 = 2;
const URI: u8 = 4;
/// What stands in a URI and delimits none of its parts.
pub(super) const URI_PART: u8 = 8;
pub(super) const VALUE: u8 = 16;
const HOST: u8 = 32;
const VISIBLE: u8 = 64;
pub(super) const MEDIA_TYPE: u8 = 128;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
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
    of_class(bytes, HOST)
}

/// The bytes as text when there are some, and none of them is a blank, a control or foreign.
pub(super) fn visible_text(bytes: &[u8]) -> Option<&str> {
    of_class(bytes, VISIBLE).filter(|text| !text.is_empty())
}

fn of_class(bytes: &[u8], class: u8) -> Option<&str> {
    let whole = class_end(bytes, class) == bytes.len();
    whole.then(|| text(bytes)).flatten()
}

/// Where the token ends that starts here, or the two of them with a `/` between.
pub(super) fn media_type_end(bytes: &[u8]) -> usize {
    class_end(bytes, MEDIA_TYPE)
}

/// How many bytes from the start on are of this class.
#[inline(always)]
pub(super) fn class_end(bytes: &[u8], class: u8) -> usize {
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
