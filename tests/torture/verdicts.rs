//! One verdict for each torture message of RFC 4475 and RFC 5118, as plain data.
//!
//! `parser` is what the parser alone must do. `server` is what a running server must send: it is
//! here so that one table holds the whole treatment, and a test of the engine takes it from here.
//! That server serves INVITE, ACK, BYE, CANCEL, OPTIONS, SUBSCRIBE, NOTIFY and UPDATE, knows no
//! user, and looks at method, scheme, Require and content before it looks the user up
//! (RFC 3261 §8.2).

use offhook::sip::{HeaderName, Malformed};

/// What is asserted of one message.
pub(crate) struct Verdict {
    /// The file below the data directory.
    pub(crate) file: &'static str,
    /// What the parser does with it, as a datagram.
    pub(crate) parser: Parser,
    /// What a running server answers: any one of these; none at all when empty.
    pub(crate) server: &'static [u16],
}

/// What the parser does.
pub(crate) enum Parser {
    /// It is accepted, and these hold.
    Accept(&'static [Field]),
    /// It is refused for this reason, with this answer.
    Reject(Malformed, u16),
    /// It is refused for this reason, without an answer.
    Drop(Malformed),
}

/// A value that must come out of an accepted message.
pub(crate) enum Field {
    /// The method, of the request or in CSeq.
    Method(&'static str),
    /// The status code.
    Status(u16),
    /// The bytes of the reason phrase.
    ReasonBytes(usize),
    /// The scheme of the Request-URI.
    Scheme(&'static str),
    /// The user of the Request-URI.
    User(&'static str),
    /// The host of the Request-URI, as it would be written.
    Host(&'static str),
    /// The port of the Request-URI.
    Port(Option<u16>),
    /// A parameter of the Request-URI.
    UriParameter(&'static str, Option<&'static str>),
    /// The display name of From, escapes kept.
    FromDisplay(&'static [u8]),
    /// The tag of From.
    FromTag(Option<&'static str>),
    /// The display name of To, escapes kept.
    ToDisplay(&'static [u8]),
    /// The user of To.
    ToUser(&'static str),
    /// The tag of To.
    ToTag(Option<&'static str>),
    /// The Call-ID.
    CallId(&'static str),
    /// The number of CSeq.
    CSeq(u32),
    /// Max-Forwards.
    MaxForwards(Option<u8>),
    /// The number of Via values, all of which parse.
    Vias(usize),
    /// The branch of the top Via.
    Branch(Option<&'static str>),
    /// The host of the top Via, as it would be written.
    ViaHost(&'static str),
    /// `received` of the Via value with this position, as it would be written.
    Received(usize, Option<&'static str>),
    /// The number of Contact values, all of which parse.
    Contacts(usize),
    /// The URI of the first Contact, as received.
    ContactUri(&'static str),
    /// A header parameter of the first Contact.
    ContactParameter(&'static str, Option<&'static str>),
    /// The first Route is a loose router.
    LooseRoute,
    /// A token of a header.
    Token(HeaderName, &'static str),
    /// Content-Type, as `type/subtype`.
    ContentType(&'static str),
    /// The number of header lines with a name that is not known.
    Unknown(usize),
    /// The bytes of the body.
    Body(usize),
    /// The body is a session description with so many media.
    SdpMedia(usize),
}

use Field as F;
use Parser::{Accept, Drop, Reject};

const METHOD_UNKNOWN: &[u16] = &[405, 501];

/// RFC 4475 §3.1.1: well-formed, and unusual in one way each.
pub(crate) const VALID: &[Verdict] = &[
    Verdict {
        file: "rfc4475/valid/wsinv.dat",
        parser: Accept(&[
            F::Method("INVITE"),
            F::User("vivekg"),
            F::UriParameter("unknownparam", Some("")),
            F::ToTag(Some("1918181833n")),
            F::FromDisplay(br#"J Rosenberg \\\""#),
            F::FromTag(Some("98asjd8")),
            F::CallId("wsinv.ndaksdj@192.0.2.1"),
            F::CSeq(9),
            F::MaxForwards(Some(68)),
            F::Vias(3),
            F::ViaHost("192.0.2.2"),
            F::Branch(Some("390skdjuw")),
            F::LooseRoute,
            F::ContactUri("sip:jdrosen@example.com"),
            F::ContactParameter("newparam", Some("newvalue")),
            F::ContactParameter("secondparam", Some("")),
            F::ContactParameter("q", Some("0.33")),
            F::Unknown(2),
            F::Body(150),
            F::SdpMedia(2),
        ]),
        // A dialog that does not exist.
        server: &[481],
    },
    Verdict {
        file: "rfc4475/valid/intmeth.dat",
        parser: Accept(&[
            F::Method("!interesting-Method0123456789_*+`.%indeed'~"),
            F::User("1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"),
            F::Host("example.com"),
            F::ToDisplay(b"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f"),
            F::FromDisplay(b"token1~` token2'+_ token3*%!.-"),
            F::FromTag(Some("_token~1'+`*%!-.")),
            F::CallId("intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
            F::CSeq(139_122_385),
            F::MaxForwards(Some(255)),
            F::Branch(Some("z9hG4bK-.!%66*_+`'~")),
            F::Unknown(1),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/valid/esc01.dat",
        parser: Accept(&[
            F::Scheme("sip"),
            F::User("sips%3Auser%40example.com"),
            F::Host("example.net"),
            F::ToUser("%75se%72"),
            F::ContactUri("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31"),
            F::Body(150),
        ]),
        server: &[404],
    },
    Verdict {
        file: "rfc4475/valid/escnull.dat",
        parser: Accept(&[
            F::ToUser("null-%00-null"),
            F::Contacts(2),
            F::ContactUri("sip:%00@host5.example.com"),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/valid/esc02.dat",
        parser: Accept(&[
            F::Method("RE%47IST%45R"),
            F::ToDisplay(b"%Z%45"),
            F::Branch(Some("z9hG4bK209%fzsnel234")),
            F::Contacts(2),
            F::Unknown(1),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/valid/lwsdisp.dat",
        parser: Accept(&[F::FromDisplay(b"caller"), F::FromTag(Some("323"))]),
        server: &[200],
    },
    Verdict {
        file: "rfc4475/valid/longreq.dat",
        parser: Accept(&[
            F::CSeq(3_882_340),
            F::Vias(34),
            F::Branch(None),
            F::Unknown(1),
        ]),
        server: &[404],
    },
    Verdict {
        file: "rfc4475/valid/dblreq.dat",
        parser: Accept(&[
            F::Method("REGISTER"),
            F::CallId("dblreq.0ha0isndaksdj99sdfafnl3lk233412"),
            F::Vias(1),
            F::Body(0),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/valid/semiuri.dat",
        parser: Accept(&[
            F::User("user;par=u%40example.net"),
            F::Host("example.com"),
            F::Token(HeaderName::Accept, "multipart/signed"),
            F::Token(HeaderName::Accept, "message/sipfrag"),
        ]),
        server: &[200],
    },
    Verdict {
        file: "rfc4475/valid/transports.dat",
        parser: Accept(&[F::Vias(5), F::ViaHost("t1.example.com")]),
        server: &[200],
    },
    Verdict {
        file: "rfc4475/valid/mpart01.dat",
        parser: Accept(&[F::ContentType("multipart/mixed"), F::Body(553)]),
        server: &[405, 501, 415],
    },
    Verdict {
        file: "rfc4475/valid/unreason.dat",
        parser: Accept(&[
            F::Status(200),
            F::Method("INVITE"),
            F::ReasonBytes(74),
            F::Body(154),
        ]),
        server: &[],
    },
    Verdict {
        file: "rfc4475/valid/noreason.dat",
        parser: Accept(&[F::Status(100), F::ReasonBytes(0), F::CSeq(35)]),
        server: &[],
    },
];

/// RFC 4475 §3.1.2 and §3.2: broken in one way each. Where the RFC leaves the choice we refuse,
/// but for a Date that nobody reads.
pub(crate) const INVALID: &[Verdict] = &[
    Verdict {
        file: "rfc4475/invalid/badinv01.dat",
        parser: Reject(Malformed::Parameter, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/clerr.dat",
        parser: Reject(Malformed::BodyTruncated, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/ncl.dat",
        parser: Reject(Malformed::Invalid(HeaderName::ContentLength), 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/scalar02.dat",
        parser: Reject(Malformed::OutOfRange(HeaderName::CSeq), 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/scalarlg.dat",
        parser: Drop(Malformed::OutOfRange(HeaderName::CSeq)),
        server: &[],
    },
    Verdict {
        file: "rfc4475/invalid/quotbal.dat",
        parser: Reject(Malformed::UnbalancedQuote, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/ltgtruri.dat",
        parser: Reject(Malformed::Uri, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/lwsruri.dat",
        parser: Reject(Malformed::StartLine, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/lwsstart.dat",
        parser: Reject(Malformed::StartLine, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/trws.dat",
        parser: Reject(Malformed::StartLine, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/escruri.dat",
        parser: Reject(Malformed::UriHeaders, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/baddate.dat",
        parser: Accept(&[F::Method("INVITE"), F::CSeq(1_392_934), F::SdpMedia(2)]),
        server: &[404],
    },
    Verdict {
        file: "rfc4475/invalid/regbadct.dat",
        parser: Reject(Malformed::UriUnbracketed, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/badaspec.dat",
        parser: Reject(Malformed::Uri, 400),
        server: &[400],
    },
    Verdict {
        // The file lacks its blank line too, and that is found first.
        file: "rfc4475/invalid/baddn.dat",
        parser: Reject(Malformed::HeadUnterminated, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/badvers.dat",
        parser: Reject(Malformed::Version, 505),
        server: &[505],
    },
    Verdict {
        file: "rfc4475/invalid/mismatch01.dat",
        parser: Reject(Malformed::CSeqMethodMismatch, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/mismatch02.dat",
        parser: Reject(Malformed::CSeqMethodMismatch, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/invalid/bigcode.dat",
        parser: Drop(Malformed::StatusCode),
        server: &[],
    },
    Verdict {
        file: "rfc4475/transaction/badbranch.dat",
        parser: Reject(Malformed::BranchEmpty, 400),
        server: &[400],
    },
];

/// RFC 4475 §3.3 and §3.4: what only the layers above the grammar can judge.
pub(crate) const APPLICATION: &[Verdict] = &[
    Verdict {
        file: "rfc4475/application/insuf.dat",
        parser: Reject(Malformed::Missing(HeaderName::CallId), 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/application/unkscm.dat",
        parser: Accept(&[
            F::Scheme("nobodyKnowsThisScheme"),
            F::User("totallyopaquecontent"),
        ]),
        server: &[416],
    },
    Verdict {
        file: "rfc4475/application/novelsc.dat",
        parser: Accept(&[F::Scheme("soap.beep"), F::User("//192.0.2.103:3002")]),
        server: &[416],
    },
    Verdict {
        file: "rfc4475/application/unksm2.dat",
        parser: Accept(&[
            F::ToUser("2983792873"),
            F::FromTag(Some("3234233")),
            F::ContactUri("name:John_Smith"),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/application/bext01.dat",
        parser: Accept(&[
            F::Token(HeaderName::Require, "nothingSupportsThis"),
            F::Token(HeaderName::Require, "nothingSupportsThisEither"),
            F::Token(HeaderName::ProxyRequire, "norDoAnyProxiesSupportThis"),
        ]),
        server: &[420],
    },
    Verdict {
        file: "rfc4475/application/invut.dat",
        parser: Accept(&[F::ContentType("application/unknownformat"), F::Body(40)]),
        server: &[415],
    },
    Verdict {
        file: "rfc4475/application/regaut01.dat",
        parser: Accept(&[F::Method("REGISTER"), F::Body(0)]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/application/multi01.dat",
        parser: Reject(Malformed::Duplicate(HeaderName::CSeq), 400),
        server: &[400],
    },
    Verdict {
        file: "rfc4475/application/mcl01.dat",
        parser: Reject(Malformed::Duplicate(HeaderName::ContentLength), 400),
        server: &[400],
    },
    Verdict {
        // Not ours: the top Via is another's, so there is nothing to send anywhere.
        file: "rfc4475/application/bcast.dat",
        parser: Accept(&[
            F::Status(200),
            F::Vias(2),
            F::ViaHost("192.0.2.198"),
            F::SdpMedia(2),
        ]),
        server: &[],
    },
    Verdict {
        // A user agent server answers (RFC 3261 §11), as UCM expects of its pings.
        file: "rfc4475/application/zeromf.dat",
        parser: Accept(&[F::Method("OPTIONS"), F::MaxForwards(Some(0))]),
        server: &[200],
    },
    Verdict {
        file: "rfc4475/application/cparam01.dat",
        parser: Accept(&[
            F::ContactUri("sip:+19725552222@gw1.example.net"),
            F::ContactParameter("unknownparam", Some("")),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/application/cparam02.dat",
        parser: Accept(&[
            F::ContactUri("sip:+19725552222@gw1.example.net;unknownparam"),
            F::ContactParameter("unknownparam", None),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/application/regescrt.dat",
        parser: Accept(&[F::ContactUri(
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        )]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc4475/application/sdp01.dat",
        parser: Accept(&[
            F::Token(HeaderName::Accept, "text/nobodyKnowsThis"),
            F::SdpMedia(2),
        ]),
        server: &[406, 488],
    },
    Verdict {
        file: "rfc4475/compat/inv2543.dat",
        parser: Accept(&[
            F::Branch(None),
            F::FromTag(None),
            F::MaxForwards(None),
            F::CSeq(56),
            F::Body(105),
            F::SdpMedia(1),
        ]),
        server: &[404],
    },
];

/// RFC 5118: IPv6 addresses in all their places.
pub(crate) const IPV6: &[Verdict] = &[
    Verdict {
        file: "rfc5118/valid/ipv6-good.dat",
        parser: Accept(&[
            F::Host("[2001:db8::10]"),
            F::Port(None),
            F::ViaHost("[2001:db8::9:1]"),
            F::ContactUri("sip:caller@[2001:db8::1]"),
        ]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc5118/invalid/ipv6-bad.dat",
        parser: Reject(Malformed::UriHost, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc5118/ambiguous/port-ambiguous.dat",
        parser: Accept(&[F::Host("[2001:db8::10:5070]"), F::Port(None)]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc5118/valid/port-unambiguous.dat",
        parser: Accept(&[F::Host("[2001:db8::10]"), F::Port(Some(5070))]),
        server: METHOD_UNKNOWN,
    },
    Verdict {
        file: "rfc5118/valid/via-received-param-with-delim.dat",
        parser: Accept(&[
            F::Received(0, Some("2001:db8::9:255")),
            F::ToTag(Some("bd76ya")),
        ]),
        server: &[481],
    },
    Verdict {
        file: "rfc5118/valid/via-received-param-no-delim.dat",
        parser: Accept(&[
            F::Received(0, Some("2001:db8::9:255")),
            F::Branch(Some("z9hG4bKas3")),
        ]),
        server: &[200],
    },
    Verdict {
        // Content-Length counts LF for CRLF, here and in the two others with SDP: the last line
        // is cut.
        file: "rfc5118/valid/ipv6-in-sdp.dat",
        parser: Accept(&[F::Body(241), F::SdpMedia(2)]),
        server: &[404],
    },
    Verdict {
        file: "rfc5118/valid/mult-ip-in-header.dat",
        parser: Accept(&[
            F::Vias(3),
            F::ViaHost("[2001:db8::9:1]"),
            F::Received(1, None),
            F::Received(2, Some("192.0.2.200")),
        ]),
        server: &[481],
    },
    Verdict {
        file: "rfc5118/valid/mult-ip-in-sdp.dat",
        parser: Accept(&[F::Body(181), F::SdpMedia(2)]),
        server: &[404],
    },
    Verdict {
        file: "rfc5118/valid/ipv4-mapped-ipv6.dat",
        parser: Accept(&[
            F::Vias(2),
            F::ViaHost("[::ffff:192.0.2.10]"),
            F::ContactUri("sip:ted@[::ffff:192.0.2.2]"),
            F::SdpMedia(2),
        ]),
        server: &[404],
    },
    Verdict {
        file: "rfc5118/invalid/ipv6-bug-abnf-3-colons.dat",
        parser: Reject(Malformed::UriHost, 400),
        server: &[400],
    },
    Verdict {
        file: "rfc5118/valid/ipv6-correct-abnf-2-colons.dat",
        parser: Accept(&[F::Host("[2001:db8::c000:201]"), F::ToUser("user")]),
        server: &[200],
    },
];

/// Every verdict.
pub(crate) fn all() -> impl Iterator<Item = &'static Verdict> {
    [VALID, INVALID, APPLICATION, IPV6].into_iter().flatten()
}
