//! What an outside router answers, and when.

use std::time::Duration;

use serde_json::Value;

use super::*;

const OBSERVER: Connection = Connection(0);
const ROUTER: Connection = Connection(1);

fn routers(more: &str) -> Routers {
    let text = format!(
        "[[pbx]]\nname = \"hq\"\nphones = \"2000-2003\"\n\
         [[queue]]\nname = \"sales\"\nnumbers = [\"7000\"]\n\
         [[agents]]\nname = \"vip\"\nphones = \"2000-2001\"\nqueues = [\"sales\"]\n\
         [[agents]]\nname = \"rest\"\nphones = \"2002-2003\"\nqueues = [\"sales\"]\n\
         [[router]]\nnumbers = [\"7000\"]\ngroups = [\"vip\"]\n{more}"
    );
    let profile = Profile::parse("test", &text).expect("a good profile");
    Routers::new(&profile, ROUTER.0, OBSERVER)
}

fn hear(routers: &mut Routers, at: Instant, connection: Connection, text: &str) {
    routers.hear(&Said::read(at, connection, text).expect("a message"));
}

fn ask(routers: &mut Routers, at: Instant) {
    let text = r#"{"Message":"EventRouteRequest","ThisDN":"7000","ReferenceID":8,"ConnID":"0a"}"#;
    hear(routers, at, ROUTER, text);
}

/// The answer to one question, and how long it took.
fn answer(routers: &mut Routers) -> Option<(Duration, Value)> {
    let now = now();
    ask(routers, now);
    assert_eq!(routers.poll_answer(), None);
    let at = routers.poll_timeout()?;
    routers.handle_timeout(at);
    let routed = routers.poll_answer()?;
    assert_eq!(routed.connection, ROUTER);
    let frame = serde_json::from_str(&routed.frame).expect("a frame");
    Some((at - now, frame))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a test needs some instant to count from"
)]
fn now() -> Instant {
    Instant::now()
}

fn agent(routers: &mut Routers, dn: &str, message: &str) {
    let text = format!("{{\"Message\":\"{message}\",\"ThisDN\":\"{dn}\"}}");
    hear(routers, now(), OBSERVER, &text);
}

#[test]
fn a_router_sends_a_call_to_a_ready_agent_of_its_groups() {
    let mut routers = routers("thinking = \"250ms\"\n");
    assert_eq!(routers.addresses(), [["7000"]]);
    // Nobody of its own is Ready.
    agent(&mut routers, "2002", "EventAgentReady");
    agent(&mut routers, "2000", "EventAgentNotReady");
    let (after, frame) = answer(&mut routers).expect("it answers");
    assert_eq!(after, Duration::from_millis(250));
    assert_eq!(frame["Message"], "RequestRouteCall");
    assert_eq!(
        (&frame["ReferenceID"], &frame["ConnID"]),
        (&json!(8), &json!("0a"))
    );
    assert_eq!(
        (&frame["RouteType"], &frame["OtherDN"]),
        (&json!("Default"), &Value::Null)
    );
    agent(&mut routers, "2001", "EventAgentReady");
    let (_, frame) = answer(&mut routers).expect("it answers");
    assert_eq!(
        (&frame["RouteType"], &frame["OtherDN"]),
        (&json!("Direct"), &json!("2001"))
    );
}

#[test]
fn a_router_may_leave_it_to_the_default_or_say_nothing() {
    let mut asked = routers("defaults = 1.0\n");
    agent(&mut asked, "2001", "EventAgentReady");
    let (_, frame) = answer(&mut asked).expect("it answers");
    assert_eq!(frame["RouteType"], "Default");
    let mut silent = routers("silent = 1.0\n");
    agent(&mut silent, "2001", "EventAgentReady");
    assert_eq!(answer(&mut silent), None);
}
