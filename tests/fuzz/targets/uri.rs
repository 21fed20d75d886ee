//! URIs: what is read is written so that it reads the same, and comparison is one.

use offhook::limits::PARAMETERS_MAX;
use offhook::sip::{Parameters, Uri};

/// Two lines, a URI each.
pub fn run(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n').map(Uri::parse);
    let one = lines.next().and_then(Result::ok);
    let other = lines.next().and_then(Result::ok);
    for uri in one.iter().chain(&other) {
        reads_back(uri);
    }
    if let (Some(one), Some(other)) = (&one, &other) {
        let agree = one.equivalent(other);
        assert_eq!(agree, other.equivalent(one), "{one} and {other}");
        assert!(agree || one != other, "{one} is not itself");
    }
}

fn reads_back(uri: &Uri<'_>) {
    let written = uri.to_string();
    let again = Uri::parse(written.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{written} is not read again: {error}"));
    same_uri(uri, &again);
    assert_eq!(written, again.to_string());
    assert!(uri.equivalent(uri), "{written} is not itself");
    assert!(uri.equivalent(&again), "{written} changes its meaning");
    assert!(uri.parameters.iter().count() <= PARAMETERS_MAX);
    for (name, _) in uri.parameters.iter() {
        assert_eq!(uri.param(name), again.param(name));
    }
    assert_eq!(uri.host.address().is_some(), again.host.address().is_some());
    assert_eq!((uri.transport(), uri.lr()), (again.transport(), again.lr()));
}

/// Both say the same, part by part.
pub(super) fn same_uri(one: &Uri<'_>, other: &Uri<'_>) {
    assert_eq!(one.scheme, other.scheme);
    assert_eq!((one.user, one.password), (other.user, other.password));
    assert_eq!((one.host, one.port), (other.host, other.port));
    assert_eq!(one.headers, other.headers);
    same_parameters(&one.parameters, &other.parameters);
}

/// Both have the same names and values in the same order.
pub(super) fn same_parameters(one: &Parameters<'_>, other: &Parameters<'_>) {
    let (one, other): (Vec<_>, Vec<_>) = (one.iter().collect(), other.iter().collect());
    assert_eq!(one, other);
}
