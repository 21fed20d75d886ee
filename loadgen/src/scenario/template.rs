//! Texts with `[keywords]`, cut into segments once, when the scenario is loaded. Putting the
//! values in is `render`'s.

use std::collections::BTreeMap;

use super::names::{Names, VariableId};
use super::note::Notes;
use super::text::hexadecimal;

#[cfg(test)]
mod tests;

/// A keyword with what stands beside it in its brackets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Keyword {
    RemoteIp,
    RemoteHost,
    RemotePort(i64),
    LocalIp,
    LocalIpType,
    LocalPort(i64),
    ServerIp,
    Transport,
    MediaIp,
    MediaIpType,
    MediaPort(i64),
    AutoMediaPort(i64),
    CallId,
    CallNumber,
    CSeq(i64),
    /// Of the step this many places away.
    Branch(i64),
    MessageIndex,
    ProcessId,
    Service,
    DynamicId(i64),
    Users(i64),
    UserId(i64),
    ClockTick(i64),
    Timestamp,
    Date,
    Version,
    PeerTag,
    /// Whole header lines of the message received last, the name without a colon.
    LastHeader(Vec<u8>),
    LastRequestUri,
    LastCSeqNumber(i64),
    LastMessage,
    Routes,
    NextUrl,
    /// The length of the body, and what is added to it.
    Length(i64),
    /// The answer to a challenge; its parameters as text.
    Authentication(Box<Template>),
    Field {
        column: usize,
        /// Which injection file; the first one if it is not named.
        file: Option<Vec<u8>>,
        /// A line of the call's own choice.
        line: Option<Box<Template>>,
    },
    /// The contents of a file.
    File(Box<Template>),
    /// As many letters as a variable says.
    Fill {
        variable: VariableId,
        text: Vec<u8>,
    },
    Variable(VariableId),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Segment {
    Literal(Box<[u8]>),
    Keyword(Keyword),
}

/// A text with keywords.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
}

impl Template {
    /// Cuts a text. Faults are noted at `line` or, in a text of several lines, below it.
    pub(crate) fn new(text: &[u8], line: u32, names: &mut Names, notes: &mut Notes) -> Self {
        let mut template = Self::default();
        let mut literal = Vec::new();
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            if let Some(escaped) = hexadecimal(&text[at..]) {
                literal.push(escaped);
                at += 4;
                continue;
            }
            if *byte != b'[' {
                literal.push(*byte);
                at += 1;
                continue;
            }
            let breaks = memchr::memchr_iter(b'\n', &text[..at]).count();
            let line = line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
            let Some(length) = closing(&text[at..]) else {
                let hint = "a `[` is never closed; write \\x5b for the letter";
                notes.error(line, hint);
                break;
            };
            let inside = &text[at + 1..at + length];
            at += length + 1;
            if let Some(value) = names.key(inside) {
                literal.extend_from_slice(value);
            } else if let Some(keyword) = keyword(inside, line, names, notes) {
                template.push_literal(&mut literal);
                template.segments.push(Segment::Keyword(keyword));
            }
        }
        template.push_literal(&mut literal);
        template
    }

    pub(crate) fn push_literal(&mut self, literal: &mut Vec<u8>) {
        if !literal.is_empty() {
            let text = std::mem::take(literal).into_boxed_slice();
            self.segments.push(Segment::Literal(text));
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "these are the keywords that hold others"
    )]
    /// Shows every keyword, those inside others included.
    pub(crate) fn visit(&self, look: &mut dyn FnMut(&Keyword)) {
        for segment in &self.segments {
            let Segment::Keyword(keyword) = segment else {
                continue;
            };
            look(keyword);
            match keyword {
                Keyword::Authentication(inner) | Keyword::File(inner) => inner.visit(look),
                Keyword::Field {
                    line: Some(inner), ..
                } => inner.visit(look),
                _ => {}
            }
        }
    }

    /// Whether any keyword is as said.
    pub(crate) fn uses(&self, wanted: impl Fn(&Keyword) -> bool) -> bool {
        self.segments.iter().any(|segment| match segment {
            Segment::Literal(_) => false,
            Segment::Keyword(keyword) => wanted(keyword),
        })
    }

    /// The files that it quotes, as far as their names are known beforehand.
    pub(crate) fn file_names(&self) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        for segment in &self.segments {
            if let Segment::Keyword(Keyword::File(name)) = segment
                && !name.uses(|_| true)
            {
                names.push(name.beginning().to_vec());
            }
        }
        names
    }

    /// The text before the first keyword.
    pub(crate) fn beginning(&self) -> &[u8] {
        match self.segments.first() {
            Some(Segment::Literal(text)) => text,
            Some(Segment::Keyword(_)) | None => b"",
        }
    }
}

/// Where the bracket that opens a text is closed.
fn closing(text: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, byte) in text.iter().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

fn keyword(inside: &[u8], line: u32, names: &mut Names, notes: &mut Notes) -> Option<Keyword> {
    let found = plain(inside)
        .or_else(|| with_offset(inside))
        .or_else(|| with_parameters(inside, line, names, notes));
    if found.is_none() {
        let name = String::from_utf8_lossy(inside);
        let hint = if name.starts_with("crypto") || name.starts_with("ueaescm") {
            "SRTP keywords are not supported"
        } else if name == "tdmmap" {
            "TDM maps are not supported"
        } else {
            "give it with `-key`, or write \\x5b for a `[` of the text"
        };
        notes.error(line, format!("unknown keyword [{name}]: {hint}"));
    }
    found
}

