//! SIGHUP: the files of `[tls]` are read again. New connections get what is in them, open ones keep
//! what they have, and files that cannot be used change nothing.

use std::sync::Arc;

use offhook_shards::rustls::ServerConfig;
use offhook_shards::{TlsSettings, TlsStore};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;

use super::tls;

/// The TLS that is in use, of SIP and of HTTP, where there is any.
pub(super) struct InUse {
    /// Who names the files.
    pub(super) config: Arc<Config>,
    /// Of SIP.
    pub(super) sip: Option<TlsStore>,
    /// Of HTTP.
    pub(super) http: Option<watch::Sender<Arc<ServerConfig>>>,
}

impl InUse {
    /// Reads the files again whenever SIGHUP comes.
    pub(super) async fn run(self) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::warn!(%error, "SIGHUP cannot be caught"),
        };
        while hangup.recv().await.is_some() {
            match self.read() {
                Ok((None, None)) => tracing::info!("SIGHUP: there is nothing to read again"),
                Ok(settings) => {
                    self.take(settings);
                    tracing::info!("SIGHUP: the files of [tls] were read again");
                }
                Err(words) => {
                    tracing::error!("SIGHUP: the old certificate stays in use: {words}");
                }
            }
        }
    }

    /// Both or neither: a file that is bad for one is bad for the other.
    fn read(&self) -> Result<(Option<TlsSettings>, Option<Arc<ServerConfig>>), String> {
        Ok((tls::load(&self.config)?, tls::load_http(&self.config)?))
    }

    fn take(&self, (sip, http): (Option<TlsSettings>, Option<Arc<ServerConfig>>)) {
        if let (Some(store), Some(settings)) = (&self.sip, sip) {
            store.set(settings);
        }
        if let (Some(store), Some(settings)) = (&self.http, http) {
            store.send_replace(settings);
        }
    }
}
