//! An ordered set that knows each member's place. The standard library's sets know the order but
//! not the place; callers want to hear theirs. A treap: a search tree by key that is at the same
//! time a heap by a number drawn for each member, which keeps it flat whatever the order of
//! arrivals. Every operation is O(log n) expected.

/// No node.
const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Node<T> {
    key: T,
    weight: u64,
    left: u32,
    right: u32,
    /// Members in the subtree, this one included.
    size: u32,
}

/// An ordered set that knows each member's place.
#[derive(Debug)]
pub(super) struct Ranked<T> {
    nodes: Vec<Node<T>>,
    unused: Vec<u32>,
    root: u32,
    /// Where the weights come from: the same order of calls gives the same tree.
    drawn: u64,
}

impl<T> Default for Ranked<T> {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            unused: Vec::new(),
            root: NONE,
            drawn: 0,
        }
    }
}

impl<T: Ord + Copy> Ranked<T> {
    pub(super) fn len(&self) -> usize {
        self.size(self.root) as usize
    }

    /// Adds a key, which must not be there.
    pub(super) fn insert(&mut self, key: T) {
        let weight = self.draw();
        let node = Node {
            key,
            weight,
            left: NONE,
            right: NONE,
            size: 1,
        };
        let position = match self.unused.pop() {
            Some(position) => {
                self.nodes[position as usize] = node;
                position
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).expect("a queue's limits fit in 32 bits")
            }
        };
        let (below, above) = self.split(self.root, key);
        let below = self.merge(below, position);
        self.root = self.merge(below, above);
    }

    /// Takes a key out; `false` if it is not there.
    pub(super) fn remove(&mut self, key: T) -> bool {
        let (mut parent, mut position) = (NONE, self.root);
        while position != NONE && self.node(position).key != key {
            parent = position;
            let node = self.node(position);
            position = if key < node.key {
                node.left
            } else {
                node.right
            };
        }
        if position == NONE {
            return false;
        }
        self.shrink_path(key);
        let Node { left, right, .. } = *self.node(position);
        let joined = self.merge(left, right);
        if parent == NONE {
            self.root = joined;
        } else if self.node(parent).left == position {
            self.nodes[parent as usize].left = joined;
        } else {
            self.nodes[parent as usize].right = joined;
        }
        self.unused.push(position);
        true
    }

    /// How many members come before a key.
    pub(super) fn place(&self, key: T) -> usize {
        let (mut position, mut before) = (self.root, 0);
        while position != NONE {
            let node = self.node(position);
            if node.key < key {
                before += self.size(node.left) + 1;
                position = node.right;
            } else {
                position = node.left;
            }
        }
        before as usize
    }

    /// Every member in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        let mut path = Vec::new();
        let mut next = self.root;
        std::iter::from_fn(move || {
            while next != NONE {
                path.push(next);
                next = self.node(next).left;
            }
            let node = self.node(path.pop()?);
            next = node.right;
            Some(node.key)
        })
    }

    /// Counts a member out on its path from the root.
    fn shrink_path(&mut self, key: T) {
        let mut position = self.root;
        loop {
            let node = &mut self.nodes[position as usize];
            node.size -= 1;
            if node.key == key {
                return;
            }
            position = if key < node.key {
                node.left
            } else {
                node.right
            };
        }
    }

    /// Those below a key and the others.
    fn split(&mut self, position: u32, key: T) -> (u32, u32) {
        if position == NONE {
            return (NONE, NONE);
        }
        let node = *self.node(position);
        if node.key < key {
            let (below, above) = self.split(node.right, key);
            self.nodes[position as usize].right = below;
            self.recount(position);
            (position, above)
        } else {
            let (below, above) = self.split(node.left, key);
            self.nodes[position as usize].left = above;
            self.recount(position);
            (below, position)
        }
    }

    /// One tree of two, all of whose keys are in order.
    fn merge(&mut self, left: u32, right: u32) -> u32 {
        if left == NONE || right == NONE {
            return left.min(right);
        }
        if self.node(left).weight > self.node(right).weight {
            let inner = self.node(left).right;
            self.nodes[left as usize].right = self.merge(inner, right);
            self.recount(left);
            left
        } else {
            let inner = self.node(right).left;
            self.nodes[right as usize].left = self.merge(left, inner);
            self.recount(right);
            right
        }
    }

    fn recount(&mut self, position: u32) {
        let Node { left, right, .. } = *self.node(position);
        self.nodes[position as usize].size = self.size(left) + self.size(right) + 1;
    }

    fn size(&self, position: u32) -> u32 {
        if position == NONE {
            return 0;
        }
        self.node(position).size
    }

    fn node(&self, position: u32) -> &Node<T> {
        &self.nodes[position as usize]
    }

    /// The next weight: splitmix64 of a counter.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.drawn;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
