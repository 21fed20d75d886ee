//! Calls in each of the states, with far ends that go along as far as they are asked to.

use super::*;
use crate::call::conversation::Which;
use crate::call::tests::control::{is_server, sdp};

/// A call in one of the states: the party that asks, the call that it names, the other call.
pub(in crate::call::tests) struct Scene {
    pub(in crate::call::tests) table: Table,
    pub(in crate::call::tests) key: CallKey,
    dn: DnIndex,
    pub(in crate::call::tests) conn_id: ConnId,
    pub(in crate::call::tests) beside: ConnId,
}

/// How far the far ends go along by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::call::tests) enum Far {
    /// Agents are reserved and dialled.
    Dialled,
    /// Phones ring.
    Rings,
    /// Phones answer.
    Answers,
}

impl Scene {
    pub(in crate::call::tests) fn new(state: State) -> Self {
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

    /// The agent talks, with a phone that has a dialog for each call and may transfer.
    pub(in crate::call::tests) fn with_two_dialogs() -> Self {
        Self::configured(State::Talks, "dual_dialog = true\nrefer = true\n")
    }

    pub(super) fn of_one_call(state: State) -> Self {
        Self::configured(state, "")
    }

    /// The same, with more of the trunk.
    pub(super) fn configured(state: State, trunk: &str) -> Self {
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

    pub(in crate::call::tests) fn consults(&mut self, far: Far) {
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

    pub(super) fn names_consultation(&mut self, dn: DnIndex) {
        self.dn = dn;
        std::mem::swap(&mut self.conn_id, &mut self.beside);
    }

    pub(in crate::call::tests) fn ask(&mut self, conn_id: ConnId, action: CallAction) {
        self.table.commands.clear();
        self.table.act(self.key, conn_id, self.dn, action);
    }

    pub(super) fn asks(&mut self, conn_id: ConnId, action: CallAction) {
        self.ask(conn_id, action);
        self.play(Far::Answers);
    }

    /// The party wants the data of the call changed.
    pub(super) fn changes(&mut self, change: UserDataChange) {
        self.table.commands.clear();
        let request = CallRequest::UserData {
            this_dn: (2000 + self.dn.0).to_string(),
            change,
        };
        let input = Input::Request {
            requested_by: ASKED,
            request,
        };
        let event = Event::Input(self.conn_id, input);
        self.table.calls.handle(self.table.now, self.key, event);
        self.table.drain();
    }

    /// Another desktop of the agent has asked for something.
    pub(super) fn is_changed(&mut self, action: CallAction) {
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
    pub(super) fn adds(&mut self, number: &str) {
        self.table.commands.clear();
        self.is_changed(CallAction::SingleStepConference {
            destination: number.to_owned(),
            user_data: KeyValueList::new(),
        });
        self.play(Far::Rings);
    }

    /// Whoever is asked for something does it, until nothing is left to do.
    pub(in crate::call::tests) fn play(&mut self, far: Far) {
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
                Command::Leg(slot, LegCommand::Info { reports: true, .. }) => {
                    let status = Status::OK;
                    self.table
                        .on(self.key, slot, LegEvent::InfoAnswered { status });
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

    pub(super) fn play_dialled(&mut self, slot: LegSlot, to: &DialTo, far: Far) {
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

    pub(super) fn position(&self) -> Option<Position> {
        let conversation = self.table.calls.conversation(self.key);
        let which = if conversation.which(self.conn_id) == Some(Which::Main) {
            Which::Main
        } else {
            Which::Consult
        };
        conversation.position(which, self.dn)
    }

    /// What has answered the request, and how often it was answered.
    pub(in crate::call::tests) fn answers(&self) -> Vec<Answer> {
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
pub(super) fn makes_call(table: &mut Table) -> CallKey {
    let place = agent::Place {
        dn: AGENT,
        destination: "2001".into(),
        user_data: KeyValueList::new(),
        requested_by: ASKED,
        reasons: KeyValueList::new(),
    };
    let way = Way {
        max_forwards: 70,
        carried: crate::dialog::Carried::default(),
    };
    let destination = Destination::Direct { dn: OTHER };
    let made = table.calls.place(table.now, &place, destination, way);
    let CallRef { key, conn_id, .. } = made.expect("there is room");
    table.conn_id = conn_id;
    table.drain();
    key
}
