//! What the network alone has kept from coming to its end: whoever waits for an answer of which
//! every copy was lost, or whose request never arrived, may say that nobody answered. Nothing else
//! is excused, not even where one copy came through.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use offhook::sip::{Checked, HeaderIndex, Message, Method, Request, Response};
use offhook_loadgen::population::{Fault, Token};

use super::network::Flight;
use super::waits::Waits;

/// For how long a request is repeated before it is given up: 64·T1, but for what the last copies
/// are on their way.
const REPEATED: Duration = Duration::from_millis(31_000);

/// 64·T1: then it is given up.
const GIVEN_UP: Duration = Duration::from_millis(31_999);

/// T2: of a 2xx that asks for an answer, and is heard for the first time so long before its sender
/// gives it up, or later, nobody can know that it has to be acknowledged at once.
const HEARD_LATE: Duration = Duration::from_secs(4);
/// The server answers an UPDATE in that time, whatever becomes of who is across.
const IN_TIME: Duration = Duration::from_secs(28);

/// For how long after that it has consequences.
const FELT: Duration = Duration::from_secs(120);

/// Where the server is.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// Where the server of media is.
const MEDIA: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 1));

/// Who asks, the branch and the method.
type Key = (SocketAddr, String, String);

/// Copies of one message.
#[derive(Debug, Default)]
struct Copies {
    first_sent: Option<Instant>,
    first_arrived: Option<Instant>,
}

impl Copies {
    fn note(&mut self, now: Instant, stage: Stage) {
        match stage {
            Stage::Sent => self.first_sent.get_or_insert(now),
            Stage::Arrived => self.first_arrived.get_or_insert(now),
        };
    }

    fn were_sent(&self, at: Instant) -> bool {
        self.first_sent.is_some_and(|sent| sent <= at)
    }

    fn have_arrived(&self, at: Instant) -> bool {
        self.first_arrived.is_some_and(|arrived| arrived <= at)
    }
}

/// Where a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It was sent, whatever becomes of it.
    Sent,
    /// It has arrived.
    Arrived,
}

/// A request and what came back.
#[derive(Debug, Default)]
struct Exchange {
    call_id: String,
    cseq: u32,
    /// Whether it began its dialog.
    begins: bool,
    /// Whether it was an INVITE without an offer, so that the 2xx has it.
    asks: bool,
    request: Copies,
    provisional: Copies,
    finals: Copies,
    /// When the first 2xx was sent.
    accepted: Option<Instant>,
}

impl Exchange {
    /// Whether no response has arrived, although one was sent if there was anything to answer.
    fn is_unanswered(&self, at: Instant) -> bool {
        let mut responses = [&self.provisional, &self.finals].into_iter();
        let silence = !responses.clone().any(|copies| copies.have_arrived(at));
        silence && (!self.request.have_arrived(at) || responses.any(|copies| copies.were_sent(at)))
    }

    /// The same of its final response.
    fn is_unfinished(&self, at: Instant) -> bool {
        let silence = !self.finals.have_arrived(at);
        silence && (!self.request.have_arrived(at) || self.finals.were_sent(at))
    }
}

/// Whose dialog it is: a caller's has no number.
#[derive(Debug, Clone, Default)]
struct Whose {
    token: Option<Token>,
    dn: Option<String>,
}

/// Every exchange there was.
#[derive(Debug, Default)]
pub struct Swallowed {
    exchanges: BTreeMap<Key, Exchange>,
    /// ACKs of 2xx, by who sends them, Call-ID and number.
    acks: BTreeMap<(SocketAddr, String, u32), Copies>,
    calls: BTreeMap<String, Whose>,
    /// When the server's host slept for so long that its peers give up: from, to.
    pub slept: Vec<(Instant, Instant)>,
    /// When it slept at all.
    pub naps: Vec<(Instant, Instant)>,
    /// What has waited for a busy shard.
    pub waits: Waits,
}

