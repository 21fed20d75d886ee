//! A customer who has lost whom it had, or does not get whom it was promised, goes back to the
//! queue in which it was answered; and how old a call is in the queues that it comes to.

use super::control::sdp;
use super::*;
use crate::cti::{CallAction, ConsultKind};

const SALES: QueueIndex = QueueIndex(0);
const SUPPORT: QueueIndex = QueueIndex(1);

const TALK: Duration = Duration::from_secs(600);

fn bye() -> LegEvent {
    LegEvent::HungUp(Release::Bye {
        cause: Cause::default(),
    })
}

/// The caller has come to the first of two queues, and has talked for a while.
fn talking() -> (Table, CallKey, Instant) {
    let support = "[[queue]]\nname = \"support\"\n[[routing_point]]\nnumber = \"7001\"\nqueue = \
                   \"support\"\n[[agents]]";
    let text = configuration("")
        .replacen("[[agents]]", support, 1)
        .replacen(
            "queues = [\"sales\"]",
            "queues = [\"sales\", \"support\"]",
            1,
        );
    let mut table = Table::configured(&text);
    let began = table.now;
    let key = table.talk();
    table.wait(TALK);
    table.commands.clear();
    (table, key, began)
}

impl Table {
    /// The queues that the call has come to since the last look, and since when it waits there.
    fn entered(&mut self) -> Vec<(QueueIndex, Instant)> {
        let entered = |command: &Command| match command {
            Command::Queue(queue, queue::Input::Enter { since, .. }) => Some((*queue, *since)),
            _ => None,
        };
        self.commands.iter().filter_map(entered).collect()
    }

    fn is_hung_up(&self, slot: LegSlot) -> bool {
        let hangs_up = |command: &Command| match command {
            Command::Leg(leg, LegCommand::HangUp(_)) => *leg == slot,
            _ => false,
        };
        self.commands.iter().any(hangs_up)
    }

    /// Whoever was sent a re-INVITE last does not take it.
    fn refuses(&mut self, key: CallKey) -> LegSlot {
        let offered = |command: &Command| match command {
            Command::Leg(slot, LegCommand::Offer(_)) => Some(*slot),
            _ => None,
        };
        let slot = self.commands.iter().rev().find_map(offered);
        let slot = slot.expect("somebody is sent an offer");
        let refused = LegEvent::OfferRefused {
            status: Status::NOT_ACCEPTABLE_HERE,
        };
        self.commands.clear();
        self.on(key, slot, refused);
        slot
    }
}

fn transfer(number: &str) -> CallAction {
    CallAction::SingleStepTransfer {
        destination: number.into(),
        user_data: KeyValueList::new(),
    }
}

#[test]
fn customer_whom_another_queue_refuses_goes_back_to_its_own() {
    let (mut table, key, began) = talking();
    let main = table.conn_id;
    table.act(key, main, AGENT, transfer("7001"));
    table.all_accept(key);
    // How long it has talked is no wait.
    assert_eq!(table.entered(), [(SUPPORT, table.now)]);
    table.commands.clear();
    let refusal = QueueRefusal::Disconnected;
    table.input(key, Input::QueueRefused { refusal });
    assert_eq!(table.entered(), [(SALES, began)]);
    assert!(!table.is_hung_up(LegSlot::FIRST));
    // There is no other place to go back to.
    table.input(key, Input::QueueRefused { refusal });
    assert!(table.is_hung_up(LegSlot::FIRST));
    table.expect_over();
}

/// The first queue has sent the caller on, for a limit of its own.
#[test]
fn customer_goes_back_past_the_queues_that_had_sent_it_on() {
    let (mut table, _, _) = talking();
    let key = table.arrive(None);
    let (destination, why) = ("7001".into(), ForwardReason::Overflow);
    table.input(key, Input::Forward { destination, why });
    table.is_answered(key);
    let main = table.conn_id;
    table.act(key, main, AGENT, transfer("7000"));
    table.all_accept(key);
    table.commands.clear();
    let refusal = QueueRefusal::Disconnected;
    table.input(key, Input::QueueRefused { refusal });
    let visited = table.commands.iter().find_map(|command| match command {
        Command::Queue(SUPPORT, queue::Input::Enter { visited, .. }) => Some(&**visited),
        _ => None,
    });
    assert_eq!(visited, Some(&[SALES][..]));
}

