//! A scenario as it runs: steps with everything resolved to numbers. Nothing here decides; `load`
//! makes it and `call` follows it.

use std::time::Duration;

use super::distribution::Distribution;
use super::media;
use super::memory::Memory;
use super::names::{Names, Scope, VariableId};
use super::pattern::Pattern;
use super::template::Template;

/// Who sends the first message of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We open calls.
    Client,
    /// The peer does.
    Server,
}

/// A whole scenario.
#[derive(Debug)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) side: Side,
    pub(crate) steps: Vec<Step>,
    /// Steps that run once, before any call.
    pub(crate) initial: Vec<Step>,
    pub(crate) names: Names,
    /// Names of response times, by index.
    pub(crate) response_times: Vec<String>,
    /// Names of counters, by index.
    pub(crate) counters: Vec<String>,
    /// Names of transactions, by index.
    pub(crate) transactions: Vec<String>,
    pub(crate) defaults: Defaults,
    /// Where unexpected messages continue, if the scenario has `_unexp.main`.
    pub(crate) unexpected: Option<usize>,
    /// Upper ends of the classes of response times, in milliseconds.
    pub(crate) response_time_classes: Vec<u64>,
    /// Upper ends of the classes of call lengths, in milliseconds.
    pub(crate) call_length_classes: Vec<u64>,
    /// Regular expressions; actions name them by index.
    pub(crate) patterns: Vec<Pattern>,
    /// Whether it talks to twins, and who begins.
    pub(crate) first_command: Option<FirstCommand>,
    /// What it plays; actions name it by index.
    pub(crate) media: Vec<media::Source>,
    /// What calls keep of a message.
    pub(crate) memory: Memory,
}

impl Scenario {
    /// Whether it sends media back.
    pub(crate) fn echoes(&self) -> bool {
        let actions = self
            .steps
            .iter()
            .chain(&self.initial)
            .flat_map(|step| &step.actions);
        let is_echo = |action: &Action| matches!(action, Action::Media(media::Order::Echo(_)));
        actions.into_iter().any(is_echo)
    }

    /// What calls write that other calls read, if anything; what is done before any call is done
    /// by every worker.
    pub(crate) fn writes_shared(&self) -> Option<&'static str> {
        let actions = self.steps.iter().flat_map(|step| &step.actions);
        actions.into_iter().find_map(Action::writes_shared)
    }

    /// All texts, those of actions included.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        let steps = self.steps.iter().chain(&self.initial);
        let mut found = Vec::new();
        for step in steps {
            match &step.kind {
                StepKind::Send(send) => found.push(&send.message.text),
                StepKind::SendCommand(command) => found.push(&command.text),
                StepKind::Receive(_)
                | StepKind::ReceiveCommand { .. }
                | StepKind::Pause(_)
                | StepKind::Nop
                | StepKind::TimeWait(_) => {}
            }
            for action in &step.actions {
                action.push_templates(&mut found);
            }
        }
        let defaults = &self.defaults;
        found.extend(
            [&defaults.ack, &defaults.bye, &defaults.cancel, &defaults.ok]
                .map(|message| &message.text),
        );
        found
    }
}

/// The messages that are sent without a step.
#[derive(Debug)]
pub(crate) struct Defaults {
    pub(crate) ack: Message,
    pub(crate) bye: Message,
    pub(crate) cancel: Message,
    pub(crate) ok: Message,
    /// To what changes nothing in the dialog; what depends on the request comes behind it.
    pub(crate) refreshed: Message,
}

/// A message to be sent.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) text: Template,
    /// The method of a request; empty for a response.
    pub(crate) method: Vec<u8>,
}

