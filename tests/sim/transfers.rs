//! Every way to hand a call over, to everybody it can be handed to, with one dialog at the agent's
//! phone and with two, for every combination of early and delayed offers. Each cell of the table
//! ends with two parties who have each other, by what each was told about the other's media; the
//! agent is free again, its clients have heard one thing after the other, and nothing is left.

use std::cell::RefCell;
use std::fmt::Display;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{CallAction, ConnId, ConsultKind, EventName, KeyValueList};
use offhook::engine::Engine;
use offhook_loadgen::population::{Answering, Behaviour, CallPlan, Change, Party};

use super::control::{
    AGENT, OTHER, OUTSIDE, act, conn_of, consult, make_call, moment, single_step, told_since,
};
use super::descriptions::{Descriptions, Offers};
use super::world::{Setup, World};

const THIRD: &str = "2002";
/// Whom agents call who make the call that is handed over.
const CALLED: &str = "4001";
const QUEUE: &str = "7001";
const DESTINATIONS: [&str; 3] = [OTHER, QUEUE, OUTSIDE];

/// What the agent's desktop asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandOver {
    /// InitiateTransfer, and CompleteTransfer when the two talk.
    Consulted,
    /// InitiateTransfer, and CompleteTransfer while it rings.
    Ringing,
    Muted,
    SingleStep,
    /// RedirectCall, while the call rings at the agent.
    Redirect,
    /// InitiateConference and CompleteConference; then the agent leaves.
    Conference,
}

impl HandOver {
    /// What the agent's clients are told, and those of an agent who takes the call.
    fn events(self, destination: &str) -> (&'static str, &'static str) {
        match self {
            // It is a transfer before it rings.
            Self::Muted if destination == QUEUE => (
                "Held, Dialing, Released Transferred, Released Transferred",
                "Ringing Transferred, Established",
            ),
            Self::Consulted => (
                "Held, Dialing, NetworkReached, Established, Released Transferred, \
                 Released Transferred",
                "Ringing, Established, PartyChanged Transferred",
            ),
            Self::Ringing => (
                "Held, Dialing, NetworkReached, Released Transferred, Released Transferred",
                "Ringing, PartyChanged Transferred, Established",
            ),
            Self::Muted => (
                "Held, Dialing, Released Transferred, Released Transferred",
                "Ringing, PartyChanged Transferred, Established",
            ),
            Self::SingleStep => ("Released Transferred", "Ringing Transferred, Established"),
            Self::Redirect => ("Released Redirected", "Ringing, Established"),
            Self::Conference => (
                "Held, Dialing, NetworkReached, Established, Released Conferenced, Retrieved, \
                 PartyAdded Conferenced, Released",
                "Ringing, Established, PartyChanged Conferenced, PartyDeleted",
            ),
        }
    }
}

/// How the call came to be, which says who has made an offer on the agent's leg and on the other
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// Somebody calls: with an offer, or without one as UCM does.
    Early,
    Delayed,
    /// A desktop calls by a flow of RFC 3725. In flow I the phone that calls makes the offer; in
    /// flow IV it is connected without media first, and the other one makes it.
    FlowOne,
    FlowFour,
}

const ORIGINS: [Origin; 4] = [
    Origin::Early,
    Origin::Delayed,
    Origin::FlowOne,
    Origin::FlowFour,
];

/// What differs from trunk to trunk, and from phone to phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manner {
    dual_dialog: bool,
    /// Phones answer an offer as soon as they ring.
    early_media: bool,
    /// Who is not the agent offers video too: callers before the audio, phones after it.
    video: bool,
    /// Who is on hold hears music, and is told by `sendonly` where there is none.
    music: bool,
}

/// One cell of the table.
#[derive(Debug, Clone, Copy)]
struct Cell {
    hand_over: HandOver,
    destination: &'static str,
    origin: Origin,
    manner: Manner,
}

/// A cell that is played.
struct Play {
    cell: Cell,
    world: World,
    descriptions: Rc<RefCell<Descriptions>>,
    customer: Party,
}

impl Play {
    fn new(cell: Cell) -> Self {
        let Manner {
            dual_dialog,
            video,
            music,
            ..
        } = cell.manner;
        let flow = if cell.origin == Origin::FlowFour {
            4
        } else {
            1
        };
        let (music, hold) = match music {
            true => ("music = \"sip:music@10.0.2.1:5060\"", "inactive"),
            false => ("", "sendonly"),
        };
        let mut world = World::new(Setup {
            server: format!("mixer = \"sip:10.0.2.1:5060\"\n{music}"),
            trunk: format!(
                "outbound = true\ndual_dialog = {dual_dialog}\nmake_call_flow = \"{flow}\"\n\
                 hold = \"{hold}\"\n"
            ),
            ..Setup::calm(3)
        });
        world.run_until_ready();
        let offers = |number: &str| match number {
            "" | CALLED => Offers::VideoFirst,
            AGENT => Offers::Audio,
            _ => Offers::VideoLast,
        };
        let offers = if video {
            offers
        } else {
            |_: &str| Offers::Audio
        };
        let descriptions = Descriptions::read(&mut world, offers);
        for dn in [AGENT, OTHER, THIRD] {
            world.phone(dn).set_calls_max(2);
        }
        let mut play = Self {
            cell,
            world,
            descriptions,
            customer: Party::phone(CALLED),
        };
        play.everybody(Answering::After(Duration::from_millis(100)));
        play
    }

