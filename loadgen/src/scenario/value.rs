//! The values of a scenario's variables, and how text becomes numbers.

use std::io::Write as _;
use std::net::IpAddr;

/// What a variable holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Value {
    /// Nothing was assigned yet.
    #[default]
    Unset,
    /// What a regular expression found, or text that was assigned.
    Text(Vec<u8>),
    /// The result of arithmetic.
    Number(f64),
    /// The result of a test.
    Truth(bool),
}

impl Value {
    /// Whether a step that `test`s this variable branches: a false truth and the number zero count
    /// as unset, as in SIPp.
    pub(crate) fn is_set(&self) -> bool {
        match self {
            Self::Unset | Self::Truth(false) => false,
            Self::Number(number) => *number != 0.0,
            Self::Text(_) | Self::Truth(true) => true,
        }
    }

    /// Appends what a message shows of it: numbers with six decimals, and of zero nothing.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        match self {
            Self::Unset => {}
            Self::Number(0.0) => {}
            Self::Text(text) => output.extend_from_slice(text),
            Self::Number(number) => write_to(output, format_args!("{number:.6}")),
            Self::Truth(true) => output.extend_from_slice(b"true"),
            Self::Truth(false) => output.extend_from_slice(b"false"),
        }
    }

    /// Its number; text is read as far as it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Unset => None,
            Self::Text(text) => number(text),
            Self::Number(number) => Some(*number),
            Self::Truth(truth) => Some(f64::from(u8::from(*truth))),
        }
    }

    /// Replaces it by text and keeps the memory that it had.
    pub(crate) fn set_text(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut text = match std::mem::take(self) {
            Self::Text(text) => text,
            Self::Unset | Self::Number(_) | Self::Truth(_) => Vec::new(),
        };
        text.clear();
        write(&mut text);
        *self = Self::Text(text);
    }
}

/// Appends formatted text.
pub(crate) fn write_to(output: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = output.write_fmt(text);
    debug_assert!(written.is_ok(), "a vector takes everything");
}

/// Appends a number in decimal digits.
pub(crate) fn write_number(output: &mut Vec<u8>, number: i64) {
    const DIGITS: usize = 20;
    let mut digits = [b'0'; DIGITS];
    let mut first = DIGITS;
    let mut rest = number.unsigned_abs();
    loop {
        first -= 1;
        digits[first] += (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        output.push(b'-');
    }
    output.extend_from_slice(&digits[first..]);
}

/// Appends an address as it is usually written.
pub(crate) fn write_ip(output: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => {
            for (place, octet) in ip.octets().into_iter().enumerate() {
                if place > 0 {
                    output.push(b'.');
                }
                write_number(output, octet.into());
            }
        }
        IpAddr::V6(ip) => write_to(output, format_args!("{ip}")),
    }
}

/// A whole text that is one number, blanks around it allowed.
pub(crate) fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Value) -> String {
        let mut output = Vec::new();
        value.write(&mut output);
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn values_are_shown_as_messages_show_them() {
        assert_eq!(shown(&Value::Number(3.5)), "3.500000");
        assert_eq!(shown(&Value::Truth(false)), "false");
        assert_eq!(shown(&Value::Text(b"x".to_vec())), "x");
        assert_eq!(shown(&Value::Unset), "");
    }

    #[test]
    fn a_false_truth_zero_and_nothing_are_unset() {
        assert!(!Value::Unset.is_set() && !Value::Truth(false).is_set());
        assert!(!Value::Number(0.0).is_set() && Value::Text(Vec::new()).is_set());
    }

    #[test]
    fn numbers_and_addresses_are_written_as_everybody_writes_them() {
        for number in [0, 7, 10, 5_060, -1, i64::MAX, i64::MIN] {
            let mut output = Vec::new();
            write_number(&mut output, number);
            assert_eq!(output, number.to_string().into_bytes());
        }
        for text in ["127.0.0.1", "255.255.255.255", "0.0.0.0", "::1"] {
            let mut output = Vec::new();
            write_ip(&mut output, text.parse().expect("an address"));
            assert_eq!(output, text.as_bytes());
        }
    }

    #[test]
    fn text_is_a_number_or_none() {
        assert_eq!(Value::Text(b" 12.5 ".to_vec()).number(), Some(12.5));
        assert_eq!(Value::Text(b"12abc".to_vec()).number(), None);
        assert_eq!(Value::Text(b"inf".to_vec()).number(), None);
    }
}
