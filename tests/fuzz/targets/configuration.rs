//! Configurations: a text has mistakes with their places or is a configuration that holds
//! together, and a server can start with it.

use std::sync::Arc;
use std::time::Duration;

use offhook::config::{self, Address, Config, DnIndex, Mistake, QueueIndex, RoutingPointIndex};
use offhook::cti::KeyValueList;
use offhook::journal::Image;
use offhook::sip::{HeaderIndex, Message};
use offhook_shards::Engine as _;

use super::start::{engine, origin};

/// What every CSV file holds that a text names.
const CSV: &str = "dn,agent_id,queues,wrap_up\n4000,A4000,sales,30\n4001,,\"sales\",\n";
/// Beyond so many agents the start would take too long for what it can show.
const AGENTS_MAX: usize = 200;

/// One file.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if has_huge_range(text) {
        return;
    }
    let parsed = config::parse(text, &|_| Ok(CSV.to_owned()));
    if !text.contains('\r') {
        let again = config::parse(&text.replace('\n', "\r\n"), &|_| Ok(CSV.to_owned()));
        assert_eq!(parsed.is_ok(), again.is_ok(), "line ends decide");
    }
    match parsed {
        Ok(config) => check(config),
        Err(mistakes) => check_mistakes(text, &mistakes),
    }
}

/// A million agents are allowed, and take seconds.
fn has_huge_range(text: &str) -> bool {
    let mut numbers = text.split('-').skip(1);
    numbers.any(|part| part.len() >= 6 && part.bytes().take(6).all(|byte| byte.is_ascii_digit()))
}

/// Each names a line that is there, what is wrong and what to write.
pub(super) fn check_mistakes(text: &str, mistakes: &[Mistake]) {
    assert!(!mistakes.is_empty());
    let lines = text.split('\n').count().max(CSV.split('\n').count());
    for mistake in mistakes {
        assert!((1..=lines).contains(&(mistake.line as usize)), "{mistake}");
        assert!(
            !mistake.what.is_empty() && !mistake.instead.is_empty(),
            "{mistake}"
        );
        assert!(!mistake.to_string().contains('\n'), "{mistake}");
    }
}

fn check(config: Config) {
    assert!(config.agents.is_sorted_by(|left, right| left.dn < right.dn));
    for (index, agent) in (0..).map(DnIndex).zip(config.agents.iter()) {
        assert_eq!(config.address(&agent.dn), Some(Address::Agent(index)));
        let _ = (config.phone(index), config.profile_of(index));
        let (wrap_up, _) = (config.wrap_up(index, None), config.no_answer(index, None));
        assert_eq!(
            wrap_up,
            agent
                .settings
                .wrap_up
                .unwrap_or(config.agent_defaults.wrap_up)
        );
    }
    for (index, queue) in (0..).map(QueueIndex).zip(&config.queues) {
        assert_eq!(config.queue(&queue.name), Some(index));
        assert_eq!(config.entry_at(config.overflow_entry(index)).queue, index);
    }
    for (index, point) in (0..).map(RoutingPointIndex).zip(&config.routing_points) {
        assert_eq!(config.routing_point(&point.number), Some(index));
        let route = config.route(index, Some("100"), &KeyValueList::new());
        let home = config.entry_at(route[0]).queue;
        assert!(config.homes(index).contains(&home));
    }
    for calendar in &config.calendars {
        for days in [0, 59, 789, 20_000, 2_932_896, 100_000_000] {
            let time = Duration::from_secs(days * 86_400 + 86_399);
            let _ = calendar.is_open(time);
            assert!(calendar.next_day(time) > time, "{days}");
        }
    }
    if config.agents.len() <= AGENTS_MAX {
        start(config);
    }
}

/// A server with this configuration lives through its first seconds, and says only SIP.
fn start(config: Config) {
    let mut now = origin();
    let mut engine = engine(now, &Arc::new(config), &Image::default(), 1);
    let end = now + Duration::from_secs(10);
    let mut steps = 0;
    loop {
        let mut bytes = Vec::new();
        while engine.poll_transmit(&mut bytes).is_some() {
            let mut index = HeaderIndex::new();
            let said = Message::receive(&bytes, &mut index);
            assert!(said.is_ok(), "{}", String::from_utf8_lossy(&bytes));
            bytes.clear();
        }
        while engine.poll_event().is_some() {}
        let Some(next) = engine.poll_timeout().filter(|next| *next <= end) else {
            return;
        };
        now = now.max(next);
        engine.handle_timeout(now);
        steps += 1;
        assert!(steps < 100_000, "time does not pass");
    }
}
