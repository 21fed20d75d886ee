//! Parts, mistakes and comparison of URIs (RFC 3261 §19.1).

use proptest::prelude::*;

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).expect("the test's URI parses")
}

#[test]
fn parts_of_a_full_uri_are_found() {
    let uri = uri("sip:alice:pw@[2001:db8::1]:5070;transport=tcp;lr?Subject=x&a=b");
    assert_eq!(uri.scheme, Scheme::Sip);
    assert_eq!(uri.user, Some("alice"));
    assert_eq!(uri.password, Some("pw"));
    assert_eq!(uri.host.to_string(), "[2001:db8::1]");
    assert_eq!(uri.port, Some(5070));
    assert_eq!(uri.transport(), Some(Transport::Tcp));
    assert!(uri.lr());
    assert_eq!(uri.headers, "Subject=x&a=b");
    assert_eq!(
        uri.to_string(),
        "sip:alice:pw@[2001:db8::1]:5070;transport=tcp;lr?Subject=x&a=b"
    );
}

#[test]
fn bad_uris_name_the_rule_they_break() {
    for (text, expected) in [
        ("", Malformed::Uri),
        ("sip", Malformed::Uri),
        ("1sip:x", Malformed::Uri),
        ("sip:@host", Malformed::Uri),
        ("sip:a b@host", Malformed::Uri),
        ("sip:a<b@host", Malformed::Uri),
        ("sip:a%4@host", Malformed::UriEscape),
        ("sip:a%4g@host", Malformed::UriEscape),
        ("sip:", Malformed::UriHost),
        ("sip:user@", Malformed::UriHost),
        ("sip:256.1.1.1", Malformed::UriHost),
        ("sip:[::1", Malformed::UriHost),
        ("sip:[2001:db8:::192.0.2.1]", Malformed::UriHost),
        ("sip:[::1]x", Malformed::UriHost),
        ("sip:host:", Malformed::UriPort),
        ("sip:host:65536", Malformed::UriPort),
        ("sip:host:5x", Malformed::UriPort),
        ("sip:host;;lr", Malformed::Parameter),
        ("sip:host;=x", Malformed::Parameter),
        ("tel:", Malformed::Uri),
    ] {
        assert_eq!(Uri::parse(text.as_bytes()), Err(expected), "{text}");
    }
}

#[test]
fn values_with_equals_signs_are_written_without_quotes() {
    let text = "sip:alice@example.com;pn-prid=c2FsdA==;lr";
    assert_eq!(uri(text).param("pn-prid"), Some("c2FsdA=="));
    assert_eq!(uri(text).to_string(), text);
}

#[test]
fn other_schemes_keep_their_text() {
    let tel = uri("tel:+1972555;phone-context=example.com");
    assert_eq!((tel.scheme, tel.user), (Scheme::Tel, Some("+1972555")));
    assert_eq!(tel.param("phone-context"), Some("example.com"));
    assert_eq!(tel.to_string(), "tel:+1972555;phone-context=example.com");
    let beep = uri("soap.beep://192.0.2.103:3002");
    assert_eq!(beep.scheme, Scheme::Other("soap.beep"));
    assert_eq!(beep.to_string(), "soap.beep://192.0.2.103:3002");
}

#[test]
fn comparison_follows_the_examples_of_the_rfc() {
    for (this, that) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+123", "tel:+123"),
        ("sip:a@h;x=1;x=2;X=3", "sip:a@h;x=1;x=3"),
    ] {
        assert!(uri(this).equivalent(&uri(that)), "{this} {that}");
        assert!(uri(that).equivalent(&uri(this)), "{that} {this}");
    }
    for (this, that) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com:6000;transport=tcp",
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a%3Bb@host", "sip:a;b@host"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("tel:+123", "tel:+124"),
    ] {
        assert!(!uri(this).equivalent(&uri(that)), "{this} {that}");
    }
}

