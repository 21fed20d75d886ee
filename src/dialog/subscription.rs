//! The subscriber of RFC 6665 for the package `presence`: one dialog, one subscription. When to
//! refresh and what to do after a failure is decided above; here is what the protocol demands.

use std::borrow::Cow;
use std::time::Duration;

use offhook_shards::wheel::TimerKey;

use crate::sip::{HeaderName, Method, Request, Response, Status};
use crate::transaction::{ClientKey, Full, ServerKey};

use super::compose::Draft;
use super::core::Owner;
use super::dialog::{Dialog, Peers, Resting};
use super::moment::Moment;
use super::reply::Copied;
use super::{SubscriptionEvent, SubscriptionState};

/// The one event package that we watch.
pub(super) const PACKAGE: &str = "presence";
const ACCEPT: &str = "application/pidf+xml, application/cpim-pidf+xml";

/// Consumed by everything that happens to it.
#[derive(Debug)]
pub(super) enum Subscription {
    /// The first SUBSCRIBE is on its way and nothing has come back.
    Asking(Asking),
    /// There is a dialog, and something goes on in it, or may.
    Established(Box<Established>),
    /// There is a dialog, and nothing goes on.
    Resting(Resting),
    /// Nothing is left but the dialog's place in the table.
    Over(Box<Dialog>),
}

/// A subscription in the table.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Whose it is, as its news says.
    pub(super) owner: u32,
    /// Missing only while something happens to it.
    pub(super) subscription: Option<Subscription>,
}

const _: () = assert!(size_of::<Place>() <= 80, "a watched DN has 1 KB");

#[derive(Debug)]
pub(super) struct Asking {
    dialog: Box<Dialog>,
    pending: Pending,
    /// A refresh or an end that was asked for meanwhile.
    wanted: Option<Duration>,
}

#[derive(Debug)]
pub(super) struct Established {
    dialog: Box<Dialog>,
    pending: Option<Pending>,
    wanted: Option<Duration>,
    awaited: Awaited,
}

/// A SUBSCRIBE without a final response.
#[derive(Debug, Clone, Copy)]
struct Pending {
    client: ClientKey,
    /// The Expires that it asks for; zero ends the subscription.
    asked: Duration,
    /// Whether it opened the subscription: then there is none when it is refused.
    first: bool,
}

/// The NOTIFY that must come (RFC 6665 §4.1.2.4).
#[derive(Debug, Clone, Copy)]
enum Awaited {
    Nothing,
    /// The one that follows the first 2xx.
    First(TimerKey),
    /// The one that says `terminated` after an end of ours.
    Last(TimerKey),
}

impl Subscription {
    /// Sends the first SUBSCRIBE.
    pub(super) fn open(
        moment: &mut Moment<'_>,
        dialog: Box<Dialog>,
        expires: Duration,
    ) -> Result<Self, Full> {
        let cseq = dialog.local_cseq;
        let client = ask(moment, &dialog, cseq, expires)?;
        let pending = Pending {
            client,
            asked: expires,
            first: true,
        };
        Ok(Self::Asking(Asking {
            dialog,
            pending,
            wanted: None,
        }))
    }

    /// One that an earlier process had, and that its notifier still has.
    pub(super) fn recalled(dialog: Box<Dialog>) -> Self {
        Self::Established(Box::new(Established::quiet(dialog)))
    }

