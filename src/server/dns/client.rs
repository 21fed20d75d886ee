//! The name servers: those of the configuration, or those of the operating system, whose
//! configuration is read again whenever they have not answered.

use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::config::Dns;
use crate::dns::Problem;

pub(super) struct Client {
    settings: Dns,
    resolver: Option<Arc<TokioResolver>>,
}

impl Client {
    pub(super) fn new(settings: &Dns) -> Self {
        Self {
            settings: settings.clone(),
            resolver: None,
        }
    }

    /// Whom to ask; `None`, with a word in the log, when nobody is known.
    pub(super) fn resolver(&mut self) -> Option<Arc<TokioResolver>> {
        if self.resolver.is_none() {
            match build(&self.settings) {
                Ok(resolver) => self.resolver = Some(Arc::new(resolver)),
                Err(error) => tracing::error!("names cannot be looked up: {error}"),
            }
        }
        self.resolver.clone()
    }

    /// A look has failed.
    pub(super) fn failed(&mut self, problem: Problem) {
        if problem == Problem::NoAnswer && self.settings.servers.is_empty() {
            self.resolver = None;
        }
    }
}

fn build(settings: &Dns) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let mut builder = if settings.servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = settings.servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = settings.timeout;
    options.attempts = usize::try_from(settings.attempts).unwrap_or(usize::MAX);
    // The book remembers, and says how long.
    options.cache_size = 0;
    builder.build()
}
