//! Carries out the actions of a step. The first check that fails ends the step's actions; the
//! call goes on, and has failed when it is over.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use offhook_shards::Transport;

use super::super::digest::{self, Credentials};
use super::super::floor::{Floor, Line, Log};
use super::super::media::{self, Order};
use super::super::message::{self, Received};
use super::super::model::{
    Action, Change, Check, Comparison, Operand, Operator, SearchIn, Step, Stop, TextOperand, Volume,
};
use super::super::names::VariableId;
use super::super::statistics::Failure;
use super::super::template::Template;
use super::super::text;
use super::super::value::Value;
use super::{Call, Flow, Part};

/// Where and when an action takes place.
#[derive(Clone, Copy)]
struct Place<'a> {
    now: Instant,
    step: usize,
    received: Option<&'a [u8]>,
}

impl<'a> Place<'a> {
    fn new(now: Instant, step: usize, received: Option<&'a [u8]>) -> Self {
        Self {
            now,
            step,
            received,
        }
    }
}

impl Call {
    pub(super) fn act(
        &mut self,
        now: Instant,
        index: usize,
        step: &Step,
        received: Option<&[u8]>,
        floor: &mut Floor,
    ) -> Flow {
        let place = Place::new(now, index, received);
        for action in &step.actions {
            let outcome = match action {
                Action::Stop(Stop::Call) => return Flow::End(Some(Failure::Rejected)),
                Action::Stop(other) => {
                    floor.stop = Some(*other);
                    Ok(())
                }
                Action::Match {
                    pattern,
                    search,
                    targets,
                    check,
                } => self.match_pattern(place, *pattern, search, targets, *check, floor),
                Action::Test {
                    target,
                    left,
                    comparison,
                    right,
                    check,
                } => self.test(*target, *left, *comparison, *right, *check, floor),
                Action::CompareText {
                    target,
                    left,
                    right,
                    check,
                } => self.compare_text(*target, *left, right, *check, floor),
                Action::Say { .. }
                | Action::AssignText { .. }
                | Action::Arithmetic { .. }
                | Action::ToNumber { .. }
                | Action::Change { .. }
                | Action::Sample { .. }
                | Action::TimeOfDay { .. }
                | Action::Index { .. }
                | Action::Jump(_)
                | Action::RestorePause(_) => {
                    self.act_simply(place, action, floor);
                    Ok(())
                }
                Action::VerifyAuth { .. }
                | Action::Lookup { .. }
                | Action::Insert { .. }
                | Action::Replace { .. }
                | Action::Media(_)
                | Action::Execute(_)
                | Action::CloseConnection
                | Action::SetDestination { .. } => {
                    self.act_rarely(place, action, floor);
                    Ok(())
                }
            };
            if let Err(failure) = outcome {
                self.failure = Some(failure);
                return Flow::On;
            }
        }
        Flow::On
    }

