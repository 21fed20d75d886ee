//! The files that people write, and some that nobody should.

use super::*;

fn root(text: &str) -> (Element, Notes) {
    let mut notes = Notes::default();
    let root = read(text.as_bytes(), &mut notes).expect("it can be read");
    (root, notes)
}

fn texts(notes: &Notes) -> Vec<String> {
    notes.sorted().iter().map(ToString::to_string).collect()
}

#[test]
fn a_well_formed_file_is_read_without_a_word() {
    let (root, notes) = root(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" ?>\n\
         <!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n<!-- a < b -->\n\
         <scenario name=\"one\">\n  <send retrans='500'><![CDATA[\n<INVITE>&amp;\n]]></send>\n\
         <pause/></scenario>\n",
    );
    assert_eq!(texts(&notes), Vec::<String>::new());
    let scenario = &root.children[0];
    assert_eq!(scenario.attribute("name"), Some(b"one".as_slice()));
    let send = &scenario.children[0];
    assert_eq!(
        (send.name.as_str(), send.line, send.data_line),
        ("send", 5, 5)
    );
    assert_eq!(send.data, b"\n<INVITE>&amp;\n");
    assert_eq!(send.attribute("retrans"), Some(b"500".as_slice()));
    assert_eq!(
        (
            scenario.children[1].name.as_str(),
            scenario.children[1].line
        ),
        ("pause", 8)
    );
}

#[test]
fn raw_angle_brackets_quotes_and_line_breaks_stay_in_attributes() {
    let (root, notes) = root(
        "<a one=\"<sip:.*>\" two=\"say \\\"hi\\\"\" three='x\r\n\ty' \
         four=\"&lt;&#65;&#x42;&nope;\"\n\
         five=\"end\\\\\"/>",
    );
    assert_eq!(texts(&notes), Vec::<String>::new());
    let element = &root.children[0];
    assert_eq!(element.attribute("one"), Some(b"<sip:.*>".as_slice()));
    assert_eq!(element.attribute("two"), Some(b"say \\\"hi\\\"".as_slice()));
    assert_eq!(element.attribute("three"), Some(b"x\r\n\ty".as_slice()));
    assert_eq!(element.attribute("four"), Some(b"<AB&nope;".as_slice()));
    assert_eq!(element.attribute("five"), Some(b"end\\\\".as_slice()));
}

#[test]
fn what_is_not_well_formed_is_read_and_noted_with_its_line() {
    let (root, notes) = root(
        "junk\n<?xml version=\"1.0\"?>\n<scenario>\n<recv a=\"1\" a=\"2\" bare unquoted=5 ,>\n\
         <action>\n</recv>\n</nothing>\n<pause>\n",
    );
    let scenario = &root.children[0];
    assert_eq!(scenario.children.len(), 2);
    assert_eq!(scenario.children[0].attribute("a"), Some(b"1".as_slice()));
    assert_eq!(
        scenario.children[0].attribute("unquoted"),
        Some(b"5".as_slice())
    );
    assert_eq!(scenario.children[0].children[0].name, "action");
    assert_eq!(
        texts(&notes),
        [
            "1: warning: text outside of all elements is ignored",
            "3: warning: <scenario> is never closed",
            "4: warning: a is given twice; the first one counts",
            "4: warning: the attribute bare has no value",
            "4: warning: the value of unquoted is not in quotes",
            "4: warning: `,` inside a tag is ignored",
            "6: warning: </recv> comes before </action>",
            "7: warning: </nothing> closes nothing",
            "8: warning: <pause> is never closed",
        ]
    );
}

#[test]
fn bytes_of_any_charset_pass_unchanged() {
    let mut notes = Notes::default();
    let text = b"\xef\xbb\xbf<a b=\"\xe9\xff\"><![CDATA[\xfc\x00]]></a>";
    let root = read(text, &mut notes).expect("it can be read");
    assert_eq!(
        root.children[0].attribute("b"),
        Some(b"\xe9\xff".as_slice())
    );
    assert_eq!(root.children[0].data, b"\xfc\x00");
    assert_eq!(texts(&notes), Vec::<String>::new());
}

#[test]
fn what_cannot_be_read_says_on_which_line() {
    let refused = |text: &str| read(text.as_bytes(), &mut Notes::default()).err();
    let unfinished = |line| Some((line, Unreadable::Unfinished));
    assert_eq!(refused("<a>\n<b c=\"never"), unfinished(2));
    assert_eq!(refused("<a>\n<b c="), unfinished(2));
    assert_eq!(refused("<a><!-- \n -- \n"), unfinished(1));
    assert_eq!(refused("<a>\n\n<![CDATA[ ]] >"), unfinished(3));
    assert_eq!(refused("<!DOCTYPE a [ > "), unfinished(1));
    assert_eq!(refused("<a b=\"\\"), unfinished(1));
    let deep = "<a>".repeat(DEPTH_MAX + 1);
    assert_eq!(refused(&deep), Some((1, Unreadable::TooDeep)));
    let many = "<a/>".repeat(ELEMENTS_MAX + 1);
    assert_eq!(refused(&many), Some((1, Unreadable::TooManyElements)));
    let attributes: String = (0..=ATTRIBUTES_MAX)
        .map(|index| format!(" a{index}='1'"))
        .collect();
    assert_eq!(
        refused(&format!("<a{attributes}/>")),
        Some((1, Unreadable::TooManyAttributes))
    );
    let long = " ".repeat(FILE_BYTES_MAX + 1);
    assert_eq!(refused(&long), Some((1, Unreadable::TooLong)));
}

#[test]
fn no_mutation_of_a_file_panics() {
    let text = b"<?xml?><!DOCTYPE a []><a b=\"c\\\"&lt;\" d='e'><![CDATA[x]]><!-- --></a>";
    for cut in 0..text.len() {
        let _ = read(&text[..cut], &mut Notes::default());
        for byte in [b'<', b'>', b'"', b'\\', b'/', b'!', b'&', b';', 0, 0xff] {
            let mut changed = text.to_vec();
            changed[cut] = byte;
            let _ = read(&changed, &mut Notes::default());
        }
    }
}
