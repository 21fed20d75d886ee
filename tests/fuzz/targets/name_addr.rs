//! From, To, Contact and their relatives: what is read is written so that it reads the same:
//! no display name breaks out of its quotes.

use offhook::sip::NameAddr;

use super::uri::{same_parameters, same_uri};

/// One element.
pub fn run(bytes: &[u8]) {
    let parsed = NameAddr::parse(bytes);
    let padded = [b" \t", bytes, b"\r\n "].concat();
    assert_eq!(parsed, NameAddr::parse(&padded), "blanks around it matter");
    let Ok(element) = parsed else {
        return;
    };
    assert!(
        bytes
            .windows(element.uri_bytes.len())
            .any(|part| part == element.uri_bytes)
    );
    let written = element.to_string();
    let again = NameAddr::parse(written.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{written} is not read again: {error}"));
    same_uri(&element.uri, &again.uri);
    same_parameters(&element.parameters, &again.parameters);
    assert_eq!(
        (element.tag(), element.display.is_some()),
        (again.tag(), again.display.is_some())
    );
    assert!(element.display_text().eq(again.display_text()), "{written}");
    assert_eq!(written, again.to_string());
}
