//! Stream connections under TLS over loopback, on both drivers, against rustls with sockets of its
//! own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod echo;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use echo::{
    Event, Host, NONSENSE, OWNED, PATIENCE, PEER_NAME, Request, eventually, framed, launch, options,
};
use offhook_shards::rustls::crypto::ring;
use offhook_shards::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use offhook_shards::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use offhook_shards::{
    ConnectionOutcome, Counter, Driver, Options, ShardId, TlsSettings, TlsStore, Transmit,
    Transport,
};

on_both_drivers! {
    a_message_is_answered_by_its_owner_under_tls
    messages_may_be_cut_anywhere_under_tls
    what_is_no_tls_is_closed_and_counted
    a_handshake_that_never_ends_is_closed
    an_engine_connects_under_tls_once
    a_peer_with_a_certificate_for_another_is_not_talked_to
    new_certificates_are_for_new_connections
}

/// An authority and what it has signed.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        Self {
            issuer: rcgen::Issuer::new(parameters, key),
            certificate,
        }
    }

    fn server(&self, name: &str) -> Arc<ServerConfig> {
        let key = rcgen::KeyPair::generate().unwrap();
        let parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.unwrap())
    }

    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }

    fn settings(&self, name: &str) -> TlsSettings {
        TlsSettings {
            server: self.server(name),
            client: self.client(),
        }
    }
}

/// Shards that are called `us.example.com` and trust the authority.
fn host(driver: Driver, shards: u16, authority: &Authority) -> Option<(Host, TlsStore)> {
    let store = TlsStore::new(authority.settings("us.example.com"));
    let options = Options {
        tls: vec!["127.0.0.1:0".parse().unwrap()],
        tls_store: Some(store.clone()),
        ..options(driver, shards)
    };
    launch(&options).map(|host| (host, store))
}

fn tls(host: &Host) -> SocketAddr {
    host.running.tls_addresses()[0]
}

fn socket(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

type Client = StreamOwned<ClientConnection, TcpStream>;

fn client(host: &Host, authority: &Authority, name: &'static str) -> Client {
    let name = ServerName::try_from(name).unwrap();
    let session = ClientConnection::new(authority.client(), name).unwrap();
    StreamOwned::new(session, socket(tls(host)))
}

fn answer(stream: &mut impl Read) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut payload = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut payload).unwrap();
    payload
}

fn a_message_is_answered_by_its_owner_under_tls(driver: Driver) {
    let authority = Authority::new();
    let Some((host, _)) = host(driver, 2, &authority) else {
        return;
    };
    let mut client = client(&host, &authority, "us.example.com");
    for shard in [1, 0, 1] {
        let message = [OWNED, shard, b'!'];
        client.write_all(&framed(&message)).unwrap();
        let mut wanted = vec![shard];
        wanted.extend_from_slice(&message);
        assert_eq!(answer(&mut client), wanted);
    }
    let metrics = host.running.metrics();
    assert_eq!(metrics.total(Counter::Handshakes), 1);
    host.running.stop().unwrap();
}

fn messages_may_be_cut_anywhere_under_tls(driver: Driver) {
    let authority = Authority::new();
    let Some((host, _)) = host(driver, 1, &authority) else {
        return;
    };
    let mut client = client(&host, &authority, "us.example.com");
    let message = |number: usize| vec![b'E'; 1 + number * 700];
    let all: Vec<u8> = (0..30)
        .flat_map(|number| framed(&message(number)))
        .collect();
    for piece in all.chunks(10_007) {
        client.write_all(piece).unwrap();
        client.flush().unwrap();
    }
    for number in 0..30 {
        assert_eq!(answer(&mut client)[1..], message(number));
    }
    host.running.stop().unwrap();
}

fn wait_for(host: &Host, counter: Counter, count: u64) {
    eventually(&format!("{counter:?} stays below {count}"), || {
        host.running.metrics().total(counter) >= count
    });
}

fn what_is_no_tls_is_closed_and_counted(driver: Driver) {
    let authority = Authority::new();
    let Some((host, _)) = host(driver, 1, &authority) else {
        return;
    };
    let mut stream = socket(tls(&host));
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 16, "an alert at most: {rest:?}");
    wait_for(&host, Counter::ClosedTls, 1);
    // Under TLS, nonsense is nonsense of the message.
    let mut client = client(&host, &authority, "us.example.com");
    client.write_all(&[NONSENSE]).unwrap();
    client.flush().unwrap();
    wait_for(&host, Counter::ClosedMalformed, 1);
    host.running.stop().unwrap();
}

fn a_handshake_that_never_ends_is_closed(driver: Driver) {
    let authority = Authority::new();
    let Some((host, _)) = host(driver, 1, &authority) else {
        return;
    };
    let mut stream = socket(tls(&host));
    // The head of a record whose end never comes.
    stream.write_all(&[22, 3, 1, 2, 0]).unwrap();
    assert_eq!(stream.read(&mut [0; 64]).unwrap_or(0), 0);
    wait_for(&host, Counter::ClosedTls, 1);
    host.running.stop().unwrap();
}

fn send(host: &Host, remote: SocketAddr, payload: &[u8]) {
    let transmit = Transmit {
        transport: Transport::Tls,
        local: None,
        remote,
        connection: None,
    };
    let request = Request::Send(transmit, framed(payload));
    host.running.control().request(ShardId(0), request).unwrap();
}

fn an_engine_connects_under_tls_once(driver: Driver) {
    let authority = Authority::new();
    let Some((host, _)) = host(driver, 1, &authority) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let remote = listener.local_addr().unwrap();
    let server = authority.server(PEER_NAME);
    let peer = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let session = ServerConnection::new(server).unwrap();
        let mut stream = StreamOwned::new(session, socket);
        (answer(&mut stream), answer(&mut stream))
    });
    // The first waits for the handshake, the second takes the same connection.
    send(&host, remote, b"one");
    send(&host, remote, b"two");
    assert_eq!(peer.join().unwrap(), (b"one".to_vec(), b"two".to_vec()));
    host.running.stop().unwrap();
}

fn a_peer_with_a_certificate_for_another_is_not_talked_to(driver: Driver) {
    let authority = Authority::new();
    let Some((mut host, _)) = host(driver, 1, &authority) else {
        return;
    };
    for server in [
        authority.server("other.example.com"),
        Authority::new().server(PEER_NAME),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let peer = std::thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let session = ServerConnection::new(server).unwrap();
            StreamOwned::new(session, socket)
                .read(&mut [0; 64])
                .is_err()
        });
        send(&host, remote, b"secret");
        host.wait_for(|_, event| {
            matches!(event, Event::Changed(change)
                if change.outcome == ConnectionOutcome::ConnectFailed && change.remote == remote)
        });
        assert!(peer.join().unwrap(), "it has read nothing");
    }
    host.running.stop().unwrap();
}

fn new_certificates_are_for_new_connections(driver: Driver) {
    let authority = Authority::new();
    let Some((host, store)) = host(driver, 1, &authority) else {
        return;
    };
    let mut old = client(&host, &authority, "us.example.com");
    old.write_all(&framed(b"Eone")).unwrap();
    assert_eq!(answer(&mut old), b"\0Eone");
    store.set(authority.settings("new.example.com"));
    let mut new = client(&host, &authority, "new.example.com");
    new.write_all(&framed(b"Etwo")).unwrap();
    assert_eq!(answer(&mut new), b"\0Etwo");
    old.write_all(&framed(b"Ethree")).unwrap();
    assert_eq!(answer(&mut old), b"\0Ethree");
    host.running.stop().unwrap();
}
