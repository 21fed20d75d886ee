//! A station without sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_shards::{Source, Transport};

use crate::scenario::calendar::Calendar;
use crate::scenario::floor::{Files, Log};
use crate::scenario::injection::Injection;
use crate::scenario::load::load;
use crate::scenario::message::Received;
use crate::scenario::settings::Settings;
use crate::scenario::station::Station;
use crate::scenario::statistics::{Failure, Statistics};

pub(super) struct Lab {
    pub(super) station: Station,
    pub(super) now: Instant,
    pub(super) start: Instant,
    transport: Transport,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A scenario that opens one call at once, or waits for one.
pub(super) fn lab(body: &str) -> Lab {
    lab_with(body, |_| {})
}

#[allow(
    clippy::disallowed_methods,
    reason = "the lab's time begins at any moment"
)]
pub(super) fn lab_with(body: &str, change: impl FnOnce(&mut Settings)) -> Lab {
    let text = format!("<scenario name=\"lab\">{body}</scenario>");
    let keys = BTreeMap::from([("word".to_owned(), "key".to_owned())]);
    let loaded = load(text.as_bytes(), &keys);
    let scenario = loaded
        .scenario
        .unwrap_or_else(|| panic!("{:?}", loaded.notes.sorted()));
    let mut settings = Settings::new(address(5_060));
    settings.remote = Some(address(5_070));
    settings.named = settings.remote;
    settings.remote_host = "peer".to_owned();
    settings.process_id = 77;
    settings.traces.logs = true;
    settings.traces.errors = true;
    settings.load.calls_max = Some(1);
    change(&mut settings);
    let now = Instant::now();
    let calendar = Calendar::new(now, Duration::from_secs(1_000));
    let mut files = Files::default();
    let injection = Injection::new(b"SEQUENTIAL\nann;one\nbob;two\n").expect("a good file");
    files.injections.push(("people.csv".to_owned(), injection));
    let transport = settings.transport;
    let station = Station::new(now, Arc::new(scenario), Arc::new(settings), files, calendar);
    let mut lab = Lab {
        station,
        now,
        start: now,
        transport,
    };
    lab.advance(0);
    lab
}

/// A message to be sent, with what most have.
pub(super) fn send(first_line: &str, more: &str, attributes: &str) -> String {
    format!(
        "<send {attributes}><![CDATA[\n{first_line}\nVia: SIP/2.0/[transport] \
         [local_ip]:[local_port];branch=[branch]\nFrom: <sip:a@b>;tag=1\n\
         To: <sip:c@d>[peer_tag_param]\nCall-ID: [call_id]\n{more}\nContent-Length: 0\n]]></send>"
    )
}

/// A request to be sent.
pub(super) fn request(method: &str, attributes: &str) -> String {
    send(
        &format!("{method} sip:c@d SIP/2.0"),
        &format!("CSeq: [cseq] {method}"),
        attributes,
    )
}

/// A response to be sent to what was received last.
pub(super) fn response(status: &str, attributes: &str) -> String {
    format!(
        "<send {attributes}><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n\
         [last_To:];tag=9\n[last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n]]></send>"
    )
}

/// The answer to a request, from its status to its `end`, which begins with more headers.
fn answer_to(request: &str, status: &str, end: &str) -> String {
    let message = Received::new(request.as_bytes()).expect("a request was sent");
    let header = |name: &'static [u8]| {
        String::from_utf8_lossy(message.header(name).unwrap_or_default()).into_owned()
    };
    let to = header(b"To");
    let to = if to.contains("tag=") {
        to
    } else {
        format!("{to};tag=77")
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             {end}",
        header(b"Via"),
        header(b"From"),
        header(b"Call-ID"),
        header(b"CSeq")
    )
}

impl Lab {
    /// Lets time pass; every deadline on the way is met.
    pub(super) fn advance(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        for _ in 0..10_000 {
            let next = self.station.next_deadline().filter(|next| *next <= until);
            let Some(next) = next else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            self.station.expire(self.now);
        }
        panic!("time does not pass");
    }

    /// What was sent since the last look.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        let mut bytes = Vec::new();
        while self.station.transmit(&mut bytes).is_some() {
            all.push(String::from_utf8(std::mem::take(&mut bytes)).expect("tests send text"));
        }
        all
    }

    /// What was sent since the last look, be it text or not.
    pub(super) fn sent_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.station.transmit(&mut bytes).is_some() {}
        bytes
    }

    /// The first lines of what was sent, without the version.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let first = |message: &String| message.lines().next().unwrap_or_default().to_owned();
        self.sent().iter().map(first).collect()
    }

    pub(super) fn receive(&mut self, text: &str) {
        self.receive_bytes(text.as_bytes());
    }

    pub(super) fn receive_bytes(&mut self, bytes: &[u8]) {
        let from = Source {
            transport: self.transport,
            local: address(5_060),
            remote: address(5_070),
            connection: None,
        };
        self.station.receive(self.now, from, bytes);
    }

    /// Answers a request that was sent.
    pub(super) fn answer(&mut self, request: &str, status: &str, more: &str) {
        let end = format!("{more}Content-Length: 0\r\n\r\n");
        let text = answer_to(request, status, &end);
        self.receive(&text);
    }

    /// Answers an INVITE with a description.
    pub(super) fn answer_with(&mut self, request: &str, description: &str) {
        let length = description.len();
        let more = format!(
            "Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{description}"
        );
        let text = answer_to(request, "200 OK", &more);
        self.receive(&text);
    }

    /// A request of the peer.
    pub(super) fn ask(&mut self, method: &str, cseq: u32, more: &str) {
        self.receive(&format!(
            "{method} sip:c@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-\
             {cseq}{method}\r\nFrom: <sip:x@y>;tag=5\r\nTo: <sip:c@d>\r\nCall-ID: 1-77@127.0.0.1\
             \r\nCSeq: {cseq} {method}\r\n{more}Content-Length: 0\r\n\r\n"
        ));
    }

    pub(super) fn statistics(&self) -> &Statistics {
        self.station.statistics()
    }

    /// Whether the one call ended well, and nothing else happened.
    pub(super) fn is_successful(&self) -> bool {
        let Statistics {
            successful,
            current,
            ..
        } = *self.statistics();
        (successful, self.statistics().failed(), current) == (1, 0, 0)
    }

    pub(super) fn failed_by(&self, failure: Failure) -> bool {
        self.statistics().failures[failure as usize] == 1 && self.statistics().failed() == 1
    }

    /// What the scenario has logged.
    pub(super) fn log(&mut self) -> Vec<String> {
        let lines = self.station.take_lines();
        let own = lines.into_iter().filter(|line| line.log == Log::Scenario);
        own.map(|line| String::from_utf8(line.text).expect("tests log text"))
            .collect()
    }

    /// Milliseconds since the start.
    pub(super) fn elapsed(&self) -> u128 {
        self.now.duration_since(self.start).as_millis()
    }
}
