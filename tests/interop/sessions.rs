//! What a dialog outlives: its session timer, refreshed by either side, and a second answer to the
//! INVITE that began it.

use super::floor::{Crew, Floor, QUEUE_NUMBER};
use super::sipp::Transport;

const BOTH: [Transport; 2] = [Transport::Udp, Transport::Tcp];

/// Callers and phones who refresh, and such as leave it to the server: after 45 s, half of the
/// shortest time of RFC 4028.
fn sessions_are_refreshed(transport: Transport) {
    const TRUNK: &str = "session_expires = 90\n";
    let crews = [
        Crew::of("phone_is_refreshed", 1).with_trunk(TRUNK),
        Crew::of("phone_refreshes", 1).with_trunk(TRUNK),
    ];
    let floor = Floor::open("sessions", transport, &crews);
    let callers = ["caller_refreshes", "caller_is_refreshed"]
        .map(|caller| floor.start_callers(caller, QUEUE_NUMBER, 1));
    for caller in callers {
        let ended = caller.finish();
        ended.unwrap_or_else(|report| panic!("{report}{}", floor.server.log()));
    }
    floor.expect_calls([2, 2, 0, 0, 0]);
    floor.close();
}

#[test]
fn sessions_are_refreshed_by_either_side() {
    std::thread::scope(|scope| {
        let runs = BOTH.map(|transport| scope.spawn(move || sessions_are_refreshed(transport)));
        for run in runs {
            run.join().expect("sessions live on");
        }
    });
}

#[test]
fn second_phone_that_answers_is_hung_up_on() {
    for transport in BOTH {
        for caller in ["caller_early", "caller_delayed"] {
            let crew = Crew::of("phone_forks", 5);
            let floor = Floor::open(&format!("forks_{caller}"), transport, &[crew]);
            floor.call(caller, QUEUE_NUMBER, 20);
            floor.expect_calls([20, 20, 0, 0, 0]);
            floor.close();
        }
    }
}
