//! The rules of the protocol, read off the wire (docs/TESTING.md, "Invariants"): I-1, I-3, I-6, I-7
//! and I-8, as far as they hold whatever peers say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook::sip::{Checked, HeaderIndex, Message, Method, Request, Response};

use super::super::start::OURS;
use super::peers::address;

/// A server transaction lives at least so long after its final response (RFC 3261 §17.2.2).
const KEPT: Duration = Duration::from_secs(30);

/// No final response is repeated for longer (timer H).
const REPEATED: Duration = Duration::from_secs(32);

/// Something that was said to the server.
#[derive(Debug)]
struct Heard {
    bytes: Vec<u8>,
    from: SocketAddr,
    /// Branch and method, if it is a request that must be answered.
    transaction: Option<(String, String)>,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Wire {
    heard: Vec<Heard>,
    /// Final responses by branch and method: when, and its bytes.
    finals: BTreeMap<(String, String), (Instant, Vec<u8>)>,
    /// The last number of the server's requests in a dialog, by Call-ID and tags.
    numbers: BTreeMap<[String; 3], u32>,
    /// Branches of the server's requests.
    branches: BTreeSet<(String, String)>,
    /// Bytes that the stranger has sent, and that it was sent.
    gain: [usize; 2],
    /// Whether the stranger may be somebody's far end.
    is_acquainted: bool,
    /// Whether new calls are turned away, or a process has died: not everything is answered then.
    is_lossy: bool,
}

impl Wire {
    /// From now on new calls are refused, those that were challenged before as well: a challenge is
    /// nothing that the server remembers.
    pub(super) fn sheds(&mut self) {
        self.is_lossy = true;
        self.finals
            .retain(|_, (_, said)| !said.starts_with(b"SIP/2.0 401 "));
    }

    /// The process has died with all that it had in hand.
    pub(super) fn forget(&mut self) {
        self.is_lossy = true;
        self.finals.clear();
    }

    /// The server receives.
    pub(super) fn received(&mut self, _now: Instant, from: SocketAddr, bytes: &[u8]) {
        let stranger = address(3);
        let names = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        if from == stranger {
            self.gain[0] += bytes.len();
            self.is_acquainted |= self.numbers.keys().any(|[_, own, _]| names(own.as_bytes()))
                || self
                    .finals
                    .values()
                    .any(|(_, said)| shares_tag(said, bytes));
        } else if names(b"203.0.113") {
            self.is_acquainted = true;
        }
        let mut index = HeaderIndex::new();
        let transaction = match Message::receive(bytes, &mut index) {
            Ok(Checked::Request(request)) if request.method != Method::Ack => {
                let branch = request.via.unique_branch();
                branch.map(|branch| (branch.to_owned(), request.method.as_str().to_owned()))
            }
            Ok(Checked::Request(_) | Checked::Response(_)) | Err(_) => None,
        };
        self.heard.push(Heard {
            bytes: bytes.to_vec(),
            from,
            transaction,
        });
    }

    /// The server sends.
    pub(super) fn sent(&mut self, now: Instant, to: SocketAddr, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        assert_ne!(
            to.to_string(),
            OURS,
            "I-6: the server sends to itself: {text}"
        );
        if to == address(3) {
            self.gain[1] += bytes.len();
            let [received, sent] = self.gain;
            assert!(
                self.is_acquainted || sent <= received,
                "I-7: {received} bytes made {sent}: {text}"
            );
        }
        let mut index = HeaderIndex::new();
        match Message::receive(bytes, &mut index) {
            Ok(Checked::Request(request)) => self.asks(&request),
            Ok(Checked::Response(response)) => self.answers(now, &response, bytes),
            Err(rejection) => {
                // What cannot be read is answered with what could be read of it.
                let is_answer = bytes.starts_with(b"SIP/2.0 4") || bytes.starts_with(b"SIP/2.0 5");
                assert!(is_answer, "the server says {:?}: {text}", rejection.error);
            }
        }
    }

