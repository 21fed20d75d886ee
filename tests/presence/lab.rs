//! Watchers in virtual time, and the test as the PBX behind them.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook::config::{self, Config, DnIndex, TrunkIndex};
use offhook::counters::{Counter, Counters};
use offhook::cti::{Notice, SubscriptionStatus};
use offhook::dialog::{Body, Subscribe, SubscriptionEvent, SubscriptionState, TerminatedReason};
use offhook::presence::{Output, Vote, Watchers};
use offhook::sip::Status;
use offhook::trunk::{Failure, HealthChange, Trunks};
use offhook_shards::ShardId;
use offhook_shards::clock::Clock;

pub const PBX: TrunkIndex = TrunkIndex(0);
pub const DN: DnIndex = DnIndex(0);

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One trunk of two peers; `presence` are lines of `[presence]`.
pub fn config(presence: &str, agents: &str) -> Arc<Config> {
    let text = format!(
        r#"
        [server]
        sip = ["udp:127.0.0.1:5060"]
        [[trunk]]
        name = "pbx"
        peers = ["udp:192.0.2.20:5060", "udp:192.0.2.21:5060"]
        mode = "primary_backup"
        domain = "pbx.example.com"
        oos_check = 0
        recovery_timeout = 60
        subscribe_rate = 50
        [presence]
        {presence}
        {agents}
        "#
    );
    let config = config::parse(&text, &|_| Err("no files".into()));
    Arc::new(config.unwrap_or_else(|mistakes| panic!("{mistakes:?}")))
}

pub const ONE_AGENT: &str = "[[agent]]\ndn = \"8001\"\ntrunks = [\"pbx\"]";

/// What was sent, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Subscribe { peer: u8, expires: Duration },
    Refresh { expires: Duration },
    Forget,
}

pub struct Lab {
    pub now: Instant,
    pub start: Instant,
    pub trunks: Trunks,
    pub watchers: Watchers,
    pub counters: Arc<Counters>,
    /// The subscription of each DN that is not over.
    pub live: BTreeMap<DnIndex, u32>,
    pub epochs: BTreeMap<DnIndex, u32>,
    pub sent: Vec<(Instant, DnIndex, Sent)>,
    pub subscribes: Vec<Subscribe>,
    pub votes: VecDeque<(DnIndex, Vote)>,
    pub statuses: Vec<SubscriptionStatus>,
    pub failures: Vec<(u8, Failure, Option<Duration>)>,
}

impl Lab {
    pub fn new(presence: &str) -> Self {
        Self::with(config(presence, ONE_AGENT), 1, 7)
    }

    pub fn with(config: Arc<Config>, shards: u16, seed: u64) -> Self {
        let now = Clock.now();
        let counters = Arc::new(Counters::default());
        let dns: Vec<DnIndex> = (0..config.agents.len() as u32).map(DnIndex).collect();
        let mut trunks = Trunks::new(now, Arc::clone(&config), ShardId(0), &[], seed);
        let watchers =
            Watchers::new(now, config, &mut trunks, shards, dns, seed, Arc::clone(&counters));
        let mut lab = Self {
            now,
            start: now,
            trunks,
            watchers,
            counters,
            live: BTreeMap::new(),
            epochs: BTreeMap::new(),
            sent: Vec::new(),
            subscribes: Vec::new(),
            votes: VecDeque::new(),
            statuses: Vec::new(),
            failures: Vec::new(),
        };
        lab.drain();
        lab
    }

    /// A lab whose one DN is subscribed for `expires` and idle.
    pub fn subscribed(presence: &str, expires: u64) -> Self {
        let mut lab = Self::new(presence);
        lab.run(seconds(1));
        lab.accept(seconds(expires));
        lab.notify(&idle());
        assert_eq!(lab.vote(), Some(Vote::Ready { initial: true }));
        assert_eq!(lab.status(), SubscriptionStatus::Active);
        lab.sent.clear();
        lab
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.watchers.poll_output() {
            match output {
                Output::Subscribe { dn, epoch, subscribe } => {
                    let before = self.live.insert(dn, epoch);
                    assert_eq!(before, None, "a second live subscription of {dn:?}");
                    self.epochs.insert(dn, epoch);
                    let peer = subscribe.target.address.to_string().starts_with("192.0.2.21");
                    let expires = subscribe.expires;
                    self.subscribes.push(subscribe);
                    self.record(dn, Sent::Subscribe { peer: u8::from(peer), expires });
                }
                Output::Refresh { dn, epoch, expires } => {
                    assert_eq!(self.live.get(&dn), Some(&epoch), "a refresh of what is over");
                    self.record(dn, Sent::Refresh { expires });
                }
                Output::Forget { dn, epoch } => {
                    if self.live.get(&dn) == Some(&epoch) {
                        self.live.remove(&dn);
                    }
                    self.record(dn, Sent::Forget);
                }
                Output::Vote(dn, vote) => self.votes.push_back((dn, vote)),
                Output::Notice(Notice::Subscription { status, .. }) => self.statuses.push(status),
                Output::Notice(Notice::QueueDepth { .. }) => panic!("not of presence"),
                Output::Failure { peer, failure, retry_after, .. } => {
                    self.failures.push((peer, failure, retry_after));
                }
            }
        }
    }

    fn record(&mut self, dn: DnIndex, sent: Sent) {
        self.sent.push((self.now, dn, sent));
    }

