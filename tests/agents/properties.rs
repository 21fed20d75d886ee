//! Whatever happens: the lower vote wins, nothing that presence says undoes what the desktop said,
//! every request is answered once, and every reservation comes back. First every sequence of five
//! inputs of the state table, then random runs with calls and time in the mix.

use std::collections::BTreeSet;
use std::time::Duration;

use offhook::agent::{EndCause, Input, OfferSource, Output, Party, PartyState, Standing};
use offhook::call::{self, CallRef};
use offhook::config::WrapUp;
use offhook::cti::{AgentWorkMode, ConnId, DesktopRequest, DnRole, Event, EventName, KeyValueList};
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
    /// Of one of the calls that the agent made or makes.
    Own(usize, PartyState),
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
    MakeCall,
    Dnd(bool),
    WrapUp(u64),
    Claim,
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
        Ask::MakeCall => DesktopRequest::MakeCall {
            destination: "5550199".to_owned(),
            user_data: KeyValueList::new(),
            reasons: KeyValueList::new(),
        },
        Ask::Dnd(on) => DesktopRequest::SetDnd {
            on,
            reasons: KeyValueList::new(),
        },
        Ask::WrapUp(seconds) => DesktopRequest::NotReady {
            work_mode: AgentWorkMode::AfterCallWork,
            wrap_up: Some(WrapUp::Timed(Duration::from_secs(seconds))),
            reasons: KeyValueList::new(),
        },
        Ask::Claim => DesktopRequest::Reserve {
            duration: Duration::from_secs(10),
            priority: 0,
            reasons: KeyValueList::new(),
        },
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
    /// Calls that the agent makes, some of them consultations beside the last call.
    own: [Option<CallRef>; 3],
    /// The business calls that clients see.
    business: BTreeSet<ConnId>,
    /// Whether one of them was answered since the last wrap-up.
    owes_wrap_up: bool,
    /// Whether the handset is up.
    off_hook: bool,
    /// Requests of routers that wait for their answer.
    claims: usize,
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
            own: [None; 3],
            business: BTreeSet::new(),
            owes_wrap_up: false,
            off_hook: false,
            claims: 0,
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
                let granted = outputs.contains(&Output::Call(
                    call,
                    call::Input::Offer {
                        dn: DN,
                        elsewhere: None,
                    },
                ));
                assert!(
                    !granted || before.calls == 0,
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
            Step::Own(slot, state) => self.report_own(desk, slot, state),
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

    /// The phone dials by itself, or a call that it made goes on; one of them is a consultation.
    fn report_own(&mut self, desk: &mut Desk, slot: usize, state: PartyState) -> Vec<Output> {
        let call = match (self.own[slot], state) {
            (Some(call), PartyState::Changed) => {
                let renamed = desk.new_call();
                self.own[slot] = Some(renamed);
                let previous_conn_id = Some(call.conn_id);
                let report = Party {
                    previous_conn_id,
                    ..direct(renamed, state)
                };
                return desk.handle(Input::Party(report));
            }
            (Some(call), _) => call,
            (None, _) => desk.new_call(),
        };
        self.own[slot] = Some(call).filter(|_| !matches!(state, PartyState::Ended(_)));
        let main = self.last_call.filter(|_| slot == 0);
        desk.handle(Input::Party(Party {
            role: DnRole::Origination,
            previous_conn_id: main.map(|main| main.conn_id),
            ..direct(call, state)
        }))
    }

    /// The engine has made the call, or could not.
    fn place(&mut self, desk: &mut Desk, outputs: &mut Vec<Output>) -> bool {
        let places = |output: &Output| matches!(output, Output::Place(_));
        if !outputs.iter().any(places) {
            return false;
        }
        let slot = self.own.iter().position(Option::is_none);
        let call = slot.map(|slot| {
            let call = desk.new_call();
            self.own[slot] = Some(call);
            call
        });
        outputs.extend(desk.handle(Input::Placed { call }));
        true
    }

    fn ask(&mut self, desk: &mut Desk, ask: Ask) -> Vec<Output> {
        let in_use = desk.status().presence == Some(Standing::NotReady);
        let input = desk.request(request(ask));
        let mut outputs = desk.handle(input);
        let answered = events_of(&outputs).filter(|event| event.requested_by.is_some());
        let answered = answered.count();
        // A call that is made answers for itself, and routers are heard together.
        let later = self.place(desk, &mut outputs) || (ask == Ask::Claim && answered == 0);
        self.claims += usize::from(ask == Ask::Claim && later);
        let expected = usize::from(!matches!(ask, Ask::Present | Ask::Gone) && !later);
        assert_eq!(answered, expected, "answers to {ask:?}");
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
            Ask::NotReady(_) | Ask::WrapUp(_) => self.on_break = false,
            Ask::MakeCall | Ask::Dnd(_) | Ask::Claim => {}
            Ask::Logout => self.latched |= desk.status().desktop == Some(Standing::LoggedOut),
        }
        outputs
    }

    fn fold(&mut self, outputs: &[Output], step: Step) {
        let asked = matches!(step, Step::Desktop(_));
        for event in all_events_of(outputs) {
            if !asked && event.requested_by.is_some() {
                let of_claim = matches!(event.name, EventName::AgentReserved | EventName::Error);
                assert!(of_claim && self.claims > 0, "nobody asked for {event:?}");
                self.claims -= 1;
            }
            self.follow_calls(event);
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

    /// I-22: wrap-up begins once, with the end of the last business call; and the handset is up
    /// once for all calls.
    fn follow_calls(&mut self, event: &Event) {
        if matches!(event.name, EventName::OffHook | EventName::OnHook) {
            let up = event.name == EventName::OffHook;
            assert_ne!(std::mem::replace(&mut self.off_hook, up), up, "{event:?}");
        }
        let wraps_up = event.agent_work_mode == Some(AgentWorkMode::AfterCallWork);
        let by_server = event.extensions.value("WrapUpTime").is_some();
        if event.name == EventName::AgentNotReady
            && wraps_up
            && by_server
            && event.requested_by.is_none()
        {
            assert!(self.owes_wrap_up, "a wrap-up after nothing");
            assert!(self.business.len() <= 1, "{:?} go on", self.business);
            self.owes_wrap_up = false;
        }
        let Some(call) = &event.call else { return };
        if let (EventName::PartyChanged, Some(previous)) = (event.name, event.previous_conn_id) {
            self.business.remove(&previous);
        }
        if event.extensions.value("BusinessCall").is_some() {
            self.business.insert(call.conn_id);
            self.owes_wrap_up |= event.name == EventName::Established;
        }
        if matches!(event.name, EventName::Released | EventName::Abandoned) {
            self.business.remove(&call.conn_id);
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
        // First what rings or is promised, by its lease; then what goes on for as long as it may.
        self.step(desk, Step::Pass(120_000));
        while let Some((call, _)) = desk.status().call {
            self.last_call = Some(call);
            self.step(
                desk,
                Step::Report(PartyState::Ended(EndCause::CallerReleased)),
            );
        }
        self.step(desk, Step::Pass(120_000));
        assert_eq!(desk.status().call, None, "a reservation never returned");
        assert!(!self.off_hook, "the handset never came down");
        assert_eq!(self.claims, 0, "a router was never answered");
        assert!(self.business.is_empty(), "{:?} never ended", self.business);
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
        Just(Ask::MakeCall),
        any::<bool>().prop_map(Ask::Dnd),
        prop_oneof![Just(1), Just(40)].prop_map(Ask::WrapUp),
        Just(Ask::Claim),
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
        Just(PartyState::Held),
        Just(PartyState::Retrieved),
        cause.prop_map(PartyState::Ended),
    ]
}

fn own() -> impl Strategy<Value = PartyState> {
    prop_oneof![
        3 => Just(PartyState::Dialing),
        1 => Just(PartyState::DestinationBusy(EndCause::Busy)),
        3 => Just(PartyState::Established),
        1 => Just(PartyState::Held),
        1 => Just(PartyState::Retrieved),
        1 => Just(PartyState::Changed),
        2 => Just(PartyState::Ended(EndCause::CallerReleased)),
        1 => Just(PartyState::Ended(EndCause::Transferred)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => word().prop_map(Step::Presence),
        4 => ask().prop_map(Step::Desktop),
        3 => prop_oneof![Just(None), Just(Some(()))].prop_map(Step::Reserve),
        4 => report().prop_map(Step::Report),
        4 => (0..3_usize, own()).prop_map(|(slot, state)| Step::Own(slot, state)),
        2 => prop_oneof![Just(0), Just(500), Just(1_500), Just(31_000), Just(90_000)]
            .prop_map(Step::Pass),
    ]
}

/// Each with the options of `[server]`, `[presence]` and the agent that it is about.
const DESKS: [(&str, &str, &str); 6] = [
    ("", "", "wrap_up = 30\nlegal_guard = 20\nauto_logout = 60"),
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
