//! Many datagrams in one system call, and several as one: the kernel may be given datagrams of
//! equal length to the same peer as one long one (`UDP_SEGMENT`), and may give them so
//! (`UDP_GRO`). What it says beside a datagram is read here and nowhere else.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use super::check;
use crate::limits::{BATCH_MAX, DATAGRAM_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENTS_BYTES_MAX};

/// Room for what the kernel says beside a datagram: a time stamp and a length.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Aside([u8; ASIDE_BYTES]);

const ASIDE_BYTES: usize = 64;

/// What the kernel is told beside a long datagram: into what it is to be cut.
#[repr(C)]
struct Segments {
    header: libc::cmsghdr,
    bytes: u16,
}

impl Segments {
    fn new(bytes: usize) -> Self {
        // SAFETY: a plain C structure of integers, for which all zeros is a value.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        // SAFETY: arithmetic only.
        header.cmsg_len = unsafe { libc::CMSG_LEN(mem::size_of::<u16>() as libc::c_uint) } as _;
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self {
            header,
            bytes: u16::try_from(bytes).expect("a datagram's length fits 16 bits"),
        }
    }
}

/// Lets the kernel give datagrams of one peer that follow each other, of equal length, as one.
pub(crate) fn accept_joined(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Lets the kernel say of each datagram when it came.
pub(crate) fn stamp_arrivals(socket: BorrowedFd<'_>) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
}

fn switch_on(socket: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is one integer of the given size, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// Room for one `recvmmsg`. Its headers are made once; what the kernel has written into those that
/// it used is put right before the next call.
pub(crate) struct ReceiveBatch {
    bytes: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
    /// What is said beside each; none where the sockets were not asked to.
    asides: Vec<Aside>,
    received: usize,
}

/// A datagram as it came.
pub(crate) struct Datagram<'a> {
    pub(crate) remote: SocketAddr,
    pub(crate) bytes: &'a [u8],
    /// When it came, by the wall clock, if the socket says so.
    pub(crate) stamp: Option<SystemTime>,
}

impl ReceiveBatch {
    /// `has_asides`: whether sockets stamp datagrams or join them.
    pub(crate) fn new(has_asides: bool) -> Self {
        // SAFETY: the three are plain C structures of integers and pointers, for which all zeros
        // is a value (null pointers, no length).
        let (name, vector, header) = unsafe { (mem::zeroed(), mem::zeroed(), mem::zeroed()) };
        let mut batch = Self {
            bytes: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX],
            names: vec![name; BATCH_MAX],
            vectors: vec![vector; BATCH_MAX],
            headers: vec![header; BATCH_MAX],
            asides: vec![Aside([0; ASIDE_BYTES]); if has_asides { BATCH_MAX } else { 0 }],
            received: BATCH_MAX,
        };
        // The lists' own pointers, which stay good however the lists are read meanwhile.
        let (bytes, names) = (batch.bytes.as_mut_ptr(), batch.names.as_mut_ptr());
        let (vectors, asides) = (batch.vectors.as_mut_ptr(), batch.asides.as_mut_ptr());
        for (index, vector) in batch.vectors.iter_mut().enumerate() {
            vector.iov_base = bytes.wrapping_add(index * DATAGRAM_BYTES_MAX).cast();
            vector.iov_len = DATAGRAM_BYTES_MAX;
        }
        for (index, header) in batch.headers.iter_mut().enumerate() {
            header.msg_hdr.msg_name = names.wrapping_add(index).cast();
            header.msg_hdr.msg_iov = vectors.wrapping_add(index);
            header.msg_hdr.msg_iovlen = 1;
            if has_asides {
                header.msg_hdr.msg_control = asides.wrapping_add(index).cast();
            }
        }
        batch
    }

    /// Receives what is there, at most `BATCH_MAX` datagrams, joined ones counted once; "would
    /// block" if there is none.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let aside_bytes = if self.asides.is_empty() {
            0
        } else {
            ASIDE_BYTES
        };
        for header in &mut self.headers[..mem::take(&mut self.received)] {
            header.msg_hdr.msg_namelen = NAME_BYTES;
            header.msg_hdr.msg_controllen = aside_bytes as _;
        }
        // SAFETY: each of the BATCH_MAX headers points at its own name, vector, 65,535 bytes and,
        // if there are any, aside, all owned by `self`, which is borrowed for the whole call. None
        // of them has moved since `new`, because no list of them grows, and nobody writes to them
        // but the kernel.
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

    /// The datagrams of the last [`ReceiveBatch::receive`], joined ones apart again; those whose
    /// sender has no IP address are left out.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let received = self.headers[..self.received].iter().zip(&self.names);
        received
            .zip(self.bytes.chunks_exact(DATAGRAM_BYTES_MAX))
            .filter_map(|((header, name), slot)| {
                let bytes = slot.get(..header.msg_len as usize)?;
                let (segment_bytes, stamp) = self.aside(header);
                Some((decode_name(name)?, bytes, segment_bytes, stamp))
            })
            .flat_map(|(remote, bytes, segment_bytes, stamp)| {
                parts(bytes, segment_bytes).map(move |bytes| Datagram {
                    remote,
                    bytes,
                    stamp,
                })
            })
    }

    /// What was said beside a datagram: the length of its parts, 0 if it has none, and its stamp.
    fn aside(&self, header: &libc::mmsghdr) -> (usize, Option<SystemTime>) {
        let (mut segment_bytes, mut stamp) = (0, None);
        if self.asides.is_empty() {
            return (segment_bytes, stamp);
        }
        // SAFETY: the header's control points at an aside of `self`, which is borrowed and was
        // not touched since `receive`; the kernel has put its length down.
        let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const header.msg_hdr) };
        while !next.is_null() {
            // SAFETY: these macros yield null or a whole header within the aside, which is
            // aligned for it; its type says what lies behind it.
            unsafe {
                let data = libc::CMSG_DATA(next);
                match ((*next).cmsg_level, (*next).cmsg_type) {
                    (libc::SOL_UDP, libc::UDP_GRO) => {
                        let bytes = data.cast::<libc::c_int>().read_unaligned();
                        segment_bytes = usize::try_from(bytes).unwrap_or(0);
                    }
                    (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS) => {
                        stamp = moment(data.cast::<libc::timespec>().read_unaligned());
                    }
                    (_, _) => {}
                }
                next = libc::CMSG_NXTHDR(&raw const header.msg_hdr, next);
            }
        }
        (segment_bytes, stamp)
    }
}

