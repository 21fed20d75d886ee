//! What the layer above asks of its calls. Commands are total: one that comes too late, or with a
//! key that is spent, does nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::limits::LEGS_MAX;
use crate::sip::{HeaderName, Status};

use super::authorization::Authorization;
use super::call_dialog::CallDialog;
use super::compose::{Fields, clean_uri, from_of};
use super::dialog::{Dialog, Opening as Opened, SessionHalves};
use super::leg::{Leg, Stage};
use super::outbound::{Calling, Opening};
use super::provisional::{Provisional, QueuePlace};
use super::user_agent::{Full, UserAgent};
use super::who::{self, Role};
use super::{AutoAnswer, Body, Cause, Invite, LegKey, LegPolicy, Party, Refusal, Replaces};

impl UserAgent {
    /// Sends an INVITE.
    ///
    /// # Errors
    /// [`Full`] at the limit of legs or transactions.
    pub fn invite(&mut self, now: Instant, invite: &Invite) -> Result<LegKey, Full> {
        if self.legs.len() == LEGS_MAX {
            return Err(Full);
        }
        let (call_id, local_tag) = (self.core.call_id(), self.core.tag());
        let fields = self.core.fields();
        let host = self.core.host(&invite.target);
        let request_uri = clean_uri(&invite.request_uri);
        let dialog = Dialog::open(&Opened {
            call_id,
            local_tag,
            local: from_of(&invite.calling, host),
            request_uri: &request_uri,
            target: invite.target,
            contact_user: &invite.calling.number,
            is_focus: invite.is_focus,
        });
        let mut dialog = Box::new(CallDialog::new(dialog, invite.policy, Role::Calling));
        let authorization = invite.credentials.clone().map(Authorization::new);
        dialog.authorization = authorization.map(Box::new);
        dialog.across = invite.speaks_for;
        dialog.session_id = self.half_of(invite.speaks_for).map(Box::new);
        let opening = Opening {
            fields: invite_fields(fields, invite, (host, &request_uri)),
            body: invite.body.clone(),
            max_forwards: invite.max_forwards,
        };
        let key = self.legs.insert(None);
        let Ok(sent) = opening.send(now, &mut self.core, key, &dialog) else {
            self.legs.remove(key);
            return Err(Full);
        };
        self.core
            .table
            .insert(dialog.call_id(), dialog.local_tag, key);
        let calling = Calling::new(&mut self.core, dialog, sent, opening);
        self.put(key, Leg::Calling(calling));
        if let Some(across) = invite.speaks_for {
            self.face(across, Some(key));
        }
        self.settle(now);
        Ok(key)
    }

    /// Says what the trunk of an inbound leg wants, before anything else is asked of the leg.
    /// `false` when the INVITE did not fit: it was refused, and the leg is over.
    pub fn set_policy(&mut self, now: Instant, leg: LegKey, policy: LegPolicy) -> bool {
        if !self.legs.contains_key(leg) {
            // The caller has cancelled meanwhile: that is what is heard of the leg next.
            return true;
        }
        self.with_leg(now, leg, |leg, turn| leg.adopt(turn, policy));
        self.settle(now);
        self.legs.contains_key(leg)
    }

    /// Sends a provisional response, 101 to 199, to an INVITE that waits.
    pub fn progress(&mut self, now: Instant, leg: LegKey, status: Status) {
        let said = Provisional::of(status);
        self.with_leg(now, leg, |leg, turn| leg.progress(turn, said));
        self.settle(now);
    }

    /// Sends `182 Queued` to an INVITE that waits, with where the caller stands (`Call-Info`).
    pub fn queued(
        &mut self,
        now: Instant,
        leg: LegKey,
        position: u32,
        estimated_wait: Option<Duration>,
    ) {
        let said = Provisional {
            place: Some(QueuePlace {
                position,
                wait_s: estimated_wait.map(|wait| wait.as_secs()),
            }),
            ..Provisional::of(Status::QUEUED)
        };
        self.with_leg(now, leg, |leg, turn| leg.progress(turn, said));
        self.settle(now);
    }

    /// Sends a provisional response with a session description.
    pub fn early_media(&mut self, now: Instant, leg: LegKey, status: Status, body: &Body) {
        let said = Provisional {
            body: Some(body),
            ..Provisional::of(status)
        };
        self.with_leg(now, leg, |leg, turn| leg.progress(turn, said));
        self.settle(now);
    }

