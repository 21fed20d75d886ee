//! Directed cases of presence and trunks, by the whole server: what a PBX does to subscriptions,
//! and which way calls take when its nodes fail.

use std::time::Duration;

use offhook::cti::EventName::{self, AgentLogin, AgentLogout, AgentNotReady, AgentReady};
use offhook::cti::EventName::{DNBackInService, DNOutOfService};
use offhook::sip::Status;
use offhook_loadgen::population::{CallPlan, Fact, Fault, Outcome, SubscribeRefusal};

use super::profile::Profile;
use super::world::{Setup, World};

const AGENT: &str = "2000";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What the agent's stream says from now on.
fn news(world: &mut World, time: Duration) -> Vec<EventName> {
    let before = world.journal.names(AGENT).len();
    world.run_for(time);
    world.journal.names(AGENT).split_off(before)
}

/// One call that must reach an agent.
fn reaches_an_agent(world: &mut World) {
    let token = world.call(CallPlan::to("7000").talks_for(seconds(1)));
    world.run_for(seconds(30));
    let answered = world.records.iter().any(|record| {
        matches!(
            record.fact,
            Fact::Ended { token: ended, outcome: Outcome::Answered(_) } if ended == token
        )
    });
    assert!(answered, "{}", world.network.ladder(20));
}

#[test]
fn subscription_that_the_pbx_ends_logs_out_and_is_begun_again() {
    let quarter = seconds(900) + seconds(30);
    for (reason, retry_after, longest) in [
        ("deactivated", None, seconds(5)),
        ("timeout", None, seconds(5)),
        ("probation", Some(60), seconds(80)),
        ("giveup", Some(60), seconds(80)),
        ("rejected", None, quarter),
        ("noresource", None, quarter),
    ] {
        let mut world = World::new(Setup::calm(1));
        world.run_until_ready();
        world.phone(AGENT).end_subscriptions(reason, retry_after);
        let names = news(&mut world, longest);
        assert_eq!(names, [AgentLogout, AgentLogin, AgentReady], "{reason}");
        world.finish();
    }
}

#[test]
fn grace_spares_the_agent_a_subscription_that_is_only_moved() {
    let mut world = World::new(Setup::calm(1).with("[presence]\nterminated_grace = 10"));
    world.run_until_ready();
    world.phone(AGENT).end_subscriptions("deactivated", None);
    assert_eq!(news(&mut world, seconds(60)), []);
    world.phone(AGENT).end_subscriptions("giveup", Some(20));
    let names = news(&mut world, seconds(60));
    assert_eq!(
        names,
        [AgentLogout, AgentLogin, AgentReady],
        "no grace for it"
    );
    world.finish();
}

#[test]
fn phone_without_call_waiting_is_logged_out_or_not_ready_in_private_calls() {
    for (presence, begins, ends) in [
        ("", &[AgentLogout][..], &[AgentLogin, AgentReady][..]),
        (
            "[presence]\nclosed_busy = \"notready\"",
            &[AgentNotReady],
            &[AgentReady],
        ),
    ] {
        let mut world = World::new(Setup::calm(1).with(presence));
        world.run_until_ready();
        world.phone(AGENT).set_call_waiting(false);
        world.phone(AGENT).begin_private_call();
        assert_eq!(news(&mut world, seconds(5)), begins);
        world.phone(AGENT).end_private_call();
        assert_eq!(news(&mut world, seconds(5)), ends);
        world.finish();
    }
}

#[test]
fn refused_subscription_is_tried_again_without_hurry() {
    for status in [Status(403), Status(404), Status(489)] {
        let mut world = World::new(Setup::calm(1));
        let refusal = SubscribeRefusal::with(status);
        world.population.pbx.set_subscribe_refusal(0, Some(refusal));
        assert_eq!(news(&mut world, seconds(200)), [], "nobody can be seen");
        world.population.pbx.set_subscribe_refusal(0, None);
        world.run_until(seconds(900), |world| world.journal.is_ready(AGENT));
        world.finish();
    }
}

#[test]
fn refused_refresh_keeps_the_agent_until_the_subscription_has_run_out() {
    let lost = |option| Setup::calm(1).with(&format!("[presence]\nlost = \"{option}\""));
    for (option, names) in [
        ("keep", &[][..]),
        ("notready", &[AgentNotReady]),
        ("logout", &[AgentLogout]),
    ] {
        let mut world = World::new(lost(option));
        world.run_until_ready();
        let refusal = SubscribeRefusal::with(Status(403));
        world.population.pbx.set_subscribe_refusal(0, Some(refusal));
        assert_eq!(news(&mut world, seconds(3_590)), [], "{option}");
        assert_eq!(news(&mut world, seconds(60)), names, "{option}");
        world.population.pbx.set_subscribe_refusal(0, None);
        world.run_until(seconds(900), |world| world.journal.is_ready(AGENT));
        world.finish();
    }
}

#[test]
fn subscription_follows_to_the_next_node() {
    let mut world = World::new(Setup {
        nodes: 2,
        ..Setup::calm(20)
    });
    world.run_until_ready();
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    world.run_for(seconds(120));
    assert_eq!(world.journal.ready(), 20, "the votes are kept meanwhile");
    world.phone(AGENT).begin_private_call();
    let names = news(&mut world, seconds(5));
    assert_eq!(names, [AgentNotReady], "the other node tells");
    world.phone(AGENT).end_private_call();
    assert_eq!(news(&mut world, seconds(5)), [AgentReady]);
    world.population.pbx.come_back(0);
    world.finish();
}