impl Swallowed {
    /// Whether the server was not there at some time of the last 64·T1.
    fn has_slept(&self, at: Instant) -> bool {
        let mut slept = self.slept.iter();
        slept.any(|(from, to)| *from <= at && at < *to + GIVEN_UP)
    }

    /// The latest moment at which something that was done at this one is told by another shard: in
    /// so long, of which the server may have slept through a part, or as long after what came
    /// meanwhile was handled.
    pub fn told_by(&self, at: Instant, apart: Duration) -> Instant {
        let after = |at: Instant| {
            let mut naps = self.naps.iter();
            let nap = naps.find(|(from, to)| *from <= at + apart && at <= *to);
            nap.map_or(at, |(_, to)| *to) + apart
        };
        let told = after(at);
        let handled = self.waits.handled(at, told);
        handled.map_or(told, |handled| told.max(after(handled)))
    }

    pub fn note(&mut self, now: Instant, flight: &Flight, stage: Stage) {
        let mut index = HeaderIndex::default();
        match Message::receive(&flight.bytes, &mut index) {
            Ok(Checked::Request(request)) => self.note_request(now, flight, &request, stage),
            Ok(Checked::Response(response)) => self.note_response(now, flight, &response, stage),
            Err(_) => {}
        }
    }

    fn note_request(&mut self, now: Instant, flight: &Flight, request: &Request<'_>, stage: Stage) {
        if request.method == Method::Options {
            return;
        }
        let call_id = request.call_id.to_owned();
        if request.method == Method::Ack {
            let key = (flight.from, call_id, request.cseq);
            return self.acks.entry(key).or_default().note(now, stage);
        }
        let begins = request.to_tag.is_none();
        let method = request.method.as_str().to_owned();
        if begins && !self.calls.contains_key(&call_id) {
            let whose = whose(flight, request);
            self.calls.insert(call_id.clone(), whose);
        }
        let branch = request.via.branch().unwrap_or_default().to_owned();
        let exchange = self.exchanges.entry((flight.from, branch, method));
        let exchange = exchange.or_default();
        (exchange.call_id, exchange.cseq, exchange.begins) = (call_id, request.cseq, begins);
        exchange.asks = request.message.body().is_empty();
        exchange.request.note(now, stage);
    }

    fn note_response(
        &mut self,
        now: Instant,
        flight: &Flight,
        response: &Response<'_>,
        stage: Stage,
    ) {
        let branch = response.via.branch().unwrap_or_default().to_owned();
        let method = response.cseq_method.as_str().to_owned();
        let Some(exchange) = self.exchanges.get_mut(&(flight.to, branch, method)) else {
            return;
        };
        match response.status.is_provisional() {
            true => exchange.provisional.note(now, stage),
            false => exchange.finals.note(now, stage),
        }
        if response.status.is_success() && stage == Stage::Sent {
            exchange.accepted.get_or_insert(now);
        }
    }

    /// Whether it is an INVITE that waits, and its sender has gone by then: nothing could tell so
    /// to whoever reads it.
    pub fn will_have_given_up(&self, flight: &Flight, at: Instant) -> bool {
        let mut index = HeaderIndex::default();
        let Ok(Checked::Request(request)) = Message::receive(&flight.bytes, &mut index) else {
            return false;
        };
        let branch = request.via.branch().unwrap_or_default().to_owned();
        let method = request.method.as_str().to_owned();
        let exchange = self.exchanges.get(&(flight.from, branch, method));
        request.method == Method::Invite
            && exchange.is_some_and(|exchange| {
                let began = exchange.request.first_sent;
                let is_heard = exchange.provisional.have_arrived(at);
                !is_heard && began.is_some_and(|began| at >= began + GIVEN_UP)
            })
    }

