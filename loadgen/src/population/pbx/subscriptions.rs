//! The PBX as a notifier (RFC 6665): who watches which phone, and what they are told.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{Event, HeaderName, Method, Request, Response, Status};

use super::phone::Presence;
use super::{Due, Pbx, PbxKind};
use crate::population::agenda::Appointment;
use crate::population::dialog::{Dialog, text};
use crate::population::exchange::{Answer, ClientId, ServerId};
use crate::population::session::refuse;
use crate::population::truth::{Fact, Fault};

/// How the PBX refuses SUBSCRIBEs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeRefusal {
    /// The status: 403, 404, 423, 481, 489, 503, …
    pub status: Status,
    /// Seconds of Retry-After.
    pub retry_after: Option<u32>,
    /// Seconds of Min-Expires.
    pub min_expires: Option<u32>,
    /// Whether refreshes are refused too.
    pub refreshes: bool,
}

impl SubscribeRefusal {
    /// Refuses new subscriptions, and refreshes as well.
    #[must_use]
    pub fn with(status: Status) -> Self {
        Self {
            status,
            retry_after: None,
            min_expires: None,
            refreshes: true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SubscriptionId(u64);

#[derive(Debug)]
pub(super) struct Subscription {
    node: usize,
    phone: usize,
    dialog: Dialog,
    /// The Event value of the SUBSCRIBE.
    event: String,
    ends: Appointment,
    until: Instant,
    /// Whether dialogs are watched, not presence; then the version of the next document.
    dialogs: Option<u32>,
    /// NOTIFYs that wait for their answers.
    open: u32,
}

impl Pbx {
    pub(super) fn handle_subscribe(
        &mut self,
        now: Instant,
        node: usize,
        source: SocketAddr,
        id: ServerId,
        request: &Request<'_>,
    ) {
        let dn = request.uri.user.unwrap_or_default().to_owned();
        if let Some(refusal) = self.nodes[node].subscribe_refusal
            && (refusal.refreshes || request.to_tag.is_none())
        {
            return self.refuse_subscribe(now, node, id, dn, refusal);
        }
        if request.to_tag.is_some() {
            return self.refresh(now, node, id, request);
        }
        let event = request.message.event().ok().flatten();
        let status = match (event, self.by_dn.get(&dn)) {
            (Some(event), _) if !self.knows(&event) => Status::BAD_EVENT,
            (None, _) => Status::BAD_EVENT,
            (Some(_), None) => Status::NOT_FOUND,
            (Some(_), Some(phone)) => {
                let phone = *phone;
                return self.subscribe(now, node, source, id, request, phone);
            }
        };
        self.refuse_subscribe(now, node, id, dn, SubscribeRefusal::with(status));
    }

    /// A new subscription.
    fn subscribe(
        &mut self,
        now: Instant,
        node: usize,
        source: SocketAddr,
        id: ServerId,
        request: &Request<'_>,
        phone: usize,
    ) {
        let Some(expires) = self.grant(now, node, id, request) else {
            return;
        };
        let tag = self.new_tag();
        let subscription = SubscriptionId(self.next_number());
        let dialog = Dialog::of_request(request, source, &tag);
        let key = (node, dialog.call_id.clone());
        let event = text(
            request
                .message
                .header(HeaderName::Event)
                .unwrap_or_default(),
        );
        let ends = self.agenda.add(now + expires, Due::Expire(subscription));
        let dialogs = event.starts_with("dialog").then_some(0);
        self.subscriptions.insert(
            subscription,
            Subscription {
                node,
                phone,
                dialog,
                event,
                ends,
                until: now + expires,
                dialogs,
                open: 0,
            },
        );
        self.subscription_by_call.insert(key, subscription);
        self.phones[phone].subscriptions.push(subscription);
        let answer = self.granted(node, phone, expires, &tag);
        self.subscribed(now, phone, false, expires);
        if self.notify_first {
            self.notify(now, subscription, None);
            self.nodes[node]
                .exchange
                .answer(now, id, Status::OK, &answer);
        } else {
            self.nodes[node]
                .exchange
                .answer(now, id, Status::OK, &answer);
            self.notify(now, subscription, None);
        }
        if expires.is_zero() {
            self.end_subscription(now, subscription, "timeout", None);
        }
    }

    /// A SUBSCRIBE in a dialog: it extends or ends a subscription.
    fn refresh(&mut self, now: Instant, node: usize, id: ServerId, request: &Request<'_>) {
        let known = self
            .subscription_by_call
            .get(&(node, request.call_id.to_owned()))
            .copied();
        let subscription = known.and_then(|known| self.subscriptions.get_mut(&known));
        let Some(subscription) = subscription.filter(|known| known.dialog.owns(request)) else {
            let dn = request.uri.user.unwrap_or_default().to_owned();
            let refusal = SubscribeRefusal::with(Status::CALL_DOES_NOT_EXIST);
            return self.refuse_subscribe(now, node, id, dn, refusal);
        };
        let known = known.expect("it was found by this key");
        if !subscription.dialog.advance(request) {
            return refuse(
                now,
                &mut self.nodes[node].exchange,
                id,
                Status::SERVER_INTERNAL_ERROR,
            );
        }
        subscription.dialog.refresh(&request.message);
        let phone = subscription.phone;
        let Some(expires) = self.grant(now, node, id, request) else {
            return;
        };
        let ends = self.agenda.add(now + expires, Due::Expire(known));
        if let Some(subscription) = self.subscriptions.get_mut(&known) {
            let before = std::mem::replace(&mut subscription.ends, ends);
            subscription.until = now + expires;
            self.agenda.cancel(Some(before));
        }
        let answer = self.granted(node, phone, expires, "");
        self.nodes[node]
            .exchange
            .answer(now, id, Status::OK, &answer);
        if expires.is_zero() {
            self.end_subscription(now, known, "timeout", None);
        } else {
            self.subscribed(now, phone, true, expires);
            self.notify(now, known, None);
        }
    }

    fn knows(&self, event: &Event<'_>) -> bool {
        let known = ["presence", "dialog"]
            .into_iter()
            .find(|name| event.is(name));
        known.is_some_and(|name| self.kind.knows(name))
    }

    /// How long a SUBSCRIBE may last; `None` when it was answered with 423.
    fn grant(
        &mut self,
        now: Instant,
        node: usize,
        id: ServerId,
        request: &Request<'_>,
    ) -> Option<Duration> {
        let asked = request.message.expires().ok().flatten();
        let asked = asked.map_or(self.expires_max, |seconds| {
            Duration::from_secs(seconds.into())
        });
        if !asked.is_zero() && asked < self.expires_min {
            let refusal = SubscribeRefusal {
                min_expires: u32::try_from(self.expires_min.as_secs()).ok(),
                ..SubscribeRefusal::with(Status::INTERVAL_TOO_BRIEF)
            };
            let dn = request.uri.user.unwrap_or_default().to_owned();
            self.refuse_subscribe(now, node, id, dn, refusal);
            return None;
        }
        Some(asked.min(self.expires_max))
    }

    fn granted<'t>(
        &self,
        node: usize,
        phone: usize,
        expires: Duration,
        tag: &'t str,
    ) -> Answer<'t> {
        let address = self.nodes[node].exchange.address;
        let contact = format!("<sip:{}@{address};transport=udp>", self.phones[phone].dn);
        Answer {
            tag: Some(tag),
            fields: vec![
                (HeaderName::Contact, contact),
                (HeaderName::Expires, expires.as_secs().to_string()),
            ],
            body: None,
        }
    }

    fn subscribed(&mut self, now: Instant, phone: usize, refresh: bool, expires: Duration) {
        let dn = self.phones[phone].dn.clone();
        let expires = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
        self.log.add(
            now,
            Fact::Subscribed {
                dn,
                refresh,
                expires,
            },
        );
    }

    fn refuse_subscribe(
        &mut self,
        now: Instant,
        node: usize,
        id: ServerId,
        dn: String,
        refusal: SubscribeRefusal,
    ) {
        let mut fields = Vec::new();
        if let Some(seconds) = refusal.retry_after {
            fields.push((HeaderName::RetryAfter, seconds.to_string()));
        }
        if let Some(seconds) = refusal.min_expires {
            fields.push((HeaderName::MinExpires, seconds.to_string()));
        }
        let tag = self.new_tag();
        let answer = Answer {
            tag: Some(&tag),
            fields,
            body: None,
        };
        self.nodes[node]
            .exchange
            .answer(now, id, refusal.status, &answer);
        self.log.add(
            now,
            Fact::SubscribeRefused {
                dn,
                status: refusal.status.0,
            },
        );
    }

    /// Tells everybody who watches a phone, if there is something new to tell.
    pub(super) fn announce(&mut self, now: Instant, phone: usize) {
        self.phones[phone].since = Some(now);
        let presence = self.phones[phone].presence(self.alerting_is_shown);
        if self.phones[phone].shown == presence {
            return;
        }
        self.phones[phone].shown = presence;
        for subscription in self.phones[phone].subscriptions.clone() {
            self.notify(now, subscription, None);
        }
    }

    /// Sends a NOTIFY: the phone's state, or the end of the subscription.
    pub(super) fn notify(&mut self, now: Instant, id: SubscriptionId, end: Option<String>) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        let (node, phone) = (subscription.node, &self.phones[subscription.phone]);
        let exchange = &mut self.nodes[node].exchange;
        let mut request = subscription.dialog.request(Method::Notify);
        request.field("Event", &subscription.event);
        let contact = format!("<sip:{}@{};transport=udp>", phone.dn, exchange.address);
        request.field("Contact", &contact);
        let presence = if end.is_some() {
            Presence::Terminated
        } else {
            phone.shown
        };
        match end {
            Some(end) => request.field("Subscription-State", &end),
            None => {
                let left = subscription.until.saturating_duration_since(now);
                request.field("Subscription-State", &self.kind.active(left.as_secs()));
                request.body = Some(match &mut subscription.dialogs {
                    None => self.kind.presence(&phone.dn, exchange.address, phone.shown),
                    Some(version) => {
                        *version += 1;
                        PbxKind::dialog_info(&phone.dn, exchange.address, phone.shown, *version)
                    }
                });
            }
        }
        let dn = phone.dn.clone();
        let client = exchange.send(now, subscription.dialog.next_hop(), request);
        subscription.open += 1;
        self.notifies.insert((node, client), id);
        self.notifies_sent += 1;
        self.log.add(now, Fact::Notified { dn, presence });
    }

