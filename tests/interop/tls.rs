//! OpenSSL on both sides of the server's TLS.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::authority::{Authority, Identity};
use super::directory::Directory;
use super::http;
use super::program::{self, Program};

const START_MAX: Duration = Duration::from_secs(30);

/// A server that is heard under TLS alone, and has this peer.
fn start(directory: &Directory, authority: &Authority, peer: SocketAddr) -> (Program, SocketAddr) {
    authority.write("us.example.com");
    let (sip, http) = (program::free_address(), program::free_address());
    let driver = std::env::var("OFFHOOK_TEST_DRIVER").unwrap_or_else(|_| "auto".to_owned());
    let config = format!(
        "{}[server]\nsip = [\"tls:{sip}\"]\nhttp = \"{http}\"\nshards = 2\npin = false\n\
         driver = \"{driver}\"\n[[trunk]]\nname = \"pbx\"\npeers = [\"tls:{peer}\"]\n\
         tls_name = \"pbx.example.com\"\noos_check = 1\n[[agent]]\ndn = \"8001\"\n\
         [presence]\nenabled = false\n",
        authority.section("client_certificates = \"require\"")
    );
    let file = directory.write("offhook.toml", &config);
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.arg("serve").arg("--config").arg(file);
    let server = Program::start("offhook", directory, &mut command);
    let ready = program::comes_true(START_MAX, || {
        http::ask(http, "GET", "/readyz", "").is_ok_and(|(status, _)| status == 200)
    });
    let log = directory.tail("offhook.err", 40);
    assert!(ready, "offhook did not become ready: {log}");
    (server, sip)
}

fn openssl(directory: &Directory, identity: Option<(&Identity, &str)>) -> Command {
    let mut command = Command::new(program::find("openssl", "openssl"));
    command.current_dir(directory.path());
    if let Some((identity, name)) = identity {
        let (pem, key) = (format!("{name}.pem"), format!("{name}.key"));
        identity.write(&directory.file(&pem), &directory.file(&key));
    }
    command
}

/// What `openssl s_client` hears from the server after an OPTIONS.
fn ask(command: &mut Command, server: SocketAddr, ca: &Path, more: &[&str]) -> String {
    let mut client = command
        .args(["s_client", "-connect", &server.to_string(), "-quiet"])
        .args(["-verify_return_error", "-verify_hostname", "us.example.com"])
        .arg("-CAfile")
        .arg(ca)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl can be started");
    let request = "OPTIONS sip:us.example.com SIP/2.0\r\n\
                   Via: SIP/2.0/TLS pbx.example.com;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
                   From: <sip:1@pbx.example.com>;tag=1\r\nTo: <sip:us.example.com>\r\n\
                   Call-ID: 1@pbx.example.com\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    let mut input = client.stdin.take().expect("its input is ours");
    // Refused, it may be gone by now.
    let _ = input.write_all(request.as_bytes());
    let output = client.stdout.take().expect("its output is ours");
    let first = BufReader::new(output).lines().next();
    end(client);
    first.and_then(Result::ok).unwrap_or_default()
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn openssl_connects_is_believed_and_answered_and_without_a_certificate_is_not() {
    let directory = Directory::new("tls_client");
    let authority = Authority::new("openssl-client");
    let nowhere = program::free_address();
    let (mut server, sip) = start(&directory, &authority, nowhere);
    let ca = authority.folder.join("ca.pem");
    let identity = authority.vouch("pbx.example.com");
    let with = ["-cert", "pbx.pem", "-key", "pbx.key"];
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = openssl(&directory, Some((&identity, "pbx")));
        let answer = ask(&mut command, sip, &ca, &[&with[..], &[version]].concat());
        assert_eq!(answer.trim_end(), "SIP/2.0 200 OK", "{version}");
        let answer = ask(&mut openssl(&directory, None), sip, &ca, &[version]);
        assert_eq!(answer, "", "{version}");
    }
    let old = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
    let answer = ask(&mut openssl(&directory, None), sip, &ca, &old);
    assert_eq!(answer, "", "TLS 1.1 is not spoken");
    assert!(server.stop().is_some_and(|status| status.success()));
}

#[test]
fn openssl_is_connected_to_and_shown_who_we_are() {
    let directory = Directory::new("tls_server");
    let authority = Authority::new("openssl-server");
    let identity = authority.vouch("pbx.example.com");
    let peer = program::free_address();
    let mut command = openssl(&directory, Some((&identity, "pbx")));
    let pbx = command
        .args(["s_server", "-accept", &peer.to_string(), "-quiet"])
        .args(["-cert", "pbx.pem", "-key", "pbx.key", "-Verify", "2"])
        .args(["-verify_return_error", "-CAfile"])
        .arg(authority.folder.join("ca.pem"))
        .stdin(Stdio::piped())
        .stdout(File::create(directory.file("openssl.out")).expect("the folder is ours"))
        .stderr(File::create(directory.file("openssl.err")).expect("the folder is ours"))
        .spawn()
        .expect("openssl can be started");
    let (mut server, _) = start(&directory, &authority, peer);
    let request = format!("OPTIONS sip:{peer} SIP/2.0");
    let came = program::comes_true(START_MAX, || {
        directory.tail("openssl.out", 40).contains(&request)
    });
    let why = directory.tail("openssl.err", 10);
    assert!(came, "no OPTIONS came; OpenSSL says: {why}");
    end(pbx);
    assert!(server.stop().is_some_and(|status| status.success()));
}
