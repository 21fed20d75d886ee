//! Who a client is and what it may do. It knows tokens and roles; whether a request makes sense
//! is decided in `hub` and on the shards.

use std::net::{IpAddr, SocketAddr};

use subtle::{Choice, ConstantTimeEq};

use crate::config::{Address, DnIndex, Role, Token};

/// A client that showed its token, or needed none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What it may do.
    pub role: Role,
    /// The DNs of an `agent`, ascending; empty for the other roles.
    pub dns: Vec<DnIndex>,
    /// Whether it counts as the desktop of the DNs that it registers by name.
    pub desktop: bool,
}

impl Identity {
    /// Everyone, where no token is configured: an administrator that may also be a desktop.
    #[must_use]
    pub fn everyone() -> Self {
        Self {
            role: Role::Admin,
            dns: Vec::new(),
            desktop: true,
        }
    }

    /// Whether the client may see an address.
    #[must_use]
    pub fn may_see(&self, address: Address) -> bool {
        match (self.role, address) {
            (Role::Agent, Address::Agent(dn)) => self.dns.binary_search(&dn).is_ok(),
            (Role::Agent, Address::RoutingPoint(_) | Address::Queue(_) | Address::Trunk(_)) => {
                false
            }
            (Role::Supervisor | Role::Router | Role::Admin, _) => true,
        }
    }

    /// Whether the client may see all addresses at once.
    #[must_use]
    pub fn may_see_everything(&self) -> bool {
        match self.role {
            Role::Supervisor | Role::Admin => true,
            Role::Agent | Role::Router => false,
        }
    }

    /// Whether the client may change an agent's state or end its calls.
    #[must_use]
    pub fn may_act_for(&self, dn: DnIndex) -> bool {
        match self.role {
            Role::Agent => self.may_see(Address::Agent(dn)),
            Role::Supervisor | Role::Admin => true,
            Role::Router => false,
        }
    }

    /// Whether the client may change the attached data of a call at an address.
    #[must_use]
    pub fn may_attach_at(&self, address: Address) -> bool {
        match address {
            Address::Agent(_) | Address::RoutingPoint(_) => self.may_see(address),
            Address::Queue(_) | Address::Trunk(_) => false,
        }
    }

    /// Whether the client routes the calls of each routing point that it registers, unless it says
    /// otherwise. Whoever only may route has to ask for it.
    #[must_use]
    pub fn is_router(&self) -> bool {
        match self.role {
            Role::Router => true,
            Role::Agent | Role::Supervisor | Role::Admin => false,
        }
    }

    /// Whether the client may route calls.
    #[must_use]
    pub fn may_route(&self) -> bool {
        match self.role {
            Role::Router | Role::Admin => true,
            Role::Agent | Role::Supervisor => false,
        }
    }
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It showed no token.
    Missing,
    /// It showed a token that is none of ours.
    Wrong,
}

/// Who presents this token.
///
/// Every token is compared, each in constant time, so that the time taken tells nothing about how
/// near a guess was.
///
/// # Errors
/// [`Stranger`] when tokens are configured and this is none of them.
pub fn identify(tokens: &[Token], presented: Option<&[u8]>) -> Result<Identity, Stranger> {
    if tokens.is_empty() {
        return Ok(Identity::everyone());
    }
    let presented = presented.ok_or(Stranger::Missing)?;
    let mut found = None;
    for token in tokens {
        let same: Choice = token.secret.as_bytes().ct_eq(presented);
        if bool::from(same) {
            found = Some(token);
        }
    }
    let token = found.ok_or(Stranger::Wrong)?;
    let desktop = match token.role {
        Role::Agent => true,
        Role::Supervisor | Role::Router | Role::Admin => false,
    };
    Ok(Identity {
        role: token.role,
        dns: token.dns.clone(),
        desktop,
    })
}

/// Whether `host` or `host:port` names this machine's loopback.
#[must_use]
pub fn is_loopback(authority: &str) -> bool {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let bare = authority
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(authority).parse::<IpAddr>() {
        return address.is_loopback();
    }
    let name = authority
        .rsplit_once(':')
        .map_or(authority, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(secret: &str, role: Role, dns: &[u32]) -> Token {
        Token {
            secret: secret.into(),
            role,
            dns: dns.iter().copied().map(DnIndex).collect(),
        }
    }

    #[test]
    fn without_tokens_everyone_is_admin() {
        assert_eq!(identify(&[], None), Ok(Identity::everyone()));
        assert_eq!(identify(&[], Some(b"whatever")), Ok(Identity::everyone()));
    }

    #[test]
    fn with_tokens_only_the_right_one_opens() {
        let tokens = [
            token("agent-secret", Role::Agent, &[3]),
            token("route-it", Role::Router, &[]),
        ];
        assert_eq!(identify(&tokens, None), Err(Stranger::Missing));
        for wrong in ["", "agent-secre", "agent-secret2", "AGENT-SECRET"] {
            assert_eq!(
                identify(&tokens, Some(wrong.as_bytes())),
                Err(Stranger::Wrong),
                "{wrong}"
            );
        }
        let agent = identify(&tokens, Some(b"agent-secret")).unwrap();
        assert_eq!(
            (agent.role, agent.dns, agent.desktop),
            (Role::Agent, vec![DnIndex(3)], true)
        );
        let router = identify(&tokens, Some(b"route-it")).unwrap();
        assert_eq!((router.role, router.desktop), (Role::Router, false));
    }

    #[test]
    fn only_loopback_is_loopback() {
        for ours in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8",
        ] {
            assert!(is_loopback(ours), "{ours}");
        }
        for other in [
            "evil.example",
            "192.0.2.1:8080",
            "localhost.evil.example",
            "",
            "null",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn each_role_may_do_its_own() {
        use crate::config::{QueueIndex, RoutingPointIndex, TrunkIndex};
        let own = Address::Agent(DnIndex(3));
        let other = Address::Agent(DnIndex(4));
        let routing_point = Address::RoutingPoint(RoutingPointIndex(0));
        let queue = Address::Queue(QueueIndex(0));
        let trunk = Address::Trunk(TrunkIndex(0));
        let every = [own, other, routing_point, queue, trunk];
        // Per role: what it sees, whether all, whom it acts for, where it attaches, routing.
        let table = [
            (
                Role::Agent,
                [true, false, false, false, false],
                false,
                [true, false],
                [true, false, false, false, false],
                false,
            ),
            (
                Role::Supervisor,
                [true; 5],
                true,
                [true, true],
                [true, true, true, false, false],
                false,
            ),
            (
                Role::Router,
                [true; 5],
                false,
                [false, false],
                [true, true, true, false, false],
                true,
            ),
            (
                Role::Admin,
                [true; 5],
                true,
                [true, true],
                [true, true, true, false, false],
                true,
            ),
        ];
        for (role, sees, everything, acts, attaches, routes) in table {
            let client = Identity {
                role,
                dns: vec![DnIndex(3)],
                desktop: false,
            };
            assert_eq!(
                every.map(|address| client.may_see(address)),
                sees,
                "{role:?}"
            );
            assert_eq!(client.may_see_everything(), everything, "{role:?}");
            assert_eq!(
                [3, 4].map(|dn| client.may_act_for(DnIndex(dn))),
                acts,
                "{role:?}"
            );
            assert_eq!(
                every.map(|address| client.may_attach_at(address)),
                attaches,
                "{role:?}"
            );
            assert_eq!(client.may_route(), routes, "{role:?}");
        }
    }
}
