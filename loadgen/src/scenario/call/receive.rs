//! Which step a received message belongs to, and what it changes. A message is looked for from
//! the present step over optional ones to the first that must come, then backwards among those
//! that were passed.

use std::time::{Duration, Instant};

use offhook_shards::Transport;

use super::super::floor::Floor;
use super::super::hash::hash;
use super::super::message::{self, Kind, Received};
use super::super::model::{Expected, Optional, Receive, Scenario, StepKind};
use super::super::names::VariableId;
use super::super::statistics::Failure;
use super::super::value::Value;
use super::{Call, Challenge, Flow, Part, Progress};
use crate::scenario::limits::{CSEQ_END, ROUTES_BYTES_MAX};

/// What a message is to the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// What this step waits for.
    Step(usize),
    /// A final response that was acknowledged at this step, which is to be sent again.
    Acknowledged(usize),
    /// A provisional response of this step that was overtaken by what came after it.
    Overtaken(usize),
    Nothing,
}

impl Call {
    /// Takes a message of this call and goes on.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        message: &Received<'_>,
        floor: &mut Floor,
    ) -> Progress {
        let scenario = std::sync::Arc::clone(&floor.scenario);
        if self.pause_until.is_some() && floor.settings.ignores_in_pause {
            return self.go_on(now, &scenario, floor);
        }
        let hash = hash(message.bytes);
        if self.is_repeated(now, hash, floor) {
            return self.go_on(now, &scenario, floor);
        }
        if self.absorbs(message) {
            return self.go_on(now, &scenario, floor);
        }
        let flow = match self.find(message, &scenario, floor) {
            Found::Step(place) => self.accept(now, place, hash, message, &scenario, floor),
            Found::Acknowledged(place) => {
                self.send_again(now, place, floor);
                Flow::Wait
            }
            Found::Overtaken(place) => {
                floor.statistics.steps[place].repeats += 1;
                Flow::Wait
            }
            Found::Nothing => self.unexpected(now, message, &scenario, floor),
        };
        match flow {
            Flow::On | Flow::Wait => self.go_on(now, &scenario, floor),
            Flow::End(failure) => self.end(now, floor, failure),
        }
    }

    /// A datagram that came before: what it triggered is sent again.
    fn is_repeated(&mut self, now: Instant, hash: u64, floor: &mut Floor) -> bool {
        if self.path.transport != Transport::Udp {
            return false;
        }
        if let Some((answered, place)) = self.answered
            && answered == hash
        {
            self.send_again(now, place as usize, floor);
            return true;
        }
        if self.received_hash == Some(hash) {
            floor.statistics.steps[self.step.saturating_sub(1)].repeats += 1;
            return true;
        }
        false
    }

    fn find(&mut self, message: &Received<'_>, scenario: &Scenario, floor: &mut Floor) -> Found {
        let steps = &scenario.steps;
        for (place, step) in steps.iter().enumerate().skip(self.step) {
            if self.is_passed_over(scenario, place, floor) {
                continue;
            }
            let StepKind::Receive(receive) = &step.kind else {
                break;
            };
            if self.is_expected(message, receive, floor) {
                return Found::Step(place);
            }
            if receive.optional == Optional::No {
                break;
            }
        }
        let mut is_contiguous = true;
        for (place, step) in steps.iter().enumerate().take(self.step).rev() {
            let StepKind::Receive(receive) = &step.kind else {
                is_contiguous = false;
                continue;
            };
            is_contiguous &= receive.optional != Optional::No;
            if !self.is_expected(message, receive, floor) {
                continue;
            }
            if is_contiguous || receive.optional == Optional::Global {
                return Found::Step(place);
            }
            if let Some(ack) = acknowledging(message, scenario, place, receive) {
                return Found::Acknowledged(ack);
            }
            // The peer repeats it because it heard us twice; the network may do so as well.
            if matches!(message.kind, Kind::Response { status } if status < 200) {
                return Found::Overtaken(place);
            }
        }
        Found::Nothing
    }

    fn is_expected(&self, message: &Received<'_>, receive: &Receive, floor: &mut Floor) -> bool {
        let is_kind = match (&receive.expected, message.kind) {
            (Expected::Request(wanted), Kind::Request { method }) => wanted == method,
            (Expected::RequestLike(pattern), Kind::Request { method }) => {
                let mut memory = pattern.memory();
                pattern.matches(method, &mut memory, &mut floor.groups)
            }
            (Expected::Response(wanted), Kind::Response { status }) => *wanted == status,
            (Expected::ResponseLike(pattern), Kind::Response { status }) => {
                let mut memory = pattern.memory();
                let status = status.to_string();
                pattern.matches(status.as_bytes(), &mut memory, &mut floor.groups)
            }
            (Expected::Request(_) | Expected::RequestLike(_), Kind::Response { .. })
            | (Expected::Response(_) | Expected::ResponseLike(_), Kind::Request { .. }) => false,
        };
        if !is_kind || matches!(message.kind, Kind::Request { .. }) {
            return is_kind;
        }
        if let Some(transaction) = receive.response_transaction {
            let branch = &self.branches[transaction];
            return !branch.is_empty() && message.branch() == Some(branch);
        }
        // SIPp looks whether the method occurs anywhere in those sent so far.
        let method = message.cseq().map(|(_, method)| method).unwrap_or_default();
        let mut before = receive.methods_before.windows(method.len().max(1));
        method.is_empty() || before.any(|part| part == method)
    }

    fn accept(
        &mut self,
        now: Instant,
        place: usize,
        hash: u64,
        message: &Received<'_>,
        scenario: &Scenario,
        floor: &mut Floor,
    ) -> Flow {
        let step = &scenario.steps[place];
        let StepKind::Receive(receive) = &step.kind else {
            return Flow::Wait;
        };
        if floor.loses(step.lost) || floor.loses(floor.settings.lost) {
            floor.statistics.steps[place].lost += 1;
            return Flow::Wait;
        }
        floor.statistics.steps[place].messages += 1;
        self.behind = Duration::ZERO;
        self.answer_resend(now, place, message, floor);
        self.received_hash = Some(hash);
        self.note_dialog(message);
        let flow = self.act(now, place, step, Some(message.bytes), floor);
        if receive.records_routes {
            self.record_routes(message);
        }
        if receive.keeps_challenge {
            self.keep_challenge(message);
        }
        self.remember(message, scenario);
        // It may have waited for us since it came.
        let came = floor.arrived.map_or(now, |at| at.min(now));
        self.keep_books(came, step, floor);
        if flow != Flow::On || std::mem::take(&mut self.has_jumped) {
            return flow;
        }
        if receive.optional == Optional::No || receive.advances {
            self.branch_or(place + 1, step, floor);
        } else if let Some(target) = self.branch_target(step, floor) {
            self.go_to(target);
        } else {
            // The call waits on, and all that may come has its time again.
            self.has_entered = false;
            self.receive_until = None;
        }
        Flow::On
    }

    /// Keeps of a message what the scenario may still ask for.
    fn remember(&mut self, message: &Received<'_>, scenario: &Scenario) {
        self.texts
            .set_received(|output| scenario.memory.keep(message, output));
    }

    /// Stops sending again what this message answers.
    fn answer_resend(
        &mut self,
        now: Instant,
        place: usize,
        message: &Received<'_>,
        floor: &mut Floor,
    ) {
        let Some(resend) = self.resend.as_mut().filter(|resend| place > resend.step) else {
            return;
        };
        let is_provisional = matches!(message.kind, Kind::Response { status } if status < 200);
        if is_provisional && !resend.is_invite {
            // RFC 3261 §17.1.2.2: in Proceeding, only once every T2.
            resend.delay = floor.settings.t2;
            resend.at = now + floor.settings.t2;
        } else {
            floor.give_back(self.resend.take());
        }
    }

    fn note_dialog(&mut self, message: &Received<'_>) {
        let cseq = message.cseq();
        let tag = match message.kind {
            Kind::Request { .. } => {
                // RFC 3261 §8.1.1.5: larger numbers are none.
                let number = cseq.map(|(number, _)| number);
                let number = number.filter(|number| *number < CSEQ_END);
                self.cseq = self.cseq.max(number.unwrap_or(0));
                // SIPp knows no tag of a peer that calls; what a response said stays.
                let is_known = !self.texts.is_empty(Part::PeerTag);
                message.tag(b"From").filter(|_| !is_known)
            }
            Kind::Response { status } => {
                let is_invite = cseq.is_some_and(|(_, method)| method == b"INVITE");
                self.awaits_ack |= is_invite && (200..300).contains(&status);
                message.tag(b"To")
            }
        };
        if let Some(tag) = tag {
            self.texts.set(Part::PeerTag, tag);
        }
    }

    /// The route set, and whom requests go to (RFC 3261 §12.1, §12.2.1.1).
    fn record_routes(&mut self, message: &Received<'_>) {
        if !self.texts.is_empty(Part::Routes) || !self.texts.is_empty(Part::NextUrl) {
            return;
        }
        let contact = message.header(b"Contact").map_or(&[][..], message::uri);
        let is_response = matches!(message.kind, Kind::Response { .. });
        let count = routes(message).count();
        // A response shows the way from the far end: we go it backwards.
        let nth = |place: usize| {
            let place = if is_response {
                count - 1 - place
            } else {
                place
            };
            routes(message).nth(place).unwrap_or_default()
        };
        let is_strict = count > 0 && {
            let mut parameters = message::uri(nth(0)).split(|byte| *byte == b';').skip(1);
            !parameters.any(|parameter| parameter.starts_with(b"lr"))
        };
        let next = if is_strict {
            message::uri(nth(0))
        } else {
            contact
        };
        self.texts.set(Part::NextUrl, next);
        for place in usize::from(is_strict)..count {
            self.add_route(&[nth(place)]);
        }
        if is_strict {
            self.add_route(&[b"<", contact, b">"]);
        }
        self.texts.truncate(Part::Routes, ROUTES_BYTES_MAX);
    }

    fn add_route(&mut self, parts: &[&[u8]]) {
        if !self.texts.is_empty(Part::Routes) {
            self.texts.append(Part::Routes, b", ");
        }
        for part in parts {
            self.texts.append(Part::Routes, part);
        }
    }

    fn keep_challenge(&mut self, message: &Received<'_>) {
        let proxy = message.header(b"Proxy-Authenticate");
        let value = proxy.or_else(|| message.header(b"WWW-Authenticate"));
        self.challenge = value.map(|value| {
            Box::new(Challenge {
                value: value.to_vec(),
                is_proxy: proxy.is_some(),
                uses: 0,
            })
        });
    }

    fn unexpected(
        &mut self,
        now: Instant,
        message: &Received<'_>,
        scenario: &Scenario,
        floor: &mut Floor,
    ) -> Flow {
        if let Some(target) = scenario.unexpected {
            self.remember(message, scenario);
            self.interrupt(now, target, scenario, floor);
            return Flow::On;
        }
        let answered = self.answer_in_dialog(now, message, scenario, floor);
        let answered = answered.or_else(|| self.answer_automatically(now, message, floor));
        if let Some(flow) = answered {
            return flow;
        }
        let place = self.next_that_must(scenario, floor);
        if let Some(counts) = floor.statistics.steps.get_mut(place) {
            counts.unexpected += 1;
        }
        if let Kind::Response { status } = message.kind {
            *floor.statistics.unexpected_codes.entry(status).or_default() += 1;
        }
        let (number, first) = (self.number, message::first_line(message.bytes));
        let step = scenario.steps.get(place);
        let (wanted, line) = step.map_or(("the end", 0), |step| (step.display.as_str(), step.line));
        floor.warn(now, || {
            let first = String::from_utf8_lossy(first);
            format!("call {number}: `{first}` came where {wanted} (line {line}) was expected")
        });
        if !floor.settings.behaviours.abort_unexpected {
            return Flow::Wait;
        }
        let words = surprise(message, scenario, place);
        floor.statistics.tell(Failure::Unexpected, words, 1);
        // Who gives up speaks about the requests of its own that were answered.
        if let Kind::Response { .. } = message.kind {
            self.remember(message, scenario);
            self.note_dialog(message);
        }
        self.give_up(now, floor);
        Flow::End(Some(Failure::Unexpected))
    }

    /// The step at which the search for a message ends: the first that may not be left out.
    pub(super) fn next_that_must(&self, scenario: &Scenario, floor: &Floor) -> usize {
        let may_be_left_out = |place: &usize| {
            let is_optional = match &scenario.steps[*place].kind {
                StepKind::Receive(receive) => receive.optional != Optional::No,
                StepKind::Send(_)
                | StepKind::Pause(_)
                | StepKind::Nop
                | StepKind::TimeWait(_)
                | StepKind::SendCommand(_)
                | StepKind::ReceiveCommand { .. } => false,
            };
            is_optional || self.is_passed_over(scenario, *place, floor)
        };
        let mut places = self.step..scenario.steps.len();
        places
            .find(|place| !may_be_left_out(place))
            .unwrap_or(self.step)
    }

    /// Goes to the steps for unexpected messages, which may come back.
    fn interrupt(&mut self, now: Instant, target: usize, scenario: &Scenario, floor: &mut Floor) {
        let left = self
            .pause_until
            .map(|until| until.saturating_duration_since(now));
        let place = self.step as f64;
        let left = left.map_or(0.0, |left| left.as_secs_f64() * 1_000.0);
        for (name, value) in [("_unexp.retaddr", place), ("_unexp.pausedaddr", left)] {
            let variable: Option<VariableId> = scenario.names.find(name);
            if let Some(variable) = variable {
                *self.value_mut(variable, floor) = Value::Number(value);
            }
        }
        self.go_to(target);
    }
}

