//! Properties of the parser, the writer and the framing, and of UCM's own messages.

use proptest::prelude::*;

use super::*;

#[expect(unreachable_pub, reason = "the fuzzer's crate has it as well")]
#[path = "../../tests/fuzz/targets/message.rs"]
mod target;

const SAMPLES: [&[u8]; 10] = [
    include_bytes!("../../tests/data/cucm/invite_delayed_offer.sip"),
    include_bytes!("../../tests/data/cucm/invite_early_offer.sip"),
    include_bytes!("../../tests/data/cucm/bye_with_statistics.sip"),
    include_bytes!("../../tests/data/cucm/options_ping.sip"),
    include_bytes!("../../tests/data/cucm/notify_open_idle.sip"),
    include_bytes!("../../tests/data/cucm/notify_open_on_the_phone.sip"),
    include_bytes!("../../tests/data/cucm/notify_closed_on_the_phone.sip"),
    include_bytes!("../../tests/data/cucm/notify_person_open_tuple_closed.sip"),
    include_bytes!("../../tests/data/cucm/notify_tuple_only.sip"),
    include_bytes!("../../tests/data/cucm/notify_terminated.sip"),
];

#[test]
fn an_invite_of_ucm_is_read_in_full() {
    let mut index = HeaderIndex::new();
    let Ok(Checked::Request(invite)) = Message::receive(SAMPLES[0], &mut index) else {
        panic!("the sample is a request");
    };
    let message = invite.message;
    assert_eq!(invite.method, Method::Invite);
    assert_eq!(
        (invite.uri.user, invite.uri.port),
        (Some("7000"), Some(5060))
    );
    assert_eq!(
        invite.from_tag,
        Some("6128810~10185aaa-f16c-43c6-8b11-fd1ccfbe386d-37245911")
    );
    assert_eq!(
        (invite.to_tag, invite.cseq, invite.max_forwards),
        (None, 101, Some(69))
    );
    assert_eq!(invite.via.unique_branch(), Some("z9hG4bK9eb12762e1845"));
    assert_eq!(message.min_se(), Ok(Some(1800)));
    let session = message.session_expires().expect("legal").expect("there");
    assert_eq!(
        session,
        SessionExpires {
            seconds: 1800,
            refresher: None
        }
    );
    assert_eq!(message.expires(), Ok(Some(180)));
    let supported: Vec<&str> = message.supported().collect();
    assert_eq!(
        supported,
        [
            "timer",
            "resource-priority",
            "replaces",
            "X-cisco-srtp-fallback",
            "X-cisco-original-called"
        ]
    );
    assert!(message.has_token(HeaderName::Allow, "UPDATE"));
    let contact = message.contact().expect("legal").expect("there");
    assert_eq!(contact.uri.transport(), Some(Transport::Tcp));
    assert_eq!(
        contact.param("+u.sip!devicename.ccm.cisco.com"),
        Some("SEP0041D2924D45")
    );
    let party = message
        .remote_parties()
        .next()
        .expect("there")
        .expect("legal");
    assert_eq!(
        (party.party(), party.screened(), party.private()),
        (Some("calling"), true, false)
    );
    let caller = message.calling_identity().expect("legal");
    assert_eq!(
        (caller.uri.user, caller.display),
        (Some("3427"), Some(&b"Caller"[..]))
    );
    assert!(!message.identity_is_private());
    assert_eq!(message.headers(HeaderName::CallInfo).count(), 2);
    assert!(message.body().is_empty());
}

#[test]
fn the_best_identity_is_taken_and_privacy_is_heard() {
    let with = |headers: &str| {
        format!(
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:from@d>;tag=1\r\n\
             To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}\r\n"
        )
    };
    let called = "Remote-Party-ID: <sip:rpid@h>;party=called\r\n";
    let calling = "Remote-Party-ID: <sip:rpid@h>;party=calling;privacy=full\r\n";
    for (headers, user, private) in [
        (String::new(), "from", false),
        (called.to_owned(), "from", false),
        (calling.to_owned(), "rpid", true),
        (
            format!("{calling}P-Asserted-Identity: <tel:+1234>, <sip:x@y>\r\n"),
            "+1234",
            true,
        ),
        (
            format!("{calling}P-Asserted-Identity: broken\r\n"),
            "rpid",
            true,
        ),
        ("Privacy: none\r\n".to_owned(), "from", false),
        ("Privacy: critical; ID\r\n".to_owned(), "from", true),
    ] {
        let text = with(&headers);
        let mut index = HeaderIndex::new();
        let message = Message::parse(text.as_bytes(), &mut index).expect("legal");
        assert_eq!(
            message.calling_identity().expect("legal").uri.user,
            Some(user),
            "{headers}"
        );
        assert_eq!(message.identity_is_private(), private, "{headers}");
    }
}

