//! Puts values into a template. What is not known yet is empty; the length of the body and the
//! answer to a challenge are put in last, because they depend on the rest.

use std::net::IpAddr;
use std::time::Instant;

use super::call::{Call, Part};
use super::digest::{self, Credentials};
use super::floor::{Floor, transport_name};
use super::heads::Heads;
use super::message;
use super::names::{Scope, VariableId};
use super::template::{Keyword, Segment, Template, parameters};
use super::value::{Value, write_ip, write_number};

/// Digits that SIPp reserves for `[len]`.
const LENGTH_DIGITS: usize = 5;
/// What `[branch]` begins with (RFC 3261 §8.1.1.7).
const BRANCH_COOKIE: &[u8] = b"z9hG4bK-";
/// Stands where the answer to a challenge will be: an empty line would end the headers.
const PLACEHOLDER: u8 = b'_';
/// A field of an injection file may hold this keyword itself.
const AUTHENTICATION: &[u8] = b"[authentication";

/// What a text is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) call: &'a Call,
    pub(crate) floor: &'a Floor,
    pub(crate) now: Instant,
    /// The step that the text belongs to.
    pub(crate) step: usize,
    /// A number by chance, for an answer to a challenge.
    pub(crate) chance: u32,
}

/// Something that could not be put in; the rest was.
pub(crate) type Fault = String;

/// Places that are filled when everything else is there, and what was found out for others.
#[derive(Default)]
struct Late<'a> {
    /// The headers of the message received last, once they were asked for.
    received: Option<Heads<'a>>,
    length: Option<(usize, i64)>,
    authentication: Option<(usize, Vec<u8>)>,
    fault: Option<Fault>,
}

/// Appends a text to an empty buffer.
pub(crate) fn render(template: &Template, view: &View<'_>, output: &mut Vec<u8>) -> Option<Fault> {
    let start = output.len();
    let mut late = Late::default();
    let mut joins_lines = false;
    for segment in &template.segments {
        match segment {
            Segment::Literal(text) => {
                let text = if joins_lines {
                    text.trim_ascii_start()
                } else {
                    text
                };
                output.extend_from_slice(text);
                joins_lines = false;
            }
            Segment::Keyword(keyword) => {
                view.write(keyword, output, &mut late);
                // A header that has nothing to show takes its line with it.
                let may_vanish = matches!(keyword, Keyword::LastHeader(_) | Keyword::Routes);
                joins_lines = may_vanish && output.last() == Some(&b'\n');
            }
        }
    }
    if let Some((place, offset)) = late.length {
        let body = message::body(&output[start..]).len();
        let length = i64::try_from(body)
            .unwrap_or(i64::MAX)
            .saturating_add(offset);
        let end = output.len();
        write_number(output, length);
        let digits = output.len() - end;
        if digits <= LENGTH_DIGITS {
            output.copy_within(end.., place + LENGTH_DIGITS - digits);
        } else {
            // A length of more digits could only be that of a message too long to be sent.
            late.fault = Some(format!("the length {length} has too many digits"));
        }
        output.truncate(end);
    }
    if let Some((place, text)) = late.authentication.take() {
        let header = view.authorization(&text, &output[start..]);
        let header = header.unwrap_or_else(|fault| {
            late.fault = Some(fault);
            Vec::new()
        });
        drop(output.splice(place..=place, header));
    }
    late.fault
}

