//! The elements that become steps.

use std::time::Duration;

use super::super::distribution::Distribution;
use super::super::message::is_token;
use super::super::model::{
    Command, Expected, FirstCommand, Message, Optional, Pause, Receive, Send, Side, Step, StepKind,
};
use super::super::note::Notes;
use super::super::pattern::Pattern;
use super::super::template::Template;
use super::super::text;
use super::super::xml::Element;
use super::attributes::Attributes;
use super::{Loader, index_of, list};

impl Loader {
    pub(super) fn step(
        &mut self,
        element: &Element,
        mut attributes: Attributes<'_>,
        notes: &mut Notes,
    ) {
        let kind = match element.name.as_str() {
            "send" => self.send(element, &mut attributes, notes),
            "recv" => self.receive(element, &mut attributes, notes),
            "sendCmd" => self.send_command(element, &mut attributes, notes),
            "recvCmd" => Some(self.receive_command(&mut attributes, notes)),
            "pause" => Some(StepKind::Pause(self.pause(&mut attributes, notes))),
            "timewait" => {
                let time = attributes.milliseconds("milliseconds", notes);
                Some(StepKind::TimeWait(time.unwrap_or(Duration::ZERO)))
            }
            _ => Some(StepKind::Nop),
        };
        let Some(kind) = kind else {
            return;
        };
        let display = display(&kind, attributes.text("display"));
        let starts = self.response_times("start_rtd", &mut attributes);
        let ends = self.response_times("rtd", &mut attributes);
        let lost = attributes.number("lost", notes).unwrap_or(0.0) / 100.0;
        let step = Step {
            line: element.line,
            kind,
            starts,
            ends,
            repeats: attributes.truth("repeat_rtd", notes),
            branch: self.branch(&mut attributes, notes),
            condition: self.condition(&mut attributes, notes),
            counter: attributes
                .text("counter")
                .map(|name| index_of(&mut self.counters, &name)),
            lost,
            display,
            is_hidden: attributes.truth("hide", notes) || attributes.truth("hiderest", notes),
            blank_line: attributes.truth("crlf", notes),
            actions: self.actions(element, notes),
        };
        attributes.finish(notes);
        if self.is_initial {
            self.initial.push(step);
        } else {
            self.steps.push(step);
        }
    }

    fn response_times(
        &mut self,
        attribute: &'static str,
        attributes: &mut Attributes<'_>,
    ) -> Vec<usize> {
        let names = list(&attributes.bytes(attribute).unwrap_or_default());
        let mut index = |name: String| {
            let name = if name == "true" { "1" } else { name.as_str() };
            index_of(&mut self.response_times, name)
        };
        let is_named = |name: &String| name != "false";
        names.into_iter().filter(is_named).map(&mut index).collect()
    }

