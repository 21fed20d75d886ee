//! What answers each request in each state.

use super::*;

/// What answers a request, when every phone and every server does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::call::tests) enum Answer {
    /// This happens to the party.
    Event(PartyState),
    /// An error, and every call is as it was.
    Error(ErrorCode),
}

pub(super) const WRONG: Answer = Answer::Error(ErrorCode::WrongState);

pub(super) const NO_SUCH_CALL: Answer = Answer::Error(ErrorCode::InvalidConnID);

pub(super) const LEAVES: Answer = Answer::Event(PartyState::Ended(EndCause::AgentReleased));

pub(super) const TRANSFERS: Answer = Answer::Event(PartyState::Ended(EndCause::Transferred));

pub(super) fn expected(state: State, action: &CallAction) -> Answer {
    if let Some(answer) = expected_anyway(state, action) {
        return answer;
    }
    let (stands, around) = (stands(state), around(state));
    match action {
        CallAction::Release => LEAVES,
        CallAction::Answer => match stands {
            Stands::Rings => Answer::Event(PartyState::Established),
            Stands::Dials | Stands::Talks | Stands::Holds => WRONG,
        },
        CallAction::Clear => match stands {
            Stands::Rings => WRONG,
            Stands::Dials | Stands::Talks | Stands::Holds => LEAVES,
        },
        CallAction::Hold => match stands {
            Stands::Talks => Answer::Event(PartyState::Held),
            Stands::Holds => Answer::Error(ErrorCode::AlreadyInState),
            Stands::Rings | Stands::Dials => WRONG,
        },
        CallAction::Retrieve => match stands {
            Stands::Holds if around == Around::Another => WRONG,
            Stands::Holds => Answer::Event(PartyState::Retrieved),
            Stands::Talks => Answer::Error(ErrorCode::AlreadyInState),
            Stands::Rings | Stands::Dials => WRONG,
        },
        CallAction::SendDtmf { .. } => match stands {
            Stands::Talks => Answer::Event(PartyState::DtmfSent),
            Stands::Rings | Stands::Dials | Stands::Holds => WRONG,
        },
        CallAction::Redirect { .. } => match stands {
            Stands::Rings => Answer::Event(PartyState::Ended(EndCause::Redirected)),
            Stands::Dials | Stands::Talks | Stands::Holds => WRONG,
        },
        CallAction::DeleteParty { .. } => match around {
            Around::Conference => Answer::Event(PartyState::Deleted),
            Around::Nothing
            | Around::Another
            | Around::AnotherHeld
            | Around::Consulted
            | Around::Adding => WRONG,
        },
        CallAction::Consult { .. } if may_seek(state) => Answer::Event(PartyState::Dialing),
        CallAction::MuteTransfer { .. } | CallAction::SingleStepTransfer { .. }
            if may_seek(state) =>
        {
            TRANSFERS
        }
        CallAction::SingleStepConference { .. } if may_add(state) => {
            Answer::Event(PartyState::Added)
        }
        CallAction::Consult { .. }
        | CallAction::MuteTransfer { .. }
        | CallAction::SingleStepTransfer { .. }
        | CallAction::SingleStepConference { .. } => WRONG,
        CallAction::Alternate { .. }
        | CallAction::Reconnect { .. }
        | CallAction::CompleteTransfer { .. }
        | CallAction::CompleteConference { .. } => match around {
            Around::Another | Around::AnotherHeld => expected_of_two(state, action),
            Around::Nothing | Around::Consulted | Around::Adding | Around::Conference => {
                NO_SUCH_CALL
            }
        },
    }
}

/// Where it does not matter how the party stands.
pub(super) fn expected_anyway(state: State, action: &CallAction) -> Option<Answer> {
    if state == State::Stranger {
        return Some(NO_SUCH_CALL);
    }
    if state == State::OnItsWay {
        return Some(WRONG);
    }
    (state == State::TalksInChange).then(|| expected_in_change(action))
}

/// While another request is carried out, the party may only leave.
pub(super) fn expected_in_change(action: &CallAction) -> Answer {
    match action {
        CallAction::Release | CallAction::Clear => LEAVES,
        CallAction::Answer
        | CallAction::Hold
        | CallAction::Retrieve
        | CallAction::Alternate { .. }
        | CallAction::Reconnect { .. }
        | CallAction::Consult { .. }
        | CallAction::CompleteTransfer { .. }
        | CallAction::CompleteConference { .. }
        | CallAction::MuteTransfer { .. }
        | CallAction::SingleStepTransfer { .. }
        | CallAction::SingleStepConference { .. }
        | CallAction::Redirect { .. }
        | CallAction::DeleteParty { .. }
        | CallAction::SendDtmf { .. } => WRONG,
    }
}