    /// The dialog that there is with a notifier, if there is one, to be written down.
    pub(super) fn to_memory(&self) -> Option<Cow<'_, Dialog>> {
        match self {
            Self::Established(state) => Some(Cow::Borrowed(&state.dialog)),
            Self::Resting(dialog) => Some(Cow::Owned(dialog.dialog())),
            Self::Asking(_) | Self::Over(_) => None,
        }
    }

    pub(super) fn call_id(&self) -> &str {
        match self {
            Self::Asking(state) => state.dialog.call_id(),
            Self::Established(state) => state.dialog.call_id(),
            Self::Resting(dialog) => dialog.call_id(),
            Self::Over(dialog) => dialog.call_id(),
        }
    }

    /// The number of its last SUBSCRIBE.
    pub(super) fn number(&self) -> u32 {
        match self {
            Self::Asking(state) => state.dialog.local_cseq,
            Self::Established(state) => state.dialog.local_cseq,
            Self::Resting(dialog) => dialog.local_cseq(),
            Self::Over(dialog) => dialog.local_cseq,
        }
    }

    /// The dialog, if a request of ours may follow.
    pub(super) fn awake_mut(&mut self) -> Option<&mut Dialog> {
        match self {
            Self::Asking(state) => Some(&mut state.dialog),
            Self::Established(state) => Some(&mut state.dialog),
            Self::Resting(_) | Self::Over(_) => None,
        }
    }

    /// The same, in less memory if nothing goes on.
    pub(super) fn rest(self, peers: &mut Peers) -> Self {
        match self {
            Self::Established(state) if state.is_quiet() => match state.dialog.rest(peers) {
                Ok(dialog) => Self::Resting(dialog),
                Err(dialog) => Self::Established(Box::new(Established::quiet(dialog))),
            },
            Self::Asking(_) | Self::Established(_) | Self::Resting(_) | Self::Over(_) => self,
        }
    }

    pub(super) fn refresh(self, moment: &mut Moment<'_>, expires: Duration) -> Self {
        match self {
            Self::Asking(mut state) => {
                state.wanted = Some(expires);
                Self::Asking(state)
            }
            Self::Established(mut state) => {
                state.wanted = Some(expires);
                state.go_on(moment)
            }
            Self::Resting(dialog) => {
                let mut state = Established::quiet(Box::new(dialog.wake()));
                state.wanted = Some(expires);
                Box::new(state).go_on(moment)
            }
            Self::Over(_) => self,
        }
    }

    /// Nobody wants to hear of it any more.
    pub(super) fn forget(self, moment: &mut Moment<'_>) -> Self {
        match self {
            Self::Asking(state) => {
                moment.core.abandon(moment.now, state.pending.client);
                Self::Over(state.dialog)
            }
            Self::Established(state) => state.over(moment),
            Self::Resting(dialog) => Self::Over(Box::new(dialog.wake())),
            Self::Over(_) => self,
        }
    }

    pub(super) fn response(
        self,
        moment: &mut Moment<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Self {
        if response.status.is_provisional() {
            return self;
        }
        match self {
            Self::Asking(state) if state.pending.client == client => {
                state.response(moment, response)
            }
            Self::Established(state) => match state.pending {
                Some(pending) if pending.client == client => {
                    state.response(moment, pending, response)
                }
                Some(_) | None => Self::Established(state),
            },
            Self::Asking(_) | Self::Resting(_) | Self::Over(_) => self,
        }
    }

    /// A SUBSCRIBE found no answer, or no way.
    pub(super) fn failed(self, moment: &mut Moment<'_>, client: ClientKey) -> Self {
        match self {
            Self::Asking(state) if state.pending.client == client => {
                moment.emit(SubscriptionEvent::Unreachable);
                Self::Over(state.dialog)
            }
            Self::Established(state) => match state.pending {
                Some(pending) if pending.client == client => {
                    moment.emit(SubscriptionEvent::Unreachable);
                    state.refused(moment, pending, None)
                }
                Some(_) | None => Self::Established(state),
            },
            Self::Asking(_) | Self::Resting(_) | Self::Over(_) => self,
        }
    }

    /// Whether a NOTIFY with these tags is for us (RFC 6665 §4.4.1): any notifier may be the first,
    /// and then no other. Of those that are known it is enough to name themselves, for UCM forgets
    /// our tag.
    pub(super) fn listens_to(&self, to_tag: Option<&str>, from_tag: Option<&str>) -> bool {
        match self {
            Self::Asking(_) => self.has_tag(to_tag),
            Self::Established(_) | Self::Resting(_) => {
                self.is_with(from_tag) && (to_tag.is_none() || self.has_tag(to_tag))
            }
            Self::Over(_) => false,
        }
    }

    /// Whether this is our tag.
    pub(super) fn has_tag(&self, tag: Option<&str>) -> bool {
        let ours = match self {
            Self::Asking(state) => state.dialog.local_tag,
            Self::Established(state) => state.dialog.local_tag,
            Self::Resting(dialog) => dialog.local_tag(),
            Self::Over(dialog) => dialog.local_tag,
        };
        tag.is_some_and(|tag| *tag == *ours.text())
    }

    /// Whether this is the notifier's tag.
    pub(super) fn is_with(&self, tag: Option<&str>) -> bool {
        match self {
            Self::Established(state) => state.dialog.is_with(tag),
            Self::Resting(dialog) => dialog.is_with(tag),
            Self::Asking(_) | Self::Over(_) => false,
        }
    }

    /// A NOTIFY of the right package, in the right dialog.
    pub(super) fn notify(
        self,
        moment: &mut Moment<'_>,
        server: ServerKey,
        request: &Request<'_>,
        reply: Copied<'_>,
    ) -> Self {
        match self {
            Self::Asking(mut state) => {
                // RFC 6665 §4.4.1: the NOTIFY may overtake the 2xx, and then it makes the dialog.
                state.dialog.confirm_by_request(request);
                let established = Established {
                    dialog: state.dialog,
                    pending: Some(state.pending),
                    wanted: state.wanted,
                    awaited: Awaited::Nothing,
                };
                Box::new(established).notify(moment, server, request, reply)
            }
            Self::Established(state) => state.notify(moment, server, request, reply),
            Self::Resting(mut dialog) => {
                let in_order = dialog.advances(request.cseq);
                match moment.hear(server, request, reply, in_order) {
                    Some(SubscriptionState::Terminated { .. }) => {
                        Self::Over(Box::new(dialog.wake()))
                    }
                    Some(SubscriptionState::Active | SubscriptionState::Pending)
                        if dialog.is_moved_by(request) =>
                    {
                        let mut dialog = Box::new(dialog.wake());
                        dialog.refresh_by_request(request);
                        Self::Established(Box::new(Established::quiet(dialog)))
                    }
                    Some(SubscriptionState::Active | SubscriptionState::Pending) | None => {
                        Self::Resting(dialog)
                    }
                }
            }
            Self::Over(_) => self,
        }
    }

    /// Timer N.
    pub(super) fn notify_missing(self, moment: &mut Moment<'_>) -> Self {
        match self {
            Self::Established(state) => match state.awaited {
                Awaited::First(_) | Awaited::Last(_) => {
                    moment.emit(SubscriptionEvent::NotifyMissing);
                    state.over(moment)
                }
                Awaited::Nothing => Self::Established(state),
            },
            Self::Asking(_) | Self::Resting(_) | Self::Over(_) => self,
        }
    }
}

