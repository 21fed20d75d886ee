//! NOTIFYs that say what they should not. Whatever they say, the agent stays what it was.

use super::message::{Draft, fresh};
use super::pbx::presence;
use super::scene::{Caller, Scene};
use super::streams::Peer;
use super::{Answer, Row, hold};

#[test]
fn notifies() {
    let tables = [rows(), broken(), beside_the_point(), long()];
    hold(
        Scene::open(2),
        &tables.into_iter().flatten().collect::<Vec<_>>(),
    );
}

fn said(scene: &Scene, draft: &Draft) -> Answer {
    let caller = Caller::new(scene.udp);
    caller.send(draft);
    let heard = caller.hear_final("NOTIFY").expect("a NOTIFY is answered");
    scene.await_agent("Ready");
    Answer::Status(heard.status().expect("it is a response"))
}

fn with_body(scene: &Scene, body: &str) -> Answer {
    said(scene, &scene.pbx.notify("2001").body(body.as_bytes()))
}

/// Presence of about so many bytes.
fn long_presence(bytes: usize) -> String {
    let note = format!("<note>{}</note></presence>", "x".repeat(bytes));
    presence("2001").replace("</presence>", &note)
}

fn rows() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    const UNKNOWN: &[(&str, u64)] = &[("notifies{unknown_subscription}", 1)];
    vec![
        row(
            "for no subscription",
            |scene| {
                let notify = scene.pbx.notify("2001");
                said(scene, &notify.set("Call-ID", &fresh("nobody")))
            },
            481,
            UNKNOWN,
        ),
        row(
            "for our subscription, by another's tag",
            |scene| {
                let notify = scene.pbx.notify("2001");
                said(
                    scene,
                    &notify.set("From", "<sip:2001@127.0.0.1>;tag=somebody"),
                )
            },
            481,
            UNKNOWN,
        ),
        row(
            "of another event package",
            |scene| said(scene, &scene.pbx.notify("2001").set("Event", "dialog")),
            489,
            UNKNOWN,
        ),
        row(
            "about another entity",
            |scene| {
                let other = presence("2002").replace("open", "closed");
                with_body(scene, &other)
            },
            200,
            &[("notifies{other_entity}", 1)],
        ),
    ]
}

fn broken() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    const MALFORMED: &[(&str, u64)] = &[("notifies{malformed}", 1)];
    const TOO_LARGE: &[(&str, u64)] = &[("notifies{too_large}", 1)];
    vec![
        row(
            "with broken XML",
            |scene| with_body(scene, "<presence entity=\"sip:2001@a\"><tuple>"),
            200,
            MALFORMED,
        ),
        row(
            "with a body that is no XML",
            |scene| with_body(scene, "closed"),
            200,
            MALFORMED,
        ),
        row(
            "with entities to expand",
            |scene| {
                let bomb = "<!DOCTYPE presence [<!ENTITY a \"closed\">]><presence";
                let body = presence("2001").replace("<presence", bomb);
                with_body(scene, &body.replace("open", "&a;"))
            },
            200,
            MALFORMED,
        ),
        row(
            "with a thousand elements in each other",
            |scene| {
                let nested = "<a>".repeat(1_000) + &"</a>".repeat(1_000);
                let body = presence("2001").replace("<tuple", &format!("{nested}<tuple"));
                with_body(scene, &body)
            },
            200,
            TOO_LARGE,
        ),
        row(
            "with a thousand attributes",
            |scene| {
                let many: String = (0..1_000).map(|n| format!(" a{n}=\"1\"")).collect();
                let body = presence("2001").replace("<tuple", &format!("<tuple{many}"));
                with_body(scene, &body)
            },
            200,
            TOO_LARGE,
        ),
    ]
}

fn beside_the_point() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    const MALFORMED: &[(&str, u64)] = &[("notifies{malformed}", 1)];
    vec![
        row(
            "with a body that is not presence",
            |scene| {
                said(
                    scene,
                    &scene.pbx.notify("2001").set("Content-Type", "text/plain"),
                )
            },
            200,
            &[("notifies{content_type}", 1)],
        ),
        row(
            "without Subscription-State",
            |scene| {
                said(
                    scene,
                    &scene.pbx.notify("2001").without("Subscription-State"),
                )
            },
            400,
            MALFORMED,
        ),
        row(
            "older than the last",
            |scene| said(scene, &scene.pbx.notify("2001").set("CSeq", "1 NOTIFY")),
            500,
            &[("notifies{out_of_order}", 1)],
        ),
    ]
}

fn long() -> Vec<Row> {
    let row = |name, act, status, counts| Row {
        name,
        act,
        answer: Answer::Status(status),
        counts,
    };
    vec![
        row(
            "with 200 KB of XML by TCP, which is taken",
            |scene| {
                let notify = scene.pbx.notify("2001");
                let mut peer = Peer::connect(scene);
                peer.send(&notify.body(long_presence(200_000).as_bytes()));
                peer.answer()
            },
            200,
            &[],
        ),
        Row {
            name: "with 1 MB of XML by TCP",
            act: |scene| {
                let notify = scene.pbx.notify("2001");
                let mut peer = Peer::connect(scene);
                peer.send(&notify.body(long_presence(1 << 20).as_bytes()));
                peer.answer_and_end()
            },
            answer: Answer::StatusAndClose(413),
            counts: &[
                ("messages_refused{too_large}", 1),
                ("shard_closed_malformed", 1),
            ],
        },
    ]
}
