//! baresip as an agent's phone, told what to do over its control port. It answers by itself and
//! says what it hears: no sound device is touched.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::directory::Directory;
use super::program::{self, Program};
use super::sipp::Transport;

/// How long baresip may take until it listens, and to answer.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// Where Debian's package has its modules, for each machine that it is built for.
const MODULES: [&str; 3] = [
    "/usr/lib/baresip/modules",
    "/usr/lib/x86_64-linux-gnu/baresip/modules",
    "/usr/lib/aarch64-linux-gnu/baresip/modules",
];

/// A running baresip.
#[derive(Debug)]
pub(crate) struct Baresip {
    program: Program,
    directory: Directory,
    control: TcpStream,
    /// Where it hears SIP.
    pub(crate) address: SocketAddr,
}

impl Baresip {
    /// Starts it and waits until it listens.
    pub(crate) fn start(directory: &Directory, dn: &str, transport: Transport) -> Self {
        let baresip = program::find("baresip", "baresip-core");
        let modules = MODULES.into_iter().find(|folder| {
            let control = std::path::Path::new(folder).join("ctrl_tcp.so");
            control.exists()
        });
        let modules = modules.expect("baresip-core has brought its modules");
        let (address, control) = (program::free_address(), program::free_address());
        let config = include_str!("baresip.cfg")
            .replace("@ADDRESS@", &address.to_string())
            .replace("@CONTROL@", &control.to_string())
            .replace("@MODULES@", modules);
        let account = format!(
            "<sip:{dn}@{address};transport={}>;regint=0;answermode=auto;audio_codecs=pcmu\n",
            transport.name()
        );
        let folder = directory.file("baresip");
        std::fs::create_dir(&folder).expect("the test's own folder can be written");
        directory.write("baresip/config", &config);
        directory.write("baresip/accounts", &account);
        directory.write("baresip/contacts", "");
        let mut command = Command::new(baresip);
        command.args(["-4", "-s", "-f"]).arg(folder);
        let mut program = Program::start("baresip", directory, &mut command);
        let listens = program::comes_true(ANSWER_MAX, || {
            program.ended().is_none()
                && program::is_heard(transport.name(), address)
                && program::is_heard("tcp", control)
        });
        let log = || directory.tail("baresip.out", 40);
        assert!(listens, "baresip does not listen: {}", log());
        let control = TcpStream::connect(control).expect("baresip listens for control");
        let patience = control.set_read_timeout(Some(ANSWER_MAX));
        patience.expect("a socket takes a time-out");
        Self {
            program,
            directory: directory.clone(),
            control,
            address,
        }
    }

    /// Tells it to do something, and waits until it says that it has begun.
    pub(crate) fn tell(&mut self, command: &str, parameters: &str) {
        let text = json!({"command": command, "params": parameters, "token": command});
        let text = text.to_string();
        let sent = write!(self.control, "{}:{text},", text.len());
        sent.unwrap_or_else(|error| panic!("{command}: {error}{}", self.log()));
        loop {
            let said = self.hear();
            if said["token"] == command {
                assert_eq!(said["ok"], true, "{command}: {said}{}", self.log());
                return;
            }
        }
    }

    /// The next thing that it says, of its own accord or as an answer: a netstring.
    fn hear(&mut self) -> Json {
        let mut length = 0;
        loop {
            match self.byte() {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
        }
        let mut text = vec![0; length + 1];
        let read = self.control.read_exact(&mut text);
        read.unwrap_or_else(|error| panic!("baresip is silent: {error}{}", self.log()));
        serde_json::from_slice(&text[..length]).expect("baresip speaks JSON")
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        let read = self.control.read_exact(&mut byte);
        read.unwrap_or_else(|error| panic!("baresip is silent: {error}{}", self.log()));
        byte[0]
    }

    /// What it said last, with the messages.
    pub(crate) fn log(&self) -> String {
        format!("\n--- baresip\n{}", self.directory.tail("baresip.out", 80))
    }

    /// Ends it.
    pub(crate) fn stop(mut self) {
        let ended = self.program.stop();
        assert!(ended.is_some(), "baresip does not end{}", self.log());
    }
}
