//! What UCM puts into a message: the header set of its requests in its own order, session
//! descriptions and presence documents. The words are ours, the shape is theirs.

use std::fmt::Write as _;
use std::net::SocketAddr;

use offhook::sip::Method;

/// Every day of the simulation is this one: parties have no calendar.
const DATE: &str = "Thu, 19 Feb 2026 19:41:32 GMT";
/// What the parties call themselves.
pub(super) const USER_AGENT: &str = "Cisco-CUCM12.5";
/// The methods a UCM trunk allows.
pub(super) const ALLOW: &str =
    "INVITE, OPTIONS, INFO, BYE, CANCEL, ACK, PRACK, UPDATE, REFER, SUBSCRIBE, NOTIFY";
/// The content type of a session description.
pub(super) const SDP: &str = "application/sdp";
/// The content type of a presence document.
pub(super) const PIDF: &str = "application/pidf+xml";

/// What a party puts into every message.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// What it calls itself.
    pub(super) user_agent: String,
    /// The methods that it allows, as its Allow header says.
    pub(super) allow: String,
    /// Whether its NOTIFYs have their Via near the end.
    pub(super) via_last: bool,
    /// Whether answers agree to the session timer that a request asks for.
    pub(super) session_timers: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            user_agent: USER_AGENT.to_owned(),
            allow: ALLOW.to_owned(),
            via_last: true,
            session_timers: false,
        }
    }
}

/// A request before its branch is known.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) method: Method<'static>,
    /// The Request-URI.
    pub(super) uri: String,
    /// The value of From, with its tag.
    pub(super) from: String,
    /// The value of To, with its tag inside a dialog.
    pub(super) to: String,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// The values of Route.
    pub(super) routes: Vec<String>,
    pub(super) max_forwards: u8,
    /// Further header lines, each with its line end.
    pub(super) fields: String,
    /// Content type and bytes.
    pub(super) body: Option<(&'static str, String)>,
}

impl Outgoing {
    /// Adds a header line.
    pub(super) fn field(&mut self, name: &str, value: &str) {
        write!(self.fields, "{name}: {value}\r\n").expect("writing to a string cannot fail");
    }

    /// The message as it leaves from `address`.
    pub(super) fn render(&self, address: SocketAddr, branch: &str, style: &Style) -> Vec<u8> {
        let via = format!("Via: SIP/2.0/UDP {address};branch={branch}\r\n");
        let (body_type, body) = match &self.body {
            Some((content_type, body)) => {
                (format!("Content-Type: {content_type}\r\n"), body.as_str())
            }
            None => (String::new(), ""),
        };
        let length = format!("Content-Length: {}\r\n", body.len());
        let (from, to) = (
            format!("From: {}\r\n", self.from),
            format!("To: {}\r\n", self.to),
        );
        let call_id = format!("Call-ID: {}\r\n", self.call_id);
        let cseq = format!("CSeq: {} {}\r\n", self.cseq, self.method);
        let date = format!("Date: {DATE}\r\n");
        let agent = format!("User-Agent: {}\r\n", style.user_agent);
        let hops = format!("Max-Forwards: {}\r\n", self.max_forwards);
        let routes: String = self
            .routes
            .iter()
            .map(|route| format!("Route: {route}\r\n"))
            .collect();
        let fields = &self.fields;
        let start = format!("{} {} SIP/2.0\r\n", self.method, self.uri);
        // A NOTIFY of UCM has its Via near the end; the rest is more usual.
        let text = if self.method == Method::Notify && style.via_last {
            [
                &start, &date, &from, fields, &length, &agent, &to, &body_type, &call_id, &routes,
                &via, &cseq, &hops, "\r\n", body,
            ]
            .concat()
        } else {
            [
                &start, &via, &from, &to, &date, &call_id, &routes, fields, &agent, &cseq, &hops,
                &body_type, &length, "\r\n", body,
            ]
            .concat()
        };
        text.into_bytes()
    }
}

/// A presence document with the line ends and the namespaces of UCM.
pub(super) fn pidf(dn: &str, address: SocketAddr, open: bool, activity: Option<&str>) -> String {
    let basic = if open { "open" } else { "closed" };
    let activities = match activity {
        Some(name) => format!("<e:activities><{name}/></e:activities>"),
        None => "<e:activities></e:activities>".to_owned(),
    };
    let host = address.ip();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\n\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{dn}@{host}\"\n  \
         xmlns:e=\"urn:ietf:params:xml:ns:pidf:status:rpid\"\n  \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\"\n  \
         xmlns:ce=\"urn:cisco:params:xml:ns:pidf:rpid\"\n  \
         xmlns:sc=\"urn:ietf:params:xml:ns:pidf:servcaps\">\n  <dm:person>\n    \
         <status><basic>{basic}</basic></status>\n    {activities}\n  </dm:person>\n  \
         <tuple id=\"cmp-{dn}-162\">\n    <status><basic>{basic}</basic>\n      {activities}\
         </status>\n    <sc:servcaps><sc:audio>true</sc:audio></sc:servcaps>\n    \
         <contact priority=\"0.8\">sip:{dn}@{address}</contact>\n    \
         <timestamp>2026-02-19T19:41:32Z</timestamp>\n  </tuple>\n</presence>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook::sip::{Basic, HeaderIndex, Message, pidf as reader};

    #[test]
    fn documents_are_what_they_claim() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5062));
        let document = pidf("2001", address, true, Some("e:on-the-phone"));
        let presence = reader::parse(&document).expect("a presence document");
        assert_eq!(presence.basic, Basic::Open);
        assert!(presence.activities.iter().eq(["on-the-phone"]));
        let document = pidf("2001", address, false, None);
        let presence = reader::parse(&document).expect("a presence document");
        assert_eq!(presence.basic, Basic::Closed);
    }

    #[test]
    fn requests_are_well_formed_in_either_order() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5062));
        for method in [Method::Notify, Method::Invite] {
            let mut request = Outgoing {
                method,
                uri: "sip:7000@127.0.0.1:5060".to_owned(),
                from: "<sip:1@127.0.0.1>;tag=a".to_owned(),
                to: "<sip:7000@127.0.0.1>".to_owned(),
                call_id: "x@127.0.0.1".to_owned(),
                cseq: 101,
                routes: vec!["<sip:127.0.0.1;lr>".to_owned()],
                max_forwards: 69,
                fields: String::new(),
                body: Some((SDP, "v=0\r\n".to_owned())),
            };
            request.field("Event", "presence");
            let bytes = request.render(address, "z9hG4bK1", &Style::default());
            let mut index = HeaderIndex::new();
            assert!(Message::receive(&bytes, &mut index).is_ok());
        }
    }
}
