//! The rules of the protocol, read off the wire: every datagram that leaves the server or reaches
//! it is held against what was said before (reliability I-1 to I-7 and I-10, docs/TESTING.md).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, Method, Request, Response, Status};

use super::network::Flight;
use super::strangers::Gain;
use super::swallowed::Swallowed;

/// Callers and phones send 69; what the server sends on for them has less.
const MAX_FORWARDS_ON: u32 = 68;

/// A datagram may arrive at a shard that hands it over: for so long its owner knows nothing of it,
/// and longer where the server's host falls asleep meanwhile.
const HANDED_OVER: Duration = Duration::from_millis(1);

/// 64·T1, but for the moment in which a response that is in time is handed over.
const GIVEN_UP: Duration = Duration::from_millis(31_999);

/// What tells a transaction: branch, sent-by, method.
type Transaction = (String, String, String);

/// An INVITE of the server's.
#[derive(Debug, Default)]
struct Invite {
    /// Whether it began its dialog.
    begins: bool,
    provisional: bool,
    /// When the server gives it up: 64·T1 after it was sent, if nothing comes back, or after its
    /// CANCEL.
    given_up: Option<Instant>,
    /// When its final response arrived.
    done: Option<Instant>,
    cancelled: bool,
}

/// An offer that waits for its answer.
#[derive(Debug)]
struct Offer {
    branch: String,
    since: Instant,
}

/// What was said so far.
#[derive(Debug, Default)]
pub struct Wire {
    /// Final responses of the server, as a digest of their bytes, and when each was first sent.
    finals: BTreeMap<Transaction, (u64, Instant)>,
    /// Requests of calls that exist, to which the server has not said anything final.
    within: BTreeSet<Transaction>,
    /// INVITEs of the server, by branch.
    invites: BTreeMap<String, Invite>,
    /// The highest CSeq of the server's requests in a dialog, by Call-ID and tags.
    numbers: BTreeMap<[String; 3], u32>,
    /// The CSeq of each request of the server's, by branch and method.
    requests: BTreeMap<(String, String), u32>,
    /// Offers without an answer: of the server, and of its peer, by Call-ID.
    offers: BTreeMap<String, [Option<Offer>; 2]>,
    /// 2xx to INVITEs of the server, by Call-ID, CSeq and To tag: whether the last copy has had
    /// its ACK.
    successes: BTreeMap<(String, u32, String), bool>,
    /// What strangers make the server send.
    gain: Gain,
    /// The server's SUBSCRIBEs of the last second, without repetitions.
    subscribes: VecDeque<Instant>,
    /// How many there may be.
    subscribes_max: usize,
}

/// Whose offer it is.
#[derive(Debug, Clone, Copy)]
enum Whose {
    Ours = 0,
    Theirs = 1,
}

impl Wire {
    pub fn new(subscribes_max: usize) -> Self {
        Self {
            subscribes_max,
            ..Self::default()
        }
    }

    /// The server sends.
    pub fn sent(
        &mut self,
        now: Instant,
        flight: &Flight,
        swallowed: &Swallowed,
    ) -> Result<(), String> {
        if flight.to == flight.from {
            return Err("I-6: the server sends to itself".into());
        }
        self.gain.sent(flight)?;
        let mut index = HeaderIndex::default();
        match Message::receive(&flight.bytes, &mut index) {
            Ok(Checked::Request(request)) => self.request_sent(now, &request, swallowed),
            Ok(Checked::Response(response)) => self.response_sent(now, flight, &response),
            Err(_) => Err("the server sends what cannot be read".into()),
        }
    }

    /// The server receives.
    pub fn received(&mut self, now: Instant, flight: &Flight) {
        self.gain.received(flight);
        let mut index = HeaderIndex::default();
        match Message::receive(&flight.bytes, &mut index) {
            Ok(Checked::Request(request)) => {
                let via = &request.via;
                let sent_by = format!("{}:{}", via.host, via.sent_by_port());
                let method = request.method.as_str().to_owned();
                let (Some(branch), true) = (via.branch(), request.to_tag.is_some()) else {
                    return;
                };
                let key = (branch.to_owned(), sent_by, method);
                if self.finals.contains_key(&key) {
                    return;
                }
                self.within.insert(key);
                if is_offer(&request) {
                    self.open(now, request.call_id, Whose::Theirs, branch);
                }
            }
            Ok(Checked::Response(response)) => self.response_received(now, &response),
            Err(_) => {}
        }
    }

