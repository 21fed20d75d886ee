//! Third-party call control: what a desktop does to a call, by legs told and parties told.

use super::*;
use crate::cti::{CallAction, ConsultKind};

/// What a DN's shard was told since the last look: the DN, the call, what happened.
pub(super) fn told(table: &mut Table) -> Vec<(DnIndex, u64, PartyState)> {
    let party = |command: Command| match command {
        Command::Agent(dn, agent::Input::Party(party)) => {
            Some((dn, party.call.conn_id.0, party.state))
        }
        _ => None,
    };
    std::mem::take(&mut table.commands)
        .into_iter()
        .filter_map(party)
        .collect()
}

impl Table {
    pub(super) fn act(&mut self, key: CallKey, conn_id: ConnId, dn: DnIndex, action: CallAction) {
        let request = CallRequest::Party {
            this_dn: dn,
            action,
            reasons: KeyValueList::new(),
        };
        let input = Input::Request {
            requested_by: ASKED,
            request,
        };
        let event = Event::Input(conn_id, input);
        self.calls.handle(self.now, key, event);
        self.drain();
    }

    pub(super) fn on(&mut self, key: CallKey, slot: LegSlot, event: LegEvent) {
        self.calls.handle(self.now, key, Event::Leg(slot, event));
        self.drain();
    }

    /// The far end of a leg accepts the re-INVITE that it was sent last.
    pub(super) fn accepts(&mut self, key: CallKey, slot: LegSlot) {
        let body = sdp(slot.0);
        self.on(key, slot, LegEvent::OfferAnswered { body });
    }

    /// Every leg accepts every re-INVITE, and every server of media every INVITE, until none is
    /// left.
    pub(super) fn all_accept(&mut self, key: CallKey) {
        self.all_accept_but(key, None);
    }

    /// The same, but one leg refuses the first re-INVITE that it gets.
    pub(super) fn all_accept_but(&mut self, key: CallKey, mut refuses: Option<LegSlot>) {
        let mut read = 0;
        while read < self.commands.len() {
            let command = self.commands[read].clone();
            read += 1;
            match command {
                Command::Leg(slot, LegCommand::Offer(_)) if refuses == Some(slot) => {
                    refuses = None;
                    let status = Status::NOT_ACCEPTABLE_HERE;
                    self.on(key, slot, LegEvent::OfferRefused { status });
                }
                Command::Leg(slot, LegCommand::Offer(_)) => self.accepts(key, slot),
                Command::Dial(slot, dial) if is_server(&dial.to) => {
                    let body = sdp(slot.0);
                    self.on(key, slot, LegEvent::Answered { body });
                }
                _ => {}
            }
        }
    }

    /// A call of two with real descriptions.
    pub(super) fn talking() -> (Self, CallKey) {
        Self::talking_with("")
    }

    /// The same, with more of `[server]`.
    pub(super) fn talking_with(server: &str) -> (Self, CallKey) {
        let text = configuration("");
        let text = text.replacen("[server]", &format!("[server]\n{server}"), 1);
        let mut table = Self::configured(&text);
        let key = table.talk();
        (table, key)
    }

    /// The caller calls and is answered by the agent.
    pub(super) fn talk(&mut self) -> CallKey {
        let table = self;
        let key = table.arrive(None);
        table.is_answered(key);
        table.commands.clear();
        key
    }

    /// The agent gets the call, rings and answers; the caller has acknowledged that.
    pub(super) fn is_answered(&mut self, key: CallKey) {
        self.offer(key, AGENT);
        self.ring(key);
        let phone = self.phone;
        let body = sdp(phone.0);
        self.on(key, phone, LegEvent::Answered { body });
        let body = sdp(0);
        self.on(key, LegSlot::FIRST, LegEvent::Acknowledged { body });
    }

    /// The agent consults the other one, who has answered.
    pub(super) fn consulting() -> (Self, CallKey, ConnId) {
        Self::consulting_with("")
    }

