//! The dialog of a call and what its ends have agreed on besides: what the peer can do, who is
//! across, the session timer. What few calls need is boxed.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::journal::field::fields;
use crate::sip::{HeaderName, Message};

use super::compose::{Fields, SUPPORTED, allow};
use super::core::Core;
use super::dialog::Dialog;
use super::in_order::InOrder;
use super::incoming::brings_offer;
use super::offered::Offered;
use super::refer::Referring;
use super::reliable::Reliable;
use super::session_timer::SessionTimer;
use super::who::Role;
use super::{Body, LegKey, LegPolicy, Party, who};

#[derive(Debug)]
pub(super) struct CallDialog {
    dialog: Dialog,
    /// What the trunk wants.
    pub(super) policy: LegPolicy,
    pub(super) peer: Abilities,
    pub(super) timer: SessionTimer,
    /// Whose part we play towards the peer.
    role: Role,
    /// The leg across, whose half of the Session-ID is ours here.
    pub(super) across: Option<LegKey>,
    /// What the peer said last of who it is, as a hash.
    pub(super) heard: u64,
    /// Who is across, where the layer above has said so, and the lines that say it.
    party: Option<Box<(Arc<Party>, Fields)>>,
    /// The description of a session that came last.
    description: Option<Arc<[u8]>>,
    /// What we said last of our session, kept where a refresh will have to repeat it.
    pub(super) described: Option<Box<Body>>,
    rare: Option<Box<Rare>>,
}

const _: () = assert!(
    size_of::<CallDialog>() <= 256,
    "a held call has two of them"
);

/// What few calls need.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// Reliable provisional responses of ours.
    pub(super) reliable: Option<Reliable>,
    /// A REFER of the peer's.
    pub(super) referring: Option<Referring>,
    /// Whether a REFER came before (RFC 3515 §2.4.6).
    pub(super) referred_before: bool,
    /// An UPDATE or a PRACK with an offer before the call is answered.
    pub(super) offered: Option<Offered>,
    /// Requests of ours that wait for each other.
    pub(super) in_order: InOrder,
    /// What ACKs of an earlier process answered, by the numbers of their INVITEs.
    pub(super) answers: Vec<(u32, Body)>,
    /// How many of them this process has given to offers that came late.
    pub(super) late_answers: usize,
    /// What we offer now, kept until it is accepted where a refresh will have to repeat it.
    proposed: Option<Box<Body>>,
    /// The highest number that an earlier process can have used; 0 where there was none.
    pub(super) numbers_before: u32,
}

/// What the peer's Allow and Supported say.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Abilities {
    /// Whether it takes UPDATE.
    pub(super) update: bool,
}

fields!(Abilities { update });
fields!(CallDialog {
    dialog,
    policy,
    peer,
    timer,
    role,
    heard,
    described,
} forgets { across, party, description, rare });

impl CallDialog {
    pub(super) fn new(dialog: Dialog, policy: LegPolicy, role: Role) -> Self {
        Self {
            dialog,
            policy,
            peer: Abilities::default(),
            timer: SessionTimer::default(),
            role,
            across: None,
            heard: 0,
            party: None,
            description: None,
            described: None,
            rare: None,
        }
    }

    /// Whether the INVITE came from the peer.
    pub(super) fn is_called(&self) -> bool {
        self.role == Role::Called
    }

    pub(super) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn reliable_mut(&mut self) -> Option<&mut Reliable> {
        self.rare.as_deref_mut()?.reliable.as_mut()
    }

    pub(super) fn in_order_mut(&mut self) -> Option<&mut InOrder> {
        Some(&mut self.rare.as_deref_mut()?.in_order)
    }

    pub(super) fn take_offered(&mut self) -> Option<Offered> {
        self.rare.as_deref_mut()?.offered.take()
    }

    /// Whether a PRACK waits for the answer to its offer.
    pub(super) fn is_offered_by_prack(&self) -> bool {
        let offered = self.rare().and_then(|rare| rare.offered.as_ref());
        offered.is_some_and(Offered::is_prack)
    }

