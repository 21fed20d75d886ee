//! Messages from addresses that are nobody's we know. What belongs to a call, a subscription or a
//! transaction is heard like anybody's: far ends may speak from other addresses than the trunk's.
//! Everything else is ignored, or refused in one short message of which nothing is kept, so that
//! scanners learn nothing and nobody can make us send more than was sent to us.

use std::time::Instant;

use offhook_shards::Source;

use crate::allowance::Rate;
use crate::config::Credentials;
use crate::counters::Counter;
use crate::limits::STRANGERS_LOG_INTERVAL;
use crate::sip::{DialogNames, Method, Request, Status};

use super::compose::Fields;
use super::requests::retry_later;
use super::user_agent::UserAgent;

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// Somebody who may call.
    Known {
        /// Whether it is believed who calls, and by way of whom (RFC 3325 §2.3).
        is_trusted: bool,
        /// What its calls must show, where that is asked.
        shows: Option<&'a Credentials>,
        /// Whether new calls are taken.
        admission: Admission,
        /// How many its address may begin.
        call_rate: Rate,
    },
    /// Anybody.
    Stranger(Unwelcome),
}

/// Whether new calls are taken, whoever makes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// They are.
    Open,
    /// There is more to do than can be done.
    Overloaded,
    /// There is no memory for it.
    OutOfMemory,
    /// The server is to stop.
    Draining,
}

/// What a stranger hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwelcome {
    /// Nothing.
    Ignored,
    /// 403.
    Refused,
    /// 503 with Retry-After: it may turn out to be somebody whom we know.
    Later,
}

/// When strangers were last in the log, and what has come since.
#[derive(Debug, Default)]
pub(super) struct StrangersLog {
    last: Option<Instant>,
    pub(super) unlogged: u64,
}

impl StrangersLog {
    /// Whether it was written.
    pub(super) fn note(&mut self, now: Instant, source: Source, method: Method<'_>) -> bool {
        let since = |last| now.saturating_duration_since(last);
        if self
            .last
            .is_some_and(|last| since(last) < STRANGERS_LOG_INTERVAL)
        {
            self.unlogged += 1;
            return false;
        }
        let (from, unlogged) = (source.remote, std::mem::take(&mut self.unlogged));
        let method = method.as_str().escape_debug();
        tracing::warn!(%from, %method, unlogged, "a message from an address that is no trunk's");
        self.last = Some(now);
        true
    }
}

impl UserAgent {
    /// Whether a message names a dialog of ours, which only those can who are in it. Nothing else
    /// of it is looked at.
    #[must_use]
    pub fn has_dialog_of(&self, bytes: &[u8]) -> bool {
        let Some(names) = DialogNames::of(bytes) else {
            return false;
        };
        let (ours, theirs) = (names.local_tag, names.remote_tag);
        let is_leg = |tag| self.core.table.find(names.call_id, tag).is_some();
        ours.is_some_and(is_leg)
            || self
                .subscription_called(names.call_id)
                .is_some_and(|(_, it)| it.has_tag(ours) || (theirs.is_some() && it.is_with(theirs)))
    }

    pub(super) fn handle_stranger(
        &mut self,
        now: Instant,
        source: Source,
        unwelcome: Unwelcome,
        request: &Request<'_>,
    ) {
        if self.belongs(source, request) {
            // It opens no dialog, so that there is nothing to believe.
            self.handle_request(now, source, false, request);
            return;
        }
        let is_call = request.method == Method::Invite && request.to_tag.is_none();
        self.core.count(match (is_call, unwelcome) {
            (true, Unwelcome::Later) => Counter::InviteSourceUnresolved,
            (true, Unwelcome::Ignored | Unwelcome::Refused) => Counter::InviteUnknownSource,
            (false, _) => Counter::RequestUnknownSource,
        });
        self.strangers.note(now, source, request.method);
        let (status, fields) = match unwelcome {
            Unwelcome::Ignored => return,
            Unwelcome::Refused => (Status::FORBIDDEN, Fields::default()),
            Unwelcome::Later => (Status::SERVICE_UNAVAILABLE, retry_later()),
        };
        self.answer_stranger(source, request, status, fields);
    }

    /// Whether a request is part of something that exists, or can lead to no answer at all.
    fn belongs(&self, source: Source, request: &Request<'_>) -> bool {
        request.method == Method::Ack
            || self.core.transactions.is_known(request, source)
            || self.leg_of(request).is_some()
            || self.subscription_of(request).is_some()
    }

    /// Answers a stranger once, in no more bytes than it has sent: with more, anybody could make
    /// us flood the address that it says is its own.
    pub(super) fn answer_stranger(
        &mut self,
        source: Source,
        request: &Request<'_>,
        status: Status,
        fields: Fields,
    ) {
        let tag = self.core.tag_for(request.message.bytes()).text();
        let bytes = self.stateless((source, &tag), &request.message, status, fields);
        if bytes.len() <= request.message.bytes().len() {
            let transactions = &mut self.core.transactions;
            transactions.send_response_stateless(source, &request.via, &bytes);
        }
    }
}
