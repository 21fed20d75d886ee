//! What shards have in common before they run: the queues between them, the bells, and what goes
//! through the queues. Nothing here runs; `shard.rs` does.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::control::Shared;
use crate::engine::{ConnectionChange, ConnectionId, Engine, ShardId, Source, Transmit};
use crate::intake::Urgency;
use crate::limits;
use crate::mesh::{Lane, Mesh, Sleeper};
use crate::options::{Driver, Options, Room};
use crate::sys::EventFd;
use crate::tls::TlsStore;

/// What shards send each other.
#[derive(Debug)]
pub(crate) enum Parcel<M> {
    /// Bytes that arrived at a shard that does not own them.
    Received {
        source: Source,
        came: Instant,
        urgency: Urgency,
        bytes: Box<[u8]>,
    },
    /// Bytes for a connection that lives on the receiver.
    Transmit {
        transmit: Transmit,
        bytes: Box<[u8]>,
    },
    /// A connection that lives on the receiver is to be closed.
    Close(ConnectionId),
    /// A connection of the sender's was closed or could not be opened.
    Change(ConnectionChange),
    /// From engine to engine.
    Message(M),
}

const _: () = assert!(
    size_of::<Parcel<()>>() <= 120,
    "two shards have room for 4,096"
);

impl<M> Parcel<M> {
    /// What may have to wait for room, or to be refused, goes where it is in nobody's way.
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Received { urgency, .. } => match urgency {
                Urgency::Now => Lane::Urgent,
                Urgency::Soon => Lane::Patient,
                Urgency::Last | Urgency::Aside => Lane::New,
            },
            Self::Transmit { .. } | Self::Close(_) | Self::Change(_) | Self::Message(_) => {
                Lane::Urgent
            }
        }
    }
}

/// What a shard is given before its thread starts.
pub(crate) struct Seat<E: Engine> {
    pub(crate) me: ShardId,
    pub(crate) shared: Arc<Shared<E>>,
    pub(crate) mesh: Arc<Mesh<Parcel<E::Message>>>,
    pub(crate) pace: Duration,
    pub(crate) prompt: bool,
    pub(crate) stamps: bool,
    pub(crate) joins_datagrams: bool,
    pub(crate) allocations: fn() -> u64,
    pub(crate) message_deadline: Duration,
    pub(crate) room: Room,
    pub(crate) tls: Option<TlsStore>,
}

impl<E: Engine> Seat<E> {
    /// Seats for all shards, and what they share with the control plane.
    pub(crate) fn for_all(
        driver: Driver,
        options: &Options,
    ) -> io::Result<(Arc<Shared<E>>, Vec<Self>)> {
        let blocking = driver == Driver::Uring;
        let sleeper = |_| Ok(Arc::new(Sleeper::new(EventFd::new(blocking)?)));
        let sleepers: Vec<_> = (0..options.shards)
            .map(sleeper)
            .collect::<io::Result<_>>()?;
        let mesh = Arc::new(Mesh::new(
            sleepers.clone(),
            [
                limits::MESH_QUEUE_MAX,
                limits::MESH_PATIENT_MAX,
                limits::MESH_NEW_MAX,
            ],
        ));
        let listener = Sleeper::new(EventFd::new(false)?);
        let shared = Arc::new(Shared::new(sleepers, listener, Arc::clone(&mesh)));
        let seat = |shard| Self {
            me: ShardId(shard),
            shared: Arc::clone(&shared),
            mesh: Arc::clone(&mesh),
            pace: options.pace,
            prompt: options.prompt && options.pace.is_zero() && !options.joins_datagrams,
            stamps: options.has_stamps(),
            joins_datagrams: options.joins_datagrams,
            allocations: options.allocations,
            message_deadline: options.message_deadline,
            room: options.room,
            tls: options.tls_store.clone(),
        };
        let seats = (0..options.shards).map(seat).collect();
        Ok((shared, seats))
    }
}