fn plain(inside: &[u8]) -> Option<Keyword> {
    Some(match inside {
        b"remote_ip" => Keyword::RemoteIp,
        b"remote_host" => Keyword::RemoteHost,
        b"local_ip" => Keyword::LocalIp,
        b"local_ip_type" => Keyword::LocalIpType,
        b"server_ip" => Keyword::ServerIp,
        b"transport" => Keyword::Transport,
        b"media_ip" => Keyword::MediaIp,
        b"media_ip_type" => Keyword::MediaIpType,
        b"call_id" => Keyword::CallId,
        b"msg_index" => Keyword::MessageIndex,
        b"pid" => Keyword::ProcessId,
        b"service" => Keyword::Service,
        b"timestamp" => Keyword::Timestamp,
        b"date" => Keyword::Date,
        b"sipp_version" => Keyword::Version,
        b"peer_tag_param" => Keyword::PeerTag,
        b"last_Request_URI" => Keyword::LastRequestUri,
        b"last_message" => Keyword::LastMessage,
        b"routes" => Keyword::Routes,
        b"next_url" => Keyword::NextUrl,
        _ => return None,
    })
}

/// A name that may be followed by `+n` or `-n`.
fn with_offset(inside: &[u8]) -> Option<Keyword> {
    let sign = inside.iter().rposition(|byte| matches!(byte, b'+' | b'-'));
    let split = sign.and_then(|at| {
        let digits = std::str::from_utf8(&inside[at + 1..]).ok()?;
        let number: i64 = digits.trim().parse().ok()?;
        let negative = inside[at] == b'-';
        Some((&inside[..at], if negative { -number } else { number }))
    });
    let (name, offset) = split.unwrap_or((inside, 0));
    Some(match name {
        b"remote_port" => Keyword::RemotePort(offset),
        b"local_port" => Keyword::LocalPort(offset),
        b"media_port" | b"rtpstream_audio_port" => Keyword::MediaPort(offset),
        b"rtpstream_video_port" => Keyword::MediaPort(offset.saturating_add(2)),
        b"auto_media_port" => Keyword::AutoMediaPort(offset),
        // SIPp takes an offset there, and makes nothing of it.
        b"call_number" => Keyword::CallNumber,
        b"cseq" => Keyword::CSeq(offset),
        b"branch" => Keyword::Branch(offset),
        b"dynamic_id" => Keyword::DynamicId(offset),
        b"users" => Keyword::Users(offset),
        b"userid" => Keyword::UserId(offset),
        b"clock_tick" => Keyword::ClockTick(offset),
        b"last_cseq_number" => Keyword::LastCSeqNumber(offset),
        b"len" => Keyword::Length(offset),
        _ => return None,
    })
}

fn with_parameters(
    inside: &[u8],
    line: u32,
    names: &mut Names,
    notes: &mut Notes,
) -> Option<Keyword> {
    if let Some(name) = inside.strip_prefix(b"$") {
        return Some(Keyword::Variable(names.read(name, line)));
    }
    if let Some(header) = inside.strip_prefix(b"last_") {
        let header = header.strip_suffix(b":").unwrap_or(header);
        return (!header.is_empty()).then(|| Keyword::LastHeader(header.to_vec()));
    }
    let end = inside.iter().position(u8::is_ascii_whitespace);
    let (name, rest) = inside.split_at(end.unwrap_or(inside.len()));
    if name == b"authentication" {
        let parameters = Template::new(rest.trim_ascii(), line, names, notes);
        return Some(Keyword::Authentication(Box::new(parameters)));
    }
    let mut parameters = parameters(rest);
    let mut nested =
        |text: Vec<u8>, names: &mut Names| Box::new(Template::new(&text, line, names, notes));
    if let Some(column) = name.strip_prefix(b"field") {
        return Some(Keyword::Field {
            column: std::str::from_utf8(column).ok()?.parse().ok()?,
            file: parameters.remove(b"file".as_slice()),
            line: parameters
                .remove(b"line".as_slice())
                .map(|text| nested(text, names)),
        });
    }
    match name {
        b"file" => {
            let text = parameters.remove(b"name".as_slice())?;
            Some(Keyword::File(nested(text, names)))
        }
        b"fill" => Some(Keyword::Fill {
            variable: {
                let name = parameters.remove(b"variable".as_slice())?;
                names.read(&name, line)
            },
            text: parameters
                .remove(b"text".as_slice())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| b"X".to_vec()),
        }),
        _ => None,
    }
}

/// `name=value name="value"`, as keywords and challenges have them.
pub(crate) fn parameters(text: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    loop {
        let separator = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
        let start = rest.iter().position(|byte| !separator(byte));
        let Some(start) = start else {
            return found;
        };
        rest = &rest[start..];
        let end = rest
            .iter()
            .position(|byte| *byte == b'=' || separator(byte));
        let end = end.unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let mut value = Vec::new();
        if let Some(after) = rest.strip_prefix(b"=") {
            let length = if after.first() == Some(&b'"') {
                let close = memchr::memchr(b'"', &after[1..]).unwrap_or(after.len() - 1);
                value.extend_from_slice(&after[1..=close]);
                (close + 2).min(after.len())
            } else {
                let length = after.iter().position(separator).unwrap_or(after.len());
                value.extend_from_slice(&after[..length]);
                length
            };
            rest = &after[length..];
        }
        found.entry(name).or_insert(value);
    }
}
