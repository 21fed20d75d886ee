//! Requests that wait for somebody to be found or picked up, and what ends the wait: each has its
//! one answer. And legs that wait for nobody: none is left.

use super::positions::{Answer, Far, Scene, State};
use super::*;
use crate::cti::CallAction;

const LEFT: [Answer; 1] = [Answer::Error(ErrorCode::WrongState)];

fn bye() -> LegEvent {
    LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    })
}

fn muted() -> CallAction {
    CallAction::MuteTransfer {
        destination: "2002".into(),
        user_data: KeyValueList::new(),
    }
}

fn added() -> CallAction {
    CallAction::SingleStepConference {
        destination: "2002".into(),
        user_data: KeyValueList::new(),
    }
}

/// The agent's request, and the far ends as far as they go.
fn asked(state: State, action: CallAction, far: Far) -> Scene {
    let mut scene = Scene::new(state);
    scene.ask(scene.conn_id, action);
    scene.play(far);
    scene
}

#[test]
fn search_for_somebody_that_ends_answers_who_wants_it() {
    for action in [muted(), added()] {
        // The caller leaves, and with it the call.
        let mut scene = asked(State::Talks, action.clone(), Far::Dialled);
        scene.table.on(scene.key, LegSlot::FIRST, bye());
        assert_eq!(scene.answers(), LEFT, "{action:?}");
        // Nobody answers.
        let mut scene = asked(State::Talks, action.clone(), Far::Dialled);
        scene.table.wait(Duration::from_secs(60));
        let answers = scene.answers();
        let [Answer::Error(_)] = answers[..] else {
            panic!("{action:?}: {answers:?}");
        };
    }
}

#[test]
fn muted_transfer_that_the_agent_leaves_is_answered() {
    let mut scene = asked(State::Talks, muted(), Far::Dialled);
    let agent = LegSlot(1);
    scene.table.on(scene.key, agent, bye());
    assert_eq!(scene.answers(), LEFT);
}

#[test]
fn phone_that_is_not_picked_up_answers_who_wants_it() {
    for ends in [bye(), refused(Status::BUSY_HERE)] {
        let mut scene = Scene::new(State::Rings);
        scene.ask(scene.conn_id, CallAction::Answer);
        let phone = scene.table.phone;
        scene.table.on(scene.key, phone, ends);
        let answers = scene.answers();
        assert!(matches!(answers[..], [Answer::Error(_)]), "{answers:?}");
    }
    // The caller gives up.
    let mut scene = Scene::new(State::Rings);
    scene.ask(scene.conn_id, CallAction::Answer);
    let cancelled = LegEvent::HungUp(Release::Cancelled {
        cause: Cause::default(),
    });
    scene.table.on(scene.key, LegSlot::FIRST, cancelled);
    assert_eq!(scene.answers(), LEFT);
    // It is sent elsewhere.
    let mut scene = Scene::new(State::Rings);
    scene.ask(scene.conn_id, CallAction::Answer);
    let destination = "2002".into();
    let redirect = CallAction::Redirect { destination };
    let dn = AGENT;
    scene.table.act(scene.key, scene.conn_id, dn, redirect);
    let answers = scene.answers();
    assert_eq!(answers.len(), 2, "each request has its own: {answers:?}");
}

#[test]
fn phone_is_picked_up_once() {
    let mut scene = Scene::new(State::Rings);
    scene.ask(scene.conn_id, CallAction::Answer);
    scene.ask(scene.conn_id, CallAction::Answer);
    assert_eq!(scene.answers(), LEFT);
}

pub(super) fn refused(status: Status) -> LegEvent {
    LegEvent::Refused {
        status,
        retry_after: None,
        after_provisional: true,
    }
}

/// Somebody was to be added to a conference by an agent who leaves it.
#[test]
fn search_of_a_party_who_leaves_the_conference_ends() {
    let mut scene = Scene::new(State::Confers);
    scene.ask(scene.conn_id, added());
    scene.play(Far::Rings);
    let agent = LegSlot(1);
    scene.table.on(scene.key, agent, bye());
    assert_eq!(scene.answers(), LEFT);
    let abandoned = PartyState::Ended(EndCause::CallerAbandoned);
    assert!(
        scene.table.party_states().contains(&abandoned),
        "2002 is free"
    );
}

/// The music is dialled for a caller who leaves before it has answered.
#[test]
fn server_that_is_dialled_for_nobody_is_let_go() {
    let (mut table, key) = Table::talking_with("music = \"sip:music@192.0.2.50\"");
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::Hold);
    table.accepts(key, LegSlot(1));
    let music = table.phone;
    assert_ne!(music, LegSlot(1), "the music is dialled");
    table.on(key, LegSlot::FIRST, bye());
    let hang_up = LegCommand::HangUp(cause::NORMAL.into());
    assert!(table.commands.contains(&Command::Leg(music, hang_up)));
    table.expect_over();
}

