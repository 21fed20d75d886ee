//! Whether anybody is there: the desktops of each DN, the routers of each routing point and those
//! for whom agents are kept, and what the shards have yet to be told about it. It decides nothing:
//! what follows when a desktop goes away is the agent's business, who routes without a router the
//! queue's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::config::{Address, DnIndex, RoutingPointIndex};
use crate::cti::ClientId;
use crate::limits::CLAIM_COLLECTION;

/// News for a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Whether the DN has a desktop.
    DesktopPresent(DnIndex, bool),
    /// Who routes the calls of the routing point.
    Router(RoutingPointIndex, Option<ClientId>),
    /// A client that has asked to have the agent of the DN kept is gone.
    ClaimantGone(DnIndex, ClientId),
}

/// Who attends to what.
#[derive(Debug, Default)]
pub struct Attendance {
    desktops: Attended<DnIndex>,
    routers: Routers,
    claims: Claims,
}

/// The agents that clients have asked to be kept for them.
#[derive(Debug, Default)]
struct Claims {
    /// Until when it may last and whose DN it is, in the order in which they were asked for.
    asked: BTreeMap<ClientId, VecDeque<(Instant, DnIndex)>>,
    /// Those whose client is gone.
    left: BTreeSet<(DnIndex, ClientId)>,
}

/// The routers of each routing point, in the order in which they came: the first one routes, the
/// next takes over when it goes.
#[derive(Debug, Default)]
struct Routers {
    clients: BTreeMap<RoutingPointIndex, Vec<ClientId>>,
    /// Who routes, as the shards believe.
    believed: BTreeMap<RoutingPointIndex, ClientId>,
    changed: BTreeSet<RoutingPointIndex>,
}

/// The clients that attend to addresses of one kind, and what the shards believe of it.
#[derive(Debug)]
struct Attended<K> {
    clients: BTreeMap<K, BTreeSet<ClientId>>,
    /// Those whose shard believes that somebody is there.
    believed: BTreeSet<K>,
    changed: BTreeSet<K>,
}

impl Attendance {
    /// A desktop registered its DN.
    pub fn desktop_came(&mut self, client: ClientId, dn: DnIndex) {
        self.desktops.came(client, dn);
    }

    /// A router registered a routing point.
    pub fn router_came(&mut self, client: ClientId, routing_point: RoutingPointIndex) {
        self.routers.came(client, routing_point);
    }

    /// Who routes the calls of a routing point, if anybody does.
    #[must_use]
    pub fn router(&self, routing_point: RoutingPointIndex) -> Option<ClientId> {
        self.routers.active(routing_point)
    }

    /// A client asked to have the agent of a DN kept for so long.
    pub fn claimed(&mut self, now: Instant, client: ClientId, (dn, time): (DnIndex, Duration)) {
        let asked = self.claims.asked.entry(client).or_default();
        // A request lasts for minutes at most, so that only the last ones are there.
        while asked.front().is_some_and(|(until, _)| *until <= now) {
            asked.pop_front();
        }
        asked.push_back((now + CLAIM_COLLECTION + time, dn));
    }

    /// A client is gone, and keeps no agent any more.
    pub fn gone(&mut self, client: ClientId) {
        let asked = self.claims.asked.remove(&client).unwrap_or_default();
        let left = asked.into_iter().map(|(_, dn)| (dn, client));
        self.claims.left.extend(left);
    }

    /// Whether a router of this address waits for the one that routes to go.
    #[must_use]
    pub fn stands_by(&self, client: ClientId, address: Address) -> bool {
        match address {
            Address::RoutingPoint(point) => {
                let routers = self.routers.clients.get(&point);
                routers.is_some_and(|routers| routers.iter().skip(1).any(|known| *known == client))
            }
            Address::Agent(_) | Address::Queue(_) | Address::Trunk(_) => false,
        }
    }

    /// A client's registration of an address ended.
    pub fn left(&mut self, client: ClientId, address: Address) {
        match address {
            Address::Agent(dn) => self.desktops.left(client, dn),
            Address::RoutingPoint(routing_point) => self.routers.left(client, routing_point),
            Address::Queue(_) | Address::Trunk(_) => {}
        }
    }

    /// What a shard has yet to be told; [`Attendance::told`] takes it off the list.
    #[must_use]
    pub fn news(&self) -> Vec<News> {
        let desktops = self.desktops.news();
        let desktops = desktops.map(|(dn, present)| News::DesktopPresent(dn, present));
        let routers = self.routers.news();
        let routers = routers.map(|(point, router)| News::Router(point, router));
        let left = self.claims.left.iter();
        let left = left.map(|(dn, client)| News::ClaimantGone(*dn, *client));
        desktops.chain(routers).chain(left).collect()
    }

    /// Whether a shard has yet to be told something.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !(self.desktops.changed.is_empty()
            && self.routers.changed.is_empty()
            && self.claims.left.is_empty())
    }

    /// The shard has been told.
    pub fn told(&mut self, news: News) {
        match news {
            News::DesktopPresent(dn, present) => self.desktops.told(dn, present),
            News::Router(routing_point, router) => self.routers.told(routing_point, router),
            News::ClaimantGone(dn, client) => {
                self.claims.left.remove(&(dn, client));
            }
        }
    }
}

