//! What every message of a call's peer may say beside its purpose: what the peer can do, who it is,
//! and its half of the Session-ID.

use std::sync::Arc;

use crate::sip::{Message, Method, Request, Response, SessionId};

use super::identity::{fingerprint, told};
use super::leg::Stage;
use super::user_agent::UserAgent;
use super::{LegEvent, LegKey, SessionUuid, UserAgentEvent};

impl UserAgent {
    /// A response to a request of this leg's. One of another fork says nothing of the dialog.
    pub(super) fn hear_response(&mut self, key: LegKey, response: &Response<'_>) {
        let Some(leg) = self.leg(key) else {
            return;
        };
        let dialog = leg.dialog();
        let other = dialog.remote_tag().is_some() && !dialog.is_with(response.to_tag);
        if other || response.status.0 == 100 || response.status.is_failure() {
            return;
        }
        self.hear(key, &response.message);
    }

    /// A request within this leg's dialog that may change what is known of the peer.
    pub(super) fn hear_request(&mut self, key: LegKey, request: &Request<'_>) {
        match request.method {
            Method::Invite | Method::Update => self.hear(key, &request.message),
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Info
            | Method::Refer
            | Method::Message
            | Method::Prack
            | Method::Other(_) => self.hear_session_id(key, request.message.session_id()),
        }
    }

    fn hear(&mut self, key: LegKey, message: &Message<'_>) {
        self.hear_session_id(key, message.session_id());
        let core = &self.core;
        let heard = fingerprint(message, |bytes| core.tag_for(bytes).0);
        let Some(leg) = self.leg_mut(key) else {
            return;
        };
        let known_above = leg.stage() != Stage::Ending;
        let dialog = leg.dialog_mut();
        dialog.peer.hear(message);
        if heard == 0 || heard == dialog.heard {
            return;
        }
        dialog.heard = heard;
        let is_believed = dialog.policy.trusted && known_above;
        if is_believed && let Some(party) = told(message) {
            let event = UserAgentEvent::Leg(key, LegEvent::Identified(Arc::new(party)));
            self.core.events.push_back(event);
        }
    }

    /// RFC 7989 §7: the peer's half is what the leg across sends as its own.
    pub(super) fn hear_session_id(&mut self, key: LegKey, id: Option<SessionId>) {
        let Some(local) = id.and_then(|id| id.local) else {
            return;
        };
        let uuid = SessionUuid(local);
        let fresh = self.core.session_uuid();
        let Some(leg) = self.leg_mut(key) else {
            return;
        };
        let dialog = leg.dialog_mut();
        let halves = dialog.session_id.get_or_insert_default();
        if halves.ours.0 == 0 {
            halves.ours = fresh;
        }
        if halves.theirs == uuid {
            return;
        }
        halves.theirs = uuid;
        let Some(across) = dialog.across else {
            return;
        };
        let Some(other) = self.leg_mut(across) else {
            return;
        };
        let other = other.dialog_mut();
        if other.across == Some(key) {
            other.session_id.get_or_insert_default().ours = uuid;
        }
    }
}
