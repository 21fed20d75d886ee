//! One thing that happens to one subscription: the moment, whose it is, and what it may reach.

use std::time::{Duration, Instant};

use offhook_shards::wheel::TimerKey;

use crate::counters::Counter;
use crate::sip::event::{State, TerminatedReason as Reason};
use crate::sip::{Message, Request, Response, Status};
use crate::transaction::ServerKey;

use super::compose::Answer;
use super::core::{Core, Timer};
use super::dialog::Dialog;
use super::reply::Copied;
use super::{
    SubscriptionEvent, SubscriptionKey, SubscriptionState, TerminatedReason, UserAgentEvent,
};

/// One thing that happens to one subscription.
#[derive(Debug)]
pub(super) struct Moment<'a> {
    pub(super) now: Instant,
    pub(super) key: SubscriptionKey,
    pub(super) owner: u32,
    pub(super) core: &'a mut Core,
}

impl Moment<'_> {
    pub(super) fn emit(&mut self, event: SubscriptionEvent) {
        self.core
            .events
            .push_back(UserAgentEvent::Subscription(self.owner, self.key, event));
    }

    pub(super) fn respond(&mut self, server: ServerKey, status: Status, reply: Copied<'_>) {
        self.core
            .respond(self.now, server, status, reply, &Answer::default());
    }

    /// Answers a NOTIFY and passes on what it says; `None` if it was not taken.
    pub(super) fn hear(
        &mut self,
        server: ServerKey,
        request: &Request<'_>,
        reply: Copied<'_>,
        in_order: bool,
    ) -> Option<SubscriptionState> {
        if !in_order {
            self.core.count(Counter::NotifyOutOfOrder);
            self.respond(server, Status::SERVER_INTERNAL_ERROR, reply);
            return None;
        }
        let Ok(Some(news)) = request.message.subscription_state() else {
            self.core.count(Counter::NotifyMalformed);
            self.respond(server, Status::BAD_REQUEST, reply);
            return None;
        };
        self.respond(server, Status::OK, reply);
        let state = match news.state {
            State::Active | State::Other(_) => SubscriptionState::Active,
            State::Pending => SubscriptionState::Pending,
            State::Terminated => SubscriptionState::Terminated {
                reason: news.reason.map_or(TerminatedReason::Other, reason),
                retry_after: news.retry_after.map(seconds),
            },
        };
        // Who hears it looks at it at once, and keeps none of it.
        let body = self.core.passing_bodies.take(&request.message);
        self.emit(SubscriptionEvent::Notified {
            state,
            expires: news.expires.map(seconds),
            body,
        });
        Some(state)
    }

    pub(super) fn arm_timer_n(&mut self) -> TimerKey {
        let at = self.now + self.core.patience();
        self.core.arm(at, Timer::NotifyMissing(self.key))
    }

    /// RFC 6665 §4.1.2.1: the notifier may shorten, not lengthen.
    pub(super) fn accepted(
        &mut self,
        dialog: &mut Dialog,
        asked: Duration,
        response: &Response<'_>,
    ) {
        if let Some(authorization) = &mut dialog.authorization {
            authorization.was_taken();
        }
        let granted = response
            .message
            .expires()
            .ok()
            .flatten()
            .map_or(asked, seconds);
        self.emit(SubscriptionEvent::Accepted {
            expires: granted.min(asked),
        });
    }

    pub(super) fn refused(&mut self, response: &Response<'_>) {
        let message: &Message<'_> = &response.message;
        self.emit(SubscriptionEvent::Refused {
            status: response.status,
            retry_after: message.retry_after().ok().flatten().map(seconds),
            min_expires: message.min_expires().ok().flatten().map(seconds),
        });
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(u64::from(number))
}

fn reason(reason: Reason<'_>) -> TerminatedReason {
    match reason {
        Reason::Deactivated => TerminatedReason::Deactivated,
        Reason::Probation => TerminatedReason::Probation,
        Reason::Rejected => TerminatedReason::Rejected,
        Reason::Timeout => TerminatedReason::Timeout,
        Reason::GiveUp => TerminatedReason::Giveup,
        Reason::NoResource => TerminatedReason::NoResource,
        Reason::Invariant => TerminatedReason::Invariant,
        Reason::Other(_) => TerminatedReason::Other,
    }
}
