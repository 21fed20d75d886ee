//! The program that reads by sofia-sip, and what it answers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where `build.rs` has put it; empty where it could not be built.
pub(crate) const PROGRAM: &str = env!("SOFIA");

pub(crate) struct Sofia {
    /// What it has read, as the others show it.
    pub(crate) found: String,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sofia {
    /// Starts it on a file.
    pub(crate) fn start(path: &str) -> Result<Self, &'static str> {
        if PROGRAM.is_empty() {
            return Err("libsofia-sip-ua-dev, pkg-config or a C compiler was not there");
        }
        let mut command = Command::new(PROGRAM);
        command
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|_| "it cannot be started")?;
        let input = process.stdin.take().expect("it was asked for");
        let output = BufReader::new(process.stdout.take().expect("it was asked for"));
        let mut sofia = Self {
            found: String::new(),
            process,
            input,
            output,
        };
        sofia.found = sofia.line();
        Ok(sofia)
    }

    /// Nanoseconds of one reading.
    pub(crate) fn nanoseconds(&mut self, reads: u32) -> f64 {
        writeln!(self.input, "{reads}").expect("it listens");
        let taken: f64 = self.line().parse().expect("it answers a number");
        taken / f64::from(reads)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}

impl Drop for Sofia {
    fn drop(&mut self) {
        // It ends by itself as well, when its input does.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
