//! Framing: wherever a stream is cut, the messages are the same.

use offhook::sip::{Checked, Frame, Framer, HeaderIndex, Message, frame};

/// What a byte 0xff stands for, so that a short input reaches the limits.
const FILLING: [u8; 8_192] = [b'y'; 8_192];

/// The first byte says into how many pieces the rest is cut, the bytes after it how long each is.
pub fn run(bytes: &[u8]) {
    let Some((count, rest)) = bytes.split_first() else {
        return;
    };
    let count = usize::from(count % 16).min(rest.len());
    let (lengths, rest) = rest.split_at(count);
    let stream = filled(rest);
    let whole = frames(&[&stream]);
    let mut pieces = Vec::new();
    let mut left = &stream[..];
    for length in lengths {
        let (piece, after) = left.split_at(left.len().min(usize::from(*length)));
        pieces.push(piece);
        left = after;
    }
    pieces.push(left);
    assert_eq!(whole, frames(&pieces), "cut into {lengths:?}");
    if stream.len() < 2_048 {
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(whole, frames(&single), "byte by byte");
    }
    bodies_are_whole(&stream, &whole);
}

fn filled(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    for byte in bytes {
        match byte {
            0xff if stream.len() < 1 << 20 => stream.extend_from_slice(&FILLING),
            other => stream.push(*other),
        }
    }
    stream
}

/// What a reader that gets these pieces one by one sees, up to the first frame that is broken.
fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut buffer = Vec::new();
    let mut framer = Framer::new();
    let mut seen = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let found = framer.frame(&buffer);
            assert_eq!(
                found,
                frame(&buffer),
                "a framer that remembers sees another border"
            );
            match found {
                Frame::Complete(count) | Frame::KeepAlive(count) => {
                    assert!((1..=buffer.len()).contains(&count));
                    buffer.drain(..count);
                    seen.push(found);
                }
                Frame::Incomplete => break,
                Frame::Malformed(_) => {
                    seen.push(found);
                    return seen;
                }
            }
        }
    }
    seen
}

/// The parser sees the same borders: nothing of a message belongs to its neighbour.
fn bodies_are_whole(stream: &[u8], frames: &[Frame]) {
    let mut left = stream;
    for found in frames {
        let (Frame::Complete(count) | Frame::KeepAlive(count)) = found else {
            return;
        };
        let (message, after) = left.split_at(*count);
        left = after;
        let mut index = HeaderIndex::new();
        let received = Message::receive(message, &mut index);
        if let Ok(Checked::Request(request)) = received {
            assert!(message.ends_with(request.message.body()));
            let length = request.message.content_length();
            assert_eq!(length, Ok(Some(request.message.body().len() as u64)));
        }
    }
}
