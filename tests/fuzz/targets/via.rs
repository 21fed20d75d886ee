//! Via: what is read is written so that it reads the same, and a response goes back to where its
//! request came from.

use std::net::SocketAddr;

use offhook::limits::BRANCH_BYTES_MAX;
use offhook::sip::Via;

use super::uri::same_parameters;

/// One value.
pub fn run(bytes: &[u8]) {
    let Ok(via) = Via::parse(bytes) else {
        return;
    };
    let written = via.to_string();
    let again = Via::parse(written.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{written} is not read again: {error}"));
    assert_eq!(
        (via.transport, via.host, via.port),
        (again.transport, again.host, again.port)
    );
    assert_eq!(
        (via.branch(), via.unique_branch()),
        (again.branch(), again.unique_branch())
    );
    assert_eq!(
        (via.received(), via.rport()),
        (again.received(), again.rport())
    );
    same_parameters(&via.parameters, &again.parameters);
    assert_eq!(written, again.to_string());
    assert!(
        via.branch()
            .is_none_or(|branch| branch.len() <= BRANCH_BYTES_MAX)
    );
    assert!(via.unique_branch().is_none() || via.unique_branch() == via.branch());
    for source in ["192.0.2.7:5071", "[2001:db8::7]:5071"] {
        let source: SocketAddr = source.parse().expect("an address");
        assert_eq!(
            via.reply_to(source).ip(),
            source.ip(),
            "an answer goes elsewhere"
        );
    }
}
