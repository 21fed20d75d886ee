//! From a datagram to what it means.

use std::net::SocketAddr;
use std::time::Instant;

use offhook::sip::{Checked, HeaderIndex, Message, Writer};

use super::{Exchange, Incoming};

impl Exchange {
    /// Takes a datagram in. Whatever it holds, it is at worst counted.
    pub(in crate::population) fn receive<'a>(
        &mut self,
        now: Instant,
        source: SocketAddr,
        bytes: &'a [u8],
        index: &'a mut HeaderIndex,
    ) -> Incoming<'a> {
        if self.silent {
            return Incoming::Nothing;
        }
        self.wire.received += 1;
        match Message::receive(bytes, index) {
            Ok(Checked::Request(request)) => self.handle_request(now, source, request),
            Ok(Checked::Response(response)) => self.handle_response(now, response),
            Err(rejection) => {
                self.wire.malformed += 1;
                let mut answer = Vec::new();
                let writer = Writer::rejection(&mut answer, &rejection, source, "malformed");
                if let Some(mut writer) = writer {
                    writer.end();
                    self.transmit(source, answer);
                }
                Incoming::Nothing
            }
        }
    }
}
