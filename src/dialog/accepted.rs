//! A 2xx of ours to an INVITE until its ACK: sent again and again, then given up
//! (RFC 3261 §13.3.1.4). The first INVITE of a call and every later one have the same.

use std::time::Duration;

use bytes::Bytes;
use offhook_shards::wheel::TimerKey;
use offhook_shards::{Transmit, Transport};

use crate::journal::field::{Field, Reader, fields, write_bytes};
use crate::sip::{Request, Status};
use crate::spare::Lent;
use crate::transaction::ServerKey;

use super::Body;
use super::call_dialog::CallDialog;
use super::core::{Kept, Timer};
use super::reply::Reply;
use super::session_timer::Asked;
use super::turn::Turn;

/// An INVITE of the peer's that has no final response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invited<'a> {
    pub(super) server: ServerKey,
    pub(super) cseq: u32,
    pub(super) reply: &'a Reply,
    /// What it says about the session timer.
    pub(super) asked: Asked,
    /// Whether it has no offer, so that our 2xx makes one.
    pub(super) wants_offer: bool,
}

/// A leg that is up has none, so that it is in a box of its own.
#[derive(Debug)]
pub(super) struct Accepted {
    /// The number of the INVITE, which its ACK has too.
    pub(super) cseq: u32,
    /// Whether it makes an offer, which the ACK answers.
    pub(super) offers: bool,
    kept: Option<Kept>,
    interval: Duration,
    repeat: TimerKey,
    give_up: TimerKey,
}

/// A 2xx as it is written down for as long as its ACK has not come: who is killed before it was
/// sent sends it in the next process.
#[derive(Debug)]
pub(super) struct Unheard {
    cseq: u32,
    offers: bool,
    kept: Kept,
}

fields!(Transmit { transport, local, remote } forgets { connection });
fields!(Unheard { cseq, offers, kept });

impl Field for Kept {
    fn write(&self, out: &mut Vec<u8>) {
        self.transmit.write(out);
        write_bytes(&self.bytes, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            transmit: Field::read(from)?,
            bytes: Bytes::read(from)?.into(),
        })
    }
}

impl Unheard {
    /// The number of its INVITE.
    pub(super) fn cseq(&self) -> u32 {
        self.cseq
    }
}

impl Accepted {
    /// What is written down of it.
    pub(super) fn unheard(&self) -> Option<Unheard> {
        Some(Unheard {
            cseq: self.cseq,
            offers: self.offers,
            kept: self.kept.clone()?,
        })
    }

    /// Sends a 2xx of an earlier process, and waits for its ACK as for any.
    pub(super) fn recall(turn: &mut Turn<'_>, dialog: &CallDialog, unheard: Unheard) -> Lent<Self> {
        let Unheard {
            cseq,
            offers,
            mut kept,
        } = unheard;
        match kept.transmit.transport {
            Transport::Udp => {}
            // The connection that the INVITE came on is gone. Who listens is in its Contact.
            Transport::Tcp | Transport::Tls => kept.transmit.remote = dialog.next_hop().address,
        }
        turn.core.send(&kept);
        Self::waiting(turn, cseq, offers, Some(kept))
    }

    /// Sends the 2xx and starts its timers.
    pub(super) fn send(
        turn: &mut Turn<'_>,
        dialog: &mut CallDialog,
        invite: &Invited<'_>,
        body: Option<&Body>,
    ) -> Lent<Self> {
        let Invited {
            server,
            cseq,
            reply,
            asked,
            wants_offer,
        } = *invite;
        let answer = turn.success(dialog, asked, body);
        turn.respond(server, Status::OK, reply, answer);
        dialog.describe(body);
        let kept = turn.core.kept_response(server);
        Self::waiting(turn, cseq, wants_offer && body.is_some(), kept)
    }

    /// The 2xx is sent; its timers start.
    fn waiting(turn: &mut Turn<'_>, cseq: u32, offers: bool, kept: Option<Kept>) -> Lent<Self> {
        let interval = turn.core.config.t1;
        let give_up = turn.now + turn.core.patience();
        let accepted = Self {
            cseq,
            offers,
            kept,
            interval,
            repeat: turn.core.arm(turn.now + interval, Timer::Repeat(turn.leg)),
            give_up: turn.core.arm(give_up, Timer::AnswerMissing(turn.leg)),
        };
        turn.core.spare.accepted.lend(accepted)
    }

    /// An UPDATE with an offer has come before the ACK (RFC 3311 §5.2).
    pub(super) fn is_met(&self, turn: &mut Turn<'_>, server: ServerKey, request: &Request<'_>) {
        if self.offers {
            turn.reply(server, request, Status::REQUEST_PENDING);
        } else {
            turn.ask_for_later(server, request);
        }
    }

    /// T1, doubled up to T2; on streams too, as a hop behind the next may be lossy.
    pub(super) fn repeat(&mut self, turn: &mut Turn<'_>) {
        if let Some(kept) = &self.kept {
            turn.core.send(kept);
        }
        self.interval = (self.interval * 2).min(turn.core.config.t2);
        self.repeat = turn
            .core
            .arm(turn.now + self.interval, Timer::Repeat(turn.leg));
    }

    /// The ACK came, or it does not matter any more.
    pub(super) fn stop(turn: &mut Turn<'_>, accepted: Lent<Self>) {
        let accepted = turn.core.spare.accepted.take_back(accepted);
        turn.core.disarm(accepted.repeat);
        turn.core.disarm(accepted.give_up);
        if let Some(kept) = accepted.kept {
            turn.core.discard(kept);
        }
    }
}
