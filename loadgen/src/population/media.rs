//! What one end of a call has told and heard about its audio (RFC 3264): the descriptions it
//! writes, and what those of its peer mean for who hears whom.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use offhook::sip::{Direction, Sdp};

use super::truth::Fault;

/// The format of our own offers.
const FORMATS: [&str; 3] = ["0", "8", "101"];

/// Which way audio flows, seen from the end that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Both ways.
    Both,
    /// Only away: a hold with music.
    SendOnly,
    /// Only in: what a hold with music is answered with.
    ReceiveOnly,
    /// Nothing: how UCM begins a hold.
    Inactive,
}

impl Flow {
    fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::Both,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    pub(super) fn sends(self) -> bool {
        matches!(self, Self::Both | Self::SendOnly)
    }

    pub(super) fn receives(self) -> bool {
        matches!(self, Self::Both | Self::ReceiveOnly)
    }

    /// RFC 3264 §6.1: what may be answered to this by an end that wants `wish`.
    fn answered(self, wish: Self) -> Self {
        Self::of(
            wish.sends() && self.receives(),
            wish.receives() && self.sends(),
        )
    }

    fn attribute(self) -> &'static str {
        match self {
            Self::Both => "",
            Self::SendOnly => "a=sendonly\r\n",
            Self::ReceiveOnly => "a=recvonly\r\n",
            Self::Inactive => "a=inactive\r\n",
        }
    }
}

impl From<Direction> for Flow {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::SendReceive => Self::Both,
            Direction::SendOnly => Self::SendOnly,
            Direction::ReceiveOnly => Self::ReceiveOnly,
            Direction::Inactive => Self::Inactive,
        }
    }
}

/// What the peer said about the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    /// Where it wants to receive; `None` when it wants to nowhere.
    at: Option<SocketAddr>,
    flow: Flow,
}

/// One `m=` line of the session; their number and order never change (RFC 3264 §8).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    kind: String,
    protocol: String,
    formats: String,
    /// Whether it is our audio; every other one is refused.
    ours: bool,
}

/// The `o=` line of the peer and the whole description, to see that one follows from the other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    session: String,
    version: u64,
    body: Vec<u8>,
}

/// The audio of one end of a call.
#[derive(Debug, Clone)]
pub(super) struct Media {
    /// Where the party wants to receive.
    pub(super) here: SocketAddr,
    session: u64,
    version: u32,
    /// Which way the party wants the audio to flow.
    wish: Flow,
    /// Which way our last offer, not answered yet, says.
    offered: Option<Flow>,
    /// Which way we said in the last offer or answer that counts.
    told: Flow,
    heard: Option<Heard>,
    lines: Vec<Line>,
    origin: Option<Origin>,
}

impl Media {
    pub(super) fn new(here: SocketAddr, session: u64) -> Self {
        Self {
            here,
            session,
            version: 0,
            wish: Flow::Both,
            offered: None,
            told: Flow::Both,
            heard: None,
            lines: Vec::new(),
            origin: None,
        }
    }

    /// Where the peer wants our audio, if we send and it receives.
    pub(super) fn sends_to(&self) -> Option<SocketAddr> {
        let heard = self.heard?;
        heard
            .at
            .filter(|_| self.told.sends() && heard.flow.receives())
    }

