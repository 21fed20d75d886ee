//! Provisional responses of ours that the caller wants to have for certain (RFC 3262 §3): one at a
//! time, repeated until its PRACK, and no 2xx while one with a session description is not
//! acknowledged.

use std::time::Duration;

use offhook_shards::wheel::TimerKey;

use crate::sip::{HeaderName, Method, Request, Status};
use crate::transaction::ServerKey;

use super::accepted::Invited;
use super::call_dialog::CallDialog;
use super::compose::{Answer, OwnContact, allow};
use super::core::{Core, Kept, Timer};
use super::incoming::brings_offer;
use super::offered::{By, Offered};
use super::provisional::{Provisional, QueuePlace};
use super::turn::{Turn, body_of};
use super::{Body, LegEvent};

#[derive(Debug)]
pub(super) struct Reliable {
    /// That of the response sent last.
    rseq: u32,
    /// That of the INVITE.
    cseq: u32,
    /// Whether the INVITE brought an offer: else the first description is ours to offer.
    answers: bool,
    outstanding: Option<Outstanding>,
    /// What is to be said once the PRACK has come.
    next: Option<Next>,
    /// The answer above, while the 2xx has to wait.
    held: Option<Option<Body>>,
    /// Whether a description has been sent and acknowledged.
    described: bool,
}

/// A response that has to wait.
#[derive(Debug)]
struct Next {
    status: Status,
    body: Option<Body>,
    place: Option<QueuePlace>,
}

/// A response without its PRACK.
#[derive(Debug)]
struct Outstanding {
    kept: Option<Kept>,
    interval: Duration,
    timers: Option<(TimerKey, TimerKey)>,
    describes: bool,
}

impl Reliable {
    /// RFC 3262 §3: the first RSeq is below 2^31, so that none is ever reused.
    pub(super) fn new(random: u32, cseq: u32, answers: bool) -> Self {
        Self {
            rseq: random % 0x3fff_ffff,
            cseq,
            answers,
            outstanding: None,
            next: None,
            held: None,
            described: false,
        }
    }

    /// Whether the session has its description, so that the 2xx needs none.
    pub(super) fn is_described(&self) -> bool {
        self.described
    }

    /// Whether an offer of ours has no answer yet.
    pub(super) fn offers(&self) -> bool {
        let describes = |outstanding: &Outstanding| outstanding.describes;
        let is_first = !self.answers && !self.described;
        is_first && self.outstanding.as_ref().is_some_and(describes)
    }

    /// Whether the 2xx has to wait; it then does, and comes back from [`Self::take_held`].
    pub(super) fn holds(&mut self, body: Option<&Body>) -> bool {
        let waits = self
            .outstanding
            .as_ref()
            .is_some_and(|outstanding| outstanding.describes);
        if waits {
            self.held = Some(body.cloned());
        }
        waits
    }

    /// The 2xx waits for the answer to an offer in a PRACK.
    pub(super) fn hold(&mut self, body: Option<&Body>) {
        self.held = Some(body.cloned());
    }

    pub(super) fn take_held(&mut self) -> Option<Option<Body>> {
        self.held.take()
    }

    /// A 2xx was sent: nothing is repeated any more, but a PRACK that comes is still taken.
    pub(super) fn stop(&mut self, core: &mut Core) {
        if let Some(outstanding) = &mut self.outstanding {
            outstanding.disarm(core);
        }
    }
}

impl Outstanding {
    fn disarm(&mut self, core: &mut Core) {
        if let Some((repeat, give_up)) = self.timers.take() {
            core.disarm(repeat);
            core.disarm(give_up);
        }
    }
}

/// Sends a provisional response, or keeps it until the one before is acknowledged.
pub(super) fn progress(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    invited: &Invited<'_>,
    said: Provisional<'_>,
) {
    let Some(reliable) = dialog.reliable_mut() else {
        return;
    };
    if reliable.held.is_some() {
        return;
    }
    // RFC 3261 §13.2.1: the first reliable response brings the offer that the INVITE did not;
    // without one none can be sent, and the caller has its 100.
    if !reliable.answers && !reliable.described && said.body.is_none() {
        return;
    }
    if reliable.outstanding.is_some() {
        // The last word is the one that counts, but a description is not lost for it.
        let before = reliable.next.take().and_then(|next| next.body);
        reliable.next = Some(Next {
            status: said.status,
            body: said.body.cloned().or(before),
            place: said.place,
        });
        return;
    }
    send(turn, dialog, invited, said);
}

