//! What a message costs until it can be routed, on messages shaped like UCM's. The yardstick is
//! httparse's header parser on the same header block.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use offhook::sip::{Checked, HeaderIndex, HeaderName, Message, pidf};

const INVITE: &[u8] = include_bytes!("../tests/data/cucm/invite_delayed_offer.sip");
const NOTIFY: &[u8] = include_bytes!("../tests/data/cucm/notify_open_on_the_phone.sip");

fn parse(criterion: &mut Criterion) {
    invite(criterion);
    notify(criterion);
}

fn invite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse/invite_1224b");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    let mut index = HeaderIndex::new();
    assert_eq!((INVITE.len(), header_lines(INVITE, &mut index)), (1224, 23));
    group.bench_function("index", |bencher| {
        bencher.iter(|| header_lines(black_box(INVITE), &mut index));
    });
    assert_eq!(routing_headers(INVITE, &mut index), 157);
    group.bench_function("routing_headers", |bencher| {
        bencher.iter(|| routing_headers(black_box(INVITE), &mut index));
    });
    yardstick(&mut group, INVITE, 23);
    group.finish();
}

fn notify(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse/notify_1245b");
    group.throughput(Throughput::Bytes(NOTIFY.len() as u64));
    let mut index = HeaderIndex::new();
    assert_eq!((NOTIFY.len(), header_lines(NOTIFY, &mut index)), (1245, 13));
    group.bench_function("index", |bencher| {
        bencher.iter(|| header_lines(black_box(NOTIFY), &mut index));
    });
    assert_eq!(subscription(NOTIFY, &mut index), 27);
    group.bench_function("subscription_headers", |bencher| {
        bencher.iter(|| subscription(black_box(NOTIFY), &mut index));
    });
    assert_eq!(activities(NOTIFY, &mut index), 1);
    group.bench_function("presence_document", |bencher| {
        bencher.iter(|| activities(black_box(NOTIFY), &mut index));
    });
    yardstick(&mut group, NOTIFY, 13);
    group.finish();
}

/// Header lines of the message, once each has its name and its place.
// Seen by callgrind under its name.
#[inline(never)]
fn header_lines(bytes: &[u8], index: &mut HeaderIndex) -> usize {
    Message::parse(bytes, index).expect("the sample is a message");
    index.count()
}

/// Everything that finds the transaction, the dialog and the next hop.
fn routing_headers(bytes: &[u8], index: &mut HeaderIndex) -> usize {
    let Ok(Checked::Request(request)) = Message::receive(bytes, index) else {
        panic!("the sample is a request");
    };
    request.call_id.len()
        + request.from_tag.map_or(0, str::len)
        + request.via.branch().map_or(0, str::len)
        + request.uri.user.map_or(0, str::len)
        + usize::from(request.message.header(HeaderName::RecordRoute).is_some())
        + request.contact.map_or(0, |contact| contact.uri_bytes.len())
}

/// Everything that finds the subscription and its state.
fn subscription(bytes: &[u8], index: &mut HeaderIndex) -> usize {
    let Ok(Checked::Request(request)) = Message::receive(bytes, index) else {
        panic!("the sample is a request");
    };
    let state = request
        .message
        .subscription_state()
        .expect("legal")
        .expect("there");
    assert!(state.reason.is_none());
    request.call_id.len() + request.to_tag.map_or(0, str::len)
}

/// The presence document in the body, in full.
fn activities(bytes: &[u8], index: &mut HeaderIndex) -> usize {
    let message = Message::parse(bytes, index).expect("the sample is a message");
    let text = pidf::text(message.body()).expect("text");
    let presence = pidf::parse(&text).expect("a presence document");
    presence.activities.iter().count()
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

fn yardstick(group: &mut Group<'_>, message: &[u8], expected: usize) {
    // Without the start line, which is not HTTP's. The samples have no folds.
    let start = memchr::memmem::find(message, b"\r\n").expect("a start line") + 2;
    let headers = &message[start..];
    assert_eq!(httparse_lines(headers), expected);
    group.bench_function("yardstick_httparse_headers", |bencher| {
        bencher.iter(|| httparse_lines(black_box(headers)));
    });
}

#[inline(never)]
fn httparse_lines(bytes: &[u8]) -> usize {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    match httparse::parse_headers(bytes, &mut headers) {
        Ok(httparse::Status::Complete((_, headers))) => headers.len(),
        Ok(httparse::Status::Partial) | Err(_) => panic!("the headers are whole"),
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
