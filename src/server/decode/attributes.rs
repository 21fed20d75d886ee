//! The attributes of a request, one by one: what is missing, ill-typed or too long is refused in
//! words that name it.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::config::WrapUp;
use crate::cti::{AgentWorkMode, ConnId, ErrorCode, ForwardMode, KeyValueList, Value};
use crate::limits::{
    CTI_LIST_BYTES_MAX, CTI_LIST_DEPTH_MAX, CTI_LIST_KEYS_MAX, DTMF_DIGITS_MAX, NAME_BYTES_MAX,
    WRAP_UP_MAX,
};

use super::{Checked, invalid};

/// The attributes of one frame.
pub(super) struct Attributes(Map<String, Json>);

impl Attributes {
    pub(super) fn new(attributes: Map<String, Json>) -> Self {
        Self(attributes)
    }

    pub(super) fn reference_id(&self, needed: bool) -> Checked<Option<u32>> {
        const FORM: &str = "a whole number from 0 to 4294967295";
        match self.0.get("ReferenceID") {
            Some(json) => match json.as_u64().and_then(|number| u32::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(invalid(format!("ReferenceID must be {FORM}"))),
            },
            None if needed => Err(invalid(format!("ReferenceID is missing; it is {FORM}"))),
            None => Ok(None),
        }
    }

    pub(super) fn sequence(&self) -> Checked<u64> {
        let number = self.0.get("EventSequenceNumber").and_then(Json::as_u64);
        number.ok_or_else(|| invalid("EventSequenceNumber must be a whole number".to_owned()))
    }

    /// A whole number within bounds, if it is there.
    pub(super) fn whole(&self, name: &str, bounds: RangeInclusive<u64>) -> Checked<Option<u64>> {
        let Some(json) = self.0.get(name) else {
            return Ok(None);
        };
        let number = json.as_u64().filter(|number| bounds.contains(number));
        number.map(Some).ok_or_else(|| {
            let (least, most) = (bounds.start(), bounds.end());
            invalid(format!(
                "{name} must be a whole number from {least} to {most}"
            ))
        })
    }

    /// A needed call's identifier: `ConnID`, `TransferConnID` or `PreviousConnID`.
    pub(super) fn conn_id(&self, name: &str) -> Checked<ConnId> {
        to_conn_id(name, &self.needed(name)?)
    }

    /// The same, where it may be left out.
    pub(super) fn conn_id_if_any(&self, name: &str) -> Checked<Option<ConnId>> {
        let text = self.text(name)?;
        text.map(|text| to_conn_id(name, &text)).transpose()
    }

    /// Whom to call: `OtherDN` as a number or a name that could be dialled.
    pub(super) fn destination(&self) -> Checked<String> {
        let text = self.needed("OtherDN")?;
        let dialable = |letter: char| letter.is_ascii_graphic() && !"@<>;,?\"'\\".contains(letter);
        if text.len() <= NAME_BYTES_MAX && text.chars().all(dialable) {
            return Ok(text);
        }
        let words = format!("OtherDN {text:?} is no number that could be called");
        Err((ErrorCode::InvalidCalledDN, words))
    }

    pub(super) fn digits(&self) -> Checked<String> {
        let text = self.needed("DTMFDigits")?;
        let good = text
            .bytes()
            .all(|digit| b"0123456789*#ABCD".contains(&digit));
        if good && text.len() <= DTMF_DIGITS_MAX {
            return Ok(text);
        }
        Err(invalid(format!(
            "DTMFDigits must be up to {DTMF_DIGITS_MAX} of 0 to 9, *, #, A to D"
        )))
    }

    pub(super) fn forward_mode(&self) -> Checked<ForwardMode> {
        let Some(name) = self.text("ForwardMode")? else {
            return Ok(ForwardMode::Unconditional);
        };
        let allowed = [
            ForwardMode::Unconditional,
            ForwardMode::OnBusy,
            ForwardMode::OnNoAnswer,
            ForwardMode::OnBusyAndNoAnswer,
        ];
        ForwardMode::from_name(&name)
            .filter(|mode| allowed.contains(mode))
            .ok_or_else(|| invalid(one_of("ForwardMode", &name, &allowed, ForwardMode::name)))
    }

