//! Key-value lists: user data, reasons and extensions.

use std::borrow::Cow;

/// An ordered list of keys and values; a key may occur once. Texts of ours are not copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyValueList(Vec<(Cow<'static, str>, Value)>);

/// A value of a key-value list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(Cow<'static, str>),
    /// An integer.
    Integer(i64),
    /// A list inside the list.
    List(KeyValueList),
}

impl KeyValueList {
    /// The empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value of `key`.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }

    /// Sets `key`, replacing what it had in its place.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: Value) {
        let key = key.into();
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Sets `key` to a string.
    #[must_use]
    pub fn with_text(
        mut self,
        key: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.set(key, Value::Text(text.into()));
        self
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(index).1)
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    /// The bytes that keys and values take, lists inside included: what the size limit counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.iter()
            .map(|(key, value)| key.len() + value.bytes())
            .sum()
    }
}

impl Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) => 8,
            Self::List(list) => list.bytes(),
        }
    }
}