    pub(super) fn consulting_with(server: &str) -> (Self, CallKey, ConnId) {
        let (mut table, key) = Self::talking_with(server);
        let consult = table.consult(key);
        let phone = table.phone;
        table.ring(key);
        let body = sdp(phone.0);
        table.on(key, phone, LegEvent::Answered { body });
        table.all_accept(key);
        table.commands.clear();
        (table, key, consult)
    }

    /// The agent begins to consult the other one, whose phone is dialled.
    pub(super) fn consult(&mut self, key: CallKey) -> ConnId {
        self.consult_by(key, consultation("2001"))
    }

    /// The same by another request.
    pub(super) fn consult_by(&mut self, key: CallKey, action: CallAction) -> ConnId {
        let main = self.conn_id;
        self.act(key, main, AGENT, action);
        self.all_accept(key);
        let reserve = |command: &Command| match command {
            Command::Agent(OTHER, agent::Input::Reserve(offer)) => Some(offer.call.conn_id),
            _ => None,
        };
        let consult = self
            .commands
            .iter()
            .find_map(reserve)
            .expect("it asks for the agent");
        let event = Event::Input(
            consult,
            Input::Offer {
                dn: OTHER,
                elsewhere: None,
            },
        );
        self.calls.handle(self.now, key, event);
        self.drain();
        consult
    }
}

pub(super) fn is_server(to: &DialTo) -> bool {
    matches!(to, DialTo::Music | DialTo::Mixer(_))
}

pub(super) fn consultation(number: &str) -> CallAction {
    CallAction::Consult {
        kind: ConsultKind::Transfer,
        destination: number.into(),
        user_data: KeyValueList::new(),
    }
}

/// A description that only this leg would give.
pub(super) fn sdp(leg: u32) -> Option<Body> {
    body_of(&format!(
        "v=0\r\no=- {leg} 1 IN IP4 192.0.2.{leg}\r\ns=-\r\nc=IN IP4 192.0.2.{leg}\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0\r\n"
    ))
}

#[test]
fn hold_and_retrieve_move_both_legs() {
    let (mut table, key) = Table::talking();
    let (main, phone) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::Hold);
    assert_eq!(table.party_states(), [], "not before the phone has it");
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Held]);
    let offers = |table: &Table, slot| {
        let offer = |command: &&Command| match command {
            Command::Leg(told, LegCommand::Offer(_)) => *told == slot,
            _ => false,
        };
        table.commands.iter().filter(offer).count()
    };
    assert_eq!(
        (offers(&table, phone), offers(&table, LegSlot::FIRST)),
        (1, 1)
    );
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Hold);
    assert_eq!(table.errors(), [ErrorCode::AlreadyInState]);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    assert_eq!(table.errors(), [ErrorCode::AlreadyInState]);
}

#[test]
fn phone_that_refuses_to_be_held_leaves_the_call_as_it_was() {
    let (mut table, key) = Table::talking();
    let (main, phone) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::Hold);
    let status = Status::NOT_ACCEPTABLE_HERE;
    table.on(key, phone, LegEvent::OfferRefused { status });
    assert_eq!(table.errors(), [ErrorCode::Rejected]);
    assert_eq!(table.party_states(), []);
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn consultation_is_a_call_beside_the_held_one() {
    let (mut table, key) = Table::talking();
    let main = table.conn_id;
    table.act(key, main, AGENT, consultation("2001"));
    table.all_accept(key);
    let told = told(&mut table);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], (AGENT, main.0, PartyState::Held));
    let (dn, consult, state) = told[1];
    assert_eq!((dn, state), (AGENT, PartyState::Dialing));
    assert_ne!(consult, main.0);
}

