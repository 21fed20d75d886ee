//! Where a run took place, as far as its figures depend on it. Names of hosts and users are left
//! out: results are passed on.

use serde::{Deserialize, Serialize};

/// The machine and its settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The version of this program.
    pub program_version: String,
    /// The kernel's version.
    pub kernel: String,
    /// The kind of processor.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory of the machine.
    pub memory_bytes: u64,
    /// `net.core.rmem_max`: the largest receive buffer.
    pub receive_buffer_max_bytes: u64,
    /// `net.core.wmem_max`: the largest send buffer.
    pub send_buffer_max_bytes: u64,
}

impl Environment {
    /// Reads it; what cannot be read stays empty.
    #[must_use]
    pub fn read() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let number = |path: &str| file(path).trim().parse().unwrap_or(0);
        let memory = file("/proc/meminfo");
        let kilobytes: u64 = memory
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok())
            .unwrap_or(0);
        let processor = file("/proc/cpuinfo");
        let processor = processor
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split_once(':'))
            .map(|(_, name)| name.trim().to_owned());
        Self {
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: processor.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: offhook_shards::placement::online_cores().map_or(0, |cores| cores.len()),
            memory_bytes: kilobytes * 1_024,
            receive_buffer_max_bytes: number("/proc/sys/net/core/rmem_max"),
            send_buffer_max_bytes: number("/proc/sys/net/core/wmem_max"),
        }
    }

    /// One line of it.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{}, {} cores, {:.1} GiB, kernel {}, offhook-load {}",
            self.processor,
            self.cores,
            self.memory_bytes as f64 / (1_u64 << 30) as f64,
            self.kernel,
            self.program_version
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_cores_and_memory() {
        let here = Environment::read();
        assert!(here.cores > 0 && here.memory_bytes > 0 && !here.kernel.is_empty());
        assert!(here.line().contains("cores"));
    }
}
