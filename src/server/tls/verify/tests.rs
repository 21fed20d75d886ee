//! Whom a certificate names, by RFC 5922 §7.

use offhook_shards::rustls::pki_types::ServerName;

use super::{names, sip_domain};

/// Whether a certificate with these alternative names is for somebody.
fn is_for(alternatives: &[rcgen::SanType], wanted: &str) -> bool {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.subject_alt_names = alternatives.to_vec();
    let certificate = parameters.self_signed(&key).unwrap();
    names(certificate.der(), &ServerName::try_from(wanted).unwrap()).unwrap()
}

fn dns(name: &str) -> rcgen::SanType {
    rcgen::SanType::DnsName(name.try_into().unwrap())
}

fn uri(uri: &str) -> rcgen::SanType {
    rcgen::SanType::URI(uri.try_into().unwrap())
}

#[test]
fn a_dns_name_is_compared_whole_and_without_regard_to_case() {
    let certificate = [dns("PBX.example.com"), dns("other.example.com")];
    assert!(is_for(&certificate, "pbx.example.com"));
    assert!(is_for(&certificate, "Other.Example.com"));
    assert!(!is_for(&certificate, "example.com"));
    assert!(!is_for(&certificate, "sub.pbx.example.com"));
}

#[test]
fn a_wildcard_names_nobody() {
    assert!(!is_for(&[dns("*.example.com")], "pbx.example.com"));
}

#[test]
fn a_uri_of_sip_is_the_identity_and_dns_names_beside_it_are_not() {
    let certificate = [uri("sip:example.com"), dns("pbx.example.com")];
    assert!(is_for(&certificate, "example.com"));
    assert!(!is_for(&certificate, "pbx.example.com"));
    // A URI with a user is a person's, one of another scheme something else: the DNS name holds.
    let certificate = [
        uri("sip:alice@example.com"),
        uri("https://example.com"),
        dns("pbx.example.com"),
    ];
    assert!(is_for(&certificate, "pbx.example.com"));
    assert!(!is_for(&certificate, "example.com"));
}

#[test]
fn an_address_is_named_by_itself() {
    let certificate = [rcgen::SanType::IpAddress([192, 0, 2, 1].into())];
    assert!(is_for(&certificate, "192.0.2.1"));
    assert!(!is_for(&certificate, "192.0.2.2"));
    assert!(!is_for(&[dns("pbx.example.com")], "192.0.2.1"));
}

#[test]
fn the_domain_of_a_uri_ends_where_it_ends() {
    assert_eq!(sip_domain("SIP:example.com:5061;x=y"), Some("example.com"));
    assert_eq!(sip_domain("sips:example.com"), None);
    assert_eq!(sip_domain("sip:a@example.com"), None);
    assert_eq!(sip_domain("example.com"), None);
}