impl<'a> View<'a> {
    fn write(&self, keyword: &Keyword, output: &mut Vec<u8>, late: &mut Late<'a>) {
        match keyword {
            Keyword::RemoteIp
            | Keyword::RemoteHost
            | Keyword::RemotePort(_)
            | Keyword::LocalIp
            | Keyword::ServerIp
            | Keyword::LocalIpType
            | Keyword::LocalPort(_)
            | Keyword::Transport
            | Keyword::MediaIp
            | Keyword::MediaIpType
            | Keyword::MediaPort(_)
            | Keyword::AutoMediaPort(_) => self.address(keyword, output),
            Keyword::Service
            | Keyword::ProcessId
            | Keyword::DynamicId(_)
            | Keyword::Users(_)
            | Keyword::Timestamp
            | Keyword::Date
            | Keyword::Version
            | Keyword::ClockTick(_) => self.run(keyword, output),
            Keyword::Length(offset) => {
                late.length = Some((output.len(), *offset));
                output.extend_from_slice(&[b' '; LENGTH_DIGITS]);
            }
            Keyword::Authentication(template) => {
                let text = self.nested(template, late);
                late.authentication = Some((output.len(), text));
                output.push(PLACEHOLDER);
            }
            Keyword::Field { column, file, line } => {
                self.field(*column, file.as_deref(), line.as_deref(), output, late);
            }
            Keyword::File(name) => {
                let name = self.nested(name, late);
                match self.floor.files.contents.get(&name) {
                    Some(contents) => output.extend_from_slice(contents),
                    None => {
                        let name = String::from_utf8_lossy(&name);
                        late.fault = Some(format!("the file {name} was not there at the start"));
                    }
                }
            }
            Keyword::Fill { variable, text } => {
                /// A longer message would not be sent anyway.
                const FILL_MAX: f64 = 65_535.0;
                let length = self.value(*variable).number().unwrap_or(0.0);
                let length = length.clamp(0.0, FILL_MAX) as usize;
                output.extend(text.iter().cycle().take(length));
            }
            Keyword::Variable(id) => self.value(*id).write(output),
            Keyword::CallId
            | Keyword::CallNumber
            | Keyword::CSeq(_)
            | Keyword::Branch(_)
            | Keyword::MessageIndex
            | Keyword::UserId(_)
            | Keyword::PeerTag
            | Keyword::LastHeader(_)
            | Keyword::LastRequestUri
            | Keyword::LastCSeqNumber(_)
            | Keyword::LastMessage
            | Keyword::Routes
            | Keyword::NextUrl => self.dialog(keyword, output, late),
        }
    }

    /// A text inside another.
    fn nested(&self, template: &Template, late: &mut Late<'a>) -> Vec<u8> {
        let mut text = Vec::new();
        let fault = render(template, self, &mut text);
        late.fault = late.fault.take().or(fault);
        text
    }

