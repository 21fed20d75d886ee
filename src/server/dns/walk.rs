//! From a name to servers, as RFC 3263 §4 walks: NAPTR for the transport, SRV for the hosts and
//! their order, A and AAAA for the addresses; what the question already says is not asked.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use offhook_shards::Transport;

use crate::config::Listener;
use crate::dns::book::Found;
use crate::dns::{Place, Problem, Question};
use crate::limits::{DNS_HOST_ADDRESSES_MAX, DNS_PLACES_MAX, DNS_RECORDS_MAX};

/// The port of SIP where nothing names another (RFC 3261 §19.1.2).
fn port_of(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

/// So that the weight of a host is divided among its addresses without a remainder.
const WEIGHT_UNIT: u32 = 840;

const _: () = assert!(DNS_HOST_ADDRESSES_MAX <= 8, "840 is divided by 1 to 8");

/// The transports and families of our listeners: what none of them can reach is left out.
#[derive(Debug, Clone)]
pub(super) struct Reach(Vec<(Transport, bool)>);

impl Reach {
    pub(super) fn of(listeners: &[Listener]) -> Self {
        let mut reach = Vec::new();
        for listener in listeners {
            let entry = (listener.transport.of_shards(), listener.address.is_ipv4());
            if !reach.contains(&entry) {
                reach.push(entry);
            }
        }
        Self(reach)
    }

    /// In the order of the listeners.
    fn transports(&self) -> Vec<Transport> {
        let mut transports = Vec::new();
        for (transport, _) in &self.0 {
            if !transports.contains(transport) {
                transports.push(*transport);
            }
        }
        transports
    }

    fn has(&self, transport: Transport, is_ipv4: bool) -> bool {
        self.0.contains(&(transport, is_ipv4))
    }
}

/// One host that a name leads to, before its addresses are known.
struct Host {
    priority: u16,
    weight: u32,
    transport: Transport,
    name: String,
    port: u16,
}

/// What came of one step: nothing, for a reason, sends the walk on to the next.
type Step<T> = Result<(T, Duration), Problem>;

/// Looks a name up.
pub(super) async fn look_up(resolver: &TokioResolver, question: &Question, reach: &Reach) -> Found {
    let walk = Walk { resolver, reach };
    let host = &*question.host;
    let lone = |transport, port| Host {
        priority: 0,
        weight: 0,
        transport,
        name: host.to_owned(),
        port,
    };
    match (question.port, question.transport) {
        (Some(port), transport) => {
            let transport = transport.unwrap_or_else(|| walk.plain());
            walk.addresses(vec![lone(transport, port)], Duration::MAX)
                .await
        }
        (None, Some(transport)) => match walk.services(host, &[transport]).await? {
            Some((hosts, lifetime)) => walk.addresses(hosts, lifetime).await,
            None => {
                walk.addresses(vec![lone(transport, port_of(transport))], Duration::MAX)
                    .await
            }
        },
        (None, None) => {
            let named = walk.naptr(host).await?;
            let found = match named {
                Some(found) => Some(found),
                None => walk.services(host, &reach.transports()).await?,
            };
            match found {
                Some((hosts, lifetime)) => walk.addresses(hosts, lifetime).await,
                None => {
                    let host = lone(walk.plain(), port_of(walk.plain()));
                    walk.addresses(vec![host], Duration::MAX).await
                }
            }
        }
    }
}

struct Walk<'a> {
    resolver: &'a TokioResolver,
    reach: &'a Reach,
}

