//! Each request in each state of the call: what it leads to, or with which error it is refused.
//! What users are told about it (the table in docs/cti.md) is held against the same expectations.

use super::control::{is_server, sdp};
use super::*;
use crate::call::conversation::Which;
use crate::call::request::Position;
use crate::cti::{CallAction, ConsultKind};

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

/// What answers a request, when every phone and every server does what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// This happens to the party.
    Event(PartyState),
    /// An error, and every call is as it was.
    Error(ErrorCode),
}

const WRONG: Answer = Answer::Error(ErrorCode::WrongState);
const NO_SUCH_CALL: Answer = Answer::Error(ErrorCode::InvalidConnID);
const LEAVES: Answer = Answer::Event(PartyState::Ended(EndCause::AgentReleased));
const TRANSFERS: Answer = Answer::Event(PartyState::Ended(EndCause::Transferred));

fn expected(state: State, action: &CallAction) -> Answer {
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
fn expected_anyway(state: State, action: &CallAction) -> Option<Answer> {
    if state == State::Stranger {
        return Some(NO_SUCH_CALL);
    }
    if state == State::OnItsWay {
        return Some(WRONG);
    }
    (state == State::TalksInChange).then(|| expected_in_change(action))
}

/// While another request is carried out, the party may only leave.
fn expected_in_change(action: &CallAction) -> Answer {
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
fn expected_of_two(state: State, action: &CallAction) -> Answer {
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
enum Stands {
    Rings,
    Dials,
    Talks,
    Holds,
}

/// Of a party that has a part in the call, or will have.
fn stands(state: State) -> Stands {
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
enum Around {
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

fn around(state: State) -> Around {
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
fn may_seek(state: State) -> bool {
    let answered = [Stands::Talks, Stands::Holds].contains(&stands(state));
    answered && around(state) == Around::Nothing
}

/// Whether the party may have somebody called into the call.
fn may_add(state: State) -> bool {
    let alone = [Around::Nothing, Around::Conference].contains(&around(state));
    stands(state) == Stands::Talks && alone
}

/// Whether the consultation of the party is answered.
fn is_consulted(state: State) -> bool {
    let unanswered = [
        State::HoldsAndSeeks,
        State::HoldsAndDials,
        State::ConsultDials,
    ];
    has_two(state) && !unanswered.contains(&state)
}

fn has_two(state: State) -> bool {
    [Around::Another, Around::AnotherHeld].contains(&around(state))
}

/// A call in one of the states: the party that asks, the call that it names, the other call.
pub(super) struct Scene {
    pub(super) table: Table,
    pub(super) key: CallKey,
    dn: DnIndex,
    pub(super) conn_id: ConnId,
    beside: ConnId,
}

/// How far the far ends go along by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Far {
    /// Agents are reserved and dialled.
    Dialled,
    /// Phones ring.
    Rings,
    /// Phones answer.
    Answers,
}

impl Scene {
    pub(super) fn new(state: State) -> Self {
        let mut scene = Self::of_one_call(state);
        match state {
            State::HoldsAndSeeks => scene.consults(Far::Dialled),
            State::HoldsAndDials | State::ConsultDials | State::ConsultedRings => {
                scene.consults(Far::Rings);
            }
            State::HoldsAndTalks
            | State::ConsultTalks
            | State::ConsultedTalks
            | State::TalksAndHolds
            | State::ConsultHolds
            | State::HoldsBoth
            | State::Confers
            | State::ConferenceHolds
            | State::RingsIntoConference => scene.consults(Far::Answers),
            State::Stranger
            | State::OnItsWay
            | State::Rings
            | State::Dials
            | State::Talks
            | State::TalksInChange
            | State::TalksAndAdds
            | State::Holds => {}
        }
        let (main, consult) = (scene.conn_id, scene.beside);
        match state {
            State::ConsultDials | State::ConsultTalks => scene.names_consultation(AGENT),
            State::ConsultedRings | State::ConsultedTalks => scene.names_consultation(OTHER),
            State::TalksAndHolds | State::ConsultHolds => {
                scene.asks(consult, CallAction::Alternate { held: main });
                if state == State::ConsultHolds {
                    scene.names_consultation(AGENT);
                }
            }
            State::HoldsBoth => scene.asks(consult, CallAction::Hold),
            State::Confers | State::ConferenceHolds | State::RingsIntoConference => {
                scene.asks(main, CallAction::CompleteConference { consult });
                if state == State::ConferenceHolds {
                    scene.asks(main, CallAction::Hold);
                }
                if state == State::RingsIntoConference {
                    scene.adds("2003");
                    scene.dn = LATE;
                }
                scene.beside = GONE;
            }
            State::Stranger => scene.dn = DnIndex(2),
            State::Holds => scene.asks(main, CallAction::Hold),
            State::TalksInChange => scene.is_changed(CallAction::Hold),
            State::TalksAndAdds => scene.adds(NEW),
            State::OnItsWay
            | State::Rings
            | State::Dials
            | State::Talks
            | State::HoldsAndSeeks
            | State::HoldsAndDials
            | State::HoldsAndTalks => {}
        }
        scene.table.commands.clear();
        scene
    }

    /// The agent talks, with a phone that has a dialog for each call.
    pub(super) fn with_two_dialogs() -> Self {
        Self::configured(State::Talks, "dual_dialog = true\n")
    }

    fn of_one_call(state: State) -> Self {
        Self::configured(state, "")
    }

    /// The same, with more of the trunk.
    fn configured(state: State, trunk: &str) -> Self {
        let trunk = format!("name = \"ucm\"\nanswer = \"talk\"\ndtmf = \"dtmf\"\n{trunk}");
        let text = configuration("")
            .replace("2000-2001", "2000-2003")
            .replacen("[server]", "[server]\nmixer = \"sip:192.0.2.50\"", 1)
            .replacen("name = \"ucm\"", &trunk, 1);
        let mut table = Table::configured(&text);
        let key = if state == State::Dials {
            makes_call(&mut table)
        } else {
            table.arrive_at(Destination::Direct { dn: AGENT }, None, None)
        };
        let (dn, conn_id, beside) = (AGENT, table.conn_id, GONE);
        let mut scene = Self {
            table,
            key,
            dn,
            conn_id,
            beside,
        };
        let far = match state {
            State::OnItsWay => return scene,
            State::Rings | State::Dials => Far::Rings,
            _ => Far::Answers,
        };
        scene.play(far);
        scene
    }

    fn consults(&mut self, far: Far) {
        let action = CallAction::Consult {
            kind: ConsultKind::Transfer,
            destination: "2001".into(),
            user_data: KeyValueList::new(),
        };
        self.ask(self.conn_id, action);
        self.play(far);
        let dialing = |command: &Command| match command {
            Command::Agent(AGENT, agent::Input::Party(party))
                if party.state == PartyState::Dialing =>
            {
                Some(party.call.conn_id)
            }
            _ => None,
        };
        let mut commands = self.table.commands.iter();
        self.beside = commands.find_map(dialing).expect("the consultation begins");
    }

    fn names_consultation(&mut self, dn: DnIndex) {
        self.dn = dn;
        std::mem::swap(&mut self.conn_id, &mut self.beside);
    }

    pub(super) fn ask(&mut self, conn_id: ConnId, action: CallAction) {
        self.table.commands.clear();
        self.table.act(self.key, conn_id, self.dn, action);
    }

    fn asks(&mut self, conn_id: ConnId, action: CallAction) {
        self.ask(conn_id, action);
        self.play(Far::Answers);
    }

    /// Another desktop of the agent has asked for something.
    fn is_changed(&mut self, action: CallAction) {
        let request = CallRequest::Party {
            this_dn: self.dn,
            action,
            reasons: KeyValueList::new(),
        };
        let requested_by = RequestedBy {
            client: ClientId(2),
            ..ASKED
        };
        let input = Input::Request {
            requested_by,
            request,
        };
        self.table.input(self.key, input);
    }

    /// Somebody whom the agent's other desktop wants added to the call rings.
    fn adds(&mut self, number: &str) {
        self.table.commands.clear();
        self.is_changed(CallAction::SingleStepConference {
            destination: number.to_owned(),
            user_data: KeyValueList::new(),
        });
        self.play(Far::Rings);
    }

    /// Whoever is asked for something does it, until nothing is left to do.
    pub(super) fn play(&mut self, far: Far) {
        let mut read = 0;
        while let Some(command) = self.table.commands.get(read).cloned() {
            read += 1;
            match command {
                Command::Agent(dn, agent::Input::Reserve(offer)) => {
                    let input = Input::Offer {
                        dn,
                        elsewhere: None,
                    };
                    let event = Event::Input(offer.call.conn_id, input);
                    self.table.calls.handle(self.table.now, self.key, event);
                    self.table.drain();
                }
                Command::Dial(slot, dial) => self.play_dialled(slot, &dial.to, far),
                Command::Leg(slot, LegCommand::Offer(_)) => {
                    let body = sdp(slot.0);
                    self.table
                        .on(self.key, slot, LegEvent::OfferAnswered { body });
                }
                Command::Leg(slot, LegCommand::Talk) => {
                    let body = sdp(slot.0);
                    self.table.on(self.key, slot, LegEvent::Answered { body });
                }
                Command::Leg(slot, LegCommand::Answer(_)) => {
                    let body = sdp(slot.0);
                    self.table
                        .on(self.key, slot, LegEvent::Acknowledged { body });
                }
                _ => {}
            }
        }
    }

    fn play_dialled(&mut self, slot: LegSlot, to: &DialTo, far: Far) {
        let status = Status::RINGING;
        // The phone of one who makes a call is picked up at once.
        let picked_up = is_server(to) || slot == LegSlot::FIRST;
        if far >= Far::Rings && !picked_up {
            let rings = LegEvent::Progress { status, body: None };
            self.table.on(self.key, slot, rings);
        }
        if far >= Far::Answers || picked_up {
            let body = sdp(slot.0);
            self.table.on(self.key, slot, LegEvent::Answered { body });
        }
    }

    fn position(&self) -> Option<Position> {
        let conversation = self.table.calls.conversation(self.key);
        let which = if conversation.which(self.conn_id) == Some(Which::Main) {
            Which::Main
        } else {
            Which::Consult
        };
        conversation.position(which, self.dn)
    }

    /// What has answered the request, and how often it was answered.
    pub(super) fn answers(&self) -> Vec<Answer> {
        let answer = |command: &Command| match command {
            Command::Agent(dn, agent::Input::Party(party)) if *dn == self.dn => {
                let is_answer = party.requested_by == Some(ASKED);
                is_answer.then_some(Answer::Event(party.state))
            }
            Command::Event(event) if event.requested_by == Some(ASKED) => {
                event.error_code.map(Answer::Error)
            }
            _ => None,
        };
        self.table.commands.iter().filter_map(answer).collect()
    }
}

/// The desktop of 2000 calls 2001.
fn makes_call(table: &mut Table) -> CallKey {
    let place = agent::Place {
        dn: AGENT,
        destination: "2001".into(),
        user_data: KeyValueList::new(),
        requested_by: ASKED,
        reasons: KeyValueList::new(),
    };
    let way = Way {
        max_forwards: 70,
        carried: Vec::new(),
    };
    let destination = Destination::Direct { dn: OTHER };
    let made = table.calls.place(table.now, &place, destination, way);
    let CallRef { key, conn_id, .. } = made.expect("there is room");
    table.conn_id = conn_id;
    table.drain();
    key
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
            let said = |command: &&Command| !matches!(command, Command::Event(_));
            let said: Vec<_> = scene.table.commands.iter().filter(said).collect();
            assert!(said.is_empty(), "{state:?} {action:?}: {said:?}");
        }
    }
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
            let spoke = |command: &Command| !matches!(command, Command::Event(_));
            assert!(
                !scene.table.commands.iter().any(spoke),
                "{state:?} {action:?}"
            );
            assert_eq!(scene.table.calls.live(), before, "{state:?} {action:?}");
            assert_eq!(scene.position(), position, "{state:?} {action:?}");
        }
    }
}

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
    let page = include_str!("../../../docs/cti.md");
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
