//! INVITEs of which every copy was lost: chance does that to one in ten million, and whoever sent
//! it may say that nobody answered. Nothing else is excused, not even one copy that arrived.

use std::collections::BTreeMap;

use offhook::sip::{Checked, HeaderIndex, Message, Method};
use offhook_loadgen::population::{Fact, Fault, Outcome, Token};

use super::network::Flight;
use super::world::World;

/// Copies of an INVITE that its sender sends by UDP before it gives up (RFC 3261 §17.1.1.2).
const COPIES: u32 = 7;

/// What became of the copies of one INVITE.
#[derive(Debug, Default)]
struct Copies {
    token: Option<Token>,
    lost: u32,
    launched: u32,
}

/// INVITEs by branch and sender.
#[derive(Debug, Default)]
pub struct Swallowed(BTreeMap<String, Copies>);

impl Swallowed {
    /// A copy of something was lost, or is on its way.
    pub fn note(&mut self, flight: &Flight, is_lost: bool) {
        if !flight.bytes.starts_with(b"INVITE ") {
            return;
        }
        let mut index = HeaderIndex::default();
        let Ok(Checked::Request(request)) = Message::receive(&flight.bytes, &mut index) else {
            return;
        };
        if request.method != Method::Invite || request.to_tag.is_some() {
            return;
        }
        let branch = request.via.branch().unwrap_or_default();
        let copies = self.0.entry(format!("{branch} {}", flight.from));
        let copies = copies.or_default();
        copies.token = Token::read(&request.message);
        match is_lost {
            true => copies.lost += 1,
            false => copies.launched += 1,
        }
    }

    fn has(&self, token: Token) -> bool {
        let all = |copies: &Copies| copies.lost >= COPIES && copies.launched == 0;
        let mut invites = self.0.values();
        invites.any(|copies| copies.token == Some(token) && all(copies))
    }
}

/// Whether a party has only found that nothing came back to an INVITE that never arrived.
pub fn excuses(world: &World, fault: Fault, token: Option<Token>) -> bool {
    let swallowed = &world.network.swallowed;
    fault == Fault::InviteUnanswered && token.is_some_and(|token| swallowed.has(token))
}

/// How many callers were lost to that.
pub fn callers(world: &World) -> u64 {
    let lost = |fact: &Fact| match fact {
        Fact::Ended {
            token,
            outcome: Outcome::Lost(fault),
        } => excuses(world, *fault, Some(*token)),
        _ => false,
    };
    world.count(lost) as u64
}

mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use offhook_loadgen::population::CallPlan;

    use super::super::network::Fate;
    use super::super::world::Setup;
    use super::*;

    /// A caller of whose INVITE as many copies are lost; and of the responses all.
    fn call(lost: u32, responses: bool) {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        let seen = Cell::new(0);
        world.network.rule = Some(Box::new(move |flight| {
            let is_invite = flight.bytes.starts_with(b"INVITE ");
            seen.set(seen.get() + u32::from(is_invite));
            let is_answer = flight.to.port() == 5_080;
            match is_invite && seen.get() <= lost || responses && is_answer {
                true => Fate::Lost,
                false => Fate::Usual,
            }
        }));
        let token = world.call(CallPlan::to("7000"));
        world.run_for(Duration::from_secs(40));
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.finish();
    }

    #[test]
    fn invite_that_never_arrives_is_no_fault() {
        call(7, false);
    }

    #[test]
    fn invite_of_which_one_copy_arrives_is_served() {
        call(6, false);
    }

    #[test]
    #[should_panic(expected = "InviteUnanswered")]
    fn invite_that_arrives_and_is_not_answered_is_a_fault() {
        call(0, true);
    }
}
