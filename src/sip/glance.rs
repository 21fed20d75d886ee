//! What a refusal needs of a request, found in one walk over its header lines: nothing is checked
//! beyond that. Whoever gets `None` reads the message as usual; so does everything that is odd.

use std::net::SocketAddr;

use super::cseq::CSeq;
use super::feedback::Feedback;
use super::header::HeaderName;
use super::lines::Lines;
use super::name_addr::{Address, NameAddr};
use super::scan::Elements;
use super::status::Status;
use super::via::Via;
use super::writer::{Writer, status_line};

/// Lines of Via that are repeated without a closer look.
const VIA_LINES_MAX: usize = 4;

/// What is repeated beside Via, once each.
const REPEATED: [HeaderName; 4] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
];

/// A request at a glance.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    /// The top Via.
    pub via: Via<'a>,
    /// Its branch, which begins with the magic cookie.
    pub branch: &'a str,
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The number of CSeq.
    pub cseq: u32,
    vias: [&'a [u8]; VIA_LINES_MAX],
    repeated: [&'a [u8]; REPEATED.len()],
}

/// What is asked of a message before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It opens a call, or is refused when it is read.
    Call,
    /// A CANCEL.
    Cancel,
    /// A NOTIFY.
    Notify,
    /// Anything else.
    Other,
}

impl Kind {
    /// Of which kind a message is.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = without_empty_lines(bytes);
        if bytes.starts_with(b"INVITE ") {
            match opens_call(bytes) {
                true => Self::Call,
                false => Self::Other,
            }
        } else if bytes.starts_with(b"CANCEL ") {
            Self::Cancel
        } else if bytes.starts_with(b"NOTIFY ") {
            Self::Notify
        } else {
            Self::Other
        }
    }
}

/// Without what stands before the start line (RFC 3261 §7.5).
fn without_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

fn opens_call(bytes: &[u8]) -> bool {
    let mut lines = Lines::new(bytes, 0);
    lines.start_line();
    while let Some(line) = lines.header() {
        if let Ok((Some(HeaderName::To), _, value)) = line {
            return has_no_tag(&bytes[value]);
        }
    }
    true
}

/// What names the dialog that a message is part of: its Call-ID, and the tags of both sides.
#[derive(Debug, Clone, Copy)]
pub struct DialogNames<'a> {
    /// The Call-ID.
    pub call_id: &'a str,
    /// The tag of whom it reaches, which for a response is who sent the request.
    pub local_tag: Option<&'a str>,
    /// The tag of who sends it.
    pub remote_tag: Option<&'a str>,
}

impl<'a> DialogNames<'a> {
    /// As they stand in a message of the other side.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let bytes = without_empty_lines(bytes);
        let mut lines = Lines::new(bytes, 0);
        let is_response = lines.start_line().starts_with(b"SIP/");
        let [mut from, mut to, mut call_id] = [None; 3];
        while let Some(line) = lines.header() {
            let (name, _, value) = line.ok()?;
            match name {
                Some(HeaderName::From) => from = Some(&bytes[value]),
                Some(HeaderName::To) => to = Some(&bytes[value]),
                Some(HeaderName::CallId) => call_id = Some(&bytes[value]),
                Some(_) | None => {}
            }
            if from.and(to).and(call_id).is_some() {
                break;
            }
        }
        let tag = |address| Address::parse(address).ok().map(|address| address.tag());
        let (from, to) = (tag(from?)?, tag(to?)?);
        let (local_tag, remote_tag) = match is_response {
            true => (from, to),
            false => (to, from),
        };
        Some(Self {
            call_id: std::str::from_utf8(call_id?).ok()?,
            local_tag,
            remote_tag,
        })
    }
}

impl<'a> Glance<'a> {
    /// An INVITE that opens a call.
    #[must_use]
    pub fn invite(bytes: &'a [u8]) -> Option<Self> {
        let glance = Self::of(bytes, "INVITE")?;
        let [_, to, _, _] = glance.repeated;
        has_no_tag(to).then_some(glance)
    }

    /// An ACK.
    #[must_use]
    pub fn acknowledgement(bytes: &'a [u8]) -> Option<Self> {
        Self::of(bytes, "ACK")
    }