    /// Whether a party has only found what the network made of one of its exchanges.
    pub fn excuses(
        &self,
        at: Instant,
        fault: Fault,
        token: Option<Token>,
        dn: Option<&str>,
    ) -> bool {
        if !is_about_time(fault) {
            return false;
        }
        if self.has_slept(at) {
            return true;
        }
        let is_its = |exchange: &Exchange| {
            let whose = self.calls.get(&exchange.call_id);
            whose.is_some_and(|whose| match (dn, token) {
                (Some(dn), _) => whose.dn.as_deref() == Some(dn),
                (None, Some(_)) => whose.token == token,
                // Of a subscription that is over.
                (None, None) => true,
            })
        };
        let mut own = self.exchanges.iter().filter(|(_, it)| is_its(it));
        own.any(|((from, branch, method), it)| {
            let is = |name: &str| method == name;
            match fault {
                Fault::InviteUnanswered => is("INVITE") && it.is_unanswered(at),
                Fault::NoFinalResponse => {
                    let cancel = (*from, branch.clone(), "CANCEL".to_owned());
                    let cancel = self.exchanges.get(&cancel);
                    let in_vain = cancel.is_some_and(|it| !it.request.have_arrived(at));
                    let is_lost = it.finals.were_sent(at) || in_vain || it.is_unanswered(at);
                    is("INVITE") && !it.finals.have_arrived(at) && is_lost
                }
                Fault::ByeUnanswered => {
                    is("BYE") && (it.is_unfinished(at) || self.is_strangers(*from, it))
                }
                Fault::ReferUnanswered => is("REFER") && it.is_unfinished(at),
                Fault::NotifyUnanswered => is("NOTIFY") && it.is_unfinished(at),
                Fault::ChangeUnanswered => {
                    // It may be told later, when whoever gave it up has hung up; what has come
                    // meanwhile came too late.
                    let gave_up = it.request.first_sent.map_or(at, |sent| sent + GIVEN_UP);
                    let waits = is("INVITE") && it.provisional.have_arrived(gave_up);
                    let at = if waits { at } else { at.min(gave_up) };
                    // A provisional response alone keeps an INVITE waiting.
                    let is_lost = it.is_unfinished(at) || is("INVITE") && it.is_unanswered(at);
                    // Whoever hears an UPDATE late does not know when its sender gives up.
                    let heard = it.request.first_arrived;
                    let is_late = is("UPDATE") && heard.is_some_and(|heard| at < heard + IN_TIME);
                    let is_lost = is_lost || is_late && !it.finals.have_arrived(at);
                    (is("INVITE") || is("UPDATE")) && !it.begins && is_lost
                }
                Fault::NeverAcknowledged => is("INVITE") && self.has_no_ack(*from, it, at),
                _ => false,
            }
        })
    }

    /// When the server first said that it takes this call, heard or not.
    pub fn accepted(&self, token: Token) -> Option<Instant> {
        let exchanges = self.exchanges.iter().filter(|((from, _, method), it)| {
            let whose = self.calls.get(&it.call_id);
            let is_its = whose.is_some_and(|whose| whose.token == Some(token));
            method == "INVITE" && from.ip() != SERVER && it.begins && is_its
        });
        exchanges.filter_map(|(_, it)| it.accepted).min()
    }

    /// Whether it comes from a server of media whose answers never arrived: that has no dialog with
    /// the server and no trunk's address, so that it is a stranger who hears nothing
    /// (docs/security.md). Whoever has a dialog is answered, and so is a trunk's peer.
    fn is_strangers(&self, from: SocketAddr, bye: &Exchange) -> bool {
        let mut invites = self.exchanges.iter();
        from.ip() == MEDIA
            && invites.any(|((.., method), it)| {
                let opened = method == "INVITE" && it.begins && it.call_id == bye.call_id;
                opened && it.finals.first_sent.is_some() && it.finals.first_arrived.is_none()
            })
    }