#[test]
fn consultation_waits_since_it_has_begun() {
    let (mut table, key, _) = talking();
    let consult = CallAction::Consult {
        kind: ConsultKind::Transfer,
        destination: "7001".into(),
        user_data: KeyValueList::new(),
    };
    let main = table.conn_id;
    table.act(key, main, AGENT, consult);
    table.all_accept(key);
    assert_eq!(table.entered(), [(SUPPORT, table.now)]);
}

#[test]
fn customer_whose_agent_is_lost_goes_back_to_its_queue() {
    for release in [Release::Lost, Release::Unacknowledged] {
        let (mut table, key, began) = talking();
        let phone = table.phone;
        table.on(key, phone, LegEvent::HungUp(release));
        table.all_accept(key);
        assert_eq!(table.entered(), [(SALES, began)], "{release:?}");
        assert!(!table.is_hung_up(LegSlot::FIRST));
        let failed = PartyState::Ended(EndCause::Failed);
        assert_eq!(table.party_states(), [failed]);
    }
    // Who hangs up has had enough of the call.
    let (mut table, key, _) = talking();
    let phone = table.phone;
    table.on(key, phone, bye());
    assert!(table.is_hung_up(LegSlot::FIRST));
    table.expect_over();
    // And nobody else is brought back.
    let (mut table, key, _) = talking();
    let phone = table.phone;
    table.on(key, LegSlot::FIRST, LegEvent::HungUp(Release::Lost));
    assert!(table.is_hung_up(phone));
    table.expect_over();
}

/// An agent whose phone fails whenever it has answered is called a few times, not for ever.
#[test]
fn customer_is_not_brought_back_endlessly() {
    let (mut table, key, _) = talking();
    let mut returns = 0;
    while table.calls.is_live(key) {
        table.commands.clear();
        let phone = table.phone;
        table.on(key, phone, LegEvent::HungUp(Release::Lost));
        table.all_accept(key);
        returns += table.entered().len();
        assert!(returns < 20);
        table.offer(key, AGENT);
        table.ring(key);
        let phone = table.phone;
        let body = sdp(phone.0);
        table.on(key, phone, LegEvent::Answered { body });
        table.all_accept(key);
    }
    assert!(returns > 2);
}

#[test]
fn customer_who_refuses_the_new_phone_goes_back_to_its_queue() {
    let (mut table, key, began) = talking();
    let main = table.conn_id;
    table.act(key, main, AGENT, transfer("2001"));
    table.all_accept(key);
    table.offer(key, OTHER);
    table.ring(key);
    let phone = table.phone;
    table.commands.clear();
    let body = sdp(phone.0);
    table.on(key, phone, LegEvent::Answered { body });
    assert_eq!(table.refuses(key), LegSlot::FIRST);
    table.all_accept(key);
    assert!(table.is_hung_up(phone));
    assert!(!table.is_hung_up(LegSlot::FIRST));
    assert_eq!(table.entered(), [(SALES, began)]);
}

/// The caller has no offer, and its ACK comes when the phone, whose 200 cannot wait so long, has
/// been acknowledged without media. It is the phone that does not take the caller's media then.
#[test]
fn customer_whose_ack_is_late_is_not_dropped_with_the_phone_that_refuses_it() {
    for does_refuse in [true, false] {
        let mut table = Table::new();
        let began = table.now;
        let key = table.arrive(None);
        table.offer(key, AGENT);
        table.ring(key);
        let (phone, caller) = (table.phone, LegSlot::FIRST);
        let body = sdp(phone.0);
        table.on(key, phone, LegEvent::Answered { body });
        table.commands.clear();
        table.wait(Duration::from_secs(25));
        let is_acknowledged = |command: &Command| match command {
            Command::Leg(leg, LegCommand::Acknowledge(Some(_))) => *leg == phone,
            _ => false,
        };
        assert!(table.commands.iter().any(is_acknowledged));
        table.commands.clear();
        let body = sdp(0);
        table.on(key, caller, LegEvent::Acknowledged { body });
        if does_refuse {
            assert_eq!(table.refuses(key), phone);
        }
        table.all_accept(key);
        assert!(!table.is_hung_up(caller));
        assert_eq!(table.is_hung_up(phone), does_refuse);
        let back = [(SALES, began)];
        assert_eq!(table.entered(), &back[usize::from(!does_refuse)..]);
    }
}

