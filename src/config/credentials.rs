//! A name and a password for digest authentication. Neither is ever shown.

use std::fmt;

/// Who a trunk knows us as, and whom we know it as.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The realm in which they count; a challenge of any other is not answered.
    pub realm: Box<str>,
    /// The name.
    pub user: Box<str>,
    /// The password.
    pub password: Box<str>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
