//! How the values of other modules are written down, where all that they hold is public. What has
//! secrets of its own writes itself.

use std::borrow::Cow;
use std::sync::Arc;

use offhook_shards::Transport;

use crate::config::{Hold, WrapUp};
use crate::cti::{
    AgentWorkMode, CallInfo, CallType, CallUuid, ConnId, DnRole, ForwardMode, KeyValueList, Value,
};
use crate::dialog::{Body, IdentityHeaders, LegPolicy, Party, SessionUuid, Target};

use super::field::{Field, Reader, choices, fields};

fields!(ConnId { 0 });
fields!(CallUuid { 0 });
fields!(SessionUuid { 0 });
fields!(CallInfo {
    conn_id,
    call_id,
    call_uuid,
    call_type,
    ani,
    dnis,
    user_data
});
fields!(Party {
    number,
    display_name,
    private
});
fields!(Body {
    content_type,
    bytes
});
fields!(Target {
    transport,
    address,
    large_requests
} forgets { overload_control });
fields!(LegPolicy {
    session_expires,
    min_se,
    reliable_provisional,
    refer,
    trusted,
    identity
});
choices!(Transport { Udp = 1, Tcp = 2, Tls = 3 });
choices!(Hold { Inactive = 1, SendOnly = 2 });
choices!(IdentityHeaders {
    Asserted = 1,
    RemoteParty = 2,
    Both = 3,
    Neither = 4,
});

/// Public names are written as such: they are the words of the protocol, and stay.
macro_rules! names {
    ($($name:ty),*) => {$(
        impl Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.name().to_owned().write(out);
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                let name = String::read(from)?;
                Self::ALL.iter().copied().find(|value| value.name() == name)
            }
        }
    )*};
}

names!(AgentWorkMode, CallType, DnRole, ForwardMode);

impl Field for KeyValueList {
    fn write(&self, out: &mut Vec<u8>) {
        let pairs: Vec<(String, Value)> = self
            .iter()
            .map(|(key, value)| (key.to_owned(), value.clone()))
            .collect();
        pairs.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut list = Self::new();
        for (key, value) in Vec::<(String, Value)>::read(from)? {
            list.set(key, value);
        }
        Some(list)
    }
}

impl Field for Value {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                out.push(1);
                text.write(out);
            }
            Self::Integer(integer) => {
                out.push(2);
                integer.write(out);
            }
            Self::List(list) => {
                out.push(3);
                list.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            1 => Cow::read(from).map(Self::Text),
            2 => i64::read(from).map(Self::Integer),
            3 => KeyValueList::read(from).map(Self::List),
            _ => None,
        }
    }
}

impl Field for WrapUp {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Off => out.push(1),
            Self::Timed(time) => {
                out.push(2);
                time.write(out);
            }
            Self::Untimed => out.push(3),
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            1 => Some(Self::Off),
            2 => Field::read(from).map(Self::Timed),
            3 => Some(Self::Untimed),
            _ => None,
        }
    }
}

impl Field for Arc<Party> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Party::read(from).map(Self::new)
    }
}

impl Field for Arc<Vec<String>> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Vec::read(from).map(Self::from)
    }
}
