//! What each party of a call has been told about the media, read off the wire. Every description
//! of the server's is held against those before it in its dialog (RFC 3264 §8), and the last ones
//! say who has whom. A party can stand behind a gateway that offers video too, so that the order
//! of the `m=` lines differs from party to party.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;

use offhook::sip::{Checked, Direction, HeaderIndex, Message, Method, Request, Response, Sdp};

use super::network::Flight;
use super::world::World;

/// What a party's own offers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    Audio,
    VideoFirst,
    VideoLast,
}

/// One `m=` line of a session: its kind, and what follows the port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    kind: String,
    rest: String,
}

/// The last description of one side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    /// The `o=` line without its version.
    origin: String,
    version: u64,
    text: String,
    /// Where audio is wanted.
    at: Option<SocketAddr>,
    direction: Option<Direction>,
}

/// A dialog of the server's with one party.
#[derive(Debug)]
struct Dialog {
    offers: Offers,
    lines: Vec<Line>,
    by_server: Option<Said>,
    by_party: Option<Said>,
    is_over: bool,
    /// Whether a request had a description, by whether the server sent it and its CSeq.
    described: BTreeMap<(bool, u32), bool>,
}

/// What a message is to a dialog.
struct Meaning {
    call_id: String,
    /// Who is called, or nobody's number, where it begins a dialog.
    begins: Option<String>,
    ends: bool,
    is_offer: bool,
    body: String,
}

/// All dialogs so far.
pub struct Descriptions {
    server: SocketAddr,
    /// What who is called offers; callers have no number.
    offers: fn(&str) -> Offers,
    dialogs: BTreeMap<String, Dialog>,
    pub faults: Vec<String>,
}

impl Descriptions {
    /// Reads everything that is said in a world from now on.
    pub fn read(world: &mut World, offers: fn(&str) -> Offers) -> Rc<RefCell<Self>> {
        let all = Rc::new(RefCell::new(Self {
            server: world.cluster.address,
            offers,
            dialogs: BTreeMap::new(),
            faults: Vec::new(),
        }));
        let reader = Rc::clone(&all);
        world.network.rewrite = Some(Box::new(move |flight| reader.borrow_mut().passes(flight)));
        all
    }

    /// A message passes between the server and a party.
    fn passes(&mut self, flight: &mut Flight) {
        let goes_out = flight.from == self.server;
        let Some(meaning) = self.meaning(goes_out, flight) else {
            return;
        };
        if let Some(number) = &meaning.begins {
            let dialog = Dialog {
                offers: (self.offers)(number),
                lines: Vec::new(),
                by_server: None,
                by_party: None,
                is_over: false,
                described: BTreeMap::new(),
            };
            self.dialogs.insert(meaning.call_id.clone(), dialog);
            // What the first request says counts like every other.
            self.meaning(goes_out, flight);
        }
        let Some(dialog) = self.dialogs.get_mut(&meaning.call_id) else {
            return;
        };
        dialog.is_over |= meaning.ends;
        if meaning.body.is_empty() {
            return;
        }
        let body = if goes_out {
            let verdict = dialog.server_says(&meaning);
            let fault = |fault| format!("{fault} in {}:\n{}", meaning.call_id, meaning.body);
            self.faults.extend(verdict.err().map(fault));
            dialog.without_video(&meaning.body)
        } else {
            dialog.party_says(&meaning)
        };
        if body != meaning.body {
            let head = flight.bytes.len() - meaning.body.len();
            let head = String::from_utf8_lossy(&flight.bytes[..head]).into_owned();
            let length = format!("Content-Length: {}\r\n", meaning.body.len());
            assert!(head.contains(&length), "{head}");
            let own = format!("Content-Length: {}\r\n", body.len());
            flight.bytes = (head.replace(&length, &own) + &body).into_bytes();
        }
    }

    /// Reads a message of a call; `None` for every other.
    fn meaning(&mut self, goes_out: bool, flight: &Flight) -> Option<Meaning> {
        let mut index = HeaderIndex::default();
        match Message::receive(&flight.bytes, &mut index).ok()? {
            Checked::Request(request) => self.request(goes_out, flight, &request),
            Checked::Response(response) => self.response(goes_out, &response),
        }
    }

    fn request(
        &mut self,
        goes_out: bool,
        flight: &Flight,
        request: &Request<'_>,
    ) -> Option<Meaning> {
        let body = String::from_utf8_lossy(request.message.body()).into_owned();
        let may_offer = matches!(request.method, Method::Invite | Method::Update);
        let key = (goes_out, request.cseq);
        if let Some(dialog) = self.dialogs.get_mut(request.call_id)
            && may_offer
        {
            dialog.described.insert(key, !body.is_empty());
        }
        let is_first = request.method == Method::Invite && request.to_tag.is_none();
        let begins = is_first && !self.dialogs.contains_key(request.call_id);
        // Calls to the server of media are nobody's.
        let is_party = flight.to == self.server || flight.to.to_string().starts_with("10.0.1.");
        let number = match goes_out {
            true => request.uri.user.unwrap_or_default().to_owned(),
            false => String::new(),
        };
        Some(Meaning {
            call_id: request.call_id.to_owned(),
            begins: (begins && is_party).then_some(number),
            ends: matches!(request.method, Method::Bye | Method::Cancel),
            is_offer: may_offer,
            body: match request.method {
                Method::Invite | Method::Update | Method::Ack => body,
                _ => String::new(),
            },
        })
    }

    fn response(&self, goes_out: bool, response: &Response<'_>) -> Option<Meaning> {
        let dialog = self.dialogs.get(response.call_id)?;
        let described = dialog.described.get(&(!goes_out, response.cseq))?;
        let body = String::from_utf8_lossy(response.message.body()).into_owned();
        Some(Meaning {
            call_id: response.call_id.to_owned(),
            begins: None,
            ends: false,
            is_offer: !described,
            body,
        })
    }

