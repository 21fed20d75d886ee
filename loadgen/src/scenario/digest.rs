//! Digest authentication (RFC 2617, RFC 8760): answers a challenge with MD5 or SHA-256, and
//! checks an answer.

use md5::Md5;
use sha2::Sha256;

use super::template::parameters;
use super::value::write_to;

/// Which hash a challenge asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswerable {
    /// It is none of Digest.
    Scheme,
    /// Neither MD5 nor SHA-256.
    Algorithm,
    /// It lacks a realm or a nonce.
    Incomplete,
}

impl std::fmt::Display for Unanswerable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Scheme => "the challenge is not of the Digest scheme",
            Self::Algorithm => "the challenge asks for another algorithm than MD5 and SHA-256",
            Self::Incomplete => "the challenge lacks a realm or a nonce",
        })
    }
}

/// What answering takes beside the challenge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Credentials<'a> {
    pub(crate) username: &'a [u8],
    pub(crate) password: &'a [u8],
    pub(crate) method: &'a [u8],
    pub(crate) uri: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) client_nonce: u32,
    /// How often this nonce was used, this time included.
    pub(crate) count: u32,
}

/// Appends the value of an Authorization header, without the header's name.
///
/// # Errors
/// Why there is no answer; nothing was appended.
pub(crate) fn answer(
    challenge: &[u8],
    credentials: &Credentials<'_>,
    output: &mut Vec<u8>,
) -> Result<(), Unanswerable> {
    let given = scheme(challenge).ok_or(Unanswerable::Scheme)?;
    let given = parameters(given);
    let find = |name: &str| given.get(name.as_bytes()).map(Vec::as_slice);
    let (Some(realm), Some(nonce)) = (find("realm"), find("nonce")) else {
        return Err(Unanswerable::Incomplete);
    };
    let algorithm = algorithm(find("algorithm")).ok_or(Unanswerable::Algorithm)?;
    let quality = find("qop").and_then(quality);
    let client_nonce = format!("{:08x}", credentials.client_nonce);
    let count = format!("{:08x}", credentials.count);
    let response = response(
        algorithm,
        realm,
        nonce,
        quality.map(|quality| [count.as_bytes(), client_nonce.as_bytes(), quality]),
        credentials,
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut quoted = |name: &str, value: &[u8]| {
        output.extend_from_slice(name.as_bytes());
        output.extend_from_slice(b"=\"");
        output.extend_from_slice(value);
        output.push(b'"');
    };
    quoted("Digest username", credentials.username);
    quoted(",realm", realm);
    if let Some(quality) = quality {
        quoted(",cnonce", client_nonce.as_bytes());
        write_to(output, format_args!(",nc={count},qop={}", text(quality)));
    }
    let mut quoted = |name: &str, value: &[u8]| {
        output.extend_from_slice(name.as_bytes());
        output.extend_from_slice(b"=\"");
        output.extend_from_slice(value);
        output.push(b'"');
    };
    quoted(",uri", credentials.uri);
    quoted(",nonce", nonce);
    quoted(",response", response.as_bytes());
    write_to(output, format_args!(",algorithm={}", name(algorithm)));
    if let Some(opaque) = find("opaque") {
        write_to(output, format_args!(",opaque=\"{}\"", text(opaque)));
    }
    Ok(())
}

/// Whether the value of an Authorization header is right for these credentials. The URI is the
/// one that the header names.
pub(crate) fn verify(value: &[u8], credentials: &Credentials<'_>) -> bool {
    let Some(given) = scheme(value) else {
        return false;
    };
    let given = parameters(given);
    let find = |name: &str| given.get(name.as_bytes()).map(Vec::as_slice);
    let (Some(realm), Some(nonce), Some(wanted), Some(uri)) =
        (find("realm"), find("nonce"), find("response"), find("uri"))
    else {
        return false;
    };
    let Some(algorithm) = algorithm(find("algorithm")) else {
        return false;
    };
    let quality = find("qop").and_then(quality);
    let protection = quality.map(|quality| {
        [
            find("nc").unwrap_or_default(),
            find("cnonce").unwrap_or_default(),
            quality,
        ]
    });
    let credentials = Credentials {
        uri,
        ..*credentials
    };
    find("username") == Some(credentials.username)
        && response(algorithm, realm, nonce, protection, &credentials).as_bytes() == wanted
}

fn scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"Digest").then_some(rest)
}

