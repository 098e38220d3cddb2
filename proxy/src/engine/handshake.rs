//! How TLS handshakes are led, and how they end, in closed words.

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

/// Whose order of cipher suites counts, of those that both ends know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Ours, which begins with what is cheapest to compute.
    Ours,
    /// The client's.
    Clients,
}

impl Order {
    /// For a client that offers suites of these numbers, its favourite first: its own where that is
    /// ChaCha20, for then it most likely has no instructions for AES (ADR 0071).
    #[must_use]
    pub fn of(offered: impl IntoIterator<Item = u16>) -> Self {
        let first = offered.into_iter().find_map(|suite| match suite {
            // RFC 8446 §B.4, RFC 7905 §2.
            0x1303 | 0xcca8..=0xccaa => Some(Self::Clients),
            // The same, and RFC 5289 §3.2: AES in Galois counter mode.
            0x1301 | 0x1302 | 0xc02b | 0xc02c | 0xc02f | 0xc030 => Some(Self::Ours),
            // Neither: what is there for grease (RFC 8701), and what nobody takes here.
            _ => None,
        });
        first.unwrap_or(Self::Ours)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_likes_chacha_best_gets_it_and_all_others_what_is_cheapest() {
        for (offered, order) in [
            (&[0x1302, 0x1303, 0x1301][..], Order::Ours),
            (&[0x1301, 0x1302, 0x1303], Order::Ours),
            (&[0x3a3a, 0xc030, 0xcca8], Order::Ours),
            (&[0x1303, 0x1301, 0x1302], Order::Clients),
            (&[0xeaea, 0xcca9, 0xc02b], Order::Clients),
            (&[0x00ff], Order::Ours),
            (&[], Order::Ours),
        ] {
            assert_eq!(Order::of(offered.iter().copied()), order, "{offered:x?}");
        }
    }
}