    /// Whether the final response to an INVITE, or every ACK of it, was lost, or came too late.
    fn has_no_ack(&self, from: SocketAddr, invite: &Exchange, at: Instant) -> bool {
        let key = (from, invite.call_id.clone(), invite.cseq);
        let in_vain = self.acks.get(&key);
        let in_vain = in_vain.is_some_and(|ack| ack.were_sent(at) && !ack.have_arrived(at));
        let first = invite.finals.first_arrived;
        let is_late = invite.asks && first.is_some_and(|first| at < first + HEARD_LATE);
        invite.finals.were_sent(at) && (!invite.finals.have_arrived(at) || in_vain || is_late)
    }

    /// How many BYEs to a server of media, where the dialog was opened with this user, have never
    /// arrived: for whoever hears no voice it has a time limit, and here it has not.
    pub fn byes_in_vain(&self, at: Instant, user: &str) -> usize {
        let is_its = |exchange: &Exchange| {
            let whose = self.calls.get(&exchange.call_id);
            whose.is_some_and(|whose| whose.dn.as_deref() == Some(user))
        };
        let byes = self
            .exchanges
            .iter()
            .filter(|((.., method), _)| method == "BYE");
        let lost = byes.filter(|(_, it)| is_its(it) && !it.request.have_arrived(at));
        lost.count()
    }

    /// Whether, not long before, somebody has given up an exchange in the dialog of this caller or
    /// phone because the network let nothing through, or the server slept.
    pub fn cut_short(&self, at: Instant, token: Option<Token>, dn: Option<&str>) -> bool {
        let is_its = |whose: &Whose| match dn {
            Some(dn) => whose.dn.as_deref() == Some(dn),
            None => whose.dn.is_none() && token.is_some() && whose.token == token,
        };
        let mut exchanges = self.exchanges.iter();
        let was_cut_short = exchanges.any(|((from, _, method), it)| {
            let given_up = |copies: &Copies| {
                let sent = copies.first_sent;
                sent.is_some_and(|sent| at >= sent + REPEATED && at < sent + REPEATED + FELT)
            };
            let whose = self.calls.get(&it.call_id);
            whose.is_some_and(is_its)
                && match method.as_str() {
                    "INVITE" => {
                        given_up(&it.request) && it.is_unanswered(at)
                            || given_up(&it.finals) && self.has_no_ack(*from, it, at)
                    }
                    _ => given_up(&it.request) && it.is_unfinished(at),
                }
        });
        // Its peers have given up what it did not answer.
        was_cut_short || self.has_slept(at)
    }
}

/// Whether it is about something that did not come in time.
fn is_about_time(fault: Fault) -> bool {
    match fault {
        Fault::InviteUnanswered
        | Fault::NoFinalResponse
        | Fault::ByeUnanswered
        | Fault::ChangeUnanswered
        | Fault::NeverAcknowledged
        | Fault::ReferUnanswered
        | Fault::NotifyUnanswered => true,
        Fault::OkWithoutAnswer
        | Fault::OkWithoutOffer
        | Fault::AckWithoutAnswer
        | Fault::NotADescription
        | Fault::AnswerMisfits
        | Fault::MediaDropped
        | Fault::OriginChanged
        | Fault::ConnectedToNobody
        | Fault::LeftBehind
        | Fault::OfferedTwice
        | Fault::StillUp => false,
    }
}

/// Whose dialog this request begins.
fn whose(flight: &Flight, request: &Request<'_>) -> Whose {
    let token = Token::read(&request.message);
    let is_phone = |address: SocketAddr| address.port() == 5_060;
    // What phones dial is theirs as much as what they are asked.
    let theirs = match flight.from.ip() {
        SERVER => request.uri.user,
        _ if is_phone(flight.from) => request.from.read().ok().and_then(|from| from.uri.user),
        _ => None,
    };
    Whose {
        token,
        dn: theirs.map(str::to_owned),
    }
}

mod tests {
    use std::cell::Cell;

    use offhook_loadgen::population::CallPlan;

