//! The user agent: one shard's SIP above bytes and below calls.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{ConnectionChange, Source, Transmit};

use crate::counters::Counters;
use crate::sip::Status;

use super::{
    Body, Invite, LegKey, PingKey, Refusal, Subscribe, SubscriptionKey, Target, UserAgentConfig,
    UserAgentEvent,
};

/// A table is full: nothing was sent and there is no key. Try elsewhere or answer 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Legs, subscriptions and pings of one shard.
///
/// After every call drain `poll_transmit`, then `poll_event`, then look at `poll_timeout`.
/// Commands are total: one that comes too late, or with a key that is spent, does nothing.
#[derive(Debug)]
pub struct UserAgent {}

#[allow(unused_variables, missing_docs)]
impl UserAgent {
    #[must_use]
    pub fn new(now: Instant, config: UserAgentConfig, counters: Arc<Counters>) -> Self {
        todo!()
    }
    pub fn handle_datagram(&mut self, now: Instant, source: Source, bytes: &[u8]) {
        todo!()
    }
    pub fn handle_connection(&mut self, now: Instant, change: ConnectionChange) {
        todo!()
    }
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }
    pub fn invite(&mut self, now: Instant, invite: &Invite) -> Result<LegKey, Full> {
        todo!()
    }
    pub fn progress(&mut self, now: Instant, leg: LegKey, status: Status) {
        todo!()
    }
    pub fn answer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        todo!()
    }
    pub fn refuse(&mut self, now: Instant, leg: LegKey, refusal: Refusal) {
        todo!()
    }
    pub fn acknowledge(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        todo!()
    }
    pub fn offer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        todo!()
    }
    pub fn answer_offer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        todo!()
    }
    pub fn refuse_offer(&mut self, now: Instant, leg: LegKey, refusal: Refusal) {
        todo!()
    }
    pub fn hang_up(&mut self, now: Instant, leg: LegKey, cause: Option<u8>) {
        todo!()
    }
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscribe: &Subscribe,
    ) -> Result<SubscriptionKey, Full> {
        todo!()
    }
    pub fn refresh(&mut self, now: Instant, key: SubscriptionKey, expires: Duration) {
        todo!()
    }
    pub fn forget(&mut self, key: SubscriptionKey) {
        todo!()
    }
    pub fn ping(
        &mut self,
        now: Instant,
        target: Target,
        request_uri: &str,
        max_forwards: u8,
    ) -> Result<PingKey, Full> {
        todo!()
    }
    pub fn set_draining(&mut self, draining: bool) {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<UserAgentEvent> {
        todo!()
    }
    pub fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Transmit> {
        todo!()
    }
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    #[must_use]
    pub fn legs(&self) -> usize {
        todo!()
    }
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        todo!()
    }
    #[must_use]
    pub fn transactions(&self) -> usize {
        todo!()
    }
}
