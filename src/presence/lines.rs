//! Which subscriptions stand at which peer and wait for their refresh, those that were asked about
//! longest ago first. The order is that in which they come here; each takes and leaves its place in
//! the same few steps, however many there are.

use std::collections::BTreeMap;

use crate::config::TrunkIndex;

/// A node of a trunk.
pub(super) type Peer = (TrunkIndex, u8);

/// "Nobody": ends a line.
const NONE: u32 = u32::MAX;

/// A line at each peer. A watcher stands in one of them at most.
#[derive(Debug)]
pub(super) struct Lines {
    lines: BTreeMap<Peer, Line>,
    /// By watcher.
    neighbours: Box<[Neighbours]>,
}

#[derive(Debug)]
struct Line {
    first: u32,
    last: u32,
}

/// Whom a watcher stands between.
#[derive(Debug, Clone, Copy)]
struct Neighbours {
    before: u32,
    after: u32,
}

impl Lines {
    /// Nobody of so many watchers stands anywhere.
    pub(super) fn new(watchers: usize) -> Self {
        let alone = Neighbours {
            before: NONE,
            after: NONE,
        };
        Self {
            lines: BTreeMap::new(),
            neighbours: vec![alone; watchers].into(),
        }
    }

    /// Puts a watcher, who stands nowhere, at the end of the line.
    pub(super) fn join(&mut self, peer: Peer, watcher: u32) {
        let line = self.lines.entry(peer).or_insert(Line {
            first: NONE,
            last: NONE,
        });
        let before = std::mem::replace(&mut line.last, watcher);
        match before {
            NONE => line.first = watcher,
            before => self.neighbours[before as usize].after = watcher,
        }
        self.neighbours[watcher as usize] = Neighbours {
            before,
            after: NONE,
        };
    }

    /// Takes a watcher out of the line in which it stands.
    pub(super) fn leave(&mut self, peer: Peer, watcher: u32) {
        let Some(line) = self.lines.get_mut(&peer) else {
            return;
        };
        let Neighbours { before, after } = self.neighbours[watcher as usize];
        match before {
            NONE => line.first = after,
            before => self.neighbours[before as usize].after = after,
        }
        match after {
            NONE => line.last = before,
            after => self.neighbours[after as usize].before = before,
        }
    }

    /// The line at a peer, from its beginning.
    pub(super) fn at(&self, peer: Peer) -> impl Iterator<Item = u32> {
        let some = |watcher: u32| (watcher != NONE).then_some(watcher);
        let first = self.lines.get(&peer).and_then(|line| some(line.first));
        std::iter::successors(first, move |watcher| {
            some(self.neighbours[*watcher as usize].after)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEERS: [Peer; 2] = [(TrunkIndex(0), 0), (TrunkIndex(0), 1)];

    fn shown(lines: &Lines) -> [Vec<u32>; 2] {
        PEERS.map(|peer| lines.at(peer).collect())
    }

    #[test]
    fn each_stands_where_it_came_to_until_it_leaves() {
        let mut lines = Lines::new(5);
        assert!(shown(&lines).iter().all(Vec::is_empty));
        for (peer, watcher) in [(0, 3), (1, 4), (0, 0), (0, 2), (1, 1)] {
            lines.join(PEERS[peer], watcher);
        }
        assert_eq!(shown(&lines), [vec![3, 0, 2], vec![4, 1]]);
        // From the middle, the end and the beginning.
        lines.leave(PEERS[0], 0);
        lines.leave(PEERS[1], 1);
        lines.leave(PEERS[0], 3);
        assert_eq!(shown(&lines), [vec![2], vec![4]]);
        lines.join(PEERS[0], 3);
        lines.leave(PEERS[1], 4);
        lines.join(PEERS[1], 0);
        assert_eq!(shown(&lines), [vec![2, 3], vec![0]]);
    }
}
