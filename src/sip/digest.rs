//! Digest authentication (RFC 7616, for SIP as RFC 8760 has it): challenges and their answers, and
//! the arithmetic between them. Who is challenged, and whose challenge is answered, is decided
//! above.

use md5::Md5;
use sha2::{Sha256, Sha512_256};

use super::malformed::Malformed;
use crate::limits::PARAMETERS_MAX;

/// A hash, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5, what nothing else is said.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256.
    Sha512T256,
}

impl Algorithm {
    /// All, the strongest first: the order in which they are offered (RFC 8760 §2.3).
    pub const STRONGEST_FIRST: [Self; 3] = [Self::Sha512T256, Self::Sha256, Self::Md5];

    /// As headers name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512T256 => "SHA-512-256",
        }
    }

    fn named(name: Option<&str>) -> Option<Self> {
        let Some(name) = name else {
            return Some(Self::Md5);
        };
        let mut all = Self::STRONGEST_FIRST.into_iter();
        all.find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(name))
    }

    fn hash(self, parts: &[&str]) -> String {
        fn hex<D: sha2::Digest>(parts: &[&str]) -> String {
            let mut hasher = D::new();
            for part in parts {
                hasher.update(part.as_bytes());
            }
            let hash = hasher.finalize();
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        match self {
            Self::Md5 => hex::<Md5>(parts),
            Self::Sha256 => hex::<Sha256>(parts),
            Self::Sha512T256 => hex::<Sha512_256>(parts),
        }
    }
}

/// The parameters of a challenge or an answer, checked once: names are tokens, quotes are closed,
/// and there are not too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parts<'a>(&'a str);

impl<'a> Parts<'a> {
    /// Reads a whole header value of the scheme Digest.
    fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let value = std::str::from_utf8(value).map_err(|_| Malformed::Parameter)?;
        let (scheme, rest) = value
            .trim()
            .split_at_checked("Digest".len())
            .ok_or(Malformed::Parameter)?;
        if !scheme.eq_ignore_ascii_case("Digest") || !rest.starts_with(is_blank) {
            return Err(Malformed::Parameter);
        }
        let mut left = rest;
        for _ in 0..=PARAMETERS_MAX {
            match Self::first(left)? {
                Some((_, behind)) => left = behind,
                None => return Ok(Self(rest)),
            }
        }
        Err(Malformed::TooManyParameters)
    }

    /// The first parameter and what is behind it. A quoted value comes without its quotes, its
    /// escapes kept, as the hashes take it (RFC 7616 §3.4).
    #[expect(clippy::type_complexity, reason = "a name, its value, and the rest")]
    fn first(text: &'a str) -> Result<Option<((&'a str, &'a str), &'a str)>, Malformed> {
        let text = text.trim_start_matches(|letter| is_blank(letter) || letter == ',');
        if text.is_empty() {
            return Ok(None);
        }
        let (name, value) = text.split_once('=').ok_or(Malformed::Parameter)?;
        let (name, value) = (
            name.trim_matches(is_blank),
            value.trim_start_matches(is_blank),
        );
        let is_token = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(Malformed::Parameter);
        }
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => {
                let end = closing_quote(quoted).ok_or(Malformed::UnbalancedQuote)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = value.find(',').unwrap_or(value.len());
                let token = value[..end].trim_matches(is_blank);
                // It is written again in quotes, which it must not close.
                if token.contains(['"', '\\']) {
                    return Err(Malformed::Parameter);
                }
                (token, &value[end..])
            }
        };
        let behind = behind.trim_start_matches(is_blank);
        if !(behind.is_empty() || behind.starts_with(',')) {
            return Err(Malformed::Parameter);
        }
        Ok(Some(((name, value), behind)))
    }

    fn find(&self, wanted: &str) -> Option<&'a str> {
        let mut left = self.0;
        while let Ok(Some(((name, value), behind))) = Self::first(left) {
            if name.eq_ignore_ascii_case(wanted) {
                return Some(value);
            }
            left = behind;
        }
        None
    }
}