impl Asking {
    fn response(mut self, moment: &mut Moment<'_>, response: &Response<'_>) -> Subscription {
        if response.status.is_failure() {
            let asked = self.pending.asked;
            if let Some(client) = ask_again(moment, &mut self.dialog, asked, response) {
                self.pending.client = client;
                return Subscription::Asking(self);
            }
            moment.refused(response);
            return Subscription::Over(self.dialog);
        }
        self.dialog.confirm(response);
        moment.accepted(&mut self.dialog, self.pending.asked, response);
        let established = Established {
            dialog: self.dialog,
            pending: None,
            wanted: self.wanted,
            awaited: Awaited::First(moment.arm_timer_n()),
        };
        Box::new(established).go_on(moment)
    }
}

impl Established {
    fn quiet(dialog: Box<Dialog>) -> Self {
        Self {
            dialog,
            pending: None,
            wanted: None,
            awaited: Awaited::Nothing,
        }
    }

    /// Whether nothing goes on.
    fn is_quiet(&self) -> bool {
        let awaits = match self.awaited {
            Awaited::Nothing => false,
            Awaited::First(_) | Awaited::Last(_) => true,
        };
        !awaits && self.pending.is_none() && self.wanted.is_none()
    }

    /// Sends the SUBSCRIBE that is wanted, one at a time.
    fn go_on(mut self: Box<Self>, moment: &mut Moment<'_>) -> Subscription {
        if self.pending.is_some() {
            return Subscription::Established(self);
        }
        let Some(asked) = self.wanted.take() else {
            return Subscription::Established(self);
        };
        let cseq = self.dialog.next_cseq();
        match ask(moment, &self.dialog, cseq, asked) {
            Ok(client) => {
                self.pending = Some(Pending {
                    client,
                    asked,
                    first: false,
                });
            }
            Err(Full) => {
                moment.emit(SubscriptionEvent::Unreachable);
            }
        }
        Subscription::Established(self)
    }

