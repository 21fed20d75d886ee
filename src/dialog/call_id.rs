//! Call-IDs: minting our own so that they name the shard that owns them, recognising them again,
//! and finding one in raw bytes without a parse. No table here; who uses the owner is the engine.
//!
//! A minted Call-ID is `o`, the shard in 4 hexadecimal digits, 16 random ones and 8 of a keyed
//! SipHash over the rest, then perhaps `@host`. Without the key nobody can make one up, so nobody
//! outside can aim traffic at one shard; every other Call-ID is spread by a keyed hash.

use std::hash::Hasher;

use offhook_shards::ShardId;
use siphasher::sip::SipHasher24;

use super::digits::Digits;

/// Bytes of a minted Call-ID without its host.
pub const MINTED_BYTES: usize = 1 + SHARD_DIGITS + RANDOM_DIGITS + MAC_DIGITS;
const SHARD_DIGITS: usize = 4;
const RANDOM_DIGITS: usize = 16;
const MAC_DIGITS: usize = 8;
/// Where the MAC begins.
const MAC_AT: usize = MINTED_BYTES - MAC_DIGITS;

/// A new Call-ID that `shard` owns. `random` must not have been used before.
#[must_use]
pub fn mint(shard: ShardId, random: u64, keys: [u64; 2], host: Option<&str>) -> String {
    let host_bytes = host.map_or(0, |host| 1 + host.len());
    let mut text = String::with_capacity(MINTED_BYTES + host_bytes);
    text.push('o');
    push_digits::<SHARD_DIGITS>(&mut text, u64::from(shard.0));
    push_digits::<RANDOM_DIGITS>(&mut text, random);
    let mac = mac(text.as_bytes(), keys);
    push_digits::<MAC_DIGITS>(&mut text, u64::from(mac));
    if let Some(host) = host {
        text.push('@');
        text.push_str(host);
    }
    text
}

/// Adds the last `COUNT` hexadecimal digits of a number.
fn push_digits<const COUNT: usize>(text: &mut String, number: u64) {
    let all = Digits::<16>::new("", number);
    text.push_str(&all[RANDOM_DIGITS - COUNT..]);
}

/// The shard that minted this Call-ID, if one of ours did.
#[must_use]
pub fn minted_by(call_id: &[u8], keys: [u64; 2]) -> Option<ShardId> {
    if call_id.first() != Some(&b'o') || call_id.get(MINTED_BYTES).is_some_and(|&next| next != b'@')
    {
        return None;
    }
    let claimed = hexadecimal(call_id.get(MAC_AT..MINTED_BYTES)?)?;
    if claimed != u64::from(mac(&call_id[..MAC_AT], keys)) {
        return None;
    }
    let shard = hexadecimal(&call_id[1..=SHARD_DIGITS])?;
    u16::try_from(shard).ok().map(ShardId)
}

/// The shard that owns a Call-ID, ours or not; a pure function, so that all shards agree.
/// `shards` is how many there are, at least 1.
#[must_use]
pub fn owner(call_id: &[u8], keys: [u64; 2], shards: u16) -> ShardId {
    if let Some(shard) = minted_by(call_id, keys)
        && shard.0 < shards
    {
        return shard;
    }
    let mut hasher = SipHasher24::new_with_keys(keys[0], keys[1]);
    hasher.write(call_id);
    let spread = hasher.finish() % u64::from(shards.max(1));
    ShardId(u16::try_from(spread).expect("a remainder is below its 16-bit divisor"))
}

fn mac(bytes: &[u8], keys: [u64; 2]) -> u32 {
    // Other keys than the spreading hash has, so that neither helps to guess the other.
    let mut hasher = SipHasher24::new_with_keys(!keys[0], !keys[1]);
    hasher.write(bytes);
    (hasher.finish() >> 32) as u32
}

/// Reads lower-case digits only: exactly what is minted, so that one Call-ID has one spelling.
fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

/// The value of the first Call-ID (or `i`) header of a message, without a parse. Blanks before
/// the colon and a folded value are read as the parser reads them; the body is never looked at.
#[must_use]
pub fn call_id_of(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let end = memchr::memchr(b'\n', rest)?;
        rest = &rest[end + 1..];
        if rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
            return None;
        }
        if let Some(value) = value_of(rest) {
            return Some(first_word(value));
        }
    }
}

