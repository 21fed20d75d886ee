//! §17.1.2: the client transaction of every other method, with RFC 4320.

use offhook_shards::Transport::{Tcp, Udp};

use crate::trace::client;

#[test]
fn an_unanswered_request_is_sent_eleven_times_at_intervals_up_to_t2() {
    client("OPTIONS", Udp, &[]).is(&[
        "0 > OPTIONS",
        "500 > OPTIONS",
        "1500 > OPTIONS",
        "3500 > OPTIONS",
        "7500 > OPTIONS",
        "11500 > OPTIONS",
        "15500 > OPTIONS",
        "19500 > OPTIONS",
        "23500 > OPTIONS",
        "27500 > OPTIONS",
        "31500 > OPTIONS",
        "32000 TimedOut",
    ]);
}

#[test]
fn on_a_stream_a_request_is_sent_once_and_times_out_at_32_s() {
    client("OPTIONS", Tcp, &[]).is(&["0 > OPTIONS", "32000 TimedOut"]);
}

#[test]
fn after_a_provisional_response_the_interval_is_t2_from_the_next_turn_on() {
    client("BYE", Udp, &[(600, "100"), (10_000, "200")]).is(&[
        "0 > BYE",
        "500 > BYE",
        "600 100 To",
        "1500 > BYE",
        "5500 > BYE",
        "9500 > BYE",
        "10000 200 To",
        "15000 ClientEnded",
    ]);
}

#[test]
fn a_provisional_response_does_not_stop_timer_f() {
    client("BYE", Tcp, &[(600, "100")]).is(&["0 > BYE", "600 100 To", "32000 TimedOut"]);
    let trace = client("BYE", Udp, &[(20_000, "100")]);
    assert_eq!(trace.lines.last().unwrap(), "32000 TimedOut");
}

#[test]
fn a_final_response_is_passed_up_once_and_its_repetitions_absorbed_for_t4() {
    for status in ["200", "302", "404", "503", "603"] {
        client(
            "BYE",
            Udp,
            &[(300, status), (400, status), (450, "100"), (5_299, status)],
        )
        .is(&[
            "0 > BYE",
            &format!("300 {status} To"),
            &format!("400 {status} Absorbed"),
            "450 100 Absorbed",
            &format!("5299 {status} Absorbed"),
            "5304 ClientEnded",
        ]);
    }
}

#[test]
fn on_a_stream_timer_k_is_zero() {
    client("BYE", Tcp, &[(300, "200"), (400, "200")]).is(&[
        "0 > BYE",
        "300 200 To",
        "300 ClientEnded",
        "400 200 Stray",
    ]);
}

#[test]
fn a_response_after_the_timeout_completes_nothing_twice() {
    client("NOTIFY", Tcp, &[(32_100, "200")]).is(&[
        "0 > NOTIFY",
        "32000 TimedOut",
        "32100 200 Stray",
    ]);
}

#[test]
fn a_lost_connection_fails_a_pending_request() {
    for (inputs, lines) in [
        (
            &[(40, "refused")][..],
            &["0 > BYE", "40 TransportFailed"][..],
        ),
        (
            &[(20, "100"), (40, "lost")],
            &["0 > BYE", "20 100 To", "40 TransportFailed"],
        ),
        (
            &[(20, "200"), (40, "lost")],
            &["0 > BYE", "20 200 To", "20 ClientEnded"],
        ),
    ] {
        client("BYE", Tcp, inputs).is(lines);
    }
}

#[test]
fn an_abandoned_request_is_still_repeated_until_its_answer_and_says_nothing() {
    client("BYE", Udp, &[(100, "abandon"), (1_000, "200")]).is(&[
        "0 > BYE",
        "500 > BYE",
        "1000 200 Absorbed",
    ]);
}

#[test]
fn an_abandoned_request_times_out_in_silence() {
    client("BYE", Tcp, &[(100, "abandon")]).is(&["0 > BYE"]);
}
