//! The SIP URI of a number at a host.

use std::fmt::Write as _;

/// `sip:number@host`, with what a user part may not hold escaped (RFC 3261 §25.1). An empty number
/// leaves `sip:host`.
#[must_use]
pub fn sip_uri(number: &str, host: &str) -> String {
    let mut uri = String::with_capacity("sip:@".len() + number.len() + host.len());
    uri.push_str("sip:");
    for byte in number.bytes() {
        if is_user_byte(byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes what is written to it");
        }
    }
    if !number.is_empty() {
        uri.push('@');
    }
    uri.push_str(host);
    uri
}

/// RFC 3261 §25.1: unreserved and user-unreserved.
fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_user_parts() {
        assert_eq!(
            sip_uri("8001", "pbx.example.com"),
            "sip:8001@pbx.example.com"
        );
        assert_eq!(
            sip_uri("+4930#1", "[2001:db8::1]:5070"),
            "sip:+4930%231@[2001:db8::1]:5070"
        );
        assert_eq!(sip_uri("a b@c", "h"), "sip:a%20b%40c@h");
        assert_eq!(sip_uri("", "192.0.2.20"), "sip:192.0.2.20");
    }
}
