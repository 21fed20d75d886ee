//! The INVITEs of ours on one leg whose transactions still live, with the ACKs that were sent for
//! them: a 2xx that comes again is acknowledged again, and one from another fork is acknowledged
//! and ended (RFC 3261 §13.2.2.4). Empty for a leg that has been quiet for half a minute: what they
//! take is given back then, for those of another leg.

use std::time::Instant;

use offhook_shards::Transmit;
use offhook_shards::wheel::TimerKey;

use crate::limits::{ACKNOWLEDGEMENT_PATIENCE, FORKS_MAX};
use crate::sip::{Checked, HeaderIndex, Message, Method, Response, sdp};
use crate::transaction::ClientKey;

use super::compose::Draft;
use super::core::{Core, Kept, Sent, Timer};
use super::dialog::Dialog;
use super::turn::{Turn, body_of};
use super::{Body, Cause};

#[derive(Debug, Default)]
pub(super) struct Invites(Vec<SentInvite>);

#[derive(Debug)]
pub(super) struct SentInvite {
    client: ClientKey,
    cseq: u32,
    /// Whether it opened the dialog, so that several may answer it.
    opening: bool,
    /// Whether it had no offer, so that the 2xx brings one.
    asks: bool,
    /// The 2xx of the dialog: when its first copy came, and how many came in the T2 after it.
    heard: Option<(Instant, u32)>,
    /// The offer of the 2xx, which the ACK must answer when nobody above has an answer.
    offered: Option<Body>,
    acknowledged: Vec<Acknowledged>,
}

/// An ACK that was sent.
#[derive(Debug)]
pub(super) struct Acknowledged {
    transmit: Transmit,
    /// How long the ACK is.
    length: u32,
    /// The ACK, and the tag of the 2xx behind it.
    bytes: Vec<u8>,
}

const _: () = assert!(
    size_of::<Acknowledged>() <= 112,
    "one of 120 lies among what held calls keep, and leaves holes there"
);

impl Invites {
    pub(super) fn opening(core: &mut Core, sent: &Sent, cseq: u32) -> Self {
        let mut invites = Self::default();
        invites.add(core, SentInvite::new(sent, cseq, true));
        invites
    }

    pub(super) fn push(&mut self, core: &mut Core, sent: &Sent, cseq: u32) {
        self.add(core, SentInvite::new(sent, cseq, false));
    }

    fn add(&mut self, core: &mut Core, invite: SentInvite) {
        if self.0.capacity() == 0 {
            self.0 = core.spare.invites.take();
        }
        self.0.reserve_exact(1);
        self.0.push(invite);
    }

    /// A 2xx has come. RFC 3261 §13.2.2.4: an offer in it is answered in the ACK, even by somebody
    /// who then hangs up.
    pub(super) fn succeeded(&mut self, turn: &Turn<'_>, client: ClientKey, body: Option<&Body>) {
        if let Some(invite) = self.0.iter_mut().find(|invite| invite.client == client) {
            let (first, copies) = invite.heard.get_or_insert((turn.now, 0));
            if turn.now < *first + turn.core.config.t2 {
                *copies = copies.saturating_add(1);
            }
            if invite.asks {
                invite.offered = body.cloned();
            }
        }
    }

    /// Its transaction is over: nothing of it can come any more.
    pub(super) fn remove(&mut self, core: &mut Core, client: ClientKey) {
        let Some(place) = self.0.iter().position(|invite| invite.client == client) else {
            return;
        };
        let mut acknowledged = self.0.remove(place).acknowledged;
        for sent in acknowledged.drain(..) {
            core.spare.put_back(sent.bytes);
        }
        core.spare.acknowledged.put_back(acknowledged);
        if self.0.is_empty() {
            core.spare.invites.put_back(std::mem::take(&mut self.0));
        }
    }

