//! A journal's file: a head that names the form, then records, each with its length and a checksum
//! before it. Whatever a crash or a bad disk leaves at the end is found and cut; nothing that was
//! whole before it is lost.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::field::{self, Field};
use super::image::{Image, Record};

/// The head of a file. Its last byte is the form of what follows: another one is another journal.
pub const HEAD: [u8; 8] = *b"offhook\x02";

/// Length and checksum.
const FRAME_HEAD: usize = 4 + 8;

/// Appends a record.
pub fn append(out: &mut Vec<u8>, record: &Record) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEAD]);
    record.write(out);
    let body = start + FRAME_HEAD;
    let length = u32::try_from(out.len() - body).expect("what a call holds fits in 32 bits");
    let check = checksum(&out[body..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&check.to_le_bytes());
}

/// What was read of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What its whole records come to.
    pub image: Image,
    /// Where it was cut, if it was.
    pub cut: Option<Cut>,
}

/// A file that does not end with a whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// How many bytes before it are good.
    pub at: usize,
    /// What is wrong with what follows.
    pub why: Why,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is no journal, or one of another version.
    Head,
    /// The last record is not whole.
    Torn,
    /// A record is not what was written.
    Checksum,
    /// A record is whole, and none of ours.
    Unknown,
}

impl Why {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Head => "it is no journal of this version",
            Self::Torn => "its last record is not whole",
            Self::Checksum => "a record fails its checksum",
            Self::Unknown => "a record cannot be understood",
        }
    }
}

/// Reads a file on top of what is known already.
#[must_use]
pub fn read(mut image: Image, bytes: &[u8]) -> Reading {
    let mut at = HEAD.len();
    let mut why = (bytes.get(..at) != Some(&HEAD[..])).then_some(Why::Head);
    if why == Some(Why::Head) {
        at = 0;
        // A server that died before the head was written has lost nothing.
        if HEAD.starts_with(bytes) {
            why = (!bytes.is_empty()).then_some(Why::Torn);
        }
    } else {
        while at < bytes.len() {
            match record(&bytes[at..]) {
                Ok((record, length)) => {
                    image.apply(record);
                    at += length;
                }
                Err(wrong) => {
                    why = Some(wrong);
                    break;
                }
            }
        }
    }
    let cut = why.map(|why| Cut { at, why });
    Reading { image, cut }
}

fn record(bytes: &[u8]) -> Result<(Record, usize), Why> {
    let (head, rest) = bytes.split_at_checked(FRAME_HEAD).ok_or(Why::Torn)?;
    let mut head = field::Reader::new(head);
    let (length, check) = <(u32, u64)>::read(&mut head).ok_or(Why::Torn)?;
    let length = usize::try_from(length).map_err(|_| Why::Torn)?;
    let body = rest.get(..length).ok_or(Why::Torn)?;
    if checksum(body) != check {
        return Err(Why::Checksum);
    }
    let record = field::read(body).ok_or(Why::Unknown)?;
    Ok((record, FRAME_HEAD + length))
}

/// What a test pins of the form of a value: another form needs another last byte of the head, lest
/// the next process reads what this one meant otherwise.
#[cfg(test)]
pub(crate) fn pin(bytes: &[u8]) -> (u8, usize, u64) {
    (HEAD[7], bytes.len(), checksum(bytes))
}

/// It is to find accidents, not attacks: whoever can write the file can do anything.
fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::image::Key;
    use super::*;

    fn file(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = HEAD.to_vec();
        let mut ends = vec![bytes.len()];
        for record in records {
            append(&mut bytes, record);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn image(records: &[Record]) -> Image {
        let mut image = Image::default();
        for record in records {
            image.apply(record.clone());
        }
        image
    }

    fn some_record() -> impl Strategy<Value = Record> {
        let key = prop_oneof![
            (0..4_u64).prop_map(Key::Call),
            "[0-9]{0,3}".prop_map(Key::Agent),
            "[0-9]{0,3}".prop_map(Key::Subscription),
        ];
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
        (key, value).prop_map(|(key, value)| Record {
            key,
            value: value.map(Bytes::from),
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(records in prop::collection::vec(some_record(), 0..12)) {
            let (bytes, _) = file(&records);
            let reading = read(Image::default(), &bytes);
            prop_assert_eq!(reading.cut, None);
            prop_assert_eq!(&reading.image, &image(&records));
            let again: Vec<Record> = reading.image.records().collect();
            prop_assert_eq!(image(&again), reading.image);
        }

        #[test]
        fn a_tail_torn_at_any_byte_costs_the_torn_record_only(
            records in prop::collection::vec(some_record(), 0..6),
        ) {
            let (bytes, ends) = file(&records);
            for length in 0..bytes.len() {
                let reading = read(Image::default(), &bytes[..length]);
                let whole = ends.iter().filter(|end| **end <= length).count();
                prop_assert_eq!(&reading.image, &image(&records[..whole.saturating_sub(1)]));
                let is_at_an_end = length == 0 || ends.contains(&length);
                prop_assert_eq!(reading.cut.is_none(), is_at_an_end, "at {}", length);
            }
        }

        #[test]
        fn one_wrong_bit_costs_nothing_before_it(
            records in prop::collection::vec(some_record(), 1..6),
            place: prop::sample::Index,
            bit in 0..8_u8,
        ) {
            let (mut bytes, ends) = file(&records);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let reading = read(Image::default(), &bytes);
            let whole = ends.iter().filter(|end| **end <= place).count();
            prop_assert_eq!(&reading.image, &image(&records[..whole.saturating_sub(1)]));
            prop_assert!(reading.cut.is_some());
        }

        #[test]
        fn any_bytes_are_read_or_cut(bytes: Vec<u8>) {
            let mut with_head = HEAD.to_vec();
            with_head.extend_from_slice(&bytes);
            let _ = read(Image::default(), &bytes);
            let _ = read(Image::default(), &with_head);
        }
    }

    #[test]
    fn a_file_of_another_version_is_left_alone_as_a_whole() {
        let mut bytes = HEAD.to_vec();
        bytes[7] += 1;
        append(
            &mut bytes,
            &Record {
                key: Key::Call(1),
                value: None,
            },
        );
        let cut = read(Image::default(), &bytes).cut;
        assert_eq!(
            cut,
            Some(Cut {
                at: 0,
                why: Why::Head
            })
        );
    }
}
