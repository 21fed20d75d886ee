//! The expressions that scenarios use, and where POSIX differs from what the `regex` crate means.

use super::*;

/// The whole match and its groups, `-` for one that took no part.
fn found(pattern: &str, text: &str) -> Option<Vec<String>> {
    let pattern = Pattern::new(pattern.as_bytes(), false).expect("a good pattern");
    let mut groups = Vec::new();
    let mut memory = pattern.memory();
    let matches = pattern.matches(text.as_bytes(), &mut memory, &mut groups);
    let part = |range: &Option<Range<usize>>| match range {
        Some(range) => text[range.clone()].to_owned(),
        None => "-".to_owned(),
    };
    matches.then(|| groups.iter().map(part).collect())
}

fn whole(pattern: &str, text: &str) -> Option<String> {
    found(pattern, text).map(|groups| groups[0].clone())
}

#[test]
fn the_longest_match_wins_not_the_first_alternative() {
    assert_eq!(whole("a|ab|abc", "xabcd").as_deref(), Some("abc"));
    assert_eq!(whole("a?(ab)?", "ab").as_deref(), Some("ab"));
    assert_eq!(
        found("(a|ab)(c|bcd)", "abcd"),
        Some(["abcd", "a", "bcd"].map(str::to_owned).to_vec())
    );
    assert_eq!(
        found("(18[03]|200|2..) (OK|O)", "SIP/2.0 200 OK"),
        Some(["200 OK", "200", "OK"].map(str::to_owned).to_vec())
    );
    assert_eq!(
        found("x(y)?(z)", "xz"),
        Some(["xz", "-", "z"].map(str::to_owned).to_vec())
    );
}

#[test]
fn a_dot_takes_line_breaks_and_anchors_only_the_ends() {
    assert_eq!(whole("a.b", "a\nb").as_deref(), Some("a\nb"));
    assert_eq!(whole("^b", "a\nb"), None);
    assert_eq!(whole("a$", "a\nb"), None);
    assert_eq!(whole("[^\r\n]*", "one\r\ntwo").as_deref(), Some("one"));
}

#[test]
fn brackets_are_posix() {
    // A backslash in brackets is a backslash, and so `[\d]` has no digit.
    assert_eq!(whole(r"[\d]+", r"12\d3").as_deref(), Some(r"\d"));
    // A class without the outer brackets is a set of its letters.
    assert_eq!(whole("[:space:]*x", "aps:x").as_deref(), Some("aps:x"));
    assert_eq!(
        whole("[[:space:]]+", "a \t\r\n").as_deref(),
        Some(" \t\r\n")
    );
    assert_eq!(whole("[]a]+", "b]a").as_deref(), Some("]a"));
    assert_eq!(whole("[^]a]+", "]b]").as_deref(), Some("b"));
    assert_eq!(whole("[a-]+", "b-a").as_deref(), Some("-a"));
    assert_eq!(whole("[[.-.]x]+", "a-x").as_deref(), Some("-x"));
    assert_eq!(whole("[a&&b~~c-]+", "&&").as_deref(), Some("&&"));
    assert_eq!(whole("[[]+", "a[[").as_deref(), Some("[["));
    assert_eq!(whole("[[:digit:]a-c_]{3}", "x1b_").as_deref(), Some("1b_"));
}

#[test]
fn repetitions_are_posix() {
    assert_eq!(whole("a+?", "aaa").as_deref(), Some("aaa"));
    assert_eq!(whole("a{2}?b", "aab").as_deref(), Some("aab"));
    assert_eq!(whole("(*a)", "*a").as_deref(), Some("a"));
    assert_eq!(whole("*a", "*a").as_deref(), Some("a"));
    assert_eq!(whole("a{,2}", "aaa").as_deref(), Some("aa"));
    assert_eq!(whole("a{1,}b", "aaab").as_deref(), Some("aaab"));
    assert_eq!(whole("a{x}", "a{x}").as_deref(), Some("a{x}"));
    assert_eq!(whole("}+", "}}").as_deref(), Some("}}"));
}

#[test]
fn backslashes_are_glibc_s() {
    assert_eq!(whole(r"\d", "5d").as_deref(), Some("d"));
    assert_eq!(whole(r"\s\S", "a b").as_deref(), Some(" b"));
    assert_eq!(whole(r"\w+", "-ab_1-").as_deref(), Some("ab_1"));
    assert_eq!(whole(r"\<b\w*\>", "abc bcd").as_deref(), Some("bcd"));
    assert_eq!(
        whole(r"sip:\+1\.2\/", "sip:+1.2/").as_deref(),
        Some("sip:+1.2/")
    );
    assert_eq!(whole("a#b &", "a#b &").as_deref(), Some("a#b &"));
}

#[test]
fn expressions_of_public_scenarios_do_what_they_say() {
    let contact = "<sip:127.0.0.1:5070;transport=UDP>;expires=3600";
    assert_eq!(
        found("<sip:([^:;>]*)(:([0-9]+))?", contact),
        Some(
            ["<sip:127.0.0.1:5070", "127.0.0.1", ":5070", "5070"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    let pattern = "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}:[0-9]*";
    assert_eq!(whole(pattern, contact).as_deref(), Some("127.0.0.1:5070"));
    let rtpmap = "m=audio ([0-9]+) RTP/AVP (.*)";
    let groups = found(rtpmap, "v=0\r\nm=audio 6000 RTP/AVP 0 8\r\na=x\r\n").expect("matches");
    assert_eq!(
        (groups[1].as_str(), groups[2].as_str()),
        ("6000", "0 8\r\na=x\r\n")
    );
}

#[test]
fn case_and_any_byte_are_respected() {
    let pattern = Pattern::new(b"via: (\xe9|X)", true).expect("a good pattern");
    let (mut memory, mut groups) = (pattern.memory(), Vec::new());
    assert!(pattern.matches(b"VIA: x", &mut memory, &mut groups));
    assert!(pattern.matches(b"Via: \xe9\xff", &mut memory, &mut groups));
    assert_eq!(groups, [Some(0..6), Some(5..6)]);
    assert_eq!(pattern.groups(), 1);
    assert!(!pattern.matches(b"Via: \xff", &mut memory, &mut groups));
}

#[test]
fn bad_expressions_say_what_is_wrong() {
    for (pattern, fault) in [
        ("[a", BadPattern::Unclosed('[')),
        ("(a", BadPattern::Unclosed('(')),
        ("a)", BadPattern::Unopened),
        ("[z-a]", BadPattern::BadBracket),
        ("[[:nothing:]]", BadPattern::BadBracket),
        ("a{3,1}", BadPattern::BadInterval),
        ("a{99999}", BadPattern::BadInterval),
        ("a\\", BadPattern::TrailingBackslash),
        ("(a)\\1", BadPattern::BackReference),
        ("((a{1000}){1000}){1000}", BadPattern::TooLarge),
    ] {
        assert_eq!(
            Pattern::new(pattern.as_bytes(), false).err(),
            Some(fault),
            "{pattern}"
        );
    }
    let deep = "(".repeat(70) + &")".repeat(70);
    assert_eq!(
        Pattern::new(deep.as_bytes(), false).err(),
        Some(BadPattern::TooDeep)
    );
}
