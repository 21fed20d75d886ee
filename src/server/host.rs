//! What the host of a server grants too little of, for `offhook check`.

use std::io;
use std::net::{IpAddr, UdpSocket};

use offhook_shards::limits::CONNECTIONS_PER_SHARD_MAX;
use offhook_shards::{Host, HostWarning, Wishes};

use crate::config::{Config, Transport};
use crate::limits::HTTP_CONNECTIONS_MAX;

use super::serve::{driver, shard_count};

/// What this host grants too little of to a process like this one, if it serves this
/// configuration with all the clients and connections that it admits.
#[must_use]
pub fn warnings(config: &Config) -> Vec<HostWarning> {
    let mut listeners = config.server.sip.iter();
    let has_streams = listeners.any(|listener| listener.transport != Transport::Udp);
    let of_a_shard = if has_streams {
        CONNECTIONS_PER_SHARD_MAX
    } else {
        0
    };
    let shards = shard_count(config);
    let descriptors = HTTP_CONNECTIONS_MAX + usize::from(shards) * of_a_shard;
    Host::read().warnings(Wishes {
        driver: driver(config),
        shards,
        descriptors: descriptors as u64,
    })
}

/// The addresses to listen at that this host does not have.
#[must_use]
pub fn missing_addresses(config: &Config) -> Vec<IpAddr> {
    let heard = config.server.sip.iter().map(|listener| listener.address);
    let heard = heard.chain([config.server.http]);
    let mut missing: Vec<IpAddr> = heard
        .map(|address| address.ip())
        .filter(|ip| {
            let bound = UdpSocket::bind((*ip, 0));
            bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
        })
        .collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}
