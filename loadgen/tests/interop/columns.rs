//! The columns of the files that SIPp's users know.

use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;

use crate::play::{folder, ours, sipp};

/// The first line of statistics is SIPp's, whatever response times and counters there are.
#[test]
fn the_columns_of_statistics_are_sipp_s() {
    let folder = folder("columns");
    let scenario = SCENARIO
        .replacen("<send>", "<send start_rtd=\"a\" counter=\"tries\">", 1)
        .replace("rrs=\"true\"", "rrs=\"true\" rtd=\"a\" counter=\"2\"")
        .replace(
            "</scenario>",
            "<pause milliseconds=\"1\" rtd=\"true\"/>\
             <ResponseTimeRepartition value=\"20, 10\"/>\
             <CallLengthRepartition value=\"10, 20\"/></scenario>",
        );
    std::fs::write(folder.join("columns.xml"), scenario).expect("the folder can be written");
    std::fs::write(folder.join("people.csv"), "SEQUENTIAL\nann;one\n")
        .expect("the folder can be written");
    let header = |mut command: Command, file: &str| {
        play(&mut command, &["-trace_stat", "-stf", file], "columns.xml");
        let text = std::fs::read_to_string(folder.join(file)).expect("the file was written");
        text.lines().next().unwrap_or_default().to_owned()
    };
    let theirs = header(sipp(&folder), "theirs.csv");
    let mut own = ours(&folder);
    own.args(["run", "--allow-degraded"]);
    assert_eq!(header(own, "ours.csv"), theirs);
}

/// The first line of counts is SIPp's.
#[test]
fn the_columns_of_counts_are_sipp_s() {
    let folder = folder("counts");
    let scenario = SCENARIO.replace("<send>", "<nop/><pause/><send retrans=\"500\" lost=\"1\">");
    std::fs::write(folder.join("counts.xml"), scenario).expect("the folder can be written");
    std::fs::write(folder.join("people.csv"), "SEQUENTIAL\nann;one\n")
        .expect("the folder can be written");
    let header = |mut command: Command| {
        play(&mut command, &["-trace_counts"], "counts.xml");
        let files = std::fs::read_dir(&folder).expect("the folder is there");
        let mut paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let found = paths.find(|path| path.to_string_lossy().ends_with("counts.csv"));
        let path = found.expect("the file was written");
        let text = std::fs::read_to_string(&path).expect("it is text");
        std::fs::remove_file(&path).expect("it is ours");
        text.lines().next().unwrap_or_default().to_owned()
    };
    let theirs = header(sipp(&folder));
    let mut own = ours(&folder);
    own.args(["run", "--allow-degraded"]);
    assert_eq!(header(own), theirs);
}

/// One call to where nobody answers: it fails, and the files are written all the same.
fn play(command: &mut Command, traces: &[&str], scenario: &str) {
    let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has free ports");
    let address = peer.local_addr().expect("a bound socket has an address");
    command
        .args(["-sf", scenario, &address.to_string(), "-i", "127.0.0.1"])
        .args(["-m", "1", "-nostdin", "-inf", "people.csv"])
        .args(["-key", "word", "key", "-recv_timeout", "200"])
        .args(["-timeout", "20"])
        .args(traces);
    command
        .output()
        .expect("SIPp can be run; on Debian: sip-tester");
}

const SCENARIO: &str = include_str!("scenarios/bytes.xml");
