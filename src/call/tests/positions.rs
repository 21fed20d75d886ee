//! Each request in each state of the call: what it leads to, or with which error it is refused.
//! What users are told about it (the table in docs/cti.md) is held against the same expectations.

mod expected;
mod page;
mod scene;

use super::*;
use crate::call::request::Position;
use crate::cti::{CallAction, ConsultKind};

pub(super) use expected::Answer;
use expected::*;
pub(super) use scene::{Far, Scene};

/// Defines all values of a type, so that a new variant is not forgotten: it fails to compile here.
macro_rules! all_of {
    ($all:ident: $of:ty { $($pattern:pat => $value:expr),+ $(,)? }) => {
        fn $all() -> Vec<$of> {
            fn is_listed(value: &$of) {
                match value { $($pattern => ()),+ }
            }
            let all = vec![$($value),+];
            all.iter().for_each(is_listed);
            all
        }
    };
}

/// Where the party stands that asks, and in what surroundings. `2000` is the agent with the
/// caller, `2001` whom it consults or has in a conference, `2002` nobody yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// 2002 asks, which has no part in the call.
    Stranger,
    /// The call is on its way to 2000.
    OnItsWay,
    /// The phone of 2000 rings.
    Rings,
    /// 2000 has made the call, and nobody has answered.
    Dials,
    /// 2000 talks to the caller.
    Talks,
    /// The same, and 2000's desktop has asked for something that is not done yet.
    TalksInChange,
    /// The same, and 2002, which 2000's desktop wants added to the call, rings.
    TalksAndAdds,
    /// 2000 holds the caller.
    Holds,
    /// 2000 holds the caller, and 2001, whom it consults, does not ring yet.
    HoldsAndSeeks,
    /// The same, and 2001 rings.
    HoldsAndDials,
    /// The consultation of that.
    ConsultDials,
    /// 2001 in that consultation.
    ConsultedRings,
    /// 2000 holds the caller and talks to 2001.
    HoldsAndTalks,
    /// The consultation of that.
    ConsultTalks,
    /// 2001 in that consultation.
    ConsultedTalks,
    /// 2000 has alternated: it talks to the caller and holds 2001.
    TalksAndHolds,
    /// The consultation of that.
    ConsultHolds,
    /// 2000 holds both the caller and 2001.
    HoldsBoth,
    /// 2000 is in a conference with the caller and 2001.
    Confers,
    /// The same, and 2000 has it on hold.
    ConferenceHolds,
    /// The phone of 2003 rings, which 2000's desktop wants added to the conference.
    RingsIntoConference,
}

all_of!(positions: Option<Position> {
    None => None,
    Some(Position::OnItsWay) => Some(Position::OnItsWay),
    Some(Position::Ringing) => Some(Position::Ringing),
    Some(Position::Dialing(_)) => Some(Position::Dialing(LegSlot::FIRST)),
    Some(Position::Talking(_)) => Some(Position::Talking(LegSlot::FIRST)),
    Some(Position::Holding(_)) => Some(Position::Holding(LegSlot::FIRST)),
});

/// The states in which a party has this position.
fn states(position: Option<Position>) -> &'static [State] {
    match position {
        None => &[State::Stranger],
        Some(Position::OnItsWay) => &[State::OnItsWay],
        Some(Position::Ringing) => &[
            State::Rings,
            State::ConsultedRings,
            State::RingsIntoConference,
        ],
        Some(Position::Dialing(_)) => &[State::Dials, State::ConsultDials],
        Some(Position::Talking(_)) => &[
            State::Talks,
            State::TalksInChange,
            State::TalksAndAdds,
            State::ConsultTalks,
            State::ConsultedTalks,
            State::TalksAndHolds,
            State::Confers,
        ],
        Some(Position::Holding(_)) => &[
            State::Holds,
            State::HoldsAndSeeks,
            State::HoldsAndDials,
            State::HoldsAndTalks,
            State::ConsultHolds,
            State::HoldsBoth,
            State::ConferenceHolds,
        ],
    }
}

const NEW: &str = "2002";
/// Who is called into a conference, and rings.
const LATE: DnIndex = DnIndex(3);
/// A call that does not exist.
const GONE: ConnId = ConnId(0xdead);

