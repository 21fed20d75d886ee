//! Route, Record-Route and Path (RFC 3261 §20.30, §20.34).

use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::name_addr::NameAddr;

impl<'a> Message<'a> {
    /// Every Route value, from top to bottom.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Malformed>> + use<'a> {
        self.addresses(HeaderName::Route)
    }

    /// Every Record-Route value, from top to bottom. The callee's route set is in this order, the
    /// caller's in the reverse (RFC 3261 §12.1).
    pub fn record_routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, Malformed>> + use<'a> {
        self.addresses(HeaderName::RecordRoute)
    }

    /// Every value of a header that holds name-addrs.
    pub fn addresses(
        &self,
        name: HeaderName,
    ) -> impl Iterator<Item = Result<NameAddr<'a>, Malformed>> + use<'a> {
        self.elements(name).map(NameAddr::parse)
    }
}
