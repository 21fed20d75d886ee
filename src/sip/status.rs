//! Response status codes.

use std::fmt;

/// A response status code. Any value may be held; the network yields only 100 to 699.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub u16);

macro_rules! statuses {
    ($($name:ident $code:literal $reason:literal,)*) => {
        impl Status {
            $(
                #[doc = concat!("`", $code, " ", $reason, "`.")]
                pub const $name: Self = Self($code);
            )*

            /// The usual reason phrase; the name of the class for a code that has none.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    100..=199 => "Progress",
                    200..=299 => "Success",
                    300..=399 => "Redirection",
                    400..=499 => "Request Failure",
                    500..=599 => "Server Failure",
                    _ => "Global Failure",
                }
            }
        }
    };
}

statuses! {
    TRYING 100 "Trying",
    RINGING 180 "Ringing",
    CALL_IS_BEING_FORWARDED 181 "Call Is Being Forwarded",
    QUEUED 182 "Queued",
    SESSION_PROGRESS 183 "Session Progress",
    EARLY_DIALOG_TERMINATED 199 "Early Dialog Terminated",
    OK 200 "OK",
    ACCEPTED 202 "Accepted",
    NO_NOTIFICATION 204 "No Notification",
    MULTIPLE_CHOICES 300 "Multiple Choices",
    MOVED_PERMANENTLY 301 "Moved Permanently",
    MOVED_TEMPORARILY 302 "Moved Temporarily",
    USE_PROXY 305 "Use Proxy",
    ALTERNATIVE_SERVICE 380 "Alternative Service",
    BAD_REQUEST 400 "Bad Request",
    UNAUTHORIZED 401 "Unauthorized",
    PAYMENT_REQUIRED 402 "Payment Required",
    FORBIDDEN 403 "Forbidden",
    NOT_FOUND 404 "Not Found",
    METHOD_NOT_ALLOWED 405 "Method Not Allowed",
    NOT_ACCEPTABLE 406 "Not Acceptable",
    PROXY_AUTHENTICATION_REQUIRED 407 "Proxy Authentication Required",
    REQUEST_TIMEOUT 408 "Request Timeout",
    GONE 410 "Gone",
    CONDITIONAL_REQUEST_FAILED 412 "Conditional Request Failed",
    REQUEST_ENTITY_TOO_LARGE 413 "Request Entity Too Large",
    REQUEST_URI_TOO_LONG 414 "Request-URI Too Long",
    UNSUPPORTED_MEDIA_TYPE 415 "Unsupported Media Type",
    UNSUPPORTED_URI_SCHEME 416 "Unsupported URI Scheme",
    BAD_EXTENSION 420 "Bad Extension",
    EXTENSION_REQUIRED 421 "Extension Required",
    SESSION_INTERVAL_TOO_SMALL 422 "Session Interval Too Small",
    INTERVAL_TOO_BRIEF 423 "Interval Too Brief",
    ANONYMITY_DISALLOWED 433 "Anonymity Disallowed",
    BAD_INFO_PACKAGE 469 "Bad Info Package",
    TEMPORARILY_UNAVAILABLE 480 "Temporarily Unavailable",
    CALL_DOES_NOT_EXIST 481 "Call/Transaction Does Not Exist",
    LOOP_DETECTED 482 "Loop Detected",
    TOO_MANY_HOPS 483 "Too Many Hops",
    ADDRESS_INCOMPLETE 484 "Address Incomplete",
    AMBIGUOUS 485 "Ambiguous",
    BUSY_HERE 486 "Busy Here",
    REQUEST_TERMINATED 487 "Request Terminated",
    NOT_ACCEPTABLE_HERE 488 "Not Acceptable Here",
    BAD_EVENT 489 "Bad Event",
    REQUEST_PENDING 491 "Request Pending",
    UNDECIPHERABLE 493 "Undecipherable",
    SERVER_INTERNAL_ERROR 500 "Server Internal Error",
    NOT_IMPLEMENTED 501 "Not Implemented",
    BAD_GATEWAY 502 "Bad Gateway",
    SERVICE_UNAVAILABLE 503 "Service Unavailable",
    SERVER_TIMEOUT 504 "Server Time-out",
    VERSION_NOT_SUPPORTED 505 "Version Not Supported",
    MESSAGE_TOO_LARGE 513 "Message Too Large",
    PRECONDITION_FAILURE 580 "Precondition Failure",
    BUSY_EVERYWHERE 600 "Busy Everywhere",
    DECLINE 603 "Decline",
    DOES_NOT_EXIST_ANYWHERE 604 "Does Not Exist Anywhere",
    NOT_ACCEPTABLE_ANYWHERE 606 "Not Acceptable",
}

impl Status {
    /// The code as it is written, in three digits.
    pub(super) fn digits(self) -> [u8; 3] {
        [self.0 / 100 % 10, self.0 / 10 % 10, self.0 % 10].map(|digit| b'0' + digit as u8)
    }

    /// 1xx: the transaction goes on.
    #[must_use]
    pub fn is_provisional(self) -> bool {
        self.0 < 200
    }

    /// 2xx to 6xx: the transaction has its answer.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.0 >= 200
    }

    /// 2xx.
    #[must_use]
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }

    /// 3xx to 6xx: what an INVITE transaction acknowledges itself.
    #[must_use]
    pub fn is_failure(self) -> bool {
        self.0 >= 300
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}
