//! What a journal comes to: for each thing the last that was written about it.

use std::collections::BTreeMap;
use std::collections::btree_map;

use bytes::Bytes;

use super::field::{Field, Reader};

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A conversation, by the ConnID that it had when it was first written down.
    Call(u64),
    /// An agent, by the DN.
    Agent(String),
    /// A leg that was hung up and whose far end has not said so yet, by its tag.
    Leaving(u64),
    /// The subscription to the presence of a DN.
    Subscription(String),
}

impl Field for Key {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Call(conn_id) => {
                out.push(1);
                conn_id.write(out);
            }
            Self::Agent(dn) => {
                out.push(2);
                dn.write(out);
            }
            Self::Leaving(tag) => {
                out.push(3);
                tag.write(out);
            }
            Self::Subscription(dn) => {
                out.push(4);
                dn.write(out);
            }
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            1 => u64::read(from).map(Self::Call),
            2 => String::read(from).map(Self::Agent),
            3 => u64::read(from).map(Self::Leaving),
            4 => String::read(from).map(Self::Subscription),
            _ => None,
        }
    }
}

/// One thing, as it stands from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub key: Key,
    /// How it stands; `None` when it is over.
    pub value: Option<Bytes>,
}

super::field::fields!(Record { key, value });

/// What a journal comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    values: BTreeMap<Key, Bytes>,
}

impl Image {
    /// Takes a record in.
    pub fn apply(&mut self, record: Record) {
        match record.value {
            Some(value) => self.values.insert(record.key, value),
            None => self.values.remove(&record.key),
        };
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many things are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Everything that is known, calls first, agents before their subscriptions.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, Bytes> {
        self.values.iter()
    }

    /// Forgets what is not to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&Key, &Bytes) -> bool) {
        self.values.retain(|key, value| keep(key, value));
    }

    /// The records that make an image like this one.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.values.iter().map(|(key, value)| Record {
            key: key.clone(),
            value: Some(value.clone()),
        })
    }
}

impl<'a> IntoIterator for &'a Image {
    type Item = (&'a Key, &'a Bytes);
    type IntoIter = btree_map::Iter<'a, Key, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
