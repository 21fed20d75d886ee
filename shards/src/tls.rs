//! TLS on the stream connections of a shard, without their sockets: what the driver has read goes
//! through it on the way in, what the engine says on the way out. Who is trusted, and by what
//! name, is in the configurations that the starter brings; here they are only used.

use std::fmt;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use crate::limits;

/// What both sides of TLS are configured with.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// For connections that are accepted.
    pub server: Arc<ServerConfig>,
    /// For connections that are opened.
    pub client: Arc<ClientConfig>,
}

/// The settings that the next connection takes; those that are open keep theirs.
#[derive(Clone)]
pub struct TlsStore(Arc<Mutex<TlsSettings>>);

impl TlsStore {
    /// A store of these settings.
    #[must_use]
    pub fn new(settings: TlsSettings) -> Self {
        Self(Arc::new(Mutex::new(settings)))
    }

    /// Replaces the settings for all connections to come, on all shards.
    pub fn set(&self, settings: TlsSettings) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = settings;
    }

    /// The settings now. Asked once a connection.
    fn settings(&self) -> TlsSettings {
        let settings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        settings.clone()
    }
}

impl fmt::Debug for TlsStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TlsStore").finish_non_exhaustive()
    }
}

impl PartialEq for TlsStore {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TlsStore {}

/// One connection's TLS.
pub(crate) struct Tls {
    session: Connection,
    /// Whether the peer opened the connection.
    pub(crate) accepted: bool,
    /// Whether the handshake is over.
    pub(crate) established: bool,
    /// Whether the peer was told that nothing more will come.
    parted: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("accepted", &self.accepted)
            .field("established", &self.established)
            .finish_non_exhaustive()
    }
}

/// What bytes from the network came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The handshake goes on, or data came.
    Going,
    /// With these bytes the handshake was done.
    Established,
    /// The peer has said that nothing more will come.
    Finished,
}

impl Tls {
    /// The side that is connected to.
    pub(crate) fn accept(store: &TlsStore) -> Option<Self> {
        let session = ServerConnection::new(store.settings().server).ok()?;
        Some(Self::of(Connection::Server(session), true))
    }

    /// The side that connects, to a peer whose certificate must be for `name`: a host name or an
    /// address. The first bytes to send are in `out`.
    pub(crate) fn connect(store: &TlsStore, name: &str, out: &mut Vec<u8>) -> Option<Self> {
        let name = ServerName::try_from(name.to_owned()).ok()?;
        let session = ClientConnection::new(store.settings().client, name).ok()?;
        let mut tls = Self::of(Connection::Client(session), false);
        tls.flush(out);
        Some(tls)
    }

    fn of(mut session: Connection, accepted: bool) -> Self {
        // Until the handshake is over, what there is to say waits in the session.
        session.set_buffer_limit(Some(limits::STREAM_OUTPUT_BYTES_MAX));
        Self {
            session,
            accepted,
            established: false,
            parted: false,
        }
    }

    /// Takes bytes from the network: data goes to the end of `plain`, what is to be sent to the
    /// end of `out`, also when the connection is over.
    pub(crate) fn receive(
        &mut self,
        mut bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Progress, rustls::Error> {
        let mut progress = Progress::Going;
        while !bytes.is_empty() {
            let before = bytes.len();
            let read = self.session.read_tls(&mut bytes);
            let state = self.session.process_new_packets();
            self.flush(out);
            let state = state?;
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            let whole = self.session.reader().read_exact(&mut plain[start..]);
            whole.expect("the session has as many bytes as it says");
            if !self.established && !self.session.is_handshaking() {
                self.established = true;
                progress = Progress::Established;
                // What waited for it.
                self.flush(out);
            }
            if state.peer_has_closed() {
                return Ok(Progress::Finished);
            }
            if read.is_err() || bytes.len() == before {
                return Err(rustls::Error::General(
                    "no record fits the buffer".to_owned(),
                ));
            }
        }
        Ok(progress)
    }

    /// Takes what is to be said; `false` when too much waits.
    pub(crate) fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> bool {
        let taken = self.session.writer().write(plain);
        self.flush(out);
        matches!(taken, Ok(taken) if taken == plain.len())
    }

    /// Tells the peer that nothing more will come; `false` if it was told before.
    pub(crate) fn part(&mut self, out: &mut Vec<u8>) -> bool {
        if std::mem::replace(&mut self.parted, true) {
            return false;
        }
        self.session.send_close_notify();
        self.flush(out);
        true
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        while self.session.wants_write() {
            let written = self.session.write_tls(out);
            written.expect("a vector takes every byte");
        }
    }
}