    /// Where the audio that we hear comes from, if any may come.
    pub(super) fn hears(&self) -> Option<SocketAddr> {
        let heard = self.heard?;
        heard
            .at
            .filter(|_| self.told.receives() && heard.flow.sends())
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn is_offering(&self) -> bool {
        self.offered.is_some()
    }

    /// Which way the party wants the audio to flow.
    pub(super) fn wish(&self) -> Flow {
        self.wish
    }

    /// A hold of ours is over.
    pub(super) fn want_both(&mut self) {
        self.wish = Flow::Both;
    }

    /// An offer that says `flow`.
    pub(super) fn offer(&mut self, flow: Flow) -> String {
        self.version += 1;
        self.offered = Some(flow);
        self.want_audio();
        self.write(flow)
    }

    /// Makes sure that one of the media is our audio: the first audio there is, else a new one.
    fn want_audio(&mut self) {
        if self.lines.iter().any(|line| line.ours) {
            return;
        }
        let audio = Line {
            kind: "audio".to_owned(),
            protocol: "RTP/AVP".to_owned(),
            formats: FORMATS.join(" "),
            ours: true,
        };
        match self.lines.iter_mut().find(|line| line.kind == "audio") {
            Some(line) => *line = audio,
            None => self.lines.push(audio),
        }
    }

    /// Our offer was refused or taken back: everything is as it was (RFC 3261 §14.1).
    pub(super) fn withdraw(&mut self) {
        self.offered = None;
    }

    /// Takes the answer to our offer.
    pub(super) fn take_answer(&mut self, answer: &[u8]) -> Result<(), Fault> {
        let Some(offered) = self.offered.take() else {
            return Ok(());
        };
        (self.wish, self.told) = (offered, offered);
        let description = Sdp::parse(answer).map_err(|_| Fault::NotADescription)?;
        let changed = self.follow(&description, answer);
        if description.media_count != self.lines.len() {
            return Err(Fault::AnswerMisfits);
        }
        let audio = description
            .media()
            .zip(&self.lines)
            .find_map(|(media, line)| line.ours.then_some(media));
        let heard = audio.map(|media| heard(&media));
        self.heard = heard;
        // RFC 3264 §6.1: an answer sends only what the offer receives, and the other way round.
        let fits = heard.is_none_or(|heard| {
            let allowed = offered.answered(Flow::Both);
            let within = |said: bool, may: bool| may || !said;
            heard.at.is_none()
                || (within(heard.flow.sends(), allowed.sends())
                    && within(heard.flow.receives(), allowed.receives()))
        });
        if !fits {
            return Err(Fault::AnswerMisfits);
        }
        changed
    }

    /// Takes an offer and answers it.
    pub(super) fn answer(&mut self, offer: &[u8]) -> (Option<String>, Result<(), Fault>) {
        let Ok(description) = Sdp::parse(offer) else {
            return (None, Err(Fault::NotADescription));
        };
        let followed = self.follow(&description, offer);
        let fewer = description.media_count < self.lines.len();
        let mut ours = false;
        let mut audio = None;
        self.lines = description
            .media()
            .map(|media| {
                let is_audio = !ours && media.kind == "audio" && media.port != 0;
                if is_audio {
                    (ours, audio) = (true, Some(heard(&media)));
                }
                Line {
                    kind: media.kind.to_owned(),
                    protocol: media.protocol.to_owned(),
                    formats: formats(media.formats, is_audio),
                    ours: is_audio,
                }
            })
            .collect();
        self.heard = audio;
        self.version += 1;
        self.told = audio.map_or(Flow::Inactive, |heard| heard.flow.answered(self.wish));
        let verdict = if fewer {
            Err(Fault::MediaDropped)
        } else {
            followed
        };
        (Some(self.write(self.told)), verdict)
    }

    /// RFC 3264 §8: a new description of the session has its `o=` line with a higher version; the
    /// same version is the same description. One that refuses everything ends a call and has none.
    fn follow(&mut self, description: &Sdp<'_>, body: &[u8]) -> Result<(), Fault> {
        if description.media().all(|media| media.port == 0) {
            return Ok(());
        }
        let origin = Origin {
            session: format!(
                "{} {} {}",
                description.origin.username, description.origin.session, description.origin.address
            ),
            version: description.origin.version,
            body: body.to_vec(),
        };
        let before = self.origin.replace(origin);
        let (Some(before), Some(after)) = (before, &self.origin) else {
            return Ok(());
        };
        let follows =
            before.session == after.session && (before.version < after.version || before == *after);
        if follows {
            Ok(())
        } else {
            Err(Fault::OriginChanged)
        }
    }

    fn write(&self, flow: Flow) -> String {
        let host = self.here.ip();
        let family = if host.is_ipv6() { "IP6" } else { "IP4" };
        let (session, version) = (self.session, self.version);
        let mut text = format!(
            "v=0\r\no=CiscoSystemsCCM-SIP {session} {version} IN {family} {host}\r\n\
             s=SIP Call\r\nc=IN {family} {host}\r\nb=AS:64\r\nt=0 0\r\n"
        );
        for line in &self.lines {
            let port = if line.ours { self.here.port() } else { 0 };
            let Line {
                kind,
                protocol,
                formats,
                ..
            } = line;
            write!(text, "m={kind} {port} {protocol} {formats}\r\n")
                .expect("writing to a string cannot fail");
            if line.ours {
                text.push_str(
                    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n",
                );
                text.push_str(flow.attribute());
            }
        }
        text
    }
}

fn heard(media: &offhook::sip::Media<'_>) -> Heard {
    let address = media
        .address
        .and_then(|address| address.parse::<IpAddr>().ok())
        .filter(|address| !address.is_unspecified());
    Heard {
        at: address
            .filter(|_| media.port != 0)
            .map(|address| SocketAddr::new(address, media.port)),
        flow: media.direction.into(),
    }
}

/// What of the offered formats we take; all of them if none is ours.
fn formats(offered: &str, ours: bool) -> String {
    let known = offered
        .split_ascii_whitespace()
        .filter(|format| FORMATS.contains(format))
        .collect::<Vec<_>>()
        .join(" ");
    if ours && !known.is_empty() {
        known
    } else {
        offered.to_owned()
    }
}

/// On which side of the PBX an end of a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// A phone, by its place.
    Phone(usize),
    /// A caller.
    Caller,
}

