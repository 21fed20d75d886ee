//! Two shards, two users, and the link between them; `link.rs` says what is tried on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_shards::{Source, Transmit, Transport};

use crate::sip::{
    Checked, HeaderIndex, HeaderName, Message, Method, Request, Response, Status, Writer,
};
use crate::transaction::{
    ClientKey, Delivered, Event, Incoming, Outgoing, ServerKey, Timers, Transactions,
};

use super::shard::{origin, peer};

/// More than this many steps are a loop.
const STEPS_MAX: usize = 200_000;
pub(super) const REQUESTS: u64 = 40;
/// How long the caller lets a phone ring.
const RING_MS: u64 = 60_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Faults {
    pub(super) loss_percent: u64,
    pub(super) duplicate_percent: u64,
    pub(super) delay_ms_max: u64,
}

struct Random(u64);

impl Random {
    /// The SplitMix64 generator.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Caller,
    Callee,
}

/// Something that happens at its time.
#[derive(Debug)]
enum Task {
    Arrive(Side, Vec<u8>),
    Send(u64),
    Cancel(u64),
    LosePatience(u64),
    Respond(ServerKey, Status),
    RepeatSuccess(ServerKey, Duration),
}

/// What the caller knows of one request of its own.
#[derive(Debug, Default)]
pub(super) struct Sent {
    client: Option<ClientKey>,
    cancel: Option<ClientKey>,
    rings: bool,
    finals: Vec<Status>,
    last_words: Vec<Event>,
}

/// What the callee knows of one request.
#[derive(Debug)]
pub(super) struct Served {
    method: String,
    number: u64,
    /// The request, to write responses from.
    bytes: Vec<u8>,
    success: Option<(Transmit, Vec<u8>)>,
    acknowledged: bool,
    last_words: usize,
}

pub(super) struct World {
    seed: u64,
    random: Random,
    faults: Faults,
    start: Instant,
    now: Instant,
    pub(super) sequence: u64,
    tasks: BTreeMap<(Instant, u64), Task>,
    caller: Transactions,
    callee: Transactions,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) served: BTreeMap<ServerKey, Served>,
    /// By branch and method: the status and bytes of the final response that the callee sent.
    finals: BTreeMap<String, Vec<u8>>,
}

fn caller_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

fn branch(number: u64) -> String {
    format!("z9hG4bK-{number}")
}

