//! What a service manager is told (`sd_notify(3)`): that the server runs, that it stops, and while
//! the hub turns, that it is alive. Without a manager (`NOTIFY_SOCKET` is not set) nothing happens.

use std::io;

use sd_notify::NotifyState;

use super::gate::{Command, Gate};

/// Calls and desktops are served from here on.
pub(super) fn runs() {
    tell(NotifyState::Ready);
}

/// No new calls come in; those that are up may end.
pub(super) fn stops() {
    tell(NotifyState::Stopping);
}

/// Says at every half of the manager's patience that the hub answers. If the hub hangs, it stays
/// silent, and the manager starts the server anew.
pub(super) async fn watchdog(gate: Gate) {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut tick = tokio::time::interval(patience / 2);
    loop {
        tick.tick().await;
        if gate.ask(Command::Numbers).await.is_err() {
            return;
        }
        tell(NotifyState::Watchdog);
    }
}

fn tell(state: NotifyState<'_>) {
    match sd_notify::notify(&[state]) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => tracing::warn!(%error, "the service manager cannot be told"),
    }
}
