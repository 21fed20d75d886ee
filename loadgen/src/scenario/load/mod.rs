//! Makes a scenario of a file: elements become steps, names become numbers, texts become
//! templates. What is unknown among elements and actions is an error with its line, what is
//! unknown among attributes a warning, and what has no effect here is said as well.

mod actions;
mod attributes;
mod defaults;
mod execute;
mod hint;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use super::limits::FILE_BYTES_MAX;
use super::media::Source;
use super::memory::Memory;
use super::model::{Branch, Defaults, FirstCommand, Optional, Scenario, Side, Step, StepKind};
use super::names::{Names, Scope, VariableId};
use super::note::Notes;
use super::pattern::Pattern;
use super::xml::{self, Element};
use attributes::Attributes;
use hint::{ELEMENTS, hint};

/// What a file is: a scenario if it can be run, and what there is to say about it either way.
#[derive(Debug)]
pub struct Loaded {
    /// The scenario; `None` if there are errors.
    pub scenario: Option<Scenario>,
    /// Remarks with their lines.
    pub notes: Notes,
    /// How many elements of each kind there are, actions among them.
    pub elements: BTreeMap<String, usize>,
}

/// Reads a scenario. `keys` are the words that `-key` gives.
#[must_use]
pub fn load(bytes: &[u8], keys: &BTreeMap<String, String>) -> Loaded {
    let mut notes = Notes::default();
    let mut loader = Loader::new(keys);
    let scenario = match xml::read(bytes, &mut notes) {
        Ok(root) => loader.file(&root, &mut notes),
        Err((line, fault)) => {
            notes.error(line, fault.to_string());
            None
        }
    };
    Loaded {
        scenario: scenario.filter(|_| notes.errors() == 0),
        notes,
        elements: loader.elements,
    }
}

/// A branch whose label is not resolved yet.
#[derive(Debug)]
struct Target {
    step: usize,
    line: u32,
    label: String,
    is_timeout: bool,
}

#[derive(Debug, Default)]
struct Loader {
    names: Names,
    steps: Vec<Step>,
    initial: Vec<Step>,
    is_initial: bool,
    labels: BTreeMap<String, usize>,
    initial_labels: BTreeMap<String, usize>,
    targets: Vec<Target>,
    initial_targets: Vec<Target>,
    response_times: Vec<String>,
    counters: Vec<String>,
    transactions: Vec<String>,
    patterns: Vec<Pattern>,
    methods: Vec<u8>,
    response_time_classes: Vec<u64>,
    call_length_classes: Vec<u64>,
    defaults: defaults::Overrides,
    side: Option<Side>,
    first_command: Option<FirstCommand>,
    media: Vec<Source>,
    elements: BTreeMap<String, usize>,
}

impl Loader {
    fn new(keys: &BTreeMap<String, String>) -> Self {
        let mut loader = Self::default();
        for (name, value) in keys {
            loader.names.set_key(name, value.as_bytes());
        }
        loader
    }

    fn file(&mut self, root: &Element, notes: &mut Notes) -> Option<Scenario> {
        for other in root
            .children
            .iter()
            .filter(|child| child.name != "scenario")
        {
            notes.error(
                other.line,
                format!("<{}> outside of <scenario>", other.name),
            );
        }
        let Some(scenario) = root.children.iter().find(|child| child.name == "scenario") else {
            notes.error(1, "the file has no <scenario>");
            return None;
        };
        let mut attributes = Attributes::new(scenario);
        let name = attributes.text("name").unwrap_or_default();
        attributes.finish(notes);
        // Declarations count wherever they stand.
        for element in &scenario.children {
            self.declare(element);
        }
        for element in &scenario.children {
            self.element(element, notes);
        }
        let Some(side) = self.side else {
            notes.error(
                scenario.line,
                "the scenario neither sends nor receives anything",
            );
            return None;
        };
        self.resolve(notes);
        self.names.check(notes);
        self.check_optional(notes);
        let defaults: Defaults = self.defaults.build(&mut self.names, notes);
        let mut scenario = Scenario {
            memory: Memory::default(),
            first_command: self.first_command,
            media: std::mem::take(&mut self.media),
            name,
            side,
            unexpected: self.labels.get("_unexp.main").copied(),
            steps: std::mem::take(&mut self.steps),
            initial: std::mem::take(&mut self.initial),
            names: std::mem::take(&mut self.names),
            response_times: std::mem::take(&mut self.response_times),
            counters: std::mem::take(&mut self.counters),
            transactions: std::mem::take(&mut self.transactions),
            defaults,
            response_time_classes: std::mem::take(&mut self.response_time_classes),
            call_length_classes: std::mem::take(&mut self.call_length_classes),
            patterns: std::mem::take(&mut self.patterns),
        };
        scenario.memory = Memory::new(&scenario);
        Some(scenario)
    }

    fn declare(&mut self, element: &Element) {
        let scope = match element.name.as_str() {
            "Global" => Scope::Global,
            "User" => Scope::User,
            _ => return,
        };
        for name in list(element.attribute("variables").unwrap_or_default()) {
            self.names.declare(&name, scope);
        }
    }

