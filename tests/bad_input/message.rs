//! SIP messages as text: drafts that a row breaks in one place, and what comes back.

use std::sync::atomic::{AtomicU32, Ordering};

use offhook_shards::Transport;

/// A session description that anybody would take.
pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n\
                                t=0 0\r\nm=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// A text that nobody has used before.
pub(crate) fn fresh(kind: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "{kind}{}x{}",
        NEXT.fetch_add(1, Ordering::Relaxed),
        std::process::id()
    )
}

/// A request in the making. `{via}` becomes the transport and the sender's own address, and
/// Content-Length is that of the body unless a header says it.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Draft {
    /// A good request outside any dialog.
    pub(crate) fn new(method: &str, number: &str) -> Self {
        let branch = fresh("z9hG4bK");
        let via = format!("SIP/2.0/{{via}};branch={branch}");
        let (tag, call_id) = (fresh("tag"), fresh("call"));
        let draft = Self {
            start: format!("{method} sip:{number}@127.0.0.1 SIP/2.0"),
            headers: Vec::new(),
            body: Vec::new(),
        };
        draft
            .with("Via", &via)
            .with("Max-Forwards", "70")
            .with("From", &format!("<sip:+441632960123@127.0.0.1>;tag={tag}"))
            .with("To", &format!("<sip:{number}@127.0.0.1>"))
            .with("Call-ID", &call_id)
            .with("CSeq", &format!("1 {method}"))
            .with("Contact", "<sip:+441632960123@127.0.0.1>")
    }

    /// A good INVITE with an offer.
    pub(crate) fn invite(number: &str) -> Self {
        Self::new("INVITE", number)
            .with("Content-Type", "application/sdp")
            .body(OFFER.as_bytes())
    }

    /// Another start line.
    pub(crate) fn start(mut self, line: &str) -> Self {
        line.clone_into(&mut self.start);
        self
    }

    /// The header is added, once more if it is there.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The header says this instead.
    pub(crate) fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(found, _)| found != name);
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    pub(crate) fn value(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        &found.unwrap_or_else(|| panic!("no {name}")).1
    }

    /// The bytes, as `transport` carries them from `address`.
    pub(crate) fn bytes(&self, transport: Transport, address: &str) -> Vec<u8> {
        let name = match transport {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        };
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self
            .headers
            .iter()
            .any(|(name, _)| name == "Content-Length")
        {
            text.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        text.push_str("\r\n");
        let mut bytes = text
            .replace("{via}", &format!("{name} {address}"))
            .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The ACK of a failure that the INVITE got.
    pub(crate) fn acknowledgement(&self, failure: &Heard) -> Self {
        let number = self.start.replacen("INVITE", "ACK", 1);
        let cseq = self.value("CSeq").replace("INVITE", "ACK");
        self.clone()
            .start(&number)
            .set("CSeq", &cseq)
            .set("To", failure.value("To"))
            .without("Content-Type")
            .body(b"")
    }

    /// The CANCEL of this INVITE.
    pub(crate) fn cancel(self) -> Self {
        let start = self.start.replacen("INVITE", "CANCEL", 1);
        let cseq = self.value("CSeq").replace("INVITE", "CANCEL");
        self.start(&start)
            .set("CSeq", &cseq)
            .without("Content-Type")
            .body(b"")
    }

    /// A request in the dialog that a 2xx to this INVITE has made.
    pub(crate) fn within(&self, answer: &Heard, method: &str, cseq: u32) -> Self {
        Self::new(method, "7000")
            .set("From", self.value("From"))
            .set("To", answer.value("To"))
            .set("Call-ID", self.value("Call-ID"))
            .set("CSeq", &format!("{cseq} {method}"))
    }
}

/// A message that was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard(pub(crate) String);

impl Heard {
    /// The method of a request, or nothing.
    pub(crate) fn method(&self) -> Option<&str> {
        let word = self.0.split(' ').next()?;
        (word != "SIP/2.0").then_some(word)
    }

    /// The status of a response, or nothing.
    pub(crate) fn status(&self) -> Option<u16> {
        let mut words = self.0.split(' ');
        (words.next() == Some("SIP/2.0")).then(|| words.next()?.parse().ok())?
    }

    /// The first value of a header.
    pub(crate) fn value(&self, name: &str) -> &str {
        let mut lines = self.0.split("\r\n").skip(1);
        let found = lines.find_map(|line| {
            let (header, value) = line.split_once(':')?;
            header.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        found.unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// Start line and headers that every response repeats.
    pub(crate) fn answer(&self, status: &str, tag: &str) -> String {
        let mut to = self.value("To").to_owned();
        if !to.contains(";tag=") {
            to = format!("{to};tag={tag}");
        }
        let vias = self.0.split("\r\n").filter(|line| line.starts_with("Via:"));
        let vias: String = vias.map(|via| format!("{via}\r\n")).collect();
        format!(
            "SIP/2.0 {status}\r\n{vias}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n",
            self.value("From"),
            self.value("Call-ID"),
            self.value("CSeq"),
        )
    }
}
