//! What is cut into packets, and where they go.

use std::time::Duration;

use super::*;

#[test]
fn raw_audio_is_cut_every_twenty_milliseconds() {
    let source = stream_source("a.raw,3,8").expect("a good one");
    assert_eq!(source.file(), Some("a.raw"));
    let track = source.track(&[0x55; 400]).expect("audio");
    assert_eq!(track.times, Some(3));
    let times: Vec<u128> = track.packets.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 20, 40]);
    assert_eq!(track.length, Duration::from_millis(60));
    let (_, first) = &track.packets[0];
    assert_eq!((first.len(), first[0], first[1]), (172, 0x80, 0x88));
    let (_, second) = &track.packets[1];
    assert_eq!(
        (&second[1..4], &second[4..8]),
        (&[8, 0, 1][..], &[0, 0, 0, 160][..])
    );
    let endless = stream_source("a.raw,-1").expect("a good one");
    assert_eq!(endless.track(&[0; 160]).expect("audio").times, None);
    for text in ["a,x", "a,1,300", "a,1,x"] {
        assert!(stream_source(text).is_err(), "{text}");
    }
    let odd = stream_source("a,1,97").expect("it can be written");
    assert!(odd.track(b"x").expect_err("not known").contains("97"));
}

#[test]
fn digits_are_ended_three_times() {
    let track = Source::Digits("1#".to_owned()).track(b"").expect("digits");
    assert_eq!(track.packets.len(), 22);
    let ends = track
        .packets
        .iter()
        .filter(|(_, bytes)| bytes[13] & 0x80 > 0);
    assert_eq!(ends.count(), 6);
    let (_, last) = track.packets.last().expect("there are some");
    assert_eq!(last[12..], [11, 0x8a, 5, 0]);
    assert!(Source::Digits("x".to_owned()).track(b"").is_err());
    assert!(Source::Digits(String::new()).track(b"").is_err());
}

fn recording(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short");
    let mut frame = vec![0; 12];
    frame.extend([8, 0, 0x45, 0]);
    frame.extend((length + 28).to_be_bytes());
    frame.extend([
        0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 9, 0, 9,
    ]);
    frame.extend((length + 8).to_be_bytes());
    frame.extend([0, 0]);
    frame.extend(payload);
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    file.extend([0; 12]);
    file.extend(1_u32.to_le_bytes());
    for micros in [500_000_u32, 520_000] {
        file.extend(7_u32.to_le_bytes());
        file.extend(micros.to_le_bytes());
        let length = u32::try_from(frame.len()).expect("short");
        file.extend(length.to_le_bytes());
        file.extend(length.to_le_bytes());
        file.extend(&frame);
    }
    file
}

#[test]
fn recordings_give_their_datagrams_at_their_times() {
    let file = recording(b"hello");
    let track = Source::Recording(String::new())
        .track(&file)
        .expect("a recording");
    let expected = [0, 20].map(|at| (Duration::from_millis(at), b"hello".to_vec()));
    assert_eq!(track.packets, expected);
}

#[test]
fn no_part_of_a_recording_panics() {
    let file = recording(b"hello");
    for end in 0..file.len() {
        let _ = Source::Recording(String::new()).track(&file[..end]);
        let mut broken = file.clone();
        broken[end] ^= 0xff;
        let _ = Source::Recording(String::new()).track(&broken);
    }
}

#[test]
fn the_peer_says_where_media_go() {
    let message = b"SIP/2.0 200 OK\r\nCall-ID: 1\r\n\r\nv=0\r\nc=IN IP4 10.0.0.1\r\n\
        m=audio 4000 RTP/AVP 0\r\n\
        a=sendrecv\r\nm=video 0 RTP/AVP 31\r\nm=image 5000 udptl t38\r\nc=IN IP4 10.0.0.2/127\r\n";
    let found = |kind| destination(message, kind).map(|address| address.to_string());
    assert_eq!(found(Kind::Audio).as_deref(), Some("10.0.0.1:4000"));
    assert_eq!(found(Kind::Video), None);
    assert_eq!(found(Kind::Image).as_deref(), Some("10.0.0.2:5000"));
    assert_eq!(destination(b"SIP/2.0 200 OK\r\n\r\n", Kind::Audio), None);
}
