//! A network, written `192.0.2.0/24`, or one address of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::Unusable;

/// All addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    /// The first of them: what is behind the length is zero.
    address: IpAddr,
    /// How many bits they have in common.
    bits: u8,
}

impl Network {
    /// The network of this many bits around an address; `None` where an address has fewer.
    #[must_use]
    pub fn around(address: IpAddr, bits: u8) -> Option<Self> {
        let first = match address {
            IpAddr::V4(address) => {
                let behind = 32_u32.checked_sub(u32::from(bits))?;
                let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
                Ipv4Addr::from_bits(address.to_bits() & mask).into()
            }
            IpAddr::V6(address) => {
                let behind = 128_u32.checked_sub(u32::from(bits))?;
                let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
                Ipv6Addr::from_bits(address.to_bits() & mask).into()
            }
        };
        let address = first;
        Some(Self { address, bits })
    }

    /// How many bits its addresses have in common: more is narrower.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }
}

impl FromStr for Network {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        const WRITE: Unusable =
            Unusable("write an address or a network, such as \"192.0.2.0/24\" or \"2001:db8::1\"");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| WRITE)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| WRITE)?,
            None => all,
        };
        let network = Self::around(address, bits).ok_or(WRITE)?;
        if network.address != address {
            return Err(Unusable("write zeros behind the length of the network"));
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_its_addresses_have_in_common() {
        for (text, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.0.0.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            let network: Network = text.parse().unwrap();
            let around = |address: &str| Network::around(address.parse().unwrap(), network.bits());
            assert_eq!(around(inside), Some(network), "{text}");
            assert_ne!(around(outside), Some(network), "{text}");
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in [
            "",
            "a",
            "192.0.2.0/33",
            "192.0.2.1/24",
            "2001:db8::/129",
            "192.0.2.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