    /// I-3: the numbers of the server's requests in a dialog rise.
    fn asks(&mut self, request: &Request<'_>) {
        let branch = request.via.unique_branch();
        let branch = branch.expect("our branches identify").to_owned();
        let method = request.method.as_str();
        let is_new = self.branches.insert((branch.clone(), method.to_owned()));
        if request.method == Method::Cancel {
            let invite = (branch, "INVITE".to_owned());
            assert!(self.branches.contains(&invite), "I-5: CANCEL of no INVITE");
            return;
        }
        if request.method == Method::Ack || !is_new {
            return;
        }
        let tags = [request.from_tag, request.to_tag].map(Option::unwrap_or_default);
        let [from, to] = tags.map(str::to_owned);
        let first = [request.call_id.to_owned(), from.clone(), String::new()];
        let first = self.numbers.get(&first).copied().unwrap_or_default();
        let last = self
            .numbers
            .entry([request.call_id.to_owned(), from, to])
            .or_insert(first);
        assert!(
            request.cseq > *last,
            "I-3: {method} {} follows {last}",
            request.cseq
        );
        *last = request.cseq;
    }

    /// I-1: a request has one final response, and nothing else after it.
    fn answers(&mut self, now: Instant, response: &Response<'_>, bytes: &[u8]) {
        let Some(branch) = response.via.unique_branch() else {
            return;
        };
        let key = (branch.to_owned(), response.cseq_method.as_str().to_owned());
        if !self.is_unambiguous(&key) {
            return;
        }
        let before = self.finals.get(&key).filter(|(at, _)| now < *at + KEPT);
        let text = String::from_utf8_lossy(bytes);
        if response.status.is_provisional() {
            assert!(before.is_none(), "I-1: after the final response: {text}");
            return;
        }
        let said = without_challenge(bytes);
        if let Some((_, before)) = before {
            assert!(*before == said, "I-1: a second final response: {text}");
            return;
        }
        // A failure is repeated until its ACK comes or the transaction ends, and that does not
        // make it last any longer.
        let (at, before) = self.finals.entry(key).or_insert((now, Vec::new()));
        if *before != said || now >= *at + REPEATED {
            (*at, *before) = (now, said);
        }
    }

    /// Whether one message alone is this transaction, beside the CANCEL and the ACK to it: of two
    /// that claim to be the same nothing is promised.
    fn is_unambiguous(&self, (branch, method): &(String, String)) -> bool {
        let is_cancel = |bytes: &[u8]| bytes.starts_with(b"CANCEL ");
        let mut requests = self.heard.iter().filter(|Heard { bytes, .. }| {
            let same = is_cancel(bytes) == (method == "CANCEL") && !bytes.starts_with(b"ACK ");
            same && bytes
                .windows(branch.len())
                .any(|part| part == branch.as_bytes())
        });
        let first = requests.next();
        first.is_none_or(|first| {
            requests.all(|other| other.bytes == first.bytes && other.from == first.from)
        })
    }

    /// I-8: whatever a peer has asked was answered.
    pub(super) fn at_rest(&self) {
        if self.is_lossy {
            return;
        }
        for heard in &self.heard {
            let Some(key) = &heard.transaction else {
                continue;
            };
            let is_peers = [0, 1, 2, 5].iter().any(|who| heard.from == address(*who));
            if is_peers && self.is_unambiguous(key) {
                let text = String::from_utf8_lossy(&heard.bytes);
                assert!(self.finals.contains_key(key), "I-8: no answer to {text}");
            }
        }
    }
}

/// A response but for its nonces: nothing is kept of who is challenged, and each copy of a request
/// gets another one.
fn without_challenge(bytes: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !line.starts_with(b"WWW-Authenticate:"));
    kept.flatten().copied().collect()
}

/// Whether a message has a tag of ours that a response of ours has said.
fn shares_tag(said: &[u8], bytes: &[u8]) -> bool {
    let mut index = HeaderIndex::new();
    let Ok(Checked::Response(response)) = Message::receive(said, &mut index) else {
        return false;
    };
    let tag = response.to_tag.unwrap_or_default().as_bytes();
    !tag.is_empty() && bytes.windows(tag.len()).any(|part| part == tag)
}
