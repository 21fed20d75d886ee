//! A name server by UDP and TCP whose zone and manners a test changes while it runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NAPTR, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

/// How questions are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// By the zone.
    Honest,
    /// Not at all.
    Silent,
    /// SERVFAIL.
    Broken,
    /// Truncated by UDP, by the zone by TCP.
    Truncating,
    /// By the zone, after this time.
    Slow(Duration),
}

#[derive(Debug)]
struct Zone {
    manner: Manner,
    /// Lifetime of every record, in seconds.
    ttl: u32,
    records: BTreeMap<(String, RecordType), Vec<RData>>,
    questions: usize,
    by_tcp: usize,
}

#[derive(Debug)]
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    tasks: [AbortHandle; 2],
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            // The same port by TCP may be somebody else's.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let zone = Arc::new(Mutex::new(Zone {
            manner: Manner::Honest,
            ttl: 1,
            records: BTreeMap::new(),
            questions: 0,
            by_tcp: 0,
        }));
        let tasks = [
            tokio::spawn(serve_udp(Arc::new(udp), Arc::clone(&zone))).abort_handle(),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&zone))).abort_handle(),
        ];
        Self {
            address,
            zone,
            tasks,
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Zone) -> T) -> T {
        change(&mut self.zone.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn behave(&self, manner: Manner) {
        self.with(|zone| zone.manner = manner);
    }

    pub(crate) fn questions(&self) -> usize {
        self.with(|zone| zone.questions)
    }

    pub(crate) fn by_tcp(&self) -> usize {
        self.with(|zone| zone.by_tcp)
    }

    fn set(&self, name: &str, kind: RecordType, records: Vec<RData>) {
        let key = (name.to_owned(), kind);
        self.with(|zone| zone.records.insert(key, records));
    }

    pub(crate) fn forget(&self) {
        self.with(|zone| zone.records.clear());
    }

    pub(crate) fn a(&self, name: &str, addresses: &[&str]) {
        let records = addresses
            .iter()
            .map(|text| RData::A(A(text.parse().unwrap())));
        self.set(name, RecordType::A, records.collect());
    }

    /// Priority, weight, port and target of each.
    pub(crate) fn srv(&self, name: &str, targets: &[(u16, u16, u16, &str)]) {
        let records = targets.iter().map(|&(priority, weight, port, target)| {
            RData::SRV(SRV::new(priority, weight, port, target.parse().unwrap()))
        });
        self.set(name, RecordType::SRV, records.collect());
    }

    /// Order, service and replacement of each.
    pub(crate) fn naptr(&self, name: &str, services: &[(u16, &str, &str)]) {
        let records = services.iter().map(|&(order, service, replacement)| {
            let text = |text: &str| text.as_bytes().into();
            let replacement: Name = replacement.parse().unwrap();
            RData::NAPTR(NAPTR::new(
                order,
                1,
                text("s"),
                text(service),
                text(""),
                replacement,
            ))
        });
        self.set(name, RecordType::NAPTR, records.collect());
    }
}

impl Zone {
    fn answer(&mut self, question: &Message, by_tcp: bool) -> Option<Message> {
        self.questions += 1;
        self.by_tcp += usize::from(by_tcp);
        let query = question.queries.first()?;
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        answer.add_query(query.clone());
        match self.manner {
            Manner::Silent => return None,
            Manner::Broken => {
                answer.metadata.response_code = ResponseCode::ServFail;
                return Some(answer);
            }
            Manner::Truncating if !by_tcp => {
                answer.metadata.truncation = true;
                return Some(answer);
            }
            Manner::Honest | Manner::Truncating | Manner::Slow(_) => {}
        }
        let name = query.name().to_ascii().to_ascii_lowercase();
        let name = name.trim_end_matches('.').to_owned();
        let exists = self.records.keys().any(|(known, _)| *known == name);
        if !exists {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        let records = self.records.get(&(name, query.query_type()));
        for data in records.into_iter().flatten() {
            let record = Record::from_rdata(query.name().clone(), self.ttl, data.clone());
            answer.add_answer(record);
        }
        Some(answer)
    }
}

/// The answer to the bytes of a question, after the time that it takes.
async fn answer(zone: &Mutex<Zone>, bytes: &[u8], by_tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let (answer, manner) = {
        let mut zone = zone.lock().unwrap_or_else(PoisonError::into_inner);
        (zone.answer(&question, by_tcp), zone.manner)
    };
    if let Manner::Slow(time) = manner {
        tokio::time::sleep(time).await;
    }
    answer?.to_vec().ok()
}

async fn serve_udp(socket: Arc<UdpSocket>, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4_096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let (socket, zone) = (Arc::clone(&socket), Arc::clone(&zone));
        let bytes = buffer[..length].to_vec();
        tokio::spawn(async move {
            if let Some(answer) = answer(&zone, &bytes, false).await {
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Mutex<Zone>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve_stream(stream, Arc::clone(&zone)));
    }
}

async fn serve_stream(mut stream: TcpStream, zone: Arc<Mutex<Zone>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut bytes = vec![0; usize::from(length)];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        if let Some(answer) = answer(&zone, &bytes, true).await {
            let length = u16::try_from(answer.len()).unwrap();
            let framed = [&length.to_be_bytes()[..], &answer].concat();
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }
}