#[test]
fn transfer_connects_the_two_and_lets_the_agent_go() {
    let (mut table, key, consult) = Table::consulting();
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::CompleteTransfer { consult });
    assert_eq!(table.party_states(), [], "not before they are connected");
    table.all_accept(key);
    let transferred = PartyState::Ended(EndCause::Transferred);
    assert_eq!(
        told(&mut table),
        [
            (AGENT, consult.0, transferred),
            (AGENT, main.0, transferred),
            (OTHER, main.0, PartyState::Changed),
        ]
    );
    assert_eq!(table.calls.live().connected, 1);
    table.on(
        key,
        LegSlot::FIRST,
        LegEvent::HungUp(Release::Bye {
            cause: Cause::default(),
        }),
    );
    assert_eq!(
        told(&mut table),
        [(OTHER, main.0, PartyState::Ended(EndCause::CallerReleased))]
    );
    assert_eq!(table.calls.live(), Live::default());
}

#[test]
fn consulted_party_that_leaves_leaves_the_held_call() {
    let (mut table, key, consult) = Table::consulting();
    let (main, consulted) = (table.conn_id, table.phone);
    let bye = LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    });
    table.on(key, consulted, bye);
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [
            (OTHER, consult.0, PartyState::Ended(EndCause::AgentReleased)),
            (
                AGENT,
                consult.0,
                PartyState::Ended(EndCause::CallerReleased)
            ),
        ]
    );
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
}

#[test]
fn agent_who_hangs_up_while_it_consults_leaves_the_two_together() {
    let (mut table, key, _) = Table::consulting();
    let agent = LegSlot(1);
    let bye = LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    });
    table.on(key, agent, bye);
    table.all_accept(key);
    let main = table.conn_id;
    assert!(told(&mut table).contains(&(OTHER, main.0, PartyState::Changed)));
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn alternate_and_reconnect_move_the_agent_between_its_calls() {
    let (mut table, key, consult) = Table::consulting();
    let main = table.conn_id;
    table.act(key, consult, AGENT, CallAction::Alternate { held: main });
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [
            (AGENT, consult.0, PartyState::Held),
            (AGENT, main.0, PartyState::Retrieved),
        ]
    );
    table.act(key, main, AGENT, CallAction::Alternate { held: main });
    assert_eq!(table.errors(), [ErrorCode::InvalidConnID]);
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Alternate { held: consult });
    table.all_accept(key);
    table.commands.clear();
    table.act(key, consult, AGENT, CallAction::Reconnect { held: main });
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [
            (AGENT, consult.0, PartyState::Ended(EndCause::AgentReleased)),
            (
                OTHER,
                consult.0,
                PartyState::Ended(EndCause::CallerReleased)
            ),
            (AGENT, main.0, PartyState::Retrieved),
        ]
    );
}

#[test]
fn single_step_transfer_rings_there_at_once() {
    let (mut table, key) = Table::talking();
    let main = table.conn_id;
    let action = CallAction::SingleStepTransfer {
        destination: "2001".into(),
        user_data: KeyValueList::new(),
    };
    table.act(key, main, AGENT, action);
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [(AGENT, main.0, PartyState::Ended(EndCause::Transferred))]
    );
    table.input(
        key,
        Input::Offer {
            dn: OTHER,
            elsewhere: None,
        },
    );
    let phone = table.phone;
    table.ring(key);
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [
            (OTHER, main.0, PartyState::Ringing),
            (OTHER, main.0, PartyState::Established),
        ]
    );
    assert_eq!(table.calls.live().connected, 1);
}

#[test]
fn redirected_call_rings_elsewhere() {
    let mut table = Table::new();
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    let (main, phone) = (table.conn_id, table.phone);
    table.commands.clear();
    let destination = "2001".into();
    table.act(key, main, AGENT, CallAction::Redirect { destination });
    table.expect_leg(Side::Agent, &LegCommand::HangUp(cause::NORMAL.into()));
    assert_eq!(
        told(&mut table),
        [(AGENT, main.0, PartyState::Ended(EndCause::Redirected))]
    );
    table.input(
        key,
        Input::Offer {
            dn: OTHER,
            elsewhere: None,
        },
    );
    assert_ne!(table.phone, phone);
    table.ring(key);
    let body = body("answer");
    table.leg(key, Side::Agent, LegEvent::Answered { body });
    assert!(table.queue_inputs().any(|input| matches!(
        input,
        queue::Input::Left {
            cause: EndCause::Redirected,
            ..
        }
    )));
    assert_eq!(table.calls.live().connected, 1);
}