    pub(super) fn referring_mut(&mut self) -> Option<&mut Referring> {
        self.rare.as_deref_mut()?.referring.as_mut()
    }

    pub(super) fn take_referring(&mut self) -> Option<Referring> {
        self.rare.as_deref_mut()?.referring.take()
    }

    /// What an INVITE or an UPDATE within the dialog says beside its body.
    pub(super) fn request_fields(&self, core: &mut Core) -> Fields {
        let fields = self
            .response_fields(core)
            .with_text(HeaderName::Allow, allow(&self.policy))
            .with_text(HeaderName::Supported, SUPPORTED);
        self.timer.request_fields(fields, &self.policy)
    }

    /// What responses say beside their body and what they agree on.
    pub(super) fn response_fields(&self, core: &mut Core) -> Fields {
        let fields = core.fields();
        match self.party.as_deref() {
            Some((_, lines)) => fields.and(lines),
            None => fields,
        }
    }

    /// How the peer names us.
    pub(super) fn host<'a>(&self, core: &'a Core) -> &'a str {
        core.host(&self.dialog.peer())
    }

    /// Who is across, where that was said.
    pub(super) fn party(&self) -> Option<&Arc<Party>> {
        self.party.as_deref().map(|(party, _)| party)
    }

    /// Who is across from now on; whether that is news.
    pub(super) fn is_across(&mut self, party: &Arc<Party>, core: &Core) -> bool {
        if self
            .party
            .as_deref()
            .is_some_and(|(known, _)| known == party)
        {
            return false;
        }
        let host = core.host(&self.dialog.peer());
        let headers = self.policy.headers_for(party);
        let lines = who::write(Fields::default(), party, host, headers, self.role);
        self.party = Some(Box::new((Arc::clone(party), lines)));
        true
    }

    /// The body of a message about the session. One that is as the last one was, as in most
    /// refreshes, is not copied.
    pub(super) fn hear(&mut self, core: &mut Core, message: &Message<'_>) -> Option<Body> {
        Body::after(message, &mut self.description, &mut core.spare.bodies)
    }

    /// The same of a message that may make an offer.
    pub(super) fn hear_offer(&mut self, core: &mut Core, message: &Message<'_>) -> Option<Body> {
        if brings_offer(message) {
            self.hear(core, message)
        } else {
            None
        }
    }

    /// A refresh by INVITE must repeat what was said; nobody else asks for it again.
    pub(super) fn describe(&mut self, body: Option<&Body>) {
        if let Some(body) = body
            && self.repeats()
        {
            match &mut self.described {
                Some(described) => body.clone_into(described),
                None => self.described = Some(Box::new(body.clone())),
            }
        }
    }

    /// An offer of ours is on its way.
    pub(super) fn propose(&mut self, body: Option<&Body>) {
        let proposed = body.filter(|_| self.repeats());
        if proposed.is_some() || self.rare.is_some() {
            self.rare_mut().proposed = proposed.map(|body| Box::new(body.clone()));
        }
    }

    /// It was accepted.
    pub(super) fn agree(&mut self) {
        let rare = self.rare.as_deref_mut();
        if let Some(body) = rare.and_then(|rare| rare.proposed.take()) {
            self.described = Some(body);
        }
    }

    fn repeats(&self) -> bool {
        self.timer.is_ours() && !self.peer.update
    }

    /// Nothing is left to be waited for.
    pub(super) fn stop(&mut self, core: &mut Core) {
        self.timer.stop(core);
        if let Some(reliable) = self.reliable_mut() {
            reliable.stop(core);
        }
    }
}

impl Abilities {
    /// RFC 3261 §20.5: without an Allow nothing is said.
    pub(super) fn hear(&mut self, message: &Message<'_>) {
        if message.header(HeaderName::Allow).is_some() {
            self.update = message.has_token(HeaderName::Allow, "UPDATE");
        }
    }
}

impl Deref for CallDialog {
    type Target = Dialog;

    fn deref(&self) -> &Dialog {
        &self.dialog
    }
}

impl DerefMut for CallDialog {
    fn deref_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }
}
