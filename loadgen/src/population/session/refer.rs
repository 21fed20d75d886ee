//! A transfer that this end asks for: REFER, with or without Replaces, and what its NOTIFYs
//! report (RFC 3515, 3891, 3892, 5589).

use std::time::Instant;

use offhook::sip::{HeaderName, Method, Request, Response, Status};

use super::{Session, SessionEvent, refuse};
use crate::population::dialog::text;
use crate::population::exchange::{ClientId, Exchange, ServerId};

/// A dialog, named as RFC 3891 does: for the peer that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// The Call-ID.
    pub call_id: String,
    /// The tag of the end that is asked to replace: the peer's.
    pub to_tag: String,
    /// The other tag: ours.
    pub from_tag: String,
}

impl Replaces {
    /// The value of the header.
    #[must_use]
    pub fn header(&self) -> String {
        let Self {
            call_id,
            to_tag,
            from_tag,
        } = self;
        format!("{call_id};to-tag={to_tag};from-tag={from_tag}")
    }

    /// The same inside a URI, where separators are escaped (RFC 3261 §19.1.1).
    fn escaped(&self) -> String {
        let mut escaped = String::new();
        for byte in self.header().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'~' | b'_' => {
                    escaped.push(char::from(byte));
                }
                _ => escaped.push_str(&format!("%{byte:02X}")),
            }
        }
        escaped
    }
}

/// A REFER of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Referral {
    id: ClientId,
}

impl Referral {
    pub(super) fn is(self, id: ClientId) -> bool {
        self.id == id
    }
}

impl Session {
    /// Asks the peer to call `number` in our place; with `replaces`, to take that dialog over.
    /// `false` while another transfer or the end is under way.
    pub(in crate::population) fn refer(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        number: &str,
        replaces: Option<&Replaces>,
    ) -> bool {
        if self.referral.is_some() || self.is_ending() {
            return false;
        }
        let peer = self.peer();
        let mut refer = self.dialog.request(Method::Refer);
        let target = match replaces {
            None => format!("<sip:{number}@{peer}>"),
            Some(replaces) => format!("<sip:{number}@{peer}?Replaces={}>", replaces.escaped()),
        };
        refer.field("Refer-To", &target);
        let by = refer
            .from
            .split(";tag=")
            .next()
            .unwrap_or_default()
            .to_owned();
        refer.field("Referred-By", &by);
        refer.field("Contact", &super::contact("", exchange));
        let id = exchange.send(now, peer, refer);
        self.referral = Some(Referral { id });
        true
    }

    /// The dialog as its peer knows it.
    pub(in crate::population) fn replaces(&self) -> Replaces {
        self.dialog.replaces()
    }

    pub(super) fn handle_refer_response(
        &mut self,
        id: ClientId,
        response: &Response<'_>,
    ) -> Option<SessionEvent> {
        if !self.referral?.is(id) {
            return None;
        }
        if !response.status.is_success() {
            self.referral = None;
        }
        Some(SessionEvent::Referred(response.status))
    }

    /// A NOTIFY in the dialog: what became of our REFER, or something UCM sends unasked.
    pub(super) fn handle_notify(
        &mut self,
        now: Instant,
        exchange: &mut Exchange,
        id: ServerId,
        request: &Request<'_>,
    ) -> Vec<SessionEvent> {
        let event = request.message.event().ok().flatten();
        let of_refer = event.is_some_and(|event| event.is("refer"));
        if of_refer && self.referral.is_none() {
            refuse(now, exchange, id, Status::CALL_DOES_NOT_EXIST);
            return Vec::new();
        }
        refuse(now, exchange, id, Status::OK);
        if !of_refer {
            return Vec::new();
        }
        let state = request.message.header(HeaderName::SubscriptionState);
        let over = state.is_some_and(|state| text(state).starts_with("terminated"));
        if over {
            self.referral = None;
        }
        let Some(status) = fragment(request.message.body()) else {
            return Vec::new();
        };
        // RFC 5589 §6.1: who has been replaced leaves.
        let done = status.is_success() && !self.is_ending();
        let transferred = done.then_some(SessionEvent::Transferred);
        [SessionEvent::Referred(status)]
            .into_iter()
            .chain(transferred)
            .collect()
    }
}

/// The status in a body of `message/sipfrag` (RFC 3420).
fn fragment(body: &[u8]) -> Option<Status> {
    let line = std::str::from_utf8(body).ok()?.lines().next()?;
    let code = line.strip_prefix("SIP/2.0 ")?.get(..3)?;
    code.parse().ok().map(Status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_in_a_uri_has_its_separators_escaped() {
        let replaces = Replaces {
            call_id: "a1@10.0.0.1".to_owned(),
            to_tag: "x~1".to_owned(),
            from_tag: "y".to_owned(),
        };
        assert_eq!(replaces.header(), "a1@10.0.0.1;to-tag=x~1;from-tag=y");
        assert_eq!(
            replaces.escaped(),
            "a1%4010.0.0.1%3Bto-tag%3Dx~1%3Bfrom-tag%3Dy"
        );
    }

    #[test]
    fn a_fragment_has_a_status() {
        assert_eq!(fragment(b"SIP/2.0 200 OK\r\n"), Some(Status::OK));
        assert_eq!(
            fragment(b"SIP/2.0 503 Service Unavailable"),
            Some(Status(503))
        );
        assert_eq!(fragment(b"INVITE sip:x SIP/2.0"), None);
        assert_eq!(fragment(b""), None);
    }
}