    /// Lets time pass, with nothing from the PBX.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.watchers.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.watchers.handle_timeout(self.now, &mut self.trunks);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until something is sent, and says after how long.
    pub fn until_sent(&mut self) -> Duration {
        let (from, count) = (self.now, self.sent.len());
        while self.sent.len() == count {
            let at = self.watchers.poll_timeout().expect("a watcher that is stuck");
            self.now = at.max(self.now);
            self.watchers.handle_timeout(self.now, &mut self.trunks);
            self.drain();
        }
        self.now - from
    }

    pub fn event_for(&mut self, dn: DnIndex, epoch: u32, event: SubscriptionEvent) {
        if self.is_end(dn, &event) && self.live.get(&dn) == Some(&epoch) {
            self.live.remove(&dn);
        }
        self.watchers.handle(self.now, &mut self.trunks, dn, epoch, event);
        self.drain();
    }

    /// Whether the user agent spends the key with this event.
    fn is_end(&self, dn: DnIndex, event: &SubscriptionEvent) -> bool {
        let refresh = self
            .sent
            .iter()
            .rev()
            .find(|(_, of, _)| *of == dn)
            .is_some_and(|(_, _, sent)| matches!(sent, Sent::Refresh { .. }));
        match event {
            SubscriptionEvent::Refused { status, .. } => {
                !refresh || *status == Status::CALL_DOES_NOT_EXIST
            }
            SubscriptionEvent::Unreachable => !refresh,
            SubscriptionEvent::NotifyMissing => true,
            SubscriptionEvent::Notified { state, .. } => {
                matches!(state, SubscriptionState::Terminated { .. })
            }
            SubscriptionEvent::Accepted { .. } => false,
        }
    }

    pub fn event(&mut self, event: SubscriptionEvent) {
        let epoch = self.epochs[&DN];
        self.event_for(DN, epoch, event);
    }

    pub fn accept(&mut self, expires: Duration) {
        self.event(SubscriptionEvent::Accepted { expires });
    }

    pub fn refuse(&mut self, status: u16) {
        self.refuse_with(status, None, None);
    }

    pub fn refuse_with(&mut self, status: u16, retry_after: Option<u64>, min: Option<u64>) {
        self.event(SubscriptionEvent::Refused {
            status: Status(status),
            retry_after: retry_after.map(seconds),
            min_expires: min.map(seconds),
        });
    }

    pub fn notify(&mut self, body: &Body) {
        self.event(notified(body, None));
    }

    pub fn terminate(&mut self, reason: TerminatedReason, retry_after: Option<u64>) {
        self.event(SubscriptionEvent::Notified {
            state: SubscriptionState::Terminated {
                reason,
                retry_after: retry_after.map(seconds),
            },
            expires: None,
            body: Some(idle()),
        });
    }

    pub fn peer(&mut self, peer: u8, in_service: bool) {
        let change = HealthChange { peer, in_service };
        self.trunks.handle_change(PBX, change);
        self.watchers.handle_change(self.now, &mut self.trunks, PBX, change);
        self.drain();
    }

    /// The next vote that was given.
    pub fn vote(&mut self) -> Option<Vote> {
        self.votes.pop_front().map(|(_, vote)| vote)
    }

    pub fn status(&self) -> SubscriptionStatus {
        let status = self.watchers.status(DN);
        assert_eq!(self.statuses.last(), Some(&status), "every change was noticed");
        status
    }

    pub fn last(&self) -> Sent {
        self.sent.last().expect("something was sent").2.clone()
    }

    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }
}

pub fn notified(body: &Body, expires: Option<u64>) -> SubscriptionEvent {
    SubscriptionEvent::Notified {
        state: SubscriptionState::Active,
        expires: expires.map(seconds),
        body: Some(body.clone()),
    }
}

/// A body as UCM sends it, for 8001.
pub fn pidf(basic: &str, activities: &str) -> Body {
    pidf_about("sip:8001@192.0.2.20", basic, activities)
}

pub fn pidf_about(entity: &str, basic: &str, activities: &str) -> Body {
    let text = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="{entity}"
  xmlns:e="urn:ietf:params:xml:ns:pidf:status:rpid"
  xmlns:ce="urn:cisco:params:xml:ns:pidf:rpid"
  xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model">
  <dm:person><e:activities>{activities}</e:activities></dm:person>
  <tuple id="t"><status><basic>{basic}</basic></status></tuple>
</presence>"#
    );
    Body {
        content_type: Bytes::from_static(b"application/pidf+xml"),
        bytes: Bytes::from(text),
    }
}

pub fn idle() -> Body {
    pidf("open", "")
}

pub fn busy() -> Body {
    pidf("open", "<e:on-the-phone/>")
}

pub fn list(activities: &[&str]) -> Arc<[String]> {
    activities.iter().map(|activity| (*activity).to_owned()).collect()
}

/// The body of a message in `tests/data/cucm`.
pub fn sample(file: &str) -> Body {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cucm").join(file);
    let message = std::fs::read_to_string(&path).expect("the sample is part of the repository");
    let message = message.replace("\r\n", "\n");
    let (_, body) = message.split_once("\n\n").expect("a blank line ends the head");
    Body {
        content_type: Bytes::from_static(b"application/pidf+xml"),
        bytes: Bytes::from(body.to_owned()),
    }
}
