//! Whose PBX it is: what it calls itself, which event packages it knows, and how its presence
//! documents look. The words are ours, the shape is theirs.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use super::phone::Presence;
use crate::population::message::{PIDF, pidf};

/// The content type of a dialog-info document (RFC 4235).
const DIALOG_INFO: &str = "application/dialog-info+xml";

/// Whose PBX it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PbxKind {
    /// Cisco UCM, with its main and its lesser version.
    Ucm(u8, u8),
    /// Asterisk with PJSIP.
    Asterisk,
    /// FreeSWITCH.
    FreeSwitch,
}

impl Default for PbxKind {
    fn default() -> Self {
        Self::Ucm(12, 5)
    }
}

/// The versions of UCM that are told apart.
const UCM_VERSIONS: [(u8, u8); 9] = [
    (7, 0),
    (8, 6),
    (9, 1),
    (10, 5),
    (11, 0),
    (11, 5),
    (12, 5),
    (14, 0),
    (15, 0),
];

impl fmt::Display for PbxKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ucm(main, lesser) => write!(formatter, "ucm-{main}.{lesser}"),
            Self::Asterisk => formatter.write_str("asterisk"),
            Self::FreeSwitch => formatter.write_str("freeswitch"),
        }
    }
}

impl FromStr for PbxKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let hint = || {
            let versions: Vec<String> = UCM_VERSIONS
                .iter()
                .map(|(main, lesser)| format!("ucm-{main}.{lesser}"))
                .collect();
            format!("write {}, asterisk or freeswitch", versions.join(", "))
        };
        match word {
            "asterisk" => return Ok(Self::Asterisk),
            "freeswitch" => return Ok(Self::FreeSwitch),
            "ucm" => return Ok(Self::default()),
            _ => {}
        }
        let version = word.strip_prefix("ucm-").ok_or_else(hint)?;
        let (main, lesser) = match version.split_once('.') {
            Some((main, lesser)) => (main, Some(lesser.parse::<u8>().map_err(|_| hint())?)),
            None => (version, None),
        };
        let main: u8 = main.parse().map_err(|_| hint())?;
        let known = UCM_VERSIONS
            .iter()
            .find(|known| known.0 == main && lesser.is_none_or(|lesser| known.1 == lesser));
        known
            .map(|(main, lesser)| Self::Ucm(*main, *lesser))
            .ok_or_else(hint)
    }
}

impl PbxKind {
    /// What it calls itself.
    pub(super) fn user_agent(self) -> String {
        match self {
            Self::Ucm(main, lesser) => format!("Cisco-CUCM{main}.{lesser}"),
            Self::Asterisk => "Asterisk PBX 20.9.2".to_owned(),
            Self::FreeSwitch => "FreeSWITCH-mod_sofia/1.10.12-release".to_owned(),
        }
    }

    /// Whether its NOTIFYs have their Via near the end, as those of UCM.
    pub(super) fn is_ucm(self) -> bool {
        matches!(self, Self::Ucm(..))
    }

    /// Whether it knows an event package.
    pub(super) fn knows(self, package: &str) -> bool {
        match self {
            Self::Ucm(..) => package == "presence",
            Self::Asterisk | Self::FreeSwitch => ["presence", "dialog"].contains(&package),
        }
    }

    /// What `Subscription-State` says while a subscription lives: UCM names no time.
    pub(super) fn active(self, seconds: u64) -> String {
        match self {
            Self::Ucm(..) => "active".to_owned(),
            Self::Asterisk | Self::FreeSwitch => format!("active;expires={seconds}"),
        }
    }

    /// The word that stands for a phone in use.
    #[must_use]
    pub fn busy_word(self) -> &'static str {
        match self {
            Self::Ucm(..) | Self::FreeSwitch => "on-the-phone",
            Self::Asterisk => "busy",
        }
    }

    /// A presence document: its content type and its text.
    pub(super) fn presence(
        self,
        dn: &str,
        address: SocketAddr,
        presence: Presence,
    ) -> (&'static str, String) {
        let (open, busy, rings) = match presence {
            Presence::Idle => (true, false, false),
            Presence::Alerting => (true, false, true),
            Presence::OnThePhone => (true, true, false),
            Presence::Closed | Presence::Terminated => (false, false, false),
            Presence::ClosedOnThePhone => (false, true, false),
        };
        let body = match self {
            Self::Ucm(main, _) => {
                let activity = match (busy, rings) {
                    (true, _) => Some("e:on-the-phone"),
                    (false, true) => Some("ce:alerting"),
                    (false, false) => None,
                };
                let text = pidf(dn, address, open, activity);
                // RFC 4480's own namespace came late.
                if main >= 14 {
                    text.replace("pidf:status:rpid", "pidf:rpid")
                } else {
                    text
                }
            }
            Self::Asterisk => asterisk(dn, address, open, busy || rings),
            Self::FreeSwitch => free_switch(dn, address, open, busy, rings),
        };
        (PIDF, body)
    }

    /// A dialog-info document, for who watches dialogs.
    pub(super) fn dialog_info(
        dn: &str,
        address: SocketAddr,
        presence: Presence,
        version: u32,
    ) -> (&'static str, String) {
        let state = match presence {
            Presence::Alerting => Some("early"),
            Presence::OnThePhone | Presence::ClosedOnThePhone => Some("confirmed"),
            Presence::Idle | Presence::Closed | Presence::Terminated => None,
        };
        let dialog = state.map_or_else(String::new, |state| {
            format!("<dialog id=\"{dn}\"><state>{state}</state></dialog>\n")
        });
        let body = format!(
            "<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" \
             version=\"{version}\" state=\"full\" entity=\"sip:{dn}@{}\">\n\
             {dialog}</dialog-info>\n",
            address.ip()
        );
        (DIALOG_INFO, body)
    }
}