/// Requests that name two calls, of a party that has two.
pub(super) fn expected_of_two(state: State, action: &CallAction) -> Answer {
    let retrieves = Answer::Event(PartyState::Retrieved);
    match action {
        CallAction::Alternate { .. } => match stands(state) {
            Stands::Talks => retrieves,
            Stands::Rings | Stands::Dials | Stands::Holds => WRONG,
        },
        CallAction::Reconnect { .. } => match stands(state) {
            Stands::Talks | Stands::Dials => retrieves,
            Stands::Rings | Stands::Holds => WRONG,
        },
        CallAction::CompleteTransfer { .. } if state == State::HoldsAndSeeks => {
            Answer::Error(ErrorCode::CannotCompleteTransfer)
        }
        CallAction::CompleteTransfer { .. } => TRANSFERS,
        CallAction::CompleteConference { .. } if is_consulted(state) => retrieves,
        CallAction::CompleteConference { .. } => Answer::Error(ErrorCode::CannotCompleteConference),
        CallAction::Answer
        | CallAction::Release
        | CallAction::Clear
        | CallAction::Hold
        | CallAction::Retrieve
        | CallAction::Consult { .. }
        | CallAction::MuteTransfer { .. }
        | CallAction::SingleStepTransfer { .. }
        | CallAction::SingleStepConference { .. }
        | CallAction::Redirect { .. }
        | CallAction::DeleteParty { .. }
        | CallAction::SendDtmf { .. } => unreachable!("{action:?} names one call"),
    }
}

/// How a party stands, in the words of docs/cti.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    Rings,
    Dials,
    Talks,
    Holds,
}

/// Of a party that has a part in the call, or will have.
pub(super) fn stands(state: State) -> Stands {
    match state {
        State::Stranger
        | State::OnItsWay
        | State::Rings
        | State::ConsultedRings
        | State::RingsIntoConference => Stands::Rings,
        State::Dials | State::ConsultDials => Stands::Dials,
        State::Talks
        | State::TalksInChange
        | State::TalksAndAdds
        | State::ConsultTalks
        | State::ConsultedTalks
        | State::TalksAndHolds
        | State::Confers => Stands::Talks,
        State::Holds
        | State::HoldsAndSeeks
        | State::HoldsAndDials
        | State::HoldsAndTalks
        | State::ConsultHolds
        | State::HoldsBoth
        | State::ConferenceHolds => Stands::Holds,
    }
}

/// What there is besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// The party has no other call, and this one is of two.
    Nothing,
    /// The party has a second call beside this one, and one of them in hand.
    Another,
    /// The same, and holds both.
    AnotherHeld,
    /// The party is the one who is consulted.
    Consulted,
    /// Somebody is being called into the call.
    Adding,
    /// There are more than two.
    Conference,
}

pub(super) fn around(state: State) -> Around {
    match state {
        State::HoldsAndSeeks
        | State::HoldsAndDials
        | State::ConsultDials
        | State::HoldsAndTalks
        | State::ConsultTalks
        | State::TalksAndHolds
        | State::ConsultHolds => Around::Another,
        State::HoldsBoth => Around::AnotherHeld,
        State::ConsultedRings | State::ConsultedTalks => Around::Consulted,
        State::TalksAndAdds | State::RingsIntoConference => Around::Adding,
        State::Confers | State::ConferenceHolds => Around::Conference,
        State::Stranger
        | State::OnItsWay
        | State::Rings
        | State::Dials
        | State::Talks
        | State::TalksInChange
        | State::Holds => Around::Nothing,
    }
}

/// Whether the party may consult or transfer: it has one call, of two, which is answered.
pub(super) fn may_seek(state: State) -> bool {
    let answered = [Stands::Talks, Stands::Holds].contains(&stands(state));
    answered && around(state) == Around::Nothing
}

/// Whether the party may have somebody called into the call.
pub(super) fn may_add(state: State) -> bool {
    let alone = [Around::Nothing, Around::Conference].contains(&around(state));
    stands(state) == Stands::Talks && alone
}

/// Whether the consultation of the party is answered.
pub(super) fn is_consulted(state: State) -> bool {
    let unanswered = [
        State::HoldsAndSeeks,
        State::HoldsAndDials,
        State::ConsultDials,
    ];
    has_two(state) && !unanswered.contains(&state)
}

pub(super) fn has_two(state: State) -> bool {
    [Around::Another, Around::AnotherHeld].contains(&around(state))
}
