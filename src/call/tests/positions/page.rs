//! What docs/cti.md says of all this.

use super::*;

/// The request's name in the interface.
fn name(action: &CallAction) -> &'static str {
    match action {
        CallAction::Answer => "RequestAnswerCall",
        CallAction::Release => "RequestReleaseCall",
        CallAction::Clear => "RequestClearCall",
        CallAction::Hold => "RequestHoldCall",
        CallAction::Retrieve => "RequestRetrieveCall",
        CallAction::Alternate { .. } => "RequestAlternateCall",
        CallAction::Reconnect { .. } => "RequestReconnectCall",
        CallAction::Consult { .. } => "RequestInitiateTransfer",
        CallAction::CompleteTransfer { .. } => "RequestCompleteTransfer",
        CallAction::CompleteConference { .. } => "RequestCompleteConference",
        CallAction::MuteTransfer { .. } => "RequestMuteTransfer",
        CallAction::SingleStepTransfer { .. } => "RequestSingleStepTransfer",
        CallAction::SingleStepConference { .. } => "RequestSingleStepConference",
        CallAction::Redirect { .. } => "RequestRedirectCall",
        CallAction::DeleteParty { .. } => "RequestDeleteFromConference",
        CallAction::SendDtmf { .. } => "RequestSendDTMF",
    }
}

/// The event by which it is answered, as the interface names it.
fn event(state: PartyState) -> &'static str {
    match state {
        PartyState::Dialing => "EventDialing",
        PartyState::NetworkReached => "EventNetworkReached",
        PartyState::DestinationBusy(_) => "EventDestinationBusy",
        PartyState::Ringing => "EventRinging",
        PartyState::Established | PartyState::Recalled { .. } => "EventEstablished",
        PartyState::Held => "EventHeld",
        PartyState::Retrieved => "EventRetrieved",
        PartyState::Changed => "EventPartyChanged",
        PartyState::Added => "EventPartyAdded",
        PartyState::Deleted => "EventPartyDeleted",
        PartyState::DtmfSent => "EventDTMFSent",
        PartyState::UserDataChanged => "EventAttachedDataChanged",
        PartyState::Ended(_) => "EventReleased",
    }
}

/// Whether the words of docs/cti.md allow a request in a state.
fn allows(words: &str, state: State) -> bool {
    let (stands, around) = (stands(state), around(state));
    let in_hand = |how: &[Stands]| around == Around::Another && how.contains(&stands);
    match words {
        "any" => true,
        "rings" => stands == Stands::Rings,
        "dials, talks or on hold" => stands != Stands::Rings,
        "talks" => stands == Stands::Talks,
        "on hold, and no other call in hand" => {
            stands == Stands::Holds && around != Around::Another
        }
        "`ConnID` is in hand and answered" => in_hand(&[Stands::Talks]),
        "`ConnID` is in hand, answered or not" => in_hand(&[Stands::Talks, Stands::Dials]),
        "talks or on hold; the agent's only call, of two" => may_seek(state),
        "talks; the agent's only call" => may_add(state),
        "one of the two is on hold; the consultation rings at its destination or is answered" => {
            has_two(state) && state != State::HoldsAndSeeks
        }
        "one of the two is on hold; the consultation is answered" => is_consulted(state),
        "talks or on hold in a conference" => around == Around::Conference,
        other => panic!("docs/cti.md says {other:?}: teach `allows` what that means"),
    }
}

#[test]
fn documentation_says_in_which_state_what_is_possible() {
    let page = include_str!("../../../../docs/cti.md");
    for (index, action) in actions(GONE).iter().enumerate() {
        let name = format!("`{}`", name(action));
        let row = page.lines().find(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.len() == 6 && cells[1].split(", ").any(|cell| cell == name)
        });
        let row = row.unwrap_or_else(|| panic!("docs/cti.md has no row for {name}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [words, answered_by] = [cells[3], cells[4]];
        for state in positions().into_iter().flat_map(states).copied() {
            // No part in the call that the desktop knows of, and a change that is under way, are
            // errors that the page names once for all requests.
            if [State::Stranger, State::OnItsWay, State::TalksInChange].contains(&state) {
                continue;
            }
            let action = actions(GONE).swap_remove(index);
            match expected(state, &action) {
                Answer::Event(answer) => {
                    assert!(allows(words, state), "{name} is possible: {state:?}");
                    let answer = format!("`{}`", event(answer));
                    assert!(
                        answered_by.starts_with(&answer),
                        "{name}: {answer}, {state:?}"
                    );
                }
                Answer::Error(_) => {
                    assert!(!allows(words, state), "{name} is an error: {state:?}");
                }
            }
        }
    }
}
