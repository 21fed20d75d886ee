//! What is a keyword, what is text, and what is refused.

use super::*;

fn cut(text: &str) -> (Template, Vec<String>) {
    let mut names = Names::default();
    names.set_key("domain", b"example.org");
    let mut notes = Notes::default();
    let template = Template::new(text.as_bytes(), 7, &mut names, &mut notes);
    let notes = notes.sorted().iter().map(ToString::to_string).collect();
    (template, notes)
}

fn one(text: &str) -> Keyword {
    let (template, notes) = cut(text);
    assert_eq!(notes, Vec::<String>::new());
    let [Segment::Keyword(keyword)] = &template.segments[..] else {
        panic!("{text} is not one keyword: {template:?}");
    };
    keyword.clone()
}

#[test]
fn text_keys_and_keywords_are_told_apart() {
    let (template, notes) = cut("a \\x5bb] [domain] [len]c");
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(
        template.segments,
        [
            Segment::Literal((*b"a [b] example.org ").into()),
            Segment::Keyword(Keyword::Length(0)),
            Segment::Literal((*b"c").into()),
        ]
    );
}

#[test]
fn numbers_may_have_an_offset() {
    assert_eq!(one("[cseq+1]"), Keyword::CSeq(1));
    assert_eq!(one("[branch-2]"), Keyword::Branch(-2));
    assert_eq!(one("[media_port]"), Keyword::MediaPort(0));
}

#[test]
fn headers_of_the_last_message_have_names_with_hyphens() {
    assert_eq!(
        one("[last_Call-ID:]"),
        Keyword::LastHeader(b"Call-ID".to_vec())
    );
    assert_eq!(one("[last_Via]"), Keyword::LastHeader(b"Via".to_vec()));
    assert_eq!(one("[last_Request_URI]"), Keyword::LastRequestUri);
}

#[test]
fn parameters_may_be_quoted_and_hold_keywords() {
    let Keyword::Field { column, file, line } = one("[field12 file=\"a b.csv\" line=[cseq]]")
    else {
        panic!("a field");
    };
    assert_eq!((column, file), (12, Some(b"a b.csv".to_vec())));
    assert_eq!(line.unwrap().segments, [Segment::Keyword(Keyword::CSeq(0))]);
    let Keyword::Authentication(text) = one("[authentication username=[service] password=x]")
    else {
        panic!("an authentication");
    };
    assert_eq!(text.segments.len(), 3);
    let found = parameters(b" realm=\"a, \\b\",nonce=12, qop=\"auth\" stale");
    assert_eq!(found[b"realm".as_slice()], b"a, \\b");
    assert_eq!(found[b"nonce".as_slice()], b"12");
    assert_eq!(found[b"stale".as_slice()], b"");
    assert_eq!(parameters(b"a=\"never").len(), 1);
    assert_eq!(parameters(b"a=\"")[b"a".as_slice()], b"");
}

#[test]
fn ports_of_media_streams_are_those_for_media() {
    let (template, notes) = cut("[rtpstream_audio_port+1] [rtpstream_video_port]");
    assert!(template.uses(|keyword| *keyword == Keyword::MediaPort(1)));
    assert!(template.uses(|keyword| *keyword == Keyword::MediaPort(2)));
    assert_eq!(notes.len(), 0, "{notes:?}");
}

#[test]
fn unknown_keywords_are_errors_on_their_line() {
    let (_, notes) = cut("a\r\n[nothing] [::1]\r\n[cryptotag1audio]\r\n[open");
    assert_eq!(notes.len(), 4);
    assert!(
        notes[0].starts_with("8: error: unknown keyword [nothing]"),
        "{notes:?}"
    );
    assert!(notes[1].contains("\\x5b"), "{notes:?}");
    assert!(
        notes[2].starts_with("9: error") && notes[2].contains("SRTP"),
        "{notes:?}"
    );
    assert!(
        notes[3].starts_with("10: error: a `[` is never closed"),
        "{notes:?}"
    );
}