    /// What our ACKs within this dialog answer, by the numbers of their INVITEs: the next process
    /// says it again to a 2xx that comes again.
    pub(super) fn answers(&self, dialog: &Dialog) -> Vec<(u32, Body)> {
        let mut answers = Vec::new();
        for invite in &self.0 {
            let mut sent = invite.acknowledged.iter();
            let ack = sent.find(|sent| dialog.is_with(Some(sent.tag())));
            answers.extend(ack.and_then(|ack| Some((invite.cseq, ack.body()?))));
        }
        answers
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends the ACK to a 2xx and keeps it for as long as the 2xx may be repeated.
    pub(super) fn acknowledge(
        &mut self,
        turn: &mut Turn<'_>,
        dialog: &Dialog,
        client: ClientKey,
        body: Option<&Body>,
    ) {
        let Some(invite) = self.0.iter_mut().find(|invite| invite.client == client) else {
            return;
        };
        let declining = match body {
            Some(_) => None,
            None => invite.offered.as_ref().and_then(declined),
        };
        let mut draft = Draft::within(dialog, Method::Ack, invite.cseq);
        draft.body = body.or(declining.as_ref());
        let sent = turn.core.acknowledge(&dialog.next_hop(), &draft);
        let Kept {
            transmit,
            mut bytes,
        } = sent;
        let length = u32::try_from(bytes.len()).expect("a message is shorter");
        let tag = dialog.remote_tag().unwrap_or_default();
        bytes.extend_from_slice(tag.as_bytes());
        if invite.acknowledged.capacity() == 0 {
            invite.acknowledged = turn.core.spare.acknowledged.take();
        }
        invite.acknowledged.reserve_exact(1);
        invite.acknowledged.push(Acknowledged {
            transmit,
            length,
            bytes,
        });
    }

    /// The ACK of the dialog itself has gone: the offer of its 2xx waits for no answer any more.
    fn is_answered(&mut self, client: ClientKey) {
        let mut invites = self.0.iter_mut();
        if let Some(invite) = invites.find(|invite| invite.client == client) {
            invite.offered = None;
        }
    }

    /// A 2xx after the first one of this INVITE, or to an INVITE of a leg that is being left:
    /// its ACK once more, or the end of another fork. Returns whether the 2xx is the dialog's own
    /// and was never acknowledged; it waits on where a layer above owes the ACK.
    pub(super) fn another_success(
        &mut self,
        turn: &mut Turn<'_>,
        dialog: &Dialog,
        client: ClientKey,
        response: &Response<'_>,
    ) -> bool {
        let Some(invite) = self.0.iter().find(|invite| invite.client == client) else {
            return false;
        };
        let tag = response.to_tag.unwrap_or_default();
        if let Some(sent) = invite.acknowledged.iter().find(|sent| sent.tag() == tag) {
            turn.core.transactions.send(sent.transmit, sent.message());
            return false;
        }
        let (asks, cseq) = (invite.asks, invite.cseq);
        let more_forks = invite.opening && invite.acknowledged.len() < FORKS_MAX;
        if dialog.is_with(response.to_tag) {
            self.succeeded(turn, client, body_of(&response.message).as_ref());
            return true;
        }
        if more_forks {
            let mut fork = dialog.clone();
            fork.confirm(response);
            fork.local_cseq = cseq;
            let answer = declining(response).filter(|_| asks);
            self.acknowledge(turn, &fork, client, answer.as_ref());
            if let Some(bye) = turn.bye(&mut fork, Cause::default()) {
                turn.core.abandon(turn.now, bye);
            }
        }
        false
    }

    /// When the first copy of a 2xx came, and how many came in the T2 after it.
    fn heard(&self, client: ClientKey) -> Option<(Instant, u32)> {
        let mut invites = self.0.iter();
        let invite = invites.find(|invite| invite.client == client);
        invite.and_then(|invite| invite.heard)
    }
}

/// A 2xx to an INVITE of ours for which the layer above owes the ACK. That layer is told when the
/// 2xx has waited as long as it may, whether or not further copies of it are heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct AckOwed {
    client: ClientKey,
    timer: TimerKey,
}

impl AckOwed {
    /// The 2xx has come. Its sender says it again after T1, after twice that and so on up to T2, so
    /// that others have come by the time that this is first looked at, before the one T2 later.
    pub(super) fn new(turn: &mut Turn<'_>, client: ClientKey) -> Self {
        let (t1, t2) = (turn.core.config.t1, turn.core.config.t2);
        let at = turn.now + t2.saturating_sub(t1 / 2);
        Self {
            client,
            timer: turn.core.arm(at, Timer::AckWaits(turn.leg)),
        }
    }

    pub(super) fn is_for(self, client: ClientKey) -> bool {
        self.client == client
    }

    /// The ACK goes out.
    pub(super) fn acknowledge(
        self,
        turn: &mut Turn<'_>,
        invites: &mut Invites,
        (dialog, body): (&Dialog, Option<&Body>),
    ) {
        turn.core.disarm(self.timer);
        invites.acknowledge(turn, dialog, self.client, body);
        invites.is_answered(self.client);
    }

    /// Its time has come: whether the 2xx has waited as long as it may. If not, or if nothing comes
    /// of that, it is looked at again. Its sender gives up after 64*T1 (RFC 3261 §13.3.1.4).
    /// Whoever hears it from the beginning has several copies in the first T2; where they are
    /// fewer, nobody knows for how long it has been said already.
    pub(super) fn is_due(&mut self, turn: &mut Turn<'_>, invites: &Invites) -> bool {
        let Some((first, copies)) = invites.heard(self.client) else {
            return false;
        };
        let (t1, t2) = (turn.core.config.t1, turn.core.config.t2);
        let doublings = (t2.as_millis() / t1.as_millis().max(1)).max(1).ilog2();
        let patience_ends = first + ACKNOWLEDGEMENT_PATIENCE.saturating_sub(t2);
        let is_due = copies < doublings || turn.now >= patience_ends;
        let again = if is_due { turn.now + t2 } else { patience_ends };
        self.timer = turn.core.arm(again, Timer::AckWaits(turn.leg));
        is_due
    }
}

impl Acknowledged {
    fn message(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    fn tag(&self) -> &str {
        let tag = &self.bytes[self.length as usize..];
        std::str::from_utf8(tag).expect("a tag is copied whole out of a text")
    }

    fn body(&self) -> Option<Body> {
        let mut index = HeaderIndex::new();
        match Message::receive(self.message(), &mut index) {
            Ok(Checked::Request(ack)) => body_of(&ack.message),
            Ok(Checked::Response(_)) | Err(_) => None,
        }
    }
}

impl SentInvite {
    fn new(sent: &Sent, cseq: u32, opening: bool) -> Self {
        Self {
            client: sent.client,
            cseq,
            opening,
            asks: sent.asks(),
            heard: None,
            offered: None,
            acknowledged: Vec::new(),
        }
    }
}

/// The answer that takes none of the media which a 2xx offers.
pub(super) fn declining(response: &Response<'_>) -> Option<Body> {
    declined(&body_of(&response.message)?)
}

fn declined(offer: &Body) -> Option<Body> {
    Some(Body {
        bytes: sdp::decline(&offer.bytes).ok()?.into(),
        content_type: offer.content_type.clone(),
    })
}
