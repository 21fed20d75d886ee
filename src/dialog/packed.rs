//! Where requests go, in less room: a call has two dialogs, and what the standard library keeps of
//! an address is room for an IPv6 one with a scope.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use offhook_shards::Transport;

use super::Target;

/// A [`Target`] of which IPv6 addresses stand elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    address: Address,
    large_requests: Option<Address>,
    transport: Transport,
    overload_control: bool,
}

const _: () = assert!(size_of::<Packed>() <= 40, "a held call has two of them");

/// A socket's address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    V4(Ipv4Addr, u16),
    V6(Box<SocketAddrV6>),
}

impl Packed {
    /// As everybody else has it.
    pub(super) fn target(&self) -> Target {
        Target {
            transport: self.transport,
            address: (&self.address).into(),
            large_requests: self.large_requests.as_ref().map(SocketAddr::from),
            overload_control: self.overload_control,
        }
    }
}

impl From<Target> for Packed {
    fn from(target: Target) -> Self {
        let Target {
            transport,
            address,
            large_requests,
            overload_control,
        } = target;
        Self {
            address: address.into(),
            large_requests: large_requests.map(Address::from),
            transport,
            overload_control,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(*address.ip(), address.port()),
            SocketAddr::V6(address) => Self::V6(Box::new(address)),
        }
    }
}

impl From<&Address> for SocketAddr {
    fn from(address: &Address) -> Self {
        match address {
            Address::V4(ip, port) => Self::V4(SocketAddrV4::new(*ip, *port)),
            Address::V6(address) => Self::V6(**address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_comes_back_as_it_was() {
        let addresses = ["192.0.2.1:5060", "[2001:db8::1]:5062"];
        for address in addresses.map(|address| address.parse().expect("an address")) {
            for large_requests in [None, Some(address)] {
                let target = Target {
                    transport: Transport::Tcp,
                    address,
                    large_requests,
                    overload_control: true,
                };
                assert_eq!(Packed::from(target).target(), target);
            }
        }
    }
}