    fn response(
        mut self: Box<Self>,
        moment: &mut Moment<'_>,
        pending: Pending,
        response: &Response<'_>,
    ) -> Subscription {
        if response.status.is_failure() {
            if let Some(client) = ask_again(moment, &mut self.dialog, pending.asked, response) {
                self.pending = Some(Pending { client, ..pending });
                return Subscription::Established(self);
            }
            moment.refused(response);
            return self.refused(moment, pending, Some(response.status));
        }
        self.pending = None;
        if self.dialog.is_with(response.to_tag) {
            self.dialog.refresh_by_response(response);
        }
        moment.accepted(&mut self.dialog, pending.asked, response);
        if pending.asked.is_zero() {
            self.disarm(moment);
            self.awaited = Awaited::Last(moment.arm_timer_n());
        }
        self.go_on(moment)
    }

    /// After a refused SUBSCRIBE the subscription lasts for what was left of it, unless there was
    /// none, the peer knows none (481), or its end was what was asked for.
    fn refused(
        mut self: Box<Self>,
        moment: &mut Moment<'_>,
        pending: Pending,
        status: Option<Status>,
    ) -> Subscription {
        self.pending = None;
        let unknown = status == Some(Status::CALL_DOES_NOT_EXIST);
        if pending.first || unknown || pending.asked.is_zero() {
            return self.over(moment);
        }
        self.go_on(moment)
    }

    fn notify(
        mut self: Box<Self>,
        moment: &mut Moment<'_>,
        server: ServerKey,
        request: &Request<'_>,
        reply: Copied<'_>,
    ) -> Subscription {
        let in_order = self.dialog.advances(request.cseq, false);
        let Some(state) = moment.hear(server, request, reply, in_order) else {
            return Subscription::Established(self);
        };
        self.dialog.refresh_by_request(request);
        match state {
            SubscriptionState::Terminated { .. } => self.over(moment),
            SubscriptionState::Active | SubscriptionState::Pending => {
                if let Awaited::First(_) = self.awaited {
                    self.disarm(moment);
                }
                Subscription::Established(self)
            }
        }
    }

    fn disarm(&mut self, moment: &mut Moment<'_>) {
        match std::mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Nothing => {}
            Awaited::First(timer) | Awaited::Last(timer) => moment.core.disarm(timer),
        }
    }

    fn over(mut self, moment: &mut Moment<'_>) -> Subscription {
        self.disarm(moment);
        if let Some(pending) = self.pending {
            moment.core.abandon(moment.now, pending.client);
        }
        Subscription::Over(self.dialog)
    }
}

fn ask(
    moment: &mut Moment<'_>,
    dialog: &Dialog,
    cseq: u32,
    expires: Duration,
) -> Result<ClientKey, Full> {
    // RFC 3261 §20.19: Expires is a number below 2^32.
    let seconds = u32::try_from(expires.as_secs()).unwrap_or(u32::MAX);
    let mut draft = Draft::within(dialog, Method::Subscribe, cseq);
    draft.contact = Some(dialog.own_contact());
    let fields = moment.core.fields();
    draft.fields = fields
        .with_text(HeaderName::Event, PACKAGE)
        .with_text(HeaderName::Accept, ACCEPT)
        .with(HeaderName::Expires, format_args!("{seconds}"));
    let owner = Owner::Subscription(moment.key);
    let sent = moment
        .core
        .request(moment.now, owner, &dialog.next_hop(), draft)?;
    Ok(sent.client)
}

/// The same SUBSCRIBE once more, where its peer has asked who we are.
fn ask_again(
    moment: &mut Moment<'_>,
    dialog: &mut Dialog,
    expires: Duration,
    response: &Response<'_>,
) -> Option<ClientKey> {
    let client_nonce = moment.core.tag().0;
    if !dialog.is_challenged(response, client_nonce) {
        return None;
    }
    let cseq = dialog.next_cseq();
    ask(moment, dialog, cseq, expires).ok()
}
