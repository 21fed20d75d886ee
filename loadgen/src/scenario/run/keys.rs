//! The keys of SIPp, from the terminal, and the signals that mean the same.

use std::io::{IsTerminal as _, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};

use super::super::floor::Log;
use super::super::limits::CALLS_MAX;
use super::super::station::Order;

/// What an operator wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wish {
    /// The workers are to do this.
    Obey(Order),
    /// What would be printed at the end is wanted now.
    Show,
    /// A key that changes the rate is to change it by so much.
    Scale(f64),
    /// Whether the screen leaves out the steps that the scenario hides.
    Hide(bool),
    /// A command that there is not, and what to write.
    Unknown(String),
}

/// Longer commands than SIPp's longest are cut.
const COMMAND_LETTERS_MAX: usize = 64;

/// Keys that came, as far as the later ones depend on them: after `c` they are a command until
/// Enter is pressed.
#[derive(Debug, Default)]
pub(super) struct Keys {
    command: Option<String>,
}

impl Keys {
    /// The command that is being written.
    pub(super) fn command(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// What a key means after those before it.
    pub(super) fn press(&mut self, key: char) -> Option<Wish> {
        let Some(command) = &mut self.command else {
            if key == 'c' {
                self.command = Some(String::new());
                return None;
            }
            return meaning(u8::try_from(key).ok()?);
        };
        match key {
            '\n' | '\r' => {
                let command = std::mem::take(command);
                self.command = None;
                return Some(command_of(&command));
            }
            '\u{8}' | '\u{7f}' => {
                command.pop();
            }
            _ if command.len() < COMMAND_LETTERS_MAX => command.push(key),
            _ => {}
        }
        None
    }
}

/// What may be written after `c`.
const COMMANDS: &str = "set rate|rate-scale|limit|users N, set hide true|false, dump tasks, or \
    trace errors|logs|messages|shortmessages|rtt|calldebug on|off";

/// SIPp's commands.
fn command_of(text: &str) -> Wish {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |text: &str| {
        let number = text.parse::<f64>().ok();
        number.filter(|number| number.is_finite() && *number >= 0.0)
    };
    let count = |text: &str| {
        let count = text.parse::<usize>().ok();
        count.filter(|count| (1..=CALLS_MAX).contains(count))
    };
    let wish = match *words {
        ["set", "rate-scale", scale] => number(scale).map(Wish::Scale),
        ["set", "hide", "true"] => Some(Wish::Hide(true)),
        ["set", "hide", "false"] => Some(Wish::Hide(false)),
        ["set", "rate", rate] => number(rate).map(|rate| Wish::Obey(Order::Rate(rate))),
        ["set", "limit", calls] => count(calls).map(|calls| Wish::Obey(Order::Limit(calls))),
        ["set", "users", users] => count(users).map(|users| Wish::Obey(Order::Users(users))),
        ["dump", "tasks"] => Some(Wish::Obey(Order::Tasks)),
        ["trace", log, switch @ ("on" | "off")] => {
            log_of(log).map(|log| Wish::Obey(Order::Trace(log, switch == "on")))
        }
        [..] => None,
    };
    wish.unwrap_or_else(|| Wish::Unknown(format!("{text:?} is no command: write {COMMANDS}")))
}

/// A file of lines by SIPp's name of it.
fn log_of(name: &str) -> Option<Log> {
    Some(match name {
        "error" | "errors" => Log::Error,
        "logs" => Log::Scenario,
        "messages" => Log::Message,
        "shortmessages" => Log::Short,
        "rtt" => Log::ResponseTime,
        "calldebug" => Log::Call,
        _ => return None,
    })
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
        let mut keys = Keys::default();
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {
            let wish = keys.press(char::from(byte[0]));
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

fn meaning(key: u8) -> Option<Wish> {
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
pub(crate) struct Interrupts {
    ends: Arc<AtomicU8>,
    shows: Arc<AtomicBool>,
}

impl Interrupts {
    /// Whether any of them means the end.
    pub(crate) fn has_ended(&self) -> bool {
        self.ends.load(Ordering::Relaxed) > 0
    }

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
pub(crate) fn interrupts() -> Interrupts {
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
    fn a_command_is_written_and_ended_by_enter() {
        let mut keys = Keys::default();
        let mut written = |text: &str| {
            let wishes = text.chars().filter_map(|key| keys.press(key));
            wishes.last()
        };
        let rate = |rate| Some(Wish::Obey(Order::Rate(rate)));
        assert_eq!(written("cset rate 25.5\n"), rate(25.5));
        assert_eq!(written("c set rate 1234\u{8}\u{7f}\r"), rate(12.0));
        assert_eq!(written("cset rate-scale 5\n"), Some(Wish::Scale(5.0)));
        // `+` and `q` are letters of it.
        assert_eq!(written("cq+"), None);
        let why = format!("\"q+\" is no command: write {COMMANDS}");
        assert_eq!(written("\n"), Some(Wish::Unknown(why)));
        assert_eq!(written("+"), Some(Wish::Obey(Order::RateBy(1.0))));
        for wrong in ["cset rate -1\n", "cset rate NaN\n", "cset rate\n", "c\n"] {
            assert!(matches!(written(wrong), Some(Wish::Unknown(_))), "{wrong}");
        }
        assert_eq!(written(&format!("c{}", "x".repeat(1_000))), None);
        let kept = "x".repeat(COMMAND_LETTERS_MAX);
        assert_eq!(keys.command(), Some(&*kept));
    }

    #[test]
    fn commands_mean_what_they_mean_to_sipp() {
        for (text, order) in [
            ("set limit 5", Order::Limit(5)),
            ("set users 1000000", Order::Users(1_000_000)),
            ("dump tasks", Order::Tasks),
            ("trace messages on", Order::Trace(Log::Message, true)),
            ("trace error off", Order::Trace(Log::Error, false)),
        ] {
            assert_eq!(command_of(text), Wish::Obey(order), "{text}");
        }
        assert_eq!(command_of("set hide false"), Wish::Hide(false));
        for wrong in [
            "set limit 0",
            "set limit -3",
            "set users 1000001",
            "set users 1.5",
            "set hide maybe",
            "trace all on",
            "trace logs",
            "dump",
        ] {
            assert!(matches!(command_of(wrong), Wish::Unknown(_)), "{wrong}");
        }
    }

    #[test]
    fn the_first_signal_drains_and_the_second_stops() {
        let interrupts = Interrupts::default();
        assert_eq!(interrupts.take(), None);
        assert!(!interrupts.has_ended());
        interrupts.ends.fetch_add(1, Ordering::Relaxed);
        assert!(interrupts.has_ended());
        assert_eq!(interrupts.take(), Some(Wish::Obey(Order::Drain)));
        assert_eq!(interrupts.take(), None);
        interrupts.shows.store(true, Ordering::Relaxed);
        assert_eq!(interrupts.take(), Some(Wish::Show));
        assert_eq!(interrupts.take(), None);
        interrupts.ends.fetch_add(1, Ordering::Relaxed);
        assert_eq!(interrupts.take(), Some(Wish::Obey(Order::Stop)));
    }
}
