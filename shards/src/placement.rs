//! Which core each shard runs on, and what is left for the control plane. Reads the set of cores
//! that this process may use (so a container's or `taskset`'s restriction counts) and decides
//! nothing else. `running.rs` pins the threads.

use std::fmt;
use std::io;

use crate::sys;

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Placement {
    /// One core a shard; the lowest core is left to the control plane if there is a spare one.
    #[default]
    Automatic,
    /// These cores, one a shard, in this order.
    Cores(Vec<usize>),
    /// The scheduler decides.
    NoPin,
}

/// Why a placement cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacementError {
    /// The list is no list like `1-3,5`; the byte offset of the part that is wrong.
    Syntax {
        /// Where the part begins.
        offset: usize,
    },
    /// A range runs downwards.
    Backwards {
        /// Where it begins.
        first: usize,
        /// Where it ends.
        last: usize,
    },
    /// A core is named twice.
    Twice {
        /// Which.
        core: usize,
    },
    /// This process may not run on the core, or the machine does not have it.
    NotOnline {
        /// Which.
        core: usize,
    },
    /// Fewer cores than shards.
    TooFew {
        /// Cores there are.
        cores: usize,
        /// Shards that want one each.
        shards: usize,
    },
}

impl fmt::Display for PlacementError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Syntax { offset } => write!(
                formatter,
                "not a list of cores (at character {}); write for example 1-3,5",
                offset + 1
            ),
            Self::Backwards { first, last } => write!(
                formatter,
                "the range of cores {first}-{last} runs backwards; write {last}-{first}"
            ),
            Self::Twice { core } => {
                write!(formatter, "core {core} is named twice; name each core once")
            }
            Self::NotOnline { core } => write!(
                formatter,
                "this process may not run on core {core}; `taskset -p $$` shows which it may"
            ),
            Self::TooFew { cores, shards } => write!(
                formatter,
                "{shards} shards need {shards} cores and there are {cores}; \
                 start fewer shards, name more cores, or do not pin"
            ),
        }
    }
}

impl std::error::Error for PlacementError {}

/// Where every thread goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The core of each shard; `None` where nothing is pinned.
    pub shards: Vec<Option<usize>>,
    /// The cores left to the control plane; empty where nothing is pinned.
    pub control: Vec<usize>,
}

/// Reads a list of cores such as `1-3,5`: numbers and rising ranges, separated by commas.
///
/// # Errors
/// [`PlacementError::Syntax`], [`PlacementError::Backwards`] or [`PlacementError::Twice`].
pub fn parse_cores(text: &str) -> Result<Vec<usize>, PlacementError> {
    /// Enough for every machine, and small enough that a range cannot exhaust memory.
    const CORE_MAX: usize = 4_095;
    let mut cores = Vec::new();
    let mut offset = 0;
    for part in text.split(',') {
        let number = |text: &str| {
            let digits = text.trim();
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .parse()
                .ok()
                .filter(|&core: &usize| plain && core <= CORE_MAX)
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            return Err(PlacementError::Syntax { offset });
        };
        if first > last {
            return Err(PlacementError::Backwards { first, last });
        }
        for core in first..=last {
            if cores.contains(&core) {
                return Err(PlacementError::Twice { core });
            }
            cores.push(core);
        }
        offset += part.len() + 1;
    }
    Ok(cores)
}

/// The cores that this process may run on, rising.
///
/// # Errors
/// What the kernel says.
pub fn online_cores() -> io::Result<Vec<usize>> {
    sys::online_cores()
}

/// How many shards to start when nobody says: one a core, less one for the control plane, at
/// least one.
#[must_use]
pub fn shards_default(cores_online: usize) -> u16 {
    let shards = cores_online.saturating_sub(1).max(1);
    u16::try_from(shards)
        .unwrap_or(u16::MAX)
        .min(crate::limits::SHARDS_MAX)
}

