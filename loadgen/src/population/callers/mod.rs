//! The callers: they dial the server's numbers through the PBX's trunk, wait, talk and hang up.
//!
//! Arrivals are an open loop: each call has its intended moment, and a slow server or a slow
//! generator changes nothing about it. Each call ends in exactly one [`Outcome`].

mod call;
mod habits;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use offhook::sip::{Method, Request, Status};

use super::agenda::Agenda;
use super::exchange::{Exchange, Incoming, ServerId, Timers, Wire};
use super::message::ALLOW;
use super::random::Random;
use super::session::{Change, Reception, Replaces, Session, refuse};
use super::truth::{Fault, Log, Outcome, Record, Token};
use crate::load::Arrivals as Planned;
use crate::node::{Node, Packet};
use call::{Act, Call};

pub(crate) use call::caller_number;

pub use habits::{Arrivals, CallPlan, CallerHabits};

/// What callers are made of.
#[derive(Debug, Clone)]
pub struct CallersOptions {
    /// Where their INVITEs come from: the trunk side of the PBX.
    pub address: SocketAddr,
    /// Where the server hears SIP.
    pub server: SocketAddr,
    /// Where chance comes from.
    pub seed: u64,
    /// The timers of their transactions.
    pub timers: Timers,
    /// How callers that come by themselves behave.
    pub habits: CallerHabits,
    /// The methods that they allow: the value of their Allow header.
    pub allow: String,
    /// What their own numbers begin with; seven digits follow.
    pub prefix: String,
    /// Whether they answer with a session timer where one is asked for (RFC 4028).
    pub session_timers: bool,
}

impl CallersOptions {
    /// Callers of one number.
    #[must_use]
    pub fn new(address: SocketAddr, server: SocketAddr, number: &str) -> Self {
        Self {
            address,
            server,
            seed: 0,
            timers: Timers::default(),
            habits: CallerHabits::of(number),
            allow: ALLOW.to_owned(),
            prefix: "3".to_owned(),
            session_timers: false,
        }
    }
}

/// How many calls ended how. `offered` = the four others + [`Callers::live`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// INVITEs sent.
    pub offered: u64,
    /// Answered and then ended properly.
    pub answered: u64,
    /// Given up by the caller.
    pub abandoned: u64,
    /// Refused by the server.
    pub refused: u64,
    /// Failed by the server.
    pub lost: u64,
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.abandoned += other.abandoned;
        self.refused += other.refused;
        self.lost += other.lost;
    }
}

/// A call that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveCall<'a> {
    /// Its token.
    pub token: Token,
    /// What it dialled.
    pub number: &'a str,
    /// When it was meant to begin.
    pub intended: Instant,
    /// When its INVITE was sent.
    pub sent: Instant,
    /// Since when it is up; `None` before that, and while the caller is hanging up.
    pub up_since: Option<Instant>,
    /// Whether it still waits for its final response.
    pub waiting: bool,
}

#[derive(Debug, Clone)]
enum Due {
    Arrival {
        until: Instant,
        arrivals: Arrivals,
    },
    /// The next of a plan that began at `from`.
    Planned {
        from: Instant,
        until: Instant,
        plan: Box<Planned>,
        habits: Arc<CallerHabits>,
    },
    Call(Token, Act),
    Redial(Box<CallPlan>),
}

/// The callers at one address. See the module.
#[derive(Debug)]
pub struct Callers {
    exchange: Exchange,
    server: SocketAddr,
    mark: String,
    seed: u64,
    habits: CallerHabits,
    random: Random,
    /// What the schedule and the plans are drawn from; nothing that happens touches it.
    schedule: Random,
    prefix: String,
    made: u64,
    calls: BTreeMap<Token, Call>,
    by_call: BTreeMap<String, Token>,
    totals: Totals,
    /// Groups that have callers to come.
    arriving: usize,
    /// Callers who will try again.
    redials: usize,
    /// How calls that come to be up take the server's offers.
    reception: Reception,
    agenda: Agenda<Due>,
    log: Log,
}