pub(super) const MIXER: &str = "mixer = \"sip:192.0.2.50\"";

#[test]
fn conference_puts_every_leg_on_the_mixer() {
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    table.all_accept(key);
    let mixed = table.commands.iter().filter(|command| match command {
        Command::Dial(_, dial) => dial.to == DialTo::Mixer(main.to_string()),
        _ => false,
    });
    assert_eq!(mixed.count(), 3);
    assert_eq!(
        told(&mut table),
        [
            (AGENT, consult.0, PartyState::Ended(EndCause::Conferenced)),
            (AGENT, main.0, PartyState::Retrieved),
            (AGENT, main.0, PartyState::Added),
            (OTHER, main.0, PartyState::Changed),
        ]
    );
    let other_dn = "2001".into();
    table.act(key, main, AGENT, CallAction::DeleteParty { other_dn });
    assert_eq!(
        told(&mut table),
        [
            (OTHER, main.0, PartyState::Ended(EndCause::CallerReleased)),
            (AGENT, main.0, PartyState::Deleted),
        ]
    );
    table.act(key, main, AGENT, CallAction::Release);
    assert_eq!(table.calls.live(), Live::default());
    let hung_up = table
        .commands
        .iter()
        .filter(|command| matches!(command, Command::Leg(_, LegCommand::HangUp(_))));
    assert_eq!(
        hung_up.count(),
        4,
        "two parties and their legs to the mixer"
    );
}

#[test]
fn single_step_conference_adds_who_answers() {
    let (mut table, key) = Table::talking_with(MIXER);
    let main = table.conn_id;
    let action = CallAction::SingleStepConference {
        destination: "2001".into(),
        user_data: KeyValueList::new(),
    };
    table.act(key, main, AGENT, action);
    table.input(
        key,
        Input::Offer {
            dn: OTHER,
            elsewhere: None,
        },
    );
    let phone = table.phone;
    table.ring(key);
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    table.all_accept(key);
    assert_eq!(
        told(&mut table),
        [
            (OTHER, main.0, PartyState::Ringing),
            (OTHER, main.0, PartyState::Established),
            (AGENT, main.0, PartyState::Added),
        ]
    );
}

#[test]
fn mixer_that_is_not_there_leaves_the_consultation() {
    let (mut table, key, consult) = Table::consulting_with(MIXER);
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    let mixer = table.phone;
    let refused = LegEvent::Refused {
        status: Status::SERVICE_UNAVAILABLE,
        retry_after: None,
        after_provisional: false,
    };
    table.on(key, mixer, refused);
    table.all_accept(key);
    assert_eq!(table.errors(), [ErrorCode::CannotCompleteConference]);
    assert_eq!(table.party_states(), []);
    let (mut table, key, consult) = Table::consulting();
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::CompleteConference { consult });
    assert_eq!(table.errors(), [ErrorCode::UnsupportedOperation]);
}

#[test]
fn held_caller_hears_the_music() {
    let (mut table, key) = Table::talking_with("music = \"sip:music@192.0.2.50\"");
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::Hold);
    table.all_accept(key);
    assert!(table.commands.iter().any(|command| match command {
        Command::Dial(_, dial) => dial.to == DialTo::Music,
        _ => false,
    }));
    assert_eq!(table.party_states(), [PartyState::Held]);
    let music = table.phone;
    table.commands.clear();
    table.act(key, main, AGENT, CallAction::Retrieve);
    table.all_accept(key);
    assert_eq!(table.party_states(), [PartyState::Retrieved]);
    let hang_up = LegCommand::HangUp(cause::NORMAL.into());
    assert!(table.commands.contains(&Command::Leg(music, hang_up)));
}
