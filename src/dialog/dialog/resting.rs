//! A dialog in which nothing goes on, as that of nearly every subscription: in a third of the
//! memory. It can tell whether a request of the peer is in order; whatever else happens in it
//! wakes it first.

use std::sync::Arc;

use crate::limits::RESTING_PEERS_MAX;
use crate::sip::Request;
use crate::texts::Texts;

use super::super::Target;
use super::super::authorization::Authorization;
use super::super::far_end::Way;
use super::{Dialog, Route, Tag, is_other, seldom};

/// Places of its texts: the peer's side is as To writes it, its target the peer's Contact.
const CALL_ID: usize = 0;
const REMOTE_TAG: usize = 1;
const REMOTE: usize = 2;
const REMOTE_TARGET: usize = 3;
const TEXTS: usize = 4;

/// A dialog at rest.
#[derive(Debug)]
pub(in crate::dialog) struct Resting {
    texts: Texts<TEXTS>,
    local_tag: Tag,
    local_cseq: u32,
    remote_cseq: u32,
    shared: Arc<Shared>,
    authorization: Option<Box<Authorization>>,
}

/// What the dialogs with one peer have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shared {
    local: Box<str>,
    contact_user: Box<str>,
    peer: Target,
    routes: Box<[Route]>,
    way: Way,
}

/// What dialogs that went to rest have in common: those of one peer share one copy.
#[derive(Debug, Default)]
pub(in crate::dialog) struct Peers {
    /// Those used last, the newest first.
    known: Vec<Arc<Shared>>,
}

impl Peers {
    fn shared(&mut self, dialog: &Dialog) -> Arc<Shared> {
        let is_same = |known: &Arc<Shared>| {
            known.peer == dialog.peer()
                && *known.local == *dialog.local()
                && *known.contact_user == *dialog.contact_user()
                && *known.routes == *dialog.routes()
                && known.way == dialog.way
        };
        let shared = match self.known.iter().position(is_same) {
            Some(place) => self.known.remove(place),
            None => {
                self.known.truncate(RESTING_PEERS_MAX - 1);
                Arc::new(Shared {
                    local: dialog.local().into(),
                    contact_user: dialog.contact_user().into(),
                    peer: dialog.peer(),
                    routes: dialog.routes().into(),
                    way: dialog.way.clone(),
                })
            }
        };
        self.known.insert(0, Arc::clone(&shared));
        shared
    }
}

impl Dialog {
    /// Lays the dialog to rest, or gives it back where it cannot: no request of the peer has come,
    /// the way to it is not known yet, or it has what a subscription does not have.
    pub(in crate::dialog) fn rest(
        mut self: Box<Self>,
        peers: &mut Peers,
    ) -> Result<Resting, Box<Self>> {
        let has_way = match self.way {
            Way::Peer | Way::Direct | Way::Known(_) => true,
            Way::Unread | Way::Named(_) => false,
        };
        let (Some(remote_cseq), Some(remote_tag), true, None, false) = (
            self.remote_cseq,
            self.remote_tag(),
            has_way,
            &self.session_id,
            self.is_focus,
        ) else {
            return Err(self);
        };
        let texts = Texts::new([
            self.call_id(),
            remote_tag,
            self.remote(),
            self.remote_target(),
        ]);
        Ok(Resting {
            texts,
            local_tag: self.local_tag,
            local_cseq: self.local_cseq,
            remote_cseq,
            shared: peers.shared(&self),
            authorization: self.authorization.take(),
        })
    }
}

impl Resting {
    pub(in crate::dialog) fn call_id(&self) -> &str {
        self.texts.get(CALL_ID)
    }

    pub(in crate::dialog) fn local_tag(&self) -> Tag {
        self.local_tag
    }

    /// The number of the last request of ours.
    pub(in crate::dialog) fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// As [`Dialog::is_with`].
    pub(in crate::dialog) fn is_with(&self, tag: Option<&str>) -> bool {
        self.texts.get(REMOTE_TAG) == tag.unwrap_or_default()
    }

    /// As [`Dialog::advances`], where no number may come again.
    pub(in crate::dialog) fn advances(&mut self, cseq: u32) -> bool {
        let in_order = cseq > self.remote_cseq;
        if in_order {
            self.remote_cseq = cseq;
        }
        in_order
    }

