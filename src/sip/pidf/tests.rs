//! Presence documents of UCM and its relatives, and those of people who mean harm.

use proptest::prelude::*;

use super::*;
use crate::limits::{PIDF_ATTRIBUTES_MAX, PIDF_DEPTH_MAX};
use crate::sip::{HeaderIndex, Message};

const OPEN_IDLE: &[u8] = include_bytes!("../../../tests/data/cucm/notify_open_idle.sip");
const OPEN_BUSY: &[u8] = include_bytes!("../../../tests/data/cucm/notify_open_on_the_phone.sip");
const CLOSED_BUSY: &[u8] =
    include_bytes!("../../../tests/data/cucm/notify_closed_on_the_phone.sip");
const PERSON_OPEN: &[u8] =
    include_bytes!("../../../tests/data/cucm/notify_person_open_tuple_closed.sip");
const TUPLE_ONLY: &[u8] = include_bytes!("../../../tests/data/cucm/notify_tuple_only.sip");

/// What is read, without its document.
type Read = Result<(String, Basic, Vec<String>), PidfError>;

fn parse(body: &[u8]) -> Read {
    let text = text(body)?;
    let presence = super::parse(&text)?;
    let activities = presence.activities.iter().map(str::to_owned).collect();
    Ok((presence.entity.into_owned(), presence.basic, activities))
}

fn body(notify: &[u8]) -> Read {
    let mut index = HeaderIndex::new();
    let message = Message::parse(notify, &mut index).expect("the sample is a message");
    parse(message.body())
}

/// A document around `inside`, with the prefixes that UCM declares.
fn document(inside: &str) -> String {
    format!(
        r#"<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf"
        entity="sip:8001@192.0.2.20" xmlns:e="urn:ietf:params:xml:ns:pidf:status:rpid"
        xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:ce="urn:cisco:params:xml:ns:pidf:rpid"
        xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:x="urn:x">{inside}</presence>"#
    )
}

fn read(inside: &str) -> Read {
    parse(document(inside).as_bytes())
}

const TUPLE: &str = "<tuple id='a'><status><basic>open</basic></status></tuple>";

#[test]
fn bodies_of_ucm_say_what_the_phone_does() {
    for (notify, basic, activities) in [
        (OPEN_IDLE, Basic::Open, &[][..]),
        (OPEN_BUSY, Basic::Open, &["on-the-phone"]),
        (CLOSED_BUSY, Basic::Closed, &["on-the-phone"]),
        (PERSON_OPEN, Basic::Closed, &[]),
        (TUPLE_ONLY, Basic::Open, &["away"]),
    ] {
        let (entity, read, names) = body(notify).expect("a presence document");
        assert_eq!(entity, "sip:8001@192.0.2.20");
        assert_eq!(read, basic);
        assert_eq!(names, activities);
    }
}

#[test]
fn basic_comes_from_tuples_and_open_wins() {
    let tuple = |basic| format!("<tuple id='a'><status><basic>{basic}</basic></status></tuple>");
    let person = |basic| format!("<dm:person><status><basic>{basic}</basic></status></dm:person>");
    for (inside, expected) in [
        (tuple("open"), Ok(Basic::Open)),
        (tuple(" \n closed "), Ok(Basic::Closed)),
        (tuple("closed") + &tuple("open"), Ok(Basic::Open)),
        (tuple("open") + &tuple("closed"), Ok(Basic::Open)),
        (person("open") + &tuple("closed"), Ok(Basic::Closed)),
        (person("closed"), Ok(Basic::Closed)),
        (person("open") + &tuple("away"), Ok(Basic::Open)),
        (tuple("<![CDATA[open]]>"), Ok(Basic::Open)),
        (tuple("Open"), Err(PidfError::BasicMissing)),
        (tuple(&"x".repeat(10_000)), Err(PidfError::BasicMissing)),
        (
            "<basic>open</basic>".to_owned(),
            Err(PidfError::BasicMissing),
        ),
        (String::new(), Err(PidfError::BasicMissing)),
    ] {
        assert_eq!(
            read(&inside).map(|(_, basic, _)| basic),
            expected,
            "{inside:.80}"
        );
    }
}

#[test]
fn activities_are_listed_once_and_in_order() {
    let presence = read(&format!(
        "<dm:person><e:activities><e:note>gone</e:note><ce:alerting/><e:on-the-phone> \
         </e:on-the-phone></e:activities></dm:person>{TUPLE}<r:activities><r:meal/><r:on-the-phone\
         /></r:activities><x:activities><x:none/></x:activities>"
    ));
    assert_eq!(
        presence.expect("legal").2,
        ["alerting", "on-the-phone", "meal"]
    );
    let many: String = (0..40).map(|number| format!("<e:a{number}/>")).collect();
    let presence = read(&format!("{TUPLE}<e:activities>{many}</e:activities>")).expect("legal");
    assert_eq!(presence.2.len(), PIDF_ACTIVITIES_MAX);
    let long = format!("a{}", "\u{e9}".repeat(PIDF_ACTIVITY_BYTES_MAX));
    let presence = read(&format!("{TUPLE}<e:activities><e:{long}/></e:activities>"));
    let presence = presence.expect("legal");
    assert_eq!(presence.2[0].len(), PIDF_ACTIVITY_BYTES_MAX - 1);
}

