//! Digest authentication: challenges and answers say the same when they are written anew, and no
//! header has a reader go on for ever.

use offhook::sip::digest::{Answer, Asked, Challenge, response};

/// The value of a header: read as a challenge and as an answer.
pub fn run(bytes: &[u8]) {
    if let Ok(challenge) = Challenge::parse(bytes) {
        check_challenge(&challenge);
    }
    if let Ok(answer) = Answer::parse(bytes) {
        check_answer(&answer);
    }
}

fn check_challenge(challenge: &Challenge<'_>) {
    let Challenge {
        realm,
        nonce,
        opaque,
        algorithm,
        counts,
        stale,
    } = challenge;
    let opaque = opaque.map_or(String::new(), |opaque| format!(",opaque=\"{opaque}\""));
    let qop = if *counts { ",qop=\"auth\"" } else { "" };
    let algorithm = algorithm.as_str();
    let written = format!(
        "Digest realm=\"{realm}\",nonce=\"{nonce}\"{opaque},algorithm={algorithm}{qop},\
         stale={stale}"
    );
    assert_eq!(
        Challenge::parse(written.as_bytes()),
        Ok(*challenge),
        "{written}"
    );
    answer_fits(challenge);
}

/// Whoever is challenged writes an answer that the challenger reads.
fn answer_fits(challenge: &Challenge<'_>) {
    let Challenge {
        realm,
        nonce,
        algorithm,
        ..
    } = *challenge;
    let asked = Asked {
        method: "INVITE",
        uri: "sip:2001@192.0.2.20",
        nonce,
        counted: Some(("00000001", "c0ffee")),
    };
    let hash = response(algorithm, ("offhook", realm, "secret"), asked);
    let (name, uri) = (algorithm.as_str(), asked.uri);
    let written = format!(
        "Digest username=\"offhook\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
         response=\"{hash}\",algorithm={name},qop=auth,nc=00000001,cnonce=\"c0ffee\""
    );
    let answer = Answer::parse(written.as_bytes());
    let answer = answer.unwrap_or_else(|error| panic!("{written} is not read: {error}"));
    assert_eq!(
        (answer.realm, answer.nonce, answer.uri),
        (realm, nonce, uri)
    );
    assert_eq!((answer.response, answer.algorithm), (&*hash, algorithm));
    assert_eq!(answer.counted(), Some(1));
}

fn check_answer(answer: &Answer<'_>) {
    let Answer {
        user,
        realm,
        nonce,
        uri,
        algorithm,
        client_nonce,
        count,
        response,
    } = answer;
    let algorithm = algorithm.as_str();
    let written = format!(
        "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
         algorithm={algorithm},cnonce=\"{client_nonce}\",nc=\"{count}\",qop=auth,\
         response=\"{response}\""
    );
    assert_eq!(Answer::parse(written.as_bytes()), Ok(*answer), "{written}");
    if let Some(counted) = answer.counted() {
        assert!(format!("{counted:08x}").eq_ignore_ascii_case(count));
    }
}
