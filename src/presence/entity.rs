//! Whether a presence document is about the DN that we subscribed to.
//!
//! Each node of a cluster writes its own host, and products differ in the scheme, so the user part
//! decides alone.

use crate::sip::unescaped;

/// Whether the user part of `entity` is `dn`: `sip:8001@node2.example.com`, `pres:8001@example`,
/// `tel:8001` and `8001` all are 8001.
pub(super) fn is_about(entity: &str, dn: &str) -> bool {
    let entity = entity.trim();
    let rest = ["sip:", "sips:", "pres:", "tel:"]
        .iter()
        .find_map(|scheme| strip_prefix_ignore_case(entity, scheme))
        .unwrap_or(entity);
    // A user part may hold "?" and ";" (RFC 3261 §25.1); without "@" those end the number.
    let user = match rest.split_once('@') {
        Some((user, _)) => user,
        None => rest.split(['?', '>']).next().unwrap_or(rest),
    };
    // User parameters (RFC 3261 §19.1.6) and a password say nothing about who it is.
    let number = user.split([';', ':']).next().unwrap_or(user);
    // `%23` is `#` (RFC 3261 §19.1.4: escaped and plain characters are equal).
    unescaped(number) == dn
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_decides() {
        for entity in [
            "sip:8001@192.0.2.20",
            "SIP:8001@node2.example.com:5060;transport=tcp",
            "sips:8001@[2001:db8::1]",
            "pres:8001@example.com",
            "sip:8001;phone-context=x@h",
            "sip:8001:secret@h",
            "sip:%38001@h",
            "tel:8001",
            "8001",
            " sip:8001 ",
        ] {
            assert!(is_about(entity, "8001"), "{entity}");
        }
        for entity in [
            "sip:8002@192.0.2.20",
            "sip:@8001",
            "sip:80011@h",
            "",
            "sip:8001%@h",
            "mailto:8001",
        ] {
            assert!(!is_about(entity, "8001"), "{entity}");
        }
        assert!(is_about("sip:%238001%2a@h", "#8001*"));
    }
}
