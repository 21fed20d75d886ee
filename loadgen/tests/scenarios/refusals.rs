//! What is wrong before a run starts: the status, and words that say what to do.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use crate::play::{client, folder, free_address, program, server, words};

/// A command line that is refused.
struct Refusal<'a> {
    arguments: &'a [&'a str],
    status: i32,
    /// All of them are said.
    said: &'a [&'a str],
}

impl Refusal<'_> {
    fn holds(&self) {
        let output = program().args(self.arguments).output();
        let output = output.expect("the program of this package can be run");
        let text = words(&output.stderr);
        let arguments = self.arguments;
        assert_eq!(
            output.status.code(),
            Some(self.status),
            "{arguments:?}: {text}"
        );
        for said in self.said {
            assert!(text.contains(said), "{arguments:?}: {said}: {text}");
        }
    }
}

/// `arguments => status, words`, a row each.
macro_rules! refusals {
    ($([$($argument:expr),+] => $status:literal, $($said:expr),+;)+) => {
        $(Refusal {
            arguments: &[$($argument),+],
            status: $status,
            said: &[$($said),+],
        }.holds();)+
    };
}

#[test]
fn mistakes_are_said_before_anything_starts() {
    refusals! {
        ["uac", "192.0.2.1"] => 255, "192.0.2.1 is not on this machine", "--allow-target 192.0.2.1";
        ["uac"] => 255, "HOST or HOST:PORT";
        ["run", "missing.xml", "127.0.0.1"] => 255, "missing.xml cannot be read";
        ["run", "-sn", "nothing", "127.0.0.1"] => 255, "there is no scenario nothing", "uas";
        ["uac", "127.0.0.1", "-t", "s1"] => 255, "-t s1 is not supported", "l1 and ln";
        ["uac", "127.0.0.1", "-inf", "missing.csv"] => 255, "missing.csv cannot be read";
        ["uac", "127.0.0.1", "--load", "soon"] => 255, "write a plan such as";
        ["uac", "127.0.0.1", "--slo", "fast"] => 255, "write terms such as";
        ["uac", "127.0.0.1", "--slo", "p99(other)<1s"] => 255, "measures no `other`";
        ["find-max", "-sn", "uac", "127.0.0.1", "--unchecked"] => 255, "needs an objective";
        ["uac", "127.0.0.1", "--workers", "3", "-p", "6000-6001"] => 255,
            "3 workers need 3 addresses", "-p 6000-6002";
        ["uas", "-t", "l1"] => 255, "a server needs a certificate", "-tls_cert FILE";
        ["uas", "-t", "l1", "-tls_cert", "no.pem"] => 255, "no.pem cannot be read";
        ["uas", "-t", "l1", "-tls_crl", "no.pem"] => 2, "--tls_ca";
        ["uas", "-frobnicate"] => 2, "unexpected argument";
        ["find-max", "-sn", "uac", "127.0.0.1", "-r", "5"] => 2, "no use for `-r`";
        ["uac", "127.0.0.1", "-users", "1000001"] => 2, "from 1 to 1000000";
        ["uac", "127.0.0.1", "-set", "nothing", "1"] => 255, "no such variable";
        ["uac", "127.0.0.1", "--tick", "1h"] => 255, "--tick 3600s is too long";
        ["uac", "127.0.0.1", "--slo", "max(call)<48h"] => 255, "a time below a day";
        ["uac", "127.0.0.1", "--json", "/nowhere/a.json"] => 255,
            "/nowhere/a.json cannot be written";
        ["run", "-sf", "/dev/zero", "127.0.0.1"] => 255, "/dev/zero cannot be read: it is longer";
        ["check", "/dev/zero"] => 255, "/dev/zero cannot be read: it is longer";
        ["report", "/dev/zero"] => 255, "/dev/zero cannot be read: it is longer";
        ["uas", "-t", "l1", "-tls_cert", "/dev/zero"] => 255,
            "/dev/zero cannot be read: it is longer";
        ["floor", "/dev/zero"] => 255, "/dev/zero cannot be read: it is longer";
    }
}

#[test]
fn what_the_machine_lacks_is_said_before_anything_starts() {
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = taken.local_addr().expect("it has an address");
    let port = address.port().to_string();
    let port = port.as_str();
    refusals! {
        ["uac", "127.0.0.1:1"] => 255, "nobody listens on 127.0.0.1:1 over UDP; start it first";
        ["uac", "127.0.0.1:1", "-t", "t1"] => 255, "127.0.0.1:1 cannot be reached over TCP",
            "start it first, or say --unchecked";
        ["uac", "127.0.0.1:1", "-t", "ln"] => 255, "nobody listens on 127.0.0.1:1 over TCP";
        ["uas", "-i", "127.0.0.1", "-p", port] => 254, "the address is in use", "ss -lntup";
        ["uac", "127.0.0.1:1", "-i", "192.0.2.1"] => 254, "192.0.2.1";
        ["uas", "-i", "192.0.2.1"] => 254, "this machine has no address 192.0.2.1", "ip address";
        ["uac", "127.0.0.1:1", "-m", "1", "-r", "100000", "-recv_timeout", "100", "--unchecked",
            "--allow-degraded", "-nostdin"] => 1, "bytes of buffer", "datagrams are lost";
    }
}

