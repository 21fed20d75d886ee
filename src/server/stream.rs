//! The bytes of one HTTP connection: plain, or under TLS. The handshake is part of the first read,
//! so that whoever is slow at it holds up nobody, and the door's deadline is over it too. Who may
//! come in is decided above.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use offhook_shards::rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// What TLS the next connection gets; connections that are open keep theirs.
pub type Secrets = watch::Receiver<Arc<ServerConfig>>;

/// One connection.
pub(super) enum Stream {
    /// Without TLS.
    Plain(TcpStream),
    /// The handshake goes on.
    Shaking(Box<Accept<TcpStream>>),
    /// The handshake is over.
    Secret(Box<TlsStream<TcpStream>>),
    /// The handshake has failed; nothing more is to be read or written.
    Failed,
}

impl Stream {
    /// A connection that was just accepted.
    pub(super) fn new(stream: TcpStream, secrets: Option<&Secrets>) -> Self {
        match secrets {
            None => Self::Plain(stream),
            Some(secrets) => {
                let config = Arc::clone(&secrets.borrow());
                Self::Shaking(Box::new(TlsAcceptor::from(config).accept(stream)))
            }
        }
    }

    /// Whether it is not known yet if the peer speaks TLS.
    pub(super) fn is_shaking(&self) -> bool {
        matches!(self, Self::Shaking(_))
    }

    /// Goes on with a handshake, before anything is read; an error ends the connection.
    pub(super) fn poll_handshake(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Shaking(accept) = self else {
            return Poll::Ready(Ok(()));
        };
        match ready!(Pin::new(accept.as_mut()).poll(context)) {
            Ok(stream) => {
                *self = Self::Secret(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }

    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Secret(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
            Self::Shaking(_) | Self::Failed => Poll::Ready(Err(closed())),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_handshake(context))?;
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Secret(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, slices),
            Self::Shaking(_) | Self::Failed => Poll::Ready(Err(closed())),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Secret(stream) => Pin::new(stream.as_mut()).poll_flush(context),
            Self::Shaking(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Secret(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
            Self::Shaking(_) | Self::Failed => Poll::Ready(Ok(())),
        }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}
