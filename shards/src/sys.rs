//! The only unsafe code of this package: system calls that the standard library and socket2 do
//! not offer, behind functions that cannot be misused. Each block says why it is sound. Nothing
//! here decides anything; `udp.rs`, `driver/` and `placement.rs` do.
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; each block says why"
)]

mod batch;

use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use batch::{Datagram, ReceiveBatch, SendBatch, accept_joined, stamp_arrivals};

/// A counter in the kernel that makes a descriptor readable.
#[derive(Debug)]
pub(crate) struct EventFd(std::fs::File);

impl EventFd {
    /// A blocking one is for io_uring, which reports "would block" instead of waiting otherwise.
    pub(crate) fn new(blocking: bool) -> io::Result<Self> {
        let flags = libc::EFD_CLOEXEC | if blocking { 0 } else { libc::EFD_NONBLOCK };
        // SAFETY: eventfd takes two integers and touches no memory of ours.
        let descriptor = check(unsafe { libc::eventfd(0, flags) })?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        Ok(Self(unsafe { std::fs::File::from_raw_fd(descriptor) }))
    }

    /// Makes it readable.
    pub(crate) fn signal(&self) {
        // Fails only when 2^64 - 2 signals are pending, and then it is readable anyway.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable again; whether it was readable.
    pub(crate) fn take(&self) -> bool {
        (&self.0).read(&mut [0; 8]).is_ok()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Registers the process for expedited memory barriers, which glommio issues at every park and
/// otherwise registers lazily, at the price of milliseconds in its first park. Kernels without
/// it are left to glommio.
pub(crate) fn register_membarrier() {
    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    // SAFETY: membarrier takes integers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
}

/// Lets no more huge pages be given to the process, which allocators ask for: to fill one with
/// zeros takes milliseconds in which its shard does nothing. Kernels that cannot are left alone.
pub(crate) fn refuse_huge_pages() {
    // SAFETY: this option takes integers and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
}

/// Held by whoever makes a ring or ends one: the number of a ring that ends meanwhile would be
/// taken for one that was there before.
static RINGS: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    RINGS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes something, and says which descriptors of io_uring it has made for itself: glommio does not
/// tell. None where `/proc` cannot be read. What it has made ends by [`end_with_its_rings`].
pub(crate) fn with_its_rings<T>(make: impl FnOnce() -> T) -> (T, Vec<RawFd>) {
    let _turn = one_at_a_time();
    let before = rings();
    let made = make();
    let mut rings = rings();
    rings.retain(|ring| !before.contains(ring));
    (made, rings)
}

/// Drops what has rings, while nobody makes any.
pub(crate) fn end_with_its_rings<T>(made: T) {
    let _turn = one_at_a_time();
    drop(made);
}

fn rings() -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let is_ring = |entry: &std::fs::DirEntry| {
        let target = std::fs::read_link(entry.path());
        target.is_ok_and(|target| target.as_os_str() == "anon_inode:[io_uring]")
    };
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    entries
        .flatten()
        .filter(is_ring)
        .filter_map(number)
        .collect()
}

/// Sets up the smallest io_uring there is and closes it again.
pub(crate) fn probe_io_uring() -> io::Result<()> {
    /// `struct io_uring_params` is 120 bytes, all zero by default.
    #[repr(C, align(8))]
    struct Parameters([u8; 120]);
    let _turn = one_at_a_time();
    let mut parameters = Parameters([0; 120]);
    // SAFETY: the kernel reads and writes one `io_uring_params`, whose size and alignment the
    // buffer has, and which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, &raw mut parameters) };
    let descriptor = check(libc::c_int::try_from(result).unwrap_or(-1))?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    Ok(())
}

/// How many bytes this process may lock in memory.
pub(crate) fn memlock_bytes() -> io::Result<u64> {
    limit(libc::RLIMIT_MEMLOCK)
}

/// How many files and sockets this process may have open.
pub(crate) fn descriptors() -> io::Result<u64> {
    limit(libc::RLIMIT_NOFILE)
}

fn limit(resource: libc::__rlimit_resource_t) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit writes one `rlimit`, which outlives the call.
    check(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    Ok(limit.rlim_cur)
}

/// The cores that this thread may run on, rising.
pub(crate) fn online_cores() -> io::Result<Vec<usize>> {
    // SAFETY: a `cpu_set_t` is a bit array; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the given size into the set, which outlives the call.
    check(unsafe { libc::sched_getaffinity(0, mem::size_of_val(&set), &raw mut set) })?;
    let cores = usize::try_from(libc::CPU_SETSIZE).expect("a positive constant");
    // SAFETY: every index asked for is below CPU_SETSIZE.
    Ok((0..cores)
        .filter(|&core| unsafe { libc::CPU_ISSET(core, &set) })
        .collect())
}

/// Restricts the calling thread to these cores.
pub(crate) fn pin_to(cores: &[usize]) -> io::Result<()> {
    // SAFETY: a `cpu_set_t` is a bit array; all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    for &core in cores {
        if core >= usize::try_from(libc::CPU_SETSIZE).expect("a positive constant") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the index is below CPU_SETSIZE.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: the kernel reads the given size from the set, which outlives the call.
    check(unsafe { libc::sched_setaffinity(0, mem::size_of_val(&set), &raw const set) })?;
    Ok(())
}

/// How many datagrams the kernel has dropped at this socket since it was made, nearly always
/// because its receive buffer was full; begins again at 0 after 2^32. `None` where the kernel does
/// not say.
pub(crate) fn dropped_datagrams(socket: BorrowedFd<'_>) -> Option<u32> {
    /// What `SO_MEMINFO` says, as far as the drops (linux/sock_diag.h, `SK_MEMINFO_DROPS`).
    const NUMBERS: usize = 9;
    let mut numbers = [0_u32; NUMBERS];
    let bytes = u32::try_from(mem::size_of_val(&numbers)).expect("a few bytes");
    let mut told = bytes;
    // SAFETY: the kernel writes at most the given size into the numbers, and into `told` how much
    // that was; both outlive the call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            numbers.as_mut_ptr().cast(),
            &raw mut told,
        )
    };
    (result == 0 && told == bytes).then_some(numbers[NUMBERS - 1])
}