    /// Keywords that name addresses.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "`write` sends only these here"
    )]
    fn address(&self, keyword: &Keyword, output: &mut Vec<u8>) {
        let (call, settings) = (self.call, &self.floor.settings);
        let remote = settings.named.unwrap_or(call.remote());
        let local = call.local().unwrap_or(settings.local);
        match keyword {
            Keyword::RemoteIp => write_host(output, remote.ip()),
            Keyword::RemoteHost => output.extend_from_slice(settings.remote_host.as_bytes()),
            Keyword::RemotePort(offset) => number(output, u64::from(remote.port()), *offset),
            Keyword::LocalIp | Keyword::ServerIp => write_host(output, local.ip()),
            Keyword::LocalIpType => ip_type(output, local.ip()),
            Keyword::LocalPort(offset) => {
                number(output, u64::from(local.port()), *offset);
            }
            Keyword::Transport => {
                output.extend_from_slice(transport_name(call.transport()).as_bytes());
            }
            // Session descriptions have no brackets around addresses of IPv6.
            Keyword::MediaIp => write_ip(output, settings.media_ip),
            Keyword::MediaIpType => ip_type(output, settings.media_ip),
            Keyword::MediaPort(offset) => number(output, u64::from(settings.media_port), *offset),
            Keyword::AutoMediaPort(offset) => {
                /// Ports that calls share among them, four each.
                const PORTS: u64 = 10_000;
                let place = call.number().saturating_sub(1) * 4 % PORTS;
                number(output, u64::from(settings.media_port) + place, *offset);
            }
            _ => {}
        }
    }

    /// Keywords whose values the run has.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "`write` sends only these here"
    )]
    fn run(&self, keyword: &Keyword, output: &mut Vec<u8>) {
        let settings = &self.floor.settings;
        match keyword {
            Keyword::Service => output.extend_from_slice(settings.service.as_bytes()),
            Keyword::ProcessId => number(output, u64::from(settings.process_id), 0),
            Keyword::DynamicId(offset) => number(output, self.floor.dynamic_id(), *offset),
            Keyword::Users(offset) => {
                let users = settings
                    .load
                    .users
                    .and_then(|users| i64::try_from(users).ok());
                signed(output, users.unwrap_or(-1), *offset);
            }
            Keyword::Timestamp => self.floor.calendar.write_timestamp(self.now, output),
            Keyword::Date => self.floor.calendar.write_date(self.now, output),
            Keyword::Version => output.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes()),
            Keyword::ClockTick(offset) => {
                let since = self.now.saturating_duration_since(self.floor.calendar.at);
                let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                number(output, millis, *offset);
            }
            _ => {}
        }
    }

    /// Keywords whose values the call has.
    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "`write` sends only these here"
    )]
    fn dialog(&self, keyword: &Keyword, output: &mut Vec<u8>, late: &mut Late<'a>) {
        let call = self.call;
        match keyword {
            Keyword::CallId => output.extend_from_slice(call.call_id()),
            Keyword::CallNumber => number(output, call.number(), 0),
            Keyword::CSeq(offset) => number(output, call.cseq, *offset),
            Keyword::Branch(offset) => {
                let step = i64::try_from(self.step)
                    .unwrap_or(i64::MAX)
                    .saturating_add(*offset);
                let (process, call) = (self.floor.settings.process_id, call.number());
                output.extend_from_slice(BRANCH_COOKIE);
                number(output, u64::from(process), 0);
                output.push(b'-');
                number(output, call, 0);
                output.push(b'-');
                write_number(output, step);
            }
            Keyword::MessageIndex => number(output, self.step as u64, 0),
            Keyword::UserId(offset) => number(output, call.user.unwrap_or(0) as u64, *offset),
            Keyword::PeerTag => {
                write_unless_empty(output, b";tag=", call.texts.text(Part::PeerTag));
            }
            Keyword::LastHeader(name) => {
                write_header(self.received(late), name, output);
            }
            Keyword::LastRequestUri => {
                let to = self.received(late).value(b"To");
                output.extend_from_slice(to.map_or(&[], message::uri));
            }
            Keyword::LastCSeqNumber(offset) => {
                let value = self.received(late).value(b"CSeq");
                let found = value.and_then(message::cseq).map_or(0, |(found, _)| found);
                number(output, found, *offset);
            }
            Keyword::LastMessage => output.extend_from_slice(call.texts.text(Part::Received)),
            Keyword::Routes => {
                write_unless_empty(output, b"Route: ", call.texts.text(Part::Routes));
            }
            Keyword::NextUrl => output.extend_from_slice(call.texts.text(Part::NextUrl)),
            _ => {}
        }
    }

    /// The headers of the message received last.
    fn received<'l>(&self, late: &'l mut Late<'a>) -> &'l Heads<'a> {
        let text = || Heads::new(self.call.texts.text(Part::Received));
        late.received.get_or_insert_with(text)
    }

    pub(crate) fn value(&self, id: VariableId) -> &Value {
        match id.scope {
            Scope::Call => &self.call.variables[id.index],
            Scope::User => &self.floor.users[self.call.user.unwrap_or(0)][id.index],
            Scope::Global => &self.floor.globals[id.index],
        }
    }

    fn field(
        &self,
        column: usize,
        file: Option<&[u8]>,
        line: Option<&Template>,
        output: &mut Vec<u8>,
        late: &mut Late<'a>,
    ) {
        let files = &self.floor.files.injections;
        let place = match file {
            None => (!files.is_empty()).then_some(0),
            Some(name) => files.iter().position(|(known, _)| known.as_bytes() == name),
        };
        let Some(place) = place else {
            late.fault = Some("a field is used, and its injection file was not given".to_owned());
            return;
        };
        let line = match line {
            None => self.call.lines.get(place).copied().unwrap_or(0),
            Some(template) => {
                let text = self.nested(template, late);
                // A variable that is zero shows nothing.
                let text = if text.is_empty() {
                    b"0"
                } else {
                    text.as_slice()
                };
                match super::value::number(text) {
                    Some(number) if number >= 0.0 => number as usize,
                    Some(_) | None => return,
                }
            }
        };
        let start = output.len();
        files[place].1.write(line, column, output);
        if output[start..].starts_with(AUTHENTICATION) {
            let text = output.split_off(start);
            let inside = text[AUTHENTICATION.len()..].trim_ascii_end();
            let inside = inside.strip_suffix(b"]").unwrap_or(inside);
            late.authentication = Some((start, inside.to_vec()));
            output.push(PLACEHOLDER);
        }
    }

    /// The whole header that answers the challenge.
    fn authorization(&self, parameter_text: &[u8], text: &[u8]) -> Result<Vec<u8>, Fault> {
        let Some(challenge) = &self.call.challenge else {
            return Err("[authentication] is used before a <recv auth=\"true\">".to_owned());
        };
        let settings = &self.floor.settings;
        let given = parameters(parameter_text);
        let credential = |name: &str, default: &str| {
            let own = given.get(name.as_bytes());
            own.map_or_else(|| default.as_bytes().to_vec(), Clone::clone)
        };
        let uri = match &settings.digest_uri {
            Some(uri) => format!("sip:{uri}"),
            None => format!("sip:{}", settings.named.unwrap_or(self.call.remote())),
        };
        let method = message::first_line(text).split(|byte| *byte == b' ').next();
        let mut header = challenge.header().as_bytes().to_vec();
        header.extend_from_slice(b": ");
        let credentials = Credentials {
            username: &credential("username", &settings.username),
            password: &credential("password", &settings.password),
            method: method.unwrap_or_default(),
            uri: uri.as_bytes(),
            body: message::body(text),
            client_nonce: self.chance,
            count: challenge.uses,
        };
        digest::answer(&challenge.value, &credentials, &mut header)
            .map(|()| header)
            .map_err(|fault| fault.to_string())
    }
}

