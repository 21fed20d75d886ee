//! Watchers in virtual time, and the test as the PBX behind them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use offhook::config::{self, Config, DnIndex, TrunkIndex};
use offhook::counters::{Counter, Counters};
use offhook::cti::{Notice, SubscriptionStatus};
use offhook::dialog::{
    PassingBody, Subscribe, SubscriptionEvent, SubscriptionState, TerminatedReason,
};
use offhook::presence::{ActivityList, Output, Vote, Watchers};
use offhook::sip::Status;
use offhook::trunk::{Failure, HealthChange, Trunks};
use offhook_shards::ShardId;
use offhook_shards::clock::Clock;

pub(crate) const PBX: TrunkIndex = TrunkIndex(0);
pub(crate) const DN: DnIndex = DnIndex(0);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// One trunk of two peers; `presence` are lines of `[presence]`.
pub(crate) fn config(presence: &str, agents: &str) -> Arc<Config> {
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

pub(crate) const ONE_AGENT: &str = "[[agent]]\ndn = \"8001\"\ntrunks = [\"pbx\"]";

/// What was sent, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    Subscribe { peer: u8, expires: Duration },
    Refresh { expires: Duration },
    Forget,
}

pub(crate) struct Lab {
    pub(crate) now: Instant,
    pub(crate) start: Instant,
    pub(crate) trunks: Trunks,
    pub(crate) watchers: Watchers,
    pub(crate) counters: Arc<Counters>,
    /// The subscription of each DN that is not over.
    pub(crate) live: BTreeMap<DnIndex, u32>,
    pub(crate) epochs: BTreeMap<DnIndex, u32>,
    /// The SUBSCRIBE of each DN that waits for its answer.
    unanswered: BTreeMap<DnIndex, Sent>,
    /// The DNs whose subscription has notified.
    heard: BTreeSet<DnIndex>,
    pub(crate) sent: Vec<(Instant, DnIndex, Sent)>,
    pub(crate) subscribes: Vec<Subscribe>,
    pub(crate) votes: VecDeque<(DnIndex, Vote)>,
    pub(crate) statuses: Vec<SubscriptionStatus>,
    told: BTreeMap<DnIndex, SubscriptionStatus>,
    pub(crate) failures: Vec<(u8, Failure, Option<Duration>)>,
}

impl Lab {
    pub(crate) fn new(presence: &str) -> Self {
        Self::with(config(presence, ONE_AGENT), 1, 7)
    }

    pub(crate) fn with(config: Arc<Config>, shards: u16, seed: u64) -> Self {
        let now = Clock.now();
        let counters = Arc::new(Counters::default());
        let dns: Vec<DnIndex> = (0..config.agents.len() as u32).map(DnIndex).collect();
        let mut trunks = Trunks::new(now, Arc::clone(&config), ShardId(0), &[], seed);
        let watchers = Watchers::new(
            now,
            config,
            &mut trunks,
            shards,
            dns,
            seed,
            Arc::clone(&counters),
        );
        let mut lab = Self {
            now,
            start: now,
            trunks,
            watchers,
            counters,
            live: BTreeMap::new(),
            epochs: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            heard: BTreeSet::new(),
            sent: Vec::new(),
            subscribes: Vec::new(),
            votes: VecDeque::new(),
            statuses: Vec::new(),
            told: BTreeMap::new(),
            failures: Vec::new(),
        };
        lab.drain();
        lab
    }

