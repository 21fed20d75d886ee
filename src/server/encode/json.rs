//! JSON written straight into a text. What comes out is what `serde_json` writes, but no
//! serializer stands in between that looks at each byte by itself.

use crate::cti::{
    AgentWorkMode, CallState, CallType, CallUuid, ConnId, DnRole, ErrorCode, ForwardMode,
    KeyValueList, RouteType, Value,
};

/// A key of ours with the comma before it and the colon behind it: one copy for all three.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// What may stand behind a key.
pub(super) trait Attribute {
    /// Whether an object leaves it out, with its key.
    fn is_absent(&self) -> bool {
        false
    }

    /// Writes it at the end.
    fn write(self, json: &mut String);
}

/// Writes an attribute behind others, if it is there.
pub(super) fn put(json: &mut String, key: &str, attribute: impl Attribute) {
    if !attribute.is_absent() {
        json.push_str(key);
        attribute.write(json);
    }
}

/// Text of ours, in which nothing has to be escaped.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl<T: Attribute> Attribute for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn write(self, json: &mut String) {
        if let Some(attribute) = self {
            attribute.write(json);
        }
    }
}

impl Attribute for Plain<'_> {
    fn write(self, json: &mut String) {
        json.push('"');
        json.push_str(self.0);
        json.push('"');
    }
}

/// Writes values of these types in one way.
macro_rules! written {
    ($($type:ty),+: |$value:ident, $json:ident| $write:expr) => {
        $(impl Attribute for $type {
            fn write(self, $json: &mut String) {
                let $value = self;
                $write;
            }
        })+
    };
}

written!(AgentWorkMode, CallState, CallType, DnRole, ErrorCode, ForwardMode, RouteType:
    |value, json| Plain(value.name()).write(json));
written!(ConnId, CallUuid: |identifier, json| Plain(identifier.digits().as_str()).write(json));
written!(u32, u64, i64: |number, json| json.push_str(itoa::Buffer::new().format(number)));

/// Text from outside.
impl Attribute for &str {
    fn write(self, json: &mut String) {
        // To the end, whatever was found: so the compiler looks at many bytes at once.
        let is_plain = self
            .bytes()
            .fold(true, |plain, byte| plain & !must_be_escaped(byte));
        if is_plain {
            Plain(self).write(json);
        } else {
            let escaped = serde_json::to_string(self).expect("text always becomes JSON");
            json.push_str(&escaped);
        }
    }
}

/// RFC 8259 §7.
fn must_be_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// A key-value list as an object, in its own order.
impl Attribute for &KeyValueList {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn write(self, json: &mut String) {
        json.push('{');
        for (place, (key, value)) in self.iter().enumerate() {
            if place > 0 {
                json.push(',');
            }
            key.write(json);
            json.push(':');
            match value {
                Value::Text(text) => (&**text).write(json),
                Value::Integer(integer) => integer.write(json),
                Value::List(list) => list.write(json),
            }
        }
        json.push('}');
    }
}