    fn element(&mut self, element: &Element, notes: &mut Notes) {
        *self.elements.entry(element.name.clone()).or_insert(0) += 1;
        let mut attributes = Attributes::new(element);
        match element.name.as_str() {
            "send" | "recv" | "pause" | "nop" | "timewait" | "sendCmd" | "recvCmd" => {
                return self.step(element, attributes, notes);
            }
            "label" => match attributes.text("id") {
                Some(id) => self.label(&id, element.line, notes),
                None => notes.error(element.line, "<label> needs id=\"NAME\""),
            },
            "init" => {
                self.is_initial = true;
                for child in &element.children {
                    if matches!(child.name.as_str(), "nop" | "label") {
                        self.element(child, notes);
                    } else {
                        let text = format!("<init> may not hold <{}>", child.name);
                        notes.error(child.line, text);
                    }
                }
                self.is_initial = false;
            }
            "Global" | "User" | "Reference" => {
                let variables = list(&attributes.bytes("variables").unwrap_or_default());
                for name in variables {
                    self.names.refer(&name, element.line);
                }
            }
            "ResponseTimeRepartition" => {
                self.response_time_classes = classes(element, &mut attributes, notes);
            }
            "CallLengthRepartition" => {
                self.call_length_classes = classes(element, &mut attributes, notes);
            }
            "DefaultMessage" => self.defaults.take(element, &mut attributes, notes),
            other => {
                let hint = hint(other, ELEMENTS);
                notes.error(element.line, format!("unknown element <{other}>{hint}"));
            }
        }
        attributes.finish(notes);
    }

    fn label(&mut self, id: &str, line: u32, notes: &mut Notes) {
        let (labels, place) = if self.is_initial {
            (&mut self.initial_labels, self.initial.len())
        } else {
            (&mut self.labels, self.steps.len())
        };
        if labels.insert(id.to_owned(), place).is_some() {
            notes.error(line, format!("the label {id} is given twice"));
        }
    }

    fn resolve(&mut self, notes: &mut Notes) {
        let main = (&mut self.steps, &self.labels, &mut self.targets);
        let initial = (
            &mut self.initial,
            &self.initial_labels,
            &mut self.initial_targets,
        );
        for (steps, labels, targets) in [main, initial] {
            for target in targets.drain(..) {
                let Some(place) = labels.get(&target.label).copied() else {
                    notes.error(target.line, format!("there is no label {}", target.label));
                    continue;
                };
                let step = &mut steps[target.step];
                if target.is_timeout {
                    if let StepKind::Receive(receive) = &mut step.kind {
                        receive.on_timeout = Some(place);
                    }
                } else if let Some(branch) = &mut step.branch {
                    branch.target = place;
                }
            }
        }
    }

    /// A call waits at an optional message until something comes, so one that must come has to
    /// follow; SIPp refuses what does not.
    fn check_optional(&self, notes: &mut Notes) {
        let mut waiting = None;
        for step in &self.steps {
            match &step.kind {
                StepKind::Receive(receive) if receive.optional == Optional::No => waiting = None,
                StepKind::Receive(_) => waiting = waiting.or(Some(step.line)),
                StepKind::Send(_)
                | StepKind::Pause(_)
                | StepKind::TimeWait(_)
                | StepKind::SendCommand(_)
                | StepKind::ReceiveCommand { .. } => {
                    if let Some(line) = waiting.take() {
                        let next = step.line;
                        notes.error(
                            line,
                            format!(
                                "a call would wait here for ever: no <recv> that must come stands \
                                 between this optional one and line {next}"
                            ),
                        );
                    }
                }
                StepKind::Nop => {}
            }
        }
        if let Some(line) = waiting {
            notes.warning(
                line,
                "a call waits here for ever if nothing comes: all is optional",
            );
        }
    }

    /// A step that goes on elsewhere; its label is resolved at the end.
    fn branch(&mut self, attributes: &mut Attributes<'_>, notes: &mut Notes) -> Option<Branch> {
        let line = attributes.line();
        let test = attributes
            .bytes("test")
            .map(|name| self.names.read(&name, line));
        let chance = attributes.number("chance", notes);
        let label = attributes.text("next")?;
        self.target(line, label, false);
        Some(Branch {
            target: 0,
            test,
            chance,
        })
    }

    fn target(&mut self, line: u32, label: String, is_timeout: bool) {
        let (steps, targets) = if self.is_initial {
            (self.initial.len(), &mut self.initial_targets)
        } else {
            (self.steps.len(), &mut self.targets)
        };
        targets.push(Target {
            step: steps,
            line,
            label,
            is_timeout,
        });
    }

    fn variable(
        &mut self,
        attribute: &str,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<VariableId> {
        let line = attributes.line();
        let name = attributes.needed(attribute, notes)?;
        Some(self.names.read(&name, line))
    }

    /// The variable that an action writes.
    fn assigned(
        &mut self,
        attribute: &str,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) -> Option<VariableId> {
        let line = attributes.line();
        let name = attributes.needed(attribute, notes)?;
        Some(self.names.written(&name, line))
    }
}

/// Words between commas.
fn list(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let words = text.split(',').map(str::trim);
    words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A name's index in a list that grows when needed.
fn index_of(list: &mut Vec<String>, name: &str) -> usize {
    let known = list.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        list.push(name.to_owned());
        list.len() - 1
    })
}

fn classes(element: &Element, attributes: &mut Attributes<'_>, notes: &mut Notes) -> Vec<u64> {
    let mut ends = Vec::new();
    for word in list(&attributes.bytes("value").unwrap_or_default()) {
        match word.parse() {
            Ok(end) => ends.push(end),
            Err(_) => notes.error(
                element.line,
                format!("`{word}` is no number of milliseconds"),
            ),
        }
    }
    ends.sort_unstable();
    ends.dedup();
    ends
}
