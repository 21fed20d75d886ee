//! The loop that turns the hub, in time that passes whenever nobody has anything to do.

use tokio::time::Instant as Moment;

use super::*;
use crate::limits::{CTI_IDLE_TICK, CTI_TICK};
use crate::server::gate::{Gate, Outputs, turn};

/// Shards that say nothing, and when they were asked whether they have ended.
#[derive(Default)]
struct Silent {
    asked_at: Rc<RefCell<Vec<Moment>>>,
    have_ended: bool,
}

impl Outputs for Silent {
    async fn ready(&mut self) {
        if !self.have_ended {
            std::future::pending::<()>().await;
        }
    }

    fn drain(&mut self, _outputs_max: usize, _into: &mut Vec<Output>) -> usize {
        0
    }

    fn broken(&self) -> Option<String> {
        self.asked_at.borrow_mut().push(Moment::now());
        self.have_ended.then(|| "a shard has ended".to_owned())
    }
}

/// Turns the hub for a second, and tells how much time was between the looks.
async fn pauses(stage: &mut Stage) -> Vec<Duration> {
    let silent = Silent::default();
    let asked_at = Rc::clone(&silent.asked_at);
    let (_gate, commands) = Gate::open();
    let stop = tokio::time::sleep(Duration::from_millis(1_010));
    let ended = turn(&mut stage.hub, &Clock::start(), commands, silent, stop).await;
    assert_eq!(ended, Ok(()));
    let asked_at = asked_at.take();
    let pairs = asked_at.windows(2);
    pairs.map(|pair| pair[1] - pair[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_waits_for_time_is_told_it_more_often_than_an_idle_one() {
    let mut stage = Stage::new();
    assert_eq!(pauses(&mut stage).await, vec![CTI_IDLE_TICK; 4]);
    let mut desk = stage.client();
    stage.register(&mut desk, "2001");
    stage.say(&desk, &ready(5, "2001"));
    assert!(stage.hub.waits_for_time());
    assert_eq!(pauses(&mut stage).await, vec![CTI_TICK; 49]);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_wakes_the_loop_is_noticed_at_once() {
    let silent = Silent {
        have_ended: true,
        ..Silent::default()
    };
    let (_gate, commands) = Gate::open();
    let began = Moment::now();
    let mut stage = Stage::new();
    let never = std::future::pending();
    let ended = turn(&mut stage.hub, &Clock::start(), commands, silent, never).await;
    assert_eq!(ended, Err("a shard has ended".to_owned()));
    assert_eq!(Moment::now(), began);
}
