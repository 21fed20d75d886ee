//! When a PBX has lost one subscription of many, no more of the others are looked at than when it
//! has lost one of few.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::ShardId;
use offhook_shards::clock::Clock;

use crate::config::{self, DnIndex};
use crate::counters::Counters;
use crate::dialog::{SubscriptionEvent, SubscriptionState};
use crate::limits::SUBSCRIPTIONS_DOUBTED;
use crate::presence::{Output, Watchers};
use crate::sip::Status;
use crate::trunk::Trunks;

thread_local! {
    static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
}

pub(super) fn count() {
    LOOKED_AT.set(LOOKED_AT.get() + 1);
}

/// All subscriptions of a floor, and a PBX that grants each an hour.
struct Floor {
    now: Instant,
    trunks: Trunks,
    watchers: Watchers,
    granted: u32,
    /// The refreshes that it was asked for.
    refreshes: Vec<(DnIndex, u32)>,
}

impl Floor {
    fn subscribed(agents: u32) -> Self {
        let text = format!(
            r#"
            [server]
            sip = ["udp:127.0.0.1:5060"]
            [[trunk]]
            name = "pbx"
            peers = ["udp:192.0.2.20:5060"]
            [presence]
            expires = "1h"
            [[agents]]
            range = "10000-{}"
            trunks = ["pbx"]
            "#,
            9_999 + agents
        );
        let config = config::parse(&text, &|name| Err(name.to_owned()));
        let config = Arc::new(config.unwrap_or_else(|mistakes| panic!("{mistakes:?}")));
        let now = Clock.now();
        let mut trunks = Trunks::new(now, Arc::clone(&config), ShardId(0), &[], 7);
        let dns = (0..agents).map(DnIndex);
        let counters = Arc::new(Counters::default());
        let mut floor = Self {
            now,
            watchers: Watchers::new(now, config, &mut trunks, 1, dns, 7, counters),
            trunks,
            granted: 0,
            refreshes: Vec::new(),
        };
        floor.answer();
        while floor.granted < agents {
            floor.step();
        }
        floor
    }

    /// The next thing that is due.
    fn step(&mut self) {
        let next = self.watchers.poll_timeout();
        self.now = next.expect("a refresh is due some time");
        self.watchers.handle_timeout(self.now, &mut self.trunks);
        self.answer();
    }

    fn answer(&mut self) {
        while let Some(output) = self.watchers.poll_output() {
            match output {
                Output::Subscribe { dn, epoch, .. } => {
                    self.granted += 1;
                    let expires = Duration::from_secs(3_600);
                    self.hear(dn, epoch, SubscriptionEvent::Accepted { expires });
                    let notified = SubscriptionEvent::Notified {
                        state: SubscriptionState::Active,
                        expires: None,
                        body: None,
                    };
                    self.hear(dn, epoch, notified);
                }
                Output::Refresh { dn, epoch, .. } => self.refreshes.push((dn, epoch)),
                Output::Forget { .. }
                | Output::Vote(..)
                | Output::Notice(_)
                | Output::Failure { .. } => {}
            }
        }
    }

    fn hear(&mut self, dn: DnIndex, epoch: u32, event: SubscriptionEvent) {
        let (now, trunks) = (self.now, &mut self.trunks);
        self.watchers.handle(now, trunks, dn, epoch, event);
    }
}

/// How many subscriptions are looked at because one of so many is lost.
fn of_a_lost_one(agents: u32) -> usize {
    let mut floor = Floor::subscribed(agents);
    while floor.refreshes.is_empty() {
        floor.step();
    }
    let (dn, epoch) = floor.refreshes.remove(0);
    let before = LOOKED_AT.get();
    let lost = SubscriptionEvent::Refused {
        status: Status::CALL_DOES_NOT_EXIST,
        retry_after: None,
        min_expires: None,
    };
    floor.hear(dn, epoch, lost);
    LOOKED_AT.get() - before
}

#[test]
fn subscription_that_is_lost_among_many_costs_as_little_as_among_few() {
    assert_eq!(of_a_lost_one(20), SUBSCRIPTIONS_DOUBTED);
    assert_eq!(of_a_lost_one(5_000), SUBSCRIPTIONS_DOUBTED);
}
