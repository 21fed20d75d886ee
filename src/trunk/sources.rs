//! Whose calls come from where: the addresses of the trunks' nodes, and the networks that they
//! accept besides. It knows no transports: a source port says nothing about who called.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::config::{Network, TrunkIndex};

/// The trunk of each source. An address of its own is before a network, a narrow network before a
/// wide one, and the first trunk before others that share it.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Ascending.
    addresses: Vec<(IpAddr, TrunkIndex)>,
    networks: BTreeMap<Network, TrunkIndex>,
    /// The lengths of networks that there are, the longest first.
    lengths: Vec<u8>,
}

impl Sources {
    /// Networks never change; addresses follow by [`Self::set_addresses`].
    pub(super) fn new(accepted: impl Iterator<Item = (Network, TrunkIndex)>) -> Self {
        let mut networks = BTreeMap::new();
        for (network, trunk) in accepted {
            networks.entry(network).or_insert(trunk);
        }
        let mut lengths: Vec<u8> = networks.keys().map(Network::bits).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        lengths.dedup();
        Self {
            addresses: Vec::new(),
            networks,
            lengths,
        }
    }

    pub(super) fn set_addresses(&mut self, addresses: impl Iterator<Item = (IpAddr, TrunkIndex)>) {
        self.addresses = addresses.collect();
        self.addresses.sort_unstable();
        self.addresses.dedup_by_key(|(address, _)| *address);
    }

    pub(super) fn trunk(&self, address: IpAddr) -> Option<TrunkIndex> {
        let address = address.to_canonical();
        let place = self
            .addresses
            .binary_search_by_key(&address, |(known, _)| *known);
        if let Ok(place) = place {
            return Some(self.addresses[place].1);
        }
        let mut around = self.lengths.iter();
        around.find_map(|bits| {
            let network = Network::around(address, *bits)?;
            self.networks.get(&network).copied()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_network_has_a_source_and_a_node_before_all() {
        let network = |text: &str, trunk| (text.parse().unwrap(), TrunkIndex(trunk));
        let accepted = [
            network("192.0.2.0/24", 0),
            network("192.0.2.128/25", 1),
            network("2001:db8::/32", 2),
            network("192.0.2.0/24", 3),
        ];
        let mut sources = Sources::new(accepted.into_iter());
        let node = ("192.0.2.200".parse().unwrap(), TrunkIndex(4));
        sources.set_addresses([node].into_iter());
        let table = [
            ("192.0.2.200", Some(4)),
            ("192.0.2.201", Some(1)),
            ("192.0.2.1", Some(0)),
            ("::ffff:192.0.2.1", Some(0)),
            ("2001:db8:1::1", Some(2)),
            ("2001:db9::1", None),
            ("198.51.100.1", None),
        ];
        for (address, trunk) in table {
            let found = sources.trunk(address.parse().unwrap());
            assert_eq!(found, trunk.map(TrunkIndex), "{address}");
        }
    }
}