/// What came and what should have come instead, in words.
pub(super) fn surprise(message: &Received<'_>, scenario: &Scenario, place: usize) -> String {
    /// Characters of a reason phrase, which is the peer's.
    const REASON_MAX: usize = 40;
    let plain = |bytes: &[u8]| -> String {
        let text = String::from_utf8_lossy(bytes);
        let shown = text.chars().filter(|letter| !letter.is_control());
        shown.take(REASON_MAX).collect()
    };
    let came = match message.kind {
        Kind::Request { method } => plain(method),
        Kind::Response { status } => {
            let line = message::first_line(message.bytes);
            let reason = line.splitn(3, |byte| *byte == b' ').nth(2);
            let reason = plain(reason.unwrap_or_default());
            let method = message.cseq().map_or(&b"nothing"[..], |(_, method)| method);
            let words = format!("{status} {reason}");
            format!("{} to {}", words.trim_end(), plain(method))
        }
    };
    let Some(step) = scenario.steps.get(place) else {
        return format!("{came}, at the end");
    };
    let display = &step.display;
    match step.kind {
        StepKind::Receive(_) => format!("{came}, where {display} was expected"),
        StepKind::Send(_) => format!("{came}, before {display} was sent"),
        StepKind::Pause(_) | StepKind::TimeWait(_) => format!("{came}, in a pause"),
        StepKind::Nop | StepKind::SendCommand(_) | StepKind::ReceiveCommand { .. } => {
            format!("{came}, where nothing was expected")
        }
    }
}

