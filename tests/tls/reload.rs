//! Certificates are changed while the real program runs: SIGHUP reads the files again.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use crate::authority::Authority;
use crate::peers::{ask, connect};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The port in `word` of the first log line.
fn port(line: &str, word: &str) -> u16 {
    let rest = line.split(word).nth(1).unwrap();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn hang_up(program: &Program) {
    let sent = Command::new("kill")
        .args(["-HUP", &program.0.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn sighup_takes_new_certificates_for_new_connections_and_keeps_good_ones() {
    let authority = Authority::new("reload");
    authority.write("old.example.com");
    let file = authority.folder.join("offhook.toml");
    // Relative to the folder of the configuration.
    let text = "[tls]\ncertificate = \"offhook.pem\"\nkey = \"offhook.key\"\nca = \"ca.pem\"\n\
                [server]\nsip = [\"tls:127.0.0.1:0\"]\nhttp = \"127.0.0.1:0\"\n\
                http_tls = true\nshards = 1\n\
                pin = false\n[[trunk]]\nname = \"pbx\"\npeers = [\"tls:127.0.0.1:1\"]\n\
                oos_check = 0\n[[agent]]\ndn = \"8001\"\n";
    std::fs::write(&file, text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["serve", "--config"])
        .arg(&file)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let program = Program(child);
    let mut line = |word: &str| loop {
        let line = log.next().unwrap().unwrap();
        if line.contains(word) {
            return line;
        }
    };
    let started = line("serves SIP");
    let address = format!("127.0.0.1:{}", port(&started, "tls:127.0.0.1:"));
    let address = address.parse().unwrap();
    let http = format!("127.0.0.1:{}", port(&started, "https://127.0.0.1:"));
    let http = http.parse().unwrap();

    let mut old = connect(address, authority.client(None), "old.example.com");
    assert!(
        ask(&mut old, "OPTIONS", 1)
            .unwrap()
            .starts_with("SIP/2.0 200")
    );
    authority.write("new.example.com");
    hang_up(&program);
    line("were read again");
    let mut new = connect(address, authority.client(None), "new.example.com");
    assert!(
        ask(&mut new, "OPTIONS", 2)
            .unwrap()
            .starts_with("SIP/2.0 200")
    );
    assert!(
        ask(&mut old, "OPTIONS", 3)
            .unwrap()
            .starts_with("SIP/2.0 200")
    );

    let mut desktop = connect(http, authority.client(None), "new.example.com");
    let ping = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    desktop.write_all(ping.as_bytes()).unwrap();
    let mut status = [0; 12];
    desktop.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");

    std::fs::write(authority.folder.join("offhook.pem"), "nonsense").unwrap();
    hang_up(&program);
    line("the old certificate stays in use");
    let mut still = connect(address, authority.client(None), "new.example.com");
    assert!(
        ask(&mut still, "OPTIONS", 4)
            .unwrap()
            .starts_with("SIP/2.0 200")
    );
}