/// Every request, as it is asked in a state whose other call is `beside`.
fn actions(beside: ConnId) -> Vec<CallAction> {
    let user_data = KeyValueList::new;
    let destination = || NEW.to_owned();
    all_of!(samples: CallAction {
        CallAction::Answer => CallAction::Answer,
        CallAction::Release => CallAction::Release,
        CallAction::Clear => CallAction::Clear,
        CallAction::Hold => CallAction::Hold,
        CallAction::Retrieve => CallAction::Retrieve,
        CallAction::Alternate { .. } => CallAction::Alternate { held: GONE },
        CallAction::Reconnect { .. } => CallAction::Reconnect { held: GONE },
        CallAction::Consult { .. } => CallAction::Consult {
            kind: ConsultKind::Transfer,
            destination: String::new(),
            user_data: KeyValueList::new(),
        },
        CallAction::CompleteTransfer { .. } => CallAction::CompleteTransfer { consult: GONE },
        CallAction::CompleteConference { .. } => CallAction::CompleteConference { consult: GONE },
        CallAction::MuteTransfer { .. } => CallAction::MuteTransfer {
            destination: String::new(),
            user_data: KeyValueList::new(),
        },
        CallAction::SingleStepTransfer { .. } => CallAction::SingleStepTransfer {
            destination: String::new(),
            user_data: KeyValueList::new(),
        },
        CallAction::SingleStepConference { .. } => CallAction::SingleStepConference {
            destination: String::new(),
            user_data: KeyValueList::new(),
        },
        CallAction::Redirect { .. } => CallAction::Redirect { destination: String::new() },
        CallAction::DeleteParty { .. } => CallAction::DeleteParty { other_dn: "2001".to_owned() },
        CallAction::SendDtmf { .. } => CallAction::SendDtmf { digits: "1".to_owned() },
    });
    let fill = |action: CallAction| match action {
        CallAction::Alternate { .. } => CallAction::Alternate { held: beside },
        CallAction::Reconnect { .. } => CallAction::Reconnect { held: beside },
        CallAction::CompleteTransfer { .. } => CallAction::CompleteTransfer { consult: beside },
        CallAction::CompleteConference { .. } => CallAction::CompleteConference { consult: beside },
        CallAction::Consult { kind, .. } => CallAction::Consult {
            kind,
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::MuteTransfer { .. } => CallAction::MuteTransfer {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::SingleStepTransfer { .. } => CallAction::SingleStepTransfer {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::SingleStepConference { .. } => CallAction::SingleStepConference {
            destination: destination(),
            user_data: user_data(),
        },
        CallAction::Redirect { .. } => CallAction::Redirect {
            destination: destination(),
        },
        action @ (CallAction::Answer
        | CallAction::Release
        | CallAction::Clear
        | CallAction::Hold
        | CallAction::Retrieve
        | CallAction::DeleteParty { .. }
        | CallAction::SendDtmf { .. }) => action,
    };
    samples().into_iter().map(fill).collect()
}

#[test]
fn every_request_in_every_state_has_its_one_answer() {
    let mut wrong = Vec::new();
    for position in positions() {
        for state in states(position).iter().copied() {
            let scene = Scene::new(state);
            let is = scene.position().map(|is| std::mem::discriminant(&is));
            let should = position.map(|should| std::mem::discriminant(&should));
            assert_eq!(is, should, "{state:?} is {:?}", scene.position());
            for index in 0..actions(GONE).len() {
                let mut scene = Scene::new(state);
                let action = actions(scene.beside).swap_remove(index);
                scene.asks(scene.conn_id, action.clone());
                let answers = scene.answers();
                let should = expected(state, &action);
                if answers != [should] {
                    wrong.push(format!("{state:?} {action:?}: {answers:?}, not {should:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A request that names one call twice is refused, and nothing happens.
#[test]
fn two_names_of_one_call_are_refused_in_every_state() {
    for state in positions().into_iter().flat_map(states).copied() {
        for index in 0..actions(GONE).len() {
            let mut scene = Scene::new(state);
            let action = actions(scene.conn_id).swap_remove(index);
            let names_two = matches!(
                action,
                CallAction::Alternate { .. }
                    | CallAction::Reconnect { .. }
                    | CallAction::CompleteTransfer { .. }
                    | CallAction::CompleteConference { .. }
            );
            if !names_two {
                continue;
            }
            scene.ask(scene.conn_id, action.clone());
            let should = match state {
                State::OnItsWay | State::TalksInChange => WRONG,
                _ => NO_SUCH_CALL,
            };
            assert_eq!(scene.answers(), [should], "{state:?} {action:?}");
            let said = |command: &&Command| !is_refusal(command);
            let said: Vec<_> = scene.table.commands.iter().filter(said).collect();
            assert!(said.is_empty(), "{state:?} {action:?}: {said:?}");
        }
    }
}

/// The error, and the word of it to the DN.
fn is_refusal(command: &Command) -> bool {
    matches!(
        command,
        Command::Event(_) | Command::Agent(_, agent::Input::NotTaken { .. })
    )
}

/// What is refused changes nothing: afterwards the call can still be released.
#[test]
fn request_that_is_refused_leaves_every_call_as_it_was() {
    for state in positions().into_iter().flat_map(states).copied() {
        for index in 0..actions(GONE).len() {
            let mut scene = Scene::new(state);
            let action = actions(scene.beside).swap_remove(index);
            if !matches!(expected(state, &action), Answer::Error(_)) {
                continue;
            }
            let before = scene.table.calls.live();
            let position = scene.position();
            scene.ask(scene.conn_id, action.clone());
            assert!(
                scene.table.commands.iter().all(is_refusal),
                "{state:?} {action:?}"
            );
            assert_eq!(scene.table.calls.live(), before, "{state:?} {action:?}");
            assert_eq!(scene.position(), position, "{state:?} {action:?}");
        }
    }
}

/// The data of a call is changed by whoever takes part, however it stands, and by nobody else.
#[test]
fn data_is_changed_in_every_state_by_who_is_a_party() {
    let pairs = |value: &'static str| KeyValueList::new().with_text("Segment", value);
    for state in positions().into_iter().flat_map(states).copied() {
        let mut scene = Scene::new(state);
        let should = match scene.position() {
            None => NO_SUCH_CALL,
            Some(Position::OnItsWay) => WRONG,
            Some(
                Position::Ringing
                | Position::Dialing(_)
                | Position::Talking(_)
                | Position::Holding(_),
            ) => Answer::Event(PartyState::UserDataChanged),
        };
        let position = scene.position();
        for change in [
            UserDataChange::Attach(pairs("gold")),
            UserDataChange::Update(pairs("silver")),
            UserDataChange::DeletePair("Segment".to_owned()),
            UserDataChange::DeleteAll,
        ] {
            let named = format!("{state:?} {change:?}");
            scene.changes(change);
            assert_eq!(scene.answers(), [should], "{named}");
        }
        assert_eq!(scene.position(), position, "{state:?}");
    }
}