    /// Sends a 2xx to an INVITE that waits, again and again until its ACK.
    pub fn answer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        self.with_leg(now, leg, |leg, turn| leg.answer(turn, body));
        self.settle(now);
    }

    /// Sends a failure to an INVITE that waits; the leg is over.
    pub fn refuse(&mut self, now: Instant, leg: LegKey, refusal: Refusal) {
        self.with_leg(now, leg, |leg, turn| leg.refuse(turn, refusal));
        self.settle(now);
    }

    /// Sends the ACK to a 2xx that was reported, to the first INVITE or to a later one.
    pub fn acknowledge(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        self.with_leg(now, leg, |leg, turn| leg.acknowledge(turn, body));
        self.settle(now);
    }

    /// Sends an INVITE within the call: with an offer, or without one to ask for it.
    pub fn offer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        self.with_leg(now, leg, |leg, turn| leg.offer(turn, body));
        self.settle(now);
    }

    /// Takes back an INVITE within the call that has no final response: CANCEL, as soon as one may
    /// go. The answer still comes, `OfferRefused` or, when it was on its way, `OfferAnswered`.
    pub fn withdraw_offer(&mut self, now: Instant, leg: LegKey) {
        self.with_leg(now, leg, Leg::withdraw_offer);
        self.settle(now);
    }

    /// Sends a 2xx to the peer's INVITE within the call.
    pub fn answer_offer(&mut self, now: Instant, leg: LegKey, body: Option<&Body>) {
        self.with_leg(now, leg, |leg, turn| leg.answer_offer(turn, body));
        self.settle(now);
    }

    /// Sends a failure to the peer's INVITE within the call, which goes on as it was.
    pub fn refuse_offer(&mut self, now: Instant, leg: LegKey, refusal: Refusal) {
        self.with_leg(now, leg, |leg, turn| leg.refuse_offer(turn, refusal));
        self.settle(now);
    }

    /// Sends an INFO within the call, when those before it have their answers. What the peer
    /// answers changes nothing, and is told where `reports` says so.
    pub fn info(&mut self, now: Instant, leg: LegKey, body: &Body, reports: bool) {
        self.with_leg(now, leg, |leg, turn| leg.info(turn, body, reports));
        self.settle(now);
    }

    /// Asks the phone to take up its call (NOTIFY, `Event: talk`).
    pub fn talk(&mut self, now: Instant, leg: LegKey) {
        self.with_leg(now, leg, Leg::talk);
        self.settle(now);
    }

    /// Says who is across from now on: by UPDATE where the peer takes it, else with the next
    /// message that can say so.
    pub fn identify(&mut self, now: Instant, leg: LegKey, party: &Arc<Party>) {
        self.with_leg(now, leg, |leg, turn| leg.identify(turn, party));
        self.settle(now);
    }

    /// Says with every message from now on that the peer is in a conference whose focus we are
    /// (RFC 4579), or not any more.
    pub fn focus(&mut self, leg: LegKey, is_focus: bool) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.dialog_mut().is_focus = is_focus;
        }
    }

    /// Takes the peer's REFER; what becomes of it goes to `report_refer`.
    pub fn accept_refer(&mut self, now: Instant, leg: LegKey) {
        self.with_leg(now, leg, Leg::accept_refer);
        self.settle(now);
    }

    /// Does not take the peer's REFER.
    pub fn refuse_refer(&mut self, now: Instant, leg: LegKey, status: Status) {
        self.with_leg(now, leg, |leg, turn| leg.refuse_refer(turn, status));
        self.settle(now);
    }

    /// Tells the peer what became of the call that its REFER asked for. A final status is the last
    /// word.
    pub fn report_refer(&mut self, now: Instant, leg: LegKey, status: Status) {
        self.with_leg(now, leg, |leg, turn| leg.report_refer(turn, status));
        self.settle(now);
    }

    /// Says which leg is across: each of the two sends the other's half of the Session-ID on
    /// (RFC 7989 §7). Without one the leg speaks for itself.
    pub fn speak_for(&mut self, leg: LegKey, across: Option<LegKey>) {
        self.face(leg, across);
        if let Some(across) = across {
            self.face(across, Some(leg));
        }
    }

    /// The dialog of a leg as an INVITE to its far end has to name it (RFC 3891), so that the far
    /// end lets the INVITE take its place; `None` before the far end is known.
    #[must_use]
    pub fn replaces_of(&self, leg: LegKey) -> Option<Replaces> {
        let dialog = self.leg(leg)?.dialog();
        Some(Replaces {
            call_id: dialog.call_id().to_owned(),
            to_tag: dialog.remote_tag()?.to_owned(),
            from_tag: dialog.local_tag.text().to_string(),
            early_only: false,
        })
    }

    /// Ends the leg by what its state demands: 487, CANCEL, BYE, or ACK and BYE. It says nothing
    /// more. `cause` goes into the Reason of a request.
    pub fn hang_up(&mut self, now: Instant, leg: LegKey, cause: impl Into<Cause>) {
        let cause = cause.into();
        self.with_leg(now, leg, |leg, turn| leg.hang_up(turn, cause));
        self.settle(now);
    }

    /// Whether a leg that was hung up is not over, because its far end has not answered our CANCEL
    /// or BYE: if so, `UserAgentEvent::Over` says when it is.
    pub fn awaits_end(&mut self, leg: LegKey) -> bool {
        let is_there = self.legs.contains_key(leg);
        if is_there {
            self.awaited.insert(leg);
        }
        is_there
    }

    /// Whether anything at all has come back on the INVITE of this leg, or it needed none.
    #[must_use]
    pub fn has_response(&self, leg: LegKey) -> bool {
        let leg = self.leg(leg);
        leg.is_none_or(Leg::has_response)
    }

    /// The leg whose place an INVITE with this Replaces takes.
    ///
    /// # Errors
    /// The status that the INVITE deserves (RFC 3891 §3).
    pub fn replaced(&self, replaces: &Replaces) -> Result<LegKey, Status> {
        let (key, stage) = self.named(replaces).ok_or(Status::CALL_DOES_NOT_EXIST)?;
        match stage {
            // A call that rings here was not begun by us: it cannot be picked up.
            Stage::Early if self.is_called(key) => Err(Status::CALL_DOES_NOT_EXIST),
            Stage::Early => Ok(key),
            Stage::Answered | Stage::Confirmed if replaces.early_only => Err(Status::BUSY_HERE),
            Stage::Answered | Stage::Confirmed => Ok(key),
            Stage::Ending => Err(Status::DECLINE),
        }
    }

    fn is_called(&self, key: LegKey) -> bool {
        let leg = self.leg(key);
        leg.is_some_and(|leg| leg.dialog().is_called())
    }

    /// The leg that a Replaces names, whatever its state.
    pub(super) fn named(&self, replaces: &Replaces) -> Option<(LegKey, Stage)> {
        let Replaces {
            call_id,
            to_tag,
            from_tag,
            ..
        } = replaces;
        let key = self.core.table.find(call_id, to_tag)?;
        let leg = self.leg(key)?;
        // A peer of RFC 2543 has no tag and is named by `0`.
        let is_with = leg.is_with(Some(from_tag)) || (from_tag == "0" && leg.is_with(None));
        (leg.dialog().call_id() == call_id && is_with).then(|| (key, leg.stage()))
    }

    /// What a leg sends as its own half of the Session-ID: the half of the leg across.
    fn half_of(&self, across: Option<LegKey>) -> Option<SessionHalves> {
        let across = self.leg(across?)?.dialog();
        let ours = across.session_id.as_deref()?.theirs;
        Some(SessionHalves {
            ours,
            ..SessionHalves::default()
        })
    }

    /// One leg gets another across, whose half of the Session-ID becomes its own.
    fn face(&mut self, leg: LegKey, across: Option<LegKey>) {
        let half = self.half_of(across);
        let Some(dialog) = self.leg_mut(leg) else {
            return;
        };
        let dialog = dialog.dialog_mut();
        dialog.across = across;
        if let Some(half) = half.filter(|half| half.ours.0 != 0) {
            dialog.session_id.get_or_insert_default().ours = half.ours;
        }
    }
}

