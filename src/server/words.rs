//! Words for people, in log lines and at a terminal. Metrics and JSON have numbers.

/// A number with its noun: `1 call`, `2 calls`, `0 calls`. The noun's plural ends in s.
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let all = [0, 1, 2].map(|count| counted(count, "routing point"));
        assert_eq!(
            all,
            ["0 routing points", "1 routing point", "2 routing points"]
        );
    }
}