    fn of(bytes: &'a [u8], method: &str) -> Option<Self> {
        let bytes = without_empty_lines(bytes);
        if bytes.strip_prefix(method.as_bytes())?.first() != Some(&b' ') {
            return None;
        }
        let mut lines = Lines::new(bytes, 0);
        if !lines.start_line().ends_with(b" SIP/2.0") {
            return None;
        }
        let mut vias: [&[u8]; VIA_LINES_MAX] = [b""; VIA_LINES_MAX];
        let mut via_lines = 0;
        let mut repeated = [None; REPEATED.len()];
        while let Some(line) = lines.header() {
            let (name, _, value) = line.ok()?;
            if name == Some(HeaderName::Via) {
                *vias.get_mut(via_lines)? = &bytes[value];
                via_lines += 1;
            } else if let Some(at) = REPEATED.iter().position(|known| Some(*known) == name)
                && repeated[at].replace(&bytes[value]).is_some()
            {
                return None;
            }
        }
        let [Some(from), Some(to), Some(call_id), Some(cseq)] = repeated else {
            return None;
        };
        let via = Via::first(vias[0]).ok()?;
        let number = CSeq::parse(cseq)
            .ok()
            .filter(|cseq| cseq.method.as_str() == method)?
            .number;
        lines.defect.is_none().then_some(Self {
            via,
            branch: via.unique_branch()?,
            call_id,
            cseq: number,
            vias,
            repeated: [from, to, call_id, cseq],
        })
    }

    /// The Call-ID as text and the tag of From; `None` where either is not as it should be.
    #[must_use]
    pub fn caller(&self) -> Option<(&'a str, &'a str)> {
        let [from, ..] = self.repeated;
        let from = Address::parse(from).ok()?;
        Some((std::str::from_utf8(self.call_id).ok()?, from.tag()?))
    }

    /// Writes a response without a body to this request, which came from `source`, with `lines`,
    /// each complete with its end, and what is said of overload.
    pub fn respond(
        &self,
        out: &mut Vec<u8>,
        (status, feedback): (Status, Option<Feedback>),
        source: SocketAddr,
        tag: &str,
        lines: &[u8],
    ) {
        status_line(out, status);
        let mut writer = Writer::lines(out, feedback);
        let lines_of_via = self.vias.iter().filter(|line| !line.is_empty());
        let values = lines_of_via.flat_map(|line| Elements::new(line));
        for (place, value) in values.enumerate() {
            if place == 0 {
                writer.top_via(&self.via, value, source);
            } else {
                writer.bytes(HeaderName::Via, value);
            }
        }
        let [from, to, call_id, cseq] = self.repeated;
        writer.bytes(HeaderName::From, from);
        writer.tagged_to(to, Some(tag));
        writer.bytes(HeaderName::CallId, call_id);
        writer.bytes(HeaderName::CSeq, cseq);
        out.extend_from_slice(lines);
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }
}

