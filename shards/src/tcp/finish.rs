//! The part of the table that closes what the engine needs no more: not before everything that was
//! given to the connection is written, under TLS with the word that nothing more will come.

use super::{StreamCommand, Table, live};
use crate::engine::ConnectionId;
use crate::metrics::Counter;

impl Table {
    /// Closes a connection once everything that was given to it is written.
    pub(crate) fn finish(&mut self, id: ConnectionId) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        connection.finishing = true;
        // Until it is open, its first bytes wait to be written.
        if connection.local.is_some() {
            self.finish_when_written(id);
        }
    }

    pub(super) fn finish_when_written(&mut self, id: ConnectionId) {
        let Some(connection) = live(&mut self.slots, id) else {
            return;
        };
        if !connection.finishing || connection.written < connection.output.len() {
            return;
        }
        let has_more = match &mut connection.tls {
            // What there is to say waits for the handshake, which has a deadline.
            Some(tls) if !tls.established => return,
            Some(tls) => tls.part(&mut connection.output),
            None => false,
        };
        if has_more {
            self.commands.push_back(StreamCommand::Attend { id });
        } else {
            self.close(id, Counter::ClosedByEngine);
        }
    }
}
