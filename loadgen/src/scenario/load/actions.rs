//! What stands in `<action>`.

use super::super::media::Order;
use super::super::model::{
    Action, Change, Check, Comparison, Operand, Operator, SearchIn, TextOperand, Volume,
};
use super::super::note::Notes;
use super::super::pattern::Pattern;
use super::super::template::Template;
use super::super::xml::Element;
use super::attributes::Attributes;
use super::hint::{ACTIONS, hint};
use super::{Loader, list};

impl Loader {
    pub(super) fn actions(&mut self, step: &Element, notes: &mut Notes) -> Vec<Action> {
        let mut actions = Vec::new();
        for child in &step.children {
            if child.name != "action" {
                let text = format!(
                    "<{}> may hold only <action>, not <{}>",
                    step.name, child.name
                );
                notes.error(child.line, text);
                continue;
            }
            for element in &child.children {
                *self.elements.entry(element.name.clone()).or_insert(0) += 1;
                let mut attributes = Attributes::new(element);
                actions.extend(self.action(element, &mut attributes, notes));
                attributes.finish(notes);
            }
        }
        actions
    }

    fn action(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        match element.name.as_str() {
            "ereg" => self.matching(attributes, notes),
            "log" => self.say(Volume::Log, attributes, notes),
            "warning" => self.say(Volume::Warning, attributes, notes),
            "error" => self.say(Volume::Error, attributes, notes),
            "assign" => self.arithmetic(Operator::Assign, attributes, notes),
            "add" => self.arithmetic(Operator::Add, attributes, notes),
            "subtract" => self.arithmetic(Operator::Subtract, attributes, notes),
            "multiply" => self.arithmetic(Operator::Multiply, attributes, notes),
            "divide" => self.arithmetic(Operator::Divide, attributes, notes),
            "assignstr" => Some(Action::AssignText {
                target: self.assigned("assign_to", attributes, notes)?,
                text: self.template("value", attributes, notes)?,
            }),
            "todouble" => Some(Action::ToNumber {
                target: self.assigned("assign_to", attributes, notes)?,
                source: self.variable("variable", attributes, notes)?,
            }),
            "trim" => self.change(Change::Trim, attributes, notes),
            "urlencode" => self.change(Change::UrlEncode, attributes, notes),
            "urldecode" => self.change(Change::UrlDecode, attributes, notes),
            "test" => self.test(attributes, notes),
            "strcmp" => self.compare_text(attributes, notes),
            "sample" => {
                let target = self.assigned("assign_to", attributes, notes)?;
                let name = attributes.needed("distribution", notes)?;
                let name = String::from_utf8_lossy(&name).into_owned();
                let distribution = self.distribution(&name, attributes, notes)?;
                Some(Action::Sample {
                    target,
                    distribution,
                })
            }
            "gettimeofday" => self.time_of_day(attributes, notes),
            "index" => Some(Action::Index {
                target: self.assigned("assign_to", attributes, notes)?,
            }),
            "jump" => Some(Action::Jump(self.operand("variable", attributes, notes)?)),
            "pauserestore" => {
                let operand = self.operand("variable", attributes, notes)?;
                Some(Action::RestorePause(operand))
            }
            "closecon" => Some(Action::CloseConnection),
            "exec" => self.execute(element, attributes, notes),
            "rtp_echo" => {
                let value = attributes.number("value", notes).unwrap_or(1.0);
                Some(Action::Media(Order::Echo(value != 0.0)))
            }
            _ => self.rare(element, attributes, notes),
        }
    }

    fn rare(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        match element.name.as_str() {
            "verifyauth" => Some(Action::VerifyAuth {
                target: self.assigned("assign_to", attributes, notes)?,
                username: self.template("username", attributes, notes)?,
                password: self.template("password", attributes, notes)?,
            }),
            "lookup" => Some(Action::Lookup {
                target: self.assigned("assign_to", attributes, notes)?,
                file: self.template("file", attributes, notes)?,
                key: self.template("key", attributes, notes)?,
            }),
            "insert" => Some(Action::Insert {
                file: self.template("file", attributes, notes)?,
                text: self.template("value", attributes, notes)?,
            }),
            "replace" => Some(Action::Replace {
                file: self.template("file", attributes, notes)?,
                line: self.template("line", attributes, notes)?,
                text: self.template("value", attributes, notes)?,
            }),
            "setdest" => Some(Action::SetDestination {
                host: self.template("host", attributes, notes)?,
                port: self.template("port", attributes, notes)?,
                protocol: self.template("protocol", attributes, notes)?,
            }),
            other => {
                let hint = hint(other, ACTIONS);
                notes.error(element.line, format!("unknown action <{other}>{hint}"));
                None
            }
        }
    }

