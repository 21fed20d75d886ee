//! Messages made from templates, and the changes of them that the bytes ask for.
//!
//! Changes stand behind the particulars of a deed, with `|` between them: `Name: value` takes the
//! place of the header of that name or is added, `-Name` removes it, `!line` is another first line,
//! `=text` another body, `~12x` puts `x` at byte 12.

/// A description by its number; 0 is none.
pub(super) fn description(number: usize, version: u32) -> String {
    let (address, media) = match number % 8 {
        0 => return String::new(),
        1 => (
            "192.0.2.41",
            "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n",
        ),
        2 => (
            "192.0.2.41",
            "m=audio 4000 RTP/AVP 0\r\nm=video 4002 RTP/AVP 31\r\n",
        ),
        3 => ("192.0.2.41", "m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"),
        4 => ("0.0.0.0", "m=audio 4000 RTP/AVP 0\r\na=inactive\r\n"),
        5 => ("192.0.2.41", "m=audio 0 RTP/AVP 0\r\n"),
        6 => (
            "192.0.2.42",
            "m=video 4002 RTP/AVP 31\r\nm=audio 4006 RTP/AVP 8\r\na=recvonly\r\n",
        ),
        _ => ("192.0.2.41", ""),
    };
    format!(
        "v=0\r\no=- 17 {version} IN IP4 192.0.2.41\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n{media}"
    )
}

/// A message in the making.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    first: Vec<u8>,
    headers: Vec<Vec<u8>>,
    body: Vec<u8>,
}

impl Draft {
    /// A message of these lines, whose body has this type.
    pub(super) fn new(first: &str, headers: &str, (content_type, body): (&str, &[u8])) -> Self {
        let mut headers: Vec<Vec<u8>> = headers
            .lines()
            .map(|line| line.as_bytes().to_vec())
            .collect();
        if !body.is_empty() {
            headers.push(format!("Content-Type: {content_type}").into_bytes());
        }
        Self {
            first: first.as_bytes().to_vec(),
            headers,
            body: body.to_vec(),
        }
    }

    /// The message with its changes.
    pub(super) fn changed(mut self, changes: &[u8]) -> Vec<u8> {
        let mut has_length = false;
        let mut pokes = Vec::new();
        for change in changes.split(|byte| *byte == b'|') {
            match change {
                [] => {}
                [b'!', line @ ..] => self.first = line.to_vec(),
                [b'-', name @ ..] => self.remove(name),
                [b'=', text @ ..] => self.body = text.to_vec(),
                [b'~', place @ ..] => pokes.push(place),
                header => {
                    let end = header.iter().position(|byte| *byte == b':');
                    let name = &header[..end.unwrap_or(header.len())];
                    has_length |= name.eq_ignore_ascii_case(b"Content-Length");
                    self.remove(name);
                    self.headers.push(header.to_vec());
                }
            }
        }
        let mut bytes = self.first;
        for header in self.headers {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(&header);
        }
        if !has_length {
            let length = format!("\r\nContent-Length: {}", self.body.len());
            bytes.extend_from_slice(length.as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.body);
        for place in pokes {
            poke(&mut bytes, place);
        }
        bytes
    }

    fn remove(&mut self, name: &[u8]) {
        self.headers.retain(|header| {
            let same = header
                .get(..name.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(name));
            !same || header.get(name.len()) != Some(&b':')
        });
    }
}

/// Puts bytes at a place; the place is a decimal number before them.
fn poke(bytes: &mut [u8], place: &[u8]) {
    let digits = place
        .iter()
        .take(4)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (digits, new) = place.split_at(digits);
    let at = digits
        .iter()
        .fold(0, |at, digit| at * 10 + usize::from(digit - b'0'));
    for (old, new) in bytes.iter_mut().skip(at).zip(new) {
        *old = *new;
    }
}

/// Text in which `|` stands for the end of a line.
pub(super) fn with_lines(bytes: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'|').collect();
    lines.join(&b"\r\n"[..])
}