/// The ACK behind the step of a final response to INVITE.
fn acknowledging(
    message: &Received<'_>,
    scenario: &Scenario,
    place: usize,
    receive: &Receive,
) -> Option<usize> {
    let is_final = matches!(message.kind, Kind::Response { status } if status >= 200);
    let is_invite = message
        .cseq()
        .is_some_and(|(_, method)| method == b"INVITE");
    if !is_final || !is_invite {
        return None;
    }
    let is_ack = |place: usize| match &scenario.steps.get(place)?.kind {
        StepKind::Send(send) => {
            let is_named = send.ack_transaction.is_some()
                && send.ack_transaction == receive.response_transaction;
            (is_named || send.message.method == b"ACK").then_some(place)
        }
        StepKind::Receive(_)
        | StepKind::Pause(_)
        | StepKind::Nop
        | StepKind::TimeWait(_)
        | StepKind::SendCommand(_)
        | StepKind::ReceiveCommand { .. } => None,
    };
    is_ack(place + 1)
}

/// All addresses of the Record-Route headers.
fn routes<'a, 'm>(message: &'m Received<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a, 'm> {
    message.headers(b"Record-Route").flat_map(addresses)
}

/// The addresses of a header that may hold several.
fn addresses(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_inside = false;
    let parts = value.split(move |byte| {
        match byte {
            b'<' => is_inside = true,
            b'>' => is_inside = false,
            _ => {}
        }
        *byte == b',' && !is_inside
    });
    parts
        .map(<[u8]>::trim_ascii)
        .filter(|address| !address.is_empty())
}