/// Whether a To has no tag. Most have the word nowhere, so that nothing has to be read.
fn has_no_tag(to: &[u8]) -> bool {
    let after = memchr::memrchr(b'>', to).map_or(0, |bracket| bracket + 1);
    let mut words = to[after..].windows(3);
    !words.any(|word| word.eq_ignore_ascii_case(b"tag"))
        || NameAddr::parse(to).is_ok_and(|to| to.parameters.find("tag").is_none())
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, HeaderIndex, Message, Method};
    use super::*;

    const INVITE: &str = "INVITE sip:7000@192.0.2.10 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1;rport,SIP/2.0/TCP a.example.com\r\n\
        v: SIP/2.0/UDP b.example.com;branch=2\r\nMax-Forwards: 70\r\n\
        f: \"A; tag\" <sip:100@192.0.2.20>;tag=a\r\nTo : <sip:7000@192.0.2.10>\r\n\
        Call-ID: c1\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";

    fn is_told(text: &str) -> (bool, bool) {
        let bytes = text.as_bytes();
        (
            Kind::of(bytes) == Kind::Call,
            Glance::invite(bytes).is_some(),
        )
    }

    #[test]
    fn a_response_to_what_was_glanced_at_is_the_one_to_what_was_read() {
        let source = ([192, 0, 2, 99], 5070).into();
        let glance = Glance::invite(INVITE.as_bytes()).expect("it opens a call");
        let mut glanced = Vec::new();
        let status = Status::SERVICE_UNAVAILABLE;
        glance.respond(
            &mut glanced,
            (status, None),
            source,
            "t1",
            b"Retry-After: 10\r\n",
        );
        let mut index = HeaderIndex::new();
        let Ok(Checked::Request(request)) = Message::receive(INVITE.as_bytes(), &mut index) else {
            panic!("it is a request");
        };
        assert_eq!(request.method, Method::Invite);
        let mut read = Vec::new();
        let mut writer = Writer::response(&mut read, status, &request, source, Some("t1"));
        writer.header(HeaderName::RetryAfter, 10);
        writer.end();
        assert_eq!(
            String::from_utf8_lossy(&glanced),
            String::from_utf8_lossy(&read)
        );
        assert_eq!((glance.branch, glance.call_id), ("z9hG4bK1", &b"c1"[..]));
    }

    #[test]
    fn a_dialog_is_named_by_the_tags_of_both_sides_whichever_of_them_asks() {
        let tagged = INVITE.replace("192.0.2.10>\r", "192.0.2.10>;tag=b\r");
        let names = |text: &str| {
            let names = DialogNames::of(text.as_bytes())?;
            let tags = [names.local_tag, names.remote_tag];
            Some((
                names.call_id.to_owned(),
                tags.map(|tag| tag.map(str::to_owned)),
            ))
        };
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        let named = |tags| Some(("c1".to_owned(), tags));
        assert_eq!(names(INVITE), named([None, a.clone()]));
        assert_eq!(names(&tagged), named([b.clone(), a.clone()]));
        let at = tagged.find("\r\n").expect("a line");
        let response = format!("SIP/2.0 200 OK{}", &tagged[at..]);
        assert_eq!(names(&response), named([a, b]));
        assert_eq!(names(&INVITE.replace("Call-ID: c1\r\n", "")), None);
    }

    #[test]
    fn what_is_odd_is_left_to_the_reader() {
        assert_eq!(is_told(INVITE), (true, true));
        let via = "v: SIP/2.0/UDP b.example.com;branch=2\r\n";
        // Each with whether it surely opens a call, and whether it can be refused at a glance.
        for (from, to, expected) in [
            ("INVITE sip:7000", "OPTIONS sip:7000", (false, false)),
            ("SIP/2.0\r\n", "SIP/3.0\r\n", (true, false)),
            ("192.0.2.10>\r", "192.0.2.10>;tag=b\r", (false, false)),
            ("192.0.2.10>\r", "192.0.2.10> ; TAG = b\r", (false, false)),
            ("<sip:7000@192.0.2.10>", "sip:7000@h;tag=b", (false, false)),
            ("<sip:7000@192.0.2.10>", "sip:7000@stage", (true, true)),
            ("192.0.2.10>\r", "192.0.2.10>;x=stage\r", (true, true)),
            ("INVITE sip", "\r\n\r\nINVITE sip", (true, true)),
            (
                "<sip:7000@192.0.2.10>",
                "\"a tag\" <sip:7000@h>",
                (true, true),
            ),
            ("192.0.2.10>\r", "192.0.2.10>\r\n ;tag=b\r", (false, false)),
            ("To :", "Top:", (true, false)),
            ("Max-Forwards: 70", "To: <sip:b>", (true, false)),
            ("7 INVITE", "7 OPTIONS", (true, false)),
            ("Call-ID: c1\r\n", "", (true, false)),
            ("branch=z9hG4bK1", "branch=1", (true, false)),
            ("Max-Forwards: 70", "no header", (true, false)),
            ("Content-Length: 0\r\n\r\n", "", (true, false)),
            (via, &via.repeat(VIA_LINES_MAX), (true, false)),
            (via, &via.repeat(VIA_LINES_MAX - 1), (true, true)),
        ] {
            let text = INVITE.replacen(from, to, 1);
            assert_eq!(is_told(&text), expected, "{text}");
        }
        let of = |start: &str| Kind::of(INVITE.replacen("INVITE", start, 1).as_bytes());
        let kinds = ["CANCEL", "\r\nCANCEL", "NOTIFY", "BYE"].map(of);
        let expected = [Kind::Cancel, Kind::Cancel, Kind::Notify, Kind::Other];
        assert_eq!(kinds, expected);
        let acknowledgement = INVITE.replace("INVITE", "ACK");
        assert!(Glance::acknowledgement(acknowledgement.as_bytes()).is_some());
        assert!(Glance::acknowledgement(INVITE.as_bytes()).is_none());
    }
}