/// Nobody knows when somebody rings for a call that waits in a queue: the agent does not stay for
/// that, whether it has named the queue's number or one whose calls go there. The customer enters
/// with what the request says, and not in the name of who had transferred it before.
#[test]
fn muted_transfer_to_a_queue_is_done_when_it_is_there() {
    for destination in ["7000", "2001"] {
        let mut scene = Scene::new(State::Talks);
        let conversation = scene.table.calls.conversation_mut(scene.key);
        conversation.main.referred_by = Some("<sip:2009@pbx>".to_owned());
        let action = CallAction::MuteTransfer {
            destination: destination.into(),
            user_data: KeyValueList::new().with_text("Segment", "gold"),
        };
        scene.ask(scene.conn_id, action);
        let mut read = 0;
        while let Some(command) = scene.table.commands.get(read).cloned() {
            read += 1;
            match command {
                Command::Leg(slot, LegCommand::Offer(_)) => scene.table.accepts(scene.key, slot),
                Command::Agent(dn, agent::Input::Reserve(offer)) => {
                    let forwarded = Input::DirectForwarded {
                        dn,
                        destination: "7000".to_owned(),
                        why: ForwardReason::Unconditional,
                    };
                    let event = Event::Input(offer.call.conn_id, forwarded);
                    scene.table.calls.handle(scene.table.now, scene.key, event);
                    scene.table.drain();
                }
                _ => {}
            }
        }
        let transferred = PartyState::Ended(EndCause::Transferred);
        assert_eq!(scene.answers(), [Answer::Event(transferred)]);
        let entered = scene.table.queue_inputs().filter_map(|input| match input {
            queue::Input::Enter { call, info, .. } => Some((call.conn_id, info.user_data.len())),
            _ => None,
        });
        assert_eq!(entered.collect::<Vec<_>>(), [(scene.conn_id, 1)]);
        let conversation = scene.table.calls.conversation(scene.key);
        assert_eq!(conversation.main.referred_by, None);
    }
}

/// A phone that has a dialog for each call is called for the consultation, and does not take it.
#[test]
fn muted_transfer_whose_own_phone_is_busy_is_answered() {
    let mut scene = Scene::with_two_dialogs();
    scene.ask(scene.conn_id, muted());
    let mut read = 0;
    // The held call is on hold, and the phone is dialled for the other one.
    while let Some(command) = scene.table.commands.get(read).cloned() {
        read += 1;
        if let Command::Leg(slot, LegCommand::Offer(_)) = command {
            scene.table.accepts(scene.key, slot);
        }
    }
    let phone = scene.table.phone;
    scene.table.on(scene.key, phone, refused(Status::BUSY_HERE));
    assert_eq!(scene.answers(), [Answer::Error(ErrorCode::Busy)]);
}

/// The phone of one who dials puts nobody on hold, whatever it does.
#[test]
fn hold_of_a_phone_that_dials_is_no_event() {
    let mut scene = Scene::new(State::Dials);
    let held = sdp_with(0, "a=inactive\r\n");
    scene
        .table
        .on(scene.key, LegSlot::FIRST, LegEvent::Offered { body: held });
    assert_eq!(scene.table.party_states(), []);
    scene.ask(scene.conn_id, CallAction::Release);
    assert_eq!(scene.answers().len(), 1);
}

/// The same place, with a direction.
fn sdp_with(leg: u32, way: &str) -> Option<Body> {
    let body = super::control::sdp(leg)?;
    let text = String::from_utf8(body.bytes.to_vec()).expect("it is text");
    let text = text.replacen(&format!("- {leg} 1"), &format!("- {leg} 2"), 1);
    super::body_of(&format!("{text}{way}"))
}

/// Somebody was called into the call and has answered, but the mixer takes nobody.
#[test]
fn who_was_added_and_cannot_be_mixed_is_let_go() {
    let mut scene = Scene::new(State::TalksAndAdds);
    let added = scene.table.phone;
    let body = super::control::sdp(added.0);
    scene
        .table
        .on(scene.key, added, LegEvent::Answered { body });
    let mixer = scene.table.phone;
    assert_ne!(mixer, added);
    scene.table.commands.clear();
    scene
        .table
        .on(scene.key, mixer, refused(Status::SERVICE_UNAVAILABLE));
    let hang_up = LegCommand::HangUp(cause::FAILURE.into());
    assert!(scene.table.commands.contains(&Command::Leg(added, hang_up)));
    assert_eq!(scene.table.errors(), [ErrorCode::CannotCompleteConference]);
    scene.play(Far::Answers);
    assert_eq!(scene.table.calls.live().connected, 1);
}

/// The agent who wanted somebody added leaves while the three are being connected.
#[test]
fn who_was_added_stays_with_the_caller_when_the_agent_leaves() {
    let mut scene = Scene::new(State::TalksAndAdds);
    let added = scene.table.phone;
    let body = super::control::sdp(added.0);
    scene
        .table
        .on(scene.key, added, LegEvent::Answered { body });
    scene.table.commands.clear();
    scene.table.on(scene.key, LegSlot(1), bye());
    scene.play(Far::Answers);
    let acknowledged = |command: &Command| match command {
        Command::Leg(leg, LegCommand::Acknowledge(_)) => *leg == added,
        _ => false,
    };
    assert!(
        scene.table.commands.iter().any(acknowledged),
        "{:?}",
        scene.table.commands
    );
    assert_eq!(scene.table.calls.live().connected, 1);
}

/// A phone that rings is called again to be picked up, and no trunk leads there any more.
#[test]
fn phone_that_cannot_be_called_again_gives_its_agent_back() {
    let answer = "name = \"ucm\"\nanswer = \"call-info\"";
    let text = configuration("").replacen("name = \"ucm\"", answer, 1);
    let mut table = Table::configured(&text);
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    let (main, before) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::Answer);
    assert_ne!(table.phone, before, "it is called again");
    table.commands.clear();
    let failed = Event::DialFailed(table.phone);
    table.calls.handle(table.now, key, failed);
    table.drain();
    let ended = PartyState::Ended(EndCause::Unreachable);
    assert_eq!(table.party_states(), [ended]);
    assert_eq!(table.errors(), [ErrorCode::OutOfService]);
    assert_eq!(table.calls.live().unanswered, 1, "the caller waits on");
}
