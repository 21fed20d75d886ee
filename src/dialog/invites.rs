//! The INVITEs of ours on one leg whose transactions still live, with the ACKs that were sent for
//! them: a 2xx that comes again is acknowledged again, and one from another fork is acknowledged
//! and ended (RFC 3261 §13.2.2.4). Empty for a leg that has been quiet for half a minute.

use std::time::Instant;

use crate::limits::{ACKNOWLEDGEMENT_PATIENCE, FORKS_MAX};
use crate::sip::{Checked, HeaderIndex, Message, Method, Response, sdp};
use crate::transaction::ClientKey;

use super::compose::Draft;
use super::core::{Kept, Sent};
use super::dialog::Dialog;
use super::turn::{Turn, body_of};
use super::{Body, Cause};

#[derive(Debug, Default)]
pub(super) struct Invites(Vec<SentInvite>);

#[derive(Debug)]
struct SentInvite {
    client: ClientKey,
    cseq: u32,
    /// Whether it opened the dialog, so that several may answer it.
    opening: bool,
    /// Whether it had no offer, so that the 2xx brings one.
    asks: bool,
    /// The 2xx of the dialog: when its first copy came, and how many came in the T2 after it.
    heard: Option<(Instant, u32)>,
    /// What the ACK answers to the offer of the 2xx when nobody above has an answer.
    declining: Option<Body>,
    acknowledged: Vec<Acknowledged>,
}

#[derive(Debug)]
struct Acknowledged {
    tag: Box<str>,
    ack: Kept,
}

impl Invites {
    pub(super) fn opening(sent: &Sent, cseq: u32) -> Self {
        Self(vec![SentInvite::new(sent, cseq, true)])
    }

    pub(super) fn push(&mut self, sent: &Sent, cseq: u32) {
        self.0.push(SentInvite::new(sent, cseq, false));
    }

    /// A 2xx has come. RFC 3261 §13.2.2.4: an offer in it is answered in the ACK, even by somebody
    /// who then hangs up.
    pub(super) fn succeeded(
        &mut self,
        turn: &Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) {
        if let Some(invite) = self.0.iter_mut().find(|invite| invite.client == client) {
            let (first, copies) = invite.heard.get_or_insert((turn.now, 0));
            if turn.now < *first + turn.core.config.t2 {
                *copies = copies.saturating_add(1);
            }
            if invite.asks {
                invite.declining = declining(response);
            }
        }
    }

    /// Whether a 2xx that has just come again has waited for its ACK as long as it may. Its sender
    /// says it again after T1, after twice that and so on up to T2, and gives up after 64*T1
    /// (RFC 3261 §13.3.1.4). Whoever hears it from the beginning has several copies in the first
    /// T2; where they are fewer, nobody knows for how long it has been said already.
    pub(super) fn is_due(&self, turn: &Turn<'_>, client: ClientKey) -> bool {
        let mut invites = self.0.iter();
        let invite = invites.find(|invite| invite.client == client);
        let Some((first, copies)) = invite.and_then(|invite| invite.heard) else {
            return false;
        };
        let waits = turn.now.saturating_duration_since(first);
        let (t1, t2) = (turn.core.config.t1, turn.core.config.t2);
        let doublings = (t2.as_millis() / t1.as_millis().max(1)).max(1).ilog2();
        let is_from_the_beginning = copies >= doublings;
        waits >= ACKNOWLEDGEMENT_PATIENCE.saturating_sub(t2)
            || (waits >= t2.saturating_sub(t1) && !is_from_the_beginning)
    }

    /// Its transaction is over: nothing of it can come any more.
    pub(super) fn remove(&mut self, client: ClientKey) {
        self.0.retain(|invite| invite.client != client);
    }

    /// What our ACKs within this dialog answer, by the numbers of their INVITEs: the next process
    /// says it again to a 2xx that comes again.
    pub(super) fn answers(&self, dialog: &Dialog) -> Vec<(u32, Body)> {
        let mut answers = Vec::new();
        for invite in &self.0 {
            let mut sent = invite.acknowledged.iter();
            let ack = sent.find(|sent| dialog.is_with(Some(&sent.tag)));
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
        let mut draft = Draft::within(dialog, Method::Ack, invite.cseq);
        draft.body = body.or(invite.declining.as_ref());
        let ack = turn.core.acknowledge(&dialog.next_hop(), &draft);
        let tag = dialog.remote_tag.clone().unwrap_or_default();
        invite.acknowledged.push(Acknowledged { tag, ack });
    }

    /// A 2xx after the first one of this INVITE, or to an INVITE of a leg that is being left:
    /// its ACK once more, or the end of another fork. Returns whether the 2xx is the dialog's own
    /// and was never acknowledged.
    #[must_use]
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
        if let Some(sent) = invite.acknowledged.iter().find(|sent| *sent.tag == *tag) {
            turn.core.send(&sent.ack);
            return false;
        }
        let (asks, cseq) = (invite.asks, invite.cseq);
        let more_forks = invite.opening && invite.acknowledged.len() < FORKS_MAX;
        if dialog.is_with(response.to_tag) {
            self.succeeded(turn, client, response);
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
}

impl Acknowledged {
    fn body(&self) -> Option<Body> {
        let mut index = HeaderIndex::new();
        match Message::receive(&self.ack.bytes, &mut index) {
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
            declining: None,
            acknowledged: Vec::new(),
        }
    }
}

/// The answer that takes none of the media which a 2xx offers.
pub(super) fn declining(response: &Response<'_>) -> Option<Body> {
    let offer = body_of(&response.message)?;
    Some(Body {
        bytes: sdp::decline(&offer.bytes).ok()?.into(),
        content_type: offer.content_type,
    })
}
