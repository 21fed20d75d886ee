//! Where requests to a far end go whose URI is a name (RFC 3263). Nobody waits for DNS: until the
//! name has been looked up, requests go the way of the peer, by which the dialog came about.

use std::time::Instant;

use offhook_shards::Transport;

use crate::counters::Counter;
use crate::dns::{Known, Place, Question, Resolved, choose};
use crate::sip::{self, Host, Scheme, Uri};

use super::core::Core;
use super::dialog::Dialog;
use super::leg::Leg;
use super::subscription::Subscription;
use super::{Target, UserAgent, UserAgentEvent};

/// How the next hop of a dialog is found. Few far ends are named by a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// Nobody has looked at its URI yet.
    #[default]
    Unread,
    /// It leads to the peer, or leaves it to the peer: most do.
    Peer,
    /// The URI says it.
    Direct,
    /// The URI names a host that has not been looked up yet.
    Named(Box<Question>),
    /// The name leads there. It stays so for as long as the URI does: an established dialog does
    /// not move when DNS changes.
    Known(Box<Target>),
}

impl Dialog {
    /// The name to look up before the next request, if there is one.
    fn question(&mut self) -> Option<&Question> {
        // Before the peer has said where it is, requests go where the first one went.
        self.remote_tag()?;
        if self.way == Way::Unread {
            self.way = self.read_way();
        }
        match &self.way {
            Way::Named(question) => Some(question),
            Way::Unread | Way::Peer | Way::Direct | Way::Known(_) => None,
        }
    }

    fn read_way(&self) -> Way {
        let Ok(uri) = Uri::parse(self.first_hop().as_bytes()) else {
            return Way::Peer;
        };
        let peer = self.peer();
        if let Some(question) = question(&uri, peer.transport) {
            return Way::Named(Box::new(question));
        }
        match self.direct(&uri) {
            Some(target) if target != peer => Way::Direct,
            Some(_) | None => Way::Peer,
        }
    }

    fn go_to(&mut self, place: &Place) {
        let same = (place.transport, place.address) == (self.peer().transport, self.peer().address);
        self.way = Way::Known(Box::new(Target {
            transport: place.transport,
            address: place.address,
            large_requests: self.peer().large_requests.filter(|_| same),
            overload_control: self.peer().overload_control,
        }));
    }
}

/// What DNS is asked for a URI; nothing where it names an address or a transport that is not ours.
fn question(uri: &Uri<'_>, peer: Transport) -> Option<Question> {
    let host = match uri.host {
        Host::Name(name) if uri.scheme == Scheme::Sip => name,
        Host::Name(_) | Host::V4(_) | Host::V6(_) => return None,
    };
    let transport = match (uri.transport(), uri.port) {
        (Some(sip::Transport::Udp), _) => Some(Transport::Udp),
        (Some(sip::Transport::Tcp), _) => Some(Transport::Tcp),
        (Some(sip::Transport::Tls), _) => Some(Transport::Tls),
        // RFC 3263 §4.1 says UDP; a peer that is reached by TCP and does not say so again means it.
        (None, Some(_)) => Some(peer),
        (None, None) => None,
        (
            Some(
                sip::Transport::Sctp
                | sip::Transport::Ws
                | sip::Transport::Wss
                | sip::Transport::Other(_),
            ),
            _,
        ) => return None,
    };
    Some(Question::new(host, uri.port, transport))
}

impl Core {
    /// Finds out where the dialog's next request goes, or has it looked up.
    fn find_way(&mut self, now: Instant, dialog: &mut Dialog) {
        let Some(question) = dialog.question() else {
            return;
        };
        let (known, ask) = self.far_ends.find(now, question);
        if ask {
            self.events
                .push_back(UserAgentEvent::LookUp(question.clone()));
        }
        match known {
            Known::Places(places) => {
                let peer = (dialog.peer().transport, dialog.peer().address);
                // Whoever we talk with already is one of the servers of that name.
                let same = |place: &&Place| (place.transport, place.address) == peer;
                let place = places.iter().find(same).copied();
                if let Some(place) = place.or_else(|| self.choose(&places)) {
                    dialog.go_to(&place);
                }
            }
            Known::Nothing => {}
            Known::Full => self.count(Counter::FarEndsFull),
        }
    }

    fn choose(&mut self, places: &[Place]) -> Option<Place> {
        let numbered: Vec<(u8, Place)> = (0..).zip(places.iter().copied()).collect();
        let chosen = choose(&numbered, |_| true, &mut |bound| self.draw(bound))?;
        places.get(usize::from(chosen)).copied()
    }
}

impl UserAgent {
    /// Where a name leads, which was asked for by [`UserAgentEvent::LookUp`] or is of use anyway.
    pub fn handle_resolved(&mut self, now: Instant, resolved: &Resolved) {
        self.core.far_ends.handle(now, resolved);
    }

    pub(super) fn find_way_of_leg(core: &mut Core, now: Instant, leg: &mut Leg) {
        // Whoever calls is not looked up before it is known whether we talk with it.
        if !matches!(leg, Leg::Ringing(_) | Leg::Over(_)) {
            core.find_way(now, leg.dialog_mut());
        }
    }

    pub(super) fn find_way_of_subscription(
        core: &mut Core,
        now: Instant,
        subscription: &mut Subscription,
    ) {
        if let Some(dialog) = subscription.awake_mut() {
            core.find_way(now, dialog);
        }
    }
}