    fn condition(
        &mut self,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<(super::VariableId, bool)> {
        let line = attributes.line();
        let name = attributes.bytes("condexec");
        let inverse = attributes.truth("condexec_inverse", notes);
        name.map(|name| (self.names.read(&name, line), inverse))
    }

    fn send(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<StepKind> {
        let (data, line) = if element.data_line > 0 {
            let blank = |byte: &&u8| byte.is_ascii_whitespace();
            let before = element
                .data
                .iter()
                .take_while(blank)
                .filter(|byte| **byte == b'\n');
            let breaks = u32::try_from(before.count()).unwrap_or(0);
            (&element.data, element.data_line.saturating_add(breaks))
        } else {
            (&element.text, element.line)
        };
        if data.trim_ascii().is_empty() {
            notes.error(
                element.line,
                "<send> has no message; put it into <![CDATA[ … ]]>",
            );
            return None;
        }
        self.side.get_or_insert(Side::Client);
        let text = Template::new(&text::message(data), line, &mut self.names, notes);
        let method = method(&text);
        self.methods.extend_from_slice(&method);
        let mut transaction = |name| {
            let name = attributes.text(name)?;
            Some(index_of(&mut self.transactions, &name))
        };
        let start_transaction = transaction("start_txn");
        let ack_transaction = transaction("ack_txn");
        attributes.ignore("timeout", "messages are given to the kernel at once", notes);
        Some(StepKind::Send(Send {
            message: Message { method, text },
            resend: attributes
                .milliseconds("retrans", notes)
                .filter(|time| !time.is_zero()),
            start_transaction,
            ack_transaction,
        }))
    }

    fn send_command(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<StepKind> {
        if element.data.trim_ascii().is_empty() {
            let text = "<sendCmd> has no text; put it into <![CDATA[ … ]]>";
            notes.error(element.line, text);
            return None;
        }
        self.side.get_or_insert(Side::Client);
        self.first_command.get_or_insert(FirstCommand::Sent);
        let (text, line) = (text::message(&element.data), element.data_line);
        Some(StepKind::SendCommand(Command {
            text: Template::new(&text, line, &mut self.names, notes),
            destination: attributes.text("dest"),
        }))
    }

    fn receive_command(&mut self, attributes: &mut Attributes<'_>, notes: &mut Notes) -> StepKind {
        self.side.get_or_insert(Side::Server);
        self.first_command.get_or_insert(FirstCommand::Received);
        if attributes.truth("optional", notes) {
            let text = "optional is ignored: a command is waited for";
            notes.warning(attributes.line(), text);
        }
        StepKind::ReceiveCommand {
            source: attributes.text("src"),
        }
    }

    fn receive(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<StepKind> {
        self.side.get_or_insert(Side::Server);
        let request = attributes.text("request");
        let response = attributes.text("response");
        let is_pattern = attributes.truth("regexp_match", notes);
        let expected = expected(element, request, response, is_pattern, notes)?;
        if let Some(label) = attributes.text("ontimeout") {
            self.target(element.line, label, true);
        }
        let optional = match attributes.text("optional").as_deref().map(str::trim) {
            None | Some("false") => Optional::No,
            Some("true") => Optional::Yes,
            Some("global") => Optional::Global,
            Some(other) => {
                let text = format!("optional=\"{other}\" is none of true, false and global");
                notes.error(element.line, text);
                Optional::No
            }
        };
        let response_transaction = attributes
            .text("response_txn")
            .map(|name| index_of(&mut self.transactions, &name));
        let records_routes = attributes.truth("rrs", notes);
        let keeps_challenge = attributes.truth("auth", notes);
        attributes.ignore("ignoresdp", "no media is played", notes);
        Some(StepKind::Receive(Box::new(Receive {
            expected,
            optional,
            advances: attributes.truth("advance_state", notes),
            records_routes,
            keeps_challenge,
            timeout: attributes
                .milliseconds("timeout", notes)
                .filter(|time| !time.is_zero()),
            on_timeout: None,
            response_transaction,
            methods_before: self.methods.clone(),
        })))
    }

    fn pause(&mut self, attributes: &mut Attributes<'_>, notes: &mut Notes) -> Pause {
        attributes.pass_over("sanity_check");
        let line = attributes.line();
        if let Some(time) = attributes.milliseconds("milliseconds", notes) {
            return Pause::Drawn(Distribution::Fixed(time.as_secs_f64() * 1_000.0));
        }
        if let Some(name) = attributes.bytes("variable") {
            return Pause::Variable(self.names.read(&name, line));
        }
        // Files of SIPp 1 name the distribution as an attribute of its own, or none at all.
        let old = [
            "normal",
            "exponential",
            "lognormal",
            "weibull",
            "pareto",
            "gamma",
            "negbin",
        ];
        let old = old.into_iter().find(|name| attributes.truth(name, notes));
        let is_span = attributes.bytes("min").is_some() && attributes.bytes("max").is_some();
        let name = attributes
            .text("distribution")
            .or(old.map(str::to_owned))
            .or(is_span.then(|| "uniform".to_owned()));
        match name {
            None => Pause::Default,
            Some(name) => self
                .distribution(&name, attributes, notes)
                .map_or(Pause::Default, Pause::Drawn),
        }
    }

    pub(super) fn distribution(
        &mut self,
        name: &str,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Distribution> {
        const PARAMETERS: &[&str] = &[
            "value", "min", "max", "mean", "stdev", "lambda", "k", "x_m", "shape", "scale",
            "location", "theta", "p", "n",
        ];
        let mut given = Vec::new();
        for parameter in PARAMETERS {
            if let Some(number) = attributes.number(parameter, notes) {
                given.push((*parameter, number));
            }
        }
        let find = |word: &str| {
            let found = given.iter().find(|(name, _)| *name == word);
            found.map(|(_, number)| *number)
        };
        match Distribution::new(name, find) {
            Ok(distribution) => Some(distribution),
            Err(text) => {
                notes.error(attributes.line(), text);
                None
            }
        }
    }
}

fn expected(
    element: &Element,
    request: Option<String>,
    response: Option<String>,
    is_pattern: bool,
    notes: &mut Notes,
) -> Option<Expected> {
    let mut pattern = |text: &str| match Pattern::new(text.as_bytes(), false) {
        Ok(pattern) => Some(pattern),
        Err(fault) => {
            notes.error(
                element.line,
                format!("the regular expression `{text}`: {fault}"),
            );
            None
        }
    };
    match (request, response) {
        (Some(method), None) if is_pattern => Some(Expected::RequestLike(pattern(&method)?)),
        (Some(method), None) => Some(Expected::Request(method.into_bytes())),
        (None, Some(code)) if is_pattern => Some(Expected::ResponseLike(pattern(&code)?)),
        (None, Some(code)) => match code.trim().parse() {
            Ok(code) => Some(Expected::Response(code)),
            Err(_) => {
                notes.error(
                    element.line,
                    format!("response=\"{code}\" is no status code"),
                );
                None
            }
        },
        (Some(_), Some(_)) | (None, None) => {
            notes.error(
                element.line,
                "<recv> needs either request=\"…\" or response=\"…\"",
            );
            None
        }
    }
}

/// The method of a request; empty for a response.
pub(super) fn method(text: &Template) -> Vec<u8> {
    let beginning = text.beginning();
    if beginning.starts_with(b"SIP/2.0") {
        return Vec::new();
    }
    let end = beginning.iter().position(|byte| !is_token(*byte));
    beginning[..end.unwrap_or(beginning.len())].to_vec()
}

fn display(kind: &StepKind, own: Option<String>) -> String {
    if let Some(own) = own {
        return own;
    }
    match kind {
        StepKind::Send(send) if !send.message.method.is_empty() => {
            String::from_utf8_lossy(&send.message.method).into_owned()
        }
        StepKind::Send(send) => {
            let line = send.message.text.beginning();
            let code = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            String::from_utf8_lossy(code).into_owned()
        }
        StepKind::Receive(receive) => match &receive.expected {
            Expected::Request(method) => String::from_utf8_lossy(method).into_owned(),
            Expected::Response(code) => code.to_string(),
            Expected::RequestLike(_) | Expected::ResponseLike(_) => "(pattern)".to_owned(),
        },
        StepKind::Pause(Pause::Default) => "Pause".to_owned(),
        StepKind::Pause(Pause::Variable(_)) => "Pause [variable]".to_owned(),
        StepKind::Pause(Pause::Drawn(distribution)) => {
            format!("Pause [{:.0} ms]", distribution.middle())
        }
        StepKind::Nop => "nop".to_owned(),
        StepKind::TimeWait(time) => format!("Timewait [{} ms]", time.as_millis()),
        StepKind::SendCommand(_) => "command sent".to_owned(),
        StepKind::ReceiveCommand { .. } => "command received".to_owned(),
    }
}
