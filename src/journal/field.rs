//! How values become bytes and come back: little-endian numbers, lengths before what is long, one
//! byte for a choice. There are no names and no types in the bytes; the version in the head of the
//! file stands for all of them. Reading trusts nothing, although the checksum was right.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;

/// A value that can be written and read back.
pub(crate) trait Field: Sized {
    /// Appends it.
    fn write(&self, out: &mut Vec<u8>);

    /// Takes it; `None` where the bytes are none of its kind.
    fn read(from: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes that are being read.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether everything was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A count of things of which each takes a byte at least.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(u32::read(self)?).ok()?;
        (count <= self.0.len()).then_some(count)
    }
}

/// A whole value out of `bytes`; `None` where it is not all of them.
pub(crate) fn read<T: Field>(bytes: &[u8]) -> Option<T> {
    let mut reader = Reader::new(bytes);
    T::read(&mut reader).filter(|_| reader.is_empty())
}

pub(crate) fn write_count(count: usize, out: &mut Vec<u8>) {
    let count = u32::try_from(count).expect("what a call holds fits in 32 bits");
    count.write(out);
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn read(from: &mut Reader<'_>) -> Option<Self> {
                let bytes = from.take(size_of::<Self>())?;
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, u128, i64);

impl Field for NonZeroU32 {
    fn write(&self, out: &mut Vec<u8>) {
        self.get().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        u32::read(from).and_then(Self::new)
    }
}

/// A struct is its fields in the order in which they are named. What it forgets is as new when it
/// is read.
macro_rules! fields {
    ($name:ty { $($field:tt),* $(,)? } $(forgets { $($gone:ident),* $(,)? })?) => {
        impl $crate::journal::field::Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                $($crate::journal::field::Field::write(&self.$field, out);)*
            }

            fn read(from: &mut $crate::journal::field::Reader<'_>) -> Option<Self> {
                Some(Self {
                    $($field: $crate::journal::field::Field::read(from)?,)*
                    $($($gone: Default::default(),)*)?
                })
            }
        }
    };
}

/// A choice without anything in it is one byte.
macro_rules! choices {
    ($name:ty { $($variant:ident = $byte:literal),* $(,)? }) => {
        impl $crate::journal::field::Field for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $byte),* });
            }

            fn read(from: &mut $crate::journal::field::Reader<'_>) -> Option<Self> {
                match <u8 as $crate::journal::field::Field>::read(from)? {
                    $($byte => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use {choices, fields};

impl Field for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        match u8::read(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Field for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count()?;
        from.take(count).map(Self::copy_from_slice)
    }
}

impl Field for Arc<[u8]> {
    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count()?;
        from.take(count).map(Self::from)
    }
}

/// Writes bytes down as [`Bytes`] are.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Writes a text down as a [`String`] is.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_bytes(text.as_bytes(), out);
}

impl Field for String {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count()?;
        Self::from_utf8(from.take(count)?.to_vec()).ok()
    }
}

impl Field for CompactString {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count()?;
        Self::from_utf8(from.take(count)?).ok()
    }
}

impl Field for Cow<'static, str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        String::read(from).map(Self::Owned)
    }
}

impl Field for Box<str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        String::read(from).map(Self::from)
    }
}

impl<T: Field> Field for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        T::read(from).map(Self::new)
    }
}

impl<T: Field> Field for Box<[T]> {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        for value in self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Vec::read(from).map(Self::from)
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        if bool::read(from)? {
            T::read(from).map(Some)
        } else {
            Some(None)
        }
    }
}

impl<T: Field> Field for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        write_count(self.len(), out);
        for value in self {
            value.write(out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let count = from.count()?;
        (0..count).map(|_| T::read(from)).collect()
    }
}

impl<A: Field, B: Field> Field for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

impl Field for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_secs().write(out);
        self.subsec_nanos().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let (seconds, nanoseconds) = (u64::read(from)?, u32::read(from)?);
        (nanoseconds < 1_000_000_000).then(|| Self::new(seconds, nanoseconds))
    }
}

impl Field for SocketAddr {
    fn write(&self, out: &mut Vec<u8>) {
        self.to_string().write(out);
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        String::read(from)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round<T: Field>(value: &T) -> Option<T> {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        read(&bytes)
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_were(
            number: u64,
            text: String,
            list: Vec<(u16, Option<String>)>,
            bytes: Vec<u8>,
            duration: Duration,
            address: SocketAddr,
        ) {
            // A scope is an interface of this machine, which means nothing after a restart.
            let address = SocketAddr::new(address.ip(), address.port());
            let bytes = Bytes::from(bytes);
            prop_assert_eq!(round(&number), Some(number));
            prop_assert_eq!(round(&duration), Some(duration));
            prop_assert_eq!(round(&address), Some(address));
            prop_assert!(round(&text).is_some_and(|it| it == text));
            prop_assert!(round(&list).is_some_and(|it| it == list));
            prop_assert!(round(&bytes).is_some_and(|it| it == bytes));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read::<Vec<(Option<String>, Duration)>>(&bytes);
            let _ = read::<(Bytes, bool)>(&bytes);
            let _ = read::<SocketAddr>(&bytes);
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_takes_no_memory() {
        let bytes = u32::MAX.to_le_bytes();
        assert_eq!(read::<Vec<u8>>(&bytes), None);
        assert_eq!(read::<String>(&bytes), None);
    }
}
