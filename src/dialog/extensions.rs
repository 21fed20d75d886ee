//! What happens to a leg beside the INVITE, ACK, CANCEL and BYE of RFC 3261: UPDATE, PRACK, INFO,
//! REFER, the session timer, and who is across. Most of it asks only how far the call is.

use std::sync::Arc;
use std::time::Duration;

use crate::sip::{HeaderName, Request, Response, Status};
use crate::transaction::ServerKey;

use super::asides::{self, Aside};
use super::call_dialog::CallDialog;
use super::compose::{Answer, Fields, allow};
use super::in_order::Kind;
use super::incoming::brings_offer;
use super::leg::{Leg, Stage};
use super::offered::{By, Offered};
use super::reliable::Prack;
use super::session_timer::Asked;
use super::turn::Turn;
use super::{Body, LegEvent, Party, Refer, in_order, refer, reliable};

impl Leg {
    // Commands.

    pub(super) fn info(mut self, turn: &mut Turn<'_>, body: &Body, reports: bool) -> Self {
        match self.stage() {
            Stage::Confirmed => asides::info(turn, self.dialog_mut(), body, reports),
            // Without an ACK nobody knows whether the peer has a call yet.
            Stage::Early | Stage::Answered if reports => {
                let status = Status::TEMPORARILY_UNAVAILABLE;
                turn.emit(LegEvent::InfoAnswered { status });
            }
            Stage::Early | Stage::Answered | Stage::Ending => {}
        }
        self
    }

    pub(super) fn talk(mut self, turn: &mut Turn<'_>) -> Self {
        if let Self::Calling(state) = &mut self {
            // The phone rings: it is to answer.
            state.talk(turn);
        } else if self.stage() == Stage::Confirmed {
            asides::talk(turn, self.dialog_mut(), None);
        }
        self
    }

    /// Says who is across: now, by an UPDATE, where the peer takes one; else with the next message
    /// that can say so.
    pub(super) fn identify(mut self, turn: &mut Turn<'_>, party: &Arc<Party>) -> Self {
        let confirmed = self.stage() == Stage::Confirmed;
        let dialog = self.dialog_mut();
        if !dialog.is_across(party, turn.core) {
            return self;
        }
        if confirmed && dialog.peer.update {
            // Without room the next message says so.
            let _is_sent = asides::update(turn, dialog);
        }
        self
    }

    pub(super) fn accept_refer(mut self, turn: &mut Turn<'_>) -> Self {
        refer::accept(turn, self.dialog_mut());
        self
    }

    pub(super) fn refuse_refer(mut self, turn: &mut Turn<'_>, status: Status) -> Self {
        refer::refuse(turn, self.dialog_mut(), status);
        self
    }

    pub(super) fn report_refer(mut self, turn: &mut Turn<'_>, status: Status) -> Self {
        refer::report(turn, self.dialog_mut(), status);
        self
    }

    // The network.