/// Datagrams that the kernel has joined, the last one perhaps shorter than the others.
fn parts(bytes: &[u8], segment_bytes: usize) -> impl Iterator<Item = &[u8]> {
    let each = if segment_bytes == 0 {
        bytes.len()
    } else {
        segment_bytes
    };
    // A datagram without a byte is one as well.
    let count = bytes.len().div_ceil(each.max(1)).max(1);
    (0..count).map(move |place| {
        let start = place * each;
        &bytes[start..bytes.len().min(start + each)]
    })
}

fn moment(stamp: libc::timespec) -> Option<SystemTime> {
    let seconds = u64::try_from(stamp.tv_sec).ok()?;
    let nanos = u32::try_from(stamp.tv_nsec).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
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
    segments: Vec<Segments>,
    headers: Vec<libc::mmsghdr>,
    /// How many datagrams each header stands for.
    runs: Vec<usize>,
    /// Whether datagrams are given to the kernel as one, until it refuses that.
    joins: bool,
}

impl SendBatch {
    pub(crate) fn new(joins: bool) -> Self {
        Self {
            names: Vec::with_capacity(BATCH_MAX),
            vectors: Vec::with_capacity(BATCH_MAX),
            segments: Vec::with_capacity(BATCH_MAX),
            headers: Vec::with_capacity(BATCH_MAX),
            runs: Vec::with_capacity(BATCH_MAX),
            joins,
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
        self.fill(bytes, datagrams);
        // SAFETY: each header points at its own name, its own part of the vectors and, if it has
        // any, its own segments, all owned by `self`, and each vector at a slice of `bytes`; all
        // are borrowed for the whole call. The kernel only reads all of them.
        let sent = check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        });
        match sent {
            Ok(sent) => {
                let sent = usize::try_from(sent).expect("checked not to be negative");
                Ok(self.runs[..sent].iter().sum())
            }
            Err(error) if self.runs.first() > Some(&1) && is_about_joining(&error) => {
                self.joins = false;
                self.send(socket, bytes, datagrams)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a header of each run of datagrams.
    fn fill(&mut self, bytes: &[u8], datagrams: &[(SocketAddr, Range<usize>)]) {
        self.vectors.clear();
        self.vectors.extend(datagrams.iter().map(|(_, range)| {
            let slice = &bytes[range.clone()];
            libc::iovec {
                iov_base: slice.as_ptr().cast_mut().cast(),
                iov_len: slice.len(),
            }
        }));
        self.names.clear();
        self.segments.clear();
        self.runs.clear();
        let mut rest = datagrams;
        while let Some((remote, range)) = rest.first() {
            let run = if self.joins { run(rest) } else { 1 };
            self.names.push(socket2::SockAddr::from(*remote));
            self.segments.push(Segments::new(range.len()));
            self.runs.push(run);
            rest = &rest[run..];
        }
        self.headers.clear();
        let mut first = 0;
        let parts = self.names.iter().zip(&mut self.segments).zip(&self.runs);
        for ((name, segments), run) in parts {
            // SAFETY: a plain C structure, for which all zeros is a value.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = name.len();
            header.msg_hdr.msg_iov = (&raw mut self.vectors[first]).cast();
            header.msg_hdr.msg_iovlen = *run as _;
            if *run > 1 {
                header.msg_hdr.msg_control = (&raw mut *segments).cast();
                header.msg_hdr.msg_controllen = mem::size_of::<Segments>() as _;
            }
            self.headers.push(header);
            first += run;
        }
    }
}

/// How many of the first datagrams may go as one: to the same peer, all as long as the first one
/// except the last, which may be shorter.
fn run(datagrams: &[(SocketAddr, Range<usize>)]) -> usize {
    let (remote, first) = &datagrams[0];
    let length = first.len();
    // A part must fit the path; this machine's own takes everything.
    if length == 0 || (length > SEGMENT_BYTES_MAX && !remote.ip().is_loopback()) {
        return 1;
    }
    let (mut count, mut whole) = (1, length);
    for (other, range) in &datagrams[1..] {
        whole += range.len();
        let fits = (1..=length).contains(&range.len()) && whole <= SEGMENTS_BYTES_MAX;
        if other != remote || !fits {
            break;
        }
        count += 1;
        if range.len() < length {
            break;
        }
    }
    count
}

/// Whether the kernel, or the way to the peer, cannot take joined datagrams.
fn is_about_joining(error: &io::Error) -> bool {
    let code = error.raw_os_error().unwrap_or(0);
    [libc::EINVAL, libc::EIO, libc::EMSGSIZE, libc::EOPNOTSUPP].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;

    /// Sends datagrams of these lengths and returns those that come, with the batches they made.
    fn carry(joins: bool, accepts: bool, lengths: &[usize]) -> (Vec<Vec<u8>>, usize) {
        let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let remote = to.local_addr().unwrap();
        if accepts {
            accept_joined(to.as_fd()).unwrap();
        }
        stamp_arrivals(to.as_fd()).unwrap();
        let mut bytes = Vec::new();
        let mut datagrams = Vec::new();
        for (number, length) in lengths.iter().enumerate() {
            let start = bytes.len();
            bytes.resize(start + length, u8::try_from(number).unwrap());
            datagrams.push((remote, start..bytes.len()));
        }
        let mut sender = SendBatch::new(joins);
        let mut sent = 0;
        while sent < datagrams.len() {
            sent += sender
                .send(from.as_fd(), &bytes, &datagrams[sent..])
                .unwrap();
        }
        let mut batch = ReceiveBatch::new(true);
        let mut came = Vec::new();
        let mut messages = 0;
        while let Ok(received) = batch.receive(to.as_fd()) {
            messages += received;
            for datagram in batch.datagrams() {
                assert_eq!(datagram.remote, from.local_addr().unwrap());
                assert!(datagram.stamp.is_some());
                came.push(datagram.bytes.to_vec());
            }
        }
        (came, messages)
    }

    #[test]
    fn datagrams_that_go_or_come_as_one_are_what_they_were() {
        let lengths = [
            10, 10, 10, 7, 10, 0, 10, 12, 12, 1_400, 1_400, 5, 5, 5, 9_000, 9_000, 400, 1,
        ];
        let expected: Vec<Vec<u8>> = (0..).zip(lengths).map(|(at, it)| vec![at; it]).collect();
        for (joins, accepts) in [(false, false), (false, true), (true, false), (true, true)] {
            let (came, messages) = carry(joins, accepts, &lengths);
            assert_eq!(came, expected, "{joins} {accepts}");
            let is_joined = messages < lengths.len();
            assert_eq!(is_joined, joins && accepts, "{messages}");
        }
    }

    #[test]
    fn a_header_is_as_good_the_second_time() {
        let [v4, v4_to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [v6, v6_to] = [(); 2].map(|()| UdpSocket::bind("[::1]:0").unwrap());
        for to in [&v4_to, &v6_to] {
            accept_joined(to.as_fd()).unwrap();
            stamp_arrivals(to.as_fd()).unwrap();
        }
        let mut batch = ReceiveBatch::new(true);
        let mut sender = SendBatch::new(true);
        // What a short name or little said beside it has left must not cut the next one short.
        for (from, to, count) in [
            (&v4, &v4_to, 1),
            (&v6, &v6_to, 3),
            (&v4, &v4_to, 3),
            (&v6, &v6_to, 1),
        ] {
            let remote = to.local_addr().unwrap();
            let datagrams: Vec<_> = (0..count)
                .map(|it| (remote, it * 10..it * 10 + 10))
                .collect();
            let sent = sender.send(from.as_fd(), &[7; 30], &datagrams).unwrap();
            assert_eq!((sent, batch.receive(to.as_fd()).unwrap()), (count, 1));
            let came: Vec<_> = batch.datagrams().collect();
            assert_eq!(came.len(), count);
            for datagram in came {
                assert_eq!(datagram.remote, from.local_addr().unwrap());
                assert_eq!(datagram.bytes, [7; 10]);
                assert!(datagram.stamp.is_some());
            }
            let none = batch.receive(to.as_fd()).map_err(|error| error.kind());
            assert_eq!(none, Err(io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn a_long_run_is_no_longer_than_a_datagram_may_be() {
        let (came, _) = carry(true, true, &[2_000; 40]);
        assert_eq!(came.len(), 40);
        assert!(came.iter().all(|bytes| bytes.len() == 2_000));
    }
}
