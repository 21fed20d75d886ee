//! Whom a run may send to. A load generator aimed at the wrong machine is an attack, so that only
//! this machine and what `--allow-target` names are reached.

use std::net::IpAddr;

/// Addresses beyond this machine that may be loaded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach(Vec<IpAddr>);

impl Reach {
    /// This machine and these.
    #[must_use]
    pub fn new(allowed: &[IpAddr]) -> Self {
        Self(allowed.to_vec())
    }

    /// Whether something may be sent there.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.0.contains(&ip)
    }

    /// The same, with what to say if not.
    ///
    /// # Errors
    /// The address, and the option that allows it.
    pub fn check(&self, ip: IpAddr) -> Result<(), String> {
        if self.has(ip) {
            return Ok(());
        }
        Err(format!(
            "offhook-load: {ip} is not on this machine; if you may load it, say `--allow-target \
             {ip}`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_is_allowed_is_reached() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let reach = Reach::new(&[ip("192.0.2.1")]);
        for (text, expected) in [
            ("127.0.0.9", true),
            ("::1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(reach.has(ip(text)), expected, "{text}");
            assert_eq!(reach.check(ip(text)).is_ok(), expected, "{text}");
        }
        let words = Reach::default().check(ip("192.0.2.2")).expect_err("no");
        assert!(words.contains("--allow-target 192.0.2.2"), "{words}");
    }
}
