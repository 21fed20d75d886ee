//! The part of the table that meets TLS: what a connection is opened under, and what bytes from
//! the network mean before they are data.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Deadline, StreamCommand, Table, live};
use crate::engine::{ConnectionChange, ConnectionId, ConnectionOutcome};
use crate::limits;
use crate::metrics::Counter;
use crate::tls::{Progress, Tls};

/// What a connection that is opened is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Security {
    /// Nothing.
    None,
    /// TLS, with a peer whose certificate is for this name; without a name it is not opened.
    Tls(Option<String>),
}

/// A connection that is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) security: Security,
    pub(crate) remote: SocketAddr,
    /// The address to connect from.
    pub(crate) local: Option<SocketAddr>,
    /// Whether others who send to the peer may use it.
    pub(crate) is_shared: bool,
}

impl Table {
    /// Opens a connection and queues bytes for it; `None` when a limit refuses it, of which those
    /// who share it are told.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        opening: Opening,
        bytes: &[u8],
    ) -> Option<ConnectionId> {
        let Opening {
            security,
            remote,
            local,
            is_shared,
        } = opening;
        let mut hello = Vec::new();
        let tls = match security {
            Security::None => Ok(None),
            Security::Tls(name) => {
                let store = self.tls.as_ref();
                let tls = store.and_then(|store| Tls::connect(store, name.as_deref()?, &mut hello));
                tls.map(|tls| Some(Box::new(tls)))
                    .ok_or(Counter::ConnectFailed)
            }
        };
        match self.has_room(remote).and(tls) {
            Ok(tls) => {
                let id = self.insert(now, remote, None, tls);
                if let Some(connection) = live(&mut self.slots, id) {
                    connection.output = hello;
                }
                if is_shared {
                    self.share(id);
                }
                self.append(id, bytes);
                self.commands
                    .push_back(StreamCommand::Open { id, remote, local });
                Some(id)
            }
            Err(limit) => {
                self.count(limit, 1);
                let outcome = ConnectionOutcome::ConnectFailed;
                let change = ConnectionChange {
                    connection: None,
                    remote,
                    outcome,
                };
                self.changes.extend(is_shared.then_some(change));
                None
            }
        }
    }

    /// What the driver has read from a connection under TLS.
    pub(super) fn received_secret(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        let Some(tls) = &mut connection.tls else {
            return;
        };
        let idle = connection.written == connection.output.len();
        let progress = tls.receive(bytes, &mut connection.input, &mut connection.output);
        let speaks = idle && connection.written < connection.output.len();
        if speaks && connection.local.is_some() {
            self.commands.push_back(StreamCommand::Attend { id });
        }
        match progress {
            Ok(Progress::Going) => self.queue_to_cut(id),
            Ok(Progress::Established) => {
                self.wheel.cancel(connection.timer);
                let at = now + limits::IDLE_DEADLINE;
                connection.timer = self.wheel.arm(at, Deadline::Idle(id));
                self.count(Counter::Handshakes, 1);
                self.queue_to_cut(id);
            }
            Ok(Progress::Finished) => self.ended(id, Counter::ClosedByPeer),
            Err(error) => self.tls_failed(now, id, &error),
        }
    }

    fn tls_failed(&mut self, now: Instant, id: ConnectionId, error: &rustls::Error) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        let (remote, was_open) = (connection.remote, connection.was_open());
        if was_open {
            // Anybody may come and say nonsense: that is no news for an operator.
            tracing::debug!(%remote, "TLS with a peer that came: {error}");
            // The peer has a second to read why.
            return self.part(now, id, Counter::ClosedTls);
        }
        tracing::warn!(%remote, "no TLS connection could be opened: {error}");
        self.count(Counter::ClosedTls, 1);
        self.close(id, Counter::ClosedTls);
    }
}