    use super::super::network::Fate;
    use super::super::world::{Setup, World};
    use super::*;

    /// A caller of whose INVITE as many copies are lost.
    fn call(lost: u32) {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let seen = Cell::new(0);
        world.network.rule = Some(Box::new(move |flight| {
            let is_invite = flight.bytes.starts_with(b"INVITE ");
            seen.set(seen.get() + u32::from(is_invite));
            match is_invite && seen.get() <= lost {
                true => Fate::Lost,
                false => Fate::Usual,
            }
        }));
        let token = world.call(CallPlan::to("7000"));
        world.run_for(Duration::from_secs(40));
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.finish();
    }

    #[test]
    fn what_a_shard_says_is_heard_when_the_server_has_woken() {
        let second = Duration::from_secs(1);
        let start = World::new(Setup::calm(1)).now;
        let nap = (start + 10 * second, start + 14 * second);
        let swallowed = Swallowed {
            naps: vec![nap],
            ..Swallowed::default()
        };
        let told_by = |at| swallowed.told_by(start + at * second, second) - start;
        assert_eq!(told_by(8), 9 * second);
        assert_eq!(told_by(9), 15 * second, "it may fall asleep before");
        assert_eq!(told_by(14), 15 * second);
        assert_eq!(told_by(15), 16 * second);
    }

    #[test]
    fn invite_that_never_arrives_is_no_fault() {
        call(7);
    }

    #[test]
    fn invite_of_which_one_copy_arrives_is_served() {
        call(6);
    }

    /// Whether a server of media may find that nobody answers its BYE when its 200 came so far.
    fn hung_up_by_media(answered: Stage) -> bool {
        let at = World::new(Setup::calm(1)).now;
        let mut swallowed = Swallowed::default();
        let server = "10.0.0.1:5060".parse().unwrap();
        let media = SocketAddr::from((MEDIA, 5060));
        let mut note = |line: &str, method: &str, from: SocketAddr, to, stage| {
            let (branch, tag) = (
                method,
                if line.starts_with("INVITE") {
                    ""
                } else {
                    ";tag=m"
                },
            );
            let text = format!(
                "{line}\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK{branch}\r\n\
                 From: <sip:3@10.0.0.1>;tag=a\r\nTo: <sip:music@10.0.2.1>{tag}\r\n\
                 Call-ID: one\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n\
                 Contact: <sip:3@10.0.0.1>\r\nContent-Length: 0\r\n\r\n"
            );
            let bytes = text.into_bytes();
            swallowed.note(at, &Flight { from, to, bytes }, stage);
        };
        let invite = "INVITE sip:music@10.0.2.1 SIP/2.0";
        note(invite, "INVITE", server, media, Stage::Arrived);
        note("SIP/2.0 200 OK", "INVITE", media, server, Stage::Sent);
        note("SIP/2.0 200 OK", "INVITE", media, server, answered);
        let bye = "BYE sip:3@10.0.0.1 SIP/2.0";
        note(bye, "BYE", media, server, Stage::Arrived);
        swallowed.excuses(at, Fault::ByeUnanswered, None, None)
    }

    #[test]
    fn bye_of_a_server_of_media_is_answered_where_its_200_has_arrived() {
        assert!(hung_up_by_media(Stage::Sent), "a stranger");
        assert!(!hung_up_by_media(Stage::Arrived), "it has a dialog");
    }

    /// Has a caller's INVITE of this number, or a response to it, come so far.
    fn note(swallowed: &mut Swallowed, at: Instant, cseq: u32, line: &str, stage: Stage) {
        let (from, to) = match line.starts_with("INVITE") {
            true => ("10.0.1.1:5080", "10.0.0.1:5060"),
            false => ("10.0.0.1:5060", "10.0.1.1:5080"),
        };
        let tag = if cseq == 1 { "" } else { ";tag=b" };
        let text = format!(
            "{line}\r\nVia: SIP/2.0/UDP 10.0.1.1:5080;branch=z9hG4bK{cseq}\r\n\
             From: <sip:3@10.0.1.1>;tag=a\r\nTo: <sip:7000@10.0.0.1>{tag}\r\n\
             Call-ID: one\r\nCSeq: {cseq} INVITE\r\nMax-Forwards: 70\r\n\
             Contact: <sip:3@10.0.1.1>\r\n\
             Cisco-Guid: 0000000000-0000000009-0000065536-0000004080\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let flight = Flight {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            bytes: text.into_bytes(),
        };
        swallowed.note(at, &flight, stage);
    }

