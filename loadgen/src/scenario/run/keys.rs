//! The keys of SIPp, from the terminal, and the signals that mean the same.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::super::station::Order;

/// Reads keys in a thread of their own; `None` without a terminal. The terminal hands keys over
/// when Enter is pressed.
pub(super) fn listen() -> Option<Receiver<Order>> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let (sender, receiver) = channel();
    let read = move || {
        let mut byte = [0];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {
            let order = meaning(byte[0]);
            if order.is_some_and(|order| sender.send(order).is_err()) {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("keys".to_owned())
        .spawn(read);
    thread.ok().map(|_| receiver)
}

pub(super) fn meaning(key: u8) -> Option<Order> {
    match key {
        b'+' => Some(Order::RateBy(1.0)),
        b'-' => Some(Order::RateBy(-1.0)),
        b'*' => Some(Order::RateBy(10.0)),
        b'/' => Some(Order::RateBy(-10.0)),
        b'p' => Some(Order::Pause),
        b'q' => Some(Order::Drain),
        b'Q' => Some(Order::Stop),
        _ => None,
    }
}

/// Signals that came.
pub(super) struct Interrupts(Arc<AtomicU8>);

impl Interrupts {
    /// What the signals since the last look mean: the first ends the run when its calls have
    /// ended, the second at once.
    pub(super) fn take(&self) -> Option<Order> {
        const TOLD: u8 = 0x80;
        match self.0.load(Ordering::Relaxed) {
            0 | TOLD => None,
            1 => {
                let told = self
                    .0
                    .compare_exchange(1, TOLD, Ordering::Relaxed, Ordering::Relaxed);
                told.is_ok().then_some(Order::Drain)
            }
            _ => Some(Order::Stop),
        }
    }
}

/// Listens for SIGINT, SIGTERM and SIGUSR1.
pub(super) fn interrupts() -> Interrupts {
    use tokio::signal::unix::{SignalKind, signal};
    let count = Arc::new(AtomicU8::new(0));
    let own = Arc::clone(&count);
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
            ]
            .map(signal);
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut user)] = all else {
                return;
            };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = user.recv() => {}
                }
                own.fetch_add(1, Ordering::Relaxed);
            }
        });
    };
    // Without the thread a signal ends the program, as it does by default.
    let _ = std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(listen);
    Interrupts(count)
}
