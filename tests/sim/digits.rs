//! SendDTMF: the digits arrive in their order and once, whatever is lost, and whoever asked hears
//! which have not.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{CallAction, CallRequest, ErrorCode, KeyValueList, RequestBody};
use offhook_loadgen::population::Fact;

use super::control::{AGENT, act, end, talking, told, world_on, world_with};
use super::network::{Fate, Faults};
use super::world::World;

const DTMF: &str = "dtmf = \"dtmf\"\n";

fn send(digits: &str) -> CallAction {
    let digits = digits.to_owned();
    CallAction::SendDtmf { digits }
}

/// What the caller has got.
fn heard(world: &World) -> String {
    let bodies = world
        .records
        .iter()
        .filter_map(|record| match &record.fact {
            Fact::Info { body, .. } => Some(body.as_str()),
            _ => None,
        });
    bodies.collect()
}

/// The INFOs to the caller are lost from this one on, each with its repetitions.
fn lose_from(world: &mut World, first: u32) {
    let seen = Rc::new(Cell::new((0, String::new())));
    world.network.rule = Some(Box::new(move |flight| {
        if !flight.bytes.starts_with(b"INFO") {
            return Fate::Usual;
        }
        let text = String::from_utf8_lossy(&flight.bytes);
        let number = text.lines().find(|line| line.starts_with("CSeq:"));
        let number = number.unwrap_or_default().to_owned();
        let (mut count, last) = seen.take();
        count += u32::from(last != number);
        seen.set((count, number));
        if count >= first {
            Fate::Lost
        } else {
            Fate::Usual
        }
    }));
}

fn errors(world: &World) -> Vec<(ErrorCode, String)> {
    let events = world.journal.events.iter();
    let errors = events.filter_map(|event| {
        let message = event.error_message.clone().unwrap_or_default();
        Some((event.error_code?, message))
    });
    errors.collect()
}

#[test]
fn digits_arrive_in_their_order_and_once_whatever_is_lost() {
    let digits = "0123456789*#ABCD";
    for seed in 1..=8 {
        let mut world = world_on(1, seed, DTMF, "");
        let (token, main) = talking(&mut world);
        world.network.faults = Faults {
            loss: 300,
            ..Faults::CALM
        };
        act(&mut world, AGENT, main, send(digits));
        world.run_for(Duration::from_secs(90));
        world.network.faults = Faults::CALM;
        assert_eq!(heard(&world), digits, "SEED={seed}");
        assert_eq!(told(&world), ["2000 DTMFSent"], "SEED={seed}");
        end(&mut world, token);
    }
}

/// What the phone's keys say comes across in the same way.
#[test]
fn digits_of_the_phone_keep_their_order_too() {
    let mut world = world_with(DTMF, "");
    let (token, _) = talking(&mut world);
    // Every other copy of those that go to the caller is lost.
    let seen = Rc::new(Cell::new(0_u32));
    world.network.rule = Some(Box::new(move |flight| {
        let is_ours = flight.bytes.starts_with(b"INFO") && flight.to.port() == 5080;
        let is_first = is_ours && seen.get().is_multiple_of(2);
        seen.set(seen.get() + u32::from(is_ours));
        if is_first { Fate::Lost } else { Fate::Usual }
    }));
    for digit in ["1", "2", "3", "4", "5"] {
        assert!(world.phone(AGENT).inform("application/dtmf", digit));
        world.run_for(Duration::from_millis(100));
    }
    world.run_for(Duration::from_secs(20));
    world.network.rule = None;
    assert_eq!(heard(&world), "12345");
    end(&mut world, token);
}

#[test]
fn digit_that_is_not_taken_ends_its_request_and_names_the_rest() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 3);
    act(&mut world, AGENT, main, send("12345"));
    assert_eq!(told(&world), Vec::<String>::new());
    world.run_for(Duration::from_secs(40));
    world.network.rule = None;
    assert_eq!(heard(&world), "12");
    let message = "the far end has answered 408; not sent: 345".to_owned();
    assert_eq!(errors(&world), [(ErrorCode::Rejected, message)]);
    // The call goes on, and so do digits.
    act(&mut world, AGENT, main, send("6"));
    assert_eq!(heard(&world), "126");
    end(&mut world, token);
}

#[test]
fn caller_who_leaves_in_the_middle_of_digits_leaves_no_request_unanswered() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 2);
    act(&mut world, AGENT, main, send("123"));
    act(&mut world, AGENT, main, send("45"));
    world.network.rule = None;
    let now = world.now;
    world.population.callers.hang_up(now, token);
    world.run_for(Duration::from_secs(2));
    let left = |rest: &str| {
        let message = format!("the far end has left; not sent: {rest}");
        (ErrorCode::WrongState, message)
    };
    assert_eq!(errors(&world), [left("23"), left("45")]);
    world.finish();
}

#[test]
fn more_requests_than_can_wait_are_refused() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 1);
    let this_dn = world.cluster.config.dn(AGENT).expect("an agent");
    for digit in ["0", "1", "2", "3", "4", "5", "6", "7", "8"] {
        let request = CallRequest::Party {
            this_dn,
            action: send(digit),
            reasons: KeyValueList::new(),
        };
        world.request(RequestBody::Call(main, request));
    }
    world.run_for(Duration::from_millis(100));
    let codes: Vec<ErrorCode> = errors(&world).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [ErrorCode::TooBusy]);
    world.network.rule = None;
    world.run_for(Duration::from_secs(10));
    assert_eq!(heard(&world), "01234567");
    end(&mut world, token);
}
