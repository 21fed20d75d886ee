//! What is accepted, what is refused, and on which line it is said.

use super::*;
use crate::scenario::distribution::Distribution;
use crate::scenario::model::{Action, Check, Expected, Optional, Pause, SearchIn};

fn load_text(text: &str) -> Loaded {
    let keys = BTreeMap::from([("domain".to_owned(), "example.org".to_owned())]);
    load(text.as_bytes(), &keys)
}

fn notes(loaded: &Loaded) -> Vec<String> {
    loaded
        .notes
        .sorted()
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn scenario(body: &str) -> Scenario {
    let loaded = load_text(&format!("<scenario name=\"t\">{body}</scenario>"));
    assert_eq!(notes(&loaded), Vec::<String>::new());
    loaded.scenario.expect("it has no errors")
}

const SEND: &str = "<send retrans=\"500\"><![CDATA[\nINVITE sip:[domain] SIP/2.0\n\
                    Content-Length: [len]\n]]></send>";

#[test]
fn steps_are_numbered_and_labels_resolved() {
    let scenario = scenario(&format!(
        "{SEND}<label id=\"again\"/>\
         <recv response=\"100\" optional=\"true\" next=\"again\" chance=\"0.5\"/>\
         <recv request=\"BYE\" optional=\"global\" crlf=\"true\"/>\
         <recv response=\"200\" rtd=\"true\" rrs=\"true\" timeout=\"1500\" ontimeout=\"end\"/>\
         <pause min=\"10\" max=\"20\"/><pause/><timewait milliseconds=\"4000\"/>\
         <label id=\"end\"/>"
    ));
    assert_eq!((scenario.side, scenario.steps.len()), (Side::Client, 7));
    let branch = scenario.steps[1].branch.expect("it goes on elsewhere");
    assert_eq!((branch.target, branch.chance), (1, Some(0.5)));
    let StepKind::Receive(receive) = &scenario.steps[3].kind else {
        panic!("a receive");
    };
    assert!(matches!(receive.expected, Expected::Response(200)));
    assert_eq!(
        (receive.on_timeout, receive.optional),
        (Some(7), Optional::No)
    );
    assert_eq!(receive.methods_before, b"INVITE");
    assert_eq!(scenario.response_times, ["1"]);
    let StepKind::Pause(Pause::Drawn(drawn)) = scenario.steps[4].kind else {
        panic!("a pause");
    };
    assert_eq!(
        drawn,
        Distribution::Uniform {
            low: 10.0,
            high: 20.0
        }
    );
    assert!(matches!(
        scenario.steps[5].kind,
        StepKind::Pause(Pause::Default)
    ));
}

#[test]
fn who_speaks_first_decides_the_side() {
    let server = scenario("<pause milliseconds=\"5\"/><recv request=\"INVITE\"/>");
    assert_eq!(server.side, Side::Server);
}

#[test]
fn actions_are_understood_with_both_spellings() {
    let scenario = scenario(
        "<Global variables=\"shared\"/><Reference variables=\"2\"/>\
         <recv request=\"INVITE\"><action>\
         <ereg regexp=\"sip:(.*)\" search_in=\"hdr\" header=\"To:\" occurence=\"2\" \
         start_line=\"true\" check_it=\"true\" assign_to=\"1,2\"/>\
         <log message=\"[$1]\"/><assign assign_to=\"shared\" value=\"1\"/>\
         <exec int_cmd=\"stop_call\"/>\
         </action></recv>",
    );
    let actions = &scenario.steps[0].actions;
    let Action::Match {
        search,
        targets,
        check,
        ..
    } = &actions[0]
    else {
        panic!("a match");
    };
    assert!(matches!(
        search,
        SearchIn::Header {
            occurrence: 2,
            at_line_start: true,
            ..
        }
    ));
    assert_eq!((targets.len(), *check), (2, Check::Must));
    let Action::Arithmetic { target, .. } = &actions[2] else {
        panic!("an assignment");
    };
    assert_eq!(target.scope, Scope::Global);
}

#[test]
fn what_is_unknown_is_an_error_with_its_line_and_attributes_only_a_warning() {
    let loaded = load_text(
        "<scenario>\n<sned/>\n<recv request=\"INVITE\" td=\"true\">\n<action>\n<eregg/>\n\
         <exec play_pcap_audio=\"x.pcap\"/>\n<ereg regexp=\"(\"/></action>\n</recv>\n\
         <recv response=\"abc\" next=\"nowhere\"/>\n<send/>\n<sendCmd/>\n\
         <pause distribution=\"bell\"/>\n<nop next=\"gone\"/></scenario>",
    );
    assert!(loaded.scenario.is_none());
    let expected = [
        "2: error: unknown element <sned>; did you mean <send>?",
        "3: warning: <recv> has no attribute td",
        "5: error: unknown action <eregg>; did you mean <ereg>?",
        "7: error: the regular expression `(`: `(` is never closed",
        "7: warning: this ereg has no effect: neither assign_to nor check_it",
        "9: error: response=\"abc\" is no status code",
        "10: error: <send> has no message; put it into <![CDATA[ … ]]>",
        "11: error: <sendCmd> has no text; put it into <![CDATA[ … ]]>",
        "12: error: there is no distribution bell",
        "13: error: there is no label gone",
    ];
    assert_eq!(notes(&loaded), expected);
}

#[test]
fn a_variable_used_once_is_noted() {
    let loaded = load_text(
        "<scenario>\n<recv request=\"INVITE\"><action>\n<assign assign_to=\"x\" value=\"1\"/>\n\
         <log message=\"[$y] [$z]\"/><log message=\"[$z]\"/></action></recv></scenario>",
    );
    assert!(loaded.scenario.is_some());
    let expected = [
        "3: warning: the variable x is used only once; is it misspelt?",
        "4: warning: the variable y is used only once; is it misspelt?",
        "4: warning: nothing gives the variable z a value",
    ];
    assert_eq!(notes(&loaded), expected);
}

#[test]
fn an_optional_message_without_one_that_must_come_is_refused() {
    let loaded = load_text(
        "<scenario>\n<recv request=\"A\" optional=\"true\"/>\n<pause/>\n\
         <recv request=\"B\" optional=\"true\"/>\n</scenario>",
    );
    let notes = notes(&loaded);
    assert!(
        notes[0].starts_with("2: error: a call would wait here for ever"),
        "{notes:?}"
    );
    assert!(notes[0].ends_with("line 3"), "{notes:?}");
    assert!(
        notes[1].starts_with("4: warning: a call waits here for ever"),
        "{notes:?}"
    );
}

#[test]
fn files_without_anything_to_do_are_refused() {
    for (text, words) in [
        ("", "no <scenario>"),
        ("<scenario><nop/></scenario>", "neither sends nor receives"),
        ("<scenario><recv request=\"A\"/>", "never closed"),
        ("<other/>", "outside of <scenario>"),
    ] {
        let loaded = load_text(text);
        let notes = notes(&loaded);
        assert!(
            notes.iter().any(|note| note.contains(words)),
            "{text}: {notes:?}"
        );
    }
}

#[test]
fn what_calls_write_for_others_is_known() {
    let write = "<assignstr assign_to=\"g\" value=\"1\"/>";
    let insert = "<insert file=\"f\" value=\"1\"/>";
    let global = "<Global variables=\"g\"/>";
    for (body, expected) in [
        (format!("{global}<nop><action>{write}</action></nop>"), true),
        (format!("<nop><action>{write}</action></nop>"), false),
        (format!("<nop><action>{insert}</action></nop>"), true),
        (
            format!("{global}<init><nop><action>{write}</action></nop></init><nop/>"),
            false,
        ),
    ] {
        let text = format!("<scenario>{body}<recv request=\"INFO\"/></scenario>");
        let loaded = load(text.as_bytes(), &BTreeMap::new());
        let scenario = loaded
            .scenario
            .unwrap_or_else(|| panic!("{:?}", loaded.notes.sorted()));
        assert_eq!(scenario.writes_shared().is_some(), expected, "{body}");
    }
}
