//! Bracket expressions such as `[^]a-z[:digit:]]`. A backslash in them is a backslash, and
//! `[:space:]` means the class only inside another pair of brackets.

use super::BadPattern;
use super::translate::push_byte;

/// Reads what follows a `[`; returns the set in the words of the `regex` crate and how many bytes
/// it took, the closing bracket included.
pub(super) fn translate(text: &[u8]) -> Result<(String, usize), BadPattern> {
    let negated = text.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut set = [false; 256];
    let mut is_first = true;
    loop {
        match text.get(at) {
            None => return Err(BadPattern::Unclosed('[')),
            Some(b']') if !is_first => break,
            Some(_) => {}
        }
        is_first = false;
        if let Some(name) = named(&text[at..], b':') {
            for byte in 0..=u8::MAX {
                set[usize::from(byte)] |= is_of_class(name, byte)?;
            }
            at += name.len() + 4;
            continue;
        }
        let (low, length) = element(&text[at..])?;
        at += length;
        let is_range = text.get(at) == Some(&b'-') && text.get(at + 1) != Some(&b']');
        let high = if is_range && at + 1 < text.len() {
            let (high, length) = element(&text[at + 1..])?;
            at += length + 1;
            high
        } else {
            low
        };
        if high < low {
            return Err(BadPattern::BadBracket);
        }
        set[usize::from(low)..=usize::from(high)].fill(true);
    }
    Ok((words(&set, negated), at + 1))
}

/// `[:alpha:]`, `[.-.]` or `[=a=]`: what stands between the marks.
fn named(text: &[u8], mark: u8) -> Option<&[u8]> {
    let inside = text.strip_prefix(&[b'[', mark])?;
    let end = memchr::memmem::find(inside, &[mark, b']'])?;
    Some(&inside[..end])
}

/// One character, plain or as `[.x.]` or `[=x=]`, and its length.
fn element(text: &[u8]) -> Result<(u8, usize), BadPattern> {
    for mark in *b".=" {
        if let Some(name) = named(text, mark) {
            return match name {
                [byte] => Ok((*byte, 5)),
                _ => Err(BadPattern::BadBracket),
            };
        }
    }
    let byte = text.first().ok_or(BadPattern::Unclosed('['))?;
    Ok((*byte, 1))
}

fn is_of_class(name: &[u8], byte: u8) -> Result<bool, BadPattern> {
    Ok(match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => matches!(byte, b'\t'..=b'\r' | b' '),
        b"blank" => matches!(byte, b'\t' | b' '),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => matches!(byte, b' '..=b'~'),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => return Err(BadPattern::BadBracket),
    })
}

fn words(set: &[bool; 256], negated: bool) -> String {
    let mut text = String::from(if negated { "[^" } else { "[" });
    let mut next = 0_usize;
    while let Some(start) = (next..set.len()).find(|byte| set[*byte]) {
        let end = (start..set.len())
            .find(|byte| !set[*byte])
            .unwrap_or(set.len());
        let byte = |index: usize| u8::try_from(index).expect("a set has 256 places");
        push_byte(&mut text, byte(start));
        if end > start + 1 {
            text.push('-');
            push_byte(&mut text, byte(end - 1));
        }
        next = end;
    }
    text.push(']');
    text
}