    /// RFC 3311 §5.2.
    pub(super) fn update(
        mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Self {
        let asked = Asked::of(&request.message);
        if self.stage() == Stage::Ending {
            turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
            return self;
        }
        if asked.is_too_short(&self.dialog().policy) {
            too_short(turn, self.dialog(), server, request);
            return self;
        }
        let offers = brings_offer(&request.message);
        match self {
            Self::Confirmed(state) if offers => state.update(turn, server, request),
            Self::Confirmed(_) => {
                self.take_update(turn, server, request, asked);
                self
            }
            Self::Ringing(mut state) if offers => {
                let dialog = state.dialog_mut();
                let reliable = dialog.reliable_mut();
                let standing = match reliable {
                    Some(reliable) if reliable.offers() => Standing::OursIsOpen,
                    Some(reliable) if reliable.is_described() => Standing::Agreed,
                    Some(_) | None => Standing::TheirsIsOpen,
                };
                let _is_reported = early_offer(turn, dialog, (server, request), standing);
                Self::Ringing(state)
            }
            Self::Calling(mut state) if offers => {
                state.update(turn, server, request);
                Self::Calling(state)
            }
            Self::Unacknowledged(state) if offers => {
                state.update(turn, server, request);
                Self::Unacknowledged(state)
            }
            Self::Answered(_) if offers => {
                // The offer of its 2xx may be open, or our ACK is about to go.
                turn.ask_for_later(server, request);
                self
            }
            Self::Ringing(_)
            | Self::Calling(_)
            | Self::Unacknowledged(_)
            | Self::Answered(_)
            | Self::HangingUp(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Leaving(_)
            | Self::Over(_) => {
                self.take_update(turn, server, request, Asked::default());
                self
            }
        }
    }

    /// An UPDATE that offers nothing refreshes: the target, the session, who is across.
    fn take_update(
        &mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
        asked: Asked,
    ) {
        let confirmed = self.stage() == Stage::Confirmed;
        let dialog = self.dialog_mut();
        // The Contact of a callee that has not answered comes again with its 2xx.
        if dialog.remote_tag().is_some() {
            dialog.refresh_by_request(request);
        }
        let copied = turn.copied(server, request);
        let answer = if confirmed {
            turn.success(dialog, asked, None)
        } else {
            Answer {
                contact: Some(dialog.own_contact()),
                fields: dialog.response_fields(turn.core),
                ..Answer::default()
            }
        };
        turn.respond(server, Status::OK, copied, answer);
    }

    /// RFC 3262 §3.
    pub(super) fn prack(
        mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Self {
        if self.stage() == Stage::Ending {
            turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
            return self;
        }
        let rings = matches!(self, Self::Ringing(_));
        let prack = reliable::acknowledged(turn, self.dialog_mut(), server, request, rings);
        match self {
            Self::Ringing(state) if prack == Prack::Taken => state.acknowledged(turn),
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Confirmed(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }

    /// RFC 6086: an INFO without a package is taken whatever it brings.
    pub(super) fn informed(
        self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
    ) -> Self {
        match self.stage() {
            Stage::Early | Stage::Answered | Stage::Confirmed => {
                turn.reply(server, request, Status::OK);
                if let Some(body) = Body::in_room(&request.message, &mut turn.core.spare.bodies) {
                    let reports = false;
                    turn.emit(LegEvent::Info { body, reports });
                }
            }
            Stage::Ending => turn.reply(server, request, Status::CALL_DOES_NOT_EXIST),
        }
        self
    }

    /// RFC 3515, within a call. A phone whose trunk may not transfer is told so by the Allow.
    pub(super) fn referred(
        mut self,
        turn: &mut Turn<'_>,
        server: ServerKey,
        request: &Request<'_>,
        refer: Result<Refer, Status>,
    ) -> Self {
        let stage = self.stage();
        let dialog = self.dialog_mut();
        if stage == Stage::Ending {
            turn.reply(server, request, Status::CALL_DOES_NOT_EXIST);
        } else if !dialog.policy.refer {
            let methods = allow(&dialog.policy);
            let fields = Fields::default().with_text(HeaderName::Allow, methods);
            turn.reply_with(server, request, Status::METHOD_NOT_ALLOWED, fields);
        } else if stage != Stage::Confirmed {
            turn.ask_for_later(server, request);
        } else {
            match refer {
                Ok(refer) => refer::receive(turn, dialog, server, request, refer),
                Err(status) => turn.reply(server, request, status),
            }
        }
        self
    }

    /// The answer to a request of ours that leaves the session alone; 408 and 503 stand for none.
    pub(super) fn aside_answered(
        mut self,
        turn: &mut Turn<'_>,
        aside: Aside,
        status: Status,
        response: Option<&Response<'_>>,
    ) -> Self {
        if status.is_provisional() {
            return self;
        }
        match aside {
            Aside::InOrder(kind) => {
                match kind {
                    Kind::Notify if status == Status::CALL_DOES_NOT_EXIST => {
                        refer::unsubscribed(self.dialog_mut());
                    }
                    Kind::Digit { reports: true } if self.stage() != Stage::Ending => {
                        turn.emit(LegEvent::InfoAnswered { status });
                    }
                    Kind::Notify | Kind::Digit { .. } | Kind::Info => {}
                }
                in_order::answered(turn, self.dialog_mut(), kind);
                self
            }
            Aside::Other => self,
            Aside::Probe => self.probed(turn, status, response.is_some()),
            Aside::Update => match self {
                Self::Confirmed(state) => state.updated(turn, status, response),
                Self::Ringing(_)
                | Self::Unacknowledged(_)
                | Self::HangingUp(_)
                | Self::Calling(_)
                | Self::CancelHeld(_)
                | Self::Cancelling(_)
                | Self::Answered(_)
                | Self::Leaving(_)
                | Self::Over(_) => self,
            },
        }
    }

    // Time.

    /// The session timer has run out.
    pub(super) fn session_due(mut self, turn: &mut Turn<'_>) -> Self {
        let due = self.dialog_mut().timer.run_out(turn.now);
        match self {
            Self::Confirmed(state) => state.due(turn, due),
            // RFC 3261 §13.3.1.4 is quicker than any session timer: somebody above is late.
            Self::Ringing(_)
            | Self::Unacknowledged(_)
            | Self::HangingUp(_)
            | Self::Calling(_)
            | Self::CancelHeld(_)
            | Self::Cancelling(_)
            | Self::Answered(_)
            | Self::Leaving(_)
            | Self::Over(_) => self,
        }
    }
}

/// RFC 4028 §9: 422 with the shortest interval that we take.
pub(super) fn too_short(
    turn: &mut Turn<'_>,
    dialog: &CallDialog,
    server: ServerKey,
    request: &Request<'_>,
) {
    let min_se = dialog.policy.min_se;
    let fields = Fields::default().with(HeaderName::MinSe, format_args!("{min_se}"));
    turn.reply_with(server, request, Status::SESSION_INTERVAL_TOO_SMALL, fields);
}

/// How far a session has come before the call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// An offer of ours has no answer.
    OursIsOpen,
    /// An offer of theirs has none, or is still to come.
    TheirsIsOpen,
    /// The first one has its answer, for certain.
    Agreed,
}

/// RFC 3311 §5.2: an offer before the call is answered; whether it was reported.
pub(super) fn early_offer(
    turn: &mut Turn<'_>,
    dialog: &mut CallDialog,
    (server, request): (ServerKey, &Request<'_>),
    standing: Standing,
) -> bool {
    let busy = dialog.rare().is_some_and(|rare| rare.offered.is_some());
    match standing {
        Standing::OursIsOpen => turn.reply(server, request, Status::REQUEST_PENDING),
        Standing::Agreed if !busy => {
            let offered = Offered::new(turn, dialog, (server, request), By::Update);
            let offered = offered.in_any_dialog(request);
            dialog.rare_mut().offered = Some(offered);
            return true;
        }
        Standing::Agreed | Standing::TheirsIsOpen => turn.ask_for_later(server, request),
    }
    false
}

/// How long a refresh that failed for the moment is left alone.
pub(super) fn pause(turn: &mut Turn<'_>, response: Option<&Response<'_>>) -> Duration {
    let asked = response.and_then(|response| response.message.retry_after().ok().flatten());
    let seconds = asked.unwrap_or(10).min(60);
    Duration::from_secs(u64::from(seconds))
        + Duration::from_millis(u64::from(turn.core.below(5_000)))
}