    /// Everything has come to its end.
    pub fn at_rest(&self) -> Result<(), String> {
        let mut successes = self.successes.iter();
        match successes.find(|(_, acknowledged)| !**acknowledged) {
            Some((key, _)) => Err(format!("I-2: a 2xx has no ACK: {key:?}")),
            None => Ok(()),
        }
    }

    fn request_sent(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        swallowed: &Swallowed,
    ) -> Result<(), String> {
        let branch = request.via.branch().unwrap_or_default();
        match request.method {
            Method::Ack => {
                self.acknowledged(request);
                return Ok(());
            }
            Method::Cancel => return self.cancel_sent(now, branch, swallowed),
            _ => {}
        }
        let key = (branch.to_owned(), request.method.as_str().to_owned());
        match self.requests.entry(key) {
            Entry::Occupied(again) if *again.get() == request.cseq => return Ok(()),
            Entry::Occupied(_) => return Err("I-3: a repetition has another CSeq".into()),
            Entry::Vacant(new) => new.insert(request.cseq),
        };
        self.number_rises(request)?;
        if request.method == Method::Subscribe {
            self.subscribes_are_paced(now)?;
        }
        if request.method == Method::Invite {
            let invite = Invite {
                begins: request.to_tag.is_none(),
                given_up: Some(now + GIVEN_UP),
                ..Invite::default()
            };
            self.invites.insert(branch.to_owned(), invite);
            hops_are_bounded(request)?;
        }
        if is_offer(request) {
            self.offers_one_at_a_time(now, request, swallowed)?;
            self.open(now, request.call_id, Whose::Ours, branch);
        }
        Ok(())
    }

    /// P10: however many subscriptions are due at once, the PBX is asked at its pace.
    fn subscribes_are_paced(&mut self, now: Instant) -> Result<(), String> {
        self.subscribes.push_back(now);
        self.subscribes
            .retain(|at| now < *at + Duration::from_secs(1));
        let (count, max) = (self.subscribes.len(), self.subscribes_max);
        match count <= max {
            true => Ok(()),
            false => Err(format!("P10: {count} SUBSCRIBEs within a second: {max}")),
        }
    }

    /// I-3: the numbers of the server's requests in a dialog rise.
    fn number_rises(&mut self, request: &Request<'_>) -> Result<(), String> {
        let dialog = |to_tag: &str| {
            let from_tag = request.from_tag.unwrap_or_default();
            let parts = [request.call_id, from_tag, to_tag];
            parts.map(str::to_owned)
        };
        // An INVITE that was forked is the first request of several dialogs.
        let first = self.numbers.get(&dialog("")).copied().unwrap_or_default();
        let own = dialog(request.to_tag.unwrap_or_default());
        let last = self.numbers.entry(own).or_insert(first);
        if request.cseq <= *last {
            let method = request.method.as_str();
            return Err(format!("I-3: {method} {} follows {last}", request.cseq));
        }
        *last = request.cseq;
        Ok(())
    }

    /// I-4: nobody offers while an offer of either side waits for its answer.
    fn offers_one_at_a_time(
        &self,
        now: Instant,
        request: &Request<'_>,
        swallowed: &Swallowed,
    ) -> Result<(), String> {
        let open = self.offers.get(request.call_id);
        let mut open = open.into_iter().flatten().flatten();
        match open.find(|offer| now > swallowed.told_by(offer.since, HANDED_OVER)) {
            None => Ok(()),
            Some(open) => {
                let method = request.method.as_str();
                Err(format!(
                    "I-4: {method} while {open:?} is open in {}",
                    request.call_id
                ))
            }
        }
    }

    fn open(&mut self, now: Instant, call_id: &str, whose: Whose, branch: &str) {
        let open = self.offers.entry(call_id.to_owned()).or_default();
        // A repetition is no newer than what it repeats.
        if open[whose as usize]
            .as_ref()
            .is_some_and(|open| open.branch == branch)
        {
            return;
        }
        open[whose as usize] = Some(Offer {
            branch: branch.to_owned(),
            since: now,
        });
    }

    fn close(&mut self, call_id: &str, whose: Whose, branch: &str) {
        if let Some(open) = self.offers.get_mut(call_id) {
            open[whose as usize].take_if(|open| open.branch == branch);
        }
    }