    /// A lab whose one DN is subscribed for `expires` and idle.
    pub(crate) fn subscribed(presence: &str, expires: u64) -> Self {
        let mut lab = Self::new(presence);
        lab.run(seconds(1));
        lab.accept(seconds(expires));
        lab.notify(&idle());
        assert_eq!(lab.vote(), Some(Vote::Ready { initial: true }));
        assert_eq!(lab.status(), SubscriptionStatus::Active);
        lab.sent.clear();
        lab
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.watchers.poll_output() {
            match output {
                Output::Subscribe {
                    dn,
                    epoch,
                    subscribe,
                } => {
                    let before = self.live.insert(dn, epoch);
                    assert_eq!(before, None, "a second live subscription of {dn:?}");
                    self.epochs.insert(dn, epoch);
                    let peer = subscribe
                        .target
                        .address
                        .to_string()
                        .starts_with("192.0.2.21");
                    let expires = subscribe.expires;
                    self.subscribes.push(subscribe);
                    self.record(
                        dn,
                        Sent::Subscribe {
                            peer: u8::from(peer),
                            expires,
                        },
                    );
                }
                Output::Refresh { dn, epoch, expires } => {
                    assert_eq!(
                        self.live.get(&dn),
                        Some(&epoch),
                        "a refresh of what is over"
                    );
                    self.record(dn, Sent::Refresh { expires });
                }
                Output::Forget { dn, epoch } => {
                    if self.live.get(&dn) == Some(&epoch) {
                        self.live.remove(&dn);
                    }
                    self.record(dn, Sent::Forget);
                }
                Output::Vote(dn, vote) => self.votes.push_back((dn, vote)),
                Output::Notice(Notice::Subscription { dn, status }) => {
                    self.statuses.push(status);
                    self.told.insert(dn, status);
                }
                Output::Notice(
                    Notice::QueueDepth { .. } | Notice::QueuePlace { .. } | Notice::Trunk(..),
                ) => {
                    panic!("not of presence")
                }
                Output::Failure {
                    peer,
                    failure,
                    retry_after,
                    ..
                } => {
                    self.failures.push((peer, failure, retry_after));
                }
            }
        }
    }

    fn record(&mut self, dn: DnIndex, sent: Sent) {
        match sent {
            Sent::Subscribe { .. } => {
                self.heard.remove(&dn);
                self.unanswered.insert(dn, sent.clone());
            }
            Sent::Refresh { .. } => {
                self.unanswered.insert(dn, sent.clone());
            }
            Sent::Forget => {
                self.unanswered.remove(&dn);
            }
        }
        self.sent.push((self.now, dn, sent));
    }

    /// Lets time pass, with nothing from the PBX.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.watchers.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.watchers.handle_timeout(self.now, &mut self.trunks);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass until something is sent, and says after how long.
    pub(crate) fn until_sent(&mut self) -> Duration {
        let (from, count) = (self.now, self.sent.len());
        while self.sent.len() == count {
            let at = self
                .watchers
                .poll_timeout()
                .expect("a watcher that is stuck");
            self.now = at.max(self.now);
            self.watchers.handle_timeout(self.now, &mut self.trunks);
            self.drain();
        }
        self.now - from
    }

    pub(crate) fn event_for(&mut self, dn: DnIndex, epoch: u32, event: SubscriptionEvent) {
        if self.live.get(&dn) == Some(&epoch) && self.is_end(dn, &event) {
            self.live.remove(&dn);
        }
        self.watchers
            .handle(self.now, &mut self.trunks, dn, epoch, event);
        self.drain();
    }

    /// Whether the user agent spends the key with this event. One that answers no SUBSCRIBE, or
    /// misses a NOTIFY that came, is none of the user agent's; the watchers get it all the same.
    fn is_end(&mut self, dn: DnIndex, event: &SubscriptionEvent) -> bool {
        match event {
            SubscriptionEvent::Accepted { .. } => {
                self.unanswered.remove(&dn);
                false
            }
            SubscriptionEvent::Refused { status, .. } => match self.unanswered.remove(&dn) {
                Some(Sent::Subscribe { .. }) => true,
                Some(Sent::Refresh { .. }) => *status == Status::CALL_DOES_NOT_EXIST,
                Some(Sent::Forget) | None => false,
            },
            SubscriptionEvent::Unreachable => {
                matches!(self.unanswered.remove(&dn), Some(Sent::Subscribe { .. }))
            }
            SubscriptionEvent::NotifyMissing => !self.heard.contains(&dn),
            SubscriptionEvent::Notified { state, .. } => {
                self.heard.insert(dn);
                matches!(state, SubscriptionState::Terminated { .. })
            }
        }
    }

    pub(crate) fn event(&mut self, event: SubscriptionEvent) {
        let epoch = self.epochs[&DN];
        self.event_for(DN, epoch, event);
    }