fn is_blank(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn closing_quote(quoted: &str) -> Option<usize> {
    let mut is_escaped = false;
    quoted.bytes().position(|byte| match byte {
        _ if is_escaped => {
            is_escaped = false;
            false
        }
        b'\\' => {
            is_escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

/// One challenge that can be answered: with a hash that is known, and a `qop` of `auth` or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge<'a> {
    /// Whose passwords count.
    pub realm: &'a str,
    /// What the answer is bound to.
    pub nonce: &'a str,
    /// Comes back as it is.
    pub opaque: Option<&'a str>,
    /// How the answer is hashed.
    pub algorithm: Algorithm,
    /// Whether the answer has a client nonce and a count.
    pub counts: bool,
    /// Whether the answer was right and only too old.
    pub stale: bool,
}

impl<'a> Challenge<'a> {
    /// Reads the value of WWW-Authenticate or Proxy-Authenticate.
    ///
    /// # Errors
    /// When it is broken, of another scheme, or asks for what is not known.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let parts = Parts::parse(value)?;
        let (Some(realm), Some(nonce)) = (parts.find("realm"), parts.find("nonce")) else {
            return Err(Malformed::Parameter);
        };
        let qop = parts.find("qop");
        let mut offered = qop.unwrap_or_default().split(',').map(str::trim);
        if qop.is_some() && !offered.any(|word| word.eq_ignore_ascii_case("auth")) {
            return Err(Malformed::Parameter);
        }
        let stale = parts.find("stale");
        Ok(Self {
            realm,
            nonce,
            opaque: parts.find("opaque"),
            algorithm: Algorithm::named(parts.find("algorithm")).ok_or(Malformed::Parameter)?,
            counts: qop.is_some(),
            stale: stale.is_some_and(|word| word.eq_ignore_ascii_case("true")),
        })
    }
}

/// An answer to a challenge that counts: the value of Authorization or Proxy-Authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Who answers.
    pub user: &'a str,
    /// As it was challenged.
    pub realm: &'a str,
    /// As it was challenged.
    pub nonce: &'a str,
    /// What is asked for.
    pub uri: &'a str,
    /// How it is hashed.
    pub algorithm: Algorithm,
    /// The client's own nonce.
    pub client_nonce: &'a str,
    /// How often the nonce was used: eight hexadecimal digits.
    pub count: &'a str,
    /// The hash.
    pub response: &'a str,
}

impl<'a> Answer<'a> {
    /// Reads a header value.
    ///
    /// # Errors
    /// When it is broken, or lacks something.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let parts = Parts::parse(value)?;
        let find = |name| parts.find(name).ok_or(Malformed::Parameter);
        if !find("qop")?.eq_ignore_ascii_case("auth") {
            return Err(Malformed::Parameter);
        }
        Ok(Self {
            user: find("username")?,
            realm: find("realm")?,
            nonce: find("nonce")?,
            uri: find("uri")?,
            algorithm: Algorithm::named(parts.find("algorithm")).ok_or(Malformed::Parameter)?,
            client_nonce: find("cnonce")?,
            count: find("nc")?,
            response: find("response")?,
        })
    }

    /// The count as a number.
    #[must_use]
    pub fn counted(&self) -> Option<u32> {
        let is_whole = self.count.len() == 8 && !self.count.starts_with('+');
        u32::from_str_radix(self.count, 16)
            .ok()
            .filter(|_| is_whole)
    }
}

/// What a response is made of beside the secret.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// What it asks for.
    pub uri: &'a str,
    /// The nonce of the challenge.
    pub nonce: &'a str,
    /// Count and client nonce, if the challenge counts.
    pub counted: Option<(&'a str, &'a str)>,
}

/// The response of RFC 7616 §3.4.1, in hexadecimal digits.
#[must_use]
pub fn response(
    algorithm: Algorithm,
    (user, realm, password): (&str, &str, &str),
    asked: Asked<'_>,
) -> String {
    let secret = algorithm.hash(&[user, ":", realm, ":", password]);
    let what = algorithm.hash(&[asked.method, ":", asked.uri]);
    match asked.counted {
        Some((count, client_nonce)) => {
            let nonce = asked.nonce;
            algorithm.hash(&[
                &secret,
                ":",
                nonce,
                ":",
                count,
                ":",
                client_nonce,
                ":auth:",
                &what,
            ])
        }
        None => algorithm.hash(&[&secret, ":", asked.nonce, ":", &what]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        // RFC 7616 §3.9.1.
        let asked = Asked {
            method: "GET",
            uri: "/dir/index.html",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            counted: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
        };
        let secret = ("Mufasa", "http-auth@example.org", "Circle of Life");
        assert_eq!(
            response(Algorithm::Md5, secret, asked),
            "8ca523f5e9506fed4657c9700eebdbec"
        );
        assert_eq!(
            response(Algorithm::Sha256, secret, asked),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
        // RFC 2617 §3.5, and RFC 2069 for what does not count.
        let old = Asked {
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            counted: Some(("00000001", "0a4f113b")),
            ..asked
        };
        let secret = ("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(
            response(Algorithm::Md5, secret, old),
            "6629fae49393a05397450978507c4ef1"
        );
    }

    #[test]
    fn a_challenge_is_read_in_any_shape() {
        let value = b"DIGEST  nonce=\"a\\\"b\" ,\r\n realm = \"x,y\", qop=\"auth-int, auth\",\
                      algorithm=sha-512-256,stale=TRUE,unknown=1";
        let challenge = Challenge::parse(value).unwrap();
        let expected = Challenge {
            realm: "x,y",
            nonce: "a\\\"b",
            opaque: None,
            algorithm: Algorithm::Sha512T256,
            counts: true,
            stale: true,
        };
        assert_eq!(challenge, expected);
    }

    #[test]
    fn a5_a_broken_header_is_none() {
        let many = format!("Digest {}", "a=b,".repeat(PARAMETERS_MAX + 1));
        for value in [
            "",
            "Digest",
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\",nonce=\"y",
            "Digest realm=\"x\" nonce=\"y\"",
            "Digest realm=\"x\",nonce=\"y\",qop=\"auth-int\"",
            "Digest realm=\"x\",nonce=\"y\",algorithm=AKAv1-MD5",
            "Digest =,=",
            "Digest realm=\"x\",\u{e9}=\"y\"",
            "Diges\u{e9} realm=\"x\"",
            "Digest\u{a0}realm=\"x\",nonce=\"y\"",
            "Digest realm=\"x\",nonce=y\"z",
            "Digest realm=\"x\",nonce=y\\",
            &many,
        ] {
            assert!(Challenge::parse(value.as_bytes()).is_err(), "{value}");
            assert!(Answer::parse(value.as_bytes()).is_err(), "{value}");
        }
        assert!(Challenge::parse(b"Digest \xff=1").is_err());
    }

    #[test]
    fn any_cut_of_a_header_is_answered() {
        let value = b"Digest username=\"u\",realm=\"r\",nonce=\"n\",uri=\"sip:a\",qop=auth,\
                      nc=00000001,cnonce=\"c\",response=\"\\\"x\\\\\",algorithm=MD5";
        assert!(Answer::parse(value).is_ok());
        for cut in 0..value.len() {
            let _ = Answer::parse(&value[..cut]);
            let _ = Answer::parse(&value[cut..]);
            let _ = Challenge::parse(&value[..cut]);
        }
    }
}
