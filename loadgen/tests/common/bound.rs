//! Whether a program that was started has its address.

use std::net::SocketAddr;
use std::process::Child;
use std::time::Duration;

/// Waits until the program has one of those sockets at the address, at most 10 s and not beyond its
/// end.
///
/// The kernel's list is read instead of trying to bind the address: the attempt takes it for an
/// instant, and a program that binds at that instant is told that it is in use.
pub(crate) fn await_bound(
    child: &mut Child,
    address: SocketAddr,
    sockets: fn() -> Vec<SocketAddr>,
) -> Result<(), String> {
    for _ in 0..1_000 {
        if sockets().contains(&address) {
            return Ok(());
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!(
                "the program ended before it had {address}: {status}"
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(format!("nobody has bound {address}"))
}
