//! Parts, mistakes and comparison of URIs (RFC 3261 §19.1).

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