    fn text(&self, place: Place<'_>, template: &Template, floor: &mut Floor) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(fault) = self.render(place.now, place.step, template, floor, &mut text) {
            let number = self.number;
            floor.warn(place.now, || format!("call {number}: {fault}"));
        }
        text
    }

    fn number_of(&self, operand: Operand, floor: &Floor) -> f64 {
        match operand {
            Operand::Value(value) => value,
            Operand::Variable(variable) => self.value(variable, floor).number().unwrap_or(0.0),
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "`act` sends only these here"
    )]
    fn act_simply(&mut self, place: Place<'_>, action: &Action, floor: &mut Floor) {
        match action {
            Action::Say { volume, text } => {
                let text = self.text(place, text, floor);
                self.say(place, *volume, text, floor);
            }
            Action::AssignText { target, text } => {
                let text = self.text(place, text, floor);
                *self.value_mut(*target, floor) = Value::Text(text);
            }
            Action::Arithmetic {
                target,
                operator,
                operand,
            } => {
                self.calculate(place, *target, *operator, *operand, floor);
            }
            Action::ToNumber { target, source } => match self.value(*source, floor).number() {
                Some(number) => *self.value_mut(*target, floor) = Value::Number(number),
                None => {
                    let number = self.number;
                    floor.warn(place.now, || format!("call {number}: a text is no number"));
                }
            },
            Action::Change { target, change } => {
                let mut text = Vec::new();
                self.value(*target, floor).write(&mut text);
                *self.value_mut(*target, floor) = Value::Text(changed(&text, *change));
            }
            Action::Sample {
                target,
                distribution,
            } => {
                let number = distribution.sample(&mut floor.random);
                *self.value_mut(*target, floor) = Value::Number(number);
            }
            Action::TimeOfDay {
                seconds,
                microseconds,
            } => {
                let epoch = floor.calendar.epoch(place.now);
                *self.value_mut(*seconds, floor) = Value::Number(epoch.as_secs() as f64);
                let micros = f64::from(epoch.subsec_micros());
                *self.value_mut(*microseconds, floor) = Value::Number(micros);
            }
            Action::Index { target } => {
                *self.value_mut(*target, floor) = Value::Number(place.step as f64);
            }
            Action::Jump(operand) => {
                let target = self.number_of(*operand, floor);
                // A place beyond the end is the end.
                self.step = (target.max(0.0) as usize).min(floor.scenario.steps.len());
                self.has_entered = false;
                self.receive_until = None;
                self.has_jumped = true;
            }
            Action::RestorePause(operand) => {
                let left = self.number_of(*operand, floor).max(0.0) / 1_000.0;
                let left = Duration::try_from_secs_f64(left).unwrap_or_default();
                self.pause_until = (!left.is_zero()).then(|| place.now + left);
            }
            _ => {}
        }
    }

    fn calculate(
        &mut self,
        place: Place<'_>,
        target: VariableId,
        operator: Operator,
        operand: Operand,
        floor: &mut Floor,
    ) {
        let right = self.number_of(operand, floor);
        let left = self.value(target, floor).number().unwrap_or(0.0);
        let result = match operator {
            Operator::Assign => right,
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide if right == 0.0 => {
                let number = self.number;
                floor.warn(place.now, || format!("call {number}: a division by zero"));
                left
            }
            Operator::Divide => left / right,
        };
        *self.value_mut(target, floor) = Value::Number(result);
    }

    fn say(&mut self, place: Place<'_>, volume: Volume, text: Vec<u8>, floor: &mut Floor) {
        match volume {
            Volume::Log => {
                if floor.settings.traces.logs {
                    floor.log(Line {
                        log: Log::Scenario,
                        at: place.now,
                        text,
                    });
                }
            }
            Volume::Warning => {
                floor.warn(place.now, || String::from_utf8_lossy(&text).into_owned());
            }
            Volume::Error => {
                floor.warn(place.now, || String::from_utf8_lossy(&text).into_owned());
                floor.stop = Some(Stop::Now);
                floor.is_fatal = true;
            }
        }
    }

    fn match_pattern(
        &mut self,
        place: Place<'_>,
        pattern: usize,
        search: &SearchIn,
        targets: &[VariableId],
        check: Check,
        floor: &mut Floor,
    ) -> Result<(), Failure> {
        let received = place.received.map_or_else(
            || Cow::Owned(self.texts.text(Part::Received).to_vec()),
            Cow::from,
        );
        let subject: Cow<'_, [u8]> = match search {
            SearchIn::Message => Cow::Borrowed(&received),
            SearchIn::Body => Cow::Borrowed(message::body(&received)),
            SearchIn::Header {
                name,
                ignores_case,
                at_line_start,
                occurrence,
            } => {
                let found = part_of(&received, name, *ignores_case, *at_line_start, *occurrence);
                match found.filter(|part| !part.is_empty()) {
                    Some(part) => Cow::Borrowed(part),
                    None if check == Check::Must => return Err(Failure::HeaderMissing),
                    None => return Ok(()),
                }
            }
            SearchIn::Variable(variable) => {
                let mut text = Vec::new();
                self.value(*variable, floor).write(&mut text);
                Cow::Owned(text)
            }
        };
        let scenario = std::sync::Arc::clone(&floor.scenario);
        let mut groups = std::mem::take(&mut floor.groups);
        let memory = &mut floor.memories[pattern];
        let is_found = scenario.patterns[pattern].matches(&subject, memory, &mut groups);
        if is_found {
            for (target, group) in targets.iter().zip(&groups) {
                if let Some(group) = group.clone() {
                    let value = self.value_mut(*target, floor);
                    value.set_text(|text| text.extend_from_slice(&subject[group]));
                }
            }
        }
        floor.groups = groups;
        match (check, is_found) {
            (Check::Must, false) => Err(Failure::PatternMissed),
            (Check::MustNot, true) => Err(Failure::PatternMatched),
            (Check::No | Check::Must, true) | (Check::No | Check::MustNot, false) => Ok(()),
        }
    }

    fn test(
        &mut self,
        target: Option<VariableId>,
        left: VariableId,
        comparison: Comparison,
        right: Operand,
        check: Check,
        floor: &mut Floor,
    ) -> Result<(), Failure> {
        let left = self.value(left, floor).number().unwrap_or(0.0);
        let order = left.partial_cmp(&self.number_of(right, floor));
        let is_true = match comparison {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::NotEqual => order != Some(Ordering::Equal),
            Comparison::Greater => order == Some(Ordering::Greater),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        };
        if let Some(target) = target {
            *self.value_mut(target, floor) = Value::Truth(is_true);
        }
        match (check, is_true) {
            (Check::Must, false) => Err(Failure::TestFailed),
            (Check::MustNot, true) => Err(Failure::TestSucceeded),
            (Check::No | Check::Must, true) | (Check::No | Check::MustNot, false) => Ok(()),
        }
    }

    fn compare_text(
        &mut self,
        target: Option<VariableId>,
        left: VariableId,
        right: &TextOperand,
        check: Check,
        floor: &mut Floor,
    ) -> Result<(), Failure> {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        self.value(left, floor).write(&mut first);
        match right {
            TextOperand::Text(text) => second.extend_from_slice(text),
            TextOperand::Variable(variable) => self.value(*variable, floor).write(&mut second),
        }
        let difference = difference(&first, &second);
        if let Some(target) = target {
            *self.value_mut(target, floor) = Value::Number(f64::from(difference));
        }
        match (check, difference == 0) {
            (Check::Must, false) => Err(Failure::TextsDiffer),
            (Check::MustNot, true) => Err(Failure::TextsEqual),
            (Check::No | Check::Must, true) | (Check::No | Check::MustNot, false) => Ok(()),
        }
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "`act` sends only these here"
    )]
    fn act_rarely(&mut self, place: Place<'_>, action: &Action, floor: &mut Floor) {
        match action {
            Action::VerifyAuth {
                target,
                username,
                password,
            } => {
                let username = self.text(place, username, floor);
                let password = self.text(place, password, floor);
                let received = place.received.unwrap_or(self.texts.text(Part::Received));
                let is_right = is_authorized(received, &username, &password);
                *self.value_mut(*target, floor) = Value::Truth(is_right);
            }
            Action::Lookup { target, file, key } => {
                let (file, key) = (self.text(place, file, floor), self.text(place, key, floor));
                let found = injection(&file, floor).and_then(|file| file.look_up(&key));
                let line = found.map_or(-1.0, |line| line as f64);
                *self.value_mut(*target, floor) = Value::Number(line);
            }
            Action::Insert { file, text } => {
                let (file, text) = (self.text(place, file, floor), self.text(place, text, floor));
                if let Some(file) = injection(&file, floor) {
                    file.insert(&text);
                }
            }
            Action::Replace { file, line, text } => {
                let (file, text) = (self.text(place, file, floor), self.text(place, text, floor));
                let line = self.text(place, line, floor);
                let line = super::super::value::number(&line).filter(|line| *line >= 0.0);
                if let (Some(file), Some(line)) = (injection(&file, floor), line) {
                    file.replace(line as usize, &text);
                }
            }
            Action::Media(order) => self.play(place, *order, floor),
            Action::CloseConnection => self.close_connection(floor),
            Action::Execute(text) => {
                let text = self.text(place, text, floor);
                floor.execute(&text);
            }
            Action::SetDestination {
                host,
                port,
                protocol,
            } => {
                let host = self.text(place, host, floor);
                let port = self.text(place, port, floor);
                let protocol = self.text(place, protocol, floor);
                if self.set_destination(place.now, &host, &port, &protocol, floor) {
                    floor.is_redirected = true;
                } else {
                    let number = self.number;
                    floor.warn(place.now, || {
                        format!("call {number}: setdest needs an IP address, a port and UDP or TCP")
                    });
                }
            }
            _ => {}
        }
    }

    /// Asks the station for media.
    fn play(&mut self, place: Place<'_>, order: Order, floor: &mut Floor) {
        match order {
            Order::Pause => self.is_silent = true,
            Order::Resume => self.is_silent = false,
            Order::Echo(on) => floor.echoes = on,
            Order::Play { track, kind } => {
                self.is_silent = false;
                let last = place.received.unwrap_or(self.texts.text(Part::Received));
                let found = media::destination(last, kind);
                if let Some(to) = found {
                    self.media_to = Some(Box::new(to));
                }
                match self.media_to.as_deref().copied() {
                    Some(to) => {
                        if floor.may_send_to(place.now, self.number, to.ip()) {
                            floor.media_orders.push((track, to));
                        }
                    }
                    None => {
                        let number = self.number;
                        floor.warn(place.now, || {
                            format!("call {number}: nobody said where media are to go")
                        });
                    }
                }
            }
        }
    }

    /// Sends the call elsewhere; `false` if that is no place. Where it may not go, it stays.
    fn set_destination(
        &mut self,
        now: Instant,
        host: &[u8],
        port: &[u8],
        protocol: &[u8],
        floor: &mut Floor,
    ) -> bool {
        let text = |bytes| {
            std::str::from_utf8(bytes)
                .map(str::trim)
                .unwrap_or_default()
        };
        let host = text(host).trim_start_matches('[').trim_end_matches(']');
        let (Ok(ip), Ok(port)) = (host.parse::<IpAddr>(), text(port).parse::<u16>()) else {
            return false;
        };
        if !floor.may_send_to(now, self.number, ip) {
            return true;
        }
        let flow = self.flow(floor);
        self.path.transport = match text(protocol).to_ascii_lowercase().as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            // Only a run over TLS has certificates.
            "tls" if floor.settings.transport == Transport::Tls => Transport::Tls,
            _ => return false,
        };
        if let Some(flow) = flow {
            floor.hang_up(flow);
        }
        self.path.remote = SocketAddr::new(ip, port);
        self.path.connection = None;
        true
    }
}