/// Commands go where the twins are, and lines of files to all workers.
#[test]
fn what_would_leave_this_machine_or_a_worker_is_refused() {
    let folder = folder("reach");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder can be written");
        path.to_string_lossy().into_owned()
    };
    let twin = file(
        "twin.xml",
        "<scenario><sendCmd><![CDATA[Call-ID: [call_id]]]></sendCmd></scenario>",
    );
    let insert = "<insert file=\"f\" value=\"1\"/>";
    let insert = file(
        "insert.xml",
        &format!("<scenario><recv request=\"INFO\"><action>{insert}</action></recv></scenario>"),
    );
    let twins = file("twins.txt", "m;127.0.0.1:7000\ns;192.0.2.7:7001\n");
    let (twin, insert, twins) = (twin.as_str(), insert.as_str(), twins.as_str());
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/floors/small.toml");
    let garbled = file("garbled.toml", "");
    fs::write(&garbled, b"[run]\nname = \"\xff\"\n").expect("the folder can be written");
    let garbled = garbled.as_str();
    refusals! {
        ["run", twin, "127.0.0.1", "-3pcc", "192.0.2.7:7001", "--unchecked"] => 255,
            "--allow-target 192.0.2.7";
        ["run", twin, "127.0.0.1", "-slave_cfg", twins, "-master", "m", "--unchecked"] => 255,
            "--allow-target 192.0.2.7";
        ["run", insert, "127.0.0.1", "--workers", "2", "--unchecked"] => 255,
            "inserts lines into a file", "single worker";
        ["floor", small, "--target", "127.0.0.1:1"] => 255, "nobody listens on 127.0.0.1:1";
        ["floor", small, "--html", "/nowhere/a.html"] => 255, "/nowhere/a.html cannot be written";
        ["floor", "--check", garbled] => 2, "garbled.toml:2: this is no UTF-8";
    }
}

/// The caller says that media are to go to another machine; the calls succeed, and still the run is
/// none that was planned, whatever objective was met.
#[test]
fn media_for_another_machine_are_not_sent_and_no_objective_hides_it() {
    let folder = folder("media-reach");
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("the folder can be written");
        path.to_string_lossy().into_owned()
    };
    let media = file(
        "media.xml",
        "<scenario><recv request=\"INFO\"/><nop><action><exec play_dtmf=\"1\"/></action></nop>\
         <send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:];tag=1\n\
         [last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n]]></send></scenario>",
    );
    let call = |host: &str| {
        format!(
            "<scenario><send retrans=\"500\"><![CDATA[\nINFO sip:a@b SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: [call_id]\nCSeq: 1 INFO\n\
             Content-Length: [len]\n\nv=0\nc=IN IP4 {host}\nm=audio 7000 RTP/AVP 8 101\n\
             ]]></send><recv response=\"200\"/></scenario>"
        )
    };
    for (host, status) in [("127.0.0.1", 0), ("192.0.2.7", 6)] {
        let address = free_address();
        let server = server(
            &["run", "-sf", &media, "-m", "2", "--slo", "failed<1%"],
            address,
        );
        let call = file("call.xml", &call(host));
        let output = client(&["run", "-sf", &call, "-m", "2"], address);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output.stderr));
        let ended = server.wait_with_output().expect("it ends by itself");
        let text = words(&ended.stdout);
        assert_eq!(ended.status.code(), Some(status), "{host}: {text}");
        let said = "Not sent: 2 times a call or its media were to go to another machine";
        assert_eq!(text.contains(said), status == 6, "{host}: {text}");
    }
}

#[test]
fn faults_of_a_scenario_are_said_with_line_and_hint() {
    let folder = folder("faults");
    let head = "<scenario>\n<recv request=\"INVITE\"/>\n";
    for (text, said) in [
        ("<sned/>", "unknown element <sned>; did you mean <send>?"),
        (
            "<nop><action><asign/></action></nop>",
            "unknown action <asign>; did you mean <assign>?",
        ),
        (
            "<send/>",
            "<send> has no message; put it into <![CDATA[ … ]]>",
        ),
        (
            "<send><![CDATA[ [wrong] ]]></send>",
            "unknown keyword [wrong]: give it with `-key`",
        ),
        (
            "<send><![CDATA[ [cryptotag1audio] ]]></send>",
            "SRTP keywords are not supported",
        ),
        (
            "<pause milliseconds=\"soon\"/>",
            "milliseconds=\"soon\" is no number",
        ),
        ("<nop next=\"gone\"/>", "there is no label gone"),
        ("<recv/>", "request"),
    ] {
        let file = folder.join("fault.xml");
        fs::write(&file, format!("{head}{text}\n</scenario>")).expect("the folder can be written");
        let file = file.to_string_lossy().into_owned();
        Refusal {
            arguments: &["run", &file, "-m", "1"],
            status: 255,
            said: &["fault.xml:3: error: ", said, "cannot be run"],
        }
        .holds();
    }
}

/// The number of descriptors is the child's own.
#[test]
fn too_few_descriptors_are_said_with_the_cure() {
    let address = free_address();
    let _peer = std::net::TcpListener::bind(address).expect("it was free a moment ago");
    let remote = address.to_string();
    for (arguments, cure) in [
        (
            &["uas", "-i", "127.0.0.1", "-p", "6000"][..],
            "ulimit -n 65",
        ),
        (
            &["uac", &remote, "-t", "tn", "-r", "100", "-d", "3000"],
            "ulimit -n 467",
        ),
        (
            &["uac", &remote, "-t", "tn", "-r", "100", "-l", "20"],
            "ulimit -n 87",
        ),
    ] {
        let output = Command::new("sh")
            .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_offhook-load"))
            .args(arguments)
            .output()
            .expect("there is a shell");
        let text = words(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{text}");
        assert!(text.contains(cure), "{arguments:?}: {text}");
    }
}
