//! How much memory the process has: the shards are told once a second where the operator has set a
//! limit, and the metrics page says it.

use offhook_shards::{Control, Engine, ShardId};
use tokio::time::sleep;

use crate::engine::Input;
use crate::limits::{MEMORY_CALLS_MIN, MEMORY_LOOK_INTERVAL};

/// Who looks at the memory.
pub(super) struct Weigher<E: Engine> {
    /// The way to the shards.
    pub(super) control: Control<E>,
    /// What the operator allows, in bytes; without it nobody has to know.
    pub(super) max: Option<u64>,
}

impl<E: Engine<Request = Input>> Weigher<E> {
    /// Tells every shard, and the log when the limit is crossed.
    pub(super) async fn run(self) {
        let Some(max) = self.max else {
            return;
        };
        let mut was_short = false;
        loop {
            let Some(resident) = resident() else {
                tracing::error!("/proc/self/status cannot be read; memory_max is of no effect");
                return;
            };
            let is_short = resident > max;
            if is_short && !was_short {
                tracing::warn!(
                    resident,
                    max,
                    "the memory is used up: each shard has no more calls than it has now, and \
                     fewer while the process grows, but always takes one while it has fewer than \
                     {MEMORY_CALLS_MIN}"
                );
            } else if was_short && !is_short {
                tracing::info!(resident, max, "there is memory again; new calls are taken");
            }
            was_short = is_short;
            for shard in (0..self.control.shards()).map(ShardId) {
                // A shard whose queue is full refuses calls for that, and is told the next time.
                let _ = self.control.request(shard, Input::Resident(resident));
            }
            sleep(MEMORY_LOOK_INTERVAL).await;
        }
    }
}

/// Bytes of memory that the process has resident, as the kernel says.
pub(super) fn resident() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_is_resident() {
        let status = "Name:\toffhook\nVmHWM:\t   99999 kB\nVmRSS:\t   12345 kB\nThreads:\t4\n";
        assert_eq!(resident_in(status), Some(12_345 * 1_024));
        for broken in ["", "VmRSS:\t12 MB\n", "VmRSS:\t kB\n", "VmSize:\t12 kB\n"] {
            assert_eq!(resident_in(broken), None, "{broken:?}");
        }
        assert!(resident().is_some_and(|bytes| bytes > 100_000));
    }
}