    /// How phones take calls from now on.
    fn everybody(&mut self, then: Answering) {
        let behaviour = Behaviour {
            early_media: self.cell.manner.early_media,
            then,
            ..Behaviour::default()
        };
        for dn in [AGENT, OTHER, THIRD, OUTSIDE, CALLED] {
            self.world.phone(dn).set_behaviour(Some(behaviour));
        }
    }

    /// The call that is to be handed over: it rings at the agent's phone, or is answered there.
    fn begin(&mut self) -> ConnId {
        let rings = self.cell.hand_over == HandOver::Redirect;
        let called = if rings { AGENT } else { CALLED };
        if rings {
            self.everybody(Answering::ByHand);
        }
        let name = match self.cell.origin {
            Origin::Early | Origin::Delayed => {
                let token = self.world.call(CallPlan {
                    early_offer: self.cell.origin == Origin::Early,
                    ..CallPlan::to(AGENT)
                });
                self.customer = Party::Caller(token);
                EventName::Ringing
            }
            Origin::FlowOne | Origin::FlowFour if rings => {
                // The phone of the one who calls picks up.
                self.customer = Party::phone(THIRD);
                self.world.phone(THIRD).set_behaviour(None);
                make_call(&mut self.world, THIRD, called);
                EventName::Ringing
            }
            Origin::FlowOne | Origin::FlowFour => {
                make_call(&mut self.world, AGENT, called);
                EventName::Dialing
            }
        };
        self.world.run_for(Duration::from_secs(3));
        conn_of(&self.world, AGENT, name)
    }

    fn act(&mut self, conn_id: ConnId, action: CallAction) {
        act(&mut self.world, AGENT, conn_id, action);
    }

    /// The agent gives the call away.
    fn hand_over(&mut self, main: ConnId) {
        let destination = self.cell.destination.to_owned();
        let user_data = KeyValueList::new();
        match self.cell.hand_over {
            HandOver::Consulted => {
                self.act(main, consult(&destination));
                let consult = conn_of(&self.world, AGENT, EventName::Dialing);
                self.act(main, CallAction::CompleteTransfer { consult });
            }
            HandOver::Ringing => {
                self.everybody(Answering::ByHand);
                // With two dialogs the agent's own phone is called for the second one.
                self.world.phone(AGENT).set_behaviour(None);
                self.act(main, consult(&destination));
                let consult = conn_of(&self.world, AGENT, EventName::Dialing);
                self.act(main, CallAction::CompleteTransfer { consult });
                self.answer();
            }
            HandOver::Muted => self.act(
                main,
                CallAction::MuteTransfer {
                    destination,
                    user_data,
                },
            ),
            HandOver::SingleStep => self.act(main, single_step(&destination)),
            HandOver::Redirect => {
                self.act(main, CallAction::Redirect { destination });
                self.answer();
            }
            HandOver::Conference => {
                let initiate = CallAction::Consult {
                    kind: ConsultKind::Conference,
                    destination,
                    user_data,
                };
                self.act(main, initiate);
                let consult = conn_of(&self.world, AGENT, EventName::Dialing);
                self.act(main, CallAction::CompleteConference { consult });
                // A phone that is told `sendonly` has put its first dialog on hold itself, and
                // only its user takes it back.
                self.world.phone(AGENT).change(Change::Resume);
                self.world.run_for(Duration::from_secs(1));
                self.same_conference([Party::phone(AGENT), self.taker()]);
                self.act(main, CallAction::Release);
            }
        }
        self.world.run_for(Duration::from_secs(3));
    }

    /// Whoever's phone rings picks it up.
    fn answer(&mut self) {
        for dn in [OTHER, THIRD, OUTSIDE] {
            self.world.phone(dn).answer();
        }
        self.world.run_for(Duration::from_secs(3));
    }

    /// Who has the call now.
    fn taker(&self) -> Party {
        if self.cell.destination == OUTSIDE {
            return Party::phone(OUTSIDE);
        }
        let mut events = self.world.journal.events.iter().rev();
        let takes = |event: &&offhook::cti::Event| {
            event.name == EventName::Established
                && [OTHER, THIRD].contains(&event.this_dn.as_str())
                && Party::phone(&event.this_dn) != self.customer
        };
        let found = events.find(takes).map(|event| event.this_dn.as_str());
        Party::phone(found.unwrap_or_else(|| self.fail("nobody has answered")))
    }

