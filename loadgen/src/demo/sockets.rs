//! The population's real sockets: a thread for each waits for datagrams and stamps them on
//! arrival, so that what the generator does meanwhile falsifies no measurement.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::measure::now;
use super::stage::Input;
use crate::node::Packet;

/// Bytes of kernel buffer for each direction; the kernel grants what its limit allows.
const BUFFER_BYTES: usize = 4 << 20;
/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// How often a reader looks whether it shall stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// Sockets on loopback ports of the kernel's choice.
#[derive(Debug)]
pub(super) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    readers: Vec<JoinHandle<()>>,
    stopping: Arc<AtomicBool>,
    /// Datagrams that the kernel did not take.
    pub(super) refused: u64,
}

impl Sockets {
    pub(super) fn bind(count: usize) -> io::Result<Self> {
        let sockets = (0..count).map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
            // A smaller buffer works too; what it loses shows in the report.
            let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
            let _ = socket.set_send_buffer_size(BUFFER_BYTES);
            socket.set_read_timeout(Some(STOP_INTERVAL))?;
            let socket = UdpSocket::from(socket);
            Ok((socket.local_addr()?, socket))
        });
        Ok(Self {
            sockets: sockets.collect::<io::Result<_>>()?,
            readers: Vec::new(),
            stopping: Arc::default(),
            refused: 0,
        })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address).collect()
    }

    /// Starts a reader for each socket.
    pub(super) fn read(&mut self, inputs: &Sender<Input>) -> io::Result<()> {
        for (address, socket) in &self.sockets {
            let (to, socket) = (*address, socket.try_clone()?);
            let (inputs, stopping) = (inputs.clone(), Arc::clone(&self.stopping));
            let reader = std::thread::Builder::new()
                .name("datagrams".to_owned())
                .spawn(move || receive(to, &socket, &inputs, &stopping))?;
            self.readers.push(reader);
        }
        Ok(())
    }

    pub(super) fn send(&mut self, packet: Packet, bytes: &[u8]) {
        let socket = self
            .sockets
            .iter()
            .find(|(address, _)| *address == packet.from);
        let (_, socket) = socket.expect("the population sends from its own addresses");
        if socket.send_to(bytes, packet.to).is_err() {
            // Lost, as on any network; it is sent again.
            self.refused += 1;
        }
    }

    pub(super) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        for reader in self.readers.drain(..) {
            // A reader that has panicked has said so already.
            let _ = reader.join();
        }
    }
}

fn receive(to: SocketAddr, socket: &UdpSocket, inputs: &Sender<Input>, stopping: &AtomicBool) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    while !stopping.load(Ordering::Relaxed) {
        // Time-outs bring the loop round; errors of single datagrams (ICMP) mean nothing here.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let datagram = Input::Datagram {
            at: now(),
            to,
            from,
            bytes: buffer[..length].to_vec(),
        };
        if inputs.send(datagram).is_err() {
            return;
        }
    }
}