/// The parts of a URI as [`Uri`] has them, found without regard to time.
fn slowly(bytes: &[u8]) -> Result<Uri<'_>, Malformed> {
    let is_foreign = |byte: &u8| !byte.is_ascii_graphic() || b"\"<>\\".contains(byte);
    if bytes.iter().any(is_foreign) {
        return Err(Malformed::Uri);
    }
    let is_escape = |rest: &[u8]| {
        let digits = rest.get(1..3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let mut ends = (0..bytes.len()).map(|at| &bytes[at..]);
    if !ends.all(|rest| rest[0] != b'%' || is_escape(rest)) {
        return Err(Malformed::UriEscape);
    }
    let whole = std::str::from_utf8(bytes).expect("no byte is foreign");
    let (name, rest) = whole.split_once(':').ok_or(Malformed::Uri)?;
    let scheme = scheme(name.as_bytes())?;
    if !scheme.is_sip() {
        return Uri::parse_opaque(scheme, rest);
    }
    let (user, rest) = match rest.split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, rest),
    };
    let (user, password) = match user.and_then(|user| user.split_once(':')) {
        Some((user, password)) => (Some(user), Some(password)),
        None => (user, None),
    };
    if user == Some("") {
        return Err(Malformed::Uri);
    }
    let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
    let host_end = rest.find(';').unwrap_or(rest.len());
    let (host, port) = host_and_port_slowly(&rest[..host_end])?;
    Ok(Uri {
        scheme,
        user,
        password,
        host,
        port,
        parameters: Parameters::parse(&rest.as_bytes()[host_end..])?,
        headers,
    })
}

fn host_and_port_slowly(text: &str) -> Result<(Host<'_>, Option<u16>), Malformed> {
    let end = match text.starts_with('[') {
        true => text.find(']').ok_or(Malformed::UriHost)? + 1,
        false => text.find(':').unwrap_or(text.len()),
    };
    let host = host_slowly(&text[..end])?;
    match text[end..].strip_prefix(':') {
        None if end == text.len() => Ok((host, None)),
        None => Err(Malformed::UriHost),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port = digits.parse().map_err(|_| Malformed::UriPort)?;
            Ok((host, Some(port)))
        }
        Some(_) => Err(Malformed::UriPort),
    }
}

fn host_slowly(text: &str) -> Result<Host<'_>, Malformed> {
    let inside = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    if let Some(address) = inside {
        return address
            .parse()
            .map(Host::V6)
            .map_err(|_| Malformed::UriHost);
    }
    if let Ok(address) = text.parse() {
        return Ok(Host::V4(address));
    }
    let is_letter = |letter: char| letter.is_ascii_alphabetic();
    let labels = text.trim_end_matches('.');
    let top = labels.rsplit('.').next().unwrap_or_default();
    let is_single = !text.contains('.') && text.contains(is_letter);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if text.chars().all(is_name) && (top.starts_with(is_letter) || is_single) {
        return Ok(Host::Name(text));
    }
    Err(Malformed::UriHost)
}

/// What URIs are made of, and what they are not.
const PIECES: &str = "(sip:|SIPS:|tel:|a|7000|@|:|;|\\?|=|&|%4|%41|,|/|-|_|\\.|\\[|\\]|::1|\
    0|1|25|255|256|192\\.0\\.2\\.1|:5060|65535|65536|h\\.example\\.com|transport=udp|lr|\
    \"|<| |\r\n|é){0,9}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_uri_is_what_its_delimiters_say(pieces in PIECES, bytes in "[ -~]{0,3}") {
        let texts = [
            pieces.clone(),
            format!("sip:{pieces}"),
            format!("sip:7000@{pieces}"),
            format!("sip:7000@192.0.2.1{pieces}"),
            format!("sips:{pieces}@h.example.com{bytes}"),
        ];
        for text in &texts {
            prop_assert_eq!(Uri::parse(text.as_bytes()), slowly(text.as_bytes()), "{}", text);
            prop_assert_eq!(Host::parse(text.as_bytes()), host_slowly(text), "{}", text);
        }
        prop_assert_eq!(Host::parse(pieces.as_bytes()), host_slowly(&pieces));
    }

    #[test]
    fn an_address_of_four_numbers_is_what_the_standard_library_reads(
        text in "[0-2]?[0-9]{1,2}(\\.[0-9]{1,3}){2,4}\\.?[0-9a]?",
    ) {
        let read = v4(text.as_bytes()).filter(|(_, rest)| rest.is_empty());
        prop_assert_eq!(read.map(|(address, _)| address), text.parse().ok());
    }

    #[test]
    fn no_byte_is_taken_for_another(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = b"sip:7000:p@192.0.2.1:5060;transport=udp?a=b".to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(Uri::parse(&bytes), slowly(&bytes));
    }
}