impl Routers {
    fn came(&mut self, client: ClientId, point: RoutingPointIndex) {
        let routers = self.clients.entry(point).or_default();
        if !routers.contains(&client) {
            routers.push(client);
        }
        self.compare(point);
    }

    fn left(&mut self, client: ClientId, point: RoutingPointIndex) {
        if let Some(routers) = self.clients.get_mut(&point) {
            routers.retain(|known| *known != client);
            if routers.is_empty() {
                self.clients.remove(&point);
            }
        }
        self.compare(point);
    }

    fn active(&self, point: RoutingPointIndex) -> Option<ClientId> {
        self.clients.get(&point)?.first().copied()
    }

    /// What the shards believe already is no news.
    fn compare(&mut self, point: RoutingPointIndex) {
        if self.active(point) == self.believed.get(&point).copied() {
            self.changed.remove(&point);
        } else {
            self.changed.insert(point);
        }
    }

    fn news(&self) -> impl Iterator<Item = (RoutingPointIndex, Option<ClientId>)> {
        let changed = self.changed.iter();
        changed.map(|point| (*point, self.active(*point)))
    }

    fn told(&mut self, point: RoutingPointIndex, router: Option<ClientId>) {
        self.changed.remove(&point);
        match router {
            Some(router) => self.believed.insert(point, router),
            None => self.believed.remove(&point),
        };
    }
}

impl<K> Default for Attended<K> {
    fn default() -> Self {
        Self {
            clients: BTreeMap::new(),
            believed: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Attended<K> {
    fn came(&mut self, client: ClientId, key: K) {
        self.clients.entry(key).or_default().insert(client);
        self.compare(key);
    }

    fn left(&mut self, client: ClientId, key: K) {
        if let Some(clients) = self.clients.get_mut(&key) {
            clients.remove(&client);
            if clients.is_empty() {
                self.clients.remove(&key);
            }
        }
        self.compare(key);
    }

    /// What its shard believes already is no news.
    fn compare(&mut self, key: K) {
        if self.clients.contains_key(&key) == self.believed.contains(&key) {
            self.changed.remove(&key);
        } else {
            self.changed.insert(key);
        }
    }

    fn news(&self) -> impl Iterator<Item = (K, bool)> {
        let changed = self.changed.iter();
        changed.map(|key| (*key, self.clients.contains_key(key)))
    }

    fn told(&mut self, key: K, present: bool) {
        self.changed.remove(&key);
        if present {
            self.believed.insert(key);
        } else {
            self.believed.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DN: DnIndex = DnIndex(7);
    const POINT: RoutingPointIndex = RoutingPointIndex(2);

    #[test]
    fn a_dn_hears_of_the_first_desktop_and_the_last() {
        let mut attendance = Attendance::default();
        attendance.left(ClientId(1), Address::Agent(DN));
        assert_eq!(attendance.news(), []);
        attendance.desktop_came(ClientId(1), DN);
        attendance.desktop_came(ClientId(1), DN);
        assert_eq!(attendance.news(), [News::DesktopPresent(DN, true)]);
        attendance.told(News::DesktopPresent(DN, true));
        attendance.desktop_came(ClientId(2), DN);
        attendance.left(ClientId(1), Address::Agent(DN));
        assert_eq!(attendance.news(), []);
        attendance.left(ClientId(2), Address::Agent(DN));
        assert_eq!(attendance.news(), [News::DesktopPresent(DN, false)]);
        attendance.told(News::DesktopPresent(DN, false));
        assert_eq!(attendance.news(), []);
    }

    #[test]
    fn a_desktop_that_returns_before_its_shard_heard_was_never_gone() {
        let mut attendance = Attendance::default();
        attendance.desktop_came(ClientId(1), DN);
        attendance.told(News::DesktopPresent(DN, true));
        attendance.left(ClientId(1), Address::Agent(DN));
        attendance.desktop_came(ClientId(2), DN);
        assert_eq!(attendance.news(), []);
    }

    #[test]
    fn the_first_router_routes_until_it_goes_and_then_the_next() {
        let mut attendance = Attendance::default();
        let router = |client| News::Router(POINT, client);
        let stands_by = |attendance: &Attendance, client| {
            attendance.stands_by(ClientId(client), Address::RoutingPoint(POINT))
        };
        attendance.router_came(ClientId(2), POINT);
        assert_eq!(attendance.news(), [router(Some(ClientId(2)))]);
        assert_eq!(attendance.router(POINT), Some(ClientId(2)));
        attendance.told(router(Some(ClientId(2))));
        attendance.router_came(ClientId(1), POINT);
        attendance.router_came(ClientId(2), POINT);
        assert_eq!(attendance.news(), [], "it has been told");
        assert!(stands_by(&attendance, 1));
        assert!(!stands_by(&attendance, 2));
        assert!(!stands_by(&attendance, 3), "it is no router");
        attendance.left(ClientId(2), Address::RoutingPoint(POINT));
        assert_eq!(attendance.news(), [router(Some(ClientId(1)))]);
        assert_eq!(attendance.router(POINT), Some(ClientId(1)));
        attendance.told(router(Some(ClientId(1))));
        attendance.left(ClientId(1), Address::RoutingPoint(POINT));
        assert_eq!(attendance.router(POINT), None);
        assert_eq!(attendance.news(), [router(None)]);
        attendance.router_came(ClientId(1), POINT);
        assert_eq!(
            attendance.news(),
            [],
            "before its shard heard it was never gone"
        );
    }
}
