//! Messages written and read by hand, so that a test does not take our word for our own.

/// The port of the hand-written peer.
pub(super) const PEER: u16 = 6000;

/// A request of the peer's; `extra` are complete lines.
pub(super) fn request(
    method: &str,
    call_id: &str,
    cseq: u32,
    to_tag: Option<&str>,
    branch: &str,
    extra: &str,
    body: &str,
) -> String {
    let to_tag = to_tag.map(|tag| format!(";tag={tag}")).unwrap_or_default();
    format!(
        "{method} sip:2001@127.0.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{PEER};branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\n\
         From: \"Peer\" <sip:3427@127.0.0.1>;tag=peer\r\n\
         To: <sip:2001@127.0.0.1:5060>{to_tag}\r\n\
         Call-ID: {call_id}\r\n\
         CSeq: {cseq} {method}\r\n\
         {extra}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An INVITE that opens a call.
pub(super) fn invite(call_id: &str, branch: &str, extra: &str) -> String {
    let contact = format!("Contact: <sip:3427@127.0.0.1:{PEER}>\r\n{extra}");
    request("INVITE", call_id, 101, None, branch, &contact, "")
}

/// The first line's code of a response; the method of a request is code 0.
pub(super) fn status(text: &str) -> u16 {
    let code = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// The first word of a request line, or the code of a status line.
pub(super) fn kind(text: &str) -> String {
    match status(text) {
        0 => text.split(' ').next().unwrap_or_default().to_owned(),
        code => format!(
            "{code} {}",
            header(text, "CSeq").split(' ').nth(1).unwrap_or_default()
        ),
    }
}

pub(super) fn kinds(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| kind(text)).collect()
}

/// The value of the first header of this name; empty when there is none.
pub(super) fn header<'a>(text: &'a str, name: &str) -> &'a str {
    headers(text, name).next().unwrap_or_default()
}

/// The values of all headers of this name.
pub(super) fn headers<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let name = format!("{name}: ");
    head.split("\r\n")
        .filter_map(move |line| line.strip_prefix(name.as_str()))
}

pub(super) fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// The tag in a From or To value.
pub(super) fn tag<'a>(text: &'a str, name: &str) -> &'a str {
    header(text, name).split(";tag=").nth(1).unwrap_or_default()
}

/// The Request-URI.
pub(super) fn uri(text: &str) -> &str {
    text.split(' ').nth(1).unwrap_or_default()
}

/// The peer's answer to a request of ours; `tag` is its To tag, `extra` are complete lines.
pub(super) fn response(request: &str, code: u16, to_tag: &str, extra: &str, body: &str) -> String {
    let to = header(request, "To");
    let to = match to.contains(";tag=") || to_tag.is_empty() {
        true => to.to_owned(),
        false => format!("{to};tag={to_tag}"),
    };
    format!(
        "SIP/2.0 {code} Answer\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         {extra}Content-Length: {}\r\n\r\n{body}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body.len()
    )
}

/// A request of the peer's within a dialog that a request of ours opened.
pub(super) fn within(
    opening: &str,
    method: &str,
    cseq: u32,
    peer_tag: &str,
    extra: &str,
    body: &str,
) -> String {
    format!(
        "{method} sip:x@127.0.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:{PEER};branch=z9hG4bK{method}{cseq}{peer_tag};rport\r\n\
         Max-Forwards: 70\r\n\
         From: {};tag={peer_tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         {extra}Content-Length: {}\r\n\r\n{body}",
        header(opening, "To"),
        header(opening, "From"),
        header(opening, "Call-ID"),
        body.len()
    )
}
