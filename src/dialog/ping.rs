//! OPTIONS of ours: one request outside any dialog, and whether anything came back.

use std::time::Instant;

use slotmap::SlotMap;

use crate::limits::PINGS_MAX;
use crate::sip::{HeaderName, Method};

use super::compose::{Draft, Fields, OwnContact, clean_uri, name_addr};
use super::core::{Core, Owner};
use super::user_agent::Full;
use super::{PingKey, PingOutcome, Target, UserAgentEvent};

/// The pings that wait.
#[derive(Debug, Default)]
pub(super) struct Pings(SlotMap<PingKey, ()>);

impl Pings {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn send(
        &mut self,
        now: Instant,
        core: &mut Core,
        target: Target,
        request_uri: &str,
        max_forwards: u8,
    ) -> Result<PingKey, Full> {
        if self.0.len() == PINGS_MAX {
            return Err(Full);
        }
        let key = self.0.insert(());
        let request_uri = clean_uri(request_uri);
        let local = name_addr("", "", core.host(&target));
        let remote = format!("<{request_uri}>");
        let call_id = core.call_id();
        let draft = Draft {
            method: Method::Options,
            request_uri: &request_uri,
            routes: Vec::new(),
            local: &local,
            local_tag: core.tag(),
            remote: &remote,
            remote_tag: None,
            call_id: &call_id,
            cseq: 1,
            session_id: None,
            max_forwards,
            overload_control: target.overload_control,
            contact: Some(OwnContact::default()),
            authorization: Fields::default(),
            fields: Fields::default().with_text(HeaderName::Accept, "application/sdp"),
            body: None,
        };
        match core.request(now, Owner::Ping(key), &target, draft) {
            Ok(_) => Ok(key),
            Err(crate::transaction::Full) => {
                self.0.remove(key);
                Err(Full)
            }
        }
    }

    /// The first word that comes back is the outcome; what follows finds no ping any more.
    pub(super) fn end(&mut self, core: &mut Core, key: PingKey, outcome: PingOutcome) {
        if self.0.remove(key).is_some() {
            core.events.push_back(UserAgentEvent::Ping(key, outcome));
        }
    }
}