impl Callers {
    /// Callers as described; they wait for [`Callers::arrive`] or [`Callers::call`].
    #[must_use]
    pub fn new(options: CallersOptions) -> Self {
        let mark = format!(
            "{:08x}c",
            Random::new(options.seed, 0xca).number() & 0xffff_ffff
        );
        let mut exchange = Exchange::new(options.address, format!("{mark}x"), options.timers);
        exchange.style.allow = options.allow;
        exchange.style.session_timers = options.session_timers;
        Self {
            exchange,
            server: options.server,
            mark,
            seed: options.seed,
            habits: options.habits,
            random: Random::new(options.seed, 2),
            schedule: Random::new(options.seed, 6),
            prefix: options.prefix,
            made: 0,
            calls: BTreeMap::new(),
            by_call: BTreeMap::new(),
            totals: Totals::default(),
            arriving: 0,
            redials: 0,
            reception: Reception::default(),
            agenda: Agenda::default(),
            log: Log::default(),
        }
    }

    /// Calls come from `from` on until `until`. Their moments are drawn in advance, one after the
    /// other, and never moved.
    pub fn arrive(&mut self, from: Instant, until: Instant, arrivals: Arrivals) {
        let at = from + arrivals.gap(&mut self.schedule);
        if at < until {
            self.arriving += 1;
            self.agenda.add(at, Due::Arrival { until, arrivals });
        }
    }

    /// Callers with habits of their own come as a plan that begins at `from` says, beside those
    /// that come already.
    pub fn arrive_as_planned(
        &mut self,
        from: Instant,
        until: Instant,
        plan: Planned,
        habits: Arc<CallerHabits>,
    ) {
        self.expect(from, until, Box::new(plan), habits);
    }

    fn expect(
        &mut self,
        from: Instant,
        until: Instant,
        mut plan: Box<Planned>,
        habits: Arc<CallerHabits>,
    ) {
        let next = plan.next().and_then(|arrival| from.checked_add(arrival.at));
        if let Some(at) = next.filter(|at| *at < until) {
            self.arriving += 1;
            let due = Due::Planned {
                from,
                until,
                plan,
                habits,
            };
            self.agenda.add(at, due);
        }
    }

    /// One call now.
    pub fn call(&mut self, now: Instant, plan: CallPlan) -> Token {
        self.begin(now, now, plan)
    }

    /// Other habits for callers that come from now on.
    pub fn set_habits(&mut self, habits: CallerHabits) {
        self.habits = habits;
    }

    /// The caller gives up; nothing happens when the call is up already or over.
    pub fn give_up(&mut self, now: Instant, token: Token) {
        self.act(now, token, Act::GiveUp);
    }

    /// The caller hangs up; nothing happens when the call is not up.
    pub fn hang_up(&mut self, now: Instant, token: Token) {
        self.act(now, token, Act::HangUp);
    }

    /// The caller sends a re-INVITE or an UPDATE; `false` when that is not possible now.
    pub fn change(&mut self, now: Instant, token: Token, change: Change) -> bool {
        self.session(token)
            .is_some_and(|(session, exchange)| session.change(now, exchange, change, ""))
    }

    /// From now on every caller takes the server's offers this way.
    pub fn set_reception(&mut self, reception: Reception) {
        self.reception = reception;
        for token in self.calls.keys().copied().collect::<Vec<_>>() {
            if let Some((session, _)) = self.session(token) {
                session.reception = reception;
            }
        }
    }

    /// The caller answers an offer of the server's that waits; `false` when none does.
    pub fn answer_offer(&mut self, now: Instant, token: Token) -> bool {
        let waits = self
            .session(token)
            .is_some_and(|(session, _)| session.has_pending());
        self.act(now, token, Act::AnswerOffer);
        waits
    }

    /// The caller sends INFO; `false` when the call is not up.
    pub fn inform(
        &mut self,
        now: Instant,
        token: Token,
        content_type: &'static str,
        body: &str,
    ) -> bool {
        let session = self.session(token);
        session
            .map(|(session, exchange)| session.inform(now, exchange, content_type, body))
            .is_some()
    }

    /// The caller asks the server to call `number` in its place; `false` when that is not
    /// possible now.
    pub fn refer(
        &mut self,
        now: Instant,
        token: Token,
        number: &str,
        replaces: Option<&Replaces>,
    ) -> bool {
        self.session(token)
            .is_some_and(|(session, exchange)| session.refer(now, exchange, number, replaces))
    }

    /// The dialog of a call that is up, for a Replaces header.
    pub fn dialog(&mut self, token: Token) -> Option<Replaces> {
        self.session(token).map(|(session, _)| session.replaces())
    }

    /// Nothing more can come: every call that is not over is lost.
    pub fn finish(&mut self, now: Instant) {
        for token in self.calls.keys().copied().collect::<Vec<_>>() {
            self.end(now, token, Outcome::Lost(Fault::StillUp));
        }
        self.agenda.clear();
    }

