//! A phone joins its two calls, which are conversations of their own, perhaps on two shards: what
//! fails on one side of them is heard on the other as a fault, and a customer outlives it.

use std::time::Duration;

use offhook::cti::EventName;
use offhook::sip::Status;
use offhook_loadgen::population::{CallPlan, Change, Party, Reception, Token};

use super::control::{
    AGENT, OTHER, conn_of, connected, held, moment, talking, told_since, world_on,
};
use super::hands::hang_up_all;
use super::world::World;

const TRUNK: &str = "outbound = true\nrefer = true\n";

/// An agent who talks to a customer of a queue, and whose phone has dialled a colleague.
struct Two {
    world: World,
    token: Token,
    agent: String,
    colleague: &'static str,
}

/// Such agents, with the two calls on one shard and on several; the phone has either call in hand.
fn all() -> impl Iterator<Item = Two> {
    (1..=6).map(|seed| {
        let shards = if seed == 1 { 1 } else { 3 };
        let mut world = world_on(shards, seed, TRUNK, "");
        for dn in [AGENT, OTHER, "2002"] {
            world.phone(dn).set_calls_max(2);
        }
        let token = world.call(CallPlan {
            expires: None,
            ..CallPlan::to("7000")
        });
        world.run_for(Duration::from_secs(10));
        let agent = [AGENT, OTHER, "2002"]
            .into_iter()
            .find(|dn| connected(&world, token, dn));
        let agent = agent.expect("somebody has answered").to_owned();
        let colleague = if agent == OTHER { AGENT } else { OTHER };
        assert!(world.phone(&agent).dial(colleague).is_some());
        world.run_for(Duration::from_secs(10));
        assert!(held(&world, token));
        Two {
            world,
            token,
            agent,
            colleague,
        }
    })
}

fn end(mut world: World) {
    for token in world.tokens() {
        let now = world.now;
        world.population.callers.hang_up(now, token);
        world.population.callers.give_up(now, token);
    }
    hang_up_all(&mut world);
    world.finish();
}

/// The customer's end refuses the colleague's media when the two are to be connected: the transfer
/// has failed, and both calls are what they were (pbx-restart 516723).
#[test]
fn calls_whose_parties_cannot_be_connected_go_on() {
    let mut across = 0;
    for two in all() {
        let Two {
            mut world,
            token,
            agent,
            colleague,
        } = two;
        let main = conn_of(&world, &agent, EventName::Established);
        let other = conn_of(&world, colleague, EventName::Established);
        across += usize::from(main.shard() != other.shard());
        let callers = &mut world.population.callers;
        callers.set_reception(Reception::Refuse(Status::SERVER_INTERNAL_ERROR));
        let since = moment(&world);
        assert!(world.phone(&agent).refer_attended(colleague));
        world.run_for(Duration::from_secs(3));
        assert_eq!(told_since(&world, since), [""; 0]);
        assert_eq!(world.tokens(), [token]);
        assert_eq!(world.journal.calls_at(&agent), [main]);
        let (agent, colleague) = (Party::phone(&agent), Party::phone(colleague));
        assert!(world.population.are_connected(&agent, &colleague));
        world.population.callers.set_reception(Reception::Answer);
        end(world);
    }
    assert!(across > 0, "no two calls were on two shards");
}

/// The PBX forgets the colleague, who has got the customer from the agent: the customer goes back
/// to its queue (pbx-restart 514363).
#[test]
fn customer_whose_party_in_the_other_call_is_lost_goes_back() {
    for two in all() {
        let Two {
            mut world,
            token,
            agent,
            colleague,
        } = two;
        assert!(world.phone(&agent).refer_attended(colleague));
        world.run_for(Duration::from_secs(3));
        assert!(connected(&world, token, colleague));
        let now = world.now;
        world.population.pbx.restart(now, 0);
        let now = world.now;
        assert!(world.population.callers.change(now, token, Change::Resume));
        world.run_for(Duration::from_secs(30));
        assert_eq!(world.tokens(), [token]);
        let parties = [AGENT, OTHER, "2002"].map(Party::phone);
        let caller = Party::Caller(token);
        let is_served = |party| world.population.are_connected(&caller, party);
        assert!(parties.iter().any(is_served));
        // Until the subscriptions that the PBX has forgotten are refreshed.
        world.run_for(Duration::from_secs(3_600));
        end(world);
    }
}

/// A phone takes the places of both parties of a call and joins its two calls. Nobody makes an
/// offer in such a circle of ties. Whoever gives up first decides: the phone keeps both calls, or
/// it leaves, and a circle in which nobody is left ends (clock-jumps 1505927).
#[test]
fn calls_that_are_tied_in_a_circle_end() {
    let mut circles = 0;
    for (shards, seed) in [(1, 1), (3, 2), (3, 3), (3, 4), (3, 5), (3, 6)] {
        let mut world = world_on(shards, seed, TRUNK, "");
        world.phone(OTHER).set_calls_max(2);
        let (token, _) = talking(&mut world);
        let place = world.phone(AGENT).dialog().expect("it talks");
        assert!(world.phone(OTHER).take_over(AGENT, &place).is_some());
        world.run_for(Duration::from_secs(10));
        assert!(connected(&world, token, OTHER));
        let place = world.population.callers.dialog(token).expect("it talks");
        assert!(world.phone(OTHER).take_over(AGENT, &place).is_some());
        world.run_for(Duration::from_secs(10));
        let both = world.phone(OTHER).tokens();
        assert_eq!((both.len(), world.tokens().len()), (2, 0));
        assert!(world.phone(OTHER).refer_attended(AGENT));
        world.run_for(Duration::from_secs(100));
        let left = world.phone(OTHER).tokens();
        assert!(left == both || left.is_empty(), "{left:?} of {both:?}");
        circles += usize::from(left.is_empty());
        end(world);
    }
    assert!(circles > 0, "no phone has left a circle");
}
