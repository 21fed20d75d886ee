//! Addresses and ports that may be several.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses of one range.
const ADDRESSES_MAX: usize = 65_536;

/// One IP address, or several that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpRange(pub Vec<IpAddr>);

impl FromStr for IpRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("`{text}`: write an address, or two such as 127.0.0.2-127.0.0.20");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first: IpAddr = first.trim().parse().map_err(|_| hint())?;
        let last: IpAddr = last.trim().parse().map_err(|_| hint())?;
        let (start, end) = match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                (u128::from(u32::from(first)), u128::from(u32::from(last)))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => (u128::from(first), u128::from(last)),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Err(hint()),
        };
        if start > end {
            return Err(format!("`{text}` runs backwards; write {last}-{first}"));
        }
        if end - start >= ADDRESSES_MAX as u128 {
            return Err(format!("`{text}` has more than {ADDRESSES_MAX} addresses"));
        }
        let address = |number: u128| match first {
            IpAddr::V4(_) => Ipv4Addr::from(u32::try_from(number).unwrap_or(0)).into(),
            IpAddr::V6(_) => Ipv6Addr::from(number).into(),
        };
        Ok(Self((start..=end).map(address).collect()))
    }
}

/// One port, or several that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    /// All of them.
    pub fn all(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hint = || format!("`{text}`: write a port, or two such as 6000-6099");
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let first = first.trim().parse().map_err(|_| hint())?;
        let last = last.trim().parse().map_err(|_| hint())?;
        if first > last {
            return Err(format!("`{text}` runs backwards; write {last}-{first}"));
        }
        Ok(Self { first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_both_their_ends() {
        let all: IpRange = "127.0.0.254-127.0.1.1".parse().expect("a range");
        let texts: Vec<String> = all.0.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"]
        );
        assert_eq!("::1".parse::<IpRange>().expect("one").0.len(), 1);
        let ports: PortRange = "6000-6002".parse().expect("a range");
        assert_eq!(ports.all().collect::<Vec<u16>>(), [6_000, 6_001, 6_002]);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for text in [
            "here",
            "127.0.0.1-::1",
            "127.0.0.2-127.0.0.1",
            "1.0.0.0-9.0.0.0",
            "",
        ] {
            assert!(text.parse::<IpRange>().is_err(), "{text}");
        }
        for text in ["x", "70000", "9-8", ""] {
            assert!(text.parse::<PortRange>().is_err(), "{text}");
        }
    }
}
