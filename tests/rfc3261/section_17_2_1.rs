//! §17.2.1: the INVITE server transaction, with the Accepted state of RFC 6026 §7.1.

use offhook_shards::Transport::{Tcp, Udp};

use crate::trace::server;

#[test]
fn an_invite_is_answered_with_100_at_once_and_so_is_its_repetition() {
    server(Udp, &[(0, "INVITE"), (500, "INVITE")]).waits_after(&[
        "0 INVITE New",
        "0 > 100",
        "500 INVITE Absorbed",
        "500 > 100",
    ]);
}

#[test]
fn a_repeated_invite_gets_the_latest_provisional_response() {
    let inputs = [
        (0, "INVITE"),
        (5, "= 180"),
        (500, "INVITE"),
        (600, "= 183"),
        (1_500, "INVITE"),
    ];
    server(Udp, &inputs).waits_after(&[
        "0 INVITE New",
        "0 > 100",
        "5 > 180",
        "500 INVITE Absorbed",
        "500 > 180",
        "600 > 183",
        "1500 INVITE Absorbed",
        "1500 > 183",
    ]);
}

#[test]
fn a_failure_is_repeated_up_to_t2_until_timer_h_says_that_no_ack_comes() {
    server(Udp, &[(0, "INVITE"), (0, "= 486")]).is(&[
        "0 INVITE New",
        "0 > 100",
        "0 > 486",
        "500 > 486",
        "1500 > 486",
        "3500 > 486",
        "7500 > 486",
        "11500 > 486",
        "15500 > 486",
        "19500 > 486",
        "23500 > 486",
        "27500 > 486",
        "31500 > 486",
        "32000 AckMissing",
    ]);
}

#[test]
fn on_a_stream_a_failure_is_sent_once_and_the_ack_awaited_all_the_same() {
    server(Tcp, &[(0, "INVITE"), (0, "= 486")]).is(&[
        "0 INVITE New",
        "0 > 100",
        "0 > 486",
        "32000 AckMissing",
    ]);
}

#[test]
fn a_repeated_invite_gets_the_failure_again() {
    server(
        Udp,
        &[(0, "INVITE"), (100, "= 404"), (200, "INVITE"), (300, "ACK")],
    )
    .is(&[
        "0 INVITE New",
        "0 > 100",
        "100 > 404",
        "200 INVITE Absorbed",
        "200 > 404",
        "300 ACK Absorbed",
        "5304 ServerEnded",
    ]);
}

#[test]
fn the_ack_ends_repetition_and_is_absorbed_for_t4() {
    let inputs = [
        (0, "INVITE"),
        (0, "= 486"),
        (700, "ACK"),
        (900, "ACK"),
        (1_000, "INVITE"),
    ];
    server(Udp, &inputs).is(&[
        "0 INVITE New",
        "0 > 100",
        "0 > 486",
        "500 > 486",
        "700 ACK Absorbed",
        "900 ACK Absorbed",
        "1000 INVITE Absorbed",
        "5704 ServerEnded",
    ]);
}

#[test]
fn on_a_stream_the_ack_ends_the_transaction() {
    server(
        Tcp,
        &[(0, "INVITE"), (0, "= 486"), (700, "ACK"), (900, "ACK")],
    )
    .is(&[
        "0 INVITE New",
        "0 > 100",
        "0 > 486",
        "700 ACK Absorbed",
        "700 ServerEnded",
        "900 ACK Acknowledge",
    ]);
}

#[test]
fn an_ack_before_any_final_response_changes_nothing() {
    server(Udp, &[(0, "INVITE"), (100, "ACK"), (500, "INVITE")]).waits_after(&[
        "0 INVITE New",
        "0 > 100",
        "100 ACK Absorbed",
        "500 INVITE Absorbed",
        "500 > 100",
    ]);
}

#[test]
fn after_a_2xx_repeated_invites_are_absorbed_without_an_answer_for_32_s() {
    for transport in [Udp, Tcp] {
        server(
            transport,
            &[
                (0, "INVITE"),
                (50, "= 200"),
                (500, "INVITE"),
                (32_049, "INVITE"),
            ],
        )
        .is(&[
            "0 INVITE New",
            "0 > 100",
            "50 > 200",
            "500 INVITE Absorbed",
            "32049 INVITE Absorbed",
            "32056 ServerEnded",
        ]);
    }
}

#[test]
fn an_ack_after_a_2xx_is_the_dialogs_even_with_the_invites_branch() {
    server(Udp, &[(0, "INVITE"), (50, "= 200"), (60, "ACK")]).is(&[
        "0 INVITE New",
        "0 > 100",
        "50 > 200",
        "60 ACK Acknowledge",
        "32056 ServerEnded",
    ]);
}

#[test]
#[should_panic(expected = "one final response")]
fn a_second_final_response_is_a_mistake_of_ours() {
    server(Udp, &[(0, "INVITE"), (50, "= 200"), (60, "= 486")]);
}

#[test]
#[should_panic(expected = "one final response")]
fn a_provisional_response_after_the_final_one_is_a_mistake_of_ours() {
    server(Udp, &[(0, "INVITE"), (50, "= 486"), (60, "= 180")]);
}
