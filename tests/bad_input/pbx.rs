//! A PBX of one node on loopback: answers pings and subscriptions, says that every phone is free,
//! and every phone answers at once. It can be told to say nothing any more.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::message::{Draft, Heard, OFFER, fresh};

/// What a subscription's NOTIFYs repeat.
#[derive(Debug, Clone)]
struct Subscription {
    from: String,
    to: String,
    call_id: String,
    target: String,
    cseq: u32,
}

#[derive(Debug, Default)]
struct State {
    mute: AtomicBool,
    stop: AtomicBool,
    invites: AtomicUsize,
    subscriptions: Mutex<BTreeMap<String, Subscription>>,
}

/// A running PBX.
#[derive(Debug)]
pub(crate) struct Pbx {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Pbx {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let thread = std::thread::spawn(move || attend(&socket, address, &own));
        Self {
            address,
            state,
            thread: Some(thread),
        }
    }

    /// From now on it hears and says nothing.
    pub(crate) fn fall_silent(&self) {
        self.state.mute.store(true, Ordering::Relaxed);
    }

    /// How many calls its phones have been offered.
    pub(crate) fn invites(&self) -> usize {
        self.state.invites.load(Ordering::Relaxed)
    }

    /// The next NOTIFY about a phone, good as it stands.
    pub(crate) fn notify(&self, dn: &str) -> Draft {
        let mut subscriptions = self.state.subscriptions.lock().unwrap();
        let subscription = subscriptions.get_mut(dn).expect("the phone is watched");
        subscription.cseq += 1;
        notify(subscription, dn)
    }
}

impl Drop for Pbx {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the PBX broke");
        }
    }
}

/// What a phone that is free says.
pub(crate) fn presence(dn: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:{dn}@127.0.0.1\">\
         <tuple id=\"1\"><status><basic>open</basic></status></tuple></presence>"
    )
}

fn notify(subscription: &Subscription, dn: &str) -> Draft {
    let Subscription {
        from,
        to,
        call_id,
        target,
        cseq,
    } = subscription;
    Draft::new("NOTIFY", dn)
        .start(&format!("NOTIFY {target} SIP/2.0"))
        .set("From", from)
        .set("To", to)
        .set("Call-ID", call_id)
        .set("CSeq", &format!("{cseq} NOTIFY"))
        .with("Event", "presence")
        .with("Subscription-State", "active;expires=3600")
        .with("Content-Type", "application/pidf+xml")
        .body(presence(dn).as_bytes())
}

fn attend(socket: &UdpSocket, address: SocketAddr, state: &State) {
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    let mut buffer = vec![0; 65_535];
    while !state.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        if state.mute.load(Ordering::Relaxed) {
            continue;
        }
        let heard = Heard(String::from_utf8_lossy(&buffer[..length]).into_owned());
        let contact = format!("Contact: <sip:{address}>\r\n");
        let end = "Content-Length: 0\r\n\r\n";
        let say = |text: &str| drop(socket.send_to(text.as_bytes(), from));
        match heard.method() {
            Some("OPTIONS" | "BYE" | "CANCEL") => say(&(heard.answer("200 OK", "pbx") + end)),
            Some("INVITE") => {
                state.invites.fetch_add(1, Ordering::Relaxed);
                let answer = heard.answer("200 OK", &fresh("phone"));
                say(&format!(
                    "{answer}{contact}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n\
                     {OFFER}",
                    OFFER.len()
                ));
            }
            Some("SUBSCRIBE") => {
                let answer = heard.answer("200 OK", &fresh("watch"));
                say(&format!("{answer}{contact}Expires: 3600\r\n{end}"));
                let (dn, subscription) = subscription(&heard, &Heard(answer));
                let bytes = notify(&subscription, &dn)
                    .bytes(offhook_shards::Transport::Udp, &address.to_string());
                let _ = socket.send_to(&bytes, from);
                state.subscriptions.lock().unwrap().insert(dn, subscription);
            }
            Some(_) | None => {}
        }
    }
}

fn subscription(subscribe: &Heard, answer: &Heard) -> (String, Subscription) {
    let dn = subscribe.value("To").split(['<', ':', '@']).nth(2);
    let contact = subscribe.value("Contact").split(['<', '>']).nth(1);
    let subscription = Subscription {
        from: answer.value("To").to_owned(),
        to: subscribe.value("From").to_owned(),
        call_id: subscribe.value("Call-ID").to_owned(),
        target: contact.expect("a Contact has a URI").to_owned(),
        cseq: 1,
    };
    (dn.expect("a To has a user").to_owned(), subscription)
}
