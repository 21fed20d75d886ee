//! The only unsafe code of this package: system calls that the standard library and socket2 do
//! not offer, behind functions that cannot be misused. Each block says why it is sound. Nothing
//! here decides anything; `udp.rs`, `driver/` and `placement.rs` do.
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; each block says why"
)]

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

use crate::limits::{BATCH_MAX, DATAGRAM_BYTES_MAX};

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

/// Sets up the smallest io_uring there is and closes it again.
pub(crate) fn probe_io_uring() -> io::Result<()> {
    /// `struct io_uring_params` is 120 bytes, all zero by default.
    #[repr(C, align(8))]
    struct Parameters([u8; 120]);
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
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: getrlimit writes one `rlimit`, which outlives the call.
    check(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) })?;
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

/// Room for one `recvmmsg`.
pub(crate) struct ReceiveBatch {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    received: usize,
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: the three are plain C structures of integers and pointers, for which all zeros
        // is a value (null pointers, no length).
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        Self {
            bytes: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX],
            names: vec![name; BATCH_MAX],
            vectors: vec![vector; BATCH_MAX],
            headers: vec![header; BATCH_MAX],
            received: 0,
        }
    }

    /// Receives what is there, at most `BATCH_MAX` datagrams; "would block" if there is none.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        let slots = self
            .bytes
            .chunks_exact_mut(DATAGRAM_BYTES_MAX)
            .zip(&mut self.names);
        for ((slot, name), (vector, header)) in
            slots.zip(self.vectors.iter_mut().zip(&mut self.headers))
        {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = slot.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = NAME_BYTES;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each of the BATCH_MAX headers points at its own name, vector and 65,535 bytes,
        // set above, all owned by `self`, which is borrowed for the whole call.
        let received = check(unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH_MAX as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        })?;
        self.received = usize::try_from(received).expect("checked not to be negative");
        Ok(self.received)
    }

    /// The datagrams of the last [`ReceiveBatch::receive`]; those whose sender has no IP address
    /// are left out.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let received = self.headers[..self.received].iter().zip(&self.names);
        received
            .zip(self.bytes.chunks_exact(DATAGRAM_BYTES_MAX))
            .filter_map(|((header, name), slot)| {
                let bytes = slot.get(..header.msg_len as usize)?;
                Some((decode_name(name)?, bytes))
            })
    }
}

const NAME_BYTES: libc::socklen_t = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;

fn decode_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the storage, which is larger and aligned for all
            // families, holds a `sockaddr_in`.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let address = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for a `sockaddr_in6`.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(address, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Room for one `sendmmsg`.
pub(crate) struct SendBatch {
    names: Vec<socket2::SockAddr>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl SendBatch {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::with_capacity(BATCH_MAX),
            vectors: Vec::with_capacity(BATCH_MAX),
            headers: Vec::with_capacity(BATCH_MAX),
        }
    }

    /// Sends the first datagrams, at most `BATCH_MAX`, and says how many. An error is the first
    /// one's: none was sent.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        datagrams: &[(SocketAddr, Range<usize>)],
    ) -> io::Result<usize> {
        let datagrams = &datagrams[..datagrams.len().min(BATCH_MAX)];
        self.names.clear();
        self.names.extend(
            datagrams
                .iter()
                .map(|(remote, _)| socket2::SockAddr::from(*remote)),
        );
        self.vectors.clear();
        self.vectors.extend(datagrams.iter().map(|(_, range)| {
            let slice = &bytes[range.clone()];
            libc::iovec {
                iov_base: slice.as_ptr().cast_mut().cast(),
                iov_len: slice.len(),
            }
        }));
        self.headers.clear();
        for (name, vector) in self.names.iter().zip(&mut self.vectors) {
            // SAFETY: a plain C structure, for which all zeros is a value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
        // SAFETY: each header points at its own name and vector, both owned by `self`, and each
        // vector at a slice of `bytes`; all are borrowed for the whole call. The kernel only
        // reads names and bytes.
        let sent = check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        })?;
        Ok(usize::try_from(sent).expect("checked not to be negative"))
    }
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
