//! Holds what is really sent against `docs/cti.schema.json`: a checker for the keywords that the
//! schema uses. A keyword that it does not know fails the test instead of being ignored.

use std::sync::OnceLock;

use serde_json::{Map, Value as Json};

fn schema() -> &'static Json {
    static SCHEMA: OnceLock<Json> = OnceLock::new();
    let read = || serde_json::from_str(include_str!("../../docs/cti.schema.json")).unwrap();
    SCHEMA.get_or_init(read)
}

/// Checks a frame against the definition of its own message; the whole schema names each once.
pub(crate) fn check_frame(frame: &Json) {
    let schema = schema();
    let message = frame["Message"].as_str().expect("a frame has a Message");
    let prefix = if message.starts_with("Event") {
        "ServerToClient"
    } else {
        "ClientToServer"
    };
    let reference = format!("#/$defs/{message}");
    let listed = schema["$defs"][prefix]["oneOf"].as_array().unwrap();
    assert!(
        listed.iter().any(|one| one["$ref"] == *reference),
        "{message} is not in the schema"
    );
    if let Err(fault) = check(schema, &schema["$defs"][message], frame) {
        panic!("{message} breaks the schema: {fault}\n{frame:#}");
    }
}

/// Whether the value has the shape that the schema `node` asks for; if not, what is wrong.
fn check(schema: &Json, node: &Json, value: &Json) -> Result<(), String> {
    let node = node.as_object().expect("a schema is an object");
    for (keyword, wanted) in node {
        check_keyword(schema, node, keyword, wanted, value)?;
    }
    Ok(())
}

fn check_keyword(
    schema: &Json,
    node: &Map<String, Json>,
    keyword: &str,
    wanted: &Json,
    value: &Json,
) -> Result<(), String> {
    let holds = match keyword {
        "$defs" | "$schema" | "description" | "title" => true,
        "$ref" => {
            let name = wanted.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            let target = &schema["$defs"][name];
            assert!(target.is_object(), "{name} is not defined");
            return check(schema, target, value).map_err(|fault| format!("{name}: {fault}"));
        }
        "type" => is_of_type(wanted.as_str().unwrap(), value),
        "const" => wanted == value,
        "enum" => wanted.as_array().unwrap().contains(value),
        "pattern" => value
            .as_str()
            .is_none_or(|text| matches(wanted.as_str().unwrap(), text)),
        "minimum" => value
            .as_i64()
            .is_none_or(|number| number >= wanted.as_i64().unwrap()),
        "maximum" => value
            .as_i64()
            .is_none_or(|number| number <= wanted.as_i64().unwrap()),
        "minLength" => at_least(wanted, value.as_str().map(|text| text.chars().count())),
        "minProperties" => at_least(wanted, value.as_object().map(Map::len)),
        "minItems" => at_least(wanted, value.as_array().map(Vec::len)),
        "items" => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                check(schema, wanted, item).map_err(|fault| format!("[{index}]: {fault}"))?;
            }
            true
        }
        "required" => {
            let mut names = wanted
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap());
            if let Some(missing) = names.find(|name| value.get(name).is_none()) {
                return Err(format!("{missing} is missing"));
            }
            true
        }
        "properties" => {
            for (name, property) in wanted.as_object().unwrap() {
                if let Some(inner) = value.get(name) {
                    let within = |fault| format!("{name}: {fault}");
                    check(schema, property, inner).map_err(within)?;
                }
            }
            true
        }
        "additionalProperties" => return check_others(schema, node, wanted, value),
        "anyOf" => passing(schema, wanted, value) >= 1,
        "oneOf" => passing(schema, wanted, value) == 1,
        "allOf" => passing(schema, wanted, value) == wanted.as_array().unwrap().len(),
        unknown => panic!("the schema uses {unknown}, which this checker does not know"),
    };
    if holds {
        Ok(())
    } else {
        Err(format!("{value} is not {keyword} {wanted}"))
    }
}

fn check_others(
    schema: &Json,
    node: &Map<String, Json>,
    wanted: &Json,
    value: &Json,
) -> Result<(), String> {
    let named = node.get("properties").and_then(Json::as_object);
    for (name, inner) in value.as_object().into_iter().flatten() {
        if named.is_some_and(|named| named.contains_key(name)) {
            continue;
        }
        match wanted.as_bool() {
            Some(true) => {}
            Some(false) => return Err(format!("{name} is not expected")),
            None => check(schema, wanted, inner).map_err(|fault| format!("{name}: {fault}"))?,
        }
    }
    Ok(())
}