/// What follows the colon when this line begins with `Call-ID` or `i`.
fn value_of(line: &[u8]) -> Option<&[u8]> {
    const LONG: &[u8] = b"call-id";
    let name = match line.get(..LONG.len()) {
        Some(start) if start.eq_ignore_ascii_case(LONG) => LONG.len(),
        Some(_) | None => match line.first() {
            Some(b'i' | b'I') => 1,
            Some(_) | None => return None,
        },
    };
    let rest = &line[name..];
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    (rest.get(blanks) == Some(&b':')).then(|| &rest[blanks + 1..])
}

/// The first run of visible bytes. A line end counts as white space only when it is a fold.
fn first_word(value: &[u8]) -> &[u8] {
    let mut rest = value;
    loop {
        match rest {
            [b' ' | b'\t', after @ ..] => rest = after,
            [b'\r', b'\n', b' ' | b'\t', after @ ..] => rest = after,
            _ => break,
        }
    }
    let end = rest
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(rest.len());
    &rest[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

    #[test]
    fn a_minted_call_id_names_its_shard() {
        for shard in [0, 1, 255, 65_535] {
            for host in [None, Some("server.example.com")] {
                let call_id = mint(ShardId(shard), 42, KEYS, host);
                assert_eq!(minted_by(call_id.as_bytes(), KEYS), Some(ShardId(shard)));
            }
        }
        assert_eq!(
            owner(mint(ShardId(3), 9, KEYS, None).as_bytes(), KEYS, 8),
            ShardId(3)
        );
    }

    #[test]
    fn a_forged_call_id_is_spread_like_any_other() {
        let call_id = mint(ShardId(3), 42, KEYS, None);
        for at in 0..MINTED_BYTES {
            let mut forged = call_id.clone().into_bytes();
            forged[at] = if forged[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(minted_by(&forged, KEYS), None, "byte {at}");
        }
        assert_eq!(minted_by(call_id.to_uppercase().as_bytes(), KEYS), None);
        assert_eq!(minted_by(format!("{call_id}x").as_bytes(), KEYS), None);
        assert_eq!(minted_by(call_id.as_bytes(), [KEYS[1], KEYS[0]]), None);
    }

    #[test]
    fn a_shard_that_is_gone_does_not_get_its_calls_back() {
        let call_id = mint(ShardId(7), 42, KEYS, None);
        assert!(owner(call_id.as_bytes(), KEYS, 4).0 < 4);
    }

    #[test]
    fn foreign_call_ids_are_spread_over_all_shards() {
        let mut counts = [0_u32; 4];
        for number in 0..4_000 {
            let call_id = format!("{number}@192.0.2.1");
            counts[owner(call_id.as_bytes(), KEYS, 4).index()] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1_150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_scan_finds_what_a_parser_would() {
        for (message, expected) in [
            ("INVITE sip:a SIP/2.0\r\nCall-ID: x@y\r\n\r\n", Some("x@y")),
            ("INVITE sip:a SIP/2.0\r\ni:x\r\n\r\n", Some("x")),
            ("INVITE sip:a SIP/2.0\r\nCALL-id \t : x \r\n\r\n", Some("x")),
            (
                "INVITE sip:a SIP/2.0\r\nCall-ID:\r\n  x@y\r\n\r\n",
                Some("x@y"),
            ),
            (
                "INVITE sip:a SIP/2.0\r\nCall-ID:\r\nVia: z\r\n\r\n",
                Some(""),
            ),
            (
                "INVITE sip:a SIP/2.0\r\nCall-Info: q\r\nI : x\r\n\r\n",
                Some("x"),
            ),
            (
                "INVITE sip:a SIP/2.0\r\nVia: z\r\n\r\nCall-ID: body\r\n",
                None,
            ),
            ("INVITE sip:a SIP/2.0\r\nCall-IDs: z\r\n\r\n", None),
            ("SIP/2.0 200 OK\r\nVia: a\r\nCall-ID: cut", Some("cut")),
            ("Call-ID: in-the-start-line\r\n\r\n", None),
            ("", None),
            ("\n", None),
        ] {
            let found = call_id_of(message.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{message:?}");
        }
    }
}
