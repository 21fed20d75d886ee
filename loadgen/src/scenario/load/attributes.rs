//! The attributes of one element. Those that nobody asks for are noted at the end: a misspelt
//! attribute has no effect, and its author should know.

use std::time::Duration;

use super::super::note::Notes;
use super::super::text::unescape;
use super::super::value;
use super::super::xml::{Attribute, Element};

/// The longest time that an attribute may give.
const TIME_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

#[derive(Debug)]
pub(super) struct Attributes<'a> {
    element: &'a Element,
    asked: Vec<&'static str>,
    /// Names that were asked for and are not constants.
    asked_others: Vec<String>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(element: &'a Element) -> Self {
        Self {
            element,
            asked: Vec::new(),
            asked_others: Vec::new(),
        }
    }

    pub(super) fn line(&self) -> u32 {
        self.element.line
    }

    /// The value with its backslashes resolved.
    pub(super) fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        self.asked_others.push(name.to_owned());
        self.element.attribute(name).map(unescape)
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.bytes(name)
            .map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// A value without which the element means nothing.
    pub(super) fn needed(&mut self, name: &str, notes: &mut Notes) -> Option<Vec<u8>> {
        let value = self.bytes(name);
        if value.is_none() {
            let text = format!("<{}> needs {name}=\"…\"", self.element.name);
            notes.error(self.line(), text);
        }
        value
    }

    pub(super) fn number(&mut self, name: &str, notes: &mut Notes) -> Option<f64> {
        let text = self.bytes(name)?;
        let number = value::number(&text);
        if number.is_none() {
            let text = String::from_utf8_lossy(&text).into_owned();
            notes.error(self.line(), format!("{name}=\"{text}\" is no number"));
        }
        number
    }

    /// A time in milliseconds.
    pub(super) fn milliseconds(&mut self, name: &str, notes: &mut Notes) -> Option<Duration> {
        let number = self.number(name, notes)?;
        let time = Duration::try_from_secs_f64(number / 1_000.0).ok();
        let time = time.filter(|time| *time <= TIME_MAX);
        if time.is_none() {
            notes.error(
                self.line(),
                format!("{name}=\"{number}\" is no time in milliseconds"),
            );
        }
        time
    }

    /// `true` or `false`, also as 1, 0, yes, no.
    pub(super) fn truth(&mut self, name: &str, notes: &mut Notes) -> bool {
        match self.text(name).as_deref().map(str::trim) {
            None => false,
            Some(word) => is_true(word).unwrap_or_else(|| {
                notes.warning(
                    self.line(),
                    format!("{name}=\"{word}\" is neither true nor false"),
                );
                false
            }),
        }
    }

    /// Attributes that have no effect here, each with the reason.
    pub(super) fn ignore(&mut self, name: &'static str, reason: &str, notes: &mut Notes) {
        self.asked.push(name);
        if self.element.attribute(name).is_some() {
            notes.warning(self.line(), format!("{name} is ignored: {reason}"));
        }
    }

    /// Attributes that only the screen of SIPp shows.
    pub(super) fn pass_over(&mut self, name: &'static str) {
        self.asked.push(name);
    }

    /// Notes what nobody asked for.
    pub(super) fn finish(self, notes: &mut Notes) {
        let is_known = |attribute: &&Attribute| {
            self.asked.contains(&attribute.name.as_str())
                || self.asked_others.contains(&attribute.name)
        };
        for unknown in self
            .element
            .attributes
            .iter()
            .filter(|attribute| !is_known(attribute))
        {
            let text = format!("<{}> has no attribute {}", self.element.name, unknown.name);
            notes.warning(unknown.line, text);
        }
    }
}

pub(super) fn is_true(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" | "" => Some(false),
        _ => None,
    }
}