    /// I-5: only what has had a provisional response and no final one is cancelled.
    fn cancel_sent(
        &mut self,
        now: Instant,
        branch: &str,
        swallowed: &Swallowed,
    ) -> Result<(), String> {
        let Some(invite) = self.invites.get_mut(branch) else {
            return Err("I-5: CANCEL of no INVITE".into());
        };
        let repeats = std::mem::replace(&mut invite.cancelled, true);
        if !repeats {
            invite.given_up = Some(now + GIVEN_UP);
        }
        let is_known = |at| now > swallowed.told_by(at, HANDED_OVER);
        let done = invite.done.is_some_and(is_known);
        match (repeats, invite.provisional, done) {
            (true, _, _) | (false, true, false) => Ok(()),
            (false, false, _) => Err("I-5: CANCEL before any response".into()),
            (false, true, true) => Err("I-5: CANCEL after the final response".into()),
        }
    }

    fn acknowledged(&mut self, ack: &Request<'_>) {
        let tag = ack.to_tag.unwrap_or_default().to_owned();
        let key = (ack.call_id.to_owned(), ack.cseq, tag);
        if let Some(acknowledged) = self.successes.get_mut(&key) {
            *acknowledged = true;
        }
    }

    /// I-1: a request has one final response, and nothing else after it.
    fn response_sent(
        &mut self,
        now: Instant,
        flight: &Flight,
        response: &Response<'_>,
    ) -> Result<(), String> {
        let branch = response.via.branch().unwrap_or_default();
        let method = response.cseq_method.as_str();
        let sent_by = format!("{}:{}", response.via.host, response.via.sent_by_port());
        let key = (branch.to_owned(), sent_by, method.to_owned());
        let status = response.status;
        if status.is_provisional() {
            return match self.finals.get(&key) {
                // RFC 3261 §17.2.1: a copy that comes after Timer H is a request of its own.
                Some((_, since)) if now > *since + GIVEN_UP => {
                    self.finals.remove(&key);
                    Ok(())
                }
                Some(_) => Err(format!("I-1: {} to {method} after the final one", status.0)),
                None => Ok(()),
            };
        }
        self.close(response.call_id, Whose::Theirs, branch);
        // I-10: whatever is shed, it is nothing that goes on in a call.
        if self.within.remove(&key) && status == Status::SERVICE_UNAVAILABLE {
            return Err(format!("I-10: {method} within a call is shed"));
        }
        let mut digest = DefaultHasher::new();
        flight.bytes.hash(&mut digest);
        let digest = digest.finish();
        let before = self.finals.get(&key).copied();
        let (_, since) = *self.finals.entry(key).or_insert((digest, now));
        match before {
            // RFC 3261 §17.2.2: a copy that comes after Timer J is a request of its own.
            Some(_) if now > since + GIVEN_UP => Ok(()),
            Some((before, _)) if before != digest => Err(format!(
                "I-1: {method} has two final responses, {}",
                status.0
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn response_received(&mut self, now: Instant, response: &Response<'_>) {
        let branch = response.via.branch().unwrap_or_default();
        if !response.status.is_provisional() {
            self.close(response.call_id, Whose::Ours, branch);
        }
        if response.cseq_method != Method::Invite {
            return;
        }
        let Some(invite) = self.invites.get_mut(branch) else {
            return;
        };
        let is_provisional = response.status.is_provisional();
        invite.provisional |= is_provisional;
        // RFC 6026 §8.4: what comes when the transaction is over is dropped, but for the 2xx that
        // makes somebody believe in a call.
        let over = invite
            .done
            .map_or(invite.given_up, |done| Some(done + GIVEN_UP));
        let is_over = over.is_some_and(|over| now >= over);
        if is_provisional {
            if !invite.cancelled && !is_over {
                invite.given_up = None;
            }
            return;
        }
        if !is_over {
            invite.done.get_or_insert(now);
        }
        if response.status.is_success() && (invite.begins || !is_over) {
            let tag = response.to_tag.unwrap_or_default().to_owned();
            let key = (response.call_id.to_owned(), response.cseq, tag);
            self.successes.insert(key, false);
        }
    }
}

/// Whether it offers a session, or asks for an offer.
fn is_offer(request: &Request<'_>) -> bool {
    match request.method {
        Method::Invite => true,
        Method::Update => !request.message.body().is_empty(),
        _ => false,
    }
}

/// I-6: a call that goes through the server has fewer hops left.
fn hops_are_bounded(request: &Request<'_>) -> Result<(), String> {
    let carries = request.message.header(HeaderName::CiscoGuid).is_some();
    let left = request.message.header(HeaderName::MaxForwards);
    let left = left.and_then(|left| std::str::from_utf8(left).ok()?.trim().parse::<u32>().ok());
    match left {
        Some(left) if left <= MAX_FORWARDS_ON || !carries || request.to_tag.is_some() => Ok(()),
        left => Err(format!(
            "I-6: an INVITE of a call leaves with {left:?} hops"
        )),
    }
}

mod tests {
    use super::super::waits::Waiting;
    use super::super::world::{Setup, World};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A message of an INVITE of the server's, or an answer of the server's to one like it.
    fn flight(line: &str, method: &str, is_sent: bool) -> Flight {
        let server = "10.0.0.1:5060".parse().expect("an address");
        let phone = "10.0.1.1:5060".parse().expect("an address");
        let text = format!(
            "{line}\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\n\
             From: <sip:3@10.0.0.1>;tag=a\r\nTo: <sip:2000@10.0.1.1>\r\n\
             Call-ID: one\r\nCSeq: 1 {method}\r\nMax-Forwards: 68\r\n\
             Contact: <sip:3@10.0.0.1>\r\nContent-Length: 0\r\n\r\n"
        );
        let (from, to) = match is_sent {
            true => (server, phone),
            false => (phone, server),
        };
        let bytes = text.into_bytes();
        Flight { from, to, bytes }
    }

    /// What is made of a CANCEL that leaves when the server wakes, where the 200 came so long
    /// before its host fell asleep.
    fn cancelled(before: Duration) -> Result<(), String> {
        let start = World::new(Setup::calm(1)).now;
        let asleep = start + SECOND;
        let awake = asleep + 30 * SECOND;
        let mut swallowed = Swallowed::default();
        swallowed.naps.push((asleep, awake));
        let mut wire = Wire::new(1);
        let invite = flight("INVITE sip:2000@10.0.1.1 SIP/2.0", "INVITE", true);
        wire.sent(start, &invite, &swallowed)?;
        wire.received(start, &flight("SIP/2.0 180 Ringing", "INVITE", false));
        let answer = flight("SIP/2.0 200 OK", "INVITE", false);
        wire.received(asleep - before, &answer);
        let cancel = flight("CANCEL sip:2000@10.0.1.1 SIP/2.0", "CANCEL", true);
        wire.sent(awake, &cancel, &swallowed)
    }

    #[test]
    fn answer_that_is_handed_over_when_the_host_falls_asleep_is_not_known() {
        assert_eq!(cancelled(HANDED_OVER / 2), Ok(()));
        assert!(cancelled(2 * HANDED_OVER).is_err(), "its owner had it");
    }

    /// What is made of a CANCEL that leaves so long after the 200 came, where one that had come a
    /// second before it, or with it, waited for three.
    fn cancelled_after_a_burst(after: Duration, is_over: bool) -> Result<(), String> {
        let start = World::new(Setup::calm(1)).now;
        let burst = start + SECOND;
        let mut swallowed = Swallowed::default();
        swallowed.waits.note(burst, Waiting::Begins(burst));
        swallowed
            .waits
            .note(burst + 3 * SECOND, Waiting::Ends(burst));
        let mut wire = Wire::new(1);
        let invite = flight("INVITE sip:2000@10.0.1.1 SIP/2.0", "INVITE", true);
        wire.sent(start, &invite, &swallowed)?;
        wire.received(start, &flight("SIP/2.0 180 Ringing", "INVITE", false));
        let came = burst + if is_over { SECOND } else { Duration::ZERO };
        wire.received(came, &flight("SIP/2.0 200 OK", "INVITE", false));
        let cancel = flight("CANCEL sip:2000@10.0.1.1 SIP/2.0", "CANCEL", true);
        wire.sent(came + after, &cancel, &swallowed)
    }

    #[test]
    fn answer_is_not_known_while_it_waits_and_known_where_only_others_have_waited() {
        assert_eq!(cancelled_after_a_burst(2 * SECOND, false), Ok(()));
        assert!(cancelled_after_a_burst(4 * SECOND, false).is_err());
        assert!(cancelled_after_a_burst(SECOND, true).is_err());
    }

    /// What is made of a 100 so long after a final response to the same INVITE.
    fn begins_again(after: Duration) -> Result<(), String> {
        let start = World::new(Setup::calm(1)).now;
        let swallowed = Swallowed::default();
        let mut wire = Wire::new(1);
        let busy = flight("SIP/2.0 486 Busy Here", "INVITE", true);
        wire.sent(start, &busy, &swallowed)?;
        let trying = flight("SIP/2.0 100 Trying", "INVITE", true);
        wire.sent(start + after, &trying, &swallowed)
    }

    #[test]
    fn copy_that_comes_after_its_transaction_is_a_request_of_its_own() {
        assert!(begins_again(31 * SECOND).is_err());
        assert_eq!(begins_again(33 * SECOND), Ok(()));
    }
}