fn injection<'a>(
    name: &[u8],
    floor: &'a mut Floor,
) -> Option<&'a mut super::super::injection::Injection> {
    let files = &mut floor.files.injections;
    let found = files.iter_mut().find(|(known, _)| known.as_bytes() == name);
    found.map(|(_, file)| file)
}

fn is_authorized(received: &[u8], username: &[u8], password: &[u8]) -> bool {
    let Some(message) = Received::new(received) else {
        return false;
    };
    let own = message.header(b"Authorization");
    let value = own.or_else(|| message.header(b"Proxy-Authorization"));
    let credentials = Credentials {
        username,
        password,
        method: message::first_line(received)
            .split(|byte| *byte == b' ')
            .next()
            .unwrap_or_default(),
        uri: b"",
        body: message::body(received),
        client_nonce: 0,
        count: 0,
    };
    value.is_some_and(|value| digest::verify(value, &credentials))
}

/// The rest of the line behind a text, which need not be a header's name.
fn part_of<'a>(
    received: &'a [u8],
    name: &[u8],
    ignores_case: bool,
    at_line_start: bool,
    occurrence: u32,
) -> Option<&'a [u8]> {
    if name.is_empty() {
        return None;
    }
    let is_it = |window: &[u8]| {
        if ignores_case {
            window.eq_ignore_ascii_case(name)
        } else {
            window == name
        }
    };
    let starts_line = |at: usize| at == 0 || received[at - 1] == b'\n';
    let mut places = received
        .windows(name.len())
        .enumerate()
        .filter(|(at, window)| is_it(window) && (!at_line_start || starts_line(*at)));
    let skipped = usize::try_from(occurrence.saturating_sub(1)).unwrap_or(usize::MAX);
    let (at, _) = places.nth(skipped)?;
    Some(message::first_line(&received[at + name.len()..]))
}

/// Below, at or above zero, by as much as the first bytes that differ.
fn difference(left: &[u8], right: &[u8]) -> i32 {
    let mut place = 0;
    loop {
        let byte = |text: &[u8]| text.get(place).copied().map_or(0, i32::from);
        let (first, second) = (byte(left), byte(right));
        if first != second || place >= left.len() || place >= right.len() {
            return first - second;
        }
        place += 1;
    }
}

fn changed(text: &[u8], change: Change) -> Vec<u8> {
    match change {
        Change::Trim => text.trim_ascii().to_vec(),
        Change::UrlEncode => text
            .iter()
            .flat_map(|byte| {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
                    vec![*byte]
                } else {
                    format!("%{byte:02X}").into_bytes()
                }
            })
            .collect(),
        Change::UrlDecode => {
            let mut decoded = Vec::with_capacity(text.len());
            let mut rest = text;
            while let [first, tail @ ..] = rest {
                let escaped = text::two_digits(tail).filter(|_| *first == b'%');
                decoded.push(escaped.unwrap_or(*first));
                rest = if escaped.is_some() { &tail[2..] } else { tail };
            }
            decoded
        }
    }
}
