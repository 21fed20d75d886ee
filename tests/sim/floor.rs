//! The floor of a random run: besides what every world has, two queues with limits of every kind,
//! which send callers to everywhere, and routing points whose callers wait in several queues.

use offhook::sip::Status;

use super::random::Random;
use super::world::OUTSIDE;

/// One calendar closes, and another one opens, while a run is restless (`Cluster::BEGINS`).
const CALENDARS: &str = r#"
    [[calendar]]
    name = "early"
    time_zone = "UTC"
    open = "daily 00:00-00:01"
    [[calendar]]
    name = "late"
    time_zone = "UTC"
    open = "daily 00:01-24:00"
"#;

/// What callers dial here. Those of the first two numbers meet no limit.
pub const NUMBERS: [&str; 7] = ["7000", "7001", "7002", "7002", "7003", "2000", "9999"];

/// With what a limit refuses callers, where one does.
const REFUSAL: u16 = 404;

/// Draws the queues, as configuration.
pub fn draw(random: &mut Random) -> String {
    let short = queue(random, "short", "last");
    let last = queue(random, "last", "short");
    let also = also(random);
    format!(
        r#"{CALENDARS}{short}{last}
        [[routing_point]]
        number = "7002"
        queue = "short"
        router_timeout = 1
        also = [{also}]
        [[routing_point]]
        number = "7003"
        queue = "last"
        [[agent]]
        dn = "2050"
        queues = ["short", "last"]
        "#,
    )
}

fn queue(random: &mut Random, name: &str, other: &str) -> String {
    let mut lines = vec![format!("[[queue]]\nname = \"{name}\"")];
    lines.push(format!("capacity = {}", 1 + random.below(4)));
    lines.push(format!("overflow_full = {}", overflow(random, other)));
    lines.push(format!("wait_max = {}", 2 + random.below(8)));
    lines.push(format!("overflow_wait = {}", overflow(random, other)));
    if random.below(2) == 0 {
        lines.push(format!("overflow_no_agents = {}", overflow(random, other)));
    }
    if random.below(2) == 0 {
        lines.push(format!("no_answer_max = {}", 1 + random.below(2)));
        lines.push(format!("overflow_no_answer = {}", overflow(random, other)));
    }
    if random.below(2) == 0 {
        let calendar = ["early", "late"][random.below(2) as usize];
        lines.push(format!("calendar = \"{calendar}\""));
        lines.push(format!("overflow_closed = {}", overflow(random, other)));
    }
    lines.join("\n") + "\n"
}

/// To another queue, by its name or a number, to an agent, outside, or away.
fn overflow(random: &mut Random, other: &str) -> String {
    match random.below(7) {
        0 => format!("\"queue:{other}\""),
        1 => "\"queue:sales\"".to_owned(),
        2 => "\"number:7001\"".to_owned(),
        3 => "\"number:7002\"".to_owned(),
        4 => "\"number:2000\"".to_owned(),
        5 => format!("\"number:{}\"", OUTSIDE[0]),
        _ => format!("\"status:{REFUSAL}\""),
    }
}

/// Where callers of 7002 wait besides.
fn also(random: &mut Random) -> String {
    let mut queues = Vec::new();
    for queue in ["sales", "service", "last"] {
        match random.below(3) {
            0 => queues.push(format!("{{ queue = \"{queue}\" }}")),
            1 => {
                let after = 1 + random.below(4);
                queues.push(format!("{{ queue = \"{queue}\", after = {after} }}"));
            }
            _ => {}
        }
    }
    queues.join(", ")
}

/// Whether a caller of `number` may be refused with `status` by a queue.
pub fn may_refuse(number: &str, status: u16) -> bool {
    let by_limit = [
        Status::BUSY_HERE.0,
        Status::TEMPORARILY_UNAVAILABLE.0,
        REFUSAL,
    ];
    ["7002", "7003"].contains(&number) && by_limit.contains(&status)
}
