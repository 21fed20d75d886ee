//! The keys of SIPp, from the terminal, and the signals that mean the same.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::super::station::Order;

/// What an operator wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Wish {
    /// The workers are to do this.
    Obey(Order),
    /// What would be printed at the end is wanted now.
    Show,
}

/// Reads keys in a thread of their own; `None` without a terminal. The terminal hands keys over
/// when Enter is pressed.
pub(super) fn listen() -> Option<Receiver<Wish>> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let (sender, receiver) = channel();
    let read = move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {
            let wish = meaning(byte[0]);
            if wish.is_some_and(|wish| sender.send(wish).is_err()) {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(read);
    thread.ok().map(|_| receiver)
}

pub(super) fn meaning(key: u8) -> Option<Wish> {
    let order = match key {
        b'+' => Order::RateBy(1.0),
        b'-' => Order::RateBy(-1.0),
        b'*' => Order::RateBy(10.0),
        b'/' => Order::RateBy(-10.0),
        b'p' => Order::Pause,
        b'q' => Order::Drain,
        b'Q' => Order::Stop,
        b's' => return Some(Wish::Show),
        _ => return None,
    };
    Some(Wish::Obey(order))
}

/// Signals that came.
#[derive(Default)]
pub(super) struct Interrupts {
    ends: Arc<AtomicU8>,
    shows: Arc<AtomicBool>,
}

impl Interrupts {
    /// What the signals since the last look mean: of those that end the run, the first does when
    /// its calls have ended, the second at once.
    pub(super) fn take(&self) -> Option<Wish> {
        const TOLD: u8 = 0x80;
        if self.shows.swap(false, Ordering::Relaxed) {
            return Some(Wish::Show);
        }
        match self.ends.load(Ordering::Relaxed) {
            0 | TOLD => None,
            1 => {
                let ends = &self.ends;
                let told = ends.compare_exchange(1, TOLD, Ordering::Relaxed, Ordering::Relaxed);
                told.is_ok().then_some(Wish::Obey(Order::Drain))
            }
            _ => Some(Wish::Obey(Order::Stop)),
        }
    }
}

/// Listens for SIGINT, SIGTERM and SIGUSR1, which end a run, and SIGUSR2, which shows how it
/// stands. When this returns, none of them does what it does by default.
pub(super) fn interrupts() -> Interrupts {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupts = Interrupts::default();
    let (ends, shows) = (Arc::clone(&interrupts.ends), Arc::clone(&interrupts.shows));
    let (sender, listens) = channel();
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else {
            return;
        };
        runtime.block_on(async {
            let all = [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::user_defined1(),
                SignalKind::user_defined2(),
            ]
            .map(signal);
            let [
                Ok(mut interrupt),
                Ok(mut terminate),
                Ok(mut user),
                Ok(mut show),
            ] = all
            else {
                return;
            };
            // Who waits for it is there.
            let _ = sender.send(());
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = user.recv() => {}
                    _ = show.recv() => {
                        shows.store(true, Ordering::Relaxed);
                        continue;
                    }
                }
                ends.fetch_add(1, Ordering::Relaxed);
            }
        });
    };
    // Without the thread a signal ends the program, as it does by default.
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen);
    // Nor does this wait for a thread that cannot listen: its sender goes with it.
    let _ = listens.recv();
    interrupts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_mean_what_they_mean_to_sipp() {
        for (key, expected) in [
            (b'+', Order::RateBy(1.0)),
            (b'-', Order::RateBy(-1.0)),
            (b'*', Order::RateBy(10.0)),
            (b'/', Order::RateBy(-10.0)),
            (b'p', Order::Pause),
            (b'q', Order::Drain),
            (b'Q', Order::Stop),
        ] {
            assert_eq!(meaning(key), Some(Wish::Obey(expected)));
        }
        assert_eq!(meaning(b's'), Some(Wish::Show));
        assert_eq!((meaning(b'\n'), meaning(b'x')), (None, None));
    }

    #[test]
    fn the_first_signal_drains_and_the_second_stops() {
        let interrupts = Interrupts::default();
        assert_eq!(interrupts.take(), None);
        interrupts.ends.fetch_add(1, Ordering::Relaxed);
        assert_eq!(interrupts.take(), Some(Wish::Obey(Order::Drain)));
        assert_eq!(interrupts.take(), None);
        interrupts.shows.store(true, Ordering::Relaxed);
        assert_eq!(interrupts.take(), Some(Wish::Show));
        assert_eq!(interrupts.take(), None);
        interrupts.ends.fetch_add(1, Ordering::Relaxed);
        assert_eq!(interrupts.take(), Some(Wish::Obey(Order::Stop)));
    }
}