    /// The customer and these hear one conference at the mixer.
    #[track_caller]
    fn same_conference<const N: usize>(&self, others: [Party; N]) {
        let name = self.world.served(&self.customer);
        for other in others {
            if name.is_none() || self.world.served(&other) != name {
                self.fail(format_args!("{other:?} is in no conference with {name:?}"));
            }
        }
    }

    /// The customer and who has taken the call have each other.
    #[track_caller]
    fn two_are_left(&self) {
        let taker = self.taker();
        let descriptions = self.descriptions.borrow();
        if self.cell.hand_over == HandOver::Conference {
            // Two who are left stay at the mixer.
            self.same_conference([taker]);
            assert_eq!(descriptions.faults, [""; 0], "{:?}", self.cell);
            return;
        }
        if let Err(fault) = descriptions.two_have_each_other() {
            self.fail(fault);
        }
        let (offers, early) = (self.cell.manner.video, self.cell.origin == Origin::Early);
        let is_turned = descriptions.was_told(&["video", "audio"]);
        assert!(is_turned || !(offers && early), "{:?}", self.cell);
        let population = &self.world.population;
        if !population.are_connected(&self.customer, &taker) {
            self.fail(format_args!("{:?} has not {taker:?}", self.customer));
        }
        let engines = self.world.cluster.engines.iter();
        let legs: usize = engines.map(Engine::linked_legs).sum();
        assert_eq!((population.one_way(), legs), (vec![], 2), "{:?}", self.cell);
    }

    /// Everybody's clients have heard one thing after the other.
    #[track_caller]
    fn all_was_told(&self, since: usize) {
        let told = told_since(&self.world, since);
        let at = |dn: &str| {
            let events = told.iter().filter_map(|event| event.split_once(' '));
            let own = events.filter(|(this_dn, _)| *this_dn == dn);
            own.map(|(_, event)| event).collect::<Vec<_>>().join(", ")
        };
        let (agent, taker) = self.cell.hand_over.events(self.cell.destination);
        let is_queued = self.cell.destination == QUEUE;
        let queue = if is_queued { "Queued, Diverted" } else { "" };
        assert_eq!(
            (&*at(AGENT), &*at(QUEUE)),
            (agent, queue),
            "{:?}",
            self.cell
        );
        match self.taker() {
            Party::Phone(dn) if dn != OUTSIDE => assert_eq!(at(&dn), taker, "{:?}", self.cell),
            Party::Phone(_) | Party::Caller(_) => {}
        }
    }

    /// The customer hangs up, and nothing is left.
    fn end(mut self) {
        let now = self.world.now;
        match &self.customer {
            Party::Caller(token) => self.world.population.callers.hang_up(now, *token),
            Party::Phone(dn) => assert!(self.world.phone(dn).hang_up()),
        }
        self.everybody(Answering::After(Duration::from_millis(100)));
        self.world.finish();
    }

    #[track_caller]
    fn fail(&self, fault: impl Display) -> ! {
        self.world.fail(&format!("{:?}: {fault}", self.cell));
    }
}

fn play(cell: Cell) {
    let mut play = Play::new(cell);
    let main = play.begin();
    let since = moment(&play.world);
    play.hand_over(main);
    play.two_are_left();
    play.all_was_told(since);
    if !play.world.journal.is_ready(AGENT) || !play.world.journal.calls_at(AGENT).is_empty() {
        play.fail("the agent is not free");
    }
    play.end();
}

/// A row of the table: every origin, to every destination, in every manner.
fn every_cell(hand_over: HandOver) {
    let both = [false, true];
    for destination in DESTINATIONS {
        for origin in ORIGINS {
            for dual_dialog in both {
                for (early_media, video, music) in [
                    (false, false, false),
                    (false, true, true),
                    (true, true, false),
                    (true, false, true),
                ] {
                    play(Cell {
                        hand_over,
                        destination,
                        origin,
                        manner: Manner {
                            dual_dialog,
                            early_media,
                            video,
                            music,
                        },
                    });
                }
            }
        }
    }
}

#[test]
fn consultation_is_transferred_in_every_way() {
    every_cell(HandOver::Consulted);
}
#[test]
fn ringing_consultation_is_transferred_in_every_way() {
    every_cell(HandOver::Ringing);
}
#[test]
fn muted_transfer_in_every_way() {
    every_cell(HandOver::Muted);
}
#[test]
fn single_step_transfer_in_every_way() {
    every_cell(HandOver::SingleStep);
}
#[test]
fn ringing_call_is_redirected_in_every_way() {
    every_cell(HandOver::Redirect);
}
#[test]
fn conference_is_left_in_every_way() {
    every_cell(HandOver::Conference);
}
