//! §17.1.3: which client transaction a response belongs to.

use std::time::Instant;

use offhook::transaction::{ClientKey, Delivered, Outgoing, Transactions};
use offhook_shards::Transport::Udp;

use crate::trace::{method, origin, receive_response, remote, request, response, transactions};

fn send(transactions: &mut Transactions, now: Instant, name: &str, branch: &str) -> ClientKey {
    let text = request(name, &format!("SIP/2.0/UDP 192.0.2.1;branch={branch}"), "");
    let outgoing = Outgoing {
        method: method(name),
        transport: Udp,
        remote: remote(),
        branch,
        bytes: text.as_bytes(),
        fallback: None,
    };
    transactions.request(now, outgoing).unwrap()
}

fn answer(name: &str, branch: &str, status: u16) -> String {
    response(
        &request(name, &format!("SIP/2.0/UDP 192.0.2.1;branch={branch}"), ""),
        status,
    )
}

#[test]
fn a_cancel_shares_its_invites_branch_and_each_gets_its_own_response() {
    let now = origin();
    let mut transactions = transactions(now);
    let invite = send(&mut transactions, now, "INVITE", "z9hG4bK1");
    let cancel = send(&mut transactions, now, "CANCEL", "z9hG4bK1");
    let mut deliver = |text: &str| receive_response(&mut transactions, now, text);
    assert_eq!(
        deliver(&answer("CANCEL", "z9hG4bK1", 200)),
        Delivered::To(cancel)
    );
    assert_eq!(
        deliver(&answer("INVITE", "z9hG4bK1", 487)),
        Delivered::To(invite)
    );
}

#[test]
fn another_branch_or_another_method_is_another_transaction() {
    let now = origin();
    let mut transactions = transactions(now);
    let options = send(&mut transactions, now, "OPTIONS", "z9hG4bK1");
    let mut deliver = |text: &str| receive_response(&mut transactions, now, text);
    assert_eq!(
        deliver(&answer("OPTIONS", "z9hG4bK2", 200)),
        Delivered::Stray
    );
    assert_eq!(
        deliver(&answer("OPTIONS", "z9hG4bK1x", 200)),
        Delivered::Stray
    );
    assert_eq!(deliver(&answer("BYE", "z9hG4bK1", 200)), Delivered::Stray);
    assert_eq!(
        deliver(&answer("OPTIONS", "Z9hG4bK1", 200)),
        Delivered::Stray
    );
    assert_eq!(
        deliver(&answer("OPTIONS", "z9hG4bK1", 200)),
        Delivered::To(options)
    );
}

#[test]
fn a_response_without_a_branch_is_stray() {
    let now = origin();
    let text = response(&request("OPTIONS", "SIP/2.0/UDP 192.0.2.1", ""), 200);
    assert_eq!(
        receive_response(&mut transactions(now), now, &text),
        Delivered::Stray
    );
}
