//! Short lists that live as long as a call or an agent. A `Vec` makes room for four at its first
//! item and keeps it; a held call would pay for that in every one of its lists.

/// A list that has room for as many as were in it at a time, and for no more. It keeps that room,
/// because what comes and goes would allocate each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Few<T> {
    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) {
        self.0.reserve_exact(1);
        self.0.push(item);
    }

    /// Takes all items out.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes an item out; those behind it move up.
    pub(crate) fn remove(&mut self, index: usize) -> T {
        self.0.remove(index)
    }

    /// Keeps the items that are wanted.
    pub(crate) fn retain(&mut self, is_wanted: impl FnMut(&mut T) -> bool) {
        self.0.retain_mut(is_wanted);
    }
}

impl<T> std::ops::Deref for Few<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Few<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut few = Self::default();
        items.into_iter().for_each(|item| few.push(item));
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_what_is_there() {
        let mut few: Few<i32> = [1, 2, 3].into_iter().collect();
        assert_eq!((&*few, few.0.capacity()), (&[1, 2, 3][..], 3));
        assert_eq!(few.remove(1), 2);
        few.retain(|item| *item > 5);
        assert_eq!((few.len(), few.0.capacity()), (0, 3));
        few.push(4);
        assert_eq!((&*few, few.0.capacity()), (&[4][..], 3));
    }
}
