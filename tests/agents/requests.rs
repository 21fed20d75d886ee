//! Each request of a desktop that is about the DN and not about one of its calls, in each state of
//! those. Requests about a call are in `src/call/tests/positions.rs`.

use offhook::agent::{Input, Output, PartyState};
use offhook::cti::{DesktopRequest, ForwardMode, KeyValueList};

use super::desk::*;
use super::pauses::{dnd, forward};
use super::several::calling;

/// What is going on at the DN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LoggedOut,
    Idle,
    WrapsUp,
    /// A queue's call is on its way.
    Promised,
    Rings,
    /// A call is to be made, and is not there yet.
    Placing,
    Dials,
    Talks,
    Holds,
    HoldsAndDials,
    HoldsAndTalks,
    HoldsBoth,
}

impl State {
    const ALL: [Self; 12] = [
        Self::LoggedOut,
        Self::Idle,
        Self::WrapsUp,
        Self::Promised,
        Self::Rings,
        Self::Placing,
        Self::Dials,
        Self::Talks,
        Self::Holds,
        Self::HoldsAndDials,
        Self::HoldsAndTalks,
        Self::HoldsBoth,
    ];

    fn desk(self) -> Desk {
        if self == Self::LoggedOut {
            return Desk::new();
        }
        let mut desk = Desk::new().ready();
        match self {
            Self::LoggedOut | Self::Idle => {}
            Self::WrapsUp => return desk.wrapping_up(),
            Self::Promised => {
                desk.reserved();
            }
            Self::Rings => {
                desk.ringing();
            }
            Self::Placing => assert!(desk.ask(make_call()).is_empty()),
            Self::Dials => calls(&mut desk, &[PartyState::Dialing]),
            Self::Talks => {
                desk.talking();
            }
            Self::Holds => holds(&mut desk, &[]),
            Self::HoldsAndDials => holds(&mut desk, &[PartyState::Dialing]),
            Self::HoldsAndTalks => {
                holds(&mut desk, &[PartyState::Dialing, PartyState::Established]);
            }
            Self::HoldsBoth => {
                let states = [
                    PartyState::Dialing,
                    PartyState::Established,
                    PartyState::Held,
                ];
                holds(&mut desk, &states);
            }
        }
        desk
    }

    /// Whether a call is in the way of another one.
    fn has_in_hand(self) -> bool {
        match self {
            Self::LoggedOut | Self::Idle | Self::WrapsUp | Self::Holds | Self::HoldsBoth => false,
            Self::Promised
            | Self::Rings
            | Self::Placing
            | Self::Dials
            | Self::Talks
            | Self::HoldsAndDials
            | Self::HoldsAndTalks => true,
        }
    }
}

/// A queue's call is on hold, and another one beside it goes through these states.
fn holds(desk: &mut Desk, beside: &[PartyState]) {
    let main = desk.talking();
    desk.party(queued(main, PartyState::Held));
    calls(desk, beside);
}

fn calls(desk: &mut Desk, states: &[PartyState]) {
    if states.is_empty() {
        return;
    }
    let call = desk.new_call();
    for state in states {
        assert_eq!(desk.party(calling(call, *state)).len(), 1, "{state:?}");
    }
}

fn make_call() -> DesktopRequest {
    DesktopRequest::MakeCall {
        destination: "5550199".to_owned(),
        user_data: KeyValueList::new(),
        reasons: KeyValueList::new(),
    }
}

fn cancel() -> DesktopRequest {
    let reasons = KeyValueList::new();
    DesktopRequest::CancelForward { reasons }
}

/// Events and errors, and how many calls are to be made or are taken back from the phone.
fn asked(desk: &mut Desk, request: DesktopRequest) -> (Vec<String>, usize, usize) {
    let input = desk.request(request);
    let outputs = desk.handle(input);
    let count = |is: fn(&Output) -> bool| outputs.iter().filter(|output| is(output)).count();
    let places = count(|output| matches!(output, Output::Place(_)));
    let withdraws = count(|output| matches!(output, Output::Call(..)));
    (in_short(&outputs), places, withdraws)
}

#[test]
fn a_call_is_made_in_every_state_in_which_none_is_in_hand() {
    for state in State::ALL {
        let mut desk = state.desk();
        let answered = asked(&mut desk, make_call());
        let refused = (vec!["*Error WrongState".to_owned()], 0, 0);
        let expected = if state.has_in_hand() {
            refused.clone()
        } else {
            (vec![], 1, 0)
        };
        assert_eq!(answered, expected, "{state:?}");
        // One at a time, whatever the state.
        assert_eq!(asked(&mut desk, make_call()), refused, "{state:?}");
        if !state.has_in_hand() {
            desk.handle(Input::Placed { call: None });
            assert_eq!(asked(&mut desk, make_call()).1, 1, "{state:?}");
        }
    }
}

#[test]
fn a_dn_is_left_alone_and_disturbed_again_in_every_state() {
    let shows = |word: &str| vec![word.to_owned()];
    let already = || (shows("*Error AlreadyInState"), 0, 0);
    for state in State::ALL {
        let mut desk = state.desk();
        let calls = desk.status().calls;
        assert_eq!(asked(&mut desk, dnd(false)), already(), "{state:?}");
        // What a queue has offered and nobody has answered goes back to it.
        let offered = matches!(state, State::Promised | State::Rings);
        let on = (shows("*DNDOn"), 0, usize::from(offered));
        assert_eq!(asked(&mut desk, dnd(true)), on, "{state:?}");
        assert_eq!(asked(&mut desk, dnd(true)), already(), "{state:?}");
        assert!(!desk.status().available, "{state:?}");
        let off = (shows("*DNDOff"), 0, 0);
        assert_eq!(asked(&mut desk, dnd(false)), off, "{state:?}");
        assert_eq!(desk.status().available, state == State::Idle, "{state:?}");
        assert_eq!(desk.status().calls, calls, "{state:?}: no call is touched");
    }
}

#[test]
fn calls_are_sent_elsewhere_and_come_back_in_every_state() {
    let shows = |word: &str| (vec![word.to_owned()], 0, 0);
    for state in State::ALL {
        let mut desk = state.desk();
        let (calls, available) = (desk.status().calls, desk.status().available);
        let requests = [
            (cancel(), "*Error AlreadyInState"),
            (forward(ForwardMode::OnBusy, "2002"), "*ForwardSet"),
            (forward(ForwardMode::Unconditional, "7001"), "*ForwardSet"),
            (
                forward(ForwardMode::OnBusy, "2001"),
                "*Error InvalidCalledDN",
            ),
            (
                forward(ForwardMode::None, "2002"),
                "*Error InvalidAttribute",
            ),
            (cancel(), "*ForwardCancel"),
            (cancel(), "*Error AlreadyInState"),
        ];
        for (request, shown) in requests {
            let named = format!("{state:?} {request:?}");
            assert_eq!(asked(&mut desk, request), shows(shown), "{named}");
        }
        // Neither a call nor what queues think of the agent is touched.
        assert_eq!(desk.status().calls, calls, "{state:?}");
        assert_eq!(desk.status().available, available, "{state:?}");
    }
}
