//! The subscriptions of a user agent: how they begin, are found by what a message names, and are
//! put back into the table when something has happened to them. What happens is in
//! `subscription.rs`.

use std::time::{Duration, Instant};

use crate::limits::SUBSCRIPTIONS_MAX;
use crate::sip::Request;

use super::authorization::Authorization;
use super::compose::{clean_uri, name_addr};
use super::dialog::{Dialog, Opening};
use super::moment::Moment;
use super::subscription::{Place, Subscription};
use super::{Full, Subscribe, SubscriptionKey, UserAgent};

impl UserAgent {
    /// Sends the first SUBSCRIBE of a new subscription.
    ///
    /// # Errors
    /// [`Full`] at the limit of subscriptions or transactions.
    pub fn subscribe(
        &mut self,
        now: Instant,
        subscribe: &Subscribe,
    ) -> Result<SubscriptionKey, Full> {
        if self.subscriptions.len() == SUBSCRIPTIONS_MAX {
            return Err(Full);
        }
        let host = self.core.host(&subscribe.target).to_owned();
        let request_uri = clean_uri(&subscribe.request_uri);
        let mut dialog = Box::new(Dialog::open(&Opening {
            call_id: self.core.call_id(),
            local_tag: self.core.tag(),
            local: name_addr("", &subscribe.from_user, &host),
            request_uri: &request_uri,
            target: subscribe.target,
            contact_user: &subscribe.from_user,
            is_focus: false,
        }));
        let call_id = dialog.call_id().to_owned();
        let authorization = subscribe.credentials.clone().map(Authorization::new);
        dialog.authorization = authorization.map(Box::new);
        let owner = subscribe.owner;
        let key = self.subscriptions.insert(Place {
            owner,
            subscription: None,
        });
        let mut moment = Moment {
            now,
            key,
            owner,
            core: &mut self.core,
        };
        let Ok(subscription) = Subscription::open(&mut moment, dialog, subscribe.expires) else {
            self.subscriptions.remove(key);
            return Err(Full);
        };
        self.core.table.insert_subscription(&call_id, key);
        self.subscriptions[key].subscription = Some(subscription);
        self.settle(now);
        Ok(key)
    }

    /// Asks for `expires` more, now or as soon as an answer that is awaited has come; zero ends
    /// the subscription with a last NOTIFY.
    pub fn refresh(&mut self, now: Instant, key: SubscriptionKey, expires: Duration) {
        self.with_subscription(now, key, |it, moment| it.refresh(moment, expires));
        self.settle(now);
    }

    /// Drops a subscription without a word: later NOTIFYs get 481.
    pub fn forget(&mut self, key: SubscriptionKey) {
        let now = self.now;
        self.with_subscription(now, key, Subscription::forget);
        self.settle(now);
    }

    /// Lets something happen to a subscription; a key that is spent changes nothing.
    pub(super) fn with_subscription(
        &mut self,
        now: Instant,
        key: SubscriptionKey,
        happen: impl FnOnce(Subscription, &mut Moment<'_>) -> Subscription,
    ) {
        let Some(place) = self.subscriptions.get_mut(key) else {
            return;
        };
        let owner = place.owner;
        let Some(mut subscription) = place.subscription.take() else {
            return;
        };
        Self::find_way_of_subscription(&mut self.core, now, &mut subscription);
        let mut moment = Moment {
            now,
            key,
            owner,
            core: &mut self.core,
        };
        let mut subscription = happen(subscription, &mut moment);
        Self::find_way_of_subscription(&mut self.core, now, &mut subscription);
        if let Subscription::Over(dialog) = &subscription {
            self.core.table.remove_subscription(dialog.call_id(), key);
            self.subscriptions.remove(key);
        } else {
            let subscription = subscription.rest(&mut self.core.peers);
            self.subscriptions[key].subscription = Some(subscription);
        }
    }

    pub(super) fn subscription(&self, key: SubscriptionKey) -> Option<&Subscription> {
        self.subscriptions.get(key)?.subscription.as_ref()
    }

    /// The subscription that a NOTIFY is for.
    pub(super) fn subscription_of(&self, request: &Request<'_>) -> Option<SubscriptionKey> {
        let (key, subscription) = self.subscription_called(request.call_id)?;
        subscription
            .listens_to(request.to_tag, request.from_tag)
            .then_some(key)
    }

    /// The subscription that has this Call-ID.
    pub(super) fn subscription_called(
        &self,
        call_id: &str,
    ) -> Option<(SubscriptionKey, &Subscription)> {
        let key = self.core.table.subscription(call_id)?;
        let subscription = self.subscription(key)?;
        (subscription.call_id() == call_id).then_some((key, subscription))
    }
}
