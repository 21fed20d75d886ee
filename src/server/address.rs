//! Addresses: everything that a client can register, numbered without gaps so that tables about
//! them are plain vectors. It knows names and kinds; what an address does is `state`'s business.

use std::ops::Range;
use std::sync::Arc;

use crate::config::{Address, Config, DnIndex, QueueIndex, RoutingPointIndex, TrunkIndex};

/// An address by number: first the agents' DNs, then routing points, queues, trunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressId(pub u32);

impl AddressId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Finds addresses by name and names by address.
#[derive(Debug, Clone)]
pub struct AddressBook {
    config: Arc<Config>,
}

impl AddressBook {
    /// The addresses of a configuration.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }

    /// The configuration that the addresses come from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The address of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<AddressId> {
        self.config.address(name).map(|address| self.id(address))
    }

    /// The number of an address.
    #[must_use]
    pub fn id(&self, address: Address) -> AddressId {
        let index = match address {
            Address::Agent(DnIndex(index)) => index as usize,
            Address::RoutingPoint(RoutingPointIndex(index)) => {
                self.routing_points_from() + usize::from(index)
            }
            Address::Queue(QueueIndex(index)) => self.queues_from() + usize::from(index),
            Address::Trunk(TrunkIndex(index)) => self.trunks_from() + usize::from(index),
        };
        AddressId(u32::try_from(index).expect("the limits of the configuration fit in 32 bits"))
    }

    /// What the address is.
    #[must_use]
    pub fn address(&self, id: AddressId) -> Address {
        let index = id.index();
        if index >= self.trunks_from() {
            return Address::Trunk(TrunkIndex(narrow(index - self.trunks_from())));
        }
        if index >= self.queues_from() {
            return Address::Queue(QueueIndex(narrow(index - self.queues_from())));
        }
        if index >= self.routing_points_from() {
            let index = narrow(index - self.routing_points_from());
            return Address::RoutingPoint(RoutingPointIndex(index));
        }
        Address::Agent(DnIndex(id.0))
    }

    /// The name of the address.
    #[must_use]
    pub fn name(&self, id: AddressId) -> &str {
        match self.address(id) {
            Address::Agent(index) => &self.config.agent_at(index).dn,
            Address::RoutingPoint(index) => &self.config.routing_point_at(index).number,
            Address::Queue(index) => &self.config.queue_at(index).name,
            Address::Trunk(index) => &self.config.trunk_at(index).name,
        }
    }

    /// Every address, ascending.
    pub fn all(&self) -> impl Iterator<Item = AddressId> + use<> {
        numbers(0..self.trunks_to())
    }

    /// The agents' DNs, ascending.
    pub fn agents(&self) -> impl Iterator<Item = AddressId> + use<> {
        numbers(0..self.routing_points_from())
    }

    /// The routing points, in the order of the configuration.
    pub fn routing_points(&self) -> impl Iterator<Item = AddressId> + use<> {
        numbers(self.routing_points_from()..self.queues_from())
    }

    /// The queues, in the order of the configuration.
    pub fn queues(&self) -> impl Iterator<Item = AddressId> + use<> {
        numbers(self.queues_from()..self.trunks_from())
    }

    /// The trunks, in the order of the configuration.
    pub fn trunks(&self) -> impl Iterator<Item = AddressId> + use<> {
        numbers(self.trunks_from()..self.trunks_to())
    }

    fn routing_points_from(&self) -> usize {
        self.config.agents.len()
    }

    fn queues_from(&self) -> usize {
        self.routing_points_from() + self.config.routing_points.len()
    }

    fn trunks_from(&self) -> usize {
        self.queues_from() + self.config.queues.len()
    }

    fn trunks_to(&self) -> usize {
        self.trunks_from() + self.config.trunks.len()
    }
}

fn numbers(range: Range<usize>) -> impl Iterator<Item = AddressId> + use<> {
    range.map(|index| {
        AddressId(u32::try_from(index).expect("the limits of the configuration fit in 32 bits"))
    })
}

fn narrow(index: usize) -> u16 {
    u16::try_from(index).expect("the limits of the configuration fit in 16 bits")
}