#[test]
fn restart_that_no_ping_has_noticed_is_found_out_by_the_first_refresh() {
    let mut world = World::new(Setup {
        shards: 1,
        ..Setup::calm(40)
    });
    world.run_until_ready();
    world.run_for(seconds(2_000));
    let now = world.now;
    world.population.pbx.restart(now, 0);
    for dn in 2_000..2_040 {
        world.phone(&dn.to_string()).begin_private_call();
    }
    world.run_until(seconds(1_300), |world| world.journal.ready() < 40);
    world.run_for(seconds(20));
    assert_eq!(
        world.journal.ready(),
        0,
        "who has one 481 asks about the others"
    );
    for dn in 2_000..2_040 {
        world.phone(&dn.to_string()).end_private_call();
    }
    world.run_for(seconds(5));
    assert_eq!(world.journal.ready(), 40);
    world.finish();
}

#[test]
fn restart_that_the_pings_have_noticed_is_made_good_at_once() {
    let mut world = World::new(Setup::calm(40));
    world.run_until_ready();
    world.connect_node(0, false);
    let now = world.now;
    world.population.pbx.restart(now, 0);
    world.run_until(seconds(60), |world| {
        world.journal.names("ucm").last() == Some(&DNOutOfService)
    });
    for dn in 2_000..2_040 {
        world.phone(&dn.to_string()).begin_private_call();
    }
    world.connect_node(0, true);
    world.run_until(seconds(60), |world| {
        world.journal.names("ucm").last() == Some(&DNBackInService)
    });
    world.run_for(seconds(5));
    assert_eq!(world.journal.ready(), 0, "at 50 SUBSCRIBEs a second");
    for dn in 2_000..2_040 {
        world.phone(&dn.to_string()).end_private_call();
    }
    world.finish();
}

#[test]
fn call_that_both_its_phones_have_forgotten_ends_with_its_session() {
    let mut world = World::new(Setup {
        profile: Profile::PbxRestart,
        ..Setup::calm(2).with("[presence]\nexpires = \"2m\"")
    });
    world.run_until_ready();
    world.phone(AGENT).dial("2001");
    world.run_for(seconds(5));
    let connected = |world: &World| -> usize {
        let engines = world.cluster.engines.iter();
        engines.map(|engine| engine.live().connected).sum()
    };
    assert_eq!(connected(&world), 1);
    let now = world.now;
    world.population.pbx.restart(now, 0);
    world.run_for(seconds(900));
    assert_eq!(connected(&world), 0, "its refresh gets 481");
    world.finish();
}

#[test]
fn node_that_asks_to_be_left_alone_is() {
    let mut world = World::new(Setup::calm(1).with("[agent_defaults]\nno_answer = 10"));
    world.run_until_ready();
    world.run_for(seconds(1));
    let refusal = Some((Status::SERVICE_UNAVAILABLE, Some(60)));
    world.population.pbx.set_refusal(0, refusal);
    world.call(CallPlan::to("7000").waits_for(seconds(5)));
    world.run_for(seconds(2));
    assert_eq!(world.journal.names("ucm"), [DNOutOfService]);
    world.population.pbx.set_refusal(0, None);
    world.run_for(seconds(50));
    assert_eq!(world.journal.names("ucm"), [DNOutOfService], "not before");
    world.run_for(seconds(20));
    let names = world.journal.names("ucm");
    assert_eq!(names, [DNOutOfService, DNBackInService]);
    reaches_an_agent(&mut world);
    world.finish();
}

#[test]
fn backup_trunk_takes_over_and_gives_back() {
    let mut world = World::new(Setup {
        nodes: 2,
        spare_nodes: 1,
        ..Setup::calm(1).with("[agent_defaults]\ntrunks = [\"ucm\", \"spare\"]")
    });
    world.run_until_ready();
    world.run_for(seconds(1));
    rings_while_silent(&mut world, 1);
    world.excused = vec![Fault::NotifyUnanswered];
    world.population.pbx.go_silent(0);
    world.run_until(seconds(60), |world| {
        world.journal.names("ucm") == [DNOutOfService]
    });
    rings_while_silent(&mut world, 0);
    world.population.pbx.come_back(0);
    world.run_until(seconds(90), |world| {
        world.journal.names("ucm").last() == Some(&DNBackInService)
    });
    rings_while_silent(&mut world, 1);
    assert_eq!(world.journal.names("spare"), []);
    world.finish();
}

/// A call that finds its phone at once although this node is silent: it was not asked.
fn rings_while_silent(world: &mut World, node: usize) {
    let was_silent = world.population.pbx.is_silent(node);
    world.population.pbx.go_silent(node);
    world.call(CallPlan::to("7000").talks_for(seconds(1)));
    let names = news(world, seconds(2));
    assert!(names.contains(&EventName::Ringing), "{names:?}");
    if !was_silent {
        world.population.pbx.come_back(node);
    }
    world.run_for(seconds(30));
}
