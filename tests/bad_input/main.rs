//! Bad input against the running server: one row a case. Each row says what is sent, what must be
//! answered, and which counter rises by how much; every other counter of trouble must stay where
//! it was, and afterwards a call, its agent and a client must work as before.
//!
//! `OFFHOOK_TEST_DRIVER` takes that driver, as in the interop tests.
#![expect(clippy::unwrap_used, reason = "a test that meets an error has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "peers outside the server have real clocks"
)]

mod clients;
mod configuration;
mod datagrams;
mod http_port;
mod message;
mod notifies;
mod pbx;
mod scene;
mod streams;
mod trunks;

use std::collections::BTreeMap;

use offhook::cti::ErrorCode;

use scene::{PATIENCE, Scene, comes_true};

/// What comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// A final response of this status, and whoever has a connection keeps it.
    Status(u16),
    /// The same, and then the connection is closed.
    StatusAndClose(u16),
    /// The connection is closed without a word.
    Close,
    /// Nothing.
    Silence,
    /// EventError with this code.
    Error(ErrorCode),
    /// A WebSocket is closed with this code.
    CloseCode(u16),
}

/// One case.
struct Row {
    name: &'static str,
    /// Does it, and says what came back.
    act: fn(&Scene) -> Answer,
    answer: Answer,
    /// The counters that rise, and by how much.
    counts: &'static [(&'static str, u64)],
}

/// Goes through a table on one server.
fn hold(scene: Scene, rows: &[Row]) {
    for row in rows {
        let before = scene.counted();
        let answer = (row.act)(&scene);
        assert_eq!(answer, row.answer, "{}", row.name);
        let expected: BTreeMap<String, u64> = row
            .counts
            .iter()
            .map(|(key, count)| ((*key).to_owned(), *count))
            .collect();
        let risen = || risen(&before, &scene.counted());
        comes_true(PATIENCE, || risen() == expected);
        assert_eq!(risen(), expected, "{}", row.name);
        scene.still_works();
        assert_eq!(risen(), expected, "{}, and then a good call", row.name);
    }
    scene.server.stop().unwrap();
}

/// What has risen, and by how much.
fn risen(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let rise = |(key, value): (&String, &u64)| {
        let risen = value - before.get(key).copied().unwrap_or(0);
        (risen > 0).then(|| (key.clone(), risen))
    };
    after.iter().filter_map(rise).collect()
}
