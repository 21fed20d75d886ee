//! The messages that are sent without a step: when a call is given up, or a request is answered
//! automatically. The texts are ours; `<DefaultMessage>` replaces them.

use super::super::model::{Defaults, Message};
use super::super::names::Names;
use super::super::note::Notes;
use super::super::template::Template;
use super::super::text;
use super::super::xml::Element;
use super::attributes::Attributes;
use super::steps::method;

const ACK: &str = "ACK [last_Request_URI] SIP/2.0
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
CSeq: [last_cseq_number] ACK
Max-Forwards: 70
Content-Length: 0
";

const CANCEL: &str = "CANCEL [last_Request_URI] SIP/2.0
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
CSeq: [last_cseq_number] CANCEL
Max-Forwards: 70
Content-Length: 0
";

const BYE: &str = "BYE [last_Request_URI] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
[last_From:]
[last_To:]
[last_Call-ID:]
CSeq: [last_cseq_number+1] BYE
Max-Forwards: 70
Content-Length: 0
";

const OK: &str = "SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0
";

const REFRESHED: &str = "SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
";

/// What the scenario says instead.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    ack: Option<(Vec<u8>, u32)>,
    bye: Option<(Vec<u8>, u32)>,
    cancel: Option<(Vec<u8>, u32)>,
    ok: Option<(Vec<u8>, u32)>,
}

impl Overrides {
    pub(super) fn take(
        &mut self,
        element: &Element,
        attributes: &mut Attributes<'_>,
        notes: &mut Notes,
    ) {
        let place = match attributes.text("id").unwrap_or_default().as_str() {
            "ack" | "ack2" => &mut self.ack,
            "bye" => &mut self.bye,
            "cancel" => &mut self.cancel,
            "200" => &mut self.ok,
            "3pcc_abort" => {
                notes.warning(
                    element.line,
                    "3pcc_abort is ignored: there is no twin to abort",
                );
                return;
            }
            other => {
                notes.error(
                    element.line,
                    format!("there is no default message `{other}`"),
                );
                return;
            }
        };
        *place = Some((text::message(&element.data), element.data_line));
    }

    pub(super) fn build(&mut self, names: &mut Names, notes: &mut Notes) -> Defaults {
        let mut build = |own: Option<(Vec<u8>, u32)>, default: &str| {
            let (text, line) = own.unwrap_or_else(|| (text::message(default.as_bytes()), 0));
            let text = Template::new(&text, line, names, notes);
            Message {
                method: method(&text),
                text,
            }
        };
        Defaults {
            ack: build(self.ack.take(), ACK),
            bye: build(self.bye.take(), BYE),
            cancel: build(self.cancel.take(), CANCEL),
            ok: build(self.ok.take(), OK),
            refreshed: build(None, REFRESHED),
        }
    }
}
