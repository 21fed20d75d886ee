//! How the main task sleeps: at the lookout, or by parking the executor.

use glommio::timer::Timer;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Local;
use crate::clock::Clock;
use crate::engine::Engine;

/// How often the main task yields in a row at most.
const YIELDS_MAX: usize = 16;

impl<E: Engine> Local<E> {
    /// Whether tasks other than those of datagrams may have something to do.
    pub(super) fn has_tasks(&self) -> bool {
        self.stream_count.get() > 0 || self.lookout.borrow().is_none()
    }

    /// Whether only the executor hears what is to be heard.
    fn parks(&self) -> bool {
        self.stirred.get() || self.lookout.borrow().is_none()
    }

    /// Lets everybody else run who can; whether nobody who could is left. A yield alone does not:
    /// if a connection comes meanwhile, the executor stops in the middle, looks at its rings, and
    /// lines up whoever that wakes behind the main task. Such a look begins another run of its
    /// scheduler. Where connections come faster than that the shard has its turn all the same.
    async fn let_tasks_run(&self) -> bool {
        for _ in 0..YIELDS_MAX {
            // Each question is about what has been since the last one.
            glommio::executor().executor_stats();
            glommio::executor().yield_now().await;
            if glommio::executor().executor_stats().scheduler_runs() == 0 {
                return true;
            }
        }
        false
    }

    /// Sleeps until something is heard or so much time has passed, sometimes shorter.
    pub(super) async fn sleep(&self, until: Duration, timer: &mut Timer) {
        let parks = self.parks();
        if parks {
            self.wake_datagram_tasks();
        }
        // A ring may have had something for several tasks, and the main task was the first to run:
        // nothing tells of the others again. Whoever can run does so now; from here on only rings
        // wake anybody, so that a sleep is a look at them.
        if parks || !self.settled.replace(true) {
            let is_settled = self.let_tasks_run().await;
            if !is_settled {
                // Those who are left have the end of the next turn.
                self.settled.set(false);
                if self.lookout.borrow().is_some() {
                    self.wait_at_lookout(Duration::ZERO);
                }
                return;
            }
        }
        if self.woken.replace(false) {
            return;
        }
        if parks {
            self.park(until, timer).await;
        } else if !self.parks() {
            self.wait_at_lookout(until);
        }
    }

    /// Sleeps in the executor, which looks at its rings before and after. Datagrams must have
    /// their tasks.
    async fn park(&self, until: Duration, timer: &mut Timer) {
        let is_stirred = self.stirred.replace(false);
        let mut has_slept = false;
        timer.reset(until);
        poll_fn(|context| {
            let polled = self.poll_sleep(context, timer);
            has_slept |= polled.is_pending();
            polled
        })
        .await;
        if has_slept {
            self.looked.set(Clock.now());
            self.settled.set(false);
        } else {
            self.stirred.set(is_stirred);
        }
    }

    fn poll_sleep(&self, context: &mut Context<'_>, timer: &mut Timer) -> Poll<()> {
        if self.woken.replace(false) {
            return Poll::Ready(());
        }
        *self.main.borrow_mut() = Some(context.waker().clone());
        Pin::new(timer).poll(context).map(|_| ())
    }

    /// Waits until the lookout hears something, which may be a ring: then the executor must look.
    fn wait_at_lookout(&self, until: Duration) {
        let mut lookout = self.lookout.borrow_mut();
        let lookout = lookout.as_mut().expect("without one it parks");
        let datagrams = &mut self.shard.borrow_mut().datagrams;
        let is_called = !lookout.wait(Some(until), datagrams).is_empty();
        // What the lookout has not heard of a ring must not wait for ever.
        let is_due = Clock.now().saturating_duration_since(self.looked.get()) >= self.sleep_max;
        if is_called || is_due {
            self.stirred.set(true);
        }
    }

    /// Hears what there is to hear, for a shard that has more to do.
    pub(super) async fn look_around(&self, timer: &mut Timer) {
        let has_lookout = self.lookout.borrow().is_some();
        match has_lookout {
            true => self.wait_at_lookout(Duration::ZERO),
            false => self.wake_datagram_tasks(),
        }
        if self.parks() {
            self.step_aside(timer).await;
        }
    }

    /// Suspends the main task until the executor has looked at its rings: it rings its own bell
    /// and sleeps until it hears it. Nothing else ends that sleep: a stream that always has more
    /// to read would keep the rings, and so everybody else, unseen.
    async fn step_aside(&self, timer: &mut Timer) {
        // Who has heard an earlier ring says so now; whoever is left does after the ring below.
        self.let_tasks_run().await;
        self.rung.set(false);
        self.stirred.set(false);
        self.settled.set(false);
        self.looked.set(Clock.now());
        timer.reset(self.sleep_max);
        self.shard.borrow().sleeper().signal();
        poll_fn(|context| self.poll_rung(context, timer)).await;
        self.woken.set(false);
    }

    fn poll_rung(&self, context: &mut Context<'_>, timer: &mut Timer) -> Poll<()> {
        if self.rung.replace(false) {
            return Poll::Ready(());
        }
        *self.main.borrow_mut() = Some(context.waker().clone());
        Pin::new(timer).poll(context).map(|_| ())
    }
}
