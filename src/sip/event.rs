//! Event and Subscription-State (RFC 6665 §8.2).

use super::expires::seconds;
use super::header::HeaderName;
use super::malformed::Malformed;
use super::message::Message;
use super::parameters::Parameters;
use super::scan::Scanner;

/// An Event value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Event<'a> {
    /// The package with its templates, such as `presence` or `presence.winfo`.
    pub package: &'a str,
    /// The parameters.
    pub parameters: Parameters<'a>,
}

impl<'a> Event<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`] and what [`Parameters::parse`] finds.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        let (package, parameters) = token_and_parameters(value, HeaderName::Event)?;
        Ok(Self {
            package,
            parameters,
        })
    }

    /// The `id` parameter, which tells two subscriptions in one dialog apart.
    #[must_use]
    pub fn id(&self) -> Option<&'a str> {
        self.parameters.value("id")
    }

    /// Whether it is this package. RFC 6665 §8.2.1: event types compare byte by byte, but peers
    /// that change the case are met.
    #[must_use]
    pub fn is(&self, package: &str) -> bool {
        self.package.eq_ignore_ascii_case(package)
    }
}

/// The state of a subscription as a NOTIFY says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State<'a> {
    /// Accepted, and the watcher may see.
    Active,
    /// Accepted, and nobody has decided yet.
    Pending,
    /// Over.
    Terminated,
    /// An extension; RFC 6665 §4.1.3 treats it as active.
    Other(&'a str),
}

/// Why a subscription ended (RFC 6665 §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TerminatedReason<'a> {
    /// Subscribe again at once.
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// Do not subscribe again.
    Rejected,
    /// Subscribe again at once.
    Timeout,
    /// Nobody decided; subscribe again at will.
    GiveUp,
    /// The resource is gone; do not subscribe again.
    NoResource,
    /// The state cannot change any more.
    Invariant,
    /// An extension; as if there were no reason.
    Other(&'a str),
}

/// A Subscription-State value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubscriptionState<'a> {
    /// The state.
    pub state: State<'a>,
    /// Seconds left; UCM sends none, and then the answer to the SUBSCRIBE rules.
    pub expires: Option<u32>,
    /// Why it ended.
    pub reason: Option<TerminatedReason<'a>>,
    /// Seconds to wait before the next attempt.
    pub retry_after: Option<u32>,
}

impl<'a> SubscriptionState<'a> {
    /// Reads a whole value.
    ///
    /// # Errors
    /// [`Malformed::Invalid`], [`Malformed::OutOfRange`] and what [`Parameters::parse`] finds.
    pub fn parse(value: &'a [u8]) -> Result<Self, Malformed> {
        const NAME: HeaderName = HeaderName::SubscriptionState;
        let (token, parameters) = token_and_parameters(value, NAME)?;
        let state = match token {
            _ if token.eq_ignore_ascii_case("active") => State::Active,
            _ if token.eq_ignore_ascii_case("pending") => State::Pending,
            _ if token.eq_ignore_ascii_case("terminated") => State::Terminated,
            other => State::Other(other),
        };
        let number = |name| {
            parameters
                .value(name)
                .map(|text| seconds(text.as_bytes(), NAME))
                .transpose()
        };
        Ok(Self {
            state,
            expires: number("expires")?,
            reason: parameters.value("reason").map(reason),
            retry_after: number("retry-after")?,
        })
    }
}

fn reason(token: &str) -> TerminatedReason<'_> {
    const KNOWN: [(&str, TerminatedReason<'static>); 7] = [
        ("deactivated", TerminatedReason::Deactivated),
        ("probation", TerminatedReason::Probation),
        ("rejected", TerminatedReason::Rejected),
        ("timeout", TerminatedReason::Timeout),
        ("giveup", TerminatedReason::GiveUp),
        ("noresource", TerminatedReason::NoResource),
        ("invariant", TerminatedReason::Invariant),
    ];
    let known = KNOWN
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(token));
    known.map_or(TerminatedReason::Other(token), |(_, reason)| *reason)
}

/// Reads `token *(;parameter)`.
pub(super) fn token_and_parameters(
    value: &[u8],
    name: HeaderName,
) -> Result<(&str, Parameters<'_>), Malformed> {
    let mut scanner = Scanner::new(value);
    scanner.skip_space();
    let token = scanner.token().ok_or(Malformed::Invalid(name))?;
    let parameters = Parameters::scan(&mut scanner)?;
    scanner.skip_space();
    if scanner.at_end() {
        Ok((token, parameters))
    } else {
        Err(Malformed::Invalid(name))
    }
}

impl<'a> Message<'a> {
    /// The Event header.
    ///
    /// # Errors
    /// As [`Event::parse`].
    pub fn event(&self) -> Result<Option<Event<'a>>, Malformed> {
        self.header(HeaderName::Event).map(Event::parse).transpose()
    }

    /// The Subscription-State header.
    ///
    /// # Errors
    /// As [`SubscriptionState::parse`].
    pub fn subscription_state(&self) -> Result<Option<SubscriptionState<'a>>, Malformed> {
        self.header(HeaderName::SubscriptionState)
            .map(SubscriptionState::parse)
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_states_are_read() {
        let event = Event::parse(b"presence ; id=7").expect("legal");
        assert!(event.is("Presence"));
        assert_eq!((event.package, event.id()), ("presence", Some("7")));
        assert_eq!(
            Event::parse(b""),
            Err(Malformed::Invalid(HeaderName::Event))
        );

        let state = SubscriptionState::parse(b"active;expires=600").expect("legal");
        assert_eq!((state.state, state.expires), (State::Active, Some(600)));
        let state =
            SubscriptionState::parse(b"Terminated;reason=GiveUp;retry-after=3").expect("legal");
        assert_eq!(state.state, State::Terminated);
        assert_eq!(state.reason, Some(TerminatedReason::GiveUp));
        assert_eq!(state.retry_after, Some(3));
        assert_eq!(
            SubscriptionState::parse(b"active;expires=99999999999"),
            Err(Malformed::OutOfRange(HeaderName::SubscriptionState))
        );
        let state = SubscriptionState::parse(b"resting;reason=tired").expect("legal");
        assert_eq!(state.state, State::Other("resting"));
        assert_eq!(state.reason, Some(TerminatedReason::Other("tired")));
    }
}