fn write_request(method: Method<'_>, number: u64, branch: &str, to: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::request(&mut bytes, method, b"sip:2001@192.0.2.9");
    writer.via(crate::sip::Transport::Udp, caller_address(), branch);
    writer.header(HeaderName::MaxForwards, 70);
    writer.header(
        HeaderName::From,
        format_args!("<sip:1001@192.0.2.1>;tag=a{number}"),
    );
    writer.header(HeaderName::To, format_args!("<sip:2001@192.0.2.9>{to}"));
    writer.header(HeaderName::CallId, format_args!("{number}@192.0.2.1"));
    writer.header(HeaderName::CSeq, format_args!("1 {method}"));
    writer.end();
    bytes
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        let start = origin();
        let mut world = Self {
            seed,
            random: Random(seed),
            faults,
            start,
            now: start,
            sequence: 0,
            tasks: BTreeMap::new(),
            caller: Transactions::new(start, Timers::default(), [seed, 1]),
            callee: Transactions::new(start, Timers::default(), [seed, 2]),
            sent: BTreeMap::new(),
            served: BTreeMap::new(),
            finals: BTreeMap::new(),
        };
        for number in 0..REQUESTS {
            let after = world.random.below(5_000);
            world.schedule(after, Task::Send(number));
        }
        world
    }

    fn schedule(&mut self, after_ms: u64, task: Task) {
        self.sequence += 1;
        let at = self.now + Duration::from_millis(after_ms);
        self.tasks.insert((at, self.sequence), task);
    }

    /// Every third request is something else than an INVITE.
    fn method(number: u64) -> Method<'static> {
        if number % 3 == 2 {
            Method::Options
        } else {
            Method::Invite
        }
    }

    pub(super) fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            self.carry();
            self.hear();
            let task = self.tasks.keys().next().map(|(at, _)| *at);
            let timers = [self.caller.poll_timeout(), self.callee.poll_timeout()];
            let Some(next) = task.into_iter().chain(timers.into_iter().flatten()).min() else {
                return;
            };
            self.now = self.now.max(next);
            if task == Some(next) {
                let (_, task) = self.tasks.pop_first().unwrap();
                self.perform(task);
            }
            self.caller.handle_timeout(self.now);
            self.callee.handle_timeout(self.now);
        }
        panic!("seed {}: no end after {STEPS_MAX} steps", self.seed);
    }

    /// Takes what both sides send and loses, doubles and delays it.
    fn carry(&mut self) {
        let mut buffer = Vec::new();
        for side in [Side::Caller, Side::Callee] {
            loop {
                buffer.clear();
                let (from, to) = match side {
                    Side::Caller => (&mut self.caller, Side::Callee),
                    Side::Callee => (&mut self.callee, Side::Caller),
                };
                if from.poll_transmit(&mut buffer).is_none() {
                    break;
                }
                if side == Side::Callee {
                    self.check_response(&buffer);
                }
                if self.random.percent(self.faults.loss_percent) {
                    continue;
                }
                let copies = 1 + u64::from(self.random.percent(self.faults.duplicate_percent));
                for _ in 0..copies {
                    let delay = self.random.below(self.faults.delay_ms_max + 1);
                    self.schedule(delay, Task::Arrive(to, buffer.clone()));
                }
            }
        }
    }

    /// One final response for each request, byte by byte the same, and nothing after it.
    fn check_response(&mut self, bytes: &[u8]) {
        let mut index = HeaderIndex::new();
        let Ok(Checked::Response(response)) = Message::receive(bytes, &mut index) else {
            panic!("the callee sends responses only");
        };
        let name = format!(
            "{} {}",
            response.via.branch().unwrap(),
            response.cseq_method
        );
        match self.finals.get(&name) {
            Some(first) => assert_eq!(first, bytes, "seed {}: {name}", self.seed),
            None if response.status.is_final() => {
                self.finals.insert(name, bytes.to_vec());
            }
            None => {}
        }
    }

    fn hear(&mut self) {
        while let Some(event) = self.caller.poll_event() {
            let key = match event {
                Event::TimedOut(key) | Event::TransportFailed(key) | Event::ClientEnded(key) => key,
                Event::AckMissing(_) | Event::ServerEnded(_) => panic!("a caller serves nothing"),
            };
            let owner = self.sent.values_mut().find(|sent| sent.client == Some(key));
            if let Some(sent) = owner {
                sent.last_words.push(event);
            }
        }
        while let Some(event) = self.callee.poll_event() {
            let key = match event {
                Event::AckMissing(key) | Event::ServerEnded(key) => key,
                Event::TimedOut(_) | Event::TransportFailed(_) | Event::ClientEnded(_) => {
                    panic!("a callee asks nothing")
                }
            };
            self.served.get_mut(&key).unwrap().last_words += 1;
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Arrive(Side::Callee, bytes) => self.callee_receives(&bytes),
            Task::Arrive(Side::Caller, bytes) => self.caller_receives(&bytes),
            Task::Send(number) => self.send(number),
            Task::Cancel(number) => self.cancel(number),
            Task::LosePatience(number) => {
                let client = self.sent[&number].client.unwrap();
                self.caller.expect_final(self.now, client);
            }
            Task::Respond(key, status) => {
                if self.callee.is_unanswered(key) {
                    self.respond(key, status);
                }
            }
            Task::RepeatSuccess(key, interval) => self.repeat_success(key, interval),
        }
    }

    fn send(&mut self, number: u64) {
        let (branch, method) = (branch(number), Self::method(number));
        let bytes = write_request(method, number, &branch, "");
        let outgoing = Outgoing {
            method,
            transport: Transport::Udp,
            remote: peer(),
            branch: &branch,
            bytes: &bytes,
            fallback: None,
        };
        let client = self.caller.request(self.now, outgoing).unwrap();
        self.sent.insert(
            number,
            Sent {
                client: Some(client),
                ..Sent::default()
            },
        );
        if method == Method::Invite {
            self.schedule(RING_MS, Task::LosePatience(number));
            if self.random.percent(25) {
                let after = self.random.below(8_000);
                self.schedule(after, Task::Cancel(number));
            }
        }
    }

    /// RFC 3261 §9.1: after a provisional response, before the final one. Tried again until then.
    fn cancel(&mut self, number: u64) {
        let sent = &self.sent[&number];
        let client = sent.client.unwrap();
        if !self.caller.is_pending(client) {
            return;
        }
        if !sent.rings {
            return self.schedule(500, Task::Cancel(number));
        }
        let branch = branch(number);
        let bytes = write_request(Method::Cancel, number, &branch, "");
        let outgoing = Outgoing {
            method: Method::Cancel,
            transport: Transport::Udp,
            remote: peer(),
            branch: &branch,
            bytes: &bytes,
            fallback: None,
        };
        let cancel = self.caller.request(self.now, outgoing).unwrap();
        self.caller.abandon(self.now, cancel);
        self.caller.expect_final(self.now, client);
        self.sent.get_mut(&number).unwrap().cancel = Some(cancel);
    }

    fn caller_receives(&mut self, bytes: &[u8]) {
        let mut index = HeaderIndex::new();
        let Ok(Checked::Response(response)) = Message::receive(bytes, &mut index) else {
            panic!("seed {}: the callee sends responses only", self.seed);
        };
        let number = number_of(response.call_id);
        let verdict = self.caller.handle_response(self.now, &response);
        match verdict {
            Delivered::To(key) => {
                let sent = self.sent.get_mut(&number).unwrap();
                assert_eq!(Some(key), sent.client, "seed {}", self.seed);
                if response.status.is_final() {
                    sent.finals.push(response.status);
                } else {
                    assert!(
                        sent.finals.is_empty(),
                        "seed {}: 1xx after the end",
                        self.seed
                    );
                    sent.rings = true;
                }
            }
            Delivered::Absorbed | Delivered::Stray => {}
        }
        if response.cseq_method == Method::Invite && response.status.is_success() {
            self.acknowledge(&response, number);
        }
    }

    /// Every copy of a 2xx is acknowledged, whatever became of the transaction.
    fn acknowledge(&mut self, response: &Response<'_>, number: u64) {
        let tag = format!(";tag={}", response.to_tag.unwrap());
        let ack = write_request(Method::Ack, number, &format!("z9hG4bK-ack-{number}"), &tag);
        let transmit = Transmit {
            transport: Transport::Udp,
            local: None,
            remote: peer(),
            connection: None,
        };
        self.caller.send(transmit, &ack);
    }

    fn callee_receives(&mut self, bytes: &[u8]) {
        let mut index = HeaderIndex::new();
        let Ok(Checked::Request(request)) = Message::receive(bytes, &mut index) else {
            panic!("seed {}: the caller sends requests only", self.seed);
        };
        let source = Source {
            transport: Transport::Udp,
            local: peer(),
            remote: caller_address(),
            connection: None,
        };
        match self.callee.handle_request(self.now, &request, source) {
            Incoming::New(key) => self.serve(key, &request),
            Incoming::Absorbed => {}
            Incoming::Acknowledge => {
                let number = number_of(request.call_id);
                for served in self
                    .served
                    .values_mut()
                    .filter(|served| served.number == number)
                {
                    served.acknowledged = true;
                }
            }
            Incoming::Cancel { key, invite } => {
                self.remember(key, &request);
                let unanswered = invite.filter(|invite| self.callee.is_unanswered(*invite));
                let known = if invite.is_some() {
                    Status::OK
                } else {
                    Status::CALL_DOES_NOT_EXIST
                };
                self.respond(key, known);
                if let Some(invite) = unanswered {
                    self.respond(invite, Status::REQUEST_TERMINATED);
                }
            }
            // A late copy of a request whose transaction is over is new again; none is merged.
            verdict @ (Incoming::Merged(_) | Incoming::Full) => {
                panic!("seed {}: {verdict:?}", self.seed)
            }
        }
    }

    fn remember(&mut self, key: ServerKey, request: &Request<'_>) {
        let served = Served {
            method: request.method.to_string(),
            number: number_of(request.call_id),
            bytes: request.message.bytes().to_vec(),
            success: None,
            acknowledged: false,
            last_words: 0,
        };
        assert!(
            self.served.insert(key, served).is_none(),
            "seed {}: a key twice",
            self.seed
        );
    }

    fn serve(&mut self, key: ServerKey, request: &Request<'_>) {
        self.remember(key, request);
        if request.method == Method::Invite {
            let rings = self.random.below(300);
            self.schedule(rings, Task::Respond(key, Status::RINGING));
        }
        let answers = [Status::OK, Status::OK, Status::BUSY_HERE, Status::NOT_FOUND];
        let answer = answers[self.random.below(4) as usize];
        let after = 300 + self.random.below(10_000);
        self.schedule(after, Task::Respond(key, answer));
    }

    fn respond(&mut self, key: ServerKey, status: Status) {
        let served = self.served.get_mut(&key).unwrap();
        let mut index = HeaderIndex::new();
        let Ok(Checked::Request(request)) = Message::receive(&served.bytes, &mut index) else {
            panic!("it was a request when it came");
        };
        let mut bytes = Vec::new();
        Writer::response(&mut bytes, status, &request, caller_address(), Some("b")).end();
        self.callee.respond(self.now, key, status, &bytes);
        if served.method == "INVITE" && status.is_success() {
            served.success = Some((self.callee.destination(key).unwrap(), bytes));
            let t1 = Timers::default().t1;
            self.schedule(500, Task::RepeatSuccess(key, t1));
        }
    }

    /// RFC 3261 §13.3.1.4, as the dialog does it.
    fn repeat_success(&mut self, key: ServerKey, interval: Duration) {
        let served = &self.served[&key];
        if served.acknowledged || served.last_words > 0 {
            return;
        }
        let (transmit, bytes) = served.success.as_ref().unwrap();
        self.callee.send(*transmit, bytes);
        let next = Timers::default().capped_double(interval);
        let after = u64::try_from(next.as_millis()).unwrap();
        self.schedule(after, Task::RepeatSuccess(key, next));
    }

    /// What must hold when nothing can happen any more.
    pub(super) fn check_end(&self) {
        let seed = self.seed;
        assert!(self.caller.is_empty(), "seed {seed}: {:?}", self.caller);
        assert!(self.callee.is_empty(), "seed {seed}: {:?}", self.callee);
        // The last INVITE leaves at 5 s, rings for a minute, is given up 32 s later; then the
        // callee waits for its ACK for 32 s and absorbs for 5 s more.
        let lasted = self.now.duration_since(self.start);
        assert!(
            lasted < Duration::from_secs(5 + 60 + 32 + 32 + 5 + 11),
            "seed {seed}: {lasted:?}"
        );
        for (number, sent) in &self.sent {
            let [last_word] = sent.last_words[..] else {
                panic!(
                    "seed {seed}: request {number} has the last words {:?}",
                    sent.last_words
                );
            };
            let ended = match last_word {
                Event::ClientEnded(_) => true,
                Event::TimedOut(_) => false,
                Event::TransportFailed(_) | Event::AckMissing(_) | Event::ServerEnded(_) => {
                    panic!("seed {seed}: request {number} ended as {last_word:?}")
                }
            };
            let first = sent.finals.first();
            assert_eq!(
                ended,
                first.is_some(),
                "seed {seed}: request {number}: {sent:?}"
            );
            let repeated_success = Self::method(*number) == Method::Invite
                && first.is_some_and(|status| status.is_success());
            assert!(
                sent.finals.len() <= 1 || repeated_success,
                "seed {seed}: request {number} has the finals {:?}",
                sent.finals
            );
        }
        for served in self.served.values() {
            assert_eq!(served.last_words, 1, "seed {seed}: {served:?}");
        }
    }

    /// How many requests of the caller had no answer.
    pub(super) fn unanswered(&self) -> usize {
        self.sent
            .values()
            .filter(|sent| sent.finals.is_empty())
            .count()
    }
}

fn number_of(call_id: &str) -> u64 {
    call_id.split('@').next().unwrap().parse().unwrap()
}
