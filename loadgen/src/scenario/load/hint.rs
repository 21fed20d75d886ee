//! What somebody may have meant who wrote a word that nobody knows.

/// Elements of a scenario.
pub(super) const ELEMENTS: &[&str] = &[
    "send",
    "recv",
    "pause",
    "nop",
    "timewait",
    "sendCmd",
    "recvCmd",
    "label",
    "init",
    "Global",
    "User",
    "Reference",
    "ResponseTimeRepartition",
    "CallLengthRepartition",
    "DefaultMessage",
];

/// Actions.
pub(super) const ACTIONS: &[&str] = &[
    "ereg",
    "log",
    "warning",
    "error",
    "assign",
    "assignstr",
    "add",
    "subtract",
    "multiply",
    "divide",
    "todouble",
    "trim",
    "urlencode",
    "urldecode",
    "test",
    "strcmp",
    "sample",
    "gettimeofday",
    "index",
    "jump",
    "pauserestore",
    "closecon",
    "exec",
    "rtp_echo",
    "verifyauth",
    "lookup",
    "insert",
    "replace",
    "setdest",
];

/// Ends a sentence about a word: with the known one that it looks like, or with all of them.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    /// Letters that may be wrong.
    const FAULTS_MAX: usize = 2;
    let nearest = known.iter().min_by_key(|known| distance(word, known));
    match nearest.filter(|known| distance(word, known) <= FAULTS_MAX) {
        Some(known) => format!("; did you mean <{known}>?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

/// How many letters have to be changed, added, left out, or exchanged with the next one.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (lower(left), lower(right));
    let width = right.len() + 1;
    let mut rows = vec![0; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..width {
            let at = |row: usize, column: usize| row * width + column;
            rows[at(row, column)] = if row == 0 || column == 0 {
                row + column
            } else {
                let differs = usize::from(left[row - 1] != right[column - 1]);
                let mut least = (rows[at(row - 1, column)] + 1)
                    .min(rows[at(row, column - 1)] + 1)
                    .min(rows[at(row - 1, column - 1)] + differs);
                let is_exchanged = row > 1
                    && column > 1
                    && left[row - 1] == right[column - 2]
                    && left[row - 2] == right[column - 1];
                if is_exchanged {
                    least = least.min(rows[at(row - 2, column - 2)] + 1);
                }
                least
            };
        }
    }
    rows[rows.len() - 1]
}

fn lower(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_word() {
        assert_eq!(hint("sned", ELEMENTS), "; did you mean <send>?");
        assert_eq!(hint("RECV", ELEMENTS), "; did you mean <recv>?");
        assert_eq!(hint("assignString", ACTIONS), hint("", ACTIONS));
        assert!(hint("ipsec_setup", ELEMENTS).starts_with("; there are send, recv, pause"));
        assert_eq!(distance("", "abc"), 3);
    }
}
