//! No text makes the reader panic, and what it refuses always comes with a mistake.

use proptest::prelude::*;

use crate::config::{Mistake, embedded_default, parse};

const CSV: &str = "dn,agent_id,queues,wrap_up\n4000,A4000,sales|service,30\n4001,,\"sales\",\n";

fn check(text: &str, csv: &str) {
    match parse(text, &|_| Ok(csv.to_owned())) {
        Ok(config) => assert!(config.agents.is_sorted_by(|left, right| left.dn < right.dn)),
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            assert!(mistakes.iter().all(is_complete), "{mistakes:?}");
        }
    }
}

fn is_complete(mistake: &Mistake) -> bool {
    mistake.line > 0 && !mistake.what.is_empty() && !mistake.instead.is_empty()
}

/// Bytes replaced, removed or doubled, or a line moved to another place.
fn mutated(text: &str, changes: &[(usize, u8, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for &(position, kind, byte) in changes {
        let position = position % bytes.len().max(1);
        match kind % 5 {
            0 if position < bytes.len() => bytes[position] = byte,
            1 if position < bytes.len() => drop(bytes.remove(position)),
            2 => bytes.insert(position, byte),
            3 => {
                let end = (position + usize::from(byte)).min(bytes.len());
                let part = bytes[position..end].to_vec();
                bytes.extend(part);
            }
            _ => bytes.truncate(bytes.len() - bytes.len().min(usize::from(byte))),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_answered(text in ".{0,200}", csv in ".{0,200}") {
        check(&text, &csv);
        check("[[agents]]\ncsv = \"agents.csv\"", &csv);
    }

    #[test]
    fn a_mutated_example_is_answered(
        changes in prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..8)
    ) {
        let example = embedded_default().replace("\n#", "\n").replace("\n ", "\n# ");
        check(&mutated(&example, &changes), &mutated(CSV, &changes));
        check(&mutated(embedded_default(), &changes), CSV);
    }

    #[test]
    fn any_value_of_any_key_is_answered(
        section in 0_usize..9,
        key in any::<usize>(),
        value in prop_oneof![
            Just("-1".to_owned()), Just("1e9".to_owned()), Just("nan".to_owned()),
            Just("99999999999999999999999".to_owned()), Just("0x_1".to_owned()),
            Just("1979-05-27".to_owned()), Just("{}".to_owned()), Just("[[], {}, 1]".to_owned()),
            Just("[]".to_owned()), Just("\"\"".to_owned()), Just("\"inf\"".to_owned()),
            Just("\"0-999999999999999999\"".to_owned()),
            Just("\"9999999999999999999999h\"".to_owned()),
            "\"[a-z0-9:.|%-]{0,12}\"", "[0-9.+-]{1,12}",
        ],
    ) {
        let section = crate::config::keys::SECTIONS[section];
        let key = section.keys[key % section.keys.len()];
        check(&format!("{}\n{key} = {value}\n", section.header), CSV);
    }
}
