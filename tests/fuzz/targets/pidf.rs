//! Presence documents: bounds are kept, and a document that says the same is read the same.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use offhook::limits::{PIDF_ACTIVITIES_MAX, PIDF_ACTIVITY_BYTES_MAX};
use offhook::sip::pidf::{self, Basic, Presence};

/// One body.
pub fn run(bytes: &[u8]) {
    let Ok(text) = pidf::text(bytes) else {
        return;
    };
    let again = pidf::text(text.as_bytes()).map(Cow::into_owned);
    assert_eq!(again.as_deref(), Ok(&*text), "what was put right is right");
    let parsed = pidf::parse(&text);
    // What stands behind the document, or before it, says nothing.
    let longer = format!("{text}\n<!-- {} -->\n", "x".repeat(8));
    assert!(
        parsed.is_err() || pidf::parse(&longer) == parsed,
        "a comment matters"
    );
    let Ok(presence) = parsed else {
        return;
    };
    let names: BTreeSet<&str> = presence.activities.iter().collect();
    assert_eq!(names.len(), presence.activities.iter().count(), "each once");
    assert!(names.len() <= PIDF_ACTIVITIES_MAX);
    assert!(
        names
            .iter()
            .all(|name| name.len() <= PIDF_ACTIVITY_BYTES_MAX)
    );
    // The reader takes names and characters that no document may have.
    let is_name = |name: &&str| {
        name.chars()
            .all(|letter| letter.is_alphanumeric() || letter == '-')
    };
    if !names.iter().all(is_name) || presence.entity.contains(char::is_control) {
        return;
    }
    let document = document(&presence);
    let again = pidf::parse(&document);
    let again = again.unwrap_or_else(|error| panic!("{document} is not read: {error}"));
    assert_eq!(again, presence, "{document}");
}

fn document(presence: &Presence<'_>) -> String {
    let basic = match presence.basic {
        Basic::Open => "open",
        Basic::Closed => "closed",
    };
    let mut entity = String::new();
    for letter in presence.entity.chars() {
        // By its number: blanks in attributes are made equal otherwise.
        let _ = write!(entity, "&#{};", u32::from(letter));
    }
    let names = presence.activities.iter();
    let names: String = names.map(|name| format!("<r:{name}/>")).collect();
    format!(
        "<p:presence xmlns:p=\"urn:ietf:params:xml:ns:pidf\" entity=\"{entity}\" \
         xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\"><p:tuple id=\"t\"><p:status>\
         <p:basic>{basic}</p:basic></p:status></p:tuple><d:person id=\"p\"><r:activities>{names}\
         </r:activities></d:person></p:presence>"
    )
}