/// What an INVITE says of the call, beside what its dialog says.
fn invite_fields(fields: Fields, invite: &Invite, (host, request_uri): (&str, &str)) -> Fields {
    let calling = &invite.calling;
    let identity = invite.policy.headers_for(calling);
    let mut fields = who::write(fields, calling, host, identity, Role::Calling);
    for diversion in &invite.diversions {
        fields = who::write_diversion(fields, diversion, host);
    }
    // What a PBX says of its inside stays among those that are trusted.
    let carried = || {
        let all = invite.carried.iter();
        all.filter(|_| invite.policy.trusted)
    };
    for (name, value) in carried() {
        fields.carry(name, value);
    }
    let history = carried()
        .filter(|(name, _)| HeaderName::lookup(name.as_bytes()) == Some(HeaderName::HistoryInfo))
        .map(|(_, value)| value);
    let diversions = &invite.diversions;
    fields = who::write_history(fields, history, (request_uri, host), diversions);
    match invite.auto_answer {
        Some(AutoAnswer::CallInfo) => {
            let value = format_args!("<sip:{host}>;answer-after=0");
            fields = fields.with(HeaderName::CallInfo, value);
        }
        Some(AutoAnswer::AlertInfo) => {
            let value = format_args!("<http://{host}>;info=alert-autoanswer;delay=0");
            fields = fields.with(HeaderName::AlertInfo, value);
        }
        None => {}
    }
    if let Some(replaces) = &invite.replaces {
        let early = if replaces.early_only {
            ";early-only"
        } else {
            ""
        };
        let Replaces {
            call_id,
            to_tag,
            from_tag,
            ..
        } = replaces;
        fields = fields.with_text(HeaderName::Require, "replaces").with(
            HeaderName::Replaces,
            format_args!("{call_id};to-tag={to_tag};from-tag={from_tag}{early}"),
        );
    }
    let referred_by = invite.referred_by.as_ref();
    if let Some(referred_by) = referred_by.filter(|_| invite.policy.trusted) {
        fields = fields.with_text(HeaderName::ReferredBy, referred_by);
    }
    fields
}
