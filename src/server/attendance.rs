//! Whether anybody is there: the desktops of each DN and the routers of each routing point, and
//! what the shards have yet to be told about it. It decides nothing: what follows when a desktop
//! goes away is the agent's business, who routes without a router the queue's.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Address, DnIndex, RoutingPointIndex};
use crate::cti::ClientId;

/// News for a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The last desktop of the DN went away.
    DesktopGone(DnIndex),
    /// Whether a router serves the routing point.
    RouterPresent(RoutingPointIndex, bool),
}

/// Who attends to what.
#[derive(Debug, Default)]
pub struct Attendance {
    desktops: BTreeMap<DnIndex, BTreeSet<ClientId>>,
    desktops_gone: BTreeSet<DnIndex>,
    routers: BTreeMap<RoutingPointIndex, BTreeSet<ClientId>>,
    /// Routing points whose shard believes that a router is there.
    routed: BTreeSet<RoutingPointIndex>,
    changed: BTreeSet<RoutingPointIndex>,
}

impl Attendance {
    /// A desktop asked something for its agent.
    pub fn desktop_acted(&mut self, client: ClientId, dn: DnIndex) {
        self.desktops.entry(dn).or_default().insert(client);
        self.desktops_gone.remove(&dn);
    }

    /// A router registered a routing point.
    pub fn router_came(&mut self, client: ClientId, routing_point: RoutingPointIndex) {
        self.routers
            .entry(routing_point)
            .or_default()
            .insert(client);
        self.changed.insert(routing_point);
    }

    /// A client's registration of an address ended.
    pub fn left(&mut self, client: ClientId, address: Address) {
        match address {
            Address::Agent(dn) => {
                if take(&mut self.desktops, dn, client) {
                    self.desktops_gone.insert(dn);
                }
            }
            Address::RoutingPoint(routing_point) => {
                if take(&mut self.routers, routing_point, client) {
                    self.changed.insert(routing_point);
                }
            }
            Address::Queue(_) | Address::Trunk(_) => {}
        }
    }

    /// What a shard has yet to be told; [`Attendance::told`] takes it off the list.
    #[must_use]
    pub fn news(&self) -> Vec<News> {
        let gone = self.desktops_gone.iter().copied().map(News::DesktopGone);
        let routers = self.changed.iter().map(|routing_point| {
            News::RouterPresent(*routing_point, self.routers.contains_key(routing_point))
        });
        gone.chain(routers.filter(|news| self.is_new(*news)))
            .collect()
    }

    /// The shard has been told.
    pub fn told(&mut self, news: News) {
        match news {
            News::DesktopGone(dn) => {
                self.desktops_gone.remove(&dn);
            }
            News::RouterPresent(routing_point, present) => {
                self.changed.remove(&routing_point);
                if present {
                    self.routed.insert(routing_point);
                } else {
                    self.routed.remove(&routing_point);
                }
            }
        }
    }

    fn is_new(&self, news: News) -> bool {
        match news {
            News::DesktopGone(_) => true,
            News::RouterPresent(routing_point, present) => {
                self.routed.contains(&routing_point) != present
            }
        }
    }
}

/// Takes a client out; tells whether it was the last one.
fn take<K: Ord + Copy>(
    table: &mut BTreeMap<K, BTreeSet<ClientId>>,
    key: K,
    client: ClientId,
) -> bool {
    let Some(clients) = table.get_mut(&key) else {
        return false;
    };
    let was_there = clients.remove(&client);
    if clients.is_empty() {
        table.remove(&key);
        return was_there;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const DN: DnIndex = DnIndex(7);
    const POINT: RoutingPointIndex = RoutingPointIndex(2);

    #[test]
    fn only_the_last_desktop_that_acted_is_missed() {
        let mut attendance = Attendance::default();
        attendance.left(ClientId(1), Address::Agent(DN));
        assert_eq!(attendance.news(), []);
        attendance.desktop_acted(ClientId(1), DN);
        attendance.desktop_acted(ClientId(2), DN);
        attendance.left(ClientId(1), Address::Agent(DN));
        assert_eq!(attendance.news(), []);
        attendance.left(ClientId(2), Address::Agent(DN));
        assert_eq!(attendance.news(), [News::DesktopGone(DN)]);
        attendance.told(News::DesktopGone(DN));
        assert_eq!(attendance.news(), []);
    }

    #[test]
    fn a_desktop_that_returns_in_time_was_never_gone() {
        let mut attendance = Attendance::default();
        attendance.desktop_acted(ClientId(1), DN);
        attendance.left(ClientId(1), Address::Agent(DN));
        attendance.desktop_acted(ClientId(2), DN);
        assert_eq!(attendance.news(), []);
    }

    #[test]
    fn a_routing_point_hears_of_the_first_router_and_the_last() {
        let mut attendance = Attendance::default();
        attendance.router_came(ClientId(1), POINT);
        assert_eq!(attendance.news(), [News::RouterPresent(POINT, true)]);
        attendance.told(News::RouterPresent(POINT, true));
        attendance.router_came(ClientId(2), POINT);
        attendance.left(ClientId(1), Address::RoutingPoint(POINT));
        assert_eq!(attendance.news(), []);
        attendance.left(ClientId(2), Address::RoutingPoint(POINT));
        assert_eq!(attendance.news(), [News::RouterPresent(POINT, false)]);
        attendance.router_came(ClientId(3), POINT);
        assert_eq!(attendance.news(), []);
    }
}
