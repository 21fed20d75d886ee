//! Our server's HTTP interface, as far as it is needed: agents are logged in, as a desktop does,
//! and the server is asked what it has heard of the phones that it watches.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;

/// Requests that are on their way at a time.
const BATCH: u32 = 64;
/// How long the server may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Bytes of one line of an answer, and of its body.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Logs agents in.
///
/// # Errors
/// What the server says to that.
pub(super) fn log_in(http: SocketAddr, dns: Range<u32>) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("agents cannot be logged in: {error}");
    let mut stream = TcpStream::connect(http).map_err(cannot)?;
    stream.set_read_timeout(Some(ANSWER_MAX)).map_err(cannot)?;
    let mut answers = BufReader::new(stream.try_clone().map_err(cannot)?);
    for first in dns.clone().step_by(BATCH as usize) {
        let some = first..(first + BATCH).min(dns.end);
        let requests: String = some.clone().map(|dn| request(http, dn)).collect();
        stream.write_all(requests.as_bytes()).map_err(cannot)?;
        for dn in some {
            let (head, body) = answer(&mut answers).map_err(cannot)?;
            if !head.starts_with("HTTP/1.1 200 ") {
                return Err(format!("{dn} cannot be logged in: {} {body}", head.trim()));
            }
        }
    }
    Ok(())
}

fn request(http: SocketAddr, dn: u32) -> String {
    let body = format!("{{\"Message\":\"RequestAgentLogin\",\"ThisDN\":\"{dn}\"}}");
    let length = body.len();
    format!(
        "POST /api/v1/requests HTTP/1.1\r\nHost: {http}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// What the server has counted since its start, all shards together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watching {
    /// SUBSCRIBEs in new dialogs that were sent.
    pub(super) asked: u64,
    /// SUBSCRIBEs that were refused or had no answer.
    pub(super) failed: u64,
    /// NOTIFYs whose document was taken for the phone's state.
    pub(super) heard: u64,
}

/// How it goes with the phones that the server watches.
///
/// # Errors
/// What the server says to that.
pub(super) fn watching(http: SocketAddr) -> Result<Watching, String> {
    let cannot = |fault: String| format!("the server cannot be asked whom it watches: {fault}");
    let ask = || -> std::io::Result<(String, String)> {
        let mut stream = TcpStream::connect(http)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        write!(
            stream,
            "GET /api/v1/shards HTTP/1.1\r\nHost: {http}\r\n\r\n"
        )?;
        answer(&mut BufReader::new(stream))
    };
    let (_, body) = ask().map_err(|error| cannot(error.to_string()))?;
    let shown: Value = serde_json::from_str(&body).map_err(|error| cannot(error.to_string()))?;
    let shards = shown["Shards"].as_array().ok_or_else(|| cannot(body))?;
    let count = |what: &str, cause: &str| {
        let counts = shards.iter().map(|it| &it["Counters"][what][cause]);
        counts.filter_map(Value::as_u64).sum()
    };
    Ok(Watching {
        asked: count("subscriptions", "started"),
        failed: count("subscriptions", "failed"),
        heard: count("notifies", "applied"),
    })
}

/// The first line of an answer, and its body.
fn answer(answers: &mut impl BufRead) -> std::io::Result<(String, String)> {
    let first = line(answers)?;
    let mut length = 0;
    loop {
        let header = line(answers)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = String::new();
    let length: u64 = length;
    answers
        .take(length.min(ANSWER_BYTES_MAX))
        .read_to_string(&mut body)?;
    Ok((first, body))
}

fn line(answers: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    answers.take(ANSWER_BYTES_MAX).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers every request alike, and returns how many there were.
    fn server(answer: &'static str) -> (SocketAddr, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        let serve = move || {
            let (stream, _) = listener.accept().expect("somebody comes");
            let mut requests = BufReader::new(stream.try_clone().expect("descriptors"));
            let mut count = 0;
            while let Ok((first, body)) = super::answer(&mut requests)
                && first.starts_with("POST /api/v1/requests ")
            {
                assert!(body.contains(&format!("\"{}\"", 1_000 + count)), "{body}");
                count += 1;
                // Who has heard a refusal hears no more.
                let _ = (&stream).write_all(answer.as_bytes());
            }
            count
        };
        (address, std::thread::spawn(serve))
    }

    #[test]
    fn everyone_is_logged_in_once() {
        let (address, served) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
        assert_eq!(log_in(address, 1_000..1_150), Ok(()));
        assert_eq!(served.join().expect("it ends"), 150);
    }

    #[test]
    fn all_shards_count() {
        let body = r#"{"Shards":[
            {"Counters":{"subscriptions":{"started":3,"failed":1},"notifies":{"applied":9}}},
            {"Counters":{"subscriptions":{"started":4,"failed":0},"notifies":{"applied":2}}}]}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let address = listener.local_addr().expect("it is bound");
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let mut requests = BufReader::new(stream.try_clone().expect("descriptors"));
            let (first, _) = super::answer(&mut requests).expect("a request");
            stream.write_all(answer.as_bytes()).expect("it is read");
            first
        });
        let expected = Watching {
            asked: 7,
            failed: 1,
            heard: 11,
        };
        assert_eq!(watching(address), Ok(expected));
        let first = served.join().expect("it ends");
        assert_eq!(first.trim(), "GET /api/v1/shards HTTP/1.1");
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let (address, served) =
            server("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nUnknownDN");
        let fault = log_in(address, 1_000..1_001).expect_err("nobody is known");
        assert_eq!(
            fault,
            "1000 cannot be logged in: HTTP/1.1 404 Not Found UnknownDN"
        );
        assert_eq!(served.join().expect("it ends"), 1);
    }
}