    pub(crate) fn accept(&mut self, expires: Duration) {
        self.event(SubscriptionEvent::Accepted { expires });
    }

    pub(crate) fn refuse(&mut self, status: u16) {
        self.refuse_with(status, None, None);
    }

    pub(crate) fn refuse_with(&mut self, status: u16, retry_after: Option<u64>, min: Option<u64>) {
        self.event(SubscriptionEvent::Refused {
            status: Status(status),
            retry_after: retry_after.map(seconds),
            min_expires: min.map(seconds),
        });
    }

    pub(crate) fn notify(&mut self, body: &PassingBody) {
        self.event(notified(body, None));
    }

    pub(crate) fn terminate(&mut self, reason: TerminatedReason, retry_after: Option<u64>) {
        self.event(SubscriptionEvent::Notified {
            state: SubscriptionState::Terminated {
                reason,
                retry_after: retry_after.map(seconds),
            },
            expires: None,
            body: Some(idle()),
        });
    }

    pub(crate) fn peer(&mut self, peer: u8, in_service: bool) {
        let change = HealthChange { peer, in_service };
        self.trunks.handle_change(PBX, change);
        self.watchers
            .handle_change(self.now, &mut self.trunks, PBX, change);
        self.drain();
    }

    /// The user agent had no room for the SUBSCRIBE, unless something came of it already.
    pub(crate) fn full(&mut self) {
        let fresh = matches!(self.unanswered.get(&DN), Some(Sent::Subscribe { .. }));
        if let Some(&epoch) = self.live.get(&DN)
            && fresh
            && !self.heard.contains(&DN)
        {
            self.live.remove(&DN);
            self.watchers
                .handle_full(self.now, &mut self.trunks, DN, epoch);
            self.drain();
        }
    }

    /// The next vote that was given.
    pub(crate) fn vote(&mut self) -> Option<Vote> {
        self.votes.pop_front().map(|(_, vote)| vote)
    }

    pub(crate) fn status(&self) -> SubscriptionStatus {
        self.status_of(DN)
    }

    /// As the control plane was told.
    pub(crate) fn status_of(&self, dn: DnIndex) -> SubscriptionStatus {
        let told = self.told.get(&dn).copied();
        told.unwrap_or(SubscriptionStatus::Off)
    }

    pub(crate) fn last(&self) -> Sent {
        self.sent.last().expect("something was sent").2.clone()
    }

    pub(crate) fn counted(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }
}

pub(crate) fn notified(body: &PassingBody, expires: Option<u64>) -> SubscriptionEvent {
    SubscriptionEvent::Notified {
        state: SubscriptionState::Active,
        expires: expires.map(seconds),
        body: Some(body.clone()),
    }
}

/// A body as UCM sends it, for 8001.
pub(crate) fn pidf(basic: &str, activities: &str) -> PassingBody {
    pidf_about("sip:8001@192.0.2.20", basic, activities)
}

pub(crate) fn pidf_about(entity: &str, basic: &str, activities: &str) -> PassingBody {
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
    PassingBody {
        content_type: Bytes::from_static(b"application/pidf+xml"),
        bytes: text.into_bytes().into(),
    }
}

pub(crate) fn idle() -> PassingBody {
    pidf("open", "")
}

pub(crate) fn busy() -> PassingBody {
    pidf("open", "<e:on-the-phone/>")
}

pub(crate) fn list(activities: &[&str]) -> ActivityList {
    let activities = activities.iter().map(|activity| (*activity).to_owned());
    Arc::new(activities.collect())
}

/// The body of a message in `tests/data/cucm`.
pub(crate) fn sample(file: &str) -> PassingBody {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/cucm")
        .join(file);
    let message = std::fs::read_to_string(&path).expect("the sample is part of the repository");
    let message = message.replace("\r\n", "\n");
    let (_, body) = message
        .split_once("\n\n")
        .expect("a blank line ends the head");
    PassingBody {
        content_type: Bytes::from_static(b"application/pidf+xml"),
        bytes: body.as_bytes().to_vec().into(),
    }
}