impl Walk<'_> {
    /// RFC 3263 §4.1: UDP where nothing says otherwise; a server without it has but one other.
    fn plain(&self) -> Transport {
        let transports = self.reach.transports();
        if transports.contains(&Transport::Udp) {
            return Transport::Udp;
        }
        transports.first().copied().unwrap_or(Transport::Udp)
    }

    /// The hosts of the first service that NAPTR names, we can reach, and that has any.
    async fn naptr(&self, host: &str) -> Result<Option<(Vec<Host>, Duration)>, Problem> {
        let (records, lifetime) = match self.records(host, RecordType::NAPTR).await {
            Ok(found) => found,
            Err(Problem::NoAnswer) => return Err(Problem::NoAnswer),
            // Old name servers refuse to hear of NAPTR at all.
            Err(Problem::NoSuchName | Problem::NoAddress | Problem::Refused) => return Ok(None),
        };
        let mut services: Vec<(u16, u16, Transport, String)> = records
            .iter()
            .filter_map(|record| {
                let RData::NAPTR(naptr) = &record.data else {
                    return None;
                };
                let transport = match naptr.services.to_ascii_uppercase().as_slice() {
                    b"SIP+D2U" => Transport::Udp,
                    b"SIP+D2T" => Transport::Tcp,
                    b"SIPS+D2T" => Transport::Tls,
                    _ => return None,
                };
                let usable = naptr.flags.eq_ignore_ascii_case(b"s")
                    && self.reach.transports().contains(&transport);
                let replacement = naptr.replacement.to_ascii();
                usable.then_some((naptr.order, naptr.preference, transport, replacement))
            })
            .take(DNS_RECORDS_MAX)
            .collect();
        services.sort();
        for (_, _, transport, name) in services {
            if let Some((hosts, other)) = self.srv(&name, transport).await? {
                return Ok(Some((hosts, lifetime.min(other))));
            }
        }
        Ok(None)
    }

    /// The hosts of the first of these transports that SRV knows.
    async fn services(
        &self,
        host: &str,
        transports: &[Transport],
    ) -> Result<Option<(Vec<Host>, Duration)>, Problem> {
        for &transport in transports {
            let name = match transport {
                Transport::Udp => format!("_sip._udp.{host}"),
                Transport::Tcp => format!("_sip._tcp.{host}"),
                Transport::Tls => format!("_sips._tcp.{host}"),
            };
            if let Some(found) = self.srv(&name, transport).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn srv(
        &self,
        name: &str,
        transport: Transport,
    ) -> Result<Option<(Vec<Host>, Duration)>, Problem> {
        let (records, lifetime) = match self.records(name, RecordType::SRV).await {
            Ok(found) => found,
            Err(problem @ (Problem::NoAnswer | Problem::Refused)) => return Err(problem),
            Err(Problem::NoSuchName | Problem::NoAddress) => return Ok(None),
        };
        let mut hosts: Vec<Host> = records
            .iter()
            .filter_map(|record| {
                let RData::SRV(srv) = &record.data else {
                    return None;
                };
                Some(Host {
                    priority: srv.priority,
                    weight: u32::from(srv.weight),
                    transport,
                    name: srv.target.to_ascii(),
                    port: srv.port,
                })
            })
            .collect();
        hosts.sort_by_key(|host| host.priority);
        hosts.truncate(DNS_RECORDS_MAX);
        Ok((!hosts.is_empty()).then_some((hosts, lifetime)))
    }

    /// The addresses of hosts, in places. RFC 2782: a target of "." says that there is no service.
    async fn addresses(&self, hosts: Vec<Host>, lifetime: Duration) -> Found {
        let hosts = hosts.into_iter().filter(|host| host.name != ".");
        let looks = hosts.map(|host| async move {
            let found = self.addresses_of(&host).await;
            (host, found)
        });
        let mut lifetime = lifetime;
        let mut places = Vec::new();
        let mut problem = Problem::NoAddress;
        for (host, found) in join_all(looks).await {
            match found {
                Ok((addresses, other)) => {
                    lifetime = lifetime.min(other);
                    places.extend(places_of(&host, &addresses));
                }
                // What could not be asked says more than what is not there.
                Err(met) if problem == Problem::NoAddress => problem = met,
                Err(_) => {}
            }
        }
        if places.is_empty() {
            return Err(problem);
        }
        places.sort_unstable();
        places.truncate(DNS_PLACES_MAX);
        Ok((places, lifetime))
    }

    async fn addresses_of(&self, host: &Host) -> Step<Vec<IpAddr>> {
        let mut found = Vec::new();
        let mut lifetime = Duration::MAX;
        let mut problem = None;
        for (is_ipv4, kind) in [(true, RecordType::A), (false, RecordType::AAAA)] {
            if !self.reach.has(host.transport, is_ipv4) {
                continue;
            }
            match self.records(&host.name, kind).await {
                Ok((records, other)) => {
                    lifetime = lifetime.min(other);
                    found.extend(records.iter().filter_map(address));
                }
                Err(Problem::NoAddress) => {}
                Err(met) => problem = Some(met),
            }
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(DNS_HOST_ADDRESSES_MAX);
        if found.is_empty() {
            return Err(problem.unwrap_or(Problem::NoAddress));
        }
        Ok((found, lifetime))
    }

    async fn records(&self, name: &str, kind: RecordType) -> Step<Vec<Record>> {
        // A name with a point is whole; one without may have a search domain of the system's.
        let whole = if name.contains('.') && !name.ends_with('.') {
            format!("{name}.")
        } else {
            name.to_owned()
        };
        let lookup = self
            .resolver
            .lookup(whole, kind)
            .await
            .map_err(|error| problem(&error))?;
        let answers = lookup.answers();
        let records: Vec<Record> = answers
            .iter()
            .filter(|record| record.record_type() == kind)
            .cloned()
            .collect();
        // An alias lives no longer than what it stands for, and the other way round.
        let seconds = answers.iter().map(|record| record.ttl).min();
        if records.is_empty() {
            return Err(Problem::NoAddress);
        }
        Ok((records, Duration::from_secs(seconds.unwrap_or(0).into())))
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    let address = if let RData::A(address) = &record.data {
        IpAddr::V4(address.0)
    } else if let RData::AAAA(address) = &record.data {
        IpAddr::V6(address.0)
    } else {
        return None;
    };
    (!address.is_unspecified() && !address.is_multicast()).then_some(address)
}

fn places_of(host: &Host, addresses: &[IpAddr]) -> Vec<Place> {
    let share = u32::try_from(addresses.len()).unwrap_or(1).max(1);
    let place = |address: &IpAddr| Place {
        priority: host.priority,
        transport: host.transport,
        address: SocketAddr::new(*address, host.port),
        weight: host.weight * WEIGHT_UNIT / share,
    };
    addresses.iter().map(place).collect()
}

fn problem(error: &NetError) -> Problem {
    let code = if let NetError::Dns(DnsError::NoRecordsFound(none)) = error {
        none.response_code
    } else if let NetError::Dns(DnsError::ResponseCode(code)) = error {
        *code
    } else if matches!(error, NetError::Proto(_)) {
        // A name that cannot be asked for does not exist.
        return Problem::NoSuchName;
    } else {
        return Problem::NoAnswer;
    };
    if code == ResponseCode::NoError {
        Problem::NoAddress
    } else if code == ResponseCode::NXDomain {
        Problem::NoSuchName
    } else {
        Problem::Refused
    }
}
