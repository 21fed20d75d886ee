//! SIPp and our own program, as tests run them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use offhook_loadgen::measure::{tcp_listeners, udp_sockets};

pub(crate) use crate::address::free_address;
pub(crate) use offhook_loadgen::process::await_bound;

/// Calls of one test.
pub(crate) const CALLS: &str = "40";

/// A folder of the test's own: SIPp writes beside its scenario.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("offhook-sipp-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("the folder for temporary files can be written");
    path
}

pub(crate) fn ours(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook-load"));
    prepare(&mut command, folder);
    command
}

pub(crate) fn sipp(folder: &Path) -> Command {
    let mut command = Command::new("sipp");
    prepare(&mut command, folder);
    command.args(["-timeout_error", "-max_socket", "100"]);
    command
}

pub(crate) fn prepare(command: &mut Command, folder: &Path) {
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
}

/// Options that both understand.
pub(crate) fn shared(command: &mut Command, local: SocketAddr, transport: &str) {
    command
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &local.port().to_string(),
            "-t",
            transport,
        ])
        .args(["-m", CALLS, "-nostdin", "-timeout", "60s"]);
}

pub(crate) fn start(mut command: Command, address: SocketAddr) -> Child {
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{command:?} cannot be run ({error}); on Debian: apt-get install sip-tester")
    });
    let Err(reason) = await_bound(&mut child, address, udp_or_tcp) else {
        return child;
    };
    child.kill().expect("the child is ours");
    let output = child.wait_with_output().expect("the child is ours");
    panic!(
        "{command:?}: {reason}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Everybody who can be called.
pub(crate) fn udp_or_tcp() -> Option<Vec<SocketAddr>> {
    Some([udp_sockets()?, tcp_listeners()?].concat())
}

pub(crate) fn is_clean(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {:?}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
