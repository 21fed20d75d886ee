//! What we mint, written out without a heap: tags and branches.

use std::fmt;
use std::ops::Deref;

/// A text of `LENGTH` bytes: a prefix, and a number in sixteen hexadecimal digits after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Digits<const LENGTH: usize>([u8; LENGTH]);

impl<const LENGTH: usize> Digits<LENGTH> {
    /// The prefix fills what sixteen digits leave.
    pub(super) fn new(prefix: &str, number: u64) -> Self {
        const { assert!(LENGTH >= 16, "64 bits have sixteen digits") };
        let mut text = [0; LENGTH];
        let (head, digits) = text.split_at_mut(LENGTH - 16);
        head.copy_from_slice(prefix.as_bytes());
        write(digits, number);
        Self(text)
    }
}

impl Digits<32> {
    /// 128 bits.
    pub(super) fn of(number: u128) -> Self {
        let mut text = [0; 32];
        let (high, low) = text.split_at_mut(16);
        write(high, (number >> 64) as u64);
        write(low, number as u64);
        Self(text)
    }
}

/// The number in sixteen digits as they are written here: lower-case, so that one number has one
/// text.
pub(super) fn read(digits: &str) -> Option<u64> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if digits.len() != 16 {
        return None;
    }
    digits.bytes().try_fold(0, |number, byte| {
        Some(number << 4 | u64::from(digit(byte)?))
    })
}

fn write(digits: &mut [u8], number: u64) {
    for (place, shift) in digits.iter_mut().rev().zip((0..64).step_by(4)) {
        *place = b"0123456789abcdef"[usize::from((number >> shift) as u8 & 0xf)];
    }
}

impl<const LENGTH: usize> Deref for Digits<LENGTH> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a text and digits are text")
    }
}

impl<const LENGTH: usize> fmt::Display for Digits<LENGTH> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self)
    }
}
