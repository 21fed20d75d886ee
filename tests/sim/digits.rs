//! SendDTMF: the digits arrive in their order and once, whatever is lost, and whoever asked hears
//! which have not.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use offhook::cti::{
    CallAction, CallRequest, ConnId, ErrorCode, EventName, KeyValueList, RequestBody,
};
use offhook::limits::{CTI_CALL_DEADLINE, DTMF_DEADLINE, DTMF_DIGITS_MAX};
use offhook_loadgen::population::Fact;

use super::control::{
    AGENT, act, conn_of, connected, end, moment, talking, told, told_since, world_on, world_with,
};
use super::network::{Fate, Faults};
use super::world::World;

const DTMF: &str = "dtmf = \"dtmf\"\n";

fn send(digits: &str) -> CallAction {
    let digits = digits.to_owned();
    CallAction::SendDtmf { digits }
}

/// Asks, and lets no time pass.
fn ask(world: &mut World, (dn, conn_id): (&str, ConnId), digits: &str) {
    let this_dn = world.cluster.config.dn(dn).expect("an agent");
    let request = CallRequest::Party {
        this_dn,
        action: send(digits),
        reasons: KeyValueList::new(),
    };
    world.request(RequestBody::Call(conn_id, request));
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

/// Whether whoever asked for these digits was told what has become of them: all are there, or
/// those that the error does not name.
fn is_true_of(world: &World, digits: &str) -> bool {
    let heard = heard(world);
    match errors(world).as_slice() {
        [] => heard == digits && told(world) == ["2000 DTMFSent"],
        [(ErrorCode::Timeout, message)] => {
            let rest = |words: &str| {
                let rest = message
                    .split("; ")
                    .find_map(|part| part.strip_prefix(words));
                rest.unwrap_or_default().to_owned()
            };
            let (perhaps, never) = (rest("perhaps sent: "), rest("not sent: "));
            let sent = digits.strip_suffix(&format!("{perhaps}{never}"));
            sent.is_some_and(|sent| [sent.to_owned(), format!("{sent}{perhaps}")].contains(&heard))
        }
        _ => false,
    }
}

#[test]
fn digits_arrive_in_their_order_and_once_whatever_is_lost() {
    let digits = "0123456789*#ABCD";
    let mut complete = 0;
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
        let (heard, errors) = (heard(&world), errors(&world));
        assert!(is_true_of(&world, digits), "SEED={seed} {heard} {errors:?}");
        complete += u32::from(heard == digits);
        end(&mut world, token);
    }
    assert!(complete > 0, "some are sent");
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
fn digit_without_an_answer_ends_its_request_and_names_the_rest() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 3);
    act(&mut world, AGENT, main, send("12345"));
    assert_eq!(told(&world), Vec::<String>::new());
    world.run_for(Duration::from_secs(40));
    world.network.rule = None;
    assert_eq!(heard(&world), "12");
    let message = "the far end has not taken them in time; perhaps sent: 3; not sent: 45";
    assert_eq!(errors(&world), [(ErrorCode::Timeout, message.to_owned())]);
    // The call goes on, and so do digits.
    act(&mut world, AGENT, main, send("6"));
    assert_eq!(heard(&world), "126");
    end(&mut world, token);
}

/// The hub answers `Timeout` in the end; what came after that, nobody would expect.
#[test]
fn digits_that_do_not_start_in_time_never_do() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 1);
    ask(&mut world, (AGENT, main), "12");
    ask(&mut world, (AGENT, main), "34");
    world.run_for(DTMF_DEADLINE + Duration::from_secs(1));
    let late = |rest: &str| {
        let message = format!("the far end has not taken them in time; {rest}");
        (ErrorCode::Timeout, message)
    };
    let first = late("perhaps sent: 1; not sent: 2");
    assert_eq!(errors(&world), [first, late("not sent: 34")]);
    world.network.rule = None;
    world.run_for(CTI_CALL_DEADLINE);
    assert_eq!(heard(&world), "1", "the last repetition has come through");
    assert_eq!(errors(&world).len(), 2, "each is answered once");
    act(&mut world, AGENT, main, send("5"));
    assert_eq!(heard(&world), "15");
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
        let message = format!("the far end has left; {rest}");
        (ErrorCode::WrongState, message)
    };
    let one = left("perhaps sent: 2; not sent: 3");
    assert_eq!(errors(&world), [one, left("not sent: 45")]);
    world.finish();
}

#[test]
fn more_requests_than_can_wait_are_refused() {
    let mut world = world_with(DTMF, "");
    let (token, main) = talking(&mut world);
    lose_from(&mut world, 1);
    for digit in ["0", "1", "2", "3", "4", "5", "6", "7", "8"] {
        ask(&mut world, (AGENT, main), digit);
    }
    world.run_for(Duration::from_millis(100));
    let codes: Vec<ErrorCode> = errors(&world).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, [ErrorCode::TooBusy]);
    world.network.rule = None;
    world.run_for(Duration::from_secs(10));
    assert_eq!(heard(&world), "01234567");
    end(&mut world, token);
}

/// An agent who hears a party of another conversation, on the same shard and on another one.
#[test]
fn digits_to_a_party_of_another_call_are_sent_when_it_has_taken_them() {
    const OTHER: &str = "2001";
    let trunk = format!("outbound = true\nrefer = true\n{DTMF}");
    for seed in 1..=6 {
        let shards = if seed == 1 { 1 } else { 3 };
        let mut world = world_on(shards, seed, &trunk, "");
        world.phone(AGENT).set_calls_max(2);
        let (token, _) = talking(&mut world);
        assert!(world.phone(AGENT).dial(OTHER).is_some());
        world.run_for(Duration::from_secs(10));
        let there = (OTHER, conn_of(&world, OTHER, EventName::Established));
        assert!(world.phone(AGENT).refer_attended(OTHER));
        world.run_for(Duration::from_secs(3));
        assert!(connected(&world, token, OTHER));
        // More than may wait for an answer at its far end.
        let since = moment(&world);
        let digits = ["1", "2"].map(|digit| digit.repeat(DTMF_DIGITS_MAX));
        for digits in &digits {
            ask(&mut world, there, digits);
        }
        world.run_for(Duration::from_secs(20));
        assert_eq!(heard(&world), digits.concat(), "SEED={seed}");
        let sent = ["2001 DTMFSent"; 2];
        assert_eq!(told_since(&world, since), sent, "SEED={seed}");
        // What does not arrive is not said to be sent.
        lose_from(&mut world, 1);
        ask(&mut world, there, "34");
        ask(&mut world, there, "5");
        world.run_for(DTMF_DEADLINE + Duration::from_secs(4));
        world.network.rule = None;
        world.run_for(CTI_CALL_DEADLINE);
        let late = |rest: &str| {
            let message = format!("the far end has not taken them in time; {rest}");
            (ErrorCode::Timeout, message)
        };
        let first = late("perhaps sent: 3; not sent: 4");
        assert_eq!(errors(&world), [first, late("not sent: 5")], "SEED={seed}");
        assert_eq!(heard(&world), digits.concat(), "SEED={seed}");
        end(&mut world, token);
    }
}