/// One step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: u32,
    pub(crate) kind: StepKind,
    pub(crate) actions: Vec<Action>,
    /// Response times that begin here.
    pub(crate) starts: Vec<usize>,
    /// Response times that end here.
    pub(crate) ends: Vec<usize>,
    /// Whether a later passage measures again.
    pub(crate) repeats: bool,
    pub(crate) branch: Option<Branch>,
    /// The step is passed over unless this variable is set (or, inverse, if it is).
    pub(crate) condition: Option<(VariableId, bool)>,
    pub(crate) counter: Option<usize>,
    /// How often, of all times, the message is lost on purpose: 0 to 1.
    pub(crate) lost: f64,
    /// What the final table says about it.
    pub(crate) display: String,
    pub(crate) is_hidden: bool,
    pub(crate) blank_line: bool,
}

/// Where to go on, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Branch {
    /// A step, or the number of steps: the end.
    pub(crate) target: usize,
    pub(crate) test: Option<VariableId>,
    /// How often, of all times: 0 to 1.
    pub(crate) chance: Option<f64>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum StepKind {
    Send(Send),
    Receive(Box<Receive>),
    Pause(Pause),
    Nop,
    /// Absorbs what still comes, then the call is over.
    TimeWait(Duration),
    /// Sends a text to a twin.
    SendCommand(Command),
    /// Waits for a text from a twin.
    ReceiveCommand {
        /// The twin that it must come from; any without it.
        source: Option<String>,
    },
}

/// A text for a twin.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) text: Template,
    /// The twin's name; without it there is only one.
    pub(crate) destination: Option<String>,
}

/// What the first command of a scenario is: it decides who connects to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstCommand {
    /// We connect to the twin.
    Sent,
    /// The twin connects to us.
    Received,
}

/// Sends a message.
#[derive(Debug)]
pub(crate) struct Send {
    pub(crate) message: Message,
    /// The first retransmission's delay.
    pub(crate) resend: Option<Duration>,
    pub(crate) start_transaction: Option<usize>,
    pub(crate) ack_transaction: Option<usize>,
}

/// Whether a message may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Optional {
    No,
    Yes,
    /// It may also come much later.
    Global,
}

/// What a message must be.
#[derive(Debug)]
pub(crate) enum Expected {
    Request(Vec<u8>),
    RequestLike(Pattern),
    Response(u16),
    ResponseLike(Pattern),
}

/// Waits for a message.
#[derive(Debug)]
pub(crate) struct Receive {
    pub(crate) expected: Expected,
    pub(crate) optional: Optional,
    /// An optional message that takes the call beyond it.
    pub(crate) advances: bool,
    pub(crate) records_routes: bool,
    pub(crate) keeps_challenge: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) on_timeout: Option<usize>,
    pub(crate) response_transaction: Option<usize>,
    /// All methods sent above, one after the other.
    pub(crate) methods_before: Vec<u8>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pause {
    /// As long as `-d` says.
    Default,
    /// Milliseconds.
    Drawn(Distribution),
    /// As many milliseconds as a variable says.
    Variable(VariableId),
}

/// A number or a variable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operand {
    Value(f64),
    Variable(VariableId),
}

/// Whether the outcome decides if the call has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    No,
    /// It must be so.
    Must,
    /// It must not be so.
    MustNot,
}

/// Where `ereg` looks.
#[derive(Debug)]
pub(crate) enum SearchIn {
    Message,
    Body,
    Header {
        /// With its colon, as written.
        name: Vec<u8>,
        ignores_case: bool,
        at_line_start: bool,
        occurrence: u32,
    },
    Variable(VariableId),
}

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Assign,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// How `test` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

/// How loud a message of the scenario is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Volume {
    Log,
    Warning,
    Error,
}

/// Whom `exec int_cmd` stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// This call.
    Call,
    /// Opening calls; those that run end by themselves.
    Gracefully,
    /// The program.
    Now,
}

/// What is done to a variable's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Trim,
    UrlEncode,
    UrlDecode,
}

const WRITES_GLOBAL: &str = "writes a global variable";

