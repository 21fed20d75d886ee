//! The program as tests run it.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

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
    for _ in 0..1_000 {
        if UdpSocket::bind(address).is_err() {
            return child;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = child.kill().and_then(|()| child.wait());
    panic!("the server does not take its port: {ended:?}");
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
