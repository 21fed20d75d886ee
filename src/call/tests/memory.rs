//! What is written down of a conversation.

use super::*;
use crate::journal::field::Reader;
use crate::journal::frame;
use crate::wall::Wall;

/// Who changes what is written of a conversation changes the last byte of `HEAD`, too.
#[test]
fn form_of_a_conversation_is_that_of_the_head() {
    let (table, key) = Table::connected();
    let wall = Wall {
        at: table.now,
        since_epoch: Duration::from_secs(1_000_000),
    };
    let mut bytes = Vec::new();
    let written = table.calls.remember(key, &wall, &mut bytes);
    let (_, slots) = written.expect("its parties talk");
    assert_eq!(slots.len(), 2);
    let mut next = Table::new();
    next.now = next.now.max(table.now);
    let mut from = Reader::new(&bytes);
    let recalled = next.calls.recall(next.now, &wall, &mut from);
    assert_eq!(recalled.map(|(_, slots)| slots), Some(slots));
    assert!(from.is_empty());
    assert_eq!(frame::pin(&bytes), (2, 299, 7_019_114_746_529_085_420));
}