#[test]
fn the_bye_of_ucm_says_why() {
    let mut index = HeaderIndex::new();
    let message = Message::parse(SAMPLES[2], &mut index).expect("legal");
    let reason = message.reasons().next().expect("there").expect("legal");
    assert!(reason.is_q850());
    assert_eq!(reason.cause(), Some(16));
    assert!(message.header(HeaderName::PRtpStat).is_some());
}

#[test]
fn heads_that_break_a_rule_name_it() {
    let fixed = "Via: SIP/2.0/UDP h\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n\
                 CSeq: 1 OPTIONS\r\n";
    let many = "Y: y\r\n".repeat(crate::limits::HEADERS_MAX);
    let vias = "Via: SIP/2.0/UDP h\r\n".repeat(crate::limits::VALUES_MAX);
    let long = format!("Y: {}\r\n", "y".repeat(crate::limits::LINE_BYTES_MAX));
    let huge = "Y: y\r\n".repeat(crate::limits::HEAD_BYTES_MAX / 6);
    for (headers, expected, status) in [
        ("broken\r\n", Malformed::HeaderLine, 400),
        (": x\r\n", Malformed::HeaderLine, 400),
        ("Y y: z\r\n", Malformed::HeaderLine, 400),
        ("Y: a\nZ: b\r\n", Malformed::BareLineEnd, 400),
        ("Y: a\rZ: b\r\n", Malformed::BareLineEnd, 400),
        ("Y: a\0b\r\n", Malformed::NulByte, 400),
        (
            "To: <sip:a@b>\r\n",
            Malformed::Duplicate(HeaderName::To),
            400,
        ),
        (
            "Max-Forwards: 256\r\n",
            Malformed::OutOfRange(HeaderName::MaxForwards),
            400,
        ),
        (
            "Max-Forwards: x\r\n",
            Malformed::Invalid(HeaderName::MaxForwards),
            400,
        ),
        ("Content-Length: 1\r\n", Malformed::BodyTruncated, 400),
        (many.as_str(), Malformed::TooManyHeaders, 513),
        (
            vias.as_str(),
            Malformed::TooManyValues(HeaderName::Via),
            400,
        ),
        (long.as_str(), Malformed::LineTooLong, 513),
        (huge.as_str(), Malformed::HeadTooLarge, 513),
    ] {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{fixed}{headers}\r\n");
        let mut index = HeaderIndex::new();
        let rejection = Message::receive(text.as_bytes(), &mut index).expect_err("broken");
        assert_eq!(rejection.error, expected, "{headers:.40}");
        assert_eq!(rejection.answer, Some(Status(status)), "{headers:.40}");
    }
    for (text, expected) in [
        ("", Malformed::Empty),
        ("\r\n\r\n", Malformed::Empty),
        ("hello", Malformed::StartLine),
        ("OPTIONS sip:a@b HTTP/1.1\r\n\r\n", Malformed::StartLine),
        ("OPTIONS SIP/2.0\r\n\r\n", Malformed::StartLine),
        ("SIP/3.0 200 OK\r\n\r\n", Malformed::Version),
        ("SIP/2.0 99 x\r\n\r\n", Malformed::StatusCode),
        ("SIP/2.0 0200 x\r\n\r\n", Malformed::StatusCode),
        ("SIP/2.0 700 x\r\n\r\n", Malformed::StatusCode),
    ] {
        let mut index = HeaderIndex::new();
        let rejection = Message::receive(text.as_bytes(), &mut index).expect_err("broken");
        assert_eq!(
            (rejection.error, rejection.answer),
            (expected, None),
            "{text}"
        );
    }
}

