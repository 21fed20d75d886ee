//! Every way of putting a leg on hold, whatever it was told before and whatever it answers
//! (RFC 3264 §8.4).

use super::phone::body;
use crate::session::description::Told;
use crate::session::{Hold, LegSession};

const WAYS: [&str; 4] = ["sendrecv", "sendonly", "recvonly", "inactive"];

fn described(version: u32, way: &str) -> String {
    format!(
        "v=0\r\no=a 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 0\r\na={way}\r\n"
    )
}

/// A leg that was told one way, and agreed.
fn told(way: &str) -> LegSession {
    let mut leg = LegSession::outbound(1);
    leg.offer(&Told::of(&body(&described(1, way))));
    let agreed = match way {
        "sendonly" => "recvonly",
        "recvonly" => "sendonly",
        same => same,
    };
    leg.hear_answer(&Told::of(&body(&described(1, agreed))));
    leg
}

fn way_of(leg: &LegSession) -> String {
    let said = leg.said().expect("something was said");
    let text = String::from_utf8_lossy(said);
    let way = text.lines().rev().find_map(|line| line.strip_prefix("a="));
    way.expect("it has a direction").to_owned()
}

/// A hold takes receiving away, and what was not sent before is not sent then (RFC 3264 §8.4):
/// the far end may answer `sendonly` with `recvonly` or `inactive`, `inactive` with itself. What
/// it answers instead changes nothing of what it was told; and no answer to a hold of ours says
/// that the far end holds for its own part, but that it does not want to hear either.
#[test]
fn a_hold_takes_receiving_away_and_nothing_is_taken_back_by_its_answer() {
    for (hold, before, held) in [
        (Hold::Inactive, "sendrecv", "inactive"),
        (Hold::Inactive, "sendonly", "inactive"),
        (Hold::Inactive, "recvonly", "inactive"),
        (Hold::Inactive, "inactive", "inactive"),
        (Hold::SendOnly, "sendrecv", "sendonly"),
        (Hold::SendOnly, "sendonly", "sendonly"),
        (Hold::SendOnly, "recvonly", "inactive"),
        (Hold::SendOnly, "inactive", "inactive"),
    ] {
        for answer in WAYS {
            let case = format!("{hold:?} after {before}, answered {answer}");
            let mut leg = told(before);
            leg.offer_hold(hold).expect("there is a session");
            leg.hear_answer(&Told::of(&body(&described(2, answer))));
            assert_eq!(way_of(&leg), held, "{case}");
            assert!(leg.is_held(), "{case}");
            let wants_nothing = ["inactive", "sendonly"].contains(&answer);
            let says_so = held == "sendonly" && wants_nothing;
            assert!(!says_so || leg.far_end_holds(), "{case}");
            // The next offer takes it back.
            leg.offer(&Told::of(&body(&described(3, "sendrecv"))));
            leg.hear_answer(&Told::of(&body(&described(3, "sendrecv"))));
            assert_eq!(way_of(&leg), "sendrecv", "{case}");
            assert!(!leg.is_held() && !leg.far_end_holds(), "{case}");
        }
    }
}

/// A far end on hold that refreshes its session, or holds for its own part, is answered within
/// what it was told: `recvonly` with `sendonly`, everything else with `inactive`.
#[test]
fn a_far_end_on_hold_stays_so_whatever_it_offers() {
    for (hold, offer, answer) in [
        (Hold::SendOnly, "recvonly", "sendonly"),
        (Hold::SendOnly, "sendrecv", "sendonly"),
        (Hold::SendOnly, "sendonly", "inactive"),
        (Hold::SendOnly, "inactive", "inactive"),
        (Hold::Inactive, "recvonly", "inactive"),
        (Hold::Inactive, "sendrecv", "inactive"),
        (Hold::Inactive, "sendonly", "inactive"),
        (Hold::Inactive, "inactive", "inactive"),
    ] {
        let mut leg = told("sendrecv");
        leg.offer_hold(hold).expect("there is a session");
        let agreed = match hold {
            Hold::SendOnly => "recvonly",
            Hold::Inactive => "inactive",
        };
        leg.hear_answer(&Told::of(&body(&described(2, agreed))));
        leg.hear_offer(&Told::of(&body(&described(3, offer))));
        leg.answer_alone();
        assert_eq!(way_of(&leg), answer, "{hold:?}, {offer}");
        assert!(leg.is_held(), "{hold:?}, {offer}");
    }
}
