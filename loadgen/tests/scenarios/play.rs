//! The program as tests run it.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use offhook_loadgen::measure::{tcp_listeners, udp_sockets};
use offhook_loadgen::process::await_bound;

pub(crate) use crate::address::free_address;

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook-load"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub(crate) fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of the test's own.
pub(crate) fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("offhook-load-{name}-{}", std::process::id()));
    fs::create_dir_all(&path).expect("the folder for temporary files can be written");
    path
}

/// Starts a server for that many calls; it has its port when this returns.
pub(crate) fn server(arguments: &[&str], address: SocketAddr) -> Child {
    let mut command = program();
    command
        .args(arguments)
        .args([
            "-i",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-driver",
            "epoll",
        ])
        .args(["-timeout", "60", "-nostdin", "--allow-degraded"]);
    let mut child = command
        .spawn()
        .expect("the program of this package can be run");
    let is_stream = |words: &[&str]| words[0] == "-t" && !words[1].starts_with('u');
    let sockets = if arguments.windows(2).any(is_stream) {
        tcp_listeners
    } else {
        udp_sockets
    };
    let Err(reason) = await_bound(&mut child, address, sockets) else {
        return child;
    };
    child.kill().expect("the child is ours");
    let ended = child.wait_with_output().expect("the child is ours");
    panic!("{reason}: {}", words(&ended.stderr));
}

pub(crate) fn client(arguments: &[&str], address: SocketAddr) -> Output {
    program()
        .args(arguments)
        .arg(address.to_string())
        .args(["-timeout", "60", "-nostdin", "-driver", "epoll"])
        // The machine that tests run on may be busy.
        .arg("--allow-degraded")
        .output()
        .expect("the program of this package can be run")
}