#[test]
fn values_are_counted_however_they_are_spread_over_lines() {
    use crate::limits::VALUES_MAX;
    let address = "<sip:a@h>";
    let addresses = vec![address; VALUES_MAX].join(",");
    let contacts = format!("Contact: {address}\r\n");
    for (name, headers, is_allowed) in [
        (
            HeaderName::Contact,
            format!("Contact: {addresses}\r\n"),
            true,
        ),
        (
            HeaderName::Contact,
            format!("Contact: {addresses},{address}\r\n"),
            false,
        ),
        (
            HeaderName::Contact,
            format!("Contact: {addresses}\r\n{contacts}"),
            false,
        ),
        (HeaderName::Contact, contacts.repeat(VALUES_MAX), true),
        (HeaderName::Contact, contacts.repeat(VALUES_MAX + 1), false),
    ] {
        assert_values(name, &headers, is_allowed);
    }
    // What is between commas is not looked at, so that the shortest value is an empty one.
    for name in [HeaderName::Via, HeaderName::Route, HeaderName::RecordRoute] {
        let before = usize::from(name == HeaderName::Via);
        for commas in [1, 2, 31, VALUES_MAX - 1] {
            let line = format!("{name}: {}\r\n", ",".repeat(commas));
            let most = (VALUES_MAX - before) / (commas + 1);
            assert_values(name, &line.repeat(most), true);
            assert_values(name, &line.repeat(most + 1), false);
        }
        assert_values(name, &format!("{name}: {}\r\n", ",".repeat(64)), false);
        assert_values(name, &format!("{name}: ,\r\n").repeat(63), false);
    }
}

/// Asks whether a request with a Via and these headers is let through, or has too many values.
fn assert_values(name: HeaderName, headers: &str, is_allowed: bool) {
    let text = format!(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n\
         From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n\
         {headers}\r\n"
    );
    let mut index = HeaderIndex::new();
    let error = Message::receive(text.as_bytes(), &mut index)
        .map(|_| ())
        .map_err(|rejection| rejection.error);
    let expected = match is_allowed {
        true => Ok(()),
        false => Err(Malformed::TooManyValues(name)),
    };
    assert_eq!(error, expected, "{headers:.60}");
}

#[test]
fn a_response_without_reason_and_leading_line_ends_are_tolerated() {
    let text = "\r\n\r\nSIP/2.0 183\r\nVia: SIP/2.0/UDP h\r\n\r\n";
    let mut index = HeaderIndex::new();
    let message = Message::parse(text.as_bytes(), &mut index).expect("legal");
    let expected = StartLine::Response {
        status: Status::SESSION_PROGRESS,
        reason: b"",
    };
    assert_eq!(message.start_line(), expected);
}

#[test]
fn every_cut_of_a_stream_gives_the_same_frames() {
    let (stream, expected) = stream();
    for cut in 0..=stream.len() {
        assert_eq!(
            frames(&[&stream[..cut], &stream[cut..]]),
            expected,
            "cut at {cut}"
        );
    }
}

/// UCM's messages with keep-alives between them, and the frames this is.
fn stream() -> (Vec<u8>, Vec<Frame>) {
    let mut stream = Vec::new();
    let mut frames = Vec::new();
    for (number, sample) in SAMPLES.iter().enumerate() {
        stream.extend_from_slice(sample);
        frames.push(Frame::Complete(sample.len()));
        for _ in 0..number % 3 {
            stream.extend_from_slice(b"\r\n\r\n");
            frames.push(Frame::KeepAlive(4));
        }
        if number % 2 == 1 {
            stream.extend_from_slice(b"\r\n");
            frames.push(Frame::KeepAlive(2));
        }
    }
    // A line end at the very end may still become a ping.
    stream.truncate(stream.len() - 2);
    frames.pop();
    (stream, frames)
}

/// What a reader that gets these pieces one by one sees. The stateless function must agree.
fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut buffer = Vec::new();
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let found = framer.frame(&buffer);
            assert_eq!(found, frame(&buffer));
            match found {
                Frame::Complete(count) | Frame::KeepAlive(count) => {
                    buffer.drain(..count);
                    seen.push(found);
                }
                Frame::Incomplete => break,
                Frame::Malformed(error) => panic!("the stream is whole: {error}"),
            }
        }
    }
    assert!(buffer.is_empty());
    seen
}