    /// Whether a request has another Contact than the peer had.
    pub(in crate::dialog) fn is_moved_by(&self, request: &Request<'_>) -> bool {
        let contact = request.contact.as_ref();
        contact.is_some_and(|contact| is_other(contact, self.texts.get(REMOTE_TARGET)))
    }

    /// The dialog as it was before it went to rest.
    pub(in crate::dialog) fn wake(mut self) -> Dialog {
        let authorization = self.authorization.take();
        Dialog {
            authorization,
            ..self.dialog()
        }
    }

    /// The dialog without what shows who we are.
    pub(in crate::dialog) fn dialog(&self) -> Dialog {
        let text = |place: usize| self.texts.get(place);
        let shared = &*self.shared;
        Dialog {
            texts: Texts::new([
                text(CALL_ID),
                text(REMOTE_TAG),
                &shared.local,
                text(REMOTE),
                text(REMOTE_TARGET),
                &shared.contact_user,
            ]),
            local_tag: self.local_tag,
            has_remote_tag: true,
            routes: seldom(shared.routes.clone()),
            way: shared.way.clone(),
            local_cseq: self.local_cseq,
            remote_cseq: Some(self.remote_cseq),
            peer: shared.peer.into(),
            is_focus: false,
            session_id: None,
            authorization: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use offhook_shards::Transport;

    use crate::journal::field::Field;

    use super::super::{Opening, Place};
    use super::*;

    fn dialog(dn: u16) -> Box<Dialog> {
        let mut dialog = Dialog::open(&Opening {
            call_id: format!("call-{dn}"),
            local_tag: Tag(u64::from(dn)),
            local: "<sip:offhook@192.0.2.10>".to_owned(),
            request_uri: &format!("sip:{dn}@pbx"),
            target: Target {
                transport: Transport::Udp,
                address: ([192, 0, 2, 20], 5060).into(),
                large_requests: None,
                overload_control: false,
            },
            contact_user: "offhook",
            is_focus: false,
        });
        dialog.texts.replace([
            (Place::RemoteTag, &*format!("tag-{dn}")),
            (Place::RemoteTarget, &*format!("sip:{dn}@192.0.2.20:5060")),
        ]);
        dialog.has_remote_tag = true;
        dialog.remote_cseq = Some(7);
        dialog.way = Way::Direct;
        Box::new(dialog)
    }

    fn written(dialog: &Dialog) -> Vec<u8> {
        let mut bytes = Vec::new();
        dialog.write(&mut bytes);
        bytes
    }

    #[test]
    fn what_wakes_is_what_went_to_rest() {
        let before = written(&dialog(20_000));
        let resting = dialog(20_000).rest(&mut Peers::default());
        let mut resting = resting.expect("nothing goes on in it");
        assert!(resting.is_with(Some("tag-20000")) && !resting.is_with(None));
        assert!(!resting.advances(7) && resting.advances(8));
        let woken = resting.wake();
        assert_eq!((&woken.way, woken.remote_cseq), (&Way::Direct, Some(8)));
        let remote_cseq = Some(7);
        assert_eq!(
            written(&Dialog {
                remote_cseq,
                ..woken
            }),
            before
        );
    }

    #[test]
    fn a_dialog_whose_way_is_not_known_does_not_rest() {
        let mut unread = dialog(20_000);
        unread.way = Way::Unread;
        assert!(unread.rest(&mut Peers::default()).is_err());
    }

    #[test]
    fn what_dialogs_with_one_peer_have_in_common_is_kept_once_for_so_many_peers() {
        let mut peers = Peers::default();
        let mut rest = |dn, port| {
            let mut dialog = dialog(dn);
            let mut peer = dialog.peer();
            peer.address.set_port(port);
            dialog.peer = peer.into();
            let resting = dialog.rest(&mut peers).expect("nothing goes on in it");
            (resting.shared, peers.known.len())
        };
        let (first, _) = rest(20_000, 1);
        let (same, known) = rest(20_001, 1);
        assert!(Arc::ptr_eq(&first, &same) && known == 1);
        let others = u16::try_from(RESTING_PEERS_MAX).expect("it is small") + 1;
        for port in 2..=others {
            assert!(rest(20_002, port).1 <= RESTING_PEERS_MAX);
        }
        assert!(!Arc::ptr_eq(&first, &rest(20_003, 1).0), "forgotten");
    }
}