/// Where an end of a call receives audio. Behind a PBX that is never the PBX itself; here each
/// end has an address of its own, so that descriptions tell who they are from.
pub(super) fn place(pbx: SocketAddr, side: Side, number: u64) -> SocketAddr {
    let within = |number: u64| u16::try_from(number % 8_192).unwrap_or(0);
    let port = 16_384 + 2 * within(number);
    let host = match (pbx.ip(), side) {
        (IpAddr::V4(pbx), side) => {
            let [network, ..] = pbx.octets();
            let (half, host) = match side {
                Side::Phone(phone) => (0x40, phone as u64),
                Side::Caller => (0x80, number / 8_192),
            };
            let [.., high, middle, low] = (host & 0x3f_ffff).to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(network, half | high, middle, low))
        }
        (host @ IpAddr::V6(_), _) => host,
    };
    SocketAddr::new(host, port)
}

/// Whether `other` can be such a place, seen from one of them: neither a PBX nor a media server.
pub(super) fn is_place(here: SocketAddr, other: SocketAddr) -> bool {
    match (here.ip(), other.ip()) {
        (IpAddr::V4(here), IpAddr::V4(other)) => {
            let ([network, ..], [other_network, half, ..]) = (here.octets(), other.octets());
            network == other_network && half >= 0x40
        }
        (IpAddr::V6(here), IpAddr::V6(other)) => here == other,
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(number: u64) -> Media {
        let pbx = SocketAddr::from(([127, 0, 0, 1], 5060));
        Media::new(place(pbx, Side::Caller, number), number)
    }

    /// One exchange; what each then sends to whom.
    fn exchange(from: &mut Media, to: &mut Media, flow: Flow) {
        let offer = from.offer(flow);
        let (answer, verdict) = to.answer(offer.as_bytes());
        assert_eq!(verdict, Ok(()));
        let answer = answer.expect("an offer that can be read has an answer");
        assert_eq!(from.take_answer(answer.as_bytes()), Ok(()));
    }

    #[test]
    fn two_ends_hear_each_other_hold_and_resume() {
        let (mut one, mut two) = (media(1), media(2));
        exchange(&mut one, &mut two, Flow::Both);
        let ways = |one: &Media, two: &Media| {
            let is = |from: Option<SocketAddr>, end: &Media| from == Some(end.here);
            (
                is(one.sends_to(), two),
                is(one.hears(), two),
                is(two.sends_to(), one),
                is(two.hears(), one),
            )
        };
        assert_eq!(ways(&one, &two), (true, true, true, true));
        exchange(&mut one, &mut two, Flow::SendOnly);
        assert_eq!(ways(&one, &two), (true, false, false, true));
        exchange(&mut one, &mut two, Flow::Inactive);
        assert_eq!(ways(&one, &two), (false, false, false, false));
        // Who holds goes on holding when the other side asks for more.
        exchange(&mut two, &mut one, Flow::Both);
        assert_eq!(ways(&one, &two), (false, false, false, false));
        exchange(&mut one, &mut two, Flow::Both);
        assert_eq!(ways(&one, &two), (true, true, true, true));
    }

    #[test]
    fn an_offer_that_is_refused_leaves_everything_as_it_was() {
        let (mut one, mut two) = (media(1), media(2));
        exchange(&mut one, &mut two, Flow::Both);
        let offer = one.offer(Flow::Inactive);
        assert!(one.is_offering() && offer.contains("a=inactive"));
        one.withdraw();
        assert_eq!(one.sends_to(), Some(two.here));
        exchange(&mut two, &mut one, Flow::Both);
        assert_eq!(one.hears(), Some(two.here));
    }

    #[test]
    fn media_keep_their_number_and_strangers_are_refused() {
        let mut one = media(1);
        let offer = "v=0\r\no=- 7 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n\
                     m=video 5000 RTP/AVP 31\r\nm=audio 5002 RTP/AVP 18 0\r\n";
        let (answer, verdict) = one.answer(offer.as_bytes());
        let answer = answer.expect("an answer");
        assert_eq!(verdict, Ok(()));
        assert!(answer.contains("m=video 0 RTP/AVP 31\r\n"), "{answer}");
        assert!(answer.contains("RTP/AVP 0\r\n"), "{answer}");
        let again = one.offer(Flow::Both);
        assert!(again.find("m=video 0") < again.find("m=audio"), "{again}");
        let short = again.replace("m=video 0 RTP/AVP 31\r\n", "");
        assert_eq!(one.take_answer(short.as_bytes()), Err(Fault::AnswerMisfits));
        let shrunk = offer
            .replace("m=video 5000 RTP/AVP 31\r\n", "")
            .replace(" 7 1 ", " 7 2 ");
        assert_eq!(one.answer(shrunk.as_bytes()).1, Err(Fault::MediaDropped));
    }

    #[test]
    fn what_breaks_offer_and_answer_is_a_fault() {
        let (mut one, mut two) = (media(1), media(2));
        let offer = one.offer(Flow::SendOnly);
        let answer = two.offer(Flow::Both);
        let both = one.take_answer(answer.as_bytes());
        assert_eq!(both, Err(Fault::AnswerMisfits), "{offer}");
        two.withdraw();
        exchange(&mut one, &mut two, Flow::Both);
        let _ = one.offer(Flow::Both);
        let other = media(3).offer(Flow::Both);
        assert_eq!(one.take_answer(other.as_bytes()), Err(Fault::OriginChanged));
        assert_eq!(one.answer(b"nonsense").1, Err(Fault::NotADescription));
    }

    #[test]
    fn nowhere_is_no_place_to_send_to() {
        let mut one = media(1);
        let _ = one.offer(Flow::Both);
        let held = "v=0\r\no=- 7 1 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n\
                    m=audio 9 RTP/AVP 0\r\n";
        assert_eq!(one.take_answer(held.as_bytes()), Ok(()));
        assert_eq!((one.sends_to(), one.hears()), (None, None));
        // RFC 3725 flow IV begins with an offer of no media at all.
        let (answer, _) = one.answer(b"v=0\r\no=- 7 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
        assert!(!answer.expect("an answer").contains("m="));
    }

    #[test]
    fn every_end_has_an_address_of_its_own() {
        let pbx = SocketAddr::from(([127, 0, 0, 1], 5060));
        let places = [
            place(pbx, Side::Phone(0), 1),
            place(pbx, Side::Phone(1), 1),
            place(pbx, Side::Phone(70_000), 1),
            place(pbx, Side::Caller, 1),
            place(pbx, Side::Caller, 8_193),
        ];
        let mut distinct = places.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), places.len());
        assert!(places.iter().all(|place| place.ip().is_loopback()));
    }
}