/// Gives each shard its core.
///
/// # Errors
/// [`PlacementError::Twice`], [`PlacementError::NotOnline`] or [`PlacementError::TooFew`].
pub fn plan(placement: &Placement, shards: u16, online: &[usize]) -> Result<Plan, PlacementError> {
    let shards = usize::from(shards);
    let chosen = match placement {
        Placement::NoPin => {
            return Ok(Plan {
                shards: vec![None; shards],
                control: Vec::new(),
            });
        }
        // Fewer cores than shards is a wish nobody uttered: share them instead of refusing.
        Placement::Automatic if online.len() < shards => {
            return Ok(Plan {
                shards: vec![None; shards],
                control: Vec::new(),
            });
        }
        Placement::Automatic => online[online.len() - shards..].to_vec(),
        Placement::Cores(cores) => cores.clone(),
    };
    for (index, &core) in chosen.iter().enumerate() {
        if !online.contains(&core) {
            return Err(PlacementError::NotOnline { core });
        }
        if chosen[..index].contains(&core) {
            return Err(PlacementError::Twice { core });
        }
    }
    if chosen.len() < shards {
        return Err(PlacementError::TooFew {
            cores: chosen.len(),
            shards,
        });
    }
    let taken = &chosen[..shards];
    let spare: Vec<usize> = online
        .iter()
        .copied()
        .filter(|core| !taken.contains(core))
        .collect();
    let control = if spare.is_empty() {
        online.to_vec()
    } else {
        spare
    };
    Ok(Plan {
        shards: taken.iter().copied().map(Some).collect(),
        control,
    })
}

/// Keeps the calling thread, and threads it starts later, on these cores; no cores at all means
/// "anywhere".
///
/// # Errors
/// What the kernel says.
pub fn pin_current_thread(cores: &[usize]) -> io::Result<()> {
    if cores.is_empty() {
        Ok(())
    } else {
        sys::pin_to(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_mixes_numbers_and_ranges() {
        assert_eq!(parse_cores("1-3,5"), Ok(vec![1, 2, 3, 5]));
        assert_eq!(parse_cores(" 7 , 0"), Ok(vec![7, 0]));
    }

    #[test]
    fn a_wrong_list_says_where() {
        assert_eq!(parse_cores(""), Err(PlacementError::Syntax { offset: 0 }));
        assert_eq!(
            parse_cores("1,x"),
            Err(PlacementError::Syntax { offset: 2 })
        );
        assert_eq!(
            parse_cores("1,-2"),
            Err(PlacementError::Syntax { offset: 2 })
        );
        assert_eq!(
            parse_cores("1,+2"),
            Err(PlacementError::Syntax { offset: 2 })
        );
        assert_eq!(
            parse_cores("0-99999999"),
            Err(PlacementError::Syntax { offset: 0 })
        );
        assert_eq!(
            parse_cores("3-1"),
            Err(PlacementError::Backwards { first: 3, last: 1 })
        );
        assert_eq!(parse_cores("1-3,2"), Err(PlacementError::Twice { core: 2 }));
    }

    #[test]
    fn the_lowest_core_is_spared_for_the_control_plane() {
        let plan = plan(&Placement::Automatic, 3, &[0, 1, 2, 3]).unwrap();
        assert_eq!(plan.shards, [Some(1), Some(2), Some(3)]);
        assert_eq!(plan.control, [0]);
    }

    #[test]
    fn without_a_spare_core_the_control_plane_may_run_anywhere() {
        let plan = plan(&Placement::Cores(vec![1, 0]), 2, &[0, 1]).unwrap();
        assert_eq!(plan.shards, [Some(1), Some(0)]);
        assert_eq!(plan.control, [0, 1]);
    }

    #[test]
    fn more_shards_than_cores_are_left_to_the_scheduler_unless_cores_were_named() {
        let automatic = plan(&Placement::Automatic, 3, &[0, 1]).unwrap();
        assert_eq!(automatic.shards, [None, None, None]);
        assert_eq!(
            plan(&Placement::Cores(vec![0, 1]), 3, &[0, 1]),
            Err(PlacementError::TooFew {
                cores: 2,
                shards: 3
            })
        );
    }

    #[test]
    fn a_core_that_is_not_there_is_named() {
        assert_eq!(
            plan(&Placement::Cores(vec![9]), 1, &[0, 1]),
            Err(PlacementError::NotOnline { core: 9 })
        );
    }

    #[test]
    fn one_core_still_gets_a_shard() {
        assert_eq!(shards_default(1), 1);
        assert_eq!(shards_default(8), 7);
    }

    #[test]
    fn the_kernel_names_at_least_one_core() {
        assert!(!online_cores().unwrap().is_empty());
    }
}