    fn template(
        &mut self,
        attribute: &str,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Template> {
        let line = attributes.line();
        let text = attributes.needed(attribute, notes)?;
        Some(Template::new(&text, line, &mut self.names, notes))
    }

    fn say(
        &mut self,
        volume: Volume,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let text = self.template("message", attributes, notes)?;
        Some(Action::Say { volume, text })
    }

    /// `value="…"`, or the variable that an attribute names.
    fn operand(
        &mut self,
        attribute: &str,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Operand> {
        if let Some(value) = attributes.number("value", notes) {
            return Some(Operand::Value(value));
        }
        let variable = self.variable(attribute, attributes, notes)?;
        Some(Operand::Variable(variable))
    }

    fn arithmetic(
        &mut self,
        operator: Operator,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let target = self.assigned("assign_to", attributes, notes)?;
        let operand = self.operand("variable", attributes, notes)?;
        if operator == Operator::Divide && operand == Operand::Value(0.0) {
            notes.error(attributes.line(), "a division by zero");
        }
        Some(Action::Arithmetic {
            target,
            operator,
            operand,
        })
    }

    fn change(
        &mut self,
        change: Change,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let attribute = match change {
            Change::Trim => "assign_to",
            Change::UrlEncode | Change::UrlDecode => "variable",
        };
        let target = self.assigned(attribute, attributes, notes)?;
        Some(Action::Change { target, change })
    }

    fn time_of_day(
        &mut self,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let line = attributes.line();
        let targets = list(&attributes.needed("assign_to", notes)?);
        let [seconds, microseconds] = &targets[..] else {
            notes.error(
                line,
                "gettimeofday needs assign_to=\"SECONDS,MICROSECONDS\"",
            );
            return None;
        };
        Some(Action::TimeOfDay {
            seconds: self.names.written(seconds.as_bytes(), line),
            microseconds: self.names.written(microseconds.as_bytes(), line),
        })
    }

    fn matching(&mut self, attributes: &mut Attributes<'_>, notes: &mut Notes) -> Option<Action> {
        let line = attributes.line();
        let text = attributes.needed("regexp", notes)?;
        let ignores_case = attributes.truth("case_indep", notes);
        let at_line_start = attributes.truth("start_line", notes);
        let occurrence = attributes
            .number("occurrence", notes)
            .or_else(|| attributes.number("occurence", notes));
        let header = attributes.bytes("header");
        let search = match attributes.text("search_in").as_deref() {
            None | Some("msg") => SearchIn::Message,
            Some("body") => SearchIn::Body,
            Some("var") => SearchIn::Variable(self.variable("variable", attributes, notes)?),
            Some("hdr") => SearchIn::Header {
                name: attributes.needed("header", notes)?,
                ignores_case,
                at_line_start,
                occurrence: occurrence.map_or(1, |number| number.max(1.0) as u32),
            },
            Some(other) => {
                let text = format!("search_in=\"{other}\" is none of msg, hdr, body and var");
                notes.error(line, text);
                return None;
            }
        };
        if header.is_some() && !matches!(search, SearchIn::Header { .. }) {
            notes.warning(line, "header is ignored without search_in=\"hdr\"");
        }
        let check = check(attributes, notes);
        let targets = attributes.bytes("assign_to").unwrap_or_default();
        let targets = list(&targets);
        if targets.is_empty() && check == Check::No {
            notes.warning(
                line,
                "this ereg has no effect: neither assign_to nor check_it",
            );
        }
        // `case_indep` concerns the header's name; the expression itself respects case.
        match Pattern::new(&text, false) {
            Ok(pattern) => self.patterns.push(pattern),
            Err(fault) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                notes.error(line, format!("the regular expression `{text}`: {fault}"));
                return None;
            }
        }
        if memchr::memmem::find(&text, b"\\d").is_some() {
            notes.warning(
                line,
                "\\d is the letter d in POSIX; write [0-9] for a digit",
            );
        }
        let written = |name: &String| self.names.written(name.as_bytes(), line);
        Some(Action::Match {
            pattern: self.patterns.len() - 1,
            search,
            targets: targets.iter().map(written).collect(),
            check,
        })
    }

    fn test(&mut self, attributes: &mut Attributes<'_>, notes: &mut Notes) -> Option<Action> {
        let line = attributes.line();
        let left = self.variable("variable", attributes, notes)?;
        let word = attributes.needed("compare", notes)?;
        let comparison = match word.as_slice() {
            b"equal" => Comparison::Equal,
            b"not_equal" => Comparison::NotEqual,
            b"greater_than" => Comparison::Greater,
            b"less_than" => Comparison::Less,
            b"greater_than_equal" => Comparison::GreaterOrEqual,
            b"less_than_equal" => Comparison::LessOrEqual,
            _ => {
                let word = String::from_utf8_lossy(&word);
                notes.error(line, format!("compare=\"{word}\" is not known"));
                return None;
            }
        };
        let right = self.operand("variable2", attributes, notes)?;
        let check = check(attributes, notes);
        let target = attributes.bytes("assign_to");
        let target = target.map(|name| self.names.written(&name, line));
        Some(Action::Test {
            target,
            left,
            comparison,
            right,
            check,
        })
    }

    fn compare_text(
        &mut self,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<Action> {
        let line = attributes.line();
        let left = self.variable("variable", attributes, notes)?;
        let right = match attributes.bytes("value") {
            Some(text) => TextOperand::Text(text),
            None => TextOperand::Variable(self.variable("variable2", attributes, notes)?),
        };
        let check = check(attributes, notes);
        let target = attributes.bytes("assign_to");
        let target = target.map(|name| self.names.written(&name, line));
        Some(Action::CompareText {
            target,
            left,
            right,
            check,
        })
    }
}

fn check(attributes: &mut Attributes<'_>, notes: &mut Notes) -> Check {
    let must = attributes.truth("check_it", notes);
    let must_not = attributes.truth("check_it_inverse", notes);
    match (must, must_not) {
        (true, true) => {
            notes.error(
                attributes.line(),
                "check_it and check_it_inverse exclude each other",
            );
            Check::No
        }
        (true, false) => Check::Must,
        (false, true) => Check::MustNot,
        (false, false) => Check::No,
    }
}
