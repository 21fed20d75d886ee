//! Whatever happens: the lower vote wins, nothing that presence says undoes what the desktop said,
//! every request is answered once, and every reservation comes back. First every sequence of five
//! inputs of the state table, then random runs with calls and time in the mix.

use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, PartyState, Stage, Standing};
use offhook::call::{self, CallRef};
use offhook::cti::{AgentWorkMode, DesktopRequest, Event, EventName};
use offhook::presence::Vote;
use proptest::prelude::*;

use super::desk::*;

/// What can happen at a desk.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Presence(Word),
    Desktop(Ask),
    Reserve(Option<()>),
    Report(PartyState),
    Pass(u64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Word {
    Idle { initial: bool },
    Busy { initial: bool },
    Closed,
    ClosedBusy,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Ask {
    Login(Option<&'static str>, AgentWorkMode),
    Ready,
    NotReady(AgentWorkMode),
    Logout,
    Present,
    Gone,
}

fn vote(word: Word) -> Vote {
    match word {
        Word::Idle { initial } => Vote::Ready { initial },
        Word::Busy { initial } => Vote::NotReady {
            activities: vec!["on-the-phone".to_owned()].into(),
            initial,
        },
        Word::Closed => closed(),
        Word::ClosedBusy => closed_busy(),
        Word::Nothing => Vote::None,
    }
}

fn request(ask: Ask) -> DesktopRequest {
    match ask {
        Ask::Login(agent_id, work_mode) => login_as(agent_id, work_mode),
        Ask::Ready => ready(),
        Ask::NotReady(work_mode) => not_ready(work_mode),
        Ask::Logout => logout(),
        Ask::Present => DesktopRequest::Present,
        Ask::Gone => DesktopRequest::Gone,
    }
}

/// What clients can tell from the events alone, and what may not happen any more.
struct Watch {
    standing: Standing,
    available: bool,
    /// Whether the agent has a desktop: without one a break ends with the phone's.
    attended: bool,
    /// A break was asked for, and nothing since that could end it.
    on_break: bool,
    /// A logout was asked for, and no login since.
    latched: bool,
    last_call: Option<CallRef>,
}

impl Watch {
    fn new() -> Self {
        Self {
            standing: Standing::LoggedOut,
            available: false,
            attended: true,
            on_break: false,
            latched: false,
            last_call: None,
        }
    }

    /// Takes one step and checks everything that must hold after it.
    fn step(&mut self, desk: &mut Desk, step: Step) {
        let before = desk.status();
        let outputs = match step {
            Step::Presence(word) => {
                let outputs = desk.handle(Input::Presence(vote(word)));
                self.fold(&outputs, step);
                // (c) A duplicate emits nothing.
                assert_eq!(
                    desk.handle(Input::Presence(vote(word))),
                    [],
                    "a repeated {word:?}"
                );
                Vec::new()
            }
            Step::Desktop(ask) => self.ask(desk, ask),
            Step::Reserve(queue) => {
                let call = desk.new_call();
                let source = queue.map_or(OfferSource::Direct, |()| OfferSource::Queue(SALES));
                let outputs = desk.reserve(call, source);
                let granted = outputs.contains(&Output::Call(call, call::Input::Offer { dn: DN }));
                assert!(
                    !granted || before.call.is_none(),
                    "an agent is offered one call"
                );
                if granted {
                    self.last_call = Some(call);
                }
                outputs
            }
            Step::Report(state) => match self.last_call {
                Some(call) => desk.handle(Input::Party(queued(call, state))),
                None => Vec::new(),
            },
            Step::Pass(milliseconds) => desk.pass(Duration::from_millis(milliseconds)),
        };
        self.fold(&outputs, step);
        // While time passes several things may happen: what was is what the last of them left.
        let passed = matches!(step, Step::Pass(_));
        self.agree(
            desk,
            if passed {
                self.standing
            } else {
                before.effective
            },
        );
    }

    fn ask(&mut self, desk: &mut Desk, ask: Ask) -> Vec<Output> {
        let in_use = desk.status().presence == Some(Standing::NotReady);
        let input = desk.request(request(ask));
        let outputs = desk.handle(input);
        let answers = events_of(&outputs).filter(|event| event.requested_by.is_some());
        assert_eq!(
            answers.count(),
            usize::from(!matches!(ask, Ask::Present | Ask::Gone)),
            "answers to {ask:?}"
        );
        let went = |name| events_of(&outputs).any(|event| event.name == name);
        // (b) After an activity no request makes the agent Ready.
        assert!(
            !(in_use && went(EventName::AgentReady)),
            "{ask:?} beat a busy phone"
        );
        match ask {
            Ask::Login(..) => (self.on_break, self.latched) = (false, false),
            Ask::Present => self.attended = true,
            Ask::Ready => self.on_break = false,
            Ask::Gone => (self.on_break, self.attended) = (false, false),
            Ask::NotReady(AgentWorkMode::AuxWork) => {
                self.on_break |= self.attended && went(EventName::AgentNotReady);
            }
            // Wrap-up asked for during a call is ended by its timer.
            Ask::NotReady(_) => self.on_break = false,
            Ask::Logout => self.latched |= desk.status().desktop == Some(Standing::LoggedOut),
        }
        outputs
    }

    fn fold(&mut self, outputs: &[Output], step: Step) {
        let asked = matches!(step, Step::Desktop(_));
        for event in events_of(outputs) {
            assert!(
                asked || event.requested_by.is_none(),
                "nobody asked for {event:?}"
            );
            let Some(after) = self.standing_after(event) else {
                continue;
            };
            // (a) Nothing but a desktop undoes what a desktop said.
            assert!(
                !self.latched || after == Standing::LoggedOut,
                "{event:?} beat a logout"
            );
            assert!(
                !self.on_break || after != Standing::Ready,
                "{event:?} beat a break"
            );
            self.standing = after;
        }
        for (queue, word) in told_queues(outputs) {
            if queue == SALES && word.ends_with("available") {
                let available = word == "available";
                assert_ne!(self.available, available, "told on change only");
                self.available = available;
            }
        }
    }

    /// Where an agent event leads; `None` if nowhere else.
    fn standing_after(&self, event: &Event) -> Option<Standing> {
        // (d) A login opens what at most one logout closes.
        if event.name == EventName::AgentLogin {
            let opens = self.standing == Standing::LoggedOut;
            assert!(
                opens || event.requested_by.is_some(),
                "a login of who is in"
            );
            return opens.then_some(Standing::NotReady);
        }
        if event.name == EventName::AgentLogout {
            assert_ne!(self.standing, Standing::LoggedOut, "a logout of who is out");
            return Some(Standing::LoggedOut);
        }
        let ready = (event.name == EventName::AgentReady).then_some(Standing::Ready);
        let paused = (event.name == EventName::AgentNotReady).then_some(Standing::NotReady);
        ready.or(paused)
    }

    fn agree(&self, desk: &Desk, before: Standing) {
        let status = desk.status();
        // (e) The lower vote, always; without votes, what was.
        let votes = [status.presence, status.desktop].into_iter().flatten();
        assert_eq!(
            status.effective,
            votes.min().unwrap_or(before),
            "{status:?}"
        );
        assert_eq!(
            status.effective, self.standing,
            "events and state disagree: {status:?}"
        );
        assert_eq!(
            status.available, self.available,
            "queues and state disagree: {status:?}"
        );
        let free = status.effective == Standing::Ready && status.call.is_none();
        assert!(free || !status.available, "{status:?}");
    }

    /// With nobody reporting any more, whatever was reserved comes back.
    fn finish(mut self, desk: &mut Desk) {
        if desk
            .status()
            .call
            .is_some_and(|(_, stage)| stage == Stage::Established)
        {
            let (call, _) = desk.status().call.expect("just seen");
            self.last_call = Some(call);
            self.step(
                desk,
                Step::Report(PartyState::Ended(EndCause::CallerReleased)),
            );
        }
        self.step(desk, Step::Pass(120_000));
        assert_eq!(desk.status().call, None, "a reservation never returned");
        assert!(
            !desk.status().presence_deferred,
            "presence never got its say"
        );
    }
}

const COLUMNS: [Step; 8] = [
    Step::Presence(Word::Idle { initial: false }),
    Step::Presence(Word::Busy { initial: false }),
    Step::Presence(Word::Closed),
    Step::Presence(Word::Nothing),
    Step::Desktop(Ask::Login(None, AgentWorkMode::Unknown)),
    Step::Desktop(Ask::Ready),
    Step::Desktop(Ask::NotReady(AgentWorkMode::AuxWork)),
    Step::Desktop(Ask::Logout),
];

#[test]
fn every_sequence_of_five_inputs_keeps_the_rules() {
    for sequence in 0..COLUMNS.len().pow(5) {
        let (mut desk, mut watch) = (Desk::new(), Watch::new());
        for place in 0..5 {
            let column = sequence / COLUMNS.len().pow(place) % COLUMNS.len();
            watch.step(&mut desk, COLUMNS[column]);
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        4 => any::<bool>().prop_map(|initial| Word::Idle { initial }),
        3 => any::<bool>().prop_map(|initial| Word::Busy { initial }),
        1 => Just(Word::Closed),
        1 => Just(Word::ClosedBusy),
        1 => Just(Word::Nothing),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let mode = prop_oneof![
        Just(AgentWorkMode::Unknown),
        Just(AgentWorkMode::AutoIn),
        Just(AgentWorkMode::AuxWork)
    ];
    let id = prop_oneof![Just(None), Just(Some("A1")), Just(Some("B7"))];
    prop_oneof![
        (id, mode).prop_map(|(id, mode)| Ask::Login(id, mode)),
        Just(Ask::Ready),
        Just(Ask::NotReady(AgentWorkMode::AuxWork)),
        Just(Ask::NotReady(AgentWorkMode::AfterCallWork)),
        Just(Ask::Logout),
        Just(Ask::Present),
        Just(Ask::Gone),
    ]
}

fn report() -> impl Strategy<Value = PartyState> {
    let cause = prop_oneof![
        Just(EndCause::AgentReleased),
        Just(EndCause::CallerReleased),
        Just(EndCause::CallerAbandoned),
        Just(EndCause::NoAnswer),
        Just(EndCause::Busy),
        Just(EndCause::Unreachable),
        Just(EndCause::Failed),
    ];
    prop_oneof![
        Just(PartyState::Ringing),
        Just(PartyState::Established),
        Just(PartyState::UserDataChanged),
        cause.prop_map(PartyState::Ended),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => word().prop_map(Step::Presence),
        4 => ask().prop_map(Step::Desktop),
        3 => prop_oneof![Just(None), Just(Some(()))].prop_map(Step::Reserve),
        4 => report().prop_map(Step::Report),
        2 => prop_oneof![Just(0), Just(500), Just(1_500), Just(31_000), Just(90_000)]
            .prop_map(Step::Pass),
    ]
}

/// Each with the options of `[server]`, `[presence]` and the agent that it is about.
const DESKS: [(&str, &str, &str); 5] = [
    ("", "", "wrap_up = 30"),
    (
        "",
        "own_calls = \"literal\"\ninitial_activity = \"literal\"",
        "wrap_up = \"untimed\"",
    ),
    (
        "on_disconnect = \"logout\"",
        "closed_busy = \"notready\"\nlost = \"logout\"",
        "",
    ),
    (
        "on_disconnect = \"notready\"",
        "login_while_unregistered = \"notready\"\nlost = \"notready\"",
        "wrap_up = 1\nafter_login = \"ready\"",
    ),
    (
        "",
        "own_call_tail = 0",
        "login = \"desktop\"\nno_answer_action = \"logout\"",
    ),
];

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_days_keep_the_rules(
        options in 0..DESKS.len(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let (server, presence, agent) = DESKS[options];
        let (mut desk, mut watch) = (Desk::with(server, presence, agent), Watch::new());
        for step in steps {
            watch.step(&mut desk, step);
        }
        watch.finish(&mut desk);
    }
}