proptest! {
    #[test]
    fn any_pieces_of_a_stream_give_the_same_frames(
        mut cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let (stream, expected) = stream();
        let mut points: Vec<usize> =
            cuts.drain(..).map(|cut| cut.index(stream.len() + 1)).collect();
        points.extend([0, stream.len()]);
        points.sort_unstable();
        let pieces: Vec<&[u8]> =
            points.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(frames(&pieces), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        target::run(&bytes);
        target::run(&[b"OPTIONS sip:a SIP/2.0\r\nVia: ", &bytes[..]].concat());
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic(
        sample in 0..SAMPLES.len(),
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), prop_oneof![any::<u8>(), separators()], 0..3_u8),
            1..6,
        ),
    ) {
        let mut bytes = SAMPLES[sample].to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        target::run(&bytes);
    }

    /// Names are looked for in more bytes than the last line may have.
    #[test]
    fn what_follows_a_head_changes_nothing_of_its_lines(
        lines in "((To|Call-ID|Via|k|Date|Content-Type|X-A| |)( |):( |)(a:b|1|\"|)\
            (\r\n|\r\n |\r|)){0,4}",
        body in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let head = format!("OPTIONS sip:a SIP/2.0\r\n{lines}\r\n\r\n").into_bytes();
        let followed = [&head[..], &body].concat();
        let [mut index, mut other] = [HeaderIndex::new(), HeaderIndex::new()];
        let read = Message::parse(&head, &mut index);
        let other = Message::parse(&followed, &mut other);
        match (read, other) {
            (Ok(one), Ok(two)) => prop_assert!(one.all_headers().eq(two.all_headers())),
            (Err(one), Err(two)) => prop_assert_eq!(one, two),
            (one, two) => panic!("{one:?} {two:?} {lines:?}"),
        }
    }

    #[test]
    fn what_is_written_reads_back_and_writes_the_same(
        headers in proptest::collection::vec((name(), VALUE), 0..20),
        body in proptest::collection::vec(any::<u8>(), 0..64),
    ) {
        let mut first = Vec::new();
        let mut writer = Writer::request(&mut first, Method::Message, b"sip:a@b");
        for (name, value) in &headers {
            writer.raw(name.as_bytes(), value.as_bytes());
        }
        writer.body("text/plain", &body);
        let mut index = HeaderIndex::new();
        let message = Message::parse(&first, &mut index).expect("what we write can be read");
        prop_assert_eq!(message.body(), &body[..]);
        prop_assert_eq!(message.all_headers().count(), headers.len() + 2);
        let mut second = Vec::new();
        let mut writer = Writer::request(&mut second, Method::Message, b"sip:a@b");
        for (_, name, value) in message.all_headers().take(headers.len()) {
            writer.raw(name, value);
        }
        writer.body("text/plain", message.body());
        let mut index = HeaderIndex::new();
        let again = Message::parse(&second, &mut index).expect("what we write can be read");
        for (one, two) in message.all_headers().zip(again.all_headers()) {
            prop_assert_eq!(one, two);
        }
    }

    #[test]
    fn an_address_reads_back_as_it_was_written(
        display in proptest::option::of("[^\\p{Cc}]{0,20}"),
        user in "[a-z0-9*#+;=?/&$,._!~'()-]{1,12}",
        host in HOST,
        port in proptest::option::of(any::<u16>()),
        tag in proptest::option::of("[a-zA-Z0-9~!*_+.-]{1,20}"),
    ) {
        let mut text = String::new();
        if let Some(display) = &display {
            let escaped = display.replace('\\', "\\\\").replace('"', "\\\"");
            text += &format!("\"{escaped}\" ");
        }
        text += &format!("<sip:{user}@{host}");
        text += &port.map(|port| format!(":{port}")).unwrap_or_default();
        text += ";transport=tcp>";
        text += &tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let address = NameAddr::parse(text.as_bytes()).expect("legal");
        prop_assert_eq!(address.uri.user, Some(user.as_str()));
        prop_assert_eq!(address.uri.host.to_string(), host);
        prop_assert_eq!(address.uri.port, port);
        prop_assert_eq!(address.tag(), tag.as_deref());
        prop_assert_eq!(address.display_text().collect::<String>(), display.unwrap_or_default());
        prop_assert_eq!(address.to_string(), text);
    }

    #[test]
    fn folds_case_and_compact_forms_change_nothing(
        seed in any::<u64>(),
        sample in 0..SAMPLES.len(),
    ) {
        let mut index = HeaderIndex::new();
        let plain = Message::parse(SAMPLES[sample], &mut index).expect("the sample is a message");
        let disguised = disguise(&plain, seed);
        let mut index = HeaderIndex::new();
        let other = Message::parse(&disguised, &mut index);
        let other = other.unwrap_or_else(|error| {
            panic!("{error} {}", String::from_utf8_lossy(&disguised))
        });
        prop_assert_eq!(other.body(), plain.body());
        prop_assert_eq!(other.from(), plain.from());
        prop_assert_eq!(other.to(), plain.to());
        prop_assert_eq!(other.via(), plain.via());
        prop_assert_eq!(other.cseq(), plain.cseq());
        prop_assert_eq!(other.call_id(), plain.call_id());
        prop_assert_eq!(other.contact(), plain.contact());
        prop_assert_eq!(other.subscription_state(), plain.subscription_state());
        prop_assert_eq!(other.session_expires(), plain.session_expires());
        prop_assert!(other.supported().eq(plain.supported()));
        prop_assert!(other.allow().eq(plain.allow()));
    }
}

