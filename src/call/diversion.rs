//! By whom a call was sent elsewhere, which whoever gets it is told (RFC 5806).

use compact_str::CompactString;

use crate::agent::EndCause;
use crate::dialog::{Diversion, Party};

use super::ForwardReason;
use super::conversation::{Conversation, Which};
use super::facts::Destination;
use super::quest::{Quest, Stage};

impl Conversation {
    /// The call goes elsewhere, away from a number.
    pub(super) fn divert(&mut self, which: Which, by: Option<CompactString>, reason: &'static str) {
        let (Some(call), Some(number)) = (self.call_mut(which), by) else {
            return;
        };
        let by = Party {
            number: number.into(),
            ..Party::default()
        };
        let diversion = Diversion {
            by,
            reason: reason.to_owned(),
            counter: 1,
        };
        call.diversions.push_front(diversion);
    }

    /// Who sends a call elsewhere and why, where those who are called are to know: a DN does, and
    /// a routing point to who is outside.
    pub(super) fn diverted(
        &self,
        quest: &Quest,
        destination: &Destination,
        why: ForwardReason,
    ) -> (Option<CompactString>, &'static str) {
        let config = &self.facts.config;
        let dn = match &quest.stage {
            Stage::Reserving(dn) => Some(self.facts.number_of(*dn)),
            Stage::Phone(_) | Stage::Waiting | Stage::Ringing(_) => None,
        };
        let is_outside = matches!(destination, Destination::Outside { .. });
        let entry = quest.entry.filter(|_| is_outside);
        let point = entry.map(|entry| config.routing_point_at(entry.routing_point));
        let point = point.map(|point| (&*point.number).into());
        match why {
            ForwardReason::Overflow => (point, "unavailable"),
            ForwardReason::Routed | ForwardReason::Labelled => (point, "deflection"),
            ForwardReason::Unconditional => (dn, "unconditional"),
            ForwardReason::Busy => (dn, "user-busy"),
            ForwardReason::NoAnswer => (dn, "no-answer"),
        }
    }
}

/// Why a call goes elsewhere that a phone did not take.
pub(super) fn reason_of(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Busy => "user-busy",
        EndCause::NoAnswer => "no-answer",
        EndCause::AgentReleased
        | EndCause::CallerReleased
        | EndCause::CallerAbandoned
        | EndCause::Declined
        | EndCause::Unreachable
        | EndCause::Failed
        | EndCause::Transferred
        | EndCause::Conferenced
        | EndCause::Redirected
        | EndCause::Cleared => "unavailable",
    }
}
