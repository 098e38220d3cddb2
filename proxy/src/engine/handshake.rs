//! How TLS handshakes end, in closed words.

use std::time::Duration;

/// How clients are received over HTTPS.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// From the connection to the end of its handshake.
    pub within: Duration,
    /// Handshakes under way at once.
    pub most: usize,
    /// The oldest version spoken.
    pub minimum: Version,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// A version of TLS. Older ones are not spoken at all (RFC 8996).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl common::config::FromSetting for Version {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            other => Err(format!("\"{other}\" is neither 1.2 nor 1.3")),
        }
    }
}

/// How a handshake ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum HandshakeEnd {
    /// The client was shown a certificate.
    Full,
    /// The client came back with a ticket.
    Resumed,
    /// It was not over in time.
    TimedOut,
    /// As many were under way as may be; the connection was closed at once.
    TooMany,
    /// What came was no TLS.
    NotTls,
    /// The client speaks none of our versions, cipher suites or groups.
    NothingInCommon,
    /// The client speaks other protocols than HTTP.
    OtherProtocol,
    /// The client broke it off with an alert: it does not trust the certificate, most likely.
    Alert,
    /// The client left before it was over.
    Left,
    /// The client did what the protocol forbids.
    Misbehaved,
}

impl HandshakeEnd {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::TimedOut => "timed_out",
            Self::TooMany => "too_many",
            Self::NotTls => "not_tls",
            Self::NothingInCommon => "nothing_in_common",
            Self::OtherProtocol => "other_protocol",
            Self::Alert => "alert",
            Self::Left => "left",
            Self::Misbehaved => "misbehaved",
        }
    }
}