/// Values of headers: printable text, or nothing but trouble.
const VALUE: &str = "\\PC{0,30}|[\\x00-\\x20,;\"<>a]{0,20}";

/// Hosts, spelled as we would spell them.
const HOST: &str = "[a-z][a-z0-9-]{0,8}(\\.[a-z][a-z0-9]{0,5}){0,2}\
    |192\\.0\\.2\\.[1-9]|\\[2001:db8::[1-9]\\]";

/// Bytes that mean something to a parser.
fn separators() -> impl Strategy<Value = u8> {
    prop::sample::select(&b"\r\n \t\0\"\\<>,;:=@?[]%/.0"[..])
}

/// Names of headers, known, compact and unknown, none of which may stand once only.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&["Via", "v", "Contact", "Route", "Subject", "s", "k"][..])
            .prop_map(str::to_owned),
        "X-[A-Za-z0-9!%*_+`'~.-]{1,10}",
    ]
}

/// The same message with every freedom of the grammar taken: compact names, other case, white
/// space around the colon, folds for blanks.
fn disguise(message: &Message<'_>, seed: u64) -> Vec<u8> {
    let mut random = seed | 1;
    let mut chance = move || {
        // Marsaglia's xorshift: enough to spread choices.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let end = memchr::memmem::find(message.bytes(), b"\r\n").expect("a start line");
    let mut bytes = message.bytes()[..end + 2].to_vec();
    let mut lines: Vec<_> = message.all_headers().collect();
    for (_, name, value) in lines.drain(..) {
        let compact: &[u8] = match name {
            b"From" => b"f",
            b"To" => b"T",
            b"Via" => b"v",
            b"Call-ID" => b"i",
            b"Contact" => b"M",
            b"Supported" => b"k",
            b"Content-Length" => b"L",
            b"Session-Expires" => b"x",
            other => other,
        };
        match chance() % 3 {
            0 => bytes.extend_from_slice(compact),
            1 => bytes.extend(name.to_ascii_lowercase()),
            _ => bytes.extend(name.to_ascii_uppercase()),
        }
        bytes.extend_from_slice([&b":"[..], b" \t:", b": \t", b":\r\n "][chance() as usize % 4]);
        for byte in value {
            match (byte, chance() % 2) {
                (b' ', 0) => bytes.extend_from_slice(b"\r\n\t "),
                _ => bytes.push(*byte),
            }
        }
        bytes.extend_from_slice([&b"\r\n"[..], b"  \r\n"][chance() as usize % 2]);
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(message.body());
    bytes
}
