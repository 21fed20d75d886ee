//! Peers of the server with sockets of their own: one that connects, and one that is connected to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use offhook_shards::rustls::pki_types::ServerName;
use offhook_shards::rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned,
};

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A connection to the server, which is called so; nothing has been said yet.
pub(crate) fn connect(to: SocketAddr, config: Arc<ClientConfig>, name: &'static str) -> Client {
    let socket = TcpStream::connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = ServerName::try_from(name).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
}

/// A request as a peer over TLS writes it.
pub(crate) fn request(method: &str, number: u32) -> String {
    format!(
        "{method} sip:9999@us.example.com;transport=tls SIP/2.0\r\n\
         Via: SIP/2.0/TLS pbx.example.com:5061;branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@pbx.example.com>;tag=a{number}\r\n\
         To: <sip:9999@us.example.com>\r\nCall-ID: {number}@pbx.example.com\r\n\
         CSeq: 1 {method}\r\nContact: <sip:1@127.0.0.1:5061;transport=tls>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Sends a request and reads up to its final response.
pub(crate) fn ask(client: &mut Client, method: &str, number: u32) -> std::io::Result<String> {
    client.write_all(request(method, number).as_bytes())?;
    client.flush()?;
    loop {
        let response = read_message(client)?;
        if !response.starts_with("SIP/2.0 1") {
            return Ok(response);
        }
    }
}

/// One message without a body.
fn read_message(stream: &mut impl Read) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(String::from_utf8(bytes).unwrap())
}

/// A PBX that is connected to and answers everything with 200; what it was sent, or why nothing.
pub(crate) fn pbx(config: Arc<ServerConfig>) -> (SocketAddr, Receiver<Result<String, String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heard) = channel();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let sender = sender.clone();
            // A stranger who found the port and says nothing must not keep others waiting.
            std::thread::spawn(move || answer_all(StreamOwned::new(session, socket), &sender));
        }
    });
    (address, heard)
}

fn answer_all(
    mut stream: StreamOwned<ServerConnection, TcpStream>,
    sender: &Sender<Result<String, String>>,
) {
    loop {
        let message = read_message(&mut stream);
        let over = message.is_err();
        let heard = message.map_err(|error| error.to_string());
        if let Ok(request) = &heard {
            let copied = request.lines().filter(|line| {
                ["Via: ", "From: ", "To: ", "Call-ID: ", "CSeq: "]
                    .iter()
                    .any(|name| line.starts_with(name))
            });
            let copied: String = copied.map(|line| format!("{line}\r\n")).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
        }
        if sender.send(heard).is_err() || over {
            break;
        }
    }
}