    /// Ends a subscription with a last NOTIFY.
    pub(super) fn end_subscription(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        reason: &str,
        retry_after: Option<u32>,
    ) {
        let retry = retry_after.map_or_else(String::new, |after| format!(";retry-after={after}"));
        self.notify(now, id, Some(format!("terminated;reason={reason}{retry}")));
        self.drop_subscription(now, id);
    }

    pub(super) fn end_subscriptions(
        &mut self,
        now: Instant,
        phone: usize,
        reason: &str,
        retry_after: Option<u32>,
    ) {
        for id in self.phones[phone].subscriptions.clone() {
            self.end_subscription(now, id, reason, retry_after);
        }
    }

    /// Forgets a subscription without a word.
    pub(super) fn drop_subscription(&mut self, now: Instant, id: SubscriptionId) {
        let Some(subscription) = self.subscriptions.remove(&id) else {
            return;
        };
        self.agenda.cancel(Some(subscription.ends));
        self.subscription_by_call
            .remove(&(subscription.node, subscription.dialog.call_id));
        let phone = &mut self.phones[subscription.phone];
        phone.subscriptions.retain(|live| *live != id);
        let dn = phone.dn.clone();
        self.log.add(now, Fact::Unsubscribed { dn });
    }

    /// Forgets the subscriptions of a node without a word.
    pub(super) fn drop_subscriptions(&mut self, now: Instant, node: usize) {
        let of_node: Vec<SubscriptionId> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.node == node)
            .map(|(id, _)| *id)
            .collect();
        for id in of_node {
            self.drop_subscription(now, id);
        }
        self.notifies.retain(|(of, _), _| *of != node);
    }

    /// The answer to a NOTIFY; `false` when the response is to something else.
    pub(super) fn handle_notify_response(
        &mut self,
        now: Instant,
        node: usize,
        client: ClientId,
        response: &Response<'_>,
    ) -> bool {
        let Some(id) = self.notifies.get(&(node, client)).copied() else {
            return false;
        };
        if response.status.is_provisional() {
            return true;
        }
        self.notify_done(node, client);
        // RFC 6665 §4.2.2: an older NOTIFY that was overtaken (500) says nothing about the rest.
        if response.status == Status::CALL_DOES_NOT_EXIST {
            self.drop_subscription(now, id);
        }
        true
    }

    /// Nobody answered a NOTIFY; `false` when it was something else.
    pub(super) fn handle_notify_expiry(
        &mut self,
        now: Instant,
        node: usize,
        client: ClientId,
    ) -> bool {
        let Some(id) = self.notifies.get(&(node, client)).copied() else {
            return false;
        };
        let phone = self
            .subscriptions
            .get(&id)
            .map(|subscription| subscription.phone);
        let dn = phone.map(|phone| self.phones[phone].dn.clone());
        self.notify_done(node, client);
        self.drop_subscription(now, id);
        self.log.add(
            now,
            Fact::Fault {
                token: None,
                dn,
                fault: Fault::NotifyUnanswered,
            },
        );
        true
    }

    fn notify_done(&mut self, node: usize, client: ClientId) {
        if let Some(id) = self.notifies.remove(&(node, client))
            && let Some(subscription) = self.subscriptions.get_mut(&id)
        {
            subscription.open = subscription.open.saturating_sub(1);
        }
    }

    pub(super) fn is_notifying(&self, phone: usize) -> bool {
        let subscriptions = &self.phones[phone].subscriptions;
        let mut live = subscriptions
            .iter()
            .filter_map(|id| self.subscriptions.get(id));
        live.any(|subscription| subscription.open > 0)
    }
}
