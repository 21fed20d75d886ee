//! What runs a shard: the two drivers, behind one trait, and which of them to take. A driver
//! watches descriptors, reads and writes streams, and sleeps; everything else is the shard's, and
//! the same for both.

mod epoll;
mod lookout;
mod uring;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Instant;

use crate::clock::Clock;
use crate::control::Shared;
use crate::engine::{Engine, ShardId};
use crate::limits;
use crate::options::{Driver, DriverChoice, StartError, UringDenied};
use crate::placement;
use crate::seat::Seat;
use crate::shard::Shard;
use crate::sockets::{Listener, ShardSockets};
use crate::sys;

/// Runs one shard on the calling thread.
pub(crate) trait Drive: Sized {
    /// Takes everything that can be refused.
    fn prepare() -> Result<Self, StartError>;

    /// Runs the shard until it is told to stop. `listeners` accept its stream connections.
    fn run<E: Engine>(self, shard: Shard<E>, listeners: Vec<Listener>);
}

/// What a shard's thread starts with.
pub(crate) struct Launch<E: Engine, F> {
    pub(crate) seat: Seat<E>,
    pub(crate) core: Option<usize>,
    /// Brings the sockets once all threads are ready; disconnected if one of them is not.
    pub(crate) sockets: mpsc::Receiver<ShardSockets>,
    pub(crate) ready: mpsc::Sender<Result<(), StartError>>,
    /// Dropped when the thread ends.
    pub(crate) end: mpsc::Sender<()>,
    pub(crate) factory: F,
}

/// A shard's thread, from its first line to its last.
pub(crate) fn run_thread<E: Engine, F: Fn(ShardId) -> E>(driver: Driver, launch: Launch<E, F>) {
    match driver {
        Driver::Uring => run::<E, F, uring::Uring>(launch),
        Driver::Epoll => run::<E, F, epoll::Epoll>(launch),
    }
}

fn run<E: Engine, F: Fn(ShardId) -> E, D: Drive>(launch: Launch<E, F>) {
    let Launch {
        seat,
        core,
        sockets,
        ready,
        end,
        factory,
    } = launch;
    // Dropped last: everything the shard had is closed when `stop` hears of its end.
    let _end = end;
    let _obituary = Obituary {
        shared: Arc::clone(&seat.shared),
        me: seat.me,
    };
    let pinned = core.map_or(Ok(()), |core| {
        let pinned = placement::pin_current_thread(&[core]);
        pinned.map_err(|error| StartError::Pin { core, error })
    });
    let prepared = pinned.and_then(|()| D::prepare());
    let driver = match prepared {
        Ok(driver) => driver,
        Err(error) => {
            // The starter waits for every thread's answer, so it is there to hear this one.
            let _ = ready.send(Err(error));
            return;
        }
    };
    if let Err(error) = sys::run_in_slices(limits::SLICE) {
        tracing::debug!(%error, "a shard that wakes waits for whoever runs on its core");
    }
    if !seat.pace.is_zero() {
        sys::sleep_exactly();
    }
    let engine = factory(seat.me);
    let _ = ready.send(Ok(()));
    drop(ready);
    let Ok(sockets) = sockets.recv() else { return };
    let shard = Shard::new(seat, engine, sockets.udp, Clock.now());
    driver.run(shard, sockets.streams);
}

/// Lets input gather until then.
fn nap(until: Instant) {
    std::thread::sleep(until.saturating_duration_since(Clock.now()));
}

/// Tells the control plane of a shard's end, also when it panics.
struct Obituary<E: Engine> {
    shared: Arc<Shared<E>>,
    me: ShardId,
}

impl<E: Engine> Drop for Obituary<E> {
    fn drop(&mut self) {
        self.shared.alive[self.me.index()].store(false, Ordering::SeqCst);
        self.shared.listener.wake();
    }
}

/// Decides for a driver, and says why io_uring was not taken although it might have been.
pub(crate) fn choose(choice: DriverChoice) -> Result<(Driver, Option<UringDenied>), UringDenied> {
    match choice {
        DriverChoice::Epoll => Ok((Driver::Epoll, None)),
        DriverChoice::Uring => uring_allowed().map(|()| (Driver::Uring, None)),
        DriverChoice::Auto => Ok(match uring_allowed() {
            Ok(()) => (Driver::Uring, None),
            Err(denied) => (Driver::Epoll, Some(denied)),
        }),
    }
}

fn uring_allowed() -> Result<(), UringDenied> {
    let errno = |error: std::io::Error| error.raw_os_error().unwrap_or(0);
    // On a thread of its own: the kernel tears a ring down later, on the thread that made it, and
    // interrupts whatever system call that thread is in.
    let probe = std::thread::spawn(sys::probe_io_uring).join();
    let probed = probe.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
    probed.map_err(|error| explain(errno(error), disabled_level()))?;
    let bytes = sys::memlock_bytes().map_err(|error| UringDenied::Refused {
        errno: errno(error),
    })?;
    if bytes < limits::MEMLOCK_BYTES_MIN {
        return Err(UringDenied::Memlock { bytes });
    }
    sys::register_membarrier();
    Ok(())
}

/// The administrator's switch, where the kernel has it.
fn disabled_level() -> u8 {
    let text = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    text.ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn explain(errno: i32, disabled_level: u8) -> UringDenied {
    match errno {
        libc::EPERM if disabled_level > 0 => UringDenied::Disabled {
            level: disabled_level,
        },
        libc::EPERM | libc::EACCES => UringDenied::Forbidden,
        libc::ENOSYS => UringDenied::Missing,
        errno => UringDenied::Refused { errno },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_of_the_kernel_has_its_own_reason() {
        assert_eq!(explain(libc::EPERM, 2), UringDenied::Disabled { level: 2 });
        assert_eq!(explain(libc::EPERM, 0), UringDenied::Forbidden);
        assert_eq!(explain(libc::ENOSYS, 0), UringDenied::Missing);
        assert_eq!(
            explain(libc::ENOMEM, 0),
            UringDenied::Refused {
                errno: libc::ENOMEM
            }
        );
    }

    #[test]
    fn auto_takes_epoll_exactly_when_it_can_say_why() {
        let (driver, denied) = choose(DriverChoice::Auto).unwrap();
        assert_eq!(driver == Driver::Epoll, denied.is_some());
        assert_eq!(choose(DriverChoice::Uring).is_ok(), denied.is_none());
        assert_eq!(choose(DriverChoice::Epoll), Ok((Driver::Epoll, None)));
    }
}
