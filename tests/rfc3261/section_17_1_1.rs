//! §17.1.1: the INVITE client transaction, with the Accepted state of RFC 6026 §7.2.

use offhook_shards::Transport::{Tcp, Udp};

use crate::trace::client;

#[test]
fn an_unanswered_invite_is_sent_seven_times_at_doubling_intervals_and_times_out_at_32_s() {
    client("INVITE", Udp, &[]).is(&[
        "0 > INVITE",
        "500 > INVITE",
        "1500 > INVITE",
        "3500 > INVITE",
        "7500 > INVITE",
        "15500 > INVITE",
        "31500 > INVITE",
        "32000 TimedOut",
    ]);
}

#[test]
fn on_a_stream_an_invite_is_sent_once_and_times_out_at_32_s() {
    client("INVITE", Tcp, &[]).is(&["0 > INVITE", "32000 TimedOut"]);
}

#[test]
fn a_provisional_response_ends_retransmission_and_patience() {
    client("INVITE", Udp, &[(700, "100"), (900, "180")]).waits_after(&[
        "0 > INVITE",
        "500 > INVITE",
        "700 100 To",
        "900 180 To",
    ]);
}

#[test]
fn a_2xx_before_any_provisional_is_passed_up_and_collected_for_32_s() {
    client("INVITE", Udp, &[(100, "200")]).is(&["0 > INVITE", "100 200 To", "32104 ClientEnded"]);
}

#[test]
fn every_2xx_within_timer_m_is_passed_up_on_every_transport() {
    for transport in [Udp, Tcp] {
        client(
            "INVITE",
            transport,
            &[(100, "180"), (200, "200"), (700, "200"), (32_199, "200")],
        )
        .is(&[
            "0 > INVITE",
            "100 180 To",
            "200 200 To",
            "700 200 To",
            "32199 200 To",
            "32200 ClientEnded",
        ]);
    }
}

#[test]
fn a_2xx_after_timer_m_belongs_to_no_transaction() {
    client(
        "INVITE",
        Udp,
        &[(0, "200"), (32_000, "200"), (33_000, "200")],
    )
    .is(&[
        "0 > INVITE",
        "0 200 To",
        "32000 200 To",
        "32000 ClientEnded",
        "33000 200 Stray",
    ]);
}

#[test]
fn after_a_2xx_nothing_but_a_2xx_is_passed_up() {
    client("INVITE", Udp, &[(0, "200"), (5, "183"), (6, "486")]).is(&[
        "0 > INVITE",
        "0 200 To",
        "5 183 Absorbed",
        "6 486 Absorbed",
        "32000 ClientEnded",
    ]);
}

#[test]
fn a_failure_is_acknowledged_here_and_so_is_each_repetition() {
    client(
        "INVITE",
        Udp,
        &[(100, "180"), (200, "486"), (700, "486"), (1_700, "486")],
    )
    .is(&[
        "0 > INVITE",
        "100 180 To",
        "200 486 To",
        "200 > ACK",
        "700 486 Absorbed",
        "700 > ACK",
        "1700 486 Absorbed",
        "1700 > ACK",
        "32200 ClientEnded",
    ]);
}

#[test]
fn a_failure_as_the_first_response_ends_retransmission() {
    client("INVITE", Udp, &[(600, "503")]).is(&[
        "0 > INVITE",
        "500 > INVITE",
        "600 503 To",
        "600 > ACK",
        "32600 ClientEnded",
    ]);
}

#[test]
fn on_a_stream_timer_d_is_zero() {
    client("INVITE", Tcp, &[(200, "302"), (700, "302")]).is(&[
        "0 > INVITE",
        "200 302 To",
        "200 > ACK",
        "200 ClientEnded",
        "700 302 Stray",
    ]);
}

#[test]
fn a_provisional_after_a_failure_is_absorbed_without_an_ack() {
    client("INVITE", Udp, &[(0, "404"), (10, "180")]).is(&[
        "0 > INVITE",
        "0 404 To",
        "0 > ACK",
        "10 180 Absorbed",
        "32000 ClientEnded",
    ]);
}

