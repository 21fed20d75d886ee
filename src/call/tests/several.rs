//! A call that waits in two queues at once: what it says to both, and what becomes of it when its
//! home lets go of it.

use super::*;
use crate::agent::RefusedOffer;
use crate::call::{ForwardReason, QueueRefusal};

const HOME: QueueIndex = QueueIndex(0);
const FURTHER: QueueIndex = QueueIndex(1);

fn table() -> (Table, CallKey) {
    let text = configuration("")
        .replace(
            "queue = \"sales\"",
            "queue = \"sales\"\nalso = [{ queue = \"more\" }]",
        )
        .replace("queues = [\"sales\"]", "queues = [\"sales\", \"more\"]")
        + "[[queue]]\nname = \"more\"\n";
    let mut table = Table::configured(&text);
    let key = table.arrive(Some("offer"));
    (table, key)
}

impl Table {
    /// The queues that were told something like this, in order.
    fn queues_told(&self, like: impl Fn(&queue::Input) -> bool) -> Vec<QueueIndex> {
        let told = self.commands.iter().filter_map(|command| match command {
            Command::Queue(queue, input) if like(input) => Some(*queue),
            _ => None,
        });
        told.collect()
    }
}

#[test]
fn both_queues_hear_everything() {
    let (mut table, key) = table();
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    assert_eq!(table.queues_told(enters), [HOME, FURTHER]);
    table.offer(key, AGENT);
    let promised = |input: &queue::Input| matches!(input, queue::Input::Promised { dn: AGENT, .. });
    assert_eq!(table.queues_told(promised), [HOME, FURTHER]);
    // The other queue has offered it too before it heard.
    table.offer(key, OTHER);
    let call = table.call_ref(key);
    let returned = Command::Agent(OTHER, agent::Input::Returned { call });
    assert_eq!(table.commands, [returned]);
    table.ring(key);
    let rings = |input: &queue::Input| matches!(input, queue::Input::Ringing { dn: AGENT, .. });
    assert_eq!(table.queues_told(rings), [HOME, FURTHER]);
    let answered = LegEvent::Answered {
        body: body("answer"),
    };
    table.leg(key, Side::Agent, answered);
    let answers = |input: &queue::Input| matches!(input, queue::Input::Answered { dn: AGENT, .. });
    assert_eq!(table.queues_told(answers), [HOME, FURTHER]);
}

/// The further queue of a routing point has sent the caller there, for a limit of its own.
#[test]
fn a_queue_that_sent_the_caller_on_does_not_get_it_back_beside_another() {
    let (mut table, _) = table();
    let further = Destination::Queue {
        queue: Some(FURTHER),
        routing_point: RoutingPointIndex(0),
    };
    table.commands.clear();
    let key = table.arrive_at(further, Some("offer"), None);
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    assert_eq!(table.queues_told(enters), [FURTHER]);
    table.commands.clear();
    let (destination, why) = ("7000".into(), ForwardReason::Overflow);
    table.input(key, Input::Forward { destination, why });
    assert_eq!(table.queues_told(enters), [HOME]);
    // Nor when the caller comes back from an agent.
    table.offer(key, AGENT);
    table.ring(key);
    table.commands.clear();
    let refused = LegEvent::Refused {
        status: Status::BUSY_HERE,
        retry_after: None,
        after_provisional: true,
    };
    table.leg(key, Side::Agent, refused);
    assert_eq!(table.queues_told(enters), []);
}

#[test]
fn a_caller_who_goes_leaves_both() {
    let (mut table, key) = table();
    table.leg(
        key,
        Side::Caller,
        LegEvent::HungUp(Release::Cancelled { cause: 16.into() }),
    );
    let left = |input: &queue::Input| matches!(input, queue::Input::Left { .. });
    assert_eq!(table.queues_told(left), [HOME, FURTHER]);
    table.expect_over();
}

#[test]
fn a_home_that_lets_go_ends_the_call_when_the_other_queues_agent_does_not_take_it() {
    let (mut table, key) = table();
    table.offer(key, AGENT);
    table.commands.clear();
    let refusal = QueueRefusal::Full(Status::BUSY_HERE);
    table.input(key, Input::QueueRefused { refusal });
    assert_eq!(table.commands, [], "it is with an agent");
    let busy = LegEvent::Refused {
        status: Status::BUSY_HERE,
        retry_after: None,
        after_provisional: false,
    };
    table.leg(key, Side::Agent, busy);
    let left = |input: &queue::Input| matches!(input, queue::Input::Left { .. });
    assert_eq!(table.queues_told(left), [FURTHER]);
    table.expect_over();
}

#[test]
fn a_call_that_could_not_go_elsewhere_waits_in_both_again() {
    let (mut table, key) = table();
    table.commands.clear();
    let (destination, why) = ("2001".to_owned(), ForwardReason::Overflow);
    table.input(key, Input::Forward { destination, why });
    let left = |input: &queue::Input| matches!(input, queue::Input::Left { .. });
    assert_eq!(table.queues_told(left), [FURTHER]);
    table.commands.clear();
    let why = RefusedOffer::Busy;
    table.input(key, Input::DirectRefused { dn: OTHER, why });
    let fails = |input: &queue::Input| matches!(input, queue::Input::ForwardFailed { .. });
    assert_eq!(table.queues_told(fails), [HOME]);
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    assert_eq!(table.queues_told(enters), [FURTHER]);
}

#[test]
fn an_overflow_that_does_not_happen_leaves_no_trace() {
    let (mut table, key) = table();
    let overflow = || Input::Forward {
        destination: "more".to_owned(),
        why: ForwardReason::Overflow,
    };
    // The caller is with an agent before the queue's word is there.
    table.offer(key, AGENT);
    table.input(key, overflow());
    let fails = |input: &queue::Input| matches!(input, queue::Input::ForwardFailed { .. });
    assert_eq!(table.queues_told(fails), [HOME]);
    let busy = LegEvent::Refused {
        status: Status::BUSY_HERE,
        retry_after: None,
        after_provisional: false,
    };
    table.leg(key, Side::Agent, busy);
    table.commands.clear();
    table.input(key, overflow());
    let visited = table.queue_inputs().find_map(|input| match input {
        queue::Input::Enter { visited, .. } => Some(visited.clone()),
        _ => None,
    });
    assert_eq!(visited, Some(Box::from([HOME])), "it is there once");
}

#[test]
fn an_agent_of_a_queue_that_it_has_just_left_is_taken_and_told_of() {
    let (mut table, key) = table();
    let (destination, why) = ("more".to_owned(), ForwardReason::Overflow);
    table.commands.clear();
    table.input(key, Input::Forward { destination, why });
    let enters = |input: &queue::Input| matches!(input, queue::Input::Enter { .. });
    assert_eq!(table.queues_told(enters), [FURTHER]);
    table.offer(key, AGENT);
    let promised = |input: &queue::Input| matches!(input, queue::Input::Promised { dn: AGENT, .. });
    assert_eq!(
        table.queues_told(promised),
        [FURTHER],
        "it offers the call to nobody"
    );
}
