//! A leg that nobody above knows any more: its BYE waits for an answer, and INVITEs of ours may
//! still bring a 2xx that must be acknowledged. It says nothing, and ends by itself.

use crate::sip::Response;
use crate::transaction::ClientKey;

use super::Cause;
use super::call_dialog::CallDialog;
use super::invites::Invites;
use super::leg::Leg;
use super::turn::Turn;

#[derive(Debug)]
pub(super) struct Leaving {
    dialog: Box<CallDialog>,
    invites: Invites,
    bye: Option<ClientKey>,
}

impl Leaving {
    /// The callee's way out: it has sent no INVITE.
    pub(super) fn by_bye(turn: &mut Turn<'_>, dialog: Box<CallDialog>, cause: Cause) -> Leg {
        Self::with_invites(turn, dialog, Invites::default(), cause)
    }

    /// Sends a BYE and waits for what is still under way.
    pub(super) fn with_invites(
        turn: &mut Turn<'_>,
        mut dialog: Box<CallDialog>,
        invites: Invites,
        cause: Cause,
    ) -> Leg {
        let bye = turn.bye(&mut dialog, cause);
        Self {
            dialog,
            invites,
            bye,
        }
        .settle()
    }

    /// The peer said BYE.
    pub(super) fn silently(dialog: Box<CallDialog>, invites: Invites) -> Leg {
        Self {
            dialog,
            invites,
            bye: None,
        }
        .settle()
    }

    pub(super) fn invites(&self) -> &Invites {
        &self.invites
    }

    pub(super) fn dialog(&self) -> &CallDialog {
        &self.dialog
    }

    pub(super) fn dialog_mut(&mut self) -> &mut CallDialog {
        &mut self.dialog
    }

    pub(super) fn response(
        mut self,
        turn: &mut Turn<'_>,
        client: ClientKey,
        response: &Response<'_>,
    ) -> Leg {
        if self.bye == Some(client) {
            // RFC 3261 §15.1.1: whatever the answer, the session is over.
            if response.status.is_final() {
                self.bye = None;
            }
        } else if response.status.is_failure() {
            self.invites.remove(turn.core, client);
        } else if response.status.is_success()
            && self
                .invites
                .another_success(turn, &self.dialog, client, response)
        {
            self.invites.acknowledge(turn, &self.dialog, client, None);
        }
        self.settle()
    }

    /// The last word of a transaction.
    pub(super) fn ended(mut self, turn: &mut Turn<'_>, client: ClientKey) -> Leg {
        if self.bye == Some(client) {
            self.bye = None;
        }
        self.invites.remove(turn.core, client);
        self.settle()
    }

    fn settle(self) -> Leg {
        if self.bye.is_none() && self.invites.is_empty() {
            return Leg::Over(self.dialog);
        }
        Leg::Leaving(self)
    }
}