#[test]
fn a_2xx_of_another_fork_after_a_failure_is_left_to_the_dialog() {
    client("INVITE", Udp, &[(0, "404"), (10, "200")]).is(&[
        "0 > INVITE",
        "0 404 To",
        "0 > ACK",
        "10 200 Stray",
        "32000 ClientEnded",
    ]);
}

#[test]
fn a_lost_connection_fails_a_pending_invite() {
    for (inputs, lines) in [
        (
            &[(40, "refused")][..],
            &["0 > INVITE", "40 TransportFailed"][..],
        ),
        (
            &[(20, "180"), (40, "lost")],
            &["0 > INVITE", "20 180 To", "40 TransportFailed"],
        ),
        // What follows a 2xx is the dialog's to send.
        (
            &[(20, "200"), (40, "lost")],
            &["0 > INVITE", "20 200 To", "32024 ClientEnded"],
        ),
    ] {
        client("INVITE", Tcp, inputs).is(lines);
    }
}

#[test]
fn a_datagram_has_no_connection_to_lose() {
    client("INVITE", Udp, &[(20, "200"), (40, "lost")]).is(&[
        "0 > INVITE",
        "20 200 To",
        "32024 ClientEnded",
    ]);
}

#[test]
fn the_ack_repeats_the_invite_and_takes_to_from_the_failure() {
    let trace = client("INVITE", Udp, &[(0, "486")]);
    assert_eq!(
        trace.sent[1],
        "ACK sip:2001@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKours;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1001@192.0.2.9>;tag=a\r\n\
         To: <sip:2001@192.0.2.1>;tag=b\r\nCall-ID: call@192.0.2.9\r\nCSeq: 7 ACK\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn repetitions_of_an_invite_are_the_same_bytes() {
    let trace = client("INVITE", Udp, &[(1_600, "200")]);
    assert_eq!(trace.sent.len(), 3);
    assert!(trace.sent.iter().all(|message| *message == trace.sent[0]));
}

/// §9.1: "if there is no final response within 64*T1 of the CANCEL, the client should consider
/// the transaction cancelled and destroy it".
#[test]
fn a_cancelled_invite_without_a_final_response_is_over_64_t1_after_the_cancel() {
    client(
        "INVITE",
        Udp,
        &[
            (100, "180"),
            (5_000, "expect_final"),
            (9_000, "expect_final"),
        ],
    )
    .is(&["0 > INVITE", "100 180 To", "37000 TimedOut"]);
}

#[test]
fn a_cancelled_invite_still_delivers_its_487() {
    client(
        "INVITE",
        Udp,
        &[(100, "180"), (5_000, "expect_final"), (5_020, "487")],
    )
    .is(&[
        "0 > INVITE",
        "100 180 To",
        "5020 487 To",
        "5020 > ACK",
        "37024 ClientEnded",
    ]);
}

#[test]
fn a_cancel_that_crosses_a_200_still_delivers_the_200() {
    client(
        "INVITE",
        Udp,
        &[(100, "180"), (5_000, "expect_final"), (5_020, "200")],
    )
    .is(&[
        "0 > INVITE",
        "100 180 To",
        "5020 200 To",
        "37024 ClientEnded",
    ]);
}

#[test]
fn an_abandoned_invite_acknowledges_its_failure_in_silence() {
    client(
        "INVITE",
        Udp,
        &[(100, "180"), (5_000, "abandon"), (6_000, "480")],
    )
    .is(&[
        "0 > INVITE",
        "100 180 To",
        "6000 480 Absorbed",
        "6000 > ACK",
    ]);
}

#[test]
fn an_abandoned_invite_gives_up_by_itself() {
    client("INVITE", Udp, &[(100, "180"), (5_000, "abandon")]).is(&["0 > INVITE", "100 180 To"]);
}

#[test]
fn a_2xx_to_an_abandoned_invite_is_left_to_the_dialog() {
    client(
        "INVITE",
        Udp,
        &[
            (100, "180"),
            (5_000, "abandon"),
            (6_000, "200"),
            (6_500, "200"),
        ],
    )
    .is(&[
        "0 > INVITE",
        "100 180 To",
        "6000 200 Stray",
        "6500 200 Stray",
    ]);
}
