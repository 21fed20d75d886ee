//! What a call has only now and then: a search, a request that is carried out. There are many
//! kinds of these, and a call that is held for an hour has none of them most of the time.

/// A value that is seldom there, and takes the room of a pointer while it is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Seldom<T> {
    /// Puts a value there in place of what was.
    pub(crate) fn set(&mut self, value: T) {
        self.0 = Some(Box::new(value));
    }

    /// The value, made first if there is none.
    pub(crate) fn or_default(&mut self) -> &mut T
    where
        T: Default,
    {
        self.0.get_or_insert_default()
    }

    /// Takes the value away.
    pub(crate) fn clear(&mut self) {
        self.0 = None;
    }

    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn as_ref(&self) -> Option<&T> {
        self.0.as_deref()
    }

    pub(crate) fn as_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    pub(crate) fn take(&mut self) -> Option<T> {
        self.0.take().map(|value| *value)
    }

    /// Takes the value if it is such a one.
    pub(crate) fn take_if(&mut self, is_wanted: impl FnOnce(&mut T) -> bool) -> Option<T> {
        let taken = self.0.take_if(|value| is_wanted(value));
        taken.map(|value| *value)
    }
}

impl<T> From<Option<T>> for Seldom<T> {
    fn from(value: Option<T>) -> Self {
        Self(value.map(Box::new))
    }
}
