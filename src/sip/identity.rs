//! Who is calling: P-Asserted-Identity (RFC 3325), Remote-Party-ID (UCM), Diversion (RFC 5806),
//! Privacy (RFC 3323).
//!
//! What is asserted is believed only from a trusted peer; that decision is the trunk's.

use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::name_addr::NameAddr;

/// A Remote-Party-ID value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteParty<'a> {
    /// The address; `param` reaches `party`, `screen` and `privacy`.
    pub address: NameAddr<'a>,
}

impl<'a> RemoteParty<'a> {
    /// `calling` or `called`.
    #[must_use]
    pub fn party(&self) -> Option<&'a str> {
        self.address.param("party")
    }

    /// Whether the network checked the identity.
    #[must_use]
    pub fn screened(&self) -> bool {
        self.address
            .param("screen")
            .is_some_and(|value| value.eq_ignore_ascii_case("yes"))
    }

    /// Whether the name or the number must not be shown.
    #[must_use]
    pub fn private(&self) -> bool {
        self.address
            .param("privacy")
            .is_some_and(|value| !value.eq_ignore_ascii_case("off"))
    }
}

/// A Diversion value: the top one is the last diversion, the bottom one the number first called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diversion<'a> {
    /// Who diverted the call.
    pub address: NameAddr<'a>,
}

impl<'a> Diversion<'a> {
    /// Why: `no-answer`, `user-busy`, `unconditional`, ….
    #[must_use]
    pub fn reason(&self) -> Option<&'a str> {
        self.address.param("reason")
    }

    /// How many diversions this one stands for.
    #[must_use]
    pub fn counter(&self) -> Option<u32> {
        self.address
            .param("counter")
            .and_then(|digits| digits.parse().ok())
    }
}

impl<'a> Message<'a> {
    /// Every P-Asserted-Identity value; at most one `sip` and one `tel` by RFC 3325 §9.1.
    pub fn asserted_identities(
        &self,
    ) -> impl Iterator<Item = Result<NameAddr<'a>, Malformed>> + use<'a> {
        self.addresses(HeaderName::PAssertedIdentity)
    }

    /// Every Remote-Party-ID value.
    pub fn remote_parties(
        &self,
    ) -> impl Iterator<Item = Result<RemoteParty<'a>, Malformed>> + use<'a> {
        let parties = self.addresses(HeaderName::RemotePartyId);
        parties.map(|address| address.map(|address| RemoteParty { address }))
    }

    /// Every Diversion value, the last diversion first.
    pub fn diversions(&self) -> impl Iterator<Item = Result<Diversion<'a>, Malformed>> + use<'a> {
        let diversions = self.addresses(HeaderName::Diversion);
        diversions.map(|address| address.map(|address| Diversion { address }))
    }

    /// The identity of the sender, best first: P-Asserted-Identity, Remote-Party-ID of the calling
    /// party, From. A header that cannot be read is passed over.
    ///
    /// # Errors
    /// When From cannot be read either.
    pub fn calling_identity(&self) -> Result<NameAddr<'a>, Malformed> {
        if let Some(asserted) = self.asserted_identities().find_map(Result::ok) {
            return Ok(asserted);
        }
        let calling = |party: &RemoteParty<'a>| {
            party
                .party()
                .is_none_or(|party| party.eq_ignore_ascii_case("calling"))
        };
        if let Some(party) = self.remote_parties().filter_map(Result::ok).find(calling) {
            return Ok(party.address);
        }
        self.from()
    }

    /// Whether the sender asked that its identity is not shown (RFC 3323 §4.2, Remote-Party-ID).
    #[must_use]
    pub fn identity_is_private(&self) -> bool {
        // The priv-values of Privacy are separated by semicolons.
        let asked = self
            .headers(HeaderName::Privacy)
            .flat_map(|value| value.split(|byte| matches!(byte, b';' | b',')))
            .map(<[u8]>::trim_ascii)
            .any(|value| {
                [&b"id"[..], b"user", b"header"]
                    .iter()
                    .any(|kind| kind.eq_ignore_ascii_case(value))
            });
        asked
            || self
                .remote_parties()
                .filter_map(Result::ok)
                .any(|party| party.private())
    }
}