fn write_unless_empty(output: &mut Vec<u8>, before: &[u8], text: &[u8]) {
    if !text.is_empty() {
        output.extend_from_slice(before);
        output.extend_from_slice(text);
    }
}

/// All headers of a name as one, the values with commas between them. The name is that of the
/// message, be it short or written otherwise.
fn write_header(received: &Heads<'_>, name: &[u8], output: &mut Vec<u8>) {
    for (index, (name, value)) in received.named(name).enumerate() {
        if index == 0 {
            output.extend_from_slice(name);
            output.extend_from_slice(b": ");
        } else {
            output.extend_from_slice(b", ");
        }
        output.extend_from_slice(value);
    }
}

fn number(output: &mut Vec<u8>, number: u64, offset: i64) {
    signed(output, i64::try_from(number).unwrap_or(i64::MAX), offset);
}

fn signed(output: &mut Vec<u8>, number: i64, offset: i64) {
    write_number(output, number.saturating_add(offset));
}

/// Addresses of IPv6 have brackets, as URIs need them.
fn write_host(output: &mut Vec<u8>, ip: IpAddr) {
    if ip.is_ipv6() {
        output.push(b'[');
    }
    write_ip(output, ip);
    if ip.is_ipv6() {
        output.push(b']');
    }
}

fn ip_type(output: &mut Vec<u8>, ip: IpAddr) {
    output.push(if ip.is_ipv4() { b'4' } else { b'6' });
}
