//! What is wrong, on which line, and what to write instead.
#[test]
fn t() {}
