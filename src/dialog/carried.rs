//! Headers that go through us untouched.

use std::sync::Arc;

use crate::journal::field::{Field, Reader, write_count, write_text};

/// Headers of the INVITE that brought a call, as they came, for those that it leads to: each a name
/// and a value, without control characters. They live as long as the call, so that all of them are
/// one text, and cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Carried(Arc<str>);

/// Ends each name and each value, none of which has it.
const END: char = '\n';

impl Carried {
    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut texts = self.0.split_terminator(END);
        std::iter::from_fn(move || Some((texts.next()?, texts.next()?)))
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Carried {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        let mut all = String::new();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            all.reserve_exact(name.len() + value.len() + 2);
            for text in [name, value] {
                let visible = |character: char| match character.is_ascii_control() {
                    true => ' ',
                    false => character,
                };
                all.extend(text.chars().map(visible));
                all.push(END);
            }
        }
        Self(all.into())
    }
}

impl Field for Carried {
    fn write(&self, out: &mut Vec<u8>) {
        // As a list of pairs of texts is.
        write_count(self.iter().count(), out);
        for (name, value) in self.iter() {
            write_text(name, out);
            write_text(value, out);
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let headers = Vec::<(String, String)>::read(from)?;
        Some(headers.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_what_goes() {
        let headers = [("Cisco-Guid", "1-2"), ("Diversion", ""), ("X:Y", "ü\r\nz")];
        let carried: Carried = headers.into_iter().collect();
        let read: Vec<_> = carried.iter().collect();
        assert_eq!(
            read,
            [("Cisco-Guid", "1-2"), ("Diversion", ""), ("X:Y", "ü  z")]
        );
        assert_eq!(Carried::default().iter().count(), 0);
    }
}