/// One action.
#[derive(Debug)]
pub(crate) enum Action {
    Match {
        pattern: usize,
        search: SearchIn,
        targets: Vec<VariableId>,
        check: Check,
    },
    Say {
        volume: Volume,
        text: Template,
    },
    AssignText {
        target: VariableId,
        text: Template,
    },
    Arithmetic {
        target: VariableId,
        operator: Operator,
        operand: Operand,
    },
    ToNumber {
        target: VariableId,
        source: VariableId,
    },
    Change {
        target: VariableId,
        change: Change,
    },
    Test {
        target: Option<VariableId>,
        left: VariableId,
        comparison: Comparison,
        right: Operand,
        check: Check,
    },
    CompareText {
        target: Option<VariableId>,
        left: VariableId,
        right: TextOperand,
        check: Check,
    },
    Sample {
        target: VariableId,
        distribution: Distribution,
    },
    TimeOfDay {
        seconds: VariableId,
        microseconds: VariableId,
    },
    /// The index of the step.
    Index {
        target: VariableId,
    },
    Jump(Operand),
    RestorePause(Operand),
    VerifyAuth {
        target: VariableId,
        username: Template,
        password: Template,
    },
    Lookup {
        target: VariableId,
        file: Template,
        key: Template,
    },
    Insert {
        file: Template,
        text: Template,
    },
    Replace {
        file: Template,
        line: Template,
        text: Template,
    },
    SetDestination {
        host: Template,
        port: Template,
        protocol: Template,
    },
    /// Closes the call's connection.
    CloseConnection,
    Stop(Stop),
    /// Something about media.
    Media(media::Order),
    /// A command for the shell, if that was allowed.
    Execute(Template),
}

impl Action {
    fn writes_shared(&self) -> Option<&'static str> {
        let is_global = |id: &VariableId| id.scope == Scope::Global;
        let targets: &[Option<&VariableId>] = match self {
            Self::Insert { .. } => return Some("inserts lines into a file"),
            Self::Replace { .. } => return Some("replaces lines of a file"),
            Self::Match { targets, .. } => {
                let writes = targets.iter().any(is_global);
                return writes.then_some(WRITES_GLOBAL);
            }
            Self::AssignText { target, .. }
            | Self::Arithmetic { target, .. }
            | Self::ToNumber { target, .. }
            | Self::Change { target, .. }
            | Self::Sample { target, .. }
            | Self::Index { target }
            | Self::VerifyAuth { target, .. }
            | Self::Lookup { target, .. } => &[Some(target)],
            Self::Test { target, .. } | Self::CompareText { target, .. } => &[target.as_ref()],
            Self::TimeOfDay {
                seconds,
                microseconds,
            } => &[Some(seconds), Some(microseconds)],
            Self::Say { .. }
            | Self::Jump(_)
            | Self::RestorePause(_)
            | Self::SetDestination { .. }
            | Self::CloseConnection
            | Self::Stop(_)
            | Self::Media(_)
            | Self::Execute(_) => &[],
        };
        let writes = targets.iter().flatten().any(|id| is_global(id));
        writes.then_some(WRITES_GLOBAL)
    }

    fn push_templates<'a>(&'a self, found: &mut Vec<&'a Template>) {
        match self {
            Self::Say { text, .. } | Self::AssignText { text, .. } | Self::Execute(text) => {
                found.push(text);
            }
            Self::VerifyAuth {
                username, password, ..
            } => found.extend([username, password]),
            Self::Lookup { file, key, .. } => found.extend([file, key]),
            Self::Insert { file, text } => found.extend([file, text]),
            Self::Replace { file, line, text } => found.extend([file, line, text]),
            Self::SetDestination {
                host,
                port,
                protocol,
            } => found.extend([host, port, protocol]),
            Self::Match { .. }
            | Self::Arithmetic { .. }
            | Self::ToNumber { .. }
            | Self::Change { .. }
            | Self::Test { .. }
            | Self::CompareText { .. }
            | Self::Sample { .. }
            | Self::TimeOfDay { .. }
            | Self::Index { .. }
            | Self::Jump(_)
            | Self::RestorePause(_)
            | Self::Media(_)
            | Self::CloseConnection
            | Self::Stop(_) => {}
        }
    }
}

/// A text or a variable.
#[derive(Debug)]
pub(crate) enum TextOperand {
    Text(Vec<u8>),
    Variable(VariableId),
}
