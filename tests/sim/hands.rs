//! What people do with their telephones, whatever the desktops and the server want of them:
//! phones hold, transfer with and without Replaces, dial, take places, hang up, and break off or
//! refuse what they are asked; callers change their calls.

use std::time::Duration;

use offhook::sip::Status;
use offhook_loadgen::population::{Activity, CallPlan, Change, Reception, Replaces, Token};

use super::joined::Joined;
use super::random::Random;
use super::world::{OUTSIDE, World};

const CHANGES: [Change; 8] = [
    Change::Hold,
    Change::HoldWithMusic,
    Change::Resume,
    Change::ResumeWithOffer,
    Change::Refresh,
    Change::HoldByUpdate,
    Change::ResumeByUpdate,
    Change::Update,
];

/// Everybody at a telephone.
pub struct Hands {
    random: Random,
    agents: u32,
    /// Whether phones break off what they are asked, and refuse it.
    unruly: bool,
    /// The calls that were made one.
    pub joined: Joined,
}

impl Hands {
    pub fn new(mut random: Random, agents: u32) -> Self {
        Self {
            unruly: random.below(2) == 0,
            random,
            agents,
            joined: Joined::default(),
        }
    }

    /// Somebody does something.
    pub fn strike(&mut self, world: &mut World) {
        let dn = self.phone();
        let number = self.number();
        let change = CHANGES[self.random.below(8) as usize];
        match self.random.below(20) {
            0 | 1 => {
                world.phone(&dn).change(change);
            }
            2 => {
                world.phone(&dn).refer(&number);
            }
            3 | 10 | 11 => self.join(world),
            4 => {
                world.phone(&dn).hang_up();
            }
            5 => {
                world.phone(&dn).answer();
            }
            6 => {
                world.phone(&dn).dial(&number);
            }
            7 => {
                world.phone(&dn).swap();
            }
            8 | 9 => self.caller(world, change),
            12 => self.take_place(world, None),
            13 => self.take_place(world, Some(&dn)),
            14 => {
                // A dialog of the PBX's, of which the server knows nothing.
                let foreign = Replaces {
                    call_id: format!("private-{}", self.random.below(1_000)),
                    to_tag: "one".to_owned(),
                    from_tag: "other".to_owned(),
                };
                world.phone(&dn).refer_outside(&number, &foreign);
            }
            15 if self.unruly => {
                let reception = self.reception();
                world.phone(&dn).set_reception(reception);
            }
            _ => {}
        }
    }

    /// A phone with two calls makes them one; a phone that talks and has but one dials another.
    fn join(&mut self, world: &mut World) {
        let number = self.number();
        let mut phones: Vec<(usize, String)> = world
            .population
            .pbx
            .phones()
            .filter(|phone| matches!(phone.activity, Activity::Talking(_)))
            .map(|phone| (phone.calls, phone.dn.to_owned()))
            .collect();
        phones.sort();
        let Some((calls, dn)) = phones.last() else {
            return;
        };
        if *calls < 2 {
            world.phone(dn).dial(&number);
            return;
        }
        let tokens = world.phone(dn).tokens();
        if world.phone(dn).refer_attended(&number)
            && let [first, .., last] = tokens[..]
        {
            self.joined.join(first, last);
        }
    }

    /// A caller, or a phone, comes for the place of somebody who talks or whose phone rings.
    fn take_place(&mut self, world: &mut World, by: Option<&str>) {
        let Some((replaces, place, is_phones)) = self.place(world) else {
            return;
        };
        let newcomer = match by {
            Some(dn) => world.phone(dn).take_over("7000", &replaces),
            None => Some(world.call(CallPlan {
                early_offer: self.random.below(2) == 0,
                expires: None,
                patience: Some(Duration::from_secs(20)),
                hang_up_after: Some(Duration::from_millis(self.random.below(10_000))),
                replaces: Some(replaces),
                ..CallPlan::to("7000")
            })),
        };
        if let Some(newcomer) = newcomer {
            self.joined.comes(newcomer, place, is_phones);
        }
    }

    /// A dialog of somebody's, the call that it is of, and whether it is a phone's.
    fn place(&mut self, world: &mut World) -> Option<(Replaces, Option<Token>, bool)> {
        if self.random.below(3) == 0 {
            let live = world.tokens();
            let count = u64::try_from(live.len()).ok()?;
            let token = live[self.random.next().checked_rem(count)? as usize];
            let replaces = world.population.callers.dialog(token)?;
            return Some((replaces, Some(token), false));
        }
        let dn = self.phone();
        let replaces = world.phone(&dn).dialog()?;
        let view = world.population.pbx.phone_view(&dn)?;
        let (Activity::Talking(token) | Activity::Ringing(token)) = view.activity else {
            return None;
        };
        Some((replaces, token, true))
    }

    /// What a phone dials or transfers to: another phone, mostly.
    fn number(&mut self) -> String {
        match self.random.below(8) {
            0 => ["7000", "7001"][self.random.below(2) as usize].to_owned(),
            _ => self.phone(),
        }
    }

    fn caller(&mut self, world: &mut World, change: Change) {
        let live = world.tokens();
        if live.is_empty() {
            return;
        }
        let token = live[self.random.below(live.len() as u64) as usize];
        let now = world.now;
        match self.random.below(3) {
            0 => {
                let digit = "Signal=5\r\nDuration=160\r\n";
                let callers = &mut world.population.callers;
                callers.inform(now, token, "application/dtmf-relay", digit);
            }
            _ => {
                world.population.callers.change(now, token, change);
            }
        }
    }

    fn reception(&mut self) -> Reception {
        match self.random.below(6) {
            0 => Reception::After(Duration::from_millis(self.random.below(3_000))),
            1 => Reception::Refuse(Status(488)),
            2 => Reception::Refuse(Status(500)),
            3 => Reception::Undescribed,
            4 => Reception::HangUp,
            _ => Reception::Answer,
        }
    }

    fn phone(&mut self) -> String {
        match self.random.below(8) {
            0 => OUTSIDE[self.random.below(2) as usize].to_owned(),
            _ => (2_000 + self.random.below(u64::from(self.agents))).to_string(),
        }
    }
}

/// Everybody behaves again, and nobody stays on the phone: what desktops have made ends too.
pub fn hang_up_all(world: &mut World) {
    let phones: Vec<String> = world
        .population
        .pbx
        .phones()
        .map(|phone| phone.dn.to_owned())
        .collect();
    for dn in &phones {
        world.phone(dn).set_reception(Reception::Answer);
        world.phone(dn).answer_offer();
    }
    for _ in 0..40 {
        for dn in &phones {
            world.phone(dn).hang_up();
        }
        world.run_for(Duration::from_secs(1));
    }
}
