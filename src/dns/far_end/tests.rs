//! The names of one shard in virtual time.

use std::time::Duration;

use super::*;

fn question(host: &str) -> Question {
    Question::new(host, Some(5060), None)
}

fn resolved(host: &str, places: &[Place]) -> Resolved {
    Resolved {
        question: Arc::new(question(host)),
        places: places.into(),
        problem: None,
        lifetime: Duration::from_mins(1),
    }
}

const PLACE: Place = Place {
    priority: 0,
    transport: offhook_shards::Transport::Udp,
    address: std::net::SocketAddr::new(
        std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
        5060,
    ),
    weight: 0,
};

#[test]
fn a_name_is_asked_for_once_and_old_answers_serve_until_new_ones_come() {
    let mut now = Instant::now();
    let mut names = FarEnds::new(now);
    let name = question("Phone.Example.com.");
    assert_eq!(names.find(now, &name), (Known::Nothing, true));
    assert_eq!(names.find(now, &name), (Known::Nothing, false));
    names.handle(now, &resolved("phone.example.com", &[PLACE]));
    let places = Known::Places([PLACE].into());
    assert_eq!(names.find(now, &name), (places.clone(), false));
    now += Duration::from_mins(2);
    assert_eq!(names.find(now, &name), (places.clone(), true));
    assert_eq!(names.find(now, &name), (places, false));
}

#[test]
fn a_flood_of_names_ends_at_the_limit_and_passes() {
    let mut now = Instant::now();
    let mut names = FarEnds::new(now);
    for number in 0..DNS_FAR_ENDS_MAX {
        let name = question(&format!("n{number}.example.com"));
        assert_eq!(names.find(now, &name), (Known::Nothing, true));
    }
    let late = question("late.example.com");
    assert_eq!(names.find(now, &late), (Known::Full, false));
    names.handle(now, &resolved("unasked.example.com", &[PLACE]));
    assert_eq!(names.names.len(), DNS_FAR_ENDS_MAX);
    now += DNS_ASK_AGAIN + DNS_FAR_END_SWEEP;
    assert_eq!(names.find(now, &late), (Known::Nothing, true));
    assert_eq!(names.names.len(), 1, "what nobody answered is forgotten");
}
