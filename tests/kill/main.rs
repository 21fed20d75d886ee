//! A real server with a journal is killed at random moments under load and started again: whoever
//! was in a call is known afterwards.
//!
//! `cargo test --test kill` kills it a few times, `KILLS=100 cargo test --test kill` often.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod site;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use site::Site;

/// How often the test command kills.
const KILLS: u64 = 4;

#[test]
#[allow(clippy::disallowed_methods, reason = "who wants more says so")]
fn every_call_that_was_up_is_known_after_a_kill() {
    let kills = std::env::var("KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok());
    let kills = kills.unwrap_or(KILLS);
    let mut site = Site::new(&directory("kill"));
    let mut server = site.start();
    site.run(Duration::from_secs(3), false);
    for kill in 0..kills {
        // Any moment, as seen from the calls.
        let moment = 700 + kill.wrapping_mul(2_654_435_761) % 1_300;
        site.run(Duration::from_millis(moment), true);
        server.kill();
        site.witness.killed();
        server = site.start();
    }
    site.run(Duration::from_secs(2), true);
    site.run(Duration::from_secs(6), false);
    let witness = &site.witness;
    assert_eq!(witness.unknown, Vec::<String>::new(), "BYE met 481");
    assert!(witness.established > 10 * kills, "{witness:?}");
    assert!(witness.survived > kills, "{witness:?}");
    let dialogs = witness.subscribed.len();
    assert_eq!(dialogs, site::AGENTS as usize, "each phone's goes on");
}

#[test]
fn a_damaged_journal_is_cut_with_a_message_and_the_server_starts() {
    let mut site = Site::new(&directory("cut"));
    let mut server = site.start();
    site.run(Duration::from_secs(3), false);
    server.kill();
    let journals = site.journals();
    assert_eq!(journals.len(), 2, "{journals:?}");
    for (path, tail) in journals.iter().zip([&b"torn"[..], &[0xff; 4_000]]) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes.extend_from_slice(tail);
        std::fs::write(path, bytes).unwrap();
    }
    let _server = site.start();
    site.run(Duration::from_secs(3), false);
    assert_eq!(
        site.log().matches("a journal was cut").count(),
        2,
        "{}",
        site.log()
    );
    assert_eq!(
        site.log().matches(" serves SIP on ").count(),
        2,
        "{}",
        site.log()
    );
    let agents = site::AGENTS;
    let line = format!("0 calls, {agents} agents, {agents} subscriptions and 0 legs");
    assert!(site.log().contains(&line), "{}", site.log());
}

#[test]
fn a_second_server_is_kept_out_of_the_directory() {
    let mut site = Site::new(&directory("second"));
    let _server = site.start();
    site.run(Duration::from_secs(1), false);
    let second = site.start();
    assert_eq!(second.ends_with(), Some(1));
    assert!(site.log().contains("another server uses"), "{}", site.log());
}

fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What an earlier run has left is not there the first time.
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}