#[test]
fn customer_who_cannot_hear_whom_it_was_left_with_goes_back_to_its_queue() {
    let (mut table, key, _) = Table::consulting();
    let consulted = table.phone;
    table.on(key, LegSlot(1), bye());
    table.refuses(key);
    table.all_accept(key);
    assert!(table.is_hung_up(consulted));
    assert!(!table.is_hung_up(LegSlot::FIRST));
    assert_eq!(table.entered().len(), 1);
    assert_eq!(
        table.party_states().last(),
        Some(&PartyState::Ended(EndCause::Failed))
    );
}

/// The transfer's step ends while a request waits that came after it.
#[test]
fn step_of_a_task_that_was_replaced_still_connects() {
    let (mut table, key, _) = Table::consulting();
    table.on(key, LegSlot(1), bye());
    let main = table.conn_id;
    table.act(key, main, OTHER, CallAction::Hold);
    table.all_accept(key);
    let joined = |command: &Command| matches!(command, Command::Across(..));
    assert!(table.commands.iter().any(joined), "{:?}", table.commands);
    assert_eq!(table.party_states().last(), Some(&PartyState::Held));
}

/// The phone was called again, to be picked up, as the trunk went out of service.
#[test]
fn phone_that_rang_and_cannot_be_called_again_has_failed() {
    let trunk = "name = \"ucm\"\nanswer = \"call-info\"";
    let text = configuration("").replacen("name = \"ucm\"", trunk, 1);
    let mut table = Table::configured(&text);
    let key = table.arrive(Some("offer"));
    table.offer(key, AGENT);
    table.ring(key);
    let main = table.conn_id;
    table.act(key, main, AGENT, CallAction::Answer);
    table.commands.clear();
    let phone = table.phone;
    table.calls.handle(table.now, key, Event::DialFailed(phone));
    table.drain();
    let unreachable = PartyState::Ended(EndCause::Unreachable);
    assert_eq!(table.party_states(), [unreachable]);
    let returned =
        |command: &Command| matches!(command, Command::Agent(_, agent::Input::Returned { .. }));
    assert!(!table.commands.iter().any(returned));
}

/// The agent logs out as the call that rings gets another name by a transfer.
#[test]
fn agent_is_taken_away_from_a_call_with_another_name() {
    let (mut table, key) = Table::talking();
    let consult = table.consult(key);
    table.ring(key);
    let (main, phone) = (table.conn_id, table.phone);
    table.act(key, main, AGENT, CallAction::CompleteTransfer { consult });
    assert_eq!(table.calls.find(consult), None, "it is transferred");
    table.commands.clear();
    let withdrawn = Input::OfferWithdrawn {
        dn: OTHER,
        cause: EndCause::Unreachable,
    };
    let event = Event::Input(consult, withdrawn);
    table.calls.handle(table.now, key, event);
    table.drain();
    assert!(table.is_hung_up(phone));
}

/// An agent answers and leaves before the caller's ACK is there: the caller has heard nobody.
#[test]
fn caller_who_was_not_heard_to_be_answered_waits_on() {
    for is_acknowledged in [false, true] {
        let mut table = Table::new();
        let key = table.arrive(Some("offer"));
        table.offer(key, AGENT);
        table.ring(key);
        let body = body("answer");
        table.leg(key, Side::Agent, LegEvent::Answered { body });
        if is_acknowledged {
            table.leg(key, Side::Caller, LegEvent::Acknowledged { body: None });
        }
        table.leg(key, Side::Agent, bye());
        if !is_acknowledged {
            let entered = table.entered().len();
            table.commands.clear();
            table.on(key, LegSlot::FIRST, LegEvent::Acknowledged { body: None });
            table.all_accept(key);
            assert_eq!(entered + table.entered().len(), 1, "{:?}", table.commands);
        }
        assert_eq!(table.is_hung_up(LegSlot::FIRST), is_acknowledged);
    }
}
