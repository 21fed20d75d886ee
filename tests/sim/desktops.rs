//! Desktops that do to calls whatever they can, sensible or not: the right call, another one, one
//! that has just ended; in the right name, in another's; twice at once.

use offhook::cti::{
    CallAction, CallRequest, ConnId, ConsultKind, DesktopRequest, ForwardMode, KeyValueList,
    RequestBody,
};

use super::random::Random;
use super::world::{OUTSIDE, World};

/// All desktops.
pub struct Desktops {
    random: Random,
    agents: u32,
    /// Calls that were there once.
    known: Vec<ConnId>,
}

impl Desktops {
    pub fn new(random: Random, agents: u32) -> Self {
        Self {
            random,
            agents,
            known: Vec::new(),
        }
    }

    /// Somebody asks for something.
    pub fn strike(&mut self, world: &mut World) {
        match self.random.below(16) {
            0..=9 => self.control(world),
            10 | 11 => self.make_call(world),
            12 => self.feature(world),
            _ => {}
        }
    }

    /// Something is to be done to a call.
    fn control(&mut self, world: &mut World) {
        let Some((at, conn_id)) = world.journal.call(self.random.next()) else {
            return self.make_call(world);
        };
        let at = at.to_owned();
        self.known.push(conn_id);
        let conn_id = match self.random.below(20) {
            0 => self.known[self.random.below(self.known.len() as u64) as usize],
            _ => conn_id,
        };
        let this_dn = match self.random.below(8) {
            0 => self.agent(),
            _ => at.clone(),
        };
        let Some(dn) = world.cluster.config.dn(&this_dn) else {
            return;
        };
        let others = world.journal.calls_at(&at);
        let other = others.into_iter().find(|other| *other != conn_id);
        let action = self.action(other.unwrap_or(conn_id));
        let times = 1 + u64::from(self.random.below(12) == 0);
        for _ in 0..times {
            let request = CallRequest::Party {
                this_dn: dn,
                action: action.clone(),
                reasons: KeyValueList::new(),
            };
            world.request(RequestBody::Call(conn_id, request));
        }
    }

    /// What is asked; requests that need a second call get `beside`.
    fn action(&mut self, beside: ConnId) -> CallAction {
        let user_data = KeyValueList::new();
        let destination = self.number();
        match self.random.below(24) {
            0 | 1 => CallAction::Hold,
            2 | 3 => CallAction::Retrieve,
            4 => CallAction::Alternate { held: beside },
            5 => CallAction::Reconnect { held: beside },
            6..=9 => CallAction::Consult {
                kind: ConsultKind::Transfer,
                destination,
                user_data,
            },
            10..=12 => CallAction::CompleteTransfer { consult: beside },
            13 => CallAction::CompleteConference { consult: beside },
            14 => CallAction::MuteTransfer {
                destination,
                user_data,
            },
            15 | 16 => CallAction::SingleStepTransfer {
                destination,
                user_data,
            },
            17 => CallAction::SingleStepConference {
                destination,
                user_data,
            },
            18 | 19 => CallAction::Redirect { destination },
            20 => CallAction::DeleteParty {
                other_dn: destination,
            },
            21 => CallAction::SendDtmf {
                digits: "7".to_owned(),
            },
            22 => CallAction::Answer,
            _ => match self.random.below(2) {
                0 => CallAction::Release,
                _ => CallAction::Clear,
            },
        }
    }

    fn make_call(&mut self, world: &mut World) {
        let dn = self.agent();
        let request = DesktopRequest::MakeCall {
            destination: self.number(),
            user_data: KeyValueList::new(),
            reasons: KeyValueList::new(),
        };
        world.ask(&dn, request);
    }

    /// The DN is left alone, or its calls go elsewhere, in a circle if it so happens.
    fn feature(&mut self, world: &mut World) {
        let dn = self.agent();
        let reasons = KeyValueList::new();
        let request = match self.random.below(5) {
            0 => DesktopRequest::SetDnd { on: true, reasons },
            1 => DesktopRequest::SetDnd { on: false, reasons },
            2 => DesktopRequest::CancelForward { reasons },
            _ => DesktopRequest::SetForward {
                mode: match self.random.below(4) {
                    0 => ForwardMode::Unconditional,
                    1 => ForwardMode::OnBusy,
                    2 => ForwardMode::OnNoAnswer,
                    _ => ForwardMode::OnBusyAndNoAnswer,
                },
                destination: self.number(),
                reasons,
            },
        };
        world.ask(&dn, request);
    }

    fn agent(&mut self) -> String {
        (2_000 + self.random.below(u64::from(self.agents))).to_string()
    }

    /// Where a call is sent: to an agent mostly, its own included.
    fn number(&mut self) -> String {
        match self.random.below(12) {
            0 | 1 => OUTSIDE[self.random.below(2) as usize].to_owned(),
            2 => "7000".to_owned(),
            3 => "7001".to_owned(),
            4 => "no number".to_owned(),
            _ => self.agent(),
        }
    }
}
