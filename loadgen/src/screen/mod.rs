//! What a run looks like while it runs: a full screen where there is a terminal. It is shown a
//! plain value, so that scenarios, searches and whole contact centers look the same, and it knows
//! nothing of how that value came about.

mod draw;
mod snapshot;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

pub use snapshot::{HealthLine, LatencyLine, Moment, Snapshot, StepLine};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// The steps of a scenario (SIPp's screen 1).
    Steps,
    /// Rates, calls and latency (SIPp's screen 2).
    #[default]
    Overview,
    /// Latencies in full (SIPp's screen 3).
    Latencies,
}

/// A key that means something to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter of SIPp's, such as `+`, `p` or `q`.
    Letter(char),
    /// Control and C.
    Interrupt,
}

/// The terminal, as long as the run lasts.
pub struct Screen {
    terminal: ratatui::DefaultTerminal,
    view: View,
    last: Snapshot,
    /// Whether all letters are for the run, digits and Enter too.
    writes: bool,
}

impl Screen {
    /// Takes the terminal; `None` if there is none, or it cannot be had.
    #[must_use]
    pub fn open() -> Option<Self> {
        if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
            return None;
        }
        let terminal = ratatui::try_init().ok()?;
        Some(Self {
            terminal,
            view: View::default(),
            last: Snapshot::default(),
            writes: false,
        })
    }

    /// Shows this from now on.
    pub fn show(&mut self, snapshot: Snapshot) {
        self.last = snapshot;
        self.draw();
    }

    fn draw(&mut self) {
        let (view, last) = (self.view, &self.last);
        // A terminal that is gone: the run goes on without it.
        let _ = self.terminal.draw(|frame| draw::draw(frame, view, last));
    }

    /// Whether the run takes what is typed for a text: digits, Enter and Backspace are for it too.
    pub fn write_to_run(&mut self, writes: bool) {
        self.writes = writes;
    }

    /// The next key that is for the run; keys for the screen are obeyed at once.
    pub fn key(&mut self) -> Option<Key> {
        while event::poll(Duration::ZERO).unwrap_or(false) {
            let Ok(event) = event::read() else {
                return None;
            };
            let key = match event {
                Event::Key(key) if key.kind == KeyEventKind::Press => key,
                Event::Resize(..) => {
                    self.draw();
                    continue;
                }
                Event::Key(_)
                | Event::FocusGained
                | Event::FocusLost
                | Event::Mouse(_)
                | Event::Paste(_) => continue,
            };
            let letter = if let KeyCode::Char(letter) = key.code {
                letter
            } else if self.writes && key.code == KeyCode::Enter {
                '\n'
            } else if self.writes && key.code == KeyCode::Backspace {
                '\u{8}'
            } else {
                continue;
            };
            if letter == 'c' && key.modifiers.contains(KeyModifiers::CONTROL) {
                return Some(Key::Interrupt);
            }
            let view = match letter {
                _ if self.writes => return Some(Key::Letter(letter)),
                '1' => View::Steps,
                '2' => View::Overview,
                '3' => View::Latencies,
                _ => return Some(Key::Letter(letter)),
            };
            self.view = view;
            self.draw();
        }
        None
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = ratatui::try_restore();
    }
}