    /// Whether a session has these media, in this order.
    pub fn was_told(&self, kinds: &[&str]) -> bool {
        let mut dialogs = self.dialogs.values();
        dialogs.any(|dialog| {
            dialog
                .lines
                .iter()
                .map(|line| &*line.kind)
                .eq(kinds.iter().copied())
        })
    }

    /// Whether there are two parties, and each has been told where the other one wants its audio,
    /// which goes both ways.
    pub fn two_have_each_other(&self) -> Result<(), String> {
        if let Some(fault) = self.faults.first() {
            return Err(fault.clone());
        }
        let live: Vec<_> = self
            .dialogs
            .values()
            .filter(|dialog| !dialog.is_over)
            .collect();
        let [one, other] = live[..] else {
            return Err(format!("{} dialogs are left", live.len()));
        };
        for (dialog, partner) in [(one, other), (other, one)] {
            let (Some(told), Some(own)) = (&dialog.by_server, &dialog.by_party) else {
                return Err(format!("half a session: {dialog:?}"));
            };
            let both = Some(Direction::SendReceive);
            let at = partner.by_party.as_ref().and_then(|said| said.at);
            if told.at.is_none() || told.at != at {
                return Err(format!("{told:?} where the partner is at {at:?}"));
            }
            if (told.direction, own.direction) != (both, both) {
                return Err(format!("not both ways: {told:?}, {own:?}"));
            }
        }
        Ok(())
    }
}

impl Dialog {
    /// Takes a description of the server's, which must follow from what was agreed before.
    fn server_says(&mut self, meaning: &Meaning) -> Result<(), String> {
        let (said, lines) = read(&meaning.body)?;
        let is_short = lines.len() < self.lines.len();
        let kinds = lines.iter().zip(&self.lines);
        let is_other = kinds.clone().any(|(line, before)| line.kind != before.kind);
        let is_longer = !meaning.is_offer && lines.len() != self.lines.len();
        let before = self.by_server.replace(said.clone());
        self.lines = lines;
        if is_short || is_other || is_longer {
            return Err("the m= lines are not those of the session".to_owned());
        }
        match before {
            Some(before) if before.origin != said.origin => {
                Err(format!("another o= line than {}", before.origin))
            }
            Some(before) if before.version > said.version => {
                Err(format!("version {} comes again", before.version))
            }
            Some(before) if before.version == said.version && before.text != said.text => {
                Err(format!("version {} has other words", before.version))
            }
            _ => Ok(()),
        }
    }

    /// Takes a description of the party's, and has its gateway add the video.
    fn party_says(&mut self, meaning: &Meaning) -> String {
        let body = &meaning.body;
        let (said, own) = read(body).expect("parties describe what can be read");
        self.by_party = Some(said);
        if self.offers == Offers::Audio {
            self.lines = own;
            return body.clone();
        }
        if meaning.is_offer && !self.lines.iter().any(|line| line.kind == "video") {
            let video = Line {
                kind: "video".to_owned(),
                rest: "RTP/AVP 31".to_owned(),
            };
            let first = self.lines.is_empty() && self.offers == Offers::VideoFirst;
            if self.lines.is_empty() {
                self.lines = own;
            }
            let at = if first { 0 } else { self.lines.len() };
            self.lines.insert(at, video);
        }
        let (mut text, sections) = sections(body);
        let port = if meaning.is_offer { 5_004 } else { 0 };
        let mut audio = sections
            .iter()
            .find(|section| section.starts_with("m=audio"));
        for Line { kind, rest } in &self.lines {
            match (kind.as_str(), audio.take_if(|_| kind == "audio")) {
                (_, Some(audio)) => text.push_str(audio),
                ("video", None) => write!(text, "m=video {port} {rest}\r\n").expect("a string"),
                (kind, None) => write!(text, "m={kind} 0 {rest}\r\n").expect("a string"),
            }
        }
        text
    }

    /// What the gateway leaves of a description of the server's.
    fn without_video(&self, body: &str) -> String {
        if self.offers == Offers::Audio {
            return body.to_owned();
        }
        let (text, sections) = sections(body);
        let audio = sections
            .iter()
            .find(|section| section.starts_with("m=audio"));
        text + audio.map_or("", String::as_str)
    }
}

/// A description: what is said in it, and its `m=` lines.
fn read(body: &str) -> Result<(Said, Vec<Line>), String> {
    let sdp = Sdp::parse(body.as_bytes()).map_err(|fault| format!("{fault:?}"))?;
    let audio = sdp
        .media()
        .find(|media| media.kind == "audio" && media.port != 0);
    let at = audio.as_ref().and_then(|media| {
        let address = media.address?.parse().ok()?;
        Some(SocketAddr::new(address, media.port))
    });
    let origin = &sdp.origin;
    let said = Said {
        origin: format!("{} {} {}", origin.username, origin.session, origin.address),
        version: origin.version,
        text: body.to_owned(),
        at,
        direction: audio.map(|media| media.direction),
    };
    let line = |media: offhook::sip::Media<'_>| Line {
        kind: media.kind.to_owned(),
        rest: format!("{} {}", media.protocol, media.formats),
    };
    Ok((said, sdp.media().map(line).collect()))
}

/// What stands before the first `m=` line, and each medium's lines.
fn sections(body: &str) -> (String, Vec<String>) {
    let mut session = String::new();
    let mut sections: Vec<String> = Vec::new();
    for line in body.split_inclusive("\r\n") {
        if line.starts_with("m=") {
            sections.push(String::new());
        }
        sections.last_mut().unwrap_or(&mut session).push_str(line);
    }
    (session, sections)
}
