//! How many new calls each source may begin: so many a second, as its trunk says. Addresses that
//! are quiet are forgotten; while too many are not, those that come on top share one allowance.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::allowance::{Allowance, Rate};
use crate::limits::CALL_SOURCES_MAX;

/// The sources of calls of one shard.
#[derive(Debug, Default)]
pub(super) struct Callers {
    sources: BTreeMap<IpAddr, (Allowance, Rate)>,
    /// Of those for whom there is no room.
    others: Allowance,
}

impl Callers {
    /// Whether this address may begin one more call.
    pub(super) fn has_room(&mut self, now: Instant, source: IpAddr, rate: Rate) -> bool {
        let is_full = self.sources.len() == CALL_SOURCES_MAX;
        match self.sources.get_mut(&source.to_canonical()) {
            Some((allowance, _)) => allowance.has_room(now, rate),
            None if is_full => self.others.has_room(now, rate),
            None => true,
        }
    }

    /// This address has begun a call.
    pub(super) fn take(&mut self, now: Instant, source: IpAddr, rate: Rate) {
        let source = source.to_canonical();
        let is_known = self.sources.contains_key(&source);
        if !is_known && self.sources.len() == CALL_SOURCES_MAX {
            self.sources
                .retain(|_, (allowance, rate)| !allowance.is_whole(now, *rate));
        }
        if !is_known && self.sources.len() == CALL_SOURCES_MAX {
            self.others.take(now, rate);
            return;
        }
        let fresh = || (Allowance::default(), rate);
        let (allowance, _) = self.sources.entry(source).or_insert_with(fresh);
        allowance.take(now, rate);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use offhook_shards::clock::Clock;

    use super::*;

    fn address(number: usize) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number as u32).into()
    }

    #[test]
    fn a_source_beyond_its_rate_waits_and_others_do_not() {
        let (mut callers, rate) = (Callers::default(), Rate::new(50, 50, 1));
        let mut now = Clock.now();
        for _ in 0..50 {
            assert!(callers.has_room(now, address(1), rate));
            callers.take(now, address(1), rate);
        }
        assert!(!callers.has_room(now, address(1), rate));
        let mapped = Ipv4Addr::from(0x0a00_0001).to_ipv6_mapped().into();
        assert!(!callers.has_room(now, mapped, rate));
        assert!(callers.has_room(now, address(2), rate));
        now += Duration::from_millis(20);
        assert!(callers.has_room(now, address(1), rate));
    }

    #[test]
    fn beyond_the_limit_of_sources_newcomers_share_one_allowance_until_others_are_quiet() {
        let (mut callers, rate) = (Callers::default(), Rate::new(2, 2, 1));
        let mut now = Clock.now();
        for number in 0..CALL_SOURCES_MAX + 2 {
            assert!(callers.has_room(now, address(number), rate));
            callers.take(now, address(number), rate);
        }
        assert_eq!(callers.sources.len(), CALL_SOURCES_MAX);
        let newcomer = address(CALL_SOURCES_MAX + 5);
        assert!(!callers.has_room(now, newcomer, rate));
        assert!(callers.has_room(now, address(7), rate));
        now += Duration::from_secs(2);
        assert!(callers.has_room(now, newcomer, rate));
        callers.take(now, newcomer, rate);
        assert_eq!(callers.sources.len(), 1);
    }
}