fn asterisk(dn: &str, address: SocketAddr, open: bool, busy: bool) -> String {
    let basic = if open { "open" } else { "closed" };
    let (activity, note) = match (open, busy) {
        (_, true) => (
            "<rpid:activities><rpid:busy/></rpid:activities>",
            "On the phone",
        ),
        (true, false) => ("", "Ready"),
        (false, false) => ("", "Unavailable"),
    };
    let host = address.ip();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <presence entity=\"sip:{dn}@{host}\" xmlns=\"urn:ietf:params:xml:ns:pidf\" \
         xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" \
         xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\">\n \
         <note>{note}</note>\n <tuple id=\"{dn}\">\n  <status>\n   <basic>{basic}</basic>\n  \
         </status>\n  <contact priority=\"1\">sip:{dn}@{address}</contact>\n </tuple>\n \
         <dm:person>\n  {activity}\n </dm:person>\n</presence>\n"
    )
}

fn free_switch(dn: &str, address: SocketAddr, open: bool, busy: bool, rings: bool) -> String {
    let basic = if open { "open" } else { "closed" };
    let (activity, note) = match (open, busy, rings) {
        (_, true, _) => ("<rpid:on-the-phone/>", "On The Phone"),
        (_, _, true) => ("<rpid:on-the-phone/>", "Ring"),
        (true, false, false) => ("<rpid:unknown/>", "Available"),
        (false, false, false) => ("<rpid:away/>", "Unregistered"),
    };
    let host = address.ip();
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>\n\
         <presence xmlns='urn:ietf:params:xml:ns:pidf' \
         xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
         xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' \
         xmlns:c='urn:ietf:params:xml:ns:pidf:cipid' entity='sip:{dn}@{host}'>\n \
         <tuple id='t{dn}'><status><basic>{basic}</basic></status></tuple>\n \
         <dm:person id='p{dn}'><rpid:activities>{activity}</rpid:activities>\
         <dm:note>{note}</dm:note></dm:person>\n</presence>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook::sip::{Basic, pidf as reader};

    #[test]
    fn kinds_are_known_by_their_words() {
        for word in ["ucm-7.0", "ucm-11.5", "ucm-15.0", "asterisk", "freeswitch"] {
            let kind: PbxKind = word.parse().expect("a kind");
            assert_eq!(kind.to_string(), word);
        }
        assert_eq!("ucm".parse(), Ok(PbxKind::Ucm(12, 5)));
        assert_eq!("ucm-8".parse(), Ok(PbxKind::Ucm(8, 6)));
        for word in ["ucm-6", "ucm-", "avaya", ""] {
            let fault = word.parse::<PbxKind>().expect_err(word);
            assert!(fault.contains("write ucm-7.0"), "{fault}");
        }
    }

    #[test]
    fn documents_say_what_the_phone_does_in_every_dialect() {
        let address = SocketAddr::from(([127, 0, 0, 1], 5062));
        let kinds = [PbxKind::Ucm(7, 0), PbxKind::Ucm(15, 0), PbxKind::Asterisk];
        for kind in kinds.into_iter().chain([PbxKind::FreeSwitch]) {
            let read = |presence| {
                let (_, body) = kind.presence("2001", address, presence);
                let read = reader::parse(&body).expect("a presence document");
                let activities: Vec<String> = read
                    .activities
                    .iter()
                    .map(|word| (*word).to_string())
                    .collect();
                (read.basic, activities)
            };
            let busy = vec![kind.busy_word().to_owned()];
            assert_eq!(read(Presence::OnThePhone), (Basic::Open, busy), "{kind}");
            let (basic, idle) = read(Presence::Idle);
            assert_eq!(basic, Basic::Open);
            assert!(idle.is_empty() || idle == ["unknown"], "{kind}: {idle:?}");
            assert_eq!(read(Presence::Closed).0, Basic::Closed, "{kind}");
        }
        let (kind, body) = PbxKind::dialog_info("2001", address, Presence::OnThePhone, 3);
        assert_eq!(kind, DIALOG_INFO);
        assert!(
            body.contains("version=\"3\"") && body.contains("confirmed"),
            "{body}"
        );
    }
}