/// Attaches to a SO_REUSEPORT group the program "a random number, modulo the group's size", so
/// that the datagrams of one peer spread over the group. Needs no privilege.
pub(crate) fn spread_over_group(socket: BorrowedFd<'_>, sockets: u16) -> io::Result<()> {
    /// Loading from this offset yields a random number (SKF_AD_OFF + SKF_AD_RANDOM).
    const RANDOM: u32 = (-0x1000_i32 + 56).cast_unsigned();
    let instruction = |code: u32, k: u32| libc::sock_filter {
        code: u16::try_from(code).expect("classic BPF codes are 16 bits"),
        jt: 0,
        jf: 0,
        k,
    };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, RANDOM),
        instruction(
            libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K,
            u32::from(sockets),
        ),
        instruction(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog {
        len: 3,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the option's value is one `sock_fprog` of the given size; it and the three
    // instructions it points to outlive the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            u32::try_from(mem::size_of_val(&program)).expect("a few bytes"),
        )
    })?;
    Ok(())
}

/// Wakes the calling thread from its sleeps when it asked to be, not up to 50 µs later.
pub(crate) fn sleep_exactly() {
    // SAFETY: prctl takes integers here and touches no memory of ours.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
}

/// Asks for the processor in slices of this length, from 0.1 to 100 ms: since Linux 6.12 a thread
/// that wakes with a shorter slice than the one that runs has is let in at once, unless it has had
/// more than its share. Earlier kernels take no notice. A thread of another policy than the
/// ordinary one stays as it is.
pub(crate) fn run_in_slices(length: Duration) -> io::Result<()> {
    let mut attributes = scheduling()?;
    if i32::try_from(attributes.sched_policy) != Ok(libc::SCHED_OTHER) {
        return Ok(());
    }
    attributes.sched_runtime = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    // SAFETY: the kernel reads the structure, which says its own size and lives.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0_u32) };
    check(i32::try_from(set).unwrap_or(-1)).map(drop)
}

/// How the calling thread is scheduled.
fn scheduling() -> io::Result<libc::sched_attr> {
    // SAFETY: these are plain numbers, for which zero is a value.
    let mut attributes: libc::sched_attr = unsafe { mem::zeroed() };
    let size = u32::try_from(mem::size_of_val(&attributes)).expect("a few bytes");
    let into = &raw mut attributes;
    // SAFETY: the kernel writes at most `size` bytes into the structure, which lives.
    let read = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, into, size, 0_u32) };
    check(i32::try_from(read).unwrap_or(-1)).map(|_| attributes)
}

/// A glommio datagram socket over a descriptor.
pub(crate) fn glommio_datagrams(descriptor: OwnedFd) -> glommio::net::UdpSocket {
    // SAFETY: the descriptor is owned and given away.
    unsafe { glommio::net::UdpSocket::from_raw_fd(descriptor.into_raw_fd()) }
}

/// A glommio listener over a descriptor.
pub(crate) fn glommio_listener(descriptor: OwnedFd) -> glommio::net::TcpListener {
    // SAFETY: the descriptor is owned and given away.
    unsafe { glommio::net::TcpListener::from_raw_fd(descriptor.into_raw_fd()) }
}

/// A glommio stream over a descriptor.
pub(crate) fn glommio_stream(descriptor: OwnedFd) -> glommio::net::TcpStream {
    // SAFETY: the descriptor is owned and given away.
    unsafe { glommio::net::TcpStream::from_raw_fd(descriptor.into_raw_fd()) }
}

/// A glommio file over a descriptor, which need not be a file's.
pub(crate) fn glommio_file(descriptor: OwnedFd) -> glommio::io::BufferedFile {
    // SAFETY: the descriptor is owned and given away.
    unsafe { glommio::io::BufferedFile::from_raw_fd(descriptor.into_raw_fd()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_asks_for_short_slices_and_keeps_all_else() {
        let before = scheduling().expect("a thread may look");
        if i32::try_from(before.sched_policy) != Ok(libc::SCHED_OTHER) {
            return println!("SKIPPED: the tests run under another policy than the ordinary one");
        }
        run_in_slices(Duration::from_millis(2)).expect("a thread may ask for less");
        let after = scheduling().expect("a thread may look");
        let rest = |it: &libc::sched_attr| (it.sched_policy, it.sched_nice, it.sched_priority);
        assert_eq!(rest(&after), rest(&before));
        // Zero from a kernel that knows no slices.
        assert!([0, before.sched_runtime, 2_000_000].contains(&after.sched_runtime));
        let knows_slices = before.sched_runtime > 0;
        assert_eq!(knows_slices, after.sched_runtime == 2_000_000);
    }
}
