//! The resolver: looks names up for the shards, on the control plane's thread, and tells them where
//! the names lead. When to look is `dns::book`'s business, in what order to ask `walk`'s; here is
//! the loop between them, and the way to the shards, which never wait for it.

mod client;
mod tally;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use offhook_shards::{Control, Engine, ShardId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::dns::book::{Book, Found, Lifetimes, Readers};
use crate::dns::{Problem, Question, Resolved};
use crate::engine::Input;
use crate::limits::{CTI_TICK, DNS_LOOK_IN_QUESTIONS, DNS_QUESTIONS_WAITING_MAX};

use super::clock::Clock;

use client::Client;
pub use tally::Tally;
use walk::Reach;

/// The shards' way to the resolver.
#[derive(Debug, Clone)]
pub struct Asker {
    questions: mpsc::Sender<(ShardId, Question)>,
    tally: Arc<Tally>,
}

impl Asker {
    /// Passes a question on; when too many wait it is dropped and counted, and the shard will ask
    /// again.
    pub fn ask(&self, shard: ShardId, question: Question) {
        if self.questions.try_send((shard, question)).is_err() {
            self.tally.count_dropped();
        }
    }
}

/// The resolver before it runs.
#[derive(Debug)]
pub struct Resolver {
    config: Arc<Config>,
    tally: Arc<Tally>,
    questions: mpsc::Receiver<(ShardId, Question)>,
}

/// A resolver for the names of a configuration, and the way to it.
#[must_use]
pub fn resolver(config: &Arc<Config>, tally: Arc<Tally>) -> (Asker, Resolver) {
    let (sender, questions) = mpsc::channel(DNS_QUESTIONS_WAITING_MAX);
    let asker = Asker {
        questions: sender,
        tally: Arc::clone(&tally),
    };
    let resolver = Resolver {
        config: Arc::clone(config),
        tally,
        questions,
    };
    (asker, resolver)
}

impl Resolver {
    /// Looks names up and tells the shards until nobody can ask any more.
    pub async fn run<E: Engine<Request = Input>>(mut self, clock: Clock, shards: Control<E>) {
        let lifetimes = Lifetimes {
            floor: self.config.dns.ttl_min,
            ceiling: self.config.dns.ttl_max,
        };
        let names = self.config.names().cloned();
        let mut turning = Turning {
            book: Book::new(clock.now(), lifetimes, names),
            client: Client::new(&self.config.dns),
            reach: Reach::of(&self.config.server.sip),
            looks: JoinSet::new(),
            untold: BTreeMap::new(),
            tally: self.tally,
            config: self.config,
            shards,
        };
        loop {
            let now = clock.now();
            turning.start_looks(now);
            turning.tell();
            let wake = turning.wake(now);
            tokio::select! {
                asked = self.questions.recv() => {
                    let Some((shard, question)) = asked else { return };
                    turning.ask(clock.now(), shard, question);
                }
                Some(look) = turning.looks.join_next() => {
                    if let Ok((question, found)) = look {
                        turning.found(clock.now(), &question, found);
                    }
                }
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }
}

struct Turning<E: Engine<Request = Input>> {
    book: Book,
    client: Client,
    reach: Reach,
    looks: JoinSet<(Arc<Question>, Found)>,
    /// The latest news for shards whose queues were full.
    untold: BTreeMap<(ShardId, Arc<Question>), Resolved>,
    tally: Arc<Tally>,
    config: Arc<Config>,
    shards: Control<E>,
}

impl<E: Engine<Request = Input>> Turning<E> {
    fn ask(&mut self, now: Instant, shard: ShardId, question: Question) {
        if !self.book.ask(now, shard, question) {
            self.tally.count_dropped();
        }
    }

    fn start_looks(&mut self, now: Instant) {
        let dns = &self.config.dns;
        let patience = dns.timeout * dns.attempts * DNS_LOOK_IN_QUESTIONS;
        while let Some(question) = self.book.next_lookup(now) {
            let (resolver, reach) = (self.client.resolver(), self.reach.clone());
            self.looks.spawn(async move {
                let Some(resolver) = resolver else {
                    return (question, Err(Problem::NoAnswer));
                };
                let walk = walk::look_up(&resolver, &question, &reach);
                let found = tokio::time::timeout(patience, walk).await;
                (question, found.unwrap_or(Err(Problem::NoAnswer)))
            });
        }
    }

    fn found(&mut self, now: Instant, question: &Arc<Question>, found: Found) {
        self.tally.count_look(found.as_ref().err().copied());
        if let Err(problem) = &found {
            tracing::debug!(name = %question, why = problem.name(), "name not resolved");
            self.client.failed(*problem);
        }
        let news = self.book.handle(now, question, found);
        self.tally.note(self.book.census());
        let Some((readers, resolved)) = news else {
            return;
        };
        let readers: Vec<ShardId> = match readers {
            Readers::All => (0..self.shards.shards()).map(ShardId).collect(),
            Readers::Those(shards) => shards.into_iter().collect(),
        };
        for shard in readers {
            let key = (shard, Arc::clone(question));
            self.untold.insert(key, resolved.clone());
        }
    }

    fn tell(&mut self) {
        let shards = &self.shards;
        self.untold.retain(|(shard, _), resolved| {
            let input = Input::Resolved(resolved.clone());
            shards.request(*shard, input).is_err()
        });
    }

    /// When there is something to do if nothing happens before.
    fn wake(&self, now: Instant) -> Instant {
        let idle = now + self.config.dns.ttl_max;
        let due = self.book.poll_timeout().unwrap_or(idle);
        if self.untold.is_empty() {
            due
        } else {
            due.min(now + CTI_TICK)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_beyond_those_that_may_wait_are_dropped_and_counted() {
        let text = "[server]\n[[trunk]]\nname = \"a\"\npeers = [\"udp:sip.example.com\"]";
        let config = crate::config::parse(text, &|name| Err(name.to_owned()));
        let config = Arc::new(config.expect("no mistakes"));
        let tally = Arc::new(Tally::default());
        let (asker, resolver) = resolver(&config, Arc::clone(&tally));
        let question = config.names().next().expect("a name").clone();
        for _ in 0..DNS_QUESTIONS_WAITING_MAX + 3 {
            asker.ask(ShardId(0), question.clone());
        }
        assert_eq!(resolver.questions.len(), DNS_QUESTIONS_WAITING_MAX);
        assert_eq!(tally.dropped(), 3);
    }
}
