//! Commands that scenarios run, as far as `--allow-exec` lets them: each in a shell of its own,
//! which nobody waits for.

use std::process::{Child, Command, Stdio};

/// Commands that run at a time; a further one is left out, and that is said.
const COMMANDS_MAX: usize = 64;

/// The commands that run.
#[derive(Debug, Default)]
pub(super) struct Commands(Vec<Child>);

impl Commands {
    pub(super) fn run(&mut self, text: &str) {
        self.0
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if self.0.len() == COMMANDS_MAX {
            super::say(&format!(
                "offhook-load: {COMMANDS_MAX} commands are running; left out: {text}"
            ));
            return;
        }
        let started = Command::new("sh")
            .args(["-c", text])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match started {
            Ok(child) => self.0.push(child),
            Err(error) => super::say(&format!("offhook-load: `{text}` cannot be run: {error}")),
        }
    }
}

impl Drop for Commands {
    /// Waits for those that end by themselves at once; the others go on without us.
    fn drop(&mut self) {
        self.0
            .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}
