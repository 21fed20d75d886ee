//! Somebody whom the server does not know sends it requests from addresses of others, and never
//! answers. Whoever is at those addresses is sent no more than the stranger has sent (I-7).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::network::Flight;
use super::random::Random;
use super::world::World;

/// Bytes that came from addresses of strangers, and that went there.
#[derive(Debug, Default)]
pub struct Gain(BTreeMap<SocketAddr, [usize; 2]>);

impl Gain {
    pub fn received(&mut self, flight: &Flight) {
        if is_stranger(flight.from) {
            self.0.entry(flight.from).or_default()[0] += flight.bytes.len();
        }
    }

    /// I-7: nobody has us send more than it has sent.
    pub fn sent(&mut self, flight: &Flight) -> Result<(), String> {
        if !is_stranger(flight.to) {
            return Ok(());
        }
        let [received, sent] = self.0.entry(flight.to).or_default();
        *sent += flight.bytes.len();
        match *sent <= *received {
            true => Ok(()),
            false => Err(format!(
                "I-7: {received} bytes from {} have made {sent}",
                flight.to
            )),
        }
    }
}

fn is_stranger(address: SocketAddr) -> bool {
    address.ip().to_string().starts_with("203.0.113.")
}

/// A request of a kind that needs no acquaintance, from an address that had none before.
pub fn strike(world: &mut World, random: &mut Random) {
    let number = random.below(250);
    let from: SocketAddr = format!("203.0.113.{number}:5060").parse().unwrap();
    let (method, to_tag, more) = match random.below(9) {
        0 | 1 => ("INVITE", "", ""),
        2 => ("INVITE", ";tag=of-nobody", ""),
        3 => ("INVITE", "", "Require: nothing\r\n"),
        4 => ("OPTIONS", "", ""),
        5 => ("BYE", ";tag=of-nobody", ""),
        6 => ("NOTIFY", ";tag=of-nobody", "Event: presence\r\n"),
        7 => ("SUBSCRIBE", "", "Event: presence\r\n"),
        _ => ("REGISTER", "", ""),
    };
    let hops = ["70", "0"][usize::from(random.below(5) == 0)];
    let unique = random.next();
    let more = format!("{more}Max-Forwards: {hops}\r\n");
    let text = request(method, from, unique, (to_tag, &more));
    let bytes = match random.below(8) {
        // Something is broken on its way.
        0 => text.as_bytes()[..text.len() - 20].to_vec(),
        _ => text.into_bytes(),
    };
    let to = world.cluster.address;
    let now = world.now;
    world.network.carry(now, Flight { from, to, bytes });
}

fn request(method: &str, from: SocketAddr, unique: u64, (to_tag, more): (&str, &str)) -> String {
    format!(
        "{method} sip:7000@10.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {from};branch=z9hG4bK{unique:x}\r\n\
         From: <sip:stranger@{from}>;tag=s{unique:x}\r\n\
         To: <sip:7000@10.0.0.1>{to_tag}\r\n\
         Call-ID: {unique:x}@{from}\r\n\
         CSeq: 1 {method}\r\n\
         Contact: <sip:stranger@{from}>\r\n\
         {more}Content-Length: 0\r\n\r\n"
    )
}
