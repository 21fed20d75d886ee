//! What programs have used, their own processes included, as the kernel counts it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// A process and all that descend from it, itself first; none if it has ended.
#[must_use]
pub(super) fn family(process: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut lives = false;
    for (number, parent) in processes() {
        lives |= number == process;
        children.entry(parent).or_default().push(number);
    }
    let mut found = if lives { vec![process] } else { Vec::new() };
    let mut next = 0;
    while let Some(member) = found.get(next) {
        found.extend(children.remove(member).unwrap_or_default());
        next += 1;
    }
    found
}

/// Processor time of a program: of all threads that live, of all its processes.
///
/// # Errors
/// That it has ended, or that this kernel does not tell.
pub fn processor(process: u32) -> Result<Duration, String> {
    let mut nanos = 0;
    let mut is_told = false;
    for member in family(process) {
        let threads = fs::read_dir(format!("/proc/{member}/task"));
        // What ends between two looks is passed over.
        for thread in threads.into_iter().flatten().flatten() {
            let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
            if let Some(used) = first_number(&text) {
                nanos += used;
                is_told = true;
            }
        }
    }
    if !is_told {
        return Err(format!(
            "the kernel does not tell what process {process} has used \
             (/proc/{process}/task/*/schedstat)"
        ));
    }
    Ok(Duration::from_nanos(nanos))
}

/// Memory of a program: what its processes share counts once (the proportional set size).
///
/// # Errors
/// That it has ended, or that this kernel does not tell.
pub fn memory_bytes(process: u32) -> Result<u64, String> {
    let mut found = None;
    for member in family(process) {
        let path = format!("/proc/{member}/smaps_rollup");
        let text = fs::read_to_string(path).unwrap_or_default();
        let proportional = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        // The kernel says it in KiB.
        let kilobytes = proportional.and_then(first_number);
        found = kilobytes.map(|more| found.unwrap_or(0) + more).or(found);
    }
    let told = found.map(|kilobytes| kilobytes << 10);
    told.ok_or_else(|| {
        format!(
            "the kernel does not tell how much memory process {process} has \
             (/proc/{process}/smaps_rollup)"
        )
    })
}

/// Every process of this machine and whose child it is.
fn processes() -> impl Iterator<Item = (u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((number, parent(&stat)?))
    })
}

/// The fourth field of `/proc/PID/stat`; the second is a name in brackets, and may hold any sign.
/// A process that has ended and is not yet waited for is none.
fn parent(stat: &str) -> Option<u32> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut words = behind.split_ascii_whitespace();
    let state = words.next()?;
    if state == "Z" {
        return None;
    }
    words.next()?.parse().ok()
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn names_of_processes_may_hold_brackets() {
        assert_eq!(parent("17 (a) b (c)) S 4 17 17 0 -1"), Some(4));
        assert_eq!(parent("17 (gone) Z 4 17 17 0 -1"), None);
        assert_eq!(parent("17 (half"), None);
    }

    #[test]
    fn this_very_process_has_used_its_core_and_memory() {
        let own = std::process::id();
        let before = processor(own).expect("Linux tells");
        let mut sum = 0_u64;
        // The kernel brings its count up to date at its own ticks.
        while processor(own).expect("Linux tells") < before + Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(memory_bytes(own).expect("Linux tells") > 1 << 16);
    }

    #[test]
    fn children_count_with_those_who_started_them() {
        let mut child = Command::new("sleep")
            .arg("1000")
            .stdin(Stdio::null())
            .spawn()
            .expect("every system has it");
        assert!(family(std::process::id()).contains(&child.id()));
        assert_eq!(family(child.id()), [child.id()]);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(family(child.id()).is_empty());
        assert!(processor(child.id()).is_err());
        assert!(memory_bytes(child.id()).is_err());
    }
}
