//! What the kernel takes for the datagrams of a call, whoever sends them: the floor of what any
//! program can reach on this machine.
// Neither the standard library nor socket2 has these calls.
#![allow(unsafe_code)]

use std::mem;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// A datagram as long as those of the calls, on average.
const BYTES: usize = 450;
const DATAGRAMS: usize = 200_000;
const BATCHES: [usize; 5] = [1, 2, 4, 8, 32];

/// Prints what it takes to send and to receive one datagram.
pub(crate) fn print() {
    println!("What the kernel takes for one datagram of {BYTES} bytes over loopback, in µs:\n");
    println!("| datagrams a system call | send | receive | joined: send | receive |");
    println!("|---|---|---|---|---|");
    for batch in BATCHES {
        let (send, receive) = measure(batch, false);
        let (joined_send, joined_receive) = measure(batch, true);
        println!("| {batch} | {send:.2} | {receive:.2} | {joined_send:.2} | {joined_receive:.2} |");
    }
    println!();
}

/// The processor time of this thread.
fn processor() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec`, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// `joined`: the datagrams of a batch are given to the kernel as one, which cuts them.
fn measure(batch: usize, joined: bool) -> (f64, f64) {
    let [from, to] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("loopback"));
    from.connect(to.local_addr().expect("it is bound"))
        .expect("loopback");
    let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
    let rounds = DATAGRAMS / batch;
    let mut bytes = vec![0_u8; batch * 65_536];
    for _ in 0..rounds {
        let begin = processor();
        let (parts, each) = if joined { (1, batch) } else { (batch, 1) };
        let sent = transfer(
            &from,
            &mut bytes,
            parts,
            each * BYTES,
            joined.then_some(BYTES),
        );
        assert_eq!(sent, parts);
        let middle = processor();
        let mut received = 0;
        while received < batch {
            received += transfer(&to, &mut bytes, batch, 0, None);
        }
        sending += middle - begin;
        receiving += processor() - middle;
    }
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (rounds * batch) as f64;
    (each(sending), each(receiving))
}

/// Sends messages of so many bytes, or receives if there are none; `segment` is of what length the
/// datagrams of one are.
fn transfer(
    socket: &UdpSocket,
    bytes: &mut [u8],
    count: usize,
    length: usize,
    segment: Option<usize>,
) -> usize {
    let stride = bytes.len() / count;
    // A `cmsghdr` and what belongs to it: its length, its level and type, the number.
    let level = u64::from(libc::SOL_UDP.cast_unsigned());
    let kind = u64::from(libc::UDP_SEGMENT.cast_unsigned());
    let mut control = segment.map(|segment| [18, level | (kind << 32), segment as u64]);
    let mut vectors: Vec<libc::iovec> = bytes
        .chunks_exact_mut(stride)
        .map(|slot| libc::iovec {
            iov_base: slot.as_mut_ptr().cast(),
            iov_len: if length == 0 { stride } else { length },
        })
        .collect();
    // SAFETY: a plain C structure, for which all zeros is a value.
    let mut headers = vec![unsafe { mem::zeroed::<libc::mmsghdr>() }; count];
    for (header, vector) in headers.iter_mut().zip(&mut vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
        if let Some(control) = &mut control {
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = mem::size_of_val(control) as _;
        }
    }
    let (socket, count) = (socket.as_raw_fd(), count as libc::c_uint);
    // SAFETY: each header points at its own vector, each vector at its own part of `bytes`, and
    // all of them outlive the call.
    let moved = unsafe {
        if length == 0 {
            let headers = headers.as_mut_ptr();
            libc::recvmmsg(
                socket,
                headers,
                count,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        } else {
            libc::sendmmsg(socket, headers.as_mut_ptr(), count, 0)
        }
    };
    usize::try_from(moved).unwrap_or(0)
}