    /// How long the wrap-up is to last that a desktop asks for.
    pub(super) fn wrap_up(&self) -> Checked<Option<WrapUp>> {
        let seconds = 1..=WRAP_UP_MAX.as_secs();
        match self.list("Extensions")?.value("WrapUpTime") {
            None => Ok(None),
            Some(Value::Text(text)) if text == "untimed" => Ok(Some(WrapUp::Untimed)),
            Some(Value::Integer(time)) => match u64::try_from(*time) {
                Ok(time) if seconds.contains(&time) => {
                    Ok(Some(WrapUp::Timed(Duration::from_secs(time))))
                }
                Ok(_) | Err(_) => Err(wrong_wrap_up()),
            },
            Some(Value::Text(_) | Value::List(_)) => Err(wrong_wrap_up()),
        }
    }

    pub(super) fn work_mode(&self, allowed: &[AgentWorkMode]) -> Checked<AgentWorkMode> {
        let Some(name) = self.text("AgentWorkMode")? else {
            return Ok(AgentWorkMode::Unknown);
        };
        AgentWorkMode::from_name(&name)
            .filter(|mode| allowed.contains(mode))
            .ok_or_else(|| invalid(one_of("AgentWorkMode", &name, allowed, AgentWorkMode::name)))
    }

    /// Whether this one of `Extensions` is 1, if it is there.
    pub(super) fn switch(&self, name: &str) -> Checked<Option<bool>> {
        match self.list("Extensions")?.value(name) {
            None => Ok(None),
            Some(Value::Integer(0)) => Ok(Some(false)),
            Some(Value::Integer(1)) => Ok(Some(true)),
            Some(_) => Err(invalid(format!("Extensions.{name} must be 0 or 1"))),
        }
    }

    pub(super) fn user_data(&self) -> Checked<KeyValueList> {
        let list = self.list("UserData")?;
        if list.is_empty() {
            return Err(invalid("UserData is missing or empty".to_owned()));
        }
        Ok(list)
    }

    pub(super) fn list(&self, name: &str) -> Checked<KeyValueList> {
        match self.0.get(name) {
            None => Ok(KeyValueList::new()),
            Some(Json::Object(map)) => {
                let list = key_values(name, map, CTI_LIST_DEPTH_MAX)?;
                if list.bytes() > CTI_LIST_BYTES_MAX {
                    let words = format!("{name} is longer than {CTI_LIST_BYTES_MAX} bytes");
                    return Err(invalid(words));
                }
                Ok(list)
            }
            Some(_) => Err(invalid(format!("{name} must be an object"))),
        }
    }

    pub(super) fn needed(&self, name: &str) -> Checked<String> {
        self.text(name)?
            .ok_or_else(|| invalid(format!("{name} is missing")))
    }

    pub(super) fn text(&self, name: &str) -> Checked<Option<String>> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.is_empty() => {
                Err(invalid(format!("{name} is empty; leave it out")))
            }
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(invalid(format!("{name} must be a string"))),
        }
    }
}

fn key_values(name: &str, map: &Map<String, Json>, depth: usize) -> Checked<KeyValueList> {
    if map.len() > CTI_LIST_KEYS_MAX {
        return Err(invalid(format!(
            "{name} has more than {CTI_LIST_KEYS_MAX} keys"
        )));
    }
    let mut list = KeyValueList::new();
    for (key, json) in map {
        let value = match json {
            Json::String(text) => Value::Text(text.clone().into()),
            Json::Number(number) => Value::Integer(number.as_i64().ok_or_else(|| {
                invalid(format!("{name}.{key} must be a whole number of 64 bits"))
            })?),
            Json::Object(_) if depth == 0 => {
                return Err(invalid(format!("{name} has too many lists inside lists")));
            }
            Json::Object(inner) => Value::List(key_values(name, inner, depth - 1)?),
            Json::Null | Json::Bool(_) | Json::Array(_) => {
                let words = format!("{name}.{key} must be a string, a whole number or an object");
                return Err(invalid(words));
            }
        };
        list.set(key.clone(), value);
    }
    Ok(list)
}

fn to_conn_id(name: &str, text: &str) -> Checked<ConnId> {
    ConnId::parse(text).ok_or_else(|| {
        let words = format!("{name} {text:?} is not 16 hex digits");
        (ErrorCode::InvalidConnID, words)
    })
}

fn wrong_wrap_up() -> (ErrorCode, String) {
    let most = WRAP_UP_MAX.as_secs();
    invalid(format!(
        "Extensions.WrapUpTime must be 1 to {most} seconds, or \"untimed\""
    ))
}

/// "NAME must be one of …, not …".
pub(super) fn one_of<T: Copy>(
    attribute: &str,
    found: &str,
    allowed: &[T],
    name: impl Fn(T) -> &'static str,
) -> String {
    let names: Vec<_> = allowed.iter().map(|value| name(*value)).collect();
    format!(
        "{attribute} must be one of {}, not {found:?}",
        names.join(", ")
    )
}
