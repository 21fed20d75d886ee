//! §17.2.2: the server transaction of every other method, with RFC 4320.

use offhook_shards::Transport::{Tcp, Udp};

use crate::trace::server;

#[test]
fn a_repeated_request_that_waits_for_its_answer_is_absorbed_in_silence() {
    server(Udp, &[(0, "OPTIONS"), (500, "OPTIONS")])
        .waits_after(&["0 OPTIONS New", "500 OPTIONS Absorbed"]);
}

#[test]
fn the_final_response_is_given_again_to_every_repetition_for_32_s() {
    let inputs = [
        (0, "OPTIONS"),
        (100, "= 200"),
        (500, "OPTIONS"),
        (32_099, "OPTIONS"),
    ];
    server(Udp, &inputs).is(&[
        "0 OPTIONS New",
        "100 > 200",
        "500 OPTIONS Absorbed",
        "500 > 200",
        "32099 OPTIONS Absorbed",
        "32099 > 200",
        "32104 ServerEnded",
    ]);
}

#[test]
fn on_a_stream_timer_j_is_zero() {
    server(Tcp, &[(0, "BYE"), (100, "= 481")]).is(&["0 BYE New", "100 > 481", "100 ServerEnded"]);
}

/// RFC 4320 §4.1: no 100 before the client's timer E has grown to T2, one after that.
#[test]
fn a_late_answer_is_announced_with_100_once_the_client_has_slowed_down() {
    let inputs = [
        (0, "SUBSCRIBE"),
        (500, "SUBSCRIBE"),
        (1_500, "SUBSCRIBE"),
        (3_500, "SUBSCRIBE"),
        (7_500, "SUBSCRIBE"),
        (8_000, "= 200"),
        (11_500, "SUBSCRIBE"),
    ];
    server(Udp, &inputs).is(&[
        "0 SUBSCRIBE New",
        "500 SUBSCRIBE Absorbed",
        "1500 SUBSCRIBE Absorbed",
        "3500 SUBSCRIBE Absorbed",
        "3500 > 100",
        "7500 SUBSCRIBE Absorbed",
        "7500 > 100",
        "8000 > 200",
        "11500 SUBSCRIBE Absorbed",
        "11500 > 200",
        "40000 ServerEnded",
    ]);
}

/// RFC 4320 §4.2.
#[test]
fn a_408_is_never_sent() {
    server(Udp, &[(0, "BYE"), (31_000, "= 408"), (31_500, "BYE")]).is(&[
        "0 BYE New",
        "31500 BYE Absorbed",
        "63000 ServerEnded",
    ]);
    server(Tcp, &[(0, "BYE"), (31_000, "= 408")]).is(&["0 BYE New", "31000 ServerEnded"]);
}

#[test]
#[should_panic(expected = "only an INVITE is answered with 183")]
fn a_provisional_response_other_than_100_is_a_mistake_of_ours() {
    server(Udp, &[(0, "OPTIONS"), (50, "= 183")]);
}

#[test]
#[should_panic(expected = "one final response")]
fn a_second_final_response_is_a_mistake_of_ours() {
    server(Udp, &[(0, "OPTIONS"), (50, "= 200"), (60, "= 200")]);
}