fn send(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    invited: &Invited<'_>,
    said: Provisional<'_>,
) {
    let fields = said.fields(dialog, turn.core);
    let policy = dialog.policy;
    let user: Box<str> = dialog.own_contact().user.into();
    let contact = OwnContact {
        user: &user,
        is_focus: dialog.is_focus,
    };
    let Some(reliable) = dialog.reliable_mut() else {
        return;
    };
    reliable.rseq += 1;
    // An answer that was given stands (RFC 3261 §13.2.1).
    let body = said.body.filter(|_| !reliable.described);
    let rseq = reliable.rseq;
    let fields = fields
        .with_text(HeaderName::Require, "100rel")
        .with(HeaderName::RSeq, format_args!("{rseq}"))
        .with_text(HeaderName::Allow, allow(&policy));
    let answer = Answer {
        contact: Some(contact),
        fields,
        body,
        ..Answer::default()
    };
    turn.respond(invited.server, said.status, invited.reply, answer);
    let interval = turn.core.config.t1;
    let give_up = turn.now + turn.core.patience();
    reliable.outstanding = Some(Outstanding {
        kept: turn.core.kept_response(invited.server),
        interval,
        timers: Some((
            turn.core.arm(turn.now + interval, Timer::Repeat(turn.leg)),
            turn.core.arm(give_up, Timer::AnswerMissing(turn.leg)),
        )),
        describes: body.is_some(),
    });
}

/// RFC 3262 §3: T1, doubled each time, without an upper bound.
pub(super) fn repeat(turn: &mut Turn<'_>, dialog: &mut CallDialog) {
    let outstanding = dialog
        .reliable_mut()
        .and_then(|reliable| reliable.outstanding.as_mut());
    let Some(outstanding) = outstanding else {
        return;
    };
    let Some((repeat, _)) = &mut outstanding.timers else {
        return;
    };
    if let Some(kept) = &outstanding.kept {
        turn.core.send(kept);
    }
    outstanding.interval *= 2;
    let at = turn.now + outstanding.interval;
    *repeat = turn.core.arm(at, Timer::Repeat(turn.leg));
}

/// What a PRACK comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prack {
    /// It is for no response that waits for one.
    Stray,
    /// The response is acknowledged.
    Taken,
    /// So it is, and a new offer waits for its answer, which will be that of the PRACK.
    Offers,
}

/// A PRACK has come. It has been answered unless it offers. `rings` says whether the INVITE has no
/// final response.
pub(super) fn acknowledged(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    server: ServerKey,
    request: &Request<'_>,
    rings: bool,
) -> Prack {
    let rack = request.message.rack().ok().flatten();
    let body = body_of(&request.message);
    let offers = brings_offer(&request.message);
    let Some(reliable) = dialog.reliable_mut() else {
        turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
        return Prack::Stray;
    };
    let matches = rack.is_some_and(|rack| {
        rack.rseq == reliable.rseq
            && rack.cseq.method == Method::Invite
            && rack.cseq.number == reliable.cseq
    });
    let Some(mut outstanding) = reliable.outstanding.take_if(|_| matches) else {
        // §3: one that matches nothing that is unacknowledged.
        turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
        return Prack::Stray;
    };
    outstanding.disarm(turn.core);
    let ours_to_offer = outstanding.describes && !reliable.answers && !reliable.described;
    reliable.described |= outstanding.describes;
    let stands = rings && reliable.described;
    let is_free = dialog.rare().is_some_and(|rare| rare.offered.is_none());
    match body {
        // §5: the answer to the offer in our response.
        Some(answer) if ours_to_offer => {
            turn.reply(server, request, Status::OK);
            turn.emit(LegEvent::OfferAcknowledged { body: Some(answer) });
        }
        // §5: the session that stands may change.
        Some(_) if offers && stands && is_free => {
            let offered = Offered::new(turn, dialog, (server, request), By::Prack);
            dialog.rare_mut().offered = Some(offered);
            return Prack::Offers;
        }
        // RFC 3264 §4: the first offer has no answer yet, another one waits for its own, or the
        // final response has overtaken this one.
        Some(_) => turn.reply(server, request, Status::NOT_ACCEPTABLE_HERE),
        None => turn.reply(server, request, Status::OK),
    }
    Prack::Taken
}

/// Goes on with what had to wait for the PRACK.
pub(super) fn next(turn: &mut Turn<'_>, dialog: &mut CallDialog, invited: &Invited<'_>) {
    let next = dialog
        .reliable_mut()
        .and_then(|reliable| reliable.next.take());
    if let Some(Next {
        status,
        body,
        place,
    }) = next
    {
        let body = body.as_ref();
        let said = Provisional {
            status,
            body,
            place,
        };
        send(turn, dialog, invited, said);
    }
}
