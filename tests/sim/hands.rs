//! What people do with their telephones, whatever the desktops and the server want of them:
//! phones hold, transfer, dial, hang up, and break off or refuse what they are asked; callers
//! change their calls.

use std::time::Duration;

use offhook::sip::Status;
use offhook_loadgen::population::{Change, Reception};

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
}

impl Hands {
    pub fn new(mut random: Random, agents: u32) -> Self {
        Self {
            unruly: random.below(2) == 0,
            random,
            agents,
        }
    }

    /// Somebody does something.
    pub fn strike(&mut self, world: &mut World) {
        let dn = self.phone();
        let number = self.phone();
        let change = CHANGES[self.random.below(8) as usize];
        match self.random.below(14) {
            0 | 1 => {
                world.phone(&dn).change(change);
            }
            2 => {
                world.phone(&dn).refer(&number);
            }
            3 => {
                world.phone(&dn).refer_attended(&number);
            }
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
            10 if self.unruly => {
                let reception = self.reception();
                world.phone(&dn).set_reception(reception);
            }
            _ => {}
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