fn algorithm(word: Option<&[u8]>) -> Option<Algorithm> {
    match word.map(<[u8]>::to_ascii_uppercase).as_deref() {
        None | Some(b"MD5") => Some(Algorithm::Md5),
        Some(b"SHA-256") => Some(Algorithm::Sha256),
        Some(_) => None,
    }
}

fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Md5 => "MD5",
        Algorithm::Sha256 => "SHA-256",
    }
}

/// `auth-int` where it is offered, as SIPp takes it, or else `auth`.
fn quality(offered: &[u8]) -> Option<&'static [u8]> {
    let mut words = offered.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    if words.clone().any(|word| word == b"auth-int") {
        return Some(b"auth-int");
    }
    words.any(|word| word == b"auth").then_some(b"auth")
}

/// RFC 2617 §3.2.2.1.
fn response(
    algorithm: Algorithm,
    realm: &[u8],
    nonce: &[u8],
    protection: Option<[&[u8]; 3]>,
    credentials: &Credentials<'_>,
) -> String {
    let Credentials {
        username,
        password,
        method,
        uri,
        body,
        ..
    } = *credentials;
    let secret = hash(algorithm, &[username, b":", realm, b":", password]);
    let what = match protection {
        Some([_, _, b"auth-int"]) => {
            let body = hash(algorithm, &[body]);
            hash(algorithm, &[method, b":", uri, b":", body.as_bytes()])
        }
        Some(_) | None => hash(algorithm, &[method, b":", uri]),
    };
    let (secret, what) = (secret.as_bytes(), what.as_bytes());
    match protection {
        Some([count, client_nonce, quality]) => hash(
            algorithm,
            &[
                secret,
                b":",
                nonce,
                b":",
                count,
                b":",
                client_nonce,
                b":",
                quality,
                b":",
                what,
            ],
        ),
        None => hash(algorithm, &[secret, b":", nonce, b":", what]),
    }
}

fn hash(algorithm: Algorithm, parts: &[&[u8]]) -> String {
    fn digest<D: md5::Digest>(parts: &[&[u8]]) -> String {
        let mut digest = D::new();
        for part in parts {
            digest.update(part);
        }
        let bytes = digest.finalize();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
    match algorithm {
        Algorithm::Md5 => digest::<Md5>(parts),
        Algorithm::Sha256 => digest::<Sha256>(parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUFASA: Credentials<'_> = Credentials {
        username: b"Mufasa",
        password: b"Circle Of Life",
        method: b"GET",
        uri: b"/dir/index.html",
        body: b"",
        client_nonce: 0x0a4f_113b,
        count: 1,
    };

    fn answered(challenge: &str, credentials: &Credentials<'_>) -> String {
        let mut output = Vec::new();
        answer(challenge.as_bytes(), credentials, &mut output).expect("it can be answered");
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc_comes_out() {
        // RFC 2617 §3.5, whose client nonce is the same digits.
        let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth\", \
             nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
             opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let text = answered(challenge, &MUFASA);
        assert!(
            text.contains("response=\"6629fae49393a05397450978507c4ef1\""),
            "{text}"
        );
        assert!(text.contains("nc=00000001,qop=auth,uri="), "{text}");
        assert!(
            text.ends_with("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
            "{text}"
        );
        assert!(verify(text.as_bytes(), &MUFASA));
        let wrong = Credentials {
            password: b"other",
            ..MUFASA
        };
        assert!(!verify(text.as_bytes(), &wrong));
    }

    #[test]
    fn sha_256_and_protection_of_the_body_verify() {
        let challenge = "Digest realm=\"r\",nonce=\"n\",algorithm=SHA-256,qop=\"auth,auth-int\"";
        let credentials = Credentials {
            body: b"v=0",
            ..MUFASA
        };
        let text = answered(challenge, &credentials);
        assert!(
            text.contains("algorithm=SHA-256") && text.contains("qop=auth-int"),
            "{text}"
        );
        assert!(verify(text.as_bytes(), &credentials));
        assert!(!verify(text.as_bytes(), &MUFASA));
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        let refused = |challenge: &str| answer(challenge.as_bytes(), &MUFASA, &mut Vec::new());
        assert_eq!(refused("Basic realm=\"x\""), Err(Unanswerable::Scheme));
        assert_eq!(refused("Digest realm=\"x\""), Err(Unanswerable::Incomplete));
        let other = "Digest realm=\"x\",nonce=\"y\",algorithm=AKAv1-MD5";
        assert_eq!(refused(other), Err(Unanswerable::Algorithm));
        assert!(!verify(b"Digest", &MUFASA) && !verify(b"", &MUFASA));
    }
}