#[test]
fn private_and_old_namespaces_are_understood() {
    let presence = read(&format!(
        "<person xmlns='urn:cisco:params:xml:ns:pidf:rpid'><activities><available/></activities>\
         <phone-status>idle</phone-status></person>{TUPLE}"
    ));
    assert_eq!(presence.expect("legal").2, ["available"]);
    let bare = b"<presence entity='a'><tuple><status><basic>closed</basic></status></tuple>\
                 </presence>";
    assert_eq!(parse(bare).expect("legal").1, Basic::Closed);
}

#[test]
fn a_document_type_is_skipped_and_entities_are_refused() {
    let declared = "<!DOCTYPE presence [<!ENTITY a 'open'><!ENTITY b '&a;&a;'>]>";
    let text = document(TUPLE);
    let with_type = |text: &str| text.replacen("<presence", &format!("{declared}<presence"), 1);
    assert_eq!(
        parse(with_type(&text).as_bytes()).expect("legal").1,
        Basic::Open
    );
    let used = with_type(&text.replace("open", "&a;"));
    assert_eq!(parse(used.as_bytes()), Err(PidfError::Entity));
    let used = with_type(&text.replace("sip:8001", "&b;"));
    assert_eq!(parse(used.as_bytes()), Err(PidfError::Entity));
    let five = read(&format!(
        "<note>&amp;&lt;&gt;&quot;&apos;&#65;</note>{TUPLE}"
    ));
    assert_eq!(five.expect("legal").1, Basic::Open);
    let escaped = text.replace("sip:8001", "sip:a&amp;b");
    assert_eq!(
        parse(escaped.as_bytes()).expect("legal").0,
        "sip:a&b@192.0.2.20"
    );
}

#[test]
fn what_is_no_document_names_the_rule_it_breaks() {
    let deep = |depth: usize| {
        let (open, close) = ("<x:a>".repeat(depth), "</x:a>".repeat(depth));
        format!("{open}{close}{TUPLE}")
    };
    assert!(read(&deep(PIDF_DEPTH_MAX - 1)).is_ok());
    let wide = |count: usize| {
        let attributes: String = (0..count).map(|number| format!(" a{number}=''")).collect();
        format!("<x:a{attributes}/>{TUPLE}")
    };
    assert!(read(&wide(PIDF_ATTRIBUTES_MAX)).is_ok());
    for (inside, expected) in [
        (deep(PIDF_DEPTH_MAX), PidfError::TooDeep),
        (deep(20_000), PidfError::TooDeep),
        (wide(PIDF_ATTRIBUTES_MAX + 1), PidfError::TooWide),
        ("<tuple>".to_owned(), PidfError::Syntax),
        ("<a></b>".to_owned(), PidfError::Syntax),
        (
            "<q:activities><q:busy/></q:activities>".to_owned(),
            PidfError::UndeclaredPrefix,
        ),
    ] {
        assert_eq!(read(&inside), Err(expected), "{inside:.80}");
    }
    for (text, expected) in [
        (&b""[..], PidfError::NotPresence),
        (b"hello", PidfError::NotPresence),
        (b"<dialog-info/>", PidfError::NotPresence),
        (
            b"<presence xmlns='urn:x' entity='a'/>",
            PidfError::NotPresence,
        ),
        (b"<presence/>", PidfError::EntityMissing),
        (
            b"<presence entity='a'/><presence entity='b'/>",
            PidfError::NotPresence,
        ),
        (b"<presence entity='a'>", PidfError::Syntax),
        (b"\xff\xfe<\0p\0", PidfError::Utf16),
        (b"<\0p\0", PidfError::Utf16),
        (b"\0<\0p", PidfError::Utf16),
    ] {
        assert_eq!(parse(text), Err(expected), "{text:?}");
    }
    assert_eq!(
        parse(&vec![b' '; PIDF_BYTES_MAX + 1]),
        Err(PidfError::TooLarge)
    );
}

#[test]
fn broken_utf8_is_replaced_and_not_refused() {
    let mut text = document(&format!("<note>#</note>{TUPLE}")).into_bytes();
    let at = text
        .iter()
        .position(|byte| *byte == b'#')
        .expect("the mark");
    text[at] = 0xe9;
    assert_eq!(parse(&text).expect("legal").1, Basic::Open);
    let marked = [b"\xef\xbb\xbf", document(TUPLE).as_bytes()].concat();
    assert_eq!(parse(&marked).expect("legal").1, Basic::Open);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn a_changed_document_yields_a_bounded_answer_or_an_error(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut index = HeaderIndex::new();
        let message = Message::parse(OPEN_BUSY, &mut index).expect("the sample is a message");
        let mut text = message.body().to_vec();
        for (at, byte) in changes {
            let at = at.index(text.len());
            text[at] = byte;
        }
        if let Ok((_, _, activities)) = parse(&text) {
            prop_assert!(activities.len() <= PIDF_ACTIVITIES_MAX);
        }
    }
}
