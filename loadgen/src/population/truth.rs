//! What really happened, as the parties themselves know it: the other half of every comparison
//! with what the server says.

use std::time::Instant;

/// Joins the two legs of a call: the caller puts it into headers that the server passes through,
/// and the phone finds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// The server broke a rule. A lossy network alone is no excuse for any of them: everything was
/// sent until an answer came or time was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// No response at all to an INVITE.
    InviteUnanswered,
    /// No final response to an INVITE, though it was cancelled or its time had come.
    NoFinalResponse,
    /// No answer to a BYE.
    ByeUnanswered,
    /// No answer to a re-INVITE.
    ChangeUnanswered,
    /// No ACK to a 2xx.
    NeverAcknowledged,
    /// A 2xx to an INVITE with an offer has no answer.
    OkWithoutAnswer,
    /// A 2xx to an INVITE without an offer has none either.
    OkWithoutOffer,
    /// An ACK that must bring the answer does not.
    AckWithoutAnswer,
    /// A body that must be a session description is none.
    NotADescription,
    /// An answer that does not fit its offer: another number of media, or a direction that the
    /// offer leaves no room for (RFC 3264 §6).
    AnswerMisfits,
    /// An offer with fewer media than the session has (RFC 3264 §8).
    MediaDropped,
    /// A description that is no successor of the one before: another `o=` line, a version that
    /// went back, or other words under the same version (RFC 3264 §8).
    OriginChanged,
    /// No answer to a REFER.
    ReferUnanswered,
    /// A NOTIFY that nobody answered.
    NotifyUnanswered,
    /// A caller was connected while no phone had the call.
    ConnectedToNobody,
    /// One side of a call ended and the other stayed up.
    LeftBehind,
    /// One caller was at two phones at once.
    OfferedTwice,
    /// The call was still up when everything had to be over.
    StillUp,
}

/// Who ended a call that was up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndedBy {
    /// This party hung up.
    Us,
    /// The server sent BYE: the other party hung up, or the server itself ended the call.
    Server,
    /// Nobody: the PBX that had the call has restarted.
    Outage,
}

/// How an offered call ended. Each call has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It was answered, and then ended properly.
    Answered(EndedBy),
    /// The caller gave up before an answer, or its INVITE's Expires ran out.
    Abandoned,
    /// The server refused it with this status.
    Refused(u16),
    /// The server failed it.
    Lost(Fault),
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// What.
    pub fact: Fact,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A caller's INVITE was sent for the first time.
    Offered {
        /// The call.
        token: Token,
        /// When it was meant to be sent.
        intended: Instant,
        /// What it dialled.
        number: String,
    },
    /// A caller heard this provisional status.
    Progress {
        /// The call.
        token: Token,
        /// 180, 182, …
        status: u16,
    },
    /// A caller was given a session description before the answer.
    EarlyMedia {
        /// The call.
        token: Token,
    },
    /// A caller was connected.
    Connected {
        /// The call.
        token: Token,
    },
    /// A caller's call ended.
    Ended {
        /// The call.
        token: Token,
        /// How.
        outcome: Outcome,
    },
    /// An INVITE reached a phone for the first time.
    Rang {
        /// The caller's token, if the INVITE carried one.
        token: Option<Token>,
        /// The phone.
        dn: String,
    },
    /// A phone refused an INVITE.
    PhoneRefused {
        /// The caller's token, if the INVITE carried one.
        token: Option<Token>,
        /// The phone.
        dn: String,
        /// How.
        status: u16,
    },
    /// The server took the INVITE to a phone back.
    PhoneCancelled {
        /// The caller's token, if the INVITE carried one.
        token: Option<Token>,
        /// The phone.
        dn: String,
    },
    /// A phone answered.
    PhoneAnswered {
        /// The caller's token, if the INVITE carried one.
        token: Option<Token>,
        /// The phone.
        dn: String,
    },
    /// A phone's call ended.
    PhoneEnded {
        /// The caller's token, if the INVITE carried one.
        token: Option<Token>,
        /// The phone.
        dn: String,
        /// Who hung up.
        by: EndedBy,
    },
    /// A party changed a call that is up.
    Changed {
        /// The call, if its token is known.
        token: Option<Token>,
        /// The phone, if it is one.
        dn: Option<String>,
        /// What it changed.
        change: super::Change,
    },
    /// A party's change of a call that is up was refused with this status.
    ChangeRefused {
        /// The call, if its token is known.
        token: Option<Token>,
        /// How.
        status: u16,
    },
    /// A party's REFER was answered, or a NOTIFY reported about it.
    Referred {
        /// The call, if its token is known.
        token: Option<Token>,
        /// The phone, if it is one.
        dn: Option<String>,
        /// The status of the response, or of the report.
        status: u16,
    },
    /// A party received INFO.
    Info {
        /// The call, if its token is known.
        token: Option<Token>,
        /// The phone, if it is one.
        dn: Option<String>,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
    },
    /// A party was told who is at the other end now.
    Identified {
        /// The call, if its token is known.
        token: Option<Token>,
        /// The phone that was told, if it is one.
        dn: Option<String>,
        /// Who is there.
        user: String,
    },
    /// A phone dialled: its INVITE was sent for the first time.
    Dialled {
        /// The call.
        token: Token,
        /// The phone.
        dn: String,
        /// What it dialled.
        number: String,
    },
    /// What a phone dialled has answered.
    DialAnswered {
        /// The call.
        token: Token,
        /// The phone.
        dn: String,
    },
    /// What a phone dialled was refused, or the phone gave up.
    DialFailed {
        /// The call.
        token: Token,
        /// The phone.
        dn: String,
        /// How.
        status: u16,
    },
    /// A phone registered or went away.
    Registered {
        /// The phone.
        dn: String,
        /// Whether it is there now.
        registered: bool,
    },
    /// A private call began or ended.
    PrivateCall {
        /// The phone.
        dn: String,
        /// Whether it goes on now.
        active: bool,
    },
    /// A SUBSCRIBE was accepted.
    Subscribed {
        /// The phone.
        dn: String,
        /// Whether it refreshed a subscription that was there.
        refresh: bool,
        /// For how many seconds.
        expires: u32,
    },
    /// A SUBSCRIBE was refused.
    SubscribeRefused {
        /// The phone it asked for.
        dn: String,
        /// How.
        status: u16,
    },
    /// A subscription ended.
    Unsubscribed {
        /// The phone.
        dn: String,
    },
    /// A NOTIFY was sent for the first time.
    Notified {
        /// The phone.
        dn: String,
        /// What it says.
        presence: super::Presence,
    },
    /// The server broke a rule.
    Fault {
        /// The call, if one is concerned and its token is known.
        token: Option<Token>,
        /// The phone, if one is concerned.
        dn: Option<String>,
        /// The rule.
        fault: Fault,
    },
}

/// The records of one party, oldest first.
#[derive(Debug, Default)]
pub(super) struct Log(Vec<Record>);

impl Log {
    pub(super) fn add(&mut self, at: Instant, fact: Fact) {
        self.0.push(Record { at, fact });
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.0
    }

    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.0)
    }
}