fn passing(schema: &Json, branches: &Json, value: &Json) -> usize {
    let branches = branches.as_array().unwrap().iter();
    branches
        .filter(|branch| check(schema, branch, value).is_ok())
        .count()
}

fn at_least(wanted: &Json, found: Option<usize>) -> bool {
    found.is_none_or(|found| found as u64 >= wanted.as_u64().unwrap())
}

fn is_of_type(name: &str, value: &Json) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        unknown => panic!("the schema uses the type {unknown}, which this checker does not know"),
    }
}

/// The patterns of the schema, which are few: sets of characters, each with a count.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = pattern
        .strip_prefix('^')
        .unwrap()
        .strip_suffix('$')
        .unwrap();
    let mut letters = text.chars();
    while !rest.is_empty() {
        let (set, after) = next_set(rest);
        let (count, after) = next_count(after);
        rest = after;
        if !(0..count).all(|_| letters.next().is_some_and(|letter| in_set(set, letter))) {
            return false;
        }
    }
    letters.next().is_none()
}

fn next_set(pattern: &str) -> (&str, &str) {
    if let Some(rest) = pattern.strip_prefix('[') {
        return rest.split_once(']').unwrap();
    }
    let pattern = pattern.strip_prefix('\\').unwrap_or(pattern);
    pattern.split_at(1)
}

fn next_count(pattern: &str) -> (usize, &str) {
    match pattern
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
    {
        Some((count, after)) => (count.parse().unwrap(), after),
        None => (1, pattern),
    }
}

fn in_set(set: &str, letter: char) -> bool {
    let set: Vec<char> = set.chars().collect();
    let ranges = set.windows(3).filter(|window| window[1] == '-');
    let mut ranges = ranges.map(|window| window[0]..=window[2]);
    set.contains(&letter) && letter != '-'
        || ranges.any(|range| range.contains(&letter))
        || set == ['-'] && letter == '-'
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(frame: &Json) -> Option<String> {
        check(schema(), schema(), frame).err()
    }

    #[test]
    fn the_examples_of_the_specification_fit() {
        for frame in [
            json!({"Message": "RequestAgentNotReady", "ReferenceID": 7, "ThisDN": "2001",
                   "AgentWorkMode": "AuxWork", "Reasons": {"Break": "lunch"}}),
            json!({"Message": "EventAgentNotReady", "ReferenceID": 7, "ThisDN": "2001",
                   "AgentID": "2001", "AgentWorkMode": "AuxWork", "Reasons": {"Break": "lunch"},
                   "EventSequenceNumber": 41812, "Time": "2026-11-22T10:15:30.123456Z"}),
        ] {
            assert_eq!(fault(&frame), None);
            check_frame(&frame);
        }
    }

    #[test]
    fn the_examples_of_the_documentation_fit() {
        let page = include_str!("../../docs/cti.md");
        let mut examples = 0;
        for line in page.lines().filter(|line| line.starts_with("{\"Message\"")) {
            let frame = serde_json::from_str(line).unwrap();
            check_frame(&frame);
            examples += 1;
        }
        assert!(examples >= 10, "only {examples} examples were found");
    }

    #[test]
    fn what_is_wrong_is_found() {
        let good = json!({"Message": "EventAgentReady", "ThisDN": "2001", "AgentWorkMode": "AutoIn",
                          "EventSequenceNumber": 1, "Time": "2026-11-22T10:15:30.123456Z"});
        assert_eq!(fault(&good), None);
        for (name, wrong) in [
            ("Message", json!("EventAgentSteady")),
            ("ThisDN", json!("")),
            ("AgentWorkMode", json!("Sleeping")),
            ("AgentWorkMode", json!(null)),
            ("EventSequenceNumber", json!("1")),
            ("Time", json!("2026-11-22 10:15:30.123456Z")),
            ("Time", json!("2026-11-22T10:15:30Z")),
            ("Reasons", json!({})),
            ("Extensions", json!({"a": null})),
            ("Unexpected", json!(1)),
        ] {
            let mut frame = good.clone();
            frame[name] = wrong;
            assert!(fault(&frame).is_some(), "{frame}");
        }
    }
}