    /// The callers' address is cut off: nothing reaches it and nothing leaves it.
    pub fn go_silent(&mut self) {
        self.exchange.set_silent(true);
    }

    /// It is reachable again.
    pub fn come_back(&mut self) {
        self.exchange.set_silent(false);
    }

    /// Where the callers' INVITEs come from.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.exchange.address
    }

    /// How many calls ended how.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The calls that are not over.
    pub fn live(&self) -> impl ExactSizeIterator<Item = LiveCall<'_>> {
        self.calls.iter().map(|(token, call)| LiveCall {
            token: *token,
            number: &call.plan.number,
            intended: call.intended,
            sent: call.sent,
            up_since: call.up_since(),
            waiting: call.is_waiting(),
        })
    }

    /// The calls that are up, with their sessions.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (Token, &Session)> {
        self.calls
            .iter()
            .filter_map(|(token, call)| Some((*token, call.live_session()?)))
    }

    /// Whether a caller still waits for its final response.
    #[must_use]
    pub fn is_waiting(&self, token: Token) -> bool {
        self.calls.get(&token).is_some_and(Call::is_waiting)
    }

    /// Whether further calls will come by themselves.
    #[must_use]
    pub fn is_arriving(&self) -> bool {
        self.arriving > 0 || self.redials > 0
    }

    /// Nobody tries again any more.
    pub fn end_redials(&mut self) {
        self.agenda.retain(|due| !matches!(due, Due::Redial(_)));
        self.redials = 0;
    }

    /// Transactions under way or still remembered.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.exchange.transactions()
    }

    /// What was sent and received.
    #[must_use]
    pub fn wire(&self) -> Wire {
        self.exchange.wire
    }

    /// What happened, oldest first.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        self.log.records()
    }

    /// Takes what happened since the last time.
    pub fn take_records(&mut self) -> Vec<Record> {
        self.log.take()
    }

    /// Whether a datagram names a call of ours: for callers and a PBX that share an address.
    #[must_use]
    pub fn recognise(&self, bytes: &[u8]) -> bool {
        let mark = self.mark.as_bytes();
        bytes.windows(mark.len()).any(|window| window == mark)
    }

    fn new_token(&mut self) -> Token {
        self.made += 1;
        let high = Random::new(self.seed, 3).number() & 0x7fff_ffff;
        Token(high << 32 | self.made)
    }

    fn handle_request(&mut self, now: Instant, id: ServerId, request: &Request<'_>) {
        if self.handle_in_session(now, id, request) {
            return;
        }
        let status = match (request.method, request.to_tag) {
            (Method::Options, None) => Status::OK,
            (_, Some(_)) => Status::CALL_DOES_NOT_EXIST,
            (_, None) => Status::FORBIDDEN,
        };
        refuse(now, &mut self.exchange, id, status);
    }
}

impl Node for Callers {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        if to != self.exchange.address {
            return;
        }
        let mut index = self.exchange.take_index();
        match self.exchange.receive(now, from, bytes, &mut index) {
            Incoming::Request(id, request) => self.handle_request(now, id, &request),
            Incoming::Acknowledged(request) => self.handle_ack(now, &request),
            Incoming::Response(id, response) => self.handle_response(now, id, &response),
            Incoming::Cancelled(id) => self.handle_cancelled(now, id),
            Incoming::Nothing => {}
        }
        self.exchange.return_index(index);
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(expiry) = self.exchange.handle_timeout(now) {
            self.handle_expiry(now, expiry);
        }
        while let Some((at, due)) = self.agenda.take_due(now) {
            match due {
                Due::Call(token, act) => self.act(now, token, act),
                Due::Redial(plan) => {
                    self.redials -= 1;
                    self.begin(now, at, *plan);
                }
                Due::Arrival { until, arrivals } => {
                    let plan = self.habits.plan(&mut self.schedule);
                    self.begin(now, at, plan);
                    self.arriving -= 1;
                    self.arrive(at, until, arrivals);
                }
                Due::Planned {
                    from,
                    until,
                    plan,
                    habits,
                } => {
                    let caller = habits.plan(&mut self.schedule);
                    self.begin(now, at, caller);
                    self.arriving -= 1;
                    self.expect(from, until, plan, habits);
                }
            }
        }
    }

    fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Packet> {
        let to = self.exchange.poll_transmit(buffer)?;
        Some(Packet {
            from: self.exchange.address,
            to,
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.exchange
            .poll_timeout()
            .into_iter()
            .chain(self.agenda.next())
            .min()
    }
}
