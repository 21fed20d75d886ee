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

/// A list that mostly is empty, and takes the room of a pointer then. What has been taken out of
/// it leaves no room behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rarely<T>(Option<Box<Few<T>>>);

impl<T> Default for Rarely<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Rarely<T> {
    /// Adds an item at the end.
    pub(crate) fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    /// Adds an item at the beginning.
    pub(crate) fn push_front(&mut self, item: T) {
        self.push(item);
        if let Some(few) = &mut self.0 {
            few.rotate_right(1);
        }
    }

    /// Takes all items out.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    /// Keeps the items that are wanted.
    pub(crate) fn retain(&mut self, is_wanted: impl FnMut(&mut T) -> bool) {
        if let Some(few) = &mut self.0 {
            few.retain(is_wanted);
        }
        self.0.take_if(|few| few.is_empty());
    }
}

impl<T> std::ops::Deref for Rarely<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |few| few)
    }
}

impl<T> IntoIterator for Rarely<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map_or_else(Few::default, |few| *few).into_iter()
    }
}

impl<T> FromIterator<T> for Rarely<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let few: Few<T> = items.into_iter().collect();
        Self((!few.is_empty()).then(|| Box::new(few)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_empty_has_no_room() {
        let mut list: Rarely<i32> = [1, 2].into_iter().collect();
        list.push_front(0);
        assert_eq!(*list, [0, 1, 2]);
        list.retain(|item| *item == 1);
        assert_eq!((&*list, list.0.is_some()), (&[1][..], true));
        list.retain(|_| false);
        assert_eq!((list.len(), list.0.is_none()), (0, true));
        assert_eq!(size_of::<Rarely<i32>>(), size_of::<usize>());
    }

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
