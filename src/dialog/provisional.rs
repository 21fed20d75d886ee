//! What a provisional response of ours says.

use crate::sip::{HeaderName, Status};

use super::Body;
use super::call_dialog::CallDialog;
use super::compose::Fields;
use super::core::Core;

/// A provisional response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Provisional<'a> {
    pub(super) status: Status,
    /// A session description, for early media.
    pub(super) body: Option<&'a Body>,
    pub(super) place: Option<QueuePlace>,
}

/// Where a caller stands in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueuePlace {
    /// 1 is next.
    pub(super) position: u32,
    /// How long it may expect to wait, where anybody can say.
    pub(super) wait_s: Option<u64>,
}

impl Provisional<'_> {
    pub(super) fn of(status: Status) -> Self {
        Self {
            status,
            body: None,
            place: None,
        }
    }

    /// What it says besides the dialog's own headers.
    pub(super) fn fields(&self, dialog: &CallDialog, core: &mut Core) -> Fields {
        let fields = dialog.response_fields(core);
        let Some(QueuePlace { position, wait_s }) = self.place else {
            return fields;
        };
        // RFC 3261 §20.9: what the URI is good for is in its parameters.
        let host = dialog.host(core);
        let about = format_args!("<sip:{host}>;purpose=queue;position={position}");
        match wait_s {
            None => fields.with(HeaderName::CallInfo, about),
            Some(wait) => {
                let value = format_args!("{about};estimated-wait={wait}");
                fields.with(HeaderName::CallInfo, value)
            }
        }
    }
}