    const INVITE: &str = "INVITE sip:7000@10.0.0.1 SIP/2.0";

    /// What is to be excused after these messages of one INVITE have come so far.
    fn after(stages: &[(&str, Stage)]) -> bool {
        let now = World::new(Setup::calm(1)).now;
        let mut swallowed = Swallowed::default();
        for (line, stage) in stages {
            note(&mut swallowed, now, 1, line, *stage);
        }
        swallowed.excuses(now, Fault::InviteUnanswered, Some(Token(9)), None)
    }

    #[test]
    fn answer_to_a_change_that_was_given_up_came_too_late() {
        let start = World::new(Setup::calm(1)).now;
        let is_excused = |came: u64, waits: bool| {
            let mut swallowed = Swallowed::default();
            note(&mut swallowed, start, 1, INVITE, Stage::Sent);
            note(&mut swallowed, start, 2, INVITE, Stage::Sent);
            note(&mut swallowed, start, 2, INVITE, Stage::Arrived);
            note(&mut swallowed, start, 2, "SIP/2.0 200 OK", Stage::Sent);
            if waits {
                note(
                    &mut swallowed,
                    start,
                    2,
                    "SIP/2.0 100 Trying",
                    Stage::Arrived,
                );
            }
            let came = start + Duration::from_secs(came);
            note(&mut swallowed, came, 2, "SIP/2.0 200 OK", Stage::Arrived);
            let told = start + Duration::from_secs(60);
            swallowed.excuses(told, Fault::ChangeUnanswered, Some(Token(9)), None)
        };
        assert!(is_excused(40, false));
        assert!(!is_excused(20, false), "it was heard");
        assert!(!is_excused(40, true), "its sender has waited for it");
    }

    #[test]
    fn call_is_taken_from_when_the_server_says_so() {
        let start = World::new(Setup::calm(1)).now;
        let second = Duration::from_secs(1);
        let mut swallowed = Swallowed::default();
        note(&mut swallowed, start, 1, INVITE, Stage::Sent);
        note(&mut swallowed, start, 1, "SIP/2.0 180 Ringing", Stage::Sent);
        note(&mut swallowed, start, 1, "SIP/2.0 486 Busy", Stage::Sent);
        note(&mut swallowed, start, 2, "SIP/2.0 200 OK", Stage::Sent);
        assert_eq!(swallowed.accepted(Token(9)), None);
        for later in [3, 4] {
            let at = start + later * second;
            note(&mut swallowed, at, 1, "SIP/2.0 200 OK", Stage::Sent);
        }
        assert_eq!(swallowed.accepted(Token(9)), Some(start + 3 * second));
        assert_eq!(swallowed.accepted(Token(8)), None);
    }

    #[test]
    fn invite_that_arrives_and_is_not_answered_is_a_fault() {
        let answer = "SIP/2.0 100 Trying";
        assert!(after(&[(INVITE, Stage::Sent)]), "it was lost");
        assert!(!after(&[(INVITE, Stage::Sent), (INVITE, Stage::Arrived)]));
        let lost = [
            (INVITE, Stage::Sent),
            (INVITE, Stage::Arrived),
            (answer, Stage::Sent),
        ];
        assert!(after(&lost), "the answer was lost");
        assert!(!after(&[&lost[..], &[(answer, Stage::Arrived)]].concat()));
    }
}
