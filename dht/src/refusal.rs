//! Every way in which the index says no.
//!
//! The same word goes over the wire (as a code), into the local API, the log and the metrics.

use std::fmt;
use std::str::FromStr;

/// Why something was not done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    /// The write carried no token that its node gave to this address within the last minute.
    Token,
    /// The value is longer than 256 bytes.
    ValueTooLong,
    /// The value would end before it began.
    TtlZero,
    /// The store is full of values that last longer.
    StoreFull,
    /// The key has its sixteen values, and all of them last longer.
    KeyFull,
    /// This publisher has as many values at the node as one publisher may have.
    PublisherFull,
    /// The two nodes share no cluster at that level.
    Level,
    /// The key has its values and is asked for more often than its node serves.
    Loaded,
    /// The key is asked for, or put, more often than a node lets any one key be.
    KeyRate,
    /// The other node gave a reason that this version does not know.
    Other,
    /// As many commands are under way here as this node carries.
    Busy,
    /// The caller's deadline came before an answer.
    Deadline,
    /// No node that should hold the value could be reached.
    Unreachable,
    /// As many services are registered here as this node carries.
    ServicesFull,
    /// The request was not understood.
    Malformed,
    /// The request's body is longer than any request needs.
    BodyTooLarge,
    /// The local API has no such path.
    NotFound,
    /// The path exists, the method does not.
    Method,
    /// The daemon is ending.
    ShuttingDown,
}

impl Refusal {
    /// Wire code of a refusal without a better one.
    pub(crate) const OTHER_CODE: u8 = 255;

    /// Every refusal, for metrics.
    pub const ALL: [Self; 19] = [
        Self::Token,
        Self::ValueTooLong,
        Self::TtlZero,
        Self::StoreFull,
        Self::KeyFull,
        Self::PublisherFull,
        Self::Level,
        Self::Loaded,
        Self::KeyRate,
        Self::Other,
        Self::Busy,
        Self::Deadline,
        Self::Unreachable,
        Self::ServicesFull,
        Self::Malformed,
        Self::BodyTooLarge,
        Self::NotFound,
        Self::Method,
        Self::ShuttingDown,
    ];

    /// The word for the local API, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ValueTooLong => "value_too_long",
            Self::TtlZero => "ttl_zero",
            Self::StoreFull => "store_full",
            Self::KeyFull => "key_full",
            Self::PublisherFull => "publisher_full",
            Self::Level => "level",
            Self::Loaded => "loaded",
            Self::KeyRate => "key_rate",
            Self::Other => "other",
            Self::Busy => "busy",
            Self::Deadline => "deadline",
            Self::Unreachable => "unreachable",
            Self::ServicesFull => "services_full",
            Self::Malformed => "malformed",
            Self::BodyTooLarge => "body_too_large",
            Self::NotFound => "not_found",
            Self::Method => "method",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// One sentence for people: what happened and, where there is something, what to do.
    #[must_use]
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Token => "the write carried no current token of the storing node; try again",
            Self::ValueTooLong => "a value has at most 256 bytes",
            Self::TtlZero => "ttl_ms must be at least 1",
            Self::StoreFull => "the storing node is full of values that last longer",
            Self::KeyFull => "the key holds sixteen values that last longer",
            Self::PublisherFull => "this publisher has as many values as one may have",
            Self::Level => "the node is in no common cluster at that level",
            Self::Loaded => "the key has enough values, and its nodes shed more of them",
            Self::KeyRate => "the key is asked for or put too often; try again shortly",
            Self::Other => "the storing node refused for a reason this version does not know",
            Self::Busy => "too many commands under way; try again shortly",
            Self::Deadline => "no answer within deadline_ms",
            Self::Unreachable => "no node that should hold the value could be reached",
            Self::ServicesFull => "too many services are registered at this node",
            Self::Malformed => "the request was not understood; see docs/design/index-api.md",
            Self::BodyTooLarge => "the request body has at most 4096 bytes",
            Self::NotFound => "no such path; see docs/design/index-api.md",
            Self::Method => "wrong method for this path; see docs/design/index-api.md",
            Self::ShuttingDown => "the index daemon is ending",
        }
    }

    /// The code of a refusal that one node sends to another; `None` if it stays local.
    #[must_use]
    pub const fn wire_code(self) -> Option<u8> {
        match self {
            Self::Token => Some(1),
            Self::ValueTooLong => Some(2),
            Self::TtlZero => Some(3),
            Self::StoreFull => Some(4),
            Self::KeyFull => Some(5),
            Self::PublisherFull => Some(6),
            Self::Level => Some(7),
            Self::Unreachable => Some(8),
            Self::Busy => Some(9),
            Self::Loaded => Some(10),
            Self::KeyRate => Some(11),
            Self::Other => Some(Self::OTHER_CODE),
            Self::Deadline
            | Self::ServicesFull
            | Self::Malformed
            | Self::BodyTooLarge
            | Self::NotFound
            | Self::Method
            | Self::ShuttingDown => None,
        }
    }

    /// The refusal with this wire code.
    #[must_use]
    pub fn from_wire_code(code: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|refusal| refusal.wire_code() == Some(code))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the word of a refusal")]
pub struct UnknownRefusal;

impl FromStr for Refusal {
    type Err = UnknownRefusal;

    fn from_str(word: &str) -> Result<Self, UnknownRefusal> {
        Self::ALL
            .into_iter()
            .find(|refusal| refusal.as_str() == word)
            .ok_or(UnknownRefusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_read_back_and_are_distinct() {
        for refusal in Refusal::ALL {
            assert_eq!(refusal.as_str().parse(), Ok(refusal));
            if let Some(code) = refusal.wire_code() {
                assert_eq!(Refusal::from_wire_code(code), Some(refusal));
            }
        }
        assert_eq!(Refusal::from_wire_code(0), None);
        assert_eq!("".parse::<Refusal>(), Err(UnknownRefusal));
    }
}
