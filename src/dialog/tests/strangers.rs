//! What the log says of strangers.

use std::time::{Duration, Instant};

use offhook_shards::{Source, Transport};

use crate::dialog::strangers::StrangersLog;
use crate::sip::Method;

#[test]
fn the_log_has_one_line_in_ten_seconds() {
    let mut log = StrangersLog::default();
    let source = Source {
        transport: Transport::Udp,
        local: "192.0.2.10:5060".parse().unwrap(),
        remote: "198.51.100.66:5060".parse().unwrap(),
        connection: None,
    };
    let start = Instant::now();
    let written = (0..30_000_u64).filter(|millisecond| {
        let now = start + Duration::from_millis(*millisecond);
        log.note(now, source, Method::Other("FLOOD"))
    });
    assert_eq!(written.count(), 3);
    assert_eq!(log.unlogged, 9_999);
}
