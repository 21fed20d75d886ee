//! Enumerations of the T-Library model. The public form of a value is its name.

/// Defines an enumeration whose public form is the variant's name.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every value, in the order of the model.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The public name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }

            /// The value with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    };
}
pub(crate) use named;

named!(
    /// Where a call comes from and goes to, seen from the contact center.
    CallType {
        /// Not known.
        Unknown,
        /// Between two of our DNs.
        Internal,
        /// From outside.
        Inbound,
        /// To outside.
        Outbound,
        /// A consultation beside a main call.
        Consult,
    }
);
named!(
    /// How the party's part of the call stands or why it ended.
    CallState {
        /// As it should be.
        Ok, /// Moved to another party.
        Transferred, /// Joined with others.
        Conferenced, /// A fault of no finer kind.
        GeneralError, /// A fault of ours.
        SystemError, /// The far end released.
        RemoteRelease, /// The destination was busy.
        Busy, /// The destination did not answer in time.
        NoAnswer, /// No trunk could take the call.
        AllTrunksBusy, /// The number does not exist.
        InvalidNumber, /// The queue took no more.
        QueueFull, /// Cleared for all parties.
        Cleared, /// Overflowed elsewhere.
        Overflowed, /// The caller gave up.
        Abandoned, /// Redirected before the answer.
        Redirected, /// Forwarded.
        Forwarded, /// A consultation.
        Consult, /// Picked up elsewhere.
        PickedUp, /// Dropped.
        Dropped, /// Dropped unanswered.
        DroppedNoAnswer, /// Not known.
        Unknown, /// Bridged (an observer's state).
        Bridged, /// Does not hear.
        Deafened, /// On hold.
        Held,
    }
);
named!(
    /// The part a DN plays in a call.
    DnRole {
        /// Not known.
        Unknown, /// Started it.
        Origination, /// Was called.
        Destination, /// One of several.
        ConferenceMember, /// Has joined.
        NewParty, /// Added the new party.
        AddedBy, /// Removed the party.
        DeletedBy, /// Transferred the call.
        TransferredBy, /// Was removed.
        DeletedParty, /// Made the conference.
        ConferencedBy, /// Listens.
        Observer,
    }
);
named!(
    /// What an agent is Ready or NotReady for.
    AgentWorkMode {
        /// Not known, or set by presence.
        Unknown, /// Ready; the agent asks for the next call.
        ManualIn, /// Ready; the next call comes by itself.
        AutoIn, /// NotReady; writing up the last call.
        AfterCallWork, /// NotReady; a break or other work.
        AuxWork, /// NotReady; the pause that the law demands.
        LegalGuard, /// NotReady; the call is not ended by logging out.
        NoCallDisconnect, /// NotReady; away from the desk.
        WalkAway, /// NotReady; back at the desk.
        ReturnBack,
    }
);
named!(
    /// How a router wants the call delivered.
    RouteType {
        /// Not known.
        Unknown, /// To the routing point's own default.
        Default, /// To a label.
        Label, /// With another DNIS.
        OverwriteDNIS, /// To this number.
        Direct, /// To an announcement.
        Announcement, /// To this agent.
        DirectAgent, /// With priority.
        Priority, /// To this number, with priority.
        DirectPriority, /// To whatever DN the agent is at.
        AgentID, /// End the call.
        CallDisconnect,
    }
);
named!(
    /// When calls for a DN go elsewhere.
    ForwardMode {
        /// Never.
        None, /// Always.
        Unconditional, /// While the DN is busy.
        OnBusy, /// When nobody answers.
        OnNoAnswer, /// In both cases.
        OnBusyAndNoAnswer,
    }
);
named!(
    /// Why a request failed.
    ErrorCode {
        /// The acting DN is not registered by this client.
        ClientNotRegistered, /// Nothing to change.
        AlreadyInState, /// Not offered by this server, phone or trunk.
        UnsupportedOperation, /// Our fault.
        InternalError, /// An attribute is missing, ill-typed or out of range.
        InvalidAttribute, /// No such call, or the DN is no party of it.
        InvalidConnID, /// No answer in time.
        Timeout, /// The DN or trunk is out of service.
        OutOfService, /// No such DN, queue, routing point or trunk.
        UnknownDN, /// The destination's number is not valid.
        InvalidCalledDN, /// The destination cannot take a call now.
        DestinationState, /// The transfer cannot be completed.
        CannotCompleteTransfer, /// The conference cannot be completed.
        CannotCompleteConference, /// The password is wrong.
        BadPassword, /// Not possible in this state.
        WrongState, /// The agent is not logged in.
        NotLoggedIn, /// Another agent is logged in at this DN.
        InvalidAgentID, /// The destination is busy.
        Busy, /// The destination did not answer.
        NoAnswer, /// The destination declined.
        Rejected, /// The token's role does not allow it.
        Forbidden, /// A limit is reached; try later.
        TooBusy,
    }
);
